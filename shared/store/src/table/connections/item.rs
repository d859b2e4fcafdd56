//! A connection as an item of the table.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::connection::{Connection, ConnectionId};
use serde_json::{Value, json};

use super::{ERASED_AT, StoredConnection};
use crate::table::{
    TableError,
    attribute::{Item, to_attribute, to_json},
    key::{Key, TIME_PK, TIME_SK},
    revision,
};

const MEMBERS: &str = "members";
const FOLDED: &str = "folded";
const TYPES: &str = "types";
const ABSORBING: &str = "absorbing";
const RENAMED: &str = "renamed";

/// The members carry the state. The rest is for people and for queries.
pub(super) fn encode(connection: &StoredConnection) -> Item {
    let state = &connection.state;
    let shown = json!({
        "status": state.status(),
        "provider": state.provider(),
        "reference_id": state.reference_id(),
        "terra_user_id": state.current().map(|(id, _)| id),
        "scopes": state.scopes(),
        "data_at_ms": state.data_at_ms(),
        MEMBERS: state.members,
        FOLDED: (!state.folded.ids.is_empty()).then_some(&state.folded),
        TYPES: (!state.types.is_empty()).then_some(&state.types),
        ABSORBING: (!connection.absorbing.is_empty()).then_some(&connection.absorbing),
        RENAMED: connection.is_renamed.then_some(true),
        ERASED_AT: connection.erased_at,
    });
    let mut item: Item = match shown {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, to_attribute(value)))
            .collect(),
        _ => Item::new(),
    };
    if connection.erased_at.is_some() {
        // Nobody lists it any more.
        return item;
    }
    let shard = Key::connections_shard(Key::shard_of(&connection.id));
    item.insert(TIME_PK.to_owned(), AttributeValue::S(shard));
    let place = connection.id.to_string();
    item.insert(TIME_SK.to_owned(), AttributeValue::S(place));
    item
}

pub(super) fn decode(
    id: ConnectionId,
    key: &Key,
    item: &Item,
) -> Result<StoredConnection, TableError> {
    fn read<T: serde::de::DeserializeOwned>(item: &Item, name: &str) -> Option<T> {
        serde_json::from_value(to_json(item.get(name)?.clone())).ok()
    }
    /// The default where the attribute is absent.
    fn optional<T: serde::de::DeserializeOwned + Default>(item: &Item, name: &str) -> Option<T> {
        match item.get(name) {
            None => Some(T::default()),
            Some(_) => read(item, name),
        }
    }
    let corrupt = |field| TableError::Corrupt {
        key: key.clone(),
        field,
    };
    let state = Connection {
        members: read(item, MEMBERS).ok_or_else(|| corrupt(MEMBERS))?,
        folded: optional(item, FOLDED).ok_or_else(|| corrupt(FOLDED))?,
        types: optional(item, TYPES).ok_or_else(|| corrupt(TYPES))?,
    };
    let erased_at: Option<String> = optional(item, ERASED_AT).ok_or_else(|| corrupt(ERASED_AT))?;
    Ok(StoredConnection {
        id,
        state,
        absorbing: optional(item, ABSORBING).ok_or_else(|| corrupt(ABSORBING))?,
        is_renamed: item.contains_key(RENAMED),
        lately_folded: BTreeSet::new(),
        erased_at,
        revision: revision(key, item)?,
    })
}
