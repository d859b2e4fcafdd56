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
//! | line of the audit | `AUDIT#<day>#<shard>` | `<time>#<request>` | day |
//! | sign-in link of the console | `LOGIN#<hash of its token>` | `LOGIN` | token |
//! | session of the console | `SESSIONS` | `SESSION#<hash of its token>` | token; all at once |
//! | deleted record | `GONE#<owner>` | `<data type>#<natural key>` | owner, until announced |
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
//! | line of the audit about an id | `AUDIT_OF#<hash of the id>` | `<time>#<request>` |
//! | open job | `JOBS` | `<due, ms>#<id>` |
//! | closed job | `JOBS#<kind>` | `<ordered, ms>#<id>` |
//!
//! The index `by_user` (`terra_user_id`, `received_at_ms`) has the webhooks that name a Terra user, and nothing
//! else: no other item has both attributes. It is by Terra's id, so that nothing moves when two connections
//! become one.

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;
pub use domain::owner::RecordOwner;
use domain::{
    access::KeyId,
    connection::ConnectionId,
    delivery::DestinationId,
    history::{
        day::Span,
        month::Month,
        window::{BackfillId, WindowId},
    },
    key::NaturalKey,
    message::JobKind,
    owner::PolicyOwner,
    session::{Range, Sighting},
};
use jiff::civil::Date;
use models::{
    data::DataType,
    ids::{PROBE, Provider, ReferenceId, TerraUserId, WebhookId},
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
/// Beginning of the sort key of a window.
const WINDOW: &str = "WINDOW#";
/// Beginning of the keys of backfills.
const BACKFILL: &str = "BACKFILL#";
/// Partition of all backfills in [`BY_TIME`]: it takes a thousand new ones a second.
pub(crate) const BACKFILLS: &str = "BACKFILLS";
/// Beginning of the keys of source policies.
const SOURCE_POLICY: &str = "SOURCE_POLICY#";
/// Beginning of the keys of parked webhooks.
const PARKED: &str = "PARKED#";
/// Beginning of the sort keys of orders for a destination.
pub(crate) const ORDER: &str = "ORDER#";
/// Beginning of the sort keys of erasures at a destination.
pub(crate) const ERASURE: &str = "ERASURE#";
/// Beginning of the sort keys of sightings, and of sessions of the console.
const SESSION: &str = "SESSION#";
/// Beginning of the sort key of a month of asked days.
const ASKED: &str = "ASKED#";

/// Owner of the quota that a pacing bucket holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Paced {
    /// The Terra account's, for all.
    Account,
    /// One provider's, for all.
    Provider(Provider),
    /// One connection's.
    Connection(ConnectionId),
}

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

fn backfill_pk(id: &BackfillId) -> String {
    format!("{BACKFILL}{id}")
}

fn person_pk(reference_id: Option<&ReferenceId>) -> String {
    format!("PERSON#{}", reference_id.map_or("", ReferenceId::as_str))
}

impl Key {
    /// Partition of an owner's records.
    pub(crate) fn partition_of(owner: &RecordOwner) -> String {
        match owner {
            RecordOwner::Connection(id) => format!("CONNECTION#{id}"),
            RecordOwner::Person(reference_id) => person_pk(reference_id.as_ref()),
        }
    }

    /// Partition of an owner's records of one type in [`BY_TIME`].
    pub(crate) fn time_partition_of(owner: &RecordOwner, data_type: DataType) -> String {
        format!("{}#{data_type}", Self::partition_of(owner))
    }

    /// A connection.
    pub fn connection(id: &ConnectionId) -> Self {
        Self {
            pk: format!("CONNECTION#{id}"),
            sk: "CONNECTION".to_owned(),
        }
    }

