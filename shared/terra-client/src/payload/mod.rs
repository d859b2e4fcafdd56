//! Payloads that Terra does not post but offers at a presigned URL.
//!
//! In ping mode the webhook says `s3_payload` (or `s3_upload`) and where the payload is; what is
//! there is what would have been posted. The ping is signed, so its URL is Terra's; that we ask
//! only known hosts, over TLS, for a bounded number of bytes, costs nothing and holds should a
//! signing secret leak.
//!
//! A storage gives an object as it was put there, gzip and all, whatever was asked for: what is
//! compressed is unpacked, within the same bound.
//!
//! A presigned URL is a secret: whoever has it has the payload. It never appears in an error or a
//! log; its host does.

mod error;
mod host;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::Retry;
use http::{StatusCode, header::LOCATION};
use models::gzip::{self, UnpackError};
use reqwest::{Client, Response, Url, redirect};

pub use self::{
    error::{CannotSetUp, FetchError},
    host::{HostPattern, InvalidHostPattern},
};
use crate::tls;

/// Terra's chunks are up to 10 MB, single payloads tens of megabytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A host that sends nothing for so long is asked anew.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// S3 redirects to a bucket's region while the bucket is new.
const MAX_REDIRECTS: usize = 3;
/// Memory reserved for a payload before its bytes arrive, however long it says it is.
const MAX_RESERVED_BYTES: usize = 1024 * 1024;

/// Payloads that may be fetched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hosts that are asked, redirects included.
    pub allowed_hosts: Vec<HostPattern>,
    /// The largest payload.
    pub max_bytes: usize,
    /// The longest that one payload may take with all its tries, from the first name lookup to the last
    /// byte.
    pub timeout: Duration,
    /// Repetitions against a host that fails.
    pub retries: Retries,
    /// True if this machine itself may be asked too, on any port and without TLS: for the local system,
    /// where the simulator offers the payloads.
    pub allow_http_loopback: bool,
}

/// Quick tries of one fetch. A URL lasts minutes, and most failures of a storage pass within seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Tries in all; 0 means the same as 1.
    pub tries: u32,
    /// Wait before the second try, doubled for each further one.
    pub first_wait: Duration,
}

impl Default for Retries {
    /// Four tries after 0, 0.5, 1.5 and 3.5 s.
    fn default() -> Self {
        Self {
            tries: 4,
            first_wait: Duration::from_millis(500),
        }
    }
}

impl Default for Settings {
    /// The buckets of S3 and Google, 64 MiB, 20 s, TLS only.
    fn default() -> Self {
        Self {
            allowed_hosts: vec![
                HostPattern::s3(),
                HostPattern::exactly("storage.googleapis.com"),
                HostPattern::below("storage.googleapis.com"),
            ],
            max_bytes: MAX_BYTES,
            timeout: TIMEOUT,
            retries: Retries::default(),
            allow_http_loopback: false,
        }
    }
}

/// Fetches payloads; cheap to clone, and clones share their connections.
#[derive(Debug, Clone)]
pub struct PayloadFetcher {
    client: Client,
    settings: Settings,
}

