//! One record out of the deliveries that are kept of it.

use std::collections::{BTreeMap, BTreeSet};

use models::data::DataType;

use crate::{
    json::{self, Patch},
    record::Score,
    streams::{Stream, arrays, filled_streams},
    summary::score_tree,
};

/// Name of the object that holds Terra's scores.
const ENRICHMENT: &str = "data_enrichment";
/// Name of the member that tells the readings of a list apart.
const READING_TIME: &str = "start_timestamp";

/// An older delivery that is kept for sample streams that no newer delivery has.
#[derive(Debug, Clone, Copy)]
pub struct Sampled<'a> {
    /// Exact bytes of the delivery.
    pub record: &'a [u8],
    /// Streams to take from the delivery.
    pub streams: &'a BTreeSet<Stream>,
}

/// Composes the record to show: the newest delivery with the scores and the samples of older ones.
///
/// The text of the newest delivery is patched and no tree is rebuilt, so unknown fields, their
/// order and the spelling of every number survive.
///
/// - A score of `enrichment` fills a score that `newest` left out, set to null or spelt beyond
///   reading; a set of contributors is filled member by member.
/// - With samples, each stream of `sampled` fills the one that `newest` left absent or empty.
///   Samples within a list of readings go to the reading of the same time.
/// - Without samples, every sample stream becomes an empty array, and lists that are content stay.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
///
/// use domain::{compose::{Sampled, compose}, streams::filled_streams};
/// use models::data::DataType;
///
/// let older = br#"{"power_data":{"power_samples":[{"watts":210.50}]}}"#;
/// let newest = br#"{"new_field":1.0,"power_data":{"avg_watts":2.1e2,"power_samples":[]}}"#;
/// let streams = filled_streams(DataType::Activity, older);
/// let sampled = [Sampled { record: older, streams: &streams }];
/// let whole = compose(DataType::Activity, newest, &sampled, &BTreeMap::new(), true);
/// assert_eq!(
///     whole,
///     br#"{"new_field":1.0,"power_data":{"avg_watts":2.1e2,"power_samples":[{"watts":210.50}]}}"#
/// );
/// let bare = compose(DataType::Activity, &whole, &[], &BTreeMap::new(), false);
/// assert_eq!(bare, newest);
/// ```
///
/// A `newest` that is no JSON object is returned as it is.
pub fn compose(
    data_type: DataType,
    newest: &[u8],
    sampled: &[Sampled<'_>],
    enrichment: &BTreeMap<String, Score>,
    with_samples: bool,
) -> Vec<u8> {
    if json::members(newest).is_none() {
        return newest.to_vec();
    }
    let mut patch = Patch::Members(BTreeMap::new());
    let scores = score_tree(enrichment.iter().map(|(path, score)| (path, &score.value)));
    for (name, score) in &scores {
        *patch.member(ENRICHMENT).member(name) = Patch::Fill(score);
    }
    let filled = if with_samples && !sampled.is_empty() {
        filled_streams(data_type, newest)
    } else {
        BTreeSet::new()
    };
    for array in arrays(data_type) {
        let Some(stream) = array.stream else { continue };
        let older = sampled
            .iter()
            .find(|older| older.streams.contains(&stream) && !filled.contains(&stream));
        let (list, inner) = match array.path.split_once("[].") {
            Some((list, inner)) => (list, Some(inner)),
            None => (array.path, None),
        };
        let change = match (with_samples, older, inner) {
            (true, None, _) => None,
            (true, Some(older), None) => json::at(older.record, list).map(Patch::Array),
            (true, Some(older), Some(inner)) => Some(readings(older.record, list, inner)),
            (false, _, None) => Some(Patch::Empty),
            (false, _, Some(inner)) => Some(Patch::Elements {
                by: READING_TIME,
                each: BTreeMap::new(),
                others: Some(Box::new(below(inner, Patch::Empty))),
            }),
        };
        if let Some(change) = change {
            let place = list.split('.').fold(&mut patch, Patch::member);
            *place = change;
        }
    }
    patch.apply(Some(newest)).unwrap_or_else(|| newest.to_vec())
}

/// A patch under member names that are separated by dots.
fn below<'a>(path: &'a str, change: Patch<'a>) -> Patch<'a> {
    let mut whole = Patch::Members(BTreeMap::new());
    *path.split('.').fold(&mut whole, Patch::member) = change;
    whole
}

/// The samples of each reading of an older delivery, by the time of the reading.
fn readings<'a>(older: &'a [u8], list: &str, inner: &'a str) -> Patch<'a> {
    let list = json::at(older, list).unwrap_or_default();
    let elements = json::elements(list).unwrap_or_default().into_iter();
    let each = elements
        .filter_map(|range| {
            let reading = list.get(range)?;
            let time = json::member(reading, READING_TIME)?;
            let samples = json::at(reading, inner)?;
            json::is_filled_array(samples).then(|| (time, below(inner, Patch::Array(samples))))
        })
        .collect();
    Patch::Elements {
        by: READING_TIME,
        each,
        others: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::version::Version;

    fn score(value: Value) -> Score {
        Score {
            value,
            version: Version {
                ordering_ts_ms: 1,
                webhook_id: "w".to_owned(),
                index: 0,
            },
        }
    }

    fn scores(scores: Value) -> BTreeMap<String, Score> {
        let Value::Object(scores) = scores else {
            panic!("no object")
        };
        let scores = scores.into_iter();
        scores.map(|(name, value)| (name, score(value))).collect()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn whole(data_type: DataType, newest: &str, older: &[&str]) -> String {
        let streams: Vec<_> = older
            .iter()
            .map(|older| filled_streams(data_type, older.as_bytes()))
            .collect();
        let sampled: Vec<_> = older
            .iter()
            .zip(&streams)
            .map(|(older, streams)| Sampled {
                record: older.as_bytes(),
                streams,
            })
            .collect();
        text(compose(
            data_type,
            newest.as_bytes(),
            &sampled,
            &BTreeMap::new(),
            true,
        ))
    }

    fn bare(data_type: DataType, newest: &str) -> String {
        let none = BTreeMap::new();
        text(compose(data_type, newest.as_bytes(), &[], &none, false))
    }

    #[test]
    fn streams_come_from_the_newest_delivery_that_had_them_each() {
        let newest = r#"{ "x":1.10, "heart_rate_data": null, "movement_data": {"cadence_samples" : null , "speed_samples":[2.50]} }"#;
        let hr = r#"{"heart_rate_data":{"detailed":{"hr_samples":[{"bpm":60.0}],"hrv_samples_sdnn":[1]}},"movement_data":{"speed_samples":[9]}}"#;
        let cadence = r#"{"movement_data":{"cadence_samples":[8e1]},"power_data":{"power_samples":[7]},"heart_rate_data":{"detailed":{"hr_samples":[0]}}}"#;
        assert_eq!(
            whole(DataType::Activity, newest, &[hr, cadence]),
            r#"{ "x":1.10, "heart_rate_data": {"detailed":{"hr_samples":[{"bpm":60.0}],"hrv_samples_sdnn":[1]}}, "movement_data": {"cadence_samples" : [8e1] , "speed_samples":[2.50]},"power_data":{"power_samples":[7]} }"#
        );
    }

    #[test]
    fn content_is_never_taken_from_an_older_delivery() {
        let older = r#"{"measurements_data":{"measurements":[{"weight_kg":80}]},"heart_data":{"heart_rate_data":{"detailed":{"hr_samples":[1]}}}}"#;
        assert_eq!(
            whole(
                DataType::Body,
                r#"{"measurements_data":{"measurements":[]}}"#,
                &[older]
            ),
            r#"{"measurements_data":{"measurements":[]},"heart_data":{"heart_rate_data":{"detailed":{"hr_samples":[1]}}}}"#
        );
    }

    #[test]
    fn the_signal_of_a_reading_goes_to_the_reading_of_its_time() {
        let older = r#"{"heart_data":{"ecg_signal":[{"start_timestamp":"a","raw_signal":[1]},{"start_timestamp":"gone","raw_signal":[2]}]}}"#;
        let newest = r#"{"heart_data":{"ecg_signal":[{"start_timestamp":"b"},{"start_timestamp":"a","raw_signal":[]}]}}"#;
        assert_eq!(
            whole(DataType::Body, newest, &[older]),
            r#"{"heart_data":{"ecg_signal":[{"start_timestamp":"b"},{"start_timestamp":"a","raw_signal":[1]}]}}"#
        );
        assert_eq!(
            bare(DataType::Body, older),
            older.replace("[1]", "[]").replace("[2]", "[]")
        );
    }

    #[test]
    fn without_samples_only_streams_are_emptied() {
        let record = r#"{"lap_data":{"laps":[ {"a":1} ]},"power_data":{"power_samples":[ 1 ]},"movement_data":{"speed_samples":null}}"#;
        assert_eq!(
            bare(DataType::Activity, record),
            r#"{"lap_data":{"laps":[ {"a":1} ]},"power_data":{"power_samples":[]},"movement_data":{"speed_samples":null}}"#
        );
        let food = r#"{"meals":[{"id":"1"}],"drink_samples":[{"ml":1}]}"#;
        assert_eq!(bare(DataType::Nutrition, food), food);
    }

    #[test]
    fn scores_fill_what_is_absent_null_or_unreadable() {
        let enrichment = scores(
            json!({"sleep_score": 77, "readiness_score": 5, "contributors.deep": 4, "contributors.rem": 3, "bad": 6, "large": {"archived_bytes": 5000}}),
        );
        let composed = |newest: &str| {
            text(compose(
                DataType::Sleep,
                newest.as_bytes(),
                &[],
                &enrichment,
                true,
            ))
        };
        assert_eq!(
            composed(
                r#"{"data_enrichment":{"readiness_score":5.00,"sleep_score":null,"contributors":{"rem":3.0,"deep":null},"bad":1e999}}"#
            ),
            r#"{"data_enrichment":{"readiness_score":5.00,"sleep_score":77,"contributors":{"rem":3.0,"deep":4},"bad":6}}"#
        );
        let all =
            r#"{"bad":6,"contributors":{"deep":4,"rem":3},"readiness_score":5,"sleep_score":77}"#;
        assert_eq!(composed("{}"), format!(r#"{{"data_enrichment":{all}}}"#));
        assert_eq!(
            composed(r#"{"a":1,"data_enrichment":null}"#),
            format!(r#"{{"a":1,"data_enrichment":{all}}}"#)
        );
    }

    #[test]
    fn text_that_is_no_object_is_served_as_it_is() {
        for odd in ["", "[]", "null", "{\"a\":", "\u{fffd}"] {
            assert_eq!(bare(DataType::Daily, odd), odd);
            assert_eq!(
                whole(
                    DataType::Daily,
                    odd,
                    &[r#"{"stress_data":{"samples":[1]}}"#]
                ),
                odd
            );
        }
    }

    /// Objects with the names that lead to streams among their names.
    fn any_record() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "heart_data",
            "heart_rate_data",
            "detailed",
            "hr_samples",
            "ecg_signal",
            "raw_signal",
            "start_timestamp",
            "temperature_data",
            "skin_temperature_samples",
            "unknown \" \\ é",
            "data_enrichment",
            "measurements_data",
            "measurements",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a-z\\[\\]{}\", \\\\]{0,6}".prop_map(Value::from),
            Just(json!([])),
            Just(json!([{"bpm": 60}])),
        ];
        let value = leaf.prop_recursive(5, 40, 6, move |inner| {
            let members = prop::collection::btree_map(names.clone(), inner.clone(), 0..6);
            prop_oneof![
                3 => members.prop_map(|members| json!(members)),
                1 => prop::collection::vec(inner, 0..3).prop_map(Value::from),
            ]
        });
        value.prop_filter("an object", Value::is_object)
    }

    proptest! {
        #[test]
        fn a_composed_record_has_every_stream_and_loses_nothing(newest in any_record(), older in any_record()) {
            let data_type = DataType::Body;
            let (newest, older) = (newest.to_string(), older.to_string());
            let composed = whole(data_type, &newest, &[&older]);
            prop_assert!(serde_json::from_str::<Value>(&composed).is_ok(), "{}", composed);
            let streams = |text: &str| filled_streams(data_type, text.as_bytes());
            // A reading that the newest delivery does not have gets no signal back.
            let ecg = Stream::named(data_type, "ecg").unwrap();
            let mut expected: BTreeSet<_> = streams(&newest).union(&streams(&older)).copied().collect();
            let mut found = streams(&composed);
            expected.remove(&ecg);
            found.remove(&ecg);
            prop_assert_eq!(found, expected);
            prop_assert_eq!(whole(data_type, &composed, &[&older]), composed.clone());
            prop_assert_eq!(whole(data_type, &newest, &[]), newest);
            prop_assert!(streams(&bare(data_type, &composed)).is_empty());
        }

        #[test]
        fn any_bytes_are_composed_without_harm(newest in prop::collection::vec(any::<u8>(), 0..60), older in "[{}\\[\\]\":,a\\\\]{0,40}") {
            let streams: BTreeSet<_> = arrays(DataType::Body).iter().filter_map(|array| array.stream).collect();
            let sampled = [Sampled { record: older.as_bytes(), streams: &streams }];
            compose(DataType::Body, &newest, &sampled, &BTreeMap::new(), true);
            compose(DataType::Body, older.as_bytes(), &sampled, &scores(json!({"a": 1})), false);
        }
    }
}
