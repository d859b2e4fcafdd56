//! FHIR bundles of every record.

use std::{collections::BTreeSet, fs};

use formats::fhir::{self, BundleKind, BundleText, Input, NO_SERVER, Options, Person, Resource};
use models::data::DataType;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use simulator::{Provider, Size};

use crate::records::{Sample, empty_folder, samples, simulated};

fn person() -> Person {
    Person::with_reference_id("person-0001@example.org")
}

fn resources(sample: &Sample, options: Options) -> Vec<Resource> {
    let record = sample.text();
    let input = Input {
        data_type: sample.data_type,
        owner: "connection-1",
        key: &sample.name,
        provider: Some(&sample.provider),
        retracted: false,
        record: &record,
    };
    fhir::resources(&input, &person(), options).unwrap()
}

/// Every record of the samples, and some of each provider of the simulator.
fn all() -> Vec<Sample> {
    let mut all = samples();
    all.extend(simulated(&Provider::ALL, 2, Size::Ordinary));
    all
}

fn exported(data_type: DataType, provider: &str, record: Value) -> Vec<Value> {
    let sample = Sample {
        name: "key-1".to_owned(),
        provider: provider.to_owned(),
        data_type,
        record,
    };
    resources(&sample, Options::default())
        .iter()
        .map(|resource| serde_json::to_value(resource).unwrap())
        .collect()
}

fn with_code<'r>(resources: &'r [Value], code: &str) -> Vec<&'r Value> {
    let has = |resource: &&Value| {
        let codings = resource["code"]["coding"].as_array();
        codings.is_some_and(|codings| codings.iter().any(|coding| coding["code"] == code))
    };
    resources.iter().filter(has).collect()
}

#[test]
fn every_record_makes_resources_with_an_id_each() {
    let mut empty = BTreeSet::new();
    for sample in all() {
        let resources = resources(&sample, Options::default());
        let ids: BTreeSet<_> = resources
            .iter()
            .map(|resource| (resource.kind(), resource.id()))
            .collect();
        assert_eq!(ids.len(), resources.len(), "{}", sample.name);
        assert_eq!(resources, self::resources(&sample, Options::default()));
        let observed = resources.iter().any(|made| made.kind() == "Observation");
        if !observed && sample.name.starts_with("every-field") {
            empty.insert(sample.data_type.as_str());
        }
    }
    let nothing_observed = BTreeSet::from(["athlete", "planned_workout"]);
    assert_eq!(empty, nothing_observed);
}

#[test]
fn a_newer_delivery_of_a_record_has_the_ids_of_the_older() {
    let steps = |steps: u32| {
        json!({
            "metadata": {"start_time": "2026-07-01T00:00:00+02:00", "end_time": "2026-07-02T00:00:00+02:00"},
            "distance_data": {"steps": steps},
        })
    };
    let (older, newer) = (
        exported(DataType::Daily, "GARMIN", steps(100)),
        exported(DataType::Daily, "GARMIN", steps(9_120)),
    );
    assert_eq!(older[0]["id"], newer[0]["id"]);
    assert_eq!(newer[0]["valueQuantity"]["value"], 9_120);
    assert_eq!(newer[0]["code"]["coding"][0]["code"], "41950-7");
    assert_eq!(
        newer[0]["effectivePeriod"],
        json!({"start": "2026-07-01T00:00:00+02:00", "end": "2026-07-02T00:00:00+02:00"})
    );
}

#[test]
fn a_daily_total_has_no_code_of_a_workout_and_a_workout_none_of_a_day() {
    let of_day = ["41950-7", "41953-1", "41979-6", "8873-2"];
    let of_workout = ["55423-8", "55430-3", "41981-2", "55426-1"];
    for sample in all() {
        let wrong = match sample.data_type {
            DataType::Daily => of_workout,
            DataType::Activity => of_day,
            _ => continue,
        };
        let made = exported(sample.data_type, &sample.provider, sample.record.clone());
        for code in wrong {
            assert!(with_code(&made, code).is_empty(), "{}", sample.name);
        }
    }
}

#[test]
fn a_blood_pressure_with_one_half_says_that_the_other_is_unknown() {
    let record = json!({
        "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
        "blood_pressure_data": {"blood_pressure_samples": [
            {"timestamp": "2026-07-01T09:00:00.000000+02:00", "systolic_bp": "121"},
            {"timestamp": "2026-07-01T10:00:00.000000+02:00"},
        ]},
    });
    let made = exported(DataType::Body, "OMRON", record);
    let pressures = with_code(&made, "85354-9");
    insta::assert_json_snapshot!(pressures);
}

