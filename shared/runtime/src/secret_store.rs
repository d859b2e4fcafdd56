//! Secrets that we keep for others in AWS Secrets Manager, each by a name of ours.

use std::error::Error;

use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata as _};
use aws_types::SdkConfig;
use secrecy::{ExposeSecret as _, SecretString};

/// Secrets under names that begin alike.
#[derive(Debug, Clone)]
pub struct SecretStore {
    client: Client,
    prefix: String,
}

/// Secrets Manager refused or did not answer. The message holds no value.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} the secret {name}")]
pub struct SecretStoreError {
    operation: &'static str,
    name: String,
    source: Box<dyn Error + Send + Sync>,
}

impl SecretStore {
    /// Secrets whose names begin with `prefix`, its last slash included.
    pub fn new(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        Self {
            client: Client::new(config),
            prefix: prefix.into(),
        }
    }

    fn failed(
        &self,
        operation: &'static str,
        name: &str,
    ) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> SecretStoreError {
        let name = format!("{}{name}", self.prefix);
        move |source| SecretStoreError {
            operation,
            name,
            source,
        }
    }

    /// Reads a secret; `None` where there is none of this name.
    ///
    /// # Errors
    ///
    /// [`SecretStoreError`] when Secrets Manager refuses or does not answer.
    pub async fn read(&self, name: &str) -> Result<Option<SecretString>, SecretStoreError> {
        let id = format!("{}{name}", self.prefix);
        match self.client.get_secret_value().secret_id(id).send().await {
            Ok(found) => Ok(found.secret_string.map(SecretString::from)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(self.failed("read", name)(error.into())),
        }
    }

    /// Writes a secret in place of the one that was there.
    ///
    /// # Errors
    ///
    /// [`SecretStoreError`] when Secrets Manager refuses or does not answer.
    pub async fn write(&self, name: &str, secret: &SecretString) -> Result<(), SecretStoreError> {
        let id = format!("{}{name}", self.prefix);
        let text = secret.expose_secret();
        let create = self.client.create_secret().name(&id).secret_string(text);
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ResourceExistsException") => {
                let put = self.client.put_secret_value().secret_id(&id);
                let put = put.secret_string(text).send().await;
                put.map(drop)
                    .map_err(|error| self.failed("write", name)(error.into()))
            }
            Err(error) => Err(self.failed("write", name)(error.into())),
        }
    }

    /// Removes a secret at once, without the days in which it could be restored.
    ///
    /// # Errors
    ///
    /// [`SecretStoreError`] when Secrets Manager refuses or does not answer.
    pub async fn remove(&self, name: &str) -> Result<(), SecretStoreError> {
        let id = format!("{}{name}", self.prefix);
        let delete = self.client.delete_secret().secret_id(id);
        match delete.force_delete_without_recovery(true).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(()),
            Err(error) => Err(self.failed("remove", name)(error.into())),
        }
    }
}
