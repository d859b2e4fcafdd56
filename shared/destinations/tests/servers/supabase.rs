//! Supabase: its functions on a real PostgreSQL (`TERRARIUM_TEST_POSTGRES`) behind a stub that answers
//! as PostgREST and the gateway before it do, and ministack (`TERRARIUM_TEST_AWS`) for its Storage.

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Erased, Erasure, Finding, Kind, Outcome, Shape, Verdict},
    net::Network,
    supabase::install_script,
};
use models::data::DataType;
use serde_json::{Value, json};

use crate::{
    places::{http, make_s3_bucket},
    postgrest::{PUBLISHABLE_KEY, SECRET_KEY, gateway, port, project},
    proxy::Proxy,
    samples, server, suite,
};

fn destination(config: &Value, secrets: &Value) -> Box<dyn Kind> {
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let context = Context::new(
        samples::DESTINATION,
        Network::Local,
        Clock::new(samples::now),
    );
    open(
        KindName::Supabase,
        config.as_object().unwrap(),
        &secrets,
        context,
    )
    .unwrap()
}

fn rest(port: u16, key: &str) -> Box<dyn Kind> {
    let config = json!({"project_url": format!("http://127.0.0.1:{port}")});
    destination(&config, &json!({"secret_key": key}))
}

#[tokio::test]
#[ignore = "needs a server"]
async fn supabase_ends_equal_to_the_store_whatever_happens() {
    let database = project("supabase_rest").await;
    let script = install_script("terrarium");
    for _ in 0..2 {
        database.batch_execute(&script).await.unwrap();
    }
    let line = Proxy::to(gateway("supabase_rest").await).await;
    let (one, other) = (rest(line.port, SECRET_KEY), rest(line.port, SECRET_KEY));
    suite::state_kind(&*one, &*other, Some(&line), (3, 15), true).await;
    // Others who write into a table are kept from turning it back, and the service goes on.
    let guard = "CREATE TRIGGER keep_newest BEFORE UPDATE ON terrarium.daily FOR EACH ROW \
                 EXECUTE FUNCTION terrarium.keep_newest()";
    database.batch_execute(guard).await.unwrap();
    let back = "UPDATE terrarium.daily SET steps = 1, revision = revision - 1";
    assert_eq!(database.execute(back, &[]).await.unwrap(), 0);
    let again = samples::daily(1, "2026-11-20", 4000, u64::MAX >> 11);
    assert_eq!(one.deliver(&[again]).await.unwrap(), [Outcome::APPLIED]);
    let steps = "SELECT DISTINCT steps FROM terrarium.daily";
    let rows = database.query(steps, &[]).await.unwrap();
    assert_eq!((rows.len(), rows[0].get::<_, f64>(0)), (1, 4000.0));
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_supabase_database_is_made_closed_and_ends_equal_to_the_store() {
    let database = project("supabase_sql").await;
    let line = Proxy::to(port()).await;
    let config = json!({
        "connection": "postgres", "host": "127.0.0.1", "port": line.port, "database": "supabase_sql",
        "user": "postgres", "sslmode": "disable",
    });
    let open = || destination(&config, &json!({"password": "secret"}));
    let (one, other) = (open(), open());
    one.prepare(&Shape::all()).await.unwrap();
    suite::state_kind(&*one, &*other, Some(&line), (2, 9), true).await;
    for role in ["anon", "authenticated"] {
        for statement in [
            "SELECT count(*) FROM terrarium.daily",
            "SELECT public.terrarium_erase('[]')",
        ] {
            let tried = format!("SET ROLE {role}; {statement}");
            let error = database.batch_execute(&tried).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{tried}");
            database.batch_execute("RESET ROLE").await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn supabase_names_what_is_missing() {
    let database = project("supabase_faults").await;
    let port = gateway("supabase_faults").await;
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    let good = rest(port, SECRET_KEY);
    let fault = good.deliver(&day).await.unwrap_err();
    assert!(
        fault.to_string().contains("the install script, run in"),
        "{fault}"
    );
    assert!(good.probe().await.iter().all(Finding::is_failed));

    let script = install_script("terrarium");
    database.batch_execute(&script).await.unwrap();
    assert!(good.prepare(&Shape::all()).await.unwrap().is_empty());
    let wrong = rest(port, "sb_secret_of_another_project");
    let fault = wrong.deliver(&day).await.unwrap_err();
    assert!(
        fault.to_string().contains("does not accept the secret key"),
        "{fault}"
    );
    // The key that every browser has may do nothing.
    let fault = rest(port, PUBLISHABLE_KEY).deliver(&day).await.unwrap_err();
    assert_eq!(fault.name(), "misconfigured");

    database
        .batch_execute("REVOKE INSERT ON terrarium.daily FROM service_role")
        .await
        .unwrap();
    let fault = good.deliver(&day).await.unwrap_err();
    let right = "SELECT, INSERT, UPDATE on terrarium.daily";
    assert!(fault.to_string().contains(right), "{fault}");
    let sleep = samples::record(DataType::Sleep, "2026-11-20", "{}", 1);
    let outcomes = good.deliver(&[sleep]).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED], "no other table is held up");

    let older = script.replace(" AS $$ SELECT '", " AS $$ SELECT '0");
    database.batch_execute(&older).await.unwrap();
    let findings = good.prepare(&Shape::all()).await.unwrap();
    assert_eq!(findings[0].verdict, Verdict::Warning);
    assert_eq!(good.deliver(&day).await.unwrap(), [Outcome::APPLIED]);

    database
        .batch_execute("ALTER TABLE terrarium.daily ADD CHECK (steps < 1000)")
        .await
        .unwrap();
    let many = samples::daily(1, "2026-11-21", 5000, 1);
    let fault = good.deliver(&[many]).await.unwrap_err();
    assert_eq!((fault.name(), fault.code()), ("rejected", Some("23514")));
    database
        .batch_execute("DROP TABLE terrarium.daily")
        .await
        .unwrap();
    let fault = good.deliver(&day).await.unwrap_err();
    assert_eq!(fault.name(), "misconfigured");
}

#[tokio::test]
#[ignore = "needs a server"]
async fn files_of_a_supabase_project_are_never_written_over_by_older_ones() {
    let database = project("supabase_files").await;
    let script = install_script("terrarium");
    database.batch_execute(&script).await.unwrap();
    let storage: u16 = server("TERRARIUM_TEST_AWS").parse().unwrap();
    let http = http();
    let bucket = make_s3_bucket("terra-payloads").await;
    let config = json!({
        "project_url": format!("http://127.0.0.1:{}", gateway("supabase_files").await),
        "storage_bucket": "terra-payloads", "region": "us-east-1",
        "storage_endpoint": format!("http://127.0.0.1:{storage}"),
    });
    let secrets = json!({
        "secret_key": SECRET_KEY, "access_key_id": "test", "secret_access_key": "test",
    });
    let project = destination(&config, &secrets);
    let findings = project.probe().await;
    assert!(
        findings
            .iter()
            .all(|finding| finding.verdict == Verdict::Passed),
        "{findings:#?}"
    );
    let day = |revision| samples::daily(1, "2026-11-20", 1, revision);
    for (revision, outcome) in [
        (2, Outcome::APPLIED),
        (1, Outcome::Stale),
        (3, Outcome::APPLIED),
    ] {
        let changes = [samples::connection(1, revision), day(revision)];
        let outcomes = project.deliver(&changes).await.unwrap();
        assert_eq!(outcomes, [outcome.clone(), outcome]);
    }
    let change = day(3);
    let newest = format!(
        "{bucket}/daily/{}/{}/{:016x}.json",
        change.source.owner, change.record_id, 3
    );
    let file = http
        .get(newest)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(file["revision"], 3);
    let person = Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![samples::owner(1)],
        terra_user_ids: Vec::new(),
        records: Vec::new(),
    };
    // A row, a connection and three files.
    assert_eq!(project.erase(&person).await, Ok(Erased::Done(5)));
    assert_eq!(project.erase(&person).await, Ok(Erased::Done(0)));
}
