//! Buckets of ministack, Azurite and fake-gcs-server.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_types::{SdkConfig, region::Region};
use destinations::{config::KindName, id::RecordId};
use futures::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
};
use serde_json::{Value, json};
use store::archive::Archive;

use super::{
    super::{
        far_end::{FarEnd, Held, objects},
        proxy::Proxy,
    },
    places::{ACCOUNT, KEY, make_container, make_gcs_bucket, make_s3_bucket},
    port,
};
use crate::world::client;

/// A bucket that `object_store` reads.
pub(super) struct Objects {
    kind: KindName,
    settings: Value,
    store: Box<dyn ObjectStore>,
    line: Proxy,
}

impl Objects {
    pub(super) async fn s3() -> Self {
        make_s3_bucket("story").await;
        let port = port("TERRARIUM_TEST_AWS");
        let store = AmazonS3Builder::new()
            .with_bucket_name("story")
            .with_region("us-east-1")
            .with_endpoint(format!("http://127.0.0.1:{port}"))
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_allow_http(true);
        let line = Proxy::to(port).await;
        let settings = json!({
            "bucket": "story", "region": "us-east-1", "access_key_id": "test",
            "secret_access_key": "test", "endpoint": format!("http://127.0.0.1:{}", line.port),
        });
        Self {
            kind: KindName::S3,
            settings,
            store: Box::new(store.build().unwrap()),
            line,
        }
    }

    pub(super) async fn azure() -> Self {
        drop(client());
        make_container("story");
        let port = port("TERRARIUM_TEST_AZURE");
        let store = MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(KEY)
            .with_container_name("story")
            .with_endpoint(format!("http://127.0.0.1:{port}/{ACCOUNT}"))
            .with_allow_http(true);
        let line = Proxy::to(port).await;
        let settings = json!({
            "account": ACCOUNT, "container": "story", "account_key": KEY,
            "endpoint": format!("http://127.0.0.1:{}/{ACCOUNT}", line.port),
        });
        Self {
            kind: KindName::Azure,
            settings,
            store: Box::new(store.build().unwrap()),
            line,
        }
    }
}

#[async_trait]
impl FarEnd for Objects {
    fn kind(&self) -> KindName {
        self.kind
    }

    fn settings(&self) -> Value {
        self.settings.clone()
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let listed: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut contents = Vec::new();
        for object in listed {
            let found = self.store.get(&object.location).await.unwrap();
            contents.push(found.bytes().await.unwrap());
        }
        objects(contents)
    }
}

/// A bucket of fake-gcs-server, which asks for no token.
pub(super) struct Gcs {
    line: Proxy,
}

impl Gcs {
    pub(super) async fn start() -> Self {
        make_gcs_bucket("story").await;
        Self {
            line: Proxy::to(port("TERRARIUM_TEST_GCS")).await,
        }
    }
}

#[async_trait]
impl FarEnd for Gcs {
    fn kind(&self) -> KindName {
        KindName::Gcs
    }

    fn settings(&self) -> Value {
        json!({"bucket": "story", "endpoint": format!("http://127.0.0.1:{}", self.line.port)})
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let port = port("TERRARIUM_TEST_GCS");
        let bucket = format!("http://127.0.0.1:{port}/storage/v1/b/story/o");
        let http = client();
        let listed = http.get(&bucket).send().await.unwrap().bytes().await;
        let listed: Value = serde_json::from_slice(&listed.unwrap()).unwrap();
        assert_eq!(listed["nextPageToken"], Value::Null);
        let mut contents = Vec::new();
        for object in listed["items"].as_array().unwrap() {
            let name = object["name"].as_str().unwrap().replace('/', "%2F");
            let asked = http.get(format!("{bucket}/{name}?alt=media")).send().await;
            contents.push(asked.unwrap().bytes().await.unwrap());
        }
        objects(contents)
    }
}

/// A body that a destination has no room for is read by its link, without any key.
#[tokio::test]
#[ignore = "needs a server"]
async fn a_body_that_the_archive_lends_is_read_by_its_link() {
    make_s3_bucket("lent").await;
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{}", port("TERRARIUM_TEST_AWS")))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let archive = Archive::s3("lent", &config).unwrap();
    for body in ["older", "newer"] {
        let content = ("application/json", body.into());
        let name = ["ann", "dst_1", "msg_1"];
        let link = archive.lend(name, content, Duration::from_mins(1));
        let link = link.await.unwrap();
        assert!(link.contains("X-Amz-Expires=60&"), "a link that ends");
        let answer = client().get(link).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.text().await.unwrap(), body);
    }
    let erase = async |owner: &str| {
        let owners = [owner.to_owned()].into();
        archive.erase_outbox(&owners).await.unwrap()
    };
    assert_eq!((erase("an").await, erase("ann").await), (0, 1));
    assert_eq!(erase("ann").await, 0);
}
