//! Pings: the payload waits under a presigned URL (FACTS section 7, "Ping mode").

use std::{sync::Arc, time::Duration};

use domain::plan::{self, ParkReason, Plan};
use jiff::Timestamp;
use routing::{Read, RouteError, Work};
use terra_client::FetchError;

use crate::config::App;

/// Result of following a ping.
pub(crate) enum Followed {
    /// The payload, as a webhook of its own.
    Payload(Box<Work>),
    /// The payload cannot be had any more: the ping is parked, and its days are asked for again.
    Lost(Box<Plan>),
}

/// Fetches the payload if what was read is a ping; `None` if it is none.
///
/// A payload that is a ping again is not followed. The fetch and its retries end `within` this time.
pub(crate) async fn follow(
    app: &App,
    read: &Read<'_>,
    now: Timestamp,
    within: Duration,
) -> Result<Option<Followed>, RouteError> {
    let Some(event) = read.ping() else {
        return Ok(None);
    };
    let work = read.work;
    let lost = |reason| {
        let plan = plan::lost_payload(event, &work.headers, reason, work.offered_at_ms());
        Ok(Some(Followed::Lost(Box::new(plan))))
    };
    let Some(url) = event.url.as_deref().filter(|url| !url.is_empty()) else {
        return lost(ParkReason::NoUrl);
    };
    if expired(work, event.expires_in_s, now) {
        return lost(ParkReason::PayloadExpired);
    }
    match app.payloads.fetch(url, within).await {
        Ok(body) => match work.payload(&read.id, body.into()) {
            Some(payload) => Ok(Some(Followed::Payload(Box::new(payload)))),
            None => lost(ParkReason::NoUrl),
        },
        Err(FetchError::NotAllowed { .. }) => lost(ParkReason::HostNotAllowed),
        Err(FetchError::Refused { .. }) => lost(ParkReason::PayloadExpired),
        Err(FetchError::TooLarge { .. }) => lost(ParkReason::PayloadTooLarge),
        Err(error) => Err(RouteError::Payload(Arc::new(error))),
    }
}

/// The URL's time runs from when Terra signed the ping; without a signature, from receipt.
fn expired(work: &Work, expires_in_s: Option<u64>, now: Timestamp) -> bool {
    let lasts_ms = expires_in_s
        .and_then(|seconds| i64::try_from(seconds).ok())
        .map(|seconds| seconds.saturating_mul(1000));
    let over = |lasts_ms| now.as_millisecond() > work.offered_at_ms().saturating_add(lasts_ms);
    lasts_ms.is_some_and(over)
}
