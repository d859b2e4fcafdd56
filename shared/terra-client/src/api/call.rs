//! One call: what is sent, and how its answer is to be read.

use bytes::Bytes;
use domain::pacing::Ask;
use http::Method;
use reqwest::Url;

/// Subject of a call, by which its failures are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Data of a user in a window of time.
    Data,
    /// A user, or the users of a reference id.
    User,
    /// A user's planned workouts or an account's lab reports, in a window of time: an add-on that
    /// the account has or has not (FACTS section 2).
    AddOn,
    /// A provider to connect.
    Provider,
    /// The account.
    Account,
}

impl About {
    pub(super) fn has_user(self) -> bool {
        matches!(self, Self::Data | Self::User | Self::AddOn)
    }

    /// Returns whether less can be asked for at once.
    pub(super) fn has_window(self) -> bool {
        matches!(self, Self::Data | Self::AddOn)
    }
}

/// Credentials that a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials {
    Both,
    /// The key with it may empty the answer (FACTS section 14, row 23).
    DevId,
    Nothing,
}

/// Harm that a second request would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// None.
    Harmless,
    /// A second request would do the work twice, so only if the first has not arrived.
    IfNotSent,
}

/// One call. Its `name` completes "cannot …".
pub(super) struct Call<'a> {
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) credentials: Credentials,
    /// JSON.
    pub(super) body: Option<Bytes>,
    pub(super) about: About,
    pub(super) repeat: Repeat,
    pub(super) max_bytes: usize,
    /// Cost of the call, to be drawn from the limits.
    pub(super) ask: Ask<'a>,
}
