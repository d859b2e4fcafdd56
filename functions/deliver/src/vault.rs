//! Secrets of destinations: written by operators, read here, shown to nobody.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use aws_types::SdkConfig;
use destinations::config::Secrets;
use domain::delivery::DestinationId;
use runtime::secret_store::SecretStore;
use secrecy::{ExposeSecret as _, SecretString};

/// Keeper of the secrets of destinations: one JSON object for each.
#[derive(Debug, Clone)]
pub enum Vault {
    /// AWS Secrets Manager, each secret under the destination's id.
    SecretsManager(SecretStore),
    /// A folder of this machine, which only its owner may read.
    Folder(PathBuf),
}

/// The secrets of a destination could not be read or written. No message holds a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Secrets Manager or the file system refused or did not answer.
    #[error("cannot {operation} the secrets of {id}")]
    Unavailable {
        /// Attempted operation.
        operation: &'static str,
        /// The destination.
        id: DestinationId,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The text that is kept is not one JSON object.
    #[error("the secrets of {0} are not a JSON object")]
    Malformed(DestinationId),
}

impl Vault {
    /// Secrets in AWS Secrets Manager under this prefix.
    pub fn secrets_manager(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        Self::SecretsManager(SecretStore::new(config, prefix))
    }

    /// Secrets below the folder of a local system.
    pub fn folder(data_dir: &Path) -> Self {
        Self::Folder(data_dir.join("secrets").join("destinations"))
    }

    /// Reads the secrets of a destination; a destination without any has none.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`] when the keeper does not answer or refuses, [`VaultError::Malformed`]
    /// when somebody else wrote something else.
    pub async fn read(&self, id: &DestinationId) -> Result<Secrets, VaultError> {
        let text = match self {
            Self::SecretsManager(store) => {
                let read = store.read(id.as_str()).await;
                let found = read.map_err(|error| unavailable("read", id, error))?;
                found.map(|secret| secret.expose_secret().to_owned())
            }
            Self::Folder(folder) => match tokio::fs::read_to_string(file(folder, id)).await {
                Ok(text) => Some(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(unavailable("read", id, error)),
            },
        };
        let Some(text) = text else {
            return Ok(Secrets::default());
        };
        let fields = serde_json::from_str(&text);
        let fields = fields.map_err(|_| VaultError::Malformed(id.clone()))?;
        Ok(Secrets::new(fields))
    }

    /// Writes the secrets of a destination in place of those that were there.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`] when the keeper does not answer or refuses.
    pub async fn write(&self, id: &DestinationId, secrets: &Secrets) -> Result<(), VaultError> {
        let text = serde_json::Value::Object(secrets.expose().clone()).to_string();
        match self {
            Self::SecretsManager(store) => {
                let written = store.write(id.as_str(), &SecretString::from(text)).await;
                written.map_err(|error| unavailable("write", id, error))
            }
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), file(folder, id));
                let written = tokio::task::spawn_blocking(move || private(&folder, &path, &text));
                let written = written.await.map_err(io::Error::other).flatten();
                written.map_err(|error| unavailable("write", id, error))
            }
        }
    }

    /// Removes the secrets of a destination.
    ///
    /// # Errors
    ///
    /// [`VaultError::Unavailable`] when the keeper does not answer or refuses.
    pub async fn remove(&self, id: &DestinationId) -> Result<(), VaultError> {
        match self {
            Self::SecretsManager(store) => {
                let removed = store.remove(id.as_str()).await;
                removed.map_err(|error| unavailable("remove", id, error))
            }
            Self::Folder(folder) => match tokio::fs::remove_file(file(folder, id)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(unavailable("remove", id, error))
                }
                _ => Ok(()),
            },
        }
    }
}

fn file(folder: &Path, id: &DestinationId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Writes a file that only its owner may read, and renames it into place.
fn private(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    use std::{
        fs::{DirBuilder, OpenOptions, rename},
        io::Write as _,
        os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    };

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let next = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    rename(next, path)
}

fn unavailable(
    operation: &'static str,
    id: &DestinationId,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> VaultError {
    VaultError::Unavailable {
        operation,
        id: id.clone(),
        source: source.into(),
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
        vault.remove(&id).await.unwrap();
        vault.remove(&id).await.unwrap();
        assert!(vault.read(&id).await.unwrap().names().is_empty());
    }
}
