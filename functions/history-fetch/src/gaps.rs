//! Days that are missing, and connections that have gone quiet.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::{ConnectionId, Status},
    history::{
        backfill::{Backfill, Plan},
        coverage::{Known, Outage},
        day::{self, DAY_MS},
        gap::{self, Peers, Quiet, Signs},
        outage::OutageLog,
        reach::ProviderHistory,
        window::BackfillId,
    },
    message::HistoryMessage,
};
use models::data::DataType;
use runtime::metrics::{Dimension, Metrics};
use store::table::connections::StoredConnection;
use tracing::{info, warn};

use crate::{
    config::App,
    connected::plan_first,
    error::HistoryError,
    reconcile::{CONNECTIONS_PER_JOB, some_failed},
};

/// How far back gaps are looked for: what is older is the first backfill's, and reading all of it
/// every few hours would cost more than it could find. Unit: days.
const LOOK_BACK_DAYS: i64 = 45;
/// How often what the first backfill could not get is asked for again: after a day, two, four, … so
/// that the last try is a month after it.
const TRIES_OF_THE_PAST: u32 = 5;

/// Notes when webhooks last came, and times in which none did.
pub(crate) async fn note_silence(app: &App) -> Result<(), HistoryError> {
    let now_ms = app.now_ms();
    let known = app.table.outage_log().await?;
    let after_ms = known.webhook_at_ms.unwrap_or(now_ms - DAY_MS);
    let first_ms = app.table.first_webhook_after(after_ms, now_ms).await?;
    let newest_ms = match first_ms {
        Some(first_ms) => app.table.newest_webhook(first_ms, now_ms).await?,
        None => None,
    };
    let heard = |log: OutageLog| log.heard(first_ms, newest_ms, now_ms);
    app.table.change_outages(heard).await?;
    Ok(())
}

/// Looks at some connections of a shard, and queues a look at the next ones.
pub(crate) async fn find_in_shard(
    app: &App,
    shard: u8,
    after: Option<ConnectionId>,
) -> Result<(), HistoryError> {
    let ids = app
        .table
        .connection_ids(shard, after.as_ref(), CONNECTIONS_PER_JOB)
        .await?;
    let mut connections = Vec::with_capacity(ids.len());
    for id in &ids {
        connections.extend(app.table.connection(id).await?);
    }
    let log = app.table.outage_log().await?;
    let mut seen = Peers::default();
    for connection in &connections {
        let state = &connection.state;
        if let (Some(provider), Some(at_ms)) = (state.provider(), state.data_at_ms()) {
            seen.note(provider, shard, at_ms);
        }
    }
    let around = Around {
        outages: &log.outages,
        webhook_at_ms: log.webhook_at_ms,
        peers: app.table.note_peers(&seen).await?,
        shard,
    };
    let mut results = Vec::new();
    let mut quiet = BTreeMap::<&'static str, u64>::new();
    for connection in &connections {
        let result = Box::pin(look(app, connection, &around)).await;
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
    if ids.len() == CONNECTIONS_PER_JOB {
        let after = ids.last().cloned();
        app.jobs
            .send(&HistoryMessage::FindGapsOf { shard, after })
            .await?;
    }
    Ok(())
}

/// What is seen around a connection.
struct Around<'a> {
    outages: &'a [Outage],
    webhook_at_ms: Option<i64>,
    /// Of the shards that come later, as they stood in the round before.
    peers: Peers,
    shard: u8,
}

/// Asks for what a connection lacks; tells whether it has gone quiet.
async fn look(
    app: &App,
    connection: &StoredConnection,
    around: &Around<'_>,
) -> Result<Option<Quiet>, HistoryError> {
    let state = &connection.state;
    let (Some(provider), now_ms) = (state.provider(), app.now_ms()) else {
        return Ok(None);
    };
    let history = ProviderHistory::of(provider);
    let refused = refused_types(app, &connection.id, now_ms).await?;
    if state.status() == Status::Active {
        let first = app
            .table
            .backfill(&BackfillId::first(&connection.id))
            .await?;
        match first {
            Some(first) if first.created => {
                ask_for_gaps(app, connection, history, &refused, around).await?;
                ask_again(app, first).await?;
            }
            // Its `auth` may have been lost: nobody else plans it then.
            _ => plan_first(app, connection).await?,
        }
    }
    let data_at_ms = state.data_at_ms();
    let peers_data_at_ms = around
        .peers
        .newest_beside(provider, around.shard, data_at_ms);
    let refused = !refused.is_empty();
    let signs = Signs::of(
        state,
        refused,
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
    Ok(quiet.filter(|_| state.status() != Status::Ended))
}

async fn ask_for_gaps(
    app: &App,
    connection: &StoredConnection,
    history: &ProviderHistory,
    refused: &BTreeSet<DataType>,
    around: &Around<'_>,
) -> Result<(), HistoryError> {
    let now_ms = app.now_ms();
    let from = day::plus(day::earliest_on_earth(now_ms), -LOOK_BACK_DAYS);
    let known = app.table.known_days(connection, Some(from), now_ms).await?;
    let types: BTreeMap<DataType, Known<'_>> = known
        .iter()
        .map(|(&data_type, days)| (data_type, days.known(around.outages)))
        .collect();
    let wanted = gap::wanted(&types, history, connection.state.status(), refused, now_ms);
    let mut won = BTreeMap::new();
    for (data_type, days) in wanted {
        let days: BTreeSet<_> = days.into_iter().filter(|day| *day >= from).collect();
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

/// Asks for what the first backfill could not get: Terra was down for longer than its windows wait, or
/// the connection had ended and came back. Each further try waits twice as long.
async fn ask_again(app: &App, first: Backfill) -> Result<(), HistoryError> {
    let now_ms = app.now_ms();
    let before = day::plus(day::earliest_on_earth(now_ms), -LOOK_BACK_DAYS);
    let mut earlier = first;
    for number in 1..=TRIES_OF_THE_PAST {
        let Some(done) = earlier.done.as_ref().filter(|done| !done.missed.is_empty()) else {
            return Ok(());
        };
        let connection = &earlier.plan.connection;
        let id = BackfillId::again(connection, number);
        match app.table.backfill(&id).await? {
            Some(known) if known.created => earlier = known,
            _ => {
                let pause_ms = DAY_MS << (number - 1);
                let plan = Plan::again(&earlier, number, before, now_ms);
                if let Some(plan) = plan.filter(|_| now_ms >= done.at_ms + pause_ms) {
                    app.table.plan_backfill(&plan).await?;
                    info!(backfill_id = %id, connection_id = %connection, "what was missed is asked for again");
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Types that were refused for good by a backfill that ended lately.
async fn refused_types(
    app: &App,
    connection: &ConnectionId,
    now_ms: i64,
) -> Result<BTreeSet<DataType>, HistoryError> {
    let mut refused = BTreeSet::new();
    for listed in app.table.backfill_list(connection).await? {
        let lately = listed.ended.as_ref();
        let lately = lately.and_then(|ended| ended.refused_lately(now_ms));
        refused.extend(lately.into_iter().flatten());
    }
    Ok(refused)
}
