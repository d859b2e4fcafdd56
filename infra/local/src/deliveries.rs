//! Deliver on one machine: its queue and its look for work.

use std::{path::Path, sync::Arc, time::Duration};

use deliver::{App, Clients, Vault};
use destinations::net::Network;
use domain::delivery::DeliveryMessage;
use futures::future::BoxFuture;
use runtime::{
    metrics::Sink,
    queue::{
        FifoIds, Queue,
        local::{Clock, LocalQueues, sqs_event, succeeded},
    },
    telemetry::Chain,
};
use store::{archive::Archive, table::Table};
use tracing::error;

use crate::queues::{DELIVERIES_QUEUE, keeping_hidden};

/// Time that Lambda gives an invocation.
const INVOCATION: Duration = Duration::from_mins(2);
/// Messages per batch, as Lambda takes them from a FIFO queue.
const BATCH_SIZE: usize = 10;
const LONG_POLL: Duration = Duration::from_secs(20);
/// Interval of looks for work: a minute on AWS, less here because it costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time that the router uses the list of destinations before it reads it again.
pub(crate) const DESTINATIONS_KEPT: Duration = Duration::from_secs(1);

/// Everything that deliveries of a data folder need. Destinations may be on this machine.
pub(crate) fn app(
    data_dir: &Path,
    table: &Table,
    archive: &Archive,
    jobs: Queue<DeliveryMessage>,
    clock: &Clock,
) -> App {
    App {
        table: table.clone(),
        archive: archive.clone(),
        jobs,
        clients: Clients::new(Vault::folder(data_dir), Arc::clone(clock), Network::Local),
        clock: Arc::clone(clock),
        metrics: Sink::Nowhere,
    }
}

/// Queues a look for work again and again, while there are destinations. Looks that meet in the queue are
/// one.
pub(crate) async fn look(app: Arc<App>, stopped: impl Future<Output = ()> + Send) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut stopped => return,
        }
        match app.table.destinations().await {
            Ok(destinations) if destinations.is_empty() => continue,
            Ok(_) => {}
            Err(error) => error!(error = %Chain(&error), "cannot list the destinations"),
        }
        let job = DeliveryMessage::Work;
        let ids = FifoIds {
            group_id: job.group(),
            deduplication_id: format!("look-{}", (app.clock)().as_second()),
        };
        if let Err(error) = app.jobs.send_fifo([(&job, ids)]).await {
            error!(error = %Chain(&error), "cannot queue a look for deliveries");
        }
    }
}

/// Stands in for Lambda's event source mapping on the deliveries queue.
pub(crate) async fn serve_queue(
    queues: LocalQueues,
    app: Arc<App>,
    visibility_timeout: Duration,
    stopped: impl Future<Output = ()> + Send,
) {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let received = tokio::select! {
            received = queues.receive(DELIVERIES_QUEUE, BATCH_SIZE, LONG_POLL) => received,
            () = &mut stopped => return,
        };
        let messages = match received {
            Ok(messages) if messages.is_empty() => continue,
            Ok(messages) => messages,
            Err(error) => {
                error!(error = %Chain(&error), "cannot receive deliveries");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let event = sqs_event(DELIVERIES_QUEUE, &messages);
        let work: BoxFuture<'_, _> = Box::pin(deliver::handle(&app, event, INVOCATION));
        let response = keeping_hidden(
            &queues,
            DELIVERIES_QUEUE,
            &messages,
            visibility_timeout,
            work,
        )
        .await;
        let done = succeeded(&messages, &response);
        if let Err(error) = queues.delete(DELIVERIES_QUEUE, &done).await {
            error!(error = %Chain(&error), "cannot delete deliveries that are done");
        }
    }
}
