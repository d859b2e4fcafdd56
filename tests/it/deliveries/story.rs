//! The one story of every kind: whatever happens on the way, a destination ends with what the store has.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use deliver::{App, Clients};
use destinations::{
    id::{OwnerId, RecordId},
    kind::Keeps,
    net::Network,
};
use domain::delivery::{
    Destination,
    order::{Order, Purpose, Range},
};
use futures::StreamExt as _;
use jiff::SignedDuration;
use jobs::Budget;
use models::ids::ReferenceId;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use runtime::metrics::Sink;
use store::table::jobs::Subject;
use terrarium::system::DELIVERIES_DEAD_LETTERS;

use super::{
    far_end::{FarEnd, assert_all},
    home::{Home, event, post_all, webhooks},
    proxy::Proxy,
};

/// Parts of the stretch, each with two kills.
const PARTS: usize = 6;
/// Answers that are lost.
const CUTS: u64 = 9;
/// Time that Lambda gives an invocation.
const INVOCATION: std::time::Duration = std::time::Duration::from_mins(2);

/// A stretch of deliveries in any order, a third of them twice, with kills in the middle of whatever deliver
/// does; the far end is down for a while, and answers are lost after it did what was asked. At last two writers
/// without any queue deliver everything anew, beside the queue. The destination ends with what the store has:
/// record by record, by the sums of a check, and in its contents. One person is erased at the end.
pub(crate) async fn story(far: &dyn FarEnd) {
    let began = Instant::now();
    let mut home = Home::start().await;
    let destination = home.add_far(far).await;
    let (made, links) = webhooks(5);
    let mut dice = StdRng::seed_from_u64(3);
    let mut owners = BTreeSet::new();
    let mut kills_at_work = 0;
    let parts: Vec<_> = made.chunks(made.len().div_ceil(PARTS)).collect();
    for (number, part) in parts.iter().enumerate() {
        match (number, far.line()) {
            (1, _) => far.set_down(true),
            (3, Some(line)) => line.cut_more_and_more_seldom(CUTS),
            (5, Some(line)) => line.cut_every(0),
            _ => {}
        }
        if number == 5 {
            // Side by side with everything that is new.
            let posted = post_all(&home, part, &mut dice);
            futures::join!(posted, deliver_without_queue(&home, &destination));
        } else {
            post_all(&home, part, &mut dice).await;
        }
        for _ in 0..2 {
            owners.extend(home.owners().await);
            let until = far.progress() + dice.random_range(0..6);
            home.until(|| far.progress() >= until).await;
            kills_at_work += usize::from(home.world.system.is_at_work());
            home = home.crash().await;
            // What was in hand is hidden for a while: the next kill hits those who took it up.
            home.advance(SignedDuration::from_secs(11));
        }
        home.look().await;
        owners.extend(home.owners().await);
        far.set_down(false);
        home.settle(&destination).await;
        far.read_on().await;
    }
    let lost = far.line().map_or(0, Proxy::cut_off);
    assert!(
        far.line().is_none() || lost >= CUTS / 2,
        "{lost} answers were lost"
    );

    assert!(
        kills_at_work >= parts.len() / 2,
        "{kills_at_work} kills hit a system at work"
    );
    let store = home.store().await;
    assert!(store.len() >= 30, "{} records", store.len());
    assert_equal(&home, far, &destination, &owners).await;
    let dead = home.world.system.queues.stats(DELIVERIES_DEAD_LETTERS);
    assert_eq!(dead.await.unwrap().total(), 0);

    // One person is erased by the job that a call orders: here first, then there.
    let person = ReferenceId::new(&links[1].reference_id).unwrap();
    let jobs = &home.world.system.jobs;
    let subject = Subject::Person(person.clone());
    let job = jobs::erase::order(jobs, subject, "the story", 0);
    let job = job.await.unwrap();
    let go_on = async || {
        let budget = Budget::until(tokio::time::Instant::now() + INVOCATION);
        Box::pin(jobs::go_on(jobs, &job.id, budget)).await.unwrap()
    };
    assert!(go_on().await.is_some(), "the destination is waited for");
    home.settle(&destination).await;
    let left = home.store().await;
    assert!(left.len() < store.len());
    let gone = store.keys().filter(|id| !left.contains_key(id));
    far.assert_forgotten(&gone.cloned().collect()).await;
    assert_equal(&home, far, &destination, &owners).await;
    let table = &home.world.system.table;
    let receipts = table.erasures(&destination.id).await.unwrap();
    let receipt = serde_json::to_string(&receipts).unwrap();
    assert!(!receipt.contains(person.as_str()), "a receipt names nobody");
    println!(
        "{}: {} records equal after {} kills ({kills_at_work} at work) and {lost} lost answers; {:.1} s",
        far.kind(),
        store.len(),
        2 * parts.len(),
        began.elapsed().as_secs_f64(),
    );
}

/// Delivers every record twice by two writers that know nothing of each other, in any order.
async fn deliver_without_queue(home: &Home, destination: &Destination) {
    let system = &home.world.system;
    let changes = home.changes().await;
    let one = &system.deliver;
    let clients = Clients::new(
        one.clients.vault().clone(),
        Arc::clone(&one.clock),
        Network::Local,
    );
    let other = App {
        table: system.table.clone(),
        archive: system.archive.clone(),
        jobs: one.jobs.clone(),
        clients,
        clock: Arc::clone(&one.clock),
        known_after: one.known_after,
        metrics: Sink::Nowhere,
    };
    let writers = [(&**one, 1_u64), (&other, 2)];
    let writing = writers.map(|(app, seed)| {
        let mut changes = changes.clone();
        changes.shuffle(&mut StdRng::seed_from_u64(seed));
        async move {
            let events = changes.chunks(7).map(|part| event(destination, part));
            futures::stream::iter(events)
                .for_each_concurrent(3, |event| async move {
                    let answer = deliver::handle(app, event, INVOCATION).await;
                    assert!(answer.batch_item_failures.is_empty());
                })
                .await;
        }
    });
    futures::future::join_all(writing).await;
}

/// Asserts that the far end has what the store has, by a reader of its own, by the kind and by a check.
async fn assert_equal(
    home: &Home,
    far: &dyn FarEnd,
    destination: &Destination,
    owners: &BTreeSet<OwnerId>,
) {
    assert_all(&far.held().await, &home.contents().await);
    let kind = home.open_kind(destination).await;
    if kind.limits().keeps == Keeps::Log {
        return;
    }
    assert_eq!(home.there(destination, owners).await, home.store().await);
    let connections = home.connections().await;
    for owner in owners {
        let row = connections
            .iter()
            .find(|connection| OwnerId::connection(&connection.id) == *owner);
        let row = row.map(|it| (RecordId::of_connection(owner), it.revision()));
        let there = kind.revisions(owner, None).await.unwrap();
        assert_eq!(there, Vec::from_iter(row), "{owner}");
    }
    // What is younger than ten minutes may be on its way.
    home.advance(SignedDuration::from_hours(2));
    let name = format!("check{}", home.now_ms());
    let purpose = Purpose::Check { repair: false };
    let check = Order::new(name.clone(), purpose, Range::default(), home.now_ms());
    let table = &home.world.system.table;
    table.put_order(&destination.id, &check).await.unwrap();
    home.settle(destination).await;
    let checked = table.order(&destination.id, &name).await.unwrap().unwrap();
    assert_eq!(checked.fault, None);
    assert_eq!(checked.difference_count, 0, "{:?}", checked.differences);
    assert!(checked.records >= u64::try_from(home.store().await.len()).unwrap());
}
