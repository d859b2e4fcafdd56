//! History in the table: backfills and their windows, asked days, outages, pacing buckets.
//!
//! # Limitations
//!
//! - A list of what is due comes from an index, which lags and may name what somebody has just
//!   taken: it is a hint, and only a lease is a claim.
//! - Workers' clocks may differ by at most
//!   [`CLOCK_SKEW_MS`](domain::history::window::CLOCK_SKEW_MS).
//! - When two connections become one, the asked days of the one that goes stay behind: its days are
//!   asked for once more at most.
//! - *Done* is recorded once; telling others of it can happen twice, see below.
//!
//! # Schema
//!
//! Keys are in [`key`](super::key). Backfills, windows and asked months are the states of
//! [`domain::history`] as attributes, with `revision`. An open window and an open backfill carry the
//! keys of the index `by_time` under `DUE#<shard>` and their time; a final one does not, so the index
//! holds only what is open. What the index projects is not needed: the keys alone name the item.
//!
//! # Steps
//!
//! *Planning*: (1) put the backfill with its plan, unless there is one; (2) put each window of the
//! plan **that is stored**, unless it is there; (3) mark the backfill as created. Repeating continues
//! where a crash stopped, and whoever plans a second time finishes the first plan.
//!
//! *A window*: read it, apply the event (pure), and put it on the condition that nobody wrote
//! meanwhile; else read again and apply anew. So of two workers that lease at once one is refused,
//! and a lease that ran out is taken over with the reason on the window. Asking: lease, say *asked*,
//! note the days as asked, **then** send. Answering: put the data where they are safe, note the days
//! as answered, **then** close the window: whoever dies on the way leaves an open window, and the
//! effects may happen twice.
//!
//! *A worker* reads some of what is due of a backfill at once. Where it meets another worker, or somebody
//! wrote before it could, it leaves the rest to them, and looks again in its next round.
//!
//! *A halved window* is written first, its halves after it; they follow from it, so
//! [`check_backfill`](super::Table::check_backfill) writes what a crash left out.
//!
//! *Done*: an open backfill is itself due from time to time, the more seldom the longer it takes. The
//! look at it reads all its windows; when all are final, it puts the counts on the backfill, on the
//! condition that nobody wrote meanwhile. Then the event is sent, then the backfill is marked as
//! announced and leaves the index. A crash in between sends the event again, under the same backfill id.
//!
//! *Claiming days*: read the month, claim what is free (pure), put it on the same condition. A day is
//! won by one of any number of claimers.
//!
//! *Forgetting*: a backfill of gaps, its windows and its entry in the connection's list expire; there
//! is one more every other day. Entries say when a backfill was done, so that whoever looks at a
//! connection reads the open ones only.
//!
//! # Guarantee
//!
//! No window is lost, held by two, or asked twice without a reason on it; planning twice plans once;
//! *done* is recorded once and only when every window is final. All of that with any number of
//! workers, each of which may die anywhere.
//!
//! # Source
//!
//! The same as of [`table`](super): optimistic locking by a version attribute; a sparse index, as AWS
//! describes it, for a work list without a scan.

mod asked;
mod backfills;
mod coverage;
mod days;
mod due;
mod fleet;
mod outages;
mod pacing;
mod searches;
mod sweep;
mod windows;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use self::{
    backfills::{Check, ListedBackfill, Planned},
    coverage::KnownDays,
    due::Due,
    pacing::SeenBucket,
    sweep::Listed,
    windows::{Answer, Applied, Held},
};
use super::{
    MAX_ATTEMPTS, Stored, Table, TableError,
    attribute::{Item, to_attribute, to_json_map},
    back_off,
    key::Key,
    revision,
};

/// A state as attributes.
fn encode(state: &impl Serialize) -> Item {
    match serde_json::to_value(state) {
        Ok(Value::Object(map)) => map
            .into_iter()
            .map(|(name, value)| (name, to_attribute(value)))
            .collect(),
        // A struct of plain fields always serialises to an object.
        _ => Item::new(),
    }
}

/// A state back from its attributes; `field` is named when it cannot be read.
fn decode<T: DeserializeOwned>(
    key: &Key,
    item: Item,
    field: &'static str,
) -> Result<Stored<T>, TableError> {
    let revision = revision(key, &item)?;
    let state = serde_json::from_value(Value::Object(to_json_map(item)));
    let state = state.map_err(|_| TableError::Corrupt {
        key: key.clone(),
        field,
    })?;
    Ok(Stored { state, revision })
}

/// States that begin as their default, and that many write at once.
impl Table {
    async fn state<T>(&self, key: &Key, field: &'static str) -> Result<T, TableError>
    where
        T: Default + DeserializeOwned,
    {
        let stored = self.stored_state(key, field).await?;
        Ok(stored.map(|stored| stored.state).unwrap_or_default())
    }

    /// Changes a state and answers; only an answer whose state was written is returned. `change` may
    /// be called several times.
    async fn change_state<T, R>(
        &self,
        key: &Key,
        field: &'static str,
        change: impl Fn(T) -> (T, R),
    ) -> Result<R, TableError>
    where
        T: Default + Clone + PartialEq + Serialize + DeserializeOwned,
    {
        self.change_seen(key, field, &mut None, change, encode)
            .await
    }

    /// The same, without reading a state that was `seen`; the write finds out whether it is still so.
    async fn change_seen<T, R>(
        &self,
        key: &Key,
        field: &'static str,
        seen: &mut Option<Stored<T>>,
        change: impl Fn(T) -> (T, R),
        encode: impl Fn(&T) -> Item,
    ) -> Result<R, TableError>
    where
        T: Default + Clone + PartialEq + DeserializeOwned,
    {
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let known = match seen.take() {
                Some(seen) => Some(seen),
                None => self.stored_state::<T>(key, field).await?,
            };
            let state = known.as_ref().map(|known| known.state.clone());
            let state = state.unwrap_or_default();
            let (next, answer) = change(state.clone());
            if next == state {
                *seen = known;
                return Ok(answer);
            }
            let revision = known.map(|known| known.revision);
            if let Some(revision) = self.write_if(key, encode(&next), revision).await? {
                let state = next;
                *seen = Some(Stored { state, revision });
                return Ok(answer);
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key: key.clone(),
            attempts: MAX_ATTEMPTS,
        })
    }

    async fn stored_state<T: DeserializeOwned>(
        &self,
        key: &Key,
        field: &'static str,
    ) -> Result<Option<Stored<T>>, TableError> {
        let item = self.get(key).await?;
        item.map(|item| decode(key, item, field)).transpose()
    }
}
