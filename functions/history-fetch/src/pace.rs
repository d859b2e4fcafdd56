//! How fast Terra is asked, by all workers together: buckets in the table.

use std::time::Duration;

use domain::{
    connection::ConnectionId,
    pacing::{Ask, Bucket, Demand, Refused, Scope},
};
use jiff::{SignedDuration, Timestamp};
use models::ids::TerraUserId;
use store::table::key::Paced;

use crate::{config::App, error::HistoryError};

/// Takes what a request draws from every bucket. `Some`: not now, but after this long.
///
/// The buckets are items of their own and are drawn from one after the other, the scarcest first:
/// when a later one is empty, what was taken from the earlier ones is lost. That errs on the side of
/// asking less.
pub(crate) async fn take(
    app: &App,
    connection: &ConnectionId,
    ask: &Ask<'_>,
) -> Result<Option<Duration>, HistoryError> {
    let now = (app.clock)();
    for demand in app.quotas.demands(ask).into_iter().rev() {
        let (limit, paced) = place(&demand.scope, connection);
        let take = |bucket: Option<Bucket>| {
            let bucket = bucket.unwrap_or_default();
            match bucket.take(demand.quota, now, demand.cost) {
                Ok(next) => (next, None),
                Err(refused) => (bucket, Some(wait(refused, &demand))),
            }
        };
        let table = &app.table;
        let refused = table.take_from_bucket(limit, &paced, now.as_millisecond(), take);
        if let Some(wait) = refused.await? {
            return Ok(Some(wait));
        }
    }
    Ok(None)
}

/// Asks nothing more for a user until Terra's limit is over.
pub(crate) async fn close(
    app: &App,
    connection: &ConnectionId,
    user: &TerraUserId,
    wait: Duration,
) -> Result<(), HistoryError> {
    let now = (app.clock)();
    let until = until(now, wait);
    let (limit, paced) = place(&Scope::UserDays(user.clone()), connection);
    let close = |bucket: Option<Bucket>| (bucket.unwrap_or_default().closed_until(until), ());
    let table = &app.table;
    Ok(table
        .take_from_bucket(limit, &paced, now.as_millisecond(), close)
        .await?)
}

/// The longest that a bucket stays closed on Terra's word: longer is a mistake.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// `wait` from now.
pub(crate) fn until(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait.min(LONGEST_WAIT)).unwrap_or_default();
    now.checked_add(wait).unwrap_or(now)
}

/// More than there ever is at once is nobody's plan: a window has 28 days at most. Should a quota
/// be set lower than that, the window waits and its backfill shows it.
fn wait(refused: Refused, demand: &Demand) -> Duration {
    match refused {
        Refused::Wait(wait) => wait,
        Refused::Never => {
            tracing::error!(cost = demand.cost, "a quota is smaller than one request");
            Duration::from_hours(1)
        }
    }
}

/// A person who comes back gets a new Terra user id and keeps the connection: its buckets stay.
fn place(scope: &Scope, connection: &ConnectionId) -> (&'static str, Paced) {
    match scope {
        Scope::Account => ("calls", Paced::Account),
        Scope::Provider(provider) => ("calls", Paced::Provider(provider.clone())),
        Scope::UserCalls(_) => ("calls", Paced::Connection(connection.clone())),
        Scope::UserDays(_) => ("days", Paced::Connection(connection.clone())),
    }
}
