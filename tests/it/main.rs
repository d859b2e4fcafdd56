//! Tests that no single crate can hold: stories end to end, Terra's schemas, faults, bad input.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

/// A third of what these tests do is allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod api;
mod api_audit;
mod api_bounds;
mod api_connect;
mod api_destinations;
mod api_erased;
mod api_examples;
mod api_guard;
mod api_lists;
mod api_orders;
mod api_parameters;
mod api_repeats;
mod api_retracted;
mod api_webhooks;
mod api_writes;
mod architecture;
mod bad_input;
mod calls;
mod child;
mod console;
mod convergence;
mod deadlines;
mod deliveries;
mod described;
mod documents;
mod erasure;
mod exports;
mod faults;
mod fold;
mod jobs;
mod kill;
mod numbers;
mod objects;
mod past;
mod records;
mod samples;
mod series_pages;
mod sessions;
mod settled;
mod signatures;
mod signed_in;
mod stories;
mod terra_api;
mod terra_reads;
mod walk;
mod world;
mod written;
