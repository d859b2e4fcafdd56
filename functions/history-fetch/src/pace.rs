//! Pace of all workers together, kept by buckets in the table.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use domain::{
    connection::ConnectionId,
    history::window::retry::Jitter,
    pacing::{Ask, Bucket, Demand, Refused, Scope},
};
use jiff::{SignedDuration, Timestamp};
use models::ids::TerraUserId;
use rand::RngExt as _;
use store::table::{history::SeenBucket, key::Paced};

use crate::{config::App, error::HistoryError};

/// Calls that a worker may make for the account, taken from its bucket in one go: one by one, the
/// workers would only wait for each other's writes of that one item. What is left is
/// [given back](give_back).
#[derive(Debug)]
pub(crate) struct Allowance {
    left: AtomicU32,
    /// Pause until there are more calls.
    wait: Duration,
}

/// Takes up to `calls` calls for the account.
pub(crate) async fn allowance(app: &App, calls: u32) -> Result<Allowance, HistoryError> {
    let now = (app.clock)();
    let quota = app.fetch.quotas.account;
    let most = calls.clamp(1, quota.burst());
    let take = |bucket: Bucket| {
        let mut wait = Duration::ZERO;
        for calls in (1..=most).rev() {
            match bucket.take(quota, now, calls) {
                Ok(next) => return (next, (calls, wait)),
                Err(Refused::Wait(lacking)) => wait = lacking,
                Err(Refused::Never) => {}
            }
        }
        (bucket, (0, wait))
    };
    let (calls, wait) = change_account(app, now, take).await?;
    Ok(Allowance {
        left: AtomicU32::new(calls),
        wait: wait.max(SHORTEST_WAIT),
    })
}

/// Gives back what was not used. Until then it is lost, which errs on the side of asking less; where the
/// bucket has filled again meanwhile, a burst more than one is granted at most.
pub(crate) async fn give_back(app: &App, allowance: Allowance) -> Result<(), HistoryError> {
    let left = allowance.left.into_inner();
    if left == 0 {
        return Ok(());
    }
    let quota = app.fetch.quotas.account;
    let give = |bucket: Bucket| (bucket.given_back(quota, left), ());
    change_account(app, (app.clock)(), give).await
}

/// Counts a call that does not wait for its turn, because it is one of few: a page of a list, a
/// question about one user. The windows of the backfills wait for it.
pub(crate) async fn note_call(app: &App) -> Result<(), HistoryError> {
    let (now, quota) = ((app.clock)(), app.fetch.quotas.account);
    let draw = |bucket: Bucket| (bucket.overdrawn(quota, now, 1), ());
    change_account(app, now, draw).await
}

/// Changes the account's bucket; one that nobody has written yet is full.
async fn change_account<R>(
    app: &App,
    now: Timestamp,
    change: impl Fn(Bucket) -> (Bucket, R),
) -> Result<R, HistoryError> {
    let change = |bucket: Option<Bucket>| change(bucket.unwrap_or_default());
    let (table, now_ms) = (&app.table, now.as_millisecond());
    let seen = &mut SeenBucket::default();
    Ok(table
        .take_from_bucket("calls", &Paced::Account, now_ms, seen, change)
        .await?)
}

/// The shortest pause of a worker whose account may make no call now.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

impl Allowance {
    /// Returns the pause until there are more calls, when none is left.
    pub(crate) fn is_used_up(&self) -> Option<Duration> {
        (self.left.load(Ordering::Relaxed) == 0).then_some(self.wait)
    }

    /// One call. `Err`: there is none left, but will be after this long.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let one_less = |left: u32| left.checked_sub(1);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.map(drop).map_err(|_| self.wait)
    }
}

/// A bucket is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Empty {
    /// There is enough again after this long.
    wait: Duration,
    /// Further pause for each further request like it.
    each: Duration,
}

/// Line of the windows of one backfill that wait for an empty bucket, one behind the other. Put off for
/// the same time, all of them would come back for one token again and again.
#[derive(Debug, Default)]
pub(crate) struct Line(Option<Turn>);

#[derive(Debug, Clone, Copy)]
struct Turn {
    at_ms: i64,
    each_ms: i64,
}

