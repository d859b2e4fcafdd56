//! Errors of jobs.

use routing::RouteError;
use runtime::queue::QueueError;
use store::{archive::ArchiveError, table::TableError};

/// A job that could not go on. It comes back and goes on from where it was.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The table did not answer, or holds what it should not.
    #[error("cannot use the table")]
    Table(#[from] TableError),
    /// The archive did not answer, or holds what it should not.
    #[error("cannot use the archive")]
    Archive(#[from] ArchiveError),
    /// An archived webhook could not be applied.
    #[error("cannot replay")]
    Replay(#[from] RouteError),
    /// The next message could not be queued.
    #[error("cannot queue what follows")]
    Queue(#[from] QueueError),
    /// The export could not be written.
    #[cfg(feature = "export")]
    #[error("cannot write the export")]
    Export(#[from] export::ExportError),
    /// The item's own part for its kind cannot be read.
    #[error("the job's progress cannot be read")]
    Unreadable,
    /// The invocation ends before a part of the job is done.
    #[error("the time of the invocation is over")]
    TooSlow,
    /// A chain of messages has no end.
    #[error("a chain of messages is longer than any can be")]
    Endless,
}
