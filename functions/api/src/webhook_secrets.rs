//! Secrets with which Terra signs webhooks: to verify archived ones once more.

use aws_types::SdkConfig;
use models::signature::SigningSecret;
use runtime::secrets::{SecretSource, SecretsError};
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;

/// Signing secrets of webhooks, read when somebody first asks for a webhook to be verified.
#[derive(Debug)]
pub struct WebhookSecrets {
    source: Option<(SecretSource, Box<SdkConfig>)>,
    loaded: OnceCell<Vec<SigningSecret>>,
}

/// The signing secrets could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the signing secrets of webhooks")]
pub struct WebhookSecretsError(#[source] SecretsError);

impl WebhookSecrets {
    /// Secrets that are loaded from a source.
    pub fn new(source: SecretSource, sdk: SdkConfig) -> Self {
        Self {
            source: Some((source, Box::new(sdk))),
            loaded: OnceCell::new(),
        }
    }

    /// Secrets that are known.
    pub fn known(secrets: Vec<SigningSecret>) -> Self {
        Self {
            source: None,
            loaded: OnceCell::new_with(Some(secrets)),
        }
    }

    /// The secrets.
    ///
    /// # Errors
    ///
    /// Secrets that cannot be read.
    pub(crate) async fn get(&self) -> Result<&[SigningSecret], WebhookSecretsError> {
        let load = async || {
            let Some((source, sdk)) = &self.source else {
                return Err(WebhookSecretsError(SecretsError::None));
            };
            let named = source.load_named(sdk).await.map_err(WebhookSecretsError)?;
            let secrets = named
                .iter()
                .filter_map(|named| SigningSecret::new(&named.name, named.secret.expose_secret()));
            Ok(secrets.collect())
        };
        Ok(self.loaded.get_or_try_init(load).await?)
    }
}
