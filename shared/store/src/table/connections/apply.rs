//! Joins what events say of a connection with what is stored.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use domain::connection::{Connection, ConnectionId};
use models::ids::TerraUserId;

use super::{
    Alias, Aliases, AppliedConnection, CONNECTION_ID, MAX_MEMBERS, SeenAliases, StoredConnection,
    item::encode, shown_with_records,
};
use crate::table::{Freshness, MAX_ATTEMPTS, Table, TableError, back_off, key::Key};

/// Most text of folded ids in one connection: an item takes 400 KB. Some 1,800 of Terra's ids.
/// Unit: bytes.
const MAX_FOLDED_BYTES: usize = 64 * 1024;

/// Stored connections and aliases that one fragment touches.
struct Touched {
    aliases: Aliases,
    connections: BTreeMap<ConnectionId, StoredConnection>,
}

impl Table {
    /// Joins what an event says of a connection with what is known. Returns `None` when the person was
    /// erased, or when the fragment names no Terra user.
    ///
    /// When the fragment ties several known connections together, they become one, and the records
    /// of the others are moved before this returns.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the connection, [`TableError::Corrupt`] when an item cannot be read,
    /// [`TableError::TooManyMembers`] when the connection had more Terra user ids than an item takes.
    pub async fn apply_connection(
        &self,
        fragment: &Connection,
    ) -> Result<Option<AppliedConnection>, TableError> {
        let unseen = SeenAliases::new();
        self.apply_connection_seen(fragment, &unseen).await
    }

