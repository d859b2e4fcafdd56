//! The scores that Terra computes: the values of `data_enrichment`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Largest value of `data_enrichment` kept in an item; the archive keeps all. Unit: bytes of JSON.
const MAX_SCORE_BYTES: usize = 2 * 1024;
/// Most values kept; Terra's schemas know thirteen per data type.
const MAX_SCORES: usize = 64;

/// The values of `data_enrichment` worth keeping: none that is null.
pub(super) fn scores(enrichment: Option<&str>) -> BTreeMap<String, Value> {
    let all = enrichment
        .and_then(|json| serde_json::from_str::<BTreeMap<String, Value>>(json).ok())
        .unwrap_or_default();
    all.into_iter()
        .map(|(name, value)| (name, whole_numbers(value)))
        .filter(|(_, value)| !value.is_null() && value.to_string().len() <= MAX_SCORE_BYTES)
        .take(MAX_SCORES)
        .collect()
}

/// Writes `65.0` as `65`, since DynamoDB gives it back so and a state must equal itself when read.
fn whole_numbers(value: Value) -> Value {
    /// Integers up to here are exact in a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole and within the exact range"
            )]
            Some(float) if float.fract() == 0.0 && float.abs() < EXACT => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| (name, whole_numbers(value)))
            .collect(),
        other => other,
    }
}
