//! The envelope of a webhook: what kind of event it is, whose, and where its records lie.
//!
//! The body is scanned once and never turned into a tree: each element of `data` is available as
//! the exact slice of text it was.

use std::{collections::BTreeSet, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId},
    lenient::Lossy,
    mend::mended,
};

/// The discriminator of an event (FACTS section 8). An open set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// Records of one data type, or one profile for `athlete`.
    Data(DataType),
    /// `lab_report.failed`.
    LabReportFailed,
    /// A person connected a provider; with status `error` the old form of a failure.
    Auth,
    /// Authentication failed or was broken off.
    AuthCancelled,
    /// The connection was ended through the API.
    Deauth,
    /// The person came back under a new Terra user id.
    UserReauth,
    /// The person revoked access at the provider.
    AccessRevoked,
    /// The provider refuses; may recover.
    ConnectionError,
    /// Granted scopes changed.
    PermissionChange,
    /// A Google account without data source.
    GoogleNoDatasource,
    /// The provider prepares data; they follow by themselves.
    Processing,
    /// The provider's limit was reached; Terra retries by itself.
    RateLimitHit,
    /// A large request was accepted (former name `request_processing`).
    LargeRequestProcessing,
    /// A large request is about to be delivered (former name `request_completed`).
    LargeRequestSending,
    /// Terra's own health.
    Healthcheck,
    /// The payload waits under a presigned URL (`s3_payload`, also called `s3_upload`).
    S3Payload,
    /// Anything else, under its own name: kept raw and counted.
    Other(String),
}

/// Longest name of an unknown event that is kept.
const MAX_TYPE_CHARS: usize = 64;

impl EventType {
    /// Reads a `type`. Hyphens count as underscores and former names are known
    /// (FACTS section 5, last rule).
    pub fn parse(text: &str) -> Self {
        let name = text.trim().replace('-', "_");
        match name.as_str() {
            "lab_report.completed" => Self::Data(DataType::LabReport),
            "lab_report.failed" => Self::LabReportFailed,
            "auth" => Self::Auth,
            "auth_cancelled" => Self::AuthCancelled,
            "deauth" => Self::Deauth,
            "user_reauth" => Self::UserReauth,
            "access_revoked" => Self::AccessRevoked,
            "connection_error" => Self::ConnectionError,
            "permission_change" => Self::PermissionChange,
            "google_no_datasource" => Self::GoogleNoDatasource,
            "processing" => Self::Processing,
            "rate_limit_hit" => Self::RateLimitHit,
            "large_request_processing" | "request_processing" => Self::LargeRequestProcessing,
            "large_request_sending" | "request_completed" => Self::LargeRequestSending,
            "healthcheck" => Self::Healthcheck,
            "s3_payload" | "s3_upload" => Self::S3Payload,
            other => match other.parse::<DataType>() {
                Ok(data_type) if data_type != DataType::LabReport => Self::Data(data_type),
                _ => Self::Other(other.chars().take(MAX_TYPE_CHARS).collect()),
            },
        }
    }

    /// Terra's name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Data(DataType::LabReport) => "lab_report.completed",
            Self::Data(data_type) => data_type.as_str(),
            Self::LabReportFailed => "lab_report.failed",
            Self::Auth => "auth",
            Self::AuthCancelled => "auth_cancelled",
            Self::Deauth => "deauth",
            Self::UserReauth => "user_reauth",
            Self::AccessRevoked => "access_revoked",
            Self::ConnectionError => "connection_error",
            Self::PermissionChange => "permission_change",
            Self::GoogleNoDatasource => "google_no_datasource",
            Self::Processing => "processing",
            Self::RateLimitHit => "rate_limit_hit",
            Self::LargeRequestProcessing => "large_request_processing",
            Self::LargeRequestSending => "large_request_sending",
            Self::Healthcheck => "healthcheck",
            Self::S3Payload => "s3_payload",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Longest text taken for a scope.
const MAX_SCOPE_BYTES: usize = 128;
/// Most scopes of one connection.
const MAX_SCOPES: usize = 100;

/// Granted permissions: a comma-separated string on the wire, a set inside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(pub BTreeSet<String>);

impl Scopes {
    /// Splits on commas, and on blanks only when there is no comma (FACTS section 10).
    pub fn parse(text: &str) -> Self {
        let pieces: Box<dyn Iterator<Item = &str>> = if text.contains(',') {
            Box::new(text.split(','))
        } else {
            Box::new(text.split_whitespace())
        };
        Self::of(pieces.map(str::trim))
    }

