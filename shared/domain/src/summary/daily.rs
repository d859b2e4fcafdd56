//! Summary of one day of movement and strain.

use models::data::{Daily, enums::UploadType};

use super::table::{
    blood, code, greatest, heart_rate, heart_rate_zones, least, mean, newest, real, summary, take,
    text, time,
};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of a day of movement and strain.
    Daily(DailySummary) of record: Daily<'_> {
        let metadata = take(record.metadata);
        let device = take(record.device_data);
        let heart = take(record.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let durations = take(record.active_durations_data);
        let calories = take(record.calories_data);
        let distance = take(record.distance_data);
        let elevation = take(distance.elevation);
        let swimming = take(distance.swimming);
        let met = take(record.met_data);
        let oxygen = take(record.oxygen_data);
        let scores = take(record.scores);
        let strain = take(record.strain_data);
        let stress = take(record.stress_data);
        identity = Identity {
            start_time: time(&metadata.start_time),
            end_time: time(&metadata.end_time),
            ..Identity::default()
        };
        enrichment = record.data_enrichment;
        retracted = metadata.upload_type.known() == Some(UploadType::Delete);
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: Value = code(&metadata.timestamp_localization),
        /// Origin of the record, by Terra's number. From `metadata.upload_type`.
        upload_type: Value = code(&metadata.upload_type),
        /// Steps. Unit: count. From `distance_data.steps`.
        steps: f64 = distance.steps.get(),
        /// Distance. Unit: m. From `distance_data.distance_meters`.
        distance_meters: f64 = distance.distance_meters.get(),
        /// Floors climbed. Unit: count. From `distance_data.floors_climbed`.
        floors_climbed: f64 = distance.floors_climbed.get(),
        /// Climb. Unit: m. From `distance_data.elevation.gain_actual_meters`.
        gain_actual_meters: f64 = elevation.gain_actual_meters.get(),
        /// Descent. Unit: m. From `distance_data.elevation.loss_actual_meters`.
        loss_actual_meters: f64 = elevation.loss_actual_meters.get(),
        /// Greatest height. Unit: m. From `distance_data.elevation.max_meters`.
        elevation_max_meters: f64 = elevation.max_meters.get(),
        /// Least height. Unit: m. From `distance_data.elevation.min_meters`.
        elevation_min_meters: f64 = elevation.min_meters.get(),
        /// Average height. Unit: m. From `distance_data.elevation.avg_meters`.
        elevation_avg_meters: f64 = elevation.avg_meters.get(),
        /// Swimming laps. Unit: count. From `distance_data.swimming.num_laps`.
        num_laps: f64 = swimming.num_laps.get(),
        /// Swimming strokes. Unit: count. From `distance_data.swimming.num_strokes`.
        num_strokes: f64 = swimming.num_strokes.get(),
        /// Length of the pool. Unit: m. From `distance_data.swimming.pool_length_meters`.
        pool_length_meters: f64 = swimming.pool_length_meters.get(),
        /// Energy spent in all. Unit: kcal. From `calories_data.total_burned_calories`.
        total_burned_calories: f64 = calories.total_burned_calories.get(),
        /// Energy of activity alone. Unit: kcal. From `calories_data.net_activity_calories`.
        net_activity_calories: f64 = calories.net_activity_calories.get(),
        /// Energy eaten. Unit: kcal. From `calories_data.net_intake_calories`.
        net_intake_calories: f64 = calories.net_intake_calories.get(),
        /// Energy of the resting body. Unit: kcal. From `calories_data.BMR_calories`.
        bmr_calories as "BMR_calories": f64 = calories.bmr_calories.get(),
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
        /// Time active. Unit: s. From `active_durations_data.activity_seconds`.
        activity_seconds: f64 = durations.activity_seconds.get(),
        /// Time inactive. Unit: s. From `active_durations_data.inactivity_seconds`.
        inactivity_seconds: f64 = durations.inactivity_seconds.get(),
        /// Time at rest. Unit: s. From `active_durations_data.rest_seconds`.
        rest_seconds: f64 = durations.rest_seconds.get(),
        /// Time at low intensity. Unit: s. From `active_durations_data.low_intensity_seconds`.
        low_intensity_seconds: f64 = durations.low_intensity_seconds.get(),
        /// Time at moderate intensity. Unit: s. From
        /// `active_durations_data.moderate_intensity_seconds`.
        moderate_intensity_seconds: f64 = durations.moderate_intensity_seconds.get(),
        /// Time at vigorous intensity. Unit: s. From
        /// `active_durations_data.vigorous_intensity_seconds`.
        vigorous_intensity_seconds: f64 = durations.vigorous_intensity_seconds.get(),
        /// Time standing. Unit: s. From `active_durations_data.standing_seconds`.
        standing_seconds: f64 = durations.standing_seconds.get(),
        /// Hours with some standing. Unit: count. From
        /// `active_durations_data.standing_hours_count`.
        standing_hours_count: f64 = durations.standing_hours_count.get(),
        /// Average stress. Vendor's scale. From
        /// `stress_data.avg_stress_level`.
        avg_stress_level: f64 = stress.avg_stress_level.get(),
        /// Highest stress. Vendor's scale. From `stress_data.max_stress_level`.
        max_stress_level: f64 = stress.max_stress_level.get(),
        /// Time of stress in all. Unit: s. From `stress_data.stress_duration_seconds`.
        stress_duration_seconds: f64 = stress.stress_duration_seconds.get(),
        /// Time at rest. Unit: s. From `stress_data.rest_stress_duration_seconds`.
        rest_stress_duration_seconds: f64 = stress.rest_stress_duration_seconds.get(),
        /// Time of low stress. Unit: s. From `stress_data.low_stress_duration_seconds`.
        low_stress_duration_seconds: f64 = stress.low_stress_duration_seconds.get(),
        /// Time of medium stress. Unit: s. From `stress_data.medium_stress_duration_seconds`.
        medium_stress_duration_seconds: f64 = stress.medium_stress_duration_seconds.get(),
        /// Time of high stress. Unit: s. From `stress_data.high_stress_duration_seconds`.
        high_stress_duration_seconds: f64 = stress.high_stress_duration_seconds.get(),
        /// Time of stress by activity. Unit: s. From
        /// `stress_data.activity_stress_duration_seconds`.
        activity_stress_duration_seconds: f64 = stress.activity_stress_duration_seconds.get(),
        /// The day's stress, by Terra's number. From `stress_data.stress_rating`.
        stress_rating: Value = code(&stress.stress_rating),
        /// Highest energy reserve. Vendor's scale. From
        /// `stress_data.body_battery_samples[].level`.
        body_battery_max: f64 = None => greatest(&stress.body_battery_samples, |sample| real(sample.level)),
        /// Lowest energy reserve. Vendor's scale. From
        /// `stress_data.body_battery_samples[].level`.
        body_battery_min: f64 = None => least(&stress.body_battery_samples, |sample| real(sample.level)),
        /// Oxygen saturation. Unit: %. From `oxygen_data.avg_saturation_percentage`, else the mean
        /// of `saturation_samples`.
        avg_saturation_percentage: f64 = oxygen.avg_saturation_percentage.get()
            => mean(&oxygen.saturation_samples, blood),
        /// Greatest oxygen uptake. Unit: mL/min/kg. From
        /// `oxygen_data.vo2max_ml_per_min_per_kg`, else the day's average, else the newest of `vo2_samples`.
        vo2max_ml_per_min_per_kg: f64 = oxygen.vo2max_ml_per_min_per_kg
            .get()
            .or(oxygen.day_avg_vo2max_ml_per_min_per_kg.get())
            => newest(&oxygen.vo2_samples.parse(), |sample| {
                (sample.timestamp.get(), sample.vo2max_ml_per_min_per_kg)
            }),
        /// Strain. Vendor's scale. From `strain_data.strain_level`.
        strain_level: f64 = strain.strain_level.get(),
        /// Average metabolic equivalent. Unit: MET. From `MET_data.avg_level`.
        met_avg_level as "MET_avg_level": f64 = met.avg_level.get(),
        /// Time at high intensity. Unit: min. From `MET_data.num_high_intensity_minutes`.
        num_high_intensity_minutes: f64 = met.num_high_intensity_minutes.get(),
        /// Time at moderate intensity. Unit: min. From `MET_data.num_moderate_intensity_minutes`.
        num_moderate_intensity_minutes: f64 = met.num_moderate_intensity_minutes.get(),
        /// Time at low intensity. Unit: min. From `MET_data.num_low_intensity_minutes`.
        num_low_intensity_minutes: f64 = met.num_low_intensity_minutes.get(),
        /// Time inactive. Unit: min. From `MET_data.num_inactive_minutes`.
        num_inactive_minutes: f64 = met.num_inactive_minutes.get(),
        /// Vendor's score of activity. Unit: %. From `scores.activity`.
        score_activity: f64 = scores.activity.get(),
        /// Vendor's score of recovery. Unit: %. From `scores.recovery`.
        score_recovery: f64 = scores.recovery.get(),
        /// Vendor's score of sleep. Unit: %. From `scores.sleep`.
        score_sleep: f64 = scores.sleep.get(),
        /// Model of the device. From `device_data.name`.
        device_name: String = text(&device.name),
        /// Maker of the device. From `device_data.manufacturer`.
        device_manufacturer: String = text(&device.manufacturer),
    }
}
