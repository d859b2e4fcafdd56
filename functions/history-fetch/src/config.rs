//! Settings and clients of history-fetch.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_sdk_sqs::Client as SqsClient;
use aws_types::SdkConfig;
use domain::message::{EventMessage, HistoryMessage};
use futures::future::BoxFuture;
use jiff::Timestamp;
use runtime::{
    aws,
    metrics::Sink,
    queue::{Queue, QueueError, SqsTransport},
    secrets::SecretSource,
    settings::{Settings, SettingsError},
};
use secrecy::ExposeSecret as _;
use store::{archive::Archive, table::Table};
use terra_client::api::{self, BaseUrl, InvalidSettings, Jitter, TerraClient};

use crate::{catalogue::Supported, fetch::FetchSettings};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Time at which the invocation ends at the latest.
pub type Deadline = Timestamp;

/// The names in the secret of Terra's credentials.
const DEV_ID: &str = "dev_id";
const API_KEY: &str = "api_key";
/// The dev id in the secret that the template makes.
const PLACEHOLDER: &str = "placeholder";

/// Settings of history-fetch; [the crate's page](crate#settings) lists them.
#[derive(Debug)]
pub struct Config {
    table_name: String,
    archive_bucket: String,
    backfill_events_queue_url: String,
    history_queue_url: String,
    credentials: SecretSource,
    terra_api_url: BaseUrl,
    fetch: FetchSettings,
    metrics: Sink,
    sdk: SdkConfig,
}

impl Config {
    /// Reads all settings and reports all that is wrong with them at once.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names each wrong setting and says what would be right.
    pub fn from_settings(mut settings: Settings) -> Result<Self, SettingsError> {
        let table_name = settings.required::<String>("TABLE_NAME", "the table's name");
        let archive_bucket = settings.required::<String>("ARCHIVE_BUCKET", "the bucket's name");
        let backfill_events_queue_url = settings.required_url("BACKFILL_EVENTS_QUEUE_URL");
        let history_queue_url = settings.required_url("HISTORY_QUEUE_URL");
        let credentials = SecretSource::from_settings(&mut settings, "TERRA_CREDENTIALS");
        let terra_api_url = settings.or_default("TERRA_API_URL", "an https address", BaseUrl::API);
        let fetch = FetchSettings::from_settings(&mut settings);
        let metrics = Sink::from_settings(&mut settings);
        let sdk = aws::sdk_config(&mut settings);
        settings.finish(|| {
            Some(Self {
                table_name: table_name?,
                archive_bucket: archive_bucket?,
                backfill_events_queue_url: backfill_events_queue_url?,
                history_queue_url: history_queue_url?,
                credentials: credentials?,
                terra_api_url,
                fetch,
                metrics,
                sdk: sdk?,
            })
        })
    }
}

/// Clients and settings of a job. Built once, before the first job.
pub struct App {
    /// Table of everything that is remembered or due.
    pub table: Table,
    /// Archive whose inbox takes bodies that do not fit a message.
    pub archive: Archive,
    /// Terra's API.
    pub terra: TerraClient,
    /// True if nobody has put Terra's credentials in yet. Jobs wait then, because Terra would refuse
    /// them.
    pub lacks_credentials: bool,
    /// Queue of fetched data: the events queue's backfill lane.
    pub backfill_events: Queue<EventMessage>,
    /// Our own jobs.
    pub jobs: Queue<HistoryMessage>,
    /// Settings of fetching.
    pub fetch: FetchSettings,
    /// Time after the start of a connection in which an empty answer is not believed: Terra fetches some
    /// history by itself first, and has nothing to give meanwhile (FACTS section 4).
    pub trust_empty_after: Duration,
    /// The longest time by which a comparison with Terra's list is put off, so that accounts set
    /// up alike do not all ask in the same minute.
    pub spread: Duration,
    /// The time.
    pub clock: Clock,
    /// Sink of metrics.
    pub metrics: Sink,
    /// Data types that providers support, as the catalogue last listed them.
    pub supported: Supported,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// FACTS section 4 says "within 1–2 hours".
pub const TRUST_EMPTY_AFTER: Duration = Duration::from_hours(2);
/// Largest answer that is read; a larger one is asked for in halves. The answers of eight windows at
/// once fit the memory.
const MAX_ANSWER_BYTES: usize = 16 << 20;
const SPREAD: Duration = Duration::from_mins(10);

/// The longest that one call to Terra takes, with all its retries: shorter than a lease.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);

impl App {
    /// Connects to AWS, while nobody waits yet.
    ///
    /// # Errors
    ///
    /// When the credentials cannot be read, or a client cannot be made.
    pub async fn connect(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(&config.sdk),
            config.table_name,
        );
        let sqs = SqsClient::new(&config.sdk);
        let jobs = SqsTransport::new(sqs.clone(), config.history_queue_url);
        let (secrets, (), ()) = tokio::join!(
            config.credentials.load_named(&config.sdk),
            table.open_connection(),
            Box::pin(jobs.open_connection())
        );
        let secrets = secrets.context("cannot load Terra's credentials")?;
        let named = |name: &str| {
            let found = secrets.iter().find(|secret| secret.name == name);
            found.with_context(|| format!("Terra's credentials have no `{name}`"))
        };
        let dev_id = named(DEV_ID)?.secret.expose_secret().to_owned();
        let mut terra = api::Settings::new(&dev_id, named(API_KEY)?.secret.clone());
        terra.base_url = config.terra_api_url;
        let lacks_credentials = dev_id == PLACEHOLDER;
        Ok(Self {
            table,
            archive: Archive::s3(&config.archive_bucket, &config.sdk)
                .context("cannot open the archive")?,
            terra: terra_client(terra).context("cannot make the client of Terra's API")?,
            lacks_credentials,
            backfill_events: Queue::sqs(sqs, config.backfill_events_queue_url),
            jobs: Queue::new(Arc::new(jobs)),
            fetch: config.fetch,
            trust_empty_after: TRUST_EMPTY_AFTER,
            spread: SPREAD,
            clock,
            metrics: config.metrics,
            supported: Supported::default(),
        })
    }

    /// Queues jobs of our own.
    // Boxed: the compiler does not see that the future of a batch may cross threads.
    pub(crate) fn queue<'a>(
        &'a self,
        jobs: &'a [HistoryMessage],
    ) -> BoxFuture<'a, Result<(), QueueError>> {
        Box::pin(self.jobs.send_batch(jobs))
    }

    /// Now. Unit: Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)().as_millisecond()
    }
}

/// A client whose calls end before a window's lease does, and which leaves repeating to windows.
///
/// # Errors
///
/// When it cannot be made.
pub fn terra_client(mut settings: api::Settings) -> Result<TerraClient, InvalidSettings> {
    settings.timeouts.total = CALL_TIMEOUT;
    settings.retries.attempts = 1;
    settings.bounds.data_bytes = settings.bounds.data_bytes.min(MAX_ANSWER_BYTES);
    // The buckets in the table hold for all workers.
    settings.keeps_limits = false;
    TerraClient::new(&settings, Jitter::random())
}
