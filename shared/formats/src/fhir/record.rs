//! A record as a tree of JSON, read as leniently as `models` reads its fields.

use domain::stand_in::{is_sample_stand_in, is_stand_in};
use models::lenient::TerraEnum;
use serde_json::Value;

/// The value under names that are separated by dots.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
        .unwrap_or(&Value::Null)
}

/// A finite number, also from text such as `" 65.0 "`.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// The number under names that are separated by dots, unless it stands for none.
pub(super) fn measured(value: &Value, path: &str) -> Option<f64> {
    measured_as(path.rsplit('.').next().unwrap_or_default(), at(value, path))
}

/// The number of the field that a summary has under this name, unless it stands for none.
pub(super) fn measured_as(field: &str, value: &Value) -> Option<f64> {
    number(value).filter(|&number| !is_stand_in(field, number))
}

/// The number of a sample's member, unless it stands for none.
pub(super) fn measured_sample(sample: &Value, member: &str) -> Option<f64> {
    number(at(sample, member)).filter(|&number| !is_sample_stand_in(member, number))
}

/// A text that FHIR can hold: not empty, and without control characters.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    clean(&text)
}

/// The text without control characters and white space around it; `None` where nothing is left.
pub(super) fn clean(text: &str) -> Option<String> {
    let allowed = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\t');
    let text: String = text.chars().filter(allowed).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A text as a code, which has no white space but single blanks.
pub(super) fn code(text: &str) -> Option<String> {
    let words: Vec<_> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A value of an enumeration of Terra, from its number or its name.
pub(super) fn coded<E: TerraEnum>(value: &Value) -> Option<E> {
    if let Some(number) = number(value) {
        #[expect(clippy::cast_possible_truncation, reason = "a code is small and whole")]
        return E::from_number(number as i64).filter(|_| number.fract() == 0.0);
    }
    E::from_label(value.as_str()?)
}

/// The elements of an array; none of anything else.
pub(super) fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
