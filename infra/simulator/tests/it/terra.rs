//! Terra's own descriptions, which live outside the repository.

use std::path::{Path, PathBuf};

/// The directory with Terra's schemas, or `None` with a message when it is absent.
///
/// On a build server it must be there: a check that is skipped in silence is no check.
#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
pub(crate) fn directory() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/terra");
    let directory = std::env::var_os("TERRARIUM_TERRA_DIR").map_or(default, PathBuf::from);
    if directory.is_dir() {
        return Some(directory);
    }
    let place = directory.display();
    assert!(
        std::env::var_os("CI").is_none(),
        "no Terra directory at {place}; set TERRARIUM_TERRA_DIR"
    );
    announce(&format!(
        "skipped: no Terra directory at {place}; set TERRARIUM_TERRA_DIR"
    ));
    None
}

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn announce(message: &str) {
    eprintln!("{message}");
}
