//! `terrarium replay`: archived webhooks through today's code.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use event_router::{Listed, Replayed};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use runtime::metrics::Sink;
use store::{
    archive::{ArchivedWebhook, WebhookHeader},
    table::records::Mode,
};
use terra_client::{PayloadFetcher, PayloadSettings};

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

/// The router that replays what a command names.
pub(super) fn router(access: &Access) -> anyhow::Result<event_router::App> {
    let payloads = PayloadFetcher::new(PayloadSettings::default())
        .context("cannot make the client that fetches payloads")?;
    Ok(event_router::App {
        table: access.table.clone(),
        archive: access.archive.clone(),
        payloads,
        history: None,
        announcer: None,
        terra_queue_arn: None,
        metrics: Sink::Nowhere,
        observer: None,
    })
}

async fn replay(access: &Access, args: &ReplayArgs) -> anyhow::Result<()> {
    let app = router(access)?;
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Write
    };
    let mut totals = Totals::default();
    let named = archived::named(access, args.webhook.as_deref(), args.day, &args.at).await?;
    if let Some(webhook) = named {
        totals.add(&webhook, &event_router::replay(&app, &webhook, mode).await?);
        return totals.print(mode);
    }

    let wanted = Wanted::new(access, args).await?;
    let (first, last) = days(args)?;
    let segments = archived::segments(access, first, last).await?;
    let bar = send::progress(segments.len());
    // The newest first: what an older version read wrongly out of a newer delivery no longer hides
    // what an older delivery has, when that one's turn comes.
    for segment in segments.into_iter().rev() {
        let webhooks = access.archive.webhooks_in(&segment.key).await?;
        for (locator, header) in webhooks.into_iter().rev() {
            if !wanted.matches(&header) {
                continue;
            }
            if header.erased_at.is_some() {
                totals.erased += 1;
                continue;
            }
            let webhook = access.archive.read_webhook(&locator).await?;
            totals.add(&webhook, &event_router::replay(&app, &webhook, mode).await?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    totals.print(mode)
}

/// Choice of webhooks within the days.
struct Wanted {
    terra_user_ids: Option<BTreeSet<String>>,
    event_type: Option<String>,
}

impl Wanted {
    async fn new(access: &Access, args: &ReplayArgs) -> anyhow::Result<Self> {
        let terra_user_ids = match &args.connection {
            Some(id) => {
                let members = access.connection(id).await?.state.members;
                Some(members.keys().map(ToString::to_string).collect())
            }
            None => None,
        };
        Ok(Self {
            terra_user_ids,
            event_type: args.event_type.clone(),
        })
    }

    fn matches(&self, header: &WebhookHeader) -> bool {
        let of_user = self
            .terra_user_ids
            .as_ref()
            .is_none_or(|ids| header.terra_user_ids.iter().any(|id| ids.contains(id)));
        let of_type =
            self.event_type.is_none() || self.event_type.as_deref() == header.event_type.as_deref();
        of_user && of_type
    }
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

/// Counts of a replay, by event type.
#[derive(Default)]
struct Totals {
    by_type: BTreeMap<String, Row>,
    erased: usize,
    /// Webhooks put on the list of parked ones, and taken off it.
    listed: usize,
    unlisted: usize,
}

#[derive(Default)]
struct Row {
    webhooks: usize,
    created: usize,
    updated: usize,
    unchanged: usize,
    connections: usize,
    parked: usize,
}

impl Row {
    fn changes(&self) -> usize {
        self.created + self.updated + self.connections
    }

    fn cells(&self, name: &str) -> [String; 7] {
        let Self {
            webhooks,
            created,
            updated,
            unchanged,
            connections,
            parked,
        } = self;
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
}

impl Totals {
    fn add(&mut self, webhook: &ArchivedWebhook, replayed: &Replayed) {
        let applied = &replayed.applied;
        match replayed.listed {
            Listed::Added => self.listed += 1,
            Listed::Removed => self.unlisted += 1,
            Listed::No | Listed::Stays => {}
        }
        let name = webhook.header.event_type.as_deref().unwrap_or("unreadable");
        let row = self.by_type.entry(name.to_owned()).or_default();
        row.webhooks += 1;
        row.created += applied.records.created;
        row.updated += applied.records.updated;
        row.unchanged += applied.records.unchanged;
        row.connections += usize::from(applied.connection_changed);
        row.parked += applied.parked.len();
    }

    fn print(&self, mode: Mode) -> anyhow::Result<()> {
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
        let mut sum = Row::default();
        for (name, row) in &self.by_type {
            table.add_row(row.cells(name));
            sum.webhooks += row.webhooks;
            sum.created += row.created;
            sum.updated += row.updated;
            sum.unchanged += row.unchanged;
            sum.connections += row.connections;
            sum.parked += row.parked;
        }
        if self.by_type.len() > 1 {
            table.add_row(sum.cells("all"));
        }
        if !self.by_type.is_empty() {
            output::line(table)?;
        }
        let webhooks = text::count(sum.webhooks, "webhook");
        let erased = match self.erased {
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
        if self.listed + self.unlisted > 0 {
            let unlisted = text::count(self.unlisted, "webhook");
            output::line(format!(
                "list of parked webhooks: {unlisted} off it, {} on it",
                self.listed
            ))?;
        }
        Ok(())
    }
}
