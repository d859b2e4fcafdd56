//! The document of a change.

use serde_json::{Map, Value, json};

use super::Layout;
use crate::{
    change::{Body, Change, RecordState},
    envelope::{instant, user},
    kind::Fault,
    repair::repair,
};

/// Largest document that is written. A document takes 1 MiB, and the rest is for its indexes' names.
const MAX_BYTES: usize = 900 * 1024;
/// Most entries in indexes that a document is written with. A document takes 40,000.
const MAX_INDEX_ENTRIES: usize = 30_000;
/// Deepest nesting that is written. A document takes 20 levels.
const MAX_DEPTH: usize = 18;
/// Longest name of a field. Unit: bytes.
const MAX_NAME_BYTES: usize = 1500;

/// Size of what is written, as Firestore counts it.
#[derive(Default)]
struct Size {
    bytes: usize,
    index_entries: usize,
}

impl Size {
    fn fits(&self) -> bool {
        self.bytes <= MAX_BYTES && self.index_entries <= MAX_INDEX_ENTRIES
    }
}

/// The content cannot be a map of Firestore's: a name of a field is reserved or too long, or it is
/// nested too deep.
struct NotAMap;

fn is_name(name: &str) -> bool {
    let is_reserved = name.starts_with("__") && name.ends_with("__");
    !name.is_empty() && !is_reserved && name.len() <= MAX_NAME_BYTES
}

/// A value in Firestore's form.
fn value(value: &Value, depth: usize, size: &mut Size) -> Result<Value, NotAMap> {
    if depth > MAX_DEPTH {
        return Err(NotAMap);
    }
    // Each value stands in an ascending and in a descending index.
    let mut scalar = |bytes: usize| {
        size.bytes += bytes;
        size.index_entries += 2;
    };
    Ok(match value {
        Value::Null => {
            scalar(1);
            json!({"nullValue": null})
        }
        Value::Bool(flag) => {
            scalar(1);
            json!({"booleanValue": flag})
        }
        Value::Number(number) => {
            scalar(8);
            match number.as_i64() {
                Some(whole) => json!({"integerValue": whole.to_string()}),
                None => json!({"doubleValue": number.as_f64().unwrap_or_default()}),
            }
        }
        Value::String(text) => {
            scalar(text.len() + 1);
            json!({"stringValue": text})
        }
        Value::Array(members) => {
            size.index_entries += members.len();
            let mut written = Vec::with_capacity(members.len());
            for member in members {
                let inner = self::value(member, depth + 1, size)?;
                // An array cannot stand in an array.
                written.push(if member.is_array() {
                    json!({"mapValue": {"fields": {"values": inner}}})
                } else {
                    inner
                });
            }
            json!({"arrayValue": {"values": written}})
        }
        Value::Object(object) => {
            json!({"mapValue": {"fields": fields(object, depth, size)?}})
        }
    })
}

fn fields(
    object: &Map<String, Value>,
    depth: usize,
    size: &mut Size,
) -> Result<Map<String, Value>, NotAMap> {
    let mut written = Map::new();
    for (name, member) in object {
        if !is_name(name) {
            return Err(NotAMap);
        }
        size.bytes += name.len() + 1;
        written.insert(name.clone(), value(member, depth + 1, size)?);
    }
    Ok(written)
}

/// Texts of a record that are JSON.
struct Json {
    payload: String,
    samples: Option<String>,
}

fn repaired(bytes: &[u8], count: &mut u32) -> Result<String, Fault> {
    let not_json = || Fault::Rejected {
        reason: "the composed record is not JSON".to_owned(),
        code: None,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| not_json())?;
    let (text, found) = repair(text);
    *count += found;
    Ok(text.into_owned())
}

