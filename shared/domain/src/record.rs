//! One datum under its natural key, and how deliveries of it become one state.
//!
//! The rules (FACTS section 9):
//! - the newest delivery replaces the record as a whole;
//! - a score of `data_enrichment` is replaced by a newer value, never by null or absence, also when
//!   a stale delivery is the one that brings a value where there was none;
//! - samples are kept stream by stream: a newer delivery that left a stream out or sent it empty
//!   does not erase it ([`crate::streams`]);
//! - a retraction is a delivery like any other: the newest of them decides;
//! - a failed reading of a lab report replaces no report, but only an older failure;
//! - of two records with one key in one delivery the later one counts, and the other stays
//!   reachable as shadowed.
//!
//! Each rule is a maximum by [`Version`], so the state is a [`Join`]. Two readings of one delivery
//! have the same version: the reading that joins counts, so that a replay through newer code
//! refreshes everything that an older version read from the same bytes.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Join,
    locator::Locator,
    streams::{Stream, derives},
    summary::Summary,
    version::Version,
};

/// Most shadowed records that stay reachable from a record.
const MAX_SHADOWED: usize = 8;

/// The state of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The newest arrival.
    pub newest: Arrival,
    /// The newest arrival of each sample stream that `newest` does not have.
    pub sampled: BTreeMap<Stream, KeptSamples>,
    /// The scores that Terra computes, by name.
    pub enrichment: BTreeMap<String, Score>,
    /// Records that another one of the same key and the same delivery replaced, with their frames
    /// in the archive. The newest eight are kept.
    pub shadowed: BTreeMap<Version, Locator>,
}

/// One arrival of a record: what one delivery says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// Its place in the order of all arrivals.
    pub version: Version,
    /// Its exact bytes.
    pub payload: Payload,
    /// The numbers Terra gave.
    pub summary: Summary,
    /// Numbers that only samples and lists tell; absent when there are none.
    pub from_samples: Option<Summary>,
    /// Sample streams that hold something.
    pub streams: BTreeSet<Stream>,
    /// `metadata.start_time`, or a hormone sample's `timestamp`, as sent.
    pub start_time: Option<String>,
    /// The provider took the record back: activity and daily `upload_type` 4, health observation
    /// `status` 3.
    pub retracted: bool,
}

/// An older arrival that is kept for one sample stream.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptSamples {
    /// Its place in the order of all arrivals.
    pub version: Version,
    /// Its exact bytes.
    pub payload: Payload,
    /// Numbers that only this stream tells.
    pub from_samples: Option<Summary>,
}

/// The exact bytes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Payload {
    /// Its frame in the archive.
    pub locator: Locator,
    /// Size as sent. Unit: bytes.
    pub size_bytes: u64,
    /// The same zstd frame, when it is small enough to travel with the item.
    #[serde(skip)]
    pub inline: Option<Vec<u8>>,
}

/// A value of `data_enrichment`. A set of contributors is one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Value as Terra sent it, never null.
    pub value: Value,
    /// The delivery that brought it.
    pub version: Version,
}

