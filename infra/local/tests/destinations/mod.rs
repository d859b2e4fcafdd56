//! Destinations as an operator sets them up and watches them.

use std::{fs, path::Path, time::Instant};

use serde_json::Value;

use crate::{Dev, TIMEOUT, folder, ok, refused, run};

fn json(arguments: &[&str]) -> Value {
    let shown = ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&shown).unwrap()
}

/// Names of files below a folder, without the metadata that a bucket would keep.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| path.file_name() != Some(".terrarium".as_ref()));
    entries
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[test]
fn listen_shows_deliveries_whose_signatures_verify_and_leaves_nothing_behind() {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--people", "2", "--rate", "3"]);
    dev.wait_for_seen("daily");
    let bucket = temporary.path().join("bucket");
    let heard = ok(&[
        "destinations",
        "listen",
        "--data",
        &data,
        "--folder",
        bucket.to_str().unwrap(),
        "--count",
        "5",
        "--json",
    ]);
    let deliveries: Vec<Value> = heard
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(deliveries.len(), 5);
    for delivery in &deliveries {
        assert_eq!(delivery["standard_webhooks"], true, "{delivery}");
        assert_eq!(delivery["terra"], true, "{delivery}");
    }
    assert_eq!(
        json(&["destinations", "list", "--data", &data]),
        Value::Array(Vec::new())
    );
    let secrets = Path::new(&data).join("secrets").join("destinations");
    assert_eq!(fs::read_dir(secrets).unwrap().count(), 0);
}

#[test]
fn a_destination_is_tried_before_it_is_saved_and_says_what_it_lacks() {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--people", "2", "--rate", "3"]);
    dev.wait_for_seen("daily");
    let add = ["destinations", "add", "--data", &data];
    let lacking = ["postgres", "--set", "host=127.0.0.1"];
    let says = "database is missing, for example app";
    refused(&[&add[..], &lacking].concat(), 2, says);
    let says = "the kinds are webhook, postgres";
    refused(&[&add[..], &["carrier-pigeon"]].concat(), 2, says);
    // Nobody listens there: every step is told, and nothing is saved.
    let nobody = [
        "webhook",
        "--set",
        "url=http://127.0.0.1:9/",
        "--network",
        "local",
    ];
    let tried = run(&[&add[..], &nobody].concat());
    assert_eq!(tried.status.code(), Some(1));
    let told = String::from_utf8(tried.stdout).unwrap();
    assert!(told.contains("FAILED"), "{told}");
    assert_eq!(
        json(&["destinations", "list", "--data", &data]),
        Value::Array(Vec::new())
    );

    let bucket = temporary.path().join("bucket");
    fs::create_dir(&bucket).unwrap();
    let path = format!("path={}", bucket.display());
    let files_here = [
        "folder",
        "--name",
        "files",
        "--network",
        "local",
        "--set",
        &path,
    ];
    ok(&[&add[..], &files_here].concat());
    let deadline = Instant::now() + TIMEOUT;
    let show = ["destinations", "show", "--data", &data, "files"];
    while json(&show)["orders"][0]["done_at_ms"].is_null() {
        assert!(Instant::now() < deadline, "the first deliveries never end");
    }
    assert!(files(&bucket) > 0);
    let counted = json(&[
        "destinations",
        "redrive",
        "--data",
        &data,
        "files",
        "--dry-run",
    ]);
    assert!(
        counted["records"]
            .as_object()
            .is_some_and(|types| !types.is_empty())
    );
    for (order, state) in [("pause", "paused"), ("resume", "active")] {
        let told = json(&["destinations", order, "--data", &data, "files"]);
        assert_eq!(told["state"], state);
        assert_eq!(json(&show)["state"], state);
    }
    // A command cannot announce what it changes: destinations get it by an order.
    ok(&["replay", "--data", &data]);
    let shown = json(&show);
    let mut orders = shown["orders"].as_array().unwrap().iter();
    assert!(orders.any(|order| !order["range"]["written_since_ms"].is_null()));
    let removed = ok(&["destinations", "remove", "--data", &data, "files", "--yes"]);
    assert!(removed.contains("is still at"), "{removed}");
    assert!(files(&bucket) > 0, "the far end keeps what it has");
}
