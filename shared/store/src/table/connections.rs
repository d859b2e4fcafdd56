//! Connections, their aliases and their places under a person, in the table.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use domain::connection::{Connection, ConnectionId};
use futures::future::try_join_all;
use models::ids::{ReferenceId, TerraUserId};
use serde_json::{Value, json};

pub use super::key::CONNECTION_SHARDS;
use super::{
    Condition, Freshness, MAX_ATTEMPTS, Table, TableError,
    attribute::{Item, to_attribute, to_json},
    back_off,
    key::{BY_TIME, Key, RecordOwner, TIME_PK, TIME_SK},
    revision, stamped,
};

/// AWS: a transaction takes at most 100 items. Besides the aliases it writes the connection, the
/// ones it replaces and the person's items.
pub const MAX_MEMBERS: usize = 80;

const MEMBERS: &str = "members";
const ABSORBING: &str = "absorbing";
const CONNECTION_ID: &str = "connection_id";
const ERASED_AT: &str = "erased_at";

/// A connection as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConnection {
    /// Our id.
    pub id: ConnectionId,
    /// Its state.
    pub state: Connection,
    /// Connections that became this one and whose records are still being moved.
    pub absorbing: BTreeSet<ConnectionId>,
    revision: u64,
}

/// Where a Terra user id leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alias {
    /// To this connection.
    Connection(ConnectionId),
    /// To a person who was erased, and to the connection they had: nothing more is kept of them.
    Erased(ConnectionId),
}

/// Where Terra user ids lead.
pub type Aliases = BTreeMap<TerraUserId, Alias>;

/// Where the Terra user ids that were looked at led a moment ago; `None`: nowhere.
pub type SeenAliases = BTreeMap<TerraUserId, Option<Alias>>;

/// What applying a connection's fragment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedConnection {
    /// The connection now.
    pub connection: StoredConnection,
    /// Whether anything was written.
    pub changed: bool,
    /// Whether there was no such connection before.
    pub created: bool,
}

/// What is stored of the connections that one fragment touches.
struct Touched {
    aliases: Aliases,
    connections: BTreeMap<ConnectionId, StoredConnection>,
}

