//! What we ask Terra over HTTP: the payloads behind its pings and, with the feature `api`, its API.

#[cfg(feature = "api")]
pub mod api;
mod payload;
mod tls;

pub use payload::{
    CannotSetUp, FetchError, HostPattern, InvalidHostPattern, PayloadFetcher,
    Retries as PayloadRetries, Settings as PayloadSettings,
};
