//! A running system to test against, and ways to talk to it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use models::{
    data::DataType,
    ids::{TerraUserId, WebhookId},
    signature::SigningSecret,
};
use runtime::queue::local::Durability;
use serde_json::Value;
use simulator::{
    Truth, TruthSettings, Webhook,
    api::{Describe, Description},
};
use store::table::{
    connections::{Alias, StoredConnection},
    key::RecordOwner,
    ledger::WebhookEntry,
    records::FoundRecord,
};
use tempfile::TempDir;
use terrarium::system::{DatabaseAt, EVENTS_DEAD_LETTERS, EVENTS_QUEUE, Options, System};

pub(crate) const SECRET: &str = "whsec_terrarium_test_0123456789abcdef";

/// A system of its own for one test, in a folder that goes with it.
pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: Arc<TempDir>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_at(now).await
    }

    /// A system that hides received messages for a moment only: a failed one comes back at once.
    pub(crate) async fn start_impatient() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut options = options(folder.path());
        options.visibility_timeout = Duration::from_millis(300);
        options.terra = Some(stand_in_terra().await);
        Self::open(folder, options).await
    }

    /// A system that asks a stand-in Terra where it needs one.
    pub(crate) async fn start_with_terra() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut options = options(folder.path());
        options.terra = Some(stand_in_terra().await);
        Self::open(folder, options).await
    }

    /// A system that knows the secret of the tests under this name.
    pub(crate) async fn start_with_secret_named(name: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut options = options(folder.path());
        options.signing_secrets = vec![(name.to_owned(), SECRET.to_owned())];
        Self::open(folder, options).await
    }

    /// A system whose clock is `clock`.
    pub(crate) async fn start_at(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(folder, clock).await
    }

    pub(crate) async fn start_in(
        folder: Arc<TempDir>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let mut options = options(folder.path());
        options.clock = Arc::new(clock);
        // Nothing beyond loopback.
        options.payloads.allowed_hosts.clear();
        Self::open(folder, options).await
    }

    /// A system with these options.
    pub(crate) async fn open(folder: Arc<TempDir>, options: Options) -> Self {
        Self {
            system: System::start(options, None).await.unwrap(),
            http: client(),
            folder,
        }
    }

    /// Posts a body with headers as they are; the status of the answer.
    pub(crate) async fn post(&self, headers: &[(String, String)], body: Vec<u8>) -> u16 {
        let request = headers.iter().fold(
            self.http.post(&self.system.webhook_url),
            |request, (name, value)| request.header(name, value),
        );
        request.body(body).send().await.unwrap().status().as_u16()
    }

    /// Signs and posts a body now.
    pub(crate) async fn send(&self, trace_id: &str, body: impl Into<Vec<u8>>) -> u16 {
        self.send_signed_at(trace_id, body, now()).await
    }

    /// Posts a body, signed at some other time.
    pub(crate) async fn send_signed_at(
        &self,
        trace_id: &str,
        body: impl Into<Vec<u8>>,
        at: Timestamp,
    ) -> u16 {
        let body = body.into();
        let secret = SigningSecret::new("main", SECRET).unwrap();
        let signature = secret.sign(at.as_second(), &body);
        let headers = [
            ("X-Terra-Signature".to_owned(), signature),
            ("X-Terra-Trace-Id".to_owned(), trace_id.to_owned()),
        ];
        self.post(&headers, body).await
    }

    /// Reads the ledger's entry of a webhook.
    pub(crate) async fn entry(&self, id: &str) -> Option<WebhookEntry> {
        let id = WebhookId::new(id).unwrap();
        self.system.table.webhooks([&id]).await.unwrap().remove(&id)
    }

    /// Delivers a webhook of the simulator's, signed now.
    pub(crate) async fn deliver(&self, webhook: &Webhook) {
        self.deliver_signed_at(webhook, now()).await;
    }

    /// Delivers a webhook of the simulator's, signed at some other time.
    pub(crate) async fn deliver_signed_at(&self, webhook: &Webhook, at: Timestamp) {
        let headers = webhook.signed_headers(SECRET.as_bytes(), at.as_second());
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let status = self.post(&headers, webhook.body.to_vec()).await;
        assert_eq!(status, 200, "a {} was not taken", webhook.event_type);
    }

    /// Delivers webhooks; each is done before the next is sent.
    pub(crate) async fn deliver_in_order(&self, webhooks: &[Webhook]) {
        for webhook in webhooks {
            self.deliver(webhook).await;
            self.idle().await;
        }
    }

    /// Waits until nothing is queued or under way; tells what is stuck when that takes too long.
    pub(crate) async fn idle(&self) {
        let waited = tokio::time::timeout(Duration::from_mins(3), self.system.idle()).await;
        if let Ok(idle) = waited {
            return idle.unwrap();
        }
        let stats = self.system.queues.stats(EVENTS_QUEUE).await;
        let dead = self.dead_letters().await;
        panic!("not idle after three minutes: {stats:?}, dead letters: {dead:?}");
    }

    /// Lists the messages that were given up.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let dead = self
            .system
            .queues
            .peek(EVENTS_DEAD_LETTERS, 100)
            .await
            .unwrap();
        dead.into_iter().map(|message| message.body).collect()
    }

    /// Reads the ledger's entry of a webhook of the simulator's.
    pub(crate) async fn entry_of(&self, webhook: &Webhook) -> WebhookEntry {
        let id = webhook.trace_id.as_deref().unwrap();
        self.entry(id)
            .await
            .unwrap_or_else(|| panic!("a {} disappeared", webhook.event_type))
    }

    /// The connection that a Terra user id leads to.
    pub(crate) async fn connection(&self, terra_user_id: &str) -> StoredConnection {
        let user = TerraUserId::new(terra_user_id).unwrap();
        let Some(Alias::Connection(id)) = self.system.table.alias(&user).await.unwrap() else {
            panic!("a Terra user id leads nowhere");
        };
        self.system.table.connection(&id).await.unwrap().unwrap()
    }

    /// The records of one type of the connection that a Terra user id leads to.
    pub(crate) async fn records(
        &self,
        terra_user_id: &str,
        data_type: DataType,
    ) -> Vec<FoundRecord> {
        let owner = RecordOwner::Connection(self.connection(terra_user_id).await.id);
        self.system
            .table
            .records(&owner, Some(data_type))
            .await
            .unwrap()
    }

    /// The newest delivery of a record as Terra sent it.
    pub(crate) async fn sent(&self, found: &FoundRecord) -> Value {
        let bytes = self
            .system
            .archive
            .read_frames(&found.record.newest.payload.locator)
            .await;
        serde_json::from_slice(&bytes.unwrap()).unwrap()
    }

    /// Proof of life: a good webhook is still taken and stored.
    pub(crate) async fn still_works(&self, trace_id: &str) {
        let body = format!(
            r#"{{"type":"daily","user":{{"user_id":"{trace_id}","provider":"GARMIN"}},"data":[{{"metadata":{{"start_time":"2026-07-01T00:00:00+02:00"}},"distance_data":{{"steps":1}}}}]}}"#
        );
        assert_eq!(self.send(trace_id, body).await, 200);
        self.idle().await;
        assert_eq!(self.entry(trace_id).await.unwrap().records.created, 1);
    }

    /// Counts the webhooks that the archive holds under each id.
    pub(crate) async fn archived(&self) -> std::collections::BTreeMap<String, usize> {
        use futures::TryStreamExt as _;
        let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let (first, last) = (today.yesterday().unwrap(), today.tomorrow().unwrap());
        let segments: Vec<_> = self
            .system
            .archive
            .segments(first, last)
            .try_collect()
            .await
            .unwrap();
        let mut counts = std::collections::BTreeMap::new();
        for segment in segments {
            for (_, header) in self.system.archive.webhooks_in(&segment.key).await.unwrap() {
                *counts.entry(header.webhook_id).or_default() += 1;
            }
        }
        counts
    }
}

