//! Keys of the table. Nowhere else is a key spelled.
//!
//! | item | `pk` | `sk` | read by |
//! |---|---|---|---|
//! | connection | `CONNECTION#<id>` | `CONNECTION` | id |
//! | record | `CONNECTION#<id>` | `<data type>#<natural key>` | connection, type, range of keys |
//! | sighting of a session | `CONNECTION#<id>` | `SESSION#<data type>#<start>#<end>#<kind>#<natural key>` | connection, type, range of starts |
//! | alias | `TERRA#<user id>` | `ALIAS` | Terra user id |
//! | person's connection | `PERSON#<reference id>` | `CONNECTION#<id>` | reference id |
//! | person | `PERSON#<reference id>` | `PERSON` | reference id |
//! | lab report | `PERSON#<reference id>` | `lab_report#<session id>` | reference id; `PERSON#` without one |
//! | webhook | `WEBHOOK#<webhook id>` | `WEBHOOK` | webhook id |
//! | parked webhook | `PARKED#<webhook id>` | `PARKED` | webhook id |
//! | dismissed webhook | `PARKED#<webhook id>` | `DISMISSED` | webhook id |
//! | day of parked webhooks | `PARKED_DAYS#<shard>` | `<day>` | shard |
//! | request | `REQUEST#<reference>` | `REQUEST` | reference |
//! | request's window | `REQUEST#<reference>` | `WINDOW` | reference |
//! | backfill | `BACKFILL#<id>` | `BACKFILL` | id |
//! | window | `BACKFILL#<id>` | `WINDOW#<data type>#<first day>#<day after the last>` | backfill, type |
//! | connection's backfill | `BACKFILLS#<connection id>` | `BACKFILL#<id>` | connection |
//! | source policy of the app | `SOURCE_POLICY#app` | its version, 20 digits | newest first |
//! | source policy of a person | `SOURCE_POLICY#~<reference id>` | its version, 20 digits | reference id |
//! | asked days | `CONNECTION#<id>` | `ASKED#<data type>#<YYYY-MM>` | connection, type |
//! | pacing bucket | `PACING#<limit>#<whose>` | `PACING` | limit and whose |
//! | outages | `HISTORY` | `OUTAGES` | there is one |
//! | newest data of each provider | `HISTORY` | `PEERS` | there is one |
//! | last search all the way back | `HISTORY` | `SEARCHES` | there is one |
//! | counts over a shard of the connections | `HISTORY` | `FLEET#<shard>` | all at once |
//! | page of a comparison | `SWEEP#<sweep, ms>` | `PAGE#<page>#<part>` | comparison |
//! | destination | `DESTINATIONS` | `DESTINATION#<id>` | all at once |
//! | destination's health | `DESTINATION#<id>` | `HEALTH` | destination |
//! | order | `DESTINATION#<id>` | `ORDER#<ulid>` | destination |
//! | erasure | `DESTINATION#<id>` | `ERASURE#<ulid>` | destination |
//! | owed delivery | `OWED#<destination>#<shard>` | its subject | destination, shard |
//! | failed delivery | `FAILED#<destination>` | its subject | destination |
//! | attempt | `ATTEMPTS#<destination>#<day>` | `<time>#<delivery>` | destination, day |
//! | key of the API | `KEYS` | `KEY#<id>` | id; all at once |
//! | result of a repeatable call | `IDEMPOTENCY#<key id>` | hash of the caller's text | both, or the caller |
//! | end of a person's tokens | `TOKENS#<hash of the reference id>` | `ENDED` | hash, for an hour |
//! | line of the audit | `AUDIT#<day>#<shard>` | `<time>#<request>`, from the second of a request on `#<number>` | day |
//! | sign-in link of the console | `LOGIN#<hash of its token>` | `LOGIN` | token |
//! | session of the console | `SESSIONS` | `SESSION#<hash of its token>` | token; all at once |
//! | deleted record | `GONE#<owner>` | `<data type>#<natural key>` | owner, until announced |
//! | name of a record that an erasure removes | `ERASED#<erasure>#<owner's name>` | `<data type>#<natural key>` | erasure, owner |
//! | job | `JOB#<id>` | `JOB` | id |
//! | tombstone of a person | `TOMBSTONE#<keyed hash>` | `TOMBSTONE` | hash of the reference id |
//! | receipt of an erasure | `RECEIPTS` | `RECEIPT#<id>` | id, or all at once |
//! | end of the chain of receipts | `RECEIPTS` | `END` | there is one |
//!
//! The index `by_time` (`time_pk`, `time_sk`):
//!
//! | item | `time_pk` | `time_sk` |
//! |---|---|---|
//! | record whose key is no date | `CONNECTION#<id>#<data type>` | `<start time>#<natural key>` |
//! | webhook | `WEBHOOKS#<day>#<shard>` | `<received at>#<webhook id>` |
//! | parked webhook | `PARKED#<day>#<shard>` | `<received at>#<webhook id>` |
//! | owed delivery | `OWED#<destination>#<shard>` | `<due at>` |
//! | connection | `CONNECTIONS#<first digit of its id>` | `<id>` |
//! | person | `PEOPLE` | `<reference id>` |
//! | open window | `DUE#<shard>` | `<due, ms>#<rank>#<backfill>#<data type>#<first day>` |
//! | open backfill | `DUE#<shard>` | `<next look, ms>#<backfill>` |
//! | connection's backfill | `BACKFILLS` | `<planned, ms>#<id>` |
//! | line of the audit about an id | `AUDIT_OF#<hash of the id>` | the same place |
//! | open job | `JOBS` | `<due, ms>#<id>` |
//! | closed job | `JOBS#<kind>` | `<ordered, ms>#<id>` |
//!
//! The index `by_user` (`terra_user_id`, `received_at_ms`) has the webhooks that name a Terra user, and nothing
//! else: no other item has both attributes. It is by Terra's id, so that nothing moves when two connections
//! become one.

