//! Plans of the changes that an event asks for. All rules of routing live here.
//!
//! A plan holds *fragments*: states that know only what this one event says. Whoever applies it
//! joins them with what is stored, so a plan needs no knowledge of the table and may be applied any
//! number of times.

use std::collections::{BTreeMap, BTreeSet};

use models::{
    data::DataType,
    event::{Event, EventError, EventType, RecordSlice, TerraUser},
    headers::TerraHeaders,
    ids::{ReferenceId, TerraUserId, WebhookId, hex},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Join,
    connection::{Connection, Member, ReferenceMark, Status},
    extent::{Extent, Extents},
    history::{backfill::DONE_EVENT, day},
    key::{NaturalKey, Unkeyed},
    message::LostPayload,
    request::Request,
    session::{Session, Sighting, groups},
    summary::{Found, summarise},
    version::{Register, Version},
};

/// Changes that one event asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Fragment of the connection.
    pub connection: Option<Connection>,
    /// Owner of the records. Absent when there is none to store.
    pub owner: Option<Owner>,
    /// The records, in the order of `data`.
    pub records: Vec<PlannedRecord>,
    /// Fragment of a request to Terra.
    pub request: Option<PlannedRequest>,
    /// User who has just connected: the past is to be fetched.
    pub connected: Option<TerraUserId>,
    /// Payload that could not be fetched: its days are to be asked for again.
    pub lost: Option<LostPayload>,
    /// Parts that could not be used, with the reasons.
    pub parked: Vec<Parked>,
}

/// Owner of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The connection that this Terra user belongs to.
    TerraUser(TerraUserId),
    /// A person without a connection: lab reports name a reference id at most.
    Person(Option<ReferenceId>),
}

/// One record to store.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRecord {
    /// Position in `data`.
    pub index: usize,
    /// Type of the record.
    pub data_type: DataType,
    /// Its key within its owner.
    pub key: NaturalKey,
    /// Its place in the order of deliveries.
    pub version: Version,
    /// Its numbers.
    pub found: Found,
    /// True if a later record of the same delivery has the same key and other content.
    pub shadowed: bool,
}

/// Progress of a large request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRequest {
    /// The reference without chunk number.
    pub reference: String,
    /// Fragment of the request's state.
    pub request: Request,
    /// Every webhook carries a reference. One that is no marked chunk counts only where the
    /// request is known already: one that comes before its `large_request_…` events is stored, but
    /// the request then ends short. Both header forms that Terra documents mark their chunks.
    pub only_if_known: bool,
}

/// Something put aside on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The record in `data`; absent when it is the webhook as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Reason for parking it.
    pub reason: ParkReason,
}

/// Reason why something cannot be used now. It is archived, counted, listed and acknowledged.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The body is not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The body is JSON but no object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The event has no type.
    #[error("the event has no type")]
    NoType,
    /// Nobody knows this type of event.
    #[error("the event type is unknown")]
    UnknownType,
    /// The event names no user, or one without id.
    #[error("the event names no Terra user")]
    NoUser,
    /// `data` is neither array, object nor null.
    #[error("data is neither an array nor an object")]
    UnreadableData,
    /// A data event has neither `data` nor `athlete`.
    #[error("the event has no data")]
    NoData,
    /// A record is no object, or nested beyond reading.
    #[error("the record is not a readable object")]
    UnreadableRecord,
    /// A lab report of another person than the first report of the same event.
    #[error("the event holds reports of several people")]
    SeveralPeople,
    /// A record has no `start_time`.
    #[error("the record has no start_time")]
    NoStartTime,
    /// A record's `start_time` is no date.
    #[error("the record's start_time does not begin with a date")]
    NoDate,
    /// A hormone sample has no `timestamp`.
    #[error("the record has no timestamp")]
    NoTimestamp,
    /// A lab report has no `session_id`.
    #[error("the report has no session_id")]
    NoSessionId,
    /// A record has neither `summary_id` nor a fallback.
    #[error("the record has neither a summary_id nor the times that stand in for it")]
    NoSummaryId,
    /// A ping without a usable address.
    #[error("the ping has no url")]
    NoUrl,
    /// A ping to a host that is not allowed.
    #[error("the ping's host is not allowed")]
    HostNotAllowed,
    /// A ping whose payload was gone.
    #[error("the ping's payload had expired or was refused")]
    PayloadExpired,
    /// A ping whose payload is beyond the bound.
    #[error("the ping's payload is too large")]
    PayloadTooLarge,
    /// A compressed body that cannot be unpacked, or whose text is beyond the bound.
    #[error("the body is gzip that cannot be unpacked within the bound")]
    UnreadableGzip,
    /// A stored item that the webhook would change cannot be read.
    #[error("an item in the table that the webhook would change cannot be read")]
    CorruptItem,
    /// A connection had more Terra user ids than an item takes.
    #[error("the connection had more Terra user ids than can be kept")]
    TooManyIds,
    /// The records could not be cut out of the body.
    #[error("the records cannot be cut out of the body")]
    UncuttableRecords,
    /// The archive holds bytes that it did not write.
    #[error("the archive holds what it did not write")]
    CorruptArchive,
    /// The erasure of the person has been ordered and can still be taken back.
    #[error("the person's erasure waits and can still be taken back")]
    ErasureWaits,
    /// A ping inside a ping's payload.
    #[error("the ping's payload is a ping again")]
    NestedPing,
}

