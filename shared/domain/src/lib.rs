//! What Terrarium decides: natural keys, merge, plans, the life of connections.
//!
//! Pure: no async, no AWS, no clock, no randomness, no environment. `now` is an argument.
//!
//! Every state that is stored forms a *join*: [`Join::join`] of two states is the same in any order
//! and grouping, and joining a state with itself changes nothing. That one property is why webhooks
//! may arrive twice, late, out of order or after a crash and still end in the same table.

pub mod compose;
pub mod connection;
pub mod history;
mod json;
pub mod key;
pub mod locator;
pub mod message;
pub mod pacing;
pub mod plan;
pub mod reconcile;
pub mod record;
pub mod request;
pub mod streams;
pub mod summary;
pub mod version;

/// A state that can take in another one, in any order and any number of times.
///
/// Implementations are commutative, associative and idempotent; property tests hold them to it.
pub trait Join: Sized {
    /// The least state that knows everything either side knows.
    #[must_use]
    fn join(self, other: Self) -> Self;
}

/// Whether the same work can succeed later. Every error of an I/O crate knows its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// A dependency failed: bring the work back.
    Later,
    /// The answer will be the same next time.
    Never,
}
