//! Terra's data types, field by field.
//!
//! One module per data type, named after it; [`shared`] holds what several use, [`enums`] the
//! coded values. Field names are Terra's in lower case; on the wire they keep Terra's spelling.
//! Every field is optional, whatever the schema says, and unknown fields are skipped here and kept
//! in the record's own bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub mod activity;
pub mod athlete;
pub mod body;
pub mod daily;
pub mod enums;
pub mod health_observation;
pub mod hormone;
pub mod lab_report;
pub mod menstruation;
pub mod nutrition;
pub mod planned_workout;
pub mod shared;
pub mod sleep;

pub use activity::Activity;
pub use athlete::Athlete;
pub use body::Body;
pub use daily::Daily;
pub use health_observation::HealthObservation;
pub use hormone::HormoneSample;
pub use lab_report::LabReport;
pub use menstruation::Menstruation;
pub use nutrition::Nutrition;
pub use planned_workout::PlannedWorkout;
pub use sleep::Sleep;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// [`Activity`].
    Activity,
    /// [`Athlete`].
    Athlete,
    /// [`Body`].
    Body,
    /// [`Daily`].
    Daily,
    /// [`HormoneSample`].
    Hormone,
    /// [`Menstruation`].
    Menstruation,
    /// [`Nutrition`].
    Nutrition,
    /// [`Sleep`].
    Sleep,
    /// [`HealthObservation`].
    HealthObservation,
    /// [`PlannedWorkout`].
    PlannedWorkout,
    /// [`LabReport`], also of a document that could not be read.
    LabReport,
}

impl DataType {
    /// Every data type.
    pub const ALL: [Self; 11] = [
        Self::Activity,
        Self::Athlete,
        Self::Body,
        Self::Daily,
        Self::Hormone,
        Self::Menstruation,
        Self::Nutrition,
        Self::Sleep,
        Self::HealthObservation,
        Self::PlannedWorkout,
        Self::LabReport,
    ];

    /// Terra's spelling, as `health_observation`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Athlete => "athlete",
            Self::Body => "body",
            Self::Daily => "daily",
            Self::Hormone => "hormone",
            Self::Menstruation => "menstruation",
            Self::Nutrition => "nutrition",
            Self::Sleep => "sleep",
            Self::HealthObservation => "health_observation",
            Self::PlannedWorkout => "planned_workout",
            Self::LabReport => "lab_report",
        }
    }
}

/// The text names no data type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a data type of Terra")]
pub struct UnknownDataType;

impl FromStr for DataType {
    type Err = UnknownDataType;

    fn from_str(text: &str) -> Result<Self, UnknownDataType> {
        Self::ALL
            .into_iter()
            .find(|data_type| data_type.as_str() == text)
            .ok_or(UnknownDataType)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::lenient::List;

    /// The folder of the samples.
    fn samples() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
    }

    /// The records of an event, as JSON text, with the event's data type.
    fn records(path: &Path) -> (DataType, Vec<String>) {
        let event: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let event_type = event["type"].as_str().unwrap();
        let data_type = event_type.split('.').next().unwrap().parse().unwrap();
        let data = event.get("data").or_else(|| event.get("athlete")).unwrap();
        let records = match data {
            Value::Array(records) => records.iter().map(Value::to_string).collect(),
            record => vec![record.to_string()],
        };
        (data_type, records)
    }

    /// Parses one record and writes it again.
    fn rewrite(data_type: DataType, record: &str) -> serde_json::Result<String> {
        macro_rules! rewrite {
            ($kind:ident) => {{
                let record: $kind<'_> = serde_json::from_str(record)?;
                serde_json::to_string(&record)?
            }};
        }
        Ok(match data_type {
            DataType::Activity => rewrite!(Activity),
            DataType::Athlete => rewrite!(Athlete),
            DataType::Body => rewrite!(Body),
            DataType::Daily => rewrite!(Daily),
            DataType::Hormone => rewrite!(HormoneSample),
            DataType::Menstruation => rewrite!(Menstruation),
            DataType::Nutrition => rewrite!(Nutrition),
            DataType::Sleep => rewrite!(Sleep),
            DataType::HealthObservation => rewrite!(HealthObservation),
            DataType::PlannedWorkout => rewrite!(PlannedWorkout),
            DataType::LabReport => rewrite!(LabReport),
        })
    }

