//! Bodies of log kinds and buckets: our envelope, or a webhook as Terra writes it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{connection::Status, record::Score, summary::Summary};
use jiff::{Timestamp, civil::Date};
use models::data::DataType;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    change::{Body, Change, Source, Total},
    config::{Format, Pointer},
    foreign,
    kind::{Erasure, Fault},
};

/// The media type of our own bodies.
pub const JSON: &str = "application/json";

/// A body, ready to be sent or stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Media type.
    pub content_type: &'static str,
    /// Ending of an object's name, without the dot.
    pub extension: &'static str,
    /// The bytes.
    pub bytes: Bytes,
}

impl Payload {
    fn json(bytes: impl Into<Bytes>) -> Self {
        Self {
            content_type: JSON,
            extension: "json",
            bytes: bytes.into(),
        }
    }
}

/// The body of a change. A webhook of Terra's is passed on as it came.
///
/// # Errors
///
/// [`Fault::Rejected`] if the composed record is no JSON.
pub fn payload(change: &Change, format: Format) -> Result<Payload, Fault> {
    let written = match (&change.body, format) {
        (Body::Webhook(webhook), _) => return Ok(Payload::json(webhook.body.clone())),
        (Body::Record(state), Format::Fhir) => return foreign::bundle(&change.source, state),
        (_, Format::Terra) => terra(change),
        (Body::Record(state), Format::Fit) => {
            let file = foreign::file(state)?;
            serde_json::to_vec(&envelope(change, file.as_ref())?)
        }
        _ => serde_json::to_vec(&envelope(change, None)?),
    };
    written.map(Payload::json).map_err(|_| not_json())
}

/// The file of an activity that stands for the body, or beside it. `None` in other formats, and for
/// what has no such file: other types, an activity that was taken back or has no start.
///
/// # Errors
///
/// [`Fault::Rejected`] if the record is no JSON object.
pub fn file(change: &Change, format: Format) -> Result<Option<Payload>, Fault> {
    match (&change.body, format) {
        (Body::Record(state), Format::Fit) => foreign::file(state),
        _ => Ok(None),
    }
}

pub(crate) fn not_json() -> Fault {
    Fault::Rejected {
        reason: "the composed record is not JSON".to_owned(),
        code: None,
    }
}

/// The record's exact bytes as a part of a larger text.
fn raw(bytes: &[u8]) -> Result<&RawValue, Fault> {
    serde_json::from_slice(bytes).map_err(|_| not_json())
}

/// Our envelope, in the order in which it is written.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    event: &'static str,
    delivery_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    sent_at: Timestamp,
    #[serde(flatten)]
    source: Person<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    record: Option<Record<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    connection: Option<Connected<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<&'a [Total]>,
    cause: &'static str,
}

#[derive(Debug, Serialize)]
struct Person<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<&'a str>,
    terra_user_id: Option<&'a str>,
    reference_id: Option<&'a str>,
    provider: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    data_type: &'static str,
    key: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    state: Option<State<'a>>,
}

#[derive(Debug, Serialize)]
struct State<'a> {
    day: Option<Date>,
    ordering_timestamp: Timestamp,
    source_webhook_id: &'a str,
    retracted: bool,
    summary: &'a Summary,
    enrichment: &'a BTreeMap<String, Score>,
    #[serde(flatten)]
    content: Content<'a>,
}

/// The record itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Content<'a> {
    Record(&'a RawValue),
    /// A file of the record, in base64.
    Fit(String),
}

#[derive(Debug, Serialize)]
struct Connected<'a> {
    status: Option<Status>,
    scopes: Option<&'a [String]>,
    terra_user_ids: Vec<&'a str>,
}

fn person(source: &Source) -> Person<'_> {
    Person {
        connection_id: Some(source.owner.as_str()),
        terra_user_id: source
            .terra_user_id
            .as_ref()
            .map(models::ids::TerraUserId::as_str),
        reference_id: source
            .reference_id
            .as_ref()
            .map(models::ids::ReferenceId::as_str),
        provider: source.provider.as_ref().map(models::ids::Provider::as_str),
    }
}

