//! A system in a process of its own, to be killed.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use terrarium::system::System;

/// Name of the variable that names the folder.
pub(crate) const FOLDER: &str = "TERRARIUM_KILL_TEST_FOLDER";

/// A process that is killed at the latest when the test ends.
pub(crate) struct Running(Child);

impl Running {
    /// Starts this binary again with one test of it, which serves in `folder`. Returns once webhooks
    /// can be posted, with the address.
    pub(crate) fn start(test: &str, folder: &Path) -> (Self, String) {
        let url = folder.join("url");
        drop(std::fs::remove_file(&url));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", test])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = Self(child.unwrap());
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            if let Ok(url) = std::fs::read_to_string(&url) {
                return (child, url);
            }
            assert!(Instant::now() < deadline, "the system did not start again");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The child's side: where it serves; `None` when nobody started it to be killed.
pub(crate) fn folder() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the parent tells its child the folder"
    )]
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// The child's side: tells the parent where webhooks are posted, and lives until it is killed or the
/// parent is gone.
pub(crate) async fn serve(folder: &Path, system: &System) {
    std::fs::write(folder.join("url.new"), &system.webhook_url).unwrap();
    std::fs::rename(folder.join("url.new"), folder.join("url")).unwrap();
    let parent_gone = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)
    });
    drop(parent_gone.await);
}
