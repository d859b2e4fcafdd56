//! Exports: large files that are written part by part, and that an interrupted writer goes on with.
//!
//! # Layout
//!
//! | object | key | content |
//! |---|---|---|
//! | export | `exports/YYYY/MM/DD/<name>.zip` | the file; there only when it is whole |
//! | its progress | `exports/YYYY/MM/DD/<name>.zip.progress` | parts so far, the writer's own state, what is no whole part yet |
//!
//! # Protocol
//!
//! 1. [`Upload::put_part`] writes whole parts of [`PART_BYTES`]. In a bucket they are parts of a multipart
//!    upload, which nobody sees; in a folder they are appended to `<file>.part`.
//! 2. [`Upload::save`] writes the progress. Parts that are written later and are not in a progress are
//!    written once more by whoever goes on: a part is known by its number.
//! 3. [`Upload::complete`] makes the file appear as a whole and removes the progress.
//!
//! The lifecycle of the bucket ends uploads and exports that nobody comes back to.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write},
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_types::SdkConfig;
use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use object_store::{
    ObjectStore, ObjectStoreExt as _, PutPayload,
    memory::InMemory,
    multipart::{MultipartStore, PartId},
    path::Path,
    signer::Signer,
};
use serde::{Deserialize, Serialize};

use crate::archive::{ArchiveError, InvalidKey, s3};

/// Length of every part but the last. S3 takes at most 10,000 parts of at least 5 MiB: 80 GB. Unit: bytes.
pub const PART_BYTES: usize = 8 * 1024 * 1024;

const PROGRESS: &str = "progress";
const MAX_NAME_BYTES: usize = 64;

/// The key of one export: `exports/YYYY/MM/DD/<name>.zip`, with the day of its order in UTC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ExportKey(String);

impl ExportKey {
    /// The key of an export that is ordered `now` under a name of letters, digits, `-` and `_`.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the name has other characters.
    pub fn new(now: Timestamp, name: &str) -> Result<Self, InvalidKey> {
        let day = now.to_zoned(TimeZone::UTC).date();
        format!("exports/{}/{name}.zip", day.strftime("%Y/%m/%d")).try_into()
    }

    /// The key as the store knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ExportKey> for String {
    fn from(key: ExportKey) -> Self {
        key.0
    }
}

impl TryFrom<String> for ExportKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        let sound = || {
            let mut parts = text.strip_prefix("exports/")?.split('/');
            for digits in [4, 2, 2] {
                let part = parts.next()?;
                if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
            }
            let name = parts.next()?.strip_suffix(".zip")?;
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let sound = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(known);
            (sound && parts.next().is_none()).then_some(())
        };
        match sound() {
            Some(()) => Ok(Self(text)),
            None => Err(InvalidKey::of_export()),
        }
    }
}

/// Place of exports: a bucket, a folder or memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exports(Place);

#[derive(Debug, Clone)]
enum Place {
    Bucket {
        objects: Arc<dyn ObjectStore>,
        parts: Arc<dyn Parts>,
        signer: Option<Arc<dyn Signer>>,
    },
    Folder(PathBuf),
}

/// A store of parts that can be shown.
trait Parts: MultipartStore + fmt::Debug {}

impl<T: MultipartStore + fmt::Debug> Parts for T {}

/// Way to a finished export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// An address that anybody can read for a while.
    Url(String),
    /// A file on this machine.
    File(PathBuf),
}

impl Exports {
    /// Exports in an S3 bucket, with the region, endpoint and credentials of `config`.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Open`] if the settings are unusable.
    pub fn s3(bucket: &str, config: &SdkConfig) -> Result<Self, ArchiveError> {
        let open = |source: object_store::Error| ArchiveError::Open {
            place: bucket.to_owned(),
            source: source.into(),
        };
        let store = Arc::new(s3::connect(bucket, config, s3::PERSON).map_err(open)?);
        Ok(Self(Place::Bucket {
            objects: Arc::<_>::clone(&store) as Arc<dyn ObjectStore>,
            parts: Arc::<_>::clone(&store) as Arc<dyn Parts>,
            signer: Some(store),
        }))
    }

