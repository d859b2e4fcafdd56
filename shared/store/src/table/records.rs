//! Records in the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use domain::{
    Join as _,
    key::NaturalKey,
    locator::Locator,
    record::{Arrival, KeptSamples, Payload, Record, Score},
    session::{Parts, Session, whole},
    streams::Stream,
    summary::Summary,
    version::Version,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use models::data::DataType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    MAX_ATTEMPTS, Stored, Table, TableError,
    attribute::{Item, to_attribute, to_json, to_json_map},
    back_off,
    key::{Key, RecordOwner, TIME_PK, TIME_SK},
    ledger::RecordCounts,
    revision,
};

/// Writes under way at once for one webhook.
pub(super) const CONCURRENT_WRITES: usize = 16;

/// A record on its way into the table.
#[derive(Debug, Clone)]
pub struct IncomingRecord {
    /// Owner of the record.
    pub owner: RecordOwner,
    /// Type of the record.
    pub data_type: DataType,
    /// Key within its owner.
    pub key: NaturalKey,
    /// Sessions by which the record is known under other keys too; none of a type that has no such.
    pub sessions: Vec<Session>,
    /// The state after this one delivery.
    pub record: Record,
}

/// A record found in the table.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// Type of the record.
    pub data_type: DataType,
    /// Key within its owner.
    pub key: NaturalKey,
    /// Its state.
    pub record: Record,
}

/// Result of storing a record. The least of several counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Seen for the first time.
    Created,
    /// Known, and changed.
    Updated,
    /// Known, and not changed.
    Unchanged,
}

/// Choice between writing changes and only telling them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write.
    Write,
    /// Tell what a write would change.
    DryRun,
}

/// Result of storing the records of one webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedRecords {
    /// Counts of created, updated and unchanged records.
    pub counts: RecordCounts,
    /// Records whose stored state has something of the webhook, changed by this call or not: those
    /// that destinations are to be told of.
    pub held: Vec<(DataType, NaturalKey)>,
}

/// A record with the revision it was read at.
#[derive(Debug, Clone)]
pub struct RecordNow {
    /// State.
    pub record: Record,
    /// Revision.
    pub revision: u64,
}

/// Stored records as they were read, to join others with them.
#[derive(Debug, Default)]
pub struct SeenRecords(HashMap<Key, Option<Item>>);

