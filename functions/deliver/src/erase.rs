//! Erasing a person at a destination.

use std::time::Duration;

use destinations::{
    id::{OwnerId, RecordId},
    kind::{Erased, ErasedRecord, Erasure, Fault},
};
use domain::{
    delivery::{DestinationId, Stream, shard_of},
    owner::RecordOwner,
};
use models::data::DataType;
use store::table::{
    deliveries::Owed,
    destinations::{ErasureOrder, ErasureResult, Health},
};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::{
    config::App,
    error::DeliverError,
    send::{failure_of, jitter},
};

/// Longest call to erase: a destination is asked again with the next look.
const LONGEST_ERASURE: Duration = Duration::from_mins(1);
/// Time without which no call is begun.
const SHORTEST_CALL: Duration = Duration::from_secs(15);
/// Owed webhooks that are read at once.
const WEBHOOKS_AT_ONCE: usize = 200;
/// Time to note a result.
const TO_NOTE: Duration = Duration::from_secs(5);
/// Text of a receipt where bodies of webhooks were kept.
const WEBHOOKS_STAY: &str = "the webhooks that were passed on are named by day, not by person: remove those of the person there";

/// Erases the owners of one shard. A destination that fails is asked again by the next look for work.
pub(crate) async fn erase(
    app: &App,
    id: DestinationId,
    erasure: String,
    shard: u32,
    until: Instant,
) -> Result<(), DeliverError> {
    let id = &id;
    let Some(order) = app.table.erasure(id, &erasure).await? else {
        return Ok(());
    };
    if order.is_done || order.results.contains_key(&shard) {
        return Ok(());
    }
    let Some(destination) = app.table.destination(id).await? else {
        // Nobody asks for its other shards any more.
        app.table
            .give_up_erasure(id, &erasure, app.now_ms())
            .await?;
        return Ok(());
    };
    let owners: Vec<RecordOwner> = order
        .owners()
        .into_iter()
        .filter(|owner| shard_of(owner, destination.concurrency) == shard)
        .collect();
    let client = match app.clients.get(&destination).await {
        Ok(client) => client,
        Err(error) => {
            let fault = error.into_fault()?;
            warn!(destination = %id, fault = fault.name(), "a person cannot be erased yet");
            return Ok(());
        }
    };
    let mut records = Vec::new();
    if destination.forgets_by_name() {
        for owner in &owners {
            let names = app.table.erased_records(&erasure, owner).await?;
            let owner = OwnerId::of(owner);
            records.extend(names.into_iter().map(|(data_type, key)| ErasedRecord {
                record_id: RecordId::of(&owner, data_type, &key),
                owner: owner.clone(),
                data_type,
            }));
        }
    }
    let person = Erasure {
        id: order.id.clone(),
        reference_id: order.reference_id.clone(),
        owners: owners.iter().map(OwnerId::of).collect(),
        terra_user_ids: order.terra_user_ids.clone(),
        records,
    };
    let left = until.saturating_duration_since(Instant::now());
    if left < SHORTEST_CALL {
        return Ok(());
    }
    let longest = LONGEST_ERASURE.min(left.saturating_sub(TO_NOTE));
    let erased = timeout(longest, client.kind.erase(&person)).await;
    match erased {
        Ok(Ok(erased)) => {
            let erased =
                if destination.stream == Stream::Webhooks && matches!(erased, Erased::Done(_)) {
                    Erased::Manual(WEBHOOKS_STAY.to_owned())
                } else {
                    erased
                };
            forget(app, id, shard, &owners).await?;
            if destination.stream == Stream::Webhooks {
                forget_webhooks(app, id, shard, &owners).await?;
            }
            done(app, id, &order, shard, destination.concurrency, erased).await
        }
        // Only this message is refused: the destination takes others.
        Ok(Err(fault @ Fault::Rejected { .. })) => {
            warn!(destination = %id, fault = fault.name(), "a person cannot be erased yet");
            Ok(())
        }
        Ok(Err(fault)) => {
            app.clients.forget(id);
            warn!(destination = %id, fault = fault.name(), "a person cannot be erased yet");
            let (failure, text) = (failure_of(&fault), fault.to_string());
            let (jitter, now_ms) = (jitter(), app.now_ms());
            let change = |health: &mut Health| {
                let breaker = std::mem::take(&mut health.breaker);
                health.breaker = breaker.failed(failure, &text, jitter, now_ms);
            };
            app.table.change_health(id, change).await?;
            Ok(())
        }
        Err(_) => {
            app.clients.forget(id);
            warn!(destination = %id, "a person cannot be erased yet: no answer");
            Ok(())
        }
    }
}

/// Strikes what is owed to the destination, or was refused by it, of these owners.
async fn forget(
    app: &App,
    id: &DestinationId,
    shard: u32,
    owners: &[RecordOwner],
) -> Result<(), DeliverError> {
    let table = &app.table;
    for owner in owners {
        for data_type in DataType::ALL.into_iter().map(Some).chain([None]) {
            for owed in table.owed_of(id, shard, (owner, data_type)).await? {
                table.settle_owed(id, shard, &owed.changed).await?;
            }
            for failed in table.failed_of(id, (owner, data_type)).await? {
                table.settle_failed(id, &failed.changed).await?;
            }
        }
    }
    Ok(())
}

/// Strikes webhooks of these owners that are owed to the destination, or were refused by it. They are named by time:
/// all are looked at, page by page.
async fn forget_webhooks(
    app: &App,
    id: &DestinationId,
    shard: u32,
    owners: &[RecordOwner],
) -> Result<(), DeliverError> {
    let (table, most) = (&app.table, WEBHOOKS_AT_ONCE);
    let is_theirs = |owed: &&Owed| owners.contains(&owed.changed.owner());
    let mut last = None;
    loop {
        let page = table.owed_webhooks(id, shard, last.as_ref(), most).await?;
        for owed in page.iter().filter(is_theirs) {
            table.settle_owed(id, shard, &owed.changed).await?;
        }
        let is_last = page.len() < most;
        last = page.into_iter().next_back().map(|owed| owed.changed);
        if is_last {
            break;
        }
    }
    last = None;
    loop {
        let page = table.failed_webhooks(id, last.as_ref(), most).await?;
        for failed in page.iter().filter(is_theirs) {
            table.settle_failed(id, &failed.changed).await?;
        }
        let is_last = page.len() < most;
        last = page.into_iter().next_back().map(|failed| failed.changed);
        if is_last {
            return Ok(());
        }
    }
}

/// Notes the result of one shard. The receipt of a finished erasure names nobody.
async fn done(
    app: &App,
    id: &DestinationId,
    order: &ErasureOrder,
    shard: u32,
    shards: u32,
    erased: Erased,
) -> Result<(), DeliverError> {
    let result = ErasureResult {
        done_at_ms: app.now_ms(),
        removed: match &erased {
            Erased::Done(count) => Some(*count),
            Erased::Announced | Erased::Manual(_) => None,
        },
        manual: match erased {
            Erased::Manual(text) => Some(text),
            Erased::Announced | Erased::Done(_) => None,
        },
    };
    let change = |order: &mut ErasureOrder| {
        order.results.insert(shard, result.clone());
        let owners = order.owners();
        let mut shards = owners.iter().map(|owner| shard_of(owner, shards));
        if shards.all(|shard| order.results.contains_key(&shard)) {
            order.end();
        }
    };
    let changed = app.table.change_erasure(id, &order.id, change).await?;
    let is_done = changed.is_some_and(|order| order.is_done);
    info!(destination = %id, shard, is_done, "a person was erased at a destination");
    Ok(())
}
