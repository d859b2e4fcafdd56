//! Arrays of Terra's records: sample streams, and lists that are content.
//!
//! Settings and requests decide whether a delivery carries samples; the measurement does not
//! (FACTS section 9, "Samples and supersets"). A *sample stream* that is absent or empty therefore
//! erases nothing. A list that is *content* (laps, measurements, meals) is part of the record: the
//! newest delivery decides, also when it brings an empty list.
//!
//! Terra publishes no list of what `with_samples=false` empties. The table of [`arrays`] follows
//! the names in Terra's schemas: what is sampled over time is a stream. A test holds the table to
//! the schemas.

use std::{collections::BTreeSet, fmt};

use models::data::DataType;

use crate::json;

/// An array of a data type's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array {
    /// Names of the members that lead to the array, separated by dots. `[]` stands for every
    /// element of a list.
    pub path: &'static str,
    /// The sample stream that the array is, or `None` for content.
    pub stream: Option<Stream>,
    /// Fields of the summary that the samples stand in for where Terra gave no number.
    pub derives: &'static [&'static str],
}

/// Name of a sample stream, unique within a data type: `hr`, `steps`.
///
/// Items of the table hold these names, so a name is never given to another stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(&'static str);

impl Stream {
    /// The stream of that name, or `None` where the data type has none.
    pub fn named(data_type: DataType, name: &str) -> Option<Self> {
        let mut streams = arrays(data_type).iter().filter_map(|array| array.stream);
        streams.find(|stream| stream.0 == name)
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const fn content(path: &'static str) -> Array {
    Array {
        path,
        stream: None,
        derives: &[],
    }
}

const fn samples(
    name: &'static str,
    path: &'static str,
    derives: &'static [&'static str],
) -> Array {
    Array {
        path,
        stream: Some(Stream(name)),
        derives,
    }
}

const ACTIVITY: &[Array] = &[
    samples("met", "MET_data.MET_samples", &[]),
    samples("tss", "TSS_data.TSS_samples", &["TSS_actual"]),
    samples(
        "activity_levels",
        "active_durations_data.activity_levels_samples",
        &[],
    ),
    samples("calories", "calories_data.calorie_samples", &[]),
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("distance", "distance_data.detailed.distance_samples", &[]),
    samples("elevation", "distance_data.detailed.elevation_samples", &[]),
    samples(
        "floors",
        "distance_data.detailed.floors_climbed_samples",
        &[],
    ),
    samples("steps", "distance_data.detailed.step_samples", &[]),
    samples("hr", "heart_rate_data.detailed.hr_samples", &["avg_hr_bpm"]),
    samples(
        "hrv_rmssd",
        "heart_rate_data.detailed.hrv_samples_rmssd",
        &["avg_hrv_rmssd"],
    ),
    samples(
        "hrv_sdnn",
        "heart_rate_data.detailed.hrv_samples_sdnn",
        &["avg_hrv_sdnn"],
    ),
    content("heart_rate_data.summary.hr_zone_data"),
    content("lap_data.laps"),
    samples("cadence", "movement_data.cadence_samples", &[]),
    samples("speed", "movement_data.speed_samples", &[]),
    samples("torque", "movement_data.torque_samples", &[]),
    samples(
        "saturation",
        "oxygen_data.saturation_samples",
        &["avg_saturation_percentage"],
    ),
    samples(
        "vo2",
        "oxygen_data.vo2_samples",
        &["vo2max_ml_per_min_per_kg"],
    ),
    content("position_data.center_pos_lat_lng_deg"),
    content("position_data.end_pos_lat_lng_deg"),
    samples("position", "position_data.position_samples", &[]),
    content("position_data.start_pos_lat_lng_deg"),
    samples(
        "power",
        "power_data.power_samples",
        &["avg_watts", "max_watts"],
    ),
];

const BODY: &[Array] = &[
    samples(
        "blood_pressure",
        "blood_pressure_data.blood_pressure_samples",
        &["diastolic_bp", "systolic_bp"],
    ),
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples(
        "glucose",
        "glucose_data.blood_glucose_samples",
        &["blood_glucose_mg_per_dL"],
    ),
    content("glucose_data.daily_patterns"),
    samples(
        "glucose_detailed",
        "glucose_data.detailed_blood_glucose_samples",
        &["detailed_blood_glucose_mg_per_dL"],
    ),
    samples("afib", "heart_data.afib_classification_samples", &[]),
    content("heart_data.ecg_signal"),
    samples("ecg", "heart_data.ecg_signal[].raw_signal", &[]),
    samples(
        "hr",
        "heart_data.heart_rate_data.detailed.hr_samples",
        &["avg_hr_bpm"],
    ),
    samples(
        "hrv_rmssd",
        "heart_data.heart_rate_data.detailed.hrv_samples_rmssd",
        &["avg_hrv_rmssd"],
    ),
    samples(
        "hrv_sdnn",
        "heart_data.heart_rate_data.detailed.hrv_samples_sdnn",
        &["avg_hrv_sdnn"],
    ),
    content("heart_data.heart_rate_data.summary.hr_zone_data"),
    samples("pulse_wave", "heart_data.pulse_wave_velocity_samples", &[]),
    samples("rr", "heart_data.rr_interval_samples", &[]),
    samples(
        "hydration",
        "hydration_data.hydration_amount_samples",
        &["hydration_kg"],
    ),
    samples(
        "ketone",
        "ketone_data.ketone_samples",
        &["ketone_mg_per_dL"],
    ),
    content("measurements_data.measurements"),
    samples(
        "saturation",
        "oxygen_data.saturation_samples",
        &["avg_saturation_percentage"],
    ),
    samples(
        "vo2",
        "oxygen_data.vo2_samples",
        &["vo2max_ml_per_min_per_kg"],
    ),
    samples(
        "ambient_temperature",
        "temperature_data.ambient_temperature_samples",
        &["ambient_temperature_celsius"],
    ),
    samples(
        "body_temperature",
        "temperature_data.body_temperature_samples",
        &["body_temperature_celsius"],
    ),
    samples(
        "skin_temperature",
        "temperature_data.skin_temperature_samples",
        &["skin_temperature_celsius"],
    ),
];

const DAILY: &[Array] = &[
    samples("met", "MET_data.MET_samples", &[]),
    samples(
        "activity_levels",
        "active_durations_data.activity_levels_samples",
        &[],
    ),
    samples("calories", "calories_data.calorie_samples", &[]),
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("distance", "distance_data.detailed.distance_samples", &[]),
    samples("elevation", "distance_data.detailed.elevation_samples", &[]),
    samples(
        "floors",
        "distance_data.detailed.floors_climbed_samples",
        &[],
    ),
    samples("steps", "distance_data.detailed.step_samples", &[]),
    samples("hr", "heart_rate_data.detailed.hr_samples", &["avg_hr_bpm"]),
    samples(
        "hrv_rmssd",
        "heart_rate_data.detailed.hrv_samples_rmssd",
        &["avg_hrv_rmssd"],
    ),
    samples(
        "hrv_sdnn",
        "heart_rate_data.detailed.hrv_samples_sdnn",
        &["avg_hrv_sdnn"],
    ),
    content("heart_rate_data.summary.hr_zone_data"),
    samples(
        "saturation",
        "oxygen_data.saturation_samples",
        &["avg_saturation_percentage"],
    ),
    samples(
        "vo2",
        "oxygen_data.vo2_samples",
        &["vo2max_ml_per_min_per_kg"],
    ),
    samples(
        "body_battery",
        "stress_data.body_battery_samples",
        &["body_battery_max", "body_battery_min"],
    ),
    samples("stress", "stress_data.samples", &[]),
    content("tag_data.tags"),
];

const MENSTRUATION: &[Array] = &[
    content("menstruation_data.intervals"),
    content("menstruation_data.menstruation_flow"),
];

const NUTRITION: &[Array] = &[content("drink_samples"), content("meals")];

const SLEEP: &[Array] = &[
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("hr", "heart_rate_data.detailed.hr_samples", &["avg_hr_bpm"]),
    samples(
        "hrv_rmssd",
        "heart_rate_data.detailed.hrv_samples_rmssd",
        &["avg_hrv_rmssd"],
    ),
    samples(
        "hrv_sdnn",
        "heart_rate_data.detailed.hrv_samples_sdnn",
        &["avg_hrv_sdnn"],
    ),
    content("heart_rate_data.summary.hr_zone_data"),
    samples("breaths", "respiration_data.breaths_data.samples", &[]),
    samples(
        "saturation",
        "respiration_data.oxygen_saturation_data.samples",
        &["avg_saturation_percentage"],
    ),
    samples("snoring", "respiration_data.snoring_data.samples", &[]),
    samples("hypnogram", "sleep_durations_data.hypnogram_samples", &[]),
];

const HEALTH_OBSERVATION: &[Array] = &[
    content("observation_data.codes"),
    content("observation_data.components"),
];

const PLANNED_WORKOUT: &[Array] = &[
    content("details.steps"),
    content("details.steps[].durations"),
    content("details.steps[].equipment_type"),
    content("details.steps[].steps"),
    content("details.steps[].targets"),
];

const LAB_REPORT: &[Array] = &[
    content("panels"),
    content("results"),
    content("results[].reference_ranges"),
    content("results[].reference_ranges[].context.modifiers"),
];

/// Every array of a data type's schema. An array inside a sample is part of its stream.
pub fn arrays(data_type: DataType) -> &'static [Array] {
    match data_type {
        DataType::Activity => ACTIVITY,
        DataType::Body => BODY,
        DataType::Daily => DAILY,
        DataType::Menstruation => MENSTRUATION,
        DataType::Nutrition => NUTRITION,
        DataType::Sleep => SLEEP,
        DataType::HealthObservation => HEALTH_OBSERVATION,
        DataType::PlannedWorkout => PLANNED_WORKOUT,
        DataType::LabReport => LAB_REPORT,
        DataType::Athlete | DataType::Hormone => &[],
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
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::{Path, PathBuf},
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::summary::summarise;

    /// Terra's directory, or `None` with a message where it is absent. On a build server it must
    /// be there.
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn terra() -> Option<PathBuf> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/terra");
        let terra = std::env::var_os("TERRARIUM_TERRA_DIR").map_or(default, PathBuf::from);
        if terra.is_dir() {
            return Some(terra);
        }
        assert!(std::env::var_os("CI").is_none(), "no Terra directory");
        eprintln!("skipped: no Terra directory; set TERRARIUM_TERRA_DIR");
        None
    }