    /// Texts that are no scope of anybody's, by length or by number, are left out: the set travels
    /// with its connection, which has to fit an item. The archive keeps them.
    fn of<'a>(scopes: impl Iterator<Item = &'a str>) -> Self {
        let sound = scopes.filter(|scope| (1..=MAX_SCOPE_BYTES).contains(&scope.len()));
        Self(sound.take(MAX_SCOPES).map(str::to_owned).collect())
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::parse(text)),
            Value::Array(items) => Some(Self::of(items.iter().filter_map(Value::as_str))),
            _ => None,
        }
    }
}

/// `user`, `old_user` or `new_user` of an event (schema `TerraUser`). Everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerraUser {
    /// Terra's id; absent when missing or empty.
    pub user_id: Option<TerraUserId>,
    /// The provider.
    pub provider: Option<Provider>,
    /// The app's own id for the person; null and the empty string both mean none.
    pub reference_id: Option<ReferenceId>,
    /// All granted scopes; absent when unknown.
    pub scopes: Option<Scopes>,
    /// `false`: no more deliveries.
    pub active: Option<bool>,
}

impl TerraUser {
    fn from_map(map: &Map<String, Value>) -> Self {
        let text = |name: &str| map.get(name).and_then(Value::as_str);
        Self {
            user_id: text("user_id").and_then(TerraUserId::new),
            provider: text("provider").and_then(Provider::new),
            reference_id: map.get("reference_id").and_then(ReferenceId::from_json),
            scopes: map.get("scopes").and_then(Scopes::from_value),
            active: map.get("active").and_then(|value| match value {
                Value::Bool(active) => Some(*active),
                Value::String(text) => text.parse().ok(),
                _ => None,
            }),
        }
    }

    fn with_id(id: &str) -> Self {
        Self {
            user_id: TerraUserId::new(id),
            ..Self::default()
        }
    }
}

/// One element of `data`, or the one object of an event that has no array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSlice<'a> {
    /// The exact text.
    pub json: &'a str,
    /// Position of the record in the body.
    pub range: Range<usize>,
}

/// An event with its records still unread.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Type of the event.
    pub event_type: EventType,
    /// `status` in Terra's word: success, warning, processing, error, `not_available`, or others.
    pub status: Option<String>,
    /// Terra user that the event is about. A ping may name one by its ids alone. Absent on healthchecks,
    /// cancelled authentications and lab reports.
    pub user: Option<TerraUser>,
    /// The replaced side of `user_reauth`; nullable.
    pub old_user: Option<TerraUser>,
    /// The new side of `user_reauth`.
    pub new_user: Option<TerraUser>,
    /// `reference` of large request events.
    pub reference: Option<String>,
    /// Number of data webhooks that follow `large_request_sending`.
    pub expected_payloads: Option<u64>,
    /// `permission_change`: what was added.
    pub scopes_added: Option<Scopes>,
    /// `permission_change`: what was taken away.
    pub scopes_removed: Option<Scopes>,
    /// `s3_payload`: where the payload waits. A secret: whoever has it can read the payload.
    pub url: Option<String>,
    /// `s3_payload`: how long it waits. Unit: seconds.
    pub expires_in_s: Option<u64>,
    /// Lab reports: when Terra made the event, as sent.
    pub occurred_at: Option<String>,
    /// The records, in the order of the array.
    pub records: Vec<RecordSlice<'a>>,
    /// True if the event has `data`, or `athlete` in an event of that type; null counts.
    pub has_data: bool,
    /// `data` was there but was neither an array nor an object nor null.
    pub unreadable_data: bool,
}

/// A signed body that is no event. Says the shape, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not text.
    #[error("the body is not UTF-8 from byte {valid_up_to} on")]
    NotUtf8 {
        /// Bytes before the first bad one.
        valid_up_to: usize,
    },
    /// Not JSON, or broken off.
    #[error("the body is not JSON at line {line}, column {column}")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body is JSON but not an object")]
    NotAnObject,
    /// No `type`, or one that is no string.
    #[error("the event has no type")]
    NoType,
}

