//! Bodies that are too large for a destination: kept in the data folder, and served under names that
//! nobody can guess.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{self, State},
    http::{Response, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse as _,
    routing::get,
};
use destinations::{
    change::Change,
    config::{Pointer, Pointers},
    envelope::Payload,
    kind::{Fault, Unreachable},
};
use runtime::{queue::local::Clock, telemetry::Chain};
use tracing::error;

use crate::folder::only_for_its_owner;

/// Path of the gateway below which bodies are served.
const PATH: &str = "/outbox";
/// Time that a body is kept. Unit: seconds.
const KEPT_S: i64 = 3600;
/// Endings of names, with the type that is served.
const TYPES: [(&str, &str); 2] = [
    ("json", "application/json"),
    ("fit", "application/vnd.ant.fit"),
];

/// Outbox of a data folder.
#[derive(Clone)]
pub(crate) struct Outbox {
    folder: PathBuf,
    /// Root of the gateway that serves it; absent where none runs.
    root_url: Option<String>,
    clock: Clock,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    pub(crate) fn new(data_dir: &Path, root_url: Option<String>, clock: &Clock) -> Self {
        Self {
            folder: data_dir.join("outbox"),
            root_url,
            clock: Arc::clone(clock),
        }
    }

    fn now_s(&self) -> i64 {
        (self.clock)().as_second()
    }

    /// Writes a file under a name that says when it ends and that nobody can guess. Removes those that
    /// have ended.
    fn write(&self, owner: &str, body: &Payload) -> io::Result<String> {
        use io::Write as _;

        let folder = self.folder.join(owner);
        fs::create_dir_all(&folder)?;
        let now_s = self.now_s();
        for other in fs::read_dir(&self.folder)? {
            let other = other?;
            // A desktop leaves files of its own in any folder.
            if !other.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(other.path())? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if name.and_then(ends_s).is_none_or(|ends_s| ends_s <= now_s) {
                    match fs::remove_file(&path) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
            }
        }
        let ends_s = now_s.saturating_add(KEPT_S);
        let secret: u128 = rand::random();
        let name = format!("{ends_s}-{secret:032x}.{}", body.extension);
        let mut options = only_for_its_owner();
        let mut file = options.create_new(true).open(folder.join(&name))?;
        file.write_all(&body.bytes)?;
        Ok(format!("{owner}/{name}"))
    }

    /// Content of a file that has not ended.
    fn read(&self, path: &str) -> Option<(&'static str, Vec<u8>)> {
        let (owner, name) = path.split_once('/')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if owner.is_empty() || !owner.bytes().all(plain) {
            return None;
        }
        let (stem, extension) = name.split_once('.')?;
        // No name but one that was made here: in particular no way out of the folder.
        let sound = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        let (_, content_type) = TYPES.into_iter().find(|(known, _)| *known == extension)?;
        let is_left = ends_s(name)? > self.now_s();
        if !stem.bytes().all(sound) || !is_left {
            return None;
        }
        Some((content_type, fs::read(self.folder.join(path)).ok()?))
    }
}

/// Time until which a file is served, as its name says. Unit: Unix seconds.
fn ends_s(name: &str) -> Option<i64> {
    name.split_once('-')?.0.parse().ok()
}

#[async_trait]
impl Pointers for Outbox {
    async fn keep(&self, _: &str, change: &Change, body: &Payload) -> Result<Pointer, Fault> {
        let Some(root_url) = &self.root_url else {
            let text = "a link needs a running system that serves it";
            return Err(Fault::misconfigured(text));
        };
        let (outbox, body) = (self.clone(), body.clone());
        let owner = change.source.owner.clone();
        let written =
            tokio::task::spawn_blocking(move || outbox.write(owner.as_str(), &body)).await;
        match written.map_err(io::Error::other).flatten() {
            Ok(name) => Ok(Pointer {
                url: format!("{root_url}{PATH}/{name}"),
                expires_in_s: KEPT_S.unsigned_abs(),
            }),
            Err(error) => {
                error!(error = %Chain(&error), "cannot keep a body for a destination");
                Err(Fault::unreachable(Unreachable::Server).with_code("outbox"))
            }
        }
    }
}

/// The route that serves an outbox. Whoever knows a name may read: there is no other secret.
pub(crate) fn router(outbox: Outbox) -> Router {
    Router::new()
        .route(&format!("{PATH}/{{*name}}"), get(serve))
        .with_state(outbox)
}

async fn serve(
    State(outbox): State<Outbox>,
    extract::Path(name): extract::Path<String>,
) -> Response<Body> {
    let found = tokio::task::spawn_blocking(move || outbox.read(&name)).await;
    match found {
        Ok(Some((content_type, bytes))) => ([(CONTENT_TYPE, content_type)], bytes).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_body_is_read_by_its_name_alone_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1-a.json"), "not in the outbox").unwrap();
        let now_s = Arc::new(AtomicI64::new(1_800_000_000));
        let clock: Clock = {
            let now_s = Arc::clone(&now_s);
            Arc::new(move || Timestamp::from_second(now_s.load(Ordering::SeqCst)).unwrap())
        };
        let outbox = Outbox::new(folder.path(), None, &clock);
        let body = Payload {
            content_type: "application/vnd.ant.fit",
            extension: "fit",
            bytes: vec![0, 255].into(),
        };
        let name = outbox.write("ann", &body).unwrap();
        let kept = Some(("application/vnd.ant.fit", vec![0, 255]));
        assert_eq!(outbox.read(&name), kept);
        for other in [
            "",
            ".fit",
            "9999999999-0.fit",
            "../9999999999-a.json",
            "../1-a.json",
            "./1-a.json",
            "ann/9999999999-/../../1-a.json",
        ] {
            assert_eq!(outbox.read(other), None, "{other}");
        }
        now_s.fetch_add(KEPT_S, Ordering::SeqCst);
        assert_eq!(outbox.read(&name), None);
        let next = outbox.write("ann", &body).unwrap();
        let left: Vec<_> = fs::read_dir(outbox.folder.join("ann"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| format!("ann/{name}"))
            .collect();
        assert_eq!(left, [next], "what has ended is gone");
    }
}
