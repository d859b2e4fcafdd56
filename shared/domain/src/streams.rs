//! Sample streams of a record, and what they tell.
//!
//! A *sample stream* that is absent or empty erases nothing, because a delivery may have been made
//! without samples. Of a list that is *content* the newest delivery decides, also when it brings an empty
//! list. A test holds the table of [`arrays`] to Terra's schemas.

use std::collections::BTreeSet;

use models::data::DataType;
pub use models::streams::{Array, Stream, arrays};

use crate::json;

/// Fields of the summary that the samples of a stream stand in for where Terra gave no number.
pub fn derives(stream: Stream) -> &'static [&'static str] {
    match stream.as_str() {
        "tss" => &["TSS_actual"],
        "hr" => &["avg_hr_bpm"],
        "hrv_rmssd" => &["avg_hrv_rmssd"],
        "hrv_sdnn" => &["avg_hrv_sdnn"],
        "saturation" => &["avg_saturation_percentage"],
        "vo2" => &["vo2max_ml_per_min_per_kg"],
        "power" => &["avg_watts", "max_watts"],
        "blood_pressure" => &["diastolic_bp", "systolic_bp"],
        "glucose" => &["blood_glucose_mg_per_dL"],
        "glucose_detailed" => &["detailed_blood_glucose_mg_per_dL"],
        "hydration" => &["hydration_kg"],
        "ketone" => &["ketone_mg_per_dL"],
        "ambient_temperature" => &["ambient_temperature_celsius"],
        "body_temperature" => &["body_temperature_celsius"],
        "skin_temperature" => &["skin_temperature_celsius"],
        "body_battery" => &["body_battery_max", "body_battery_min"],
        _ => &[],
    }
}

/// The streams of a record that hold at least one sample.
///
/// ```
/// use domain::streams::filled_streams;
/// use models::data::DataType;
///
/// let record = br#"{"lap_data":{"laps":[{}]},"power_data":{"power_samples":[{"watts":210}]}}"#;
/// let streams = filled_streams(DataType::Activity, record);
/// assert_eq!(streams.iter().map(|stream| stream.as_str()).collect::<Vec<_>>(), ["power"]);
/// ```
pub fn filled_streams(data_type: DataType, record: &[u8]) -> BTreeSet<Stream> {
    let streams = arrays(data_type).iter();
    let paths: Vec<(Stream, &str)> = streams
        .filter_map(|array| Some((array.stream?, array.path)))
        .collect();
    let mut filled = BTreeSet::new();
    if !paths.is_empty() {
        collect_filled(record, &paths, &mut filled);
    }
    filled
}