impl Record {
    /// The state after one arrival.
    pub fn new(newest: Arrival, enrichment: BTreeMap<String, Value>) -> Self {
        let enrichment = enrichment
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                (
                    name,
                    Score {
                        value,
                        version: newest.version.clone(),
                    },
                )
            })
            .collect();
        Self {
            newest,
            sampled: BTreeMap::new(),
            enrichment,
            shadowed: BTreeMap::new(),
        }
    }

    /// Marks the arrival as replaced by a later record of the same key in the same delivery.
    #[must_use]
    pub fn shadowed(mut self) -> Self {
        let Arrival {
            version, payload, ..
        } = &self.newest;
        self.shadowed = BTreeMap::from([(version.clone(), payload.locator.clone())]);
        self
    }

    /// The numbers to show: those of the newest arrival, filled from the samples that are kept.
    pub fn summary(&self) -> Summary {
        let mut summary = self.newest.summary.clone();
        let mut kept: Vec<&KeptSamples> = self.sampled.values().collect();
        kept.sort_by(|one, other| other.version.cmp(&one.version));
        let kept = kept.into_iter().map(|kept| &kept.from_samples);
        let all = std::iter::once(&self.newest.from_samples).chain(kept);
        for from_samples in all.flatten() {
            summary.filled_from(from_samples);
        }
        summary
    }

    /// The older arrivals that samples are kept of, each with its streams, newest first.
    pub fn sampled_arrivals(&self) -> Vec<(&Payload, BTreeSet<Stream>)> {
        let mut arrivals = BTreeMap::<_, (&Payload, BTreeSet<Stream>)>::new();
        for (stream, kept) in &self.sampled {
            let place = (&kept.version, &kept.payload.locator);
            let (_, streams) = arrivals
                .entry(place)
                .or_insert_with(|| (&kept.payload, BTreeSet::new()));
            streams.insert(*stream);
        }
        arrivals.into_values().rev().collect()
    }

    /// Returns whether samples of the record are there, in the newest arrival or in an older one.
    pub fn has_samples(&self) -> bool {
        !(self.newest.streams.is_empty() && self.sampled.is_empty())
    }

    /// Returns whether any part of the state came with this webhook.
    pub fn has_part_of(&self, webhook_id: &str) -> bool {
        let kept = self.sampled.values().map(|kept| &kept.version);
        let scores = self.enrichment.values().map(|score| &score.version);
        let shadowed = self.shadowed.keys();
        std::iter::once(&self.newest.version)
            .chain(kept)
            .chain(scores)
            .chain(shadowed)
            .any(|version| version.webhook_id == webhook_id)
    }

    /// Drops what an earlier reading of `reread` saw in it and the reading of today does not.
    fn refresh(&mut self, reread: &Self) {
        let version = &reread.newest.version;
        let streams = &reread.newest.streams;
        self.sampled
            .retain(|stream, kept| kept.version != *version || streams.contains(stream));
        self.enrichment.retain(|name, score| {
            score.version != *version || reread.enrichment.contains_key(name)
        });
        if !reread.shadowed.contains_key(version) {
            self.shadowed.remove(version);
        }
    }
}

impl Join for Record {
    fn join(mut self, other: Self) -> Self {
        self.refresh(&other);
        let rank = match other.newest.version.cmp(&self.newest.version) {
            Ordering::Equal => Ordering::Equal,
            _ => other.newest.precedence().cmp(&self.newest.precedence()),
        };
        let (newest, older) = match rank {
            Ordering::Less => (self.newest, Some(other.newest)),
            Ordering::Greater => (other.newest, Some(self.newest)),
            Ordering::Equal => {
                let payload = first_archived(self.newest.payload, other.newest.payload);
                let newest = Arrival {
                    payload,
                    ..other.newest
                };
                (newest, None)
            }
        };
        let kept = older.map(Arrival::into_kept_samples);
        let mut sampled = crate::version::join_maps(self.sampled, other.sampled);
        sampled = crate::version::join_maps(sampled, kept.unwrap_or_default());
        sampled.retain(|stream, _| !newest.streams.contains(stream));
        let mut shadowed = self.shadowed;
        for (version, locator) in other.shadowed {
            let known = shadowed.entry(version).or_insert_with(|| locator.clone());
            if locator < *known {
                *known = locator;
            }
        }
        while shadowed.len() > MAX_SHADOWED {
            shadowed.pop_first();
        }
        Self {
            newest,
            sampled,
            enrichment: crate::version::join_maps(self.enrichment, other.enrichment),
            shadowed,
        }
    }
}

/// The payload to keep when one delivery was archived twice: that of the lesser place, whichever
/// came first.
fn first_archived(one: Payload, other: Payload) -> Payload {
    if one.locator < other.locator {
        one
    } else {
        other
    }
}

impl Arrival {
    /// Rank among arrivals of a record: any report before a failed reading, then the version.
    fn precedence(&self) -> (bool, &Version) {
        (!self.summary.is_failure(), &self.version)
    }

    /// Returns the samples to keep of the arrival when a newer one replaces it, by stream.
    fn into_kept_samples(self) -> BTreeMap<Stream, KeptSamples> {
        let Self {
            version,
            payload,
            from_samples,
            streams,
            ..
        } = self;
        let payload = Payload {
            inline: None,
            ..payload
        };
        let kept = |stream: Stream| KeptSamples {
            version: version.clone(),
            payload: payload.clone(),
            from_samples: from_samples
                .as_ref()
                .and_then(|summary| only_from(stream, summary)),
        };
        streams
            .into_iter()
            .map(|stream| (stream, kept(stream)))
            .collect()
    }
}

