//! Everything of one Terrarium, started and stopped together.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use domain::{
    delivery::DeliveryMessage,
    message::{HistoryMessage, JobMessage},
};
use event_router::Observer;
use futures::future::BoxFuture;
use models::signature::{SigningSecret, Tolerance};
use routing::Announcer;
use runtime::{
    metrics::Sink,
    queue::{
        Queue,
        local::{Clock, Durability, LocalQueues, QueueSettings},
    },
    telemetry::Chain,
};
use secrecy::{ExposeSecret as _, SecretString};
use store::{archive::Archive, exports::Exports, table::Table};
use terra_client::{PayloadFetcher, PayloadSettings};
use tokio::net::TcpListener;
use tracing::{error, info};

pub use crate::{
    database::{DatabaseAddress, EmbeddedDatabase, dynamodb_client},
    queues::{
        BACKFILL_EVENTS_QUEUE, DELIVERIES_DEAD_LETTERS, DELIVERIES_QUEUE, EVENTS_DEAD_LETTERS,
        EVENTS_QUEUE, HISTORY_DEAD_LETTERS, HISTORY_QUEUE, JOBS_DEAD_LETTERS, JOBS_QUEUE,
        PINGS_QUEUE,
    },
};
use crate::{
    deliveries, folder, gateway,
    history::{self, HistoryOptions},
    jobs,
    outbox::{self, Outbox},
    queues::{AtStop, Mapping},
    reads,
    workers::Workers,
};

/// The table's name, here and as the template's default.
pub const TABLE_NAME: &str = "terrarium";

/// Number of times that a message is tried before it is put aside.
const MAX_RECEIVES: u32 = 5;
/// The same for a ping, which comes back sooner.
const PING_MAX_RECEIVES: u32 = 25;
/// Time of one batch of the router, as the template's timeout has it.
const ROUTER_TIMEOUT: Duration = Duration::from_mins(1);
/// Messages per batch. Lambda takes 10 without a batching window and up to 10,000 with one.
const BATCH_SIZE: usize = 50;
/// Functions at work on each queue at once, as the template has it.
const CONCURRENCY: usize = 2;

/// Place of a system's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseAt {
    /// In the data folder, in a database of our own.
    DataFolder,
    /// Another DynamoDB endpoint that takes any credentials: an emulator.
    Endpoint {
        /// `http://host:port`.
        url: String,
        /// The table's name there.
        table_name: String,
    },
}

/// Options of a system's start.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that have nothing to do with each other"
)]
pub struct Options {
    /// Folder of all data.
    pub data_dir: PathBuf,
    /// The gateway's address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Signing secrets by name. The first one is the simulator's.
    pub signing_secrets: Vec<(String, String)>,
    /// Unguessable last segment of the webhook path; none without it.
    pub path_token: Option<SecretString>,
    /// Host name under which a tunnel or proxy makes the gateway public; none without it.
    pub public_name: Option<String>,
    /// Largest age of a signature.
    pub tolerance: Tolerance,
    /// Time for which a received message stays hidden from others.
    pub visibility_timeout: Duration,
    /// From where payloads of pings are fetched.
    pub payloads: PayloadSettings,
    /// Settings of fetching history; without them nothing is fetched.
    pub history: Option<HistoryOptions>,
    /// Terra, as the API asks it; without it, the calls that are passed on to Terra fail.
    pub terra: Option<terra_client::api::Settings>,
    /// True if Terra's own key pair opens `/terra/v2`.
    pub terra_key_opens_api: bool,
    /// Origins whose pages may call the API.
    pub api_allowed_origins: Vec<String>,
    /// Time after which a call of the API is given up.
    pub api_answers_within: Duration,
    /// True if deliver looks for work by itself; else somebody queues its jobs.
    pub looks_for_deliveries: bool,
    /// True if jobs that are due are looked for; else somebody queues them.
    pub looks_for_jobs: bool,
    /// Wait of an erasure for routers that began before it.
    pub erasure_grace: Duration,
    /// Place of the table.
    pub database: DatabaseAt,
    /// The time.
    pub clock: Clock,
    /// True if expired items are removed, as DynamoDB's TTL does. The database knows the machine's clock
    /// only: it must be false if `clock` tells another time.
    pub removes_expired: bool,
    /// Failure that stored data must survive: a killed process, or a power loss.
    pub durability: Durability,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("data_dir", &self.data_dir)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// On loopback at a free port, with the machine's clock.
    pub fn new(data_dir: impl Into<PathBuf>, signing_secrets: Vec<(String, String)>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the only clock")]
        let clock: Clock = Arc::new(jiff::Timestamp::now);
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            signing_secrets,
            path_token: None,
            public_name: None,
            tolerance: Tolerance::default(),
            visibility_timeout: Duration::from_secs(30),
            // The simulator serves its payloads on this machine.
            payloads: PayloadSettings {
                allow_http_loopback: true,
                ..PayloadSettings::default()
            },
            history: None,
            terra: None,
            terra_key_opens_api: true,
            api_allowed_origins: Vec::new(),
            api_answers_within: api::ANSWERS_WITHIN,
            looks_for_deliveries: true,
            looks_for_jobs: true,
            erasure_grace: ROUTER_TIMEOUT,
            database: DatabaseAt::DataFolder,
            clock,
            removes_expired: true,
            durability: Durability::PowerLoss,
        }
    }

    fn of_api(&self) -> reads::Settings<'_> {
        reads::Settings {
            data_dir: &self.data_dir,
            clock: &self.clock,
            allowed_origins: &self.api_allowed_origins,
            answers_within: self.api_answers_within,
        }
    }
}

