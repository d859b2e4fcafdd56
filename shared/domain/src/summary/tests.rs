//! Tests of the summaries.

use std::{
    fs,
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::key::Identity;

/// Path of the samples' folder.
fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/samples")
}

/// The summaries of the records of one delivery.
fn summaries_of(file: &str) -> Vec<Found> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        kind: DataType,
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }

    let event = fs::read_to_string(samples().join(file)).unwrap();
    let event: Event<'_> = serde_json::from_str(&event).unwrap();
    let summarise = |record: &&RawValue| summarise(event.kind, record.get().as_bytes());
    event
        .data
        .iter()
        .map(|record| summarise(record).unwrap())
        .collect()
}

/// The first record's summaries, in a form to read.
fn shown(file: &str) -> String {
    let summaries = summaries_of(file);
    let first = summaries.first().unwrap();
    let json = |summary| serde_json::to_string_pretty(summary).unwrap();
    let from_samples = first
        .from_samples
        .as_ref()
        .map_or("nothing".to_owned(), json);
    let delivered = json(&first.delivered);
    let flags = format!(
        "samples: {}, retracted: {}",
        !first.streams.is_empty(),
        first.retracted
    );
    format!("delivered {delivered}\nfrom samples {from_samples}\n{flags}")
}

#[test]
fn core_with_averages_and_samples() {
    let shown = shown("data/body-core-small.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-07-01T00:00:00.000000+02:00",
      "end_time": "2026-07-02T00:00:00.000000+02:00",
      "timestamp_localization": 1,
      "body_temperature_celsius": 36.942,
      "skin_temperature_celsius": 33.958,
      "avg_hr_bpm": 70.2,
      "max_hr_bpm": 81,
      "min_hr_bpm": 66,
      "device_name": "CORE 2",
      "device_manufacturer": "greenTEG"
    }
    from samples nothing
    samples: true, retracted: false
    "#);
}

#[test]
fn core_with_averages_alone() {
    let shown = shown("data/body-core-summary-only.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-07-01T00:00:00.000000+02:00",
      "end_time": "2026-07-02T00:00:00.000000+02:00",
      "timestamp_localization": 1,
      "body_temperature_celsius": 36.985,
      "skin_temperature_celsius": 33.267,
      "avg_hr_bpm": 77.9,
      "max_hr_bpm": 148,
      "min_hr_bpm": 66,
      "device_name": "CORE 2",
      "device_manufacturer": "greenTEG"
    }
    from samples nothing
    samples: false, retracted: false
    "#);
}

#[test]
fn cronometer_sends_measurements_alone() {
    let shown = shown("data/body-cronometer-small.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-07-01T00:00:00.000000-05:00",
      "end_time": "2026-07-02T00:00:00.000000-05:00",
      "timestamp_localization": 1
    }
    from samples {
      "weight_kg": 72.4,
      "height_cm": 178,
      "bodyfat_percentage": 17.8
    }
    samples: false, retracted: false
    "#);
}

#[test]
fn cronometer_nutrition() {
    let shown = shown("data/nutrition-cronometer-small.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-07-01T00:00:00.000000-05:00",
      "end_time": "2026-07-02T00:00:00.000000-05:00",
      "timestamp_localization": 1,
      "meal_count": 2,
      "water_ml": 1900,
      "drink_ml": 480,
      "alcohol_g": 7.3,
      "calories": 2140.5,
      "carbohydrates_g": 3.73,
      "cholesterol_mg": 16.72,
      "fat_g": 16.73,
      "fiber_g": 15.03,
      "net_carbohydrates_g": 3.49,
      "protein_g": 121.2,
      "saturated_fat_g": 17.79,
      "sodium_mg": 0.79,
      "biotin_mg": 0.6645,
      "caffeine_mg": 4.8764,
      "calcium_mg": 3.1627,
      "chloride_mg": 1.1842,
      "chromium_mg": 8.2483,
      "copper_mg": 5.5956,
      "folate_mg": 2.2304,
      "folic_acid_mg": 0.1662,
      "iodine_mg": 2.1889,
      "iron_mg": 0.7294,
      "magnesium_mg": 8.5367,
      "manganese_mg": 7.5986,
      "molybdenum_mg": 2.0369,
      "niacin_mg": 4.7166,
      "pantothenic_acid_mg": 6.9019,
      "phosphorus_mg": 2.4143,
      "potassium_mg": 2.2742,
      "riboflavin_mg": 0.6303,
      "selenium_mg": 7.1112,
      "thiamin_mg": 8.9734,
      "vitamin_A_mg": 5.8596,
      "vitamin_B12_mg": 4.4359,
      "vitamin_B6_mg": 1.8848,
      "vitamin_C_mg": 5.5034,
      "vitamin_D_mg": 8.2911,
      "vitamin_D2_mg": 7.1428,
      "vitamin_D3_mg": 0.24,
      "vitamin_E_mg": 5.2305,
      "vitamin_K_mg": 3.8619,
      "zinc_mg": 6.0114,
      "cystine_g": 8.0441,
      "histidine_g": 4.4472,
      "isoleucine_g": 2.2931,
      "leucine_g": 4.631,
      "lysine_g": 4.7285,
      "methionine_g": 1.2004,
      "phenylalanine_g": 8.9477,
      "threonine_g": 7.5331,
      "tryptophan_g": 8.3156,
      "tyrosine_g": 4.9039,
      "valine_g": 3.8203,
      "monounsaturated_fat_g": 1.5124,
      "polyunsaturated_fat_g": 3.7274,
      "omega3_g": 2.3081,
      "omega6_g": 6.0316,
      "starch_g": 8.7357
    }
    from samples nothing
    samples: false, retracted: false
    "#);
}

