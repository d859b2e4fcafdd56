//! Summary of one sleep session.

use models::data::Sleep;

use super::table::{
    blood, code, heart_rate, heart_rate_zones, id, mean, real, summary, take, text, time,
};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of a sleep session.
    Sleep(SleepSummary) of record: Sleep<'_> {
        let metadata = take(record.metadata);
        let device = take(record.device_data);
        let heart = take(record.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let readiness = take(record.readiness_data);
        let respiration = take(record.respiration_data);
        let breaths = take(respiration.breaths_data);
        let oxygen = take(respiration.oxygen_saturation_data);
        let snoring = take(respiration.snoring_data);
        let scores = take(record.scores);
        let durations = take(record.sleep_durations_data);
        let asleep = take(durations.asleep);
        let awake = take(durations.awake);
        let other = take(durations.other);
        let temperature = take(record.temperature_data);
        identity = Identity {
            summary_id: id(&metadata.summary_id),
            start_time: time(&metadata.start_time),
            end_time: time(&metadata.end_time),
            ..Identity::default()
        };
        enrichment = record.data_enrichment;
    } {
        /// Start as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: Value = code(&metadata.timestamp_localization),
        /// True if the sleep was a nap. From `metadata.is_nap`.
        is_nap: bool = metadata.is_nap.get(),
        /// Origin of the record, by Terra's number for sleep. From `metadata.upload_type`.
        upload_type: Value = code(&metadata.upload_type),
        /// Time in bed. Unit: s. From `sleep_durations_data.other.duration_in_bed_seconds`.
        duration_in_bed_seconds: f64 = other.duration_in_bed_seconds.get(),
        /// Time asleep in all. Unit: s. From
        /// `sleep_durations_data.asleep.duration_asleep_state_seconds`.
        duration_asleep_state_seconds: f64 = asleep.duration_asleep_state_seconds.get(),
        /// Deep sleep. Unit: s. From
        /// `sleep_durations_data.asleep.duration_deep_sleep_state_seconds`.
        duration_deep_sleep_state_seconds: f64 = asleep.duration_deep_sleep_state_seconds.get(),
        /// Light sleep. Unit: s. From
        /// `sleep_durations_data.asleep.duration_light_sleep_state_seconds`.
        duration_light_sleep_state_seconds: f64 = asleep.duration_light_sleep_state_seconds.get(),
        /// REM sleep. Unit: s. From `sleep_durations_data.asleep.duration_REM_sleep_state_seconds`.
        duration_rem_sleep_state_seconds as "duration_REM_sleep_state_seconds": f64 = asleep
            .duration_rem_sleep_state_seconds
            .get(),
        /// Time awake. Unit: s. From `sleep_durations_data.awake.duration_awake_state_seconds`.
        duration_awake_state_seconds: f64 = awake.duration_awake_state_seconds.get(),
        /// Short interruptions. Unit: s. From
        /// `sleep_durations_data.awake.duration_short_interruption_seconds`.
        duration_short_interruption_seconds: f64 = awake.duration_short_interruption_seconds.get(),
        /// Long interruptions. Unit: s. From
        /// `sleep_durations_data.awake.duration_long_interruption_seconds`.
        duration_long_interruption_seconds: f64 = awake.duration_long_interruption_seconds.get(),
        /// Time that could not be classified. Unit: s. From
        /// `sleep_durations_data.other.duration_unmeasurable_sleep_seconds`.
        duration_unmeasurable_sleep_seconds: f64 = other.duration_unmeasurable_sleep_seconds.get(),
        /// Share of the time in bed asleep. Unit: %; some vendors send a fraction. From
        /// `sleep_durations_data.sleep_efficiency`.
        sleep_efficiency: f64 = durations.sleep_efficiency.get(),
        /// Time to fall asleep. Unit: s. From `sleep_durations_data.awake.sleep_latency_seconds`.
        sleep_latency_seconds: f64 = awake.sleep_latency_seconds.get(),
        /// Time to get up after waking. Unit: s. From
        /// `sleep_durations_data.awake.wake_up_latency_seconds`.
        wake_up_latency_seconds: f64 = awake.wake_up_latency_seconds.get(),
        /// Times awoken. Unit: count. From `sleep_durations_data.awake.num_wakeup_events`.
        num_wakeup_events: f64 = awake.num_wakeup_events.get(),
        /// Times out of bed. Unit: count. From `sleep_durations_data.awake.num_out_of_bed_events`.
        num_out_of_bed_events: f64 = awake.num_out_of_bed_events.get(),
        /// Phases of REM sleep. Unit: count. From `sleep_durations_data.asleep.num_REM_events`.
        num_rem_events as "num_REM_events": f64 = asleep.num_rem_events.get(),
        /// Average heart rate. Unit: bpm. From `heart_rate_data.summary.avg_hr_bpm`, else the mean
        /// of `hr_samples`.
        avg_hr_bpm: f64 = heart.avg_hr_bpm.get()
            => mean(&heart_detailed.hr_samples, |sample| heart_rate(sample.bpm)),
        /// Highest heart rate. Unit: bpm. From `heart_rate_data.summary.max_hr_bpm`.
        max_hr_bpm: f64 = heart.max_hr_bpm.get(),
        /// Lowest heart rate. Unit: bpm. From `heart_rate_data.summary.min_hr_bpm`.
        min_hr_bpm: f64 = heart.min_hr_bpm.get(),
        /// Resting heart rate. Unit: bpm. From `heart_rate_data.summary.resting_hr_bpm`.
        resting_hr_bpm: f64 = heart.resting_hr_bpm.get(),
        /// Average variability as RMSSD. Unit: ms. From `heart_rate_data.summary.avg_hrv_rmssd`.
        avg_hrv_rmssd: f64 = heart.avg_hrv_rmssd.get()
            => mean(&heart_detailed.hrv_samples_rmssd, |sample| real(sample.hrv_rmssd)),
        /// Average variability as SDNN. Unit: ms. From `heart_rate_data.summary.avg_hrv_sdnn`.
        avg_hrv_sdnn: f64 = heart.avg_hrv_sdnn.get()
            => mean(&heart_detailed.hrv_samples_sdnn, |sample| real(sample.hrv_sdnn)),
        /// Time in heart rate zones: a JSON array of `zone`, `name`, `start_percentage`,
        /// `end_percentage` and `duration_seconds`. From `heart_rate_data.summary.hr_zone_data`.
        hr_zones: String = heart_rate_zones(&heart.hr_zone_data),
        /// The wearer's highest heart rate ever. Unit: bpm. From `heart_rate_data.summary.user_max_hr_bpm`.
        user_max_hr_bpm: f64 = heart.user_max_hr_bpm.get(),
        /// Average breathing rate. Unit: breaths/min. From
        /// `respiration_data.breaths_data.avg_breaths_per_min`.
        avg_breaths_per_min: f64 = breaths.avg_breaths_per_min.get(),
        /// Highest breathing rate. Unit: breaths/min. From
        /// `respiration_data.breaths_data.max_breaths_per_min`.
        max_breaths_per_min: f64 = breaths.max_breaths_per_min.get(),
        /// Lowest breathing rate. Unit: breaths/min. From
        /// `respiration_data.breaths_data.min_breaths_per_min`.
        min_breaths_per_min: f64 = breaths.min_breaths_per_min.get(),
        /// Oxygen saturation. Unit: %. From
        /// `respiration_data.oxygen_saturation_data.avg_saturation_percentage`, else the mean of
        /// `samples`.
        avg_saturation_percentage: f64 = oxygen.avg_saturation_percentage.get()
            => mean(&oxygen.samples, blood),
        /// Episodes of snoring. Unit: count. From
        /// `respiration_data.snoring_data.num_snoring_events`.
        num_snoring_events: f64 = snoring.num_snoring_events.get(),
        /// Time spent snoring. Unit: s. From
        /// `respiration_data.snoring_data.total_snoring_duration_seconds`.
        total_snoring_duration_seconds: f64 = snoring.total_snoring_duration_seconds.get(),
        /// Skin temperature against the baseline. Unit: °C. From `temperature_data.delta`.
        temperature_delta: f64 = temperature.delta.get(),
        /// Vendor's readiness. From `readiness_data.readiness`.
        readiness: f64 = readiness.readiness.get(),
        /// Vendor's recovery. From `readiness_data.recovery_level`.
        recovery_level: f64 = readiness.recovery_level.get(),
        /// Vendor's score of the session. From `scores.sleep`.
        score_sleep: f64 = scores.sleep.get(),
        /// Model of the device. From `device_data.name`.
        device_name: String = text(&device.name),
        /// Maker of the device. From `device_data.manufacturer`.
        device_manufacturer: String = text(&device.manufacturer),
    }
}
