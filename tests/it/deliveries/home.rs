//! A system with destinations, on a clock that the test moves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_lambda_events::sqs::SqsEvent;
use destinations::{
    config::{KindName, Secrets, split},
    id::{OwnerId, RecordId, checksum},
    kind::Kind,
};
use domain::{
    compose::{Sampled, compose},
    delivery::{
        Cause, Changed, DeliveryMessage, Destination, DestinationId, Network, Status, Stream,
        Subscription, shard_of,
    },
    owner::RecordOwner,
};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use models::data::DataType;
use rand::{rngs::StdRng, seq::SliceRandom as _};
use runtime::queue::FifoIds;
use serde_json::{Value, json};
use simulator::{DataType as Simulated, Provider, Shape, Webhook};
use store::table::{connections::StoredConnection, key::CONNECTION_SHARDS, records::FoundRecord};
use tempfile::TempDir;
use terrarium::system::System;

use super::far_end::{FarEnd, Held};
use crate::world::{World, client, now, options, terra};

const SIMULATED: [Simulated; 5] = [
    Simulated::Activity,
    Simulated::Body,
    Simulated::Daily,
    Simulated::Nutrition,
    Simulated::Sleep,
];

/// A world whose clock the test moves.
pub(crate) struct Home {
    pub(crate) world: World,
    clock: Arc<AtomicI64>,
    looks: AtomicU32,
}

impl Home {
    pub(crate) async fn start() -> Self {
        let clock = Arc::new(AtomicI64::new(now().as_millisecond()));
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self {
            world: Self::open(folder, &clock).await,
            clock,
            looks: AtomicU32::new(0),
        }
    }

    /// A system in the folder, as soon as a former one has let go of it.
    async fn open(folder: Arc<TempDir>, clock: &Arc<AtomicI64>) -> World {
        let system = async {
            loop {
                let mut options = options(folder.path());
                options.payloads.allowed_hosts.clear();
                options.looks_for_deliveries = false;
                options.removes_expired = false;
                options.visibility_timeout = Duration::from_secs(10);
                let clock = Arc::clone(clock);
                options.clock = Arc::new(move || {
                    Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap()
                });
                if let Ok(system) = System::start(options, None).await {
                    return system;
                }
                tokio::task::yield_now().await;
            }
        };
        let system = tokio::time::timeout(Duration::from_mins(1), system).await;
        World {
            system: system.unwrap(),
            http: client(),
            folder,
        }
    }

