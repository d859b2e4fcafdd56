//! Files that pages load: each under a name with the hash of its content, so that browsers keep it for ever.

use std::sync::LazyLock;

use axum::body::Body;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use models::ids::hex;
use sha2::{Digest as _, Sha256};

use crate::answer::Answer;

/// A file that pages load.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path.
    pub(super) path: String,
    bytes: &'static [u8],
    content_type: &'static str,
}

/// The stylesheet.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "console",
        "css",
        include_bytes!("assets/console.css"),
        "text/css; charset=utf-8",
    )
});
/// The script.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "console",
        "js",
        include_bytes!("assets/console.js"),
        "text/javascript; charset=utf-8",
    )
});
/// The icon.
pub(super) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "icon",
        "svg",
        include_bytes!("assets/icon.svg"),
        "image/svg+xml",
    )
});

impl Asset {
    fn new(stem: &str, extension: &str, bytes: &'static [u8], content_type: &'static str) -> Self {
        let mut hash = hex(&Sha256::digest(bytes));
        hash.truncate(12);
        Self {
            path: format!("{ROOT}{stem}-{hash}.{extension}"),
            bytes,
            content_type,
        }
    }
}

/// Folder of the files.
pub(super) const ROOT: &str = "/console/assets/";

/// Answers with the file of a path.
pub(super) fn serve(path: &str, request: &HeaderMap) -> Response<Body> {
    let known = [&*STYLE, &*SCRIPT, &*ICON];
    let Some(asset) = known.into_iter().find(|asset| asset.path == path) else {
        let mut missing = Response::new(Body::empty());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return missing;
    };
    let mut response = Answer::of(asset.bytes, asset.content_type).response(request);
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_small_and_named_by_their_content() {
        let all = [&*STYLE, &*SCRIPT, &*ICON];
        let bytes: usize = all.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes <= 60 * 1024, "{bytes} bytes");
        for asset in all {
            let response = serve(&asset.path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK);
        }
        let other = serve("/console/assets/console.css", &HeaderMap::new());
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
    }
}
