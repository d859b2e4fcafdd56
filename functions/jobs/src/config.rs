//! Settings and clients of jobs.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_types::SdkConfig;
use domain::message::JobMessage;
use jiff::Timestamp;
use runtime::{
    aws,
    metrics::Sink,
    queue::{Queue, SqsTransport},
    settings::{Settings, SettingsError},
};
use store::{archive::Archive, exports::Exports, table::Table};
use tokio::time::Instant;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Time that the longest part of a job takes: none begins with less left.
const TO_BEGIN: Duration = Duration::from_mins(1);

/// Time after which no router works any more that began before: its timeout, and a little.
const ROUTERS_END: Duration = Duration::from_secs(90);

/// Settings of jobs; [the crate's page](crate#settings) lists them.
#[derive(Debug)]
pub struct Config {
    table_name: String,
    archive_bucket: String,
    jobs_queue_url: String,
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
        let jobs_queue_url = settings.required_url("JOBS_QUEUE_URL");
        let metrics = Sink::from_settings(&mut settings);
        let sdk = aws::sdk_config(&mut settings);
        settings.finish(|| {
            Some(Self {
                table_name: table_name?,
                archive_bucket: archive_bucket?,
                jobs_queue_url: jobs_queue_url?,
                metrics,
                sdk: sdk?,
            })
        })
    }
}

/// Everything that a job needs. Built once, before the first job.
pub struct App {
    /// Jobs and everything that they are about.
    pub table: Table,
    /// Archive of the exact bytes.
    pub archive: Archive,
    /// Place of exports.
    pub exports: Exports,
    /// Our own queue; absent where somebody else goes on with jobs.
    pub jobs: Option<Queue<JobMessage>>,
    /// Wait of an erasure for routers that began before it.
    pub grace: Duration,
    /// The time.
    pub clock: Clock,
    /// Sink of metrics.
    pub metrics: Sink,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Connects to AWS, while nobody waits yet.
    ///
    /// # Errors
    ///
    /// A client that cannot be made.
    pub async fn connect(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(&config.sdk),
            config.table_name,
        );
        let archive =
            Archive::s3(&config.archive_bucket, &config.sdk).context("cannot open the archive")?;
        let exports = Exports::s3(&config.archive_bucket, &config.sdk)
            .context("cannot open the place of exports")?;
        let jobs = SqsTransport::with_config(&config.sdk, config.jobs_queue_url);
        tokio::join!(
            table.open_connection(),
            archive.open_connection(),
            Box::pin(jobs.open_connection())
        );
        Ok(Self {
            table,
            archive,
            exports,
            jobs: Some(Queue::new(Arc::new(jobs))),
            grace: ROUTERS_END,
            clock,
            metrics: config.metrics,
        })
    }

    /// Now. Unit: Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)().as_millisecond()
    }
}

/// Time of an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    until: Instant,
}

impl Budget {
    /// All that is begun ends before this moment.
    pub fn until(until: Instant) -> Self {
        Self { until }
    }

    /// Time until that moment.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Returns whether too little is left to begin another part: the job notes its progress and goes on in
    /// the next invocation.
    pub fn is_over(&self) -> bool {
        self.left() <= TO_BEGIN
    }
}
