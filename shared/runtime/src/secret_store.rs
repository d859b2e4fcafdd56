//! Secrets that we keep for others, each by a name of ours: in AWS Secrets Manager, or in a folder of one machine.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata as _};
use aws_types::SdkConfig;
use secrecy::{ExposeSecret as _, SecretString};

/// Secrets under names that begin alike. A name is letters, digits and `_`.
#[derive(Debug, Clone)]
pub struct SecretStore(Keeper);

#[derive(Debug, Clone)]
enum Keeper {
    Manager {
        client: Client,
        prefix: String,
    },
    /// A folder that only its owner may read.
    Folder(PathBuf),
}

/// The keeper of secrets refused or did not answer. The message holds no value.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} the secret {name}")]
pub struct SecretStoreError {
    operation: &'static str,
    name: String,
    is_refusal: bool,
    source: Box<dyn Error + Send + Sync>,
}

impl SecretStoreError {
    /// Returns whether the keeper answered, and will answer the same until somebody changes the secret or the right to
    /// read it.
    pub fn is_refusal(&self) -> bool {
        self.is_refusal
    }
}

/// Codes of Secrets Manager for a secret that was deleted, is encrypted with a key that is out of reach, or may not be
/// read.
const REFUSALS: [&str; 4] = [
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidParameterException",
    "InvalidRequestException",
];

fn failed(
    operation: &'static str,
    name: &str,
) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> SecretStoreError {
    let name = name.to_owned();
    move |source| SecretStoreError {
        operation,
        name,
        is_refusal: false,
        source,
    }
}

fn refused(error: SecretStoreError, is_refusal: bool) -> SecretStoreError {
    SecretStoreError {
        is_refusal,
        ..error
    }
}

impl SecretStore {
    /// Secrets in AWS Secrets Manager whose names begin with `prefix`, its last slash included.
    pub fn new(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        Self(Keeper::Manager {
            client: Client::new(config),
            prefix: prefix.into(),
        })
    }

    /// Secrets in files of a folder, which is made when the first is written.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self(Keeper::Folder(folder.into()))
    }

    /// Reads a secret; `None` where there is none of this name.
    ///
    /// # Errors
    ///
    /// [`SecretStoreError`] when the keeper refuses or does not answer.
    pub async fn read(&self, name: &str) -> Result<Option<SecretString>, SecretStoreError> {
        let failed = failed("read", name);
        match &self.0 {
            Keeper::Manager { client, prefix } => {
                let id = format!("{prefix}{name}");
                match client.get_secret_value().secret_id(id).send().await {
                    Ok(found) => Ok(found.secret_string.map(SecretString::from)),
                    Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
                    Err(error) => {
                        let is_refusal = error.code().is_some_and(|code| REFUSALS.contains(&code));
                        Err(refused(failed(error.into()), is_refusal))
                    }
                }
            }
            Keeper::Folder(folder) => {
                let path = file(folder, name);
                match blocking(move || std::fs::read_to_string(path)).await {
                    Ok(text) => Ok(Some(SecretString::from(text))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => {
                        let is_refusal = matches!(
                            error.kind(),
                            io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied
                        );
                        Err(refused(failed(error.into()), is_refusal))
                    }
                }
            }
        }
    }

    /// Writes a secret in place of the one that was there.
    ///
    /// # Errors
    ///
    /// [`SecretStoreError`] when the keeper refuses or does not answer.
    pub async fn write(&self, name: &str, secret: &SecretString) -> Result<(), SecretStoreError> {
        let failed = failed("write", name);
        let text = secret.expose_secret();
        match &self.0 {
            Keeper::Manager { client, prefix } => {
                let id = format!("{prefix}{name}");
                let create = client.create_secret().name(&id).secret_string(text);
                match create.send().await {
                    Ok(_) => Ok(()),
                    Err(error) if error.code() == Some("ResourceExistsException") => {
                        let put = client.put_secret_value().secret_id(&id);
                        let put = put.secret_string(text).send().await;
                        put.map(drop).map_err(|error| failed(error.into()))
                    }
                    Err(error) => Err(failed(error.into())),
                }
            }
            Keeper::Folder(folder) => {
                let (folder, path, text) = (folder.clone(), file(folder, name), text.to_owned());
                let written = blocking(move || private(&folder, &path, &text)).await;
                written.map_err(|error| failed(error.into()))
            }
        }
    }

    /// Removes a secret at once, without the days in which it could be restored.
    ///
    /// # Errors
    ///
    /// [`SecretStoreError`] when the keeper refuses or does not answer.
    pub async fn remove(&self, name: &str) -> Result<(), SecretStoreError> {
        let failed = failed("remove", name);
        match &self.0 {
            Keeper::Manager { client, prefix } => {
                let delete = client.delete_secret().secret_id(format!("{prefix}{name}"));
                match delete.force_delete_without_recovery(true).send().await {
                    Ok(_) => Ok(()),
                    Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(()),
                    Err(error) => Err(failed(error.into())),
                }
            }
            Keeper::Folder(folder) => {
                let path = file(folder, name);
                match blocking(move || std::fs::remove_file(path)).await {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(failed(error.into()))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten()
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
