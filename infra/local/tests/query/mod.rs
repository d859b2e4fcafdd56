//! The commands that ask for a person's numbers, and those about source policies.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{Dev, folder, ok, operator::send, refused};

fn event(event_type: &str, (user, provider): (&str, &str), record: &Value) -> String {
    let user =
        json!({"user_id": user, "provider": provider, "reference_id": "ann", "active": true});
    json!({"type": event_type, "user": user, "data": [record]}).to_string()
}

fn daily(steps: u32, samples: &[(&str, u32)]) -> Value {
    let samples: Vec<_> = samples
        .iter()
        .map(|(time, bpm)| json!({"timestamp": format!("2026-07-02T{time}:00.000000+02:00"), "bpm": bpm}))
        .collect();
    json!({
        "metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00", "end_time": "2026-07-03T00:00:00.000000+02:00"},
        "distance_data": {"steps": steps, "distance_meters": steps},
        "heart_rate_data": {"detailed": {"hr_samples": samples}},
    })
}

fn night(key: &str, hours: u32) -> Value {
    json!({
        "metadata": {"summary_id": key, "start_time": "2026-07-01T23:00:00.000000+02:00",
            "end_time": "2026-07-02T07:00:00.000000+02:00"},
        "sleep_durations_data": {"asleep": {"duration_asleep_state_seconds": hours * 3600}},
        "heart_rate_data": {"detailed": {"hr_samples": [
            {"timestamp": "2026-07-01T23:30:00.000000+02:00", "bpm": 51}]}},
    })
}

/// A data folder with a person who wears a watch and a ring, and has a platform on the phone.
fn person() -> (tempfile::TempDir, String) {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let watch = ("u-watch", "GARMIN");
    for (id, text) in [
        (
            "w-1",
            event(
                "daily",
                watch,
                &daily(9120, &[("10:00", 61), ("10:01", 63)]),
            ),
        ),
        ("w-2", event("daily", ("u-ring", "OURA"), &daily(8410, &[]))),
        (
            "w-3",
            event("daily", ("u-phone", "APPLE"), &daily(9777, &[])),
        ),
        ("w-4", event("sleep", ("u-ring", "OURA"), &night("n-1", 7))),
        ("w-5", event("sleep", watch, &night("n-2", 6))),
    ] {
        send(temporary.path(), &data, id, &text);
    }
    dev.stop();
    (temporary, data)
}

/// The arguments of `terrarium policy`.
fn policy<'a>(data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let (what, rest) = more.split_first().unwrap();
    [&["policy", *what, "--data", data], rest].concat()
}

const DAYS: [&str; 4] = ["--from", "2026-07-01", "--to", "2026-07-03"];

/// The output of `terrarium query` about the person.
fn text(data: &str, what: &str, more: &[&str]) -> String {
    let start = ["query", what, "--data", data, "--reference-id", "ann"];
    ok(&[&start[..], more].concat())
}

fn json(data: &str, what: &str, more: &[&str]) -> Value {
    serde_json::from_str(&text(data, what, &[more, &["--json"]].concat())).unwrap()
}

#[test]
fn a_number_is_chosen_and_explained() {
    let (_temporary, data) = person();

    let shown = json(&data, "days", &[&DAYS[..], &["--others"]].concat());
    let day = &shown["data"][0];
    assert_eq!(
        (&day["day"], shown["data"].as_array().unwrap().len()),
        (&"2026-07-02".into(), 1)
    );
    let steps = &day["values"]["steps"];
    assert_eq!(steps["value"], 9120);
    let letter = steps["source"].as_str().unwrap();
    assert_eq!(shown["sources"][letter]["provider"], "GARMIN");
    assert_eq!(steps["others"].as_array().unwrap().len(), 2);
    assert_eq!(
        day["sleep"]["values"]["duration_asleep_state_seconds"],
        7 * 3600
    );
    assert_eq!(day["sleep"]["started_on"], "2026-07-01");
    assert_eq!(shown["policy"]["level"], "built_in");
    assert!(text(&data, "days", &DAYS).contains("9,120 (2026-07-02)"));

    let of_steps = ["--day", "2026-07-02", "--metric", "steps"];
    let why = json(&data, "why", &of_steps);
    assert_eq!(
        (&why["value"], &why["decided_by"]),
        (&9120.into(), &"within".into())
    );
    assert_eq!(why["if_preferred"]["APPLE"], 9777);
    assert_eq!(why["chosen"]["delivery"]["webhook"], "w-1");
    let explained = text(&data, "why", &of_steps);
    assert!(
        explained.contains("GARMIN says 9,120. It is in the first tier"),
        "{explained}"
    );
    let absent = json(
        &data,
        "why",
        &["--day", "2026-07-02", "--metric", "weight_kg"],
    );
    assert_eq!(absent["value"], Value::Null);
    assert_eq!(absent["absent"].as_array().unwrap().len(), 3);
    refused(
        &[
            "query",
            "why",
            "--data",
            &data,
            "--reference-id",
            "ann",
            "--day",
            "2026-07-02",
            "--metric",
            "score_sleep",
        ],
        2,
        "never chosen between",
    );

    let sessions = json(&data, "sessions", &DAYS);
    let session = &sessions["data"][0];
    assert_eq!(
        (&session["main"], &session["record"]["key"]),
        (&true.into(), &"n-1".into())
    );
    assert_eq!(session["also_recorded_by"][0]["reason"], "less_complete");
}

