//! History in the table: any number of workers, each of which may die anywhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod asked;
mod backfills;
mod connections;
mod coverage;
mod ledger;
mod pacing;
mod windows;
mod workers;