impl RecordCounts {
    fn add(mut self, change: Change) -> Self {
        match change {
            Change::Created => self.created += 1,
            Change::Updated => self.updated += 1,
            Change::Unchanged => self.unchanged += 1,
        }
        self
    }
}

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
    pub(super) async fn apply_record(
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

    /// Moves every record of one owner to another, joining where both have one.
    pub(crate) async fn move_all_records(
        &self,
        from: &RecordOwner,
        to: &RecordOwner,
    ) -> Result<(), TableError> {
        let items = self.query(&Key::partition_of(from), "").await?;
        let keys = items.iter().filter_map(Key::of_item);
        let sightings = keys.filter_map(|key| Some((key.as_sighting()?, key)));
        let sightings: Vec<_> = sightings.collect();
        // First of all, because the records find each other by them.
        for ((data_type, sighting), _) in &sightings {
            let sightings = std::slice::from_ref(sighting);
            self.put_sightings(to, *data_type, sightings).await?;
        }
        for item in items {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            if let Some((data_type, _)) = key.as_record() {
                self.move_record(&key, data_type, item, (from, to)).await?;
            }
        }
        for (_, key) in &sightings {
            self.delete(key).await?;
        }
        Ok(())
    }

    /// Moves one record, of which `item` was read before, to another owner.
    async fn move_record(
        &self,
        key: &Key,
        data_type: DataType,
        item: Item,
        (from, to): (&RecordOwner, &RecordOwner),
    ) -> Result<(), TableError> {
        let mut item = Some(item);
        for _ in 0..MAX_ATTEMPTS {
            let found = match item.take() {
                Some(item) => Some(item),
                None => self.get(key).await?,
            };
            let Some(found) = found else { return Ok(()) };
            let stored = decode(key, data_type, found)?;
            let incoming = stored.state.into_iter().map(|(natural, record)| {
                let start_time = record.newest.start_time.as_deref();
                let sessions = [
                    Session::of_key(data_type, &natural),
                    start_time.and_then(|start| Session::of_start(data_type, start)),
                ];
                IncomingRecord {
                    owner: to.clone(),
                    data_type,
                    key: natural,
                    sessions: sessions.into_iter().flatten().collect(),
                    record,
                }
            });
            self.apply_records(incoming.collect(), Mode::Write).await?;
            // Before the deletion: whoever finds the note reads the record, too.
            self.note_gone(from, key, stored.revision).await?;
            // Only what was moved may go: a record written meanwhile is moved again.
            if self.delete_if(key, stored.revision).await? {
                return Ok(());
            }
        }
        Err(TableError::Contended {
            operation: "move",
            key: key.clone(),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Reads one record, also by a key that it had before it was known by another.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn record(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        natural: &NaturalKey,
    ) -> Result<Option<FoundRecord>, TableError> {
        let mut natural = natural.clone();
        let mut item = self.get(&Key::record(owner, data_type, &natural)).await?;
        if item.is_none()
            && let Some(home) = self.home_of(owner, data_type, &natural).await?
        {
            natural = home;
            item = self.get(&Key::record(owner, data_type, &natural)).await?;
        }
        let Some(item) = item else {
            return Ok(None);
        };
        let key = Key::record(owner, data_type, &natural);
        found(&key, data_type, natural, item).map(Some)
    }

    /// Records as they are now, strongly consistent, with their revisions. One that does not exist is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn records_now(
        &self,
        wanted: impl IntoIterator<Item = (RecordOwner, DataType, NaturalKey)>,
    ) -> Result<HashMap<(RecordOwner, DataType, NaturalKey), RecordNow>, TableError> {
        let by_key: BTreeMap<Key, _> = wanted
            .into_iter()
            .map(|record| (Key::record(&record.0, record.1, &record.2), record))
            .collect();
        let mut items = self.batch_get(by_key.keys().cloned()).await?;
        let mut all = HashMap::new();
        for (key, record) in by_key {
            if let Some(item) = items.remove(&key) {
                let revision = revision(&key, &item)?;
                let found = self::found(&key, record.1, record.2.clone(), item)?;
                let now = RecordNow {
                    record: found.record,
                    revision,
                };
                all.insert(record, now);
            }
        }
        Ok(all)
    }

    /// One page of an owner's records in the order of their sort keys, behind `after` if that is given,
    /// with the sort key to go on behind unless these were the last.
    ///
    /// # Errors
    ///
    /// Those of [`Table::records_now`].
    pub async fn records_page(
        &self,
        owner: &RecordOwner,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(FoundRecord, u64)>, Option<String>), TableError> {
        let pk = Key::partition_of(owner);
        // Sort keys begin with a letter, so all of them come after the space.
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(
                ":after",
                AttributeValue::S(after.unwrap_or(" ").to_owned()),
            )
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1))
            .send()
            .await
            .map_err(TableError::unavailable("query", "records"))?;
        let last = page.last_evaluated_key.as_ref().and_then(Key::of_item);
        let mut records = Vec::new();
        for item in page.items.unwrap_or_default() {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((data_type, natural)) = key.as_record() else {
                continue;
            };
            let revision = revision(&key, &item)?;
            records.push((found(&key, data_type, natural, item)?, revision));
        }
        Ok((records, last.map(|key| key.sk().to_owned())))
    }

    /// All records of an owner, of one type or of all, in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn records(
        &self,
        owner: &RecordOwner,
        data_type: Option<DataType>,
    ) -> Result<Vec<FoundRecord>, TableError> {
        let prefix = data_type
            .map(|data_type| format!("{data_type}#"))
            .unwrap_or_default();
        let mut records = Vec::new();
        for item in self.query(&Key::partition_of(owner), &prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((data_type, natural)) = key.as_record() else {
                continue;
            };
            records.push(found(&key, data_type, natural, item)?);
        }
        Ok(records)
    }

    /// The keys of an owner's records of one type whose start time lies in `from..to`, in the order
    /// of start times. For the types whose key is no date; times compare as text.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn keys_by_time(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: &str,
        to: &str,
    ) -> Result<Vec<NaturalKey>, TableError> {
        let query = self.query_by_time(owner, data_type, from, to);
        let mut pages = query.into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(TableError::unavailable("query", "records by time"))?;
            keys.extend(
                Key::of_item(&item)
                    .and_then(|key| key.as_record())
                    .map(|(_, key)| key),
            );
        }
        Ok(keys)
    }

    /// Removes a person's own records, which are the lab reports, and their source policy.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn erase_person(
        &self,
        reference_id: &models::ids::ReferenceId,
    ) -> Result<usize, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        let policies = self.erase_source_policy(reference_id).await?;
        Ok(self.erase_partition(&owner, "").await? + policies)
    }

    /// Returns whether anything is kept under a reference id: a connection or a lab report.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn has_person(
        &self,
        reference_id: &models::ids::ReferenceId,
    ) -> Result<bool, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        Ok(!self.query(&Key::partition_of(&owner), "").await?.is_empty())
    }
}

