//! `terrarium doctor`.

use std::path::Path;

use axum::{Router, http::StatusCode, routing::post};
use domain::connection::Status;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    terra::Terra,
    world::{Folder, ago_ms},
};
use crate::{Dev, folder, refused, run_with};

struct Findings(Vec<Value>);

impl Findings {
    fn of(&self, check: &str) -> &Value {
        let mut found = self.0.iter().filter(|finding| finding["check"] == check);
        found
            .next()
            .unwrap_or_else(|| panic!("no {check}: {:?}", self.0))
    }

    #[track_caller]
    fn wrong(&self, check: &str, says: &str) {
        let finding = self.of(check);
        assert_eq!(finding["state"], "wrong", "{finding}");
        assert!(finding.to_string().contains(says), "{says}: {finding}");
        assert!(!finding["advice"].as_str().unwrap().is_empty());
    }

    #[track_caller]
    fn good(&self, checks: &[&str]) {
        for check in checks {
            let finding = self.of(check);
            assert_eq!(finding["state"], "good", "{finding}");
        }
    }
}

/// Runs `terrarium doctor`. Returns its findings and its exit code.
fn doctor(variables: &[(&str, &str)], arguments: &[&str]) -> (Findings, i32) {
    let output = run_with(variables, &[&["doctor", "--json"], arguments].concat());
    let shown = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    for (name, value) in variables {
        let secret = name.contains("KEY") || name.contains("SECRET");
        assert!(
            !secret || !(shown.clone() + &errors).contains(value),
            "{shown} {errors}"
        );
    }
    let findings = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown} {errors}"));
    (Findings(findings), output.status.code().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_system_has_nothing_wrong() {
    let (_folder, data) = folder();
    let terra = Terra::start().await;
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    for _ in 0..2 {
        let (findings, code) = doctor(&terra.variables(), &["--data", &data]);
        findings.good(&[
            "table",
            "archive",
            "signing secrets",
            "Terra's API",
            "webhook address",
            "signed webhooks",
            // Webhooks of the doctor itself do not count.
            "webhooks",
            "connections",
            "history windows",
        ]);
        assert_eq!(
            findings.of("webhooks")["detail"],
            "none yet, and nobody is connected"
        );
        assert_eq!(code, 0);
    }
    let text = run_with(&[], &["doctor", "--data", &data]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("nothing is wrong") && text.contains("✓ table"),
        "{text}"
    );
    assert!(text.contains("? Terra's API"), "{text}");

    let variables = [(
        "SIGNING_SECRETS",
        r#"{"terra":"a secret of somebody else's"}"#,
    )];
    let (findings, code) = doctor(&variables, &["--data", &data]);
    findings.wrong("signed webhooks", "refuses the signing secret `terra`");
    assert_eq!(code, 1);
    dev.stop();

    // Without a running system its queues can be looked into.
    let (findings, code) = doctor(&[], &["--data", &data]);
    findings.good(&["queues"]);
    assert_eq!(
        (&findings.of("webhook address")["state"], code),
        (&"unknown".into(), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_wrong_is_told_with_what_to_do() {
    let folder = Folder::new().await;
    folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(5))
        .await;
    folder
        .connection("ann", "OURA", Status::Failing, ago_ms(5))
        .await;
    let (_folder, data) = folder.close().await;
    let terra = Terra::start().await;
    let [dev_id, _, api_url] = terra.variables();
    let wrong_key = [dev_id, ("TERRA_API_KEY", "not-the-key"), api_url];
    let (findings, code) = doctor(&wrong_key, &["--data", &data]);
    findings.wrong("Terra's API", "TERRA_API_KEY");
    findings.wrong("webhooks", "dashboard");
    findings.wrong("signing secrets", "SIGNING_SECRETS");
    findings.good(&["table", "archive", "history windows", "queues"]);
    assert!(
        findings.of("connections")["detail"]
            .as_str()
            .unwrap()
            .contains("1 failing")
    );
    assert_eq!(code, 1);

    // Addresses at which there is no intake.
    for (status, says) in [
        (StatusCode::OK, "anybody could send"),
        (StatusCode::NOT_FOUND, "no intake at this path"),
        (StatusCode::FORBIDDEN, "refuses"),
        (StatusCode::MOVED_PERMANENTLY, "does not follow"),
        (StatusCode::SERVICE_UNAVAILABLE, "logs"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/webhooks/terra", listener.local_addr().unwrap());
        let router = Router::new().route("/webhooks/terra", post(move || async move { status }));
        tokio::spawn(axum::serve(listener, router).into_future());
        let (findings, _) = doctor(&[], &["--data", &data, "--url", &url]);
        findings.wrong("webhook address", says);
    }
    let nobody = ["--data", &data, "--url", "http://127.0.0.1:9/"];
    let (findings, _) = doctor(&[], &nobody);
    findings.wrong("webhook address", "nobody listens");
    refused(
        &["doctor", "--data", &data, "--url", "nowhere"],
        2,
        "https://host/path",
    );
    refused(
        &["doctor", "--data", "/no/such/folder"],
        2,
        "no data folder",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_lacking_on_aws_is_named() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let denied = r#"{"__type": "com.amazonaws#AccessDeniedException",
        "message": "User: arn:aws:iam::1:user/me is not authorized to perform: dynamodb:GetItem"}"#;
    let router = Router::new().fallback(move || async move { (StatusCode::BAD_REQUEST, denied) });
    tokio::spawn(axum::serve(listener, router).into_future());
    let queue_url = format!("{endpoint}/1/events");
    let variables = [
        ("TABLE_NAME", "terrarium"),
        ("ARCHIVE_BUCKET", "bucket"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "swordfish"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("EVENTS_QUEUE_URL", &queue_url),
    ];
    let (findings, code) = doctor(&variables, &[]);
    findings.wrong("table", "dynamodb:GetItem");
    findings.wrong("table", "lacks a permission");
    findings.wrong("queues", "lacks a permission");
    findings.wrong("archive", "");
    assert_eq!(code, 1);
}
