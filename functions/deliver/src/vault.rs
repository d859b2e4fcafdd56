//! Secrets of destinations: written by operators, read here, shown to nobody.

use std::path::Path;

use aws_types::SdkConfig;
use destinations::config::Secrets;
use domain::delivery::DestinationId;
use runtime::secret_store::{SecretStore, SecretStoreError};
use secrecy::ExposeSecret as _;

/// Keeper of the secrets of destinations: one JSON object for each, under its id.
#[derive(Debug, Clone)]
pub struct Vault(SecretStore);

/// The secrets of a destination could not be read or written. No message holds a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Secrets Manager or the file system refused or did not answer.
    #[error("the secrets of destinations are out of reach")]
    Unavailable(#[from] SecretStoreError),
    /// The text that is kept is not one JSON object.
    #[error("the secrets of {0} are not a JSON object")]
    Malformed(DestinationId),
}

impl VaultError {
    /// Returns whether an operator has to mend it: somebody else wrote, removed or locked the secret.
    pub fn is_operators(&self) -> bool {
        match self {
            Self::Unavailable(error) => error.is_refusal(),
            Self::Malformed(_) => true,
        }
    }
}

impl Vault {
    /// Secrets in AWS Secrets Manager under this prefix.
    pub fn secrets_manager(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        Self(SecretStore::new(config, prefix))
    }

    /// Secrets below the folder of a local system.
    pub fn folder(data_dir: &Path) -> Self {
        Self(SecretStore::folder(
            data_dir.join("secrets").join("destinations"),
        ))
    }

    /// The store behind it, for whoever writes secrets and reads none.
    pub fn into_store(self) -> SecretStore {
        self.0
    }

    /// Reads the secrets of a destination; a destination without any has none.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`] when the keeper does not answer or refuses, [`VaultError::Malformed`]
    /// when somebody else wrote something else.
    pub async fn read(&self, id: &DestinationId) -> Result<Secrets, VaultError> {
        let Some(secret) = self.0.read(id.as_str()).await? else {
            return Ok(Secrets::default());
        };
        let fields = serde_json::from_str(secret.expose_secret());
        let fields = fields.map_err(|_| VaultError::Malformed(id.clone()))?;
        Ok(Secrets::new(fields))
    }

    /// Writes the secrets of a destination in place of those that were there.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`] when the keeper does not answer or refuses.
    pub async fn write(&self, id: &DestinationId, secrets: &Secrets) -> Result<(), VaultError> {
        Ok(self.0.write(id.as_str(), &secrets.to_text()).await?)
    }

    /// Removes the secrets of a destination.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`] when the keeper does not answer or refuses.
    pub async fn remove(&self, id: &DestinationId) -> Result<(), VaultError> {
        Ok(self.0.remove(id.as_str()).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_secrets_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::folder(folder.path());
        let id = DestinationId::new("dst_1").unwrap();
        assert!(vault.read(&id).await.unwrap().names().is_empty());
        let fields = json!({"password": "hunter2"}).as_object().unwrap().clone();
        vault.write(&id, &Secrets::new(fields)).await.unwrap();
        assert_eq!(vault.read(&id).await.unwrap().names(), ["password"]);
        let path = folder.path().join("secrets/destinations/dst_1.json");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "[]").unwrap();
        let error = vault.read(&id).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the secrets of dst_1 are not a JSON object"
        );
        assert!(error.is_operators());
        vault.remove(&id).await.unwrap();
        vault.remove(&id).await.unwrap();
        assert!(vault.read(&id).await.unwrap().names().is_empty());
    }
}
