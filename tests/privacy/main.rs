//! Nothing of what Terra sends about a person, and no secret, is ever logged.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use aho_corasick::AhoCorasick;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use simulator::{
    DataType, Payloads, Provider, Shape, Webhook,
    scenario::{self, Lively},
};
use tracing_subscriber::EnvFilter;

use crate::{
    api_walk::{PLANTED, PLANTED_NUMBERS, walk_the_api},
    world::{SECRET, World, now, options, stand_in_terra_of, terra},
};

mod api_walk;
#[path = "../it/calls.rs"]
mod calls;
#[path = "../it/walk.rs"]
#[expect(dead_code, reason = "another one reads the answers")]
mod walk;
#[path = "../it/world.rs"]
#[expect(dead_code, reason = "the harness of all tests; this one needs a part")]
mod world;

/// Everything of ours to the last detail; of others what is shown by default.
const FILTER: &str = "info,models=trace,domain=trace,store=trace,runtime=trace,terra_client=trace,\
    webhook_intake=trace,event_router=trace,deliver=trace,api=trace,destinations=trace,terrarium=trace";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Private text that must not be found, with its place in a body.
#[derive(Default)]
struct Private {
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, String>,
}

impl Private {
    fn add(&mut self, place: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.add(&format!("{place}.{name}"), value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(place, item)),
            Value::String(text) if text.len() >= 6 => {
                self.texts.insert(text.clone(), place.to_owned());
            }
            // Small numbers are everywhere.
            Value::Number(number) if number.to_string().len() >= 5 => {
                self.numbers.insert(number.to_string(), place.to_owned());
            }
            _ => {}
        }
    }

    fn add_body(&mut self, body: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return;
        };
        for field in [
            "data",
            "athlete",
            "url",
            "message",
            "scopes_added",
            "scopes_removed",
        ] {
            self.add(field, &body[field]);
        }
        for user in ["user", "old_user", "new_user"] {
            for field in ["reference_id", "scopes"] {
                self.add(&format!("{user}.{field}"), &body[user][field]);
            }
        }
    }
}

/// Our own measurements, which may equal somebody's steps by chance.
fn is_ours(field: &str) -> bool {
    field.ends_with("_ms")
        || field.ends_with("_bytes")
        || field.ends_with("_seconds")
        || [
            "line",
            "column",
            "created",
            "updated",
            "unchanged",
            "shadowed",
            "parked",
            "timestamp",
            "message_id",
            "webhook_id",
            "connection_id",
            "webhook_url",
            "message_group_id",
            "destination",
            "delivered",
            "stale",
            "owed",
        ]
        .contains(&field)
}

/// All texts and numbers of a line of log that are not our own measurements.
fn words(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (_, value) in fields.iter().filter(|(name, _)| !is_ours(name)) {
                words(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, found)),
        Value::Null | Value::Bool(_) => {}
        other => found.push(
            other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned),
        ),
    }
}

/// A delivery whose every value has another type than it should.
fn absurd(id: &str, canary: &str) -> Webhook {
    let body = format!(
        r#"{{"type":"daily","user":{{"user_id":"absurd","reference_id":"{canary}@example.org"}},
        "data":[{{"metadata":{{"start_time":"{canary}","upload_type":"{canary}"}},
        "distance_data":"{canary}","heart_rate_data":[["{canary}"]],
        "data_enrichment":{{"strain_index":"{canary}"}}}},"{canary}"],"status":["{canary}"]}}"#
    );
    Webhook {
        body: body.into(),
        trace_id: Some(id.to_owned()),
        reference: None,
        ordering_timestamp_ms: None,
        event_type: "daily".to_owned(),
        terra_user_id: None,
    }
}

/// A folder, and a webhook that refuses everything with what it was sent. Returns the count of its
/// answers.
async fn add_destinations(world: &World) -> Arc<std::sync::atomic::AtomicU32> {
    let answers = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let counted = Arc::clone(&answers);
    let refuse = move |body: axum::body::Bytes| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move { (axum::http::StatusCode::BAD_REQUEST, body) }
    };
    let app = axum::Router::new().route("/", axum::routing::post(refuse));
    tokio::spawn(axum::serve(listener, app).into_future());
    let folder = world.folder.path().join("delivered");
    std::fs::create_dir(&folder).unwrap();
    for (id, kind, config) in [
        (
            "dst_folder",
            "folder",
            serde_json::json!({ "path": folder }),
        ),
        ("dst_webhook", "webhook", serde_json::json!({ "url": url })),
    ] {
        let destination = serde_json::json!({
            "id": id, "name": kind, "kind": kind, "status": "active", "status_since_ms": 0,
            "concurrency": 2, "network": "local", "config": config, "created_at_ms": 0,
        });
        let destination: domain::delivery::Destination =
            serde_json::from_value(destination).unwrap();
        let secrets = serde_json::json!({
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "bearer_token": "canary-bearer-token",
        });
        let secrets = match kind {
            "webhook" => secrets.as_object().unwrap().clone(),
            _ => serde_json::Map::new(),
        };
        let vault = world.system.deliver.clients.vault();
        let secrets = destinations::config::Secrets::new(secrets);
        vault.write(&destination.id, &secrets).await.unwrap();
        assert!(
            world
                .system
                .table
                .add_destination(&destination)
                .await
                .unwrap()
        );
    }
    answers
}

