//! Parked webhooks, and who may reach a local system.

mod archived;
mod relisted;

use std::{fs, path::Path, time::Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::{Dev, TIMEOUT, body, folder, ok, refused, run};

fn json(arguments: &[&str]) -> Value {
    let shown = ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&shown).unwrap()
}

/// Asks the database of a running system by itself, as no command does.
async fn database(data: &str, operation: &str, request: Value) -> Value {
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = fs::read_to_string(Path::new(data).join("address")).unwrap();
    let address: Value = serde_json::from_str(&address).unwrap();
    let key = fs::read_to_string(Path::new(data).join("database-key")).unwrap();
    let answer = Client::new()
        .post(address.get("dynamodb_url").and_then(Value::as_str).unwrap())
        .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("Authorization", credential(&key))
        .body(request.to_string());
    let answer = answer.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn credential(key: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={key}/20260101/local/dynamodb/aws4_request")
}

/// Sends a body and waits until the ledger has it.
pub(super) fn send(folder: &Path, data: &str, id: &str, text: &str) -> Value {
    let file = body(folder, &format!("{id}.json"), text);
    let file = file.to_str().unwrap();
    ok(&["send", "--data", data, "--trace-id", id, file]);
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let shown = run(&["show", "--data", data, "webhook", id, "--json"]);
        if shown.status.success() {
            return serde_json::from_slice(&shown.stdout).unwrap();
        }
        assert!(Instant::now() < deadline, "{id} is never routed");
    }
}

fn finding(data: &str, check: &str) -> Value {
    let output = run(&["doctor", "--json", "--data", data]);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = findings.into_iter();
    found
        .find(|finding| finding["check"] == check)
        .unwrap_or_default()
}

#[test]
fn a_parked_webhook_stays_listed_until_it_is_stored_or_dismissed() {
    let (temporary, data) = folder();
    let unknown = body(
        temporary.path(),
        "unknown.json",
        r#"{"type":"of_tomorrow","user":{"user_id":"u-1"}}"#,
    );
    let broken = body(temporary.path(), "broken.json", "no json");
    let variables = [("SIGNING_SECRETS", r#"{"terra":"a secret for this test"}"#)];
    let mut dev = Dev::start_with(&variables, Path::new(&data), &["--no-simulator"]);
    for (file, id) in [(&unknown, "tomorrow"), (&broken, "broken")] {
        let sent = [
            "send",
            "--data",
            &data,
            "--trace-id",
            id,
            "--secret-name",
            "terra",
            file.to_str().unwrap(),
        ];
        crate::ok_with(&variables, &sent);
    }
    dev.wait_for("the body is not JSON", 1);
    dev.wait_for_seen("of_tomorrow");

    let list = ["parked", "list", "--data", &data];
    let listed = json(&list);
    let ids: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 2, "{listed}");
    assert_eq!(ids[0]["webhook_id"], "broken");
    assert_eq!(ids[0]["parked"][0]["reason"], "not_json");
    assert!(ok(&list).contains("the event type is unknown"));
    let counted = finding(&data, "parked webhooks");
    assert_eq!(counted["state"], "wrong", "{counted}");
    assert!(counted.to_string().contains("2 webhooks"), "{counted}");

    // Today's code cannot use them either.
    let tried = json(&["parked", "replay", "--data", &data, "--all"]);
    assert!(tried[0]["done"] == false && tried[1]["done"] == false);
    assert_eq!(json(&list).as_array().unwrap().len(), 2);
    // A webhook of no more use is dismissed, and stays in the archive.
    ok(&["parked", "dismiss", "--data", &data, "broken"]);
    assert_eq!(json(&list).as_array().unwrap().len(), 1);
    assert_eq!(
        ok(&["archive", "cat", "--data", &data, "broken"]),
        "no json"
    );
    refused(
        &["parked", "dismiss", "--data", &data, "broken"],
        3,
        "no webhook broken is parked",
    );
    dev.stop();
    let dismissed = ok(&["parked", "dismiss", "--data", &data, "--all"]);
    assert!(dismissed.contains("1 webhook dismissed"), "{dismissed}");
    assert!(ok(&list).contains("no webhook is parked"));
    assert_eq!(finding(&data, "parked webhooks")["state"], "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_answers_no_web_page_and_nobody_without_the_key() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (_temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let address = fs::read_to_string(Path::new(&data).join("address")).unwrap();
    let address: Value = serde_json::from_str(&address).unwrap();
    let key = fs::read_to_string(Path::new(&data).join("database-key")).unwrap();
    let ask = |key: &str| {
        Client::new()
            .post(address["dynamodb_url"].as_str().unwrap())
            .header("X-Amz-Target", "DynamoDB_20120810.ListTables")
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", credential(key))
            .body("{}")
    };
    let answer = ask(&key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("terrarium"));
    for refused in [
        ask("local"),
        ask(""),
        ask(&key).header("Origin", "https://example.org"),
        ask(&key).header("Origin", "null"),
    ] {
        let answer = refused.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(Path::new(&data)), 0o700);
        assert_eq!(mode(&Path::new(&data).join("database-key")), 0o600);
    }
    dev.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_serves_this_machine_and_the_public_name_only() {
    drop(rustls::crypto::ring::default_provider().install_default());
    for (public_name, host, status) in [
        (None, "rebound.example:80", 400),
        (None, "localhost", 401),
        (None, "127.0.0.1:1", 401),
        (Some("tunnel.example"), "tunnel.example", 401),
        (Some("tunnel.example"), "rebound.example", 400),
    ] {
        let (_temporary, data) = folder();
        let mut options = vec!["--no-simulator"];
        options.extend(public_name.iter().flat_map(|name| ["--public-name", *name]));
        let mut dev = Dev::start(Path::new(&data), &options);
        let address = fs::read_to_string(Path::new(&data).join("address")).unwrap();
        let address: Value = serde_json::from_str(&address).unwrap();
        let post = Client::new().post(address["webhook_url"].as_str().unwrap());
        let answer = post.header("Host", host).body("{}").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{host}");
        dev.stop();
    }
}

#[test]
fn the_first_line_says_what_starts_and_where_to_look() {
    let (_temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let first = dev.seen.first().unwrap().clone();
    assert!(
        first.contains("terrarium starts") && first.contains(&data),
        "{first}"
    );
    assert!(first.contains("terrarium.log"), "{first}");
    dev.stop();
}
