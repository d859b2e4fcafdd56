//! Tells destinations what a webhook changed.
//!
//! Told is every record whose stored state has a part of the webhook, changed by this run or not: a
//! webhook that is routed again after a crash finds its records unchanged, and nobody may have been
//! told of them. Whoever delivers reads what a record is by then, so telling twice does no harm.

use std::collections::BTreeMap;

use domain::{
    delivery::{
        Cause, Changed, DeliveryMessage, Destination, MAX_CHANGES, Stream, Subject,
        order::{Order, Purpose, Range},
        shard_of,
    },
    locator::Locator,
    owner::RecordOwner,
};
use models::data::DataType;
use runtime::queue::FifoIds;
use store::table::{Table, TableError, connections::StoredConnection};
use xxhash_rust::xxh3::xxh3_128;

use crate::{applied::Told, error::RouteError, ways::Ways, work::Read};

/// Announces what a webhook changed. `run` tells one run over the webhook from another: within five
/// minutes the queue takes the same announcement of the same run only once. The webhook itself is passed on
/// once for all runs, because it never changes.
///
/// # Errors
///
/// [`RouteError`] when the table or the deliveries queue does not answer.
pub async fn announce(
    ways: Ways<'_>,
    read: &Read<'_>,
    told: &Told,
    locator: Option<&Locator>,
    run: &str,
) -> Result<(), RouteError> {
    let Some(announcer) = ways.announcer else {
        return Ok(());
    };
    let destinations = announcer.destinations(ways.table).await?;
    // Notes of deletions end by themselves; a destination that is made later gets what is there then.
    if destinations.is_empty() {
        return Ok(());
    }
    let gone = gone(ways, told).await?;
    let changes = changes(told, &gone);
    let webhook = locator.map(|locator| passed_on(read, told, locator));
    let mut messages = Vec::new();
    for destination in destinations.iter() {
        let wanted = match destination.stream {
            Stream::Records if !destination.is_told() => gone.clone(),
            Stream::Records => wanted(destination, told, &changes),
            Stream::Webhooks => webhook
                .iter()
                .filter(|_| wants(destination, told, read.data_type()))
                .cloned()
                .collect(),
        };
        let run = match destination.stream {
            Stream::Records => run,
            Stream::Webhooks => "",
        };
        messages.extend(batches(destination, wanted, read.id.as_str(), run));
    }
    let messages = messages.iter().map(|(message, ids)| (message, ids.clone()));
    announcer.queue.send_fifo(messages).await?;
    if let Some(connection) = told.connection.as_deref().filter(|it| it.is_renamed) {
        let now_ms = read.work.received_at_ms;
        refresh(ways, &destinations, connection, now_ms).await?;
    }
    for changed in &gone {
        ways.table.settle_gone(changed).await?;
    }
    Ok(())
}

/// Records that were deleted under a former id of the connection, or under a former key of a session, and
/// that destinations have not been told of.
async fn gone(ways: Ways<'_>, told: &Told) -> Result<Vec<Changed>, RouteError> {
    let Some(connection) = &told.connection else {
        return Ok(Vec::new());
    };
    let is_session = |changed: &Changed| {
        matches!(
            changed,
            Changed::Record {
                data_type: DataType::Activity | DataType::Sleep | DataType::HealthObservation,
                ..
            }
        )
    };
    let own = told.changes.iter().any(is_session);
    if !own && !connection.had_other_ids() {
        return Ok(Vec::new());
    }
    Ok(ways.table.gone_of(connection, own).await?)
}

/// All changes, each once: the records, what was moved to the connection, and the connection.
fn changes(told: &Told, gone: &[Changed]) -> Vec<Changed> {
    let mut changes = told.changes.clone();
    changes.extend_from_slice(gone);
    if let Some(connection) = &told.connection {
        let owner = RecordOwner::Connection(connection.id.clone());
        for moved in gone {
            if let Changed::Record {
                owner: from,
                data_type,
                key,
                ..
            } = moved
                && *from != owner
            {
                changes.push(Changed::Record {
                    owner: owner.clone(),
                    data_type: *data_type,
                    key: key.clone(),
                    gone: None,
                    heir: None,
                });
            }
        }
        // Data change a connection only by their time: whoever misses one of those changes hears of the
        // next.
        if told.connection_changed || told.changes.is_empty() {
            changes.push(Changed::Connection {
                id: connection.id.clone(),
                gone: None,
            });
        }
    }
    changes.sort();
    changes.dedup();
    changes
}

