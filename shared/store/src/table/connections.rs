//! Connections, their aliases and their places under a person, in the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Delete, Put, TransactWriteItem},
};
use domain::{
    connection::{Connection, ConnectionId},
    delivery::Changed,
};
use futures::future::try_join_all;
use models::ids::{Provider, ReferenceId, TerraUserId};
use serde_json::{Value, json};

pub use super::key::CONNECTION_SHARDS;
use super::{
    Condition, Freshness, MAX_ATTEMPTS, Table, TableError,
    attribute::{Item, to_attribute, to_json},
    back_off,
    key::{BY_TIME, Key, RecordOwner, TIME_PK, TIME_SK},
    revision, stamped,
};

/// Most Terra user ids of which a connection keeps everything; the oldest ended ones beyond it fold away.
///
/// AWS: a transaction takes at most 100 items. Besides the aliases it writes the connection, the one
/// that becomes part of it, and the person's items.
pub const MAX_MEMBERS: usize = 80;
/// Most text of folded ids in one connection: an item takes 400 KB. Some 1,800 of Terra's ids.
/// Unit: bytes.
const MAX_FOLDED_BYTES: usize = 64 * 1024;

const MEMBERS: &str = "members";
const FOLDED: &str = "folded";
const TYPES: &str = "types";
const ABSORBING: &str = "absorbing";
const RENAMED: &str = "renamed";
pub(super) const CONNECTION_ID: &str = "connection_id";
const ERASED_AT: &str = "erased_at";
/// Mark of an alias whose person's erasure can still be taken back.
pub(super) const HELD: &str = "held";

/// A connection as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConnection {
    /// Our id.
    pub id: ConnectionId,
    /// Its state.
    pub state: Connection,
    /// Connections that became this one and whose records are still being moved.
    pub absorbing: BTreeSet<ConnectionId>,
    /// True if its person, its provider or its current Terra user id changed and destinations, which keep
    /// them with every record, have not been told.
    pub is_renamed: bool,
    /// Folded ids that the last change named or folded: records may still lie under them.
    lately_folded: BTreeSet<TerraUserId>,
    /// Begin of its erasure, RFC 3339.
    erased_at: Option<String>,
    revision: u64,
}

/// Place that a Terra user id leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alias {
    /// This connection.
    Connection(ConnectionId),
    /// Connection of a person who was erased. Nothing more is kept of them.
    Erased(ConnectionId),
    /// Connection of a person whose erasure can still be taken back. What comes is put aside.
    Held(ConnectionId),
}

/// Places that Terra user ids lead to.
pub type Aliases = BTreeMap<TerraUserId, Alias>;

/// Places that Terra user ids led to when they were read; `None` for an id that led nowhere.
pub type SeenAliases = BTreeMap<TerraUserId, Option<Alias>>;

