//! A Terrarium and a stand-in Terra on one simulated clock: people with a past, webhooks, Terra's
//! API, and everything that goes wrong with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{
    connection::ConnectionId,
    history::{
        backfill::Backfill,
        coverage::{DayState, Keyed},
        day::{self, Span},
        window::Window,
    },
    message::HistoryMessage,
    pacing::Quotas,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use models::{data::DataType, ids::TerraUserId};
use serde_json::Value;
use simulator::{
    Connection, DataType as Kind, Deliverer, DeliverySettings, Postman, Truth, TruthSettings,
    api::{ApiSettings, Faults, TerraApi},
};
use store::table::{
    connections::{Alias, StoredConnection},
    key::RecordOwner,
};
use tempfile::TempDir;
use terra_client::api::{Settings, Via};
use terrarium::{
    history::HistoryOptions,
    system::{HISTORY_DEAD_LETTERS, System},
};
use tokio::net::TcpListener;

use crate::world::{SECRET, options, terra_dir};

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

/// What a test wants of the world.
pub(crate) struct Wish {
    pub(crate) people: TruthSettings,
    pub(crate) faults: Faults,
    pub(crate) via: Via,
    pub(crate) trust_empty_after: Duration,
    pub(crate) max_days: Option<u32>,
}

impl Wish {
    pub(crate) fn new(people: TruthSettings) -> Self {
        Self {
            people,
            faults: Faults::none(),
            via: Via::Answer,
            trust_empty_after: Duration::ZERO,
            max_days: None,
        }
    }
}

pub(crate) struct Past {
    clock: Arc<AtomicI64>,
    pub(crate) truth: Truth,
    pub(crate) api: TerraApi,
    pub(crate) postman: Postman,
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
        let start = wish.people.start;
        let clock = Arc::new(AtomicI64::new(start.as_millisecond()));
        let truth = Truth::new(wish.people, reading(&clock));
        let settings = ApiSettings {
            terra_dir: terra_dir(),
            faults: wish.faults,
            ..ApiSettings::new(&url, DEV_ID, API_KEY)
        };
        let api = TerraApi::new(truth.clone(), settings).unwrap();
        tokio::spawn(axum::serve(listener, api.router()).into_future());

