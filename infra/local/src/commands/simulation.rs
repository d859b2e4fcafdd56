//! The simulated Terra beside the local system.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::stream;
use runtime::{queue::local::Clock, telemetry::Chain};
use simulator::{
    Deliverer, DeliverySettings, Mischief, Payloads, Snapshot, Webhook, World, scenario::Lively,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::MissedTickBehavior};
use tracing::error;

/// Terra's waits between attempts, so much shorter: the first is a second and a half, not 30 s.
const TIME_SCALE: f64 = 0.05;
/// Attempts under way when the simulation ends are waited for so long.
const GRACE: Duration = Duration::from_secs(2);
/// Signs the addresses of payloads, which only the simulator itself verifies.
const PAYLOAD_SECRET: &[u8] = b"payloads of the simulation";

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) people: u16,
}

/// A running simulation.
pub(super) struct Simulation {
    deliverer: Deliverer,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Simulation {
    pub(super) async fn start(
        plan: Plan,
        webhook_url: &str,
        secret: &str,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();

        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("no free port")?;
        let address = listener
            .local_addr()
            .context("the simulator has no address")?;
        let payloads = Payloads::new(
            &format!("http://{address}"),
            PAYLOAD_SECRET,
            Arc::clone(clock),
        );
        let server = simulator::server::router(payloads.clone());
        let stopped = stopped(&stop);
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, server)
                .with_graceful_shutdown(stopped)
                .await
            {
                error!(error = %Chain(&error), "the simulator's server ended");
            }
        });

        let start = clock();
        let settings = DeliverySettings {
            time_scale: TIME_SCALE,
            mischief: mischief(plan.seed),
            ..DeliverySettings::new(webhook_url, secret.as_bytes())
        };
        let deliverer = Deliverer::new(settings, Arc::clone(clock))?;
        let world = World::new(plan.seed, usize::from(plan.people), start);
        let lively = Lively::new(world, Some(payloads));
        let run = u32::try_from(start.as_second() & 0xffff_ffff).unwrap_or_default();
        let mut every = tokio::time::interval(Duration::from_secs_f64(1.0 / plan.rate));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let clock = Arc::clone(clock);
        let webhooks = stream::unfold((lively, every), move |(mut lively, mut every)| {
            let clock = Arc::clone(&clock);
            async move {
                every.tick().await;
                let webhook = of_this_run(lively.next_at(clock()), run);
                Some((webhook, (lively, every)))
            }
        });
        let webhooks = futures::StreamExt::take_until(webhooks, Box::pin(self::stopped(&stop)));
        let sender = deliverer.clone();
        let ended = stopped_for(&stop, GRACE);
        tasks.spawn(async move {
            tokio::select! {
                () = sender.run(webhooks) => {}
                () = ended => {}
            }
        });
        Ok(Self {
            deliverer,
            stop,
            tasks,
        })
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.deliverer.snapshot()
    }

    /// Ends it; what was under way may still arrive before this returns.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        drop(tokio::time::timeout(GRACE * 2, all).await);
    }
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stop = stop.subscribe();
    async move { drop(stop.wait_for(|stop| *stop).await) }
}

fn stopped_for(
    stop: &watch::Sender<bool>,
    grace: Duration,
) -> impl Future<Output = ()> + Send + 'static {
    let stopped = stopped(stop);
    async move {
        stopped.await;
        tokio::time::sleep(grace).await;
    }
}

/// Enough that every counter moves now and then, and not more.
fn mischief(seed: u64) -> Mischief {
    Mischief {
        seed,
        duplicate: 0.02,
        reorder: 0.05,
        delay: 0.05,
        longest_delay: Duration::from_millis(200),
        drop_mid_body: 0.003,
        wrong_secret: 0.01,
        missing_signature: 0.003,
        late_signature: 0.01,
        uppercase_signature: 0.01,
        differing_signatures: 0.005,
        not_json: 0.003,
        ..Mischief::none()
    }
}

/// The same seed makes the same trace ids again, also after a restart; these are new webhooks.
pub(super) fn of_this_run(mut webhook: Webhook, run: u32) -> Webhook {
    let renewed = webhook
        .trace_id
        .as_deref()
        .filter(|trace| !trace.contains(':'))
        .and_then(|trace| trace.get(8..))
        .map(|rest| format!("{run:08x}{rest}"));
    if renewed.is_some() {
        webhook.trace_id = renewed;
    }
    webhook
}
