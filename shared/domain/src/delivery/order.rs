//! Orders of operators that walk through records: to deliver them again, or to compare them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use models::data::DataType;
use serde::{Deserialize, Serialize};

use super::{Destination, Subject, Subscription};
use crate::owner::RecordOwner;

/// Place in a walk through all connections, all people, and their records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    /// Shard of the list of all connections; the people come behind the last one.
    pub list: u8,
    /// Owner to go on behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<RecordOwner>,
    /// Owner whose records are not done yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<RecordOwner>,
    /// Sort key to go on behind within that owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// True if the walk is over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_done: bool,
}

/// Records that an order is about. Everything has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Range {
    /// Data types, people and connections; the destination's own choice counts besides.
    pub subscription: Subscription,
    /// First day of the records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Last day of the records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
    /// Only records that were written since. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_since_ms: Option<i64>,
}

impl Range {
    /// Returns whether what a subject is may be meant. With people their connections are chosen; a lab report belongs to
    /// the person alone.
    pub fn wants(&self, subject: &Subject<'_>) -> bool {
        let chosen = &self.subscription;
        match subject.owner {
            RecordOwner::Person(Some(person)) if !chosen.reference_ids.is_empty() => {
                let has_type = |data_type| chosen.has_type(data_type);
                chosen.reference_ids.contains(person) && subject.data_type.is_none_or(has_type)
            }
            _ => chosen.wants(subject),
        }
    }

    /// Returns whether a destination is to get this record, of which the order is.
    pub fn takes(
        &self,
        destination: &Destination,
        subject: &Subject<'_>,
        day: Option<Date>,
        revision: u64,
    ) -> bool {
        self.wants(subject)
            && destination.subscription.wants(subject)
            && self.has_day(day)
            && self.has_revision(revision)
    }

    /// Returns whether a record that was last written under this revision is meant: revisions are a clock.
    pub fn has_revision(&self, revision: u64) -> bool {
        let written_ms = i64::try_from(revision >> 10).unwrap_or(i64::MAX);
        self.written_since_ms
            .is_none_or(|since_ms| since_ms <= written_ms)
    }

    /// Returns whether a record of this day is meant. One without a day is meant when no day is named.
    pub fn has_day(&self, day: Option<Date>) -> bool {
        match day {
            Some(day) => {
                self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
            }
            None => self.from.is_none() && self.to.is_none(),
        }
    }
}

/// Action of an order on the records of its range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Purpose {
    /// Deliver them again.
    Redrive {
        /// True if states are written over equal revisions too.
        #[serde(default)]
        force: bool,
    },
    /// Deliver them for the first time, because the destination is new.
    Backfill,
    /// Compare them with the destination.
    Check {
        /// True if differences are mended.
        #[serde(default)]
        repair: bool,
    },
}

/// An order of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Id, in the order of time.
    pub id: String,
    /// Action.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// Records that are meant.
    pub range: Range,
    /// Time at which the order was given. Unit: Unix milliseconds.
    pub ordered_at_ms: i64,
    /// True if its walks have been queued.
    #[serde(default)]
    pub begun: bool,
    /// Shards that are done.
    #[serde(default)]
    pub done_shards: BTreeSet<u32>,
    /// Number of the next page, by shard.
    #[serde(default)]
    pub next_pages: BTreeMap<u32, u32>,
    /// Records that were gone through.
    #[serde(default)]
    pub records: u64,
    /// Differences that were found, at most [`MAX_LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Number of differences that were found.
    #[serde(default)]
    pub difference_count: u64,
    /// Fault of the destination that ended the order before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Time at which the order was done. Unit: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at_ms: Option<i64>,
}

impl Order {
    /// An order that nobody has begun.
    pub fn new(id: String, purpose: Purpose, range: Range, now_ms: i64) -> Self {
        Self {
            id,
            purpose,
            range,
            ordered_at_ms: now_ms,
            begun: false,
            done_shards: BTreeSet::new(),
            next_pages: BTreeMap::new(),
            records: 0,
            differences: Vec::new(),
            difference_count: 0,
            fault: None,
            done_at_ms: None,
        }
    }

    /// Returns whether a page of a shard was done, and its next one queued. A page that comes again would queue another
    /// walk beside the one that is on its way.
    pub fn has_page(&self, shard: u32, page: u32) -> bool {
        let next = self.next_pages.get(&shard).copied().unwrap_or_default();
        self.done_shards.contains(&shard) || page < next
    }

