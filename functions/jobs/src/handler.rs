//! Batches of the jobs queue.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::message::{JobKind, JobMessage, MAX_STEPS};
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use runtime::{
    batch::{self, Received},
    telemetry::Chain,
};
use store::{
    archive::Stretch,
    table::jobs::{Job, JobState},
};
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::{
    config::{App, Budget},
    erase,
    error::JobError,
    export, replay,
    step::Next,
};

/// Time that is left for the answer to Lambda.
const TO_ANSWER: Duration = Duration::from_secs(2);
/// Time in which nobody else takes up a job that is at work: longer than an invocation. Unit: milliseconds.
const HELD_MS: i64 = 20 * 60 * 1000;
/// Jobs that one look queues.
const JOBS_PER_LOOK: usize = 100;

/// Does the jobs of a batch, one after the other. `within` is the time that is left of the invocation.
/// Messages that failed are in the response and come back.
pub async fn handle(app: &App, event: SqsEvent, within: Duration) -> SqsBatchResponse {
    let until = Instant::now() + within.saturating_sub(TO_ANSWER);
    batch::run(event, 1, |received: Received<JobMessage>| async move {
        // Boxed: the SDK's futures are deeper than the compiler lays out in one.
        let work: BoxFuture<'_, Result<(), JobError>> =
            Box::pin(run(app, received.message, Budget::until(until)));
        let done = timeout_at(until, work).await;
        done.unwrap_or(Err(JobError::TooSlow))
    })
    .await
}

/// Handles one message.
///
/// # Errors
///
/// [`JobError`]: the message may come again, wherever it ended.
pub async fn run(app: &App, message: JobMessage, budget: Budget) -> Result<(), JobError> {
    if message.step() > MAX_STEPS {
        return Err(JobError::Endless);
    }
    match message {
        JobMessage::Work => look(app).await,
        JobMessage::Run { kind, id, step } => {
            let wait = go_on(app, &id, budget).await?;
            if let (Some(wait), Some(jobs)) = (wait, &app.jobs) {
                let step = step.saturating_add(1);
                let next = JobMessage::Run { kind, id, step };
                jobs.send_after(&next, wait).await?;
            }
            Ok(())
        }
    }
}

/// Queues the jobs that are due and that nobody is at work on.
async fn look(app: &App) -> Result<(), JobError> {
    let now_ms = app.now_ms();
    let due = app.table.jobs_due(now_ms, JOBS_PER_LOOK).await?;
    let messages = due.iter().map(|job| JobMessage::first(job.kind, &job.id));
    let messages: Vec<_> = messages.collect();
    let Some(jobs) = &app.jobs else {
        return Ok(());
    };
    jobs.send_batch(&messages).await?;
    for job in due {
        hold(app, &job.id, HELD_MS).await?;
    }
    index(app).await
}

/// Brings the index of the archive up to date for today, yesterday and the last month.
async fn index(app: &App) -> Result<(), JobError> {
    let now = (app.clock)();
    let today = now.to_zoned(TimeZone::UTC).date();
    let days = today.yesterday().into_iter().chain([today]);
    let key = app.archive.person_key().await?;
    for day in days {
        app.archive.index(&key, Stretch::Day(day), now).await?;
    }
    if let Ok(last_month) = today.first_of_month().yesterday() {
        let stretch = Stretch::Month(last_month);
        app.archive.index(&key, stretch, now).await?;
    }
    Ok(())
}

/// Goes on with a job for as long as the time suffices. Returns the wait until it has to go on again, or
/// `None` when there is nothing left to do.
///
/// # Errors
///
/// [`JobError`]: the job has noted the error, and may go on.
pub async fn go_on(app: &App, id: &str, budget: Budget) -> Result<Option<Duration>, JobError> {
    let Some(job) = app.table.job(id).await? else {
        return Ok(None);
    };
    if !job.state.is_open() {
        return Ok(None);
    }
    hold(app, id, HELD_MS).await?;
    let kind = job.kind;
    let work: BoxFuture<'_, Result<Next, JobError>> = match kind {
        JobKind::Erase => Box::pin(erase::go_on(app, job, budget)),
        JobKind::Export => Box::pin(export::go_on(app, job, budget)),
        JobKind::Replay => Box::pin(replay::go_on(app, job, budget)),
    };
    match work.await {
        Ok(Next::Done) => {
            info!(job = id, kind = kind.as_str(), "a job is done");
            Ok(None)
        }
        // Should they die, the next look finds the job.
        Ok(Next::Elsewhere) => Ok(None),
        Ok(Next::Again(wait)) => {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(HELD_MS);
            // A message may get lost between here and the queue: the next look finds the job then. Without a queue
            // that look is all there is.
            let longer_ms = if app.jobs.is_some() { HELD_MS } else { 0 };
            hold(app, id, wait_ms.saturating_add(longer_ms)).await?;
            Ok(Some(wait))
        }
        Err(error) => {
            let text = Chain(&error).to_string();
            app.table
                .change_job(id, |job| job.error = Some(text.clone()))
                .await?;
            Err(error)
        }
    }
}

/// Says that somebody is at work on an open job.
async fn hold(app: &App, id: &str, for_ms: i64) -> Result<(), JobError> {
    let due_at_ms = app.now_ms().saturating_add(for_ms);
    let change = |job: &mut Job| {
        if job.state.is_open() {
            job.state = JobState::Running;
            job.due_at_ms = due_at_ms;
        }
    };
    app.table.change_job(id, change).await?;
    Ok(())
}
