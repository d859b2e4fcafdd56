//! Signing secrets: the local system's own file, and what the environment adds.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use aws_types::SdkConfig;
use models::ids::hex;
use runtime::{
    secrets::{NamedSecret, SecretSource},
    settings::Settings,
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{failure, folder::only_for_its_owner};

const FILE: &str = "signing-secrets.json";
const API_KEY_FILE: &str = "simulator-api-key";
const VARIABLE: &str = "SIGNING_SECRETS";
/// Name of the simulator's secret in the file.
pub(super) const SIMULATOR: &str = "simulator";

/// Returns the file of a data folder's secrets.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The secrets of a data folder and those of the environment.
pub(super) async fn load(data_dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let path = file(data_dir);
    let mut secrets = match fs::read_to_string(&path) {
        Ok(text) => parse(text.into())
            .await
            .with_context(|| format!("cannot use {}", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let mut settings = Settings::from_env();
    let further = settings.optional_secret(VARIABLE, "signing secrets");
    settings.finish(|| Some(()))?;
    if let Some(further) = further {
        let further = parse(further).await.map_err(|error| {
            failure::input(format!(
                "{VARIABLE} cannot be used: {error}; it should be {SHAPE}"
            ))
        })?;
        secrets.retain(|(name, _)| further.iter().all(|(other, _)| other != name));
        secrets.extend(further);
    }
    Ok(secrets)
}

const SHAPE: &str = r#"a JSON object like {"terra":"<signing secret>"}"#;

/// The same; makes the file first, with a secret for the simulator, if there is none.
pub(super) async fn load_or_make(data_dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    make(&file(data_dir))?;
    load(data_dir).await
}

/// Loads the secrets of a deployed system, as far as they are given here.
pub(super) async fn load_of_aws(config: &SdkConfig) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = Settings::from_env();
    let arn = settings.optional::<String>("SIGNING_SECRETS_ARN", "the ARN of a secret");
    let inline = settings.optional_secret(VARIABLE, "signing secrets");
    settings.finish(|| Some(()))?;
    let source = match (arn, inline) {
        (_, Some(secret)) => SecretSource::Inline(secret),
        (Some(arn), None) => SecretSource::SecretsManager { arn },
        (None, None) => return Ok(Vec::new()),
    };
    Ok(pairs(source.load_named(config).await?))
}

async fn parse(text: SecretString) -> anyhow::Result<Vec<(String, String)>> {
    // Inline secrets ask nobody, so any configuration will do.
    let config = SdkConfig::builder().build();
    Ok(pairs(SecretSource::Inline(text).load_named(&config).await?))
}

fn pairs(secrets: Vec<NamedSecret>) -> Vec<(String, String)> {
    secrets
        .into_iter()
        .map(|named| (named.name, named.secret.expose_secret().to_owned()))
        .collect()
}

/// Keeps the simulated Terra's key for commands: the name of its file in the data folder.
pub(super) fn keep_api_key(data_dir: &Path, api_key: &str) -> anyhow::Result<PathBuf> {
    let path = data_dir.join(API_KEY_FILE);
    let written = only_for_its_owner()
        .truncate(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{api_key}"));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(API_KEY_FILE.into())
}

fn make(path: &Path) -> anyhow::Result<()> {
    let mut file = match only_for_its_owner().create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
    };
    let secret = format!("whsec_{}", hex(&rand::random::<[u8; 32]>()));
    let json = serde_json::json!({ SIMULATOR: secret });
    writeln!(file, "{json}").with_context(|| format!("cannot write {}", path.display()))
}