    fn schema_of(data_type: DataType) -> &'static str {
        match data_type {
            DataType::Activity => "Activity",
            DataType::Athlete => "Athlete",
            DataType::Body => "Body",
            DataType::Daily => "Daily",
            DataType::Hormone => "HormoneSample",
            DataType::Menstruation => "Menstruation",
            DataType::Nutrition => "Nutrition",
            DataType::Sleep => "Sleep",
            DataType::HealthObservation => "HealthObservation",
            DataType::PlannedWorkout => "PlannedWorkout",
            DataType::LabReport => "LabReportEventData",
        }
    }

    struct Schemas {
        directory: PathBuf,
        read: BTreeMap<String, Value>,
    }

    impl Schemas {
        fn read(&mut self, file: &str) -> Value {
            let path = self.directory.join(file);
            let read = || serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            self.read
                .entry(file.to_owned())
                .or_insert_with(read)
                .clone()
        }

        fn arrays(
            &mut self,
            node: &Value,
            path: &str,
            within: &[String],
            out: &mut BTreeSet<String>,
        ) {
            if let Some(file) = node["$ref"]
                .as_str()
                .map(|to| to.split('#').next().unwrap())
            {
                // A schema inside itself (steps of steps) repeats what is listed already.
                if !file.is_empty() && !within.iter().any(|known| known == file) {
                    let within = [within, &[file.to_owned()]].concat();
                    let schema = self.read(file);
                    self.arrays(&schema, path, &within, out);
                }
                return;
            }
            for forms in ["anyOf", "oneOf", "allOf"] {
                for form in node[forms].as_array().into_iter().flatten() {
                    self.arrays(form, path, within, out);
                }
            }
            if let Some(items) = node.get("items") {
                out.insert(path.to_owned());
                self.arrays(items, &format!("{path}[]"), within, out);
            }
            for (name, property) in node["properties"].as_object().into_iter().flatten() {
                let dot = if path.is_empty() { "" } else { "." };
                self.arrays(property, &format!("{path}{dot}{name}"), within, out);
            }
        }
    }

    #[test]
    fn the_table_has_every_array_of_terras_schemas_and_no_other() {
        let Some(terra) = terra() else { return };
        let mut schemas = Schemas {
            directory: terra.join("openapi/schemas"),
            read: BTreeMap::new(),
        };
        for data_type in DataType::ALL {
            let file = format!("{}.yaml", schema_of(data_type));
            let schema = schemas.read(&file);
            let mut expected = BTreeSet::new();
            schemas.arrays(&schema, "", &[file], &mut expected);
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

    /// A record that holds nothing but the array at `path` of another one.
    fn only(path: &str, record: &Value) -> Value {
        match path.split_once('.') {
            Some((name, rest)) => match name.strip_suffix("[]") {
                Some(list) => json!({list: [only(rest, &record[list][0])]}),
                None => json!({name: only(rest, &record[name])}),
            },
            None => json!({path: record[path]}),
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
                if array.stream.is_some() && derived != array.derives.iter().collect() {
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
