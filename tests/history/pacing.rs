//! Pacing buckets under many hands.

use std::cell::Cell;

use futures::future::join_all;
use models::ids::Provider;
use store::table::{history::SeenBucket, key::Paced};

use crate::ledger::{Ledger, NOW, connection};

const FULL: u32 = 10;

fn take(left: Option<u32>) -> (u32, bool) {
    let left = left.unwrap_or(FULL);
    left.checked_sub(1)
        .map_or((left, false), |less| (less, true))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_take_no_more_than_there_is() {
    let ledger = Ledger::start().await;
    let mine = Paced::Connection(connection("a"));
    // Each takes again and again, from what it saw of the bucket when it last did.
    let takers = (0..5).map(async |_| {
        let mut seen = SeenBucket::default();
        let mut taken = 0;
        for _ in 0..4 {
            let took = ledger
                .table
                .take_from_bucket("days", &mine, NOW, &mut seen, take);
            taken += u32::from(took.await.unwrap());
        }
        taken
    });
    assert_eq!(join_all(takers).await.into_iter().sum::<u32>(), FULL);

    // Others' buckets, and other limits, are untouched.
    let garmin = Paced::Provider(Provider::new("GARMIN").unwrap());
    for (limit, paced) in [
        ("calls", &mine),
        ("days", &garmin),
        ("days", &Paced::Account),
    ] {
        let (seen, look) = (&mut SeenBucket::default(), |left: Option<u32>| (1, left));
        let left = ledger.table.take_from_bucket(limit, paced, NOW, seen, look);
        assert_eq!(left.await.unwrap(), None);
    }
}

/// A worker remembers after its write what it wrote: alone, it never has to look again. A guess of
/// the revision would now and then be that of somebody else's write, which would be lost then.
#[tokio::test]
async fn a_worker_knows_what_it_wrote() {
    const TURNS: u32 = 300;
    let ledger = Ledger::start().await;
    let mut seen = SeenBucket::default();
    let looks = Cell::new(0);
    let plus_one = |had: Option<u32>| {
        looks.set(looks.get() + 1);
        (had.unwrap_or(0) + 1, ())
    };
    for _ in 0..TURNS {
        let account = &Paced::Account;
        let took = ledger
            .table
            .take_from_bucket("calls", account, NOW, &mut seen, plus_one);
        took.await.unwrap();
    }
    assert_eq!(looks.get(), TURNS);
}
