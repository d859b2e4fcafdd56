//! What we ask Terra over HTTP: for now, the payloads behind its pings.

mod payload;
mod tls;

pub use payload::{
    CannotSetUp, FetchError, HostPattern, InvalidHostPattern, PayloadFetcher,
    Settings as PayloadSettings,
};
