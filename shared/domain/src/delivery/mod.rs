//! Deliveries: records on their way to destinations.
//!
//! A delivery carries state, not an event: a message says that a record changed, and whoever
//! delivers it reads what the record is now. So a burst of changes is one delivery, and a message
//! that comes twice or late does no harm. DESTINATIONS are described in `shared/destinations`.

pub mod breaker;
mod destination;
pub mod order;
pub mod probe;
mod subscription;

use models::{
    data::DataType,
    ids::{Provider, ReferenceId, WebhookId},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::{
    destination::{
        Destination, DestinationId, InvalidDestinationId, Network, ON_ITS_WAY_MS, Status, Stream,
    },
    subscription::{Retractions, Subscription},
};
use crate::{connection::Connection, key::NaturalKey, locator::Locator, owner::RecordOwner};

/// Most changes in one message, so that a message stays within what SQS bills as one request (64 KB).
pub const MAX_CHANGES: usize = 100;

/// Most jobs that may follow one another in a chain, each queueing the next one of its kind.
///
/// Lambda stops a function that feeds its own queue after 16 invocations in one chain, unless it is told
/// not to. This is the bound in its place: twenty million records of one shard.
pub const MAX_STEPS: u32 = 200_000;

/// Reason for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A webhook changed the record.
    Live,
    /// The destination is new.
    Backfill,
    /// A range is delivered again on request.
    Redrive,
    /// An earlier attempt failed.
    Drain,
    /// A comparison with the store found a difference.
    Repair,
}

impl Cause {
    /// The name in headers and envelopes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfill => "backfill",
            Self::Redrive => "redrive",
            Self::Drain => "drain",
            Self::Repair => "repair",
        }
    }
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "changed", rename_all = "snake_case")]
pub enum Changed {
    /// A record.
    Record {
        /// Owner of the record.
        owner: RecordOwner,
        /// Data type of the record.
        data_type: DataType,
        /// Natural key of the record, as text.
        key: String,
        /// Revision under which the record was deleted, where a merge or an erasure deleted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<u64>,
        /// The connection that has the Terra users of a deleted record's owner by now, where a merge deleted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heir: Option<crate::connection::ConnectionId>,
    },
    /// A connection itself: its state, its ids, its person.
    Connection {
        /// The connection.
        id: crate::connection::ConnectionId,
        /// Revision under which the connection was deleted, where a merge or an erasure deleted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<u64>,
    },
    /// A webhook of Terra's, to be passed on byte for byte.
    Webhook {
        /// Owner that the webhook is about, where it names one that is known.
        owner: RecordOwner,
        /// Id of the webhook.
        webhook_id: WebhookId,
        /// `type` of the webhook.
        event_type: String,
        /// All frames of the webhook in the archive.
        locator: Locator,
        /// `Terra-Reference`, if Terra sent one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Time at which the intake took the webhook. Unit: Unix milliseconds.
        received_at_ms: i64,
        /// Ordering timestamp. Unit: Unix milliseconds.
        ordering_ts_ms: i64,
    },
}

impl Changed {
    /// A record that exists.
    pub fn record(owner: RecordOwner, data_type: DataType, key: &NaturalKey) -> Self {
        Self::Record {
            owner,
            data_type,
            key: key.to_string(),
            gone: None,
            heir: None,
        }
    }

    /// The same deletion, of an owner whose Terra users another connection has by now.
    #[must_use]
    pub fn inherited_by(mut self, connection: &crate::connection::ConnectionId) -> Self {
        if let Self::Record { heir, owner, .. } = &mut self
            && !matches!(owner, RecordOwner::Connection(owner) if owner == connection)
        {
            *heir = Some(connection.clone());
        }
        self
    }

    /// The connection that has the Terra users of a deleted record's owner by now.
    pub fn heir(&self) -> Option<&crate::connection::ConnectionId> {
        match self {
            Self::Record { heir, .. } => heir.as_ref(),
            Self::Connection { .. } | Self::Webhook { .. } => None,
        }
    }

    /// Owner of what changed.
    pub fn owner(&self) -> RecordOwner {
        match self {
            Self::Record { owner, .. } | Self::Webhook { owner, .. } => owner.clone(),
            Self::Connection { id, .. } => RecordOwner::Connection(id.clone()),
        }
    }

    /// Revision under which the subject was deleted.
    pub fn gone(&self) -> Option<u64> {
        match self {
            Self::Record { gone, .. } | Self::Connection { gone, .. } => *gone,
            Self::Webhook { .. } => None,
        }
    }

    /// The same, with the revision of an earlier deletion where that is greater: what was not told yet is not
    /// forgotten.
    #[must_use]
    pub fn remembering(mut self, earlier: &Self) -> Self {
        if let Self::Record { heir, .. } = &mut self
            && heir.is_none()
        {
            *heir = earlier.heir().cloned();
        }
        match &mut self {
            Self::Record { gone, .. } | Self::Connection { gone, .. } => {
                *gone = earlier.gone().max(*gone);
            }
            Self::Webhook { .. } => {}
        }
        self
    }

    /// The same subject, without saying what happened to it: two changes with one subject are one
    /// delivery.
    #[must_use]
    pub fn subject(&self) -> Self {
        let mut subject = self.clone();
        match &mut subject {
            Self::Record { gone, heir, .. } => (*gone, *heir) = (None, None),
            Self::Connection { gone, .. } => *gone = None,
            Self::Webhook { .. } => {}
        }
        subject
    }
}

