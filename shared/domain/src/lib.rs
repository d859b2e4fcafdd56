#![doc = include_str!("../README.md")]

pub mod access;
pub mod compose;
pub mod connection;
pub mod console;
pub mod days;
pub mod delivery;
pub mod export;
pub mod extent;
pub mod history;
mod json;
pub mod key;
pub mod locator;
pub mod message;
pub mod owner;
pub mod pacing;
pub mod path_id;
pub mod plan;
pub mod reconcile;
pub mod record;
pub mod request;
pub mod series;
pub mod session;
pub mod source;
pub mod stand_in;
pub mod streams;
pub mod summary;
#[cfg(test)]
mod terra_schemas;
pub mod version;
pub mod word;

/// A state that can take in another one, in any order and any number of times.
///
/// Implementations are commutative, associative and idempotent; property tests hold them to it.
pub trait Join: Sized {
    /// The least state that knows everything either side knows.
    #[must_use]
    fn join(self, other: Self) -> Self;
}

/// End of work that failed. Every error decides its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The caller is told that the request is wrong, and nothing is kept.
    Refused,
    /// The work is archived, counted, listed and acknowledged: the same work would fail again until
    /// somebody mends the cause and replays it.
    Parked(plan::ParkReason),
    /// The message comes back, because the same work can succeed later, or because there is no other
    /// copy of it.
    Retry,
}

/// Chance that the same work succeeds later. Every error of an I/O crate knows its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// A dependency failed: bring the work back.
    Later,
    /// The answer will be the same next time.
    Never,
}