impl ParkReason {
    /// Returns whether the fault is ours, not the webhook's: somebody has to look.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::CorruptItem | Self::TooManyIds | Self::UncuttableRecords | Self::CorruptArchive
        )
    }

    /// Returns whether a ping's payload could not be had for this reason.
    pub fn is_lost_payload(self) -> bool {
        matches!(
            self,
            Self::NoUrl | Self::HostNotAllowed | Self::PayloadExpired | Self::PayloadTooLarge
        )
    }
}

impl From<&EventError> for ParkReason {
    fn from(error: &EventError) -> Self {
        match error {
            EventError::NotUtf8 { .. } => Self::NotUtf8,
            EventError::NotJson { .. } => Self::NotJson,
            EventError::NotAnObject => Self::NotAnObject,
            EventError::NoType => Self::NoType,
        }
    }
}

impl From<Unkeyed> for ParkReason {
    fn from(unkeyed: Unkeyed) -> Self {
        match unkeyed {
            Unkeyed::NoStartTime => Self::NoStartTime,
            Unkeyed::NoDate => Self::NoDate,
            Unkeyed::NoTimestamp => Self::NoTimestamp,
            Unkeyed::NoSessionId => Self::NoSessionId,
            Unkeyed::NoSummaryId => Self::NoSummaryId,
        }
    }
}

impl Plan {
    /// Nothing but one reason why the webhook as a whole cannot be used.
    pub fn parked(reason: ParkReason) -> Self {
        Self {
            parked: vec![Parked {
                index: None,
                reason,
            }],
            ..Self::default()
        }
    }
}

/// Decides what a ping changes whose payload cannot be had.
pub fn lost_payload(
    event: &Event<'_>,
    headers: &TerraHeaders,
    reason: ParkReason,
    offered_at_ms: i64,
) -> Plan {
    let user = event.user.as_ref();
    Plan {
        lost: Some(LostPayload {
            terra_user_id: user.and_then(|user| user.user_id.clone()),
            reference_id: user.and_then(|user| user.reference_id.clone()),
            reference: headers.chunk().map(|chunk| request_name(chunk.request)),
            offered_at_ms,
        }),
        ..Plan::parked(reason)
    }
}

/// The Terra user ids an event speaks of: user, then both sides of a reauthentication.
pub fn terra_user_ids(event: &Event<'_>) -> Vec<TerraUserId> {
    [&event.user, &event.old_user, &event.new_user]
        .into_iter()
        .flatten()
        .filter_map(|user| user.user_id.clone())
        .collect()
}

/// Decides what `event` changes.
///
/// `ordering_ts_ms` is [`crate::version::ordering_timestamp_ms`]. Pings are not planned: the router
/// follows them first.
pub fn plan(
    event: &Event<'_>,
    webhook_id: &WebhookId,
    headers: &TerraHeaders,
    ordering_ts_ms: i64,
) -> Plan {
    let version = Version::of(webhook_id, ordering_ts_ms);
    match &event.event_type {
        EventType::Data(DataType::LabReport) | EventType::LabReportFailed => {
            plan_lab_report(event, &version)
        }
        EventType::Data(data_type) => plan_data(event, *data_type, headers, &version),
        EventType::Auth if event.status.as_deref() == Some("error") => Plan::default(),
        EventType::Auth => plan_life(event, Status::Active, &version),
        EventType::Deauth | EventType::AccessRevoked => plan_life(event, Status::Ended, &version),
        EventType::ConnectionError => plan_life(event, Status::Failing, &version),
        EventType::UserReauth => plan_reauth(event, &version),
        EventType::PermissionChange => plan_permissions(event, &version),
        EventType::GoogleNoDatasource | EventType::Processing | EventType::RateLimitHit => {
            plan_note(event, &version)
        }
        EventType::LargeRequestProcessing | EventType::LargeRequestSending => {
            plan_request(event, headers, &version)
        }
        EventType::AuthCancelled | EventType::Healthcheck => Plan::default(),
        EventType::S3Payload => Plan::parked(ParkReason::NestedPing),
        // Our own word, not Terra's: it stands in the ledger and changes nothing.
        EventType::Other(name) if name == DONE_EVENT && webhook_id.is_fetched() => Plan::default(),
        EventType::Other(_) => Plan::parked(ParkReason::UnknownType),
    }
}

