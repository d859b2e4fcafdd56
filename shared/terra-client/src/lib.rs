#![doc = include_str!("../README.md")]

#[cfg(feature = "api")]
pub mod api;
mod payload;
mod tls;

pub use payload::{
    CannotSetUp, FetchError, HostPattern, InvalidHostPattern, PayloadFetcher,
    Retries as PayloadRetries, Settings as PayloadSettings,
};