/// A record as it is shown: all its parts together.
pub(super) fn found(
    key: &Key,
    data_type: DataType,
    natural: NaturalKey,
    item: Item,
) -> Result<FoundRecord, TableError> {
    let parts = decode(key, data_type, item)?.state;
    let record = whole(&parts).ok_or_else(|| TableError::Corrupt {
        key: key.clone(),
        field: PARTS,
    })?;
    Ok(FoundRecord {
        data_type,
        key: natural,
        record,
    })
}

/// Attributes of an arrival besides its summary.
#[derive(Serialize, Deserialize)]
struct ArrivalAttributes {
    ordering_ts_ms: i64,
    webhook_id: String,
    index: u32,
    payload: Locator,
    size_bytes: u64,
    /// Names of the sample streams that the arrival has, or that it is kept for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streams: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_samples: Option<Map<String, Value>>,
}

impl ArrivalAttributes {
    fn new<'a>(
        version: &Version,
        payload: &Payload,
        streams: impl IntoIterator<Item = &'a Stream>,
        from_samples: Option<&Summary>,
    ) -> Self {
        Self {
            ordering_ts_ms: version.ordering_ts_ms,
            webhook_id: version.webhook_id.clone(),
            index: version.index,
            payload: payload.locator.clone(),
            size_bytes: payload.size_bytes,
            streams: streams.into_iter().map(ToString::to_string).collect(),
            from_samples: from_samples.map(summary_map),
        }
    }

    fn version(&self) -> Version {
        let Self {
            ordering_ts_ms,
            webhook_id,
            index,
            ..
        } = self;
        Version {
            ordering_ts_ms: *ordering_ts_ms,
            webhook_id: webhook_id.clone(),
            index: *index,
        }
    }

    /// The streams that today's code knows.
    fn streams(&self, data_type: DataType) -> BTreeSet<Stream> {
        let names = self.streams.iter();
        names
            .filter_map(|name| Stream::named(data_type, name))
            .collect()
    }

    fn payload(&self, inline: Option<Vec<u8>>) -> Payload {
        Payload {
            locator: self.payload.clone(),
            size_bytes: self.size_bytes,
            inline,
        }
    }
}

const INLINE: &str = "inline";
/// One of [`ArrivalAttributes`].
pub(super) const ORDERING_TS_MS: &str = "ordering_ts_ms";
const SUMMARY: &str = "summary";
/// Names of the summary's fields that come from samples and not from Terra's own numbers.
const DERIVED: &str = "derived";
const ENRICHMENT: &str = "enrichment";
/// Versions of those scores that the newest delivery did not bring.
const ENRICHED_BY: &str = "enriched_by";
const SAMPLES: &str = "samples";
/// Attribute that says whether there are samples of the record anywhere, for lists that read no more.
const HAS_SAMPLES: &str = "has_samples";
const SHADOWED: &str = "shadowed";
/// Attribute of the parts of a record, by key, where there are several.
const PARTS: &str = "parts";
pub(super) const RETRACTED: &str = "retracted";
pub(super) const START_TIME: &str = "start_time";

