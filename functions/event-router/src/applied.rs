//! Result of routing one webhook.

use domain::plan::{ParkReason, Parked};
use store::table::ledger::{Outcome, RecordCounts};

/// Result of applying a plan to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Outcome, as the ledger keeps it.
    pub outcome: Outcome,
    /// Counts of the records that were created, updated and left unchanged.
    pub records: RecordCounts,
    /// Parts that could not be used, with the reasons.
    pub parked: Vec<Parked>,
    /// Whether the connection's state changed.
    pub connection_changed: bool,
}

impl Applied {
    /// An outcome of a webhook that changed nothing.
    pub(crate) fn nothing(outcome: Outcome) -> Self {
        Self {
            outcome,
            records: RecordCounts::default(),
            parked: Vec::new(),
            connection_changed: false,
        }
    }

    /// The outcome of a webhook that is parked as a whole.
    pub(crate) fn parked(reason: ParkReason) -> Self {
        Self {
            parked: vec![Parked {
                index: None,
                reason,
            }],
            ..Self::nothing(Outcome::Parked)
        }
    }
}