/// Readings of one time, and of none, that differ, and one that comes twice.
#[test]
fn readings_of_one_time_are_told_apart_and_keep_their_ids() {
    let pressure = |time: Option<&str>, systolic: u8| json!({"timestamp": time, "systolic_bp": systolic, "diastolic_bp": 80});
    let at = Some("2026-07-01T09:00:00+02:00");
    let of = |pressures: &[Value]| {
        let record = json!({
            "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
            "blood_pressure_data": {"blood_pressure_samples": pressures},
            "ketone_data": {"ketone_samples": [
                {"timestamp": at, "ketone_mg_per_dL": 9}, {"timestamp": at, "ketone_mg_per_dL": 10},
            ]},
        });
        exported(DataType::Body, "OMRON", record)
    };
    let all = [
        pressure(at, 120),
        pressure(None, 121),
        pressure(at, 122),
        pressure(None, 123),
        pressure(at, 120),
    ];
    let made = of(&all);
    let ids: BTreeSet<_> = made.iter().map(|made| made["id"].to_string()).collect();
    assert_eq!((ids.len(), made.len()), (6, 6));
    let systolic = |made: &Value| made["component"][0]["valueQuantity"]["value"].clone();
    let read: Vec<_> = made[..4].iter().map(systolic).collect();
    assert_eq!(read, [120, 121, 122, 123]);
    let first = of(&all[..2]);
    assert_eq!(
        (&first[0]["id"], &first[1]["id"]),
        (&made[0]["id"], &made[1]["id"])
    );
    assert_eq!(of(&all), made);
}

#[test]
fn core_temperature_has_both_codes_and_the_temperature_of_others_one() {
    let record = json!({
        "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
        "temperature_data": {"day_avg_body_temperature_celsius": 37.1},
    });
    for (provider, codes) in [("CORE", 1), ("WITHINGS", 0)] {
        let made = exported(DataType::Body, provider, record.clone());
        assert_eq!(with_code(&made, "8310-5").len(), 1);
        assert_eq!(with_code(&made, "8329-5").len(), codes, "{provider}");
    }
}

#[test]
fn glucose_of_a_sensor_is_no_glucose_of_blood() {
    let record = json!({
        "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
        "glucose_data": {"blood_glucose_samples": [
            {"timestamp": "2026-07-01T09:00:00.000000+02:00", "blood_glucose_mg_per_dL": 95},
            {"timestamp": "2026-07-01T09:15:00.000000+02:00", "blood_glucose_mg_per_dL": 97.5},
            {"timestamp": "2026-07-01T09:45:00.000000+02:00", "blood_glucose_mg_per_dL": 99},
        ]},
    });
    let sensor = exported(DataType::Body, "FREESTYLELIBRE", record.clone());
    let series = with_code(&sensor, "99504-3");
    assert_eq!(series[0]["valueSampledData"]["data"], "95 97.5 E 99");
    assert_eq!(series[0]["valueSampledData"]["period"], 900_000);
    assert!(with_code(&sensor, "2339-0").is_empty());
    let meter = exported(DataType::Body, "APPLE", record);
    assert_eq!(with_code(&meter, "2339-0").len(), 1);
}

#[test]
fn stages_without_a_total_are_components_of_a_session_without_value() {
    let record = json!({
        "metadata": {"start_time": "2026-07-01T23:00:00+02:00", "end_time": "2026-07-02T07:00:00+02:00"},
        "sleep_durations_data": {
            "asleep": {"duration_asleep_state_seconds": null, "duration_deep_sleep_state_seconds": 5400},
        },
        "heart_rate_data": {"summary": {"min_hr_bpm": 255, "resting_hr_bpm": 255, "avg_hr_bpm": 51}},
    });
    let made = exported(DataType::Sleep, "WHOOP", record);
    let session = with_code(&made, "93832-4");
    assert_eq!(session[0].get("valueQuantity"), None);
    assert_eq!(session[0]["component"][0]["valueQuantity"]["value"], 90);
    assert_eq!(with_code(&made, "8867-4").len(), 1);
    assert!(
        with_code(&made, "40443-4").is_empty(),
        "255 is no heart rate"
    );
}

#[test]
fn numbers_that_stand_for_none_are_no_measurements() {
    let sample = |second: u8, bpm: i32| json!({"timestamp": format!("2026-07-01T09:00:{second:02}Z"), "bpm": bpm});
    let record = json!({
        "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
        "distance_data": {"steps": -5, "distance_meters": 2_147_483_647, "floors_climbed": 3},
        "stress_data": {"avg_stress_level": -1},
        "heart_rate_data": {
            "summary": {"avg_hr_bpm": 255, "max_hr_bpm": 181},
            "detailed": {"hr_samples": [sample(0, 60), sample(1, 255), sample(2, -1), sample(3, 61), sample(4, 0)]},
        },
    });
    let made = exported(DataType::Daily, "GARMIN", record);
    let values: Vec<_> = made
        .iter()
        .map(|made| &made["valueQuantity"]["value"])
        .collect();
    assert_eq!(values, [&json!(3), &json!(181), &Value::Null]);
    assert_eq!(made[2]["valueSampledData"]["data"], "60 61");
    assert_eq!(made[2]["valueSampledData"]["period"], 3_000);
}

