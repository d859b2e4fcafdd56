//! Webhooks that are owed to a destination, or were refused by it: all of them are found, page by page.

use domain::{
    delivery::{Cause, Changed, DestinationId},
    locator::Locator,
    owner::RecordOwner,
};
use models::ids::{ReferenceId, WebhookId};
use store::table::deliveries::Owed;

use crate::world::World;

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