    /// Leaves nulls out and makes every number a float, outside arrays: what a rewrite keeps.
    fn plain(value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let present = map.into_iter().filter(|(_, value)| !value.is_null());
                present
                    .map(|(key, value)| (key, plain(value)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            Value::Number(number) => json!(number.as_f64()),
            other => other,
        }
    }

    fn rewritten_as_sent(folder: &str) {
        let samples = samples();
        for entry in fs::read_dir(samples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let (data_type, records) = records(&path);
            for record in records {
                let rewritten = rewrite(data_type, &record).unwrap();
                let rewritten: Value = serde_json::from_str(&rewritten).unwrap();
                let sent: Value = serde_json::from_str(&record).unwrap();
                assert_eq!(plain(rewritten), plain(sent), "{}", path.display());
            }
        }
    }

    #[test]
    fn every_field_is_known_and_spelt_as_terra_spells_it() {
        rewritten_as_sent("every-field");
        rewritten_as_sent("data");
    }

    #[test]
    fn null_is_absent_everywhere() {
        rewritten_as_sent("all-null");
    }

    /// The record of a file in `every-field`.
    fn every_field(file: &str) -> String {
        let path = samples().join("every-field").join(file);
        records(&path).1.into_iter().next().unwrap()
    }

    /// Every element of the array is written as it was sent.
    fn elements_rewritten_as_sent<'a, T>(list: &List<'a, T>)
    where
        T: Deserialize<'a> + Default + Serialize,
    {
        let sent: Vec<Value> = serde_json::from_str(list.raw().unwrap()).unwrap();
        let rewritten: Vec<Value> = list
            .parse()
            .iter()
            .map(|element| serde_json::to_value(element).unwrap())
            .collect();
        let plain = |elements: Vec<Value>| elements.into_iter().map(plain).collect::<Vec<_>>();
        assert_eq!(plain(rewritten), plain(sent));
    }

    macro_rules! check {
        ($($list:expr),* $(,)?) => { $(elements_rewritten_as_sent(&$list);)* };
    }
    macro_rules! open {
        ($object:ident $(. $field:ident)*) => { $object$(.$field.as_ref().unwrap())* };
    }

    #[test]
    fn every_field_of_activity_samples_is_known() {
        let record = every_field("activity.json");
        let activity: Activity<'_> = serde_json::from_str(&record).unwrap();
        check!(open!(activity.active_durations_data).activity_levels_samples);
        check!(open!(activity.calories_data).calorie_samples);
        check!(open!(activity.device_data).other_devices);
        let distance = open!(activity.distance_data.detailed);
        check!(distance.distance_samples, distance.elevation_samples);
        check!(distance.floors_climbed_samples, distance.step_samples);
        let heart = open!(activity.heart_rate_data.detailed);
        check!(
            heart.hr_samples,
            heart.hrv_samples_rmssd,
            heart.hrv_samples_sdnn
        );
        check!(open!(activity.heart_rate_data.summary).hr_zone_data);
        check!(open!(activity.lap_data).laps);
        check!(open!(activity.met_data).met_samples);
        let movement = open!(activity.movement_data);
        check!(
            movement.cadence_samples,
            movement.speed_samples,
            movement.torque_samples
        );
        let oxygen = open!(activity.oxygen_data);
        check!(oxygen.saturation_samples, oxygen.vo2_samples);
        check!(open!(activity.position_data).position_samples);
        check!(open!(activity.power_data).power_samples);
        check!(open!(activity.tss_data).tss_samples);
    }

    #[test]
    fn every_field_of_body_samples_is_known() {
        let record = every_field("body.json");
        let body: Body<'_> = serde_json::from_str(&record).unwrap();
        check!(open!(body.blood_pressure_data).blood_pressure_samples);
        let glucose = open!(body.glucose_data);
        check!(glucose.blood_glucose_samples, glucose.daily_patterns);
        let heart = open!(body.heart_data);
        check!(heart.afib_classification_samples, heart.ecg_signal);
        check!(heart.ecg_signal.parse()[0].raw_signal);
        check!(heart.pulse_wave_velocity_samples, heart.rr_interval_samples);
        check!(open!(body.hydration_data).hydration_amount_samples);
        check!(open!(body.ketone_data).ketone_samples);
        check!(open!(body.measurements_data).measurements);
        check!(open!(body.temperature_data).body_temperature_samples);
    }

    #[test]
    fn every_field_of_daily_and_sleep_samples_is_known() {
        let record = every_field("daily.json");
        let daily: Daily<'_> = serde_json::from_str(&record).unwrap();
        let stress = open!(daily.stress_data);
        check!(
            stress.samples,
            stress.body_battery_samples,
            open!(daily.tag_data).tags
        );

        let record = every_field("sleep.json");
        let sleep: Sleep<'_> = serde_json::from_str(&record).unwrap();
        check!(open!(sleep.respiration_data.breaths_data).samples);
        check!(open!(sleep.respiration_data.oxygen_saturation_data).samples);
        check!(open!(sleep.respiration_data.snoring_data).samples);
        check!(open!(sleep.sleep_durations_data).hypnogram_samples);
    }