/// Returns the options of a system in this folder. With `TERRARIUM_TEST_DYNAMODB_URL` its table is there
/// instead of in the folder: the same tests on another engine.
pub(crate) fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder, vec![("main".to_owned(), SECRET.to_owned())]);
    options.durability = Durability::Kill;
    // Tests go on with their jobs themselves, and no batch is under way then.
    options.looks_for_jobs = false;
    options.erasure_grace = Duration::ZERO;
    // A message that fails is tried again when the clock of the test says so.
    options.payloads.retries.first_wait = Duration::from_millis(1);
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
    if let Ok(url) = std::env::var("TERRARIUM_TEST_DYNAMODB_URL") {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let table_name = format!("terrarium{name}");
        options.database = DatabaseAt::Endpoint { url, table_name };
    }
    options
}

/// Serves Terra's HTTP API, of one person; its address, and credentials for it.
pub(crate) async fn stand_in_terra() -> terra_client::api::Settings {
    let month_ago = now() - SignedDuration::from_hours(24 * 30);
    let people = TruthSettings::new(5, 1, &[simulator::Provider::Garmin], month_ago);
    stand_in_terra_of(people, Arc::new(now)).await.1
}

/// Serves Terra's HTTP API, of these people at the time that the clock tells. Returns the truth about them, and the
/// address with credentials for it.
pub(crate) async fn stand_in_terra_of(
    people: TruthSettings,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
) -> (Truth, terra_client::api::Settings) {
    use simulator::api::{ApiSettings, TerraApi};

    let (dev_id, api_key) = ("testing-dev", "key-of-the-tests");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let truth = Truth::new(people, clock);
    let settings = ApiSettings {
        former_calls: true,
        ..ApiSettings::new(&url, dev_id, api_key)
    };
    let api = TerraApi::new(truth.clone(), settings);
    tokio::spawn(axum::serve(listener, api.router()).into_future());
    let mut settings = terra_client::api::Settings::new(dev_id, api_key.into());
    settings.base_url = format!("{url}/api/v2").parse().unwrap();
    (truth, settings)
}

#[expect(clippy::disallowed_methods, reason = "the one clock of the tests")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A stand-in Terra whose clock is an hour behind, so that whatever it makes lies in the past.
pub(crate) fn terra(seed: u64) -> simulator::World {
    simulator::World::new(
        seed,
        2,
        now().checked_sub(SignedDuration::from_hours(1)).unwrap(),
    )
}

pub(crate) fn client() -> reqwest::Client {
    drop(
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .try_init(),
    );
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Terra's own description of its API, where its folder is.
pub(crate) fn description() -> Option<Arc<dyn Describe>> {
    let directory = terra_dir()?;
    Some(Arc::new(Description::load(&directory).unwrap()))
}

/// Folder of Terra's own schemas and payloads, which are not part of the repository. `None`, with a message, without
/// it; in CI it is there.
pub(crate) fn terra_dir() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
    let (told, ci) = (
        std::env::var_os("TERRARIUM_TERRA_DIR"),
        std::env::var_os("CI"),
    );
    let near = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/terra");
    let dir = told.map_or(near, PathBuf::from);
    if dir.join("openapi").is_dir() {
        return Some(dir);
    }
    assert!(
        ci.is_none(),
        "set TERRARIUM_TERRA_DIR: Terra's schemas and payloads are not at {}",
        dir.display()
    );
    println!(
        "skipped: set TERRARIUM_TERRA_DIR to run this; nothing at {}",
        dir.display()
    );
    None
}