fn summary_map(summary: &Summary) -> Map<String, Value> {
    summary
        .fields()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

fn summary_of(data_type: DataType, map: Map<String, Value>) -> Summary {
    let fields = map
        .into_iter()
        .filter_map(|(name, value)| Some((name, serde_json::from_value(value).ok()?)));
    Summary::from_fields(data_type, fields)
}

/// Item of a record: all of it together, as it is read, and its parts where there are several.
pub(super) fn encode(
    owner: &RecordOwner,
    data_type: DataType,
    key: &NaturalKey,
    parts: &Parts,
) -> Item {
    let Some(record) = whole(parts) else {
        return Item::new();
    };
    let mut item = encode_record(&record);
    if let (Some(start_time), false) =
        (&record.newest.start_time, matches!(key, NaturalKey::Day(_)))
    {
        let start_time: String = start_time.chars().take(64).collect();
        item.insert(
            TIME_PK.to_owned(),
            AttributeValue::S(Key::time_partition_of(owner, data_type)),
        );
        item.insert(
            TIME_SK.to_owned(),
            AttributeValue::S(format!("{start_time}#{key}")),
        );
    }
    if parts.len() > 1 || !parts.contains_key(key) {
        let parts = parts.iter().map(|(part, record)| {
            let record = AttributeValue::M(encode_record(record));
            (part.to_string(), record)
        });
        item.insert(PARTS.to_owned(), AttributeValue::M(parts.collect()));
    }
    item
}

fn encode_record(record: &Record) -> Item {
    let newest = &record.newest;
    let delivered = summary_map(&newest.summary);
    let summary = summary_map(&record.summary());
    let derived: Vec<_> = summary
        .keys()
        .filter(|name| !delivered.contains_key(*name))
        .cloned()
        .collect();
    let enriched_by: Map<String, Value> = record
        .enrichment
        .iter()
        .filter(|(_, score)| score.version != newest.version)
        .map(|(name, score)| (name.clone(), json!(score.version)))
        .collect();
    let enrichment: Map<String, Value> = record
        .enrichment
        .iter()
        .map(|(name, score)| (name.clone(), score.value.clone()))
        .collect();
    let samples: Vec<_> = record
        .sampled
        .iter()
        .map(|(stream, kept)| {
            let from_samples = kept.from_samples.as_ref();
            ArrivalAttributes::new(&kept.version, &kept.payload, [stream], from_samples)
        })
        .collect();
    let shadowed: Vec<_> = record.shadowed.iter().collect();
    let arrival = ArrivalAttributes::new(
        &newest.version,
        &newest.payload,
        &newest.streams,
        newest.from_samples.as_ref(),
    );

    let mut attributes = match json!(arrival) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let mut set = |name: &str, value: Value, keep: bool| {
        if keep {
            attributes.insert(name.to_owned(), value);
        }
    };
    set(HAS_SAMPLES, json!(true), record.has_samples());
    set(RETRACTED, json!(true), newest.retracted);
    set(
        START_TIME,
        json!(newest.start_time),
        newest.start_time.is_some(),
    );
    set(SUMMARY, Value::Object(summary), true);
    set(DERIVED, json!(derived), !derived.is_empty());
    set(
        ENRICHED_BY,
        Value::Object(enriched_by.clone()),
        !enriched_by.is_empty(),
    );
    set(
        ENRICHMENT,
        Value::Object(enrichment.clone()),
        !enrichment.is_empty(),
    );
    set(SAMPLES, json!(samples), !samples.is_empty());
    set(SHADOWED, json!(shadowed), !shadowed.is_empty());

    let mut item: Item = attributes
        .into_iter()
        .map(|(name, value)| (name, to_attribute(value)))
        .collect();
    if let Some(frame) = &newest.payload.inline {
        item.insert(
            INLINE.to_owned(),
            AttributeValue::B(Blob::new(frame.clone())),
        );
    }
    item
}

/// Reads the parts of a record.
pub(super) fn decode(
    key: &Key,
    data_type: DataType,
    mut item: Item,
) -> Result<Stored<Parts>, TableError> {
    let corrupt = |field| TableError::Corrupt {
        key: key.clone(),
        field,
    };
    let revision = revision(key, &item)?;
    let mut state = Parts::new();
    match item.remove(PARTS) {
        Some(AttributeValue::M(parts)) => {
            for (part, item) in parts {
                let AttributeValue::M(item) = item else {
                    return Err(corrupt(PARTS));
                };
                let part = part
                    .parse()
                    .unwrap_or_else(|never: std::convert::Infallible| match never {});
                state.insert(part, decode_record(key, data_type, item)?);
            }
        }
        Some(_) => return Err(corrupt(PARTS)),
        None => {
            let (_, natural) = key.as_record().ok_or_else(|| corrupt("sk"))?;
            state.insert(natural, decode_record(key, data_type, item)?);
        }
    }
    Ok(Stored { state, revision })
}

fn decode_record(key: &Key, data_type: DataType, mut item: Item) -> Result<Record, TableError> {
    let corrupt = |field| TableError::Corrupt {
        key: key.clone(),
        field,
    };
    let inline = match item.remove(INLINE) {
        Some(AttributeValue::B(frame)) => Some(frame.into_inner()),
        _ => None,
    };
    let mut take = |name: &str| item.remove(name).map(to_json);
    let mut summary = object(take(SUMMARY)).ok_or_else(|| corrupt(SUMMARY))?;
    let derived: Vec<String> = read(take(DERIVED)).unwrap_or_default();
    let enrichment = object(take(ENRICHMENT)).unwrap_or_default();
    let mut enriched_by: HashMap<String, Version> = read(take(ENRICHED_BY)).unwrap_or_default();
    take(HAS_SAMPLES);
    let retracted = take(RETRACTED).is_some();
    let start_time = read(take(START_TIME));
    let kept_arrivals: Vec<ArrivalAttributes> = match take(SAMPLES) {
        None => Vec::new(),
        some => read(some).ok_or_else(|| corrupt(SAMPLES))?,
    };
    let shadowed: Vec<(Version, Locator)> = match take(SHADOWED) {
        None => Vec::new(),
        some => read(some).ok_or_else(|| corrupt(SHADOWED))?,
    };
    let rest = Value::Object(to_json_map(item));
    let newest: ArrivalAttributes = serde_json::from_value(rest).map_err(|_| corrupt("payload"))?;

    summary.retain(|name, _| !derived.contains(name));
    let of_map = |map| summary_of(data_type, map);
    let version = newest.version();
    let enrichment = enrichment
        .into_iter()
        .map(|(name, value)| {
            let version = enriched_by.remove(&name).unwrap_or_else(|| version.clone());
            (name, Score { value, version })
        })
        .collect();
    let sampled = kept_arrivals.into_iter().flat_map(|kept| {
        let state = KeptSamples {
            version: kept.version(),
            payload: kept.payload(None),
            from_samples: kept.from_samples.clone().map(of_map),
        };
        let streams = kept.streams(data_type).into_iter();
        streams.map(move |stream| (stream, state.clone()))
    });
    let newest = Arrival {
        streams: newest.streams(data_type),
        payload: newest.payload(inline),
        summary: of_map(summary),
        from_samples: newest.from_samples.clone().map(of_map),
        version,
        retracted,
        start_time,
    };
    Ok(Record {
        newest,
        sampled: sampled.collect(),
        enrichment,
        shadowed: shadowed.into_iter().collect(),
    })
}

fn object(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Option<Value>) -> Option<T> {
    serde_json::from_value(value?).ok()
}