/// A running system. Dropping it without [`System::stop`] is a crash, which it survives.
pub struct System {
    /// Address that webhooks are posted to.
    pub webhook_url: String,
    /// Address of the API, without a path.
    pub api_url: String,
    /// The table.
    pub table: Table,
    /// The archive.
    pub archive: Archive,
    /// The queues.
    pub queues: LocalQueues,
    /// The router, for replays.
    pub router: Arc<event_router::App>,
    /// Delivers to destinations.
    pub deliver: Arc<deliver::App>,
    /// Erases and exports.
    pub jobs: Arc<::jobs::App>,
    /// Fetches history, if it does.
    pub history: Option<Arc<history_fetch::App>>,
    /// Address of the database, with its key.
    pub dynamodb: DatabaseAddress,
    workers: Workers,
    /// Ends after the workers, which write to it until their last batch is done.
    database: Option<EmbeddedDatabase>,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("webhook_url", &self.webhook_url)
            .finish_non_exhaustive()
    }
}

impl System {
    /// Starts everything; returns once webhooks can be posted.
    ///
    /// # Errors
    ///
    /// When the data folder is in use or unusable, or the address is taken.
    pub async fn start(options: Options, observer: Option<Observer>) -> anyhow::Result<Self> {
        let Options {
            data_dir, clock, ..
        } = &options;
        folder::make(data_dir)?;
        let mut workers = Workers::new();

        // The queues first: their file is locked, so a second system in this folder ends here.
        let file = data_dir.join("queues.db");
        let queues = LocalQueues::open(file, Arc::clone(clock), options.durability)
            .context("cannot open the queues: is another terrarium running in this folder?")?;
        set_up_queues(&queues, options.visibility_timeout).await?;

        let (database, dynamodb, table_name) = match &options.database {
            DatabaseAt::DataFolder => {
                let (removes_expired, durability) = (options.removes_expired, options.durability);
                let database =
                    EmbeddedDatabase::start(data_dir, removes_expired, durability).await?;
                let address = database.address.clone();
                (Some(database), address, TABLE_NAME)
            }
            DatabaseAt::Endpoint { url, table_name } => {
                (None, DatabaseAddress::without_key(url), table_name.as_str())
            }
        };
        let table = Table::new(dynamodb_client(&dynamodb)?, table_name);
        table
            .create_if_missing()
            .await
            .context("cannot create the table")?;
        let archive = match options.durability {
            Durability::PowerLoss => Archive::folder(data_dir),
            Durability::Kill => Archive::unsynced_folder(data_dir),
        };
        let archive = archive.context("cannot open the archive")?;

        let jobs: Queue<DeliveryMessage> = Queue::new(queues.transport(DELIVERIES_QUEUE));
        let announcer = Announcer::new(jobs.clone(), deliveries::DESTINATIONS_KEPT);
        let router = router_app(&options, &table, &archive, &queues, announcer, observer)?;
        let router = Arc::new(router);
        for queue in [EVENTS_QUEUE, PINGS_QUEUE, BACKFILL_EVENTS_QUEUE].repeat(CONCURRENCY) {
            let stopped = workers.stopped();
            let (queues, router) = (queues.clone(), Arc::clone(&router));
            workers.tasks.spawn(route_events(
                queues,
                queue,
                router,
                Arc::clone(clock),
                options.visibility_timeout,
                stopped,
            ));
        }
        let (listener, address) = listen(options.listen).await?;
        let outbox = Outbox::new(data_dir, Some(format!("http://{address}")), clock);
        let queue_of_deliver = jobs.clone();
        let deliver = deliveries::app(data_dir, &table, &archive, jobs, outbox.clone(), clock);
        let deliver = Arc::new(deliver);
        serve_deliveries(&mut workers, &queues, &deliver, &options);
        let queue: Queue<JobMessage> = Queue::new(queues.transport(JOBS_QUEUE));
        let exports = Exports::folder(data_dir);
        let parts = (&table, &archive, exports, queue.clone());
        let jobs = serve_jobs(&mut workers, &queues, parts, &options);
        let history = match &options.history {
            Some(history) => {
                let app = history_app(history, &table, &archive, &queues, clock)?;
                serve_history(&mut workers, &queues, &app, history, &options);
                Some(app)
            }
            None => None,
        };

        let intake = Arc::new(intake_app(&options, &queues, &archive)?);
        let upstream = api::Upstream::given(options.terra.clone(), options.terra_key_opens_api);
        let verifying = api::WebhookSecrets::known(signing_secrets(&options)?);
        let reads = reads::app(
            options.of_api(),
            &table,
            &archive,
            (queue, queue_of_deliver),
            (upstream, verifying),
        )?;
        let reads = Arc::new(reads);
        let served = (api::router(&reads), outbox::router(outbox));
        serve_gateway(&mut workers, listener, intake, served, &options);
        info!(%address, "terrarium is ready");
        let path = match &options.path_token {
            Some(token) => format!("{}/{}", gateway::WEBHOOK_PATH, token.expose_secret()),
            None => gateway::WEBHOOK_PATH.to_owned(),
        };
        Ok(Self {
            webhook_url: format!("http://{address}{path}"),
            api_url: format!("http://{address}"),
            table,
            archive,
            queues,
            router,
            deliver,
            jobs,
            history,
            dynamodb,
            workers,
            database,
        })
    }