/// The fields of a summary that a stream tells, or `None` when there are none.
fn only_from(stream: Stream, summary: &Summary) -> Option<Summary> {
    let data_type = summary.data_type();
    let derives = derives(stream);
    let fields = summary.fields().into_iter();
    let own = fields.filter(|(name, _)| derives.contains(name));
    let own = Summary::from_fields(data_type, own);
    (!own.is_empty()).then_some(own)
}

impl Join for KeptSamples {
    fn join(self, other: Self) -> Self {
        match other.version.cmp(&self.version) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal => Self {
                payload: first_archived(self.payload, other.payload),
                ..other
            },
        }
    }
}

impl Join for Score {
    fn join(self, other: Self) -> Self {
        if other.version >= self.version {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use models::data::DataType;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::summary::{Value as Field, summarise};

    /// One arrival: (ordering timestamp, webhook, steps, score, streams as bits, deleted).
    type Seed = (i64, u8, u16, Option<u8>, u8, bool);

    fn arrival_of(data_type: DataType, json: &Value, ts: i64, webhook: &str) -> Arrival {
        let json = json.to_string();
        let found = summarise(data_type, json.as_bytes()).unwrap();
        Arrival {
            version: Version {
                ordering_ts_ms: ts,
                webhook_id: webhook.to_owned(),
                index: 0,
            },
            payload: Payload {
                locator: Locator {
                    segment: format!("s{ts}-{webhook}"),
                    offset_bytes: 0,
                    length_bytes: 1,
                },
                size_bytes: json.len() as u64,
                inline: Some(webhook.as_bytes().to_vec()),
            },
            summary: found.delivered,
            from_samples: found.from_samples,
            streams: found.streams,
            start_time: None,
            retracted: found.retracted,
        }
    }

    /// One delivery at a time, from a webhook of that name.
    fn delivered(data_type: DataType, ts: i64, json: &str) -> Record {
        let found = summarise(data_type, json.as_bytes()).unwrap();
        let json: Value = serde_json::from_str(json).unwrap();
        let arrival = arrival_of(data_type, &json, ts, &format!("w{ts}"));
        Record::new(arrival, found.enrichment)
    }

    fn in_both_orders(one: &Record, other: &Record) -> Record {
        let joined = one.clone().join(other.clone());
        assert_eq!(other.clone().join(one.clone()), joined);
        joined
    }

    #[test]
    fn a_contributor_is_erased_by_no_set_without_it() {
        let sets = [
            r#"{"data_enrichment":{"sleep_score":70,"sleep_contributors":{"deep":1,"rem":1}}}"#,
            r#"{"data_enrichment":{"sleep_contributors":{"deep":null,"rem":2}}}"#,
            r#"{"data_enrichment":{"sleep_score":null,"sleep_contributors":{}}}"#,
        ];
        let [first, second, third] = [1, 2, 3]
            .map(|ts| delivered(DataType::Sleep, ts, sets[usize::try_from(ts).unwrap() - 1]));
        let joined = in_both_orders(&in_both_orders(&third, &first), &second);
        let values: Vec<_> = joined
            .enrichment
            .iter()
            .map(|(path, score)| (path.as_str(), score.value.clone()))
            .collect();
        assert_eq!(
            values,
            [
                ("sleep_contributors.deep", json!(1)),
                ("sleep_contributors.rem", json!(2)),
                ("sleep_score", json!(70))
            ]
        );
    }

    #[test]
    fn a_failed_reading_of_a_lab_report_replaces_no_report() {
        let report = r#"{"session_id":"1","results_count":3}"#;
        let failure = r#"{"session_id":"1","error":{"code":"file_unreadable"}}"#;
        let of = |ts, json| delivered(DataType::LabReport, ts, json);
        let kept = in_both_orders(&of(1, report), &of(2, failure));
        assert_eq!(kept, of(1, report));
        assert_eq!(
            in_both_orders(&of(2, report), &of(1, failure)),
            of(2, report)
        );
        assert_eq!(
            in_both_orders(&of(2, failure), &of(1, failure)),
            of(2, failure)
        );
    }

    fn record((ts, webhook, steps, score, streams, deleted): Seed) -> Record {
        let samples = |bit: u8, sample: Value| {
            let filled = streams & bit != 0;
            if filled { json!([sample]) } else { json!([]) }
        };
        let json = json!({
            "metadata": {"start_time": "2026-07-01T00:00:00", "upload_type": if deleted { 4 } else { 1 }},
            "distance_data": {"steps": steps, "detailed": {"step_samples": samples(1, json!({"steps": steps}))}},
            "heart_rate_data": {"detailed": {"hr_samples": samples(2, json!({"bpm": 60 + i64::from(steps % 50)}))}},
            "oxygen_data": {"saturation_samples": samples(4, json!({"percentage": 90 + i64::from(steps % 9)}))},
        });
        let arrival = arrival_of(DataType::Daily, &json, ts, &format!("w{webhook}"));
        let record = Record::new(
            arrival,
            BTreeMap::from([("strain_index".to_owned(), json!(score))]),
        );
        if steps % 4 == 1 {
            record.shadowed()
        } else {
            record
        }
    }

    fn fold(seeds: &[Seed]) -> Record {
        seeds
            .iter()
            .map(|&seed| record(seed))
            .reduce(Join::join)
            .unwrap()
    }

    /// Arrivals in which one (timestamp, webhook) always names one content.
    fn arrivals() -> impl Strategy<Value = Vec<Seed>> {
        let arrival = (0_i64..5, 0_u8..5).prop_flat_map(|(ts, webhook)| {
            let seed = u16::try_from(ts).unwrap() * 31 + u16::from(webhook) * 7;
            Just((
                ts,
                webhook,
                seed,
                (!seed.is_multiple_of(3)).then_some(webhook),
                u8::try_from(seed * 5 % 8).unwrap(),
                seed.is_multiple_of(5),
            ))
        });
        prop::collection::vec(arrival, 1..14)
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_ends_in_the_same_state(
            (arrivals, shuffled) in arrivals().prop_flat_map(|arrivals| {
                let mut twice = arrivals.clone();
                twice.extend_from_slice(&arrivals);
                (Just(arrivals), Just(twice).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(fold(&arrivals), fold(&shuffled));
        }

        #[test]
        fn grouping_does_not_matter(arrivals in arrivals(), split in 0_usize..14) {
            let (one, other) = arrivals.split_at(split.min(arrivals.len() - 1).max(1).min(arrivals.len()));
            if !other.is_empty() {
                prop_assert_eq!(fold(one).join(fold(other)), fold(&arrivals));
            }
        }

        #[test]
        fn every_stream_is_the_newest_that_was_sent(arrivals in arrivals()) {
            let state = fold(&arrivals);
            for (bit, name) in [(1, "steps"), (2, "hr"), (4, "saturation")] {
                let stream = Stream::named(DataType::Daily, name).unwrap();
                let with = arrivals.iter().filter(|seed| seed.4 & bit != 0);
                let expected = with.map(|seed| record(*seed).newest.version).max();
                let newest = state.newest.streams.contains(&stream).then_some(&state.newest.version);
                let kept = state.sampled.get(&stream).map(|kept| &kept.version);
                prop_assert!(newest.is_none() || kept.is_none());
                prop_assert_eq!(newest.or(kept), expected.as_ref());
            }
        }
    }

    #[test]
    fn a_stale_delivery_fills_a_score_that_is_null_and_nothing_else() {
        let state = fold(&[(2, 0, 200, None, 0, false), (1, 1, 100, Some(7), 0, false)]);
        assert_eq!(state.newest.version.ordering_ts_ms, 2);
        assert_eq!(state.enrichment["strain_index"].value, json!(7));
    }

    #[test]
    fn samples_survive_a_newer_delivery_without_them() {
        let both = (1, 0, 100, None, 3, false);
        let state = fold(&[both, (2, 1, 200, None, 0, false)]);
        assert_eq!(state.sampled.len(), 2);
        let state = fold(&[
            both,
            (2, 1, 200, None, 2, false),
            (3, 2, 300, None, 0, false),
        ]);
        let kept: Vec<_> = state
            .sampled
            .iter()
            .map(|(stream, kept)| (stream.as_str(), kept.version.ordering_ts_ms))
            .collect();
        assert_eq!(kept, [("hr", 2), ("steps", 1)]);
        assert_eq!(state.sampled_arrivals().len(), 2);
        let state = fold(&[both, (2, 1, 200, None, 3, false)]);
        assert!(state.sampled.is_empty());
    }

    #[test]
    fn laps_do_not_hide_the_heart_rate_of_an_older_delivery() {
        let hr =
            json!({"heart_rate_data": {"detailed": {"hr_samples": [{"bpm": 60}, {"bpm": 80}]}}});
        let laps = json!({"heart_rate_data": {"detailed": {"hr_samples": []}}, "lap_data": {"laps": [{}]}});
        let arrive = |json, ts| {
            let arrival = arrival_of(DataType::Activity, json, ts, "w");
            Record::new(arrival, BTreeMap::new())
        };
        let state = arrive(&hr, 1).join(arrive(&laps, 2));
        let hr = Stream::named(DataType::Activity, "hr").unwrap();
        assert_eq!(state.sampled[&hr].version.ordering_ts_ms, 1);
        assert_eq!(state.summary().get("avg_hr_bpm"), Some(Field::Number(70.0)));
    }

    #[test]
    fn a_weight_that_was_deleted_goes_and_the_temperature_beside_it_stays() {
        let full = json!({
            "measurements_data": {"measurements": [{"weight_kg": 80}]},
            "temperature_data": {"body_temperature_samples": [{"temperature_celsius": 37}]},
        });
        let deleted = json!({"measurements_data": {"measurements": []}});
        let arrive = |json, ts| {
            let arrival = arrival_of(DataType::Body, json, ts, "w");
            Record::new(arrival, BTreeMap::new())
        };
        let state = arrive(&full, 1);
        assert_eq!(state.summary().get("weight_kg"), Some(Field::Number(80.0)));
        let state = state.join(arrive(&deleted, 2));
        assert_eq!(state.summary().get("weight_kg"), None);
        let temperature = state.summary().get("body_temperature_celsius");
        assert_eq!(temperature, Some(Field::Number(37.0)));
    }

    #[test]
    fn a_retraction_is_undone_by_a_newer_delivery_only() {
        let deleted = (2, 0, 1, None, 0, true);
        let older = fold(&[deleted, (1, 1, 1, None, 0, false)]);
        assert!(older.newest.retracted);
        let newer = fold(&[deleted, (3, 1, 1, None, 0, false)]);
        assert!(!newer.newest.retracted);
    }

    /// The state as an older version of the code read it: `misread` holds too much.
    fn reread(misread: Seed, read: Seed) -> (Record, Record) {
        (record(misread), record(read))
    }

    #[test]
    fn a_replay_refreshes_what_an_older_version_read_wrongly() {
        let (misread, read) = reread((1, 0, 100, Some(7), 3, false), (1, 0, 100, None, 1, false));
        // The record as the newest arrival.
        assert_eq!(misread.clone().join(read.clone()), read);
        // The record as an older arrival that samples and scores are kept of.
        let newest = record((2, 1, 200, None, 0, false));
        let stored = misread.join(newest.clone());
        assert_eq!(stored.sampled.len(), 2);
        let refreshed = stored.join(read.clone());
        assert_eq!(refreshed, newest.join(read));
        assert_eq!(refreshed.sampled.len(), 1);
        assert!(refreshed.enrichment.is_empty());
    }

    #[test]
    fn one_delivery_archived_twice_keeps_the_lesser_place_in_any_order() {
        let first = record((1, 0, 100, Some(1), 3, false));
        let mut second = first.clone();
        second.newest.payload.locator.segment = "s9".to_owned();
        let newer = record((2, 1, 200, None, 0, false));
        let one = first.clone().join(second.clone()).join(newer.clone());
        assert_eq!(one, newer.clone().join(second.clone()).join(first.clone()));
        assert_eq!(one, newer.join(first).join(second));
    }

    #[test]
    fn at_most_eight_shadowed_records_stay_reachable() {
        let seeds: Vec<Seed> = (0..12).map(|ts| (ts, 0, 101, None, 0, false)).collect();
        let state = fold(&seeds);
        assert_eq!(state.shadowed.len(), MAX_SHADOWED);
        let least = state.shadowed.keys().next().unwrap();
        assert_eq!(least.ordering_ts_ms, 4);
    }
}
