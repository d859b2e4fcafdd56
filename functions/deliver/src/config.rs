//! Settings and clients of deliver.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_types::SdkConfig;
use destinations::net::Network;
use domain::delivery::DeliveryMessage;
use jiff::Timestamp;
use runtime::{
    aws,
    metrics::Sink,
    queue::{Queue, SqsTransport},
    settings::{Settings, SettingsError},
};
use store::{archive::Archive, table::Table};

use crate::{clients::Clients, outbox::Outbox, vault::Vault};

/// Time after which every router knows the status of a destination: it keeps the list for half a minute, and routes a
/// batch for at most a minute.
const KNOWN_AFTER: Duration = Duration::from_mins(2);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Settings of deliver; [the crate's page](crate#settings) lists them.
#[derive(Debug)]
pub struct Config {
    table_name: String,
    archive_bucket: String,
    deliveries_queue_url: String,
    secrets_prefix: String,
    allow_private: bool,
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
        let deliveries_queue_url = settings.required_url("DELIVERIES_QUEUE_URL");
        let secrets_prefix =
            settings.required::<String>("DESTINATION_SECRETS_PREFIX", "the beginning of names");
        let allow_private =
            settings.or_default("ALLOW_PRIVATE_DESTINATIONS", "true or false", false);
        let metrics = Sink::from_settings(&mut settings);
        let sdk = aws::sdk_config(&mut settings);
        settings.finish(|| {
            Some(Self {
                table_name: table_name?,
                archive_bucket: archive_bucket?,
                deliveries_queue_url: deliveries_queue_url?,
                secrets_prefix: secrets_prefix?,
                allow_private,
                metrics,
                sdk: sdk?,
            })
        })
    }
}

/// Everything that a job needs. Built once, before the first job.
pub struct App {
    /// Records, and what is owed.
    pub table: Table,
    /// Payloads of records.
    pub archive: Archive,
    /// Our own jobs.
    pub jobs: Queue<DeliveryMessage>,
    /// Open destinations.
    pub clients: Clients,
    /// The time.
    pub clock: Clock,
    /// Time after which every router knows the status of a destination.
    pub known_after: Duration,
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
        let jobs = SqsTransport::with_config(&config.sdk, config.deliveries_queue_url);
        tokio::join!(
            table.open_connection(),
            archive.open_connection(),
            Box::pin(jobs.open_connection())
        );
        let widest = if config.allow_private {
            Network::Private
        } else {
            Network::Public
        };
        let vault = Vault::secrets_manager(&config.sdk, config.secrets_prefix);
        Ok(Self {
            table,
            jobs: Queue::new(Arc::new(jobs)),
            clients: Clients::new(vault, Arc::clone(&clock), widest)
                .with_role(config.sdk)
                .with_pointers(Outbox::new(archive.clone())),
            archive,
            clock,
            known_after: KNOWN_AFTER,
            metrics: config.metrics,
        })
    }

    /// Now. Unit: Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)().as_millisecond()
    }
}
