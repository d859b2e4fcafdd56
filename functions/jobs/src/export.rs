//! The export of a person.

#[cfg(feature = "export")]
use std::{convert::Infallible, time::Duration};

#[cfg(feature = "export")]
use export::Progress;
#[cfg(feature = "export")]
use runtime::telemetry::Chain;
use store::table::jobs::Job;
#[cfg(feature = "export")]
use store::{
    archive::ArchiveError,
    exports::ExportKey,
    table::jobs::{ExportDetail, ExportRun},
};
#[cfg(feature = "export")]
use tokio::sync::watch;
#[cfg(feature = "export")]
use tracing::warn;

use crate::{
    config::{App, Budget},
    error::JobError,
    step::{Next, fail},
};

/// Deletes a file whose job is gone: its person was erased while it was written.
#[cfg(feature = "export")]
async fn delete_unwanted(app: &App, key: &ExportKey, job: Option<Job>) -> Result<(), JobError> {
    if job.is_none() {
        app.exports.delete(key).await?;
    }
    Ok(())
}

/// Takes an export for one stretch of work, for as long as its invocation lasts. Returns `None` while another has it: a
/// message may come twice.
#[cfg(feature = "export")]
async fn take(app: &App, id: &str, budget: Budget) -> Result<Option<String>, JobError> {
    let now_ms = app.now_ms();
    let left_ms = i64::try_from(budget.left().as_millis()).unwrap_or(i64::MAX);
    let run = ExportRun::new(now_ms.saturating_add(left_ms));
    let change = |job: &mut Job| {
        let detail = serde_json::from_value::<Option<ExportDetail>>(job.detail.clone());
        let Ok(mut detail) = detail.map(Option::unwrap_or_default) else {
            return;
        };
        let is_free = detail.run.as_ref().is_none_or(|run| run.until_ms <= now_ms);
        if job.state.is_open() && is_free {
            detail.run = Some(run.clone());
            job.detail = serde_json::to_value(detail).unwrap_or_default();
        }
    };
    let changed = app.table.change_job(id, change).await?;
    Ok(changed
        .and_then(|job| run_of(&job))
        .filter(|it| *it == run)
        .map(|run| run.id))
}

/// Lets go of an export, unless another has it by now.
#[cfg(feature = "export")]
async fn let_go(app: &App, id: &str, run: &str) -> Result<(), JobError> {
    let change = |job: &mut Job| {
        if run_of(job).is_some_and(|it| it.id == run)
            && let Some(detail) = job.detail.as_object_mut()
        {
            detail.remove("run");
        }
    };
    app.table.change_job(id, change).await?;
    Ok(())
}

#[cfg(feature = "export")]
fn run_of(job: &Job) -> Option<ExportRun> {
    let detail = serde_json::from_value::<Option<ExportDetail>>(job.detail.clone());
    detail.ok().flatten()?.run
}

/// Time between two notes of an export's progress.
#[cfg(feature = "export")]
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// Latest progress of an export that is being written.
#[cfg(feature = "export")]
type Latest = Option<Progress>;

/// Sets the progress that the item of an export tells.
#[cfg(feature = "export")]
fn set_progress(job: &mut Job, latest: Latest) {
    if let Some(latest) = latest {
        job.done = u64::try_from(latest.done).unwrap_or_default();
        job.of = u64::try_from(latest.all).ok();
    }
}

/// Notes the progress of an export now and then, for as long as it is written.
#[cfg(feature = "export")]
async fn note_progress(app: &App, id: &str, mut latest: watch::Receiver<Latest>) -> Infallible {
    while latest.changed().await.is_ok() {
        let reached = *latest.borrow_and_update();
        let change = move |job: &mut Job| {
            if job.state.is_open() {
                set_progress(job, reached);
            }
        };
        if let Err(error) = app.table.change_job(id, change).await {
            warn!(error = %Chain(&error), "the progress of an export was not noted");
        }
        tokio::time::sleep(NOTED_EVERY).await;
    }
    std::future::pending().await
}

