//! The simulated Terra held against Terra's own descriptions, and its webhooks against what receivers may expect.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod api;
mod delivery;
mod faults;
mod postman;
mod quotas;
mod scenarios;
mod schemas;
mod signature;
mod stand_in;
#[path = "../../../../shared/terra-client/tests/api/terra.rs"]
mod terra;
mod truth;