/// An instant from Unix milliseconds; the epoch for what is no instant.
pub fn instant(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn envelope<'a>(change: &'a Change, file: Option<&Payload>) -> Result<Envelope<'a>, Fault> {
    let record = match &change.body {
        Body::Record(state) => Some(Record {
            data_type: state.data_type.as_str(),
            key: &state.key,
            state: Some(State {
                day: state.day,
                ordering_timestamp: instant(state.ordering_ts_ms),
                source_webhook_id: &state.source_webhook_id,
                retracted: state.retracted,
                summary: &state.summary,
                enrichment: &state.enrichment,
                content: match file {
                    Some(file) => Content::Fit(STANDARD.encode(&file.bytes)),
                    None => Content::Record(raw(&state.record)?),
                },
            }),
        }),
        Body::Deleted { data_type, key, .. } => Some(Record {
            data_type: data_type.as_str(),
            key,
            state: None,
        }),
        _ => None,
    };
    let connection = match &change.body {
        Body::Connection { terra_user_ids } => Some(Connected {
            status: change.source.status,
            scopes: change.source.scopes.as_deref(),
            terra_user_ids: terra_user_ids
                .iter()
                .map(models::ids::TerraUserId::as_str)
                .collect(),
        }),
        _ => None,
    };
    let is_record = change.collection().is_some();
    Ok(Envelope {
        event: change.event(),
        delivery_id: change.delivery_id.as_str(),
        record_id: is_record.then_some(change.record_id.as_str()),
        revision: is_record.then_some(change.revision),
        sent_at: change.sent_at,
        source: person(&change.source),
        record,
        connection,
        totals: match &change.body {
            Body::Totals(totals) => Some(totals),
            _ => None,
        },
        cause: change.cause.as_str(),
    })
}

/// A webhook as Terra writes it. What Terra has no webhook for is our envelope with a `type`.
#[derive(Debug, Serialize)]
struct TerraWebhook<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(rename = "type")]
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(flatten)]
    content: TerraContent<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TerraContent<'a> {
    Records {
        data: [&'a RawValue; 1],
    },
    Profile {
        athlete: &'a RawValue,
    },
    Report {
        event_id: &'a str,
        occurred_at: Timestamp,
        data: &'a RawValue,
    },
    Health {
        creation_timestamp: Timestamp,
        trend_percentage: f64,
        sent_webhooks_last_hour: u32,
    },
    Ours(Box<Envelope<'a>>),
}

/// A user as Terra writes it.
#[derive(Debug, Serialize)]
pub(crate) struct User<'a> {
    #[serde(rename = "user_id")]
    id: Option<&'a str>,
    provider: Option<&'a str>,
    created_at: Option<Timestamp>,
    last_webhook_update: Option<Timestamp>,
    scopes: Option<String>,
    reference_id: Option<&'a str>,
    active: bool,
}

/// The user of a change, as Terra writes it.
pub(crate) fn user(source: &Source) -> User<'_> {
    let Person {
        terra_user_id,
        reference_id,
        provider,
        ..
    } = person(source);
    User {
        id: terra_user_id,
        provider,
        created_at: source.created_at_ms.map(instant),
        last_webhook_update: source.last_data_at_ms.map(instant),
        scopes: source.scopes.as_ref().map(|scopes| scopes.join(",")),
        reference_id,
        active: source.status != Some(Status::Ended),
    }
}

/// The version that Terra writes into every webhook.
pub const TERRA_VERSION: &str = "2022-03-16";

/// Parts of a lab report that tell whether it failed: it has an error and no results then.
#[derive(serde::Deserialize)]
struct ReportParts<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    results: Option<&'a RawValue>,
}

fn terra(change: &Change) -> Result<Vec<u8>, serde_json::Error> {
    let Body::Record(state) = &change.body else {
        return serde_json::to_vec(&terra_event(change)?);
    };
    let record: &RawValue = serde_json::from_slice(&state.record)?;
    let mut webhook = TerraWebhook {
        status: Some("success"),
        event_type: state.data_type.as_str(),
        version: Some(TERRA_VERSION),
        user: Some(user(&change.source)),
        content: TerraContent::Records { data: [record] },
    };
    match state.data_type {
        DataType::Athlete => webhook.content = TerraContent::Profile { athlete: record },
        DataType::LabReport => {
            let parts: ReportParts<'_> = serde_json::from_slice(&state.record)?;
            let failed = parts.error.is_some() && parts.results.is_none();
            webhook = TerraWebhook {
                status: None,
                event_type: if failed {
                    "lab_report.failed"
                } else {
                    "lab_report.completed"
                },
                version: None,
                user: None,
                content: TerraContent::Report {
                    event_id: change.delivery_id.as_str(),
                    occurred_at: instant(state.ordering_ts_ms),
                    data: record,
                },
            };
        }
        _ => {}
    }
    serde_json::to_vec(&webhook)
}

