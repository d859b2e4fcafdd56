//! Errors of the table.

use std::{error::Error, fmt::Display};

use domain::{End, plan::ParkReason};

use super::key::Key;
use crate::Retry;

/// A failed operation on the table.
///
/// `Display` names the operation and the item. The cause is in `source` and is never repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// DynamoDB did not answer, throttled us, or refused.
    #[error("cannot {operation} {key}")]
    Unavailable {
        /// Attempted operation, as a verb.
        operation: &'static str,
        /// The item, or a partition of items, that it was attempted on.
        key: String,
        /// Cause from the SDK.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Other writers kept changing the item.
    #[error("cannot {operation} {key}: it kept changing for {attempts} attempts")]
    Contended {
        /// Attempted operation, as a verb.
        operation: &'static str,
        /// The item.
        key: Key,
        /// Number of attempts.
        attempts: u32,
    },
    /// An item lacks something that every item of its kind has.
    #[error("{key} has no usable `{field}`")]
    Corrupt {
        /// The item.
        key: Key,
        /// The attribute.
        field: &'static str,
    },
    /// A connection had more Terra user ids than an item takes.
    #[error("{key} had {members} Terra user ids, more than an item takes")]
    TooManyMembers {
        /// The connection.
        key: Key,
        /// Number of members.
        members: usize,
    },
}

impl TableError {
    /// Returns what becomes of the webhook whose routing failed so.
    pub fn end(&self) -> End {
        match self {
            Self::Unavailable { .. } | Self::Contended { .. } => End::Retry,
            Self::Corrupt { .. } => End::Parked(ParkReason::CorruptItem),
            Self::TooManyMembers { .. } => End::Parked(ParkReason::TooManyIds),
        }
    }

    /// Returns whether the same work can succeed later.
    pub fn retry(&self) -> Retry {
        match self.end() {
            End::Retry => Retry::Later,
            End::Parked(_) | End::Refused => Retry::Never,
        }
    }

    pub(crate) fn unavailable<E>(
        operation: &'static str,
        key: impl Display,
    ) -> impl FnOnce(E) -> Self
    where
        E: Error + Send + Sync + 'static,
    {
        let key = format!("{key}");
        move |error| Self::Unavailable {
            operation,
            key,
            source: Box::new(error),
        }
    }
}
