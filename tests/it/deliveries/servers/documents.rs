//! SecantusDB, which speaks MongoDB's language, and Google's emulator of Firestore.

use std::collections::BTreeMap;

use async_trait::async_trait;
use destinations::{config::KindName, id::RecordId};
use futures::TryStreamExt as _;
use models::data::DataType;
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    options::ClientOptions,
};
use serde_json::{Map, Value, json};

use super::{
    super::{
        far_end::{FarEnd, Held},
        proxy::Proxy,
    },
    port,
};
use crate::world::client;

/// A database of documents.
pub(super) struct Mongodb {
    database: Database,
    line: Proxy,
}

impl Mongodb {
    pub(super) async fn start() -> Self {
        let port = port("TERRARIUM_TEST_MONGODB");
        let address = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let options = ClientOptions::parse(address).await.unwrap();
        let database = Client::with_options(options).unwrap().database("story");
        database.drop().await.unwrap();
        Self {
            database,
            line: Proxy::to(port).await,
        }
    }
}

#[async_trait]
impl FarEnd for Mongodb {
    fn kind(&self) -> KindName {
        KindName::Mongodb
    }

    fn settings(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.line.port, "database": "story", "tls": false,
            "direct_connection": true,
        })
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let mut all = BTreeMap::new();
        for data_type in DataType::ALL {
            let collection = self.database.collection::<Document>(data_type.as_str());
            let found = collection.find(doc! {}).await.unwrap();
            for document in found.try_collect::<Vec<_>>().await.unwrap() {
                let document = serde_json::to_value(document).unwrap();
                let id = document["_id"].as_str().unwrap().parse().unwrap();
                all.insert(id, Held::of_envelope(&document));
            }
        }
        all
    }
}

/// A database of the emulator, which takes anybody for the project's owner.
pub(super) struct Firestore {
    line: Proxy,
}

/// Path of the documents.
const DOCUMENTS: &str = "v1/projects/terrarium-story/databases/(default)/documents";

impl Firestore {
    pub(super) async fn start() -> Self {
        Self {
            line: Proxy::to(port("TERRARIUM_TEST_FIRESTORE")).await,
        }
    }
}

/// A value as JSON, out of Firestore's form.
fn plain(value: &Value) -> Value {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "integerValue" => json!(value.as_str().unwrap().parse::<i64>().unwrap()),
        "arrayValue" => {
            let members = value["values"].as_array().into_iter().flatten();
            Value::Array(members.map(plain).collect())
        }
        "mapValue" => Value::Object(plain_fields(&value["fields"])),
        _ => value.clone(),
    }
}

fn plain_fields(fields: &Value) -> Map<String, Value> {
    let fields = fields.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

#[async_trait]
impl FarEnd for Firestore {
    fn kind(&self) -> KindName {
        KindName::Firestore
    }

    fn settings(&self) -> Value {
        let endpoint = format!("http://127.0.0.1:{}", self.line.port);
        json!({"project_id": "terrarium-story", "root": "story/1", "endpoint": endpoint})
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let port = port("TERRARIUM_TEST_FIRESTORE");
        let http = client();
        let mut all = BTreeMap::new();
        for data_type in DataType::ALL {
            let mut page = String::new();
            loop {
                let url = format!(
                    "http://127.0.0.1:{port}/{DOCUMENTS}/story/1/{data_type}?pageSize=300&pageToken={page}"
                );
                let asked = http.get(url).bearer_auth("owner").send().await.unwrap();
                let text = asked.text().await.unwrap();
                let answer: Value = serde_json::from_str(&text).unwrap();
                for document in answer["documents"].as_array().into_iter().flatten() {
                    let document = Value::Object(plain_fields(&document["fields"]));
                    let id = document["record_id"].as_str().unwrap().parse().unwrap();
                    all.insert(id, Held::of_envelope(&document));
                }
                match answer["nextPageToken"].as_str() {
                    Some(next) => next.clone_into(&mut page),
                    None => break,
                }
            }
        }
        all
    }
}