fn terra_event(change: &Change) -> Result<TerraWebhook<'_>, serde_json::Error> {
    if change.body == Body::Test {
        return Ok(TerraWebhook {
            status: Some("success"),
            event_type: "healthcheck",
            version: Some(TERRA_VERSION),
            user: None,
            content: TerraContent::Health {
                creation_timestamp: change.sent_at,
                trend_percentage: 0.0,
                sent_webhooks_last_hour: 0,
            },
        });
    }
    let ours = envelope(change, None).map_err(serde::ser::Error::custom)?;
    Ok(TerraWebhook {
        status: None,
        event_type: change.event(),
        version: None,
        user: None,
        content: TerraContent::Ours(Box::new(ours)),
    })
}

#[derive(Debug, Serialize)]
struct PointerBody<'a> {
    status: &'static str,
    #[serde(rename = "type")]
    event_type: &'static str,
    url: &'a str,
    expires_in: u64,
    payload_reference: &'a str,
    user_id: Option<&'a str>,
    reference_id: Option<&'a str>,
}

/// Terra's own form of a link to a body that is too large to be sent.
pub fn pointer(change: &Change, pointer: &Pointer) -> Payload {
    let Person {
        terra_user_id,
        reference_id,
        ..
    } = person(&change.source);
    let written = serde_json::to_vec(&PointerBody {
        status: "success",
        event_type: "s3_payload",
        url: &pointer.url,
        expires_in: pointer.expires_in_s,
        payload_reference: change.delivery_id.as_str(),
        user_id: terra_user_id,
        reference_id,
    });
    Payload::json(written.unwrap_or_default())
}

/// The event that tells a log of an erasure.
pub fn person_erased(erasure: &Erasure, delivery_id: &str, sent_at: Timestamp) -> Payload {
    let owners: Vec<_> = erasure
        .owners
        .iter()
        .map(super::id::OwnerId::as_str)
        .collect();
    let users: Vec<_> = erasure
        .terra_user_ids
        .iter()
        .map(models::ids::TerraUserId::as_str)
        .collect();
    let event = serde_json::json!({
        "event": "person.erased",
        "type": "person.erased",
        "delivery_id": delivery_id,
        "sent_at": sent_at,
        "reference_id": erasure.reference_id.as_ref().map(models::ids::ReferenceId::as_str),
        "connection_ids": owners,
        "terra_user_ids": users,
    });
    Payload::json(event.to_string())
}

#[cfg(test)]
mod tests {
    use models::{data::DataType, event::Event};

    use super::*;
    use crate::samples;

    fn text(change: &Change, format: Format) -> String {
        let payload = payload(change, format).unwrap();
        String::from_utf8(payload.bytes.to_vec()).unwrap()
    }

    #[test]
    fn our_envelope_holds_the_record_byte_for_byte() {
        let record = r#"{"metadata":{"start_time":"2026-11-20T00:00:00+00:00"},  "unknown": 1.50}"#;
        let change = samples::record(DataType::Daily, "2026-11-20", record, 7);
        let written = text(&change, Format::Record);
        assert!(written.contains(record), "{written}");
        let parsed: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(parsed["event"], "record.updated");
        assert_eq!(parsed["revision"], 7);
        assert_eq!(parsed["data_type"], "daily");
        assert_eq!(parsed["day"], "2026-11-20");
        assert_eq!(parsed["cause"], "live");
        assert_eq!(parsed["record_id"], change.record_id.as_str());
        assert_eq!(parsed["delivery_id"], change.delivery_id.as_str());
    }

    #[test]
    fn a_deleted_record_has_no_body_and_a_test_no_record() {
        let change = samples::deleted(DataType::Daily, "2026-11-20", 8);
        let parsed: serde_json::Value =
            serde_json::from_str(&text(&change, Format::Record)).unwrap();
        assert_eq!(parsed["event"], "record.deleted");
        assert_eq!(parsed["key"], "2026-11-20");
        assert!(parsed.get("record").is_none());
        let test = Change {
            body: Body::Test,
            ..change
        };
        let parsed: serde_json::Value = serde_json::from_str(&text(&test, Format::Record)).unwrap();
        assert_eq!(parsed["event"], "destination.test");
        assert!(parsed.get("record_id").is_none());
    }

    #[test]
    fn a_connection_says_its_state_and_every_id_it_had() {
        let written = text(&samples::connection(1, 9), Format::Record);
        let parsed: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(parsed["event"], "connection.updated");
        assert_eq!(parsed["status"], "active");
        assert_eq!(parsed["terra_user_ids"], serde_json::json!(["user-1"]));
        assert_eq!(parsed["connection_id"], samples::owner(1).as_str());
    }