impl PayloadFetcher {
    /// A fetcher with its own connections.
    ///
    /// # Errors
    ///
    /// [`CannotSetUp`] if this machine's TLS cannot be used, for example because it has no root
    /// certificates.
    pub fn new(settings: Settings) -> Result<Self, CannotSetUp> {
        tls::install_provider();
        let client = Client::builder()
            .https_only(!settings.allow_http_loopback)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|source| CannotSetUp {
                source: source.without_url(),
            })?;
        Ok(Self { client, settings })
    }

    /// Fetches the payload at `url`, with a few quick tries, `within` this time and that of the settings.
    ///
    /// # Errors
    ///
    /// [`FetchError::NotAllowed`] before anything is sent, or when a redirect leads elsewhere;
    /// [`FetchError::Refused`] once the URL has expired; [`FetchError::TooLarge`];
    /// [`FetchError::Unavailable`] when the last try failed or the time is over.
    pub async fn fetch(&self, url: &str, within: Duration) -> Result<Bytes, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::not_allowed(None, "it is no URL"))?;
        let host = self.check(&url)?;
        let within = within.min(self.settings.timeout);
        match tokio::time::timeout(within, self.try_often(&url, &host)).await {
            Ok(fetched) => fetched,
            Err(elapsed) => Err(FetchError::Unavailable {
                host,
                source: elapsed.into(),
            }),
        }
    }

    async fn try_often(&self, url: &Url, host: &str) -> Result<Bytes, FetchError> {
        let Retries { tries, first_wait } = self.settings.retries;
        let (mut left, mut wait) = (tries.max(1), first_wait);
        loop {
            left -= 1;
            match self.follow(url.clone(), host.to_owned()).await {
                Err(error) if left > 0 && error.retry() == Retry::Later => {
                    tokio::time::sleep(wait).await;
                    wait = wait.saturating_mul(2);
                }
                fetched => return fetched,
            }
        }
    }

    async fn follow(&self, mut url: Url, mut host: String) -> Result<Bytes, FetchError> {
        for _ in 0..=MAX_REDIRECTS {
            let response = match self.client.get(url.clone()).send().await {
                Ok(response) => response,
                Err(error) => return Err(FetchError::unavailable(host, error)),
            };
            match response.status() {
                StatusCode::OK => {
                    let payload = self.read(response, &host).await?;
                    tracing::debug!(host, size_bytes = payload.len(), "payload fetched");
                    return Ok(payload);
                }
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    url = response
                        .headers()
                        .get(LOCATION)
                        .and_then(|location| url.join(location.to_str().ok()?).ok())
                        .ok_or_else(|| {
                            FetchError::not_allowed(Some(&host), "it redirects to no URL")
                        })?;
                    host = self.check(&url)?;
                }
                status => return Err(FetchError::of_status(host, status)),
            }
        }
        Err(FetchError::not_allowed(
            Some(&host),
            "it redirects too often",
        ))
    }

    async fn read(&self, mut response: Response, host: &str) -> Result<Bytes, FetchError> {
        let limit_bytes = self.settings.max_bytes;
        let too_large = || FetchError::TooLarge {
            host: host.to_owned(),
            limit_bytes,
        };
        let announced = response.content_length().unwrap_or_default();
        let announced = usize::try_from(announced).map_err(|_| too_large())?;
        if announced > limit_bytes {
            return Err(too_large());
        }

        let mut payload = BytesMut::with_capacity(announced.min(MAX_RESERVED_BYTES));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.len() > limit_bytes.saturating_sub(payload.len()) => {
                    return Err(too_large());
                }
                Ok(Some(chunk)) => payload.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(FetchError::unavailable(host.to_owned(), error)),
            }
        }
        if !gzip::is_gzip(&payload) {
            return Ok(payload.freeze());
        }
        match gzip::unpack(&payload, limit_bytes) {
            Ok(text) => Ok(text.into()),
            Err(UnpackError::TooLarge { .. }) => Err(too_large()),
            // Another fetch would bring the same bytes: they are kept as they are.
            Err(UnpackError::Damaged) => Ok(payload.freeze()),
        }
    }

    /// The host, if the URL may be asked.
    fn check(&self, url: &Url) -> Result<String, FetchError> {
        let refuse = |why| Err(FetchError::not_allowed(url.host_str(), why));
        let Some(host) = url.host_str() else {
            return refuse("it names no host");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it holds a user name");
        }
        if self.settings.allow_http_loopback
            && host::is_loopback(host)
            && matches!(url.scheme(), "http" | "https")
        {
            return Ok(host.to_owned());
        }
        if url.scheme() != "https" {
            return refuse("it is not https");
        }
        // The default port is never kept in a URL.
        if url.port().is_some() {
            return refuse("its port is unusual");
        }
        match url.domain() {
            None => refuse("its host is an address"),
            Some(domain)
                if self
                    .settings
                    .allowed_hosts
                    .iter()
                    .any(|p| p.matches(domain)) =>
            {
                Ok(host.to_owned())
            }
            Some(_) => refuse("its host is not on the list"),
        }
    }
}
