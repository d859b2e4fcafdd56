//! Looks for work that is due: probes and drains of destinations that failed, orders, erasures.

use std::collections::BTreeSet;

use domain::delivery::{
    DeliveryMessage, Destination, Status, breaker::Passage, order::Cursor, shard_of,
};
use runtime::{metrics::Metrics, queue::FifoIds};
use store::table::destinations::Health;
use xxhash_rust::xxh3::xxh3_128;

use crate::{config::App, error::DeliverError};

/// Deliveries of a shard whose age is looked at: the longest due.
const LOOKED_AT: usize = 10;

/// Queues jobs of our own. Within five minutes the queue takes one `run` of a job only once.
pub(crate) async fn queue(
    app: &App,
    jobs: impl IntoIterator<Item = DeliveryMessage>,
    run: &str,
) -> Result<(), DeliverError> {
    let jobs: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let text = serde_json::to_string(&job).unwrap_or_default();
            let named = format!("{run}\0{text}");
            let ids = FifoIds {
                group_id: job.group(),
                deduplication_id: format!("{:032x}", xxh3_128(named.as_bytes())),
            };
            (job, ids)
        })
        .collect();
    let jobs: Vec<_> = jobs.iter().map(|(job, ids)| (job, ids.clone())).collect();
    Ok(app.jobs.send_fifo(jobs).await?)
}

/// Looks at every destination, and queues what is due.
pub(crate) async fn look(app: &App) -> Result<(), DeliverError> {
    let now_ms = app.now_ms();
    let (mut suspended, mut stopped) = (0, 0);
    let mut oldest_ms = 0;
    for destination in app.table.destinations().await? {
        let health = app.table.health(&destination.id).await?;
        suspended += u64::from(health.breaker.is_suspended(now_ms));
        stopped += u64::from(is_stopped(&destination, &health));
        if destination.status == Status::Active {
            oldest_ms = oldest_ms.max(owed_for_ms(app, &destination, &health, now_ms).await?);
        }
        let jobs = due(app, &destination, &health, now_ms).await?;
        // A look that comes twice within its second queues everything once.
        queue(app, jobs, &format!("look {}", now_ms / 1000)).await?;
    }
    let mut metrics = Metrics::new("deliver");
    metrics.count("SuspendedDestinations", suspended);
    metrics.count("StoppedDestinations", stopped);
    let seconds = u64::try_from(oldest_ms / 1000).unwrap_or_default();
    metrics.count("OldestOwedSeconds", seconds);
    metrics.send(now_ms, &app.metrics);
    Ok(())
}

/// Returns whether nothing is delivered until somebody does something: the receiver asked not to be called again, or
/// settings or rights are wrong.
fn is_stopped(destination: &Destination, health: &Health) -> bool {
    match destination.status {
        Status::Disabled => true,
        Status::Active => health.breaker.is_stopped(),
        Status::Paused | Status::Unproven => false,
    }
}

/// Time for which a destination has not taken what is owed to it. A record that it refused waits for its own next try,
/// and is no sign of that. Unit: milliseconds.
///
/// # Errors
///
/// [`DeliverError`] when the table does not answer.
pub async fn owed_for_ms(
    app: &App,
    destination: &Destination,
    health: &Health,
    now_ms: i64,
) -> Result<i64, DeliverError> {
    let failing_since_ms = health.breaker.failing_since_ms;
    let mut oldest_ms = now_ms;
    for (shard, since_ms) in &health.owing {
        if let Some(failing_since_ms) = failing_since_ms {
            // While it fails, refused or not: nothing is taken.
            oldest_ms = oldest_ms.min(failing_since_ms.max(*since_ms));
        }
        let due = app
            .table
            .owed_due(&destination.id, *shard, now_ms, LOOKED_AT);
        for owed in due.await? {
            let waits_since_ms = match owed.refusals {
                0 => owed.first_failed_at_ms,
                _ => owed.due_at_ms,
            };
            oldest_ms = oldest_ms.min(waits_since_ms);
        }
    }
    Ok(now_ms - oldest_ms)
}

async fn due(
    app: &App,
    destination: &Destination,
    health: &Health,
    now_ms: i64,
) -> Result<Vec<DeliveryMessage>, DeliverError> {
    let mut jobs = Vec::new();
    if destination.status == Status::Active {
        let shards: Vec<u32> = match health.breaker.passage(now_ms) {
            Passage::Open => health.owing.keys().copied().collect(),
            // One shard tries for all: one that has something due.
            Passage::Probe => first_due(app, destination, health, now_ms).await?,
            Passage::Closed => Vec::new(),
        };
        jobs.extend(shards.into_iter().map(|shard| DeliveryMessage::Drain {
            destination: destination.id.clone(),
            shard,
            chain: now_ms.div_euclid(1000),
            step: 0,
        }));
    }
    if let Some(probe) = &health.probe
        && probe.done_at_ms.is_none()
    {
        // Whoever asked for it may have failed to queue it.
        let (message, deduplication_id) = probe.message(&destination.id);
        let ids = FifoIds {
            group_id: message.group(),
            deduplication_id,
        };
        app.jobs.send_fifo([(&message, ids)]).await?;
    }
    let known_after_ms = i64::try_from(app.known_after.as_millis()).unwrap_or(i64::MAX);
    for order in app.table.orders(&destination.id).await? {
        if order.begun || order.done_at_ms.is_some() {
            continue;
        }
        if !destination.may_begin(&order.purpose, known_after_ms, now_ms) {
            continue;
        }
        let walks: Vec<_> = (0..destination.concurrency)
            .map(|shard| DeliveryMessage::Walk {
                destination: destination.id.clone(),
                order: order.id.clone(),
                shard,
                cursor: Cursor::default(),
                step: 0,
            })
            .collect();
        // At once, so that the order is marked only when its walks are on their way.
        queue(app, walks, "walk").await?;
        let begun = app
            .table
            .change_order(&destination.id, &order.id, |order| order.begun = true);
        begun.await?;
    }
    let is_closed = health.breaker.passage(now_ms) == Passage::Closed;
    let mut erasures = Vec::new();
    for erasure in app.table.erasures(&destination.id).await? {
        if erasure.is_done || is_closed {
            continue;
        }
        let owners = erasure.owners();
        let shards: BTreeSet<u32> = owners
            .iter()
            .map(|owner| shard_of(owner, destination.concurrency))
            .filter(|shard| !erasure.results.contains_key(shard))
            .collect();
        erasures.extend(shards.into_iter().map(|shard| DeliveryMessage::Erase {
            destination: destination.id.clone(),
            erasure: erasure.id.clone(),
            shard,
        }));
    }
    // Once in five minutes each: they may take long, and live deliveries wait behind them.
    queue(app, erasures, "erase").await?;
    Ok(jobs)
}

async fn first_due(
    app: &App,
    destination: &Destination,
    health: &Health,
    now_ms: i64,
) -> Result<Vec<u32>, DeliverError> {
    for shard in health.owing.keys() {
        let due = app.table.owed_due(&destination.id, *shard, now_ms, 1);
        if !due.await?.is_empty() {
            return Ok(vec![*shard]);
        }
    }
    Ok(health.owing.keys().copied().take(1).collect())
}
