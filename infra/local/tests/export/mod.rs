//! The command that writes records in the formats of other programs.

use std::path::Path;

use formats::fit;
use serde_json::{Value, json};

use crate::{Dev, folder, ok, operator::send, refused, run};

const RIDE: &str = r#"{
  "metadata": {"type": 16, "name": "Evening ride", "summary_id": "ride-1", "upload_type": 1,
    "start_time": "2026-07-02T18:00:00.000000+02:00", "end_time": "2026-07-02T18:10:00.000000+02:00"},
  "power_data": {"avg_watts": 201, "power_samples": [
    {"timestamp": "2026-07-02T18:00:05.000000+02:00", "watts": 180},
    {"timestamp": "2026-07-02T18:00:10.000000+02:00", "watts": 222}]},
  "device_data": {"name": "Edge 1050", "manufacturer": "Garmin"}
}"#;
/// The same ride once more, now without samples.
const RIDE_WITHOUT_SAMPLES: &str = r#"{
  "metadata": {"type": 16, "name": "Evening ride", "summary_id": "ride-1", "upload_type": 1,
    "start_time": "2026-07-02T18:00:00.000000+02:00", "end_time": "2026-07-02T18:10:00.000000+02:00"},
  "power_data": {"avg_watts": 201, "power_samples": []},
  "device_data": {"name": "Edge 1050", "manufacturer": "Garmin"}
}"#;
const DELETED: &str = r#"{
  "metadata": {"type": 16, "summary_id": "ride-2", "upload_type": 4,
    "start_time": "2026-07-03T18:00:00.000000+02:00", "end_time": "2026-07-03T18:10:00.000000+02:00"}
}"#;
const CORE: &str = r#"{
  "metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00", "end_time": "2026-07-03T00:00:00.000000+02:00"},
  "temperature_data": {"day_avg_body_temperature_celsius": 37.6, "body_temperature_samples": [
    {"timestamp": "2026-07-02T17:59:00.000000+02:00", "temperature_celsius": 37.2},
    {"timestamp": "2026-07-02T18:01:00.000000+02:00", "temperature_celsius": 37.9}]}
}"#;

fn event(event_type: &str, user: &str, provider: &str, record: &str) -> String {
    let record: Value = serde_json::from_str(record).unwrap();
    let user =
        json!({"user_id": user, "provider": provider, "reference_id": "ann", "active": true});
    json!({"type": event_type, "user": user, "data": [record]}).to_string()
}

/// A data folder with a person who has a bicycle computer, a CORE sensor and a lab report.
fn person() -> (tempfile::TempDir, String) {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let report = json!({
        "type": "lab_report.completed",
        "event_id": "event-1",
        "occurred_at": "2026-07-05T10:00:00Z",
        "data": {"session_id": "297405620317847552", "reference_id": "ann", "report_date": "2026-07-05",
            "results_count": 1, "results": [{
                "source": {"name": "Haemoglobin", "units": "g/L"},
                "biomarker": {"key": "hemoglobin", "loinc_code": "718-7"},
                "measurement": {"type": "numeric", "numeric": 141, "units": "g/L", "ucum_code": "g/L"},
                "interpretation": {"flag": "normal", "source": "report"},
            }]},
    });
    for (id, text) in [
        ("w-1", event("activity", "u-garmin", "GARMIN", RIDE)),
        (
            "w-2",
            event("activity", "u-garmin", "GARMIN", RIDE_WITHOUT_SAMPLES),
        ),
        ("w-3", event("activity", "u-garmin", "GARMIN", DELETED)),
        ("w-4", event("body", "u-core", "CORE", CORE)),
        ("w-5", report.to_string()),
    ] {
        send(temporary.path(), &data, id, &text);
    }
    dev.stop();
    (temporary, data)
}

#[test]
fn an_activity_is_exported_with_older_samples_and_the_temperature_of_another_provider() {
    let (_temporary, data) = person();
    let exported = run(&["export", "fit", "--data", &data, "u-garmin", "ride-1"]);
    let errors = String::from_utf8_lossy(&exported.stderr);
    assert!(exported.status.success(), "{errors}");
    let expected = fit::file(RIDE.as_bytes(), &[CORE.as_bytes()]).unwrap();
    assert!(exported.stdout == expected);
    assert_ne!(expected, fit::file(RIDE.as_bytes(), &[]).unwrap());

    let fit = |key| ["export", "fit", "--data", &data, "u-garmin", key];
    refused(&fit("ride-2"), 2, "the provider has deleted the workout");
    refused(&fit("ride-9"), 3, "no activity record ride-9");
    refused(
        &["export", "fit", "--data", &data, "u-nobody", "ride-1"],
        3,
        "no connection u-nobody",
    );
}

