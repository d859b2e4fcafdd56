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
        local::{Clock, LocalQueues},
    },
    telemetry::Chain,
};
use store::{archive::Archive, table::Table};
use tracing::error;

use crate::{
    outbox::Outbox,
    queues::{AtStop, DELIVERIES_QUEUE, Mapping, again_and_again},
};

/// Time that Lambda gives an invocation.
const INVOCATION: Duration = Duration::from_mins(2);
/// Messages per batch, as Lambda takes them from a FIFO queue.
const BATCH_SIZE: usize = 10;
/// Interval of looks for work: a minute on AWS, less here because it costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time that the router uses the list of destinations before it reads it again.
pub(crate) const DESTINATIONS_KEPT: Duration = Duration::from_secs(1);
/// Time after which the router knows the status of a destination: a batch that began with an older list is done.
const KNOWN_AFTER: Duration = Duration::from_secs(3);

/// Everything that deliveries of a data folder need. Destinations may be on this machine.
pub(crate) fn app(
    data_dir: &Path,
    table: &Table,
    archive: &Archive,
    jobs: Queue<DeliveryMessage>,
    outbox: Outbox,
    clock: &Clock,
) -> App {
    App {
        table: table.clone(),
        archive: archive.clone(),
        jobs,
        clients: Clients::new(Vault::folder(data_dir), Arc::clone(clock), Network::Local)
            .with_pointers(outbox),
        clock: Arc::clone(clock),
        known_after: KNOWN_AFTER,
        metrics: Sink::Nowhere,
    }
}

/// Queues a look for work again and again, while there are destinations. Looks that meet in the queue are
/// one.
pub(crate) async fn look(app: Arc<App>, stopped: impl Future<Output = ()> + Send) {
    again_and_again(LOOK_EVERY, stopped, || {
        let app = Arc::clone(&app);
        Box::pin(async move {
            match app.table.destinations().await {
                Ok(destinations) if destinations.is_empty() => return,
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
        })
    })
    .await;
}

/// Does the jobs of the deliveries queue.
pub(crate) async fn serve_queue(
    queues: LocalQueues,
    app: Arc<App>,
    visibility_timeout: Duration,
    stopped: impl Future<Output = ()> + Send,
) {
    let mapping = Mapping {
        queues,
        queue: DELIVERIES_QUEUE,
        batch_size: BATCH_SIZE,
        visibility_timeout,
        at_stop: AtStop::Finish,
    };
    let handle = move |event| -> BoxFuture<'static, _> {
        let app = Arc::clone(&app);
        Box::pin(async move { Some(deliver::handle(&app, event, INVOCATION).await) })
    };
    mapping.serve(handle, stopped).await;
}