fn plan_data(
    event: &Event<'_>,
    data_type: DataType,
    headers: &TerraHeaders,
    version: &Version,
) -> Plan {
    let Some((id, user)) = identified(event.user.as_ref()) else {
        return Plan::parked(ParkReason::NoUser);
    };
    let passing = Version::in_passing(version.ordering_ts_ms);
    let minute = passing.ordering_ts_ms;
    let request = chunk(event, headers, id, version);
    let mut member = attributes(user, &passing);
    // Data that Terra was asked for do not show that the connection brings any by itself.
    if !WebhookId::new(&version.webhook_id).is_some_and(|id| id.is_fetched()) {
        member.known_since_ms = Some(minute);
        match &request {
            None => member.data_at_ms = Some(minute),
            Some(request) if request.only_if_known => {
                let marks = BTreeSet::from([ReferenceMark::of(&request.reference)]);
                member.unsure = BTreeMap::from([(minute, marks)]);
            }
            Some(request) => member.requests = known_request(request, &passing),
        }
    }
    let mut plan = Plan {
        connection: Some(Connection::of_member(id.clone(), member)),
        owner: Some(Owner::TerraUser(id.clone())),
        request,
        ..Plan::default()
    };
    plan.parked.extend(unusable_data(event));
    for (index, record) in event.records.iter().enumerate() {
        match plan_record(data_type, index, record, version) {
            Ok(record) => plan.records.push(record),
            Err(reason) => plan.parked.push(Parked {
                index: Some(index),
                reason,
            }),
        }
    }
    mark_shadowed(&mut plan.records, event);
    if let Some(connection) = &mut plan.connection {
        connection.types = extents(&plan.records);
    }
    plan
}

/// First and last day of records, by type, by the dates under which the store lists them.
fn extents(records: &[PlannedRecord]) -> Extents {
    let mut extents = Extents::new();
    for PlannedRecord {
        data_type,
        key,
        found,
        ..
    } in records
    {
        let identity = &found.identity;
        let begin = identity.start_time.as_ref().or(identity.timestamp.as_ref());
        if let Some(day) = day::of_record(key, begin.map(String::as_str)) {
            let day = Extent::of_day(day);
            let known = extents.entry(*data_type).or_insert(day);
            *known = known.join(day);
        }
    }
    extents
}

/// Marks records that a later record of the delivery replaces: same key, or one of two keys without id
/// for the same session, and other content.
fn mark_shadowed(records: &mut [PlannedRecord], event: &Event<'_>) {
    let mut last = BTreeMap::new();
    for record in records.iter_mut().rev() {
        let json = event.records.get(record.index).map(|slice| slice.json);
        let winner = *last.entry(record.key.clone()).or_insert(json);
        record.shadowed = winner != json;
    }
    let sightings = records.iter().filter_map(|record| {
        let session = Session::of(record.data_type, &record.found.identity)?;
        let key = record.key.clone();
        Some(Sighting { session, key })
    });
    let sightings: BTreeSet<_> = sightings.collect();
    let mut homes = BTreeMap::new();
    for group in groups(&sightings, sightings.iter().map(|one| &one.key)) {
        let keys = group.keys();
        homes.extend(keys.map(|key| (key.clone(), group.home_of(key).clone())));
    }
    let mut last = BTreeMap::new();
    for record in records.iter_mut().rev() {
        if let Some(home) = homes.get(&record.key) {
            let winner = last.entry(home).or_insert_with(|| record.key.clone());
            record.shadowed |= *winner != record.key;
        }
    }
}