#[test]
fn a_policy_is_tried_set_and_taken_away() {
    let (temporary, data) = person();
    let file = temporary.path().join("policy.json");
    let path = file.to_str().unwrap();
    let rules = r#"{"rules": [{"groups": ["movement"], "tiers": [[{"provider": "OURA"}]]}]}"#;
    fs::write(&file, rules).unwrap();
    let preview = ok(&policy(
        &data,
        &[
            "preview",
            path,
            "--reference-id",
            "ann",
            "--from",
            "2026-07-02",
            "--to",
            "2026-07-02",
            "--json",
        ],
    ));
    let preview: Value = serde_json::from_str(&preview).unwrap();
    let changed: Vec<_> = preview["changed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["metric"])
        .collect();
    assert_eq!(changed, ["steps", "distance_meters"]);
    assert_eq!(preview["changed"][0]["then"], 8410);
    assert_eq!(
        json(&data, "days", &DAYS)["data"][0]["values"]["steps"]["value"],
        9120
    );

    assert!(ok(&policy(&data, &["set", path, "--reference-id", "ann"])).contains("version 1"));
    let shown = json(&data, "days", &DAYS);
    assert_eq!(shown["data"][0]["values"]["steps"]["value"], 8410);
    assert_eq!(shown["policy"], json!({"level": "person", "version": "1"}));
    refused(
        &policy(
            &data,
            &["set", path, "--reference-id", "ann", "--after", "0"],
        ),
        2,
        "at version 1, not at 0",
    );
    assert!(ok(&policy(&data, &["remove", "--reference-id", "ann"])).contains("version 2"));
    assert_eq!(
        json(&data, "days", &DAYS)["data"][0]["values"]["steps"]["value"],
        9120
    );
    let versions = ok(&policy(
        &data,
        &["show", "--reference-id", "ann", "--versions"],
    ));
    assert!(versions.contains("taken away"), "{versions}");
    refused(&policy(&data, &["show"]), 3, "--built-in");
    refused(
        &policy(&data, &["set", path, "--reference-id", "bob"]),
        3,
        "there is no person bob",
    );
    fs::write(&file, r#"{"rules": [{"groups": ["naps"]}]}"#).unwrap();
    refused(
        &policy(&data, &["set", path]),
        2,
        "rules[0].groups[0]: `naps` is none of movement",
    );
}

#[test]
fn a_series_has_the_samples_of_all_records_of_a_source() {
    let (_temporary, data) = person();
    let series = |more: &[&str]| -> Value {
        let start = [
            "query",
            "series",
            "--data",
            &data,
            "--reference-id",
            "ann",
            "--metric",
            "hr_bpm",
        ];
        serde_json::from_str(&ok(&[&start[..], more, &["--json"]].concat())).unwrap()
    };
    let times = [
        "--since",
        "2026-07-01T12:00:00Z",
        "--until",
        "2026-07-02T12:00:00Z",
    ];
    let shown = series(&[&times[..], &["--resolution", "1h"]].concat());
    assert_eq!(shown["series"].as_array().unwrap().len(), 2);
    let of = |provider: &str| {
        let mut all = shown["series"].as_array().unwrap().iter();
        all.find(|series| {
            shown["sources"][series["source"].as_str().unwrap()]["provider"] == provider
        })
        .unwrap()
    };
    assert_eq!(of("OURA")["mean"], json!([51]));
    // The night's sample, and both of the day.
    assert_eq!(of("GARMIN")["mean"], json!([51, 62]));
    assert_eq!(of("GARMIN")["n"], json!([1, 2]));
    assert_eq!(of("GARMIN")["t"][1], 1_782_979_200);
    let raw = series(&[&times[..], &["--resolution", "raw"]].concat());
    let points: usize = raw["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| series["v"].as_array().unwrap().len())
        .sum();
    assert_eq!(points, 4);

    let start = [
        "query",
        "series",
        "--data",
        &data,
        "--reference-id",
        "ann",
        "--metric",
    ];
    refused(&[&start[..], &["speed"]].concat(), 2, "there are: hr_bpm");
    let long = [
        "hr_bpm",
        "--since",
        "2026-01-01T00:00:00Z",
        "--until",
        "2026-07-01T00:00:00Z",
        "--resolution",
        "1m",
    ];
    refused(&[&start[..], &long].concat(), 2, "at most 31 days");
    refused(
        &[&start[..], &["hr_bpm", "--resolution", "2m"]].concat(),
        2,
        "none of raw, 1m",
    );
}
