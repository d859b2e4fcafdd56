//! Keys of the table. Nowhere else is a key spelled.
//!
//! | item | `pk` | `sk` | read by |
//! |---|---|---|---|
//! | connection | `CONNECTION#<id>` | `CONNECTION` | id |
//! | record | `CONNECTION#<id>` | `<data type>#<natural key>` | connection, type, range of keys |
//! | alias | `TERRA#<user id>` | `ALIAS` | Terra user id |
//! | person's connection | `PERSON#<reference id>` | `CONNECTION#<id>` | reference id |
//! | lab report | `PERSON#<reference id>` | `lab_report#<session id>` | reference id; `PERSON#` without one |
//! | webhook | `WEBHOOK#<webhook id>` | `WEBHOOK` | webhook id |
//! | request | `REQUEST#<reference>` | `REQUEST` | reference |
//!
//! The index `by_time` (`time_pk`, `time_sk`):
//!
//! | item | `time_pk` | `time_sk` |
//! |---|---|---|
//! | record whose key is no date | `CONNECTION#<id>#<data type>` | `<start time>#<natural key>` |
//! | webhook | `WEBHOOKS#<day>#<shard>` | `<received at>#<webhook id>` |

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{connection::ConnectionId, key::NaturalKey};
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId, WebhookId},
};

/// Partition key attribute.
pub(crate) const PK: &str = "pk";
/// Sort key attribute.
pub(crate) const SK: &str = "sk";
/// The index by time.
pub(crate) const BY_TIME: &str = "by_time";
/// Partition key attribute of [`BY_TIME`].
pub(crate) const TIME_PK: &str = "time_pk";
/// Sort key attribute of [`BY_TIME`].
pub(crate) const TIME_SK: &str = "time_sk";
/// Partitions of one day's webhooks: a partition takes 1,000 writes a second.
pub(crate) const DAY_SHARDS: u8 = 8;

/// The full primary key of one item. A key of the wrong shape cannot be written down.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pk: String,
    sk: String,
}

/// Whose record: what stands before the data type in its key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordOwner {
    /// A connection.
    Connection(ConnectionId),
    /// A person; absent when the lab report names none.
    Person(Option<ReferenceId>),
}

impl RecordOwner {
    /// The partition of its records.
    pub(crate) fn pk(&self) -> String {
        match self {
            Self::Connection(id) => format!("CONNECTION#{id}"),
            Self::Person(reference_id) => person_pk(reference_id.as_ref()),
        }
    }

    /// The partition of its records of one type in [`BY_TIME`].
    pub(crate) fn time_pk(&self, data_type: DataType) -> String {
        format!("{}#{data_type}", self.pk())
    }
}

fn person_pk(reference_id: Option<&ReferenceId>) -> String {
    format!("PERSON#{}", reference_id.map_or("", ReferenceId::as_str))
}

impl Key {
    /// A connection.
    pub fn connection(id: &ConnectionId) -> Self {
        Self {
            pk: format!("CONNECTION#{id}"),
            sk: "CONNECTION".to_owned(),
        }
    }

    /// Where a Terra user id leads.
    pub fn alias(id: &TerraUserId) -> Self {
        Self {
            pk: format!("TERRA#{id}"),
            sk: "ALIAS".to_owned(),
        }
    }

    /// One connection of a person.
    pub fn person(reference_id: &ReferenceId, id: &ConnectionId) -> Self {
        Self {
            pk: person_pk(Some(reference_id)),
            sk: format!("CONNECTION#{id}"),
        }
    }

    /// A record. Those of one type sort together, days in order.
    pub fn record(owner: &RecordOwner, data_type: DataType, key: &NaturalKey) -> Self {
        Self {
            pk: owner.pk(),
            sk: format!("{data_type}#{key}"),
        }
    }

    /// A webhook in the ledger.
    pub fn webhook(id: &WebhookId) -> Self {
        Self {
            pk: format!("WEBHOOK#{id}"),
            sk: "WEBHOOK".to_owned(),
        }
    }

    /// A large request.
    pub fn request(reference: &str) -> Self {
        Self {
            pk: format!("REQUEST#{reference}"),
            sk: "REQUEST".to_owned(),
        }
    }

    /// The partition of one shard of one day (`YYYY-MM-DD`) of webhooks in [`BY_TIME`].
    pub(crate) fn webhooks_of_day(day: &str, shard: u8) -> String {
        format!("WEBHOOKS#{day}#{shard}")
    }

    /// Reads back the data type and natural key of a record.
    pub(crate) fn as_record(&self) -> Option<(DataType, NaturalKey)> {
        let (data_type, natural) = self.sk.split_once('#')?;
        let natural = natural
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        Some((data_type.parse().ok()?, natural))
    }

    /// Reads back the connection of a person's item.
    pub(crate) fn as_person_connection(&self) -> Option<ConnectionId> {
        self.sk.strip_prefix("CONNECTION#")?.parse().ok()
    }

    /// As attributes.
    pub(crate) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PK.to_owned(), AttributeValue::S(self.pk.clone())),
            (SK.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }

    /// The key of an item.
    pub(crate) fn of_item(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self {
            pk: text(PK)?,
            sk: text(SK)?,
        })
    }
}

/// Shows a person's partition without the reference id, which may be an e-mail address.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pk = if self.pk.starts_with("PERSON#") {
            "PERSON#…"
        } else {
            &self.pk
        };
        write!(f, "{pk}/{}", self.sk)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for RecordOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(id) => write!(f, "Connection({id})"),
            Self::Person(_) => f.write_str("Person(…)"),
        }
    }
}
