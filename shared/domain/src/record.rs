//! One datum under its natural key, and how deliveries of it become one state.
//!
//! The rules (FACTS section 9):
//! - the newest delivery replaces the record as a whole;
//! - a score of `data_enrichment` is replaced by a newer value, never by null or absence, also when
//!   a stale delivery is the one that brings a value where there was none;
//! - samples are not erased by a newer delivery made without them;
//! - a retraction is a delivery like any other: the newest of them decides;
//! - a failed reading of a lab report replaces no report, but only an older failure.
//!
//! Each rule is a maximum by [`Version`], so the state is a [`Join`].

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Join, locator::Locator, summary::Summary, version::Version};

/// The state of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The newest delivery.
    pub newest: Delivery,
    /// The newest delivery with samples, when that is an older one.
    pub sampled: Option<KeptSamples>,
    /// The scores that Terra computes, by name.
    pub enrichment: BTreeMap<String, Score>,
}

/// One delivery of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its place in the order of all deliveries.
    pub version: Version,
    /// Its exact bytes.
    pub payload: Payload,
    /// The numbers Terra gave.
    pub summary: Summary,
    /// Numbers that only the samples tell; absent without samples.
    pub from_samples: Option<Summary>,
    /// Whether any sample array holds something.
    pub has_samples: bool,
    /// `metadata.start_time`, or a hormone sample's `timestamp`, as sent.
    pub start_time: Option<String>,
    /// The provider took the record back: activity and daily `upload_type` 4, health observation
    /// `status` 3.
    pub retracted: bool,
}

/// A delivery that is kept for its samples only.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptSamples {
    /// Its place in the order of all deliveries.
    pub version: Version,
    /// Its exact bytes.
    pub payload: Payload,
    /// Numbers that only the samples tell.
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
    /// As Terra sent it, never null.
    pub value: Value,
    /// The delivery that brought it.
    pub version: Version,
}

impl Record {
    /// The state after one delivery.
    pub fn new(newest: Delivery, enrichment: BTreeMap<String, Value>) -> Self {
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
            sampled: None,
            enrichment,
        }
    }

    /// The numbers to show: those of the newest delivery, filled from the samples that are kept.
    pub fn summary(&self) -> Summary {
        let mut summary = self.newest.summary.clone();
        let kept = self.sampled.as_ref().map(|kept| &kept.from_samples);
        if let Some(from_samples) = kept.unwrap_or(&self.newest.from_samples) {
            summary.filled_from(from_samples);
        }
        summary
    }
}

impl Join for Record {
    fn join(self, other: Self) -> Self {
        // Equal means the same delivery: the incoming reading of it counts, so that a replay through
        // newer code refreshes what is derived.
        let (newest, older) = if other.newest.precedence() >= self.newest.precedence() {
            (other.newest, self.newest)
        } else {
            (self.newest, other.newest)
        };
        let sampled = if newest.has_samples {
            None
        } else {
            [older.into_kept_samples(), self.sampled, other.sampled]
                .into_iter()
                .flatten()
                .max_by(|one, other| one.precedence().cmp(&other.precedence()))
        };
        let enrichment = crate::version::join_maps(self.enrichment, other.enrichment);
        Self {
            newest,
            sampled,
            enrichment,
        }
    }
}

impl Delivery {
    fn precedence(&self) -> (bool, Precedence<'_>) {
        let precedence = (&self.version, Reverse(&self.payload.locator));
        (!self.summary.is_failure(), precedence)
    }

    fn into_kept_samples(self) -> Option<KeptSamples> {
        let Self {
            version,
            payload,
            from_samples,
            ..
        } = self;
        let payload = Payload {
            inline: None,
            ..payload
        };
        self.has_samples.then_some(KeptSamples {
            version,
            payload,
            from_samples,
        })
    }
}

impl KeptSamples {
    fn precedence(&self) -> Precedence<'_> {
        (&self.version, Reverse(&self.payload.locator))
    }
}

/// The same delivery archived twice has two places: the lesser one counts, whichever came first.
type Precedence<'a> = (&'a Version, Reverse<&'a Locator>);

