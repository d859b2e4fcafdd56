//! Reasons why a call was not answered as asked.

use std::time::Duration;

use domain::{End, Retry};
use routing::RouteError;
use runtime::{
    problem::{Kind, Problem},
    queue::QueueError,
    secret_store::SecretStoreError,
};
use store::{archive::ArchiveError, table::TableError};
use terra_client::api::TerraError;

use crate::{
    token::SigningKeyError, upstream::UpstreamError, webhook_secrets::WebhookSecretsError,
};

/// A call that was not answered as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The caller is told what is wrong.
    #[error("refused: {}", .0.kind().name())]
    Refused(Box<Problem>),
    /// The table did not do it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The archive did not do it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An archived webhook could not be tried.
    #[error(transparent)]
    Replay(#[from] RouteError),
    /// A queue did not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The secrets of a destination could not be kept.
    #[error(transparent)]
    SecretStore(#[from] SecretStoreError),
    /// The secrets that sign webhooks could not be had.
    #[error(transparent)]
    WebhookSecrets(#[from] WebhookSecretsError),
    /// The key that signs tokens could not be had.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// Terra could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The call took longer than anybody waits.
    #[error("the call took too long")]
    TooSlow,
}

impl From<inspect::InspectError> for Failure {
    fn from(error: inspect::InspectError) -> Self {
        match error {
            inspect::InspectError::Table(error) => Self::Table(error),
            inspect::InspectError::Archive(error) => Self::Archive(error),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl Failure {
    /// Nothing is there under the path.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Problem::new(Kind::NotFound).detail(detail).into()
    }

    /// The answer to the caller. Never a cause from inside.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => (**problem).clone(),
            Self::Archive(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => {
                Problem::new(Kind::Gone).detail("the archive does not have it any more")
            }
            Self::Table(error) if error.retry() == Retry::Later => unavailable(),
            Self::Archive(error) if error.retry() == Retry::Later => unavailable(),
            Self::Replay(error) if error.end() == End::Retry => unavailable(),
            Self::Upstream(UpstreamError::NoCredentials) => Problem::new(Kind::Unavailable).detail(
                "this needs Terra, and its credentials are not set: put them in (TERRA_CREDENTIALS)",
            ),
            Self::Upstream(UpstreamError::Terra(TerraError::Credentials { .. })) => {
                Problem::new(Kind::Unavailable).detail("Terra refuses this server's credentials")
            }
            Self::Upstream(UpstreamError::Terra(error)) => Problem::new(Kind::Unavailable)
                .detail("Terra does not answer")
                .retry_after(error.wait().unwrap_or(Duration::from_secs(1))),
            Self::Upstream(_)
            | Self::Queue(_)
            | Self::TooSlow
            | Self::SigningKey(_)
            | Self::SecretStore(_)
            | Self::WebhookSecrets(_) => {
                unavailable()
            }
            Self::Table(_) | Self::Archive(_) | Self::Replay(_) => Problem::new(Kind::Internal),
        }
    }
}

fn unavailable() -> Problem {
    Problem::new(Kind::Unavailable).retry_after(Duration::from_secs(1))
}
