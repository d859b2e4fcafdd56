//! The export of a person.

use store::table::jobs::{Job, JobState};

use crate::{
    config::{App, Budget},
    error::JobError,
    step::Next,
};

/// Goes on with an export.
pub(crate) async fn go_on(app: &App, job: Job, _budget: Budget) -> Result<Next, JobError> {
    // Nobody can order one yet: an item of this kind was written by newer code.
    let fail = |job: &mut Job| {
        job.state = JobState::Failed;
        job.error = Some("this version makes no exports".to_owned());
    };
    app.table.change_job(&job.id, fail).await?;
    Ok(Next::Done)
}