    /// Waits until no event is queued or being routed, and no job of history waits.
    ///
    /// # Errors
    ///
    /// When a queue cannot be asked.
    pub async fn idle(&self) -> anyhow::Result<()> {
        while self.messages().await? > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Returns whether any function has messages in its hands.
    pub fn is_at_work(&self) -> bool {
        let queues = if self.history.is_some() { 6 } else { 5 };
        self.queues.waiting() < queues * CONCURRENCY
    }

    /// Counts the messages left in the queues, hidden or not, without those that were given up.
    ///
    /// # Errors
    ///
    /// When a queue cannot be read.
    pub async fn messages(&self) -> anyhow::Result<u64> {
        let mut all = 0;
        for queue in [
            EVENTS_QUEUE,
            PINGS_QUEUE,
            BACKFILL_EVENTS_QUEUE,
            HISTORY_QUEUE,
            DELIVERIES_QUEUE,
            JOBS_QUEUE,
        ] {
            all += self.queues.stats(queue).await?.total();
        }
        Ok(all)
    }

    /// Stops taking webhooks, lets the batches at work finish, and closes everything.
    pub async fn stop(self) {
        self.workers.end().await;
        if let Some(database) = self.database {
            database.stop().await;
        }
    }
}

/// Takes requests at the address of the options. Returns the address itself.
async fn listen(at: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(at).await;
    let listener = listener.with_context(|| format!("cannot listen on {at}"))?;
    let address = listener.local_addr();
    let address = address.context("the gateway has no address")?;
    Ok((listener, address))
}

fn serve_gateway(
    workers: &mut Workers,
    listener: TcpListener,
    intake: Arc<webhook_intake::App>,
    (reads, outbox): (axum::Router, axum::Router),
    options: &Options,
) {
    let public_name = options.public_name.as_deref();
    let gateway = gateway::router(intake, Arc::clone(&options.clock), public_name, reads);
    let gateway = gateway.merge(outbox);
    let stopped = workers.stopped();
    workers.tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, gateway)
            .with_graceful_shutdown(stopped)
            .await
        {
            error!(error = %Chain(&error), "the gateway ended");
        }
    });
}