/// A job of `deliver`.
///
/// Each may come twice and late: what is to be done is read from the table, not from the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum DeliveryMessage {
    /// Look for what is due: probes of destinations that failed, what is owed, what operators ordered.
    Work,
    /// Things of one shard changed.
    Changes {
        /// Destination to tell.
        destination: DestinationId,
        /// Shard of their owners.
        shard: u32,
        /// Reason.
        cause: Cause,
        /// The changes, in order.
        changes: Vec<Changed>,
        /// True if states are written over equal revisions too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Deliver what is owed of one shard and due.
    Drain {
        /// Destination to drain to.
        destination: DestinationId,
        /// The shard.
        shard: u32,
        /// Second in which its chain began: a shard has one chain at a time.
        chain: i64,
        /// Jobs before this one in its chain.
        step: u32,
    },
    /// One page of an order that walks through all records of a shard.
    Walk {
        /// Destination of the order.
        destination: DestinationId,
        /// Id of the order.
        order: String,
        /// The shard.
        shard: u32,
        /// Place to go on behind.
        cursor: order::Cursor,
        /// Jobs before this one in its chain.
        step: u32,
    },
    /// Remove a person whose data were erased here.
    Erase {
        /// Destination to erase at.
        destination: DestinationId,
        /// Id of the erasure.
        erasure: String,
        /// Shard of the owners to erase in this job.
        shard: u32,
    },
    /// Try a destination, and note what each step found.
    Probe {
        /// Destination to try.
        destination: DestinationId,
        /// Time at which the probe was asked for. Unit: Unix milliseconds.
        asked_at_ms: i64,
    },
}

impl DeliveryMessage {
    /// Returns how many jobs stand before this one in a chain of its kind.
    pub fn step(&self) -> u32 {
        match self {
            Self::Drain { step, .. } | Self::Walk { step, .. } => *step,
            Self::Work | Self::Changes { .. } | Self::Erase { .. } | Self::Probe { .. } => 0,
        }
    }

    /// The message group: what one group holds is done in order, and one after the other.
    pub fn group(&self) -> String {
        match self {
            Self::Work => "work".to_owned(),
            Self::Changes {
                destination, shard, ..
            }
            | Self::Drain {
                destination, shard, ..
            }
            | Self::Walk {
                destination, shard, ..
            }
            | Self::Erase {
                destination, shard, ..
            } => format!("{destination}#{shard}"),
            // A group of its own: a destination that takes nothing is tried all the same.
            Self::Probe { destination, .. } => format!("{destination}#probe"),
        }
    }
}

/// Shard of an owner at a destination with so many shards.
pub fn shard_of(owner: &RecordOwner, shards: u32) -> u32 {
    let mut hash = Sha256::new();
    match owner {
        RecordOwner::Connection(id) => hash.update(id.as_str()),
        RecordOwner::Person(reference_id) => {
            hash.update("person\0");
            hash.update(reference_id.as_ref().map_or("", ReferenceId::as_str));
        }
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    u32::from_be_bytes([a, b, c, d]) % shards.max(1)
}

/// A subject as subscriptions see it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Owner.
    pub owner: &'a RecordOwner,
    /// Data type; `None` for a connection or a webhook that brings no data.
    pub data_type: Option<DataType>,
    /// Provider of the connection, where it is known.
    pub provider: Option<&'a Provider>,
    /// The app's id of the person, where it is known.
    pub reference_id: Option<&'a ReferenceId>,
}

impl<'a> Subject<'a> {
    /// Something that an owner has. `connection` is the owner's state, if the owner is a connection and is known.
    pub fn of(
        owner: &'a RecordOwner,
        connection: Option<&'a Connection>,
        data_type: Option<DataType>,
    ) -> Self {
        let person = match owner {
            RecordOwner::Person(person) => person.as_ref(),
            RecordOwner::Connection(_) => None,
        };
        Self {
            owner,
            data_type,
            provider: connection.and_then(Connection::provider),
            reference_id: person.or_else(|| connection?.reference_id()),
        }
    }
}

#[cfg(test)]
mod tests {
    use models::ids::TerraUserId;
    use proptest::prelude::*;

    use super::*;
    use crate::connection::ConnectionId;

    fn owner(number: u32) -> RecordOwner {
        let user = TerraUserId::new(&format!("user-{number}")).unwrap();
        RecordOwner::Connection(ConnectionId::of(&user))
    }

    #[test]
    fn a_message_fits_what_sqs_bills_as_one_request() {
        let key = "k".repeat(513);
        let change = Changed::Record {
            owner: owner(1),
            data_type: DataType::HealthObservation,
            key,
            gone: Some(u64::MAX),
            heir: None,
        };
        let message = DeliveryMessage::Changes {
            destination: DestinationId::new("dst_0123456789").unwrap(),
            shard: 3,
            cause: Cause::Live,
            changes: vec![change; MAX_CHANGES],
            force: false,
        };
        // The longest keys there are; ordinary ones take a tenth of that.
        assert!(serde_json::to_string(&message).unwrap().len() < 128 * 1024);
    }

    #[test]
    fn a_shard_never_changes() {
        // python3: int.from_bytes(sha256(b"0"*32).digest()[:4], "big") % 7
        let zero = RecordOwner::Connection("0".repeat(32).parse().unwrap());
        assert_eq!(shard_of(&zero, 7), 0);
        assert_eq!(shard_of(&RecordOwner::Person(None), 1), 0);
    }

    proptest! {
        #[test]
        fn every_owner_has_a_shard(number: u32, shards in 0_u32..64) {
            prop_assert!(shard_of(&owner(number), shards) < shards.max(1));
        }
    }
}
