//! The simulated Terra beside the local system.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::stream;
use runtime::{queue::local::Clock, telemetry::Chain};
use simulator::{
    Deliverer, DeliverySettings, Mischief, Payloads, Snapshot, Truth, TruthSettings, Webhook,
    World,
    api::{ApiSettings, TerraApi},
    scenario::Lively,
};
use terra_client::api::BaseUrl;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::MissedTickBehavior};
use tracing::error;

/// Terra's waits between attempts, so much shorter: the first is a second and a half, not 30 s.
const TIME_SCALE: f64 = 0.05;
/// Attempts under way when the simulation ends are waited for so long.
const GRACE: Duration = Duration::from_secs(2);
/// Signs the addresses of payloads, which only the simulator itself verifies.
const PAYLOAD_SECRET: &[u8] = b"payloads of the simulation";

/// Dev id of the simulated Terra.
pub(super) const DEV_ID: &str = "simulated-dev-id";
/// Days of history that everybody brings. Unit: days.
const HISTORY_DAYS: u16 = 90;

/// Plan of the simulation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) people: u16,
}

/// Address of a simulated Terra before it runs: the system is told of it when it starts.
pub(super) struct Place {
    listener: TcpListener,
    /// Its root.
    pub(super) url: String,
    /// API key of the simulated Terra.
    pub(super) api_key: String,
}

impl Place {
    pub(super) async fn take() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("no free port")?;
        let address = listener
            .local_addr()
            .context("the simulator has no address")?;
        Ok(Self {
            listener,
            url: format!("http://{address}"),
            api_key: format!("{:032x}", rand::random::<u128>()),
        })
    }

    /// Its API.
    pub(super) fn api_url(&self) -> anyhow::Result<BaseUrl> {
        let url = format!("{}/api/v2", self.url);
        url.parse()
            .context("the simulated Terra has no usable address")
    }
}

/// A running simulation.
pub(super) struct Simulation {
    deliverer: Deliverer,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Simulation {
    pub(super) fn start(
        place: Place,
        plan: Plan,
        webhook_url: &str,
        secret: &str,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();

        let start = clock();
        let world = World::new(plan.seed, usize::from(plan.people), start);
        let Place {
            listener,
            url,
            api_key,
        } = place;
        let payloads = Payloads::new(&url, PAYLOAD_SECRET, Arc::clone(clock));
        // Nobody of its own: it knows whom the world knows.
        let truth = Truth::new(
            TruthSettings {
                history_days: HISTORY_DAYS,
                ..TruthSettings::new(plan.seed, 0, &[], start)
            },
            Arc::clone(clock),
        );
        truth.keep_up_with(world.connections());
        let api = TerraApi::new(truth.clone(), ApiSettings::new(&url, DEV_ID, &api_key));
        let server = simulator::server::router(payloads.clone()).merge(api.router());
        let stopped = stopped(&stop);
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, server)
                .with_graceful_shutdown(stopped)
                .await
            {
                error!(error = %Chain(&error), "the simulator's server ended");
            }
        });

        let settings = DeliverySettings {
            time_scale: TIME_SCALE,
            mischief: mischief(plan.seed),
            ..DeliverySettings::new(webhook_url, secret.as_bytes())
        };
        let deliverer = Deliverer::new(settings, Arc::clone(clock))?;
        let lively = Lively::new(world, Some(payloads));
        let run = u32::try_from(start.as_second() & 0xffff_ffff).unwrap_or_default();
        let mut every = tokio::time::interval(Duration::from_secs_f64(1.0 / plan.rate));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let clock = Arc::clone(clock);
        let webhooks = stream::unfold((lively, every), move |(mut lively, mut every)| {
            let (clock, truth) = (Arc::clone(&clock), truth.clone());
            async move {
                every.tick().await;
                let webhook = of_this_run(lively.next_at(clock()), run);
                truth.keep_up_with(lively.world().connections());
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
