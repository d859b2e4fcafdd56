//! Pacing buckets under many hands.

use futures::future::join_all;
use models::ids::Provider;
use store::table::key::Paced;

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
    let takers = (0..16).map(|_| ledger.table.take_from_bucket("days", &mine, NOW, take));
    let taken = join_all(takers).await.into_iter().map(Result::unwrap);
    assert_eq!(taken.filter(|&taken| taken).count(), FULL as usize);

    // Others' buckets, and other limits, are untouched.
    let garmin = Paced::Provider(Provider::new("GARMIN").unwrap());
    for (limit, paced) in [
        ("calls", &mine),
        ("days", &garmin),
        ("days", &Paced::Account),
    ] {
        let left = ledger
            .table
            .take_from_bucket(limit, paced, NOW, |left: Option<u32>| (1, left));
        assert_eq!(left.await.unwrap(), None);
    }
}
