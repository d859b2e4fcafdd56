//! Signatures of webhooks, as a receiver gets them, verified by others: the libraries of Standard
//! Webhooks and Terra's official clients (`TERRARIUM_TEST_PYTHON`, `TERRARIUM_TEST_NODE_MODULES`).

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::Outcome,
    net::Network,
    sign::Secret,
};
use jiff::Timestamp;
use models::data::DataType;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{samples, server};

type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receiver() -> (String, Got) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got = Got::default();
    let take = |State(got): State<Got>, headers: HeaderMap, body: Bytes| async move {
        got.lock().unwrap().push((headers, body));
    };
    let router = Router::new().fallback(take).with_state(Arc::clone(&got));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

/// Sends one webhook and returns it as the verifiers read it.
async fn sent(config: Value, secrets: Value, accepted: Value) -> Value {
    let (url, got) = receiver().await;
    let mut settings = json!({"url": url});
    let settings = settings.as_object_mut().unwrap();
    settings.extend(config.as_object().unwrap().clone());
    #[expect(
        clippy::disallowed_methods,
        reason = "the verifiers compare a signature with the clock"
    )]
    let clock = Clock::new(Timestamp::now);
    let context = Context::new(samples::DESTINATION, Network::Local, clock);
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let webhook = open(KindName::Webhook, settings, &secrets, context).unwrap();
    let record = r#"{"metadata":{"start_time":"2026-11-20T00:00:00+00:00"},"note":"é\u0000 \ud83d\ude00","n":1.50}"#;
    let change = samples::record(DataType::Daily, "2026-11-20", record, 7);
    assert_eq!(
        webhook.deliver(&[change]).await.unwrap(),
        [Outcome::APPLIED]
    );
    let (headers, body) = got.lock().unwrap().remove(0);
    let headers: serde_json::Map<_, _> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    json!({"headers": headers, "body": STANDARD.encode(&body), "accepted": accepted})
}

#[tokio::test]
#[ignore = "needs a server"]
async fn receivers_of_standard_webhooks_and_of_terra_verify_what_is_sent() {
    let new = Secret::generate().expose_secret().to_owned();
    let old = Secret::generate().expose_secret().to_owned();
    let both = |secrets: &[&str]| json!({"standard": secrets, "terra": secrets});
    let deliveries = [
        sent(json!({}), json!({"secret": new}), both(&[&new])).await,
        sent(
            json!({"format": "terra"}),
            json!({"secret": new}),
            both(&[&new]),
        )
        .await,
        // While one secret replaces the other, a receiver may have either.
        sent(
            json!({}),
            json!({"secret": new, "previous_secret": old}),
            both(&[&new, &old]),
        )
        .await,
        // A receiver that came from Terra keeps the secret that Terra gave it.
        sent(
            json!({"format": "terra"}),
            json!({"secret": new, "terra_secret": "from-terras-dashboard"}),
            json!({"standard": [new], "terra": ["from-terras-dashboard"]}),
        )
        .await,
        sent(
            json!({"headers_style": "standard"}),
            json!({"secret": new}),
            json!({"standard": [new], "terra": []}),
        )
        .await,
        sent(
            json!({"headers_style": "terra"}),
            json!({"secret": new}),
            json!({"standard": [], "terra": [new]}),
        )
        .await,
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries.json");
    std::fs::write(&file, Value::from(deliveries.to_vec()).to_string()).unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
    // Node looks for packages beside the script.
    let modules = server("TERRARIUM_TEST_NODE_MODULES");
    let beside = Path::new(&modules).join("../verify.mjs");
    std::fs::copy(scripts.join("verify.mjs"), &beside).unwrap();
    for (program, script) in [
        (server("TERRARIUM_TEST_PYTHON"), scripts.join("verify.py")),
        ("node".to_owned(), beside),
    ] {
        let output = Command::new(&program)
            .arg(script)
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}{wrong}");
        // By each of two libraries: one secret of every delivery, and two of the rotation.
        assert_eq!(said.trim(), "6 and 6 verified", "{wrong}");
    }
}
