//! Content of a delivery: one state of one record, or an event.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
pub use domain::delivery::Cause;
use domain::{
    connection::Status,
    record::Score,
    summary::{Summary, Value},
};
use jiff::{Timestamp, civil::Date};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId},
};
use serde::{Deserialize, Serialize};

use crate::id::{DeliveryId, OwnerId, RecordId, checksum};

/// One delivery to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The same on every retry and redrive.
    pub delivery_id: DeliveryId,
    /// The record; for [`Body::Webhook`] and events a name made of the delivery.
    pub record_id: RecordId,
    /// Clock of the record: a state replaces every state of a lower revision, and no other.
    pub revision: u64,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Reason for this delivery.
    pub cause: Cause,
    /// True if the state is also written over an equal revision, because the shape of the table or the
    /// person behind the connection changed.
    pub force: bool,
    /// Begin of this attempt.
    pub sent_at: Timestamp,
    /// Connection or person that the change belongs to.
    pub source: Source,
    /// The content.
    pub body: Body,
}

/// Connection or person that a change belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Our own id of the connection, or of the person for a lab report without one.
    pub owner: OwnerId,
    /// Terra's current id of the connection.
    pub terra_user_id: Option<TerraUserId>,
    /// Terra's other ids of the connection, which a reauthentication replaced.
    pub former_user_ids: Vec<TerraUserId>,
    /// The app's id of the person.
    pub reference_id: Option<ReferenceId>,
    /// The provider.
    pub provider: Option<Provider>,
    /// Granted scopes, if they are known.
    pub scopes: Option<Vec<String>>,
    /// State of the connection.
    pub status: Option<Status>,
    /// Time at which the connection was first seen. Unit: Unix milliseconds.
    pub created_at_ms: Option<i64>,
    /// Time of the connection's newest data. Unit: Unix milliseconds.
    pub last_data_at_ms: Option<i64>,
}

impl Source {
    /// Name of a record's state that is sent again because whose it is has changed: another one than that of the
    /// same revision before, which queues and receivers would drop.
    pub fn delivery_id(
        &self,
        destination_id: &str,
        record_id: &RecordId,
        revision: u64,
    ) -> DeliveryId {
        let whose = serde_json::json!([self.terra_user_id, self.reference_id, self.provider]);
        let name = format!("{record_id} {revision} {whose}");
        DeliveryId::of_event(destination_id, "refresh", &name)
    }
}

/// The content of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// State of a record. State kinds write it, log kinds send it.
    Record(Box<RecordState>),
    /// A record that a merge or an erasure removed. State kinds delete it.
    Deleted {
        /// Data type of the record.
        data_type: DataType,
        /// Text of the record's natural key.
        key: String,
        /// Every Terra user id that its connection ever had, or the one that took the connection over: Terra's
        /// names have one of them.
        terra_user_ids: Vec<TerraUserId>,
    },
    /// State of a connection. State kinds of databases keep a row for each.
    Connection {
        /// Every Terra user id that the connection ever had.
        terra_user_ids: Vec<TerraUserId>,
    },
    /// A connection that a merge or an erasure removed.
    ConnectionDeleted,
    /// One of Terra's webhooks as it came. Log kinds and buckets only.
    Webhook(Box<PassedWebhook>),
    /// Proof that a destination works.
    Test,
    /// The store's own counts, for destinations that cannot be asked.
    Totals(Vec<Total>),
}

/// State of a record.
#[derive(Clone, PartialEq)]
pub struct RecordState {
    /// Data type of the record.
    pub data_type: DataType,
    /// Text of the natural key.
    pub key: String,
    /// The wearer's own calendar day, where the record has a start.
    pub day: Option<Date>,
    /// Ordering timestamp of the newest delivery. Unit: Unix milliseconds.
    pub ordering_ts_ms: i64,
    /// The webhook that brought the newest delivery.
    pub source_webhook_id: String,
    /// True if the provider took the record back.
    pub retracted: bool,
    /// The numbers of the record.
    pub summary: Summary,
    /// The scores that Terra computes.
    pub enrichment: BTreeMap<String, Score>,
    /// Exact bytes of the older delivery whose samples are kept, if the newest has none.
    pub samples: Option<Bytes>,
    /// The composed record: one JSON object.
    pub record: Bytes,
}

