//! One request's worth of history, as a state machine.
//!
//! ```text
//! planned ─▶ leased ─▶ asked ─▶ receiving ─▶ done | empty
//!    ▲         │         │          │
//!    └─ reason ┴─────────┴──────────┴──────▶ failed | halved      any open state ─▶ skipped
//! ```
//!
//! - A window is *asked* before its request is sent: a worker that dies with the request under way
//!   leaves a window that says so.
//! - Every way back to *planned* leaves a [`Setback`] with its reason, so a window was never asked
//!   more often than it has reasons for, plus one.
//! - `done`, `empty`, `failed`, `skipped` and `halved` are final. A halved window lives on in its
//!   [`halves`](Window::halves).

mod event;
pub mod retry;

use std::{fmt, str::FromStr};

use models::{data::DataType, ids::hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::event::{Event, Refused};
use self::retry::Reason;
use super::{cut, day::Span};
use crate::connection::ConnectionId;

/// Largest difference of two workers' clocks. A lease is given up by its holder this long before anybody
/// else may take it over. Unit: milliseconds.
pub const CLOCK_SKEW_MS: i64 = 10_000;
/// Unless the answer was too large, the halves wait for so long: where nobody answers at all, a month would
/// be cut into days within seconds. Unit: milliseconds.
const HALVED_MS: i64 = 300_000;

/// The id of a backfill: 32 hexadecimal digits. Says nothing about the person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackfillId(String);

/// The text is not a backfill id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a backfill id is 32 hexadecimal digits")]
pub struct InvalidBackfillId;

impl BackfillId {
    /// Returns the id of the first backfill of a connection: there is only one.
    pub fn first(connection: &ConnectionId) -> Self {
        Self::of(connection, "first")
    }

    /// Returns the id of another backfill of a connection; the same `name` gives the same id.
    pub fn of(connection: &ConnectionId, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"terrarium backfill\0");
        hash.update(connection.as_str());
        hash.update([0]);
        hash.update(name);
        let mut text = hex(&hash.finalize());
        text.truncate(32);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackfillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackfillId {
    type Err = InvalidBackfillId;

    fn from_str(text: &str) -> Result<Self, InvalidBackfillId> {
        let sound = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or(InvalidBackfillId)
    }
}

impl TryFrom<String> for BackfillId {
    type Error = InvalidBackfillId;

    fn try_from(text: String) -> Result<Self, InvalidBackfillId> {
        text.parse()
    }
}

impl From<BackfillId> for String {
    fn from(id: BackfillId) -> Self {
        id.0
    }
}

/// Name of a window: unique within its connection's backfill.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowId {
    /// The backfill.
    pub backfill: BackfillId,
    /// The type of its records.
    pub data_type: DataType,
    /// Its days.
    pub span: Span,
}

/// A worker: one invocation of one Lambda. Two invocations never share a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

/// State of a window. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// To be asked, not before `due_ms`.
    Planned {
        /// Earliest time of the request.
        due_ms: i64,
    },
    /// One worker has it, and nobody else until then.
    Leased {
        /// Worker that has it.
        by: WorkerId,
        /// End of the lease.
        until_ms: i64,
    },
    /// The request was sent, or is about to be.
    Asked {
        /// Worker that asked.
        by: WorkerId,
        /// Time of the request.
        at_ms: i64,
        /// Silence until then counts as no answer.
        deadline_ms: i64,
        /// Terra's reference, when it accepted the request for later.
        reference: Option<String>,
    },
    /// The answer comes in pieces, as webhooks.
    Receiving {
        /// Time of the request.
        at_ms: i64,
        /// Silence until then counts as a lost piece.
        deadline_ms: i64,
        /// Terra's reference.
        reference: String,
        /// Distinct pieces that came.
        received: u64,
        /// Number of pieces that are to come, when it is known.
        expected: Option<u64>,
    },
    /// Answered, with records.
    Done {
        /// Time of the answer.
        at_ms: i64,
        /// Number of records.
        records: u64,
    },
    /// Answered, without records.
    Empty {
        /// Time of the answer.
        at_ms: i64,
    },
    /// Given up.
    Failed {
        /// Time at which it was given up.
        at_ms: i64,
        /// Reason of the last failure.
        reason: Reason,
    },
    /// Not to be asked any more.
    Skipped {
        /// Time at which it was skipped.
        at_ms: i64,
        /// Reason for skipping it.
        reason: Skip,
    },
    /// Too large for one answer: its halves took its place.
    Halved {
        /// Time at which it was halved.
        at_ms: i64,
    },
}

