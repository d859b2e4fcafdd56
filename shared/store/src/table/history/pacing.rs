//! Pacing buckets in the table: one rate for any number of workers, over restarts.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Stored, decode, encode};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError, back_off,
    key::{Key, Paced},
    ledger::expire,
};

/// How long an unused bucket is kept: longer than any quota's period. Unit: seconds.
const KEPT_S: i64 = 7 * 86_400;

/// A bucket's item: its own attribute keeps its fields apart from the item's.
#[derive(Serialize, serde::Deserialize)]
struct Bucket<S> {
    bucket: S,
}

impl Table {
    /// Takes from a bucket: `take` gets its state (`None`: never used, so full) and gives the next
    /// state and an answer. Only an answer whose state was written is returned, so what several
    /// workers take at once is never more than there is. `take` may be called several times.
    ///
    /// # Errors
    ///
    /// [`TableError`]; nothing was taken then.
    pub async fn take_from_bucket<S, R>(
        &self,
        limit: &str,
        paced: &Paced,
        now_ms: i64,
        take: impl Fn(Option<S>) -> (S, R),
    ) -> Result<R, TableError>
    where
        S: Serialize + DeserializeOwned + Clone + PartialEq,
    {
        let key = Key::pacing(limit, paced);
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let item = self.get(&key).await?;
            let stored: Option<Stored<Bucket<S>>> =
                item.map(|item| decode(&key, item, "bucket")).transpose()?;
            let seen = stored.as_ref().map(|stored| stored.revision);
            let known = stored.map(|stored| stored.state.bucket);
            let (next, answer) = take(known.clone());
            // Nothing taken, nothing to write.
            if known.as_ref() == Some(&next) {
                return Ok(answer);
            }
            let mut item = encode(&json!({ "bucket": next }));
            expire(&mut item, now_ms, KEPT_S);
            if self.put_if(&key, item, seen).await? {
                return Ok(answer);
            }
        }
        Err(TableError::Contended {
            operation: "take from",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }
}