const BYTE_ORDER_MARK: &str = "\u{feff}";

impl<'a> Event<'a> {
    /// Splits a body.
    ///
    /// Tolerates a byte order mark, repeated keys (the last counts), `data` as a single object or
    /// null, and every missing field but `type`.
    ///
    /// # Errors
    ///
    /// [`EventError`] when there is no event in it.
    pub fn parse(body: &'a [u8]) -> Result<Self, EventError> {
        let text = str::from_utf8(body).map_err(|error| EventError::NotUtf8 {
            valid_up_to: error.valid_up_to(),
        })?;
        let json = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let start = text.len() - json.len();
        if !json.trim_start().starts_with('{') {
            return Err(match serde_json::from_str::<IgnoredAny>(json) {
                Ok(_) => EventError::NotAnObject,
                Err(error) => not_json(&error),
            });
        }
        // `data` is nearly always an array: read its elements in the same pass. Where it is
        // something else, a second pass takes it whole.
        let envelope = serde_json::from_str::<Envelope<'a, ArrayElements<'a>>>(json)
            .map(Envelope::into_records)
            .or_else(|_| {
                serde_json::from_str::<Envelope<'a, WholeData<'a>>>(json)
                    .map(Envelope::into_records)
            })
            .map_err(|error| not_json(&error))?;
        envelope.into_event(json, start)
    }
}

/// Longest body that is looked at by [`may_be_ping`]. A presigned URL has one to two kilobytes.
const MAX_PING_BYTES: usize = 16 * 1024;

/// Returns whether a body looks like a ping, without parsing it.
///
/// A guess that only chooses the queue: a body that was guessed wrong is handled all the same, sooner or
/// later than it might be.
///
/// ```
/// use models::event::may_be_ping;
///
/// assert!(may_be_ping(br#"{"type":"s3_payload","url":"https://..."}"#));
/// assert!(!may_be_ping(br#"{"type":"daily","data":[]}"#));
/// ```
pub fn may_be_ping(body: &[u8]) -> bool {
    let names = |name: &[u8]| body.windows(name.len()).any(|part| part == name);
    body.len() <= MAX_PING_BYTES && (names(b"\"s3_payload\"") || names(b"\"s3_upload\""))
}

fn not_json(error: &serde_json::Error) -> EventError {
    EventError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

/// The keys of an envelope that mean something, each as raw text.
struct Envelope<'a, D> {
    fields: Fields<'a>,
    data: Option<D>,
}

#[derive(Default)]
struct Fields<'a> {
    event_type: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    user: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    reference_id: Option<&'a RawValue>,
    old_user: Option<&'a RawValue>,
    new_user: Option<&'a RawValue>,
    old_user_id: Option<&'a RawValue>,
    new_user_id: Option<&'a RawValue>,
    reference: Option<&'a RawValue>,
    expected_payloads: Option<&'a RawValue>,
    scopes_added: Option<&'a RawValue>,
    scopes_removed: Option<&'a RawValue>,
    url: Option<&'a RawValue>,
    expires_in: Option<&'a RawValue>,
    occurred_at: Option<&'a RawValue>,
    athlete: Option<&'a RawValue>,
}

trait Data<'a> {
    fn into_records(self) -> (Vec<&'a RawValue>, bool);
}

/// `data` read element by element; fails when it is not an array.
struct ArrayElements<'a>(Vec<&'a RawValue>);

impl<'a> Data<'a> for ArrayElements<'a> {
    fn into_records(self) -> (Vec<&'a RawValue>, bool) {
        (self.0, false)
    }
}

impl<'de> Deserialize<'de> for ArrayElements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = ArrayElements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut elements: A,
            ) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(element) = elements.next_element::<&'de RawValue>()? {
                    found.push(element);
                }
                Ok(ArrayElements(found))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

/// `data` of any form.
struct WholeData<'a>(&'a RawValue);

impl<'a> Data<'a> for WholeData<'a> {
    fn into_records(self) -> (Vec<&'a RawValue>, bool) {
        match self.0.get().as_bytes().first() {
            Some(b'{') => (vec![self.0], false),
            Some(b'[') => match serde_json::from_str::<ArrayElements<'a>>(self.0.get()) {
                Ok(elements) => elements.into_records(),
                Err(_) => (Vec::new(), true),
            },
            Some(b'n') => (Vec::new(), false),
            _ => (Vec::new(), true),
        }
    }
}

