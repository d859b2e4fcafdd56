//! Pacing buckets under many hands.

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

/// What a worker remembers after its write is what it wrote, and not what somebody else wrote since.
#[tokio::test]
async fn two_workers_in_turn_lose_nothing() {
    const TURNS: u32 = 300;
    let ledger = Ledger::start().await;
    let account = Paced::Account;
    let plus_one = |had: Option<u32>| (had.unwrap_or(0) + 1, had);
    let mut seen = [SeenBucket::default(), SeenBucket::default()];
    for turn in 0..TURNS {
        let seen = &mut seen[turn as usize % 2];
        let took = ledger
            .table
            .take_from_bucket("calls", &account, NOW, seen, plus_one);
        assert_eq!(took.await.unwrap().unwrap_or(0), turn);
    }
}
