//! Parts of posting webhooks: the address, the secrets and the client.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::Context as _;
use reqwest::Url;

use super::{access::Address, secrets};
use crate::failure;

/// Longer than Terra waits (8 s), so that a slow answer is seen as one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the address to post to: the given one, or that of the system that runs in the folder.
pub(super) fn target(given: Option<&str>, data_dir: &Path) -> anyhow::Result<Url> {
    let url = match given {
        Some(url) => url.to_owned(),
        None => match Address::of_running(data_dir)? {
            Some(address) => address.webhook_url,
            None => {
                return Err(failure::input(format!(
                    "no terrarium runs in {}: start one with `terrarium dev`, or give --url",
                    data_dir.display()
                )));
            }
        },
    };
    Url::parse(&url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| failure::input(format!("`{url}` is no URL like https://host/path")))
}

/// The named signing secret, or the first: its name and itself.
pub(super) async fn signing_secret(
    data_dir: &Path,
    name: Option<&str>,
) -> anyhow::Result<(String, String)> {
    let secrets = secrets::load(data_dir).await?;
    let found = match name {
        Some(name) => secrets.iter().find(|(known, _)| known == name),
        None => secrets.first(),
    };
    let known: Vec<_> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    found.cloned().ok_or_else(|| match name {
        Some(name) if !known.is_empty() => failure::input(format!(
            "there is no signing secret `{name}`; there are: {}",
            known.join(", ")
        )),
        _ => failure::input(format!(
            "there is no signing secret: `terrarium dev` makes {}, or set SIGNING_SECRETS to \
             {{\"name\":\"secret\"}}",
            secrets::file(data_dir).display()
        )),
    })
}

/// A client for `url`. Names below `localhost` are this machine (RFC 6761, section 6.3), which not
/// every resolver knows.
pub(super) fn client(url: &Url) -> anyhow::Result<reqwest::Client> {
    // The first call decides; a second one changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(host) = url.host_str().filter(|host| host.ends_with(".localhost")) {
        let port = url.port_or_known_default().unwrap_or_default();
        client = client.resolve(host, (Ipv4Addr::LOCALHOST, port).into());
    }
    client.build().context("cannot make an HTTP client")
}

/// Explains to a person why there was no answer.
pub(super) fn why_none(url: &Url, error: reqwest::Error) -> String {
    if error.is_connect() {
        format!("nobody listens at {url}")
    } else if error.is_timeout() {
        format!("no answer within {} s", TIMEOUT.as_secs())
    } else {
        runtime::telemetry::Chain(&error.without_url()).to_string()
    }
}
