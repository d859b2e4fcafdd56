//! Reads connections, and where Terra user ids lead.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::connection::ConnectionId;
use models::ids::{ReferenceId, TerraUserId};

use super::{
    Alias, Aliases, CONNECTION_ID, ERASED_AT, HELD, SeenAliases, StoredConnection, item::decode,
};
use crate::table::{
    Freshness, Table, TableError,
    key::{BY_TIME, Key},
};

impl Table {
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

    /// Reads connections as they are stored, in the order that is given. One that is not there is left out.
    pub(super) async fn stored_connections(
        &self,
        ids: Vec<ConnectionId>,
        fresh: Freshness,
    ) -> Result<Vec<StoredConnection>, TableError> {
        let items = self
            .batch_get_as(ids.iter().map(Key::connection), fresh)
            .await?;
        let stored = ids.into_iter().filter_map(|id| {
            let key = Key::connection(&id);
            Some(decode(id, &key, items.get(&key)?))
        });
        stored.collect()
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
        let (pk, prefix) = Key::person_connections(reference_id);
        let listed = self.query(&pk, prefix).await?;
        let ids = listed
            .iter()
            .filter_map(|item| Key::of_item(item)?.as_person_connection());
        let mut connections = self
            .stored_connections(ids.collect(), Freshness::Now)
            .await?;
        connections.retain(|it| it.state.reference_id() == Some(reference_id));
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
        let ids: BTreeSet<_> = leads.iter().map(|(_, id)| id.clone()).collect();
        let stored = self
            .stored_connections(ids.into_iter().collect(), Freshness::Lately)
            .await?;
        let living = stored.into_iter().filter(|it| it.erased_at.is_none());
        let connections: BTreeMap<_, _> = living.map(|it| (it.id.clone(), Arc::new(it))).collect();
        let found = leads
            .into_iter()
            .filter_map(|(user, id)| Some((user, Arc::clone(connections.get(&id)?))));
        Ok(found.collect())
    }

    /// Reads the ids of the connections of one of [`CONNECTION_SHARDS`](super::CONNECTION_SHARDS) shards, in
    /// their order, after `after` if that is given, at most `limit`.
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

    /// Reads where a Terra user id leads.
    ///
    /// # Errors
    ///
    /// Those of [`Self::aliases`].
    pub async fn alias(&self, user: &TerraUserId) -> Result<Option<Alias>, TableError> {
        Ok(self.aliases([user]).await?.remove(user))
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
}