/// Result of applying a fragment to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedConnection {
    /// The connection now.
    pub connection: StoredConnection,
    /// True if more than the first and last days of its records changed: what others are told of.
    pub changed: bool,
    /// True if there was no such connection before.
    pub created: bool,
}

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
        let items = self.batch_get(ids.iter().map(Key::connection)).await?;
        let mut connections = BTreeMap::new();
        for id in ids {
            let key = Key::connection(&id);
            if let Some(item) = items.get(&key) {
                let connection = decode(id.clone(), &key, item)?;
                // Its aliases were read before it was erased: they are read again.
                if connection.erased_at.is_some() {
                    continue;
                }
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

    /// Writes items together. Returns `false` when a condition of one of them failed.
    pub(super) async fn transact(
        &self,
        items: Vec<TransactWriteItem>,
        key: &Key,
    ) -> Result<bool, TableError> {
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(lost_a_race) => Ok(false),
            Err(error) => Err(TableError::unavailable("write", key)(error)),
        }
    }

    /// Writes an item in a transaction if its revision is still `seen`.
    pub(super) fn transact_put(
        &self,
        key: &Key,
        item: Item,
        seen: Option<u64>,
    ) -> Result<TransactWriteItem, TableError> {
        let condition = Condition::on(seen);
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(stamped(key, item, seen)))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(TableError::unavailable("write", key))?;
        Ok(TransactWriteItem::builder().put(put).build())
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

    /// Deletes an item in a transaction if its revision is still `seen`.
    pub(super) fn transact_delete(
        &self,
        key: &Key,
        seen: u64,
    ) -> Result<TransactWriteItem, TableError> {
        let condition = Condition::on(Some(seen));
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(TableError::unavailable("delete", key))?;
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
        if !after.is_subset(&before)
            && let Some(reference_id) = joined.state.reference_id()
        {
            items.push(self.list_person(reference_id)?);
        }
        Ok(items)
    }

    /// Points the aliases of folded ids to the connection. More of them may come with an absorbed
    /// connection than one transaction takes.
    async fn redirect_folded(&self, connection: &StoredConnection) -> Result<(), TableError> {
        let aliases = self.aliases(&connection.state.folded.ids).await?;
        for (user, alias) in &aliases {
            if matches!(alias, Alias::Connection(id) | Alias::Held(id) if *id != connection.id) {
                let key = Key::alias(user);
                let put = self.put_alias(user, &connection.id, Some(alias))?;
                if !self.transact(vec![put], &key).await? {
                    return Err(TableError::Contended {
                        operation: "redirect",
                        key,
                        attempts: 1,
                    });
                }
            }
        }
        Ok(())
    }

    /// Moves the records of absorbed connections and strikes those from the list.
    async fn absorb(
        &self,
        mut connection: StoredConnection,
    ) -> Result<StoredConnection, TableError> {
        self.redirect_folded(&connection).await?;
        for other in connection.absorbing.clone() {
            self.move_records(&other, &connection.id).await?;
            let (owner, other) = (
                RecordOwner::Connection(other.clone()),
                Key::connection(&other),
            );
            self.note_gone(&owner, &other, 0).await?;
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

    /// Notes that destinations have been told of a connection's new person, provider or Terra user id.
    /// Does nothing if the connection has changed since it was read: whoever changed it tells again.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn settle_renamed(&self, connection: &StoredConnection) -> Result<(), TableError> {
        let key = Key::connection(&connection.id);
        let Some(mut stored) = self.connection(&connection.id).await? else {
            return Ok(());
        };
        if !stored.is_renamed
            || shown_with_records(&stored.state) != shown_with_records(&connection.state)
        {
            return Ok(());
        }
        stored.is_renamed = false;
        self.put_if(&key, encode(&stored), Some(stored.revision))
            .await
            .map(drop)
    }

    async fn move_records(&self, from: &ConnectionId, to: &ConnectionId) -> Result<(), TableError> {
        let from = RecordOwner::Connection(from.clone());
        let to = RecordOwner::Connection(to.clone());
        self.move_all_records(&from, &to).await
    }

    /// Makes sure that records just written or moved under `written` are where its Terra user ids
    /// lead now. Returns the connection that has them; `None` when the person was erased meanwhile, and the
    /// records are gone again.
    ///
    /// Two connections may have become one while we wrote. And a router that was killed between its
    /// writes and this step may have left records under an id that the connection no longer has. Every
    /// such id is that of a member, or of an id that the event itself names.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read, [`TableError::Contended`] when the aliases keep changing.
    pub async fn settle(
        &self,
        written: &StoredConnection,
    ) -> Result<Option<ConnectionId>, TableError> {
        let former = written.former_ids();
        let moves = former.iter().map(|id| self.move_records(id, &written.id));
        try_join_all(moves).await?;

        // One transaction moves the aliases of all members, so one stands for all.
        let Some(user) = written.state.members.keys().next() else {
            return Ok(Some(written.id.clone()));
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
                    self.erase_contents(&written).await?;
                    return Ok(None);
                }
                _ => return Ok(Some(written)),
            }
        }
        let key = Key::connection(&written);
        Err(TableError::Contended {
            operation: "settle",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Deletes what a router that was killed half-way may have left of an erased person.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn erase_leftovers(
        &self,
        user: &TerraUserId,
        connection: &ConnectionId,
    ) -> Result<(), TableError> {
        self.erase_contents(connection).await?;
        self.erase_contents(&ConnectionId::of(user)).await?;
        Ok(())
    }

    /// Deletes what is kept under one connection id but the connection itself. Returns the number of items.
    ///
    /// # Errors
    ///
    /// Those of [`Table::erase_leftovers`].
    pub async fn erase_leftovers_of(&self, id: &ConnectionId) -> Result<usize, TableError> {
        self.erase_contents(id).await
    }

    /// Returns what was deleted under the former ids of a connection and, where `own` says so, under its
    /// own, and destinations have not been told of.
    ///
    /// # Errors
    ///
    /// Those of [`Table::gone`](Self::gone).
    pub async fn gone_of(
        &self,
        connection: &StoredConnection,
        own: bool,
    ) -> Result<Vec<Changed>, TableError> {
        let mut gone = Vec::new();
        let own = own.then(|| connection.id.clone());
        for id in connection.former_ids().into_iter().chain(own) {
            let found = self.gone(&RecordOwner::Connection(id)).await?.into_iter();
            gone.extend(found.map(|changed| changed.inherited_by(&connection.id)));
        }
        Ok(gone)
    }

    /// Deletes what is kept under a connection id (records, asked days, the list of its backfills), and
    /// leaves the connection itself. Returns the number of items.
    async fn erase_contents(&self, id: &ConnectionId) -> Result<usize, TableError> {
        let owner = RecordOwner::Connection(id.clone());
        self.erase_items(&owner, "", |key| key.as_connection().is_none())
            .await
    }

    /// Reads a connection by our id. One whose erasure has begun is none.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn connection(
        &self,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, TableError> {
        let stored = self.stored_connection(id).await?;
        Ok(stored.filter(|stored| stored.erased_at.is_none()))
    }

    /// Reads a connection as it is stored, also one whose erasure has begun.
    ///
    /// # Errors
    ///
    /// Those of [`Table::connection`].
    pub async fn stored_connection(
        &self,
        id: &ConnectionId,
    ) -> Result<Option<StoredConnection>, TableError> {
        let key = Key::connection(id);
        let item = self.get(&key).await?;
        item.map(|item| decode(id.clone(), &key, &item)).transpose()
    }

    /// Reads where a Terra user id leads.
    ///
    /// # Errors
    ///
    /// Those of [`Self::aliases`].
    pub async fn alias(&self, user: &TerraUserId) -> Result<Option<Alias>, TableError> {
        Ok(self.aliases([user]).await?.remove(user))
    }

    /// Reads where Terra user ids led a moment ago, at half the price. Read them again before anything
    /// depends on it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::aliases`].
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

    /// Reads where Terra user ids lead. One that leads nowhere is left out.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an alias
    /// names no connection.
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
            } else if item.contains_key(HELD) {
                Alias::Held(id)
            } else {
                Alias::Connection(id)
            };
            aliases.insert(user.clone(), alias);
        }
        Ok(aliases)
    }

    /// Reads the connections of a person, also those whose erasure has begun and is not over.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when a
    /// connection cannot be read.
    pub async fn connections_of(
        &self,
        reference_id: &ReferenceId,
    ) -> Result<Vec<StoredConnection>, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        let listed = self
            .query(&Key::partition_of(&owner), "CONNECTION#")
            .await?;
        let ids = listed
            .iter()
            .filter_map(|item| Key::of_item(item)?.as_person_connection());
        let ids: Vec<ConnectionId> = ids.collect();
        let items = self.batch_get(ids.iter().map(Key::connection)).await?;
        let mut connections = Vec::new();
        for id in ids {
            let key = Key::connection(&id);
            if let Some(item) = items.get(&key) {
                let stored = decode(id, &key, item)?;
                let is_own = stored.state.reference_id() == Some(reference_id);
                connections.extend(is_own.then_some(stored));
            }
        }
        Ok(connections)
    }

    /// Reads the connections that Terra user ids lead to, as they were a moment ago. An id that leads
    /// nowhere, or to a connection whose erasure has begun, is left out.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn connections_of_users(
        &self,
        users: impl IntoIterator<Item = &TerraUserId>,
    ) -> Result<BTreeMap<TerraUserId, Arc<StoredConnection>>, TableError> {
        let aliases = self.aliases_as(users, Freshness::Lately).await?;
        let leads = aliases.into_iter().filter_map(|(user, alias)| match alias {
            Alias::Connection(id) | Alias::Held(id) => Some((user, id)),
            Alias::Erased(_) => None,
        });
        let leads: Vec<(TerraUserId, ConnectionId)> = leads.collect();
        let ids: BTreeSet<_> = leads.iter().map(|(_, id)| id).collect();
        let keys = ids.iter().map(|id| Key::connection(id));
        let items = self.batch_get_as(keys, Freshness::Lately).await?;
        let mut connections = BTreeMap::new();
        for id in ids {
            let key = Key::connection(id);
            let Some(item) = items.get(&key) else {
                continue;
            };
            let stored = decode(id.clone(), &key, item)?;
            if stored.erased_at.is_none() {
                connections.insert(id.clone(), Arc::new(stored));
            }
        }
        let found = leads
            .into_iter()
            .filter_map(|(user, id)| Some((user, Arc::clone(connections.get(&id)?))));
        Ok(found.collect())
    }

    /// Reads the ids of the connections of one of [`CONNECTION_SHARDS`] shards, in their order, after
    /// `after` if that is given, at most `limit`.
    ///
    /// They come from an index, which lags: a connection of this very moment may be missing, and one
    /// that was just erased or became another may still be named.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
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

    /// Erases a connection with all its records and backfills. Its aliases stay and say that it was
    /// erased. Returns the number of deleted items.
    ///
    /// A connection that belongs to another person by now is left alone. An erasure that was broken off
    /// is finished by the next call, because the connection itself is deleted last.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the connection, [`TableError::Corrupt`] when it cannot be read.
    pub async fn erase_connection(
        &self,
        connection: &StoredConnection,
        erased_at: &str,
    ) -> Result<usize, TableError> {
        let Some(marked) = self.mark_erased(connection, erased_at).await? else {
            return Ok(0);
        };
        let mut ids = marked.former_ids();
        ids.extend(marked.state.folded.ids.iter().map(ConnectionId::of));
        ids.insert(marked.id.clone());
        let mut erased = 0;
        // Backfills go first, because they would fetch more.
        for id in &ids {
            self.erase_backfills(id).await?;
        }
        for id in &ids {
            erased += self.erase_contents(id).await?;
        }
        if let Some(reference_id) = marked.state.reference_id() {
            self.delete(&Key::person(reference_id, &marked.id)).await?;
        }
        self.delete(&Key::connection(&marked.id)).await?;
        Ok(erased + 1)
    }

    /// Writes an alias that says that its person was erased.
    pub(super) async fn mark_alias(
        &self,
        user: &TerraUserId,
        id: &ConnectionId,
        erased_at: &str,
    ) -> Result<(), TableError> {
        self.put(&Key::alias(user), erased_alias(id, erased_at), "erase")
            .await
    }

    /// Marks a connection and its aliases as erased, all at once: from here on nothing new is stored.
    /// Returns `None` when there is nothing of the same person to erase.
    async fn mark_erased(
        &self,
        listed: &StoredConnection,
        erased_at: &str,
    ) -> Result<Option<StoredConnection>, TableError> {
        let mut id = listed.id.clone();
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let Some(mut stored) = self.stored_connection(&id).await? else {
                // It has become part of another one since it was listed.
                let user = listed.state.members.keys().next();
                match self.aliases(user).await?.into_values().next() {
                    Some(Alias::Connection(now) | Alias::Held(now)) => id = now,
                    Some(Alias::Erased(_)) | None => return Ok(None),
                }
                continue;
            };
            if stored.state.reference_id() != listed.state.reference_id() {
                return Ok(None);
            }
            if stored.erased_at.is_some() {
                return Ok(Some(stored));
            }
            // More folded ids than one transaction takes; they are members of nothing.
            for user in &stored.state.folded.ids {
                self.mark_alias(user, &id, erased_at).await?;
            }
            stored.erased_at = Some(erased_at.to_owned());
            let key = Key::connection(&id);
            let mut items =
                vec![self.transact_put(&key, encode(&stored), Some(stored.revision))?];
            for user in stored.state.members.keys() {
                let key = Key::alias(user);
                let mut item = erased_alias(&id, erased_at);
                item.extend(key.attributes());
                let put = Put::builder().table_name(&self.name).set_item(Some(item));
                let put = put
                    .build()
                    .map_err(TableError::unavailable("erase", &key))?;
                items.push(TransactWriteItem::builder().put(put).build());
            }
            if self.transact(items, &key).await? {
                return Ok(Some(stored));
            }
        }
        Err(TableError::Contended {
            operation: "erase",
            key: Key::connection(&id),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Deletes every item of an owner's partition whose sort key begins with `prefix`. Returns their
    /// number.
    pub(crate) async fn erase_partition(
        &self,
        owner: &RecordOwner,
        prefix: &str,
    ) -> Result<usize, TableError> {
        self.erase_items(owner, prefix, |_| true).await
    }

    async fn erase_items(
        &self,
        owner: &RecordOwner,
        prefix: &str,
        is_wanted: impl Fn(&Key) -> bool,
    ) -> Result<usize, TableError> {
        let mut erased = 0;
        let items = self.query(&Key::partition_of(owner), prefix).await?;
        let keys = items.iter().filter_map(Key::of_item);
        for key in keys.filter(is_wanted) {
            self.delete(&key).await?;
            erased += 1;
        }
        Ok(erased)
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.name);
        let deleted = delete.set_key(Some(key.attributes())).send().await;
        deleted
            .map(drop)
            .map_err(TableError::unavailable("delete", key))
    }
}

