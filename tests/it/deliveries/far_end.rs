//! Far ends of destinations: where data arrive, read by clients that are not ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use destinations::{config::KindName, id::RecordId, sign};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::proxy::Proxy;

/// Place where the data of a destination arrive.
#[async_trait]
pub(crate) trait FarEnd: Send + Sync {
    fn kind(&self) -> KindName;

    /// Settings, with secrets.
    fn settings(&self) -> Value;

    /// The line before the server; a folder has none.
    fn line(&self) -> Option<&Proxy>;

    /// Number of things that happened there so far.
    fn progress(&self) -> u64 {
        self.line().unwrap().answers()
    }

    /// Refuses everything, or serves again.
    fn set_down(&self, down: bool) {
        self.line().unwrap().set_down(down);
    }

    /// Reads what a log would forget.
    async fn read_on(&self) {}

    /// Every record that is there. Of a log: its newest state.
    async fn held(&self) -> BTreeMap<RecordId, Held>;

    /// Asserts that a log which keeps the newest message of each key will forget these records.
    async fn assert_forgotten(&self, _records: &BTreeSet<RecordId>) {}
}

/// A record at a destination.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) revision: u64,
    /// Checksum, where the destination keeps one.
    pub(crate) checksum: Option<u64>,
    pub(crate) retracted: bool,
    pub(crate) user: Option<String>,
    /// Summary of the record, an object.
    pub(crate) summary: Value,
    pub(crate) record: Value,
}

/// Columns of a row that are no part of the summary.
const METADATA: [&str; 18] = [
    "record_id",
    "revision",
    "checksum",
    "connection_id",
    "record_key",
    "terra_user_id",
    "reference_id",
    "provider",
    "day",
    "start_at",
    "end_at",
    "ordering_timestamp",
    "source_webhook_id",
    "retracted",
    "enrichment",
    "samples",
    "payload",
    "delivered_at",
];

impl Held {
    /// A record in our envelope, or in a document with the same fields.
    pub(crate) fn of_envelope(envelope: &Value) -> Self {
        let record = match &envelope["record"] {
            Value::Null => &envelope["payload"],
            record => record,
        };
        Self {
            revision: envelope["revision"].as_u64().unwrap(),
            checksum: envelope["checksum"].as_u64(),
            // A flag of MySQL is a number.
            retracted: envelope["retracted"] == true || envelope["retracted"] == 1,
            user: envelope["terra_user_id"].as_str().map(str::to_owned),
            summary: envelope["summary"].clone(),
            record: record.clone(),
        }
    }

