//! Errors of routing, and the end that each of them leads to.

use domain::End;
use runtime::queue::QueueError;
use store::{archive::ArchiveError, parcel::ParcelError, table::TableError};

/// A message that could not be routed. [`RouteError::end`] says what becomes of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RouteError {
    /// The body could not be had.
    #[error("cannot open the webhook's parcel")]
    Parcel(#[source] std::sync::Arc<ParcelError>),
    /// The table did not answer, or holds what it should not.
    #[error("cannot use the table")]
    Table(#[source] std::sync::Arc<TableError>),
    /// The archive did not take it.
    #[error("cannot archive the webhook")]
    Archive(#[source] std::sync::Arc<ArchiveError>),
    /// The payload of a ping could not be had now.
    #[error("cannot fetch the ping's payload")]
    Payload(#[source] std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// History-fetch or the destinations could not be told.
    #[error("cannot queue what follows from the webhook")]
    Queue(#[source] std::sync::Arc<QueueError>),
    /// An archived webhook without an id.
    #[error("the webhook has no usable id")]
    Unidentified,
    /// The invocation ends before the webhook can be routed.
    #[error("the time of the invocation is over")]
    TooSlow,
    /// Routing it panicked.
    #[error("routing panicked")]
    Panicked,
}

impl RouteError {
    /// Returns the end that the error leads to.
    ///
    /// A webhook that is parked is archived and stands in the ledger with the reason, and an alarm says
    /// so. A message that is retried comes back, and ends in the dead-letter queue, with an
    /// alarm. Nothing is refused here: intake has answered already.
    pub fn end(&self) -> End {
        match self {
            Self::Table(error) => error.end(),
            Self::Archive(error) => error.end(),
            // There are no bytes to archive: the message is the only copy, and the queue keeps it.
            Self::Parcel(_)
            | Self::Payload(_)
            | Self::Queue(_)
            | Self::Unidentified
            | Self::TooSlow
            | Self::Panicked => End::Retry,
        }
    }
}

impl From<TableError> for RouteError {
    fn from(error: TableError) -> Self {
        Self::Table(error.into())
    }
}

impl From<ArchiveError> for RouteError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error.into())
    }
}

impl From<ParcelError> for RouteError {
    fn from(error: ParcelError) -> Self {
        Self::Parcel(error.into())
    }
}

impl From<QueueError> for RouteError {
    fn from(error: QueueError) -> Self {
        Self::Queue(error.into())
    }
}
