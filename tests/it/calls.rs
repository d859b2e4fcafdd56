//! A call of every endpoint of the API, of the form that it wants.

use api::route::{Endpoint, Verb};
use serde_json::{Value, json};

/// Names of things that the calls are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The app's own id for a person.
    pub(crate) person: &'a str,
    /// Our id, or Terra's, of a connection of theirs.
    pub(crate) connection: &'a str,
    /// A webhook.
    pub(crate) webhook: &'a str,
    /// Anything else.
    pub(crate) id: &'a str,
    /// A day of which there are records, which is also the key of the daily one.
    pub(crate) day: &'a str,
}

/// A call of an endpoint: path with query, and body.
pub(crate) fn call_of(endpoint: &Endpoint, names: Names<'_>) -> (String, Option<Value>) {
    let path = endpoint
        .path
        .replace("{person}", &api::id::to_path(names.person))
        .replace("{connection}", names.connection)
        .replace("{webhook}", names.webhook)
        .replace("{type}", "daily")
        .replace("{key}", names.day)
        .replace("{day}", names.day)
        .replace("{id}", names.id);
    let last = endpoint.path.rsplit('/').next().unwrap_or_default();
    let query = match (endpoint.verb, last) {
        (Verb::Get, "why") => "?metric=steps".to_owned(),
        (Verb::Get, "series") => "?metrics=hr_bpm".to_owned(),
        (Verb::Get, "records") => "?type=daily".to_owned(),
        (_, "authenticateUser") => "?resource=OURA".to_owned(),
        _ if endpoint.path.starts_with("/terra/") => {
            format!("?user_id={}&start_date={}", names.connection, names.day)
        }
        _ => String::new(),
    };
    (format!("{path}{query}"), body_of(endpoint, last, names))
}

fn body_of(endpoint: &Endpoint, last: &str, names: Names<'_>) -> Option<Value> {
    endpoint.doc.body?;
    let policy = json!({"rules": [{"groups": ["sleep"], "tiers": [[{"kind": "ring"}]]}]});
    let body = match (endpoint.verb, last) {
        (Verb::Delete, "{person}") => json!({"reference_id": names.person}),
        (Verb::Put, "source-policy") => policy,
        (Verb::Post, "preview") => json!({
            "policy": policy, "people": [names.person], "from": names.day, "to": names.day,
        }),
        (Verb::Post, "connect") => json!({"kind": "link", "providers": ["OURA"]}),
        (Verb::Post, "tokens") => json!({"scopes": ["read"]}),
        (Verb::Post, "backfills") => {
            json!({"from": "2026-06-05", "to": "2026-06-10", "types": ["daily"]})
        }
        (Verb::Post, "replay" | "replays") => json!({"dry_run": true}),
        (Verb::Post, "keys") => json!({"name": "a server", "scopes": ["people:read"]}),
        (Verb::Post, "rotate") => json!({"grace_seconds": 0}),
        (Verb::Post, "destinations") => json!({
            "kind": "webhook", "name": "our app", "network": "local",
            "config": {"url": "http://127.0.0.1:9/"},
        }),
        (Verb::Patch, _) if endpoint.path.starts_with("/v1/destinations") => json!({"name": "two"}),
        (Verb::Patch, _) => json!({"reference_id": "another name"}),
        (Verb::Post, "bulkUserInfo") => json!([names.connection]),
        _ => json!({}),
    };
    Some(body)
}
