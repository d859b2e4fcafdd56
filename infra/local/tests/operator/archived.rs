//! Archived webhooks that the ledger has forgotten, lab reports, and the two halves of a ping.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{database, json, send};
use crate::{Dev, NUTRITION, folder, ok, refused, run};

/// A lab report, of a person or of nobody that it names.
fn lab_report(session: u32, reference_id: Option<&str>) -> String {
    let data = match reference_id {
        Some(id) => format!(r#"{{"session_id":"{session}","reference_id":"{id}","results":[]}}"#),
        None => format!(r#"{{"session_id":"{session}","results":[]}}"#),
    };
    format!(
        r#"{{"type":"lab_report.completed","event_id":"evt_{session}","occurred_at":"2026-07-01T09:12:33Z","data":{data}}}"#
    )
}

/// Removes a webhook's line, as DynamoDB does after 90 days.
async fn forget(data: &str, id: &str) {
    let key = json!({"pk": {"S": format!("WEBHOOK#{id}")}, "sk": {"S": "WEBHOOK"}});
    let request = json!({"TableName": "terrarium", "Key": key, "ReturnValues": "ALL_OLD"});
    let removed = database(data, "DeleteItem", request).await;
    assert!(
        removed.pointer("/Attributes/outcome/S").is_some(),
        "{removed}"
    );
}

fn day_of(entry: &Value) -> String {
    let received_at_ms = entry.get("received_at_ms").and_then(Value::as_i64).unwrap();
    let received_at = Timestamp::from_millisecond(received_at_ms).unwrap();
    received_at.strftime("%Y-%m-%d").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_found_after_the_ledger_forgot_it() {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let of_ann = lab_report(71, Some("ann"));
    let of_nobody = lab_report(72, None);
    let bodies = [("w", NUTRITION), ("ann", &of_ann), ("nobody", &of_nobody)];
    let mut entries = Vec::new();
    for (id, text) in bodies {
        entries.push(send(temporary.path(), &data, id, text));
    }
    for (id, _) in bodies {
        forget(&data, id).await;
    }

    let day = day_of(&entries[0]);
    // Midnight may come in between.
    let last_day = day_of(&entries[2]);
    let records = [
        ["u-1", "nutrition", "2026-07-02"],
        ["ann", "lab_report", "71"],
        ["", "lab_report", "72"],
    ];
    for running in [true, false] {
        if !running {
            dev.stop();
        }
        refused(&["show", "--data", &data, "webhook", "w"], 3, "90 days");
        refused(&["archive", "cat", "--data", &data, "w"], 3, "archive list");
        refused(&["replay", "--data", &data, "--webhook", "w"], 3, "90 days");
        for (((id, text), entry), record) in bodies.iter().zip(&entries).zip(records) {
            let place = entry["locator"].as_str().unwrap();
            let [owner, data_type, key] = record;
            let shown = json(&["show", "--data", &data, "record", owner, data_type, key]);
            let frame = shown["payload"].as_str().unwrap();
            assert_ne!(frame, place);
            let ways = [
                &[id, "--day", &day][..],
                &["--locator", place],
                // The webhook around a record's own bytes.
                &["--locator", frame],
                &["--record", owner, data_type, key],
            ];
            for way in ways {
                let cat = [&["archive", "cat", "--data", &data], way].concat();
                assert_eq!(ok(&cat), *text, "{way:?}");
                let verify = [&["archive", "verify", "--data", &data], way].concat();
                assert!(ok(&verify).contains("signed with `simulator`"), "{way:?}");
                let way = [&["--webhook"][..usize::from(way[0] == *id)], way].concat();
                let replay = [&["replay", "--data", &data, "--dry-run"][..], &way].concat();
                let replayed = ok(&replay);
                let nothing = "1 webhook, nothing would change";
                assert!(replayed.contains(nothing), "{way:?}: {replayed}");
            }
            let payload = ["show", "--data", &data, "record", owner, data_type, key];
            let payload = ok(&[&payload[..], &["--payload"]].concat());
            assert!(
                text.contains(&payload) && payload.starts_with('{'),
                "{payload}"
            );
            let listed = json(&["show", "--data", &data, "record", owner, data_type]);
            assert_eq!(listed[0]["key"], key);
        }
    }

    // A whole day, as it came.
    if day == last_day {
        let all = ok(&["archive", "cat", "--data", &data, "--day", &day]);
        let lines = bodies.map(|(_, text)| format!("{text}\n"));
        assert_eq!(all, lines.concat());
        let verified = ok(&["archive", "verify", "--data", &data, "--day", &day]);
        assert!(
            verified.contains("3 webhooks verified, 0 not"),
            "{verified}"
        );
        let listed = json(&["archive", "list", "--data", &data, "--day", &day]);
        assert_eq!(listed[2]["locator"], entries[2]["locator"]);
        let reports = ["--day", &day, "--type", "lab_report.completed"];
        let list = ["archive", "list", "--data", &data];
        assert!(!ok(&[&list[..], &reports].concat()).contains("nutrition"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_archive_is_said_with_the_reason() {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let entry = send(temporary.path(), &data, "w", NUTRITION);
    send(
        temporary.path(),
        &data,
        "report",
        &lab_report(71, Some("ann")),
    );
    dev.stop();
    let place = entry["locator"].as_str().unwrap();
    let day = day_of(&entry);
    let cat = |way: &[&str], code, says: &str| {
        refused(
            &[&["archive", "cat", "--data", &data], way].concat(),
            code,
            says,
        );
    };
    cat(&[], 2, "which webhook?");
    cat(&["--locator", "w"], 2, "<segment>@<offset>+<length>");
    cat(&["--locator", "w@0+1"], 2, "no place of the archive");
    cat(&["w", "--locator", place], 2, "cannot be used with");
    cat(
        &["w", "--day", "2020-01-01"],
        3,
        "no webhook w was archived",
    );
    cat(
        &["other", "--day", &day],
        3,
        "no webhook other was archived",
    );
    let (segment, _) = place.split_once('@').unwrap();
    cat(
        &["--locator", &format!("{segment}@999999+1")],
        3,
        "no webhook lies at",
    );
    let gone = "archive/2020/01/01/01KWJMCT0R000000000000001A.zst@0+1";
    cat(&["--locator", gone], 3, "no longer in the archive");
    cat(
        &["--record", "ann", "lab_report", "72"],
        3,
        "no lab_report record",
    );
    cat(&["--record", "u-1", "vibes", "72"], 2, "no data type");
    cat(&["--record", "u-1", "nutrition"], 2, "3 values");

    ok(&["erase", "--data", &data, "--reference-id", "ann", "--yes"]);
    cat(&["--locator", place], 3, "erased on purpose");
    cat(&["w", "--day", &day], 3, "erased on purpose");
    let list = ["archive", "list", "--data", &data, "--day", &day];
    let erased = |listed: &Value| listed["erased_at"].is_string();
    assert!(json(&list).as_array().unwrap().iter().all(erased));
    let verified = ok(&["archive", "verify", "--data", &data, "--day", &day]);
    assert!(verified.starts_with("0 webhooks verified"), "{verified}");
}

#[test]
fn a_ping_names_its_payload_and_a_payload_its_ping() {
    let (_temporary, data) = folder();
    let options = ["--rate", "40", "--people", "3"];
    let mut dev = Dev::start(Path::new(&data), &options);
    dev.wait_for("followed", 1);
    dev.stop();
    let webhooks = json(&["show", "--data", &data, "webhooks", "--limit", "100000"]);
    let webhooks = webhooks.as_array().unwrap();
    let ping = webhooks.iter().find(|each| each["outcome"] == "followed");
    let ping = ping.unwrap()["webhook_id"].as_str().unwrap();
    let shown = json(&["show", "--data", &data, "webhook", ping]);
    let payload = shown["payload_webhook_id"].as_str().unwrap();
    assert_ne!(payload, ping);
    let of_payload = json(&["show", "--data", &data, "webhook", payload]);
    assert_eq!(of_payload["ping_webhook_id"], ping);
    assert_ne!(of_payload["event_type"], "s3_payload");
    let text = ok(&["show", "--data", &data, "webhook", ping]);
    assert!(text.contains(payload) && text.contains("payload"), "{text}");
    let text = ok(&["show", "--data", &data, "webhook", payload]);
    assert!(text.contains("(s3_payload, followed)"), "{text}");
    // Any other webhook is one by itself.
    let other = webhooks.iter().find(|each| {
        let id = each["webhook_id"].as_str().unwrap();
        each["event_type"] != "s3_payload" && !id.ends_with("~payload")
    });
    let other = other.unwrap()["webhook_id"].as_str().unwrap();
    let shown = run(&["show", "--data", &data, "webhook", other, "--json"]);
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("_webhook_id\": \""));
}
