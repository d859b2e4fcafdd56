//! Records that may be known under several natural keys: see [`domain::session`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{
    key::NaturalKey,
    session::{Group, Parts, Range, Session, Sighting, groups, reach},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use models::data::DataType;

use super::{
    MAX_ATTEMPTS, Stored, Table, TableError,
    attribute::Item,
    back_off,
    key::{Key, RecordOwner},
    records::{CONCURRENT_WRITES, Change, IncomingRecord, Mode, decode, encode},
};

/// Sightings around sessions that have just been delivered.
struct Surroundings {
    /// Sightings of the delivery that are not in the table yet.
    missing: Vec<Sighting>,
    /// Groups of the delivered keys.
    groups: Vec<Group>,
}

/// Records of one owner and type that have just been delivered.
struct Delivered<'a> {
    owner: &'a RecordOwner,
    data_type: DataType,
    records: BTreeMap<NaturalKey, IncomingRecord>,
}

/// Change of each delivered record.
type Changes = BTreeMap<NaturalKey, Change>;

impl Delivered<'_> {
    fn sightings(&self) -> BTreeSet<Sighting> {
        let records = self.records.values();
        let sightings = records.flat_map(|record| {
            let sessions = record.sessions.iter().cloned();
            sessions.map(|session| Sighting {
                session,
                key: record.key.clone(),
            })
        });
        sightings.collect()
    }

    fn of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a IncomingRecord> {
        group.keys().filter_map(|key| self.records.get(key))
    }

    fn key(&self, natural: &NaturalKey) -> Key {
        Key::record(self.owner, self.data_type, natural)
    }
}

