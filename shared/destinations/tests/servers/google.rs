//! Google Cloud Storage (fake-gcs-server) and Firestore (Google's emulator) behind `google_gate.py`, which verifies our tokens with Google's
//! own library: `TERRARIUM_TEST_GOOGLE` is its port, `TERRARIUM_TEST_GOOGLE_KEYS` the folder of keys.

use std::path::PathBuf;

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Erased, Erasure, Kind, Outcome},
    net::Network,
};
use jiff::Timestamp;
use models::data::DataType;
use serde_json::{Value, json};

use crate::{
    places::{http, make_gcs_bucket},
    proxy::Proxy,
    samples, server, suite,
};

pub(crate) fn port() -> u16 {
    server("TERRARIUM_TEST_GOOGLE").parse().unwrap()
}

/// The service account's key, with a token endpoint behind `port`.
pub(crate) fn account(port: u16, key: &str) -> Value {
    let folder = PathBuf::from(server("TERRARIUM_TEST_GOOGLE_KEYS"));
    let text = std::fs::read_to_string(folder.join("account.json")).unwrap();
    let mut account: Value = serde_json::from_str(&text).unwrap();
    account["private_key"] = std::fs::read_to_string(folder.join(key)).unwrap().into();
    account["token_uri"] = format!("http://127.0.0.1:{port}/token").into();
    account
}

/// Opens a destination of Google's behind `port`.
pub(crate) fn destination(
    kind: KindName,
    port: u16,
    mut config: Value,
    account: &Value,
) -> Box<dyn Kind> {
    config["endpoint"] = format!("http://127.0.0.1:{port}").into();
    let secrets = json!({"service_account_json": account});
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    #[expect(
        clippy::disallowed_methods,
        reason = "Google's library compares a token with the clock"
    )]
    let clock = Clock::new(Timestamp::now);
    let context = Context::new(samples::DESTINATION, Network::Local, clock);
    open(kind, config.as_object().unwrap(), &secrets, context).unwrap()
}

fn bucket(port: u16, name: &str, more: &Value) -> Box<dyn Kind> {
    let mut config = json!({"bucket": name});
    let object = config.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    destination(KindName::Gcs, port, config, &account(port, "google.key"))
}

#[tokio::test]
#[ignore = "needs a server"]
async fn gcs_ends_equal_to_the_store_whatever_happens() {
    make_gcs_bucket("equal").await;
    let line = Proxy::to(port()).await;
    let one = bucket(line.port, "equal", &json!({"prefix": "out"}));
    let other = bucket(line.port, "equal", &json!({"prefix": "out"}));
    suite::state_kind(&*one, &*other, Some(&line), (2, 9), true).await;
}

#[tokio::test]
#[ignore = "needs a server"]
async fn gcs_keeps_terras_names_and_every_revision() {
    make_gcs_bucket("layouts").await;
    let record = r#"{"metadata":{"start_time":"2026-11-20T08:00:00+00:00"}}"#;
    let session = |key: &str, revision| samples::record(DataType::Activity, key, record, revision);
    let terra = bucket(
        port(),
        "layouts",
        &json!({"prefix": "t", "layout": "terra"}),
    );
    for change in [session("a", 1), session("b", 1), session("b", 2)] {
        assert_eq!(terra.deliver(&[change]).await.unwrap(), [Outcome::APPLIED]);
    }
    let again = terra.deliver(&[session("b", 1)]).await.unwrap();
    assert_eq!(again, [Outcome::Stale]);
    let log = bucket(
        port(),
        "layouts",
        &json!({"prefix": "r", "layout": "revisions"}),
    );
    for revision in [1, 2, 2] {
        log.deliver(&[session("a", revision)]).await.unwrap();
    }
    let person = Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![samples::owner(1)],
        terra_user_ids: samples::source(1).terra_user_id.into_iter().collect(),
        records: Vec::new(),
    };
    assert_eq!(terra.erase(&person).await, Ok(Erased::Done(2)));
    assert_eq!(log.erase(&person).await, Ok(Erased::Done(2)));
}

#[tokio::test]
#[ignore = "needs a server"]
async fn gcs_names_a_missing_bucket_and_a_key_that_google_refuses() {
    let day = samples::daily(1, "2026-11-20", 1, 1);
    let nowhere = bucket(port(), "nowhere", &json!({}));
    let fault = nowhere
        .deliver(std::slice::from_ref(&day))
        .await
        .unwrap_err();
    assert!(fault.to_string().contains("gs://nowhere"), "{fault}");
    let config = json!({"bucket": "equal"});
    let foreign = destination(KindName::Gcs, port(), config, &account(port(), "other.key"));
    let fault = foreign.deliver(&[day]).await.unwrap_err();
    assert_eq!(fault.code(), Some("invalid_grant"));
    assert!(
        fault.to_string().contains("the service account's key"),
        "{fault}"
    );
    let findings = foreign.probe().await;
    assert!(
        findings.iter().all(destinations::kind::Finding::is_failed),
        "{findings:?}"
    );
}

/// A database of the emulator; `None` where there is no emulator, which the script says.
fn firestore(port: u16, name: &str, more: &Value) -> Option<Box<dyn Kind>> {
    if server("TERRARIUM_TEST_FIRESTORE").is_empty() {
        return None;
    }
    let mut config = json!({"database_id": name});
    let object = config.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    let account = account(port, "google.key");
    Some(destination(KindName::Firestore, port, config, &account))
}

