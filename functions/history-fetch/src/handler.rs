//! Triggers of the function, and the job of each.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::message::{HistoryMessage, MAX_STEPS};
use jiff::SignedDuration;
use rand::RngExt as _;
use runtime::{
    batch::{self, Received},
    queue::MAX_DELAY,
};
use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use crate::{
    config::{App, Deadline},
    connected,
    error::HistoryError,
    gaps, lost, pace, reconcile, requests,
    work::{LAST_START, Worked, work},
};

/// Messages of a batch handled at once.
const CONCURRENT_JOBS: usize = 2;

/// Time in which one job begins windows. The schedule brings the next job a minute later, so that at
/// most two of them overlap, whatever there is to do.
const WORK_TIME: SignedDuration = SignedDuration::from_secs(60).saturating_add(LAST_START);

/// Time that is left for the answer to Lambda.
const TO_ANSWER: SignedDuration = SignedDuration::from_secs(1);

/// Input of an invocation: messages of the history queue, or one job from a schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub enum Trigger {
    /// A batch.
    Queue(SqsEvent),
    /// A job.
    Schedule(HistoryMessage),
}

/// Reads an event with records as a batch, and any other one as a job: so the error of a mistyped job
/// names the jobs that exist.
impl TryFrom<Value> for Trigger {
    type Error = serde_json::Error;

    fn try_from(event: Value) -> Result<Self, Self::Error> {
        if event.get("Records").is_some() {
            serde_json::from_value(event).map(Self::Queue)
        } else {
            serde_json::from_value(event).map(Self::Schedule)
        }
    }
}

/// Does what an invocation brings; `worker` is the invocation's own name, `until` when it ends.
///
/// # Errors
///
/// A schedule's job that failed. Messages that failed are in the response and come back.
pub async fn handle(
    app: &App,
    trigger: Trigger,
    worker: &str,
    until: Deadline,
) -> Result<SqsBatchResponse, HistoryError> {
    match trigger {
        Trigger::Schedule(job) => {
            run(app, job, worker, until).await?;
            Ok(SqsBatchResponse::default())
        }
        Trigger::Queue(event) => Ok(batch::run(
            event,
            CONCURRENT_JOBS,
            |received: Received<HistoryMessage>| async move {
                let worker = format!("{worker}-{}", received.message_id);
                let left = until.duration_since((app.clock)()) - TO_ANSWER;
                let left = Duration::try_from(left).unwrap_or_default();
                let done = run(app, received.message, &worker, until);
                let done = tokio::time::timeout(left, Box::pin(done)).await;
                done.unwrap_or(Err(HistoryError::TooSlow))
            },
        )
        .await),
    }
}

/// Does one job.
///
/// # Errors
///
/// [`HistoryError`]: the job may be done again, wherever it ended.
pub async fn run(
    app: &App,
    job: HistoryMessage,
    worker: &str,
    until: Deadline,
) -> Result<(), HistoryError> {
    if job.step() > MAX_STEPS {
        return Err(HistoryError::Endless);
    }
    if app.lacks_credentials {
        return wait_for_credentials(app, &job).await;
    }
    match job {
        HistoryMessage::Work => {
            let until = until.min((app.clock)() + WORK_TIME);
            let mut all = 0;
            loop {
                let Worked {
                    windows, paused, ..
                } = Box::pin(work(app, worker, until)).await?;
                all += windows;
                match paused {
                    Some(wait) if pace::until((app.clock)(), wait) + LAST_START < until => {
                        tokio::time::sleep(wait).await;
                    }
                    _ => break,
                }
            }
            if all > 0 {
                info!(windows = all, "history fetched");
            }
            Ok(())
        }
        HistoryMessage::Reconcile => {
            let page = HistoryMessage::ReconcilePage {
                sweep_ms: app.now_ms(),
                page: 0,
            };
            let spread = rand::rng().random_range(Duration::ZERO..=app.spread);
            Ok(app.jobs.send_after(&page, spread).await?)
        }
        HistoryMessage::ReconcilePage { sweep_ms, page } => {
            Box::pin(reconcile::page(app, sweep_ms, page)).await
        }
        HistoryMessage::EndMissing {
            sweep_ms,
            shard,
            after,
            step,
        } => Box::pin(reconcile::end_missing(app, sweep_ms, shard, after, step)).await,
        HistoryMessage::FindGaps => gaps::find(app).await,
        HistoryMessage::FindGapsOf {
            shard,
            after,
            whole,
            step,
            counted,
        } => {
            Box::pin(gaps::find_in_shard(
                app,
                (shard, step),
                after,
                whole,
                *counted,
            ))
            .await
        }
        HistoryMessage::Connected { terra_user_id } => {
            Box::pin(connected::first_backfill_of(app, &terra_user_id)).await
        }
        HistoryMessage::RequestAdvanced { reference } => {
            Box::pin(requests::advanced(app, &reference)).await
        }
        HistoryMessage::PayloadLost(payload) => Box::pin(lost::ask_again(app, &payload)).await,
    }
}

/// Puts a job off until somebody has put Terra's credentials in. Work fails instead: that is an
/// alarm, and nothing gets lost, because the schedule starts the next job.
async fn wait_for_credentials(app: &App, job: &HistoryMessage) -> Result<(), HistoryError> {
    if *job == HistoryMessage::Work {
        return Err(HistoryError::NoCredentials);
    }
    info!("a job waits for Terra's credentials");
    Ok(app.jobs.send_after(job, MAX_DELAY).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_and_a_job_are_told_apart() {
        let batch = json!({ "Records": [{ "messageId": "m", "body": "{}" }] });
        assert!(matches!(
            serde_json::from_value(batch).unwrap(),
            Trigger::Queue(event) if event.records.len() == 1
        ));
        assert!(matches!(
            serde_json::from_value(json!({ "job": "work" })).unwrap(),
            Trigger::Schedule(HistoryMessage::Work)
        ));
    }

    #[test]
    fn a_job_of_a_chain_says_how_long_the_chain_is() {
        let step = |job: Value| {
            serde_json::from_value::<HistoryMessage>(job)
                .unwrap()
                .step()
        };
        assert_eq!(step(json!({ "job": "find_gaps" })), 0);
        assert_eq!(
            step(json!({ "job": "reconcile_page", "sweep_ms": 1, "page": 7 })),
            7
        );
        let gaps = json!({ "job": "find_gaps_of", "shard": 1, "after": null, "step": 9 });
        assert_eq!(step(gaps), 9);
        // A job that an operator writes by hand begins a chain.
        let begun = json!({ "job": "end_missing", "sweep_ms": 1, "shard": 1, "after": null });
        assert_eq!(step(begun), 0);
    }

    #[test]
    fn what_is_neither_is_told_what_would_be_right() {
        let error = |event: Value| {
            let error = serde_json::from_value::<Trigger>(event).unwrap_err();
            error.to_string()
        };
        let mistyped = error(json!({ "job": "rest" }));
        assert!(
            mistyped.starts_with("unknown variant `rest`, expected one of `work`, `reconcile`,"),
            "{mistyped}"
        );
        assert_eq!(error(json!({})), "missing field `job`");
        assert_eq!(
            error(json!({ "Records": "none" })),
            "invalid type: string \"none\", expected a sequence"
        );
    }
}