/// Says that this program makes no exports.
#[cfg(not(feature = "export"))]
pub(crate) async fn go_on(app: &App, job: Job, _budget: Budget) -> Result<Next, JobError> {
    fail(
        app,
        &job,
        "this build makes no exports: it lacks the feature `export`",
    )
    .await
}

/// Goes on with an export for as long as the time suffices.
#[cfg(feature = "export")]
pub(crate) async fn go_on(app: &App, job: Job, budget: Budget) -> Result<Next, JobError> {
    let id = job.id.clone();
    let Some(run) = take(app, &id, budget).await? else {
        return Ok(Next::Elsewhere);
    };
    let next = write(app, job, budget).await;
    if !matches!(next, Ok(Next::Done)) {
        let_go(app, &id, &run).await?;
    }
    next
}

/// Writes an export that nobody else writes.
#[cfg(feature = "export")]
async fn write(app: &App, job: Job, budget: Budget) -> Result<Next, JobError> {
    use export::{End, ExportError, Order, Period, Reader};
    use store::table::jobs::{JobState, Subject};

    /// Seconds for which the bucket keeps an export.
    const KEPT_S: i64 = 7 * 86_400;

    let Ok(detail) = serde_json::from_value::<Option<ExportDetail>>(job.detail.clone()) else {
        return Err(JobError::Unreadable);
    };
    let detail = detail.unwrap_or_default();
    let Some(Subject::Person(person)) = job.subject.clone() else {
        return fail(app, &job, "an export is one of a person").await;
    };
    let key = ExportDetail::key(&job).map_err(|_| JobError::Unreadable)?;
    let period = Period {
        from: detail.from,
        to: detail.to,
    };
    let order = Order {
        person,
        period,
        parts: detail.parts(),
    };
    let reader = Reader {
        table: &app.table,
        archive: &app.archive,
    };
    let place = app.exports.open(&key).await?;
    let (latest, told) = watch::channel(None);
    let mut watch = |progress: Progress| {
        latest.send_replace(Some(progress));
        !budget.is_over()
    };
    let writing = export::write(reader, &order, place, (app.clock)(), &mut watch);
    let written = tokio::select! {
        written = writing => written,
        never = note_progress(app, &job.id, told) => match never {},
    };
    let last = *latest.borrow();
    let report = match written {
        Ok(End::Done(report)) => report,
        Ok(End::Interrupted) => {
            let change = move |job: &mut Job| set_progress(job, last);
            let changed = app.table.change_job(&job.id, change).await?;
            delete_unwanted(app, &key, changed).await?;
            return Ok(Next::Again(Duration::ZERO));
        }
        Err(ExportError::Nothing) => {
            app.exports.delete(&key).await?;
            return fail(app, &job, "there is nothing of this person").await;
        }
        // What was written is gone: all of it once more.
        Err(ExportError::Archive(ArchiveError::UploadEnded { .. })) => {
            app.exports.delete(&key).await?;
            return Ok(Next::Again(Duration::ZERO));
        }
        Err(error) => return Err(error.into()),
    };
    let detail = ExportDetail {
        run: None,
        records: Some(report.records),
        size_bytes: Some(report.size_bytes),
        left_out: Some(report.left_out),
        ..detail
    };
    let detail = serde_json::to_value(detail).map_err(|_| JobError::Unreadable)?;
    let expires_at_s = app.now_ms().div_euclid(1000).saturating_add(KEPT_S);
    let change = move |job: &mut Job| {
        job.state = JobState::Done;
        set_progress(job, last);
        // The last word came before the last entries.
        let all = job.of.unwrap_or(job.done);
        (job.done, job.of) = (all, Some(all));
        job.detail.clone_from(&detail);
        job.error = None;
        job.expires_at_s = Some(expires_at_s);
    };
    delete_unwanted(app, &key, app.table.change_job(&job.id, change).await?).await?;
    Ok(Next::Done)
}