#[test]
fn the_records_of_a_person_are_exported_as_a_bundle_of_the_days_asked_for() {
    let (_temporary, data) = person();
    let bundle = |options: &[&str]| -> Value {
        let command = ["export", "fhir", "--data", &data, "--reference-id", "ann"];
        serde_json::from_str(&ok(&[&command, options].concat())).unwrap()
    };
    let codes = |bundle: &Value| -> Vec<String> {
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let codes = entries.iter().filter_map(|entry| {
            let code = &entry["resource"]["code"]["coding"][0]["code"];
            code.as_str().map(str::to_owned)
        });
        codes.collect()
    };
    let all = bundle(&[]);
    assert_eq!(all["type"], "collection");
    let found = codes(&all);
    // The exercise, the average of power and its series; the temperature; the result of the laboratory.
    for code in ["73985-4", "avg_power", "power_series", "8310-5", "718-7"] {
        assert!(found.iter().any(|found| found == code), "{code}: {found:?}");
    }
    let deleted = all["entry"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["resource"]["status"] == "entered-in-error");
    assert!(deleted.count() > 0);

    let july_5 = codes(&bundle(&["--from", "2026-07-04"]));
    assert_eq!(july_5, ["718-7"]);
    let july_2 = codes(&bundle(&["--from", "2026-07-02", "--to", "2026-07-02"]));
    assert!(july_2.contains(&"avg_power".to_owned()) && !july_2.contains(&"718-7".to_owned()));
    assert!(codes(&bundle(&["--to", "2026-07-01"])).is_empty());

    let to_server = bundle(&[
        "--server",
        "https://fhir.example.org/r4",
        "--patient",
        "p-7",
    ]);
    let first = &to_server["entry"][0];
    let id = first["resource"]["id"].as_str().unwrap();
    assert_eq!(to_server["type"], "transaction");
    assert_eq!(first["request"]["method"], "PUT");
    let kind = first["resource"]["resourceType"].as_str().unwrap();
    assert_eq!(
        first["fullUrl"],
        format!("https://fhir.example.org/r4/{kind}/{id}")
    );
    assert!(to_server.to_string().contains("Patient/p-7"));
    assert!(!to_server.to_string().contains(r#""ann""#));

    let of = |person| ["export", "fhir", "--data", &data, "--reference-id", person];
    refused(&of("nobody"), 3, "nothing of a user nobody");
    let patient = [&of("ann")[..], &["--patient", "p 7"]].concat();
    refused(&patient, 2, "no id of a patient");
}

#[test]
fn everything_of_a_person_is_exported_as_one_zip() {
    let (temporary, data) = person();
    let file = temporary.path().join("ann.zip");
    let path = file.to_str().unwrap();
    let of = |person| {
        [
            "export",
            "person",
            "--data",
            &data,
            "--reference-id",
            person,
            "-o",
            path,
        ]
    };
    let exported = run(&of("ann"));
    let told = String::from_utf8_lossy(&exported.stderr);
    assert!(exported.status.success(), "{told}");
    assert!(told.contains("4 records in"), "{told}");
    assert!(
        told.contains("1 could not be written"),
        "no FIT file of a deleted workout: {told}"
    );
    let zip = std::fs::read(&file).unwrap();
    let names = |zip: &[u8], name: &str| zip.windows(name.len()).any(|it| it == name.as_bytes());
    for name in [
        "README.txt",
        "records/activity-2026.ndjson",
        "fhir/bundle-2026.json",
        "fit/ride-1.fit",
        "lab-reports.ndjson",
        "manifest.json",
    ] {
        assert!(names(&zip, name), "{name}");
    }
    for ending in ["part", "progress"] {
        assert!(!temporary.path().join(format!("ann.zip.{ending}")).exists());
    }

    let july = ["--from", "2026-07-05", "--to", "2026-07-05"];
    let piped = run(&[&of("ann")[..6], &july].concat());
    assert!(piped.status.success());
    assert!(piped.stdout.starts_with(b"PK") && !names(&piped.stdout, "fit/ride-1.fit"));
    let workouts = run(&[&of("ann")[..6], &["--include", "fit"]].concat());
    assert!(workouts.status.success());
    assert!(names(&workouts.stdout, "fit/ride-1.fit"));
    assert!(!names(&workouts.stdout, "fhir/bundle-2026.json"));
    let unknown = [&of("ann")[..6], &["--include", "pdf"]].concat();
    refused(&unknown, 2, "records, csv, fhir, fit");
    refused(&of("nobody"), 3, "nothing of a user nobody");
}
