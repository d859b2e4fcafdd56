//! Destinations as tables and as JSON. No secret is ever read for that but by its name.

use std::collections::BTreeMap;

use destinations::kind::{Finding, Verdict};
use domain::delivery::{
    Changed, Destination, Status,
    order::{Order, Purpose},
};
use jiff::tz::TimeZone;
use models::data::DataType;
use serde_json::{Value, json};
use store::table::{deliveries::Owed, destinations::Health};

use super::{find, vault};
use crate::{
    cli::AttemptsArgs,
    commands::access::{Access, now},
    output, text,
};

/// State of a destination in one word, and since when.
fn state(destination: &Destination, health: &Health, now_ms: i64) -> &'static str {
    match destination.status {
        Status::Active if health.breaker.is_suspended(now_ms) => "suspended",
        Status::Active if health.breaker.probe_at_ms.is_some() => "failing",
        status => status.as_str(),
    }
}

pub(super) async fn list(access: &Access, as_json: bool) -> anyhow::Result<()> {
    let destinations = access.table.destinations().await?;
    let now_ms = now().as_millisecond();
    let mut rows = Vec::new();
    for destination in destinations {
        let health = access.table.health(&destination.id).await?;
        rows.push((destination, health));
    }
    if as_json {
        let all: Vec<_> = rows
            .iter()
            .map(|(destination, health)| {
                json!({
                    "id": destination.id, "name": destination.name, "kind": destination.kind,
                    "state": state(destination, health, now_ms),
                    "owing_since_ms": health.owing.values().min(),
                    "delivered_at_ms": health.delivered_at_ms,
                    "fault": health.breaker.fault,
                })
            })
            .collect();
        return output::json(&all);
    }
    if rows.is_empty() {
        return output::line(
            "there is no destination: `terrarium destinations add` makes one, `terrarium destinations \
             listen` shows one at work",
        );
    }
    let mut table = output::table([
        "name",
        "kind",
        "state",
        "owes since",
        "last delivery (UTC)",
        "id",
    ]);
    for (destination, health) in &rows {
        let time = |at_ms: Option<i64>| at_ms.map_or_else(|| "-".to_owned(), text::date_time);
        table.add_row([
            destination.name.clone(),
            destination.kind.clone(),
            state(destination, health, now_ms).to_owned(),
            time(health.owing.values().min().copied()),
            time(health.delivered_at_ms),
            destination.id.to_string(),
        ]);
    }
    output::line(table)
}

pub(super) async fn show(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let destination = find(access, id).await?;
    let health = access.table.health(&destination.id).await?;
    let orders = access.table.orders(&destination.id).await?;
    let erasures = access.table.erasures(&destination.id).await?;
    let secrets = vault(access)?.read(&destination.id).await?;
    let mut owed = 0;
    for shard in 0..destination.concurrency {
        owed += access
            .table
            .owed(&destination.id, shard, usize::MAX)
            .await?
            .len();
    }
    let failed = access
        .table
        .failed(&destination.id, None, usize::MAX)
        .await?
        .len();
    let now_ms = now().as_millisecond();
    if as_json {
        return output::json(&json!({
            "destination": destination,
            "state": state(&destination, &health, now_ms),
            "secrets": secrets.names(),
            "owed": owed, "failed": failed,
            "health": health, "orders": orders, "erasures": erasures,
        }));
    }
    let list = |names: Vec<String>| {
        if names.is_empty() {
            "all".to_owned()
        } else {
            names.join(", ")
        }
    };
    let subscription = &destination.subscription;
    let types = subscription
        .data_types
        .iter()
        .map(ToString::to_string)
        .collect();
    let providers = subscription
        .providers
        .iter()
        .map(ToString::to_string)
        .collect();
    let config: Vec<_> = destination
        .config
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            value => format!("{name}={value}"),
        })
        .collect();
    let given: Vec<_> = orders.iter().map(order_lines).collect();
    output::line(output::facts([
        ("id", destination.id.to_string()),
        ("name", destination.name.clone()),
        ("kind", destination.kind.clone()),
        ("state", state(&destination, &health, now_ms).to_owned()),
        ("settings", config.join("\n")),
        ("secrets that are set", secrets.names().join(", ")),
        ("types", list(types)),
        ("providers", list(providers)),
        ("shards", destination.concurrency.to_string()),
        ("owed", owed.to_string()),
        ("refused for good", failed.to_string()),
        (
            "last failure",
            health
                .breaker
                .fault
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
        ),
        (
            "next try",
            health
                .breaker
                .probe_at_ms
                .map_or_else(|| "-".to_owned(), text::date_time),
        ),
        ("known of it", health.findings.join("\n")),
        ("orders", given.join("\n")),
        (
            "erasures",
            format!(
                "{} done, {} open",
                erasures.iter().filter(|erasure| erasure.is_done).count(),
                erasures.iter().filter(|erasure| !erasure.is_done).count()
            ),
        ),
    ]))
}

