//! Writing files.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Files, faults::fault};
use crate::{
    bucket::{Condition, Doing, Head, Object, Objects, Page, Put},
    kind::{Fault, Unreachable},
};

/// Folder of what is ours and no content.
const OURS: &str = ".terrarium";
/// Locks that the files are divided among: as a disk syncs several files in the time of one, writers of different
/// files do not wait for each other.
const LOCKS: u8 = 64;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    revision: u64,
    record: String,
    /// Counts the writes of this file.
    stamp: u64,
}

impl Files {
    /// Does work on the file system aside.
    async fn aside<T: Send + 'static>(
        &self,
        doing: Doing,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let root = self.root.clone();
        let done = tokio::task::spawn_blocking(move || work(&root))
            .await
            .map_err(|_| Fault::unreachable(Unreachable::Server))?;
        done.map_err(|error| fault(&error, self.right(doing)))
    }

    /// Does work on one file, alone among all who write it.
    async fn alone<T: Send + 'static>(
        &self,
        doing: Doing,
        key: &str,
        work: impl FnOnce(Place<'_>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let key = key.to_owned();
        self.aside(doing, move |root| {
            let place = Place { root, key: &key };
            fs::create_dir_all(root.join(OURS))?;
            let lock = File::create(place.ours("lock"))?;
            lock.lock()?;
            work(place)
        })
        .await
    }
}

/// Place of one file.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    root: &'a Path,
    key: &'a str,
}

impl Place<'_> {
    fn content(self) -> PathBuf {
        self.root.join(self.key)
    }

    fn metadata(self) -> PathBuf {
        let name = format!("{}.json", self.key);
        self.root.join(OURS).join("metadata").join(name)
    }

    /// Path of a file that only the holder of the lock uses, and of the lock itself.
    fn ours(self, name: &str) -> PathBuf {
        let hash = Sha256::digest(self.key);
        let number = hash.first().map_or(0, |byte| byte % LOCKS);
        self.root.join(OURS).join(format!("{name}-{number}"))
    }

    fn read_metadata(self) -> io::Result<Option<Metadata>> {
        match fs::read(self.metadata()) {
            // Half a file cannot be: it is written aside. One that somebody altered counts as none.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a whole file or none.
    fn write(self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let aside = self.ours("aside");
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(aside, path)
    }
}

#[async_trait]
impl Objects for Files {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn right(&self, doing: Doing) -> String {
        let right = match doing {
            Doing::Head | Doing::List => "reading",
            Doing::Put | Doing::Delete => "writing",
        };
        format!("{right} of {}", self.place())
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Fault> {
        self.alone(Doing::Head, key, |place| {
            if !place.content().try_exists()? {
                return Ok(None);
            }
            let metadata = place.read_metadata()?;
            Ok(Some(Head {
                stamp: metadata
                    .as_ref()
                    .map_or(0, |metadata| metadata.stamp)
                    .to_string(),
                revision: metadata.as_ref().map(|metadata| metadata.revision),
                record: metadata.map(|metadata| metadata.record),
            }))
        })
        .await
    }

    async fn put(
        &self,
        key: &str,
        object: Object<'_>,
        condition: Condition<'_>,
    ) -> Result<Put, Fault> {
        let (bytes, revision, record) = (object.bytes, object.revision, object.record.to_owned());
        let expected = match condition {
            Condition::Any => None,
            Condition::Missing => Some(None),
            Condition::Unchanged(stamp) => Some(Some(stamp.to_owned())),
        };
        self.alone(Doing::Put, key, move |place| {
            let there = place.content().try_exists()?;
            let stamp = place.read_metadata()?.map_or(0, |metadata| metadata.stamp);
            let holds = match expected {
                None => true,
                Some(None) => !there,
                Some(Some(expected)) => there && expected == stamp.to_string(),
            };
            if !holds {
                return Ok(Put::Lost);
            }
            place.write(&place.content(), &bytes)?;
            let metadata = Metadata {
                revision,
                record,
                stamp: stamp.wrapping_add(1),
            };
            place.write(&place.metadata(), &serde_json::to_vec(&metadata)?)?;
            Ok(Put::Done)
        })
        .await
    }

    async fn delete(&self, key: &str, stamp: Option<&str>) -> Result<bool, Fault> {
        let expected = stamp.map(str::to_owned);
        self.alone(Doing::Delete, key, move |place| {
            let stamp = place.read_metadata()?.map_or(0, |metadata| metadata.stamp);
            if expected.is_some_and(|expected| expected != stamp.to_string()) {
                return Ok(false);
            }
            for path in [place.content(), place.metadata()] {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(true)
        })
        .await
    }

    async fn page(&self, prefix: &str, _after: Option<&str>) -> Result<Page<String>, Fault> {
        let prefix = prefix.to_owned();
        self.aside(Doing::List, move |root| {
            let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut keys = Vec::new();
            let mut folders = vec![root.join(folder)];
            while let Some(folder) = folders.pop() {
                let entries = match fs::read_dir(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    entries => entries?,
                };
                for entry in entries {
                    let entry = entry?;
                    let path = entry.path();
                    if entry.file_type()?.is_dir() {
                        if entry.file_name() != OURS {
                            folders.push(path);
                        }
                    } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                        keys.push(key.to_owned());
                    }
                }
            }
            keys.retain(|key| key.starts_with(&prefix));
            Ok(Page {
                items: keys,
                next: None,
            })
        })
        .await
    }
}
