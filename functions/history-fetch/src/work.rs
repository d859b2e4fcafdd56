//! Work on due windows and backfills, until nothing is due or the time is over.

use std::{collections::BTreeMap, time::Duration};

use domain::history::window::{BackfillId, WindowId, WorkerId};
use futures::{StreamExt as _, future::BoxFuture, stream};
use jiff::SignedDuration;
use rand::seq::SliceRandom as _;
use runtime::telemetry::Chain;
use store::table::history::Due;
use tracing::warn;

use crate::{
    cache::BackfillCache,
    config::{App, Deadline},
    done,
    error::HistoryError,
    pace::{self, Allowance},
    step::Step,
    window,
};

/// Number of due items that are read in one go.
const BATCH: usize = 64;
/// Backfills worked on at once. One worker asks for the windows of one backfill one after the other, so
/// that it does not ask a person's provider for several things at once; it leaves a backfill at which it
/// meets another worker.
const CONCURRENT_BACKFILLS: usize = 8;
/// Windows of a backfill that are read at once: few enough that most are still so when their turn comes.
const READ_AT_ONCE: usize = 16;
/// Nothing new is begun so shortly before the end: the longest that one window takes.
pub(crate) const LAST_START: SignedDuration = SignedDuration::from_secs(100);

/// Counts of a round of work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Windows asked for.
    pub windows: usize,
    /// Steps that changed something, windows among them.
    pub steps: usize,
    /// Pause until the account may make calls again, if more is due.
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
        let mut by_backfill = BTreeMap::<BackfillId, Group>::new();
        for due in due {
            match due {
                Due::Window(id) => {
                    let group = by_backfill.entry(id.backfill.clone()).or_default();
                    group.windows.push(id);
                }
                Due::Backfill(id) => by_backfill.entry(id).or_default().check = true,
            }
        }
        let mut groups: Vec<BoxFuture<'_, _>> = Vec::with_capacity(by_backfill.len());
        for (id, group) in by_backfill {
            groups.push(Box::pin(work_on(
                app, &worker, id, group, &allowance, until,
            )));
        }
        // Workers that read the same list begin at different places.
        groups.shuffle(&mut rand::rng());
        let results: Vec<_> = stream::iter(groups)
            .buffer_unordered(CONCURRENT_BACKFILLS)
            .concat()
            .await;
        pace::give_back(app, allowance).await?;

        let (mut round, mut failed, count) = (Worked::default(), 0, results.len());
        for result in results {
            match result {
                Ok(Step::Paused(wait)) => round.paused = round.paused.max(Some(wait)),
                Ok(step) => {
                    round.windows += usize::from(step == Step::Asked);
                    round.steps += usize::from(step != Step::Unchanged);
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
        // The windows still listed have been taken by others, or are being put off.
        if round.steps == 0 || round.paused.is_some() {
            break;
        }
    }
    Ok(all)
}

/// Due items of one backfill.
#[derive(Debug, Default)]
struct Group {
    windows: Vec<WindowId>,
    /// True if the backfill itself is due.
    check: bool,
}

async fn work_on(
    app: &App,
    worker: &WorkerId,
    backfill: BackfillId,
    due: Group,
    allowance: &Allowance,
    until: Deadline,
) -> Vec<Result<Step, HistoryError>> {
    let mut results = Vec::with_capacity(due.windows.len() + 1);
    let in_time = || (app.clock)() + LAST_START < until;
    // Anew in each round: whoever's turn has come tries the bucket before others are put off.
    let mut cache = BackfillCache::default();
    'windows: for ids in due.windows.chunks(READ_AT_ONCE) {
        if !in_time() {
            return results;
        }
        let held = match app.table.load_windows(ids).await {
            Ok(held) => held,
            Err(error) => {
                results.push(Err(error.into()));
                return results;
            }
        };
        for mut held in held {
            if !in_time() {
                return results;
            }
            let step = window::work(app, worker, &mut held, allowance, &mut cache).await;
            let paused = matches!(step, Ok(Step::Paused(_)));
            let refused = matches!(step, Err(HistoryError::Credentials));
            results.push(step);
            if refused {
                return results;
            }
            // Two workers on one backfill would compete for the same windows.
            if paused || held.is_with_another(worker, app.now_ms()) {
                break 'windows;
            }
        }
    }
    if due.check && in_time() {
        results.push(done::close(app, &backfill).await);
    }
    results
}
