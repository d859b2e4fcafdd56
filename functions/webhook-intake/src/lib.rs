//! Takes a Terra webhook: verify, make durable, answer.
//!
//! The request path does the least that makes a webhook safe: raw bytes, signature, queue, 200. It
//! parses no JSON and touches no table, so nothing in a body can make it fail.

mod config;
mod error;
mod handler;

pub use self::{
    config::{App, Config},
    handler::{handle, request_of},
};