    /// Key of the alias that leads from a Terra user id to a connection.
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
            pk: Self::partition_of(owner),
            sk: format!("{data_type}#{key}"),
        }
    }

    /// Session that a delivery gave under a natural key.
    pub(crate) fn sighting(owner: &RecordOwner, data_type: DataType, sighting: &Sighting) -> Self {
        Self {
            pk: Key::partition_of(owner),
            sk: format!("{SESSION}{data_type}#{sighting}"),
        }
    }

    /// Partition of an owner's sightings of one type, and first and last sort key of those that begin
    /// within a range.
    pub(crate) fn sightings(
        owner: &RecordOwner,
        data_type: DataType,
        range: &Range,
    ) -> (String, String, String) {
        let prefix = format!("{SESSION}{data_type}#");
        let Range { first, last } = range;
        (
            Key::partition_of(owner),
            format!("{prefix}{first}"),
            after_all(&format!("{prefix}{last}")),
        )
    }

    /// Reads back a sighting and its data type.
    pub(crate) fn as_sighting(&self) -> Option<(DataType, Sighting)> {
        let (data_type, sighting) = self.sk.strip_prefix(SESSION)?.split_once('#')?;
        Some((data_type.parse().ok()?, sighting.parse().ok()?))
    }

    /// A webhook in the ledger.
    pub fn webhook(id: &WebhookId) -> Self {
        Self {
            pk: format!("WEBHOOK#{id}"),
            sk: "WEBHOOK".to_owned(),
        }
    }

    /// Reads back the id of a webhook in the ledger.
    pub(crate) fn as_webhook(&self) -> Option<WebhookId> {
        WebhookId::new(self.pk.strip_prefix("WEBHOOK#")?)
    }

    /// A parked webhook.
    pub fn parked(id: &WebhookId) -> Self {
        Self {
            pk: format!("{PARKED}{id}"),
            sk: "PARKED".to_owned(),
        }
    }

    /// The note that a parked webhook was dismissed.
    pub fn dismissed(id: &WebhookId) -> Self {
        Self {
            pk: format!("{PARKED}{id}"),
            sk: "DISMISSED".to_owned(),
        }
    }

    /// Reads back the id of a parked webhook.
    pub(crate) fn as_parked(&self) -> Option<WebhookId> {
        WebhookId::new(self.pk.strip_prefix(PARKED)?)
    }

    /// A day (`YYYY-MM-DD`) with parked webhooks in one shard.
    pub(crate) fn parked_day(day: &str, shard: u8) -> Self {
        Self {
            pk: Self::parked_days(shard),
            sk: day.to_owned(),
        }
    }

    /// Partition of the days with parked webhooks in one shard.
    pub(crate) fn parked_days(shard: u8) -> String {
        format!("PARKED_DAYS#{shard}")
    }

    /// The day that is the sort key of [`Key::parked_day`].
    pub(crate) fn as_parked_day(&self) -> &str {
        &self.sk
    }

    /// The partition of one shard of one day (`YYYY-MM-DD`) of parked webhooks in [`BY_TIME`].
    pub(crate) fn parked_of_day(day: &str, shard: u8) -> String {
        format!("{PARKED}{day}#{shard}")
    }

    /// A large request.
    pub fn request(reference: &str) -> Self {
        Self {
            pk: format!("REQUEST#{reference}"),
            sk: "REQUEST".to_owned(),
        }
    }

    /// The window that a request to Terra was made for.
    pub fn window_of_request(reference: &str) -> Self {
        Self {
            pk: format!("REQUEST#{reference}"),
            sk: "WINDOW".to_owned(),
        }
    }

    /// A backfill.
    pub fn backfill(id: &BackfillId) -> Self {
        Self {
            pk: backfill_pk(id),
            sk: "BACKFILL".to_owned(),
        }
    }

    /// Key of the item that lists a backfill under its connection.
    pub fn backfill_of(connection: &ConnectionId, id: &BackfillId) -> Self {
        Self {
            pk: Self::backfills_of(connection).0,
            sk: format!("{BACKFILL}{id}"),
        }
    }

    /// Partition of a connection's backfills and what their sort keys begin with. It is not that of its records, which
    /// the API may not write.
    pub(crate) fn backfills_of(connection: &ConnectionId) -> (String, &'static str) {
        (format!("BACKFILLS#{connection}"), BACKFILL)
    }

    /// Reads back the id of a connection's backfill.
    pub(crate) fn as_backfill_of(&self) -> Option<BackfillId> {
        self.sk.strip_prefix(BACKFILL)?.parse().ok()
    }

    /// A window of a backfill.
    pub fn window(id: &WindowId) -> Self {
        let (data_type, span) = (id.data_type, id.span);
        Self {
            pk: backfill_pk(&id.backfill),
            sk: format!("{WINDOW}{data_type}#{}#{}", span.from(), span.until()),
        }
    }

    /// Partition of a backfill and all its windows.
    pub(crate) fn all_of_backfill(id: &BackfillId) -> String {
        backfill_pk(id)
    }

    /// Partition of a backfill's windows and what their sort keys begin with, of one type or of all.
    pub(crate) fn windows(id: &BackfillId, data_type: Option<DataType>) -> (String, String) {
        let prefix = data_type.map(|data_type| format!("{data_type}#"));
        (
            backfill_pk(id),
            format!("{WINDOW}{}", prefix.unwrap_or_default()),
        )
    }

    /// The days asked for of one month.
    pub fn asked_month(id: &ConnectionId, data_type: DataType, month: Month) -> Self {
        Self {
            pk: format!("CONNECTION#{id}"),
            sk: format!("{ASKED}{data_type}#{month}"),
        }
    }

    /// Partition of a connection's asked days of one type and what their sort keys begin with.
    pub(crate) fn asked_months(id: &ConnectionId, data_type: DataType) -> (String, String) {
        (format!("CONNECTION#{id}"), format!("{ASKED}{data_type}#"))
    }

    /// A pacing bucket: `limit` names what is limited.
    pub fn pacing(limit: &str, paced: &Paced) -> Self {
        let whose = match paced {
            Paced::Account => "account".to_owned(),
            Paced::Provider(provider) => format!("provider#{provider}"),
            Paced::Connection(id) => format!("connection#{id}"),
        };
        Self {
            pk: format!("PACING#{limit}#{whose}"),
            sk: "PACING".to_owned(),
        }
    }

    /// Key of the log of outages.
    pub fn outages() -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: "OUTAGES".to_owned(),
        }
    }

    /// Key of the times of the newest data of each provider's people.
    pub fn peers() -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: "PEERS".to_owned(),
        }
    }

    /// Key of the counts over the connections of a shard.
    pub fn fleet(shard: u8) -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: format!("FLEET#{shard}"),
        }
    }

    /// Partition of the versions of a source policy.
    pub(crate) fn source_policies(owner: &PolicyOwner) -> String {
        match owner {
            PolicyOwner::App => format!("{SOURCE_POLICY}app"),
            // No app is called so: a reference id may be any text.
            PolicyOwner::Person(reference_id) => {
                format!("{SOURCE_POLICY}~{}", reference_id.as_str())
            }
        }
    }

    /// One version of a source policy. They sort by their numbers.
    pub(crate) fn source_policy(owner: &PolicyOwner, version: u64) -> Self {
        Self {
            pk: Self::source_policies(owner),
            sk: format!("{version:020}"),
        }
    }

    /// Key of the time of the last search all the way back.
    pub fn searches() -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: "SEARCHES".to_owned(),
        }
    }

    /// Partition of an owner's records of one type, and first and last sort key of those whose key
    /// is a date from `from` on; to the end, or until `to`, which is included.
    pub(crate) fn records_of_days(
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Option<Date>,
    ) -> (String, String, String) {
        let last = match to {
            Some(to) => format!("{data_type}#{}", after_day(to)),
            None => after_all(&format!("{data_type}")),
        };
        (
            Self::partition_of(owner),
            format!("{data_type}#{from}"),
            last,
        )
    }

    /// Partition of a connection's asked days of one type, and first and last sort key of those
    /// from the month of `from` on.
    pub(crate) fn asked_months_from(
        id: &ConnectionId,
        data_type: DataType,
        from: Date,
    ) -> (String, String, String) {
        (
            format!("CONNECTION#{id}"),
            format!("{ASKED}{data_type}#{}", Month::of(from)),
            after_all(&format!("{ASKED}{data_type}")),
        )
    }

    /// One shard of the list of all connections, in [`BY_TIME`].
    pub(crate) fn connections_shard(shard: u8) -> String {
        format!("CONNECTIONS#{shard}")
    }

    /// The shard that a connection is listed in, of [`CONNECTION_SHARDS`]: the first digit of its id.
    pub fn shard_of(id: &ConnectionId) -> u8 {
        let digit = id.as_str().chars().next();
        let digit = digit.and_then(|char| char.to_digit(16));
        digit
            .and_then(|digit| digit.try_into().ok())
            .unwrap_or_default()
    }

    /// The beginning of the keys of what Terra was asked for, among webhooks.
    pub(crate) fn fetched_prefix() -> String {
        Self::webhook(&WebhookId::fetched("")).pk
    }

    /// Returns the beginning of the partitions of our own probes of the intake.
    pub(crate) fn probe_prefix() -> String {
        format!("WEBHOOK#{PROBE}")
    }

    /// Part of one page of a comparison of our connections with Terra's.
    pub(crate) fn sweep_page(sweep_ms: i64, page: u32, part: usize) -> Self {
        let (pk, prefix) = Self::sweep_pages(sweep_ms);
        Self {
            pk,
            sk: format!("{prefix}{page:08}#{part:04}"),
        }
    }

    /// All pages of a comparison: the partition, and the prefix of the sort keys.
    pub(crate) fn sweep_pages(sweep_ms: i64) -> (String, String) {
        (format!("SWEEP#{sweep_ms}"), "PAGE#".to_owned())
    }

    /// One shard of what is due, in [`BY_TIME`].
    pub(crate) fn due_shard(shard: u8) -> String {
        format!("DUE#{shard}")
    }

    /// The shard of all that belongs to a backfill.
    pub(crate) fn due_shard_of(id: &BackfillId) -> String {
        let hash = xxhash_rust::xxh3::xxh3_64(id.as_str().as_bytes());
        Self::due_shard(u8::try_from(hash % u64::from(DUE_SHARDS)).unwrap_or_default())
    }

    /// Text order is time order. Unit: Unix milliseconds.
    pub(crate) fn due_at(ms: i64) -> String {
        format!("{:015}", ms.max(0))
    }

    /// Reads back the id of a backfill.
    pub(crate) fn as_backfill(&self) -> Option<BackfillId> {
        let id = self.pk.strip_prefix(BACKFILL)?;
        (self.sk == "BACKFILL").then(|| id.parse().ok()).flatten()
    }

    /// Reads back the id of a window.
    pub(crate) fn as_window(&self) -> Option<WindowId> {
        let backfill = self.pk.strip_prefix(BACKFILL)?.parse().ok()?;
        let mut parts = self.sk.strip_prefix(WINDOW)?.split('#');
        let data_type = parts.next()?.parse().ok()?;
        let span = Span::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(WindowId {
            backfill,
            data_type,
            span: span.ok()?,
        })
    }

    /// Reads back the month of asked days.
    pub(crate) fn as_asked_month(&self) -> Option<Month> {
        let (_, month) = self.sk.strip_prefix(ASKED)?.split_once('#')?;
        month.parse().ok()
    }

    /// The partition of one shard of one day (`YYYY-MM-DD`) of webhooks in [`BY_TIME`].
    pub(crate) fn webhooks_of_day(day: &str, shard: u8) -> String {
        format!("WEBHOOKS#{day}#{shard}")
    }

    /// A destination.
    pub(crate) fn destination(id: &DestinationId) -> Self {
        let (pk, prefix) = Self::destinations();
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All destinations: their partition, and the prefix of the sort keys.
    pub(crate) fn destinations() -> (String, String) {
        ("DESTINATIONS".to_owned(), "DESTINATION#".to_owned())
    }

    /// Health of a destination.
    pub(crate) fn destination_health(id: &DestinationId) -> Self {
        Self {
            pk: Self::destination_pk(id),
            sk: "HEALTH".to_owned(),
        }
    }

    /// Partition of everything about one destination.
    pub(crate) fn destination_pk(id: &DestinationId) -> String {
        format!("DESTINATION#{id}")
    }

    /// An order for a destination.
    pub(crate) fn order(id: &DestinationId, order: &str) -> Self {
        Self {
            pk: Self::destination_pk(id),
            sk: format!("{ORDER}{order}"),
        }
    }

    /// An erasure at a destination.
    pub(crate) fn erasure(id: &DestinationId, erasure: &str) -> Self {
        Self {
            pk: Self::destination_pk(id),
            sk: format!("{ERASURE}{erasure}"),
        }
    }

    /// Partition of what is owed to one shard of a destination; also in [`BY_TIME`].
    pub(crate) fn owed_pk(id: &DestinationId, shard: u32) -> String {
        format!("OWED#{id}#{shard}")
    }

    /// An owed delivery. `subject` names what is owed.
    pub(crate) fn owed(id: &DestinationId, shard: u32, subject: &str) -> Self {
        Self {
            pk: Self::owed_pk(id, shard),
            sk: subject.to_owned(),
        }
    }

    /// Partition of what a destination refused for good.
    pub(crate) fn failed_pk(id: &DestinationId) -> String {
        format!("FAILED#{id}")
    }

    /// A delivery that a destination refused for good.
    pub(crate) fn failed(id: &DestinationId, subject: &str) -> Self {
        Self {
            pk: Self::failed_pk(id),
            sk: subject.to_owned(),
        }
    }

    /// Partition of a destination's attempts of one day (`YYYY-MM-DD`).
    pub(crate) fn attempts_pk(id: &DestinationId, day: &str) -> String {
        format!("ATTEMPTS#{id}#{day}")
    }

    /// An attempt at a delivery.
    pub(crate) fn attempt(id: &DestinationId, day: &str, place: &str) -> Self {
        Self {
            pk: Self::attempts_pk(id, day),
            sk: place.to_owned(),
        }
    }

    /// Partition of the records of an owner that were deleted and not announced yet.
    pub(crate) fn gone_pk(owner: &RecordOwner) -> String {
        format!("GONE#{}", Self::partition_of(owner))
    }

    /// Partition of the names of an owner's records that an erasure removes.
    pub(crate) fn erased_pk(erasure: &str, owner: &RecordOwner) -> String {
        format!("ERASED#{erasure}#{}", owner.name())
    }

    /// The name of a record that an erasure removes.
    pub(crate) fn erased(erasure: &str, owner: &RecordOwner, record: &Self) -> Self {
        Self {
            pk: Self::erased_pk(erasure, owner),
            sk: record.sk.clone(),
        }
    }

    /// The note of a deleted record.
    pub(crate) fn gone(owner: &RecordOwner, record: &Self) -> Self {
        Self {
            pk: Self::gone_pk(owner),
            sk: record.sk.clone(),
        }
    }

    /// A job.
    pub fn job(id: &str) -> Self {
        Self {
            pk: format!("JOB#{id}"),
            sk: "JOB".to_owned(),
        }
    }

    /// The tombstone under the keyed hash of a reference id.
    pub(crate) fn tombstone(tag: &str) -> Self {
        Self {
            pk: format!("TOMBSTONE#{tag}"),
            sk: "TOMBSTONE".to_owned(),
        }
    }

    /// The receipt of an erasure.
    pub(crate) fn receipt(id: &str) -> Self {
        let (pk, prefix) = Self::receipts();
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All receipts: their partition, and the prefix of the sort keys.
    pub(crate) fn receipts() -> (String, &'static str) {
        ("RECEIPTS".to_owned(), "RECEIPT#")
    }

    /// The end of the chain of receipts.
    pub(crate) fn receipts_end() -> Self {
        Self {
            pk: Self::receipts().0,
            sk: "END".to_owned(),
        }
    }

    /// Partition of the jobs in [`BY_TIME`]: the open ones, or the closed ones of a kind.
    pub(crate) fn jobs(closed: Option<JobKind>) -> String {
        match closed {
            None => "JOBS".to_owned(),
            Some(kind) => format!("JOBS#{}", kind.as_str()),
        }
    }

    /// A person.
    pub(crate) fn of_person(reference_id: &ReferenceId) -> Self {
        Self {
            pk: person_pk(Some(reference_id)),
            sk: "PERSON".to_owned(),
        }
    }

    /// Reads back the reference id of a person.
    pub(crate) fn as_person(&self) -> Option<ReferenceId> {
        let reference_id = self.pk.strip_prefix("PERSON#")?;
        (self.sk == "PERSON")
            .then(|| ReferenceId::new(reference_id))
            .flatten()
    }

    /// A key of the API.
    pub(crate) fn api_key(id: &KeyId) -> Self {
        let (pk, prefix) = Self::api_keys();
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All keys of the API: their partition, and the prefix of the sort keys.
    pub(crate) fn api_keys() -> (String, String) {
        ("KEYS".to_owned(), "KEY#".to_owned())
    }

    /// Result of a call that the caller may repeat. `hash` is that of the caller's own text.
    pub(crate) fn idempotency(caller: &str, hash: &str) -> Self {
        Self {
            pk: Self::calls_of(caller),
            sk: hash.to_owned(),
        }
    }

    /// End of the tokens of a person, by the hash of their reference id.
    pub(crate) fn tokens_of(hash: &str) -> Self {
        Self {
            pk: format!("TOKENS#{hash}"),
            sk: "ENDED".to_owned(),
        }
    }

    /// Partition of the calls of one caller.
    pub(crate) fn calls_of(caller: &str) -> String {
        format!("IDEMPOTENCY#{caller}")
    }

    /// A sign-in link of the console, by the hash of its token.
    pub(crate) fn sign_in(hash: &str) -> Self {
        Self {
            pk: format!("LOGIN#{hash}"),
            sk: "LOGIN".to_owned(),
        }
    }

    /// A session of the console, by the hash of its token.
    pub(crate) fn console_session(hash: &str) -> Self {
        let (pk, prefix) = Self::console_sessions();
        Self {
            pk: pk.to_owned(),
            sk: format!("{prefix}{hash}"),
        }
    }

    /// All sessions of the console: their partition, and the prefix of the sort keys.
    pub(crate) fn console_sessions() -> (&'static str, &'static str) {
        ("SESSIONS", SESSION)
    }

    /// Reads back the hash of the token of a session of the console.
    pub(crate) fn as_console_session(&self) -> Option<&str> {
        self.sk.strip_prefix(SESSION)
    }

    /// Partition of one shard of one day (`YYYY-MM-DD`) of the audit.
    pub(crate) fn audit_pk(day: &str, shard: u8) -> String {
        format!("AUDIT#{day}#{shard}")
    }

    /// Partition in [`BY_TIME`] of the lines of the audit that name an id, by its hash.
    pub(crate) fn audit_naming(hash: &str) -> String {
        format!("AUDIT_OF#{hash}")
    }

    /// A line of the audit.
    pub(crate) fn audit(day: &str, shard: u8, place: &str) -> Self {
        Self {
            pk: Self::audit_pk(day, shard),
            sk: place.to_owned(),
        }
    }

    /// The partition key.
    pub(crate) fn pk(&self) -> &str {
        &self.pk
    }

    /// The sort key.
    pub(crate) fn sk(&self) -> &str {
        &self.sk
    }

    /// Reads back the data type and natural key of a record.
    pub(crate) fn as_record(&self) -> Option<(DataType, NaturalKey)> {
        let (data_type, natural) = self.sk.split_once('#')?;
        let natural = natural
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        Some((data_type.parse().ok()?, natural))
    }

    /// Reads back the id of a connection.
    pub(crate) fn as_connection(&self) -> Option<ConnectionId> {
        let id = self.pk.strip_prefix("CONNECTION#")?;
        (self.sk == "CONNECTION").then(|| id.parse().ok()).flatten()
    }

    /// Reads back the connection of a person's item.
    pub(crate) fn as_person_connection(&self) -> Option<ConnectionId> {
        self.sk.strip_prefix("CONNECTION#")?.parse().ok()
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
