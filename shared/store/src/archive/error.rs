//! Errors of the archive.

use std::{error::Error, io};

use domain::{End, Retry, plan::ParkReason};

/// A failed operation on the archive.
///
/// `Display` says what we were doing; the cause is in [`source`](Error::source) and is never
/// repeated in the message. Keys and trace ids appear in it, what was archived never does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// There is no such object.
    #[error("cannot {operation} {key}: there is no such object")]
    NotFound {
        /// Attempted operation, as a verb: `read`, `list`.
        operation: &'static str,
        /// The object's key, or the locator inside of it.
        key: String,
    },
    /// The bytes were there and have been erased on purpose.
    #[error("{key} has been erased")]
    Erased {
        /// The locator that was read.
        key: String,
    },
    /// The bytes are not what the archive writes.
    #[error("{key} is corrupt: {what}")]
    Corrupt {
        /// The object's key, or the locator inside of it.
        key: String,
        /// Fault of the bytes.
        what: &'static str,
    },
    /// More bytes than the archive takes or gives at once.
    #[error("{key} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The locator that was read, or the trace id of the webhook that was appended.
        key: String,
        /// Largest size that is allowed. Unit: bytes.
        limit_bytes: u64,
    },
    /// The records are not where the caller says that they are in the body.
    #[error("webhook {webhook_id} has unusable record ranges: {what}")]
    InvalidRanges {
        /// The webhook that was appended.
        webhook_id: String,
        /// Fault of the ranges.
        what: &'static str,
    },
    /// Somebody else wrote the object at the same moment.
    #[error("cannot {operation} {key}: it was written by somebody else")]
    Conflict {
        /// Attempted operation, as a verb.
        operation: &'static str,
        /// The object's key.
        key: String,
    },
    /// The store did not answer, throttled us, or refused.
    #[error("cannot {operation} {key}")]
    Unavailable {
        /// Attempted operation, as a verb.
        operation: &'static str,
        /// The object's key, or the locator inside of it.
        key: String,
        /// Cause from the store.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An upload was ended by somebody else: by the bucket's lifecycle, for example. Its parts are gone.
    #[error("cannot write {key}: its upload was ended by somebody else")]
    UploadEnded {
        /// The object's key.
        key: String,
    },
    /// The compressor failed, which only a lack of memory explains.
    #[error("cannot compress webhook {webhook_id}")]
    Compress {
        /// The webhook that was appended.
        webhook_id: String,
        /// Cause from zstd.
        source: io::Error,
    },
    /// The archive cannot be opened with these settings.
    #[error("cannot open the archive in {place}")]
    Open {
        /// The folder or the bucket.
        place: String,
        /// Cause from the store.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ArchiveError {
    /// Returns what becomes of the webhook whose routing failed so.
    ///
    /// Work that the archive does not take is retried: the queue's message is the only copy of it.
    pub fn end(&self) -> End {
        match self {
            Self::InvalidRanges { .. } => End::Parked(ParkReason::UncuttableRecords),
            Self::Corrupt { .. } => End::Parked(ParkReason::CorruptArchive),
            Self::NotFound { .. }
            | Self::Erased { .. }
            | Self::TooLarge { .. }
            | Self::Conflict { .. }
            | Self::Unavailable { .. }
            | Self::UploadEnded { .. }
            | Self::Compress { .. }
            | Self::Open { .. } => End::Retry,
        }
    }

    /// Returns whether the queue should bring the work back.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. }
            | Self::Unavailable { .. }
            | Self::UploadEnded { .. }
            | Self::Compress { .. } => Retry::Later,
            Self::NotFound { .. }
            | Self::Erased { .. }
            | Self::Corrupt { .. }
            | Self::TooLarge { .. }
            | Self::InvalidRanges { .. }
            | Self::Open { .. } => Retry::Never,
        }
    }

    /// Reads the store's error on a read.
    pub(crate) fn of_read(
        operation: &'static str,
        key: impl Into<String>,
        source: object_store::Error,
    ) -> Self {
        let key = key.into();
        match source {
            object_store::Error::NotFound { .. } => Self::NotFound { operation, key },
            source => Self::Unavailable {
                operation,
                key,
                source: source.into(),
            },
        }
    }

    /// Reads the store's error on a write. If something was not found, it is the bucket: no fault of the
    /// written bytes, so the work comes back.
    pub(crate) fn of_write(
        operation: &'static str,
        key: impl Into<String>,
        source: object_store::Error,
    ) -> Self {
        let key = key.into();
        match source {
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. } => Self::Conflict { operation, key },
            source => Self::Unavailable {
                operation,
                key,
                source: source.into(),
            },
        }
    }
}