#[test]
fn cronometer_activity() {
    let shown = shown("data/activity-cronometer-small.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-07-01T18:00:00.000000-05:00",
      "end_time": "2026-07-01T18:45:00.000000-05:00",
      "timestamp_localization": 1,
      "type": 1,
      "name": "Cycling, leisure",
      "upload_type": 2,
      "net_activity_calories": 310,
      "activity_seconds": 2700
    }
    from samples nothing
    samples: false, retracted: false
    "#);
}

#[test]
fn oura_sleep() {
    let shown = shown("data/sleep-oura-small.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-06-30T23:12:00.000000+03:00",
      "end_time": "2026-06-30T23:32:00.000000+03:00",
      "timestamp_localization": 1,
      "is_nap": false,
      "upload_type": 2,
      "duration_in_bed_seconds": 1200,
      "duration_asleep_state_seconds": 1080,
      "duration_deep_sleep_state_seconds": 240,
      "duration_light_sleep_state_seconds": 576,
      "duration_REM_sleep_state_seconds": 264,
      "duration_awake_state_seconds": 120,
      "sleep_efficiency": 0.91,
      "sleep_latency_seconds": 510,
      "num_wakeup_events": 3,
      "num_out_of_bed_events": 1,
      "num_REM_events": 4,
      "avg_hr_bpm": 52.1,
      "max_hr_bpm": 66,
      "min_hr_bpm": 46,
      "resting_hr_bpm": 48,
      "avg_hrv_rmssd": 61,
      "avg_breaths_per_min": 14.2,
      "max_breaths_per_min": 17,
      "min_breaths_per_min": 11.5,
      "avg_saturation_percentage": 96.8,
      "temperature_delta": -0.12,
      "readiness": 79,
      "recovery_level": 5,
      "score_sleep": 81,
      "device_name": "Oura Ring Gen3",
      "device_manufacturer": "Oura"
    }
    from samples nothing
    samples: true, retracted: false
    "#);
}

#[test]
fn libre_glucose() {
    let shown = shown("data/body-freestylelibre-small.json");
    assert_snapshot!(shown, @r#"
    delivered {
      "start_time": "2026-07-01T00:00:00.000000+02:00",
      "end_time": "2026-07-02T00:00:00.000000+02:00",
      "timestamp_localization": 1,
      "blood_glucose_mg_per_dL": 123.25,
      "gmi": 6.26,
      "time_in_range": 0.94,
      "sensor_usage": 4,
      "device_name": "FreeStyle Libre 3",
      "device_manufacturer": "Abbott"
    }
    from samples nothing
    samples: true, retracted: false
    "#);
}

#[test]
fn every_field_of_the_schema_finds_its_place() {
    let files = [
        "activity",
        "body",
        "daily",
        "health-observation",
        "hormone",
        "menstruation",
        "nutrition",
        "planned-workout",
        "sleep",
    ];
    for file in files {
        let records = summaries_of(&format!("every-field/{file}.json"));
        let Found {
            mut delivered,
            from_samples,
            ..
        } = records.first().unwrap().clone();
        if let Some(from_samples) = from_samples {
            delivered.filled_from(&from_samples);
        }
        let found: Vec<_> = delivered
            .fields()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let possible = Summary::field_names(delivered.data_type());
        let possible: Vec<_> = possible
            .iter()
            .copied()
            .filter(|name| !["stand_ins", "unknown_codes"].contains(name))
            .collect();
        assert_eq!(found, possible, "{file}");
    }
}

#[test]
fn the_newest_measurement_that_has_the_value_counts() {
    let record = br#"{"measurements_data":{"measurements":[
        {"measurement_time":"2026-07-01T20:00:00","weight_kg":73},
        {"measurement_time":"2026-07-01T21:00:00","height_cm":178},
        {"measurement_time":"2026-07-01T07:00:00","weight_kg":72},
        {"weight_kg":71}]}}"#;
    let summaries = summarise(DataType::Body, record).unwrap();
    let from_samples = summaries.from_samples.unwrap();
    assert_eq!(from_samples.get("weight_kg"), Some(Value::Number(73.0)));
    assert_eq!(from_samples.get("height_cm"), Some(Value::Number(178.0)));
    assert!(summaries.delivered.is_empty());
}

