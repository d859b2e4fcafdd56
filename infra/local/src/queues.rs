//! Names of the local queues, and how a worker holds their messages.

use std::{pin::pin, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures::future::BoxFuture;
use runtime::{
    queue::local::{LocalMessage, LocalQueues, sqs_event, succeeded},
    telemetry::Chain,
};
use tracing::{error, warn};

/// The events queue.
pub const EVENTS_QUEUE: &str = "events";
/// Dead letters of the events queues: messages that could not be routed.
pub const EVENTS_DEAD_LETTERS: &str = "events-dead-letters";
/// The events queue's lane for pings: their URLs run out, so they never wait behind other webhooks.
pub const PINGS_QUEUE: &str = "pings";
/// The events queue's lane for what was asked for: it never delays what Terra sends by itself.
pub const BACKFILL_EVENTS_QUEUE: &str = "backfill-events";
/// Jobs of history-fetch.
pub const HISTORY_QUEUE: &str = "history";
/// Dead letters of the history queue: jobs that could not be done.
pub const HISTORY_DEAD_LETTERS: &str = "history-dead-letters";

/// The deliveries queue: changes that destinations are to be told, and jobs of deliver. A FIFO queue.
pub const DELIVERIES_QUEUE: &str = "deliveries.fifo";
/// Dead letters of the deliveries queue.
pub const DELIVERIES_DEAD_LETTERS: &str = "deliveries-dead-letters.fifo";

/// Jobs for one person.
pub const JOBS_QUEUE: &str = "jobs";
/// Dead letters of the jobs queue: jobs that could not go on.
pub const JOBS_DEAD_LETTERS: &str = "jobs-dead-letters";

const LONG_POLL: Duration = Duration::from_secs(20);

/// Looks again and again, as a schedule does, until it is stopped.
pub(crate) async fn again_and_again(
    interval: Duration,
    stopped: impl Future<Output = ()> + Send,
    look: impl Fn() -> BoxFuture<'static, ()> + Send,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut stopped => return,
        }
        look().await;
    }
}

/// A queue and its function, as Lambda's event source mapping has them.
#[derive(Clone)]
pub(crate) struct Mapping {
    pub(crate) queues: LocalQueues,
    pub(crate) queue: &'static str,
    /// Messages per batch.
    pub(crate) batch_size: usize,
    pub(crate) visibility_timeout: Duration,
    pub(crate) at_stop: AtStop,
}

/// End of a batch that is at work when the system stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtStop {
    /// The batch is finished.
    Finish,
    /// The batch is broken off; its messages come back after the restart.
    BreakOff,
}

impl Mapping {
    /// Takes batches, has them handled and deletes the messages that succeeded, until the system stops. A
    /// batch without an answer comes back.
    pub(crate) async fn serve(
        self,
        handle: impl Fn(SqsEvent) -> BoxFuture<'static, Option<SqsBatchResponse>> + Send,
        stopped: impl Future<Output = ()> + Send,
    ) {
        let Self { queues, queue, .. } = &self;
        let mut stopped = pin!(stopped);
        loop {
            let received = tokio::select! {
                received = queues.receive(queue, self.batch_size, LONG_POLL) => received,
                () = &mut stopped => return,
            };
            let messages = match received {
                Ok(messages) if messages.is_empty() => continue,
                Ok(messages) => messages,
                Err(error) => {
                    error!(queue, error = %Chain(&error), "cannot receive messages");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let work = handle(sqs_event(queue, &messages));
            let work = keeping_hidden(queues, queue, &messages, self.visibility_timeout, work);
            let response = match self.at_stop {
                AtStop::Finish => work.await,
                AtStop::BreakOff => tokio::select! {
                    response = work => response,
                    () = &mut stopped => return,
                },
            };
            let Some(response) = response else { continue };
            let done = succeeded(&messages, &response);
            if let Err(error) = queues.delete(queue, &done).await {
                error!(queue, error = %Chain(&error), "cannot delete messages that are done");
            }
        }
    }
}

/// Hides messages from others for as long as the work on them takes. On AWS a timeout of six times
/// the function's own sees to that.
async fn keeping_hidden<T: Send>(
    queues: &LocalQueues,
    queue: &str,
    messages: &[LocalMessage],
    visibility_timeout: Duration,
    mut work: BoxFuture<'_, T>,
) -> T {
    let receipts: Vec<_> = messages
        .iter()
        .map(|message| message.receipt.clone())
        .collect();
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(visibility_timeout / 3) => {
                let hidden = queues.change_visibility(queue, &receipts, visibility_timeout);
                if let Err(error) = hidden.await {
                    warn!(error = %Chain(&error), "cannot keep messages hidden");
                }
            }
        }
    }
}