/// A system with a stand-in Terra behind it, and the Terra user ids of somebody whom that knows.
async fn start() -> (World, Vec<String>) {
    let providers = [Provider::Garmin, Provider::Oura];
    let month_ago = now() - SignedDuration::from_hours(24 * 30);
    let known = simulator::TruthSettings::new(5, 1, &providers, month_ago);
    let (truth, credentials) = stand_in_terra_of(known, Arc::new(now)).await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut options = options(folder.path());
    // A message that fails comes back at once.
    options.visibility_timeout = Duration::from_millis(300);
    options.terra = Some(credentials);
    let users = truth.connections().into_iter();
    let users = users.map(|connection| connection.terra_user_id).collect();
    (World::open(folder, options).await, users)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_private_is_logged_whatever_happens() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new(FILTER))
        .with_writer(move || writer.clone())
        .init();

    let (world, users) = start().await;
    let answering = add_destinations(&world).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let payloads = Payloads::new(&address, b"presigning", Arc::new(now));
    let router = simulator::server::router(payloads.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut webhooks: Vec<Webhook> = Lively::new(terra(1), Some(payloads.clone()))
        .take(400)
        .collect();
    let mut terra = terra(2);
    webhooks.extend(scenario::every_event(&mut terra));
    // Pings that succeed, that came too late, that nobody answers, that lead elsewhere.
    terra.set_now(now());
    let core = terra.connection(Provider::Core);
    let shape = Shape::default();
    let ping = scenario::ping(
        &mut terra,
        &core,
        DataType::Body,
        &shape,
        &payloads,
        "s3_payload",
    );
    let data = terra.data(&core, DataType::Daily, &shape);
    let old = payloads.put("old", data.body.clone(), Timestamp::UNIX_EPOCH, 300);
    let mut pings = vec![ping];
    for url in [
        old.as_str(),
        "https://payloads.example.org/private-1?X-Amz-Signature=0123456789abcdef",
        "http://127.0.0.1:9/private-2?X-Amz-Signature=0123456789abcdef",
        "no url at all but private",
    ] {
        pings.push(terra.ping("s3_payload", &data, url, 300));
    }
    webhooks.extend(pings);
    webhooks.push(absurd("absurd", "canary-4711-0815"));
    let broken = br#"{"type":"daily","data":[{"note":"canary-broken-json" "#;
    webhooks.push(Webhook {
        body: broken.as_slice().into(),
        ..absurd("broken", "x")
    });

    let mut private = Private::default();
    for webhook in &webhooks {
        private.add_body(&webhook.body);
        world.deliver(webhook).await;
        // The same under a wrong signature is refused, and that is logged too.
        let headers = webhook.signed_headers(b"whsec_wrong_secret", now().as_second());
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        assert_eq!(world.post(&headers, webhook.body.to_vec()).await, 401);
    }
    world.idle().await;
    assert!(answering.load(std::sync::atomic::Ordering::SeqCst) > 0);
    let secrets = walk_the_api(&world, [&users[0], &users[1]]).await;
    let dead = world.dead_letters().await;
    assert_eq!(
        dead.len(),
        1,
        "only the ping that nobody answers is given up"
    );
    world.system.stop().await;
    for text in [
        SECRET,
        "whsec_wrong_secret",
        "canary-4711-0815",
        "canary-broken-json",
        "X-Amz-Signature",
        "private-1",
        "private-2",
        "but private",
        "canary-bearer-token",
    ]
    .into_iter()
    .chain(PLANTED)
    .chain(secrets.iter().map(String::as_str))
    {
        private.texts.insert(text.to_owned(), "planted".to_owned());
    }
    for number in PLANTED_NUMBERS {
        private
            .numbers
            .insert(number.to_owned(), "planted".to_owned());
    }
    assert!(private.texts.len() > 1_000 && private.numbers.len() > 1_000);

    let log = String::from_utf8(std::mem::take(&mut log.0.lock().unwrap())).unwrap();
    assert!(
        log.lines().count() > webhooks.len(),
        "too little was logged to tell"
    );
    assert_tells_nothing(&log, &private);
    assert_one_line_per_delivery(&log);
}

/// Asserts that whatever becomes of the deliveries of a message, deliver says it in one line.
fn assert_one_line_per_delivery(log: &str) {
    let mut lines = BTreeMap::<String, Vec<String>>::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let is_ours = line["target"].as_str().unwrap().starts_with("deliver");
        let is_shown = ["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap());
        if !is_ours || !is_shown {
            continue;
        }
        let mut spans = line["spans"].as_array().into_iter().flatten();
        let Some(job) = spans.find(|span| span["name"] == "job") else {
            continue;
        };
        let tries = format!("{} {}", job["message_id"], job["receive_count"]);
        let text = line["fields"]["message"].to_string();
        lines.entry(tries).or_default().push(text);
    }
    assert!(lines.len() > 100, "{} messages told something", lines.len());
    let loud: Vec<_> = lines.values().filter(|lines| lines.len() > 1).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

fn assert_tells_nothing(log: &str, private: &Private) {
    let mut lines = BTreeSet::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let mut found = Vec::new();
        words(&line, &mut found);
        lines.extend(found);
    }
    assert!(
        lines.contains("webhook routed"),
        "the log is not read rightly"
    );
    let texts: Vec<_> = private.texts.iter().collect();
    let search = AhoCorasick::new(private.texts.keys()).unwrap();
    let mut leaks = BTreeMap::new();
    for line in &lines {
        for found in search.find_iter(line) {
            let (text, place) = texts[found.pattern().as_usize()];
            leaks.insert(text, (place, line));
        }
        // Whole words, with a unit or without: digits within an id are no number.
        for word in line.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-') {
            let number = word.trim_matches(|c: char| c.is_ascii_alphabetic());
            if let Some((number, place)) = private.numbers.get_key_value(number) {
                leaks.insert(number, (place, line));
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}
