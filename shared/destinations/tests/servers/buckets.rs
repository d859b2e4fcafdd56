//! S3 (ministack: `TERRARIUM_TEST_AWS`), Azure Blob Storage (Azurite: `TERRARIUM_TEST_AZURE`) and the
//! folder, which needs no server.

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::Kind,
    net::Network,
};
use serde_json::{Value, json};

use crate::{
    places::{ACCOUNT, KEY, make_container, make_s3_bucket},
    proxy::Proxy,
    samples, server, suite,
};

fn destination(kind: KindName, config: &Value, secrets: &Value) -> Box<dyn Kind> {
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let context = Context::new(
        samples::DESTINATION,
        Network::Local,
        Clock::new(samples::now),
    );
    open(kind, config.as_object().unwrap(), &secrets, context).unwrap()
}

#[tokio::test]
#[ignore = "needs a server"]
async fn s3_ends_equal_to_the_store_whatever_happens() {
    let port: u16 = server("TERRARIUM_TEST_AWS").parse().unwrap();
    make_s3_bucket("equal").await;
    let line = Proxy::to(port).await;
    let config = json!({
        "bucket": "equal", "region": "us-east-1", "prefix": "out",
        "endpoint": format!("http://127.0.0.1:{}", line.port),
    });
    let secrets = json!({"access_key_id": "test", "secret_access_key": "test"});
    let one = destination(KindName::S3, &config, &secrets);
    let other = destination(KindName::S3, &config, &secrets);
    suite::state_kind(&*one, &*other, Some(&line), (2, 9), true).await;
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_bucket_that_is_not_there_is_named() {
    let port = server("TERRARIUM_TEST_AWS");
    let config = json!({
        "bucket": "nowhere", "region": "us-east-1", "endpoint": format!("http://127.0.0.1:{port}"),
    });
    let secrets = json!({"access_key_id": "test", "secret_access_key": "test"});
    let bucket = destination(KindName::S3, &config, &secrets);
    let fault = bucket
        .deliver(&[samples::daily(1, "2026-11-20", 1, 1)])
        .await
        .unwrap_err();
    assert_eq!(fault.name(), "misconfigured", "{fault}");
}

#[tokio::test]
#[ignore = "needs a server"]
async fn azure_ends_equal_to_the_store_whatever_happens() {
    let port: u16 = server("TERRARIUM_TEST_AZURE").parse().unwrap();
    make_container("equal");
    let line = Proxy::to(port).await;
    let config = json!({
        "account": ACCOUNT, "container": "equal",
        "endpoint": format!("http://127.0.0.1:{}/{ACCOUNT}", line.port),
    });
    let secrets = json!({"account_key": KEY});
    let one = destination(KindName::Azure, &config, &secrets);
    let other = destination(KindName::Azure, &config, &secrets);
    suite::state_kind(&*one, &*other, Some(&line), (2, 9), true).await;
}

#[tokio::test]
#[ignore = "needs a server"]
async fn azure_names_a_wrong_key_and_a_missing_container() {
    let port = server("TERRARIUM_TEST_AZURE");
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    for (container, key, finding) in [
        (
            "equal",
            "c2VjcmV0",
            "refuses us, for its key or for a right",
        ),
        ("nowhere", KEY, "there is no container"),
    ] {
        let config = json!({
            "account": ACCOUNT, "container": container,
            "endpoint": format!("http://127.0.0.1:{port}/{ACCOUNT}"),
        });
        let azure = destination(KindName::Azure, &config, &json!({"account_key": key}));
        let fault = azure.deliver(&day).await.unwrap_err();
        assert_eq!(fault.name(), "misconfigured", "{container}: {fault:?}");
        assert!(fault.to_string().contains(finding), "{fault}");
    }
}

#[tokio::test]
async fn a_folder_ends_equal_to_the_store() {
    let root = tempfile::tempdir().unwrap();
    let config = json!({"path": root.path()});
    let one = destination(KindName::Folder, &config, &json!({}));
    let other = destination(KindName::Folder, &config, &json!({}));
    suite::state_kind(&*one, &*other, None, (2, 9), true).await;
}
