//! PostgreSQL, also behind Supabase's functions, and MariaDB.

use std::collections::BTreeMap;

use async_trait::async_trait;
use destinations::{config::KindName, id::RecordId, supabase::install_script};
use models::data::DataType;
use mysql_async::{Conn, OptsBuilder, Row, prelude::Queryable as _};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use super::{
    super::{
        far_end::{FarEnd, Held},
        proxy::Proxy,
    },
    port,
    postgrest::{SECRET_KEY, connect, gateway, project},
};

fn record_id(row: &Map<String, Value>) -> RecordId {
    row["record_id"].as_str().unwrap().parse().unwrap()
}

/// A schema of PostgreSQL.
pub(super) struct Postgres {
    kind: KindName,
    settings: Value,
    schema: &'static str,
    client: Client,
    line: Proxy,
}

impl Postgres {
    pub(super) async fn start() -> Self {
        let client = connect("postgres", "postgres").await;
        let anew = "DROP SCHEMA IF EXISTS story CASCADE";
        client.batch_execute(anew).await.unwrap();
        let line = Proxy::to(port("TERRARIUM_TEST_POSTGRES")).await;
        let settings = json!({
            "host": "127.0.0.1", "port": line.port, "database": "postgres", "user": "postgres",
            "password": "secret", "schema": "story", "sslmode": "disable",
        });
        Self {
            kind: KindName::Postgres,
            settings,
            schema: "story",
            client,
            line,
        }
    }

    pub(super) async fn behind_supabase() -> Self {
        let client = project("supabase_story").await;
        let script = install_script("terrarium");
        client.batch_execute(&script).await.unwrap();
        let line = Proxy::to(gateway("supabase_story").await).await;
        let url = format!("http://127.0.0.1:{}", line.port);
        Self {
            kind: KindName::Supabase,
            settings: json!({"project_url": url, "secret_key": SECRET_KEY}),
            schema: "terrarium",
            client,
            line,
        }
    }
}

#[async_trait]
impl FarEnd for Postgres {
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
        let mut all = BTreeMap::new();
        for data_type in DataType::ALL {
            let read = format!(
                "SELECT to_jsonb(t)::text FROM {}.{data_type} t",
                self.schema
            );
            for row in self.client.query(&read, &[]).await.unwrap() {
                let row: Map<String, Value> = serde_json::from_str(row.get(0)).unwrap();
                all.insert(record_id(&row), Held::of_row(row));
            }
        }
        all
    }
}

/// A database of MariaDB.
pub(super) struct Mysql {
    line: Proxy,
}

impl Mysql {
    pub(super) async fn start() -> Self {
        let mut conn = Self::connect().await;
        for statement in [
            "DROP DATABASE IF EXISTS story",
            "CREATE DATABASE story",
            "CREATE OR REPLACE USER storyteller IDENTIFIED BY 'secret'",
            "GRANT ALL ON story.* TO storyteller",
        ] {
            conn.query_drop(statement).await.unwrap();
        }
        conn.disconnect().await.unwrap();
        Self {
            line: Proxy::to(port("TERRARIUM_TEST_MYSQL")).await,
        }
    }

    async fn connect() -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port("TERRARIUM_TEST_MYSQL"))
            .user(Some("root"));
        Conn::new(options).await.unwrap()
    }
}

/// A cell as JSON. What is JSON there already stays it.
fn cell(value: mysql_async::Value, is_json: bool) -> Value {
    use mysql_async::Value as Cell;
    match value {
        Cell::Bytes(text) if is_json => serde_json::from_slice(&text).unwrap(),
        Cell::Bytes(text) => json!(String::from_utf8(text).unwrap()),
        Cell::Int(number) => json!(number),
        Cell::UInt(number) => json!(number),
        Cell::Float(number) => json!(number),
        Cell::Double(number) => json!(number),
        Cell::Date(..) => json!("an instant"),
        Cell::NULL | Cell::Time(..) => Value::Null,
    }
}

#[async_trait]
impl FarEnd for Mysql {
    fn kind(&self) -> KindName {
        KindName::Mysql
    }

    fn settings(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.line.port, "database": "story", "user": "storyteller",
            "password": "secret", "ssl_mode": "disabled",
        })
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let mut conn = Self::connect().await;
        let mut all = BTreeMap::new();
        for data_type in DataType::ALL {
            let read = format!("SELECT * FROM story.terrarium_{data_type}");
            // Prepared, because numbers come as numbers only then.
            let rows: Vec<Row> = conn.exec(read, ()).await.unwrap();
            for row in rows {
                let names: Vec<String> = row
                    .columns_ref()
                    .iter()
                    .map(|column| column.name_str().into_owned())
                    .collect();
                let cells = names.into_iter().zip(row.unwrap());
                let row: Map<_, _> = cells
                    .map(|(name, value)| {
                        let is_json = ["payload", "enrichment", "samples"].contains(&&*name);
                        (name, cell(value, is_json))
                    })
                    .collect();
                all.insert(record_id(&row), Held::of_row(row));
            }
        }
        conn.disconnect().await.unwrap();
        all
    }
}
