//! Checks that webhooks come, connections live, windows are worked on, destinations take and jobs are done.

use inspect::findings::{self, Tally};
use jiff::Timestamp;

use super::{Finding, checked};
use crate::commands::access::Access;

pub(super) async fn check(access: &Access, now: Timestamp) -> Vec<Finding> {
    let (table, now_ms) = (&access.table, now.as_millisecond());
    let history = async {
        let tally = Tally::read(table, now_ms).await?;
        findings::history(table, &tally, now, access.is_at_work()).await
    };
    let history = history.await;
    let mut found = history.unwrap_or_else(|error| vec![checked("connections", Err(error.into()))]);
    let destinations = findings::destinations(table, now_ms).await;
    found.extend(
        destinations.unwrap_or_else(|error| vec![checked("destinations", Err(error.into()))]),
    );
    let jobs = findings::jobs(table, now_ms).await;
    found.push(checked("jobs", jobs.map_err(Into::into)));
    found
}