/// Reason why a window is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Newer windows were empty for so long that older ones will be.
    NothingFurtherBack,
    /// The backfill was cancelled.
    Cancelled,
    /// The connection ended.
    ConnectionEnded,
    /// The connection has been failing for weeks.
    ConnectionFailing,
    /// The provider, or this connection, has no such type.
    NotSupported,
}

/// One return to *planned*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// Time of the return. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// Number of requests by then.
    pub asked: u32,
    /// Reason of the return.
    pub reason: Reason,
}

/// A window: what it is of, where it stands, and all that went wrong on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    id: WindowId,
    connection: ConnectionId,
    /// Place in its backfill's order, newest days first.
    rank: u32,
    /// True if the request takes a day more on either side.
    overlap: bool,
    #[serde(flatten)]
    state: State,
    asked: u32,
    setbacks: Vec<Setback>,
}

impl Window {
    /// A window that is to be asked from `due_ms` on.
    pub fn new(id: WindowId, connection: ConnectionId, rank: u32, due_ms: i64) -> Self {
        Self {
            id,
            connection,
            rank,
            overlap: true,
            state: State::Planned { due_ms },
            asked: 0,
            setbacks: Vec::new(),
        }
    }

    /// Returns the window's name.
    pub fn id(&self) -> &WindowId {
        &self.id
    }

    /// Returns the connection that the window belongs to.
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// Its place in the order of its backfill: 0 is asked first.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Its own days.
    pub fn span(&self) -> Span {
        self.id.span
    }

    /// The days to ask Terra for: `from` is `start_date`, `until` is `end_date`, exclusive.
    pub fn request(&self) -> Span {
        if self.overlap {
            cut::with_overlap(self.id.span)
        } else {
            self.id.span
        }
    }

    /// Returns the window's state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the number of requests so far.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// Returns the reasons why the window was not done at once, oldest first.
    pub fn setbacks(&self) -> &[Setback] {
        &self.setbacks
    }

    /// Returns how often Terra took the request and the promised webhooks did not come.
    pub fn silences(&self) -> usize {
        let silent =
            |setback: &&Setback| matches!(setback.reason, Reason::NoAnswer | Reason::Incomplete);
        self.setbacks.iter().filter(silent).count()
    }

    /// Returns the time at which the window next needs a worker: to be asked, to be taken over, or
    /// because of silence. `None`: the window is final. Unit: Unix milliseconds.
    pub fn due_ms(&self) -> Option<i64> {
        match &self.state {
            State::Planned { due_ms } => Some(*due_ms),
            State::Leased { until_ms, .. } => Some(until_ms.saturating_add(CLOCK_SKEW_MS)),
            State::Asked { deadline_ms, .. } | State::Receiving { deadline_ms, .. } => {
                Some(*deadline_ms)
            }
            State::Done { .. }
            | State::Empty { .. }
            | State::Failed { .. }
            | State::Skipped { .. }
            | State::Halved { .. } => None,
        }
    }

    /// Returns whether the window needs a worker now; see [`due_ms`](Self::due_ms).
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.due_ms().is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Returns whether nothing more will happen to the window.
    pub fn is_final(&self) -> bool {
        self.due_ms().is_none()
    }

    /// Terra's reference of the request under way.
    pub fn reference(&self) -> Option<&str> {
        match &self.state {
            State::Asked { reference, .. } => reference.as_deref(),
            State::Receiving { reference, .. } => Some(reference),
            _ => None,
        }
    }

    /// Returns the two windows in the place of a halved one, newer one first; always the same.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let State::Halved { at_ms } = self.state else {
            return None;
        };
        let [older, newer] = self.id.span.halves()?;
        let last = self.setbacks.last();
        let waits = last.is_some_and(|setback| setback.reason != Reason::TooLarge);
        let pause_ms = if waits { HALVED_MS } else { 0 };
        let half = |span| Self {
            id: WindowId {
                span,
                ..self.id.clone()
            },
            state: State::Planned {
                due_ms: at_ms.saturating_add(pause_ms),
            },
            asked: 0,
            // Why its days are asked for again.
            setbacks: last.cloned().into_iter().collect(),
            ..self.clone()
        };
        Some([half(newer), half(older)])
    }
}

#[cfg(test)]
mod tests;