fn plan_record(
    data_type: DataType,
    index: usize,
    record: &RecordSlice<'_>,
    version: &Version,
) -> Result<PlannedRecord, ParkReason> {
    if !record.json.starts_with('{') {
        return Err(ParkReason::UnreadableRecord);
    }
    let found =
        summarise(data_type, record.json.as_bytes()).map_err(|_| ParkReason::UnreadableRecord)?;
    let key = NaturalKey::of(data_type, &found.identity, record.json)?;
    Ok(PlannedRecord {
        index,
        data_type,
        key,
        version: version.at(index),
        found,
        shadowed: false,
    })
}

/// Lab reports have no user: they belong to a person, all of one event to the same. Of two deliveries of one session the newer
/// `occurred_at` wins (FACTS section 11).
fn plan_lab_report(event: &Event<'_>, version: &Version) -> Plan {
    let occurred_at = event
        .occurred_at
        .as_deref()
        .and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let version = Version {
        ordering_ts_ms: occurred_at.map_or(version.ordering_ts_ms, |at| {
            at.as_millisecond().min(version.ordering_ts_ms)
        }),
        ..version.clone()
    };
    let mut plan = Plan::default();
    plan.parked.extend(unusable_data(event));
    if event.records.is_empty() && plan.parked.is_empty() {
        return Plan::parked(ParkReason::NoSessionId);
    }
    for (index, report) in event.records.iter().enumerate() {
        let planned =
            plan_record(DataType::LabReport, index, report, &version).and_then(|record| {
                let reference_id = record.found.identity.reference_id.as_deref();
                let owner = Owner::Person(reference_id.and_then(ReferenceId::new));
                if *plan.owner.get_or_insert_with(|| owner.clone()) == owner {
                    Ok(record)
                } else {
                    Err(ParkReason::SeveralPeople)
                }
            });
        match planned {
            Ok(record) => plan.records.push(record),
            Err(reason) => plan.parked.push(Parked {
                index: Some(index),
                reason,
            }),
        }
    }
    plan
}

/// Returns the reason why `data` as a whole brings no records.
fn unusable_data(event: &Event<'_>) -> Option<Parked> {
    let reason = match (event.has_data, event.unreadable_data) {
        (_, true) => ParkReason::UnreadableData,
        (false, false) => ParkReason::NoData,
        (true, false) => return None,
    };
    Some(Parked {
        index: None,
        reason,
    })
}

fn plan_life(event: &Event<'_>, status: Status, version: &Version) -> Plan {
    let Some((id, user)) = identified(event.user.as_ref()) else {
        return Plan::parked(ParkReason::NoUser);
    };
    let life = Some(Register {
        value: status,
        version: version.clone(),
    });
    let member = Member {
        life,
        ..attributes(user, version)
    };
    Plan {
        connection: Some(Connection::of_member(id.clone(), member)),
        connected: (status == Status::Active).then(|| id.clone()),
        ..Plan::default()
    }
}

/// The new user takes the old one's place. Without an old one nothing can be swapped and the event
/// is a plain `auth` (FACTS section 14 row 19).
fn plan_reauth(event: &Event<'_>, version: &Version) -> Plan {
    let new = identified(event.new_user.as_ref()).or_else(|| identified(event.user.as_ref()));
    let Some((new_id, new_user)) = new else {
        return Plan::parked(ParkReason::NoUser);
    };
    let life = Some(Register {
        value: Status::Active,
        version: version.clone(),
    });
    let mut member = Member {
        life,
        ..attributes(new_user, version)
    };
    let mut connection = Connection::default();
    if let Some((old_id, old_user)) =
        identified(event.old_user.as_ref()).filter(|(id, _)| *id != new_id)
    {
        member.replaces = BTreeSet::from([old_id.clone()]);
        connection = Connection::of_member(old_id.clone(), attributes(old_user, version));
    }
    let connection = connection.join(Connection::of_member(new_id.clone(), member));
    Plan {
        connection: Some(connection),
        connected: Some(new_id.clone()),
        ..Plan::default()
    }
}

/// `user.scopes` is the new whole and counts where it is there; else the differences do (FACTS section
/// 10). They are kept in both cases: they tell when a permission was withdrawn.
fn plan_permissions(event: &Event<'_>, version: &Version) -> Plan {
    let Some((id, user)) = identified(event.user.as_ref()) else {
        return Plan::parked(ParkReason::NoUser);
    };
    let mut member = attributes(user, version);
    let changes = [(&event.scopes_added, true), (&event.scopes_removed, false)];
    member.scope_changes = changes
        .into_iter()
        .filter_map(|(scopes, granted)| Some((scopes.as_ref()?, granted)))
        .flat_map(|(scopes, granted)| {
            let change = Register {
                value: granted,
                version: version.clone(),
            };
            scopes
                .0
                .iter()
                .map(move |scope| (scope.clone(), change.clone()))
        })
        .collect::<BTreeMap<_, _>>();
    Plan {
        connection: Some(Connection::of_member(id.clone(), member)),
        ..Plan::default()
    }
}