/// Looks for paths that start at `object`.
fn collect_filled(object: &[u8], paths: &[(Stream, &str)], filled: &mut BTreeSet<Stream>) {
    let members = json::members(object).unwrap_or_default();
    for (index, (name, range)) in members.iter().enumerate() {
        let inside: Vec<(Stream, &str)> = paths
            .iter()
            .filter_map(|(stream, path)| Some((*stream, path.strip_prefix(&**name)?)))
            .filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
            .collect();
        // Of equal names the last counts.
        let is_last = || {
            !members
                .iter()
                .skip(index + 1)
                .any(|(later, _)| later == name)
        };
        let Some(value) = object.get(range.clone()) else {
            continue;
        };
        if inside.is_empty() || !is_last() {
            continue;
        }
        let mut below = Vec::new();
        for (stream, rest) in inside {
            if rest.is_empty() {
                if json::is_filled_array(value) {
                    filled.insert(stream);
                }
            } else if let Some(rest) = rest.strip_prefix("[].") {
                for element in json::elements(value).unwrap_or_default() {
                    let element = value.get(element).unwrap_or_default();
                    collect_filled(element, &[(stream, rest)], filled);
                }
            } else if let Some(rest) = rest.strip_prefix('.') {
                below.push((stream, rest));
            }
        }
        if !below.is_empty() {
            collect_filled(value, &below, filled);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value;

    use super::*;
    use crate::{
        summary::summarise,
        terra_schemas::{Kind, Schemas, only},
    };

    #[test]
    fn the_table_has_every_array_of_terras_schemas_and_no_other() {
        let Some(mut schemas) = Schemas::open() else {
            return;
        };
        for data_type in DataType::ALL {
            let nodes = schemas.nodes(data_type);
            let arrays_of = nodes.iter().filter(|(_, kind)| **kind == Kind::Array);
            let mut expected: BTreeSet<String> = arrays_of.map(|(path, _)| path.clone()).collect();
            let table = arrays(data_type);
            let streams: Vec<_> = table
                .iter()
                .filter(|array| array.stream.is_some())
                .collect();
            expected.retain(|path| {
                let inside = |stream: &&&Array| path.starts_with(&format!("{}[]", stream.path));
                !streams.iter().any(|stream| inside(&stream))
            });
            let listed: BTreeSet<String> =
                table.iter().map(|array| array.path.to_owned()).collect();
            assert_eq!(listed, expected, "{data_type}");
            assert_eq!(listed.len(), table.len(), "{data_type}");
            let names: BTreeSet<_> = streams.iter().map(|array| array.stream).collect();
            assert_eq!(names.len(), streams.len(), "{data_type}");
        }
    }

    #[test]
    fn each_stream_is_found_and_derives_what_the_table_says() {
        let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/samples/every-field");
        let mut wrong = Vec::new();
        for data_type in DataType::ALL {
            let file = format!("{data_type}.json").replace('_', "-");
            let file = made.join(file);
            let Ok(event) = fs::read(file) else {
                assert!(arrays(data_type).iter().all(|array| array.stream.is_none()));
                continue;
            };
            // Without their kind, saturation samples count as those of blood.
            let event = String::from_utf8(event)
                .unwrap()
                .replace("\"type\"", "\"kind\"");
            let event: Value = serde_json::from_str(&event).unwrap();
            for array in arrays(data_type) {
                let record = only(array.path, &event["data"][0]).to_string();
                let within = format!("{}[]", array.path);
                let streams = arrays(data_type).iter();
                let expected: BTreeSet<Stream> = streams
                    .filter(|other| other.path == array.path || other.path.starts_with(&within))
                    .filter_map(|other| other.stream)
                    .collect();
                let filled = filled_streams(data_type, record.as_bytes());
                assert_eq!(filled, expected, "{data_type} {}", array.path);
                let found = summarise(data_type, record.as_bytes()).unwrap();
                let derived = found.from_samples.map(|summary| summary.to_map());
                let derived: Vec<_> = derived
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name)
                    .collect();
                let derived: BTreeSet<_> = derived.iter().collect();
                let Some(stream) = array.stream else { continue };
                if derived != derives(stream).iter().collect() {
                    wrong.push(format!("{data_type} {}: {derived:?}", array.path));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn content_is_no_stream_and_an_empty_stream_is_not_filled() {
        let filled = |data_type, record: &str| {
            let streams = filled_streams(data_type, record.as_bytes()).into_iter();
            streams.map(Stream::as_str).collect::<Vec<_>>()
        };
        let laps =
            r#"{"lap_data":{"laps":[{}]},"heart_rate_data":{"detailed":{"hr_samples":[ ]}}}"#;
        assert!(filled(DataType::Activity, laps).is_empty());
        let body = r#"{"measurements_data":{"measurements":[{}]},"heart_data":{"ecg_signal":[{},{"raw_signal":[]}]}}"#;
        assert!(filled(DataType::Body, body).is_empty());
        let ecg = r#"{"heart_data":{"ecg_signal":[{},{"raw_signal":[{}]}]}}"#;
        assert_eq!(filled(DataType::Body, ecg), ["ecg"]);
        let twice = r#"{"stress_data":{"samples":[1]},"stress_data":{"samples":null}}"#;
        assert!(filled(DataType::Daily, twice).is_empty());
        assert!(filled(DataType::Daily, r#"{"stress_data":"samples"}"#).is_empty());
    }
}
