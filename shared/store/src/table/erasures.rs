//! Erasures in the table: tombstones, receipts and their chain, and all that the table keeps of one webhook.
//!
//! A tombstone stands where ids of an erased person must be recognised: the alias of a Terra user id, and an item under
//! the keyed hash of a reference id. Receipts name nobody. Each holds the hash of the one before it, so that none can be
//! changed or taken out unnoticed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::ConnectionId, delivery::Status, key::NaturalKey, owner::RecordOwner,
    plan::request_name,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId, WebhookId, hex},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    MAX_ATTEMPTS, Table, TableError,
    attribute::Item,
    back_off,
    connections::{Alias, CONNECTION_ID, HELD, StoredConnection},
    destinations::{ErasureOrder, ErasureResult, decode, encode},
    key::Key,
    ledger::entry_of,
    records::CONCURRENT_WRITES,
};

/// Note that the person behind a reference id is being erased, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Id of the erasure.
    pub erasure: String,
    /// End of the time in which the erasure can be taken back. Unit: Unix milliseconds.
    #[serde(default)]
    pub held_until_ms: Option<i64>,
    /// End of the erasure. Unit: Unix milliseconds.
    #[serde(default)]
    pub done_at_ms: Option<i64>,
}

/// Answer of a tombstone to what comes under its reference id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The person is back: it is stored.
    Store,
    /// The erasure may still be taken back: it is put aside.
    Park,
    /// It is of the time before: nothing is kept.
    Erase,
}

impl Tombstone {
    /// Decides about what Terra made at `ordering_ts_ms`. `has_user` says that it comes from a Terra user whom nobody
    /// knows: who connects anew after the erasure is a person like any other. Without a user it can only be what was
    /// late.
    pub fn verdict(&self, ordering_ts_ms: i64, has_user: bool) -> Verdict {
        match (self.held_until_ms, self.done_at_ms) {
            (Some(_), _) => Verdict::Park,
            (None, Some(done_at_ms)) if has_user && ordering_ts_ms > done_at_ms => Verdict::Store,
            (None, _) => Verdict::Erase,
        }
    }
}

/// Proof of one erasure. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Id of the erasure.
    pub id: String,
    /// Keyed hash of the reference id; absent when one connection was erased.
    pub person: Option<String>,
    /// Name of whoever ordered it.
    pub ordered_by: String,
    /// RFC 3339.
    pub ordered_at: String,
    /// RFC 3339.
    pub done_at: String,
    /// The erasure that this one repeated after a restore.
    pub repeats: Option<String>,
    /// Number of things erased in each place.
    pub counts: BTreeMap<String, u64>,
    /// Answers of destinations.
    pub destinations: Vec<DestinationReceipt>,
    /// Data that stay for a while.
    pub stays: Vec<Stays>,
    /// Place in the chain, from 1 on.
    pub number: u64,
    /// Hash of the receipt before it; empty for the first.
    pub previous: String,
    /// SHA-256 of this receipt as JSON with an empty hash.
    pub hash: String,
}

/// Answer of one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationReceipt {
    /// Id of the destination.
    pub id: String,
    /// Results by shard.
    pub results: BTreeMap<u32, ErasureResult>,
}

/// Something that stays for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stays {
    /// Data that stay.
    pub what: String,
    /// Reason for keeping them.
    pub why: String,
    /// Day on which they are gone; absent for ever.
    pub until: Option<String>,
}

impl Receipt {
    fn hashed(mut self) -> Self {
        self.hash = String::new();
        let json = serde_json::to_vec(&self).unwrap_or_default();
        self.hash = hex(&Sha256::digest(json));
        self
    }

    /// Returns whether the receipt is as it was written.
    pub fn is_sound(&self) -> bool {
        self.clone().hashed().hash == self.hash
    }
}

/// Finds the first place where a chain of receipts, in their order, is broken: the number of the receipt.
pub fn first_break(receipts: &[Receipt]) -> Option<u64> {
    let mut previous = "";
    for (number, receipt) in (1..).zip(receipts) {
        if !receipt.is_sound() || receipt.number != number || receipt.previous != previous {
            return Some(number);
        }
        previous = &receipt.hash;
    }
    None
}

