//! JSON values as DynamoDB attributes and back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value};

/// An item as DynamoDB gives it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// DynamoDB nests 32 levels; what lies deeper is kept as JSON text.
const MAX_DEPTH: usize = 16;
/// Magnitudes a DynamoDB number holds; others are kept as text.
const MAX_NUMBER: f64 = 9.9e125;
const MIN_NUMBER: f64 = 1e-130;

/// Turns a JSON value into an attribute. Nulls inside are kept.
pub(crate) fn to_attribute(value: Value) -> AttributeValue {
    nested(value, 0)
}

fn nested(value: Value, depth: usize) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Number(number) => {
            let size = number.as_f64().unwrap_or_default().abs();
            if size == 0.0 || (MIN_NUMBER..=MAX_NUMBER).contains(&size) {
                AttributeValue::N(number.to_string())
            } else {
                AttributeValue::S(number.to_string())
            }
        }
        Value::String(text) => AttributeValue::S(text),
        deep if depth >= MAX_DEPTH => AttributeValue::S(deep.to_string()),
        Value::Array(items) => AttributeValue::L(
            items
                .into_iter()
                .map(|item| nested(item, depth + 1))
                .collect(),
        ),
        Value::Object(map) => AttributeValue::M(
            map.into_iter()
                .map(|(name, value)| (name, nested(value, depth + 1)))
                .collect(),
        ),
    }
}

/// Turns an attribute into a JSON value. Binary has none and becomes null.
pub(crate) fn to_json(attribute: AttributeValue) -> Value {
    match attribute {
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::N(text) => text
            .parse::<i64>()
            .map(Number::from)
            .ok()
            .or_else(|| text.parse::<f64>().ok().and_then(whole_or_float))
            .map_or(Value::String(text), Value::Number),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(items) => items.into_iter().map(to_json).collect(),
        AttributeValue::Ss(items) => items.into_iter().map(Value::String).collect(),
        AttributeValue::M(map) => Value::Object(to_json_map(map)),
        _ => Value::Null,
    }
}

/// Turns a map of attributes into a JSON object.
pub(crate) fn to_json_map(map: Item) -> Map<String, Value> {
    map.into_iter()
        .map(|(name, attribute)| (name, to_json(attribute)))
        .collect()
}

/// `42.0` and `42` are one number to DynamoDB, which may write either.
fn whole_or_float(float: f64) -> Option<Number> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the exact range"
    )]
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_dynamodb_cannot_hold_is_kept_as_text() {
        assert_eq!(
            to_attribute(json!(1e300)),
            AttributeValue::S("1e+300".into())
        );
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        let mut attribute = to_attribute(deep);
        let mut depth = 0;
        while let AttributeValue::L(mut items) = attribute {
            attribute = items.remove(0);
            depth += 1;
        }
        assert_eq!(depth, MAX_DEPTH);
        assert!(attribute.is_s());
    }

    /// Numbers at the edges of a double, in JSON.
    fn edge_number() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("4.9E-324".to_owned()),
            Just("1.7976931348623157E308".to_owned()),
            Just("1e999".to_owned()),
            Just("-0.0".to_owned()),
            Just("18446744073709551615".to_owned()),
            Just("9223372036854775807".to_owned()),
            Just("1e126".to_owned()),
            Just("1e-131".to_owned()),
            any::<f64>().prop_map(|number| number.to_string()),
            any::<u64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:e}")),
        ]
    }

    proptest! {
        #[test]
        fn what_a_record_holds_comes_back_as_it_was(
            numbers in prop::collection::vec(edge_number(), 6),
            text in r"([a-z0-9.]|\\ud83d|\\ude00|\\u0000){0,8}",
            depth in 0_usize..140,
        ) {
            let [one, two, three, four, five, six] = numbers.try_into().unwrap();
            let deep = format!("{}{six}{}", "[".repeat(depth), "]".repeat(depth));
            let record = format!(
                r#"{{"metadata":{{"start_time":"{text}","upload_type":{six}}},"distance_data":{{"steps":{one}}},
                "heart_rate_data":{{"summary":{{"min_hr_bpm":{two}}},"detailed":{{"hr_samples":[{{"bpm":{three}}},{{"bpm":{one}}}]}}}},
                "data_enrichment":{{"{text}":{four},"set":{{"{text}":{five},"list":[{one},null,{{"a":{two}}}]}},"deep":{deep}}}}}"#
            );
            let found = domain::summary::summarise(models::data::DataType::Daily, record.as_bytes()).unwrap();
            for summary in [Some(found.delivered), found.from_samples].into_iter().flatten() {
                let back = to_json(to_attribute(json!(summary)));
                let fields: std::collections::BTreeMap<String, domain::summary::Value> =
                    serde_json::from_value(back).unwrap();
                let back = domain::summary::Summary::from_fields(summary.data_type(), fields);
                prop_assert_eq!(back, summary);
            }
            let back = to_json(to_attribute(json!(found.enrichment)));
            prop_assert_eq!(back, json!(found.enrichment));
        }

        #[test]
        fn ordinary_values_round_trip(number in -1e9_f64..1e9, text in "\\PC{0,20}", flag: bool) {
            let value = json!({"n": number, "s": text, "b": flag, "l": [1, {"x": null}]});
            let back = to_json(to_attribute(value.clone()));
            prop_assert_eq!(&back["s"], &value["s"]);
            prop_assert_eq!(back["n"].as_f64(), value["n"].as_f64());
            prop_assert_eq!(&back["l"], &value["l"]);
        }
    }
}
