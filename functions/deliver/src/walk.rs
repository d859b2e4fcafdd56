//! Orders that walk through all records of a shard, page by page: to deliver them again, or to compare
//! them with the destination.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use destinations::{
    change::{Body, Change, Source, Total},
    id::{DeliveryId, OwnerId, RecordId, checksum},
    kind::{Fault, Kind, LONGEST_CALL, within},
};
use domain::{
    connection::ConnectionId,
    delivery::{
        Cause, Changed, DeliveryMessage, Destination, DestinationId, Stream, Subject,
        order::{Cursor, Difference, DifferenceKind, MAX_LISTED, Order, Purpose},
        shard_of,
    },
    owner::RecordOwner,
};
use models::data::DataType;
use store::table::{connections::StoredConnection, key::CONNECTION_SHARDS};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::{
    clients::Client,
    config::App,
    error::DeliverError,
    send::{Batch, Sent, call, deliver},
    states::{day, record_id},
    work::queue,
};

/// Records of one page.
const PAGE: usize = 100;
/// Connections that are listed at once.
const LISTED: usize = 100;
/// Time of one page: live deliveries of the shard wait for it.
const PAGE_TIME: Duration = Duration::from_secs(20);
/// Fault of a check of a destination that keeps no list of what it has.
const NOT_ASKED: &str = "it cannot be asked what it has: nothing was compared";
/// A record that was written so lately may still be in the queue: no difference. Unit: milliseconds.
const SETTLED_AFTER_MS: i64 = 600_000;

/// Does one page of an order and queues the next.
pub(crate) async fn page(
    app: &App,
    id: DestinationId,
    order: String,
    shard: u32,
    (cursor, step): (Cursor, u32),
    until: Instant,
) -> Result<(), DeliverError> {
    let id = &id;
    let Some(destination) = app.table.destination(id).await? else {
        return Ok(());
    };
    let Some(order) = app.table.order(id, &order).await? else {
        return Ok(());
    };
    if order.has_page(shard, step) {
        return Ok(());
    }
    if destination.stream == Stream::Webhooks {
        let text = "this destination gets Terra's webhooks and no records: nothing can be sent again or compared";
        let change = |order: &mut Order| {
            order.fault = Some(text.to_owned());
            order.done_at_ms.get_or_insert(app.now_ms());
        };
        app.table.change_order(id, &order.id, change).await?;
        return Ok(());
    }
    let walk = Walk {
        app,
        destination: &destination,
        order: &order,
        shard,
    };
    let next = match order.purpose {
        Purpose::Redrive { force } => {
            let cause = (Cause::Redrive, force);
            walk.redrive(cursor, cause, until).await?
        }
        Purpose::Backfill => {
            walk.redrive(cursor, (Cause::Backfill, false), until)
                .await?
        }
        Purpose::Check { repair } => walk.check(cursor, repair, until).await?,
    };
    if !next.is_done {
        let step = step.saturating_add(1);
        let next = DeliveryMessage::Walk {
            destination: id.clone(),
            order: order.id.clone(),
            shard,
            cursor: next,
            step,
        };
        queue(app, [next], "walk").await?;
        // Behind the queue: a page that is done twice queues the next one twice, and the second of those ends.
        let change = |order: &mut Order| {
            order.next_pages.insert(shard, step);
        };
        app.table.change_order(id, &order.id, change).await?;
        return Ok(());
    }
    let (now_ms, shards) = (app.now_ms(), destination.concurrency);
    let change = |order: &mut Order| {
        order.done_shards.insert(shard);
        if (0..shards).all(|shard| order.done_shards.contains(&shard)) {
            order.done_at_ms.get_or_insert(now_ms);
        }
    };
    let changed = app.table.change_order(id, &order.id, change).await?;
    if changed.is_some_and(|order| order.done_at_ms.is_some()) {
        if order.is_automatic() {
            app.table.remove_order(id, &order.id).await?;
        }
        debug!(destination = %id, "an order is done");
    }
    Ok(())
}

struct Walk<'a> {
    app: &'a App,
    destination: &'a Destination,
    order: &'a Order,
    shard: u32,
}