/// The webhook itself, for destinations that take Terra's own bodies.
fn passed_on(read: &Read<'_>, told: &Told, locator: &Locator) -> Changed {
    Changed::Webhook {
        owner: told.owner(),
        webhook_id: read.id.clone(),
        event_type: read.event_type().to_owned(),
        locator: locator.clone(),
        reference: read.work.headers.reference().map(str::to_owned),
        received_at_ms: read.work.received_at_ms,
        ordering_ts_ms: read.work.ordering_ts_ms(),
    }
}

fn wanted(destination: &Destination, told: &Told, all: &[Changed]) -> Vec<Changed> {
    let is_wanted = |one: &Changed| {
        // Who was told once has to be told of the deletion, whatever the choice is by now.
        if one.gone().is_some() {
            return true;
        }
        match one {
            Changed::Record {
                owner, data_type, ..
            } => wants_of(destination, told, owner, Some(*data_type)),
            Changed::Connection { .. } | Changed::Webhook { .. } => wants(destination, told, None),
        }
    };
    all.iter().filter(|one| is_wanted(one)).cloned().collect()
}

fn wants(destination: &Destination, told: &Told, data_type: Option<DataType>) -> bool {
    wants_of(destination, told, &told.owner(), data_type)
}

fn wants_of(
    destination: &Destination,
    told: &Told,
    owner: &RecordOwner,
    data_type: Option<DataType>,
) -> bool {
    let state = told.connection.as_ref().map(|connection| &connection.state);
    let subject = Subject::of(owner, state, data_type);
    destination.subscription.wants(&subject)
}

/// Messages for one destination: of each shard its changes, in order.
fn batches(
    destination: &Destination,
    changes: Vec<Changed>,
    webhook_id: &str,
    run: &str,
) -> Vec<(DeliveryMessage, FifoIds)> {
    let mut by_shard = BTreeMap::<u32, Vec<Changed>>::new();
    for changed in changes {
        let shard = shard_of(&changed.owner(), destination.concurrency);
        by_shard.entry(shard).or_default().push(changed);
    }
    let mut messages = Vec::new();
    for (shard, changes) in by_shard {
        for (number, changes) in changes.chunks(MAX_CHANGES).enumerate() {
            let message = DeliveryMessage::Changes {
                destination: destination.id.clone(),
                shard,
                cause: Cause::Live,
                changes: changes.to_vec(),
                force: false,
            };
            let named = format!("{run}\0{webhook_id}\0{}\0{shard}\0{number}", destination.id);
            let ids = FifoIds {
                group_id: message.group(),
                deduplication_id: format!("{:032x}", xxh3_128(named.as_bytes())),
            };
            messages.push((message, ids));
        }
    }
    messages
}

/// Orders that every destination gets all records of a connection again, with its new person or id.
async fn refresh(
    ways: Ways<'_>,
    destinations: &[Destination],
    connection: &StoredConnection,
    now_ms: i64,
) -> Result<(), RouteError> {
    let mut range = Range::default();
    range.subscription.connections.insert(connection.id.clone());
    for destination in destinations {
        // One that is disabled begins the order when it is resumed.
        if destination.stream == Stream::Records {
            // The same when the webhook is routed again before the connection says that it was told.
            let id = format!("{:016x}-{}", connection.revision(), connection.id);
            let purpose = Purpose::Redrive { force: true };
            let order = Order::new(id, purpose, range.clone(), now_ms);
            ways.table.put_order(&destination.id, &order).await?;
        }
    }
    ways.table.settle_renamed(connection).await?;
    Ok(())
}

/// Orders that every destination gets what was written since: whoever replays many webhooks does not announce
/// each. The same order again changes nothing. Unit: Unix milliseconds.
///
/// # Errors
///
/// [`TableError`] when DynamoDB does not answer.
pub async fn order_written_since(
    table: &Table,
    id: &str,
    since_ms: i64,
    now_ms: i64,
) -> Result<(), TableError> {
    for destination in table.destinations().await? {
        if destination.stream == Stream::Records {
            let range = Range {
                written_since_ms: Some(since_ms),
                ..Range::default()
            };
            let purpose = Purpose::Redrive { force: false };
            let order = Order::new(id.to_owned(), purpose, range, now_ms);
            table.put_order(&destination.id, &order).await?;
        }
    }
    Ok(())
}