/// Shows no value of a person.
impl fmt::Debug for RecordState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordState")
            .field("data_type", &self.data_type)
            .field("ordering_ts_ms", &self.ordering_ts_ms)
            .field("retracted", &self.retracted)
            .finish_non_exhaustive()
    }
}

impl RecordState {
    /// A text of the summary: `start_time` and `end_time` are Terra's own texts.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.summary.get(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Flag(_) => None,
        }
    }

    /// The start as an instant: only where Terra's text has an offset.
    pub fn start_at(&self) -> Option<Timestamp> {
        instant(&self.text("start_time")?)
    }

    /// The end as an instant: only where Terra's text has an offset.
    pub fn end_at(&self) -> Option<Timestamp> {
        instant(&self.text("end_time")?)
    }
}

/// An instant from a text that says its offset from UTC.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// One of Terra's webhooks, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct PassedWebhook {
    /// `type` of the webhook.
    pub event_type: String,
    /// Identity of the webhook.
    pub webhook_id: String,
    /// `Terra-Reference`, if Terra sent one.
    pub terra_reference: Option<String>,
    /// Time at which the intake took the webhook. Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// Ordering timestamp. Unit: Unix milliseconds.
    pub ordering_ts_ms: i64,
    /// The body.
    pub body: Bytes,
}

/// Shows no value of a person.
impl fmt::Debug for PassedWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedWebhook")
            .field("event_type", &self.event_type)
            .field("webhook_id", &self.webhook_id)
            .finish_non_exhaustive()
    }
}

/// Number of records of one data type that one owner has, with the sum of their checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Connection or person.
    pub owner: OwnerId,
    /// Data type; `None` for the row of the connection itself.
    pub data_type: Option<DataType>,
    /// Number of records.
    pub count: u64,
    /// Sum of [`checksum`] over the records.
    pub sum: u64,
}

impl Change {
    /// The event's name in envelopes and headers.
    pub fn event(&self) -> &'static str {
        match &self.body {
            Body::Record(state) if state.retracted => "record.retracted",
            Body::Record(_) => "record.updated",
            Body::Deleted { .. } => "record.deleted",
            Body::Connection { .. } => "connection.updated",
            Body::ConnectionDeleted => "connection.deleted",
            Body::Webhook(_) => "webhook.received",
            Body::Test => "destination.test",
            Body::Totals(_) => "destination.checksum",
        }
    }

    /// Data type of the record.
    pub fn data_type(&self) -> Option<DataType> {
        match &self.body {
            Body::Record(state) => Some(state.data_type),
            Body::Deleted { data_type, .. } => Some(*data_type),
            _ => None,
        }
    }

    /// Name of the table, collection or folder that the change belongs to: a data type, or
    /// `connections`. `None` for events, which state kinds do not keep.
    pub fn collection(&self) -> Option<&'static str> {
        match &self.body {
            Body::Record(state) => Some(state.data_type.as_str()),
            Body::Deleted { data_type, .. } => Some(data_type.as_str()),
            Body::Connection { .. } | Body::ConnectionDeleted => Some("connections"),
            Body::Webhook(_) | Body::Test | Body::Totals(_) => None,
        }
    }

    /// Returns whether the change removes its record.
    pub fn is_deletion(&self) -> bool {
        matches!(self.body, Body::Deleted { .. } | Body::ConnectionDeleted)
    }

    /// Ordering timestamp of the content; the time of sending where the content has none. Unit: Unix
    /// milliseconds.
    pub fn ordering_ts_ms(&self) -> i64 {
        match &self.body {
            Body::Record(state) => state.ordering_ts_ms,
            Body::Webhook(webhook) => webhook.ordering_ts_ms,
            _ => self.sent_at.as_millisecond(),
        }
    }

    /// Number that stands for this record at this revision.
    pub fn checksum(&self) -> u32 {
        checksum(&self.record_id, self.revision)
    }
}
