//! A Terrarium and a stand-in Terra on one simulated clock: people with a past, webhooks, Terra's
//! API, and everything that goes wrong with them.

mod pings;
mod stories;
pub(crate) mod truth;
mod year;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{
    connection::ConnectionId,
    history::{
        backfill::Backfill,
        coverage::DayState,
        day::{self, Span},
        window::Window,
    },
    message::HistoryMessage,
    pacing::{Quota, Quotas},
};
use history_fetch::{FetchSettings, FetchVia};
use jiff::{SignedDuration, Timestamp, civil::Date};
use models::{data::DataType, ids::TerraUserId};
use simulator::{
    DataType as Kind, Deliverer, DeliverySettings, Payloads, Posted, Postman, Provider, Truth,
    TruthSettings,
    api::{ApiSettings, Faults, TerraApi},
};
use store::table::{
    connections::{Alias, StoredConnection},
    history::Due,
};
use tempfile::TempDir;
use terra_client::api::Settings;
use terrarium::{
    history::HistoryOptions,
    system::{HISTORY_DEAD_LETTERS, System},
};
use tokio::net::TcpListener;

use crate::{
    child::Running,
    world::{SECRET, description, options},
};

pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);
pub(crate) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Nobody has taken a message after so many looks: it failed, and is hidden.
const LOOKS: u32 = 8;
/// Time between two checks for due work, in a test that lives through days.
const SOON: SignedDuration = SignedDuration::from_mins(10);

pub(crate) const PROVIDERS: [Provider; 6] = [
    Provider::Core,
    Provider::Cronometer,
    Provider::Garmin,
    Provider::Oura,
    Provider::Fitbit,
    Provider::Withings,
];

pub(crate) const DEV_ID: &str = "testing-dev";
pub(crate) const API_KEY: &str = "key-of-the-tests";

/// Types whose days can be asked for, in both tongues.
pub(crate) const TYPES: [(DataType, Kind); 6] = [
    (DataType::Activity, Kind::Activity),
    (DataType::Body, Kind::Body),
    (DataType::Daily, Kind::Daily),
    (DataType::Menstruation, Kind::Menstruation),
    (DataType::Nutrition, Kind::Nutrition),
    (DataType::Sleep, Kind::Sleep),
];

/// Wishes of a test about its world.
pub(crate) struct Wish {
    pub(crate) people: TruthSettings,
    pub(crate) faults: Faults,
    pub(crate) via: FetchVia,
    pub(crate) trust_empty_after: Duration,
    pub(crate) max_days: Option<u32>,
    /// True if a whole day is answered for the UTC day on which it begins.
    pub(crate) utc_days: bool,
    /// True if data are offered by pings instead of posted.
    pub(crate) pings: bool,
    /// True if Terra takes calls that only its older descriptions have.
    pub(crate) former_calls: bool,
}

impl Wish {
    pub(crate) fn new(people: TruthSettings) -> Self {
        Self {
            people,
            faults: Faults::none(),
            via: FetchVia::Answer,
            trust_empty_after: Duration::ZERO,
            max_days: None,
            utc_days: false,
            pings: false,
            former_calls: false,
        }
    }
}

pub(crate) struct Past {
    clock: Arc<AtomicI64>,
    pub(crate) truth: Truth,
    pub(crate) api: TerraApi,
    pub(crate) postman: Postman,
    /// Store of the payloads of pings.
    pub(crate) payloads: Payloads,
    system: Option<System>,
    folder: TempDir,
    history: HistoryOptions,
    worker: u64,
}