    /// Exports in a folder, beside the archive.
    pub fn folder(directory: impl Into<PathBuf>) -> Self {
        Self(Place::Folder(directory.into()))
    }

    /// Exports that live as long as the process; for tests.
    pub fn memory() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    /// Exports in a store of parts; for tests.
    pub fn over<S: ObjectStore + MultipartStore + fmt::Debug>(store: Arc<S>) -> Self {
        Self(Place::Bucket {
            objects: Arc::<_>::clone(&store) as Arc<dyn ObjectStore>,
            parts: store,
            signer: None,
        })
    }

    /// Opens an export for writing, with what [`Upload::save`] saved last if its writer was interrupted.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the place does not answer.
    pub async fn open(&self, key: &ExportKey) -> Result<(Upload, Option<Saved>), ArchiveError> {
        let (objects, parts) = match &self.0 {
            Place::Folder(folder) => return Upload::file(&folder.join(key.as_str())),
            Place::Bucket { objects, parts, .. } => (objects, parts),
        };
        let path = Path::from(key.as_str());
        let progress = Path::from(format!("{key}.{PROGRESS}"));
        let found = match objects.get(&progress).await {
            Ok(found) => Some(found.bytes().await.map_err(failed("read", key.as_str()))?),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(failed("read", key.as_str())(error)),
        };
        let saved = found.as_deref().and_then(Progress::read);
        let (upload, part_ids, saved) = if let Some((begun, saved)) = saved {
            (begun.upload, begun.parts, Some(saved))
        } else {
            let begun = parts.create_multipart(&path).await;
            let upload = begun.map_err(failed("begin", key.as_str()))?;
            (upload, Vec::new(), None)
        };
        let upload = Upload(Writing::Bucket {
            objects: Arc::clone(objects),
            store: Arc::clone(parts),
            path,
            progress,
            upload,
            parts: part_ids,
        });
        Ok((upload, saved))
    }

    /// Returns a way to an export, of a bucket one that is valid for `valid`. `None` unless the export is
    /// finished.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the place does not answer.
    pub async fn link(
        &self,
        key: &ExportKey,
        valid: Duration,
    ) -> Result<Option<Link>, ArchiveError> {
        let (objects, signer) = match &self.0 {
            Place::Folder(folder) => {
                let file = folder.join(key.as_str());
                return Ok(file.is_file().then_some(Link::File(file)));
            }
            Place::Bucket {
                objects, signer, ..
            } => (objects, signer),
        };
        let path = Path::from(key.as_str());
        match objects.head(&path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed("read", key.as_str())(error)),
        }
        let Some(signer) = signer else {
            return Ok(None);
        };
        let url = signer.signed_url(http_get(), &path, valid).await;
        Ok(Some(Link::Url(
            url.map_err(failed("sign", key.as_str()))?.into(),
        )))
    }

    /// Returns the bytes of a finished export; for tests and small exports.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotFound`] when there is none, [`ArchiveError::Unavailable`] when the place does not
    /// answer.
    pub async fn read(&self, key: &ExportKey) -> Result<Bytes, ArchiveError> {
        match &self.0 {
            Place::Folder(folder) => fs::read(folder.join(key.as_str()))
                .map(Bytes::from)
                .map_err(io_failed("read", key.as_str())),
            Place::Bucket { objects, .. } => {
                let read = |error| ArchiveError::of_read("read", key.as_str(), error);
                let found = objects.get(&Path::from(key.as_str())).await;
                found.map_err(read)?.bytes().await.map_err(read)
            }
        }
    }

    /// Removes an export, finished or not, if it is there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the place does not answer.
    pub async fn delete(&self, key: &ExportKey) -> Result<(), ArchiveError> {
        match &self.0 {
            Place::Folder(folder) => {
                let file = folder.join(key.as_str());
                for path in [beside(&file, "part"), beside(&file, PROGRESS), file] {
                    absent_is_fine(fs::remove_file(path))
                        .map_err(io_failed("delete", key.as_str()))?;
                }
                Ok(())
            }
            Place::Bucket { objects, parts, .. } => {
                let path = Path::from(key.as_str());
                let progress = Path::from(format!("{key}.{PROGRESS}"));
                if let Ok(found) = objects.get(&progress).await
                    && let Ok(bytes) = found.bytes().await
                    && let Some((begun, _)) = Progress::read(&bytes)
                {
                    // One that is gone already has nothing to be aborted.
                    drop(parts.abort_multipart(&path, &begun.upload).await);
                }
                for path in [&progress, &path] {
                    match objects.delete(path).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(failed("delete", key.as_str())(error)),
                    }
                }
                Ok(())
            }
        }
    }
}

