//! History-fetch on one machine: its queue, its schedules, and Terra's API.

use std::{sync::Arc, time::Duration};

use domain::{
    message::HistoryMessage,
    pacing::{Quota, Quotas},
};
use futures::future::BoxFuture;
use history_fetch::{App, FetchSettings, Trigger};
use jiff::SignedDuration;
use runtime::{
    queue::local::{Clock, LocalQueues},
    telemetry::Chain,
};
use terra_client::api;
use tracing::{error, warn};

use crate::queues::{AtStop, HISTORY_QUEUE, Mapping};

/// Time that Lambda gives an invocation.
const INVOCATION: SignedDuration = SignedDuration::from_mins(5);
/// Messages per batch.
const BATCH_SIZE: usize = 10;

/// Settings of fetching history.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    /// Address of Terra's API, and our credentials.
    pub terra: api::Settings,
    /// Settings of the requests.
    pub fetch: FetchSettings,
    /// See [`App::trust_empty_after`].
    pub trust_empty_after: Duration,
    /// Schedule of the jobs; `None` where somebody else starts them.
    pub schedule: Option<Schedule>,
}

/// Intervals of the jobs. On AWS the template's schedules say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Windows and backfills that are due.
    pub work: Duration,
    /// Our connections against Terra's.
    pub reconcile: Duration,
    /// Missing days.
    pub find_gaps: Duration,
}

impl HistoryOptions {
    /// Against Terra itself: its limits, and the template's schedules, but for the work, which costs
    /// nothing here to look for.
    pub fn new(terra: api::Settings, fetch: FetchSettings) -> Self {
        Self {
            terra,
            fetch,
            trust_empty_after: history_fetch::TRUST_EMPTY_AFTER,
            schedule: Some(Schedule {
                work: Duration::from_secs(2),
                reconcile: Duration::from_hours(6),
                find_gaps: Duration::from_hours(6),
            }),
        }
    }

    /// Against a simulated Terra on this machine, which nobody else asks: everything sooner.
    pub fn simulated(terra: api::Settings) -> Self {
        let account = Quota::rolling_hour(360_000, 50);
        Self {
            terra,
            fetch: FetchSettings {
                // Its people have three months.
                max_days: Some(365),
                quotas: Quotas {
                    account,
                    ..Quotas::default()
                },
                ..FetchSettings::default()
            },
            // It has everything at once.
            trust_empty_after: Duration::ZERO,
            schedule: Some(Schedule {
                work: Duration::from_secs(1),
                reconcile: Duration::from_mins(2),
                find_gaps: Duration::from_mins(2),
            }),
        }
    }
}

/// Does one job again and again, the first time after `first`. A job that fails is done again at its
/// next time.
pub(crate) async fn repeat(
    app: Arc<App>,
    job: HistoryMessage,
    first: Duration,
    every: Duration,
    stopped: impl Future<Output = ()> + Send,
) {
    let start = tokio::time::Instant::now() + first;
    let mut ticks = tokio::time::interval_at(start, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stopped = std::pin::pin!(stopped);
    let mut round = 0_u64;
    let run = rand::random::<u64>();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut stopped => return,
        }
        round += 1;
        let worker = format!("{run:016x}-{round}");
        let until = (app.clock)()
            .saturating_add(INVOCATION)
            .unwrap_or(jiff::Timestamp::MAX);
        let work: BoxFuture<'_, _> =
            Box::pin(history_fetch::run(&app, job.clone(), &worker, until));
        // A window that is left behind here is taken over when its lease is over.
        tokio::select! {
            result = work => {
                if let Err(error) = result {
                    warn!(error = %Chain(&error), "a job of history failed");
                }
            }
            () = &mut stopped => return,
        }
    }
}

/// Does the jobs of the history queue.
pub(crate) async fn serve_queue(
    queues: LocalQueues,
    app: Arc<App>,
    clock: Clock,
    visibility_timeout: Duration,
    stopped: impl Future<Output = ()> + Send,
) {
    let mapping = Mapping {
        queues,
        queue: HISTORY_QUEUE,
        batch_size: BATCH_SIZE,
        visibility_timeout,
        at_stop: AtStop::BreakOff,
    };
    let handle = move |event| -> BoxFuture<'static, _> {
        let app = Arc::clone(&app);
        let worker = format!("{:016x}", rand::random::<u64>());
        let until = clock()
            .saturating_add(INVOCATION)
            .unwrap_or(jiff::Timestamp::MAX);
        Box::pin(async move {
            let trigger = Trigger::Queue(event);
            let handled = history_fetch::handle(&app, trigger, &worker, until).await;
            handled
                .inspect_err(|error| error!(error = %Chain(error), "jobs of history failed"))
                .ok()
        })
    };
    mapping.serve(handle, stopped).await;
}
