//! Settings of the client: Terra's address, our credentials, and our patience.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr, time::Duration};

use domain::pacing::Quotas;
use reqwest::Url;
use secrecy::SecretString;

/// The URL below which calls lie.
///
/// `https`, or `http` on this machine itself; without user name, query and fragment. A slash at the
/// end is taken off: Terra refuses paths with a slash at their end, and two slashes.
///
/// ```
/// use terra_client::api::BaseUrl;
///
/// let base: BaseUrl = "https://access.tryterra.co/api/v2/".parse()?;
/// assert_eq!(base.to_string(), "https://access.tryterra.co/api/v2");
/// assert!("http://access.tryterra.co/api/v2".parse::<BaseUrl>().is_err());
/// assert!("http://127.0.0.1:4000/v2".parse::<BaseUrl>().is_ok());
/// # Ok::<(), terra_client::api::InvalidBaseUrl>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Cow<'static, str>);

/// The text is no base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a base URL is written https://host/path, without user name, query or fragment")]
pub struct InvalidBaseUrl;

impl BaseUrl {
    /// Terra's API today (FACTS section 1).
    pub const API: Self = Self(Cow::Borrowed("https://access.tryterra.co/api/v2"));
    /// Terra's API before; it still answers (FACTS section 14, row 1).
    pub const FORMER_API: Self = Self(Cow::Borrowed("https://api.tryterra.co/v2"));
    /// Below it lies `/widget/api/session` (FACTS section 3).
    pub const WIDGET: Self = Self(Cow::Borrowed("https://access.tryterra.co"));

    pub(super) fn to_url(&self) -> Result<Url, InvalidBaseUrl> {
        Url::parse(&self.0).map_err(|_| InvalidBaseUrl)
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url = Url::parse(text.trim_end_matches('/')).map_err(|_| InvalidBaseUrl)?;
        let host = url.host_str().ok_or(InvalidBaseUrl)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => is_this_machine(host),
            _ => false,
        };
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if secure && plain {
            let text = url.as_str().trim_end_matches('/');
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(InvalidBaseUrl)
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Address that makes widget sessions; all three do the same (FACTS section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WidgetAddress {
    /// `/auth/generateWidgetSession` below [`Settings::base_url`].
    #[default]
    Api,
    /// `/auth/generateWidgetSession` below [`Settings::former_base_url`].
    FormerApi,
    /// `/widget/api/session` below [`Settings::widget_base_url`].
    Widget,
}

/// Longest time of each part of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Time until the connection stands, TLS included. 5 s.
    pub connect: Duration,
    /// Time until the answer begins. 40 s: Terra's gateway gives up after about 30 and says so (FACTS
    /// section 4), and that says more than our own silence.
    pub answer: Duration,
    /// Between two pieces of an answer. 20 s.
    pub read: Duration,
    /// For all of it. 120 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(40),
            read: Duration::from_secs(20),
            total: Duration::from_mins(2),
        }
    }
}

/// Bounds of the bytes that are read of an answer. Unit: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Data. 64 MiB, as for the payloads of pings.
    pub data_bytes: usize,
    /// Everything else; 16 MiB hold some 40,000 users of an unpaged `/subscriptions`.
    pub answer_bytes: usize,
    /// Bytes that are read of a failure. 64 KiB.
    pub failure_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            data_bytes: 64 * 1024 * 1024,
            answer_bytes: 16 * 1024 * 1024,
            failure_bytes: 64 * 1024,
        }
    }
}

/// Repetitions of a call before its caller hears of a failure.
///
/// Repeated is what can do no harm: reads that Terra answers itself, and any call that cannot have
/// reached Terra or that it refused for its limits. Never a request for webhooks that may already
/// be running, because it would be delivered twice and count twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all; 0 means the same as 1. Three, as in Terra's own clients.
    pub attempts: u32,
    /// The longest wait before the second attempt, doubled for each further one. The wait itself
    /// is drawn between nothing and this. 1 s.
    pub first_wait: Duration,
    /// The longest wait that a call takes upon itself, for any reason: whoever pays for waiting
    /// would rather hear when to come back. 10 s.
    pub longest_wait: Duration,
    /// The wait for a limit of which Terra does not say when it ends. 60 s.
    pub unknown_limit_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(10),
            unknown_limit_wait: Duration::from_mins(1),
        }
    }
}

/// Everything the client can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Header `dev-id`: names the account and its environment.
    pub dev_id: String,
    /// Header `x-api-key`.
    pub api_key: SecretString,
    /// [`BaseUrl::API`].
    pub base_url: BaseUrl,
    /// [`BaseUrl::FORMER_API`]; asked only for widget sessions, by [`WidgetAddress::FormerApi`].
    pub former_base_url: BaseUrl,
    /// [`BaseUrl::WIDGET`]; asked only for widget sessions, by [`WidgetAddress::Widget`].
    pub widget_base_url: BaseUrl,
    /// [`WidgetAddress::Api`].
    pub widget_address: WidgetAddress,
    /// `terrarium/` and our version.
    pub user_agent: String,
    /// See there.
    pub timeouts: Timeouts,
    /// See there.
    pub bounds: Bounds,
    /// See there.
    pub retries: Retries,
    /// The limits that this client keeps by itself, in memory.
    pub quotas: Quotas,
    /// True if the client keeps the limits itself: not where they are kept for several processes at
    /// once.
    pub keeps_limits: bool,
}

impl Settings {
    /// The defaults for one account.
    pub fn new(dev_id: &str, api_key: SecretString) -> Self {
        Self {
            dev_id: dev_id.to_owned(),
            api_key,
            base_url: BaseUrl::API,
            former_base_url: BaseUrl::FORMER_API,
            widget_base_url: BaseUrl::WIDGET,
            widget_address: WidgetAddress::default(),
            user_agent: concat!("terrarium/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeouts: Timeouts::default(),
            bounds: Bounds::default(),
            retries: Retries::default(),
            quotas: Quotas::default(),
            keeps_limits: true,
        }
    }
}