/// The deliveries queue, and the look for what is owed.
fn serve_deliveries(
    workers: &mut Workers,
    queues: &LocalQueues,
    app: &Arc<deliver::App>,
    options: &Options,
) {
    for _ in 0..CONCURRENCY {
        let (queues, app) = (queues.clone(), Arc::clone(app));
        let hidden = options.visibility_timeout;
        let serve = deliveries::serve_queue(queues, app, hidden, workers.stopped());
        workers.tasks.spawn(serve);
    }
    if options.looks_for_deliveries {
        let look = deliveries::look(Arc::clone(app), workers.stopped());
        workers.tasks.spawn(look);
    }
}

/// The jobs queue, and the look for jobs that are due.
fn serve_jobs(
    workers: &mut Workers,
    queues: &LocalQueues,
    (table, archive, exports, queue): (&Table, &Archive, Exports, Queue<JobMessage>),
    options: &Options,
) -> Arc<::jobs::App> {
    let (grace, clock) = (options.erasure_grace, &options.clock);
    let app = Arc::new(jobs::app(
        table,
        archive,
        exports,
        Some(queue),
        grace,
        clock,
    ));
    for _ in 0..CONCURRENCY {
        let (queues, app) = (queues.clone(), Arc::clone(&app));
        let hidden = options.visibility_timeout;
        let serve = jobs::serve_queue(queues, app, hidden, workers.stopped());
        workers.tasks.spawn(serve);
    }
    if options.looks_for_jobs {
        let look = jobs::look(Arc::clone(&app), workers.stopped());
        workers.tasks.spawn(look);
    }
    app
}

async fn set_up_queues(queues: &LocalQueues, visibility_timeout: Duration) -> anyhow::Result<()> {
    for (name, dead_letters, max_receives) in [
        (EVENTS_QUEUE, EVENTS_DEAD_LETTERS, MAX_RECEIVES),
        (PINGS_QUEUE, EVENTS_DEAD_LETTERS, PING_MAX_RECEIVES),
        (BACKFILL_EVENTS_QUEUE, EVENTS_DEAD_LETTERS, MAX_RECEIVES),
        (HISTORY_QUEUE, HISTORY_DEAD_LETTERS, MAX_RECEIVES),
        (DELIVERIES_QUEUE, DELIVERIES_DEAD_LETTERS, MAX_RECEIVES),
        (JOBS_QUEUE, JOBS_DEAD_LETTERS, MAX_RECEIVES),
    ] {
        let settings = QueueSettings {
            visibility_timeout,
            max_receives: Some(max_receives),
            dead_letter: Some(dead_letters.to_owned()),
            fifo: name == DELIVERIES_QUEUE,
        };
        queues
            .queue(name, settings)
            .await
            .with_context(|| format!("cannot set up the queue {name}"))?;
    }
    Ok(())
}

fn router_app(
    options: &Options,
    table: &Table,
    archive: &Archive,
    queues: &LocalQueues,
    announcer: Announcer,
    observer: Option<Observer>,
) -> anyhow::Result<event_router::App> {
    let fetches_history = options.history.is_some();
    Ok(event_router::App {
        table: table.clone(),
        archive: archive.clone(),
        payloads: PayloadFetcher::new(options.payloads.clone())
            .context("cannot make the client that fetches payloads")?,
        history: fetches_history.then(|| Queue::new(queues.transport(HISTORY_QUEUE))),
        announcer: Some(announcer),
        terra_queue_arn: None,
        metrics: Sink::Nowhere,
        observer,
    })
}

