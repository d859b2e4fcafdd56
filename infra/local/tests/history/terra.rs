//! Tests of the commands that ask Terra: `terrarium connect`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use simulator::{
    Provider, Truth, TruthSettings,
    api::{ApiSettings, TerraApi},
};
use tokio::net::TcpListener;

use super::world::now_ms;
use crate::{ok_with, refused, refused_with, run_with};

const DEV_ID: &str = "testing-dev";
const API_KEY: &str = "key-of-the-tests";

/// A simulated Terra, and the variables that lead to it.
pub(super) struct Terra {
    api_url: String,
    _api: TerraApi,
}

impl Terra {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let at = Timestamp::from_millisecond(now_ms()).unwrap();
        let start = at - SignedDuration::from_hours(24 * 30);
        let people = TruthSettings::new(5, 2, &[Provider::Garmin], start);
        let truth = Truth::new(people, Arc::new(move || at));
        let api = TerraApi::new(truth, ApiSettings::new(&url, DEV_ID, API_KEY));
        tokio::spawn(axum::serve(listener, api.router()).into_future());
        Self {
            api_url: format!("{url}/api/v2"),
            _api: api,
        }
    }

    pub(super) fn variables(&self) -> [(&str, &str); 3] {
        [
            ("TERRA_DEV_ID", DEV_ID),
            ("TERRA_API_KEY", API_KEY),
            ("TERRA_API_URL", &self.api_url),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_and_says_how_long_it_is_good_for() {
    let terra = Terra::start().await;
    let connect = ["connect", "--reference-id", "ann"];
    let output = run_with(&terra.variables(), &connect);
    assert!(output.status.success());
    let link = String::from_utf8(output.stdout).unwrap();
    assert!(link.starts_with("http") && link.lines().count() == 1);
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(note.contains("good for 15 minutes"), "{note}");

    let json = [&connect[..], &["--provider", "garmin", "--json"]].concat();
    let json: Value = serde_json::from_str(&ok_with(&terra.variables(), &json)).unwrap();
    assert_eq!(json["provider"], "GARMIN");
    assert!(json["url"].as_str().unwrap().starts_with("http"));
    assert!(json["expires_in_s"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_terra_refuses_is_told_with_what_to_do() {
    let terra = Terra::start().await;
    let variables = terra.variables();
    let connect = ["connect", "--reference-id", "ann"];
    let unknown = [&connect[..], &["--provider", "ABACUS"]].concat();
    refused_with(&variables, &unknown, 2, "Terra has no provider ABACUS");
    let bad_url = [&connect[..], &["--success-url", "nowhere"]].concat();
    refused_with(&variables, &bad_url, 2, "https://host/path");
    let nobody = ["connect", "--reference-id", ""];
    refused_with(&variables, &nobody, 2, "1 to 1024 bytes");

    let wrong = [variables[0], ("TERRA_API_KEY", "other"), variables[2]];
    refused_with(
        &wrong,
        &connect,
        1,
        "compare TERRA_DEV_ID and TERRA_API_KEY",
    );
    let half = [variables[0], variables[2]];
    refused_with(&half, &connect, 2, "TERRA_API_KEY is not set");
    let silent = [
        variables[0],
        variables[1],
        ("TERRA_API_URL", "http://127.0.0.1:9"),
    ];
    refused_with(&silent, &connect, 1, "TERRA_API_URL says where Terra is");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    refused(
        &[&connect[..], &["--data", data]].concat(),
        2,
        "set TERRA_DEV_ID and TERRA_API_KEY",
    );
}