    /// A row, whose summary stands in columns of its own.
    pub(crate) fn of_row(mut row: Map<String, Value>) -> Self {
        let summary: Map<_, _> = row
            .iter()
            .filter(|(name, value)| !value.is_null() && !METADATA.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        row.insert("summary".to_owned(), Value::Object(summary));
        Self::of_envelope(&Value::Object(row))
    }

    /// Asserts that a record arrived as it is.
    fn assert_is(&self, expected: &Self, name: &str) {
        assert_eq!(self.revision, expected.revision, "{name}");
        if self.checksum.is_some() {
            assert_eq!(self.checksum, expected.checksum, "{name}");
        }
        assert_eq!(self.retracted, expected.retracted, "{name}");
        assert_eq!(self.user, expected.user, "{name}");
        // Names of columns are in lower case everywhere.
        let lower = |summary: &Value| {
            let object = summary.as_object().unwrap().iter();
            let lower = object.map(|(name, value)| (name.to_lowercase(), value.clone()));
            Value::Object(lower.collect())
        };
        assert_same(&lower(&self.summary), &lower(&expected.summary), name);
        assert_same(&self.record, &expected.record, name);
    }
}

/// Asserts that a destination has the same records.
pub(crate) fn assert_all(held: &BTreeMap<RecordId, Held>, expected: &BTreeMap<RecordId, Held>) {
    let ids: BTreeSet<_> = held.keys().chain(expected.keys()).collect();
    let revision =
        |records: &BTreeMap<RecordId, Held>, id: &RecordId| records.get(id).map(|it| it.revision);
    let different: Vec<_> = ids
        .into_iter()
        .map(|id| (id, revision(held, id), revision(expected, id)))
        .filter(|(_, held, expected)| held != expected)
        .collect();
    assert!(different.is_empty(), "held, expected: {different:?}");
    for (id, held) in held {
        held.assert_is(&expected[id], id.as_str());
    }
}

/// Asserts that two contents are equal. Databases spell numbers and flags in their own way.
fn assert_same(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let names = |object: &Map<String, Value>| -> Vec<String> {
                let mut names: Vec<_> = object.keys().cloned().collect();
                names.sort();
                names
            };
            assert_eq!(names(found), names(expected), "{place}");
            for (name, expected) in expected {
                assert_same(&found[name], expected, &format!("{place}.{name}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}");
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_same(found, expected, &format!("{place}[{index}]"));
            }
        }
        (Value::Number(found), Value::Number(expected)) => {
            assert_eq!(found.as_f64(), expected.as_f64(), "{place}");
        }
        (Value::Number(found), Value::Bool(expected)) => {
            assert_eq!(found.as_u64(), Some(u64::from(*expected)), "{place}");
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

/// Knowledge of a reader of a log: the greatest revision of each record.
#[derive(Default)]
pub(crate) struct Log {
    /// Envelopes by record id, with revisions; deletions as `None`.
    records: BTreeMap<String, (u64, Option<Value>)>,
    /// Connections of people whose erasure was told.
    erased: Vec<Value>,
}

impl Log {
    /// Takes an envelope.
    pub(crate) fn take(&mut self, envelope: Value) {
        if envelope["event"] == "person.erased" {
            let gone = envelope["connection_ids"].as_array().unwrap();
            self.erased.extend(gone.iter().cloned());
            return;
        }
        let (Some(record_id), Some(revision)) = (
            envelope["record_id"].as_str(),
            envelope["revision"].as_u64(),
        ) else {
            return;
        };
        let is_deletion =
            envelope["event"] == "record.deleted" || envelope["event"] == "connection.deleted";
        let record_id = record_id.to_owned();
        self.take_state(record_id, revision, (!is_deletion).then_some(envelope));
    }

    /// Takes a state, or the word that there is none any more.
    pub(crate) fn take_state(&mut self, record_id: String, revision: u64, state: Option<Value>) {
        let held = self.records.entry(record_id).or_insert((0, None));
        if revision >= held.0 {
            *held = (revision, state);
        }
    }

    /// Records that are there.
    pub(crate) fn held(&self) -> BTreeMap<RecordId, Held> {
        let there = self.records.iter().filter_map(|(id, (_, envelope))| {
            let envelope = envelope.as_ref()?;
            envelope["data_type"].as_str()?;
            let is_erased = self.erased.contains(&envelope["connection_id"]);
            (!is_erased).then(|| (id.parse().unwrap(), Held::of_envelope(envelope)))
        });
        there.collect()
    }

    /// Revisions of the records that are there.
    pub(crate) fn revisions(&self) -> BTreeMap<RecordId, u64> {
        let held = self.held().into_iter();
        held.map(|(id, held)| (id, held.revision)).collect()
    }
}

/// A receiver of webhooks, and its behaviour.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) log: Mutex<Log>,
    /// Bodies by `webhook-id`.
    pub(crate) bodies: Mutex<BTreeMap<String, Bytes>>,
    /// Data type whose records are refused.
    pub(crate) refuses: Mutex<Option<String>>,
    /// Token without which it refuses everything.
    pub(crate) token: Mutex<Option<String>>,
    /// Calls that it answers with "busy" before it serves again.
    pub(crate) busy: AtomicUsize,
    /// True if it asks not to be called again.
    pub(crate) is_gone: AtomicBool,
    /// Tells that a call has come, and waits for a word before the call is refused.
    pub(crate) holds: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let envelope: Value = serde_json::from_slice(&body).unwrap();
    let hold = inbox.holds.lock().unwrap().take();
    if let Some((came, go)) = hold {
        came.send(()).unwrap();
        go.await.unwrap();
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let token = inbox.token.lock().unwrap().clone();
    let given = headers.get("authorization");
    if token.is_some_and(|token| given.is_none_or(|given| *given != format!("Bearer {token}"))) {
        return StatusCode::UNAUTHORIZED;
    }
    let less = |busy: usize| busy.checked_sub(1);
    if inbox
        .busy
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
    {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if inbox.is_gone.load(Ordering::SeqCst) {
        return StatusCode::GONE;
    }
    let refused = inbox.refuses.lock().unwrap().clone();
    let has_content = envelope["event"] != "record.deleted";
    if has_content && refused.is_some_and(|refused| envelope["data_type"] == refused) {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    // Receivers drop what they had under the same name.
    if inbox.bodies.lock().unwrap().insert(id, body).is_none() {
        inbox.log.lock().unwrap().take(envelope);
    }
    StatusCode::NO_CONTENT
}

/// A webhook's receiver behind a line.
pub(crate) struct Receiver {
    pub(crate) inbox: Arc<Inbox>,
    line: Proxy,
    secret: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let inbox = Arc::new(Inbox::default());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new()
            .route("/deliveries", post(receive))
            .with_state(Arc::clone(&inbox));
        tokio::spawn(axum::serve(listener, app).into_future());
        Self {
            inbox,
            line: Proxy::to(port).await,
            secret: sign::Secret::generate().expose_secret().to_owned(),
        }
    }

    /// Bodies that arrived.
    pub(crate) fn bodies(&self) -> BTreeSet<Bytes> {
        let bodies = self.inbox.bodies.lock().unwrap();
        bodies.values().cloned().collect()
    }

    /// Revisions of the records that arrived.
    pub(crate) fn revisions(&self) -> BTreeMap<RecordId, u64> {
        self.inbox.log.lock().unwrap().revisions()
    }
}

#[async_trait]
impl FarEnd for Receiver {
    fn kind(&self) -> KindName {
        KindName::Webhook
    }

    fn settings(&self) -> Value {
        let url = format!("http://127.0.0.1:{}/deliveries", self.line.port);
        json!({"url": url, "timeout_s": 2, "secret": self.secret})
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        self.inbox.log.lock().unwrap().held()
    }
}

/// A folder of files.
pub(crate) struct Files {
    root: TempDir,
    is_down: AtomicBool,
    /// States of files that were seen.
    seen: Mutex<BTreeSet<(PathBuf, SystemTime)>>,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self {
            root: tempfile::tempdir().unwrap(),
            is_down: AtomicBool::default(),
            seen: Mutex::default(),
        };
        std::fs::create_dir(files.folder()).unwrap();
        files
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("out")
    }
}

#[async_trait]
impl FarEnd for Files {
    fn kind(&self) -> KindName {
        KindName::Folder
    }

    fn settings(&self) -> Value {
        json!({"path": self.folder()})
    }

    fn line(&self) -> Option<&Proxy> {
        None
    }

    fn progress(&self) -> u64 {
        let mut seen = self.seen.lock().unwrap();
        see(&self.folder(), &mut seen);
        seen.len() as u64
    }

    fn set_down(&self, down: bool) {
        let (out, away) = (self.folder(), self.root.path().join("away"));
        if down == self.is_down.swap(down, Ordering::SeqCst) {
            return;
        }
        if down {
            std::fs::rename(&out, away).unwrap();
            std::fs::write(out, "no folder").unwrap();
        } else {
            std::fs::remove_file(&out).unwrap();
            std::fs::rename(away, out).unwrap();
        }
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let files = walk(&self.folder()).into_iter();
        let envelopes = files.map(|file| std::fs::read(file).unwrap());
        objects(envelopes)
    }
}

/// Records among the objects of a bucket.
pub(crate) fn objects(
    contents: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> BTreeMap<RecordId, Held> {
    let mut held = BTreeMap::new();
    for content in contents {
        let Ok(envelope) = serde_json::from_slice::<Value>(content.as_ref()) else {
            continue;
        };
        if envelope["data_type"].is_string() {
            let id = envelope["record_id"].as_str().unwrap().parse().unwrap();
            let twice = held.insert(id, Held::of_envelope(&envelope));
            assert!(twice.is_none(), "two objects of one record");
        }
    }
    held
}

/// Notes the states of files below a folder, which somebody writes at the same time.
fn see(folder: &Path, seen: &mut BTreeSet<(PathBuf, SystemTime)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            see(&entry.path(), seen);
        } else {
            seen.insert((entry.path(), metadata.modified().unwrap()));
        }
    }
}

/// Files below a folder.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