    /// Ends the system as a crash does, wherever it is, and starts it anew.
    pub(crate) async fn crash(self) -> Self {
        let Self {
            world: World { system, folder, .. },
            clock,
            looks,
        } = self;
        drop(system);
        Self {
            world: Self::open(folder, &clock).await,
            clock,
            looks,
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap();
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.world.system.queues.clock_moved();
    }

    /// Adds a destination for a far end.
    pub(crate) async fn add_far(&self, far: &dyn FarEnd) -> Destination {
        self.add_far_with(far, |_| {}).await
    }

    /// Adds a destination that is not as they usually are.
    pub(crate) async fn add_far_with(
        &self,
        far: &dyn FarEnd,
        change: impl FnOnce(&mut Destination) + Send,
    ) -> Destination {
        let entered = far.settings().as_object().unwrap().clone();
        let (config, secrets) = split(far.kind(), entered);
        self.add(far.kind(), Value::Object(config), &secrets, change)
            .await
    }

    /// Adds a destination with settings.
    pub(crate) async fn add(
        &self,
        kind: KindName,
        config: Value,
        secrets: &Secrets,
        change: impl FnOnce(&mut Destination) + Send,
    ) -> Destination {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let mut destination = Destination {
            id: DestinationId::new(&format!("dst_test{number}")).unwrap(),
            name: kind.to_string(),
            kind: kind.to_string(),
            status: Status::Active,
            status_since_ms: self.now_ms(),
            subscription: Subscription::default(),
            stream: Stream::Records,
            concurrency: 3,
            network: Network::Local,
            config: serde_json::from_value(config).unwrap(),
            created_at_ms: self.now_ms(),
        };
        change(&mut destination);
        let system = &self.world.system;
        let vault = system.deliver.clients.vault();
        vault.write(&destination.id, secrets).await.unwrap();
        assert!(system.table.add_destination(&destination).await.unwrap());
        Self::until_listed().await;
        destination
    }

    /// Waits until the router has read the list of destinations anew: it does once a second.
    pub(crate) async fn until_listed() {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }

    pub(crate) async fn look(&self) {
        let job = DeliveryMessage::Work;
        let look = self.looks.fetch_add(1, Ordering::SeqCst);
        let ids = FifoIds {
            group_id: job.group(),
            deduplication_id: format!("look-{look}-{}", rand::random::<u64>()),
        };
        let jobs = &self.world.system.deliver.jobs;
        jobs.send_fifo([(&job, ids)]).await.unwrap();
        self.idle().await;
    }

    /// Waits until no message is left. A message that failed is hidden for a while of a clock that stands
    /// still.
    pub(crate) async fn idle(&self) {
        let idle = async {
            let mut looks = 0;
            while self.world.system.messages().await.unwrap() > 0 {
                looks += 1;
                if self.world.system.is_at_work() {
                    looks = 0;
                } else if looks > 20 {
                    self.advance(SignedDuration::from_secs(11));
                    looks = 0;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let idle = tokio::time::timeout(Duration::from_mins(5), idle).await;
        assert!(idle.is_ok(), "never idle");
    }

    /// Lets time pass until nothing is owed and every order is done.
    pub(crate) async fn settle(&self, destination: &Destination) {
        for _ in 0..60 {
            self.look().await;
            let (table, id) = (&self.world.system.table, &destination.id);
            let health = table.health(id).await.unwrap();
            let orders = table.orders(id).await.unwrap();
            let erasures = table.erasures(id).await.unwrap();
            let done = orders.iter().all(|order| order.done_at_ms.is_some())
                && erasures.iter().all(|erasure| erasure.is_done);
            if health.owing.is_empty() && done {
                return;
            }
            self.advance(SignedDuration::from_mins(10));
        }
        let health = self.world.system.table.health(&destination.id).await;
        panic!("{} never settles: {:?}", destination.kind, health.unwrap());
    }

    pub(crate) async fn connections(&self) -> Vec<StoredConnection> {
        let table = &self.world.system.table;
        let mut found = Vec::new();
        for shard in 0..CONNECTION_SHARDS {
            for id in table.connection_ids(shard, None, 1_000).await.unwrap() {
                found.extend(table.connection(&id).await.unwrap());
            }
        }
        found
    }

    /// Every record that the store has, by its name at destinations, with its owner and its revision.
    async fn records(&self) -> BTreeMap<RecordId, (StoredConnection, FoundRecord, u64)> {
        let table = &self.world.system.table;
        let mut all = BTreeMap::new();
        for connection in self.connections().await {
            let owner = RecordOwner::Connection(connection.id.clone());
            let mut after: Option<String> = None;
            loop {
                let page = table
                    .records_page(&owner, after.as_deref(), 50)
                    .await
                    .unwrap();
                for (found, revision) in page.0 {
                    let id = RecordId::of(&OwnerId::of(&owner), found.data_type, &found.key);
                    all.insert(id, (connection.clone(), found, revision));
                }
                after = page.1;
                if after.is_none() {
                    break;
                }
            }
        }
        all
    }

    /// Revision of every record that the store has.
    pub(crate) async fn store(&self) -> BTreeMap<RecordId, u64> {
        let records = self.records().await.into_iter();
        records
            .map(|(id, (_, _, revision))| (id, revision))
            .collect()
    }

    /// Every record that the store has, as a change of its owner.
    pub(crate) async fn changes(&self) -> Vec<Changed> {
        let records = self.records().await.into_values();
        let change = |(connection, found, _): (StoredConnection, FoundRecord, u64)| {
            let owner = RecordOwner::Connection(connection.id);
            Changed::record(owner, found.data_type, &found.key)
        };
        records.map(change).collect()
    }

    /// Contents that a destination is to have of every record.
    pub(crate) async fn contents(&self) -> BTreeMap<RecordId, Held> {
        let mut all = BTreeMap::new();
        for (id, (connection, found, revision)) in self.records().await {
            let record = &found.record;
            let archive = &self.world.system.archive;
            let newest = archive.read_payload(&record.newest.payload).await.unwrap();
            let mut older = Vec::new();
            for (payload, streams) in record.sampled_arrivals() {
                older.push((archive.read_payload(payload).await.unwrap(), streams));
            }
            let sampled: Vec<_> = older
                .iter()
                .map(|(record, streams)| Sampled { record, streams })
                .collect();
            let scores = &record.enrichment;
            let whole = compose(found.data_type, &newest, &sampled, scores, true);
            let summary: BTreeMap<_, _> = record.summary().fields().into_iter().collect();
            let user = connection.state.current().unwrap().0;
            let held = Held {
                revision,
                checksum: Some(checksum(&id, revision).into()),
                retracted: record.newest.retracted,
                user: Some(user.as_str().to_owned()),
                summary: json!(summary),
                record: serde_json::from_slice(&whole).unwrap(),
            };
            all.insert(id, held);
        }
        all
    }

    /// Names of all owners at destinations.
    pub(crate) async fn owners(&self) -> BTreeSet<OwnerId> {
        let connections = self.connections().await;
        connections
            .iter()
            .map(|connection| OwnerId::connection(&connection.id))
            .collect()
    }

    /// Opens a destination beside the one that deliver has open.
    pub(crate) async fn open_kind(&self, destination: &Destination) -> Box<dyn Kind> {
        let clients = &self.world.system.deliver.clients;
        let secrets = clients.vault().read(&destination.id).await.unwrap();
        clients.open(destination, &secrets).unwrap()
    }

    /// Waits until something is done or nothing is left to do.
    pub(crate) async fn until(&self, is_done: impl Fn() -> bool + Send) {
        let waiting = async {
            while !is_done() && self.world.system.is_at_work() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(5), waiting).await;
        assert!(waited.is_ok(), "neither done nor idle");
    }

    /// Every record that a state kind has, under every owner that ever was.
    pub(crate) async fn there(
        &self,
        destination: &Destination,
        owners: &BTreeSet<OwnerId>,
    ) -> BTreeMap<RecordId, u64> {
        let kind = self.open_kind(destination).await;
        let mut all = BTreeMap::new();
        for owner in owners {
            for data_type in DataType::ALL {
                all.extend(kind.revisions(owner, Some(data_type)).await.unwrap());
            }
        }
        all
    }
}

/// Days of several people, with news of the same days, people who come back and data taken back.
pub(crate) fn webhooks(seed: u64) -> (Vec<Webhook>, Vec<simulator::Connection>) {
    webhooks_after(seed, SignedDuration::ZERO)
}

/// The same of a later time.
pub(crate) fn webhooks_after(
    seed: u64,
    later: SignedDuration,
) -> (Vec<Webhook>, Vec<simulator::Connection>) {
    let mut terra = terra(seed);
    terra.advance(later);
    let providers = [
        Provider::Garmin,
        Provider::Core,
        Provider::Cronometer,
        Provider::Oura,
    ];
    let mut links: Vec<_> = providers.map(|provider| terra.stranger(provider)).into();
    let mut made: Vec<Webhook> = links.clone().iter().map(|link| terra.auth(link)).collect();
    let today = terra.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    for round in 0..4_i64 {
        for link in links.clone() {
            for kind in SIMULATED {
                if !link.provider.data_types().contains(&kind) {
                    continue;
                }
                for back in 0..3_i64 {
                    let day = today - jiff::Span::new().days(back);
                    let shape = Shape {
                        samples: round % 2 == 0,
                        retracted: round == 3 && back == 1,
                        ..Shape::on(Some(day))
                    };
                    made.push(terra.data(&link, kind, &shape));
                }
            }
        }
        if round == 1 {
            let renewed = terra.reauthenticate(&links[0]);
            made.push(terra.user_reauth(Some(&links[0]), &renewed));
            links[0] = renewed;
        }
        terra.advance(SignedDuration::from_mins(20));
    }
    (made, links)
}

/// Posts in any order, a third of them twice, and some at once.
pub(crate) async fn post_all(home: &Home, webhooks: &[Webhook], dice: &mut StdRng) {
    let mut order: Vec<&Webhook> = webhooks.iter().collect();
    order.extend(webhooks.iter().step_by(3));
    order.shuffle(dice);
    futures::stream::iter(order)
        .for_each_concurrent(8, |webhook| home.world.deliver(webhook))
        .await;
}

/// A batch as Lambda hands it over, with changes of several shards.
pub(crate) fn event(destination: &Destination, changes: &[Changed]) -> SqsEvent {
    let messages = changes.iter().enumerate().map(|(number, changed)| {
        let message = DeliveryMessage::Changes {
            destination: destination.id.clone(),
            shard: shard_of(&changed.owner(), destination.concurrency),
            cause: Cause::Redrive,
            changes: vec![changed.clone()],
            force: true,
        };
        json!({
            "messageId": number.to_string(),
            "body": serde_json::to_string(&message).unwrap(),
            "attributes": {"MessageGroupId": message.group()},
            "messageAttributes": {},
        })
    });
    let event = json!({"Records": messages.collect::<Vec<_>>()});
    serde_json::from_value(event).unwrap()
}