#[tokio::test]
#[ignore = "needs a server"]
async fn firestore_ends_equal_to_the_store_whatever_happens() {
    let line = Proxy::to(port()).await;
    for layout in ["record", "terra"] {
        let open = || firestore(line.port, layout, &json!({"layout": layout}));
        let (Some(one), Some(other)) = (open(), open()) else {
            return;
        };
        suite::state_kind(&*one, &*other, Some(&line), (2, 9), true).await;
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn firestore_tells_two_sessions_that_begin_at_once_apart_in_terras_layout() {
    let Some(terra) = firestore(port(), "names", &json!({"layout": "terra"})) else {
        return;
    };
    let record = r#"{"metadata":{"start_time":"2026-11-20T08:00:00+00:00"}}"#;
    let session = |key: &str, revision| samples::record(DataType::Activity, key, record, revision);
    let outcomes = terra.deliver(&[session("a", 1), session("b", 1)]).await;
    assert_eq!(outcomes.unwrap(), [Outcome::APPLIED, Outcome::APPLIED]);
    let outcomes = terra.deliver(&[session("b", 1), session("a", 2)]).await;
    assert_eq!(outcomes.unwrap(), [Outcome::Stale, Outcome::APPLIED]);
    let owner = samples::owner(1);
    let held = terra.revisions(&owner, Some(DataType::Activity)).await;
    assert_eq!(held.unwrap().len(), 2);
    let gone = samples::deleted(DataType::Activity, "b", 2);
    terra.deliver(&[gone]).await.unwrap();
    let held = terra.revisions(&owner, Some(DataType::Activity)).await;
    assert_eq!(held.unwrap(), [(session("a", 2).record_id, 2)]);
}

/// Puts a document of Terra's own into the emulator, as before a move.
async fn put_terras_document(database: &str, collection: &str, user: &str) {
    let emulator = server("TERRARIUM_TEST_FIRESTORE");
    let url = format!(
        "http://127.0.0.1:{emulator}/v1/projects/terrarium-test/databases/{database}/documents/terra/2022-03-16/{collection}?documentId={user}-2026-11-19.json"
    );
    let user = json!({"mapValue": {"fields": {"user_id": {"stringValue": user}}}});
    let body = json!({"fields": {"user": user}}).to_string();
    let put = http().post(url).header("authorization", "Bearer owner");
    let put = put.body(body).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.status());
}

#[tokio::test]
#[ignore = "needs a server"]
async fn firestore_leaves_no_old_name_and_nothing_of_terras_own_behind() {
    let Some(terra) = firestore(port(), "renamed", &json!({"layout": "terra"})) else {
        return;
    };
    let owner = samples::owner(1);
    let count = async || {
        let totals = terra.totals(std::slice::from_ref(&owner)).await.unwrap();
        let totals = totals.unwrap().into_iter();
        totals.map(|total| total.count).sum::<u64>()
    };
    let record =
        |hour: u32| format!(r#"{{"metadata":{{"start_time":"2026-11-20T0{hour}:00:00+00:00"}}}}"#);
    let state = |hour, revision| samples::record(DataType::Activity, "a", &record(hour), revision);
    // Its start changes, and an older state comes late.
    for change in [state(8, 2), state(9, 3), state(7, 1)] {
        let outcomes = terra.deliver(&[change]).await.unwrap();
        assert!(outcomes[0].is_settled());
        assert_eq!(count().await, 1);
    }
    let held = terra.revisions(&owner, Some(DataType::Activity)).await;
    assert_eq!(held.unwrap()[0].1, 3);
    // Its user changes, and it is told anew at the same revision.
    let mut renamed = state(9, 3);
    renamed.source.terra_user_id = samples::source(7).terra_user_id;
    renamed.force = true;
    terra.deliver(&[renamed]).await.unwrap();
    assert_eq!(count().await, 1);

    let user = samples::source(1).terra_user_id.unwrap();
    for collection in ["daily", "user_events"] {
        put_terras_document("renamed", collection, user.as_str()).await;
        put_terras_document("renamed", collection, "somebody-else").await;
    }
    let person = Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![owner.clone()],
        terra_user_ids: vec![user],
        records: Vec::new(),
    };
    assert_eq!(terra.erase(&person).await, Ok(Erased::Done(3)));
    assert_eq!(terra.erase(&person).await, Ok(Erased::Done(0)));
}

#[tokio::test]
#[ignore = "needs a server"]
async fn firestore_takes_what_is_no_map_and_what_is_larger_than_a_document() {
    let Some(database) = firestore(port(), "limits", &json!({})) else {
        return;
    };
    let record = |key: &str, record: &str| samples::record(DataType::Daily, key, record, 1);
    let changes = [
        record(
            "2026-11-20",
            r#"{"__id__":1,"":2,"nul":"\u0000","half":"\ud800"}"#,
        ),
        record("2026-11-21", r#"{"laps":[[1,[2]],[]],"empty":{}}"#),
        record(
            "2026-11-22",
            &format!(r#"{{"a":"{}"}}"#, "x".repeat(2_000_000)),
        ),
        record(
            "2026-11-23",
            &format!(r#"{{"a":[{}]}}"#, vec!["1"; 50_000].join(",")),
        ),
    ];
    let outcomes = database.deliver(&changes).await.unwrap();
    assert_eq!(outcomes[0], Outcome::Applied { repaired: 2 });
    assert!(outcomes.iter().all(Outcome::is_settled), "{outcomes:?}");
}
