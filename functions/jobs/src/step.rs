//! Result of a stretch of a job.

use std::time::Duration;

use store::table::jobs::{Job, JobState};

use crate::{config::App, error::JobError};

/// State of a job after a stretch of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left to do. The job's item says so.
    Done,
    /// The job goes on after this time. Its item says where.
    Again(Duration),
    /// Somebody else is at work on the job.
    Elsewhere,
}

/// Marks a job as one that nobody can do.
pub(crate) async fn fail(app: &App, job: &Job, why: &'static str) -> Result<Next, JobError> {
    let change = move |job: &mut Job| {
        job.state = JobState::Failed;
        job.error = Some(why.to_owned());
    };
    app.table.change_job(&job.id, change).await?;
    Ok(Next::Done)
}
