//! The values of a row, as JSON.

use std::{borrow::Cow, collections::BTreeMap};

use domain::summary::Value as Field;
use serde_json::{Value, json, value::RawValue};

use super::columns::Table;
use crate::{
    change::{Body, Change},
    envelope::instant,
    kind::Fault,
};

/// Values of one row by column. What is absent is null.
pub(crate) type Row = BTreeMap<String, Box<RawValue>>;

/// The row of a change; `None` for a deletion or an event.
///
/// # Errors
///
/// [`Fault::Rejected`] if the composed record is no JSON.
pub(crate) fn row(change: &Change) -> Result<Option<(Table, Row)>, Fault> {
    let mut row = Row::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null()
            && let Ok(raw) = serde_json::value::to_raw_value(&value)
        {
            row.insert(name.to_owned(), raw);
        }
    };
    let source = &change.source;
    set("record_id", json!(change.record_id));
    set("revision", json!(change.revision));
    set("checksum", json!(change.checksum()));
    set("connection_id", json!(source.owner));
    set("terra_user_id", json!(source.terra_user_id));
    set("reference_id", json!(source.reference_id));
    set("provider", json!(source.provider));
    match &change.body {
        Body::Connection { terra_user_ids } => {
            set("terra_user_ids", json!(terra_user_ids));
            set("status", json!(source.status));
            set("scopes", json!(source.scopes));
            set("first_seen_at", json!(source.created_at_ms.map(instant)));
            Ok(Some((Table::Connections, row)))
        }
        Body::Record(state) => {
            set("record_key", json!(state.key));
            set("day", json!(state.day));
            set("start_at", json!(state.start_at()));
            set("end_at", json!(state.end_at()));
            set("ordering_timestamp", json!(instant(state.ordering_ts_ms)));
            set("source_webhook_id", json!(state.source_webhook_id));
            set("retracted", json!(state.retracted));
            for (name, value) in state.summary.fields() {
                let value = match value {
                    // A double that JSON has no spelling for cannot be in a record.
                    Field::Number(number) => json!(number),
                    Field::Text(text) => json!(text),
                    Field::Flag(flag) => json!(flag),
                };
                set(&name.to_ascii_lowercase(), value);
            }
            if !state.enrichment.is_empty() {
                set("enrichment", json!(state.enrichment));
            }
            if let Some(samples) = &state.samples {
                row.insert("samples".to_owned(), raw(samples)?);
            }
            row.insert("payload".to_owned(), raw(&state.record)?);
            Ok(Some((Table::Records(state.data_type), row)))
        }
        _ => Ok(None),
    }
}

fn raw(bytes: &[u8]) -> Result<Box<RawValue>, Fault> {
    serde_json::from_slice(bytes).map_err(|_| Fault::Rejected {
        reason: "the composed record is not JSON".to_owned(),
        code: None,
    })
}

/// Replaces what databases refuse in JSON with U+FFFD: the escape of NUL and halves of surrogate
/// pairs. Returns the text and the number of replacements.
pub(crate) fn repair(json: &str) -> (Cow<'_, str>, u32) {
    if !json.contains(r"\u") {
        return (Cow::Borrowed(json), 0);
    }
    let mut repaired = String::with_capacity(json.len());
    let mut count = 0;
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let (length, sound) = escape_at(escape);
        let (taken, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        if sound {
            repaired.push_str(taken);
        } else {
            repaired.push_str(r"\ufffd");
            count += 1;
        }
        rest = after;
    }
    repaired.push_str(rest);
    if count == 0 {
        return (Cow::Borrowed(json), 0);
    }
    (Cow::Owned(repaired), count)
}

/// Length of the escape at the start of `text`, and whether a database takes it.
fn escape_at(text: &str) -> (usize, bool) {
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(0) {
        // `\n`, `\"`, `\\` and their like.
        None => (2, true),
        Some(0xd800..=0xdbff) => match unit(6) {
            Some(0xdc00..=0xdfff) => (12, true),
            _ => (6, false),
        },
        Some(0 | 0xdc00..=0xdfff) => (6, false),
        Some(_) => (6, true),
    }
}

#[cfg(test)]
mod tests {
    use models::data::DataType;
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    #[test]
    fn a_record_becomes_a_row_of_its_table() {
        let (table, row) = row(&samples::daily(1, "2026-11-20", 4321, 7))
            .unwrap()
            .unwrap();
        assert_eq!(table, Table::Records(DataType::Daily));
        assert_eq!(row["steps"].get(), "4321.0");
        assert_eq!(row["day"].get(), "\"2026-11-20\"");
        assert_eq!(row["start_at"].get(), "\"2026-11-20T00:00:00Z\"");
        assert_eq!(row["revision"].get(), "7");
        assert!(!row.contains_key("bmr_calories"));
    }

    #[test]
    fn every_value_of_a_row_has_a_column() {
        for data_type in DataType::ALL {
            let change = samples::record(data_type, "2026-11-20", "{}", 1);
            let (table, row) = row(&change).unwrap().unwrap();
            let columns = super::super::columns(table);
            for name in row.keys() {
                assert!(columns.iter().any(|column| column.name == *name), "{name}");
            }
        }
        let (table, row) = row(&samples::connection(1, 1)).unwrap().unwrap();
        let columns = super::super::columns(table);
        assert!(
            row.keys()
                .all(|name| columns.iter().any(|column| column.name == *name))
        );
    }

    #[test]
    fn what_databases_refuse_is_replaced_and_counted() {
        for (json, right, count) in [
            (r#"{"a":"\u0000"}"#, r#"{"a":"\ufffd"}"#, 1),
            (r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#, 0),
            (r#"{"a":"\\\u0000"}"#, r#"{"a":"\\\ufffd"}"#, 1),
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#, 0),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#, 1),
            (r#"{"a":"\ude00\ud83d"}"#, r#"{"a":"\ufffd\ufffd"}"#, 2),
            (r#"{"a":"\ud83d\u0041"}"#, r#"{"a":"\ufffd\u0041"}"#, 1),
            (r#"{"a":"é\u0000é"}"#, r#"{"a":"é\ufffdé"}"#, 1),
        ] {
            assert_eq!(repair(json), (Cow::Borrowed(right), count), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\\\u0d8e\"é]{0,24}") {
            let (repaired, count) = repair(&text);
            prop_assert_eq!(repair(&repaired).1, 0);
            if count == 0 {
                prop_assert_eq!(repaired, text.as_str());
            }
        }
    }
}
