//! Pings: the payload waits under a presigned URL (FACTS section 7, "Ping mode").

use domain::plan::ParkReason;
use jiff::Timestamp;
use terra_client::FetchError;

use crate::{
    config::App,
    error::RouteError,
    work::{Read, Work},
};

/// What following a ping came to.
pub(crate) enum Followed {
    /// The payload, as a webhook of its own.
    Payload(Box<Work>),
    /// There is none to be had, ever.
    Parked(ParkReason),
}

/// Fetches the payload if what was read is a ping; `None` if it is none.
///
/// One level deep: what is fetched is not followed again.
pub(crate) async fn follow(
    app: &App,
    read: &Read<'_>,
    now: Timestamp,
) -> Result<Option<Followed>, RouteError> {
    let Some(event) = read.ping() else {
        return Ok(None);
    };
    let work = read.work;
    let Some(url) = event.url.as_deref().filter(|url| !url.is_empty()) else {
        return Ok(Some(Followed::Parked(ParkReason::NoUrl)));
    };
    if expired(work, event.expires_in_s, now) {
        return Ok(Some(Followed::Parked(ParkReason::PayloadExpired)));
    }
    Ok(Some(match app.payloads.fetch(url).await {
        Ok(body) => match work.payload(&read.id, body.into()) {
            Some(payload) => Followed::Payload(Box::new(payload)),
            None => Followed::Parked(ParkReason::NoUrl),
        },
        Err(error) => match &error {
            FetchError::NotAllowed { .. } => Followed::Parked(ParkReason::HostNotAllowed),
            FetchError::Refused { .. } => Followed::Parked(ParkReason::PayloadExpired),
            FetchError::TooLarge { .. } => Followed::Parked(ParkReason::PayloadTooLarge),
            _ => return Err(RouteError::Payload(error.into())),
        },
    }))
}

/// The URL's time runs from when Terra signed the ping; without a signature, from receipt.
fn expired(work: &Work, expires_in_s: Option<u64>, now: Timestamp) -> bool {
    let made_at_s = work.signed_at_s.unwrap_or(work.received_at_ms / 1000);
    let lasts_s = expires_in_s.and_then(|seconds| i64::try_from(seconds).ok());
    lasts_s.is_some_and(|seconds| now.as_second() > made_at_s.saturating_add(seconds))
}
