//! Result of routing one webhook.

use domain::{
    End,
    delivery::Changed,
    owner::RecordOwner,
    plan::{ParkReason, Parked},
};
use runtime::telemetry::Chain;
use store::table::{
    connections::StoredConnection,
    ledger::{Outcome, RecordCounts},
};
use tracing::error;

use crate::error::RouteError;

/// Result of applying a plan to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Outcome, as the ledger keeps it.
    pub outcome: Outcome,
    /// Counts of the records that were created, updated and left unchanged.
    pub records: RecordCounts,
    /// Parts that could not be used, with the reasons.
    pub parked: Vec<Parked>,
    /// True if the connection's state changed.
    pub connection_changed: bool,
    /// Changes that destinations are to be told of.
    pub told: Told,
}

/// Effects of a webhook that destinations are to be told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Owner of the records; `None` when there is no record.
    pub records_of: Option<RecordOwner>,
    /// Connection that the webhook belongs to, as it is now.
    pub connection: Option<Box<StoredConnection>>,
    /// True if the webhook changed the connection.
    pub connection_changed: bool,
    /// Records that have a part of the webhook.
    pub changes: Vec<Changed>,
}

impl Told {
    /// Owner that the webhook is about: that of its records, else the connection, else nobody's person.
    pub fn owner(&self) -> RecordOwner {
        let connection = self.connection.as_ref();
        let connection = connection.map(|it| RecordOwner::Connection(it.id.clone()));
        let owner = self.records_of.clone().or(connection);
        owner.unwrap_or(RecordOwner::Person(None))
    }
}

impl Applied {
    /// An outcome of a webhook that changed nothing.
    pub fn nothing(outcome: Outcome) -> Self {
        Self {
            outcome,
            records: RecordCounts::default(),
            parked: Vec::new(),
            connection_changed: false,
            told: Told::default(),
        }
    }

    /// Decides by the error itself whether its webhook is parked or comes back.
    ///
    /// # Errors
    ///
    /// The error itself, where the webhook comes back.
    pub fn parked_by(error: RouteError) -> Result<Self, RouteError> {
        match error.end() {
            End::Parked(reason) => {
                error!(error = %Chain(&error), "webhook parked: somebody has to look");
                Ok(Self::parked(reason))
            }
            End::Refused | End::Retry => Err(error),
        }
    }

    /// The outcome of a webhook that is parked as a whole.
    pub fn parked(reason: ParkReason) -> Self {
        Self {
            parked: vec![Parked {
                index: None,
                reason,
            }],
            ..Self::nothing(Outcome::Parked)
        }
    }
}
