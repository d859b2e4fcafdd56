//! Owed deliveries, made once they are due.

use domain::delivery::{DeliveryMessage, DestinationId, Status, breaker::Passage};
use store::table::destinations::Health;
use tokio::time::Instant;

use crate::{
    config::App,
    error::DeliverError,
    send::{Batch, deliver},
    work::queue,
};

/// Delivers one page of what is owed to a shard and due, and queues the next.
pub(crate) async fn page(
    app: &App,
    id: DestinationId,
    shard: u32,
    step: u32,
    until: Instant,
) -> Result<(), DeliverError> {
    let id = &id;
    let Some(destination) = app.table.destination(id).await? else {
        return Ok(());
    };
    if destination.status != Status::Active {
        return Ok(());
    }
    let now_ms = app.now_ms();
    let health = app.table.health(id).await?;
    let passage = health.breaker.passage(now_ms);
    if passage == Passage::Closed {
        return Ok(());
    }
    // While the destination asks for less: the next look comes in the other half's minute.
    if passage == Passage::Open
        && !health
            .breaker
            .has_turn(shard, destination.concurrency, now_ms)
    {
        return Ok(());
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
        return Ok(());
    }
    let batch = Batch::owed(due, passage == Passage::Probe);
    let sent = deliver(app, &destination, shard, batch, until).await?;
    if sent.settled == 0 {
        return Ok(());
    }
    let next = DeliveryMessage::Drain {
        destination: id.clone(),
        shard,
        step: step.saturating_add(1),
    };
    // By its place in its chain: a page that is done twice queues the next one once.
    queue(app, [next], &format!("drain {now_ms}")).await
}
