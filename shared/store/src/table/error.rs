//! What can go wrong with the table.

use std::{error::Error, fmt::Display};

use super::key::Key;
use crate::Retry;

/// A failed operation on the table.
///
/// `Display` says what we were doing on which item; the cause is in `source` and is never repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// DynamoDB did not answer, throttled us, or refused.
    #[error("cannot {operation} {key}")]
    Unavailable {
        /// What was attempted, as a verb.
        operation: &'static str,
        /// The item, or a partition of items, that it was attempted on.
        key: String,
        /// What the SDK said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Others kept changing the item while we tried to.
    #[error("cannot {operation} {key}: it kept changing for {attempts} attempts")]
    Contended {
        /// What was attempted, as a verb.
        operation: &'static str,
        /// The item.
        key: Key,
        /// How often.
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
    /// A connection of more Terra user ids than one transaction can move.
    #[error("{key} has {members} Terra user ids, more than one transaction can move")]
    TooManyMembers {
        /// The connection.
        key: Key,
        /// How many.
        members: usize,
    },
}

impl TableError {
    /// Whether the queue should bring the work back.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } | Self::Contended { .. } => Retry::Later,
            Self::Corrupt { .. } | Self::TooManyMembers { .. } => Retry::Never,
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
