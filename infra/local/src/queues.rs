//! Names of the local queues, and how a worker holds their messages.

use std::time::Duration;

use futures::future::BoxFuture;
use runtime::{
    queue::local::{LocalMessage, LocalQueues},
    telemetry::Chain,
};
use tracing::warn;

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

/// Hides messages from others for as long as the work on them takes. On AWS a timeout of six times
/// the function's own sees to that.
pub(crate) async fn keeping_hidden<T: Send>(
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
