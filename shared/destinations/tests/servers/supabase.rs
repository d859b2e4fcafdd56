//! Supabase: its functions on a real PostgreSQL (`TERRARIUM_TEST_POSTGRES`) behind a stub that answers
//! as PostgREST and the gateway before it do, and ministack (`TERRARIUM_TEST_AWS`) for its Storage.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Erased, Erasure, Finding, Kind, Outcome, Shape, Verdict},
    net::Network,
    supabase::install_script,
};
use models::data::DataType;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls, types::Type};

use crate::{proxy::Proxy, samples, server, suite};

const SECRET_KEY: &str = "sb_secret_for_tests";
const PUBLISHABLE_KEY: &str = "sb_publishable_for_tests";

fn port() -> u16 {
    server("TERRARIUM_TEST_POSTGRES").parse().unwrap()
}

async fn connect(database: &str, user: &str) -> Client {
    let port = port();
    let text = format!("host=127.0.0.1 port={port} user={user} dbname={database}");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database with the roles and the default rights of a Supabase project.
async fn project(database: &str) -> Client {
    let server = connect("postgres", "postgres").await;
    for statement in [
        "DO $$ BEGIN CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS; \
         CREATE ROLE authenticator NOINHERIT LOGIN; GRANT anon, authenticated, service_role TO authenticator; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
        &format!("CREATE DATABASE {database}"),
    ] {
        server.batch_execute(statement).await.unwrap();
    }
    let client = connect(database, "postgres").await;
    // What is made in `public` is everybody's by default.
    client
        .batch_execute(
            "GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role; \
             ALTER DEFAULT PRIVILEGES IN SCHEMA public \
             GRANT EXECUTE ON FUNCTIONS TO anon, authenticated, service_role",
        )
        .await
        .unwrap();
    client
}

/// An error in PostgREST's form.
fn refused(status: u16, code: &str) -> Response {
    let body = json!({"code": code, "message": "a text", "details": null, "hint": null});
    let status = StatusCode::from_u16(status).unwrap();
    (status, body.to_string()).into_response()
}

/// Calls a function as PostgREST does: in a transaction, as the role of the key, with the members of
/// the body as named arguments.
async fn rpc(
    State(database): State<Arc<str>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    // The gateway takes the new keys in this header only, and no secret one from a browser.
    let role = match header("apikey") {
        Some(SECRET_KEY) => "service_role",
        Some(PUBLISHABLE_KEY) => "anon",
        _ => return refused(401, "UNAUTHORIZED_INVALID_API_KEY"),
    };
    if header("authorization").is_some() || header("user-agent").unwrap().contains("Mozilla") {
        return refused(401, "UNAUTHORIZED_INVALID_API_KEY");
    }
    let client = connect(&database, "authenticator").await;
    let begin = format!("BEGIN; SET LOCAL ROLE {role}");
    client.batch_execute(&begin).await.unwrap();
    let found = client
        .query_typed(
            "SELECT a.name, t.typ::regtype::text FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargnames) \
             WITH ORDINALITY a(name, n) ON true LEFT JOIN LATERAL unnest(p.proargtypes) \
             WITH ORDINALITY t(typ, n) ON t.n = a.n \
             WHERE p.pronamespace = 'public'::regnamespace AND p.proname = $1",
            &[(&function, Type::TEXT)],
        )
        .await
        .unwrap();
    if found.is_empty() {
        return refused(404, "PGRST202");
    }
    let arguments = found.iter().filter_map(|row| {
        let (name, holds): (String, String) = (row.get::<_, Option<_>>(0)?, row.get(1));
        let arrow = if holds == "jsonb" { "->" } else { "->>" };
        Some(format!("{name} => ($1::text::jsonb){arrow}'{name}'"))
    });
    let arguments: Vec<_> = arguments.collect();
    let call = format!(
        "SELECT to_jsonb(public.{function}({}))::text",
        arguments.join(", ")
    );
    match client.query_typed(&call, &[(&body, Type::TEXT)]).await {
        Ok(rows) => {
            client.batch_execute("COMMIT").await.unwrap();
            rows[0].get::<_, String>(0).into_response()
        }
        Err(error) => {
            let code = error.code().unwrap().code();
            let status = match code {
                "42501" if role == "anon" => 401,
                "42501" => 403,
                "42883" | "42P01" => 404,
                "23503" | "23505" => 409,
                _ if code.starts_with("08") || code.starts_with("53") => 503,
                _ if code.starts_with("40") || code.starts_with("57") => 500,
                _ => 400,
            };
            refused(status, code)
        }
    }
}

async fn gateway(database: &str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new()
        .route("/rest/v1/rpc/{function}", post(rpc))
        .with_state(Arc::from(database));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

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
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bucket = format!("http://127.0.0.1:{storage}/terra-payloads");
    http.put(&bucket).send().await.unwrap();
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
    };
    // A row, a connection and three files.
    assert_eq!(project.erase(&person).await, Ok(Erased::Done(5)));
    assert_eq!(project.erase(&person).await, Ok(Erased::Done(0)));
}
