//! PostgreSQL: `TERRARIUM_TEST_POSTGRES` is the port of a server without password on loopback, user
//! `postgres`.

use destinations::{
    change::Change,
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Kind, Outcome, Shape, Verdict},
    net::Network,
};
use models::data::DataType;
use serde_json::{Value, json};

use crate::{proxy::Proxy, samples, server, suite};

fn port() -> u16 {
    server("TERRARIUM_TEST_POSTGRES").parse().unwrap()
}

fn destination(port: u16, schema: &str, user: &str, more: &Value) -> Box<dyn Kind> {
    let mut config = json!({
        "host": "127.0.0.1", "port": port, "database": "postgres", "user": user,
        "schema": schema, "sslmode": "disable",
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let secrets = Secrets::new(json!({"password": "secret"}).as_object().unwrap().clone());
    let context = Context::new(
        samples::DESTINATION,
        Network::Local,
        Clock::new(samples::now),
    );
    open(
        KindName::Postgres,
        config.as_object().unwrap(),
        &secrets,
        context,
    )
    .unwrap()
}

async fn sql(statement: &str) {
    let text = format!("host=127.0.0.1 port={} user=postgres", port());
    let (client, connection) = tokio_postgres::connect(&text, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
}

async fn numbers(statement: &str) -> Vec<f64> {
    let text = format!("host=127.0.0.1 port={} user=postgres", port());
    let (client, connection) = tokio_postgres::connect(&text, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let rows = client.query(statement, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
#[ignore = "needs a server"]
async fn postgres_ends_equal_to_the_store_whatever_happens() {
    sql("DROP SCHEMA IF EXISTS equal CASCADE").await;
    let line = Proxy::to(port()).await;
    let one = destination(
        line.port,
        "equal",
        "postgres",
        &json!({"terra_views": true}),
    );
    let other = destination(line.port, "equal", "postgres", &json!({"pooler": true}));
    suite::state_kind(&*one, &*other, Some(&line), (3, 27), true).await;
    let steps = numbers("SELECT DISTINCT steps FROM equal.daily").await;
    assert_eq!(
        steps,
        [4000.0],
        "the newest state of every record, in its own column"
    );
    let views =
        numbers("SELECT count(*)::float8 FROM equal.terra_data_payloads WHERE payload IS NOT NULL")
            .await;
    assert!(views[0] > 40.0);
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_missing_right_is_named_and_nothing_else_fails() {
    sql("DROP SCHEMA IF EXISTS rights CASCADE; DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN").await;
    let writer = destination(port(), "rights", "postgres", &json!({}));
    writer.prepare(&Shape::all()).await.unwrap();
    sql("GRANT USAGE ON SCHEMA rights TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA rights TO reader").await;
    let reader = destination(port(), "rights", "reader", &json!({}));
    let fault = reader
        .deliver(&[samples::daily(1, "2026-11-20", 1, 1)])
        .await
        .unwrap_err();
    assert_eq!(fault.name(), "misconfigured");
    assert!(
        fault.to_string().contains("INSERT, UPDATE on rights.daily"),
        "{fault}"
    );
    let findings = reader.probe().await;
    let failed: Vec<_> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed)
        .collect();
    assert_eq!(failed.len(), 1, "{findings:?}");
    assert_eq!(
        failed[0].missing.as_deref(),
        Some("SELECT, INSERT, UPDATE on rights.daily")
    );
    let nobody = destination(port(), "rights", "nobody_at_all", &json!({}));
    assert_eq!(
        nobody
            .deliver(&[samples::daily(1, "2026-11-20", 1, 1)])
            .await
            .unwrap_err()
            .name(),
        "misconfigured"
    );
}

#[tokio::test]
#[ignore = "needs a server"]
async fn tables_altered_by_others_are_widened_and_never_narrowed() {
    sql("DROP SCHEMA IF EXISTS altered CASCADE; CREATE SCHEMA altered").await;
    let destination = destination(port(), "altered", "postgres", &json!({}));
    let deliver = |change: Change| {
        let destination = &destination;
        async move { destination.deliver(&[change]).await }
    };
    let day = |revision| samples::daily(1, "2026-11-20", 100, revision);
    assert_eq!(deliver(day(1)).await.unwrap(), [Outcome::APPLIED]);
    sql("ALTER TABLE altered.daily DROP COLUMN bmr_calories").await;
    assert_eq!(deliver(day(2)).await.unwrap(), [Outcome::APPLIED]);
    sql("DROP TABLE altered.daily").await;
    assert_eq!(deliver(day(3)).await.unwrap(), [Outcome::APPLIED]);
    sql("ALTER TABLE altered.daily ALTER COLUMN steps TYPE text; ALTER TABLE altered.daily ADD COLUMN own int").await;
    // A new connection reads the tables anew.
    let destination = self::destination(port(), "altered", "postgres", &json!({}));
    let findings = destination
        .prepare(&Shape {
            data_types: vec![DataType::Daily],
        })
        .await
        .unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0]
            .text
            .contains("the column steps of altered.daily has another type")
    );
    assert_eq!(
        destination.deliver(&[day(4)]).await.unwrap(),
        [Outcome::APPLIED]
    );
    let steps =
        numbers("SELECT (payload->'distance_data'->>'steps')::float8 FROM altered.daily").await;
    assert_eq!(steps, [100.0]);
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_record_that_the_database_refuses_is_rejected_by_code() {
    sql("DROP SCHEMA IF EXISTS refused CASCADE").await;
    let destination = destination(port(), "refused", "postgres", &json!({}));
    destination.prepare(&Shape::all()).await.unwrap();
    sql("ALTER TABLE refused.daily ADD CONSTRAINT few CHECK (steps < 1000)").await;
    let many = samples::daily(1, "2026-11-20", 5000, 1);
    let few = samples::daily(1, "2026-11-21", 500, 1);
    let fault = destination.deliver(&[many, few.clone()]).await.unwrap_err();
    assert_eq!((fault.name(), fault.code()), ("rejected", Some("23514")));
    assert_eq!(
        destination.deliver(&[few]).await.unwrap(),
        [Outcome::APPLIED]
    );
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_wrong_password_a_missing_database_and_a_replica_are_told_apart() {
    sql("DROP SCHEMA IF EXISTS credentials CASCADE").await;
    for role in ["with_password", "read_only"] {
        sql(&format!("DROP ROLE IF EXISTS {role}")).await;
    }
    sql("CREATE ROLE with_password LOGIN PASSWORD 'another'").await;
    sql("CREATE ROLE read_only SUPERUSER LOGIN").await;
    sql("ALTER ROLE read_only SET default_transaction_read_only = on").await;
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    for (user, more, code, finding) in [
        (
            "with_password",
            json!({}),
            "28P01",
            "the user or the password is wrong",
        ),
        (
            "postgres",
            json!({"database": "nowhere"}),
            "3D000",
            "no database of this name",
        ),
        (
            "read_only",
            json!({}),
            "25006",
            "read-only: this is a replica",
        ),
        (
            "nobody",
            json!({}),
            "28000",
            "the user or the password is wrong",
        ),
    ] {
        let destination = destination(port(), "credentials", user, &more);
        let fault = destination.deliver(&day).await.unwrap_err();
        assert_eq!(fault.name(), "misconfigured", "{user}: {fault:?}");
        assert_eq!(fault.code(), Some(code), "{user}: {fault:?}");
        assert!(fault.to_string().contains(finding), "{fault}");
        let findings = destination.probe().await;
        assert!(findings.last().unwrap().is_failed(), "{findings:?}");
    }
    // What is nested deeper than the database reads is refused alone.
    let deep = format!("{}1{}", r#"{"a":"#.repeat(50_000), "}".repeat(50_000));
    let deep = samples::record(DataType::Daily, "2026-11-20", &deep, 1);
    let destination = destination(port(), "credentials", "postgres", &json!({}));
    let fault = destination.deliver(&[deep]).await.unwrap_err();
    assert_eq!((fault.name(), fault.code()), ("rejected", Some("54001")));
    assert_eq!(destination.deliver(&day).await.unwrap(), [Outcome::APPLIED]);
}
