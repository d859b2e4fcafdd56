//! MySQL (MariaDB: `TERRARIUM_TEST_MYSQL`) and MongoDB (SecantusDB: `TERRARIUM_TEST_MONGODB`).

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Kind, Outcome, Shape},
    net::Network,
};
use futures::TryStreamExt as _;
use models::data::DataType;
use mongodb::{
    Client,
    bson::{Document, doc},
    options::ClientOptions,
};
use mysql_async::{Conn, OptsBuilder, prelude::Queryable as _};
use serde_json::{Value, json};

use crate::{proxy::Proxy, samples, server, suite};

fn destination(kind: KindName, config: &Value, secrets: &Value) -> Box<dyn Kind> {
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let context = Context::new(
        samples::DESTINATION,
        Network::Local,
        Clock::new(samples::now),
    );
    open(kind, config.as_object().unwrap(), &secrets, context).unwrap()
}

fn mysql_port() -> u16 {
    server("TERRARIUM_TEST_MYSQL").parse().unwrap()
}

fn mysql(port: u16, database: &str, user: &str) -> Box<dyn Kind> {
    let config = json!({
        "host": "127.0.0.1", "port": port, "database": database, "user": user, "ssl_mode": "disabled",
    });
    destination(KindName::Mysql, &config, &json!({"password": "secret"}))
}