impl<'de> Deserialize<'de> for WholeData<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self)
    }
}

impl<'de, D: Deserialize<'de>> Deserialize<'de> for Envelope<'de, D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        struct Keys<D>(std::marker::PhantomData<D>);
        impl<'de, D: Deserialize<'de>> Visitor<'de> for Keys<D> {
            type Value = Envelope<'de, D>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                let mut data = None;
                while let Some(Lossy(key)) = map.next_key()? {
                    let slot = match &*key {
                        "data" => {
                            data = Some(map.next_value()?);
                            continue;
                        }
                        "type" => &mut fields.event_type,
                        "status" => &mut fields.status,
                        "user" => &mut fields.user,
                        "user_id" => &mut fields.user_id,
                        "reference_id" => &mut fields.reference_id,
                        "old_user" => &mut fields.old_user,
                        "new_user" => &mut fields.new_user,
                        "old_user_id" => &mut fields.old_user_id,
                        "new_user_id" => &mut fields.new_user_id,
                        "reference" => &mut fields.reference,
                        "expected_payloads" => &mut fields.expected_payloads,
                        "scopes_added" => &mut fields.scopes_added,
                        "scopes_removed" => &mut fields.scopes_removed,
                        "url" => &mut fields.url,
                        "expires_in" => &mut fields.expires_in,
                        "occurred_at" => &mut fields.occurred_at,
                        "athlete" => &mut fields.athlete,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *slot = Some(map.next_value()?);
                }
                Ok(Envelope { fields, data })
            }
        }
        deserializer.deserialize_map(Keys(std::marker::PhantomData))
    }
}

/// An envelope whose `data` has been taken apart.
struct Split<'a> {
    fields: Fields<'a>,
    records: Vec<&'a RawValue>,
    has_data: bool,
    unreadable_data: bool,
}

impl<'a, D: Data<'a>> Envelope<'a, D> {
    fn into_records(self) -> Split<'a> {
        let has_data = self.data.is_some();
        let (records, unreadable_data) = self.data.map(D::into_records).unwrap_or_default();
        Split {
            fields: self.fields,
            records,
            has_data,
            unreadable_data,
        }
    }
}

