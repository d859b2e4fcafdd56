//! Erasing a person at a destination.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use destinations::{
    id::OwnerId,
    kind::{Erased, Erasure},
};
use domain::{
    connection::ConnectionId,
    delivery::{DestinationId, breaker::Failure, shard_of},
    owner::RecordOwner,
};
use models::ids::ReferenceId;
use store::table::{
    Table, TableError,
    connections::StoredConnection,
    destinations::{ErasureOrder, ErasureResult, Health},
};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::{config::App, error::DeliverError};

/// Longest call: a destination is asked again with the next look.
const LONGEST_CALL: Duration = Duration::from_mins(1);

/// Orders that every destination erases a person whose data were just erased here. Returns how many
/// destinations there are.
///
/// # Errors
///
/// [`TableError`] when the table does not answer; some of the orders may have been given then, and all may
/// be given again.
pub async fn order_erasure(
    table: &Table,
    id: &str,
    reference_id: &ReferenceId,
    connections: &[StoredConnection],
    now_ms: i64,
) -> Result<usize, TableError> {
    let destinations = table.destinations().await?;
    let mut ids = BTreeSet::new();
    let mut users = BTreeSet::new();
    for connection in connections {
        ids.insert(connection.id.clone());
        users.extend(connection.state.members.keys().cloned());
        users.extend(connection.state.folded.ids.iter().cloned());
    }
    // Every id that a connection ever had is that of one of its Terra users.
    ids.extend(users.iter().map(ConnectionId::of));
    let order = ErasureOrder {
        id: id.to_owned(),
        reference_id: Some(reference_id.clone()),
        connections: ids.into_iter().collect(),
        terra_user_ids: users.into_iter().collect(),
        asked_at_ms: now_ms,
        results: BTreeMap::new(),
        is_done: false,
    };
    for destination in &destinations {
        table.put_erasure(&destination.id, &order).await?;
    }
    Ok(destinations.len())
}

/// Erases the owners of one shard. A destination that fails is asked again by the next look for work.
pub(crate) async fn erase(
    app: &App,
    id: DestinationId,
    erasure: String,
    shard: u32,
) -> Result<(), DeliverError> {
    let id = &id;
    let Some(order) = app.table.erasure(id, &erasure).await? else {
        return Ok(());
    };
    if order.is_done || order.results.contains_key(&shard) {
        return Ok(());
    }
    let Some(destination) = app.table.destination(id).await? else {
        let text = "the destination was removed before the erasure: remove the person's data there";
        return done(app, id, &order, shard, 1, Erased::Manual(text.to_owned())).await;
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
    let person = Erasure {
        id: order.id.clone(),
        reference_id: order.reference_id.clone(),
        owners: owners.iter().map(OwnerId::of).collect(),
        terra_user_ids: order.terra_user_ids.clone(),
    };
    let erased = timeout(LONGEST_CALL, client.kind.erase(&person)).await;
    match erased {
        Ok(Ok(erased)) => {
            forget(app, id, shard, destination.concurrency, &owners).await?;
            done(app, id, &order, shard, destination.concurrency, erased).await
        }
        Ok(Err(fault)) => {
            app.clients.forget(id);
            warn!(destination = %id, fault = fault.name(), "a person cannot be erased yet");
            let (text, now_ms) = (fault.to_string(), app.now_ms());
            let change = |health: &mut Health| {
                let breaker = std::mem::take(&mut health.breaker);
                health.breaker = breaker.failed(Failure::Transient, &text, 500, now_ms);
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
    shards: u32,
    owners: &[RecordOwner],
) -> Result<(), DeliverError> {
    for owed in app.table.owed(id, shard, usize::MAX).await? {
        if owners.contains(&owed.changed.owner()) {
            app.table.settle_owed(id, shard, &owed.changed).await?;
        }
    }
    for failed in app.table.failed(id, usize::MAX).await? {
        let owner = failed.changed.owner();
        if shard_of(&owner, shards) == shard && owners.contains(&owner) {
            app.table.settle_failed(id, &failed.changed).await?;
        }
    }
    Ok(())
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
            order.is_done = true;
            order.reference_id = None;
            order.terra_user_ids.clear();
        }
    };
    let changed = app.table.change_erasure(id, &order.id, change).await?;
    let is_done = changed.is_some_and(|order| order.is_done);
    info!(destination = %id, shard, is_done, "a person was erased at a destination");
    Ok(())
}
