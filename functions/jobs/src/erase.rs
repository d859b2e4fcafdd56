//! The erasure of a person.

use store::table::jobs::{Job, JobState};

use crate::{
    config::{App, Budget},
    error::JobError,
    step::Next,
};

/// Goes on with an erasure.
pub(crate) async fn go_on(app: &App, job: Job, _budget: Budget) -> Result<Next, JobError> {
    // Nobody can order one yet: `terrarium erase` does all of it by itself.
    let fail = |job: &mut Job| {
        job.state = JobState::Failed;
        job.error = Some("this version erases by the command alone".to_owned());
    };
    app.table.change_job(&job.id, fail).await?;
    Ok(Next::Done)
}
