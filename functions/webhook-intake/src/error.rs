//! Reasons why a webhook was not taken, and the answers to its sender.

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
    /// The path does not end with the token of this deployment.
    #[error("the path is not that of the webhooks")]
    WrongPath,
    /// The bytes could not be packed or put into the inbox.
    #[error("cannot keep the body")]
    Parcel(#[source] ParcelError),
    /// The work took longer than the sender waits.
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
            Self::Refused(_) | Self::WrongPath => "refused",
            Self::Parcel(_) | Self::TooSlow | Self::Queue(_) => "unavailable",
        }
    }

    /// Cause of a refusal, which is the sender's fault; `None` for a fault of ours.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Refused(SignatureError::Missing) => Some("missing"),
            Self::Refused(SignatureError::EmptyBody) => Some("empty_body"),
            Self::Refused(SignatureError::Malformed) => Some("malformed"),
            Self::Refused(SignatureError::Mismatch) => Some("mismatch"),
            Self::Refused(SignatureError::Stale { .. }) => Some("stale"),
            Self::WrongPath => Some("wrong_path"),
            Self::Parcel(_) | Self::TooSlow | Self::Queue(_) => None,
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
            Self::WrongPath => Problem::new(Kind::NotFound),
            Self::Parcel(_) | Self::TooSlow | Self::Queue(_) => {
                Problem::new(Kind::Unavailable).retry_after(Duration::from_secs(30))
            }
        }
    }
}
