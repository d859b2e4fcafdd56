//! Lines of text files: records as JSON, values as CSV.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{streams::Stream, version::Version};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// One line of a delivery of a record, with its exact bytes behind `record`.
///
/// A delivery that has line breaks in it would be several lines. It stands as text behind `record_text`,
/// and one that is no text at all as `record_base64`.
pub(crate) fn record(head: &Map<String, Value>, bytes: &[u8]) -> Vec<u8> {
    let mut line = json(&Value::Object(head.clone()));
    line.pop();
    line.extend_from_slice(if head.is_empty() { b"" } else { b"," });
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(['\n', '\r']) => {
            line.extend_from_slice(b"\"record\":");
            line.extend_from_slice(bytes);
        }
        Ok(text) => {
            line.extend_from_slice(b"\"record_text\":");
            line.extend_from_slice(&json(&json!(text)));
        }
        Err(_) => {
            line.extend_from_slice(b"\"record_base64\":");
            line.extend_from_slice(&json(&json!(BASE64_STANDARD.encode(bytes))));
        }
    }
    line.extend_from_slice(b"}\n");
    line
}

/// Members that stand before a delivery.
pub(crate) struct Head<'a> {
    /// The connection; `None` for a laboratory's report.
    pub(crate) connection: Option<&'a str>,
    pub(crate) provider: Option<&'a str>,
    pub(crate) key: &'a str,
    pub(crate) retracted: bool,
    pub(crate) version: &'a Version,
    /// Streams that only this older delivery has.
    pub(crate) kept_for: &'a BTreeSet<Stream>,
}

impl Head<'_> {
    pub(crate) fn members(&self) -> Map<String, Value> {
        let mut head = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                head.insert(name.to_owned(), value);
            }
        };
        set("connection", self.connection.map(Value::from));
        set("provider", self.provider.map(Value::from));
        set("key", Some(self.key.into()));
        set("delivered_at", time(self.version.ordering_ts_ms));
        set("retracted", self.retracted.then_some(true.into()));
        let streams: Vec<_> = self.kept_for.iter().map(ToString::to_string).collect();
        set("kept_for", (!streams.is_empty()).then(|| json!(streams)));
        head
    }
}

/// A time of Unix milliseconds as text.
pub(crate) fn time(ms: i64) -> Option<Value> {
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(format!("{at:.3}").into())
}

/// A value as JSON in one line.
pub(crate) fn json(value: &Value) -> Vec<u8> {
    // A tree of values is always JSON.
    serde_json::to_vec(value).unwrap_or_default()
}

/// One row of a CSV file as RFC 4180 has it.
///
/// A text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay as they
/// are.
pub(crate) fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut line = String::new();
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let guard = if formula && cell.parse::<f64>().is_err() {
            "'"
        } else {
            ""
        };
        if cell.contains(['"', ',', '\n', '\r']) {
            line.push('"');
            line.push_str(guard);
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(guard);
            line.push_str(cell);
        }
    }
    line.push_str("\r\n");
    line.into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delivery_stands_in_one_line_byte_for_byte() {
        let head = Map::from_iter([("key".to_owned(), json!("2026-07-01"))]);
        let line = record(&head, br#"{"a": 1.50,  "b":null}"#);
        assert_eq!(
            line,
            b"{\"key\":\"2026-07-01\",\"record\":{\"a\": 1.50,  \"b\":null}}\n"
        );
        let pretty = b"{\n  \"a\": 1.50\r\n}";
        let read: Value = serde_json::from_slice(&record(&head, pretty)).unwrap();
        assert_eq!(read["record_text"].as_str().unwrap().as_bytes(), pretty);
        let read: Value = serde_json::from_slice(&record(&head, b"\xff\x00")).unwrap();
        assert_eq!(read["record_base64"], "/wA=");
    }

    #[test]
    fn cells_are_quoted_and_no_formula_gets_through() {
        let cells = ["-1.5", "=1+1", "a \"b\"", "x,y", "-not a number", ""];
        assert_eq!(
            String::from_utf8(row(cells)).unwrap(),
            "-1.5,'=1+1,\"a \"\"b\"\"\",\"x,y\",'-not a number,\r\n"
        );
    }

    proptest! {
        #[test]
        fn whatever_was_delivered_is_one_line(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let head = Map::from_iter([("key".to_owned(), json!("k"))]);
            let line = record(&head, &bytes);
            let breaks = line.iter().filter(|byte| [b'\n', b'\r'].contains(byte)).count();
            prop_assert_eq!(breaks, 1);
        }
    }
}
