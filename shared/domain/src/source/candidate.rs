//! Candidates: each record's value for one metric and one day.

use jiff::Timestamp;
use models::{data::DataType, ids::Provider};
use serde::Serialize;

use super::kind::SourceKind;
use crate::{
    connection::ConnectionId, key::NaturalKey, path_id::to_path, summary::Value, version::Version,
};

/// Origin of values: a connection, and the device where a record names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Source {
    /// The connection.
    pub connection: ConnectionId,
    /// Its provider.
    pub provider: Provider,
    /// Name of the device, as Terra sent it.
    pub device: Option<String>,
    /// Kind of the device.
    pub kind: SourceKind,
}

impl Source {
    /// The source of a record.
    pub fn new(connection: ConnectionId, provider: Provider, device: Option<String>) -> Self {
        let kind = SourceKind::of(&provider, device.as_deref());
        Self {
            connection,
            provider,
            device,
            kind,
        }
    }
}

/// One record of one connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordRef {
    /// The connection.
    pub connection: ConnectionId,
    /// Type of the record.
    pub data_type: DataType,
    /// Key of the record within connection and type.
    pub key: NaturalKey,
}

/// `{"connection", "type", "key"}`, each as it stands in a path.
impl Serialize for RecordRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut record = serializer.serialize_struct("record", 3)?;
        record.serialize_field("connection", &self.connection)?;
        record.serialize_field("type", self.data_type.as_str())?;
        record.serialize_field("key", &to_path(&self.key.to_string()))?;
        record.end()
    }
}

/// Time of a session; never ends before it begins. Without an offset the wearer's clock is read as UTC, so
/// such a session is compared with others of its own source alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// True if Terra gave an offset.
    pub is_instant: bool,
}

impl Interval {
    /// The time between two texts of Terra, both with an offset or both without.
    pub fn between(start: &str, end: &str) -> Option<Self> {
        let instant = |text: &str| crate::key::instant(text);
        let wall = |text: &str| instant(&format!("{}Z", text.trim()));
        let (both, is_instant) = match (instant(start), instant(end)) {
            (Some(start), Some(end)) => ((start, end), true),
            (None, None) => ((wall(start)?, wall(end)?), false),
            _ => return None,
        };
        let (start, end) = both;
        (start <= end).then_some(Self {
            start,
            end,
            is_instant,
        })
    }

    /// Length. Unit: seconds.
    pub fn seconds(self) -> i64 {
        self.end.as_second() - self.start.as_second()
    }

    /// Time that both share, if they are told alike. Unit: seconds.
    pub fn overlap_seconds(self, other: Self) -> i64 {
        if self.is_instant != other.is_instant {
            return 0;
        }
        let start = self.start.max(other.start).as_second();
        (self.end.min(other.end).as_second() - start).max(0)
    }

    /// Returns whether both are one session: they share more than half of the shorter one.
    pub fn is_same_session(self, other: Self) -> bool {
        let shorter = self.seconds().min(other.seconds());
        let same_moment = shorter == 0 && self.is_instant == other.is_instant;
        self.overlap_seconds(other) * 2 > shorter || (same_moment && self.start == other.start)
    }
}

/// One record's value for a metric and a day.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about one record"
)]
pub struct Candidate {
    /// The source.
    pub source: Source,
    /// The record.
    pub record: RecordRef,
    /// Path of the value in Terra's record.
    pub field: &'static str,
    /// The value.
    pub value: Value,
    /// True if it was made from samples and is not Terra's own number.
    pub derived: bool,
    /// The provider took the record back.
    pub retracted: bool,
    /// The record was last delivered after the day, or the session, was over.
    pub settled: bool,
    /// The connection has ended before the day was over, so nothing more will come.
    pub ended: bool,
    /// Number of samples, readings or meals behind the value, where known; one if there are some.
    pub samples: Option<u32>,
    /// Time of the session, for records that are sessions.
    pub interval: Option<Interval>,
    /// Time asleep of a night, length of an activity. Unit: seconds.
    pub length_seconds: Option<f64>,
    /// True for a nap.
    pub nap: bool,
    /// True if its record has only this half of a pair, such as systolic without diastolic pressure.
    pub half: bool,
    /// True if its connection recorded the night that was chosen as the main sleep.
    pub main_sleep: bool,
    /// The delivery that brought it.
    pub delivered: Version,
}

impl Candidate {
    /// The value as a number.
    pub fn number(&self) -> Option<f64> {
        match self.value {
            Value::Number(number) => Some(number),
            Value::Text(_) | Value::Flag(_) => None,
        }
    }
}
