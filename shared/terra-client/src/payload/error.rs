//! Reasons why a payload could not be fetched.

use std::error::Error;

use domain::Retry;
use http::StatusCode;

/// This machine's TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the fetching of payloads")]
pub struct CannotSetUp {
    pub(super) source: reqwest::Error,
}

/// Failed fetch of a payload.
///
/// Neither the message nor the cause holds the URL, because it is a secret; they name its host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL breaks one of our rules, so that nothing was sent.
    #[error("payload at {host} may not be fetched: {why}")]
    NotAllowed {
        /// The URL's host.
        host: String,
        /// Rule that the address breaks.
        why: &'static str,
    },
    /// The host refuses the payload, mostly because the URL has expired (400 or 403).
    #[error("payload at {host} was refused with {status}")]
    Refused {
        /// The URL's host.
        host: String,
        /// Status of its answer.
        status: StatusCode,
    },
    /// The payload is larger than the settings allow.
    #[error("payload at {host} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The URL's host.
        host: String,
        /// Largest payload that is allowed.
        limit_bytes: usize,
    },
    /// The host did not answer at all, in time or to the end, or it failed itself.
    #[error("cannot fetch the payload at {host}")]
    Unavailable {
        /// The URL's host.
        host: String,
        /// Cause of the failure.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Status by which a host says that it failed itself.
#[derive(Debug, thiserror::Error)]
#[error("the host answered {0}")]
struct Failed(StatusCode);

impl FetchError {
    /// Returns whether the same fetch may succeed later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::Later,
            Self::NotAllowed { .. } | Self::Refused { .. } | Self::TooLarge { .. } => Retry::Never,
        }
    }

    pub(super) fn not_allowed(host: Option<&str>, why: &'static str) -> Self {
        Self::NotAllowed {
            host: host.unwrap_or("an unknown host").to_owned(),
            why,
        }
    }

    pub(super) fn unavailable(host: String, error: reqwest::Error) -> Self {
        Self::Unavailable {
            host,
            source: error.without_url().into(),
        }
    }

    pub(super) fn of_status(host: String, status: StatusCode) -> Self {
        let passing = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
        if passing || status.is_server_error() {
            Self::Unavailable {
                host,
                source: Failed(status).into(),
            }
        } else {
            Self::Refused { host, status }
        }
    }
}
