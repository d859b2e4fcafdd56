//! A stub that answers as Supabase's PostgREST and the gateway before it do, on a real PostgreSQL
//! (`TERRARIUM_TEST_POSTGRES`).

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::json;
use tokio_postgres::{Client, NoTls, types::Type};

use super::server;

pub(crate) const SECRET_KEY: &str = "sb_secret_for_tests";
pub(crate) const PUBLISHABLE_KEY: &str = "sb_publishable_for_tests";

pub(crate) fn port() -> u16 {
    server("TERRARIUM_TEST_POSTGRES").parse().unwrap()
}

pub(crate) async fn connect(database: &str, user: &str) -> Client {
    let port = port();
    let text = format!("host=127.0.0.1 port={port} user={user} dbname={database}");
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database with the roles and the default rights of a Supabase project.
pub(crate) async fn project(database: &str) -> Client {
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

pub(crate) async fn gateway(database: &str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new()
        .route("/rest/v1/rpc/{function}", post(rpc))
        .with_state(Arc::from(database));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}