/// State that a writer goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// State of the writer, as it was given to [`Upload::save`].
    pub state: Vec<u8>,
    /// Bytes behind the last whole part.
    pub tail: Vec<u8>,
}

/// An export that is being written.
pub struct Upload(Writing);

enum Writing {
    Bucket {
        objects: Arc<dyn ObjectStore>,
        store: Arc<dyn Parts>,
        path: Path,
        progress: Path,
        upload: String,
        parts: Vec<String>,
    },
    File {
        file: File,
        path: PathBuf,
        /// Length of the whole parts. Unit: bytes.
        length: u64,
    },
    Pipe(Box<dyn Write + Send>),
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

impl Upload {
    /// An export to a file, which appears when it is whole.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the file cannot be written.
    pub fn file(path: &FilePath) -> Result<(Self, Option<Saved>), ArchiveError> {
        let name = path.display().to_string();
        let failed = || io_failed("write", &name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed())?;
        }
        let mut options = OpenOptions::new();
        let mut file = private(options.read(true).write(true).create(true).truncate(false))
            .open(beside(path, "part"))
            .map_err(failed())?;
        let mut saved = None;
        let mut length = 0;
        if let Ok(progress) = fs::read(beside(path, PROGRESS))
            && let Some((begun, found)) = Progress::read(&progress)
            && let Some(known) = begun.upload.parse().ok().filter(|&known: &u64| {
                file.metadata()
                    .is_ok_and(|metadata| metadata.len() >= known)
            })
        {
            length = known;
            saved = Some(found);
        }
        file.set_len(length).map_err(failed())?;
        file.seek(SeekFrom::Start(length)).map_err(failed())?;
        let path = path.to_owned();
        Ok((Self(Writing::File { file, path, length }), saved))
    }

    /// An export to somebody who reads it at once. It cannot be gone on with.
    pub fn pipe(writer: impl Write + Send + 'static) -> Self {
        Self(Writing::Pipe(Box::new(writer)))
    }

    /// Returns whether an interrupted writer can go on.
    pub fn can_go_on(&self) -> bool {
        !matches!(self.0, Writing::Pipe(_))
    }

    /// Forgets all parts so far, also saved ones.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the file cannot be written.
    pub fn begin_anew(&mut self) -> Result<(), ArchiveError> {
        match &mut self.0 {
            Writing::Bucket { parts, .. } => parts.clear(),
            Writing::File { file, path, length } => {
                let mut empty = || {
                    file.set_len(0)?;
                    file.rewind()
                };
                empty().map_err(io_failed("write", &path.display().to_string()))?;
                *length = 0;
            }
            Writing::Pipe(_) => {}
        }
        Ok(())
    }

