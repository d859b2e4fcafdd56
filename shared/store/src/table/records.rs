//! Records in the table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use domain::{
    Join as _,
    key::NaturalKey,
    locator::Locator,
    record::{Arrival, KeptSamples, Payload, Record, Score},
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
const CONCURRENT_WRITES: usize = 16;

/// A record on its way into the table.
#[derive(Debug, Clone)]
pub struct IncomingRecord {
    /// Whose.
    pub owner: RecordOwner,
    /// What.
    pub data_type: DataType,
    /// Under which key.
    pub key: NaturalKey,
    /// The state after this one delivery.
    pub record: Record,
}

/// A record found in the table.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// What.
    pub data_type: DataType,
    /// Under which key.
    pub key: NaturalKey,
    /// Its state.
    pub record: Record,
}

/// What storing a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Seen for the first time.
    Created,
    /// Known, and changed.
    Updated,
    /// Known, and not changed.
    Unchanged,
}

/// Whether changes are written or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write.
    Write,
    /// Tell what a write would change.
    DryRun,
}

/// Records as they were read for whoever is about to join others with them.
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
    /// [`TableError`]; some of the records may have been written then, and all may be sent again.
    pub async fn apply_records(
        &self,
        incoming: Vec<IncomingRecord>,
        mode: Mode,
    ) -> Result<RecordCounts, TableError> {
        let unseen = SeenRecords::default();
        self.apply_records_seen(incoming, unseen, mode).await
    }

    /// The same, for whoever has just read some of what is stored: that is not read again, unless it
    /// has changed meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Table::apply_records`].
    pub async fn apply_records_seen(
        &self,
        incoming: Vec<IncomingRecord>,
        SeenRecords(mut stored): SeenRecords,
        mode: Mode,
    ) -> Result<RecordCounts, TableError> {
        let mut by_key = BTreeMap::<Key, IncomingRecord>::new();
        for record in incoming {
            let key = Key::record(&record.owner, record.data_type, &record.key);
            match by_key.remove(&key) {
                Some(same) => {
                    let record = same.record.join(record.record);
                    by_key.insert(key, IncomingRecord { record, ..same });
                }
                None => drop(by_key.insert(key, record)),
            }
        }
        let unseen = by_key.keys().filter(|key| !stored.contains_key(key));
        let unseen = self.see(unseen.cloned()).await?;
        stored.extend(unseen);
        let work: Vec<_> = by_key
            .into_iter()
            .map(|(key, incoming)| {
                let item = stored.remove(&key).flatten();
                (key, incoming, item)
            })
            .collect();
        stream::iter(work)
            .map(|(key, incoming, item)| self.apply_record(key, incoming, item, mode))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_fold(RecordCounts::default(), |counts, change| async move {
                Ok(counts.add(change))
            })
            .await
    }

    /// Reads what is stored under these keys, for [`Table::apply_records_seen`].
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn see_records<'a>(
        &self,
        owner: &RecordOwner,
        keys: impl IntoIterator<Item = (DataType, &'a NaturalKey)>,
    ) -> Result<SeenRecords, TableError> {
        let keys = keys
            .into_iter()
            .map(|(data_type, key)| Key::record(owner, data_type, key));
        self.see(keys).await.map(SeenRecords)
    }

    async fn see(
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

    async fn apply_record(
        &self,
        key: Key,
        incoming: IncomingRecord,
        mut item: Option<Item>,
        mode: Mode,
    ) -> Result<Change, TableError> {
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                back_off(attempt - 1).await;
                item = self.get(&key).await?;
            }
            let stored = item
                .take()
                .map(|item| decode(&key, incoming.data_type, item))
                .transpose()?;
            let seen = stored.as_ref().map(|stored| stored.revision);
            let joined = match stored {
                Some(Stored { state, .. }) => {
                    let joined = state.clone().join(incoming.record.clone());
                    if joined == state {
                        return Ok(Change::Unchanged);
                    }
                    joined
                }
                None => incoming.record.clone(),
            };
            let change = if seen.is_some() {
                Change::Updated
            } else {
                Change::Created
            };
            if mode == Mode::DryRun {
                return Ok(change);
            }
            let item = encode(&incoming.owner, incoming.data_type, &incoming.key, &joined);
            if self.put_if(&key, item, seen).await? {
                return Ok(change);
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Moves every record of one owner to another, joining where both have one.
    pub(crate) async fn move_all_records(
        &self,
        from: &RecordOwner,
        to: &RecordOwner,
    ) -> Result<(), TableError> {
        for item in self.query(&from.pk(), "").await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((data_type, natural)) = key.as_record() else {
                continue;
            };
            let mut item = Some(item);
            for attempt in 0..=MAX_ATTEMPTS {
                if attempt == MAX_ATTEMPTS {
                    let operation = "move";
                    return Err(TableError::Contended {
                        operation,
                        key,
                        attempts: MAX_ATTEMPTS,
                    });
                }
                let found = match item.take() {
                    Some(item) => Some(item),
                    None => self.get(&key).await?,
                };
                let Some(found) = found else { break };
                let stored = decode(&key, data_type, found)?;
                let incoming = IncomingRecord {
                    owner: to.clone(),
                    data_type,
                    key: natural.clone(),
                    record: stored.state,
                };
                self.apply_records(vec![incoming], Mode::Write).await?;
                // Only what was moved may go: a record written meanwhile is moved again.
                if self.delete_if(&key, stored.revision).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One record.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn record(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        natural: &NaturalKey,
    ) -> Result<Option<FoundRecord>, TableError> {
        let key = Key::record(owner, data_type, natural);
        let Some(item) = self.get(&key).await? else {
            return Ok(None);
        };
        let record = decode(&key, data_type, item)?.state;
        Ok(Some(FoundRecord {
            data_type,
            key: natural.clone(),
            record,
        }))
    }

    /// All records of an owner, of one type or of all, in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn records(
        &self,
        owner: &RecordOwner,
        data_type: Option<DataType>,
    ) -> Result<Vec<FoundRecord>, TableError> {
        let prefix = data_type
            .map(|data_type| format!("{data_type}#"))
            .unwrap_or_default();
        let mut records = Vec::new();
        for item in self.query(&owner.pk(), &prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((data_type, natural)) = key.as_record() else {
                continue;
            };
            let record = decode(&key, data_type, item)?.state;
            records.push(FoundRecord {
                data_type,
                key: natural,
                record,
            });
        }
        Ok(records)
    }

    /// The keys of an owner's records of one type whose start time lies in `from..to`, in the order
    /// of start times. For the types whose key is no date; times compare as text.
    ///
    /// # Errors
    ///
    /// [`TableError`].
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

    /// Removes a person's own records: the lab reports.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn erase_person(
        &self,
        reference_id: &models::ids::ReferenceId,
    ) -> Result<usize, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        self.erase_partition(&owner, "").await
    }
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
/// Whether there are samples of the record anywhere, for lists that read no more.
const HAS_SAMPLES: &str = "has_samples";
const SHADOWED: &str = "shadowed";
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

fn encode(owner: &RecordOwner, data_type: DataType, key: &NaturalKey, record: &Record) -> Item {
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
    if let (Some(start_time), false) = (&newest.start_time, matches!(key, NaturalKey::Day(_))) {
        let start_time: String = start_time.chars().take(64).collect();
        item.insert(
            TIME_PK.to_owned(),
            AttributeValue::S(owner.time_pk(data_type)),
        );
        item.insert(
            TIME_SK.to_owned(),
            AttributeValue::S(format!("{start_time}#{key}")),
        );
    }
    item
}

fn decode(key: &Key, data_type: DataType, mut item: Item) -> Result<Stored<Record>, TableError> {
    let corrupt = |field| TableError::Corrupt {
        key: key.clone(),
        field,
    };
    let revision = revision(key, &item)?;
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
    let state = Record {
        newest,
        sampled: sampled.collect(),
        enrichment,
        shadowed: shadowed.into_iter().collect(),
    };
    Ok(Stored { state, revision })
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
