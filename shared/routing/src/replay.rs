//! Archived webhooks through today's code.

use std::future;

use domain::{plan::Plan, record::Payload};
use futures::{TryFutureExt as _, try_join};
use jiff::Timestamp;
use models::{headers::TerraHeaders, ids::WebhookId};
use store::{
    archive::{ArchivedWebhook, WebhookHeader},
    table::{
        connections::SeenAliases,
        ledger::Outcome,
        parked::{Listing, ParkedWebhook},
        records::Mode,
    },
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    announce::announce,
    applied::Applied,
    apply::{MAX_INLINE_BYTES, apply},
    error::RouteError,
    ways::Ways,
    work::{Read, Work},
};

/// Change that a replay makes in the list of parked webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// The webhook is not on the list, as before.
    No,
    /// The webhook is on the list, as before.
    Stays,
    /// Today's code could not use the webhook: it was put on the list.
    Added,
    /// Nothing of the webhook is parked any more: it was taken off the list.
    Removed,
}

/// Result of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Result of applying today's plan.
    pub applied: Applied,
    /// Change in the list of parked webhooks.
    pub listed: Listed,
}

impl Replayed {
    /// A replay that had nothing to do, because another webhook in the archive has the content.
    fn elsewhere() -> Self {
        Self {
            applied: Applied::nothing(Outcome::Followed),
            listed: Listed::No,
        }
    }
}

/// Routes an archived webhook again, or tells what that would change.
///
/// The archive stays as it is and so does the ledger: the webhook came once. The list of parked
/// webhooks follows. A webhook that an operator dismissed is not put back on the list.
///
/// # Errors
///
/// [`RouteError`] when the table does not answer, or the webhook cannot be identified.
pub async fn replay(
    ways: Ways<'_>,
    webhook: &ArchivedWebhook,
    mode: Mode,
) -> Result<Replayed, RouteError> {
    let header = &webhook.header;
    let Some(work) = work_of(webhook)? else {
        return Ok(Replayed::elsewhere());
    };
    let read = Read::new(&work);
    // The payload of a ping was archived as a webhook of its own.
    if read.ping().is_some() {
        return Ok(Replayed::elsewhere());
    }
    let payload_of = |range: &std::ops::Range<usize>| {
        let frame = webhook
            .frames
            .iter()
            .find(|frame| frame.body_range == *range)?;
        let small = frame.locator.length_bytes <= MAX_INLINE_BYTES;
        Some(Payload {
            locator: frame.locator.clone(),
            size_bytes: range.len() as u64,
            inline: small.then(|| frame.bytes.to_vec()),
        })
    };
    let plan = read.plan();
    let archived = future::ready(Ok(payload_of));
    let aliases = SeenAliases::new();
    // Boxed: inside the futures of a command it would be too large for the stack.
    let applying = Box::pin(async {
        let applied = apply(ways, &read, plan, archived, &aliases, mode).await;
        let applied = applied.or_else(Applied::parked_by)?;
        // A replay through newer code may change what was announced a moment ago.
        let run = format!("replayed {}", rand::random::<u64>());
        announce(ways, &read, &applied.told, None, &run).await?;
        Ok(applied)
    });
    let listing = ways.table.listing(&work.id).map_err(RouteError::from);
    let (applied, listing) = try_join!(applying, listing)?;
    let locator = Some(webhook.locator.clone());
    let entry = read.entry(applied.clone(), locator, received_at(header));
    let parked = ParkedWebhook::of_entry(&entry, header.secret_name.as_deref());
    let listed = relist(ways, parked, listing, applied.outcome, mode).await?;
    Ok(Replayed { applied, listed })
}

/// An archived webhook as it was routed. `None` for the sent form of a compressed body, whose text was archived as the
/// webhook itself.
fn work_of(webhook: &ArchivedWebhook) -> Result<Option<Work>, RouteError> {
    let header = &webhook.header;
    if WebhookId::is_sent(&header.webhook_id) {
        return Ok(None);
    }
    let headers = header
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    Ok(Some(Work {
        id: WebhookId::new(&header.webhook_id).ok_or(RouteError::Unidentified)?,
        headers: TerraHeaders::from_pairs(headers),
        received_at_ms: received_at(header).as_millisecond(),
        signed_at_s: header.signed_at_s,
        secret_name: header.secret_name.clone(),
        late: false,
        body_hash: xxh3_64(&webhook.body),
        body: webhook.body.clone(),
        sent: None,
    }))
}

fn received_at(header: &WebhookHeader) -> Timestamp {
    header.received_at.parse().unwrap_or_default()
}

/// Plans an archived webhook with today's code. The plan is empty where another webhook in the archive has the content.
///
/// # Errors
///
/// [`RouteError::Unidentified`] when the webhook cannot be identified.
pub fn plan_of(webhook: &ArchivedWebhook) -> Result<Plan, RouteError> {
    let Some(work) = work_of(webhook)? else {
        return Ok(Plan::default());
    };
    let read = Read::new(&work);
    if read.ping().is_some() {
        return Ok(Plan::default());
    }
    Ok(read.plan())
}

/// Brings the list of parked webhooks up to date with the outcome of a replay.
async fn relist(
    ways: Ways<'_>,
    parked: ParkedWebhook,
    listing: Listing,
    outcome: Outcome,
    mode: Mode,
) -> Result<Listed, RouteError> {
    let writes = mode == Mode::Write;
    Ok(match (listing, outcome == Outcome::Parked) {
        (Listing::Unlisted, true) => {
            if writes {
                ways.table.park(&parked).await?;
            }
            Listed::Added
        }
        (Listing::Listed(before), true) => {
            if writes && *before != parked {
                ways.table.park(&parked).await?;
            }
            Listed::Stays
        }
        (Listing::Listed(_), false) => {
            if writes {
                ways.table.unpark(&parked.webhook_id).await?;
            }
            Listed::Removed
        }
        (Listing::Dismissed, _) | (Listing::Unlisted, false) => Listed::No,
    })
}
