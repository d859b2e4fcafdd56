//! The export of a person.

#[cfg(feature = "export")]
use store::exports::ExportKey;
use store::table::jobs::Job;

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
    use std::time::Duration;

    use export::{End, ExportError, Order, Period, Progress, Reader};
    use store::table::jobs::{ExportDetail, JobState, Subject};

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
    let order = Order { person, period };
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
        Err(error) => return Err(error.into()),
    };
    let detail = ExportDetail {
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