/// Fields of our own about a record or a connection.
fn ours(change: &Change) -> Map<String, Value> {
    let source = &change.source;
    let mut ours = Map::new();
    let mut set = |name: &str, value: Value| {
        ours.insert(name.to_owned(), value);
    };
    set("record_id", json!(change.record_id));
    set("revision", json!(change.revision));
    set("checksum", json!(change.checksum()));
    set("connection_id", json!(source.owner));
    set("terra_user_id", json!(source.terra_user_id));
    set("reference_id", json!(source.reference_id));
    set("provider", json!(source.provider));
    match &change.body {
        Body::Record(state) => {
            set("record_key", json!(state.key));
            set("day", json!(state.day));
            set("source_webhook_id", json!(state.source_webhook_id));
            set("retracted", json!(state.retracted));
            set("summary", json!(state.summary));
            if !state.enrichment.is_empty() {
                set("enrichment", json!(state.enrichment));
            }
        }
        Body::Connection { terra_user_ids } => {
            set("terra_user_ids", json!(terra_user_ids));
            set("status", json!(source.status));
            set("scopes", json!(source.scopes));
        }
        _ => {}
    }
    ours
}

/// The instants among what we say, in Firestore's form.
fn instants(change: &Change) -> Map<String, Value> {
    let timestamp = |at: jiff::Timestamp| json!({"timestampValue": at.to_string()});
    let mut instants = Map::new();
    instants.insert("delivered_at".to_owned(), timestamp(change.sent_at));
    match &change.body {
        Body::Record(state) => {
            let at = instant(state.ordering_ts_ms);
            instants.insert("ordering_timestamp".to_owned(), timestamp(at));
        }
        Body::Connection { .. } => {
            if let Some(first) = change.source.created_at_ms {
                instants.insert("first_seen_at".to_owned(), timestamp(instant(first)));
            }
        }
        _ => {}
    }
    instants
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

/// Form of the record itself.
#[derive(Clone, Copy)]
enum Form {
    /// Maps, which can be queried.
    Maps,
    /// JSON text.
    Text,
    /// Not at all: it is larger than a document.
    Omitted,
}

/// The fields of a state, with the number of characters that were replaced.
///
/// # Errors
///
/// [`Fault::Rejected`] if the composed record is no JSON, or if even without it nothing can be
/// written.
pub(super) fn document(
    change: &Change,
    layout: Layout,
) -> Result<(Map<String, Value>, u32), Fault> {
    let mut count = 0;
    let record = match &change.body {
        Body::Record(state) => Some((&**state, json_of(state, &mut count)?)),
        _ => None,
    };
    for form in [Form::Maps, Form::Text, Form::Omitted] {
        let mut size = Size::default();
        let record = record.as_ref().map(|(_, json)| json);
        if let Ok(fields) = write(change, layout, record, form, &mut size)
            && size.fits()
        {
            return Ok((fields, count));
        }
    }
    Err(Fault::Rejected {
        reason: "the record's own summary is larger than a document can be".to_owned(),
        code: None,
    })
}

fn json_of(state: &RecordState, count: &mut u32) -> Result<Json, Fault> {
    let samples = state.samples.as_ref();
    let json = Json {
        payload: repaired(&state.record, count)?,
        samples: samples
            .map(|samples| repaired(samples, count))
            .transpose()?,
    };
    // Whatever form it is written in, it has to be JSON.
    match object(&json.payload) {
        Some(_) => Ok(json),
        None => Err(Fault::Rejected {
            reason: "the composed record is not JSON".to_owned(),
            code: None,
        }),
    }
}

fn write(
    change: &Change,
    layout: Layout,
    record: Option<&Json>,
    form: Form,
    size: &mut Size,
) -> Result<Map<String, Value>, NotAMap> {
    let mut top = Map::new();
    let mut ours = ours(change);
    if let Some(json) = record {
        match form {
            Form::Maps => {
                let payload = object(&json.payload).ok_or(NotAMap)?;
                match layout {
                    Layout::Record => {
                        ours.insert("payload".to_owned(), Value::Object(payload));
                    }
                    Layout::Terra => top = payload,
                }
                if let Some(samples) = &json.samples {
                    let samples = object(samples).ok_or(NotAMap)?;
                    ours.insert("samples".to_owned(), Value::Object(samples));
                }
            }
            Form::Text => {
                ours.insert("payload_json".to_owned(), json!(json.payload));
                if let Some(samples) = &json.samples {
                    ours.insert("samples_json".to_owned(), json!(samples));
                }
            }
            Form::Omitted => {
                ours.insert("payload_omitted".to_owned(), json!(true));
            }
        }
    }
    let depth = match layout {
        Layout::Record => 0,
        Layout::Terra => 1,
    };
    let mut ours = fields(&ours, depth, size)?;
    for (name, instant) in instants(change) {
        size.bytes += name.len() + 9;
        size.index_entries += 2;
        ours.insert(name, instant);
    }
    if layout == Layout::Record {
        return Ok(ours);
    }
    let user = serde_json::to_value(user(&change.source)).map_err(|_| NotAMap)?;
    top.insert("user".to_owned(), user);
    top.remove("_terrarium");
    let mut top = fields(&top, 0, size)?;
    top.insert(
        "_terrarium".to_owned(),
        json!({"mapValue": {"fields": ours}}),
    );
    Ok(top)
}

#[cfg(test)]
mod tests {
    use models::data::DataType;

    use super::*;
    use crate::samples;

    fn of(record: &str, layout: Layout) -> (Map<String, Value>, u32) {
        let change = samples::record(DataType::Daily, "2026-11-20", record, 7);
        document(&change, layout).unwrap()
    }

    #[test]
    fn values_keep_their_types_and_arrays_in_arrays_become_maps() {
        let record =
            r#"{"steps":65,"avg":65.0,"on":true,"none":null,"laps":[[1],2],"n":"a\u0000"}"#;
        let (fields, count) = of(record, Layout::Record);
        let payload = &fields["payload"]["mapValue"]["fields"];
        assert_eq!(payload["steps"], json!({"integerValue": "65"}));
        assert_eq!(payload["avg"], json!({"doubleValue": 65.0}));
        assert_eq!(payload["on"], json!({"booleanValue": true}));
        assert_eq!(payload["none"], json!({"nullValue": null}));
        assert_eq!(payload["n"], json!({"stringValue": "a\u{fffd}"}));
        let laps = &payload["laps"]["arrayValue"]["values"];
        assert_eq!(
            laps[0]["mapValue"]["fields"]["values"]["arrayValue"]["values"][0],
            json!({"integerValue": "1"})
        );
        assert_eq!(laps[1], json!({"integerValue": "2"}));
        assert_eq!(fields["revision"], json!({"integerValue": "7"}));
        assert_eq!(count, 1);
    }

    #[test]
    fn terras_layout_has_the_record_at_the_top_and_ours_below() {
        let record = r#"{"metadata":{"start_time":"2026-11-20T00:00:00+00:00"},"_terrarium":1}"#;
        let (fields, _) = of(record, Layout::Terra);
        assert!(fields["metadata"]["mapValue"]["fields"]["start_time"].is_object());
        let user = &fields["user"]["mapValue"]["fields"];
        assert_eq!(user["user_id"], json!({"stringValue": "user-1"}));
        let ours = &fields["_terrarium"]["mapValue"]["fields"];
        assert_eq!(ours["revision"], json!({"integerValue": "7"}));
    }

    #[test]
    fn what_no_map_can_be_is_text_and_what_no_document_holds_is_left_out() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(25), "}".repeat(25));
        let many = format!(r#"{{"a":[{}]}}"#, vec!["1"; 11_000].join(","));
        for record in [r#"{"__id__":1}"#, r#"{"":1}"#, &deep, &many] {
            for layout in [Layout::Record, Layout::Terra] {
                let (fields, _) = of(record, layout);
                let ours = match layout {
                    Layout::Record => &Value::Object(fields),
                    Layout::Terra => &fields["_terrarium"]["mapValue"]["fields"],
                };
                assert_eq!(ours["payload_json"], json!({"stringValue": record}));
                assert!(ours["payload"].is_null());
            }
        }
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(950 * 1024));
        let (fields, _) = of(&large, Layout::Record);
        assert_eq!(fields["payload_omitted"], json!({"booleanValue": true}));
        assert!(!fields.contains_key("payload_json"));
    }
}
