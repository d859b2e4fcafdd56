//! The table: what Terrarium remembers, in DynamoDB.
//!
//! # Limitations
//!
//! - A connection keeps everything of at most [`connections::MAX_MEMBERS`] Terra user ids, because one
//!   transaction moves them all. Of the oldest ended ones beyond that it keeps the ids, some 1,800 of
//!   them.
//! - A person's reference id in a key may be personal data; erasing a person removes it.
//! - Nothing here deletes by itself but the ledger, by TTL. Parked webhooks have none.
//!
//! # Schema
//!
//! One table, on demand. Keys and the indexes are in [`key`]; every state that changes carries a
//! `revision`, a number that grows with each write: a hybrid logical clock, the greater of the last
//! revision plus one and of the machine's time in units of 2⁻¹⁰ ms. So an item that was deleted and
//! written anew has no revision that somebody may still hold, and destinations, which keep the
//! revision with each record, never take the new item for an older state.
//!
//! # Steps of a change
//!
//! 1. Read the stored state, strongly consistent.
//! 2. Join it with what arrived: [`domain::Join`], the only rule there is.
//! 3. If nothing changed, done. Else write the joined state on the condition that `revision` is
//!    still the one read (`attribute_not_exists` for a new item).
//! 4. If the condition failed, somebody else wrote: go back to 1.
//!
//! A connection, its aliases and its place under a person change together where they must: step 3 is one
//! transaction with the same conditions then. When `user_reauth` makes two connections one, that
//! transaction points all aliases to the connection that stays, deletes the other and notes on the one
//! that stays that it is *absorbing* the other's records, which are then moved one by one, each by the
//! steps above. A writer or mover of records asks for the alias once more afterwards: if it leads
//! elsewhere by now, those records are moved too.
//!
//! A record that may be known under several natural keys, because its id came later or its times moved,
//! is kept under one of them: see [`domain::session`]. Every delivery of such a record first leaves a
//! *sighting* of its session, an item that never changes, and reads those of its surroundings again after it
//! wrote. Of two routers at least one therefore sees both deliveries, and brings the parts of the record
//! together: in one transaction, on the condition that every item concerned is still as it was read.
//!
//! # Guarantee
//!
//! The state of every item is the join of everything that was applied, in whatever order, however
//! often, and with any number of writers; a writer that dies leaves a state from which applying the
//! same again finishes the work.
//!
//! # Source
//!
//! Optimistic locking as AWS describes it for DynamoDB: a version attribute and a condition
//! expression; the join is a state-based CRDT.

pub mod access;
mod attribute;
pub mod connections;
pub mod console;
pub mod deliveries;
pub mod destinations;
pub mod erasures;
mod error;
pub mod history;
pub mod jobs;
pub mod key;
pub mod ledger;
pub mod log;
pub mod mentions;
pub mod parked;
pub mod people;
pub mod policies;
pub mod range;
pub mod records;
mod requests;
mod schema;
mod sessions;
mod shards;
mod transact;

use std::{collections::HashMap, fmt, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, query::builders::QueryFluentBuilder,
    },
    types::{AttributeValue, KeysAndAttributes},
};
use models::data::DataType;

pub use self::error::TableError;
use self::{
    attribute::Item,
    key::{BY_TIME, Key, RecordOwner},
};

/// The attribute that says which write made an item.
const REVISION: &str = "revision";
/// Number of times that a change is tried, because others may change the item meanwhile.
const MAX_ATTEMPTS: u32 = 20;
/// AWS: a `BatchGetItem` takes at most 100 keys.
const MAX_BATCH_GET: usize = 100;

/// A DynamoDB table. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A state as stored, with the revision it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The state.
    pub state: T,
    /// Its revision.
    pub revision: u64,
}

/// Age that a read may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// With everything that was written before it.
    Now,
    /// Perhaps without what was written within the last second; at half the price.
    Lately,
}

impl Table {
    /// A table that exists already.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Opens the connection that the first webhook will use: TCP and TLS, at a time when nobody
    /// waits. That it could not is not an error: the first webhook tries again.
    pub async fn open_connection(&self) {
        drop(self.get(&Key::request("none")).await);
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, TableError> {
        self.get_as(key, Freshness::Now).await
    }

    async fn get_as(&self, key: &Key, fresh: Freshness) -> Result<Option<Item>, TableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(fresh == Freshness::Now)
            .send()
            .await
            .map_err(TableError::unavailable("read", key))?;
        Ok(found.item)
    }