    #[test]
    fn every_field_of_listed_content_is_known() {
        let record = every_field("menstruation.json");
        let menstruation: Menstruation<'_> = serde_json::from_str(&record).unwrap();
        let cycle = open!(menstruation.menstruation_data);
        check!(cycle.menstruation_flow, cycle.intervals);

        let record = every_field("nutrition.json");
        let nutrition: Nutrition<'_> = serde_json::from_str(&record).unwrap();
        check!(nutrition.drink_samples, nutrition.meals);

        let record = every_field("health-observation.json");
        let observation: HealthObservation<'_> = serde_json::from_str(&record).unwrap();
        let observed = open!(observation.observation_data);
        check!(observed.codes, observed.components);

        let record = every_field("planned-workout.json");
        let workout: PlannedWorkout<'_> = serde_json::from_str(&record).unwrap();
        let steps = open!(workout.details).steps;
        let step = steps.parse().swap_remove(0);
        check!(steps, step.durations, step.targets, step.steps);

        let record = every_field("lab-report-completed.json");
        let report: LabReport<'_> = serde_json::from_str(&record).unwrap();
        check!(
            report.results,
            report.panels,
            report.results.parse()[0].reference_ranges
        );
    }

    #[test]
    fn numbers_as_text_are_numbers() {
        let samples = samples();
        let (_, records) = records(&samples.join("odd/numeric-strings.json"));
        let body: Body<'_> = serde_json::from_str(&records[0]).unwrap();
        let readings = body
            .blood_pressure_data
            .as_ref()
            .unwrap()
            .blood_pressure_samples
            .parse();
        assert_eq!(readings[0].systolic_bp.get(), Some(121.0));
    }

    #[test]
    fn codes_as_words_are_codes() {
        let samples = samples();
        let (_, records) = records(&samples.join("odd/enum-strings.json"));
        let activity: Activity<'_> = serde_json::from_str(&records[0]).unwrap();
        let metadata = activity.metadata.as_ref().unwrap();
        assert_eq!(metadata.kind.known(), Some(enums::ActivityType::Running));
        assert_eq!(
            metadata.upload_type.known(),
            Some(enums::UploadType::Automatic)
        );
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let record = r#"{"age":30,"age":null,"sex":"a","age":31,"unknown":{"age":1}}"#;
        let athlete: Athlete<'_> = serde_json::from_str(record).unwrap();
        assert_eq!(athlete.age.get(), Some(31.0));
    }

    #[test]
    fn a_former_name_fills_in_but_does_not_overwrite() {
        let record =
            r#"[{"afib_classfication":2},{"afib_classification":1,"afib_classfication":2}]"#;
        let readings: Vec<body::EcgReading<'_>> = serde_json::from_str(record).unwrap();
        assert_eq!(readings[0].afib_classification.number(), Some(2));
        assert_eq!(readings[1].afib_classification.number(), Some(1));
    }

    #[test]
    fn broken_surrogates_and_huge_numbers_do_no_harm() {
        let record = r#"{"bio":"\ud83d","\ud83d":1,"age":1e999,"city":"Bern"}"#;
        let athlete: Athlete<'_> = serde_json::from_str(record).unwrap();
        assert_eq!(
            (athlete.city.get(), athlete.age.get()),
            (Some("Bern"), None)
        );
    }

    #[test]
    fn only_malformed_json_is_an_error() {
        for data_type in DataType::ALL {
            assert!(
                rewrite(data_type, r#"{"metadata":{"#).is_err(),
                "{data_type}"
            );
        }
    }

    #[test]
    fn data_types_are_spelt_the_same_everywhere() {
        for data_type in DataType::ALL {
            assert_eq!(data_type.as_str().parse(), Ok(data_type));
            assert_eq!(
                serde_json::to_value(data_type).unwrap(),
                json!(data_type.as_str())
            );
        }
    }

    /// Any JSON, with Terra's own keys among the keys.
    fn any_json() -> impl Strategy<Value = Value> {
        let keys = prop_oneof![
            "[a-z_]{0,8}",
            prop::sample::select(vec![
                "metadata",
                "start_time",
                "type",
                "heart_rate_data",
                "summary",
                "detailed",
                "steps",
                "hr_samples",
                "heart_data",
                "measurements_data",
                "measurements",
                "distance_data",
                "data_enrichment",
                "is_nap",
                "details",
                "observation_data",
                "value",
                "meals",
                "results",
                "age",
                "temperature_data",
                "body_temperature_samples",
                "macros",
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(keys.clone(), inner, 0..8)
                    .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_and_what_is_written_reads_the_same(value in any_json()) {
            let text = value.to_string();
            for data_type in DataType::ALL {
                let first = rewrite(data_type, &text).unwrap();
                let second = rewrite(data_type, &first).unwrap();
                prop_assert_eq!(&first, &second);
            }
        }
    }
}