#[test]
fn a_blood_pressure_of_stand_ins_is_none() {
    let record = json!({
        "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
        "blood_pressure_data": {"blood_pressure_samples": [
            {"timestamp": "2026-07-01T09:00:00+02:00", "systolic_bp": -1, "diastolic_bp": 2_147_483_647},
        ], "day_avg_systolic_bp": -1},
        "ketone_data": {"ketone_samples": [{"timestamp": "2026-07-01T09:00:00+02:00", "ketone_mg_per_dL": -1}]},
    });
    assert_eq!(
        exported(DataType::Body, "OMRON", record),
        Vec::<Value>::new()
    );
}

#[test]
fn the_panel_of_a_workout_names_all_its_results() {
    let samples = samples();
    let garmin = samples
        .iter()
        .find(|sample| sample.name.contains("activity-garmin-samples"))
        .unwrap();
    let made = exported(DataType::Activity, "GARMIN", garmin.record.clone());
    let panel = with_code(&made, "PAPanel");
    let members = panel[0]["hasMember"].as_array().unwrap();
    let named: BTreeSet<_> = members
        .iter()
        .map(|member| member["reference"].as_str().unwrap().to_owned())
        .collect();
    let others = made
        .iter()
        .filter(|made| made["resourceType"] == "Observation" && made["id"] != panel[0]["id"]);
    let others: BTreeSet<_> = others
        .map(|made| format!("Observation/{}", made["id"].as_str().unwrap()))
        .collect();
    assert!(others.len() > 20, "{}", others.len());
    assert_eq!(named, others);
}

#[test]
fn what_the_vendor_took_back_is_entered_in_error() {
    let workout = json!({
        "metadata": {"start_time": "2026-07-01T10:00:00Z", "upload_type": 4, "type": 8},
    });
    for made in exported(DataType::Activity, "GARMIN", workout) {
        assert_eq!(made["status"], "entered-in-error");
    }
    let observation = json!({
        "metadata": {"start_time": "2026-07-01T10:00:00Z"},
        "observation_data": {"observation_type": "headache", "status": 3},
    });
    let made = exported(DataType::HealthObservation, "APPLE", observation);
    assert_eq!(made[0]["status"], "entered-in-error");
    assert_eq!(made[0]["code"]["coding"][0]["code"], "headache");
}

#[test]
fn codes_of_snomed_are_there_only_when_asked_for() {
    let samples = samples();
    let food = samples
        .iter()
        .find(|sample| sample.name == "every-field_nutrition-0")
        .unwrap();
    let with = |snomed| {
        let resources = resources(food, Options { snomed });
        let bundle = fhir::bundle(BundleKind::Collection, &resources, NO_SERVER);
        String::from_utf8(bundle).unwrap()
    };
    assert!(!with(false).contains("http://snomed.info/sct"));
    assert!(with(true).contains("788472008"));
}

#[test]
fn a_transaction_puts_each_resource_at_its_id_and_a_collection_asks_for_nothing() {
    let steps = json!({
        "metadata": {"start_time": "2026-07-01T00:00:00"},
        "distance_data": {"steps": 1},
        "device_data": {"name": "Forerunner 965", "manufacturer": "Garmin", "serial_number": ""},
    });
    let sample = Sample {
        name: "2026-07-01".to_owned(),
        provider: "GARMIN".to_owned(),
        data_type: DataType::Daily,
        record: steps,
    };
    // Two records name one device.
    let resources = [
        resources(&sample, Options::default()),
        resources(&sample, Options::default()),
    ]
    .concat();
    let read = |kind| {
        let bundle = fhir::bundle(kind, &resources, "https://fhir.example.org/r4/");
        serde_json::from_slice::<Value>(&bundle).unwrap()
    };
    insta::assert_json_snapshot!(read(BundleKind::Transaction));
    let collection = read(BundleKind::Collection);
    assert_eq!(collection["type"], "collection");
    assert_eq!(collection["entry"][0].get("request"), None);
}

/// Times of samples: some, a bad one, and none.
fn time() -> impl Strategy<Value = Value> {
    select(vec![
        json!("2026-07-01T09:00:00+02:00"),
        json!("2026-07-01T09:00:01+02:00"),
        json!("2026-07-01T09:00:00"),
        json!("soon"),
        json!(""),
        json!("0"),
        Value::Null,
    ])
}

