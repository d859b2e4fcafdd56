//! Records in the table.

mod apply;
mod item;
mod moving;
mod read;

use std::collections::HashMap;

use domain::{key::NaturalKey, record::Record, session::Session};
use models::data::DataType;

pub(super) use self::item::{ORDERING_TS_MS, RETRACTED, START_TIME, decode, encode, found};
use super::{
    attribute::Item,
    key::{Key, RecordOwner},
    ledger::RecordCounts,
};

/// Writes under way at once for one webhook.
pub(super) const CONCURRENT_WRITES: usize = 16;

/// A record on its way into the table.
#[derive(Debug, Clone)]
pub struct IncomingRecord {
    /// Owner of the record.
    pub owner: RecordOwner,
    /// Type of the record.
    pub data_type: DataType,
    /// Key within its owner.
    pub key: NaturalKey,
    /// Sessions by which the record is known under other keys too; none of a type that has no such.
    pub sessions: Vec<Session>,
    /// The state after this one delivery.
    pub record: Record,
}

/// A record found in the table.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// Type of the record.
    pub data_type: DataType,
    /// Key within its owner.
    pub key: NaturalKey,
    /// Its state.
    pub record: Record,
}

/// Result of storing a record. The least of several counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Seen for the first time.
    Created,
    /// Known, and changed.
    Updated,
    /// Known, and not changed.
    Unchanged,
}

/// Choice between writing changes and only telling them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write.
    Write,
    /// Tell what a write would change.
    DryRun,
}

/// Result of storing the records of one webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedRecords {
    /// Counts of created, updated and unchanged records.
    pub counts: RecordCounts,
    /// Records whose stored state has something of the webhook, changed by this call or not: those
    /// that destinations are to be told of.
    pub held: Vec<(DataType, NaturalKey)>,
}

/// A record with the revision it was read at.
#[derive(Debug, Clone)]
pub struct RecordNow {
    /// State.
    pub record: Record,
    /// Revision.
    pub revision: u64,
}

/// Stored records as they were read, to join others with them.
#[derive(Debug, Default)]
pub struct SeenRecords(HashMap<Key, Option<Item>>);

impl RecordCounts {
    fn add(mut self, change: Change) -> Self {
        match change {
            Change::Created => self.created += 1,
            Change::Updated => self.updated += 1,
            Change::Unchanged => self.unchanged += 1,
        }
        self
    }
}
