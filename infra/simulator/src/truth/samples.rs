//! Deliveries that lack samples.

use models::streams::arrays;
use serde_json::Value;

use crate::DataType;

/// Empties every sample stream, as a delivery without samples has them.
pub(crate) fn without_samples(data_type: DataType, record: &mut Value) {
    empty_samples(data_type, record, &mut || true);
}

/// Empties every second sample stream, as a delivery does that has only some.
pub(crate) fn with_some_samples(data_type: DataType, record: &mut Value) {
    let mut leaves_out = false;
    empty_samples(data_type, record, &mut || {
        leaves_out = !leaves_out;
        leaves_out
    });
}

/// Empties the sample streams that are to be left out.
fn empty_samples(data_type: DataType, record: &mut Value, leaves_out: &mut dyn FnMut() -> bool) {
    let Ok(data_type) = data_type.as_str().parse() else {
        return;
    };
    let streams = arrays(data_type)
        .iter()
        .filter(|array| array.stream.is_some());
    for stream in streams {
        empty_at(record, stream.path, leaves_out);
    }
}

/// Empties the arrays at a path that are to be left out; `[]` in the path stands for every element.
fn empty_at(value: &mut Value, path: &str, leaves_out: &mut dyn FnMut() -> bool) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let list = name.strip_suffix("[]");
    match (value.get_mut(list.unwrap_or(name)), rest) {
        (Some(Value::Array(elements)), Some(rest)) if list.is_some() => {
            for element in elements {
                empty_at(element, rest, leaves_out);
            }
        }
        (Some(object), Some(rest)) => empty_at(object, rest, leaves_out),
        (Some(Value::Array(samples)), None) => {
            if !samples.is_empty() && leaves_out() {
                samples.clear();
            }
        }
        (_, None) | (None, _) => {}
    }
}