    #[test]
    fn terras_form_reads_like_a_webhook_of_terra() {
        for data_type in DataType::ALL {
            let record =
                r#"{"session_id":"1","metadata":{"start_time":"2026-11-20T00:00:00+00:00"}}"#;
            let change = samples::record(data_type, "2026-11-20", record, 7);
            let written = text(&change, Format::Terra);
            let event = Event::parse(written.as_bytes()).unwrap();
            let found = event.event_type.clone();
            assert_eq!(
                found,
                models::event::EventType::Data(data_type),
                "{written}"
            );
            assert!(written.contains(record));
        }
    }

    #[test]
    fn a_composed_record_that_is_no_json_is_refused() {
        let change = samples::record(DataType::Daily, "2026-11-20", "{\"a\":", 7);
        for format in [Format::Record, Format::Terra] {
            assert!(matches!(
                payload(&change, format),
                Err(Fault::Rejected { .. })
            ));
        }
    }

    #[test]
    fn a_webhook_of_terra_is_passed_on_byte_for_byte() {
        let change = samples::webhook(b"{ \"type\" : \"auth\" }");
        assert_eq!(text(&change, Format::Terra), r#"{ "type" : "auth" }"#);
    }

    const WALK: &str = r#"{"metadata":{"type":7,"summary_id":"w","start_time":"2026-07-01T08:02:17+01:00","end_time":"2026-07-01T08:34:03+01:00"}}"#;

    #[test]
    fn a_record_is_one_bundle_of_fhir_and_one_that_was_taken_back_says_so() {
        let change = samples::daily(1, "2026-11-20", 9120, 7);
        let made = payload(&change, Format::Fhir).unwrap();
        assert_eq!(
            (made.content_type, made.extension),
            ("application/fhir+json", "json")
        );
        let bundle: serde_json::Value = serde_json::from_slice(&made.bytes).unwrap();
        assert_eq!(bundle["resourceType"], "Bundle");
        let steps = &bundle["entry"][0]["resource"];
        assert_eq!(steps["valueQuantity"]["value"], 9120);
        assert_eq!(steps["subject"]["identifier"]["value"], "person-1");
        assert_eq!(steps["status"], "final");

        let mut taken_back = change.clone();
        if let Body::Record(state) = &mut taken_back.body {
            state.retracted = true;
        }
        taken_back.source.reference_id = None;
        let bundle: serde_json::Value =
            serde_json::from_str(&text(&taken_back, Format::Fhir)).unwrap();
        let again = &bundle["entry"][0]["resource"];
        assert_eq!(again["status"], "entered-in-error");
        assert_eq!(again["id"], steps["id"]);
        let owner = samples::owner(1);
        assert_eq!(again["subject"]["identifier"]["value"], owner.as_str());

        // A change that FHIR has no word for is sent in our envelope.
        let deleted = samples::deleted(DataType::Daily, "2026-11-20", 8);
        assert_eq!(text(&deleted, Format::Fhir), text(&deleted, Format::Record));
        let profile = samples::record(DataType::Athlete, "@profile", "{}", 1);
        let bundle: serde_json::Value =
            serde_json::from_str(&text(&profile, Format::Fhir)).unwrap();
        assert!(bundle["entry"].as_array().is_none_or(Vec::is_empty));
    }

    #[test]
    fn an_activity_is_a_file_in_base64_and_everything_else_our_envelope() {
        let change = samples::record(DataType::Activity, "w", WALK, 7);
        let written: serde_json::Value = serde_json::from_str(&text(&change, Format::Fit)).unwrap();
        assert_eq!(written["event"], "record.updated");
        assert!(written.get("record").is_none());
        let decoded = STANDARD.decode(written["fit"].as_str().unwrap()).unwrap();
        let made = file(&change, Format::Fit).unwrap().unwrap();
        assert_eq!(decoded, made.bytes);
        assert_eq!(decoded.get(8..12), Some(&b".FIT"[..]));
        assert_eq!(
            (made.content_type, made.extension),
            ("application/vnd.ant.fit", "fit")
        );
        assert_eq!(file(&change, Format::Record), Ok(None));

        let mut taken_back = change.clone();
        if let Body::Record(state) = &mut taken_back.body {
            state.retracted = true;
        }
        let without_start = samples::record(DataType::Activity, "n", r#"{"metadata":{}}"#, 1);
        let day = samples::daily(1, "2026-11-20", 1, 1);
        for other in [taken_back, without_start, day] {
            assert_eq!(file(&other, Format::Fit), Ok(None));
            assert_eq!(text(&other, Format::Fit), text(&other, Format::Record));
        }
        let broken = samples::record(DataType::Activity, "b", "{\"a\":", 1);
        assert_eq!(file(&broken, Format::Fit), Err(not_json()));
    }
}