mod access;
mod deliveries;
mod history;
mod jobs;
mod people;
mod records;
mod webhooks;

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;
pub use domain::owner::RecordOwner;
use jiff::civil::Date;

pub use self::history::Paced;

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
/// The index by Terra user.
pub(crate) const BY_USER: &str = "by_user";
/// Partition key attribute of [`BY_USER`].
pub(crate) const USER: &str = "terra_user_id";
/// Sort key attribute of [`BY_USER`], a number.
pub(crate) const RECEIVED_AT: &str = "received_at_ms";
/// Partitions of one day's webhooks: a partition takes 1,000 writes a second.
pub(crate) const DAY_SHARDS: u8 = 8;

/// Partitions of what is due: a partition takes 1,000 writes a second.
pub(crate) const DUE_SHARDS: u8 = 8;
/// Partitions of the list of all connections, one per first digit of their ids, so that a list of
/// them is read and written in many places at once.
pub const CONNECTION_SHARDS: u8 = 16;
/// Partition of all people in [`BY_TIME`]: it takes a thousand new ones a second.
pub(crate) const PEOPLE: &str = "PEOPLE";
/// Partition of all backfills in [`BY_TIME`]: it takes a thousand new ones a second.
pub(crate) const BACKFILLS: &str = "BACKFILLS";
/// Beginning of the sort keys of orders for a destination.
pub(crate) const ORDER: &str = "ORDER#";
/// Beginning of the sort keys of erasures at a destination.
pub(crate) const ERASURE: &str = "ERASURE#";
/// Beginning of the sort keys of sightings, and of sessions of the console.
const SESSION: &str = "SESSION#";

/// The full primary key of one item. A key of the wrong shape cannot be written down.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pk: String,
    sk: String,
}

/// Text behind every text that begins with `prefix` and `#`.
fn after_all(prefix: &str) -> String {
    format!("{prefix}$")
}

/// Text behind every date and time of a day.
pub(crate) fn after_day(day: Date) -> String {
    format!("{day}~")
}

impl Key {
    /// The partition key.
    pub(crate) fn pk(&self) -> &str {
        &self.pk
    }

    /// The sort key.
    pub(crate) fn sk(&self) -> &str {
        &self.sk
    }

    /// Returns the key as attributes.
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
        } else if self.pk.starts_with("SOURCE_POLICY#~") {
            "SOURCE_POLICY#…"
        } else if self.pk.starts_with("GONE#") {
            "GONE#…"
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
