//! Settings and clients of the router.

use std::{fmt, sync::Arc};

use anyhow::Context as _;
use aws_types::SdkConfig;
use domain::message::HistoryMessage;
use routing::{Announcer, DESTINATIONS_KEPT, Ways};
use runtime::{
    aws,
    metrics::Sink,
    queue::{Queue, SqsTransport},
    settings::{Settings, SettingsError},
};
use store::{
    archive::Archive,
    table::{Table, ledger::WebhookEntry},
};
use terra_client::{HostPattern, PayloadFetcher, PayloadSettings};

/// Settings of the router; [the crate's page](crate#settings) lists them.
#[derive(Debug)]
pub struct Config {
    table_name: String,
    archive_bucket: String,
    payloads: PayloadSettings,
    history_queue_url: Option<String>,
    deliveries_queue_url: Option<String>,
    terra_queue_arn: Option<String>,
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
        let defaults = PayloadSettings::default();
        let hosts: Vec<HostPattern> = settings.list(
            "PAYLOAD_HOSTS",
            "host names, `*.` before one for all below it, or `s3`",
        );
        let payloads = PayloadSettings {
            allowed_hosts: if hosts.is_empty() {
                defaults.allowed_hosts.clone()
            } else {
                hosts
            },
            max_bytes: settings.or_default(
                "PAYLOAD_MAX_BYTES",
                "a number of bytes",
                defaults.max_bytes,
            ),
            timeout: settings.seconds("PAYLOAD_TIMEOUT_SECONDS", defaults.timeout),
            retries: defaults.retries,
            allow_http_loopback: settings.or_default(
                "PAYLOAD_ALLOW_LOOPBACK_HTTP",
                "true or false",
                defaults.allow_http_loopback,
            ),
        };
        let history_queue_url = settings.optional_url("HISTORY_QUEUE_URL");
        let deliveries_queue_url = settings.optional_url("DELIVERIES_QUEUE_URL");
        let terra_queue_arn = settings.optional("TERRA_QUEUE_ARN", "the ARN of a queue");
        let metrics = Sink::from_settings(&mut settings);
        let sdk = aws::sdk_config(&mut settings);
        settings.finish(|| {
            Some(Self {
                table_name: table_name?,
                archive_bucket: archive_bucket?,
                payloads,
                history_queue_url,
                deliveries_queue_url,
                terra_queue_arn,
                metrics,
                sdk: sdk?,
            })
        })
    }
}

/// Is told of every webhook whose line is in the ledger.
pub type Observer = Box<dyn Fn(&WebhookEntry) + Send + Sync>;

/// Clients and settings of a batch. Built once, before the first batch.
pub struct App {
    /// Table of everything that is remembered.
    pub table: Table,
    /// Archive of the exact bytes.
    pub archive: Archive,
    /// Follows pings.
    pub payloads: PayloadFetcher,
    /// Queue that tells history-fetch of new connections and of answers; absent without history.
    pub history: Option<Queue<HistoryMessage>>,
    /// Tells destinations what changed; nobody without it.
    pub announcer: Option<Announcer>,
    /// Messages from this queue are Terra's own, not intake's.
    pub terra_queue_arn: Option<String>,
    /// Sink of metrics.
    pub metrics: Sink,
    /// Watches, where somebody wants to see webhooks go by.
    pub observer: Option<Observer>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Everything that applying a webhook writes to.
    pub fn ways(&self) -> Ways<'_> {
        Ways {
            table: &self.table,
            history: self.history.as_ref(),
            announcer: self.announcer.as_ref(),
        }
    }

    /// Connects to AWS, while nobody waits yet.
    ///
    /// # Errors
    ///
    /// A client that cannot be made.
    pub async fn connect(config: Config) -> anyhow::Result<Self> {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(&config.sdk),
            config.table_name,
        );
        let archive =
            Archive::s3(&config.archive_bucket, &config.sdk).context("cannot open the archive")?;
        let history = config
            .history_queue_url
            .map(|url| SqsTransport::with_config(&config.sdk, url));
        let deliveries = config
            .deliveries_queue_url
            .map(|url| SqsTransport::with_config(&config.sdk, url));
        let open = async |queue: &Option<SqsTransport>| {
            if let Some(queue) = queue {
                queue.open_connection().await;
            }
        };
        tokio::join!(
            table.open_connection(),
            archive.open_connection(),
            open(&history),
            open(&deliveries)
        );
        Ok(Self {
            table,
            archive,
            payloads: PayloadFetcher::new(config.payloads)
                .context("cannot make the client that fetches payloads")?,
            history: history.map(|transport| Queue::new(Arc::new(transport))),
            announcer: deliveries.map(|transport| {
                Announcer::new(Queue::new(Arc::new(transport)), DESTINATIONS_KEPT)
            }),
            terra_queue_arn: config.terra_queue_arn,
            metrics: config.metrics,
            observer: None,
        })
    }
}
