//! Reasons why a job goes back to its queue.

use domain::Retry;
use runtime::queue::QueueError;
use store::{parcel::ParcelError, table::TableError};
use terra_client::api::TerraError;

/// A job that could not be done now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The table did not answer, or holds what it should not.
    #[error("cannot use the table")]
    Table(#[from] TableError),
    /// The fetched data could not be made durable.
    #[error("cannot pack what was fetched")]
    Parcel(#[from] ParcelError),
    /// A queue did not take a message.
    #[error("cannot queue a message")]
    Queue(#[from] QueueError),
    /// Terra did not do what it was asked.
    #[error("Terra did not answer as it should")]
    Terra(#[from] TerraError),
    /// Terra refuses our credentials: nothing works until a person has put them right.
    #[error("Terra refuses the credentials: check the dev id and the API key")]
    Credentials,
    /// Nobody has put our credentials in yet.
    #[error(
        "Terra's credentials are not put in yet: put the dev id and the API key into the secret"
    )]
    NoCredentials,
    /// The invocation ends before the job is done.
    #[error("the time of the invocation is over")]
    TooSlow,
    /// A chain of jobs does not end.
    #[error("a chain of jobs has more than {} links", domain::message::MAX_STEPS)]
    Endless,
    /// Some of many could not be done; the log says which.
    #[error("{failed} of {all} {what} could not be done now")]
    Some {
        /// Kind of the pieces.
        what: &'static str,
        /// Number of pieces that failed.
        failed: usize,
        /// Number of all pieces.
        all: usize,
    },
}

impl HistoryError {
    /// Returns whether the same job can succeed later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Table(error) => error.retry(),
            Self::Parcel(error) => error.retry(),
            Self::Queue(error) => error.retry(),
            Self::Terra(error) => error.retry(),
            Self::Credentials | Self::NoCredentials | Self::TooSlow | Self::Some { .. } => {
                Retry::Later
            }
            Self::Endless => Retry::Never,
        }
    }
}
