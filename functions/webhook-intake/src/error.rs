//! Why a webhook was not taken, and what its sender is told.

use std::time::Duration;

use models::signature::SignatureError;
use runtime::{
    problem::{Kind, Problem},
    queue::QueueError,
};
use store::parcel::ParcelError;

/// A webhook that was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// Not signed by anybody we know.
    #[error("refused")]
    Refused(#[source] SignatureError),
    /// The bytes could not be packed or put into the inbox.
    #[error("cannot keep the body")]
    Parcel(#[source] ParcelError),
    /// It took longer than its sender waits.
    #[error("cannot make the webhook durable in time")]
    TooSlow,
    /// The queue did not take it.
    #[error("cannot queue the webhook")]
    Queue(#[source] QueueError),
}

impl IntakeError {
    /// Its name in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Parcel(_) | Self::TooSlow | Self::Queue(_) => "unavailable",
        }
    }

    /// Refused is 401; anything else is our fault and 503, so that Terra tries again.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Refused(error) => {
                let kind = match error {
                    SignatureError::Missing | SignatureError::EmptyBody => Kind::SignatureMissing,
                    SignatureError::Malformed | SignatureError::Mismatch => Kind::SignatureInvalid,
                    SignatureError::Stale { .. } => Kind::SignatureExpired,
                };
                Problem::new(kind).detail(error.to_string())
            }
            Self::Parcel(_) | Self::TooSlow | Self::Queue(_) => {
                Problem::new(Kind::Unavailable).retry_after(Duration::from_secs(30))
            }
        }
    }
}