impl Past {
    pub(crate) async fn start(wish: Wish) -> Self {
        drop(crate::world::client());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let begin = wish.people.start;
        let clock = Arc::new(AtomicI64::new(begin.as_millisecond()));
        let truth = Truth::new(wish.people, reading(&clock));
        let settings = ApiSettings {
            description: description(),
            faults: wish.faults,
            utc_days: wish.utc_days,
            former_calls: wish.former_calls,
            // A worker that gave an answer up was never told to wait, and asks again when its window says so:
            // on a busy machine one request per answer is early.
            crossing: Duration::from_mins(10),
            ..ApiSettings::new(&url, DEV_ID, API_KEY)
        };
        let api = TerraApi::new(truth.clone(), settings);
        let payloads = Payloads::new(&url, b"s3", reading(&clock));
        let router = api
            .router()
            .merge(simulator::server::router(payloads.clone()));
        tokio::spawn(axum::serve(listener, router).into_future());

        let history = HistoryOptions {
            trust_empty_after: wish.trust_empty_after,
            ..history_options(&format!("{url}/api/v2"), wish.via, wish.max_days)
        };
        let folder = tempfile::tempdir().unwrap();
        let system = start(folder.path(), &history, reading(&clock)).await;
        let deliverer = deliverer(&system.webhook_url, &clock);
        let postman = Postman::new(truth.clone(), Some(api.clone()), deliverer, begin);
        if wish.pings {
            postman.offer_by(payloads.clone()).await;
        }
        Self {
            clock,
            truth,
            api,
            postman,
            payloads,
            system: Some(system),
            folder,
            history,
            worker: 0,
        }
    }

    /// Address of the stand-in Terra, and the credentials for it.
    pub(crate) fn terra(&self) -> &Settings {
        &self.history.terra
    }

    pub(crate) fn system(&self) -> &System {
        self.system.as_ref().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        reading(&self.clock)()
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap();
        self.clock.fetch_add(ms, Ordering::SeqCst);
        if let Some(system) = &self.system {
            system.queues.clock_moved();
        }
    }

    /// From the next start on windows are asked for in another way, and answered at once.
    pub(crate) fn go_the_way(&mut self, number: usize) {
        let (via, forms) = year::WAYS[number % year::WAYS.len()];
        self.history.fetch.via = via;
        self.api.set_forms(forms);
    }

    /// Ends the system as a crash does, and starts it anew in the same folder.
    pub(crate) async fn crash(&mut self) {
        drop(self.system.take());
        self.start_again().await;
    }

    /// Ends the system as a crash does, and lets another process go on in its folder with what is due,
    /// until it is killed after `life`; then the system is started anew.
    pub(crate) async fn work_until_killed(&mut self, life: Duration) {
        drop(self.system.take());
        let begun = Instant::now();
        let orders = year::Orders {
            api_url: self.history.terra.base_url.to_string(),
            way: year::place_of(self.history.fetch.via),
            max_days: self.history.fetch.max_days,
            trust_empty_after: self.history.trust_empty_after,
            now_ms: self.now().as_millisecond(),
        };
        orders.write(self.folder.path());
        let (mut child, url) = Running::start(year::CHILD, self.folder.path());
        self.postman.deliver_by(deliverer(&url, &self.clock)).await;
        let killed = async {
            tokio::time::sleep(life).await;
            child.kill();
        };
        tokio::join!(self.postman.post_until_now(), killed);
        self.api.forget_waits_told_now();
        // The child's clock goes by itself.
        self.advance(SignedDuration::try_from(begun.elapsed()).unwrap());
        self.start_again().await;
    }

    async fn start_again(&mut self) {
        let clock = reading(&self.clock);
        self.system = Some(start(self.folder.path(), &self.history, clock).await);
        self.take_webhooks_again().await;
    }

    /// A webhook destination that nobody answers at.
    pub(crate) async fn lose_webhooks(&self) {
        let nowhere = deliverer("http://127.0.0.1:9/", &self.clock);
        self.postman.deliver_by(nowhere).await;
    }

    pub(crate) async fn take_webhooks_again(&self) {
        let here = deliverer(&self.system().webhook_url, &self.clock);
        self.postman.deliver_by(here).await;
        self.postman.switch_on().await;
    }

