//! Our connections against Terra's list, page by page. Importing an account is the same thing run
//! once: whoever is on the list and unknown here becomes a connection with a first backfill.
//!
//! A page is a job: it applies what is new, notes who was on it, and queues the next one. After the
//! last page every shard of our connections is a job: who counts as there and was on no page is asked
//! for by name, and ended when Terra does not know them. So one user never stops the others, and a
//! job that dies is done again.

use domain::{connection::ConnectionId, message::HistoryMessage, reconcile};
use futures::{StreamExt as _, future::BoxFuture, stream};
use jiff::Timestamp;
use runtime::{metrics::Metrics, telemetry::Chain};
use store::table::connections::{Alias, CONNECTION_SHARDS};
use terra_client::api::{DEFAULT_PER_PAGE, Gone, TerraError, UserRecord};
use tracing::{info, warn};

use crate::{config::App, error::HistoryError, pace};

/// Users of a page looked at at once.
const CONCURRENT_USERS: usize = 16;
/// Connections of a shard looked at in one job.
pub(crate) const CONNECTIONS_PER_JOB: usize = 200;

/// One page of Terra's list.
pub(crate) async fn page(app: &App, sweep_ms: i64, page: u32) -> Result<(), HistoryError> {
    pace::note_call(app).await?;
    let listed = app.terra.subscriptions_page(page, DEFAULT_PER_PAGE).await;
    let listed = listed.map_err(credentials)?;
    let users = &listed.users.users;
    let mut looks: Vec<BoxFuture<'_, _>> = Vec::with_capacity(users.len());
    for user in users {
        looks.push(Box::pin(apply_user(app, user, sweep_ms)));
    }
    let results: Vec<_> = stream::iter(looks)
        .buffer_unordered(CONCURRENT_USERS)
        .collect()
        .await;
    let changed = results
        .iter()
        .filter(|result| matches!(result, Ok(true)))
        .count();
    some_failed("users", results)?;

    let ids: Vec<_> = users.iter().map(|user| user.user_id.clone()).collect();
    let unreadable = listed.users.unreadable > 0;
    app.table
        .note_sweep_page(sweep_ms, page, &ids, unreadable)
        .await?;
    info!(
        page,
        users = ids.len(),
        changed,
        unreadable = listed.users.unreadable,
        "page compared"
    );
    let next: Vec<_> = match listed.next {
        Some(page) => vec![HistoryMessage::ReconcilePage { sweep_ms, page }],
        None => (0..CONNECTION_SHARDS)
            .map(|shard| HistoryMessage::EndMissing {
                sweep_ms,
                shard,
                after: None,
                step: 0,
            })
            .collect(),
    };
    Ok(app.queue(&next).await?)
}

/// Applies one user of Terra's list. Returns whether anything was new.
async fn apply_user(app: &App, user: &UserRecord, sweep_ms: i64) -> Result<bool, HistoryError> {
    let known = match app.table.alias(&user.user_id).await? {
        None => None,
        Some(Alias::Erased(_) | Alias::Held(_)) => return Ok(false),
        Some(Alias::Connection(id)) => app.table.connection(&id).await?,
    };
    let created_at = user
        .created_at
        .as_deref()
        .and_then(|at| at.parse::<Timestamp>().ok());
    let created_at_ms = created_at.map(Timestamp::as_millisecond);
    let known = known.as_ref().map(|known| &known.state);
    let Some(fragment) = reconcile::listed(&user.user, created_at_ms, known, sweep_ms) else {
        return Ok(false);
    };
    let applied = app.table.apply_connection(&fragment).await?;
    if known.is_none() && applied.is_some() {
        let terra_user_id = user.user_id.clone();
        app.jobs
            .send(&HistoryMessage::Connected { terra_user_id })
            .await?;
    }
    Ok(true)
}

/// Ends the connections of a shard that Terra no longer knows.
pub(crate) async fn end_missing(
    app: &App,
    sweep_ms: i64,
    shard: u8,
    after: Option<ConnectionId>,
    step: u32,
) -> Result<(), HistoryError> {
    let listed = app.table.sweep(sweep_ms).await?;
    if listed.unreadable {
        warn!("Terra's list has entries that cannot be read: nobody is ended for being missing");
        return Ok(());
    }
    let ids = app
        .table
        .connection_ids(shard, after.as_ref(), CONNECTIONS_PER_JOB)
        .await?;
    let (mut results, mut ended) = (Vec::new(), 0_u64);
    for id in &ids {
        let result = end_if_missing(app, id, &listed.terra_user_ids, sweep_ms).await;
        ended += u64::from(matches!(result, Ok(true)));
        results.push(result);
    }
    if ended > 0 {
        let mut metrics = Metrics::new("history-fetch");
        metrics.count("ConnectionsEnded", ended);
        metrics.send(app.now_ms(), &app.metrics);
    }
    some_failed("connections", results)?;
    if ids.len() == CONNECTIONS_PER_JOB {
        let next = HistoryMessage::EndMissing {
            sweep_ms,
            shard,
            after: ids.last().cloned(),
            step: step.saturating_add(1),
        };
        app.jobs.send(&next).await?;
    }
    Ok(())
}

async fn end_if_missing(
    app: &App,
    id: &ConnectionId,
    listed: &std::collections::HashSet<models::ids::TerraUserId>,
    sweep_ms: i64,
) -> Result<bool, HistoryError> {
    let Some(connection) = app.table.connection(id).await? else {
        return Ok(false);
    };
    let Some((user, _)) = connection.state.current() else {
        return Ok(false);
    };
    if listed.contains(user) || !reconcile::is_suspect(&connection.state, sweep_ms) {
        return Ok(false);
    }
    // Users come and go while pages are read, and pages shift: only Terra's own no counts.
    pace::note_call(app).await?;
    match app.terra.user_info(user).await {
        Err(TerraError::Gone {
            what: Gone::UserUnknown | Gone::NotSaid,
            ..
        }) => {
            let missing = reconcile::missing(user, sweep_ms);
            app.table.apply_connection(&missing).await?;
            info!(connection_id = %id, "connection ended: Terra does not know it any more");
            Ok(true)
        }
        Ok(_) | Err(TerraError::Gone { .. }) => Ok(false),
        Err(error) => Err(credentials(error)),
    }
}

fn credentials(error: TerraError) -> HistoryError {
    match error {
        TerraError::Credentials { .. } => HistoryError::Credentials,
        error => error.into(),
    }
}

/// Logs each failure. An error, so that the job is done again, if all failed that can succeed later or
/// Terra refuses the credentials. One of many is looked at again by the next sweep: it must not keep
/// those who come after this job from theirs.
pub(crate) fn some_failed<T>(
    what: &'static str,
    results: Vec<Result<T, HistoryError>>,
) -> Result<(), HistoryError> {
    let all = results.len();
    let mut failed = 0;
    for error in results.into_iter().filter_map(Result::err) {
        if matches!(error, HistoryError::Credentials) {
            return Err(error);
        }
        warn!(error = %Chain(&error), "one of many {what} failed");
        failed += usize::from(error.retry() == domain::Retry::Later);
    }
    if failed > 0 && failed == all {
        return Err(HistoryError::Some { what, failed, all });
    }
    Ok(())
}