impl<'a> Split<'a> {
    fn into_event(self, json: &'a str, start: usize) -> Result<Event<'a>, EventError> {
        let Self {
            fields,
            mut records,
            mut has_data,
            mut unreadable_data,
        } = self;
        let event_type = text(fields.event_type).ok_or(EventError::NoType)?;
        let event_type = EventType::parse(&event_type);
        if event_type == EventType::Data(DataType::Athlete)
            && let Some(athlete) = fields.athlete
        {
            let (profiles, unreadable) = WholeData(athlete).into_records();
            records.extend(profiles);
            has_data = true;
            unreadable_data |= unreadable;
        }
        // The archive cuts a body from its start to its end, and `athlete` may stand before `data`.
        records.sort_by_key(|raw| raw.get().as_ptr().addr());
        let records = records
            .into_iter()
            .map(|raw| {
                // A borrowed `RawValue` is a slice of the text it was read from.
                let offset = raw.get().as_ptr().addr() - json.as_ptr().addr() + start;
                RecordSlice {
                    json: raw.get(),
                    range: offset..offset + raw.get().len(),
                }
            })
            .collect();
        let subject = match event_type {
            EventType::S3Payload => {
                user(fields.user, None).or_else(|| named(fields.user_id, fields.reference_id))
            }
            _ => user(fields.user, None),
        };
        let old_user = user(fields.old_user, fields.old_user_id);
        let new_user = user(fields.new_user, fields.new_user_id);
        Ok(Event {
            event_type,
            status: text(fields.status),
            user: subject,
            old_user,
            new_user,
            reference: text(fields.reference).filter(|reference| !reference.is_empty()),
            expected_payloads: number(fields.expected_payloads),
            scopes_added: text(fields.scopes_added).map(|scopes| Scopes::parse(&scopes)),
            scopes_removed: text(fields.scopes_removed).map(|scopes| Scopes::parse(&scopes)),
            url: text(fields.url),
            expires_in_s: number(fields.expires_in),
            occurred_at: text(fields.occurred_at),
            records,
            has_data,
            unreadable_data,
        })
    }
}

/// The user of a ping, which names one by ids beside its URL.
fn named(user_id: Option<&RawValue>, reference_id: Option<&RawValue>) -> Option<TerraUser> {
    let user = TerraUser {
        user_id: text(user_id).as_deref().and_then(TerraUserId::new),
        reference_id: text(reference_id).as_deref().and_then(ReferenceId::new),
        ..TerraUser::default()
    };
    (user != TerraUser::default()).then_some(user)
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(&mended(raw?.get())).ok()
}

/// A count: an integer, a float without fraction, or either as a string.
fn number(raw: Option<&RawValue>) -> Option<u64> {
    let raw = raw?.get();
    let digits = raw.trim_matches('"').trim();
    let digits = digits.split_once('.').map_or(digits, |(whole, fraction)| {
        if fraction.bytes().all(|digit| digit == b'0') {
            whole
        } else {
            ""
        }
    });
    digits.parse().ok()
}

fn user(raw: Option<&RawValue>, id: Option<&RawValue>) -> Option<TerraUser> {
    let object =
        raw.and_then(|raw| serde_json::from_str::<Map<String, Value>>(&mended(raw.get())).ok());
    match object {
        Some(map) => Some(TerraUser::from_map(&map)),
        None => text(id).map(|id| TerraUser::with_id(&id)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ping_names_its_user_by_ids_alone() {
        let ping = br#"{"type":"s3_upload","url":"u","user_id":"one","reference_id":"me"}"#;
        let user = Event::parse(ping).unwrap().user.unwrap();
        assert_eq!(user.user_id, TerraUserId::new("one"));
        assert_eq!(user.reference_id, ReferenceId::new("me"));
        let nobody = br#"{"type":"s3_payload","url":"u","user_id":"","reference_id":null}"#;
        assert_eq!(Event::parse(nobody).unwrap().user, None);
        // Only a ping does: elsewhere the ids may be somebody else's.
        let data = br#"{"type":"daily","user_id":"one","data":[]}"#;
        assert_eq!(Event::parse(data).unwrap().user, None);
    }

    #[test]
    fn a_large_body_is_no_ping_whatever_it_says() {
        let mut body = br#"{"type":"s3_payload","pad":""#.to_vec();
        assert!(may_be_ping(&body));
        body.resize(MAX_PING_BYTES + 1, b'x');
        assert!(!may_be_ping(&body));
    }

    #[test]
    fn records_are_the_exact_slices() {
        let body = br#" {"type":"daily","data":[ {"a": 1.0 } ,{"b":"\u00e9"}],"user":{"user_id":"u","provider":"CORE"}} "#;
        let event = Event::parse(body).unwrap();
        assert_eq!(event.event_type, EventType::Data(DataType::Daily));
        let texts: Vec<_> = event.records.iter().map(|record| record.json).collect();
        assert_eq!(texts, [r#"{"a": 1.0 }"#, r#"{"b":"\u00e9"}"#]);
        for record in &event.records {
            assert_eq!(&body[record.range.clone()], record.json.as_bytes());
        }
    }

    #[test]
    fn a_byte_order_mark_shifts_the_ranges() {
        let body = "\u{feff}{\"type\":\"body\",\"data\":[{}]}".as_bytes();
        let event = Event::parse(body).unwrap();
        assert_eq!(&body[event.records[0].range.clone()], b"{}");
    }

    #[test]
    fn data_may_be_an_object_null_or_nonsense() {
        let parse = |data: &str| {
            let body = format!(r#"{{"type":"body","data":{data}}}"#);
            let event = Event::parse(body.as_bytes()).unwrap();
            (event.records.len(), event.unreadable_data)
        };
        assert_eq!(parse(r#"{"x":[1]}"#), (1, false));
        assert_eq!(parse("null"), (0, false));
        assert_eq!(parse("[]"), (0, false));
        assert_eq!(parse("7"), (0, true));
    }

    #[test]
    fn profiles_come_before_data_after_it_or_as_an_array() {
        let records = |body: &str| -> Vec<String> {
            let event = Event::parse(body.as_bytes()).unwrap();
            let texts = event.records.iter().map(|record| {
                assert_eq!(body.get(record.range.clone()), Some(record.json));
                record.json.to_owned()
            });
            texts.collect()
        };
        let first = r#"{"type":"athlete","athlete":{"age":1},"data":[{"age":2}]}"#;
        assert_eq!(records(first), [r#"{"age":1}"#, r#"{"age":2}"#]);
        let last = r#"{"type":"athlete","data":{"age":2},"athlete":{"age":1}}"#;
        assert_eq!(records(last), [r#"{"age":2}"#, r#"{"age":1}"#]);
        let array = r#"{"type":"athlete","athlete":[{"age":1},{"age":2}]}"#;
        assert_eq!(records(array), [r#"{"age":1}"#, r#"{"age":2}"#]);
        let nonsense = Event::parse(br#"{"type":"athlete","athlete":7}"#).unwrap();
        assert!(nonsense.records.is_empty() && nonsense.unreadable_data);
    }

    #[test]
    fn half_an_emoji_costs_its_own_text_only() {
        let body = br#"{"\ud83d":1,"type":"activity","status":"\ud83d","user":{"user_id":"u",
            "provider":"STRAVA","reference_id":"runner \ud83d","odd":1e999},"data":[{"x":"\ud83d"}]}"#;
        let event = Event::parse(body).unwrap();
        assert_eq!(event.records.len(), 1);
        assert_eq!(event.status.as_deref(), Some("\u{fffd}"));
        let user = event.user.unwrap();
        assert_eq!(user.user_id.unwrap().as_str(), "u");
        assert_eq!(user.provider.unwrap().as_str(), "STRAVA");
        assert_eq!(user.reference_id.unwrap().as_str(), "runner \u{fffd}");
    }

    #[test]
    fn absent_data_are_told_from_empty_data() {
        let has_data = |body: &str| Event::parse(body.as_bytes()).unwrap().has_data;
        assert!(!has_data(r#"{"type":"daily"}"#));
        assert!(has_data(r#"{"type":"daily","data":[]}"#));
        assert!(has_data(r#"{"type":"daily","data":null}"#));
        assert!(has_data(r#"{"type":"athlete","athlete":{}}"#));
        assert!(!has_data(r#"{"type":"daily","athlete":{}}"#));
    }

    #[test]
    fn repeated_keys_are_no_error_and_the_last_counts() {
        let event = Event::parse(br#"{"type":"auth","type":"body","data":[1],"data":[{},{}]}"#);
        let event = event.unwrap();
        assert_eq!(event.event_type, EventType::Data(DataType::Body));
        assert_eq!(event.records.len(), 2);
    }

    #[test]
    fn what_is_no_event_says_why() {
        let error = |body: &[u8]| Event::parse(body).unwrap_err();
        assert_eq!(error(b"[]"), EventError::NotAnObject);
        assert_eq!(error(b"{}"), EventError::NoType);
        assert_eq!(error(br#"{"type":5}"#), EventError::NoType);
        assert!(matches!(error(b"hello"), EventError::NotJson { .. }));
        assert!(matches!(
            error(br#"{"type":"body","data":[{"#),
            EventError::NotJson { .. }
        ));
        assert!(matches!(
            error(b"\xff\xfe"),
            EventError::NotUtf8 { valid_up_to: 0 }
        ));
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = format!(
            r#"{{"type":"body","data":[{}{}]}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(Event::parse(deep.as_bytes()).unwrap().records.len(), 1);
    }

    #[test]
    fn spellings_of_types() {
        let name = |text: &str| EventType::parse(text).as_str().to_owned();
        assert_eq!(name("large-request-sending"), "large_request_sending");
        assert_eq!(name("request_completed"), "large_request_sending");
        assert_eq!(name("s3_upload"), "s3_payload");
        assert_eq!(name("lab_report"), "lab_report");
        assert_eq!(name("never_seen"), "never_seen");
    }

    #[test]
    fn scopes_split_on_blanks_only_without_commas() {
        let split = |text: &str| Scopes::parse(text).0.into_iter().collect::<Vec<_>>();
        assert_eq!(split("a, b,,c d"), ["a", "b", "c d"]);
        assert_eq!(split("a b"), ["a", "b"]);
        assert!(split("").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..256)) {
            drop(Event::parse(&body));
        }

        #[test]
        fn any_json_like_text_is_survived(body in r#"[\{\}\[\]",:a-e0-9\\ ]{0,80}"#) {
            drop(Event::parse(body.as_bytes()));
        }
    }
}
