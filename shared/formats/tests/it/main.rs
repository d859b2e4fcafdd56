//! Formats of every sample and of simulated records. The ignored tests write what `.ci/formats`
//! hands to the decoders and validators of others.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod fhir;
mod fit;
mod records;