pub(crate) async fn sql(statements: &[&str]) {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(mysql_port())
        .user(Some("root"));
    let mut conn = Conn::new(options).await.unwrap();
    for statement in statements {
        conn.query_drop(*statement).await.unwrap();
    }
    conn.disconnect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mysql_ends_equal_to_the_store_whatever_happens() {
    sql(&[
        "DROP DATABASE IF EXISTS equal_store",
        "CREATE DATABASE equal_store",
        "CREATE OR REPLACE USER writer IDENTIFIED BY 'secret'",
        "GRANT ALL ON equal_store.* TO writer",
    ])
    .await;
    let line = Proxy::to(mysql_port()).await;
    let one = mysql(line.port, "equal_store", "writer");
    let other = mysql(line.port, "equal_store", "writer");
    suite::state_kind(&*one, &*other, Some(&line), (3, 15), true).await;
    sql(&["SELECT 1 / (COUNT(*) = 0) FROM equal_store.terrarium_daily WHERE steps <> 4000"]).await;
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mysql_names_a_missing_right_and_widens_what_others_altered() {
    sql(&[
        "DROP DATABASE IF EXISTS altered",
        "CREATE DATABASE altered",
        "CREATE OR REPLACE USER maker IDENTIFIED BY 'secret'",
        "GRANT ALL ON altered.* TO maker",
        "CREATE OR REPLACE USER reader IDENTIFIED BY 'secret'",
        "GRANT SELECT ON altered.* TO reader",
    ])
    .await;
    let maker = mysql(mysql_port(), "altered", "maker");
    maker.prepare(&Shape::all()).await.unwrap();
    let day = |revision| samples::daily(1, "2026-11-20", 100, revision);
    let reader = mysql(mysql_port(), "altered", "reader");
    let fault = reader.deliver(&[day(1)]).await.unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("INSERT, UPDATE on altered.terrarium_daily"),
        "{fault}"
    );
    sql(&["ALTER TABLE altered.terrarium_daily DROP COLUMN bmr_calories"]).await;
    assert_eq!(maker.deliver(&[day(2)]).await.unwrap(), [Outcome::APPLIED]);
    sql(&["DROP TABLE altered.terrarium_daily"]).await;
    assert_eq!(maker.deliver(&[day(3)]).await.unwrap(), [Outcome::APPLIED]);
    let nobody = mysql(mysql_port(), "altered", "nobody");
    assert_eq!(
        nobody.deliver(&[day(4)]).await.unwrap_err().name(),
        "misconfigured"
    );
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mongodb_ends_equal_to_the_store_whatever_happens() {
    let line = Proxy::to(server("TERRARIUM_TEST_MONGODB").parse().unwrap()).await;
    for layout in ["record", "terra"] {
        let config = json!({
            "host": "127.0.0.1", "port": line.port, "database": format!("equal_{layout}"),
            "tls": false, "direct_connection": true, "layout": layout,
        });
        let one = destination(KindName::Mongodb, &config, &json!({}));
        let other = destination(KindName::Mongodb, &config, &json!({}));
        suite::state_kind(&*one, &*other, Some(&line), (3, 15), true).await;
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mongodb_tells_sessions_apart_in_terras_layout_and_takes_over_what_terra_wrote() {
    let port: u16 = server("TERRARIUM_TEST_MONGODB").parse().unwrap();
    let options =
        ClientOptions::parse(format!("mongodb://127.0.0.1:{port}/?directConnection=true"));
    let client = Client::with_options(options.await.unwrap()).unwrap();
    let database = client.database("terras");
    database.drop().await.unwrap();
    let sessions = database.collection::<Document>("activity");
    let start = "2026-11-20T08:00:00+00:00";
    let terras = doc! {
        "_id": {"user_id": "user-1", "start_time": start}, "user": {"user_id": "user-1"},
    };
    sessions.insert_one(terras).await.unwrap();
    let config = json!({
        "host": "127.0.0.1", "port": port, "database": "terras", "tls": false,
        "direct_connection": true, "layout": "terra",
    });
    let mongodb = destination(KindName::Mongodb, &config, &json!({}));
    let shape = destinations::kind::Shape::all();
    mongodb.prepare(&shape).await.unwrap();
    let session = |key: &str, start: &str, revision| {
        let record = format!(r#"{{"metadata":{{"start_time":"{start}"}}}}"#);
        samples::record(DataType::Activity, key, &record, revision)
    };
    let names = async || {
        let found = sessions.find(doc! {}).await.unwrap();
        let found: Vec<Document> = found.try_collect().await.unwrap();
        let names = found
            .iter()
            .map(|it| it.get_document("_id").unwrap().clone());
        let mut names: Vec<_> = names
            .map(|id| {
                let start = id.get_str("start_time").unwrap().to_owned();
                (start, id.get_str("record_id").ok().map(str::to_owned))
            })
            .collect();
        names.sort();
        names
    };
    let (a, b) = (session("a", start, 1), session("b", start, 1));
    let both = [a.clone(), b.clone()];
    assert_eq!(mongodb.deliver(&both).await.unwrap(), [Outcome::APPLIED; 2]);
    let second = b.record_id.to_string();
    let at_once = vec![(start.to_owned(), None), (start.to_owned(), Some(second))];
    assert_eq!(names().await, at_once, "Terra's own is written over");
    assert_eq!(
        mongodb.deliver(&both).await.unwrap(),
        [Outcome::Stale, Outcome::Stale]
    );
    // A start that changes leaves nothing behind.
    let later = "2026-11-20T09:00:00+00:00";
    mongodb.deliver(&[session("a", later, 2)]).await.unwrap();
    assert_eq!(names().await.len(), 2);
    mongodb.deliver(&[session("b", start, 2)]).await.unwrap();
    let owner = samples::owner(1);
    let held = mongodb
        .revisions(&owner, Some(DataType::Activity))
        .await
        .unwrap();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|(_, revision)| *revision == 2));
    // Its user changes, and it is told anew at the same revision.
    let mut renamed = session("a", later, 2);
    renamed.source.terra_user_id = samples::source(7).terra_user_id;
    renamed.force = true;
    mongodb.deliver(&[renamed]).await.unwrap();
    assert_eq!(names().await.len(), 2);
    let gone = ["a", "b"].map(|key| samples::deleted(DataType::Activity, key, 3));
    mongodb.deliver(&gone).await.unwrap();
    assert_eq!(names().await, []);
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_unique_index_of_others_rejects_a_document_and_holds_nothing_up() {
    let port: u16 = server("TERRARIUM_TEST_MONGODB").parse().unwrap();
    let options =
        ClientOptions::parse(format!("mongodb://127.0.0.1:{port}/?directConnection=true"));
    let client = Client::with_options(options.await.unwrap()).unwrap();
    let database = client.database("altered");
    database.drop().await.unwrap();
    let index = doc! {"key": {"reference_id": 1}, "name": "theirs", "unique": true};
    let made = doc! {"createIndexes": "daily", "indexes": [index]};
    database.run_command(made).await.unwrap();
    let config = json!({
        "host": "127.0.0.1", "port": port, "database": "altered", "tls": false, "direct_connection": true,
    });
    let mongodb = destination(KindName::Mongodb, &config, &json!({}));
    let changes = [
        samples::daily(1, "2026-11-20", 1, 1),
        samples::daily(1, "2026-11-21", 1, 1),
        samples::daily(2, "2026-11-20", 1, 1),
    ];
    let outcomes = mongodb.deliver(&changes).await.unwrap();
    assert_eq!(
        (&outcomes[0], &outcomes[2]),
        (&Outcome::APPLIED, &Outcome::APPLIED)
    );
    let Outcome::Rejected(rejection) = &outcomes[1] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(rejection.code.as_deref(), Some("11000"));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(16 * 1024 * 1024));
    for record in [deep, large] {
        let change = samples::record_of(3, DataType::Sleep, "2026-11-20", &record, 1);
        let small = samples::record_of(4, DataType::Sleep, "2026-11-20", "{}", 1);
        let outcomes = mongodb.deliver(&[change, small]).await.unwrap();
        assert!(matches!(outcomes[0], Outcome::Rejected(_)), "{outcomes:?}");
        assert!(outcomes[1].is_settled(), "{outcomes:?}");
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mysql_warns_of_a_column_of_another_type_and_rejects_what_is_too_large() {
    sql(&[
        "DROP DATABASE IF EXISTS retyped",
        "CREATE DATABASE retyped",
        "CREATE OR REPLACE USER retyper IDENTIFIED BY 'secret'",
        "GRANT ALL ON retyped.* TO retyper",
    ])
    .await;
    let before = mysql(mysql_port(), "retyped", "retyper");
    before.prepare(&Shape::all()).await.unwrap();
    sql(&[
        "ALTER TABLE retyped.terrarium_daily MODIFY steps DATE NULL, ADD own INT",
        "ALTER TABLE retyped.terrarium_daily ADD CONSTRAINT few CHECK (distance_meters < 1000)",
    ])
    .await;
    let after = mysql(mysql_port(), "retyped", "retyper");
    let shape = Shape {
        data_types: vec![DataType::Daily],
    };
    let findings = after.prepare(&shape).await.unwrap();
    let finding = "the column steps of terrarium_daily has another type";
    assert!(findings[0].text.contains(finding), "{findings:?}");
    let day = samples::daily(1, "2026-11-20", 100, 1);
    assert_eq!(after.deliver(&[day]).await.unwrap(), [Outcome::APPLIED]);
    let small = samples::daily(3, "2026-11-20", 100, 1);
    let refused = r#"{"distance_data":{"distance_meters":5000.0}}"#;
    let refused = samples::record_of(2, DataType::Daily, "2026-11-20", refused, 1);
    let fault = after.deliver(&[refused]).await.unwrap_err();
    assert_eq!((fault.name(), fault.code()), ("rejected", Some("4025")));
    // Larger than max_allowed_packet, which is 16 MiB.
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
    let large = samples::record_of(2, DataType::Daily, "2026-11-20", &large, 1);
    let outcomes = after.deliver(&[large, small]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Rejected(_)), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::APPLIED);
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mongodb_names_a_wrong_password_and_a_missing_right() {
    let port: u16 = server("TERRARIUM_TEST_MONGODB_USERS").parse().unwrap();
    let open = |username: &str, password: &str| {
        let config = json!({
            "host": "127.0.0.1", "port": port, "database": "rights", "tls": false,
            "direct_connection": true, "username": username,
        });
        destination(KindName::Mongodb, &config, &json!({"password": password}))
    };
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    let outcomes = open("writer", "right").deliver(&day).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED]);
    for (username, password, finding) in [
        ("writer", "wrong", "the user or the password is wrong"),
        ("nobody", "right", "the user or the password is wrong"),
        ("reader", "right", "readWrite on rights"),
    ] {
        let mongodb = open(username, password);
        let fault = mongodb.deliver(&day).await.unwrap_err();
        assert_eq!(fault.name(), "misconfigured", "{username}: {fault:?}");
        assert!(fault.to_string().contains(finding), "{username}: {fault}");
        let findings = mongodb.probe().await;
        assert!(findings.last().unwrap().is_failed(), "{findings:?}");
    }
}