/// Secrets with which webhooks are signed.
fn signing_secrets(options: &Options) -> anyhow::Result<Vec<SigningSecret>> {
    let named = options.signing_secrets.iter();
    let secrets = named.map(|(name, secret)| {
        SigningSecret::new(name, secret)
            .with_context(|| format!("the signing secret `{name}` is empty"))
    });
    secrets.collect()
}

fn intake_app(
    options: &Options,
    queues: &LocalQueues,
    archive: &Archive,
) -> anyhow::Result<webhook_intake::App> {
    Ok(webhook_intake::App {
        signing_secrets: signing_secrets(options)?,
        path_token: options.path_token.clone(),
        refusals: webhook_intake::Refusals::default(),
        tolerance: options.tolerance,
        events: Queue::new(queues.transport(EVENTS_QUEUE)),
        pings: Queue::new(queues.transport(PINGS_QUEUE)),
        archive: archive.clone(),
        metrics: Sink::Nowhere,
    })
}

fn history_app(
    options: &HistoryOptions,
    table: &Table,
    archive: &Archive,
    queues: &LocalQueues,
    clock: &Clock,
) -> anyhow::Result<Arc<history_fetch::App>> {
    Ok(Arc::new(history_fetch::App {
        table: table.clone(),
        archive: archive.clone(),
        terra: history_fetch::terra_client(options.terra.clone())
            .context("cannot make the client of Terra's API")?,
        lacks_credentials: false,
        backfill_events: Queue::new(queues.transport(BACKFILL_EVENTS_QUEUE)),
        jobs: Queue::new(queues.transport(HISTORY_QUEUE)),
        fetch: options.fetch.clone(),
        trust_empty_after: options.trust_empty_after,
        spread: Duration::ZERO,
        clock: Arc::clone(clock),
        metrics: Sink::Nowhere,
        supported: history_fetch::Supported::default(),
    }))
}

/// The queue's jobs, and those of the schedule: the comparison with Terra first, since it may bring
/// connections to look at.
fn serve_history(
    workers: &mut Workers,
    queues: &LocalQueues,
    app: &Arc<history_fetch::App>,
    history: &HistoryOptions,
    options: &Options,
) {
    for _ in 0..CONCURRENCY {
        let stopped = workers.stopped();
        workers.tasks.spawn(history::serve_queue(
            queues.clone(),
            Arc::clone(app),
            Arc::clone(&options.clock),
            options.visibility_timeout,
            stopped,
        ));
    }
    let Some(schedule) = history.schedule else {
        return;
    };
    let soon = Duration::from_secs(2);
    for (job, first, every) in [
        (HistoryMessage::Work, schedule.work, schedule.work),
        (HistoryMessage::Reconcile, soon, schedule.reconcile),
        (HistoryMessage::FindGaps, soon * 2, schedule.find_gaps),
    ] {
        let stopped = workers.stopped();
        let app = Arc::clone(app);
        workers
            .tasks
            .spawn(history::repeat(app, job, first, every, stopped));
    }
}

/// Routes the events of one queue.
async fn route_events(
    queues: LocalQueues,
    queue: &'static str,
    app: Arc<event_router::App>,
    clock: Clock,
    visibility_timeout: Duration,
    stopped: impl Future<Output = ()> + Send,
) {
    let mapping = Mapping {
        queues,
        queue,
        batch_size: BATCH_SIZE,
        visibility_timeout,
        at_stop: AtStop::Finish,
    };
    let handle = move |event| -> BoxFuture<'static, _> {
        let (app, now) = (Arc::clone(&app), clock());
        Box::pin(async move {
            let handled = event_router::handle(&app, event, now, ROUTER_TIMEOUT);
            Some(handled.await)
        })
    };
    mapping.serve(handle, stopped).await;
}