impl Table {
    /// Joins records of one owner and type with what is stored of the same sessions, under whichever key.
    /// Each comes with its own item as read before.
    ///
    /// Returns one change for each record that they belong to, with the key of the record.
    pub(super) async fn apply_sessions(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        incoming: Vec<(IncomingRecord, Option<Item>)>,
        mode: Mode,
    ) -> Result<Vec<(NaturalKey, Change)>, TableError> {
        let mut read = HashMap::new();
        let mut records = BTreeMap::new();
        for (record, item) in incoming {
            read.insert(record.key.clone(), item);
            records.insert(record.key.clone(), record);
        }
        let delivered = &Delivered {
            owner,
            data_type,
            records,
        };
        let mut changes = Changes::new();
        let mut known = self.surroundings(delivered).await?;
        for attempt in 0..MAX_ATTEMPTS {
            if mode == Mode::Write {
                self.put_sightings(owner, data_type, &known.missing).await?;
            }
            let work: Vec<_> = known
                .groups
                .iter()
                .map(|group| {
                    let mut keys = group.keys();
                    let alone = keys.next().filter(|_| keys.next().is_none());
                    let read = alone.and_then(|key| read.remove_entry(key));
                    self.apply_group(delivered, group, read, mode)
                })
                .collect();
            let applied = stream::iter(work).buffer_unordered(CONCURRENT_WRITES);
            let applied: Vec<Changes> = applied.try_collect().await?;
            let applied = applied.into_iter().flatten();
            let mut wrote = !known.missing.is_empty();
            for (key, change) in applied {
                wrote |= change != Change::Unchanged;
                let strongest = changes.entry(key).or_insert(change);
                *strongest = change.min(*strongest);
            }
            if mode == Mode::DryRun || !wrote {
                return Ok(changes_of_records(&changes, &known.groups));
            }
            // Whoever delivers the same session meanwhile has left a sighting by now, or will see ours.
            let now = self.surroundings(delivered).await?;
            if now.groups == known.groups {
                return Ok(changes_of_records(&changes, &known.groups));
            }
            known = now;
            back_off(attempt).await;
        }
        let key = delivered.records.keys().next();
        Err(TableError::Contended {
            operation: "arrange",
            key: key.map_or_else(|| Key::request("none"), |key| delivered.key(key)),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Brings the records of one group into order. `read` is the item of a group of one key, if it was
    /// read before.
    async fn apply_group(
        &self,
        delivered: &Delivered<'_>,
        group: &Group,
        read: Option<(NaturalKey, Option<Item>)>,
        mode: Mode,
    ) -> Result<Changes, TableError> {
        if let Some((natural, item)) = read
            && let Some(record) = delivered.records.get(&natural)
        {
            let key = delivered.key(&natural);
            let (change, _) = self.apply_record(&key, record, item, mode).await?;
            return Ok(Changes::from([(natural, change)]));
        }
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let stored = self.read_group(delivered, group).await?;
            let parts = stored.iter().map(|(key, stored)| (key, &stored.state));
            let incoming = delivered.of(group);
            let incoming = incoming.map(|record| (&record.key, &record.record));
            let wanted = group.arrange(parts, incoming);
            let changes = changes(delivered, group, &stored, &wanted);
            let is_same = stored.len() == wanted.len()
                && wanted
                    .iter()
                    .all(|(key, parts)| stored.get(key).is_some_and(|it| it.state == *parts));
            if is_same
                || mode == Mode::DryRun
                || self.rearrange(delivered, &stored, &wanted).await?
            {
                return Ok(changes);
            }
        }
        let key = group.keys().next();
        Err(TableError::Contended {
            operation: "arrange",
            key: key.map_or_else(|| Key::request("none"), |key| delivered.key(key)),
            attempts: MAX_ATTEMPTS,
        })
    }

    async fn read_group(
        &self,
        delivered: &Delivered<'_>,
        group: &Group,
    ) -> Result<BTreeMap<NaturalKey, Stored<Parts>>, TableError> {
        let keys: Vec<_> = group.keys().map(|key| delivered.key(key)).collect();
        let mut items = self.batch_get(keys.iter().cloned()).await?;
        let mut stored = BTreeMap::new();
        for (natural, key) in group.keys().zip(&keys) {
            if let Some(item) = items.remove(key) {
                let found = decode(key, delivered.data_type, item)?;
                stored.insert(natural.clone(), found);
            }
        }
        Ok(stored)
    }

    /// Writes the items of a group as wanted, all together, if each is still as stored. Returns `false`
    /// when one is not.
    async fn rearrange(
        &self,
        delivered: &Delivered<'_>,
        stored: &BTreeMap<NaturalKey, Stored<Parts>>,
        wanted: &BTreeMap<NaturalKey, Parts>,
    ) -> Result<bool, TableError> {
        let item = |natural: &NaturalKey, parts: &Parts| {
            encode(delivered.owner, delivered.data_type, natural, parts)
        };
        // One item alone may change by itself, unless a part leaves it for another one.
        if let ([(natural, parts)], true) = (
            changed(stored, wanted).as_slice(),
            stored.keys().all(|key| wanted.contains_key(key)),
        ) {
            let found = stored.get(*natural);
            let mut parts_before = found.iter().flat_map(|stored| stored.state.keys());
            if parts_before.all(|part| parts.contains_key(part)) {
                let key = delivered.key(natural);
                let seen = found.map(|stored| stored.revision);
                return self.put_if(&key, item(natural, parts), seen).await;
            }
        }
        // Items that stay as they are take part too: what leaves another item counts on them.
        let mut writes = Vec::new();
        let mut last = None;
        for (natural, parts) in wanted {
            let key = delivered.key(natural);
            let seen = stored.get(natural).map(|stored| stored.revision);
            writes.push(self.transact_put(&key, item(natural, parts), seen)?);
            last = Some(key);
        }
        for (natural, found) in stored {
            if !wanted.contains_key(natural) {
                let key = delivered.key(natural);
                writes.extend(self.remove_moved(delivered.owner, &key, found.revision)?);
            }
        }
        match last {
            Some(key) => self.transact(writes, &key).await,
            None => Ok(true),
        }
    }

    /// Deletes the item of a record that is kept under another key from now on, and notes that destinations
    /// have to be told. Nothing else makes a record's key disappear while its connection stays.
    fn remove_moved(
        &self,
        owner: &RecordOwner,
        key: &Key,
        seen: u64,
    ) -> Result<[TransactWriteItem; 2], TableError> {
        Ok([
            self.transact_gone(owner, key, seen)?,
            self.transact_delete(key, seen)?,
        ])
    }

    /// Key of the record that what came under a fallback key belongs to now, if that is another one.
    pub(super) async fn home_of(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        natural: &NaturalKey,
    ) -> Result<Option<NaturalKey>, TableError> {
        let Some(session) = Session::of_key(data_type, natural) else {
            return Ok(None);
        };
        let sighting = Sighting {
            session,
            key: natural.clone(),
        };
        let own = BTreeSet::from([sighting]);
        let known = self.surroundings_of(owner, data_type, &own).await?;
        let home = known.groups.first().map(|group| group.home_of(natural));
        Ok(home.filter(|home| *home != natural).cloned())
    }

    async fn surroundings(&self, delivered: &Delivered<'_>) -> Result<Surroundings, TableError> {
        let own = delivered.sightings();
        self.surroundings_of(delivered.owner, delivered.data_type, &own)
            .await
    }

    async fn surroundings_of(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        own: &BTreeSet<Sighting>,
    ) -> Result<Surroundings, TableError> {
        let ranges = own.iter().map(|one| one.session.search_range());
        let Some(mut range) = ranges.reduce(Range::hull) else {
            return Ok(Surroundings {
                missing: Vec::new(),
                groups: Vec::new(),
            });
        };
        loop {
            let mut all = self.sightings(owner, data_type, &range).await?;
            let missing = own.difference(&all).cloned().collect();
            all.extend(own.iter().cloned());
            let groups = groups(&all, own.iter().map(|one| &one.key));
            match reach(&groups, &all) {
                Some(reach) if !range.covers(&reach) => range = range.hull(reach),
                _ => return Ok(Surroundings { missing, groups }),
            }
        }
    }

    /// Sightings that begin within a range.
    async fn sightings(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        range: &Range,
    ) -> Result<BTreeSet<Sighting>, TableError> {
        let (pk, first, last) = Key::sightings(owner, data_type, range);
        let query = self
            .query_between(&pk, &first, &last)
            .projection_expression("pk, sk");
        let items: Vec<Item> = query
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(TableError::unavailable("query", "sightings of sessions"))?;
        let keys = items.iter().filter_map(Key::of_item);
        Ok(keys
            .filter_map(|key| key.as_sighting().map(|(_, sighting)| sighting))
            .collect())
    }

    /// Leaves sightings, for whoever delivers the same sessions under another key.
    pub(super) async fn put_sightings(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        sightings: &[Sighting],
    ) -> Result<(), TableError> {
        let puts: Vec<_> = sightings
            .iter()
            .map(|sighting| async move {
                let key = Key::sighting(owner, data_type, sighting);
                self.put(&key, Item::new(), "write").await
            })
            .collect();
        let puts = stream::iter(puts).buffer_unordered(CONCURRENT_WRITES);
        puts.try_collect().await
    }
}

/// Items that are to change, as they shall be.
fn changed<'a>(
    stored: &BTreeMap<NaturalKey, Stored<Parts>>,
    wanted: &'a BTreeMap<NaturalKey, Parts>,
) -> Vec<(&'a NaturalKey, &'a Parts)> {
    wanted
        .iter()
        .filter(|(key, parts)| stored.get(*key).is_none_or(|it| it.state != **parts))
        .collect()
}

/// Change of each delivered record of a group.
fn changes(
    delivered: &Delivered<'_>,
    group: &Group,
    stored: &BTreeMap<NaturalKey, Stored<Parts>>,
    wanted: &BTreeMap<NaturalKey, Parts>,
) -> Changes {
    let change_of = |home: &NaturalKey| {
        // Items that hold a part of the record.
        let mut holding = stored.iter().filter(|(_, stored)| {
            let mut parts = stored.state.keys();
            parts.any(|part| group.home_of(part) == home)
        });
        match (holding.next(), holding.next()) {
            (None, _) => Change::Created,
            (Some((key, stored)), None)
                if key == home && wanted.get(key) == Some(&stored.state) =>
            {
                Change::Unchanged
            }
            _ => Change::Updated,
        }
    };
    let records = delivered.of(group);
    records
        .map(|record| (record.key.clone(), change_of(group.home_of(&record.key))))
        .collect()
}

/// One change for each record that delivered keys belong to: the strongest.
fn changes_of_records(changes: &Changes, groups: &[Group]) -> Vec<(NaturalKey, Change)> {
    let mut by_record = Changes::new();
    for group in groups {
        for key in group.keys() {
            if let Some(change) = changes.get(key) {
                let home = group.home_of(key).clone();
                let strongest = by_record.entry(home).or_insert(*change);
                *strongest = (*change).min(*strongest);
            }
        }
    }
    by_record.into_iter().collect()
}
