//! Jobs for one person on one machine: their queue, and the look for those that are due.

use std::{sync::Arc, time::Duration};

use domain::message::JobMessage;
use futures::future::BoxFuture;
use jobs::App;
use runtime::{
    metrics::Sink,
    queue::{
        Queue,
        local::{Clock, LocalQueues},
    },
    telemetry::Chain,
};
use store::{archive::Archive, exports::Exports, table::Table};
use tracing::error;

use crate::queues::{AtStop, JOBS_QUEUE, Mapping, again_and_again};

/// Time that Lambda gives an invocation.
const INVOCATION: Duration = Duration::from_mins(15);
/// Interval of looks for jobs: some minutes on AWS, less here because it costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Everything that jobs need. Without a queue nobody but the caller goes on with them.
pub(crate) fn app(
    table: &Table,
    archive: &Archive,
    exports: Exports,
    jobs: Option<Queue<JobMessage>>,
    grace: Duration,
    clock: &Clock,
) -> App {
    App {
        table: table.clone(),
        archive: archive.clone(),
        exports,
        jobs,
        grace,
        clock: Arc::clone(clock),
        metrics: Sink::Nowhere,
    }
}

/// Queues a look again and again, while a job is due.
pub(crate) async fn look(app: Arc<App>, stopped: impl Future<Output = ()> + Send) {
    again_and_again(LOOK_EVERY, stopped, || {
        let app = Arc::clone(&app);
        Box::pin(async move {
            let due = app.table.jobs_due((app.clock)().as_millisecond(), 1).await;
            let is_due = match &due {
                Ok(jobs) => !jobs.is_empty(),
                Err(error) => {
                    error!(error = %Chain(error), "cannot list the jobs");
                    false
                }
            };
            if let Some(queue) = app.jobs.as_ref().filter(|_| is_due)
                && let Err(error) = queue.send(&JobMessage::Work).await
            {
                error!(error = %Chain(&error), "cannot queue a look for jobs");
            }
        })
    })
    .await;
}

/// Handles the messages of the jobs queue.
pub(crate) async fn serve_queue(
    queues: LocalQueues,
    app: Arc<App>,
    visibility_timeout: Duration,
    stopped: impl Future<Output = ()> + Send,
) {
    let mapping = Mapping {
        queues,
        queue: JOBS_QUEUE,
        batch_size: 1,
        visibility_timeout,
        // A job goes on where it was.
        at_stop: AtStop::BreakOff,
    };
    let handle = move |event| -> BoxFuture<'static, _> {
        let app = Arc::clone(&app);
        Box::pin(async move { Some(jobs::handle(&app, event, INVOCATION).await) })
    };
    mapping.serve(handle, stopped).await;
}
