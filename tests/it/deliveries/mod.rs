//! Destinations end with what the store has, whatever happens on the way.

mod disabled;
pub(crate) mod far_end;
pub(crate) mod home;
mod owed;
#[path = "../../../shared/destinations/tests/servers/proxy.rs"]
mod proxy;
mod servers;
mod story;
mod stuck;
mod unreadable;

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use axum::body::Bytes;
use destinations::{config::Secrets, id::OwnerId};
use domain::delivery::{
    Changed, Destination, Status, Stream,
    order::{DifferenceKind, Order, Purpose, Range},
};
use jiff::SignedDuration;
use jobs::{Budget, erase};
use models::{data::DataType, ids::ReferenceId};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use simulator::{DataType as Simulated, Provider, Shape};
use store::table::{destinations::Health, jobs::Subject};
use tokio::sync::oneshot;

use self::{
    far_end::{FarEnd as _, Files, Receiver, walk},
    home::{Home, event, post_all, webhooks, webhooks_after},
    story::story,
};
use crate::world::{client, terra};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_ends_with_what_the_store_has() {
    story(&Receiver::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_ends_with_what_the_store_has() {
    story(&Files::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_destination_gets_what_is_there_and_a_check_mends_what_is_lost() {
    let home = Home::start().await;
    let (made, _) = webhooks(8);
    let mut dice = StdRng::seed_from_u64(4);
    post_all(&home, &made, &mut dice).await;
    home.idle().await;
    let files = Files::new();
    let folder = home.add_far(&files).await;
    let order =
        |id: &str, purpose| Order::new(id.to_owned(), purpose, Range::default(), home.now_ms());
    let table = &home.world.system.table;
    let first = order("1", Purpose::Backfill);
    table.put_order(&folder.id, &first).await.unwrap();
    home.settle(&folder).await;
    let owners = home.owners().await;
    let store = home.store().await;
    assert_eq!(home.there(&folder, &owners).await, store);

    // Long after the last change somebody deletes half of the files.
    home.advance(SignedDuration::from_hours(2));
    let mut deleted = 0;
    for data_type in ["daily", "sleep"] {
        let folder = files.folder().join(data_type);
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

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_routers_know_a_new_destination_is_in_its_first_walk() {
    let home = Home::start().await;
    let files = Files::new();
    let folder = home.add_far(&files).await;
    // The list that routers have is older than the destination.
    let table = &home.world.system.table;
    let hide = |it: &mut Destination| it.status = Status::Disabled;
    table.change_destination(&folder.id, hide).await.unwrap();
    Home::until_listed().await;
    let (made, _) = webhooks(4);
    let mut dice = StdRng::seed_from_u64(5);
    let (early, unknown) = made.split_at(made.len() / 2);
    post_all(&home, early, &mut dice).await;
    home.idle().await;
    let now_ms = home.now_ms();
    let prove = move |it: &mut Destination| {
        it.status = Status::Active;
        it.status_since_ms = now_ms;
    };
    let first = Order::new("1".to_owned(), Purpose::Backfill, Range::default(), now_ms);
    table.put_order(&folder.id, &first).await.unwrap();
    post_all(&home, unknown, &mut dice).await;
    home.idle().await;
    table.change_destination(&folder.id, prove).await.unwrap();
    home.look().await;
    let waiting = table.order(&folder.id, "1").await.unwrap().unwrap();
    assert!(!waiting.begun);

    home.settle(&folder).await;
    let owners = home.owners().await;
    assert_eq!(home.there(&folder, &owners).await, home.store().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_reports_of_people_without_a_connection_are_told_anew_and_checked() {
    let home = Home::start().await;
    let mut terra = terra(6);
    let mut reports: Vec<_> = ["ann", "ben", "cem"]
        .map(|person| terra.lab_report_completed(person, 1, 4))
        .into();
    reports.push(terra.lab_report_completed("ann", 2, 3));
    home.world.deliver_in_order(&reports).await;
    let files = Files::new();
    let folder = home.add_far(&files).await;
    let table = &home.world.system.table;
    let settled = async |id: &str, purpose| {
        let order = Order::new(id.to_owned(), purpose, Range::default(), home.now_ms());
        table.put_order(&folder.id, &order).await.unwrap();
        home.settle(&folder).await;
        table.order(&folder.id, id).await.unwrap().unwrap()
    };
    settled("1", Purpose::Backfill).await;
    let there = walk(&files.folder().join("lab_report"));
    assert_eq!(there.len(), reports.len());

    home.advance(SignedDuration::from_hours(2));
    std::fs::remove_file(&there[0]).unwrap();
    let checked = settled("2", Purpose::Check { repair: true }).await;
    assert_eq!((checked.records, checked.difference_count), (4, 1));
    assert_eq!(walk(&files.folder().join("lab_report")), there);
    let checked = settled("3", Purpose::Check { repair: false }).await;
    assert_eq!((checked.records, checked.difference_count), (4, 0));

    // As one person is redriven.
    let mut range = Range::default();
    let ann = ReferenceId::new("ann").unwrap();
    range.subscription.reference_ids.insert(ann);
    let purpose = Purpose::Redrive { force: false };
    let order = Order::new("4".to_owned(), purpose, range, home.now_ms());
    table.put_order(&folder.id, &order).await.unwrap();
    home.settle(&folder).await;
    let redriven = table.order(&folder.id, "4").await.unwrap().unwrap();
    assert_eq!(redriven.records, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_passed_on_byte_for_byte() {
    let home = Home::start().await;
    let receiver = Receiver::start().await;
    let passes_on = |destination: &mut Destination| destination.stream = Stream::Webhooks;
    let destination = home.add_far_with(&receiver, passes_on).await;
    let mut terra = terra(2);
    let link = terra.stranger(Provider::Core);
    let sent = [
        terra.auth(&link),
        terra.data(&link, Simulated::Body, &Shape::default()),
        terra.deauth(&link),
    ];
    home.world.deliver_in_order(&sent).await;
    home.settle(&destination).await;
    let expected: BTreeSet<Bytes> = sent.iter().map(|webhook| webhook.body.clone()).collect();
    assert_eq!(receiver.bodies(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_destination_loses_nothing() {
    let home = Home::start().await;
    let receiver = Receiver::start().await;
    let destination = home.add_far(&receiver).await;
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
        terra.data(&link, Simulated::Body, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    home.look().await;
    assert!(receiver.inbox.bodies.lock().unwrap().is_empty());
    set(Status::Active).await;
    home.settle(&destination).await;
    assert_eq!(receiver.revisions(), home.store().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_destination_has_no_time_for_is_owed() {
    let home = Home::start().await;
    let mut terra = terra(3);
    let link = terra.stranger(Provider::Core);
    let events = [
        terra.auth(&link),
        terra.data(&link, Simulated::Body, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    let receiver = Receiver::start().await;
    let destination = home.add_far(&receiver).await;
    let event = event(&destination, &home.changes().await);
    // Less than a call may take: none is begun, and the message does not come back either.
    let app = &home.world.system.deliver;
    let answer = deliver::handle(app, event, Duration::from_secs(20)).await;
    assert!(answer.batch_item_failures.is_empty());
    assert!(receiver.inbox.bodies.lock().unwrap().is_empty());
    home.settle(&destination).await;
    assert_eq!(receiver.revisions(), home.store().await);
}

/// A home with a few records, and a destination with one shard that has none of them.
async fn untold() -> (Home, Receiver, Destination) {
    let home = Home::start().await;
    let mut terra = terra(5);
    let link = terra.stranger(Provider::Garmin);
    let events = [
        terra.auth(&link),
        terra.data(&link, Simulated::Body, &Shape::default()),
        terra.data(&link, Simulated::Daily, &Shape::default()),
        terra.data(&link, Simulated::Sleep, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    let receiver = Receiver::start().await;
    let narrow = |destination: &mut Destination| destination.concurrency = 1;
    let destination = home.add_far_with(&receiver, narrow).await;
    (home, receiver, destination)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_stops_nothing() {
    let (home, receiver, destination) = untold().await;
    let vault = home.world.system.deliver.clients.vault();
    let secrets = async |token: &str| {
        let secret = receiver.settings()["secret"].clone();
        let secrets = json!({"secret": secret, "bearer_token": token});
        let secrets = Secrets::new(secrets.as_object().unwrap().clone());
        vault.write(&destination.id, &secrets).await.unwrap();
        *receiver.inbox.token.lock().unwrap() = Some(token.to_owned());
    };
    let changes = home.changes().await;
    let (first, rest) = changes.split_at(1);
    let (app, table) = (&home.world.system.deliver, &home.world.system.table);
    for (token, changes) in [("old", first), ("new", rest)] {
        secrets(token).await;
        let event = event(&destination, changes);
        let answer = deliver::handle(app, event, Duration::from_mins(2)).await;
        assert!(answer.batch_item_failures.is_empty());
    }
    // No time passed.
    assert_eq!(receiver.revisions(), home.store().await);
    let health = table.health(&destination.id).await.unwrap();
    assert_eq!((health.breaker.failures, health.owing.len()), (0, 0));

    // One that refuses the new secret too is left alone, and is told apart from one that is away.
    *receiver.inbox.token.lock().unwrap() = Some("newer".to_owned());
    let event = event(&destination, &changes);
    deliver::handle(app, event, Duration::from_mins(2)).await;
    let health = table.health(&destination.id).await.unwrap();
    assert!(health.breaker.is_stopped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_breaks_off_is_made_once_more_at_once() {
    let (home, receiver, destination) = untold().await;
    let (app, table) = (&home.world.system.deliver, &home.world.system.table);
    let changes = home.changes().await;
    let tell = async |changes: &[Changed]| {
        let event = event(&destination, changes);
        let answer = deliver::handle(app, event, Duration::from_mins(2)).await;
        assert!(answer.batch_item_failures.is_empty());
        table.health(&destination.id).await.unwrap()
    };
    receiver.inbox.busy.store(1, Ordering::SeqCst);
    let health = tell(&changes[..1]).await;
    assert_eq!((health.breaker.failures, health.owing.len()), (0, 0));
    let line = receiver.line().unwrap();
    line.cut_more_and_more_seldom(1);
    let health = tell(&changes[1..]).await;
    assert_eq!(line.cut_off(), 1);
    assert_eq!((health.breaker.failures, health.owing.len()), (0, 0));
    assert_eq!(receiver.revisions(), home.store().await);

    // Once, and no more.
    receiver.inbox.busy.store(2, Ordering::SeqCst);
    let health = tell(&changes[..1]).await;
    assert_eq!((health.breaker.failures, health.owing.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_what_keeps_no_list_says_that_nothing_was_compared() {
    let (home, _receiver, destination) = untold().await;
    let table = &home.world.system.table;
    for repair in [false, true] {
        let purpose = Purpose::Check { repair };
        let id = format!("check-{repair}").replace('-', "");
        let check = Order::new(id.clone(), purpose, Range::default(), home.now_ms());
        table.put_order(&destination.id, &check).await.unwrap();
        home.settle(&destination).await;
        let checked = table.order(&destination.id, &id).await.unwrap().unwrap();
        assert!(checked.done_at_ms.is_some());
        assert_eq!((checked.records, checked.difference_count), (0, 0));
        let fault = checked.fault.unwrap();
        assert!(fault.contains("nothing was compared"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_sends_what_is_in_its_range_and_nothing_else() {
    let (home, receiver, destination) = untold().await;
    let table = &home.world.system.table;
    let redriven = async |id: &str, range: Range| {
        receiver.inbox.bodies.lock().unwrap().clear();
        let purpose = Purpose::Redrive { force: false };
        let order = Order::new(id.to_owned(), purpose, range, home.now_ms());
        table.put_order(&destination.id, &order).await.unwrap();
        home.settle(&destination).await;
        let bodies = receiver.inbox.bodies.lock().unwrap();
        let told = bodies.values().map(|body| {
            let body: Value = serde_json::from_slice(body).unwrap();
            body["data_type"]
                .as_str()
                .unwrap_or("connection")
                .to_owned()
        });
        let told: BTreeSet<String> = told.collect();
        told
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let all: BTreeSet<String> = set(&["body", "connection", "daily", "sleep"]);
    assert_eq!(redriven("1", Range::default()).await, all);
    let mut daily = Range::default();
    daily.subscription.data_types.insert(DataType::Daily);
    assert_eq!(redriven("2", daily).await, set(&["daily"]));
    let past = Range {
        to: Some("2001-01-01".parse().unwrap()),
        ..Range::default()
    };
    assert_eq!(redriven("3", past).await, set(&[]));
    let later = Range {
        written_since_ms: Some(home.now_ms() + 3_600_000_000),
        ..Range::default()
    };
    assert_eq!(redriven("4", later).await, set(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_destination_that_is_removed_while_it_is_called() {
    let (home, receiver, destination) = untold().await;
    let (came, has_come) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    *receiver.inbox.holds.lock().unwrap() = Some((came, may_go));
    let (app, table) = (&home.world.system.deliver, &home.world.system.table);
    let event = event(&destination, &home.changes().await);
    let called = deliver::handle(app, event, Duration::from_mins(2));
    let removed = async {
        has_come.await.unwrap();
        let now_ms = home.now_ms();
        table
            .remove_destination(&destination, now_ms)
            .await
            .unwrap();
        go.send(()).unwrap();
    };
    let (answer, ()) = tokio::join!(called, removed);
    assert!(answer.batch_item_failures.is_empty());
    let id = &destination.id;
    assert!(table.owed(id, 0, 100).await.unwrap().is_empty());
    assert_eq!(table.health(id).await.unwrap(), Health::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_for_a_receiver_is_fetched_by_its_link() {
    let home = Home::start().await;
    let receiver = Receiver::start().await;
    let takes_little = |destination: &mut Destination| {
        destination
            .config
            .insert("max_bytes".to_owned(), json!(1024));
    };
    let destination = home.add_far_with(&receiver, takes_little).await;
    let mut terra = terra(2);
    let link = terra.stranger(Provider::Garmin);
    let events = [
        terra.auth(&link),
        terra.data(&link, Simulated::Daily, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    home.settle(&destination).await;
    let bodies: Vec<Value> = {
        let bodies = receiver.inbox.bodies.lock().unwrap();
        let bodies = bodies.values();
        bodies
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect()
    };
    let links: Vec<&Value> = bodies
        .iter()
        .filter(|body| body["type"] == "s3_payload")
        .collect();
    assert!(!links.is_empty());
    for link in &links {
        let url = link["url"].as_str().unwrap();
        let answer = client().get(url).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json");
        let whole: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(whole["delivery_id"], link["payload_reference"]);
        assert!(whole["record"].is_object());
        // The name is the only key.
        let (stem, _) = url.split_at(url.len() - "abcd.json".len());
        let answer = client().get(format!("{stem}----.json")).send().await;
        assert_eq!(answer.unwrap().status(), 404);
    }
    home.advance(SignedDuration::from_hours(2));
    let url = links[0]["url"].as_str().unwrap();
    assert_eq!(client().get(url).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_for_a_destination_and_is_done_here_meanwhile() {
    let home = Home::start().await;
    let receiver = Receiver::start().await;
    let destination = home.add_far(&receiver).await;
    let (made, links) = webhooks(3);
    let mut dice = StdRng::seed_from_u64(9);
    post_all(&home, &made, &mut dice).await;
    home.settle(&destination).await;
    let person = ReferenceId::new(&links[1].reference_id).unwrap();
    let table = &home.world.system.table;
    let theirs = table.connections_of(&person).await.unwrap();
    let theirs: BTreeSet<_> = theirs
        .iter()
        .map(|it| OwnerId::connection(&it.id))
        .collect();

    // What they had is owed, too: the destination is down when they are erased.
    receiver.set_down(true);
    let (later, _) = webhooks_after(3, SignedDuration::from_hours(2));
    post_all(&home, &later, &mut dice).await;
    home.idle().await;
    let store = home.store().await;
    let app = &home.world.system.jobs;
    let subject = Subject::Person(person.clone());
    let job = erase::order(app, subject, "a test", 0).await.unwrap();
    let go_on = async || {
        let budget = Budget::until(tokio::time::Instant::now() + Duration::from_mins(15));
        Box::pin(jobs::go_on(app, &job.id, budget)).await.unwrap()
    };
    for _ in 0..2 {
        assert_eq!(go_on().await, Some(Duration::from_secs(2)));
    }
    assert!(table.connections_of(&person).await.unwrap().is_empty());
    assert!(table.receipt(&job.id).await.unwrap().is_none());

    receiver.set_down(false);
    home.settle(&destination).await;
    assert_eq!(go_on().await, None);
    let receipt = table.receipt(&job.id).await.unwrap().unwrap();
    let told: Vec<_> = receipt
        .destinations
        .iter()
        .map(|it| it.id.clone())
        .collect();
    assert_eq!(told, [destination.id.to_string()]);
    assert!(!receipt.destinations[0].results.is_empty());
    assert!(home.store().await.len() < store.len());
    let owners = home.owners().await;
    assert!(theirs.is_disjoint(&owners));
    assert_eq!(receiver.revisions(), home.store().await);
}
