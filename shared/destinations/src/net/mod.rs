//! Addresses that may be connected to, the one TLS, and the one HTTP client.

mod answer;
mod faults;
mod guard;
#[cfg(feature = "http")]
mod http;
mod tls;

use std::time::Duration;

pub use domain::delivery::Network;

#[cfg(feature = "http")]
pub(crate) use self::answer::MAX_ANSWER_BYTES;
#[cfg(any(feature = "mongodb", feature = "mysql", feature = "postgres"))]
pub(crate) use self::answer::MAX_CALL_BYTES;
#[cfg(any(feature = "azure", feature = "google", feature = "s3"))]
pub(crate) use self::answer::MAX_PAGE_BYTES;
#[cfg(any(feature = "mongodb", feature = "mysql"))]
pub(crate) use self::answer::RowLimit;
#[cfg(any(
    feature = "bucket",
    feature = "google",
    feature = "mongodb",
    feature = "mysql",
    feature = "postgres"
))]
pub(crate) use self::answer::without_end;
#[cfg(any(feature = "google", feature = "supabase"))]
pub(crate) use self::http::read_document;
#[cfg(any(feature = "webhook", feature = "supabase"))]
pub(crate) use self::http::retry_after;
pub use self::{
    faults::fault_of,
    guard::{Blocked, Guard, Resolve, SystemResolver},
    tls::{InvalidTls, Tls, install_provider, tls},
};
#[cfg(feature = "http")]
pub use self::{
    faults::http_fault,
    http::{http_client, read_answer},
};

/// Name of this program in requests.
pub const USER_AGENT: &str = concat!("Terrarium/", env!("CARGO_PKG_VERSION"));

/// Longest time until a connection is there.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
