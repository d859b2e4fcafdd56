//! Failed calls of Terra, each with its remedy.

use std::{error::Error, fmt, time::Duration};

use domain::Retry;
use http::StatusCode;

use super::settings::InvalidBaseUrl;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSettings {
    /// Something that is sent as a header holds what no header can.
    #[error("the {0} cannot be sent as a header")]
    Header(&'static str),
    /// An address.
    #[error(transparent)]
    BaseUrl(#[from] InvalidBaseUrl),
    /// This machine's TLS cannot be used, for example because it has no root certificates.
    #[error("cannot set up the client of Terra's API")]
    Tls {
        /// Cause from reqwest.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A call that failed. Each variant is one thing to do.
///
/// It holds nothing that Terra said or that we sent: no body, no URL, no id and no key, in neither
/// `Display` nor `Debug` nor the causes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerraError {
    /// A limit was reached: ask again after `wait`.
    #[error("cannot {call}: {by} was reached")]
    RetryAfter {
        /// Call, as a verb.
        call: &'static str,
        /// Limit that was reached.
        by: Limit,
        /// Time until the limit ends, as far as it is known.
        wait: Duration,
    },
    /// `dev-id` or `x-api-key` is wrong: nothing will work until a person has put it right.
    #[error("cannot {call}: the credentials were refused with {status}")]
    Credentials {
        /// Call, as a verb.
        call: &'static str,
        /// 401 today, 403 in older forms (FACTS section 14, row 2).
        status: StatusCode,
    },
    /// The user or thing of the call is not there: do not ask again.
    #[error("cannot {call}: {what}")]
    Gone {
        /// Call, as a verb.
        call: &'static str,
        /// Thing that is gone.
        what: Gone,
    },
    /// This cannot be asked of this provider or account: leave it out.
    #[error("cannot {call}: {what}")]
    NotSupported {
        /// Call, as a verb.
        call: &'static str,
        /// Thing that is not supported.
        what: Unsupported,
    },
    /// The answer was too much: ask for less time at once.
    #[error("cannot {call}: {why}")]
    NarrowerWindow {
        /// Call, as a verb.
        call: &'static str,
        /// Kind of excess.
        why: TooMuch,
    },
    /// The provider failed or refused (424): later, a few times.
    #[error("cannot {call}: the provider refused")]
    ProviderRefused {
        /// Call, as a verb.
        call: &'static str,
    },
    /// Terra finds the request wrong, for a reason that none of the others is.
    #[error("cannot {call}: refused with {status}{}", Named(*.parameter))]
    Refused {
        /// Call, as a verb.
        call: &'static str,
        /// Status of the answer; 200 with `"status":"error"` happens.
        status: StatusCode,
        /// The parameter that Terra's reason names, if it names one.
        parameter: Option<&'static str>,
    },
    /// Terra cannot be reached, or has a fault of its own: later.
    #[error("cannot {call}: {why}")]
    Unreachable {
        /// Call, as a verb.
        call: &'static str,
        /// Kind of failure.
        why: Unreachable,
        /// Pause that Terra asks for.
        wait: Option<Duration>,
        /// Cause from the connection.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The answer is not what Terra's API answers: later, a few times, and then look at the
    /// address.
    #[error("cannot {call}: the answer with {status} {why}")]
    MalformedAnswer {
        /// Call, as a verb.
        call: &'static str,
        /// With which status the answer came.
        status: StatusCode,
        /// Fault of the answer.
        why: Malformed,
    },
}

struct Named(Option<&'static str>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(parameter) => write!(f, " because of {parameter}"),
            None => Ok(()),
        }
    }
}

/// Owner of the limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Our own, kept so that Terra's is not reached. Nothing was sent.
    #[error("our own limit")]
    Ours,
    /// Terra's: its rate-limit headers came with the answer.
    #[error("a limit of Terra's")]
    Terra,
    /// The provider's, by Terra's words.
    #[error("a limit of the provider's")]
    Provider,
    /// Terra does not say (FACTS section 17).
    #[error("a limit")]
    Unknown,
}

/// Thing that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// Terra knows no such user.
    #[error("Terra knows no such user")]
    UserUnknown,
    /// The user is known, but the provider no longer lets Terra in (FACTS section 2, last
    /// paragraph).
    #[error("the connection has ended")]
    ConnectionEnded,
    /// A 404 without a word on what was not found. It may be the user: look in `/subscriptions`
    /// before a connection is ended for it.
    #[error("it was not found")]
    NotSaid,
}

