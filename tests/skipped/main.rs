//! Says in one line what the tests leave out on this machine.
//!
//! Cargo shows the output of a test that passes only where the test has no harness.

use std::{env, path::PathBuf};

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a setting of the tests, and a line for whoever runs them"
)]
fn main() {
    // Tools that ask for the names of tests want no other line.
    if env::args().any(|argument| argument == "--list") {
        return;
    }
    let near = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/terra");
    let terra = env::var_os("TERRARIUM_TERRA_DIR").map_or(near, PathBuf::from);
    if !terra.join("openapi").is_dir() {
        println!(
            "skipped: the tests that hold bodies and requests against Terra's own schemas \
             (TERRARIUM_TERRA_DIR names no folder with openapi/)"
        );
    }
}
