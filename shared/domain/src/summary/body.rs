//! Summary of one day of body measurements.

use std::cell::LazyCell;

use models::data::Body;

use super::table::{
    blood, code, heart_rate, heart_rate_zones, mean, newest, real, summary, take, text, time,
};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of a day of body measurements.
    Body(BodySummary) of record: Body<'_> {
        let metadata = take(record.metadata);
        let device = take(record.device_data);
        let pressure = take(record.blood_pressure_data);
        let heart = take(record.heart_data);
        let heart = take(heart.heart_rate_data);
        let heart_detailed = take(heart.detailed);
        let heart = take(heart.summary);
        let hydration = take(record.hydration_data);
        let ketone = take(record.ketone_data);
        let measured = take(record.measurements_data);
        let single = LazyCell::new(|| measured.measurements.parse());
        let oxygen = take(record.oxygen_data);
        let temperature = take(record.temperature_data);
        let glucose = take(record.glucose_data);
        identity = Identity {
            start_time: time(&metadata.start_time),
            end_time: time(&metadata.end_time),
            ..Identity::default()
        };
    } {
        /// Start of the day as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End of the day as Terra sent it. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: Value = code(&metadata.timestamp_localization),
        /// Weight. Unit: kg. From `measurements_data.day_avg_weight_kg`, else the newest of
        /// `measurements`.
        weight_kg: f64 = measured.day_avg_weight_kg.get()
            => newest(&single, |one| (one.measurement_time.get(), one.weight_kg)),
        /// Height. Unit: cm. From `measurements_data.day_avg_height_cm`, else the newest of
        /// `measurements`.
        height_cm: f64 = measured.day_avg_height_cm.get()
            => newest(&single, |one| (one.measurement_time.get(), one.height_cm)),
        /// Body mass index. Unit: kg/m². From `measurements_data.day_avg_bmi`, else the newest of
        /// `measurements`.
        bmi as "BMI": f64 = measured.day_avg_bmi.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bmi)),
        /// Body fat. Unit: %. From `measurements_data.day_avg_bodyfat_percentage`, else the newest
        /// of `measurements`.
        bodyfat_percentage: f64 = measured.day_avg_bodyfat_percentage.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bodyfat_percentage)),
        /// Lean mass. Unit: g. From `measurements_data.day_avg_lean_mass_g`, else the newest of
        /// `measurements`.
        lean_mass_g: f64 = measured.day_avg_lean_mass_g.get()
            => newest(&single, |one| (one.measurement_time.get(), one.lean_mass_g)),
        /// Muscle mass. Unit: g. From `measurements_data.day_avg_muscle_mass_g`, else the newest of
        /// `measurements`.
        muscle_mass_g: f64 = measured.day_avg_muscle_mass_g.get()
            => newest(&single, |one| (one.measurement_time.get(), one.muscle_mass_g)),
        /// Bone mass. Unit: g. From `measurements_data.day_avg_bone_mass_g`, else the newest of
        /// `measurements`.
        bone_mass_g: f64 = measured.day_avg_bone_mass_g.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bone_mass_g)),
        /// Body water. Unit: %. From `measurements_data.day_avg_water_percentage`, else the newest
        /// of `measurements`.
        water_percentage: f64 = measured.day_avg_water_percentage.get()
            => newest(&single, |one| (one.measurement_time.get(), one.water_percentage)),
        /// Visceral fat. Vendor's scale. From `measurements_data.day_avg_visceral_fat_level`, else
        /// the newest of `measurements`.
        visceral_fat_level: f64 = measured.day_avg_visceral_fat_level.get()
            => newest(&single, |one| (one.measurement_time.get(), one.visceral_fat_level)),
        /// Skin fold. Unit: mm. From `measurements_data.day_avg_skin_fold_mm`, else the newest of
        /// `measurements`.
        skin_fold_mm: f64 = measured.day_avg_skin_fold_mm.get()
            => newest(&single, |one| (one.measurement_time.get(), one.skin_fold_mm)),
        /// Basal metabolic rate. Unit: kcal per day. From `measurements_data.day_avg_bmr`, else the
        /// newest of `measurements`.
        bmr as "BMR": f64 = measured.day_avg_bmr.get()
            => newest(&single, |one| (one.measurement_time.get(), one.bmr)),
        /// Resting metabolic rate. Unit: kcal per day. From `measurements_data.day_avg_rmr`, else
        /// the newest of `measurements`.
        rmr as "RMR": f64 = measured.day_avg_rmr.get()
            => newest(&single, |one| (one.measurement_time.get(), one.rmr)),
        /// Fitness age. Unit: years. From `measurements_data.day_avg_estimated_fitness_age`, else
        /// the newest of `measurements`.
        estimated_fitness_age: f64 = measured.day_avg_estimated_fitness_age.get()
            => newest(&single, |one| (one.measurement_time.get(), one.estimated_fitness_age)),
        /// Insulin. Unit: international units. From `measurements_data.day_avg_insulin_units`, else
        /// the newest of `measurements`.
        insulin_units: f64 = measured.day_avg_insulin_units.get()
            => newest(&single, |one| (one.measurement_time.get(), one.insulin_units)),
        /// Systolic blood pressure. Unit: mmHg. From `blood_pressure_data.day_avg_systolic_bp`,
        /// else the mean of `blood_pressure_samples`.
        systolic_bp: f64 = pressure.day_avg_systolic_bp.get()
            => mean(&pressure.blood_pressure_samples, |sample| sample.systolic_bp),
        /// Diastolic blood pressure. Unit: mmHg. From `blood_pressure_data.day_avg_diastolic_bp`,
        /// else the mean of `blood_pressure_samples`.
        diastolic_bp: f64 = pressure.day_avg_diastolic_bp.get()
            => mean(&pressure.blood_pressure_samples, |sample| sample.diastolic_bp),
        /// Blood glucose. Unit: mg/dL. From `glucose_data.day_avg_blood_glucose_mg_per_dL`, else
        /// the mean of its samples.
        blood_glucose_mg_per_dl as "blood_glucose_mg_per_dL": f64 = glucose
            .day_avg_blood_glucose_mg_per_dl
            .get()
            .or(glucose.deprecated_day_avg_blood_glucose_mg_per_dl.get())
            => mean(&glucose.blood_glucose_samples, |sample| sample.blood_glucose_mg_per_dl),
        /// Blood glucose by the more frequent readings. Unit: mg/dL. From
        /// `glucose_data.day_avg_detailed_blood_glucose_mg_per_dL`, else the mean of
        /// `detailed_blood_glucose_samples`.
        detailed_blood_glucose_mg_per_dl as "detailed_blood_glucose_mg_per_dL": f64 = glucose
            .day_avg_detailed_blood_glucose_mg_per_dl
            .get()
            => mean(&glucose.detailed_blood_glucose_samples, |sample| {
                sample.blood_glucose_mg_per_dl
            }),
        /// Glucose management indicator. Unit: %. From `glucose_data.gmi`.
        gmi: f64 = glucose.gmi.get(),
        /// Share of the time in range. Unit not stated. From `glucose_data.time_in_range`.
        time_in_range: f64 = glucose.time_in_range.get(),
        /// Number of readings. Unit: count. From `glucose_data.sensor_usage`.
        sensor_usage: f64 = glucose.sensor_usage.get(),
        /// Core temperature. Unit: °C. From `temperature_data.day_avg_body_temperature_celsius`,
        /// else the mean of `body_temperature_samples`.
        body_temperature_celsius: f64 = temperature.day_avg_body_temperature_celsius.get()
            => mean(&temperature.body_temperature_samples, |sample| sample.temperature_celsius),
        /// Skin temperature. Unit: °C. From `temperature_data.day_avg_skin_temperature_celsius`,
        /// else the mean of `skin_temperature_samples`.
        skin_temperature_celsius: f64 = temperature.day_avg_skin_temperature_celsius.get()
            => mean(&temperature.skin_temperature_samples, |sample| sample.temperature_celsius),
        /// Ambient temperature. Unit: °C. From
        /// `temperature_data.day_avg_ambient_temperature_celsius`, else the mean of
        /// `ambient_temperature_samples`.
        ambient_temperature_celsius: f64 = temperature.day_avg_ambient_temperature_celsius.get()
            => mean(&temperature.ambient_temperature_samples, |sample| sample.temperature_celsius),
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
        /// Average heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.avg_hr_bpm`,
        /// else the mean of `hr_samples`.
        avg_hr_bpm: f64 = heart.avg_hr_bpm.get()
            => mean(&heart_detailed.hr_samples, |sample| heart_rate(sample.bpm)),
        /// Highest heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.max_hr_bpm`.
        max_hr_bpm: f64 = heart.max_hr_bpm.get(),
        /// Lowest heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.min_hr_bpm`.
        min_hr_bpm: f64 = heart.min_hr_bpm.get(),
        /// Resting heart rate. Unit: bpm. From `heart_data.heart_rate_data.summary.resting_hr_bpm`.
        resting_hr_bpm: f64 = heart.resting_hr_bpm.get(),
        /// Average variability as RMSSD. Unit: ms. From
        /// `heart_data.heart_rate_data.summary.avg_hrv_rmssd`.
        avg_hrv_rmssd: f64 = heart.avg_hrv_rmssd.get()
            => mean(&heart_detailed.hrv_samples_rmssd, |sample| real(sample.hrv_rmssd)),
        /// Average variability as SDNN. Unit: ms. From
        /// `heart_data.heart_rate_data.summary.avg_hrv_sdnn`.
        avg_hrv_sdnn: f64 = heart.avg_hrv_sdnn.get()
            => mean(&heart_detailed.hrv_samples_sdnn, |sample| real(sample.hrv_sdnn)),
        /// Time in heart rate zones: a JSON array of `zone`, `name`, `start_percentage`,
        /// `end_percentage` and `duration_seconds`. From `heart_data.heart_rate_data.summary.hr_zone_data`.
        hr_zones: String = heart_rate_zones(&heart.hr_zone_data),
        /// The wearer's highest heart rate ever. Unit: bpm. From `heart_data.heart_rate_data.summary.user_max_hr_bpm`.
        user_max_hr_bpm: f64 = heart.user_max_hr_bpm.get(),
        /// Body water. Unit: kg. From `hydration_data.day_avg_hydration_kg`.
        hydration_kg: f64 = hydration.day_avg_hydration_kg.get()
            => mean(&hydration.hydration_amount_samples, |sample| real(sample.hydration_kg)),
        /// Water drunk. Unit: mL. From `hydration_data.day_total_water_consumption_ml`.
        day_total_water_consumption_ml: f64 = hydration.day_total_water_consumption_ml.get(),
        /// Ketones. Unit: mg/dL. From `ketone_data.day_avg_ketone_mg_per_dL`, else the mean of
        /// `ketone_samples`.
        ketone_mg_per_dl as "ketone_mg_per_dL": f64 = ketone.day_avg_ketone_mg_per_dl.get()
            => mean(&ketone.ketone_samples, |sample| sample.ketone_mg_per_dl),
        /// Model of the device. From `device_data.name`.
        device_name: String = text(&device.name),
        /// Maker of the device. From `device_data.manufacturer`.
        device_manufacturer: String = text(&device.manufacturer),
    }
}
