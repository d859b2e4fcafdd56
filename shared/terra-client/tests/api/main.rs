//! Terra's API, asked over loopback: what is sent, what is understood, what is kept to oneself.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

mod answers;
mod bounds;
mod described;
mod failures;
mod limits;
mod requests;
mod stub;
mod terra;