impl Join for Score {
    fn join(self, other: Self) -> Self {
        if other.version > self.version {
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
    use crate::summary::summarise;

    /// One arrival: (ordering timestamp, webhook, steps, score, samples, deleted).
    type Arrival = (i64, u8, u16, Option<u8>, bool, bool);

    fn record((ts, webhook, steps, score, samples, deleted): Arrival) -> Record {
        let samples = if samples {
            json!([{"bpm": 60}])
        } else {
            json!([])
        };
        let json = json!({
            "metadata": {"start_time": "2026-07-01T00:00:00", "upload_type": if deleted { 4 } else { 1 }},
            "distance_data": {"steps": steps},
            "heart_rate_data": {"detailed": {"hr_samples": samples}},
        })
        .to_string();
        let found = summarise(DataType::Daily, json.as_bytes()).unwrap();
        let delivery = Delivery {
            version: Version {
                ordering_ts_ms: ts,
                webhook_id: format!("w{webhook}"),
                index: 0,
            },
            payload: Payload {
                locator: Locator {
                    segment: format!("s{ts}-{webhook}"),
                    offset_bytes: 0,
                    length_bytes: 1,
                },
                size_bytes: json.len() as u64,
                inline: Some(vec![webhook]),
            },
            summary: found.delivered,
            from_samples: found.from_samples,
            has_samples: found.has_samples,
            start_time: None,
            retracted: found.retracted,
        };
        Record::new(
            delivery,
            BTreeMap::from([("strain_index".to_owned(), json!(score))]),
        )
    }

    /// One delivery at a time, from a webhook of that name.
    fn delivered(data_type: DataType, ts: i64, json: &str) -> Record {
        let found = summarise(data_type, json.as_bytes()).unwrap();
        let mut record = record((ts, u8::try_from(ts).unwrap(), 0, None, false, false));
        record.newest.summary = found.delivered;
        Record::new(record.newest, found.enrichment)
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

    fn fold(arrivals: &[Arrival]) -> Record {
        arrivals
            .iter()
            .map(|&arrival| record(arrival))
            .reduce(Join::join)
            .unwrap()
    }

    /// Arrivals in which one (timestamp, webhook) always names one content.
    fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
        let arrival = (0_i64..4, 0_u8..4).prop_flat_map(|(ts, webhook)| {
            let seed = u16::try_from(ts).unwrap() * 31 + u16::from(webhook) * 7;
            Just((
                ts,
                webhook,
                seed,
                (!seed.is_multiple_of(3)).then_some(webhook),
                seed.is_multiple_of(2),
                seed.is_multiple_of(5),
            ))
        });
        prop::collection::vec(arrival, 1..12)
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
        fn grouping_does_not_matter(arrivals in arrivals(), split in 0_usize..12) {
            let (one, other) = arrivals.split_at(split.min(arrivals.len() - 1).max(1).min(arrivals.len()));
            if !other.is_empty() {
                prop_assert_eq!(fold(one).join(fold(other)), fold(&arrivals));
            }
        }
    }

    #[test]
    fn a_stale_delivery_fills_a_score_that_is_null_and_nothing_else() {
        let state = fold(&[
            (2, 0, 200, None, false, false),
            (1, 1, 100, Some(7), false, false),
        ]);
        assert_eq!(state.newest.version.ordering_ts_ms, 2);
        assert_eq!(state.enrichment["strain_index"].value, json!(7));
    }

    #[test]
    fn samples_survive_a_newer_delivery_without_them() {
        let state = fold(&[
            (1, 0, 100, None, true, false),
            (2, 1, 200, None, false, false),
        ]);
        assert_eq!(state.sampled.unwrap().version.ordering_ts_ms, 1);
        let state = fold(&[
            (1, 0, 100, None, true, false),
            (2, 1, 200, None, false, false),
            (3, 2, 300, None, true, false),
        ]);
        assert_eq!(state.sampled, None);
    }

    #[test]
    fn a_retraction_is_undone_by_a_newer_delivery_only() {
        let deleted = (2, 0, 1, None, false, true);
        assert!(
            fold(&[deleted, (1, 1, 1, None, false, false)])
                .newest
                .retracted
        );
        assert!(
            !fold(&[deleted, (3, 1, 1, None, false, false)])
                .newest
                .retracted
        );
    }
}
