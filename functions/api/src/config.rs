//! Settings and clients of the API.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_types::SdkConfig;
use domain::{
    delivery::{DeliveryMessage, Network},
    message::JobMessage,
};
use jiff::Timestamp;
use runtime::{
    aws,
    metrics::Sink,
    queue::{Queue, SqsTransport},
    secret_store::SecretStore,
    secrets::SecretSource,
    settings::{Settings, SettingsError},
};
use store::{archive::Archive, exports::Exports, table::Table};
use terra_client::api::BaseUrl;

use crate::{
    keys::KeyCache, token::SigningKeys, upstream::Upstream, webhook_secrets::WebhookSecrets,
};

/// Time for one call, unless it is told otherwise: the gateway gives up after 30 s and says nothing of use then.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(25);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Settings of the API; [the crate's page](crate#settings) lists them.
#[derive(Debug)]
pub struct Config {
    table_name: String,
    archive_bucket: String,
    signing_keys: SecretSource,
    webhook_secrets: SecretSource,
    jobs_queue_url: Option<String>,
    deliveries_queue_url: Option<String>,
    destination_secrets_prefix: Option<String>,
    terra_credentials: SecretSource,
    terra_api_url: BaseUrl,
    terra_key_opens: bool,
    allowed_origins: Vec<String>,
    return_hosts: Vec<String>,
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
        let signing_keys = SecretSource::from_settings(&mut settings, "API_SIGNING_KEYS");
        let webhook_secrets = SecretSource::from_settings(&mut settings, "SIGNING_SECRETS");
        let jobs_queue_url = settings.optional_url("JOBS_QUEUE_URL");
        let deliveries_queue_url = settings.optional_url("DELIVERIES_QUEUE_URL");
        let destination_secrets_prefix =
            settings.optional::<String>("DESTINATION_SECRETS_PREFIX", "the beginning of names");
        let terra_credentials = SecretSource::from_settings(&mut settings, "TERRA_CREDENTIALS");
        let terra_api_url = settings.or_default("TERRA_API_URL", "an https address", BaseUrl::API);
        let terra_key_opens = settings.or_default("TERRA_KEY_OPENS_API", "true or false", false);
        let allowed_origins = settings.list::<String>("API_ALLOWED_ORIGINS", "an origin");
        let return_hosts = settings.list::<String>("CONNECT_RETURN_HOSTS", "a host");
        let metrics = Sink::from_settings(&mut settings);
        let sdk = aws::sdk_config(&mut settings);
        settings.finish(|| {
            Some(Self {
                table_name: table_name?,
                archive_bucket: archive_bucket?,
                signing_keys: signing_keys?,
                webhook_secrets: webhook_secrets?,
                jobs_queue_url,
                deliveries_queue_url,
                destination_secrets_prefix,
                terra_credentials: terra_credentials?,
                terra_api_url,
                terra_key_opens,
                allowed_origins,
                return_hosts,
                metrics,
                sdk: sdk?,
            })
        })
    }
}

/// Everything that a call needs. Built once, before the first call.
pub struct App {
    /// Everything that is stored.
    pub table: Table,
    /// Everything that Terra sent.
    pub archive: Archive,
    /// Place of exports.
    pub exports: Exports,
    /// Queue of jobs; without it they wait for the next look.
    pub jobs: Option<Queue<JobMessage>>,
    /// Queue of deliver; without it a probe waits for the next look.
    pub deliveries: Option<Queue<DeliveryMessage>>,
    /// Keeper of the secrets of destinations, which are written here and never read; without it none is made.
    pub destination_secrets: Option<SecretStore>,
    /// The widest network that a destination made here may have.
    pub widest: Network,
    /// Our own role on AWS, with which destinations there are reached.
    pub role: Option<SdkConfig>,
    /// Keys that sign tokens for one person.
    pub signing_keys: SigningKeys,
    /// Secrets with which Terra signs webhooks.
    pub webhook_secrets: WebhookSecrets,
    /// Terra itself.
    pub upstream: Upstream,
    /// Keys of callers that were read lately.
    pub keys: KeyCache,
    /// Origins whose pages may call the API with a token; none by default.
    pub allowed_origins: Vec<String>,
    /// Hosts, each with its port where it has one, to which the browser may return from connecting; none by default.
    pub return_hosts: Vec<String>,
    /// The time.
    pub clock: Clock,
    /// Time after which a call is given up.
    pub answers_within: Duration,
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
        // Someone waits for the answer, so the archive is given up on sooner than by a queue's work.
        let archive = Archive::s3_for_a_person(&config.archive_bucket, &config.sdk)
            .context("cannot open the archive")?;
        let exports = Exports::s3(&config.archive_bucket, &config.sdk)
            .context("cannot open the place of exports")?;
        let jobs = config
            .jobs_queue_url
            .map(|url| SqsTransport::with_config(&config.sdk, url));
        let deliveries = config
            .deliveries_queue_url
            .map(|url| SqsTransport::with_config(&config.sdk, url));
        let destination_secrets = config
            .destination_secrets_prefix
            .map(|prefix| SecretStore::new(&config.sdk, prefix));
        table.open_connection().await;
        Ok(Self {
            deliveries: deliveries.map(|transport| Queue::new(Arc::new(transport))),
            destination_secrets,
            // Wider ones are an operator's decision, never a call's.
            widest: Network::Public,
            role: Some(config.sdk.clone()),
            table,
            archive,
            exports,
            jobs: jobs.map(|transport| Queue::new(Arc::new(transport))),
            upstream: Upstream::of_secret(
                config.terra_credentials,
                config.sdk.clone(),
                config.terra_api_url,
                config.terra_key_opens,
            ),
            webhook_secrets: WebhookSecrets::new(config.webhook_secrets, config.sdk.clone()),
            signing_keys: SigningKeys::new(config.signing_keys, config.sdk),
            keys: KeyCache::default(),
            allowed_origins: config.allowed_origins,
            return_hosts: config.return_hosts,
            clock,
            answers_within: ANSWERS_WITHIN,
            metrics: config.metrics,
        })
    }
}
