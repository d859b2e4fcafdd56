//! `terrarium backfill status`: how far it is.

use std::{pin::pin, time::Duration};

use domain::history::{
    month::Month,
    window::{BackfillId, State},
};
use futures::TryStreamExt as _;
use models::data::DataType;
use runtime::telemetry::Chain;
use serde_json::{Value, json};

use super::{
    bars::{self, Standing},
    span_json,
};
use crate::{
    cli::{Place, StatusArgs},
    commands::{
        access::{self, Access, now},
        connections, person, show,
    },
    failure, output, text,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks in a row that may fail while a system restarts.
const MAX_FAILED_LOOKS: u32 = 30;

pub(super) async fn run(place: &Place, args: &StatusArgs) -> anyhow::Result<()> {
    let id = args.id.as_deref().map(super::id).transpose()?;
    if args.watch {
        return watch(place, args, id.as_ref()).await;
    }
    access::with(place, async |access| {
        let ids = ids(access, args, id.as_ref()).await?;
        let standing = standing(access, &ids).await?;
        if args.json {
            return output::json(&standing.iter().map(json_of).collect::<Vec<_>>());
        }
        output::line(text_of(&standing, output::is_terminal()))
    })
    .await
}

/// The backfills that are meant.
async fn ids(
    access: &Access,
    args: &StatusArgs,
    id: Option<&BackfillId>,
) -> anyhow::Result<Vec<BackfillId>> {
    let table = &access.table;
    if let Some(id) = id {
        let known = table.backfill(id).await?;
        return known.map_or_else(|| Err(super::no_such(id)), |known| Ok(vec![known.plan.id]));
    }
    let mut ids = Vec::new();
    if let Some(reference_id) = &args.reference_id {
        for connection in person::connections(access, reference_id, None).await? {
            ids.extend(table.backfills_of(&connection.id).await?);
        }
        return Ok(ids);
    }
    let mut connections = pin!(connections::all(table));
    while let Some(connection) = connections.try_next().await? {
        for id in table.backfills_of(&connection.id).await? {
            let known = table.backfill(&id).await?;
            ids.extend(known.filter(|known| known.done.is_none()).map(|_| id));
        }
    }
    Ok(ids)
}

/// Reads the backfills and their progress, the newest first.
async fn standing(access: &Access, ids: &[BackfillId]) -> anyhow::Result<Vec<Standing>> {
    let mut standing = Vec::new();
    for id in ids {
        let Some(backfill) = access.table.backfill(id).await? else {
            continue;
        };
        let windows = access.table.windows(id, None).await?;
        let connection = access.table.connection(&backfill.plan.connection).await?;
        standing.push(Standing {
            provider: connection.map_or_else(|| "-".to_owned(), |it| show::provider(&it)),
            backfill,
            windows,
        });
    }
    standing.sort_by_key(|it| std::cmp::Reverse(it.backfill.plan.planned_at_ms));
    Ok(standing)
}

fn text_of(standing: &[Standing], colored: bool) -> String {
    if standing.is_empty() {
        return "no backfills".to_owned();
    }
    let now_ms = now().as_millisecond();
    let all = standing
        .iter()
        .map(|it| it.lines(now_ms, colored).join("\n"));
    let mut all: Vec<_> = all.collect();
    all.push(bars::LEGEND.to_owned());
    all.join("\n\n")
}

/// Follows backfills until all are done. The system may restart meanwhile, and then be elsewhere.
async fn watch(place: &Place, args: &StatusArgs, id: Option<&BackfillId>) -> anyhow::Result<()> {
    let mut access = open_at_work(place).await?;
    let ids = ids(&access, args, id).await?;
    let mut told = Vec::new();
    let mut failed = 0;
    loop {
        match standing(&access, &ids).await {
            Ok(standing) => {
                failed = 0;
                print_changes(&standing, &mut told)?;
                if standing.iter().all(Standing::is_done) {
                    return Ok(());
                }
            }
            Err(error) => {
                failed += 1;
                if failed > MAX_FAILED_LOOKS {
                    return Err(error);
                }
                output::note(&format!("{}; looking again", Chain(error.as_ref())));
                if let Ok(again) = open_at_work(place).await {
                    access = again;
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Opens a place, if it is on AWS or its system runs. Nothing moves in another folder, and holding the
/// folder would keep others from working.
async fn open_at_work(place: &Place) -> anyhow::Result<Access> {
    let access = Access::open(place).await?;
    if access.is_at_work() {
        return Ok(access);
    }
    access.close().await;
    Err(failure::input(
        "no terrarium runs in this folder, so there is nothing to watch: start `terrarium dev`, or \
         leave --watch out",
    ))
}

/// The whole picture on a terminal, else one line for each backfill that has moved.
fn print_changes(standing: &[Standing], told: &mut Vec<String>) -> anyhow::Result<()> {
    if output::is_terminal() {
        return output::redraw(&text_of(standing, true));
    }
    let summaries: Vec<_> = standing.iter().map(Standing::summary).collect();
    let at = text::time(now().as_millisecond());
    for summary in summaries.iter().filter(|summary| !told.contains(summary)) {
        output::line(format!("{at}  {summary}"))?;
    }
    *told = summaries;
    Ok(())
}

fn json_of(standing: &Standing) -> Value {
    let backfill = &standing.backfill;
    let progress = standing.progress();
    let months = progress.by_month.iter();
    let months: Vec<_> = months
        .map(|((data_type, month), totals): (&(DataType, Month), _)| {
            json!({"type": data_type, "month": month, "totals": totals})
        })
        .collect();
    let ended = standing.windows.iter().filter_map(|window| {
        let (state, reason) = match window.state() {
            State::Failed { reason, .. } => ("failed", json!(reason)),
            State::Skipped { reason, .. } => ("skipped", json!(reason)),
            _ => return None,
        };
        Some(json!({
            "type": window.id().data_type,
            "days": span_json(window.span()),
            "state": state,
            "reason": reason,
            "asked": window.asked(),
        }))
    });
    json!({
        "backfill_id": backfill.plan.id,
        "connection_id": backfill.plan.connection,
        "provider": standing.provider,
        "kind": backfill.plan.kind,
        "state": standing.state(),
        "planned_at_ms": backfill.plan.planned_at_ms,
        "done_at_ms": backfill.done.as_ref().map(|done| done.at_ms),
        "totals": progress.totals,
        "months": months,
        "stopped_before": backfill.stopped_before,
        "not_answered": ended.collect::<Vec<_>>(),
    })
}