#[test]
fn samples_yield_to_what_terra_averaged() {
    let record = br#"{"temperature_data":{"day_avg_body_temperature_celsius":37,
        "body_temperature_samples":[{"temperature_celsius":36}],
        "skin_temperature_samples":[
            {"temperature_celsius":33},{"temperature_celsius":"34"}]}}"#;
    let Found {
        mut delivered,
        from_samples,
        ..
    } = summarise(DataType::Body, record).unwrap();
    let from_samples = from_samples.unwrap();
    assert_eq!(from_samples.get("body_temperature_celsius"), None);
    assert_eq!(
        from_samples.get("skin_temperature_celsius"),
        Some(Value::Number(33.5))
    );
    delivered.filled_from(&from_samples);
    assert_eq!(
        delivered.get("body_temperature_celsius"),
        Some(Value::Number(37.0))
    );
    assert_eq!(
        delivered.get("skin_temperature_celsius"),
        Some(Value::Number(33.5))
    );
}

#[test]
fn the_newest_measurement_is_the_latest_instant_not_the_latest_text() {
    let record = br#"{"measurements_data":{"measurements":[
        {"measurement_time":"2026-07-01T21:00:00-05:00","weight_kg":73},
        {"measurement_time":"2026-07-01T23:00:00+02:00","weight_kg":72},
        {"measurement_time":"2026-07-02T01:59:59","weight_kg":71},
        {"measurement_time":"later","weight_kg":70}]}}"#;
    let found = summarise(DataType::Body, record).unwrap();
    let weight = found.from_samples.unwrap().get("weight_kg");
    assert_eq!(weight, Some(Value::Number(73.0)));
}

#[test]
fn saturation_of_muscle_is_left_out() {
    let record = br#"{"oxygen_data":{"saturation_samples":[
        {"percentage":98,"type":0},{"percentage":60,"type":1},{"percentage":96}]}}"#;
    let summaries = summarise(DataType::Daily, record).unwrap();
    let mean = summaries
        .from_samples
        .unwrap()
        .get("avg_saturation_percentage");
    assert_eq!(mean, Some(Value::Number(97.0)));
}

#[test]
fn stand_ins_are_out_of_the_numbers_with_a_flag() {
    let shown = |data_type, record: &str| {
        let found = summarise(data_type, record.as_bytes()).unwrap();
        assert_eq!(found.from_samples, None);
        serde_json::to_string(&found.delivered).unwrap()
    };
    let night = r#"{"heart_rate_data":{"summary":{"resting_hr_bpm":255,"min_hr_bpm":44,
        "max_hr_bpm":-1}},"temperature_data":{"delta":-0.4}}"#;
    assert_snapshot!(shown(DataType::Sleep, night), @r#"{"min_hr_bpm":44,"temperature_delta":-0.4,"stand_ins":"max_hr_bpm,resting_hr_bpm"}"#);
    let day = r#"{"stress_data":{"avg_stress_level":-1},"distance_data":{"steps":-5,
        "distance_meters":2147483647,"elevation":{"min_meters":-12}},"metadata":{"upload_type":-1},
        "heart_rate_data":{"summary":{"min_hr_bpm":1.7976931348623157E308,
        "max_hr_bpm":4.9E-324,"avg_hr_bpm":71}}}"#;
    assert_snapshot!(shown(DataType::Daily, day), @r#"{"upload_type":-1,"elevation_min_meters":-12,"avg_hr_bpm":71,"stand_ins":"steps,distance_meters,max_hr_bpm,min_hr_bpm,avg_stress_level"}"#);
}

