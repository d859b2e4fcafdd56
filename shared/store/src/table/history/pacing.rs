//! Pacing buckets in the table: one rate for any number of workers, over restarts.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Stored, encode};
use crate::table::{
    Table, TableError,
    key::{Key, Paced},
    ledger::expire,
};

/// Time for which an unused bucket is kept: longer than any quota's period. Unit: seconds.
const KEPT_S: i64 = 7 * 86_400;

/// A bucket's item: its own attribute keeps its fields apart from the item's. `None`: never used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Bucket<S> {
    bucket: Option<S>,
}

/// State of a bucket as a worker last saw it, if it did: it need not be read again then.
#[derive(Debug)]
pub struct SeenBucket<S>(Option<Stored<Bucket<S>>>);

impl<S> Default for SeenBucket<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl Table {
    /// Takes from a bucket: `take` gets its state (`None`: never used, so full) and gives the next
    /// state and an answer. Only an answer whose state was written is returned, so what several
    /// workers take at once is never more than there is; but an answer that takes nothing may come from
    /// a state that was `seen` some time ago. `take` may be called several times.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. Nothing was taken then.
    pub async fn take_from_bucket<S, R>(
        &self,
        limit: &str,
        paced: &Paced,
        now_ms: i64,
        seen: &mut SeenBucket<S>,
        take: impl Fn(Option<S>) -> (S, R),
    ) -> Result<R, TableError>
    where
        S: Serialize + DeserializeOwned + Clone + Default + PartialEq,
    {
        let key = Key::pacing(limit, paced);
        let take = |known: Bucket<S>| {
            let (next, answer) = take(known.bucket);
            let bucket = Some(next);
            (Bucket { bucket }, answer)
        };
        let encode = |next: &Bucket<S>| {
            let mut item = encode(next);
            expire(&mut item, now_ms, KEPT_S);
            item
        };
        self.change_seen(&key, "bucket", &mut seen.0, take, encode)
            .await
    }
}