    /// Writes the next part, of [`PART_BYTES`].
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the place does not take it, [`ArchiveError::UploadEnded`] when the parts so
    /// far are gone: the export has to be deleted and begun anew.
    pub async fn put_part(&mut self, bytes: Bytes) -> Result<(), ArchiveError> {
        match &mut self.0 {
            Writing::Bucket {
                store,
                path,
                upload,
                parts,
                ..
            } => {
                let payload = PutPayload::from_bytes(bytes);
                let part = store.put_part(path, upload, parts.len(), payload).await;
                parts.push(
                    part.map_err(part_failed("write", path.as_ref()))?
                        .content_id,
                );
            }
            Writing::File { file, path, length } => {
                let name = path.display().to_string();
                file.write_all(&bytes).map_err(io_failed("write", &name))?;
                *length += u64::try_from(bytes.len()).unwrap_or_default();
            }
            Writing::Pipe(writer) => {
                writer
                    .write_all(&bytes)
                    .map_err(io_failed("write", "the pipe"))?;
            }
        }
        Ok(())
    }

    /// Saves everything so far, so that another writer can go on: the writer's own state, and the bytes
    /// that are no whole part yet.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the place does not take it.
    pub async fn save(&mut self, state: &[u8], tail: &[u8]) -> Result<(), ArchiveError> {
        match &self.0 {
            Writing::Bucket {
                objects,
                path,
                progress,
                upload,
                parts,
                ..
            } => {
                let begun = Progress {
                    upload: upload.clone(),
                    parts: parts.clone(),
                };
                let payload = PutPayload::from_bytes(begun.write(state, tail).into());
                let put = objects.put(progress, payload).await;
                put.map(drop).map_err(failed("save", path.as_ref()))
            }
            Writing::File { file, path, length } => {
                let name = path.display().to_string();
                let begun = Progress {
                    upload: length.to_string(),
                    parts: Vec::new(),
                };
                let next = beside(path, "progress.new");
                let write = || {
                    file.sync_data()?;
                    let mut options = OpenOptions::new();
                    let mut new =
                        private(options.write(true).create(true).truncate(true)).open(&next)?;
                    new.write_all(&begun.write(state, tail))?;
                    new.sync_data()?;
                    fs::rename(&next, beside(path, PROGRESS))
                };
                write().map_err(io_failed("save", &name))
            }
            Writing::Pipe(_) => Ok(()),
        }
    }

    /// Writes the last part, which may have any length, and finishes the export.
    ///
    /// # Errors
    ///
    /// Those of [`put_part`](Self::put_part). What was saved is still there.
    pub async fn complete(mut self, last: Bytes) -> Result<(), ArchiveError> {
        self.put_part(last).await?;
        match self.0 {
            Writing::Bucket {
                objects,
                store,
                path,
                progress,
                upload,
                parts,
            } => {
                let parts = parts.into_iter().map(|content_id| PartId { content_id });
                let done = store
                    .complete_multipart(&path, &upload, parts.collect())
                    .await;
                done.map_err(part_failed("finish", path.as_ref()))?;
                match objects.delete(&progress).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(failed("finish", path.as_ref())(error)),
                }
            }
            Writing::File { file, path, .. } => {
                let name = path.display().to_string();
                let finish = || {
                    file.sync_all()?;
                    fs::rename(beside(&path, "part"), &path)?;
                    absent_is_fine(fs::remove_file(beside(&path, PROGRESS)))
                };
                finish().map_err(io_failed("finish", &name))
            }
            Writing::Pipe(mut writer) => writer.flush().map_err(io_failed("write", "the pipe")),
        }
    }
}

/// Parts of an export so far. Its text stands in one line before the writer's state and the tail.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// Id of the upload; of a file the length of its whole parts.
    upload: String,
    parts: Vec<String>,
}