impl Table {
    /// Joins what an event says of a connection with what is known. `None`: the person was erased.
    ///
    /// When the fragment ties several known connections together, they become one, and the records
    /// of the others are moved before this returns.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn apply_connection(
        &self,
        fragment: &Connection,
    ) -> Result<Option<AppliedConnection>, TableError> {
        let unseen = SeenAliases::new();
        self.apply_connection_seen(fragment, &unseen).await
    }

    /// The same, for whoever has just read where its Terra user ids lead: they are not read again.
    /// Should one lead elsewhere by now, it shows: the connection is gone or has changed, or the
    /// alias is taken, and everything is read anew.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn apply_connection_seen(
        &self,
        fragment: &Connection,
        seen: &SeenAliases,
    ) -> Result<Option<AppliedConnection>, TableError> {
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let touched = match all_seen(fragment, seen) {
                Some(aliases) if attempt == 0 => self.led_to(aliases).await?,
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
            let same_place = touched.connections.len() <= 1
                && known.is_some_and(|known| known.state == joined.state)
                && joined.missing_aliases(&touched.aliases).next().is_none();
            if same_place || self.write_connection(&touched, &joined).await? {
                let mut connection = joined;
                if !connection.absorbing.is_empty() {
                    connection = self.absorb(connection).await?;
                }
                let created = touched.connections.is_empty();
                return Ok(Some(AppliedConnection {
                    connection,
                    changed: !same_place,
                    created,
                }));
            }
        }
        let key = fragment
            .id()
            .map_or(Key::request(""), |id| Key::connection(&id));
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// What applying the fragment would come to, without writing.
    ///
    /// # Errors
    ///
    /// [`TableError`].
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
        let changed = known.is_none_or(|known| known.state != connection.state);
        let created = touched.connections.is_empty();
        Ok(Some(AppliedConnection {
            connection,
            changed,
            created,
        }))
    }

    async fn touched(&self, fragment: &Connection) -> Result<Touched, TableError> {
        let aliases = self.aliases(fragment.members.keys()).await?;
        self.led_to(aliases).await
    }

    async fn led_to(&self, mut aliases: Aliases) -> Result<Touched, TableError> {
        let ids: BTreeSet<_> = aliases
            .values()
            .filter_map(|alias| match alias {
                Alias::Connection(id) => Some(id.clone()),
                Alias::Erased(_) => None,
            })
            .collect();
        let items = self.batch_get(ids.iter().map(Key::connection)).await?;
        let mut connections = BTreeMap::new();
        for id in ids {
            let key = Key::connection(&id);
            if let Some(item) = items.get(&key) {
                let connection = decode(id.clone(), &key, item)?;
                // A connection and the aliases of all its members are only ever written together.
                for user in connection.state.members.keys() {
                    aliases
                        .entry(user.clone())
                        .or_insert_with(|| Alias::Connection(id.clone()));
                }
                connections.insert(id, connection);
            }
        }
        Ok(Touched {
            aliases,
            connections,
        })
    }

    /// Writes a joined connection. `false`: something it rests on has changed meanwhile.
    async fn write_connection(
        &self,
        touched: &Touched,
        joined: &StoredConnection,
    ) -> Result<bool, TableError> {
        let key = Key::connection(&joined.id);
        if joined.state.members.len() > MAX_MEMBERS {
            let members = joined.state.members.len();
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
            besides.push(self.delete_connection(id, other.revision)?);
        }
        besides.extend(self.move_person(touched, joined)?);
        if besides.is_empty() {
            return self.put_if(&key, encode(joined), seen).await;
        }
        let put = self.transact_put(&key, encode(joined), seen)?;
        besides.push(TransactWriteItem::builder().put(put).build());
        self.transact(besides, &key).await
    }

    async fn transact(&self, items: Vec<TransactWriteItem>, key: &Key) -> Result<bool, TableError> {
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(service)
                    if service.is_transaction_canceled_exception()
                        || service.is_transaction_in_progress_exception() =>
                {
                    let conflict = lost_a_race(service);
                    if conflict {
                        Ok(false)
                    } else {
                        Err(TableError::unavailable("write", key)(error))
                    }
                }
                _ => Err(TableError::unavailable("write", key)(error)),
            },
        }
    }

    fn transact_put(&self, key: &Key, item: Item, seen: Option<u64>) -> Result<Put, TableError> {
        let condition = Condition::on(seen);
        Put::builder()
            .table_name(&self.name)
            .set_item(Some(stamped(key, item, seen)))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(TableError::unavailable("write", key))
    }

    fn put_alias(
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
            Some(Alias::Connection(from)) => put
                .condition_expression("connection_id = :from")
                .expression_attribute_values(":from", AttributeValue::S(from.to_string())),
            _ => put.condition_expression("attribute_not_exists(pk)"),
        };
        let put = put
            .build()
            .map_err(TableError::unavailable("write", &key))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn delete_connection(
        &self,
        id: &ConnectionId,
        seen: u64,
    ) -> Result<TransactWriteItem, TableError> {
        let key = Key::connection(id);
        let condition = Condition::on(Some(seen));
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(TableError::unavailable("delete", &key))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// The person's items that differ before and after.
    fn move_person(
        &self,
        touched: &Touched,
        joined: &StoredConnection,
    ) -> Result<Vec<TransactWriteItem>, TableError> {
        let place = |connection: &StoredConnection| {
            let reference_id = connection.state.reference_id()?;
            Some(Key::person(reference_id, &connection.id))
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
        Ok(items)
    }

    /// Moves the records of absorbed connections and strikes those from the list.
    async fn absorb(
        &self,
        mut connection: StoredConnection,
    ) -> Result<StoredConnection, TableError> {
        for other in connection.absorbing.clone() {
            self.move_records(&other, &connection.id).await?;
        }
        let key = Key::connection(&connection.id);
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let Some(mut stored) = self.connection(&connection.id).await? else {
                // Absorbed itself meanwhile, and what was moved here may have come too late for
                // whoever absorbed it: `settle` takes it on.
                return Ok(connection);
            };
            let seen = Some(stored.revision);
            stored
                .absorbing
                .retain(|other| !connection.absorbing.contains(other));
            if self.put_if(&key, encode(&stored), seen).await? {
                connection.absorbing.clear();
                return Ok(connection);
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    async fn move_records(&self, from: &ConnectionId, to: &ConnectionId) -> Result<(), TableError> {
        let from = RecordOwner::Connection(from.clone());
        let to = RecordOwner::Connection(to.clone());
        self.move_all_records(&from, &to).await
    }

    /// Makes sure that records just written or moved under `written` are where its Terra user ids
    /// lead now. `false`: to a person who was erased meanwhile, and the records are gone again.
    ///
    /// Two connections may have become one while we wrote; and a router that was killed between
    /// its writes and this step may have left records under an id that the connection no longer
    /// has. Every id it ever had is that of one of its members, so all of them are looked at.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn settle(&self, written: &StoredConnection) -> Result<bool, TableError> {
        let former = written.former_ids();
        let moves = former.iter().map(|id| self.move_records(id, &written.id));
        try_join_all(moves).await?;

        // One transaction moves the aliases of all members, so one stands for all.
        let Some(user) = written.state.members.keys().next() else {
            return Ok(true);
        };
        let mut written = written.id.clone();
        // One step per merge that happens at this very moment; more than a few is no accident.
        for _ in 0..MAX_ATTEMPTS {
            match self.alias(user).await? {
                Some(Alias::Connection(now)) if now != written => {
                    self.move_records(&written, &now).await?;
                    written = now;
                }
                Some(Alias::Erased(_)) => {
                    self.erase_records(&written).await?;
                    return Ok(false);
                }
                _ => return Ok(true),
            }
        }
        let key = Key::connection(&written);
        Err(TableError::Contended {
            operation: "settle",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Removes what a router that was killed half-way may have left of an erased person.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn erase_leftovers(
        &self,
        user: &TerraUserId,
        connection: &ConnectionId,
    ) -> Result<(), TableError> {
        self.erase_records(connection).await?;
        self.erase_records(&ConnectionId::of(user)).await?;
        Ok(())
    }

    async fn erase_records(&self, id: &ConnectionId) -> Result<usize, TableError> {
        let owner = RecordOwner::Connection(id.clone());
        self.erase_partition(&owner, "").await
    }

    /// A connection by our id.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn connection(
        &self,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, TableError> {
        let key = Key::connection(id);
        let item = self.get(&key).await?;
        item.map(|item| decode(id.clone(), &key, &item)).transpose()
    }

    /// Where a Terra user id leads.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn alias(&self, user: &TerraUserId) -> Result<Option<Alias>, TableError> {
        Ok(self.aliases([user]).await?.remove(user))
    }

    /// Where Terra user ids led a moment ago: for whoever asks again before anything depends on it.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn aliases_lately(
        &self,
        users: impl IntoIterator<Item = &TerraUserId>,
    ) -> Result<SeenAliases, TableError> {
        let users: BTreeSet<_> = users.into_iter().collect();
        let mut found = self
            .aliases_as(users.iter().copied(), Freshness::Lately)
            .await?;
        let seen = users.into_iter().map(|user| {
            let alias = found.remove(user);
            (user.clone(), alias)
        });
        Ok(seen.collect())
    }

    /// Where Terra user ids lead.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn aliases(
        &self,
        users: impl IntoIterator<Item = &TerraUserId>,
    ) -> Result<Aliases, TableError> {
        self.aliases_as(users, Freshness::Now).await
    }

    async fn aliases_as(
        &self,
        users: impl IntoIterator<Item = &TerraUserId>,
        fresh: Freshness,
    ) -> Result<Aliases, TableError> {
        let users: Vec<_> = users.into_iter().collect();
        let keys = users.iter().map(|user| Key::alias(user));
        let mut items = self.batch_get_as(keys, fresh).await?;
        let mut aliases = BTreeMap::new();
        for user in users {
            let key = Key::alias(user);
            let Some(item) = items.remove(&key) else {
                continue;
            };
            let id = item.get(CONNECTION_ID).and_then(|id| id.as_s().ok());
            let id = id.and_then(|id| id.parse().ok());
            let id = id.ok_or(TableError::Corrupt {
                key,
                field: CONNECTION_ID,
            })?;
            let alias = if item.contains_key(ERASED_AT) {
                Alias::Erased(id)
            } else {
                Alias::Connection(id)
            };
            aliases.insert(user.clone(), alias);
        }
        Ok(aliases)
    }

    /// The connections of a person.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn connections_of(
        &self,
        reference_id: &ReferenceId,
    ) -> Result<Vec<StoredConnection>, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        let mut connections = Vec::new();
        for item in self.query(&owner.pk(), "CONNECTION#").await? {
            let id = Key::of_item(&item).and_then(|key| key.as_person_connection());
            if let Some(id) = id {
                connections.extend(self.connection(&id).await?);
            }
        }
        Ok(connections)
    }

    /// The ids of all connections of one of [`CONNECTION_SHARDS`] shards, in their order, after
    /// `after` if that is given, at most `limit`.
    ///
    /// From an index, which lags: a connection of this very moment may be missing, and one that was
    /// just erased or became another may still be named. One that was last written before there
    /// was this list is missing until it is written again.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn connection_ids(
        &self,
        shard: u8,
        after: Option<&ConnectionId>,
        limit: usize,
    ) -> Result<Vec<ConnectionId>, TableError> {
        // An id is never empty, so all of them come after the space.
        let after = after.map_or(" ", ConnectionId::as_str);
        let mut items = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :shard AND time_sk > :after")
            .expression_attribute_values(":shard", AttributeValue::S(Key::connections_shard(shard)))
            .expression_attribute_values(":after", AttributeValue::S(after.to_owned()))
            .projection_expression("pk, sk")
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1))
            .into_paginator()
            .items()
            .send();
        let mut ids = Vec::new();
        while ids.len() < limit {
            let Some(item) = items.next().await else {
                break;
            };
            let item = item.map_err(TableError::unavailable("query", "connections"))?;
            ids.extend(Key::of_item(&item).and_then(|key| key.as_connection()));
        }
        Ok(ids)
    }

    /// Removes a connection with all its records and backfills. Its aliases stay and say that it was
    /// erased.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn erase_connection(
        &self,
        connection: &StoredConnection,
        erased_at: &str,
    ) -> Result<usize, TableError> {
        // Aliases first: from here on nothing new is stored.
        for user in connection.state.members.keys() {
            let key = Key::alias(user);
            let id = AttributeValue::S(connection.id.to_string());
            let erased_at = AttributeValue::S(erased_at.to_owned());
            let item = Item::from([
                (CONNECTION_ID.to_owned(), id),
                (ERASED_AT.to_owned(), erased_at),
            ]);
            self.put(&key, item, "erase").await?;
        }
        // Then what would fetch more.
        let mut ids = connection.former_ids();
        ids.insert(connection.id.clone());
        let mut erased = 0;
        for id in ids {
            self.erase_backfills(&id).await?;
            erased += self.erase_records(&id).await?;
        }
        if let Some(reference_id) = connection.state.reference_id() {
            let owner = RecordOwner::Person(Some(reference_id.clone()));
            let place = format!("CONNECTION#{}", connection.id);
            self.erase_partition(&owner, &place).await?;
        }
        Ok(erased)
    }

    /// Deletes every item of a partition whose sort key begins with `prefix`.
    pub(crate) async fn erase_partition(
        &self,
        owner: &RecordOwner,
        prefix: &str,
    ) -> Result<usize, TableError> {
        let mut erased = 0;
        for item in self.query(&owner.pk(), prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            self.client
                .delete_item()
                .table_name(&self.name)
                .set_key(Some(key.attributes()))
                .send()
                .await
                .map_err(TableError::unavailable("erase", &key))?;
            erased += 1;
        }
        Ok(erased)
    }
}

