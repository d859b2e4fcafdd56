//! Destinations that asked not to be called again, and what is owed to them until they are resumed.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use axum::body::Bytes;
use domain::delivery::{Destination, Status, Stream};
use simulator::{DataType as Simulated, Provider, Shape};

use super::{
    far_end::{Files, Receiver},
    home::{Home, event},
    untold,
};
use crate::world::terra;

async fn resume(home: &Home, destination: &Destination) {
    let table = &home.world.system.table;
    let resumed = table.resume_destination(&destination.id, "1", home.now_ms());
    assert_eq!(resumed.await.unwrap().unwrap().status, Status::Active);
    Home::until_listed().await;
}

async fn status(home: &Home, destination: &Destination) -> Status {
    let table = &home.world.system.table;
    let known = table.destination(&destination.id).await.unwrap();
    known.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_had_in_hand_when_it_went_is_owed_to_it() {
    let (home, receiver, destination) = untold().await;
    let changes = home.changes().await;
    receiver.inbox.is_gone.store(true, Ordering::SeqCst);
    let app = &home.world.system.deliver;
    let event = event(&destination, &changes);
    let answer = deliver::handle(app, event, Duration::from_mins(2)).await;
    assert!(answer.batch_item_failures.is_empty());
    let table = &home.world.system.table;
    let id = &destination.id;
    let known = table.destination(id).await.unwrap().unwrap();
    assert_eq!(known.status, Status::Disabled);
    assert_eq!(table.owed(id, 0, 100).await.unwrap().len(), changes.len());

    receiver.inbox.is_gone.store(false, Ordering::SeqCst);
    resume(&home, &destination).await;
    home.settle(&destination).await;
    assert_eq!(receiver.revisions(), home.store().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_destination_gets_what_was_queued_and_what_it_was_not_told() {
    let (home, receiver, destination) = untold().await;
    let changes = home.changes().await;
    let app = &home.world.system.deliver;
    let deliver = async |changes| {
        let event = event(&destination, changes);
        let answer = deliver::handle(app, event, Duration::from_mins(2)).await;
        assert!(answer.batch_item_failures.is_empty());
    };
    receiver.inbox.is_gone.store(true, Ordering::SeqCst);
    deliver(&changes[..1]).await;
    assert_eq!(status(&home, &destination).await, Status::Disabled);
    deliver(&changes[1..]).await;
    let table = &home.world.system.table;
    let owed = table.owed(&destination.id, 0, 100).await.unwrap();
    assert_eq!(owed.len(), changes.len());

    Home::until_listed().await;
    let mut terra = terra(6);
    let link = terra.stranger(Provider::Cronometer);
    let later = [
        terra.auth(&link),
        terra.data(&link, Simulated::Nutrition, &Shape::default()),
    ];
    home.world.deliver_in_order(&later).await;
    home.idle().await;
    let owed = table.owed(&destination.id, 0, 100).await.unwrap();
    assert_eq!(owed.len(), changes.len(), "records are not announced");
    // A pause would look like having been told.
    let paused = table.pause_destination(&destination.id, home.now_ms());
    assert_eq!(paused.await.unwrap().unwrap().status, Status::Disabled);

    receiver.inbox.is_gone.store(false, Ordering::SeqCst);
    resume(&home, &destination).await;
    home.settle(&destination).await;
    assert_eq!(receiver.revisions(), home.store().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_pass_while_a_destination_is_disabled_are_owed_to_it() {
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
    receiver.inbox.is_gone.store(true, Ordering::SeqCst);
    home.world.deliver_in_order(&sent[..1]).await;
    home.idle().await;
    assert_eq!(status(&home, &destination).await, Status::Disabled);
    Home::until_listed().await;
    home.world.deliver_in_order(&sent[1..]).await;
    home.idle().await;
    assert!(receiver.inbox.bodies.lock().unwrap().is_empty());

    receiver.inbox.is_gone.store(false, Ordering::SeqCst);
    resume(&home, &destination).await;
    home.settle(&destination).await;
    let expected: BTreeSet<Bytes> = sent.iter().map(|webhook| webhook.body.clone()).collect();
    assert_eq!(receiver.bodies(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_a_destination_is_disabled_is_deleted_there_afterwards() {
    let home = Home::start().await;
    let files = Files::new();
    let folder = home.add_far(&files).await;
    let mut terra = terra(9);
    let link = terra.stranger(Provider::Garmin);
    let renewed = terra.reauthenticate(&link);
    let user_reauth = terra.user_reauth(Some(&link), &renewed);
    let mut events = vec![
        terra.auth(&link),
        terra.data(&link, Simulated::Body, &Shape::default()),
        // Before anybody says whose successor it is: a connection of its own.
        terra.data(&renewed, Simulated::Daily, &Shape::default()),
    ];
    home.world.deliver_in_order(&events).await;
    home.settle(&folder).await;
    let owners = home.owners().await;
    assert_eq!(owners.len(), 2);
    let table = &home.world.system.table;
    let disable = |it: &mut Destination| it.status = Status::Disabled;
    let changed = table.change_destination(&folder.id, disable).await;
    changed.unwrap();
    Home::until_listed().await;
    events = vec![user_reauth];
    home.world.deliver_in_order(&events).await;
    home.idle().await;
    assert_eq!(home.owners().await.len(), 1);
    // It was not told yet.
    assert_ne!(home.there(&folder, &owners).await, home.store().await);

    resume(&home, &folder).await;
    home.settle(&folder).await;
    assert_eq!(home.there(&folder, &owners).await, home.store().await);
}
