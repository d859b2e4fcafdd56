//! The export of a person.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use store::{
    archive::InvalidKey,
    exports::ExportKey,
    table::jobs::{Job, JobState},
};

use crate::{
    config::{App, Budget},
    error::JobError,
    step::Next,
};

/// Part of an export's item that is its own: the order, and the result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportDetail {
    /// First day; all where there is none.
    pub from: Option<Date>,
    /// Last day, included.
    pub to: Option<Date>,
    /// Records in the finished export.
    pub records: Option<usize>,
    /// Length of the finished export. Unit: bytes.
    pub size_bytes: Option<u64>,
    /// Records and files that are not in it; its manifest says why.
    pub left_out: Option<usize>,
}

impl ExportDetail {
    /// The key of a job's export.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] when the job's id is no name of a file.
    pub fn key(job: &Job) -> Result<ExportKey, InvalidKey> {
        let ordered_at = Timestamp::from_millisecond(job.ordered_at_ms).unwrap_or_default();
        ExportKey::new(ordered_at, &job.id)
    }
}

/// Marks a job as one that nobody can do.
async fn fail(app: &App, job: &Job, why: &'static str) -> Result<Next, JobError> {
    let change = move |job: &mut Job| {
        job.state = JobState::Failed;
        job.error = Some(why.to_owned());
    };
    app.table.change_job(&job.id, change).await?;
    Ok(Next::Done)
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
    use store::table::jobs::Subject;

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
            app.table.change_job(&job.id, change).await?;
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
    app.table.change_job(&job.id, change).await?;
    Ok(Next::Done)
}
