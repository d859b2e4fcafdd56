//! Places at the servers, made by clients that are not ours: buckets, containers, queues.

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use serde_json::json;

use super::server;

/// The account of every Azurite.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(crate) fn http() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A client of SQS at ministack, with its address.
pub(crate) fn sqs() -> (String, Client) {
    let endpoint = format!("http://127.0.0.1:{}", server("TERRARIUM_TEST_AWS"));
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    (endpoint, Client::from_conf(config.build()))
}

/// Makes a bucket at fake-gcs-server itself.
pub(crate) async fn make_gcs_bucket(name: &str) {
    let url = format!(
        "http://127.0.0.1:{}/storage/v1/b?project=test",
        server("TERRARIUM_TEST_GCS")
    );
    let http = http();
    let body = json!({"name": name}).to_string();
    let made = http.post(url).body(body).send().await.unwrap();
    assert!(made.status().is_success() || made.status() == 409);
}

/// Makes a bucket at ministack and returns its address. Whoever may create one may do so without a signature there.
pub(crate) async fn make_s3_bucket(name: &str) -> String {
    let bucket = format!("http://127.0.0.1:{}/{name}", server("TERRARIUM_TEST_AWS"));
    let http = http();
    let made = http.put(&bucket).send().await.unwrap();
    assert!(made.status().is_success() || made.status() == 409);
    bucket
}

/// Makes a container at Azurite. `object_store` makes none.
pub(crate) fn make_container(name: &str) {
    let port = server("TERRARIUM_TEST_AZURE");
    let mut python = std::process::Command::new(server("TERRARIUM_TEST_PYTHON"));
    let made = python
        .args(["-c", include_str!("azure.py"), &port, name])
        .status();
    assert!(made.unwrap().success());
}