    async fn delete(&self, key: &Key) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.name);
        let deleted = delete.set_key(Some(key.attributes())).send().await;
        deleted
            .map(drop)
            .map_err(TableError::unavailable("delete", key))
    }

    async fn batch_get(
        &self,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<HashMap<Key, Item>, TableError> {
        self.batch_get_as(keys, Freshness::Now).await
    }

    async fn batch_get_as(
        &self,
        keys: impl IntoIterator<Item = Key>,
        fresh: Freshness,
    ) -> Result<HashMap<Key, Item>, TableError> {
        let mut wanted: Vec<Key> = keys.into_iter().collect();
        wanted.sort();
        wanted.dedup();
        let mut found = HashMap::with_capacity(wanted.len());
        if let [key] = wanted.as_slice() {
            found.extend(
                self.get_as(key, fresh)
                    .await?
                    .map(|item| (key.clone(), item)),
            );
            return Ok(found);
        }
        for chunk in wanted.chunks(MAX_BATCH_GET) {
            let mut attempt = 0;
            let mut asked = chunk.iter().map(Key::attributes).collect::<Vec<_>>();
            while !asked.is_empty() {
                if attempt >= UNPROCESSED_ATTEMPTS {
                    let left = Unprocessed(asked.len());
                    return Err(TableError::unavailable("read", "a batch")(left));
                }
                back_off(attempt).await;
                attempt += 1;
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(asked))
                    .consistent_read(fresh == Freshness::Now)
                    .build()
                    .map_err(TableError::unavailable("read", "a batch"))?;
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.name, request)
                    .send()
                    .await
                    .map_err(TableError::unavailable("read", "a batch"))?;
                let items = answer
                    .responses
                    .and_then(|mut by_table| by_table.remove(&self.name));
                for item in items.unwrap_or_default() {
                    if let Some(key) = Key::of_item(&item) {
                        found.insert(key, item);
                    }
                }
                asked = answer
                    .unprocessed_keys
                    .and_then(|mut by_table| by_table.remove(&self.name))
                    .map(|rest| rest.keys)
                    .unwrap_or_default();
            }
        }
        Ok(found)
    }

    /// Writes an item under its key, whatever is there.
    async fn put(
        &self,
        key: &Key,
        mut item: Item,
        operation: &'static str,
    ) -> Result<(), TableError> {
        item.extend(key.attributes());
        let put = self.client.put_item().table_name(&self.name);
        let put = put.set_item(Some(item)).send().await;
        put.map(drop)
            .map_err(TableError::unavailable(operation, key))
    }

    /// Writes an item if its revision is still `seen`. `false`: it is not.
    async fn put_if(&self, key: &Key, item: Item, seen: Option<u64>) -> Result<bool, TableError> {
        Ok(self.write_if(key, item, seen).await?.is_some())
    }

    /// Writes an item if its revision is still `seen`, and returns the revision that it has now. `None`: it
    /// was not.
    async fn write_if(
        &self,
        key: &Key,
        mut item: Item,
        seen: Option<u64>,
    ) -> Result<Option<u64>, TableError> {
        let condition = Condition::on(seen);
        let next = stamp(key, &mut item, seen);
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .send()
            .await;
        match put {
            Ok(_) => Ok(Some(next)),
            Err(error) if is_condition_failure(&error) => Ok(None),
            Err(error) => Err(TableError::unavailable("write", key)(error)),
        }
    }

    /// All items of a partition of the table whose sort key begins with `prefix`, page by page.
    async fn query(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, TableError> {
        let operation = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let operation = if prefix.is_empty() {
            operation.key_condition_expression("pk = :pk")
        } else {
            operation
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
        };
        let mut pages = operation.into_paginator().items().send();
        let mut items = Vec::new();
        let place = pk.split('#').next().unwrap_or_default();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(TableError::unavailable("query", place))?);
        }
        Ok(items)
    }

    /// The items of a partition whose sort key lies between these two, as they are now.
    fn query_between(&self, pk: &str, first: &str, last: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":first", AttributeValue::S(first.to_owned()))
            .expression_attribute_values(":last", AttributeValue::S(last.to_owned()))
    }

    /// The index entries of an owner's records of one type whose start time, as text, lies between these
    /// two, both included.
    fn query_by_time(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        first: &str,
        last: &str,
    ) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :pk AND time_sk BETWEEN :first AND :last")
            .expression_attribute_values(
                ":pk",
                AttributeValue::S(Key::time_partition_of(owner, data_type)),
            )
            .expression_attribute_values(":first", AttributeValue::S(first.to_owned()))
            .expression_attribute_values(":last", AttributeValue::S(last.to_owned()))
    }

    /// Deletes an item if its revision is still `seen`. `false`: it is not.
    async fn delete_if(&self, key: &Key, seen: u64) -> Result<bool, TableError> {
        self.delete_on(key, Condition::on(Some(seen))).await
    }

    /// Deletes an item on a condition. Returns whether it held.
    async fn delete_on(&self, key: &Key, condition: Condition) -> Result<bool, TableError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(TableError::unavailable("delete", key)(error)),
        }
    }
}