/// Thing that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The connection has no such data, or Terra has no call for them.
    #[error("this data type is not supported")]
    DataType,
    /// Terra knows no such provider.
    #[error("this provider is not supported")]
    Provider,
    /// The account has not enabled it: a data type on the dashboard, or an add-on.
    #[error("it is not enabled for this account")]
    NotEnabled,
}

/// Excess of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Terra's gateway gave up after about 30 seconds (504).
    #[error("it takes Terra too long")]
    Time,
    /// Terra finds the answer too large (413).
    #[error("it is too large for Terra")]
    Size,
    /// The answer is larger than [`Bounds`](super::Bounds) allow.
    #[error("the answer is larger than {limit_bytes} bytes")]
    Bound {
        /// Largest answer that is read. Unit: bytes.
        limit_bytes: usize,
    },
    /// The answer kept coming until the time for it was over.
    #[error("the answer does not end in time")]
    Endless,
    /// More days than one request may ever cover by our own limits.
    #[error("it covers too many days")]
    Days,
}

/// Kind of failure to reach Terra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No connection: nothing was sent.
    #[error("there is no connection")]
    NoConnection,
    /// The connection broke before an answer began. Whether the request arrived is unknown.
    #[error("the connection broke")]
    Broken,
    /// No answer, or no more of it, in time. Whether the request arrived is unknown.
    #[error("there was no answer in time")]
    NoAnswer,
    /// Terra answered with a fault of its own.
    #[error("Terra answered {0}")]
    Failed(StatusCode),
}

/// Fault of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The answer is not JSON; a page of a gateway, for example.
    #[error("is not JSON")]
    NotJson,
    /// The answer ends too early.
    #[error("is cut off")]
    CutOff,
    /// The answer is JSON, but not what this call answers.
    #[error("is not what this call answers")]
    Unexpected,
    /// The answer is compressed, which we did not ask for.
    #[error("is compressed")]
    Compressed,
    /// The answer is larger than [`Bounds`](super::Bounds) allow, and nothing narrower can be asked.
    #[error("is larger than {limit_bytes} bytes")]
    TooLarge {
        /// Largest answer that is read. Unit: bytes.
        limit_bytes: usize,
    },
    /// The answer leads elsewhere. Redirects are not followed: they would carry the key along.
    #[error("is a redirect")]
    Redirect,
}

impl TerraError {
    /// Returns whether the same call can succeed later.
    ///
    /// For [`NarrowerWindow`](Self::NarrowerWindow) it cannot: only a smaller one.
    pub fn retry(&self) -> Retry {
        match self {
            Self::RetryAfter { .. }
            | Self::ProviderRefused { .. }
            | Self::Unreachable { .. }
            | Self::MalformedAnswer { .. } => Retry::Later,
            Self::Credentials { .. }
            | Self::Gone { .. }
            | Self::NotSupported { .. }
            | Self::NarrowerWindow { .. }
            | Self::Refused { .. } => Retry::Never,
        }
    }

    /// Returns the pause before the same call, where one is known.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::RetryAfter { wait, .. } => Some(*wait),
            Self::Unreachable { wait, .. } => *wait,
            _ => None,
        }
    }

    pub(super) fn unexpected(call: &'static str, status: StatusCode) -> Self {
        Self::MalformedAnswer {
            call,
            status,
            why: Malformed::Unexpected,
        }
    }
}
