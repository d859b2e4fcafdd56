//! Apache Kafka: one record per change, keyed by record id, so that a compacted topic keeps the newest
//! state of each. A deletion is a record without a value.
//!
//! All replicas in sync confirm a record. There is no idempotent producer: after an answer that got
//! lost a record may stand twice, with the same key, revision and `webhook-id`.

mod config;
mod deliver;
mod faults;
mod msk;
mod probe;
mod producer;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    change::Change,
    config::{Clock, Context, Fields, Format, Pointers, Refused},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome},
};
use producer::Producer;

/// Most bytes of one request to a broker: `message.max.bytes` is 1,048,588 by default.
const MAX_REQUEST_BYTES: usize = 900_000;
/// Most bytes of a value: headers and key take the rest of a request.
const MAX_VALUE_BYTES: usize = MAX_REQUEST_BYTES - 2_000;

/// A topic as a destination.
#[derive(Debug)]
pub(crate) struct Kafka {
    destination_id: String,
    producer: Box<dyn Producer>,
    topic: Topic,
    by_record: bool,
    format: Format,
    clock: Clock,
    pointers: Option<Arc<dyn Pointers>>,
    /// Shape of topics that are made where they are missing.
    create: Option<NewTopic>,
}

/// Shape of a topic that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NewTopic {
    partitions: i32,
    replication_factor: i16,
}

/// Topic that changes go to.
#[derive(Debug)]
enum Topic {
    /// All into one topic.
    One(String),
    /// Those of each data type into its own, whose name begins so.
    PerType(String),
}

impl Kafka {
    /// Reads the settings.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        config::read(fields, context)
    }
}

#[async_trait]
impl Kind for Kafka {
    fn limits(&self) -> Limits {
        Limits {
            changes: 500,
            bytes: MAX_REQUEST_BYTES,
            concurrency: 4,
            keeps: Keeps::Log,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        self.produce(changes).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.announce_erasure(person).await
    }
}