/// Parts of a connection that destinations keep with each of its records.
fn shown_with_records(
    state: &Connection,
) -> (
    Option<&ReferenceId>,
    Option<&TerraUserId>,
    Option<&Provider>,
) {
    let user = state.current().map(|(user, _)| user);
    (state.reference_id(), user, state.provider())
}

/// An alias that says that its person was erased.
fn erased_alias(id: &ConnectionId, erased_at: &str) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Item::from([
        (CONNECTION_ID.to_owned(), text(id.as_str())),
        (ERASED_AT.to_owned(), text(erased_at)),
    ])
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

impl StoredConnection {
    /// Revision of the connection's own item.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns whether the connection may once have had another id.
    pub fn had_other_ids(&self) -> bool {
        self.users().nth(1).is_some()
    }

    /// The members, and the folded ids that the last change was about.
    pub fn users(&self) -> impl Iterator<Item = &TerraUserId> {
        self.state.members.keys().chain(&self.lately_folded)
    }

    /// Other ids that this connection may once have had, and under which records may lie.
    fn former_ids(&self) -> BTreeSet<ConnectionId> {
        let ids = self.users().map(ConnectionId::of);
        ids.filter(|id| *id != self.id).collect()
    }

    /// The Terra user ids whose alias does not lead here yet, with where it leads now.
    fn missing_aliases<'a>(
        &'a self,
        known: &'a Aliases,
    ) -> impl Iterator<Item = (&'a TerraUserId, Option<&'a Alias>)> {
        self.users().filter_map(move |user| {
            let alias = known.get(user);
            let leads_here =
                matches!(alias, Some(Alias::Connection(id) | Alias::Held(id)) if *id == self.id);
            (!leads_here).then_some((user, alias))
        })
    }
}

/// The members carry the state. The rest is for people and for queries.
fn encode(connection: &StoredConnection) -> Item {
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

fn decode(id: ConnectionId, key: &Key, item: &Item) -> Result<StoredConnection, TableError> {
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

/// Returns whether a transaction lost to another writer: by a condition or a conflict, and by nothing
/// else.
fn lost_a_race(error: &TransactWriteItemsError) -> bool {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons().iter();
            reasons.filter_map(|reason| reason.code()).all(|code| {
                matches!(
                    code,
                    "None" | "ConditionalCheckFailed" | "TransactionConflict"
                )
            })
        }
        TransactWriteItemsError::TransactionInProgressException(_) => true,
        _ => false,
    }
}
