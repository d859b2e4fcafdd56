//! Erases connections, and what was left under their ids.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use domain::connection::ConnectionId;
use models::ids::TerraUserId;

use super::{Alias, CONNECTION_ID, ERASED_AT, StoredConnection, item::encode};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError,
    attribute::Item,
    back_off,
    key::{Key, RecordOwner},
};

impl Table {
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
            self.delete(&Key::person_connection(reference_id, &marked.id))
                .await?;
        }
        self.delete(&Key::connection(&marked.id)).await?;
        Ok(erased + 1)
    }

    /// Writes an alias that says that its person was erased.
    pub(in crate::table) async fn mark_alias(
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

    /// Deletes what is kept under a connection id (records, asked days, the list of its backfills), and
    /// leaves the connection itself. Returns the number of items.
    pub(super) async fn erase_contents(&self, id: &ConnectionId) -> Result<usize, TableError> {
        let owner = RecordOwner::Connection(id.clone());
        self.erase_items(&owner, "", |key| key.as_connection().is_none())
            .await
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
}

/// An alias that says that its person was erased.
fn erased_alias(id: &ConnectionId, erased_at: &str) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Item::from([
        (CONNECTION_ID.to_owned(), text(id.as_str())),
        (ERASED_AT.to_owned(), text(erased_at)),
    ])
}
