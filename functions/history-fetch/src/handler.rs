//! What wakes the function, and which job that is.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::message::HistoryMessage;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use runtime::batch::{self, Received};
use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use crate::{
    config::App,
    connected,
    error::HistoryError,
    gaps, pace, reconcile, requests,
    work::{LAST_START, Worked, work},
};

/// Messages of a batch handled at once.
const CONCURRENT_JOBS: usize = 2;

/// How long a look for work begins windows: the schedule brings the next one a minute later, so that two
/// of them overlap and no more, whatever there is to do.
const LOOK: SignedDuration = SignedDuration::from_secs(60).saturating_add(LAST_START);

/// When the invocation ends at the latest.
pub type Deadline = Timestamp;

/// What an invocation brings: messages of the history queue, or one job from a schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub enum Trigger {
    /// A batch.
    Queue(SqsEvent),
    /// A job.
    Schedule(HistoryMessage),
}

/// What has records is a batch, anything else a job: so the error of a mistyped job names the jobs
/// that there are.
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
                run(app, received.message, &worker, until).await
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
    match job {
        HistoryMessage::Work => {
            let until = until.min((app.clock)() + LOOK);
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
        } => Box::pin(reconcile::end_missing(app, sweep_ms, shard, after)).await,
        HistoryMessage::FindGaps => gaps::find(app).await,
        HistoryMessage::FindGapsOf {
            shard,
            after,
            whole,
        } => Box::pin(gaps::find_in_shard(app, shard, after, whole)).await,
        HistoryMessage::Connected { terra_user_id } => {
            Box::pin(connected::first_backfill_of(app, &terra_user_id)).await
        }
        HistoryMessage::RequestAdvanced { reference } => {
            Box::pin(requests::advanced(app, &reference)).await
        }
    }
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