/// Where the Terra user ids of a fragment were seen to lead; `None`: they were not all looked at, or
/// one led to somebody who was erased.
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
    /// Whether an alias leads to a connection that is not there. The two are written in one
    /// transaction but read one after the other.
    fn is_torn(&self) -> bool {
        self.aliases.values().any(|alias| match alias {
            Alias::Connection(id) => !self.connections.contains_key(id),
            Alias::Erased(_) => false,
        })
    }

    fn is_erased(&self) -> bool {
        let mut aliases = self.aliases.values();
        aliases.any(|alias| matches!(alias, Alias::Erased(_)))
    }

    fn join(&self, fragment: &Connection) -> Option<StoredConnection> {
        let known = self.connections.values().map(|stored| stored.state.clone());
        let state = known.fold(fragment.clone(), domain::Join::join);
        let id = state.id()?;
        let mut absorbing: BTreeSet<_> = self
            .connections
            .values()
            .flat_map(|stored| stored.absorbing.iter().chain([&stored.id]))
            .cloned()
            .collect();
        absorbing.remove(&id);
        let revision = self.connections.get(&id).map_or(0, |known| known.revision);
        Some(StoredConnection {
            id,
            state,
            absorbing,
            revision,
        })
    }
}

impl StoredConnection {
    /// Whether it may once have had another id.
    pub fn had_other_ids(&self) -> bool {
        self.state.members.len() > 1
    }

