//! Numbers as providers write them.

use serde_json::Value;

/// `value` with one decimal.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// `value` with two decimals.
pub(crate) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `value` with four decimals, for nutrients in milligrams.
pub(crate) fn fine(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// `value` as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a saturating cast is what is wanted"
)]
pub(crate) fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// The mean with two decimals, `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    let count = u32::try_from(values.len())
        .ok()
        .filter(|count| *count > 0)?;
    Some(hundredths(values.iter().sum::<f64>() / f64::from(count)))
}

/// The largest value, `None` of nothing.
pub(crate) fn largest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

/// The smallest value, `None` of nothing.
pub(crate) fn smallest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

/// Writes whole heart rates, durations and counts as floats: `65` becomes `65.0`.
pub(crate) fn as_floats(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(as_floats),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_i64().and_then(|number| i32::try_from(number).ok()) {
                    Some(number) if is_quantity(name) => *field = Value::from(f64::from(number)),
                    _ => as_floats(field),
                }
            }
        }
        _ => {}
    }
}

/// Returns whether the field holds an amount; codes and levels stay whole.
fn is_quantity(name: &str) -> bool {
    [
        "bpm",
        "_seconds",
        "steps",
        "calories",
        "floors_climbed",
        "_watts",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::as_floats;

    #[test]
    fn amounts_become_floats_and_codes_stay() {
        let mut record = json!({ "metadata": { "type": 8 }, "laps": [{ "avg_hr_bpm": 150 }] });
        as_floats(&mut record);
        assert_eq!(
            record.to_string(),
            r#"{"laps":[{"avg_hr_bpm":150.0}],"metadata":{"type":8}}"#
        );
    }
}
