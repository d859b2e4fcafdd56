//! The document of a change.

use ::mongodb::bson::{Bson, DateTime, Document};
use serde_json::Value;

use crate::{
    change::{Body, Change},
    kind::Fault,
    repair::repair,
};

/// Levels of nesting that a document can have.
const MAX_DEPTH: usize = 95;
/// Largest document. Unit: bytes of JSON, which are no fewer than those of the numbers in it.
pub(super) const MAX_BYTES: usize = 15 * 1024 * 1024;

fn rejected(reason: &str) -> Fault {
    Fault::Rejected {
        reason: reason.to_owned(),
        code: None,
    }
}

/// The value as the database keeps it.
fn bson(value: Value, depth: usize) -> Result<Bson, Fault> {
    if depth > MAX_DEPTH {
        return Err(rejected(
            "the record is nested deeper than a document can be",
        ));
    }
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Bson::Int64(whole),
            None => Bson::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Bson::String(text),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| bson(value, depth + 1));
            Bson::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let mut document = Document::new();
            for (name, value) in object {
                // A name ends at NUL.
                document.insert(name.replace('\0', "\u{fffd}"), bson(value, depth + 1)?);
            }
            Bson::Document(document)
        }
    })
}

pub(super) fn json(bytes: &[u8], repaired: &mut u32) -> Result<Bson, Fault> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| rejected("the composed record is not UTF-8"))?;
    let (text, count) = repair(text);
    *repaired += count;
    let value =
        serde_json::from_str(&text).map_err(|_| rejected("the composed record is not JSON"))?;
    bson(value, 0)
}

fn whole(number: u64) -> Bson {
    Bson::Int64(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The document of a state, with the number of characters that were replaced.
pub(super) fn document(change: &Change) -> Result<(Document, u32), Fault> {
    let text = |text: Option<&str>| text.map_or(Bson::Null, Bson::from);
    let source = &change.source;
    let mut document = Document::new();
    let mut repaired = 0;
    document.insert("_id", change.record_id.as_str());
    document.insert("revision", whole(change.revision));
    document.insert("checksum", whole(change.checksum().into()));
    document.insert("connection_id", source.owner.as_str());
    document.insert(
        "terra_user_id",
        text(
            source
                .terra_user_id
                .as_ref()
                .map(models::ids::TerraUserId::as_str),
        ),
    );
    document.insert(
        "reference_id",
        text(
            source
                .reference_id
                .as_ref()
                .map(models::ids::ReferenceId::as_str),
        ),
    );
    document.insert(
        "provider",
        text(source.provider.as_ref().map(models::ids::Provider::as_str)),
    );
    document.insert(
        "delivered_at",
        DateTime::from_millis(change.sent_at.as_millisecond()),
    );
    match &change.body {
        Body::Record(state) => {
            if state.record.len() > MAX_BYTES {
                return Err(rejected("the record is larger than a document can be"));
            }
            document.insert("record_key", &state.key);
            document.insert("day", text(state.day.map(|day| day.to_string()).as_deref()));
            document.insert(
                "ordering_timestamp",
                DateTime::from_millis(state.ordering_ts_ms),
            );
            document.insert("source_webhook_id", &state.source_webhook_id);
            document.insert("retracted", state.retracted);
            let to_json = |value: Result<Vec<u8>, serde_json::Error>| value.unwrap_or_default();
            document.insert(
                "summary",
                json(&to_json(serde_json::to_vec(&state.summary)), &mut repaired)?,
            );
            if !state.enrichment.is_empty() {
                let enrichment = to_json(serde_json::to_vec(&state.enrichment));
                document.insert("enrichment", json(&enrichment, &mut repaired)?);
            }
            if let Some(samples) = &state.samples {
                document.insert("samples", json(samples, &mut repaired)?);
            }
            document.insert("payload", json(&state.record, &mut repaired)?);
        }
        Body::Connection { terra_user_ids } => {
            let ids: Vec<_> = terra_user_ids
                .iter()
                .map(|id| Bson::from(id.as_str()))
                .collect();
            document.insert("terra_user_ids", ids);
            document.insert(
                "status",
                text(source.status.map(|status| status.to_string()).as_deref()),
            );
            let scopes = source.scopes.as_ref();
            document.insert(
                "scopes",
                scopes.map_or(Bson::Null, |scopes| Bson::from(scopes.clone())),
            );
            let seen = source.created_at_ms.map(DateTime::from_millis);
            document.insert("first_seen_at", seen.map_or(Bson::Null, Bson::from));
        }
        _ => {}
    }
    Ok((document, repaired))
}

#[cfg(test)]
mod tests {
    use models::data::DataType;

    use super::*;
    use crate::samples;

    #[test]
    fn whole_numbers_stay_whole_and_nul_is_replaced() {
        let record = r#"{"steps":65,"avg":65.0,"a\u0000b":"\ud800","metadata":{}}"#;
        let (document, repaired) =
            document(&samples::record(DataType::Daily, "2026-11-20", record, 7)).unwrap();
        let payload = document.get_document("payload").unwrap();
        assert_eq!(payload.get("steps"), Some(&Bson::Int64(65)));
        assert_eq!(payload.get("avg"), Some(&Bson::Double(65.0)));
        assert_eq!(payload.get_str("a\u{fffd}b").unwrap(), "\u{fffd}");
        assert_eq!(repaired, 2);
        assert_eq!(document.get("revision"), Some(&Bson::Int64(7)));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let record = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        let refused = document(&samples::record(DataType::Daily, "2026-11-20", &record, 7));
        assert!(matches!(refused, Err(Fault::Rejected { .. })));
    }
}