    /// Every other id that this connection may once have had.
    fn former_ids(&self) -> BTreeSet<ConnectionId> {
        let ids = self.state.members.keys().map(ConnectionId::of);
        ids.filter(|id| *id != self.id).collect()
    }

    /// The Terra user ids whose alias does not lead here yet, with where it leads now.
    fn missing_aliases<'a>(
        &'a self,
        known: &'a Aliases,
    ) -> impl Iterator<Item = (&'a TerraUserId, Option<&'a Alias>)> {
        self.state.members.keys().filter_map(move |user| {
            let alias = known.get(user);
            (alias != Some(&Alias::Connection(self.id.clone()))).then_some((user, alias))
        })
    }
}

/// The members carry the state. The rest is for people and for queries.
fn encode(connection: &StoredConnection) -> Item {
    let state = &connection.state;
    let mut shown = json!({
        "status": state.status(),
        "provider": state.provider(),
        "reference_id": state.reference_id(),
        "terra_user_id": state.current().map(|(id, _)| id),
        "scopes": state.scopes(),
        "data_at_ms": state.data_at_ms(),
        MEMBERS: state,
        ABSORBING: connection.absorbing,
    });
    if let (true, Value::Object(map)) = (connection.absorbing.is_empty(), &mut shown) {
        map.remove(ABSORBING);
    }
    let mut item: Item = match shown {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, to_attribute(value)))
            .collect(),
        _ => Item::new(),
    };
    let shard = Key::connections_shard(Key::shard_of(&connection.id));
    item.insert(TIME_PK.to_owned(), AttributeValue::S(shard));
    let place = connection.id.to_string();
    item.insert(TIME_SK.to_owned(), AttributeValue::S(place));
    item
}