#[test]
fn samples_fill_a_stand_in_and_their_own_stand_ins_do_not_count() {
    let record = br#"{"heart_rate_data":{"summary":{"avg_hr_bpm":255},"detailed":{
        "hr_samples":[{"bpm":60},{"bpm":255},{"bpm":-1},{"bpm":62}],
        "hrv_samples_rmssd":[{"hrv_rmssd":40},{"hrv_rmssd":-1}]}},
        "power_data":{"power_samples":[{"watts":100},{"watts":300}]}}"#;
    let found = summarise(DataType::Activity, record).unwrap();
    assert_eq!(found.delivered.get("avg_hr_bpm"), None);
    assert_eq!(
        found.delivered.get("stand_ins"),
        Some(Value::Text("avg_hr_bpm".into()))
    );
    let from_samples = serde_json::to_string(&found.from_samples).unwrap();
    assert_snapshot!(from_samples, @r#"{"avg_hr_bpm":61,"avg_hrv_rmssd":40,"avg_watts":200,"max_watts":300}"#);
}

#[test]
fn words_that_no_schema_knows_stay_words() {
    let record = br#"{"metadata":{"type":"JUGGLING","upload_type":"ROBOT"}}"#;
    let found = summarise(DataType::Activity, record).unwrap();
    let json = serde_json::to_string(&found.delivered).unwrap();
    assert_snapshot!(json, @r#"{"unknown_codes":"type=JUGGLING,upload_type=ROBOT"}"#);
}

#[test]
fn lists_that_are_content_are_shown_as_far_as_they_fit() {
    let shown = |data_type, record: &str, name: &str| {
        let found = summarise(data_type, record.as_bytes()).unwrap();
        match found.delivered.get(name) {
            Some(Value::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    let report = r#"{"session_id":"1","results":[
        {"biomarker":{"key":"ferritin"},"measurement":{"numeric":30.5,"units":"ng/mL"}},
        {"source":{"name":"CRP"},"measurement":{"bounded":{"operator":"<","value":0.3}},
         "interpretation":{"flag":"low"}},7]}"#;
    assert_snapshot!(shown(DataType::LabReport, report, "results"), @r#"[{"key":"ferritin","numeric":30.5,"units":"ng/mL"},{"flag":"low","name":"CRP","numeric":0.3,"operator":"<"}]"#);
    let observation = r#"{"observation_data":{"components":[{"code":"systolic","value":{"quantity":120,"unit":"mmHg"}}]}}"#;
    assert_snapshot!(shown(DataType::HealthObservation, observation, "components"), @r#"[{"code":"systolic","quantity":120,"unit":"mmHg"}]"#);
    let cycle = r#"{"menstruation_data":{"menstruation_flow":[{"timestamp":"2026-07-01T08:00:00Z","flow":2},{"flow":"ODD"}]}}"#;
    assert_snapshot!(shown(DataType::Menstruation, cycle, "menstruation_flow"), @r#"[{"flow":2,"timestamp":"2026-07-01T08:00:00Z"},{"flow":"ODD"}]"#);
    let zones =
        r#"{"heart_rate_data":{"summary":{"hr_zone_data":[{"zone":1,"duration_seconds":600}]}}}"#;
    assert_snapshot!(shown(DataType::Daily, zones, "hr_zones"), @r#"[{"duration_seconds":600,"zone":1}]"#);

    let many: Vec<_> = (0..5_000)
        .map(|number| serde_json::json!({"biomarker": {"key": number.to_string()}}))
        .collect();
    let report = serde_json::json!({"session_id": "1", "results": many}).to_string();
    let listed = shown(DataType::LabReport, &report, "results");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), 64);
}

#[test]
fn deletions_and_errors_retract() {
    let retracted =
        |data_type, record: &str| summarise(data_type, record.as_bytes()).unwrap().retracted;
    for data_type in [DataType::Activity, DataType::Daily] {
        assert!(retracted(data_type, r#"{"metadata":{"upload_type":4}}"#));
        assert!(retracted(
            data_type,
            r#"{"metadata":{"upload_type":"DELETE"}}"#
        ));
        assert!(!retracted(data_type, r#"{"metadata":{"upload_type":3}}"#));
        assert!(!retracted(data_type, "{}"));
    }
    assert!(!retracted(
        DataType::Sleep,
        r#"{"metadata":{"upload_type":4}}"#
    ));
    let observation = |status: &str| {
        let record = format!(r#"{{"observation_data":{{"status":{status}}}}}"#);
        retracted(DataType::HealthObservation, &record)
    };
    assert!(observation("3"));
    assert!(!observation("2"));
    assert!(!observation("null"));
}

#[test]
fn a_profile_keeps_no_name() {
    let record = br#"{"first_name":"Ada","last_name":"L","email":"a@example.org","age":36,
        "date_of_birth":"1990-01-01","sex":"female","country":"CH","city":"Bern"}"#;
    let summaries = summarise(DataType::Athlete, record).unwrap();
    let json = serde_json::to_string(&summaries.delivered).unwrap();
    assert_snapshot!(json, @r#"{"age":36,"sex":"female","country":"CH"}"#);
}

#[test]
fn a_failed_laboratory_report_says_why() {
    let record = br#"{"session_id":"1","error":{"code":"file_unreadable","retriable":false}}"#;
    let summaries = summarise(DataType::LabReport, record).unwrap();
    let json = serde_json::to_string(&summaries.delivered).unwrap();
    assert_snapshot!(json, @r#"{"error_code":"file_unreadable","retriable":false}"#);
}

#[test]
fn scores_are_kept_whether_known_or_not() {
    let record = br#"{"data_enrichment":{"sleep_score":80,"readiness_score":null,"new":{"a":1}}}"#;
    let found = summarise(DataType::Sleep, record).unwrap();
    let names: Vec<_> = found.enrichment.keys().collect();
    assert_eq!(names, ["new.a", "sleep_score"]);
    let absent = summarise(DataType::Sleep, br#"{"data_enrichment":null}"#).unwrap();
    assert!(absent.enrichment.is_empty());
}

#[test]
fn a_record_tells_what_identifies_it() {
    let identity =
        |data_type, record: &str| summarise(data_type, record.as_bytes()).unwrap().identity;
    let activity = r#"{"metadata":{"summary_id":"","start_time":"2026-07-01","end_time":null}}"#;
    let expected = Identity {
        start_time: Some("2026-07-01".into()),
        ..Identity::default()
    };
    assert_eq!(identity(DataType::Activity, activity), expected);

    let best_first = [
        (r#"{"planned_workout_id":1,"provider_workout_id":"2"}"#, "1"),
        (
            r#"{"planned_workout_id":"","provider_workout_id":"2"}"#,
            "2",
        ),
        (
            r#"{"details":{"metadata":{"id":"3"}},"metadata":{"id":"4"}}"#,
            "3",
        ),
        (
            r#"{"details":{"metadata":{"name":"a"}},"metadata":{"id":"4"}}"#,
            "4",
        ),
        (r#"{"metadata":{"summary_id":"5"}}"#, "5"),
    ];
    for (record, id) in best_first {
        let found = identity(DataType::PlannedWorkout, record).planned_workout_id;
        assert_eq!(found.as_deref(), Some(id), "{record}");
    }
}

#[test]
fn malformed_json_is_an_error() {
    for data_type in DataType::ALL {
        assert!(summarise(data_type, b"{\"metadata\":{").is_err());
    }
}

/// Any JSON, with Terra's own keys among the keys. Numbers are short decimals, which JSON
/// carries exactly.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let keys = prop_oneof![
        "[a-z_]{0,8}",
        prop::sample::select(vec![
            "metadata",
            "start_time",
            "type",
            "upload_type",
            "heart_rate_data",
            "summary",
            "detailed",
            "hr_samples",
            "bpm",
            "avg_hr_bpm",
            "heart_data",
            "measurements_data",
            "measurements",
            "weight_kg",
            "measurement_time",
            "distance_data",
            "steps",
            "is_nap",
            "details",
            "observation_data",
            "value",
            "text",
            "boolean",
            "status",
            "meals",
            "macros",
            "micros",
            "age",
            "sex",
            "error",
            "retriable",
            "timestamp",
            "temperature_data",
            "body_temperature_samples",
            "temperature_celsius",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(|number| (f64::from(number) / 8.0).into()),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_summarised_and_summaries_read_back_the_same(record in any_json()) {
        let record = record.to_string();
        for data_type in DataType::ALL {
            let summaries = summarise(data_type, record.as_bytes()).unwrap();
            let delivered = summaries.delivered;
            let fields = delivered.fields();
            prop_assert_eq!(&Summary::from_fields(data_type, fields), &delivered);

            let json = serde_json::to_string(&delivered).unwrap();
            let fields: BTreeMap<String, Value> = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&Summary::from_fields(data_type, fields), &delivered);

            let mut filled = Summary::empty(data_type);
            filled.filled_from(&delivered);
            prop_assert_eq!(filled, delivered);
        }
    }
}