    /// Does the same as [`Self::apply_connection`] without reading again where the Terra user ids lead.
    ///
    /// An alias that has changed meanwhile is noticed, because the connection is gone or has changed, or
    /// the alias is taken. Everything is read anew then.
    ///
    /// # Errors
    ///
    /// Those of [`Self::apply_connection`].
    pub async fn apply_connection_seen(
        &self,
        fragment: &Connection,
        seen: &SeenAliases,
    ) -> Result<Option<AppliedConnection>, TableError> {
        let Some(id) = fragment.id() else {
            return Ok(None);
        };
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let touched = match all_seen(fragment, seen) {
                Some(aliases) if attempt == 0 => self.load_touched(aliases).await?,
                _ => self.touched(fragment).await?,
            };
            // Read before and after somebody made two connections one: read again.
            if touched.is_torn() {
                continue;
            }
            if touched.is_erased() {
                return Ok(None);
            }
            let Some(joined) = touched.join(fragment) else {
                return Ok(None);
            };
            let known = touched.connections.get(&joined.id);
            // A backfill moves the first and last days of records with each of its windows: nobody is told.
            let changed = touched.connections.len() > 1
                || known.is_none_or(|known| !known.state.tells_the_same(&joined.state))
                || joined.missing_aliases(&touched.aliases).next().is_some();
            let is_written =
                changed || known.is_none_or(|known| known.state.types != joined.state.types);
            if !is_written || self.write_connection(&touched, &joined).await? {
                let mut connection = joined;
                if !connection.absorbing.is_empty() {
                    connection = self.absorb(connection).await?;
                }
                let created = touched.connections.is_empty();
                return Ok(Some(AppliedConnection {
                    connection,
                    changed,
                    created,
                }));
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key: Key::connection(&id),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Returns what applying the fragment would lead to, and writes nothing.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn preview_connection(
        &self,
        fragment: &Connection,
    ) -> Result<Option<AppliedConnection>, TableError> {
        let touched = self.touched(fragment).await?;
        let erased = touched.is_erased();
        let Some(connection) = touched.join(fragment).filter(|_| !erased) else {
            return Ok(None);
        };
        let known = touched.connections.get(&connection.id);
        let changed = known.is_none_or(|known| !known.state.tells_the_same(&connection.state));
        let created = touched.connections.is_empty();
        Ok(Some(AppliedConnection {
            connection,
            changed,
            created,
        }))
    }

    async fn touched(&self, fragment: &Connection) -> Result<Touched, TableError> {
        let aliases = self.aliases(fragment.members.keys()).await?;
        self.load_touched(aliases).await
    }

    async fn load_touched(&self, mut aliases: Aliases) -> Result<Touched, TableError> {
        let ids: BTreeSet<_> = aliases
            .values()
            .filter_map(|alias| match alias {
                Alias::Connection(id) | Alias::Held(id) => Some(id.clone()),
                Alias::Erased(_) => None,
            })
            .collect();
        let stored = self
            .stored_connections(ids.into_iter().collect(), Freshness::Now)
            .await?;
        let mut connections = BTreeMap::new();
        for connection in stored {
            // Its aliases were read before it was erased: they are read again.
            if connection.erased_at.is_some() {
                continue;
            }
            // A connection and the aliases of all its members are only ever written together.
            for user in connection.state.members.keys() {
                aliases
                    .entry(user.clone())
                    .or_insert_with(|| Alias::Connection(connection.id.clone()));
            }
            connections.insert(connection.id.clone(), connection);
        }
        Ok(Touched {
            aliases,
            connections,
        })
    }

    /// Writes a joined connection. Returns `false` when something it rests on has changed meanwhile.
    async fn write_connection(
        &self,
        touched: &Touched,
        joined: &StoredConnection,
    ) -> Result<bool, TableError> {
        let key = Key::connection(&joined.id);
        let folded = &joined.state.folded.ids;
        let folded_bytes: usize = folded.iter().map(|id| id.as_str().len()).sum();
        if folded_bytes > MAX_FOLDED_BYTES {
            let members = joined.state.members.len() + folded.len();
            return Err(TableError::TooManyMembers { key, members });
        }
        let known = touched.connections.get(&joined.id);
        let seen = known.map(|known| known.revision);
        let mut besides = Vec::new();
        for (user, alias) in joined.missing_aliases(&touched.aliases) {
            besides.push(self.put_alias(user, &joined.id, alias)?);
        }
        for (id, other) in touched
            .connections
            .iter()
            .filter(|(id, _)| **id != joined.id)
        {
            besides.push(self.transact_delete(&Key::connection(id), other.revision)?);
        }
        besides.extend(self.move_person(touched, joined)?);
        if besides.is_empty() {
            return self.put_if(&key, encode(joined), seen).await;
        }
        besides.push(self.transact_put(&key, encode(joined), seen)?);
        self.transact(besides, &key).await
    }

    pub(super) fn put_alias(
        &self,
        user: &TerraUserId,
        to: &ConnectionId,
        from: Option<&Alias>,
    ) -> Result<TransactWriteItem, TableError> {
        let key = Key::alias(user);
        let mut item = key.attributes();
        item.insert(CONNECTION_ID.to_owned(), AttributeValue::S(to.to_string()));
        let put = Put::builder().table_name(&self.name).set_item(Some(item));
        let put = match from {
            Some(Alias::Connection(from) | Alias::Held(from)) => put
                .condition_expression("connection_id = :from")
                .expression_attribute_values(":from", AttributeValue::S(from.to_string())),
            _ => put.condition_expression("attribute_not_exists(pk)"),
        };
        let put = put
            .build()
            .map_err(TableError::unavailable("write", &key))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The person's items that differ before and after.
    fn move_person(
        &self,
        touched: &Touched,
        joined: &StoredConnection,
    ) -> Result<Vec<TransactWriteItem>, TableError> {
        let place = |connection: &StoredConnection| {
            let reference_id = connection.state.reference_id()?;
            Some(Key::person_connection(reference_id, &connection.id))
        };
        let before: BTreeSet<Key> = touched.connections.values().filter_map(place).collect();
        let after: BTreeSet<Key> = place(joined).into_iter().collect();
        let mut items = Vec::new();
        for key in before.difference(&after) {
            let delete = Delete::builder()
                .table_name(&self.name)
                .set_key(Some(key.attributes()))
                .build()
                .map_err(TableError::unavailable("delete", key))?;
            items.push(TransactWriteItem::builder().delete(delete).build());
        }
        for key in after.difference(&before) {
            let put = Put::builder()
                .table_name(&self.name)
                .set_item(Some(key.attributes()))
                .build()
                .map_err(TableError::unavailable("write", key))?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        if !after.is_subset(&before)
            && let Some(reference_id) = joined.state.reference_id()
        {
            items.push(self.list_person(reference_id)?);
        }
        Ok(items)
    }
}

/// Returns where the Terra user ids of a fragment were seen to lead. `None` when not all of them were
/// read, or when one led to somebody who was erased.
fn all_seen(fragment: &Connection, seen: &SeenAliases) -> Option<Aliases> {
    let mut aliases = Aliases::new();
    for user in fragment.members.keys() {
        match seen.get(user)? {
            Some(Alias::Erased(_)) => return None,
            Some(alias) => drop(aliases.insert(user.clone(), alias.clone())),
            None => {}
        }
    }
    Some(aliases)
}

impl Touched {
    /// Returns whether an alias leads to a connection that is not there. The two are written in one
    /// transaction but read one after the other.
    fn is_torn(&self) -> bool {
        self.aliases.values().any(|alias| match alias {
            Alias::Connection(id) | Alias::Held(id) => !self.connections.contains_key(id),
            Alias::Erased(_) => false,
        })
    }

    fn is_erased(&self) -> bool {
        let mut aliases = self.aliases.values();
        aliases.any(|alias| matches!(alias, Alias::Erased(_)))
    }

    fn join(&self, fragment: &Connection) -> Option<StoredConnection> {
        let states = || self.connections.values().map(|stored| &stored.state);
        let named: BTreeSet<_> = fragment.members.keys().cloned().collect();
        let fragment = states().fold(fragment.clone(), Connection::without_early_answers);
        let fragment = states().fold(fragment, Connection::without_known_life);
        let whole = states().cloned().fold(fragment, domain::Join::join);
        let id = whole.id()?;
        let folded_before = whole.folded.ids.clone();
        let state = whole.fold(MAX_MEMBERS);
        let folded_now: BTreeSet<_> = state
            .folded
            .ids
            .difference(&folded_before)
            .cloned()
            .collect();
        let mut absorbing: BTreeSet<_> = self
            .connections
            .values()
            .flat_map(|stored| stored.absorbing.iter().chain([&stored.id]))
            .cloned()
            // Nobody looks under the id of a folded one any more: its records are moved now.
            .chain(folded_now.iter().map(ConnectionId::of))
            .collect();
        absorbing.remove(&id);
        let known = self.connections.get(&id);
        let is_renamed = known.is_some_and(|known| {
            known.is_renamed || shown_with_records(&known.state) != shown_with_records(&state)
        });
        let lately_folded = named.intersection(&state.folded.ids).cloned();
        Some(StoredConnection {
            lately_folded: lately_folded.chain(folded_now).collect(),
            id,
            state,
            absorbing,
            is_renamed,
            erased_at: None,
            revision: known.map_or(0, |known| known.revision),
        })
    }
}
