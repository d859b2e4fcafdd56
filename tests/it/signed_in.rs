//! Somebody who is signed in to the console, and its pages.

use std::path::{Path, PathBuf};

use api::console::{SignInLink, sign_in_link};
use domain::console::{LINK_MS, Role};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret as _;
use store::table::Table;

use crate::world::now;

/// A browser with the cookie of an admin.
pub(crate) struct SignedIn {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl SignedIn {
    /// Signs in at a system whose addresses begin with `base`.
    pub(crate) async fn at(base: &str, table: &Table) -> Self {
        let http = reqwest::Client::builder().no_proxy();
        let http = http.redirect(Policy::none()).build().unwrap();
        let link = SignInLink {
            role: Role::Admin,
            name: "Anna".to_owned(),
            made_by: "test".to_owned(),
            expires_at_ms: now().as_millisecond() + LINK_MS,
        };
        let link = sign_in_link(table, link).await.unwrap();
        let link = link.expose_secret().to_owned();
        let (path, token) = link.split_once('?').unwrap();
        let request = http.post(format!("{base}{path}"));
        let request = request.header("sec-fetch-site", "same-origin");
        let answer = request.body(token.to_owned()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        Self {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            base: base.to_owned(),
            http,
        }
    }

    /// The status of a page.
    pub(crate) async fn get(&self, path: &str) -> u16 {
        let request = self.http.get(format!("{}{path}", self.base));
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        answer.status().as_u16()
    }

    /// The status of the answer to a form.
    pub(crate) async fn post(&self, path: &str, form: &str) -> u16 {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request
            .header("cookie", &self.cookie)
            .header("sec-fetch-site", "same-origin");
        let answer = request.body(form.to_owned()).send().await.unwrap();
        answer.status().as_u16()
    }
}

/// The paths of all pages that are read, from the tables of the console itself.
pub(crate) fn pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/api/src/console/pages");
    let mut paths = Vec::new();
    let mut todo: Vec<PathBuf> = vec![folder];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            todo.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for place in source.split("Place {").skip(1) {
            let Some((before, after)) = place.split_once("path: \"") else {
                continue;
            };
            if before.contains("verb: Verb::Get") {
                paths.extend(after.split('"').next().map(str::to_owned));
            }
        }
    }
    paths.sort();
    paths
}
