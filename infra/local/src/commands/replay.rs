//! `terrarium replay`: archived webhooks through today's code.

use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use routing::{Choice, Counts, Progress, Totals, Ways};
use store::table::records::Mode;

use super::{
    access::{self, Access, now},
    archived, destinations, send,
};
use crate::{cli::ReplayArgs, output, text};

const DEFAULT_DAYS_BACK: i64 = 90;

pub(super) async fn run(args: ReplayArgs) -> anyhow::Result<()> {
    access::with(&args.place, async |access| {
        let since_ms = now().as_millisecond();
        replay(access, &args).await?;
        if !args.dry_run {
            destinations::order_written_since(access, since_ms).await?;
        }
        Ok(())
    })
    .await
}

async fn replay(access: &Access, args: &ReplayArgs) -> anyhow::Result<()> {
    let ways = Ways::table_only(&access.table);
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Write
    };
    let named = archived::named(access, args.webhook.as_deref(), args.day, &args.at).await?;
    if let Some(webhook) = named {
        let mut totals = Totals::default();
        totals.add(&webhook, &routing::replay(ways, &webhook, mode).await?);
        return print(&totals, mode);
    }

    let choice = choice(access, args).await?;
    let days = days(args)?;
    let mut progress = Progress::default();
    let mut bar = None;
    let watch = |progress: &Progress| {
        bar.get_or_insert_with(|| send::progress(progress.of))
            .inc(1);
        true
    };
    let archive = &access.archive;
    routing::replay_range(ways, archive, days, &choice, mode, &mut progress, watch).await?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    print(&progress.totals, mode)
}

async fn choice(access: &Access, args: &ReplayArgs) -> anyhow::Result<Choice> {
    let terra_user_ids = match &args.connection {
        Some(id) => {
            let members = access.connection(id).await?.state.members;
            Some(members.keys().map(ToString::to_string).collect())
        }
        None => None,
    };
    Ok(Choice {
        terra_user_ids,
        event_type: args.event_type.clone(),
        ..Choice::default()
    })
}

fn days(args: &ReplayArgs) -> anyhow::Result<(Date, Date)> {
    if let Some(day) = args.day {
        return Ok((day, day));
    }
    let today = now().to_zoned(TimeZone::UTC).date();
    let last = args.to.unwrap_or(today);
    let first = args
        .from
        .unwrap_or(today.saturating_sub(DEFAULT_DAYS_BACK.days()));
    if first > last {
        let text = format!("--from {first} is after --to {last}");
        return Err(crate::failure::input(text));
    }
    Ok((first, last))
}

fn cells(name: &str, counts: Counts) -> [String; 7] {
    let Counts {
        webhooks,
        created,
        updated,
        unchanged,
        connections,
        parked,
    } = counts;
    [
        name.to_owned(),
        webhooks.to_string(),
        created.to_string(),
        updated.to_string(),
        unchanged.to_string(),
        connections.to_string(),
        parked.to_string(),
    ]
}

fn print(totals: &Totals, mode: Mode) -> anyhow::Result<()> {
    let header = [
        "type",
        "webhooks",
        "created",
        "updated",
        "unchanged",
        "connections",
        "parked",
    ];
    let mut table = output::table(header);
    for (name, counts) in &totals.by_type {
        table.add_row(cells(name, *counts));
    }
    let sum = totals.sum();
    if totals.by_type.len() > 1 {
        table.add_row(cells("all", sum));
    }
    if !totals.by_type.is_empty() {
        output::line(table)?;
    }
    let webhooks = text::count(sum.webhooks, "webhook");
    let erased = match totals.erased {
        0 => String::new(),
        erased => format!("; {erased} erased ones passed over"),
    };
    let changes = text::count(sum.changes(), "change");
    output::line(match (mode, sum.changes()) {
        (Mode::DryRun, 0) => format!("{webhooks}, nothing would change{erased}"),
        (Mode::Write, 0) => format!("{webhooks}, nothing changed{erased}"),
        (Mode::DryRun, _) => format!("{webhooks}, {changes} would be made{erased}"),
        (Mode::Write, _) => format!("{webhooks}, {changes} made{erased}"),
    })?;
    if totals.listed + totals.unlisted > 0 {
        let unlisted = text::count(totals.unlisted, "webhook");
        output::line(format!(
            "list of parked webhooks: {unlisted} off it, {} on it",
            totals.listed
        ))?;
    }
    Ok(())
}
