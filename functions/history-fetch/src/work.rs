//! What is due, one after the other, until nothing is or the time is over.

use std::{collections::BTreeMap, time::Duration};

use domain::history::window::{BackfillId, WindowId, WorkerId};
use futures::{StreamExt as _, future::BoxFuture, stream};
use jiff::SignedDuration;
use runtime::telemetry::Chain;
use store::table::history::Due;
use tracing::warn;

use crate::{
    config::App,
    done,
    error::HistoryError,
    handler::Deadline,
    pace::{self, Allowance, Line},
    window,
};

/// What is looked at in one go.
const BATCH: usize = 64;
/// Backfills worked on at once. One worker asks for the windows of one backfill one after the other, so
/// that it does not ask a person's provider for several things at once; another worker may.
const CONCURRENT_BACKFILLS: usize = 8;
/// Nothing new is begun so shortly before the end: the longest that one window takes.
pub(crate) const LAST_START: SignedDuration = SignedDuration::from_secs(100);

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Windows asked for.
    pub windows: usize,
    /// Looks that changed something, windows among them.
    pub steps: usize,
    /// The account's limit is reached for so long; more is due.
    pub paused: Option<Duration>,
}

/// Works on what is due until nothing is, or until `until` is near.
///
/// # Errors
///
/// When everything fails, or Terra refuses the credentials. What failed alone is logged and stays
/// due.
pub async fn work(app: &App, worker: &str, until: Deadline) -> Result<Worked, HistoryError> {
    let worker = WorkerId(worker.to_owned());
    let mut all = Worked::default();
    while (app.clock)() + LAST_START < until {
        let due = app.table.due(app.now_ms(), BATCH).await?;
        if due.is_empty() {
            break;
        }
        let windows = due.iter().filter(|due| matches!(due, Due::Window(_)));
        let windows = u32::try_from(windows.count()).unwrap_or(u32::MAX);
        let allowance = pace::allowance(app, windows).await?;
        let (count, mut by_backfill) = (due.len(), BTreeMap::<BackfillId, Vec<Due>>::new());
        for due in due {
            let id = match &due {
                Due::Window(WindowId { backfill, .. }) | Due::Backfill(backfill) => backfill,
            };
            by_backfill.entry(id.clone()).or_default().push(due);
        }
        let mut groups: Vec<BoxFuture<'_, _>> = Vec::with_capacity(by_backfill.len());
        for group in by_backfill.into_values() {
            groups.push(Box::pin(work_on(app, &worker, group, &allowance, until)));
        }
        let results: Vec<_> = stream::iter(groups)
            .buffer_unordered(CONCURRENT_BACKFILLS)
            .concat()
            .await;
        pace::give_back(app, allowance).await?;

        let (mut round, mut failed) = (Worked::default(), 0);
        for result in results {
            match result {
                Ok(Step::Paused(wait)) => round.paused = round.paused.max(Some(wait)),
                Ok(step) => {
                    round.windows += usize::from(step == Step::Asked);
                    round.steps += usize::from(step != Step::Nothing);
                }
                Err(HistoryError::Credentials) => return Err(HistoryError::Credentials),
                Err(error) => {
                    failed += 1;
                    warn!(error = %Chain(&error), "history work goes back");
                }
            }
        }
        all.windows += round.windows;
        all.steps += round.steps;
        if failed > 0 && failed == count {
            let what = "pieces of history work";
            return Err(HistoryError::Some {
                what,
                failed,
                all: count,
            });
        }
        all.paused = round.paused;
        // What the list still names has been taken by others, or is being put off.
        if round.steps == 0 || round.paused.is_some() {
            break;
        }
    }
    Ok(all)
}

/// What became of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Terra was asked.
    Asked,
    /// Something was noted.
    Noted,
    /// Somebody else has it.
    Nothing,
    /// Nobody can be asked for anything for so long.
    Paused(Duration),
}

async fn work_on(
    app: &App,
    worker: &WorkerId,
    group: Vec<Due>,
    allowance: &Allowance,
    until: Deadline,
) -> Vec<Result<Step, HistoryError>> {
    let mut results = Vec::with_capacity(group.len());
    // Anew in each round: whoever's turn has come tries the bucket before others are put off.
    let mut line = Line::default();
    for due in group {
        if (app.clock)() + LAST_START >= until {
            break;
        }
        let result = match due {
            Due::Window(id) => window::work(app, worker, &id, allowance, &mut line).await,
            Due::Backfill(id) => done::look(app, &id).await,
        };
        let stop = matches!(result, Err(HistoryError::Credentials) | Ok(Step::Paused(_)));
        results.push(result);
        if stop {
            break;
        }
    }
    results
}
