//! Every kind against the server that it is made for. `.ci/destinations` starts the servers and runs
//! these tests; each is told its server by an environment variable.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use destinations::{change, id};

mod broker;
mod buckets;
mod databases;
mod full_disk;
mod google;
mod logs;
mod places;
mod postgres;
mod postgrest;
#[expect(dead_code, reason = "some are for the story of tests/it")]
mod proxy;
#[path = "../../src/samples.rs"]
#[expect(dead_code, reason = "some are for unit tests only")]
mod samples;
mod sasl;
mod suite;
mod supabase;
mod tls;
mod unhappy;
mod webhooks;

/// The value of an environment variable that names a server.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told its server from outside"
)]
fn server(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run .ci/destinations"))
}
