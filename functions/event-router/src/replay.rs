//! Archived webhooks through today's code.

use std::future;

use domain::record::Payload;
use models::{headers::TerraHeaders, ids::WebhookId};
use store::{
    archive::ArchivedWebhook,
    table::{connections::SeenAliases, ledger::Outcome, records::Mode},
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    applied::Applied,
    apply::{MAX_INLINE_BYTES, apply},
    config::App,
    error::RouteError,
    work::{Read, Work},
};

/// Routes an archived webhook again, or tells what that would change.
///
/// The archive stays as it is and so does the ledger: the webhook came once.
///
/// # Errors
///
/// [`RouteError`] when the table does not answer, or the webhook cannot be identified.
pub async fn replay(
    app: &App,
    webhook: &ArchivedWebhook,
    mode: Mode,
) -> Result<Applied, RouteError> {
    let header = &webhook.header;
    // The text of a compressed body was archived as the webhook itself.
    if WebhookId::is_sent(&header.webhook_id) {
        return Ok(Applied::nothing(Outcome::Followed));
    }
    let received_at = header
        .received_at
        .parse::<jiff::Timestamp>()
        .unwrap_or_default();
    let headers = header
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let id = WebhookId::new(&header.webhook_id).ok_or(RouteError::Unidentified)?;
    let work = Work {
        id,
        headers: TerraHeaders::from_pairs(headers),
        received_at_ms: received_at.as_millisecond(),
        signed_at_s: header.signed_at_s,
        secret_name: header.secret_name.clone(),
        late: false,
        body_hash: xxh3_64(&webhook.body),
        body: webhook.body.clone(),
        sent: None,
    };
    let read = Read::new(&work);
    // The payload of a ping was archived as a webhook of its own.
    if read.ping().is_some() {
        return Ok(Applied::nothing(Outcome::Followed));
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
    apply(app, &read, plan, archived, &SeenAliases::new(), mode).await
}