/// Differences that are shown of a check.
const SHOWN: usize = 20;

/// An order in one line, and the first differences that a check found, each in its own.
fn order_lines(order: &Order) -> String {
    let mut lines = vec![order_line(order)];
    lines.extend(order.differences.iter().take(SHOWN).map(|found| {
        let what = found.data_type.map_or("connection", DataType::as_str);
        let (kind, owner) = (found.kind.as_str(), &found.owner);
        format!("  {kind}: {what} {} of {owner}", found.record_id)
    }));
    if order.difference_count > SHOWN as u64 {
        lines.push("  …; --json lists more".to_owned());
    }
    lines.join("\n")
}

/// An order in one line.
fn order_line(order: &Order) -> String {
    let what = match order.purpose {
        Purpose::Redrive { .. } => "redrive",
        Purpose::Backfill => "backfill",
        Purpose::Check { .. } => "check",
    };
    let state = match (order.done_at_ms, order.begun) {
        (Some(at_ms), _) => format!("done {}", text::date_time(at_ms)),
        (None, true) => "under way".to_owned(),
        (None, false) => "waits".to_owned(),
    };
    let found = match order.difference_count {
        0 => String::new(),
        count => format!(
            ", {}",
            text::count(usize::try_from(count).unwrap_or(usize::MAX), "difference")
        ),
    };
    let fault = order.fault.as_ref();
    let fault = fault.map_or_else(String::new, |fault| format!(", broken off: {fault}"));
    format!(
        "{} {what}: {state}, {} records{found}{fault}",
        order.id, order.records
    )
}

pub(super) fn findings(findings: &[Finding]) -> anyhow::Result<()> {
    let mut table = output::table(["step", "", "took", "finding"]);
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Passed => "ok",
            Verdict::Warning => "!",
            Verdict::Failed => "FAILED",
        };
        let missing = finding.missing.as_ref();
        let missing = missing.map_or_else(String::new, |what| format!("\nmissing: {what}"));
        table.add_row([
            finding.step.to_owned(),
            verdict.to_owned(),
            format!("{} ms", finding.took.as_millis()),
            format!("{}{missing}", finding.text),
        ]);
    }
    output::line(table)
}

pub(super) async fn attempts(access: &Access, args: &AttemptsArgs) -> anyhow::Result<()> {
    let destination = find(access, &args.id).await?;
    let day = args
        .day
        .unwrap_or_else(|| now().to_zoned(TimeZone::UTC).date());
    let day = day.to_string();
    let one_more = args.limit.saturating_add(1);
    let mut attempts = access
        .table
        .attempts(&destination.id, &day, None, one_more)
        .await?;
    let more = attempts.len() > args.limit;
    attempts.truncate(args.limit);
    if args.json {
        return output::json(&attempts);
    }
    if attempts.is_empty() {
        return output::line(format!("no attempt is kept of {day} (UTC)"));
    }
    let mut table = output::table(["at (UTC)", "type", "attempt", "outcome", "took", "record"]);
    for attempt in attempts {
        let fault = attempt
            .fault
            .map_or_else(String::new, |fault| format!(": {fault}"));
        table.add_row([
            text::date_time(attempt.at_ms),
            attempt
                .data_type
                .map_or_else(|| "-".to_owned(), |it| it.to_string()),
            attempt.attempt.to_string(),
            format!("{}{fault}", attempt.outcome),
            format!("{} ms", attempt.took_ms),
            attempt.record_id,
        ]);
    }
    output::line(table)?;
    if more {
        output::line("there are older ones: `--limit` shows more")?;
    }
    Ok(())
}

pub(super) async fn failed(access: &Access, id: &str, as_json: bool) -> anyhow::Result<()> {
    let destination = find(access, id).await?;
    let failed = access
        .table
        .failed(&destination.id, None, usize::MAX)
        .await?;
    if as_json {
        return output::json(&failed);
    }
    if failed.is_empty() {
        return output::line("nothing was refused for good");
    }
    let mut table = output::table(["what", "refused", "first (UTC)", "why"]);
    for owed in &failed {
        table.add_row([
            subject(owed),
            text::count(owed.refusals as usize, "time"),
            text::date_time(owed.first_failed_at_ms),
            owed.fault.clone().unwrap_or_default(),
        ]);
    }
    output::line(table)?;
    output::line(format!(
        "`terrarium destinations redrive {} --failed` tries them again",
        destination.id
    ))
}

fn subject(owed: &Owed) -> String {
    match &owed.changed {
        Changed::Record { data_type, key, .. } => format!("{data_type} {key}"),
        Changed::Connection { id, .. } => format!("connection {id}"),
        Changed::Webhook { webhook_id, .. } => format!("webhook {webhook_id}"),
    }
}

/// Counts by data type as a table.
pub(super) fn counts(counts: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let mut table = output::table(["type", "records"]);
    for (data_type, count) in counts {
        table.add_row([data_type.clone(), count.to_string()]);
    }
    output::line(table)
}
