//! Errors of delivering.

use runtime::queue::QueueError;
use store::{archive::ArchiveError, table::TableError};

use crate::vault::VaultError;

/// A job that could not be done for a reason of our own. A destination that fails is no error: what it
/// did not take is owed.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The table did not answer, or holds what it should not.
    #[error("cannot use the table")]
    Table(#[from] TableError),
    /// The archive did not answer, or lacks what the table points to.
    #[error("cannot read the archive")]
    Archive(#[from] ArchiveError),
    /// Jobs that follow could not be queued.
    #[error("cannot queue what follows")]
    Queue(#[from] QueueError),
    /// The secrets of a destination could not be read.
    #[error("cannot read the secrets of a destination")]
    Vault(#[from] VaultError),
    /// The invocation ends before the job is done.
    #[error("the time of the invocation is over")]
    TooSlow,
    /// A chain of jobs that follow one another has no end.
    #[error("a chain of jobs is longer than any can be")]
    Endless,
}
