//! Errors of reading what is stored.

use domain::Retry;
use store::{archive::ArchiveError, table::TableError};

/// A question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The table.
    #[error("reading the table")]
    Table(#[from] TableError),
    /// The archive.
    #[error("reading the archive")]
    Archive(#[from] ArchiveError),
}

impl InspectError {
    /// Returns whether the same question may be answered later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Table(error) => error.retry(),
            Self::Archive(error) => error.retry(),
        }
    }
}