/// Some of these come without a user; then there is nothing to note it on.
fn plan_note(event: &Event<'_>, version: &Version) -> Plan {
    let Some((id, user)) = identified(event.user.as_ref()) else {
        return Plan::default();
    };
    let note = Register {
        value: event.event_type.as_str().to_owned(),
        version: version.clone(),
    };
    let member = Member {
        note: Some(note),
        ..attributes(user, version)
    };
    Plan {
        connection: Some(Connection::of_member(id.clone(), member)),
        ..Plan::default()
    }
}

fn plan_request(event: &Event<'_>, headers: &TerraHeaders, version: &Version) -> Plan {
    let user = identified(event.user.as_ref());
    let of_headers = headers.chunk().map(|chunk| chunk.request);
    let reference = event.reference.as_deref().or(of_headers);
    let request = reference.map(|reference| PlannedRequest {
        reference: request_name(reference),
        request: Request {
            expected_chunks: event.expected_payloads,
            chunks: BTreeSet::new(),
            has_records: false,
            terra_user_id: user.map(|(id, _)| id.clone()),
            last_seen_ms: version.ordering_ts_ms,
        },
        only_if_known: false,
    });
    let passing = Version::in_passing(version.ordering_ts_ms);
    let connection = user.map(|(id, user)| {
        let requests = request.as_ref();
        let member = Member {
            requests: requests
                .map(|request| known_request(request, &passing))
                .unwrap_or_default(),
            ..attributes(user, &passing)
        };
        Connection::of_member(id.clone(), member)
    });
    Plan {
        connection,
        request,
        ..Plan::default()
    }
}

/// Returns the part of a request that a connection keeps: data under its reference are no sign of life.
fn known_request(request: &PlannedRequest, passing: &Version) -> BTreeMap<ReferenceMark, i64> {
    let mark = ReferenceMark::of(&request.reference);
    BTreeMap::from([(mark, passing.ordering_ts_ms)])
}

/// The request that a data webhook answers, if it may answer one.
fn chunk(
    event: &Event<'_>,
    headers: &TerraHeaders,
    id: &TerraUserId,
    version: &Version,
) -> Option<PlannedRequest> {
    let chunk = headers.chunk()?;
    let name = chunk.number.map_or_else(
        || {
            let mut hash = hex(&Sha256::digest(&version.webhook_id));
            hash.truncate(16);
            hash
        },
        |number| number.trim_start_matches('0').to_owned(),
    );
    Some(PlannedRequest {
        reference: request_name(chunk.request),
        request: Request {
            expected_chunks: None,
            // The empty text is chunk 0; DynamoDB keeps no empty member in a set.
            chunks: BTreeSet::from([if name.is_empty() {
                "0".to_owned()
            } else {
                name
            }]),
            has_records: !event.records.is_empty(),
            terra_user_id: Some(id.clone()),
            last_seen_ms: version.ordering_ts_ms,
        },
        only_if_known: chunk.number.is_none(),
    })
}

/// Longest reference used as a key as it is; DynamoDB takes 2048 bytes.
const MAX_REFERENCE_BYTES: usize = 512;

/// A reference without its chunk number; one too long for a key by its hash.
/// Returns the name of the request that a reference belongs to: without its chunk number.
pub fn request_name(reference: &str) -> String {
    let name = reference.split(':').next().unwrap_or(reference);
    if name.len() <= MAX_REFERENCE_BYTES {
        name.to_owned()
    } else {
        hex(&Sha256::digest(name))
    }
}

fn identified(user: Option<&TerraUser>) -> Option<(&TerraUserId, &TerraUser)> {
    let user = user?;
    Some((user.user_id.as_ref()?, user))
}

/// Returns the attributes of a user object besides its id.
pub(crate) fn attributes(user: &TerraUser, version: &Version) -> Member {
    let version = || version.clone();
    Member {
        provider: user.provider.clone().map(|value| Register {
            value,
            version: version(),
        }),
        reference_id: user.reference_id.clone().map(|value| Register {
            value,
            version: version(),
        }),
        scopes: user
            .scopes
            .as_ref()
            .map(|scopes| Connection::scopes_register(scopes, &version())),
        ..Member::default()
    }
}

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod tests;
