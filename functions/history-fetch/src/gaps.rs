//! Days that are missing, and connections that have gone quiet.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::{ConnectionId, Status},
    history::{
        backfill::Plan,
        coverage::{Known, Outage},
        day::{self, DAY_MS},
        fleet::{self, Fleet},
        gap::{self, Peers, Quiet, Signs},
        outage::OutageLog,
        reach::ProviderHistory,
        window::BackfillId,
    },
    message::HistoryMessage,
};
use models::data::DataType;
use runtime::metrics::{Dimension, Metrics};
use store::table::{
    connections::{CONNECTION_SHARDS, StoredConnection},
    history::ListedBackfill,
};
use tracing::{info, warn};

use crate::{
    config::App,
    connected::plan_first,
    error::HistoryError,
    reconcile::{CONNECTIONS_PER_JOB, some_failed},
};

/// Factor by which a job has fewer connections in a search all the way back, because it reads years
/// instead of weeks.
const WHOLE_SEARCH_WEIGHT: usize = 8;

/// Notes the time of the newest webhook, and times in which none came.
async fn note_silence(app: &App) -> Result<(), HistoryError> {
    let now_ms = app.now_ms();
    let known = app.table.outage_log().await?;
    let after_ms = known.webhook_at_ms.unwrap_or(now_ms - DAY_MS);
    let first_ms = app.table.first_webhook_after(after_ms, now_ms).await?;
    let newest_ms = match first_ms {
        Some(first_ms) => app.table.newest_webhook(first_ms, now_ms).await?,
        None => None,
    };
    let note = |log: OutageLog| log.with_webhooks(first_ms, newest_ms, now_ms);
    app.table.change_outages(note).await?;
    Ok(())
}

/// Queues a check of every connection; now and then, all the way back.
pub(crate) async fn find(app: &App) -> Result<(), HistoryError> {
    note_silence(app).await?;
    let now_ms = app.now_ms();
    let whole = app.table.searches().await?.is_whole_due(now_ms);
    let jobs: Vec<_> = (0..CONNECTION_SHARDS)
        .map(|shard| HistoryMessage::FindGapsOf {
            shard,
            after: None,
            whole,
            step: 0,
            counted: Box::new(Fleet::begun(now_ms)),
        })
        .collect();
    app.queue(&jobs).await?;
    if whole {
        app.table.note_whole_search(now_ms).await?;
    }
    Ok(())
}

/// Checks some connections of a shard, and queues a check of the next ones, which is the next step. The last step
/// leaves the counts over all of the shard behind.
pub(crate) async fn find_in_shard(
    app: &App,
    (shard, step): (u8, u32),
    after: Option<ConnectionId>,
    whole: bool,
    mut counted: Fleet,
) -> Result<(), HistoryError> {
    let most = if whole {
        CONNECTIONS_PER_JOB / WHOLE_SEARCH_WEIGHT
    } else {
        CONNECTIONS_PER_JOB
    };
    let ids = app
        .table
        .connection_ids(shard, after.as_ref(), most)
        .await?;
    let (mut connections, mut results) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in &ids {
        match app.table.connection(id).await {
            Ok(connection) => connections.extend(connection),
            Err(error) => results.push(Err(error.into())),
        }
    }
    let log = app.table.outage_log().await?;
    let mut seen = Peers::default();
    for connection in &connections {
        let state = &connection.state;
        if let (Some(provider), Some(at_ms)) = (state.provider(), state.data_at_ms()) {
            seen.note(provider, shard, at_ms);
        }
    }
    let around = Surroundings {
        outages: &log.outages,
        webhook_at_ms: log.webhook_at_ms,
        peers: app.table.note_peers(&seen).await?,
        shard,
        whole,
    };
    let mut quiet = BTreeMap::<&'static str, u64>::new();
    for connection in &connections {
        let result = Box::pin(check_connection(app, connection, &around, &mut counted)).await;
        if let Ok(Some(Quiet { cause, .. })) = &result {
            *quiet.entry(cause.as_str()).or_default() += 1;
        }
        results.push(result);
    }
    for (cause, count) in quiet {
        let mut metrics = Metrics::new("history-fetch").dimension(Dimension::Reason, cause);
        metrics.count("QuietConnections", count);
        metrics.send(app.now_ms(), &app.metrics);
    }
    some_failed("connections", results)?;
    if ids.len() < most {
        return Ok(app.table.note_fleet(shard, &counted).await?);
    }
    app.jobs
        .send(&HistoryMessage::FindGapsOf {
            shard,
            after: ids.last().cloned(),
            whole,
            step: step.saturating_add(1),
            counted: Box::new(counted),
        })
        .await?;
    Ok(())
}

