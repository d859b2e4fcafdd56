//! Owed deliveries, made once they are due.

use domain::delivery::{DeliveryMessage, Destination, DestinationId, Status, breaker::Passage};
use store::table::destinations::{Draining, Health};
use tokio::time::Instant;

use crate::{
    config::App,
    error::DeliverError,
    send::{Batch, deliver},
    work::queue,
};

/// Time after which a chain of which nothing was heard has died: longer than the queue hides a message. Unit: milliseconds.
const DEAD_AFTER_MS: i64 = 20 * 60 * 1000;

/// Delivers one page of what is owed to a shard and due, and queues the next. Each look for work begins a chain, and each
/// redelivery of a page would queue the next one again: all but one end here.
pub(crate) async fn page(
    app: &App,
    id: DestinationId,
    shard: u32,
    (chain, step): (i64, u32),
    until: Instant,
) -> Result<(), DeliverError> {
    let id = &id;
    let Some(destination) = app.table.destination(id).await? else {
        return Ok(());
    };
    let now_ms = app.now_ms();
    let health = app.table.health(id).await?;
    let known = health.draining.get(&shard).copied();
    if !is_next(known, (chain, step), now_ms) {
        return Ok(());
    }
    let goes_on = drained(app, &destination, shard, &health, until).await?;
    if !goes_on {
        if known.is_some() {
            let change = |health: &mut Health| {
                health.draining.remove(&shard);
            };
            app.table.change_health(id, change).await?;
        }
        return Ok(());
    }
    let step = step.saturating_add(1);
    let next = DeliveryMessage::Drain {
        destination: id.clone(),
        shard,
        chain,
        step,
    };
    queue(app, [next], "drain").await?;
    // Behind the queue: a page that is done twice queues the next one twice, and the second of those ends.
    let change = |health: &mut Health| {
        let next = Draining {
            chain,
            step,
            at_ms: now_ms,
        };
        health.draining.insert(shard, next);
    };
    app.table.change_health(id, change).await?;
    Ok(())
}

/// Decides whether a page is its chain's next one, and its chain the one that is at work.
fn is_next(known: Option<Draining>, (chain, step): (i64, u32), now_ms: i64) -> bool {
    known.is_none_or(|known| {
        if known.chain == chain {
            step >= known.step
        } else {
            step == 0 && now_ms >= known.at_ms.saturating_add(DEAD_AFTER_MS)
        }
    })
}

/// Delivers one page. Returns `true` if there may be another.
async fn drained(
    app: &App,
    destination: &Destination,
    shard: u32,
    health: &Health,
    until: Instant,
) -> Result<bool, DeliverError> {
    if destination.status != Status::Active {
        return Ok(false);
    }
    let id = &destination.id;
    let now_ms = app.now_ms();
    let passage = health.breaker.passage(now_ms);
    if passage == Passage::Closed {
        return Ok(false);
    }
    // While the destination asks for less: the next look comes in the other half's minute.
    if passage == Passage::Open
        && !health
            .breaker
            .has_turn(shard, destination.concurrency, now_ms)
    {
        return Ok(false);
    }
    let width = health.breaker.width(now_ms);
    let limit = usize::try_from(width).unwrap_or(1);
    let due = app.table.owed_due(id, shard, now_ms, limit).await?;
    if due.is_empty() {
        // The index lags: only the items themselves say that nothing is owed.
        if app.table.owed(id, shard, 1).await?.is_empty() {
            let change = move |health: &mut Health| {
                health.owing.remove(&shard);
            };
            app.table.change_health(id, change).await?;
        }
        return Ok(false);
    }
    let batch = Batch::owed(due, passage == Passage::Probe);
    let sent = deliver(app, destination, shard, batch, until).await?;
    Ok(sent.settled > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_one_chain_and_a_chain_has_one_next_page() {
        let known = Some(Draining {
            chain: 7,
            step: 3,
            at_ms: 1_000,
        });
        assert!(is_next(None, (8, 0), 0), "nobody is at work");
        assert!(is_next(known, (7, 3), 2_000));
        // It was killed between the queue and the note.
        assert!(is_next(known, (7, 4), 2_000));
        assert!(!is_next(known, (7, 2), 2_000), "done before");
        assert!(!is_next(known, (8, 0), 2_000), "another look's");
        let later_ms = 1_000 + DEAD_AFTER_MS;
        assert!(is_next(known, (8, 0), later_ms), "its message got lost");
        assert!(!is_next(known, (6, 9), later_ms), "it woke up too late");
    }
}