impl Line {
    /// One found the bucket empty: when its turn is, behind all who wait. Unit: Unix milliseconds.
    pub(crate) fn join(&mut self, empty: Empty, now_ms: i64) -> i64 {
        let wait_ms = ms(empty.wait).clamp(SHORTEST_WAIT_MS, LONGEST_WAIT_MS);
        let own_ms = now_ms.saturating_add(wait_ms);
        let at_ms = self.next(now_ms).map_or(own_ms, |next| next.max(own_ms));
        let each_ms = ms(empty.each);
        self.0 = Some(Turn { at_ms, each_ms });
        at_ms
    }

    /// The turn of the next one, if there is a line. Unit: Unix milliseconds.
    pub(crate) fn next(&mut self, now_ms: i64) -> Option<i64> {
        let turn = self.0?;
        let at_ms = turn.at_ms.saturating_add(turn.each_ms);
        self.0 = (at_ms > now_ms).then_some(Turn { at_ms, ..turn });
        self.0.map(|turn| turn.at_ms)
    }
}

/// The shortest that a window is put off for an empty bucket.
const SHORTEST_WAIT_MS: i64 = 500;
/// The longest: then it is looked at again.
const LONGEST_WAIT_MS: i64 = 12 * 3_600_000;

/// Returns a random share by which a retry is spread.
pub(crate) fn jitter() -> Jitter {
    Jitter(rand::rng().random_range(0..=1000))
}

/// Returns a duration in whole milliseconds.
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Buckets as they were last seen, each by its limit and whose it is.
pub(crate) type SeenBuckets = HashMap<(&'static str, Paced), SeenBucket<Bucket>>;

/// Takes what a request draws from the buckets of its user and provider. `Some`: not now.
///
/// The buckets are items of their own and are drawn from one after the other, the days, which cost
/// more than one, last: when a later one is empty, what was taken from the earlier ones is lost.
pub(crate) async fn take(
    app: &App,
    connection: &ConnectionId,
    ask: &Ask<'_>,
    seen: &mut SeenBuckets,
) -> Result<Option<Empty>, HistoryError> {
    let now = (app.clock)();
    for demand in app.fetch.quotas.demands(ask) {
        let Some((limit, paced)) = place(&demand.scope, connection) else {
            continue;
        };
        let take = |bucket: Option<Bucket>| {
            let bucket = bucket.unwrap_or_default();
            match bucket.take(demand.quota, now, demand.cost) {
                Ok(next) => (next, None),
                Err(refused) => {
                    let wait = wait(refused, &demand);
                    // The tokens in it are known only when it opens.
                    let each = if bucket.is_closed(now) {
                        Duration::ZERO
                    } else {
                        demand.quota.wait_for(demand.cost)
                    };
                    (bucket, Some(Empty { wait, each }))
                }
            }
        };
        let (table, now_ms) = (&app.table, now.as_millisecond());
        let seen = seen.entry((limit, paced.clone())).or_default();
        let refused = table.take_from_bucket(limit, &paced, now_ms, seen, take);
        if let Some(empty) = refused.await? {
            return Ok(Some(empty));
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
    let Some((limit, paced)) = place(&Scope::UserDays(user.clone()), connection) else {
        return Ok(());
    };
    let close = |bucket: Option<Bucket>| (bucket.unwrap_or_default().closed_until(until), ());
    let (table, now_ms) = (&app.table, now.as_millisecond());
    let seen = &mut SeenBucket::default();
    Ok(table
        .take_from_bucket(limit, &paced, now_ms, seen, close)
        .await?)
}

/// The longest that a bucket stays closed on Terra's word: longer is a mistake.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// `wait` from now.
pub(crate) fn until(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait.min(LONGEST_WAIT)).unwrap_or_default();
    now.checked_add(wait).unwrap_or(now)
}

/// More than there ever is at once is nobody's plan: a request has a year of days at most. Should a quota
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

/// Returns the place of a user's or provider's bucket; the account's is drawn from by [`allowance`].
///
/// A person who comes back gets a new Terra user id and keeps the connection: its buckets stay.
fn place(scope: &Scope, connection: &ConnectionId) -> Option<(&'static str, Paced)> {
    Some(match scope {
        Scope::Account => return None,
        Scope::Provider(provider) => ("calls", Paced::Provider(provider.clone())),
        Scope::UserCalls(_) => ("calls", Paced::Connection(connection.clone())),
        Scope::UserDays(_) => ("days", Paced::Connection(connection.clone())),
    })
}