    /// Does one job of history, and all that follows from it.
    pub(crate) async fn job(&mut self, job: HistoryMessage) {
        self.worker += 1;
        let system = self.system();
        let history = system.history.as_ref().unwrap();
        let until = self.now() + SignedDuration::from_mins(5);
        let worker = format!("worker-{}", self.worker);
        // A job that fails alone is logged and comes again; the tests look at the end.
        drop(history_fetch::run(history, job, &worker, until).await);
        self.idle().await;
    }

    /// Waits until no message is left. One that failed is hidden for half a minute of a clock that
    /// stands still: then it is moved on.
    pub(crate) async fn idle(&self) {
        let idle = async {
            let mut looks = 0;
            while self.system().messages().await.unwrap() > 0 {
                looks += 1;
                if self.system().is_at_work() {
                    looks = 0;
                } else if looks > LOOKS {
                    self.advance(SignedDuration::from_secs(31));
                    looks = 0;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let idle = tokio::time::timeout(Duration::from_mins(5), idle).await;
        assert!(idle.is_ok(), "never idle");
    }

    /// Lets webhooks come and windows be asked until nothing more is due now.
    pub(crate) async fn settle(&mut self) {
        self.postman.post_until_now().await;
        self.idle().await;
        // Jobs that the last round led to may be due since.
        let mut quiet = false;
        loop {
            self.worker += 1;
            let until = self.now() + SignedDuration::from_mins(5);
            // Two at once, as Lambda has it: leases keep them apart.
            let [one, other] = ["one", "other"].map(|name| {
                let name = format!("{name}-{}", self.worker);
                let history = Arc::clone(self.system().history.as_ref().unwrap());
                tokio::spawn(async move { history_fetch::work(&history, &name, until).await })
            });
            let (posted, one, other) = tokio::join!(self.postman.post_until_now(), one, other);
            // A job that fails is logged, and due again later.
            let rounds = [one, other].map(|round| round.unwrap().unwrap_or_default());
            if rounds.iter().any(|round| round.paused.is_some()) {
                self.advance(SignedDuration::from_secs(1));
                quiet = false;
                continue;
            }
            self.idle().await;
            let nothing =
                posted == Posted::default() && rounds.iter().all(|round| round.steps == 0);
            if nothing && quiet {
                return;
            }
            quiet = nothing;
        }
    }

    /// Lives through a span of time as the schedules do.
    pub(crate) async fn live(&mut self, span: SignedDuration, step: SignedDuration) {
        let end = self.now() + span;
        while self.now() < end {
            self.advance(step);
            self.settle().await;
            self.job(HistoryMessage::Reconcile).await;
            self.job(HistoryMessage::FindGaps).await;
            self.settle().await;
            // Until everybody's turn has come: buckets hold few calls at once.
            while self.has_due(SOON).await && self.now() < end {
                self.advance(SOON);
                self.settle().await;
            }
        }
        // The last backfill is looked at once more.
        for _ in 0..3 {
            self.advance(SOON * 2);
            self.settle().await;
        }
    }

    /// Returns whether a window is due within this time.
    async fn has_due(&self, within: SignedDuration) -> bool {
        let until_ms = (self.now() + within).as_millisecond();
        let due = self.system().table.due(until_ms, 64).await.unwrap();
        due.iter().any(|due| matches!(due, Due::Window(_)))
    }

    pub(crate) async fn connection(&self, terra_user_id: &str) -> Option<StoredConnection> {
        let table = &self.system().table;
        let user = TerraUserId::new(terra_user_id).unwrap();
        let Some(Alias::Connection(id)) = table.alias(&user).await.unwrap() else {
            return None;
        };
        table.connection(&id).await.unwrap()
    }

    /// All backfills of a connection with their windows.
    pub(crate) async fn backfills(&self, id: &ConnectionId) -> Vec<(Backfill, Vec<Window>)> {
        let table = &self.system().table;
        let mut found = Vec::new();
        for id in table.backfills_of(id).await.unwrap() {
            let backfill = table.backfill(&id).await.unwrap().unwrap();
            found.push((backfill, table.windows(&id, None).await.unwrap()));
        }
        found
    }

    /// All windows of a connection.
    pub(crate) async fn windows_of(&self, id: &ConnectionId) -> Vec<Window> {
        let backfills = self.backfills(id).await.into_iter();
        backfills.flat_map(|(_, windows)| windows).collect()
    }

    /// All windows of all connections.
    pub(crate) async fn windows(&self) -> Vec<Window> {
        let mut found = Vec::new();
        for connection in self.truth.connections() {
            let Some(stored) = self.connection(&connection.terra_user_id).await else {
                continue;
            };
            found.extend(self.windows_of(&stored.id).await);
        }
        found
    }

    /// The first day that need not be known yet: one of a type without a record every day may wait a week
    /// for others to be asked with.
    pub(crate) fn settled_until(&self) -> Date {
        day::plus(day::earliest_on_earth(self.now().as_millisecond()), -12)
    }

    /// Reads the states of a connection's days that are to be known by now, by type, from the first
    /// possible day.
    pub(crate) async fn coverage(
        &self,
        connection: &StoredConnection,
    ) -> BTreeMap<DataType, BTreeMap<Date, DayState>> {
        let table = &self.system().table;
        let now_ms = self.now().as_millisecond();
        let known = table.known_days(connection, None, now_ms).await.unwrap();
        let outages = table.outages().await.unwrap();
        let settled_until = self.settled_until();
        let known = known.into_iter().filter(|(_, days)| !days.refused);
        let covered = known.filter_map(|(data_type, days)| {
            let span = Span::new(days.life.first_day, settled_until).ok()?;
            Some((data_type, days.known(&outages).coverage(span, now_ms)))
        });
        covered.collect()
    }

    pub(crate) async fn dead_letters(&self) -> u64 {
        let stats = self.system().queues.stats(HISTORY_DEAD_LETTERS).await;
        stats.map_or(0, |stats| stats.total())
    }
}

fn reading(clock: &Arc<AtomicI64>) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    let clock = Arc::clone(clock);
    Arc::new(move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap())
}

/// Starts a system in a folder as soon as nobody else has it: its file of queues stays locked until
/// the last task of a former one is gone.
async fn start(
    folder: &Path,
    history: &HistoryOptions,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
) -> System {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut options = options(folder);
        options.clock = Arc::clone(&clock);
        options.removes_expired = false;
        options.history = Some(history.clone());
        options.terra = Some(history.terra.clone());
        match System::start(options, None).await {
            Ok(system) => return system,
            Err(error) => assert!(Instant::now() < deadline, "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the settings for a stand-in Terra at `api_url`, without any schedule.
fn history_options(api_url: &str, via: FetchVia, max_days: Option<u32>) -> HistoryOptions {
    let mut terra = Settings::new(DEV_ID, API_KEY.into());
    terra.base_url = api_url.parse().unwrap();
    // A request that a stand-in leaves hanging is given up soon: this clock is the machine's.
    terra.timeouts.answer = Duration::from_secs(2);
    terra.timeouts.read = Duration::from_secs(2);
    terra.bounds.data_bytes = 4 << 20;
    terra.retries.first_wait = Duration::from_millis(5);
    terra.retries.longest_wait = Duration::from_millis(20);
    let fetch = FetchSettings {
        via,
        max_days,
        quotas: Quotas {
            // Nobody waits for the account, which only costs a test time: Terra has no such limit.
            account: Quota::rolling_hour(720_000, 200),
            ..Quotas::default()
        },
    };
    HistoryOptions {
        schedule: None,
        ..HistoryOptions::new(terra, fetch)
    }
}

fn deliverer(url: &str, clock: &Arc<AtomicI64>) -> Deliverer {
    let settings = DeliverySettings {
        attempts: 1,
        ..DeliverySettings::new(url, SECRET.as_bytes())
    };
    Deliverer::new(settings, reading(clock)).unwrap()
}