/// The first items that a query finds, at most `limit`. `place` names what is queried.
async fn first_items(
    query: QueryFluentBuilder,
    limit: usize,
    place: &'static str,
) -> Result<Vec<Item>, TableError> {
    let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1));
    let mut items = query.into_paginator().items().send();
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(item) = items.next().await else {
            break;
        };
        found.push(item.map_err(TableError::unavailable("query", place))?);
    }
    Ok(found)
}

/// "Nobody wrote since I read", in DynamoDB's words.
struct Condition {
    expression: &'static str,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Condition {
    fn on(seen: Option<u64>) -> Self {
        match seen {
            None => Self {
                expression: "attribute_not_exists(pk)",
                values: None,
            },
            Some(revision) => Self {
                expression: "revision = :seen",
                values: Some(HashMap::from([(
                    ":seen".to_owned(),
                    AttributeValue::N(revision.to_string()),
                )])),
            },
        }
    }
}

/// An item with its key and its next revision.
fn stamped(key: &Key, mut item: Item, seen: Option<u64>) -> Item {
    stamp(key, &mut item, seen);
    item
}

/// Gives an item its key and its next revision, which is returned.
fn stamp(key: &Key, item: &mut Item, seen: Option<u64>) -> u64 {
    item.extend(key.attributes());
    let next = next_revision(seen);
    item.insert(REVISION.to_owned(), AttributeValue::N(next.to_string()));
    next
}

/// The revision of the next write over one that was read, or of a first write.
fn next_revision(seen: Option<u64>) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the clock part of revisions")]
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let clock = u64::try_from(now_ms).unwrap_or_default() << CLOCK_BITS;
    // Two items made anew within one millisecond differ too.
    let first = clock | u64::from(rand::random::<u16>() >> (16 - CLOCK_BITS));
    seen.map_or(first, |seen| clock.max(seen.saturating_add(1)))
}

/// Bits of a revision below the milliseconds: so many writes of one item within a millisecond keep the
/// clock.
const CLOCK_BITS: u32 = 10;

fn revision(key: &Key, item: &Item) -> Result<u64, TableError> {
    item.get(REVISION)
        .and_then(|attribute| attribute.as_n().ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| TableError::Corrupt {
            key: key.clone(),
            field: REVISION,
        })
}

fn is_condition_failure(error: &SdkError<PutItemError>) -> bool {
    error
        .as_service_error()
        .is_some_and(PutItemError::is_conditional_check_failed_exception)
}

/// Number of times that keys are asked for which DynamoDB leaves out of its answers: a partition that is
/// throttled for so long is left to the queue.
const UNPROCESSED_ATTEMPTS: u32 = 8;

/// DynamoDB left keys out of every answer.
#[derive(Debug, thiserror::Error)]
#[error("{0} keys were never processed")]
struct Unprocessed(usize);

/// Waits before a repetition: nothing the first time, then a random while of up to 640 ms, so that
/// those who met once do not meet again.
async fn back_off(attempt: u32) {
    if attempt > 0 {
        let longest = 10_u64 << attempt.min(6);
        tokio::time::sleep(Duration::from_millis(rand::random_range(1..=longest))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_written_anew_has_no_revision_of_the_one_that_was_deleted() {
        let key = Key::request("r");
        let of = |seen| revision(&key, &stamped(&key, Item::new(), seen)).unwrap();
        let first = of(None);
        assert!(of(Some(first)) > first);
        let ahead = u64::MAX >> 8;
        assert_eq!(of(Some(ahead)), ahead + 1);
        // Exact as a number of JavaScript for two centuries.
        assert!(first > 1 << 50 && first < 1 << 53);
    }
}
