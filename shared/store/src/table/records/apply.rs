//! Joining of records with what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{Join as _, key::NaturalKey, record::Record};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use models::data::DataType;

use super::{
    AppliedRecords, CONCURRENT_WRITES, Change, IncomingRecord, Mode, SeenRecords, decode, encode,
};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError,
    attribute::Item,
    back_off,
    key::{Key, RecordOwner},
    ledger::RecordCounts,
};

impl Table {
    /// Joins records with what is stored.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. Some of the records may
    /// have been written then, and all may be sent again.
    pub async fn apply_records(
        &self,
        incoming: Vec<IncomingRecord>,
        mode: Mode,
    ) -> Result<RecordCounts, TableError> {
        let unseen = SeenRecords::default();
        let applied = self.apply_records_seen(incoming, unseen, mode).await?;
        Ok(applied.counts)
    }

    /// Does the same for a caller that has just read some of the stored records: they are not read again,
    /// unless they have changed meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`Table::apply_records`].
    pub async fn apply_records_seen(
        &self,
        incoming: Vec<IncomingRecord>,
        SeenRecords(mut stored): SeenRecords,
        mode: Mode,
    ) -> Result<AppliedRecords, TableError> {
        let mut by_key = BTreeMap::<Key, IncomingRecord>::new();
        for record in incoming {
            let key = Key::record(&record.owner, record.data_type, &record.key);
            match by_key.remove(&key) {
                Some(mut same) => {
                    same.record = same.record.join(record.record);
                    same.sessions.extend(record.sessions);
                    by_key.insert(key, same);
                }
                None => drop(by_key.insert(key, record)),
            }
        }
        let unseen = by_key.keys().filter(|key| !stored.contains_key(key));
        let unseen = self.read_items(unseen.cloned()).await?;
        stored.extend(unseen);
        let mut work = Vec::new();
        let mut of_sessions = BTreeMap::<_, Vec<_>>::new();
        for (key, incoming) in by_key {
            let item = stored.remove(&key).flatten();
            if incoming.sessions.is_empty() {
                work.push((key, incoming, item));
            } else {
                let place = (incoming.owner.clone(), incoming.data_type);
                of_sessions.entry(place).or_default().push((incoming, item));
            }
        }
        let counts = stream::iter(work)
            .map(|(key, incoming, item)| async move {
                self.apply_record(&key, &incoming, item, mode).await
            })
            .buffer_unordered(CONCURRENT_WRITES)
            .try_fold(
                AppliedRecords::default(),
                |mut applied, (change, held)| async move {
                    applied.counts = applied.counts.add(change);
                    applied.held.extend(held);
                    Ok(applied)
                },
            );
        let mut applied = counts.await?;
        for ((owner, data_type), incoming) in of_sessions {
            let changes = self.apply_sessions(&owner, data_type, incoming, mode);
            for (key, change) in changes.await? {
                applied.counts = applied.counts.add(change);
                applied.held.push((data_type, key));
            }
        }
        Ok(applied)
    }

    /// Reads what is stored under these keys, for [`Table::apply_records_seen`].
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn read_records<'a>(
        &self,
        owner: &RecordOwner,
        keys: impl IntoIterator<Item = (DataType, &'a NaturalKey)>,
    ) -> Result<SeenRecords, TableError> {
        let keys = keys
            .into_iter()
            .map(|(data_type, key)| Key::record(owner, data_type, key));
        self.read_items(keys).await.map(SeenRecords)
    }

    async fn read_items(
        &self,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<HashMap<Key, Option<Item>>, TableError> {
        let keys: BTreeSet<Key> = keys.into_iter().collect();
        let mut found = self.batch_get(keys.iter().cloned()).await?;
        let seen = keys.into_iter().map(|key| {
            let item = found.remove(&key);
            (key, item)
        });
        Ok(seen.collect())
    }

    /// Joins one record with its item, of which `item` was read before.
    pub(in crate::table) async fn apply_record(
        &self,
        key: &Key,
        incoming: &IncomingRecord,
        mut item: Option<Item>,
        mode: Mode,
    ) -> Result<(Change, Option<(DataType, NaturalKey)>), TableError> {
        let webhook_id = &incoming.record.newest.version.webhook_id;
        let held = |state: &Record| {
            let has_part = state.has_part_of(webhook_id);
            has_part.then(|| (incoming.data_type, incoming.key.clone()))
        };
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                back_off(attempt - 1).await;
                item = self.get(key).await?;
            }
            let stored = item
                .take()
                .map(|item| decode(key, incoming.data_type, item))
                .transpose()?;
            let seen = stored.as_ref().map(|stored| stored.revision);
            let mut parts = stored.map(|stored| stored.state).unwrap_or_default();
            let joined = match parts.remove(&incoming.key) {
                Some(known) => {
                    let joined = known.clone().join(incoming.record.clone());
                    if joined == known {
                        return Ok((Change::Unchanged, held(&known)));
                    }
                    joined
                }
                None => incoming.record.clone(),
            };
            let held = held(&joined);
            parts.insert(incoming.key.clone(), joined);
            let change = if seen.is_some() {
                Change::Updated
            } else {
                Change::Created
            };
            if mode == Mode::DryRun {
                return Ok((change, None));
            }
            if let (None, RecordOwner::Person(Some(person))) = (seen, &incoming.owner) {
                self.list_person_now(person).await?;
            }
            let item = encode(&incoming.owner, incoming.data_type, &incoming.key, &parts);
            if self.put_if(key, item, seen).await? {
                return Ok((change, held));
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key: key.clone(),
            attempts: MAX_ATTEMPTS,
        })
    }
}