impl Progress {
    fn write(&self, state: &[u8], tail: &[u8]) -> Vec<u8> {
        // Texts and lists of texts are always JSON.
        let own = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = Vec::with_capacity(own.len() + state.len() + tail.len() + 16);
        for block in [own.as_slice(), state] {
            let length = u64::try_from(block.len()).unwrap_or_default();
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(block);
        }
        bytes.extend_from_slice(tail);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<(Self, Saved)> {
        let (own, rest) = block(bytes)?;
        let (state, tail) = block(rest)?;
        let saved = Saved {
            state: state.to_vec(),
            tail: tail.to_vec(),
        };
        Some((serde_json::from_slice(own).ok()?, saved))
    }
}

/// Takes a block with its length in front off the bytes.
fn block(mut bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = [0; 8];
    bytes.read_exact(&mut length).ok()?;
    bytes.split_at_checked(usize::try_from(u64::from_le_bytes(length)).ok()?)
}

fn http_get() -> object_store::signer::Method {
    object_store::signer::Method::GET
}

/// The name of a file with one more ending.
fn beside(path: &FilePath, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// A file that only its owner may read: it holds all data of a person.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(
    operation: &'static str,
    key: &str,
) -> impl FnOnce(object_store::Error) -> ArchiveError + use<> {
    let key = key.to_owned();
    move |error| ArchiveError::of_write(operation, &key, error)
}

/// The error of a part: what is not there is the upload.
fn part_failed(
    operation: &'static str,
    key: &str,
) -> impl FnOnce(object_store::Error) -> ArchiveError + use<> {
    let key = key.to_owned();
    move |error| match error {
        object_store::Error::NotFound { .. } => ArchiveError::UploadEnded { key },
        error => ArchiveError::of_write(operation, &key, error),
    }
}

fn io_failed(operation: &'static str, key: &str) -> impl FnOnce(io::Error) -> ArchiveError + use<> {
    let key = key.to_owned();
    move |source| match source.kind() {
        ErrorKind::NotFound if operation == "read" => ArchiveError::NotFound { operation, key },
        _ => ArchiveError::Unavailable {
            operation,
            key,
            source: source.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ExportKey {
        ExportKey::new("2026-07-02T23:30:00-01:00".parse().unwrap(), "01J_x").unwrap()
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_nothing_else_is_one() {
        assert_eq!(key().as_str(), "exports/2026/07/03/01J_x.zip");
        assert_eq!(ExportKey::try_from(key().to_string()), Ok(key()));
        for text in [
            "",
            "exports/2026/07/03/.zip",
            "exports/2026/7/03/a.zip",
            "exports/2026/07/03/a/b.zip",
            "exports/2026/07/03/..zip",
            "archive/2026/07/03/a.zip",
            "exports/2026/07/03/a.zip.progress",
        ] {
            assert!(ExportKey::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn an_interrupted_writer_goes_on_and_what_was_not_saved_is_written_once_more() {
        let folder = tempfile::tempdir().unwrap();
        for exports in [Exports::memory(), Exports::folder(folder.path())] {
            let part = |byte: u8| Bytes::from(vec![byte; PART_BYTES]);
            let (mut upload, saved) = exports.open(&key()).await.unwrap();
            assert_eq!(saved, None);
            upload.put_part(part(1)).await.unwrap();
            upload.save(b"state", b"tail").await.unwrap();
            upload.put_part(part(9)).await.unwrap();
            drop(upload);
            assert!(exports.read(&key()).await.is_err(), "not whole yet");
            assert_eq!(
                exports.link(&key(), Duration::from_secs(1)).await.unwrap(),
                None
            );

            let (mut upload, saved) = exports.open(&key()).await.unwrap();
            let saved = saved.unwrap();
            assert_eq!(
                (saved.state.as_slice(), saved.tail.as_slice()),
                (&b"state"[..], &b"tail"[..])
            );
            upload.put_part(part(2)).await.unwrap();
            upload.complete(Bytes::from_static(b"end")).await.unwrap();
            let whole = exports.read(&key()).await.unwrap();
            let expected = [part(1), part(2), Bytes::from_static(b"end")].concat();
            assert!(whole == expected, "{} bytes", whole.len());

            let (_, saved) = exports.open(&key()).await.unwrap();
            assert_eq!(saved, None, "the progress goes with the end");
            exports.delete(&key()).await.unwrap();
            assert!(exports.read(&key()).await.is_err());
        }
    }
}
