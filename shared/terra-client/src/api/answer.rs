//! Reading answers: by what is in them, never by what they ought to be.

use std::collections::BTreeMap;

use models::{
    event::{Scopes, TerraUser},
    ids::{Provider, ReferenceId, TerraUserId},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    call::Call,
    error::{Malformed, TerraError},
    fault,
    transport::Answer,
};

/// The entries of an object, each as the text it is. Of equal keys the last counts.
pub(super) type Fields<'a> = BTreeMap<String, &'a RawValue>;

impl Answer {
    /// The answer as an object.
    pub(super) fn fields(&self, call: &Call<'_>) -> Result<Fields<'_>, TerraError> {
        let fields: Fields<'_> = self.parse(call)?;
        let status = fields.get("status").and_then(|status| text_of(status));
        if status.as_deref() == Some("error") {
            return Err(fault::of_success(call, self.status, &self.body));
        }
        Ok(fields)
    }

    /// The answer as any JSON.
    pub(super) fn value(&self, call: &Call<'_>) -> Result<Value, TerraError> {
        let value: Value = self.parse(call)?;
        if value.get("status").and_then(Value::as_str) == Some("error") {
            return Err(fault::of_success(call, self.status, &self.body));
        }
        Ok(value)
    }

    /// The answer as an object of values.
    pub(super) fn object(&self, call: &Call<'_>) -> Result<Map<String, Value>, TerraError> {
        match self.value(call)? {
            Value::Object(object) => Ok(object),
            _ => Err(TerraError::unexpected(call.name, self.status)),
        }
    }

    /// Parses JSON. The text of serde's error is never kept, because it quotes the body.
    pub(super) fn parse<'a, T: serde::Deserialize<'a>>(
        &'a self,
        call: &Call<'_>,
    ) -> Result<T, TerraError> {
        serde_json::from_slice(without_mark(&self.body)).map_err(|error| {
            let why = match error.classify() {
                serde_json::error::Category::Eof if self.body.is_empty() => Malformed::NotJson,
                serde_json::error::Category::Eof => Malformed::CutOff,
                serde_json::error::Category::Data => Malformed::Unexpected,
                serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                    Malformed::NotJson
                }
            };
            TerraError::MalformedAnswer {
                call: call.name,
                status: self.status,
                why,
            }
        })
    }
}

/// Without the byte order mark that some senders put before JSON.
pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// A raw value that is a string, and not an empty one.
pub(super) fn text_of(raw: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(raw.get()).ok()?;
    (!text.is_empty()).then_some(text)
}

/// A string that is not empty, or a number as text (FACTS section 14, row 29).
pub(super) fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A count: an integer, a float without fraction, or either as text.
pub(super) fn count(value: &Value) -> Option<u64> {
    let digits = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    fraction
        .bytes()
        .all(|digit| digit == b'0')
        .then(|| whole.parse().ok())?
}

/// A boolean, also as text: in the old description `active` was a string (FACTS section 3).
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

/// `TerraUser` out of an object; everything in it may be missing.
pub(super) fn terra_user(object: &Map<String, Value>) -> TerraUser {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    TerraUser {
        user_id: text("user_id").and_then(TerraUserId::new),
        provider: text("provider").and_then(Provider::new),
        reference_id: object.get("reference_id").and_then(ReferenceId::from_json),
        scopes: object.get("scopes").and_then(scopes),
        active: object.get("active").and_then(flag),
    }
}

fn scopes(value: &Value) -> Option<Scopes> {
    match value {
        Value::String(text) => Some(Scopes::parse(text)),
        // Split on commas like the text form, so that one scope with a blank stays one.
        Value::Array(scopes) => {
            let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
            Some(Scopes::parse(&(scopes.join(",") + ",")))
        }
        _ => None,
    }
}
