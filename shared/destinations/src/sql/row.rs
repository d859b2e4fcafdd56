//! The values of a row, as JSON.

use std::collections::BTreeMap;

use domain::summary::Value as Field;
use serde_json::{Value, json, value::RawValue};

use super::columns::Table;
use crate::{
    change::{Body, Change},
    config::Format,
    envelope::{self, instant},
    kind::Fault,
};

/// Values of one row by column. What is absent is null.
pub(crate) type Row = BTreeMap<String, Box<RawValue>>;

/// The row of a change, with the record in a format; `None` for a deletion or an event.
///
/// # Errors
///
/// [`Fault::Rejected`] if the composed record is no JSON.
pub(crate) fn row(change: &Change, format: Format) -> Result<Option<(Table, Row)>, Fault> {
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
            let payload = match format {
                Format::Fhir => raw(&envelope::payload(change, format)?.bytes)?,
                _ => raw(&state.record)?,
            };
            row.insert("payload".to_owned(), payload);
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

#[cfg(test)]
mod tests {
    use models::data::DataType;

    use super::*;
    use crate::samples;

    #[test]
    fn a_record_becomes_a_row_of_its_table() {
        let (table, row) = row(&samples::daily(1, "2026-11-20", 4321, 7), Format::Record)
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
            let (table, row) = row(&change, Format::Record).unwrap().unwrap();
            let columns = super::super::columns(table);
            for name in row.keys() {
                assert!(columns.iter().any(|column| column.name == *name), "{name}");
            }
        }
        let (table, row) = row(&samples::connection(1, 1), Format::Record)
            .unwrap()
            .unwrap();
        let columns = super::super::columns(table);
        assert!(
            row.keys()
                .all(|name| columns.iter().any(|column| column.name == *name))
        );
    }

    #[cfg(feature = "formats")]
    #[test]
    fn a_payload_can_be_a_bundle() {
        let change = samples::daily(1, "2026-11-20", 4321, 7);
        let (_, row) = row(&change, Format::Fhir).unwrap().unwrap();
        let bundle: Value = serde_json::from_str(row["payload"].get()).unwrap();
        assert_eq!(bundle["resourceType"], "Bundle");
        assert_eq!(row["steps"].get(), "4321.0");
    }
}
