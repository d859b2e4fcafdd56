//! Numbers and times in a form for people.

use domain::summary::{Summary, Value};
pub(crate) use inspect::text::{age, count, cut, duration};
use jiff::Timestamp;
use store::table::ledger::{RecordCounts, WebhookEntry};

/// Numbers worth showing of a record, the best first, with their units.
const HEADLINES: &[(&str, &str)] = &[
    ("body_temperature_celsius", "°C core"),
    ("skin_temperature_celsius", "°C skin"),
    ("calories", "kcal"),
    ("protein_g", "g protein"),
    ("carbohydrates_g", "g carbohydrates"),
    ("fat_g", "g fat"),
    ("weight_kg", "kg"),
    ("systolic_bp", "mmHg systolic"),
    ("diastolic_bp", "mmHg diastolic"),
    ("blood_glucose_mg_per_dL", "mg/dL glucose"),
    ("steps", "steps"),
    ("duration_asleep_state_seconds", "s asleep"),
    ("sleep_efficiency", "sleep efficiency"),
    ("resting_hr_bpm", "bpm at rest"),
    ("avg_hr_bpm", "bpm"),
    ("avg_hrv_rmssd", "ms HRV"),
    ("distance_meters", "m"),
    ("total_burned_calories", "kcal burned"),
    ("net_activity_calories", "kcal active"),
];

/// Fields that say what a record is and not what was measured.
const PLUMBING: &[&str] = &[
    "start_time",
    "end_time",
    "timestamp",
    "timestamp_localization",
    "upload_type",
    "summary_id",
];

/// The numbers of a record that a person looks for, at most so many.
pub(crate) fn headlines(summary: &Summary, most: usize) -> Vec<String> {
    HEADLINES
        .iter()
        .filter_map(|(name, unit)| Some(format!("{} {unit}", value(&summary.get(name)?))))
        .take(most)
        .collect()
}

/// The same, filled up with whatever else there is.
pub(crate) fn numbers(summary: &Summary, most: usize) -> String {
    let mut listed = headlines(summary, most);
    let fields = summary.fields();
    let rest = fields
        .iter()
        .filter(|(name, _)| !PLUMBING.contains(name))
        .filter(|(name, _)| HEADLINES.iter().all(|(headline, _)| headline != name))
        .take(most.saturating_sub(listed.len()))
        .map(|(name, found)| format!("{name} {}", value(found)));
    listed.extend(rest);
    listed.join(", ")
}

/// `950 B`, `2.1 kB`, `3.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let (whole, unit) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {unit}", bytes / whole, bytes % whole * 10 / whole)
}

/// `11:20:31`, in UTC.
pub(crate) fn time(unix_ms: i64) -> String {
    let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    at.strftime("%H:%M:%S").to_string()
}

/// `2026-07-02 11:20:31`, in UTC.
pub(crate) fn date_time(unix_ms: i64) -> String {
    let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Counts of records as `+1 ~0 =2`: created, updated, unchanged, and shadowed ones where there are
/// any. Empty when there are no records.
pub(crate) fn counts(records: &RecordCounts) -> String {
    let RecordCounts {
        created,
        updated,
        unchanged,
        shadowed,
    } = records;
    if created + updated + unchanged == 0 {
        return String::new();
    }
    let shadowed = match shadowed {
        0 => String::new(),
        count => format!(", {count} shadowed"),
    };
    format!("+{created} ~{updated} ={unchanged}{shadowed}")
}

/// Names the first reason why something of a webhook could not be used.
pub(crate) fn parked(entry: &WebhookEntry) -> Option<String> {
    let first = entry.parked.first()?;
    let more = match entry.parked_count.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!("{}{more}", first.reason))
}

/// A summary's value.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Number(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Value::Number(number) => format!("{number:.2}"),
        Value::Text(text) => text.clone(),
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(2_150), "2.1 kB");
        assert_eq!(size(64_000_000), "64.0 MB");
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
    }
}
