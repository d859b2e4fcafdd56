//! Result of one step of a worker.

use std::time::Duration;

/// Result of one step: of work on a window, or of a check of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request was sent to Terra.
    Asked,
    /// The window or the backfill was changed, without a request.
    Changed,
    /// Nothing was changed: another worker has it, or it is not due.
    Unchanged,
    /// The account's limit is reached: the time until the next request.
    Paused(Duration),
}

impl Step {
    /// Result of a write that took effect or lost against another one.
    pub(crate) fn of_write(took_effect: bool) -> Self {
        if took_effect {
            Self::Changed
        } else {
            Self::Unchanged
        }
    }
}
