//! The one HTTP client, and reading of answers.

use std::{sync::Arc, time::Duration};

use super::{CONNECT_TIMEOUT, Guard, InvalidTls, MAX_ANSWER_BYTES, Tls, USER_AGENT, tls};
#[cfg(any(feature = "google", feature = "supabase"))]
use super::{http_fault, without_end};
#[cfg(any(feature = "google", feature = "supabase"))]
use crate::kind::Fault;

/// The one HTTP client: checked addresses, no redirects, no proxy.
///
/// # Errors
///
/// [`InvalidTls`] for certificates that cannot be read.
pub fn http_client(
    guard: &Guard,
    settings: &Tls,
    timeout: Duration,
) -> Result<reqwest::Client, InvalidTls> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(settings)?)
        .dns_resolver(Arc::new(guard.clone()))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .build()
        .map_err(|_| InvalidTls::Platform)
}

/// Longest wait that an answer can ask for.
#[cfg(any(feature = "webhook", feature = "supabase"))]
const MAX_WAIT: Duration = Duration::from_hours(1);

/// The wait that an answer asks for.
#[cfg(any(feature = "webhook", feature = "supabase"))]
pub(crate) fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

/// Reads the beginning of an answer: a receiver that answers gigabytes is not listened to.
pub async fn read_answer(mut response: reqwest::Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ANSWER_BYTES - answer.len();
        answer.extend(chunk.iter().take(room));
        if answer.len() >= MAX_ANSWER_BYTES {
            break;
        }
    }
    answer
}

/// Reads a whole answer that has to be understood, of at most so many bytes.
///
/// # Errors
///
/// [`Fault::Unreachable`] if the answer is cut off, [`Fault::Misconfigured`] if it does not end.
#[cfg(any(feature = "google", feature = "supabase"))]
pub(crate) async fn read_document(
    mut response: reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, Fault> {
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| http_fault(&error))? {
        if document.len() + chunk.len() > most {
            return Err(without_end());
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}