    /// Returns whether nobody gave the order: the id of such a one names the connection that changed. It is
    /// of no more interest once it is done.
    pub fn is_automatic(&self) -> bool {
        self.id.contains('-')
    }
}

/// Most differences that an order lists.
pub const MAX_LISTED: usize = 200;

/// One difference between the store and a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Owner of the record, as the destination knows it.
    pub owner: String,
    /// Data type; absent for the row of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Name of the record at the destination.
    pub record_id: String,
    /// Kind of the difference.
    pub kind: DifferenceKind,
}

/// Kind of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The destination lacks the record.
    Missing,
    /// The destination has a record that the store does not have.
    Extra,
    /// The destination has an older revision.
    Older,
    /// The destination has a newer revision: the store was set back.
    Ahead,
}

impl DifferenceKind {
    /// The name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Older => "older",
            Self::Ahead => "ahead",
        }
    }

    /// Compares revisions of one record.
    pub fn of(store: Option<u64>, destination: Option<u64>) -> Option<Self> {
        match (store, destination) {
            (Some(_), None) => Some(Self::Missing),
            (None, Some(_)) => Some(Self::Extra),
            (Some(store), Some(there)) if there < store => Some(Self::Older),
            (Some(store), Some(there)) if there > store => Some(Self::Ahead),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use models::ids::{ReferenceId, TerraUserId};

    use super::*;
    use crate::connection::ConnectionId;

    #[test]
    fn a_range_of_days_holds_its_ends_and_no_record_without_a_day() {
        let range = Range {
            from: Some(date(2026, 5, 1)),
            to: Some(date(2026, 5, 2)),
            ..Range::default()
        };
        let has = [0, 1, 2, 3].map(|day| {
            let day = date(2026, 4, 30)
                .checked_add(jiff::Span::new().days(day))
                .unwrap();
            range.has_day(Some(day))
        });
        assert_eq!(has, [false, true, true, false]);
        assert!(!range.has_day(None));
        let lately = Range {
            written_since_ms: Some(1_000),
            ..Range::default()
        };
        assert!(lately.has_revision(1_000 << 10) && !lately.has_revision((1_000 << 10) - 1));
        assert!(Range::default().has_day(None));
    }

    #[test]
    fn a_person_is_meant_with_connections_and_lab_reports() {
        let ann = ReferenceId::new("ann").unwrap();
        let link = ConnectionId::of(&TerraUserId::new("user").unwrap());
        let mut range = Range::default();
        range.subscription.reference_ids.insert(ann.clone());
        range.subscription.connections.insert(link.clone());
        let wants = |owner: &RecordOwner, of: &ReferenceId, data_type| {
            range.wants(&Subject {
                owner,
                data_type: Some(data_type),
                provider: None,
                reference_id: Some(of),
            })
        };
        let connection = RecordOwner::Connection(link);
        assert!(wants(&connection, &ann, DataType::Daily));
        let person = RecordOwner::Person(Some(ann.clone()));
        assert!(wants(&person, &ann, DataType::LabReport));
        let ben = ReferenceId::new("ben").unwrap();
        let other = RecordOwner::Person(Some(ben.clone()));
        assert!(!wants(&other, &ben, DataType::LabReport));
        range.subscription.data_types.insert(DataType::Daily);
        let report = Subject::of(&person, None, Some(DataType::LabReport));
        assert!(!range.wants(&report));
    }

    #[test]
    fn a_page_of_a_shard_is_done_once() {
        let purpose = Purpose::Backfill;
        let mut order = Order::new("1".to_owned(), purpose, Range::default(), 0);
        assert!(!order.has_page(0, 0));
        order.next_pages.insert(0, 3);
        assert!(order.has_page(0, 2) && !order.has_page(0, 3) && !order.has_page(1, 0));
        order.done_shards.insert(1);
        assert!(order.has_page(1, 0));
    }

    #[test]
    fn every_difference_has_its_name() {
        use DifferenceKind::{Ahead, Extra, Missing, Older};
        let of = DifferenceKind::of;
        assert_eq!(of(Some(1), None), Some(Missing));
        assert_eq!(of(None, Some(1)), Some(Extra));
        assert_eq!(of(Some(2), Some(1)), Some(Older));
        assert_eq!(of(Some(1), Some(2)), Some(Ahead));
        assert_eq!(of(Some(1), Some(1)), None);
    }
}