/// Samples with few times and few values, so that many are alike.
fn alike() -> impl Strategy<Value = Value> {
    let sample = (time(), 0..3).prop_map(|(time, value)| {
        json!({
            "timestamp": time, "measurement_time": time, "start_timestamp": time,
            "systolic_bp": 120 + value, "diastolic_bp": 80, "ketone_mg_per_dL": value,
            "weight_kg": 70 + value, "user_notes": format!("{value}"), "afib_classification": value,
            "avg_hr_bpm": 60 + value, "raw_signal": [{"timestamp": time, "potential_uV": value}],
            "id": value, "name": format!("{value}"), "macros": {"calories": value},
            "drink_name": format!("{value}"), "phase": value, "flow": value, "tag_name": format!("{value}"),
            "method": "TRIMP", "actual": value, "key": value,
            "biomarker": {"key": format!("{value}"), "panel_id": value},
            "measurement": {"type": "numeric", "numeric": value},
        })
    });
    prop::collection::vec(sample, 0..8).prop_map(Value::from)
}

/// A record of any type whose lists hold samples that are alike.
fn crowded() -> impl Strategy<Value = (DataType, Value)> {
    let types = select(DataType::ALL.to_vec());
    (types, alike(), alike(), alike()).prop_map(|(data_type, some, others, more)| {
        let record = json!({
            "metadata": {"start_time": "2026-07-01T00:00:00+02:00"},
            "device_data": {"name": "Forerunner 965"},
            "measurements_data": {"measurements": some},
            "blood_pressure_data": {"blood_pressure_samples": others},
            "ketone_data": {"ketone_samples": more},
            "heart_data": {"afib_classification_samples": some, "ecg_signal": others},
            "meals": some, "drink_samples": others,
            "menstruation_data": {"intervals": some, "menstruation_flow": others},
            "tag_data": {"tags": some}, "TSS_data": {"TSS_samples": some},
            "results": some, "panels": others,
        });
        (data_type, record)
    })
}

proptest! {
    #[test]
    fn no_bundle_of_any_record_has_two_entries_with_one_address((data_type, record) in crowded()) {
        let sample = Sample {
            name: "key-1".to_owned(),
            provider: "DEXCOM".to_owned(),
            data_type,
            record,
        };
        let resources = resources(&sample, Options::default());
        let mut text = Vec::new();
        let mut bundle = BundleText::new(BundleKind::Collection, NO_SERVER);
        bundle.add(&resources, &mut text);
        bundle.end(&mut text);
        let bundle: Value = serde_json::from_slice(&text).unwrap();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let addresses: BTreeSet<_> = entries.iter().map(|entry| entry["fullUrl"].to_string()).collect();
        prop_assert_eq!(addresses.len(), entries.len());
        prop_assert_eq!(entries.len(), resources.len());

        let references = entries.iter().flat_map(|entry| {
            let members = entry["resource"]["hasMember"].as_array().cloned();
            members.unwrap_or_default()
        });
        for member in references {
            let address = json!(format!("{NO_SERVER}/{}", member["reference"].as_str().unwrap()));
            prop_assert!(addresses.contains(&address.to_string()), "{}", address);
        }
        if data_type == DataType::Body {
            let samples = sample.record["blood_pressure_data"]["blood_pressure_samples"].as_array();
            let distinct: BTreeSet<_> = samples.unwrap().iter().map(|sample| {
                let time = sample["timestamp"].as_str().unwrap_or_default();
                (time.to_owned(), sample["systolic_bp"].to_string())
            }).collect();
            let pressures = entries.iter().filter(|entry| {
                entry["resource"]["code"]["coding"][0]["code"] == "85354-9"
            });
            prop_assert_eq!(pressures.count(), distinct.len());
        }
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let input = Input {
        data_type: DataType::Daily,
        owner: "connection-1",
        key: "2026-07-01",
        provider: None,
        retracted: false,
        record: b"[]",
    };
    assert!(fhir::resources(&input, &person(), Options::default()).is_err());
    assert!(Person::with_patient_id("p 1").is_none());
    assert!(Person::with_patient_id("p-1").is_some());
}

#[test]
#[ignore = "writes bundles for the validators that `.ci/formats` installs"]
fn writes_every_bundle() {
    let folder = empty_folder("fhir");
    let mut everything = Vec::new();
    for (number, sample) in all().iter().enumerate() {
        let snomed = number % 2 == 1;
        let resources = resources(sample, Options { snomed });
        let kind = if snomed {
            BundleKind::Transaction
        } else {
            BundleKind::Collection
        };
        let bundle = fhir::bundle(kind, &resources, NO_SERVER);
        fs::write(folder.join(format!("{}.json", sample.name)), bundle).unwrap();
        if sample.name.starts_with("data_") {
            everything.extend(resources);
        }
    }
    let bundle = fhir::bundle(BundleKind::Collection, &everything, NO_SERVER);
    fs::write(folder.join("everything.json"), bundle).unwrap();
}
