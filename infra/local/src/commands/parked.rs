//! `terrarium parked`: webhooks that could not be used.

use jiff::civil::Date;
use models::ids::WebhookId;
use routing::{Listed, Replayed, Ways};
use serde::Serialize;
use store::{
    archive::ArchiveError,
    table::{ledger::Outcome, parked::ParkedWebhook, records::Mode},
};

use super::{
    access::{self, Access, now},
    destinations,
};
use crate::{
    cli::{ParkedArgs, ParkedCommand, WhichParked},
    failure, output, text,
};

pub(super) async fn run(args: ParkedArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| match &args.what {
        ParkedCommand::List { limit, json } => list(access, None, *limit, *json).await,
        ParkedCommand::Replay {
            which,
            dry_run,
            json,
        } => {
            let mode = if *dry_run { Mode::DryRun } else { Mode::Write };
            let since_ms = now().as_millisecond();
            replay_all(access, which, mode, *json).await?;
            if mode == Mode::Write {
                destinations::order_written_since(access, since_ms).await?;
            }
            Ok(())
        }
        ParkedCommand::Dismiss { which, json } => dismiss(access, which, *json).await,
    })
    .await
}

/// Lists the parked webhooks, of one day or of all.
pub(super) async fn list(
    access: &Access,
    day: Option<Date>,
    limit: usize,
    as_json: bool,
) -> anyhow::Result<()> {
    let parked = match day {
        Some(day) => {
            let day = day.to_string();
            access.table.parked_webhooks_of_day(&day, limit).await?
        }
        None => access.table.parked_webhooks(limit).await?,
    };
    if as_json {
        return output::json(&parked);
    }
    if parked.is_empty() {
        let of_day = day.map(|day| format!(" of {day}")).unwrap_or_default();
        return output::line(format!("no webhook{of_day} is parked"));
    }
    let mut table = output::table([
        "received (UTC)",
        "provider",
        "type",
        "why",
        "size",
        "webhook",
    ]);
    for webhook in &parked {
        let provider = webhook.provider.as_ref().map(ToString::to_string);
        table.add_row([
            text::date_time(webhook.received_at_ms),
            provider.unwrap_or_else(|| "-".to_owned()),
            webhook.event_type.clone(),
            reasons(webhook),
            text::size(webhook.size_bytes),
            webhook.webhook_id.to_string(),
        ]);
    }
    output::line(table)
}

/// The first reason, and how many parts of the webhook there are besides.
fn reasons(webhook: &ParkedWebhook) -> String {
    let first = webhook.parked.first();
    let first = first.map_or_else(|| "-".to_owned(), |parked| parked.reason.to_string());
    match webhook.parked_count {
        0 | 1 => first,
        count => format!("{first}, and {} more", count - 1),
    }
}

async fn chosen(access: &Access, which: &WhichParked) -> anyhow::Result<Vec<ParkedWebhook>> {
    if which.all {
        return Ok(access.table.parked_webhooks(usize::MAX).await?);
    }
    let mut webhooks = Vec::new();
    for id in &which.ids {
        let missing = || {
            failure::not_found(format!(
                "no webhook {id} is parked: `terrarium parked list` shows those that are"
            ))
        };
        let known = WebhookId::new(id).ok_or_else(missing)?;
        let webhook = access.table.parked(&known).await?.ok_or_else(missing)?;
        webhooks.push(webhook);
    }
    Ok(webhooks)
}

/// Result of replaying one parked webhook.
#[derive(Debug, Serialize)]
struct Tried {
    webhook_id: WebhookId,
    /// True if the webhook left the list, or would leave it.
    done: bool,
    created: usize,
    updated: usize,
    unchanged: usize,
    still: String,
}

async fn replay_all(
    access: &Access,
    which: &WhichParked,
    mode: Mode,
    as_json: bool,
) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for webhook in chosen(access, which).await? {
        results.push(replay_one(access, webhook, mode).await?);
    }
    if as_json {
        return output::json(&results);
    }
    let mut table = output::table(["webhook", "created", "updated", "unchanged", "result"]);
    let mut done = 0;
    for result in &results {
        done += usize::from(result.done);
        table.add_row([
            result.webhook_id.to_string(),
            result.created.to_string(),
            result.updated.to_string(),
            result.unchanged.to_string(),
            result.still.clone(),
        ]);
    }
    if !results.is_empty() {
        output::line(table)?;
    }
    let (webhooks, left) = (text::count(results.len(), "webhook"), results.len() - done);
    output::line(match mode {
        Mode::Write => format!("{webhooks} replayed, {left} still parked"),
        Mode::DryRun => format!("{webhooks} tried, {left} would still be parked"),
    })
}

async fn replay_one(access: &Access, webhook: ParkedWebhook, mode: Mode) -> anyhow::Result<Tried> {
    let mut result = Tried {
        webhook_id: webhook.webhook_id.clone(),
        done: false,
        created: 0,
        updated: 0,
        unchanged: 0,
        still: "still parked: nothing of it was archived".to_owned(),
    };
    let Some(locator) = &webhook.locator else {
        return Ok(result);
    };
    let archived = match access.archive.read_webhook(locator).await {
        Ok(archived) => archived,
        Err(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => {
            "still parked: it is no longer in the archive".clone_into(&mut result.still);
            return Ok(result);
        }
        Err(error) => return Err(error.into()),
    };
    let Replayed { applied, listed } =
        routing::replay(Ways::table_only(&access.table), &archived, mode).await?;
    result.created = applied.records.created;
    result.updated = applied.records.updated;
    result.unchanged = applied.records.unchanged;
    if applied.outcome == Outcome::Followed {
        "still parked: a ping's payload cannot be fetched again".clone_into(&mut result.still);
        return Ok(result);
    }
    if let Some(first) = applied.parked.first() {
        result.still = format!("still parked: {}", first.reason);
        return Ok(result);
    }
    result.done = listed == Listed::Removed;
    applied.outcome.as_str().clone_into(&mut result.still);
    Ok(result)
}

async fn dismiss(access: &Access, which: &WhichParked, as_json: bool) -> anyhow::Result<()> {
    let webhooks = chosen(access, which).await?;
    for webhook in &webhooks {
        access.table.dismiss(&webhook.webhook_id).await?;
    }
    if as_json {
        let ids: Vec<_> = webhooks.iter().map(|webhook| &webhook.webhook_id).collect();
        return output::json(&ids);
    }
    let webhooks = text::count(webhooks.len(), "webhook");
    output::line(format!(
        "{webhooks} dismissed; the archive keeps what Terra sent"
    ))
}
