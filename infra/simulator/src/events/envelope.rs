//! The envelope of an event, in Terra's order of fields.

use bytes::Bytes;
use serde_json::Value;

/// The API version that every event names.
pub(crate) const VERSION: &str = "2022-03-16";

/// A JSON object under construction whose fields keep their order.
#[derive(Debug)]
pub(crate) struct Envelope {
    event_type: String,
    text: String,
}

impl Envelope {
    /// Begins an event of `event_type`.
    pub(crate) fn new(event_type: &str) -> Self {
        let text = format!(r#"{{"type":{}"#, Value::from(event_type));
        Self {
            event_type: event_type.to_owned(),
            text,
        }
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value: Value = value.into();
        self.text.extend([",\"", name, "\":", &value.to_string()]);
        self
    }

    /// Adds the array `data` from records that are JSON already.
    pub(crate) fn with_data(mut self, records: &[String]) -> Self {
        self.text.push_str(r#","data":["#);
        self.text.push_str(&records.join(","));
        self.text.push(']');
        self
    }

    /// Adds `version`.
    pub(crate) fn with_version(self) -> Self {
        self.with("version", VERSION)
    }

    /// The event's type and its exact bytes.
    pub(crate) fn finish(mut self) -> (String, Bytes) {
        self.text.push('}');
        (self.event_type, Bytes::from(self.text))
    }
}
