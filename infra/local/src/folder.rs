//! The data folder of a local system, and files in it that hold secrets.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use anyhow::Context as _;

/// Makes the data folder, or takes the one that is there, so that only its owner may look into it.
///
/// # Errors
///
/// When the folder cannot be made, or belongs to somebody else.
pub(crate) fn make(data_dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(data_dir)
        .and_then(|()| close_to_others(data_dir))
        .with_context(|| format!("cannot make the data folder {}", data_dir.display()))
}

#[cfg(unix)]
fn close_to_others(data_dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Options to write a file that only its owner may read.
pub(crate) fn only_for_its_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
