//! Heart rate blocks, alike in activity, body, daily and sleep.

use serde_json::{Value, json};

use super::number::{largest, mean, smallest, tenths, whole};

/// One heart rate sample.
pub(crate) fn sample(timestamp: &str, bpm: f64) -> Value {
    json!({ "timestamp": timestamp, "bpm": whole(bpm), "timer_duration_seconds": null, "context": 0 })
}

/// `heart_rate_data` from samples and the values behind them.
pub(crate) fn data(samples: &Value, values: &[f64], resting_bpm: Option<f64>) -> Value {
    json!({
        "detailed": { "hr_samples": samples, "hrv_samples_rmssd": [], "hrv_samples_sdnn": [] },
        "summary": summary(values, resting_bpm),
    })
}

/// The summary half.
pub(crate) fn summary(values: &[f64], resting_bpm: Option<f64>) -> Value {
    json!({
        "avg_hr_bpm": mean(values).map(tenths),
        "avg_hrv_rmssd": resting_bpm.map(|bpm| tenths(110.0 - bpm)),
        "avg_hrv_sdnn": null,
        "hr_zone_data": [],
        "max_hr_bpm": largest(values).map(whole),
        "min_hr_bpm": smallest(values).map(whole),
        "resting_hr_bpm": resting_bpm.map(whole),
        "user_max_hr_bpm": null,
    })
}
