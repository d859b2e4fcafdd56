//! Settings and clients of the intake.

use std::sync::Arc;

use anyhow::Context as _;
use aws_sdk_sqs::Client as SqsClient;
use aws_types::SdkConfig;
use domain::message::EventMessage;
use models::signature::{SigningSecret, Tolerance};
use runtime::{
    aws,
    metrics::Sink,
    queue::{Queue, SqsTransport},
    secrets::SecretSource,
    settings::{Settings, SettingsError},
};
use secrecy::{ExposeSecret as _, SecretString};
use store::archive::Archive;

use crate::refusals::Refusals;

/// Settings of the intake; [the crate's page](crate#settings) lists them.
#[derive(Debug)]
pub struct Config {
    events_queue_url: String,
    pings_queue_url: String,
    archive_bucket: String,
    signing_secrets: SecretSource,
    path_token: Option<SecretString>,
    tolerance: Tolerance,
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
        let events_queue_url = settings.required_url("EVENTS_QUEUE_URL");
        let pings_queue_url = settings.required_url("PINGS_QUEUE_URL");
        let archive_bucket = settings.required::<String>("ARCHIVE_BUCKET", "the bucket's name");
        let signing_secrets = SecretSource::from_settings(&mut settings, "SIGNING_SECRETS");
        let path_token = settings.optional_secret("WEBHOOK_PATH_TOKEN", "an unguessable text");
        let defaults = Tolerance::default();
        let tolerance = Tolerance {
            on_time_seconds: settings.or_default(
                "SIGNATURE_TOLERANCE_SECONDS",
                "a number of seconds",
                defaults.on_time_seconds,
            ),
            late_seconds: settings.or_default(
                "SIGNATURE_LATE_SECONDS",
                "a number of seconds",
                defaults.late_seconds,
            ),
        };
        let metrics = Sink::from_settings(&mut settings);
        let sdk = aws::sdk_config(&mut settings);
        settings.finish(|| {
            Some(Self {
                events_queue_url: events_queue_url?,
                pings_queue_url: pings_queue_url?,
                archive_bucket: archive_bucket?,
                signing_secrets: signing_secrets?,
                path_token,
                tolerance,
                metrics,
                sdk: sdk?,
            })
        })
    }
}

/// Clients and settings of a request. Built once, before the first request.
#[derive(Debug)]
pub struct App {
    /// Any of these may have signed.
    pub signing_secrets: Vec<SigningSecret>,
    /// Last segment that the path of webhooks must have; any path is right without it.
    pub path_token: Option<SecretString>,
    /// Counts of refused requests.
    pub refusals: Refusals,
    /// Largest age of a signature.
    pub tolerance: Tolerance,
    /// Queue of accepted webhooks.
    pub events: Queue<EventMessage>,
    /// Queue of accepted pings, whose URLs run out.
    pub pings: Queue<EventMessage>,
    /// Archive whose inbox takes bodies that do not fit a message.
    pub archive: Archive,
    /// Sink of metrics.
    pub metrics: Sink,
}

impl App {
    /// Connects to AWS, while nobody waits yet.
    ///
    /// # Errors
    ///
    /// When the signing secrets cannot be read, or a client cannot be made.
    pub async fn connect(config: Config) -> anyhow::Result<Self> {
        let client = SqsClient::new(&config.sdk);
        // The connection serves both queues: they have one host.
        let pings = SqsTransport::new(client.clone(), config.pings_queue_url);
        let transport = SqsTransport::new(client, config.events_queue_url);
        let (secrets, ()) = tokio::join!(
            config.signing_secrets.load_named(&config.sdk),
            transport.open_connection()
        );
        let secrets = secrets.context("cannot load the signing secrets")?;
        let signing_secrets = secrets
            .iter()
            .filter_map(|named| SigningSecret::new(&named.name, named.secret.expose_secret()))
            .collect();
        Ok(Self {
            signing_secrets,
            path_token: config.path_token,
            refusals: Refusals::default(),
            tolerance: config.tolerance,
            events: Queue::new(Arc::new(transport)),
            pings: Queue::new(Arc::new(pings)),
            archive: Archive::s3(&config.archive_bucket, &config.sdk)
                .context("cannot open the archive")?,
            metrics: config.metrics,
        })
    }
}
