//! Orders of long work: an item in the table, and a message so that somebody begins at once.

use std::time::Duration;

use domain::message::{JobKind, JobMessage};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use runtime::{problem::Fault, telemetry::Chain};
use serde::Serialize;
use serde_json::Value;
use store::table::jobs::{Job, JobPlace, Subject};
use tracing::warn;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::Paging,
    schema::{Page, answer},
};

/// Time for which a link to an export is valid.
pub(super) const LINK_VALID: Duration = Duration::from_mins(15);

answer! {
    /// Progress of long work.
    pub(crate) struct JobProgress {
        /// Parts that are done.
        done: u64,
        /// Parts in all; null while they are not counted.
        of: Option<u64>,
    }
}

impl JobProgress {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            done: job.done,
            of: job.of,
        }
    }
}

/// Id of the job that a call orders.
pub(super) fn id_of_order(call: &Call) -> String {
    call.origin.ulid("job").to_string()
}

/// Orders a job, or finds the one that an earlier try of the call ordered.
pub(super) async fn order(
    call: &Call,
    kind: JobKind,
    subject: Option<Subject>,
    detail: Value,
) -> Result<Job, Failure> {
    let (id, at_ms) = (id_of_order(call), call.origin.at_ms);
    let mut job = Job::new(id, kind, subject, call.caller.name(), at_ms);
    job.detail = detail;
    if !call.app.table.add_job(&job).await? {
        return Ok(call.app.table.job(&job.id).await?.unwrap_or(job));
    }
    if let Some(queue) = &call.app.jobs
        && let Err(error) = queue.send(&JobMessage::first(kind, &job.id)).await
    {
        // The next look for jobs finds it.
        warn!(error = %Chain(&error), "a job waits for the next look");
    }
    Ok(job)
}

/// Jobs of a kind, newest first.
pub(super) async fn list<T: Serialize>(
    call: &Call,
    kind: JobKind,
    shown: fn(&Job) -> T,
) -> Result<Answer, Failure> {
    let mut query = call.query();
    let paging: Paging<JobPlace> = query.paging();
    query.done()?;
    let one_more = paging.limit.saturating_add(1);
    let found = call
        .app
        .table
        .jobs_page(kind, paging.after.as_ref(), one_more);
    let mut found = found.await?;
    let more = found.len() > paging.limit;
    found.truncate(paging.limit);
    let last = found.last().filter(|_| more).map(JobPlace::of);
    Ok(Answer::json(&Page {
        data: found.iter().map(shown).collect(),
        next_cursor: paging.cursor(last.as_ref()),
    }))
}

/// The job of this kind in the path.
pub(super) async fn find(
    call: &Call,
    kind: JobKind,
    missing: &'static str,
) -> Result<Job, Failure> {
    let found = call.app.table.job(&call.placed("id")?).await?;
    found
        .filter(|job| job.kind == kind)
        .ok_or_else(|| Failure::not_found(missing))
}

/// A fault of a member of the body.
pub(super) fn fault(name: &str, detail: impl Into<String>) -> Fault {
    Fault {
        place: "body",
        name: name.to_owned(),
        detail: detail.into(),
    }
}

/// Reads a date in a body.
pub(super) fn date(name: &str, text: Option<&str>, faults: &mut Vec<Fault>) -> Option<Date> {
    let parsed = text?.parse().ok();
    if parsed.is_none() {
        faults.push(fault(name, "is not a date like 2026-11-20"));
    }
    parsed
}

/// Reads a moment in a body.
pub(super) fn instant(
    name: &str,
    text: Option<&str>,
    faults: &mut Vec<Fault>,
) -> Option<Timestamp> {
    let parsed = text?.parse().ok();
    if parsed.is_none() {
        faults.push(fault(name, "is not a moment like 2026-11-20T06:41:00Z"));
    }
    parsed
}

/// The day of a moment, in UTC.
pub(super) fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
