//! The replay of archived webhooks.

use std::time::Duration;

use jiff::civil::Date;
use routing::{Choice, ReplayDetail, Ways, Which, order_written_since, replay, replay_range};
use store::{
    archive::ArchiveError,
    table::{
        jobs::{Job, JobState},
        records::Mode,
    },
};
use tokio::time::Instant;

use crate::{
    config::{App, Budget},
    error::JobError,
    step::{Next, fail},
};

/// Time after which progress is noted, for those who watch and for whoever goes on.
const NOTED_EVERY: Duration = Duration::from_secs(30);
/// Seconds for which the item of a replay that is done is kept.
const KEPT_S: i64 = 30 * 86_400;

/// Goes on with a replay for as long as the time suffices.
pub(crate) async fn go_on(app: &App, job: Job, budget: Budget) -> Result<Next, JobError> {
    let Ok(mut detail) = serde_json::from_value::<ReplayDetail>(job.detail.clone()) else {
        return Err(JobError::Unreadable);
    };
    let done = match detail.which.clone() {
        Which::One(webhook_id) => {
            let mut found = app.table.webhooks([&webhook_id]).await?;
            let locator = found.remove(&webhook_id).and_then(|entry| entry.locator);
            let Some(locator) = locator else {
                return fail(app, &job, "nothing of the webhook was archived").await;
            };
            let webhook = match app.archive.read_webhook(&locator).await {
                Ok(webhook) => webhook,
                Err(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => {
                    return fail(app, &job, "the archive does not have the webhook any more").await;
                }
                Err(error) => return Err(error.into()),
            };
            let replayed = replay(ways(app), &webhook, mode(&detail)).await?;
            detail.progress.totals = routing::Totals::default();
            detail.progress.totals.add(&webhook, &replayed);
            true
        }
        Which::Range {
            first,
            last,
            since_ms,
            until_ms,
            connection,
            event_type,
        } => {
            let terra_user_ids = match &connection {
                Some(connection) => {
                    let users = routing::users_of(&app.table, connection).await?;
                    let Some(users) = users else {
                        return fail(app, &job, "the connection is not there any more").await;
                    };
                    Some(users)
                }
                None => None,
            };
            let choice = Choice {
                since_ms,
                until_ms,
                terra_user_ids,
                event_type,
            };
            walk(app, &job, &mut detail, (first, last), &choice, budget).await?
        }
    };
    if !done {
        return Ok(Next::Again(Duration::ZERO));
    }
    let now_ms = app.now_ms();
    if !detail.dry_run {
        order_written_since(&app.table, &job.id, job.ordered_at_ms, now_ms).await?;
    }
    let expires_at_s = now_ms.div_euclid(1000).saturating_add(KEPT_S);
    note(app, &job.id, &detail, Some(expires_at_s)).await?;
    Ok(Next::Done)
}

fn ways(app: &App) -> Ways<'_> {
    Ways::table_only(&app.table)
}

fn mode(detail: &ReplayDetail) -> Mode {
    if detail.dry_run {
        Mode::DryRun
    } else {
        Mode::Write
    }
}

/// Goes through some days. Returns whether all of them are done.
async fn walk(
    app: &App,
    job: &Job,
    detail: &mut ReplayDetail,
    days: (Date, Date),
    choice: &Choice,
    budget: Budget,
) -> Result<bool, JobError> {
    let mode = mode(detail);
    loop {
        let until = Instant::now() + NOTED_EVERY;
        let go_on = |_: &_| Instant::now() < until && !budget.is_over();
        let (progress, archive) = (&mut detail.progress, &app.archive);
        let done = replay_range(ways(app), archive, days, choice, mode, progress, go_on).await;
        // Progress before a fault counts.
        note(app, &job.id, detail, None).await?;
        if done? {
            return Ok(true);
        }
        if budget.is_over() {
            return Ok(false);
        }
    }
}

/// Notes how far the replay is, and that it is done.
async fn note(
    app: &App,
    id: &str,
    detail: &ReplayDetail,
    expires_at_s: Option<i64>,
) -> Result<(), JobError> {
    let count = |number: usize| u64::try_from(number).unwrap_or_default();
    let (done, of) = (count(detail.progress.done), count(detail.progress.of));
    let detail = serde_json::to_value(detail).map_err(|_| JobError::Unreadable)?;
    let change = move |job: &mut Job| {
        job.detail.clone_from(&detail);
        job.done = done;
        job.of = Some(of);
        if expires_at_s.is_some() {
            job.state = JobState::Done;
            job.error = None;
            job.expires_at_s = expires_at_s;
        }
    };
    app.table.change_job(id, change).await?;
    Ok(())
}
