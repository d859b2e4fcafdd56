//! Addresses that may be connected to, the one TLS, and the one HTTP client.

mod faults;
mod guard;
#[cfg(feature = "http")]
mod http;
mod tls;

use std::time::Duration;

pub use domain::delivery::Network;

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
#[cfg(any(feature = "http", feature = "postgres"))]
use crate::kind::Fault;

/// Name of this program in requests.
pub const USER_AGENT: &str = concat!("Terrarium/", env!("CARGO_PKG_VERSION"));

/// Longest time until a connection is there.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer that has to be understood that are read at most.
#[cfg(any(feature = "http", feature = "postgres"))]
pub(crate) const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// The fault of a server whose answer does not end.
#[cfg(any(feature = "http", feature = "postgres"))]
pub(crate) fn without_end() -> Fault {
    Fault::misconfigured("the server's answer does not end; is the address right?")
}