/// The end of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ChainEnd {
    number: u64,
    hash: String,
}

/// Items of one webhook that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Lines of the ledger.
    pub ledger: u64,
    /// Items of parked webhooks.
    pub parked: u64,
    /// Items of requests.
    pub requests: u64,
}

impl Table {
    /// Reads the tombstones under these keyed hashes.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item cannot be read.
    pub async fn tombstones<'a>(
        &self,
        tags: impl IntoIterator<Item = &'a String>,
    ) -> Result<HashMap<String, Tombstone>, TableError> {
        let tags: Vec<_> = tags.into_iter().collect();
        let mut items = self
            .batch_get(tags.iter().map(|tag| Key::tombstone(tag)))
            .await?;
        let mut found = HashMap::new();
        for tag in tags {
            let key = Key::tombstone(tag);
            if let Some(item) = items.remove(&key) {
                found.insert(tag.clone(), decode(&key, item)?);
            }
        }
        Ok(found)
    }

    /// Puts a tombstone, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn put_tombstone(&self, tag: &str, tombstone: &Tombstone) -> Result<(), TableError> {
        self.put(&Key::tombstone(tag), encode(tombstone), "write")
            .await
    }

    /// Removes a tombstone: the erasure was taken back.
    ///
    /// # Errors
    ///
    /// Those of [`Table::put_tombstone`].
    pub async fn remove_tombstone(&self, tag: &str) -> Result<(), TableError> {
        self.delete(&Key::tombstone(tag)).await
    }

    /// Makes sure that Terra user ids lead to a tombstone, also where nothing else knows them. Ids that lead to a
    /// connection are left alone: erasing that connection marks them.
    ///
    /// # Errors
    ///
    /// Those of [`Table::aliases`].
    pub async fn entomb(
        &self,
        users: &BTreeSet<TerraUserId>,
        erased_at: &str,
    ) -> Result<(), TableError> {
        let aliases = self.aliases(users).await?;
        for user in users.iter().filter(|user| !aliases.contains_key(*user)) {
            self.mark_alias(user, &ConnectionId::of(user), erased_at)
                .await?;
        }
        Ok(())
    }

    /// Removes the notes of deleted records of an owner.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn erase_notes(&self, owner: &RecordOwner) -> Result<u64, TableError> {
        let items = self.query(&Key::gone_pk(owner), "").await?;
        let mut erased = 0;
        for key in items.iter().filter_map(Key::of_item) {
            self.delete(&key).await?;
            erased += 1;
        }
        Ok(erased)
    }

    /// Notes the names of all records of an owner that an erasure is about to remove, for destinations that have to be
    /// told of each. The notes stay until [`Table::forget_erased_records`].
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn note_erased_records(
        &self,
        erasure: &str,
        owner: &RecordOwner,
    ) -> Result<(), TableError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(Key::partition_of(owner)))
            .projection_expression("pk, sk")
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(TableError::unavailable("query", "records"))?;
            let keys = page.items().iter().filter_map(Key::of_item);
            let records = keys.filter(|key| key.as_record().is_some());
            let puts = records.map(|key| async move {
                let note = Key::erased(erasure, owner, &key);
                self.put(&note, Item::new(), "note").await
            });
            let puts = stream::iter(puts).buffer_unordered(CONCURRENT_WRITES);
            puts.try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Names of the records of an owner that an erasure removes, as far as they were noted.
    ///
    /// # Errors
    ///
    /// Those of [`Table::note_erased_records`].
    pub async fn erased_records(
        &self,
        erasure: &str,
        owner: &RecordOwner,
    ) -> Result<Vec<(DataType, NaturalKey)>, TableError> {
        let items = self.query(&Key::erased_pk(erasure, owner), "").await?;
        let keys = items.iter().filter_map(Key::of_item);
        Ok(keys.filter_map(|key| key.as_record()).collect())
    }

    /// Removes the names that were noted of an owner's records.
    ///
    /// # Errors
    ///
    /// Those of [`Table::note_erased_records`].
    pub async fn forget_erased_records(
        &self,
        erasure: &str,
        owner: &RecordOwner,
    ) -> Result<(), TableError> {
        let items = self.query(&Key::erased_pk(erasure, owner), "").await?;
        let keys = items.iter().filter_map(Key::of_item);
        let deletes = keys.map(|key| async move { self.delete(&key).await });
        let deletes = stream::iter(deletes).buffer_unordered(CONCURRENT_WRITES);
        deletes.try_collect::<()>().await
    }

    /// Removes all that the table keeps of one webhook: its line in the ledger, its place among the parked ones, and the
    /// request that it answers. `reference` is that of the archived header.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn forget_webhook(
        &self,
        id: &WebhookId,
        reference: Option<&str>,
    ) -> Result<Forgotten, TableError> {
        let (line, parked, dismissed) = (Key::webhook(id), Key::parked(id), Key::dismissed(id));
        let found = self
            .batch_get([line.clone(), parked.clone(), dismissed.clone()])
            .await?;
        let mut forgotten = Forgotten::default();
        let mut references: BTreeSet<String> = reference.map(request_name).into_iter().collect();
        if let Some(item) = found.get(&line) {
            let entry = entry_of(&line, item.clone()).ok();
            let reference = entry.and_then(|entry| entry.reference);
            references.extend(reference.as_deref().map(request_name));
        }
        let keys = references.iter();
        let requests = keys.flat_map(|name| [Key::request(name), Key::window_of_request(name)]);
        for key in self.batch_get(requests).await?.into_keys() {
            self.delete(&key).await?;
            forgotten.requests += 1;
        }
        for key in [parked, dismissed] {
            if found.contains_key(&key) {
                self.delete(&key).await?;
                forgotten.parked += 1;
            }
        }
        // Last: it leads to the requests.
        if found.contains_key(&line) {
            self.delete(&line).await?;
            forgotten.ledger += 1;
        }
        Ok(forgotten)
    }

    /// Orders the erasure of a person at every destination that has not been told of all these connections. Returns the
    /// orders as they stand.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer; some of the orders may have been given then, and all may be given
    /// again.
    pub async fn order_erasure(
        &self,
        id: &str,
        reference_id: Option<&ReferenceId>,
        users: &BTreeSet<TerraUserId>,
        connections: &BTreeSet<ConnectionId>,
        now_ms: i64,
    ) -> Result<BTreeMap<String, ErasureOrder>, TableError> {
        // Every id that a connection ever had is that of one of its Terra users.
        let connections = connections.iter().cloned();
        let connections: BTreeSet<_> = connections
            .chain(users.iter().map(ConnectionId::of))
            .collect();
        let is_told =
            |order: &ErasureOrder| connections.iter().all(|id| order.connections.contains(id));
        let mut orders = BTreeMap::new();
        // One that never passed a probe has got nothing, and gets no id of anybody.
        let destinations = self.destinations().await?.into_iter();
        for destination in destinations.filter(|it| it.status != Status::Unproven) {
            let known = self.erasure(&destination.id, id).await?;
            let order = if let Some(order) = known.filter(is_told) {
                order
            } else {
                // One with fewer ids begins anew.
                let order = ErasureOrder {
                    id: id.to_owned(),
                    reference_id: reference_id.cloned(),
                    connections: connections.iter().cloned().collect(),
                    terra_user_ids: users.iter().cloned().collect(),
                    asked_at_ms: now_ms,
                    results: BTreeMap::new(),
                    is_done: false,
                };
                self.put_erasure(&destination.id, &order).await?;
                order
            };
            orders.insert(destination.id.to_string(), order);
        }
        Ok(orders)
    }

    /// Appends a receipt to the chain. Returns it as it stands there; one that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others keep appending.
    pub async fn append_receipt(&self, receipt: &Receipt) -> Result<Receipt, TableError> {
        let (key, end_key) = (Key::receipt(&receipt.id), Key::receipts_end());
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            if let Some(known) = self.receipt(&receipt.id).await? {
                return Ok(known);
            }
            let end = self.state_of::<ChainEnd>(&end_key).await?;
            let (end, seen) = match end {
                Some(stored) => (stored.state, Some(stored.revision)),
                None => (ChainEnd::default(), None),
            };
            let next = Receipt {
                number: end.number.saturating_add(1),
                previous: end.hash,
                ..receipt.clone()
            }
            .hashed();
            let end = ChainEnd {
                number: next.number,
                hash: next.hash.clone(),
            };
            let items = vec![
                self.transact_put(&key, encode(&next), None)?,
                self.transact_put(&end_key, encode(&end), seen)?,
            ];
            if self.transact(items, &key).await? {
                return Ok(next);
            }
        }
        Err(TableError::Contended {
            operation: "append",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Reads the receipt of an erasure.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when it cannot be read.
    pub async fn receipt(&self, id: &str) -> Result<Option<Receipt>, TableError> {
        let stored = self.state_of(&Key::receipt(id)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Reads all receipts in the order of the chain.
    ///
    /// # Errors
    ///
    /// Those of [`Table::receipt`].
    pub async fn receipts(&self) -> Result<Vec<Receipt>, TableError> {
        let (partition, prefix) = Key::receipts();
        let mut receipts: Vec<Receipt> = Vec::new();
        for item in self.query(&partition, prefix).await? {
            if let Some(key) = Key::of_item(&item) {
                receipts.push(decode(&key, item)?);
            }
        }
        receipts.sort_by_key(|receipt| receipt.number);
        Ok(receipts)
    }

    /// Holds the aliases of a connection while its erasure can still be taken back, or lets go of them. What comes for a
    /// held one is put aside.
    ///
    /// # Errors
    ///
    /// Those of [`Table::aliases`].
    pub async fn hold_aliases(
        &self,
        connection: &StoredConnection,
        held: bool,
    ) -> Result<(), TableError> {
        let users: BTreeSet<_> = connection.state.members.keys().cloned().collect();
        for (user, alias) in self.aliases(&users).await? {
            let (Alias::Connection(id) | Alias::Held(id)) = &alias else {
                continue;
            };
            if matches!(alias, Alias::Held(_)) != held {
                let key = Key::alias(&user);
                let mut item =
                    Item::from([(CONNECTION_ID.to_owned(), AttributeValue::S(id.to_string()))]);
                if held {
                    item.insert(HELD.to_owned(), AttributeValue::Bool(true));
                }
                self.put(&key, item, "write").await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(id: &str) -> Receipt {
        Receipt {
            id: id.to_owned(),
            person: None,
            ordered_by: "a test".to_owned(),
            ordered_at: String::new(),
            done_at: String::new(),
            repeats: None,
            counts: BTreeMap::from([("records".to_owned(), 3)]),
            destinations: Vec::new(),
            stays: Vec::new(),
            number: 0,
            previous: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn a_chain_tells_which_receipt_was_touched() {
        let mut chain = Vec::<Receipt>::new();
        for (number, id) in (1..).zip(["a", "b", "c"]) {
            let previous = chain.last().map(|last| last.hash.clone());
            let next = Receipt {
                number,
                previous: previous.unwrap_or_default(),
                ..receipt(id)
            };
            chain.push(next.hashed());
        }
        assert_eq!(first_break(&chain), None);
        let mut changed = chain.clone();
        changed[1].counts.insert("records".to_owned(), 4);
        assert_eq!(first_break(&changed), Some(2));
        changed[1] = changed[1].clone().hashed();
        assert_eq!(first_break(&changed), Some(3));
        chain.remove(1);
        assert_eq!(first_break(&chain), Some(2));
    }

    #[test]
    fn a_tombstone_lets_nobody_back_but_who_connects_anew() {
        let mut tombstone = Tombstone {
            erasure: "e".to_owned(),
            held_until_ms: Some(5),
            done_at_ms: None,
        };
        assert_eq!(tombstone.verdict(9, true), Verdict::Park);
        tombstone.held_until_ms = None;
        assert_eq!(tombstone.verdict(9, true), Verdict::Erase);
        tombstone.done_at_ms = Some(10);
        assert_eq!(tombstone.verdict(10, true), Verdict::Erase);
        assert_eq!(tombstone.verdict(11, true), Verdict::Store);
        // A lab report comes again for weeks.
        assert_eq!(tombstone.verdict(11, false), Verdict::Erase);
    }
}
