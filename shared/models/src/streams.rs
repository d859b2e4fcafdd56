//! Arrays of Terra's records: sample streams, and lists that are content.
//!
//! Samples in a delivery depend on settings and requests, not on what was measured
//! (FACTS section 9, "Samples and supersets"). A list that is *content* (laps, measurements, meals) is
//! part of the record.
//!
//! Terra publishes no list of what `with_samples=false` empties. The table of [`arrays`] follows
//! the names in Terra's schemas: what is sampled over time is a stream.

use std::fmt;

use crate::data::DataType;

/// An array of a data type's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array {
    /// Names of the members that lead to the array, separated by dots. `[]` stands for every
    /// element of a list.
    pub path: &'static str,
    /// The sample stream that the array is, or `None` for content.
    pub stream: Option<Stream>,
}

/// Name of a sample stream, unique within a data type: `hr`, `steps`.
///
/// Items of the table hold these names, so a name is never given to another stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(&'static str);

impl Stream {
    /// The stream of that name, or `None` where the data type has none.
    pub fn named(data_type: DataType, name: &str) -> Option<Self> {
        let mut streams = arrays(data_type).iter().filter_map(|array| array.stream);
        streams.find(|stream| stream.0 == name)
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const fn content(path: &'static str) -> Array {
    Array { path, stream: None }
}

const fn samples(name: &'static str, path: &'static str) -> Array {
    Array {
        path,
        stream: Some(Stream(name)),
    }
}

const ACTIVITY: &[Array] = &[
    samples("met", "MET_data.MET_samples"),
    samples("tss", "TSS_data.TSS_samples"),
    samples(
        "activity_levels",
        "active_durations_data.activity_levels_samples",
    ),
    samples("calories", "calories_data.calorie_samples"),
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("distance", "distance_data.detailed.distance_samples"),
    samples("elevation", "distance_data.detailed.elevation_samples"),
    samples("floors", "distance_data.detailed.floors_climbed_samples"),
    samples("steps", "distance_data.detailed.step_samples"),
    samples("hr", "heart_rate_data.detailed.hr_samples"),
    samples("hrv_rmssd", "heart_rate_data.detailed.hrv_samples_rmssd"),
    samples("hrv_sdnn", "heart_rate_data.detailed.hrv_samples_sdnn"),
    content("heart_rate_data.summary.hr_zone_data"),
    content("lap_data.laps"),
    samples("cadence", "movement_data.cadence_samples"),
    samples("speed", "movement_data.speed_samples"),
    samples("torque", "movement_data.torque_samples"),
    samples("saturation", "oxygen_data.saturation_samples"),
    samples("vo2", "oxygen_data.vo2_samples"),
    content("position_data.center_pos_lat_lng_deg"),
    content("position_data.end_pos_lat_lng_deg"),
    samples("position", "position_data.position_samples"),
    content("position_data.start_pos_lat_lng_deg"),
    samples("power", "power_data.power_samples"),
];

const BODY: &[Array] = &[
    samples(
        "blood_pressure",
        "blood_pressure_data.blood_pressure_samples",
    ),
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("glucose", "glucose_data.blood_glucose_samples"),
    content("glucose_data.daily_patterns"),
    samples(
        "glucose_detailed",
        "glucose_data.detailed_blood_glucose_samples",
    ),
    samples("afib", "heart_data.afib_classification_samples"),
    content("heart_data.ecg_signal"),
    samples("ecg", "heart_data.ecg_signal[].raw_signal"),
    samples("hr", "heart_data.heart_rate_data.detailed.hr_samples"),
    samples(
        "hrv_rmssd",
        "heart_data.heart_rate_data.detailed.hrv_samples_rmssd",
    ),
    samples(
        "hrv_sdnn",
        "heart_data.heart_rate_data.detailed.hrv_samples_sdnn",
    ),
    content("heart_data.heart_rate_data.summary.hr_zone_data"),
    samples("pulse_wave", "heart_data.pulse_wave_velocity_samples"),
    samples("rr", "heart_data.rr_interval_samples"),
    samples("hydration", "hydration_data.hydration_amount_samples"),
    samples("ketone", "ketone_data.ketone_samples"),
    content("measurements_data.measurements"),
    samples("saturation", "oxygen_data.saturation_samples"),
    samples("vo2", "oxygen_data.vo2_samples"),
    samples(
        "ambient_temperature",
        "temperature_data.ambient_temperature_samples",
    ),
    samples(
        "body_temperature",
        "temperature_data.body_temperature_samples",
    ),
    samples(
        "skin_temperature",
        "temperature_data.skin_temperature_samples",
    ),
];

const DAILY: &[Array] = &[
    samples("met", "MET_data.MET_samples"),
    samples(
        "activity_levels",
        "active_durations_data.activity_levels_samples",
    ),
    samples("calories", "calories_data.calorie_samples"),
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("distance", "distance_data.detailed.distance_samples"),
    samples("elevation", "distance_data.detailed.elevation_samples"),
    samples("floors", "distance_data.detailed.floors_climbed_samples"),
    samples("steps", "distance_data.detailed.step_samples"),
    samples("hr", "heart_rate_data.detailed.hr_samples"),
    samples("hrv_rmssd", "heart_rate_data.detailed.hrv_samples_rmssd"),
    samples("hrv_sdnn", "heart_rate_data.detailed.hrv_samples_sdnn"),
    content("heart_rate_data.summary.hr_zone_data"),
    samples("saturation", "oxygen_data.saturation_samples"),
    samples("vo2", "oxygen_data.vo2_samples"),
    samples("body_battery", "stress_data.body_battery_samples"),
    samples("stress", "stress_data.samples"),
    content("tag_data.tags"),
];

const MENSTRUATION: &[Array] = &[
    content("menstruation_data.intervals"),
    content("menstruation_data.menstruation_flow"),
];

const NUTRITION: &[Array] = &[content("drink_samples"), content("meals")];

const SLEEP: &[Array] = &[
    content("device_data.data_provided"),
    content("device_data.other_devices"),
    content("device_data.other_devices[].data_provided"),
    samples("hr", "heart_rate_data.detailed.hr_samples"),
    samples("hrv_rmssd", "heart_rate_data.detailed.hrv_samples_rmssd"),
    samples("hrv_sdnn", "heart_rate_data.detailed.hrv_samples_sdnn"),
    content("heart_rate_data.summary.hr_zone_data"),
    samples("breaths", "respiration_data.breaths_data.samples"),
    samples(
        "saturation",
        "respiration_data.oxygen_saturation_data.samples",
    ),
    samples("snoring", "respiration_data.snoring_data.samples"),
    samples("hypnogram", "sleep_durations_data.hypnogram_samples"),
];

const HEALTH_OBSERVATION: &[Array] = &[
    content("observation_data.codes"),
    content("observation_data.components"),
];

const PLANNED_WORKOUT: &[Array] = &[
    content("details.steps"),
    content("details.steps[].durations"),
    content("details.steps[].equipment_type"),
    content("details.steps[].steps"),
    content("details.steps[].targets"),
];

const LAB_REPORT: &[Array] = &[
    content("panels"),
    content("results"),
    content("results[].reference_ranges"),
    content("results[].reference_ranges[].context.modifiers"),
];

/// Every array of a data type's schema. An array inside a sample is part of its stream.
pub fn arrays(data_type: DataType) -> &'static [Array] {
    match data_type {
        DataType::Activity => ACTIVITY,
        DataType::Body => BODY,
        DataType::Daily => DAILY,
        DataType::Menstruation => MENSTRUATION,
        DataType::Nutrition => NUTRITION,
        DataType::Sleep => SLEEP,
        DataType::HealthObservation => HEALTH_OBSERVATION,
        DataType::PlannedWorkout => PLANNED_WORKOUT,
        DataType::LabReport => LAB_REPORT,
        DataType::Athlete | DataType::Hormone => &[],
    }
}
