//! Notes about deliveries in the table: of webhooks that are owed to a destination, or were refused by it, all are found,
//! page by page; the note of a deletion stays until that deletion was told.

use domain::{
    connection::ConnectionId,
    delivery::{Cause, Changed, DestinationId},
    locator::Locator,
    owner::RecordOwner,
};
use models::ids::{ReferenceId, TerraUserId, WebhookId};
use simulator::{DataType as Simulated, Provider, Shape};
use store::table::deliveries::Owed;

use crate::world::{World, terra};

const SHARD: u32 = 3;

/// A webhook, several of which came in the same millisecond.
fn webhook(number: i64) -> Changed {
    Changed::Webhook {
        owner: RecordOwner::Person(ReferenceId::new("ann")),
        webhook_id: WebhookId::new(&format!("w-{:02}", number % 10)).unwrap(),
        event_type: "daily".to_owned(),
        locator: Locator {
            segment: "none".to_owned(),
            offset_bytes: 0,
            length_bytes: 1,
        },
        reference: None,
        received_at_ms: 1_790_000_000_000 + number / 10,
        ordering_ts_ms: 0,
    }
}

fn owed(changed: Changed) -> Owed {
    Owed {
        changed,
        cause: Cause::Live,
        force: false,
        attempts: 1,
        refusals: 0,
        first_failed_at_ms: 1,
        due_at_ms: 2,
        fault: None,
    }
}

#[tokio::test]
async fn owed_and_refused_webhooks_are_found_once_whatever_the_pages() {
    let world = World::start().await;
    let table = &world.system.table;
    let id = DestinationId::new("dst_1").unwrap();
    let expected: Vec<_> = (0..23).map(webhook).collect();
    // The last comes first; what is no webhook, of another shard or of another destination is left out.
    let connection = Changed::Connection {
        id: "0".repeat(32).parse().unwrap(),
        gone: None,
    };
    let other = DestinationId::new("dst_10").unwrap();
    for changed in expected.iter().rev().chain([&connection]) {
        let owed = owed(changed.clone());
        table.owe(&id, SHARD, &owed).await.unwrap();
        table.owe(&other, SHARD, &owed).await.unwrap();
        table.fail(&id, &owed).await.unwrap();
        table.fail(&other, &owed).await.unwrap();
    }
    table.owe(&id, SHARD + 1, &owed(webhook(50))).await.unwrap();
    for limit in [1, 7, 10, 23, 100] {
        for is_refused in [false, true] {
            let mut found: Vec<Changed> = Vec::new();
            loop {
                let after = found.last();
                let page = if is_refused {
                    table.failed_webhooks(&id, after, limit).await.unwrap()
                } else {
                    table.owed_webhooks(&id, SHARD, after, limit).await.unwrap()
                };
                let is_last = page.len() < limit;
                found.extend(page.into_iter().map(|owed| owed.changed));
                if is_last {
                    break;
                }
            }
            assert!(found == expected, "{limit} {is_refused}");
        }
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_note_of_a_deletion_stays_when_an_earlier_one_was_told() {
    let world = World::start().await;
    let table = &world.system.table;
    let mut terra = terra(9);
    let link = terra.stranger(Provider::Garmin);
    let renewed = terra.reauthenticate(&link);
    let user_reauth = terra.user_reauth(Some(&link), &renewed);
    let events = [
        terra.auth(&link),
        terra.data(&link, Simulated::Daily, &Shape::default()),
        terra.data(&renewed, Simulated::Daily, &Shape::default()),
        user_reauth,
    ];
    world.deliver_in_order(&events).await;
    let mut notes = Vec::new();
    for user in [&link.terra_user_id, &renewed.terra_user_id] {
        let user = TerraUserId::new(user).unwrap();
        let owner = RecordOwner::Connection(ConnectionId::of(&user));
        notes.extend(table.gone(&owner).await.unwrap());
    }
    let [note, ..] = &notes[..] else {
        panic!("one connection was merged into the other")
    };
    let mut earlier = note.clone();
    if let Changed::Record { gone, .. } | Changed::Connection { gone, .. } = &mut earlier {
        *gone = gone.map(|at| at - 1);
    }
    let owner = note.owner();
    let of_owner = table.gone(&owner).await.unwrap();
    table.settle_gone(&earlier).await.unwrap();
    assert_eq!(table.gone(&owner).await.unwrap(), of_owner);
    table.settle_gone(note).await.unwrap();
    assert_eq!(table.gone(&owner).await.unwrap().len(), of_owner.len() - 1);
    world.system.stop().await;
}