fn decode(id: ConnectionId, key: &Key, item: &Item) -> Result<StoredConnection, TableError> {
    fn read<T: serde::de::DeserializeOwned>(item: &Item, name: &str) -> Option<T> {
        serde_json::from_value(to_json(item.get(name)?.clone())).ok()
    }
    let corrupt = |field| TableError::Corrupt {
        key: key.clone(),
        field,
    };
    let state: Connection = read(item, MEMBERS).ok_or_else(|| corrupt(MEMBERS))?;
    let absorbing = match item.get(ABSORBING) {
        None => BTreeSet::new(),
        Some(_) => read(item, ABSORBING).ok_or_else(|| corrupt(ABSORBING))?,
    };
    Ok(StoredConnection {
        id,
        state,
        absorbing,
        revision: revision(key, item)?,
    })
}

/// A transaction was cancelled by a condition or by another transaction, and by nothing else.
fn lost_a_race(
    error: &aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError,
) -> bool {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as E;
    match error {
        E::TransactionCanceledException(cancelled) => {
            let mut codes = cancelled
                .cancellation_reasons()
                .iter()
                .filter_map(|reason| reason.code());
            codes.all(|code| {
                matches!(
                    code,
                    "None" | "ConditionalCheckFailed" | "TransactionConflict"
                )
            })
        }
        E::TransactionInProgressException(_) => true,
        _ => false,
    }
}
