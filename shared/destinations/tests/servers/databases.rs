//! MySQL (MariaDB: `TERRARIUM_TEST_MYSQL`) and MongoDB (SecantusDB: `TERRARIUM_TEST_MONGODB`).

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Kind, Outcome, Shape},
    net::Network,
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
    let config = json!({
        "host": "127.0.0.1", "port": line.port, "database": "equal", "tls": false, "direct_connection": true,
    });
    let one = destination(KindName::Mongodb, &config, &json!({}));
    let other = destination(KindName::Mongodb, &config, &json!({}));
    suite::state_kind(&*one, &*other, Some(&line), (3, 15), true).await;
}
