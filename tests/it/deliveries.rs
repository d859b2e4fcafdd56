//! Destinations end with what the store has, whatever happens on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_lambda_events::sqs::SqsEvent;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use destinations::{
    config::{KindName, Secrets},
    id::{OwnerId, RecordId, checksum},
    sign,
};
use domain::{
    delivery::{
        Cause, Changed, DeliveryMessage, Destination, DestinationId, Network, Status, Stream,
        Subscription,
        order::{DifferenceKind, Order, Purpose, Range},
    },
    owner::RecordOwner,
};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use models::{data::DataType, ids::ReferenceId};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use runtime::queue::FifoIds;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use simulator::{DataType as Kind, Provider, Shape, Webhook};
use store::table::{connections::StoredConnection, key::CONNECTION_SHARDS};
use tempfile::TempDir;
use terrarium::system::{DELIVERIES_DEAD_LETTERS, System};

use crate::world::{World, client, now, options, terra};

const KINDS: [Kind; 5] = [
    Kind::Activity,
    Kind::Body,
    Kind::Daily,
    Kind::Nutrition,
    Kind::Sleep,
];

/// A world whose clock the test moves.
struct Home {
    world: World,
    clock: Arc<AtomicI64>,
    looks: AtomicU32,
}

impl Home {
    async fn start() -> Self {
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
    async fn crash(self) -> Self {
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

    fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap();
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.world.system.queues.clock_moved();
    }

    async fn add(&self, kind: KindName, config: Value, secrets: Secrets) -> Destination {
        self.add_with(
            kind,
            config,
            secrets,
            Subscription::default(),
            Stream::Records,
        )
        .await
    }

    async fn add_with(
        &self,
        kind: KindName,
        config: Value,
        secrets: Secrets,
        subscription: Subscription,
        stream: Stream,
    ) -> Destination {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let destination = Destination {
            id: DestinationId::new(&format!("dst_test{number}")).unwrap(),
            name: kind.to_string(),
            kind: kind.to_string(),
            status: Status::Active,
            status_since_ms: self.now_ms(),
            subscription,
            stream,
            concurrency: 3,
            network: Network::Local,
            config: serde_json::from_value(config).unwrap(),
            created_at_ms: self.now_ms(),
        };
        let system = &self.world.system;
        let vault = system.deliver.clients.vault();
        vault.write(&destination.id, &secrets).await.unwrap();
        assert!(system.table.add_destination(&destination).await.unwrap());
        // The router reads the list of destinations once a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        destination
    }

    async fn look(&self) {
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
    async fn idle(&self) {
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
        let idle = tokio::time::timeout(Duration::from_mins(2), idle).await;
        assert!(idle.is_ok(), "never idle");
    }

    /// Lets time pass until nothing is owed and every order is done.
    async fn settle(&self, destination: &Destination) {
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

    async fn connections(&self) -> Vec<StoredConnection> {
        let table = &self.world.system.table;
        let mut found = Vec::new();
        for shard in 0..CONNECTION_SHARDS {
            for id in table.connection_ids(shard, None, 1_000).await.unwrap() {
                found.extend(table.connection(&id).await.unwrap());
            }
        }
        found
    }

    /// Every record that the store has, by its name at destinations, with its revision.
    async fn store(&self) -> BTreeMap<RecordId, u64> {
        let table = &self.world.system.table;
        let mut all = BTreeMap::new();
        for connection in self.connections().await {
            let owner = RecordOwner::Connection(connection.id);
            let mut after: Option<String> = None;
            loop {
                let page = table
                    .records_page(&owner, after.as_deref(), 50)
                    .await
                    .unwrap();
                for (found, revision) in page.0 {
                    let owner = OwnerId::of(&owner);
                    all.insert(RecordId::of(&owner, found.data_type, &found.key), revision);
                }
                after = page.1;
                if after.is_none() {
                    break;
                }
            }
        }
        all
    }

    /// Every record that a state kind has, under every owner that ever was.
    async fn there(
        &self,
        destination: &Destination,
        owners: &BTreeSet<OwnerId>,
    ) -> BTreeMap<RecordId, u64> {
        let clients = &self.world.system.deliver.clients;
        let secrets = clients.vault().read(&destination.id).await.unwrap();
        let kind = clients.open(destination, &secrets).unwrap();
        let mut all = BTreeMap::new();
        for owner in owners {
            for data_type in DataType::ALL {
                all.extend(kind.revisions(owner, Some(data_type)).await.unwrap());
            }
        }
        all
    }
}

fn bucket(folder: &Path) -> Value {
    json!({ "path": folder })
}

/// Days of several people, with news of the same days, people who come back and data taken back.
fn webhooks(seed: u64) -> (Vec<Webhook>, Vec<simulator::Connection>) {
    webhooks_after(seed, SignedDuration::ZERO)
}

/// The same of a later time.
fn webhooks_after(seed: u64, later: SignedDuration) -> (Vec<Webhook>, Vec<simulator::Connection>) {
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
            for kind in KINDS {
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

/// Deliveries that a receiver has, and its behaviour.
#[derive(Default)]
struct Inbox {
    /// The greatest revision of each record, with the envelope; deletions as `None`.
    records: Mutex<BTreeMap<String, (u64, Option<Value>)>>,
    /// Bodies by `webhook-id`.
    bodies: Mutex<BTreeMap<String, Bytes>>,
    down: AtomicBool,
    /// So many more answers are lost after the delivery was taken.
    answers_to_lose: AtomicU32,
    erased: AtomicU32,
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if inbox.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    inbox.bodies.lock().unwrap().insert(id, body.clone());
    let envelope: Value = serde_json::from_slice(&body).unwrap();
    if envelope["event"] == "person.erased" {
        inbox.erased.fetch_add(1, Ordering::SeqCst);
        let gone: Vec<_> = envelope["connection_ids"].as_array().unwrap().clone();
        let mut records = inbox.records.lock().unwrap();
        records.retain(|_, (_, held)| {
            held.as_ref()
                .is_none_or(|held| !gone.contains(&held["connection_id"]))
        });
    } else if let (Some(record_id), Some(revision)) = (
        envelope["record_id"].as_str(),
        envelope["revision"].as_u64(),
    ) {
        let mut records = inbox.records.lock().unwrap();
        let held = records.entry(record_id.to_owned()).or_insert((0, None));
        if revision >= held.0 {
            let is_deletion =
                envelope["event"] == "record.deleted" || envelope["event"] == "connection.deleted";
            *held = (revision, (!is_deletion).then_some(envelope));
        }
    }
    let one_less = |left: u32| left.checked_sub(1);
    let is_lost = inbox
        .answers_to_lose
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
    if is_lost.is_ok() {
        return StatusCode::BAD_GATEWAY;
    }
    StatusCode::NO_CONTENT
}

async fn receiver() -> (Arc<Inbox>, Value, Secrets) {
    let inbox = Arc::new(Inbox::default());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}/deliveries", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/deliveries", post(receive))
        .with_state(Arc::clone(&inbox));
    tokio::spawn(axum::serve(listener, app).into_future());
    let mut secrets = Map::new();
    let secret = sign::Secret::generate().expose_secret().to_owned();
    secrets.insert("secret".to_owned(), json!(secret));
    (
        inbox,
        json!({ "url": url, "timeout_s": 2 }),
        Secrets::new(secrets),
    )
}

impl Inbox {
    /// Records that are there, by their names, with their revisions.
    fn held(&self) -> BTreeMap<RecordId, u64> {
        let records = self.records.lock().unwrap();
        let there = records.iter().filter_map(|(id, (revision, envelope))| {
            let envelope = envelope.as_ref()?;
            envelope["data_type"].as_str()?;
            Some((id.parse().unwrap(), *revision))
        });
        there.collect()
    }
}

/// Posts in any order, a third of them twice, and some at once.
async fn post_all(home: &Home, webhooks: &[Webhook], dice: &mut StdRng) {
    let mut order: Vec<&Webhook> = webhooks.iter().collect();
    order.extend(webhooks.iter().step_by(3));
    order.shuffle(dice);
    futures::stream::iter(order)
        .for_each_concurrent(8, |webhook| home.world.deliver(webhook))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_end_with_what_the_store_has() {
    let mut home = Home::start().await;
    let files = tempfile::tempdir().unwrap();
    let out = files.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let folder = home
        .add(KindName::Folder, bucket(&out), Secrets::default())
        .await;
    let (inbox, config, secrets) = receiver().await;
    let webhook = home.add(KindName::Webhook, config, secrets).await;

    let (made, links) = webhooks(5);
    let mut dice = StdRng::seed_from_u64(3);
    let parts: Vec<_> = made.chunks(made.len().div_ceil(4)).collect();
    let mut owners = BTreeSet::new();
    for (number, part) in parts.iter().enumerate() {
        match number {
            1 => {
                // The far ends are down for a stretch.
                std::fs::rename(&out, files.path().join("away")).unwrap();
                std::fs::write(&out, "no folder").unwrap();
                inbox.down.store(true, Ordering::SeqCst);
            }
            2 => inbox.answers_to_lose.store(8, Ordering::SeqCst),
            _ => {}
        }
        post_all(&home, part, &mut dice).await;
        for connection in home.connections().await {
            owners.insert(OwnerId::connection(&connection.id));
        }
        // In the middle of whatever it does.
        home = home.crash().await;
        home.look().await;
        if number == 1 {
            std::fs::remove_file(&out).unwrap();
            std::fs::rename(files.path().join("away"), &out).unwrap();
            inbox.down.store(false, Ordering::SeqCst);
        }
        owners.extend(
            home.connections()
                .await
                .iter()
                .map(|it| OwnerId::connection(&it.id)),
        );
    }
    home.settle(&folder).await;
    home.settle(&webhook).await;

    let store = home.store().await;
    assert!(store.len() >= 30, "{} records", store.len());
    assert_eq!(home.there(&folder, &owners).await, store);
    assert_eq!(inbox.held(), store);
    // The sums that destinations can be asked for.
    let sum = |records: &BTreeMap<RecordId, u64>| -> u64 {
        records
            .iter()
            .map(|(id, revision)| u64::from(checksum(id, *revision)))
            .sum()
    };
    assert_eq!(sum(&inbox.held()), sum(&store));
    assert_contents(&home, &inbox).await;
    let dead = home
        .world
        .system
        .queues
        .stats(DELIVERIES_DEAD_LETTERS)
        .await
        .unwrap();
    assert_eq!(dead.total(), 0);

    // One person is erased: here first, then everywhere.
    let gone = &links[1];
    let person = ReferenceId::new(&gone.reference_id).unwrap();
    let table = &home.world.system.table;
    let connections = table.connections_of(&person).await.unwrap();
    for connection in &connections {
        table
            .erase_connection(connection, "2026-11-29T00:00:00Z")
            .await
            .unwrap();
    }
    let told = deliver::order_erasure(table, "e1", &person, &connections, home.now_ms());
    assert_eq!(told.await.unwrap(), 2);
    home.settle(&folder).await;
    home.settle(&webhook).await;
    let left = home.store().await;
    assert!(left.len() < store.len());
    assert_eq!(home.there(&folder, &owners).await, left);
    assert_eq!(inbox.held(), left);
    assert!(inbox.erased.load(Ordering::SeqCst) > 0);
    let receipts = home.world.system.table.erasures(&folder.id).await.unwrap();
    let receipt = serde_json::to_string(&receipts).unwrap();
    assert!(!receipt.contains(person.as_str()), "a receipt names nobody");
}

/// The bodies of what the receiver has are the records as they are composed now.
async fn assert_contents(home: &Home, inbox: &Inbox) {
    let table = &home.world.system.table;
    for connection in home.connections().await {
        let owner = RecordOwner::Connection(connection.id.clone());
        for found in table.records(&owner, None).await.unwrap() {
            let id = RecordId::of(&OwnerId::of(&owner), found.data_type, &found.key);
            let (_, envelope) = inbox.records.lock().unwrap()[id.as_str()].clone();
            let envelope = envelope.unwrap();
            assert_eq!(envelope["retracted"], found.record.newest.retracted);
            let shown: BTreeMap<_, _> = found.record.summary().fields().into_iter().collect();
            assert_eq!(envelope["summary"], json!(shown));
            let user = connection.state.current().unwrap().0;
            assert_eq!(envelope["terra_user_id"], user.as_str());
            assert!(envelope["record"].is_object());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_destination_gets_what_is_there_and_a_check_mends_what_is_lost() {
    let home = Home::start().await;
    let (made, _) = webhooks(8);
    let mut dice = StdRng::seed_from_u64(4);
    post_all(&home, &made, &mut dice).await;
    home.idle().await;
    let files = tempfile::tempdir().unwrap();
    let folder = home
        .add(KindName::Folder, bucket(files.path()), Secrets::default())
        .await;
    let order =
        |id: &str, purpose| Order::new(id.to_owned(), purpose, Range::default(), home.now_ms());
    let table = &home.world.system.table;
    let first = order("1", Purpose::Backfill);
    table.put_order(&folder.id, &first).await.unwrap();
    home.settle(&folder).await;
    let owners: BTreeSet<_> = home
        .connections()
        .await
        .iter()
        .map(|it| OwnerId::connection(&it.id))
        .collect();
    let store = home.store().await;
    assert_eq!(home.there(&folder, &owners).await, store);

    // Long after the last change somebody deletes half of the files.
    home.advance(SignedDuration::from_hours(2));
    let mut deleted = 0;
    for data_type in ["daily", "sleep"] {
        let folder = files.path().join(data_type);
        deleted += walk(&folder).len();
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert!(deleted > 0);
    let check = order("2", Purpose::Check { repair: true });
    table.put_order(&folder.id, &check).await.unwrap();
    home.settle(&folder).await;
    let found = table.order(&folder.id, "2").await.unwrap().unwrap();
    assert_eq!(found.difference_count, u64::try_from(deleted).unwrap());
    assert!(
        found
            .differences
            .iter()
            .all(|it| it.kind == DifferenceKind::Missing)
    );
    assert_eq!(home.there(&folder, &owners).await, store);
    let check = order("3", Purpose::Check { repair: false });
    table.put_order(&folder.id, &check).await.unwrap();
    home.settle(&folder).await;
    let clean = table.order(&folder.id, "3").await.unwrap().unwrap();
    assert_eq!(clean.difference_count, 0);
    assert!(clean.records >= store.len() as u64);

    // News of every record are owed: the older states that are there are neither wrong nor too many.
    let pause = |it: &mut Destination| it.status = Status::Paused;
    table.change_destination(&folder.id, pause).await.unwrap();
    let (news, _) = webhooks_after(8, SignedDuration::from_hours(3));
    post_all(&home, &news, &mut dice).await;
    home.idle().await;
    let owing = table.health(&folder.id).await.unwrap().owing;
    assert!(!owing.is_empty());
    home.advance(SignedDuration::from_hours(2));
    let before = home.there(&folder, &owners).await;
    let check = order("4", Purpose::Check { repair: true });
    table.put_order(&folder.id, &check).await.unwrap();
    for _ in 0..5 {
        home.look().await;
    }
    let checked = table.order(&folder.id, "4").await.unwrap().unwrap();
    assert!(checked.done_at_ms.is_some() && checked.fault.is_none());
    assert_eq!(checked.difference_count, 0, "{:?}", checked.differences);
    assert_eq!(home.there(&folder, &owners).await, before);
}

/// Files below a folder, without what a bucket would keep as metadata.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_passed_on_byte_for_byte() {
    let home = Home::start().await;
    let (inbox, config, secrets) = receiver().await;
    let destination = home
        .add_with(
            KindName::Webhook,
            config,
            secrets,
            Subscription::default(),
            Stream::Webhooks,
        )
        .await;
    let mut terra = terra(2);
    let link = terra.stranger(Provider::Core);
    let sent = [
        terra.auth(&link),
        terra.data(&link, Kind::Body, &Shape::default()),
        terra.deauth(&link),
    ];
    home.world.deliver_in_order(&sent).await;
    home.settle(&destination).await;
    let bodies: BTreeSet<Bytes> = inbox.bodies.lock().unwrap().values().cloned().collect();
    let expected: BTreeSet<Bytes> = sent.iter().map(|webhook| webhook.body.clone()).collect();
    assert_eq!(bodies, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_destination_loses_nothing() {
    let home = Home::start().await;
    let (inbox, config, secrets) = receiver().await;
    let destination = home.add(KindName::Webhook, config, secrets).await;
    let table = &home.world.system.table;
    let set = async |status| {
        let change = move |it: &mut Destination| it.status = status;
        table
            .change_destination(&destination.id, change)
            .await
            .unwrap();
    };
    set(Status::Paused).await;
    let mut terra = terra(2);
    let link = terra.stranger(Provider::Core);
    let events = [
        terra.auth(&link),
        terra.data(&link, Kind::Body, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    home.look().await;
    assert!(inbox.bodies.lock().unwrap().is_empty());
    set(Status::Active).await;
    home.settle(&destination).await;
    assert_eq!(inbox.held(), home.store().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_destination_has_no_time_for_is_owed() {
    let home = Home::start().await;
    let mut terra = terra(3);
    let link = terra.stranger(Provider::Core);
    let events = [
        terra.auth(&link),
        terra.data(&link, Kind::Body, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    let (inbox, config, secrets) = receiver().await;
    let destination = home.add(KindName::Webhook, config, secrets).await;
    let connection = home.connections().await.remove(0).id;
    let owner = RecordOwner::Connection(connection);
    let table = &home.world.system.table;
    let (records, _) = table.records_page(&owner, None, 50).await.unwrap();
    let changes = records
        .iter()
        .map(|(found, _)| Changed::record(owner.clone(), found.data_type, &found.key))
        .collect();
    let job = DeliveryMessage::Changes {
        destination: destination.id.clone(),
        shard: 0,
        cause: Cause::Live,
        changes,
        force: false,
    };
    let event = json!({ "Records": [{
        "messageId": "1",
        "body": serde_json::to_string(&job).unwrap(),
        "attributes": { "MessageGroupId": job.group() },
        "messageAttributes": {},
    }]});
    let event: SqsEvent = serde_json::from_value(event).unwrap();
    // Less than a call may take: none is begun, and the message does not come back either.
    let app = &home.world.system.deliver;
    let answer = deliver::handle(app, event, Duration::from_secs(20)).await;
    assert!(answer.batch_item_failures.is_empty());
    assert!(inbox.bodies.lock().unwrap().is_empty());
    home.settle(&destination).await;
    assert_eq!(inbox.held(), home.store().await);
}
