//! Payloads and secrets that cannot be read: neither holds up anything else.

use std::{fs, time::Duration};

use domain::delivery::Destination;
use jiff::SignedDuration;
use simulator::{DataType as Simulated, Provider, Shape, Size};
use store::table::deliveries::Owed;

use super::{
    far_end::{Receiver, walk},
    home::{Home, event},
    untold,
};
use crate::world::terra;

async fn deliver_all(home: &Home, destination: &Destination) -> Vec<Owed> {
    let changes = home.changes().await;
    let app = &home.world.system.deliver;
    let event = event(destination, &changes);
    let answer = deliver::handle(app, event, Duration::from_mins(2)).await;
    assert!(answer.batch_item_failures.is_empty());
    let table = &home.world.system.table;
    table.owed(&destination.id, 0, 100).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_payload_is_lost_holds_up_no_other() {
    let home = Home::start().await;
    let mut terra = terra(7);
    let link = terra.stranger(Provider::Garmin);
    // Small records are in the table itself.
    let large = Shape::default().size(Size::Large);
    let events = [
        terra.auth(&link),
        terra.data(&link, Simulated::Body, &Shape::default()),
        terra.data(&link, Simulated::Daily, &large),
    ];
    home.world.deliver_in_order(&events).await;
    let receiver = Receiver::start().await;
    let narrow = |destination: &mut Destination| destination.concurrency = 1;
    let destination = home.add_far_with(&receiver, narrow).await;
    let segments = walk(&home.world.folder.path().join("archive"));
    // Each webhook has its segment.
    let aside: Vec<_> = segments
        .iter()
        .filter(|segment| fs::metadata(segment).unwrap().len() > 0)
        .map(|segment| (segment, segment.with_extension("aside")))
        .collect();
    for (segment, aside) in &aside {
        fs::rename(segment, aside).unwrap();
    }
    let all = home.store().await;
    let owed = deliver_all(&home, &destination).await;
    assert!(!owed.is_empty() && owed.len() < all.len(), "{}", owed.len());
    assert_eq!(receiver.revisions().len(), all.len() - owed.len());
    for owed in &owed {
        assert_eq!(owed.refusals, 1);
        let fault = owed.fault.as_deref().unwrap();
        assert!(fault.contains("there is no such object"), "{fault}");
    }
    for (segment, aside) in &aside {
        fs::rename(aside, segment).unwrap();
    }
    home.settle(&destination).await;
    assert_eq!(receiver.revisions(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_somebody_broke_is_owed_for_and_named() {
    let (home, receiver, destination) = untold().await;
    let vault = home.world.system.deliver.clients.vault();
    let secrets = vault.read(&destination.id).await.unwrap();
    let place = format!("secrets/destinations/{}.json", destination.id);
    let path = home.world.folder.path().join(place);
    fs::write(&path, "whsec_").unwrap();
    let owed = deliver_all(&home, &destination).await;
    assert_eq!(owed.len(), home.store().await.len());
    let table = &home.world.system.table;
    let health = table.health(&destination.id).await.unwrap();
    let fault = format!("{:?}", health.breaker);
    assert!(fault.contains("are not a JSON object"), "{fault}");

    vault.write(&destination.id, &secrets).await.unwrap();
    home.advance(SignedDuration::from_hours(2));
    home.settle(&destination).await;
    assert_eq!(receiver.revisions(), home.store().await);
}
