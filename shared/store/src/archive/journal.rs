//! The journal of erasures, outside the table: what a restore of the table must not bring back.
//!
//! | object | content |
//! |---|---|
//! | `erasures/key` | the key of keyed hashes |
//! | `erasures/journal/<id>.json` | an erasure that has begun |
//! | `erasures/receipts/<id>.json` | the receipt of one that is done |

use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use serde::{Serialize, de::DeserializeOwned};

use super::{Archive, ArchiveError, frame::Fault};

const JOURNAL: &str = "erasures/journal";
const RECEIPTS: &str = "erasures/receipts";

impl Archive {
    /// Notes an erasure that begins. The same id is overwritten.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not take it.
    pub async fn note_erasure<T: Serialize>(
        &self,
        id: &str,
        entry: &T,
    ) -> Result<(), ArchiveError> {
        self.put_json(JOURNAL, id, entry).await
    }

    /// Keeps a receipt beside the one in the table. The same id is overwritten.
    ///
    /// # Errors
    ///
    /// Those of [`note_erasure`](Self::note_erasure).
    pub async fn keep_receipt<T: Serialize>(
        &self,
        id: &str,
        receipt: &T,
    ) -> Result<(), ArchiveError> {
        self.put_json(RECEIPTS, id, receipt).await
    }

    /// Reads all entries of the journal, oldest first.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer, [`ArchiveError::Corrupt`] when an entry cannot be
    /// read.
    pub async fn erasures<T: DeserializeOwned>(&self) -> Result<Vec<T>, ArchiveError> {
        let mut entries = Vec::new();
        for (path, _) in self.listed(JOURNAL).await? {
            let (bytes, _) = self.read_whole("read", path.as_ref(), &path).await?;
            let entry = serde_json::from_slice(&bytes).map_err(|_| {
                Fault::Corrupt("it is no entry of the journal").about(path.as_ref())
            })?;
            entries.push(entry);
        }
        Ok(entries)
    }

    async fn put_json<T: Serialize>(
        &self,
        folder: &str,
        id: &str,
        value: &T,
    ) -> Result<(), ArchiveError> {
        let path = Path::from(format!("{folder}/{id}.json"));
        let json = serde_json::to_vec_pretty(value)
            .map_err(|_| Fault::Corrupt("it cannot be written as JSON").about(path.as_ref()))?;
        let put = self.store.put(&path, PutPayload::from(json)).await;
        put.map(drop)
            .map_err(|error| ArchiveError::of_write("write", path.as_ref(), error))
    }
}
