//! Words of pages: ages, times, sizes, numbers with their units, states with a glyph.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

/// The text member of an object; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number member of an object; zero where there is none.
pub(super) fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// The flag member of an object.
pub(super) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// The list member of an object.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

/// A moment of an answer. Unit: Unix milliseconds.
pub(super) fn moment(text: &str) -> Option<i64> {
    let at: Timestamp = text.parse().ok()?;
    Some(at.as_millisecond())
}

/// A number with commas between thousands.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in the largest unit that leaves a number above one.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} KB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// The time between two moments, in one unit. Units: Unix milliseconds.
pub(super) fn age(at_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(at_ms).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A moment in UTC with its age beside; a dash where there is none.
pub(super) fn when(at: &str, now_ms: i64) -> Markup {
    let Some(at_ms) = moment(at) else {
        return html! { span.soft { "–" } };
    };
    let date = at.get(..10).unwrap_or(at);
    let clock = at.get(11..19).unwrap_or_default();
    html! {
        time datetime=(at) { (date) " " (clock) }
        " " span.age data-age=(at) { (age(at_ms, now_ms)) }
    }
}

/// The glyph and the kind of a state: never colour alone.
fn kind_of(state: &str) -> (&'static str, &'static str) {
    match state {
        "active" | "stored" | "valid" | "have" | "run" | "running" | "done" | "delivered"
        | "passed" => ("●", "good"),
        "failing" | "parked" | "suspended" | "expired" | "pause" | "paused" | "retry"
        | "unproven" | "warning" => ("▲", "warn"),
        "refused" | "failed" | "revoked" | "disabled" => ("■", "bad"),
        _ => ("○", "off"),
    }
}

/// A state as glyph and word.
pub(super) fn state(state: &str) -> Markup {
    let (glyph, kind) = kind_of(state);
    html! { span class={ "state " (kind) } { span aria-hidden="true" { (glyph) } " " (state) } }
}

/// Dots in the place of a value that the visitor may not see.
pub(super) fn hidden() -> Markup {
    html! { span.hidden title="Your role does not see health values" { "•••" } }
}

/// A value of a record, readable, by the unit in the name of its field.
pub(super) fn value(name: &str, value: &Value) -> String {
    let number = match value {
        Value::String(text) => return text.clone(),
        Value::Bool(flag) => return if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.as_f64().unwrap_or_default(),
        Value::Null => return "–".to_owned(),
        Value::Array(_) | Value::Object(_) => return value.to_string(),
    };
    if name.ends_with("_seconds") {
        return duration(number);
    }
    let shown = decimal(number);
    match unit(name) {
        Some(unit) => format!("{shown} {unit}"),
        None => shown,
    }
}

/// The unit that the name of a field ends with.
fn unit(name: &str) -> Option<&'static str> {
    const UNITS: &[(&str, &str)] = &[
        ("_bpm", "bpm"),
        ("_meters", "m"),
        ("_metres", "m"),
        ("_meters_per_second", "m/s"),
        ("_kg", "kg"),
        ("_cm", "cm"),
        ("_percentage", "%"),
        ("_calories", "kcal"),
        ("calories", "kcal"),
        ("_celsius", "°C"),
        ("_ms", "ms"),
        ("_mg_per_dL", "mg/dL"),
        ("_ml_per_min_per_kg", "ml/min/kg"),
        ("_watts", "W"),
        ("_grams", "g"),
        ("_g", "g"),
        ("_ml", "ml"),
    ];
    let found = UNITS.iter().find(|(ending, _)| name.ends_with(ending));
    found.map(|(_, unit)| *unit)
}

/// Hours and minutes, or less. Unit: seconds.
pub(super) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round();
    if seconds < 60.0 {
        return format!("{} s", decimal(seconds));
    }
    let (hours, rest) = ((minutes / 60.0).floor(), minutes % 60.0);
    if hours < 1.0 {
        format!("{rest:.0} min")
    } else {
        format!("{hours:.0} h {rest:02.0} min")
    }
}

/// A number with as many digits as say something.
pub(super) fn decimal(number: f64) -> String {
    let whole = format!("{:.0}", number.abs());
    if number.fract() == 0.0 || number.abs() >= 1_000.0 {
        let sign = if number < 0.0 { "−" } else { "" };
        return match whole.parse() {
            Ok(whole) => format!("{sign}{}", thousands(whole)),
            Err(_) => format!("{number:.0}"),
        };
    }
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Name of a source: its provider and device, or its provider and kind.
pub(super) fn source(source: &Value) -> String {
    let device = text(source, "device");
    let provider = text(source, "provider");
    if device.is_empty() {
        let kind = text(source, "kind").replace('_', " ");
        return format!("{provider} ({kind})");
    }
    format!("{provider} {device}")
}

/// A name of a field as words: without its unit.
pub(super) fn label(name: &str) -> String {
    let name = name
        .trim_end_matches("_seconds")
        .trim_end_matches("_bpm")
        .trim_end_matches("_meters")
        .trim_end_matches("_percentage")
        .trim_end_matches("_kg");
    let words = name.split('_').map(|word| match word {
        "hr" => "heart rate",
        "avg" => "average",
        word => word,
    });
    let mut words = words.collect::<Vec<_>>().join(" ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// Encodes a text as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            safe.push(char::from(byte));
        } else {
            safe.push('%');
            safe.push_str(&models::ids::hex(&[byte]).to_uppercase());
        }
    }
    safe
}

/// Writes parameters as a query; empty ones are left out.
pub(super) fn query_of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let pairs = pairs.map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_with_the_unit_of_their_name() {
        for (name, given, shown) in [
            ("steps", json!(9120), "9,120"),
            ("duration_asleep_state_seconds", json!(27_120), "7 h 32 min"),
            ("active_seconds", json!(59), "59 s"),
            ("active_seconds", json!(3_599), "1 h 00 min"),
            ("resting_hr_bpm", json!(48.5), "48.5 bpm"),
            ("distance_meters", json!(1234.56), "1,235 m"),
            ("change_celsius", json!(-0.25), "-0.25 °C"),
            ("name", json!("Run"), "Run"),
        ] {
            assert_eq!(value(name, &given), shown, "{name}");
        }
    }

    #[test]
    fn names_read_as_words() {
        assert_eq!(label("resting_hr_bpm"), "Resting heart rate");
        assert_eq!(label("hr_bpm"), "Heart rate");
        assert_eq!(
            label("duration_asleep_state_seconds"),
            "Duration asleep state"
        );
        assert_eq!(label("steps"), "Steps");
    }

    #[test]
    fn ages_and_sizes_have_one_unit() {
        assert_eq!(age(0, 59_999), "59 s ago");
        assert_eq!(age(0, 7_200_000), "2 h ago");
        assert_eq!(age(5_000, 0), "0 s ago");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(2_302), "2.3 KB");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn a_query_cannot_be_broken_out_of() {
        let query = query_of([("q", "a&b=c d%"), ("empty", ""), ("z", "é")]);
        assert_eq!(query, "q=a%26b%3Dc%20d%25&z=%C3%A9");
    }
}
