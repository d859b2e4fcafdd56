//! Failures of an export.

use inspect::InspectError;
use store::{Retry, archive::ArchiveError, table::TableError};

use crate::zip::CompressError;

/// An export that could not be written. What was saved of it is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Nothing is known of the person.
    #[error("there is nothing of this person")]
    Nothing,
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The archive, or the place of the export, did not answer.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The compressor failed.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

impl From<InspectError> for ExportError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Table(error) => Self::Table(error),
            InspectError::Archive(error) => Self::Archive(error),
        }
    }
}

impl ExportError {
    /// Returns whether the same export may succeed later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Nothing | Self::Compress(_) => Retry::Never,
            Self::Table(error) => error.retry(),
            Self::Archive(error) => error.retry(),
        }
    }
}
