//! Items of records: their attributes, and reading and writing them.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use domain::{
    key::NaturalKey,
    locator::Locator,
    record::{Arrival, KeptSamples, Payload, Record, Score},
    session::{Parts, whole},
    streams::Stream,
    summary::Summary,
    version::Version,
};
use models::data::DataType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::FoundRecord;
use crate::table::{
    Stored, TableError,
    attribute::{Item, to_attribute, to_json, to_json_map},
    key::{Key, RecordOwner, TIME_PK, TIME_SK},
    revision,
};

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
pub(in crate::table) const ORDERING_TS_MS: &str = "ordering_ts_ms";
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
pub(in crate::table) const RETRACTED: &str = "retracted";
pub(in crate::table) const START_TIME: &str = "start_time";

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
pub(in crate::table) fn encode(
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
pub(in crate::table) fn decode(
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
                    .unwrap_or_else(|never: Infallible| match never {});
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

/// A record as it is shown: all its parts together.
pub(in crate::table) fn found(
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