impl Walk<'_> {
    fn is_ours(&self, owner: &RecordOwner) -> bool {
        shard_of(owner, self.destination.concurrency) == self.shard
    }

    /// Returns the next owner of the shard behind the cursor: the connections, then the people, who have lab
    /// reports; `None` at the end of all.
    async fn next_owner(&self, cursor: &mut Cursor) -> Result<Option<RecordOwner>, DeliverError> {
        while cursor.list <= CONNECTION_SHARDS {
            let (owners, are_all) = if cursor.list < CONNECTION_SHARDS {
                self.connections_behind(cursor).await?
            } else {
                self.people_behind(cursor).await?
            };
            if let Some(next) = owners.iter().find(|owner| self.is_ours(owner)) {
                cursor.after = Some(next.clone());
                return Ok(Some(next.clone()));
            }
            if are_all {
                cursor.list += 1;
                cursor.after = None;
            } else {
                cursor.after = owners.last().cloned();
            }
        }
        Ok(None)
    }

    /// Connections of one list behind the cursor, and whether no more follow.
    async fn connections_behind(
        &self,
        cursor: &Cursor,
    ) -> Result<(Vec<RecordOwner>, bool), DeliverError> {
        let after = match &cursor.after {
            Some(RecordOwner::Connection(after)) => Some(after),
            _ => None,
        };
        let chosen = &self.order.range.subscription.connections;
        let (ids, are_all) = if chosen.is_empty() {
            let ids = self.app.table.connection_ids(cursor.list, after, LISTED);
            let ids = ids.await?;
            let are_all = ids.len() < LISTED;
            (ids, are_all)
        } else {
            // They are no part of any list: the first one stands for all.
            let is_left =
                |id: &&ConnectionId| cursor.list == 0 && after.is_none_or(|after| *id > after);
            (chosen.iter().filter(is_left).cloned().collect(), true)
        };
        let owners = ids.into_iter().map(RecordOwner::Connection).collect();
        Ok((owners, are_all))
    }

    /// People behind the cursor, and whether no more follow. Nobody comes first: a lab report may name nobody.
    async fn people_behind(
        &self,
        cursor: &Cursor,
    ) -> Result<(Vec<RecordOwner>, bool), DeliverError> {
        let range = &self.order.range.subscription;
        let after = match &cursor.after {
            Some(RecordOwner::Person(after)) => after.as_ref(),
            _ => None,
        };
        let mut owners = Vec::new();
        if !range.reference_ids.is_empty() {
            let left = range
                .reference_ids
                .iter()
                .filter(|person| after.is_none_or(|after| *person > after));
            owners.extend(
                left.cloned()
                    .map(|person| RecordOwner::Person(Some(person))),
            );
            return Ok((owners, true));
        }
        if !range.connections.is_empty() {
            return Ok((owners, true));
        }
        if cursor.after.is_none() {
            owners.push(RecordOwner::Person(None));
        }
        let people = self.app.table.people("", after, LISTED).await?;
        let are_all = people.len() < LISTED;
        owners.extend(
            people
                .into_iter()
                .map(|person| RecordOwner::Person(Some(person))),
        );
        Ok((owners, are_all))
    }

    /// Returns whether a record of a connection is meant by the order and wanted by the destination.
    fn is_meant(&self, subject: &Subject<'_>) -> bool {
        self.order.range.wants(subject) && self.destination.subscription.wants(subject)
    }

    /// Delivers about a hundred records again.
    async fn redrive(
        &self,
        mut cursor: Cursor,
        (cause, force): (Cause, bool),
        until: Instant,
    ) -> Result<Cursor, DeliverError> {
        let began = Instant::now();
        let mut changes = Vec::new();
        while changes.len() < PAGE && began.elapsed() < PAGE_TIME {
            let owner = if let Some(owner) = cursor.within.clone() {
                owner
            } else if let Some(owner) = self.next_owner(&mut cursor).await? {
                cursor.within = Some(owner.clone());
                cursor.record = None;
                if let RecordOwner::Connection(id) = &owner
                    && self.has_row(&owner, cause).await?
                {
                    changes.push(Changed::Connection {
                        id: id.clone(),
                        gone: None,
                    });
                }
                owner
            } else {
                cursor.is_done = true;
                break;
            };
            let connection = self.connection_of(&owner).await?;
            let after = cursor.record.as_deref();
            let page = self.app.table.records_page(&owner, after, PAGE);
            let (records, next) = page.await?;
            for (found, revision) in &records {
                let state = connection.as_ref().map(|connection| &connection.state);
                let subject = Subject::of(&owner, state, Some(found.data_type));
                let day = day(&found.key, found.record.newest.start_time.as_deref());
                let range = &self.order.range;
                if range.takes(self.destination, &subject, day, *revision) {
                    changes.push(Changed::record(owner.clone(), found.data_type, &found.key));
                }
            }
            cursor.record = next;
            if cursor.record.is_none() {
                cursor.within = None;
            }
        }
        let count = changes.len() as u64;
        let batch = Batch::fresh(&changes, cause, force);
        deliver(self.app, self.destination, self.shard, batch, until).await?;
        self.note(count, Vec::new()).await?;
        Ok(cursor)
    }

    /// Returns whether the row of a connection is in the range of an order. It has no type and no day; a destination
    /// that is new gets it with whatever records come.
    async fn has_row(&self, owner: &RecordOwner, cause: Cause) -> Result<bool, DeliverError> {
        let range = &self.order.range;
        let names_records = !range.subscription.data_types.is_empty() || !range.has_day(None);
        if names_records && cause != Cause::Backfill {
            return Ok(false);
        }
        let connection = self.connection_of(owner).await?;
        Ok(connection.is_some_and(|row| {
            let subject = Subject::of(owner, Some(&row.state), None);
            self.is_meant(&subject) && range.has_revision(row.revision())
        }))
    }

    async fn connection_of(
        &self,
        owner: &RecordOwner,
    ) -> Result<Option<StoredConnection>, DeliverError> {
        match owner {
            RecordOwner::Connection(id) => Ok(self.app.table.connection(id).await?),
            RecordOwner::Person(_) => Ok(None),
        }
    }

    async fn note(&self, records: u64, differences: Vec<Difference>) -> Result<(), DeliverError> {
        if records == 0 && differences.is_empty() {
            return Ok(());
        }
        let change = |order: &mut Order| {
            order.records += records;
            order.difference_count += differences.len() as u64;
            let room = MAX_LISTED.saturating_sub(order.differences.len());
            order
                .differences
                .extend(differences.iter().take(room).cloned());
        };
        let id = &self.destination.id;
        self.app
            .table
            .change_order(id, &self.order.id, change)
            .await?;
        Ok(())
    }

    /// Compares owner after owner with the destination. One that cannot be asked ends the check of
    /// the shard: live deliveries wait behind it.
    async fn check(
        &self,
        mut cursor: Cursor,
        repair: bool,
        until: Instant,
    ) -> Result<Cursor, DeliverError> {
        let began = Instant::now();
        let (mut settled, mut owed) = (0, 0);
        let client = match self.app.clients.get(self.destination).await {
            Ok(client) => client,
            Err(error) => {
                let fault = error.into_fault()?;
                return self.broken_off(cursor, &fault).await;
            }
        };
        while began.elapsed() < PAGE_TIME {
            let Some(owner) = self.next_owner(&mut cursor).await? else {
                cursor.is_done = true;
                break;
            };
            let held = self.held(&owner).await?;
            let found = match self.compare(&*client.kind, &owner, &held).await {
                Ok(Some(found)) => found,
                Ok(None) => return self.ended(cursor, NOT_ASKED).await,
                Err(fault) => return self.broken_off(cursor, &fault).await,
            };
            let found = self.unexcused(&owner, found).await?;
            let differences = found.iter().map(|found| found.difference.clone());
            self.note(held.len() as u64, differences.collect()).await?;
            if !repair {
                continue;
            }
            let (sent, fault) = self.repair(&client, &owner, &found, until).await?;
            settled += sent.settled;
            owed += sent.owed;
            if let Some(fault) = fault {
                return self.broken_off(cursor, &fault).await;
            }
        }
        if settled + owed > 0 {
            info!(destination = %self.destination.id, shard = self.shard, settled, owed, "a check repaired");
        }
        Ok(cursor)
    }

    /// Ends the walk of this shard because the destination fails.
    async fn broken_off(&self, cursor: Cursor, fault: &Fault) -> Result<Cursor, DeliverError> {
        let id = &self.destination.id;
        self.app.clients.forget(id);
        warn!(destination = %id, fault = fault.name(), "a check is broken off");
        self.ended(cursor, &fault.to_string()).await
    }

    /// Ends the walk of this shard, and notes why.
    async fn ended(&self, cursor: Cursor, why: &str) -> Result<Cursor, DeliverError> {
        let id = &self.destination.id;
        let change = |order: &mut Order| order.fault = Some(why.to_owned());
        self.app
            .table
            .change_order(id, &self.order.id, change)
            .await?;
        Ok(Cursor {
            is_done: true,
            ..cursor
        })
    }

    /// Differences but those of records that are owed to the shard or were refused for good: the destination may
    /// have another state of them.
    async fn unexcused(
        &self,
        owner: &RecordOwner,
        mut found: Vec<Found>,
    ) -> Result<Vec<Found>, DeliverError> {
        let (id, table) = (&self.destination.id, &self.app.table);
        let types: BTreeSet<_> = found.iter().map(|it| it.difference.data_type).collect();
        for data_type in types {
            let subjects = (owner, data_type);
            let mut excused = table.owed_of(id, self.shard, subjects).await?;
            excused.extend(table.failed_of(id, subjects).await?);
            let excused = excused.iter().filter_map(|it| record_id(&it.changed));
            let excused: BTreeSet<_> = excused.collect();
            found.retain(|it| !excused.contains(&it.record_id));
        }
        Ok(found)
    }

    /// Records that the destination is to hold of an owner: all that are wanted.
    async fn held(&self, owner: &RecordOwner) -> Result<BTreeMap<Named, Held>, DeliverError> {
        let owner_id = OwnerId::of(owner);
        let connection = self.connection_of(owner).await?;
        let mut held = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self
                .app
                .table
                .records_page(owner, after.as_deref(), PAGE)
                .await?;
            for (found, revision) in page.0 {
                let state = connection.as_ref().map(|connection| &connection.state);
                let subject = Subject::of(owner, state, Some(found.data_type));
                if !self.is_meant(&subject) {
                    continue;
                }
                let id = RecordId::of(&owner_id, found.data_type, &found.key);
                let changed = Changed::record(owner.clone(), found.data_type, &found.key);
                held.insert((Some(found.data_type), id), Held { revision, changed });
            }
            after = page.1;
            if after.is_none() {
                break;
            }
        }
        let row = connection.as_ref();
        let row = row.filter(|row| self.is_meant(&Subject::of(owner, Some(&row.state), None)));
        if let Some(connection) = row {
            let id = connection.id.clone();
            let changed = Changed::Connection { id, gone: None };
            let revision = connection.revision();
            let record_id = RecordId::of_connection(&owner_id);
            held.insert((None, record_id), Held { revision, changed });
        }
        Ok(held)
    }

    /// Finds the differences of one owner; `None` if the destination cannot be asked what it has.
    async fn compare(
        &self,
        kind: &dyn Kind,
        owner: &RecordOwner,
        held: &BTreeMap<Named, Held>,
    ) -> Result<Option<Vec<Found>>, Fault> {
        let owner_id = OwnerId::of(owner);
        let owners = [owner_id.clone()];
        let Some(there) = within(LONGEST_CALL, kind.totals(&owners)).await? else {
            return Ok(None);
        };
        let mut found = Vec::new();
        let types = there.iter().map(|total| total.data_type);
        let types: BTreeSet<Option<DataType>> = types
            .chain(held.keys().map(|(data_type, _)| *data_type))
            .collect();
        for data_type in types {
            if !self.is_meant_type(data_type) {
                continue;
            }
            let of_type = held.iter().filter(|((of, _), _)| *of == data_type);
            let of_type: Vec<_> = of_type.collect();
            let sum = of_type
                .iter()
                .map(|((_, id), held)| u64::from(checksum(id, held.revision)));
            let (count, sum) = (of_type.len() as u64, sum.sum::<u64>());
            let is_equal = |total: &&Total| total.count == count && total.sum == sum;
            let total = there.iter().find(|total| total.data_type == data_type);
            if total.map_or(count == 0, |total| is_equal(&total)) {
                continue;
            }
            let rows = within(LONGEST_CALL, kind.revisions(&owner_id, data_type)).await?;
            let rows: BTreeMap<RecordId, u64> = rows.into_iter().collect();
            let ours = of_type.iter().map(|((_, id), held)| (id, *held));
            let ours: BTreeMap<&RecordId, &Held> = ours.collect();
            let ids: BTreeSet<&RecordId> = ours.keys().copied().chain(rows.keys()).collect();
            for id in ids {
                let (ours, row) = (ours.get(id), rows.get(id).copied());
                let Some(kind) = DifferenceKind::of(ours.map(|held| held.revision), row) else {
                    continue;
                };
                let written = ours.map(|held| held.revision).max(row).unwrap_or_default();
                let written_ms = i64::try_from(written >> 10).unwrap_or(i64::MAX);
                if self.app.now_ms().saturating_sub(written_ms) < SETTLED_AFTER_MS
                    && kind != DifferenceKind::Ahead
                {
                    continue;
                }
                found.push(Found {
                    difference: Difference {
                        owner: owner_id.to_string(),
                        data_type,
                        record_id: id.to_string(),
                        kind,
                    },
                    record_id: id.clone(),
                    row,
                    changed: ours.map(|held| held.changed.clone()),
                });
            }
        }
        Ok(Some(found))
    }

    fn is_meant_type(&self, data_type: Option<DataType>) -> bool {
        data_type.is_none_or(|data_type| {
            self.order.range.subscription.has_type(data_type)
                && self.destination.subscription.has_type(data_type)
        })
    }

    /// Delivers what is missing or old, and deletes what the store does not have. Returns the fault of a
    /// destination that did not delete.
    async fn repair(
        &self,
        client: &Client,
        owner: &RecordOwner,
        found: &[Found],
        until: Instant,
    ) -> Result<(Sent, Option<Fault>), DeliverError> {
        let of = |kinds: &'static [DifferenceKind]| {
            let is_of = |one: &&Found| kinds.contains(&one.difference.kind);
            found.iter().filter(is_of)
        };
        let lacking = of(&[DifferenceKind::Missing, DifferenceKind::Older]);
        let changes: Vec<_> = lacking.filter_map(|one| one.changed.clone()).collect();
        let batch = Batch::fresh(&changes, Cause::Repair, false);
        let sent = deliver(self.app, self.destination, self.shard, batch, until).await?;
        let extra = of(&[DifferenceKind::Extra]);
        let extra: Vec<Change> = extra.map(|one| self.deletion(owner, one)).collect();
        if extra.is_empty() {
            return Ok((sent, None));
        }
        Ok((sent, call(&*client.kind, &extra).await.err()))
    }

    fn deletion(&self, owner: &RecordOwner, found: &Found) -> Change {
        let revision = found.row.unwrap_or_default().saturating_add(1);
        let record_id = found.record_id.clone();
        let body = match found.difference.data_type {
            Some(data_type) => Body::Deleted {
                data_type,
                key: String::new(),
                terra_user_ids: Vec::new(),
            },
            None => Body::ConnectionDeleted,
        };
        Change {
            delivery_id: DeliveryId::of(self.destination.id.as_str(), &record_id, revision),
            record_id,
            revision,
            attempt: 1,
            cause: Cause::Repair,
            force: false,
            sent_at: (self.app.clock)(),
            source: Source {
                owner: OwnerId::of(owner),
                terra_user_id: None,
                reference_id: None,
                provider: None,
                scopes: None,
                status: None,
                created_at_ms: None,
                last_data_at_ms: None,
                former_user_ids: Vec::new(),
            },
            body,
        }
    }
}

/// A record by its data type and its name at the destination; without a type the connection's row.
type Named = (Option<DataType>, RecordId);

/// A record that the destination is to hold.
struct Held {
    revision: u64,
    changed: Changed,
}

/// A difference, with what it takes to mend it.
struct Found {
    difference: Difference,
    record_id: RecordId,
    row: Option<u64>,
    changed: Option<Changed>,
}