/// Signs around a connection that tell why it is quiet.
struct Surroundings<'a> {
    outages: &'a [Outage],
    webhook_at_ms: Option<i64>,
    /// Newest data of each provider's people. The shards that come later stand as in the round before.
    peers: Peers,
    shard: u8,
    /// True if the search goes all the way back.
    whole: bool,
}

/// Asks for the missing days of a connection, and counts it. Returns the cause if the connection has gone quiet.
async fn check_connection(
    app: &App,
    connection: &StoredConnection,
    around: &Surroundings<'_>,
    counted: &mut Fleet,
) -> Result<Option<Quiet>, HistoryError> {
    let state = &connection.state;
    let (Some(provider), now_ms) = (state.provider(), app.now_ms()) else {
        counted.note(&connection.id, state, None);
        return Ok(None);
    };
    let history = ProviderHistory::of(provider);
    let refused = refused_lately(app, &connection.id, counted).await?;
    if state.status() == Status::Active {
        let first = app
            .table
            .backfill(&BackfillId::first(&connection.id))
            .await?;
        match first {
            Some(first) if first.created => {
                ask_for_gaps(app, connection, history, &refused.types, around).await?;
            }
            // Its `auth` may have been lost: nobody else plans it then.
            _ => plan_first(app, connection).await?,
        }
    }
    let data_at_ms = state.data_at_ms();
    let peers_data_at_ms = around
        .peers
        .newest_beside(provider, around.shard, data_at_ms);
    let signs = Signs::of(
        state,
        refused.permission,
        peers_data_at_ms,
        around.webhook_at_ms,
        now_ms,
    );
    let quiet = gap::quiet(&signs, history, now_ms);
    if let Some(quiet) = &quiet
        && state.status() != Status::Ended
    {
        warn!(connection_id = %connection.id, %provider, cause = quiet.cause.as_str(),
              quiet_hours = (now_ms - quiet.since_ms) / day::HOUR_MS, "a connection is quiet");
    }
    counted.note(&connection.id, state, quiet.as_ref());
    Ok(quiet.filter(|_| state.status() != Status::Ended))
}

async fn ask_for_gaps(
    app: &App,
    connection: &StoredConnection,
    history: &ProviderHistory,
    refused: &BTreeSet<DataType>,
    around: &Surroundings<'_>,
) -> Result<(), HistoryError> {
    let now_ms = app.now_ms();
    let from = day::plus(day::earliest_on_earth(now_ms), -gap::LOOK_BACK_DAYS);
    let from = (!around.whole).then_some(from);
    let known = app.table.known_days(connection, from, now_ms).await?;
    let types: BTreeMap<DataType, Known<'_>> = known
        .iter()
        .map(|(&data_type, days)| (data_type, days.known(around.outages)))
        .collect();
    let wanted = gap::wanted(&types, history, connection.state.status(), refused, now_ms);
    let mut won = BTreeMap::new();
    for (data_type, days) in wanted {
        let days = days.into_iter();
        let days = days
            .filter(|day| from.is_none_or(|from| *day >= from))
            .collect();
        let days = app
            .table
            .claim_days(&connection.id, data_type, &days, now_ms)
            .await?;
        won.insert(data_type, days);
    }
    if let Some(plan) = Plan::gaps(&connection.id, won, now_ms) {
        let days: usize = plan
            .days
            .values()
            .flatten()
            .map(|span| span.length_days() as usize)
            .sum();
        app.table.plan_backfill(&plan).await?;
        info!(backfill_id = %plan.id, connection_id = %connection.id, days, "gaps are asked for");
    }
    Ok(())
}

/// Types that backfills which ended lately were refused for good.
#[derive(Default)]
struct RefusedLately {
    types: BTreeSet<DataType>,
    /// True if any of them was refused for want of a permission.
    permission: bool,
}

/// Reads what was refused lately. Counts the backfills that it meets, and the windows that they gave up.
async fn refused_lately(
    app: &App,
    connection: &ConnectionId,
    counted: &mut Fleet,
) -> Result<RefusedLately, HistoryError> {
    let now_ms = app.now_ms();
    let mut refused = RefusedLately::default();
    for ListedBackfill { id, ended } in app.table.backfill_list(connection).await? {
        let Some(ended) = ended else {
            counted.backfills += 1;
            continue;
        };
        if ended.has_failed && fleet::is_late(ended.at_ms, now_ms) {
            counted.note_failed(&app.table.windows(&id, None).await?, now_ms);
        }
        let types = ended.refused_lately(now_ms);
        refused.types.extend(types.into_iter().flatten());
        refused.permission |= ended.permission_refused_lately(now_ms);
    }
    Ok(refused)
}
