//! The API on one machine: the function's own router behind the gateway, with a key that signs tokens in the
//! data folder.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use api::{App, KeyCache, Upstream, WebhookSecrets, token::SigningKeys};
use deliver::Vault;
use domain::{
    delivery::{DeliveryMessage, Network},
    message::JobMessage,
};
use runtime::{
    metrics::Sink,
    queue::{Queue, local::Clock},
};
use secrecy::SecretString;
use store::{archive::Archive, exports::Exports, table::Table};

use crate::folder::only_for_its_owner;

/// File of the key that signs tokens for one person.
const SIGNING_KEY_FILE: &str = "api-signing-key";

/// Settings of the API on one machine.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    /// Folder of all data.
    pub(crate) data_dir: &'a Path,
    /// The time.
    pub(crate) clock: &'a Clock,
    /// Origins whose pages may call.
    pub(crate) allowed_origins: &'a [String],
    /// Time after which a call is given up.
    pub(crate) answers_within: Duration,
}

/// Everything that calls of the API need.
pub(crate) fn app(
    settings: Settings<'_>,
    table: &Table,
    archive: &Archive,
    (jobs, deliveries): (Queue<JobMessage>, Queue<DeliveryMessage>),
    (upstream, webhook_secrets): (Upstream, WebhookSecrets),
) -> anyhow::Result<App> {
    let data_dir = settings.data_dir;
    Ok(App {
        table: table.clone(),
        archive: archive.clone(),
        exports: Exports::folder(data_dir),
        jobs: Some(jobs),
        deliveries: Some(deliveries),
        destination_secrets: Some(Vault::folder(data_dir).into_store()),
        widest: Network::Local,
        role: None,
        webhook_secrets,
        signing_keys: SigningKeys::known(signing_key(data_dir)?),
        upstream,
        keys: KeyCache::default(),
        allowed_origins: settings.allowed_origins.to_vec(),
        // An app in development.
        return_hosts: ["127.0.0.1", "localhost"].map(str::to_owned).to_vec(),
        clock: Arc::clone(settings.clock),
        answers_within: settings.answers_within,
        metrics: Sink::Nowhere,
    })
}

/// The data folder's key that signs tokens; made if there is none.
pub(crate) fn signing_key(data_dir: &Path) -> anyhow::Result<SecretString> {
    let path = data_dir.join(SIGNING_KEY_FILE);
    let key = api::new_secret();
    match only_for_its_owner().create_new(true).open(&path) {
        Ok(mut file) => {
            writeln!(file, "{key}").with_context(|| format!("cannot write {}", path.display()))?;
            Ok(key.into())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Ok(text.trim().into())
        }
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
