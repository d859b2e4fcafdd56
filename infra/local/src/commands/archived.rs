//! Archived webhooks that a command names: by id, by place, by record or by day.
//!
//! The ledger knows where a webhook lies for 90 days. After that the headers in the segments say it.

use domain::locator::Locator;
use futures::TryStreamExt as _;
use jiff::{ToSpan as _, civil::Date};
use store::archive::{ArchiveError, ArchivedWebhook, ListedSegment, SegmentKey, WebhookHeader};

use super::access::Access;
use crate::{cli::ArchivePlace, failure};

/// Reads the webhook that is named; `None` when no single one is.
///
/// A webhook is archived when it is routed, a moment after it came. Around midnight that is the next
/// day, so that an id is looked for on both.
pub(super) async fn named(
    access: &Access,
    id: Option<&str>,
    day: Option<Date>,
    place: &ArchivePlace,
) -> anyhow::Result<Option<ArchivedWebhook>> {
    let locator = match (id, day) {
        (Some(id), Some(day)) => on_day(access, id, day).await?,
        (Some(id), None) => {
            let entry = access.webhook(id).await?;
            entry.locator.ok_or_else(|| {
                failure::not_found(format!("nothing of webhook {id} was archived"))
            })?
        }
        (None, _) => match (&place.locator, place.record.as_deref()) {
            (Some(locator), _) => around(access, locator).await?,
            (None, Some([owner, data_type, key])) => {
                let (_, found) = access.record(owner, data_type, key).await?;
                around(access, &found.record.newest.payload.locator).await?
            }
            (None, _) => return Ok(None),
        },
    };
    read(access, &locator).await.map(Some)
}

/// Reads the webhook at a place.
pub(super) async fn read(access: &Access, locator: &Locator) -> anyhow::Result<ArchivedWebhook> {
    let read = access.archive.read_webhook(locator).await;
    read.map_err(|error| missing(error, locator))
}

/// An error of the archive, as a person reads it.
fn missing(error: ArchiveError, what: impl std::fmt::Display) -> anyhow::Error {
    match error {
        ArchiveError::Erased { .. } => {
            failure::not_found(format!("the webhook at {what} was erased on purpose"))
        }
        ArchiveError::NotFound { .. } => {
            failure::not_found(format!("{what} is no longer in the archive"))
        }
        error => error.into(),
    }
}

/// The whole webhook around a place: of a record, or of the webhook itself.
async fn around(access: &Access, place: &Locator) -> anyhow::Result<Locator> {
    let key: SegmentKey = place
        .segment
        .parse()
        .map_err(|error| failure::input(format!("{place} is no place of the archive: {error}")))?;
    let webhooks = access.archive.webhooks_in(&key).await;
    let webhooks = webhooks.map_err(|error| missing(error, place))?;
    let end = |locator: &Locator| locator.offset_bytes.saturating_add(locator.length_bytes);
    let mut holders = webhooks.into_iter().map(|(whole, _)| whole);
    holders
        .find(|whole| whole.offset_bytes <= place.offset_bytes && end(place) <= end(whole))
        .ok_or_else(|| failure::not_found(format!("no webhook lies at {place}")))
}

/// The place of a webhook that came on a day.
async fn on_day(access: &Access, id: &str, day: Date) -> anyhow::Result<Locator> {
    let mut found = None;
    for segment in segments(access, day, day.saturating_add(1.day())).await? {
        for (locator, header) in access.archive.webhooks_in(&segment.key).await? {
            if header.webhook_id != id {
                continue;
            }
            // A second copy, of a router that was killed, may have been erased by itself.
            if header.erased_at.is_none() {
                return Ok(locator);
            }
            found = Some(locator);
        }
    }
    found.ok_or_else(|| {
        failure::not_found(format!(
            "no webhook {id} was archived on {day} or the day after: `terrarium archive list --day \
             {day}` shows what was"
        ))
    })
}

/// Lists the webhooks of a day in the archive, in the order of writing. A body that came compressed is
/// listed once.
pub(super) async fn of_day(
    access: &Access,
    day: Date,
) -> anyhow::Result<Vec<(Locator, WebhookHeader)>> {
    let mut webhooks = Vec::new();
    for segment in segments(access, day, day).await? {
        let found = access.archive.webhooks_in(&segment.key).await?;
        webhooks.extend(
            found
                .into_iter()
                .filter(|(_, header)| !models::ids::WebhookId::is_sent(&header.webhook_id)),
        );
    }
    Ok(webhooks)
}

/// The segments of some days.
pub(super) async fn segments(
    access: &Access,
    first: Date,
    last: Date,
) -> anyhow::Result<Vec<ListedSegment>> {
    Ok(access.archive.segments(first, last).try_collect().await?)
}
