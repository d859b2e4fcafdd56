//! Numbers and times in a form for people.

use std::time::Duration;

use domain::summary::{Summary, Value};
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

/// `40 seconds`, `15 minutes`, `3 hours`, `12 days`: the largest unit of which there are two.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => count(seconds, "second"),
        120..7_200 => count(seconds / 60, "minute"),
        7_200..172_800 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

/// Returns the age of a time in Unix milliseconds.
pub(crate) fn age(unix_ms: i64, now_ms: i64) -> String {
    let ms = u64::try_from(now_ms.saturating_sub(unix_ms)).unwrap_or_default();
    duration(Duration::from_millis(ms))
}

/// `1 webhook`, `2 webhooks`.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
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

/// The text, cut to a width with `…` where it is longer.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(2_150), "2.1 kB");
        assert_eq!(size(64_000_000), "64.0 MB");
        assert_eq!(duration(Duration::from_mins(15)), "15 minutes");
        assert_eq!(age(0, 50 * 3_600_000), "2 days");
        assert_eq!(age(5, 0), "0 seconds");
        assert_eq!(count(1_usize, "webhook"), "1 webhook");
        assert_eq!(count(0_usize, "webhook"), "0 webhooks");
        assert_eq!(cut("nutrition", 5), "nutr…");
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
    }
}
