//! The export of a person.

use store::table::jobs::Job;
#[cfg(feature = "export")]
use store::{
    archive::ArchiveError,
    exports::ExportKey,
    table::jobs::{ExportDetail, ExportRun},
};

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
    use std::time::Duration;

    use export::{End, ExportError, Order, Period, Progress, Reader};
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
    let mut last = None;
    let mut watch = |progress: Progress| {
        last = Some(progress);
        !budget.is_over()
    };
    let written = export::write(reader, &order, place, (app.clock)(), &mut watch).await;
    let report = match written {
        Ok(End::Done(report)) => report,
        Ok(End::Interrupted) => {
            let count = |number: usize| u64::try_from(number).unwrap_or_default();
            let done = last.map_or(0, |last| count(last.done));
            let of = last.map(|last| count(last.all));
            let change = move |job: &mut Job| {
                job.done = done;
                job.of = of;
            };
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
        job.detail.clone_from(&detail);
        job.error = None;
        job.expires_at_s = Some(expires_at_s);
    };
    delete_unwanted(app, &key, app.table.change_job(&job.id, change).await?).await?;
    Ok(Next::Done)
}