        let mut terra = Settings::new(DEV_ID, API_KEY.into());
        terra.base_url = format!("{url}/api/v2").parse().unwrap();
        // What a stand-in leaves hanging is given up soon: this clock is the machine's.
        terra.timeouts.answer = Duration::from_secs(2);
        terra.timeouts.read = Duration::from_secs(2);
        terra.bounds.data_bytes = 4 << 20;
        let history = HistoryOptions {
            via: wish.via,
            max_days: wish.max_days,
            trust_empty_after: wish.trust_empty_after,
            quotas: Quotas::default(),
            schedule: None,
            ..HistoryOptions::new(terra)
        };
        let folder = tempfile::tempdir().unwrap();
        let system = system(&folder, &history, &clock).await;
        let deliverer = deliverer(&system.webhook_url, &clock);
        let postman = Postman::new(truth.clone(), Some(api.clone()), deliverer, start);
        Self {
            clock,
            truth,
            api,
            postman,
            system: Some(system),
            folder,
            history,
            worker: 0,
        }
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
    }

    /// Ends the system as a crash does, and starts it anew in the same folder.
    pub(crate) async fn crash(&mut self) {
        drop(self.system.take());
        let system = loop {
            // The file of the queues stays locked until the last task of the old one is gone.
            let mut options = options(self.folder.path());
            options.clock = reading(&self.clock);
            options.history = Some(self.history.clone());
            match System::start(options, None).await {
                Ok(system) => break system,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.system = Some(system);
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
        // What fails alone is logged and comes again; the tests look at what it comes to.
        drop(history_fetch::run(history, job, &worker, until).await);
        self.idle().await;
    }

    /// Waits until no message is left. One that failed is hidden for half a minute of a clock that
    /// stands still: then it is moved on.
    pub(crate) async fn idle(&self) {
        for _ in 0..100 {
            let waited = tokio::time::timeout(Duration::from_secs(3), self.system().idle());
            if let Ok(idle) = waited.await {
                return idle.unwrap();
            }
            self.advance(SignedDuration::from_secs(31));
        }
        panic!("never idle");
    }

    /// Lets webhooks come and windows be asked until nothing more is due now.
    pub(crate) async fn settle(&mut self) {
        loop {
            self.postman.post_until_now().await;
            self.idle().await;
            self.worker += 1;
            let until = self.now() + SignedDuration::from_mins(5);
            let history = self.system().history.as_ref().unwrap();
            // Two at once, as Lambda has it: leases keep them apart.
            let workers = ["one", "other"].map(|name| format!("{name}-{}", self.worker));
            let [one, other] = &workers;
            let (one, other) = tokio::join!(
                history_fetch::work(history, one, until),
                history_fetch::work(history, other, until),
            );
            self.idle().await;
            // What fails is logged, and due again later.
            let rounds = [one.unwrap_or_default(), other.unwrap_or_default()];
            if rounds.iter().any(|round| round.paused.is_some()) {
                // Twenty calls more.
                self.advance(SignedDuration::from_secs(2));
            } else if rounds.iter().all(|round| round.steps == 0) {
                return;
            }
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
        }
        // What was begun last is looked at once more.
        for _ in 0..3 {
            self.advance(SignedDuration::from_mins(20));
            self.settle().await;
        }
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

    /// What is known of the days of a connection and type that are to be known by now, from the first
    /// that can be on.
    pub(crate) async fn coverage(
        &self,
        connection: &StoredConnection,
        data_type: DataType,
    ) -> BTreeMap<Date, DayState> {
        let table = &self.system().table;
        let now_ms = self.now().as_millisecond();
        let known = table.known_days(connection, None, now_ms).await.unwrap();
        let outages = table.outages().await.unwrap();
        let Some(days) = known.get(&data_type) else {
            return BTreeMap::new();
        };
        // A day of a type without a record every day may wait a week for others to be asked with.
        let settled_until = day::plus(day::earliest_on_earth(now_ms), -12);
        match Span::new(days.life.first_day, settled_until) {
            Ok(span) => days.known(&outages).coverage(span, now_ms),
            Err(_) => BTreeMap::new(),
        }
    }

    /// Every record of a connection in the table is one of the truth's, byte for byte of meaning,
    /// and the other way round, up to days that are settled.
    pub(crate) async fn assert_true(&self, connection: &Connection) {
        let stored = self.connection(&connection.terra_user_id).await;
        let stored = stored.unwrap_or_else(|| panic!("no connection"));
        let owner = RecordOwner::Connection(stored.id.clone());
        let today = self.now().to_zoned(TimeZone::UTC).date();
        let settled = day::plus(today, -3);
        let first = day::plus(today, -4000);
        for (data_type, kind) in TYPES {
            if Keyed::of(data_type).is_none() || !Truth::is_fetchable(connection, kind) {
                continue;
            }
            let expected: BTreeMap<String, Value> = self
                .truth
                .records(connection, kind, first, settled)
                .into_iter()
                .map(|record| (record.key, record.body))
                .collect();
            let mut found = BTreeMap::new();
            let table = &self.system().table;
            for record in table.records(&owner, Some(data_type)).await.unwrap() {
                let newest = &record.record.newest;
                let day = day::of_record(&record.key, newest.start_time.as_deref());
                if day.is_none_or(|day| day >= settled) {
                    continue;
                }
                let payload = match &record.record.sampled {
                    Some(sampled) => &sampled.payload,
                    None => &newest.payload,
                };
                let archive = &self.system().archive;
                let bytes = archive.read_frames(&payload.locator).await.unwrap();
                let body: Value = serde_json::from_slice(&bytes).unwrap();
                found.insert(record.key.to_string(), body);
            }
            let what = format!("{:?} {data_type}", connection.provider);
            let (have, want): (BTreeSet<_>, BTreeSet<_>) =
                (found.keys().collect(), expected.keys().collect());
            let missing: Vec<_> = want.difference(&have).take(5).collect();
            let extra: Vec<_> = have.difference(&want).take(5).collect();
            assert!(
                missing.is_empty() && extra.is_empty(),
                "{what}: of {} records {missing:?} are missing, {extra:?} are too many",
                want.len()
            );
            for (key, body) in &found {
                assert!(expected.get(key) == Some(body), "{what} {key} differs");
            }
        }
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

async fn system(folder: &TempDir, history: &HistoryOptions, clock: &Arc<AtomicI64>) -> System {
    let mut options = options(folder.path());
    options.clock = reading(clock);
    options.history = Some(history.clone());
    System::start(options, None).await.unwrap()
}

fn deliverer(url: &str, clock: &Arc<AtomicI64>) -> Deliverer {
    let settings = DeliverySettings {
        attempts: 1,
        ..DeliverySettings::new(url, SECRET.as_bytes())
    };
    Deliverer::new(settings, reading(clock)).unwrap()
}
