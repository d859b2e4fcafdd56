//! Objects that several data types share.

use crate::{
    data::enums::{ActivityLevel, HeartRateContext, OxygenSaturationType},
    lenient::{Code, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// The device that recorded, and others that took part.
    ///
    /// Schema: `DeviceData.yaml`.
    pub struct DeviceData<'a> {
        /// Time of activation, ISO 8601 as Terra sent it.
        activation_timestamp: Text<'a>,
        /// Quantities that the device measured, as `HEART_RATE`; open list.
        data_provided: List<'a, Text<'a>>,
        /// Hardware.
        hardware_version: Text<'a>,
        /// Day of the last upload.
        last_upload_date: Text<'a>,
        /// Maker.
        manufacturer: Text<'a>,
        /// Model.
        name: Text<'a>,
        /// Others that took part.
        other_devices: List<'a, OtherDeviceData<'a>>,
        /// Serial number.
        serial_number: Text<'a>,
        /// Software.
        software_version: Text<'a>,
    }

    /// Another device that took part.
    ///
    /// Schema: `OtherDeviceData.yaml`.
    pub struct OtherDeviceData<'a> {
        /// Maker.
        manufacturer: Text<'a>,
        /// Hardware.
        hardware_version: Text<'a>,
        /// Serial number.
        serial_number: Text<'a>,
        /// Model.
        name: Text<'a>,
        /// Software.
        software_version: Text<'a>,
        /// Quantities that the device measured, as `HEART_RATE`; open list.
        data_provided: List<'a, Text<'a>>,
        /// Day of the last upload.
        last_upload_date: Text<'a>,
    }

    /// Heart rate and its variability.
    ///
    /// Schema: `HeartRateData.yaml`.
    pub struct HeartRateData<'a> {
        /// Sample streams.
        detailed: Object<HeartRateDataDetailed<'a>>,
        /// Averages and extremes.
        summary: Object<HeartRateDataSummary<'a>>,
    }

    /// Heart rate and its variability over time.
    ///
    /// Schema: `HeartRateDataDetailed.yaml`.
    pub struct HeartRateDataDetailed<'a> {
        /// Heart rate.
        hr_samples: List<'a, HeartRateDataSample<'a>>,
        /// Variability as RMSSD.
        hrv_samples_rmssd: List<'a, HrvRmssdSample<'a>>,
        /// Variability as SDNN.
        hrv_samples_sdnn: List<'a, HrvSdnnSample<'a>>,
    }

    /// One reading of the heart rate.
    ///
    /// Schema: `HeartRateDataSample.yaml`.
    pub struct HeartRateDataSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Heart rate. Unit: bpm.
        bpm: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
        /// Activity of the wearer. Absent before 2024.
        context: Code<HeartRateContext>,
    }

    /// One reading of variability as RMSSD.
    ///
    /// Schema: `HeartRateVariabilityDataSampleRMSSD.yaml`.
    pub struct HrvRmssdSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Variability. Unit: ms.
        hrv_rmssd: Number,
    }

    /// One reading of variability as SDNN.
    ///
    /// Schema: `HeartRateVariabilityDataSampleSDNN.yaml`.
    pub struct HrvSdnnSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Variability. Unit: ms.
        hrv_sdnn: Number,
    }

    /// Averages and extremes of the heart rate. Extremes may contradict one another.
    ///
    /// Schema: `HeartRateDataSummary.yaml`.
    pub struct HeartRateDataSummary<'a> {
        /// Average heart rate. Unit: bpm.
        avg_hr_bpm: Number,
        /// Average variability as RMSSD. Unit: ms.
        avg_hrv_rmssd: Number,
        /// Average variability as SDNN. Unit: ms.
        avg_hrv_sdnn: Number,
        /// Time in zones.
        hr_zone_data: List<'a, HeartRateZoneData<'a>>,
        /// Highest heart rate. Unit: bpm.
        max_hr_bpm: Number,
        /// Lowest heart rate. Unit: bpm.
        min_hr_bpm: Number,
        /// Resting heart rate. Unit: bpm.
        resting_hr_bpm: Number,
        /// The wearer's highest heart rate ever. Unit: bpm.
        user_max_hr_bpm: Number,
    }

    /// Time in one heart rate zone.
    ///
    /// Schema: `HeartRateZoneData.yaml`.
    pub struct HeartRateZoneData<'a> {
        /// Zone, counted from 0.
        zone: Number,
        /// Lower bound, of the highest heart rate. Unit: %.
        start_percentage: Number,
        /// Upper bound, of the highest heart rate. Unit: %.
        end_percentage: Number,
        /// Name.
        name: Text<'a>,
        /// Time in the zone. Unit: s.
        duration_seconds: Number,
    }

    /// Oxygen saturation and uptake.
    ///
    /// Schema: `OxygenData.yaml`.
    pub struct OxygenData<'a> {
        /// Average saturation. Unit: %.
        avg_saturation_percentage: Number,
        /// Saturation over time.
        saturation_samples: List<'a, OxygenSaturationSample<'a>>,
        /// Greatest uptake over time.
        vo2_samples: List<'a, Vo2MaxSample<'a>>,
        /// Greatest uptake. Unit: mL/min/kg.
        vo2max_ml_per_min_per_kg: Number,
        /// Greatest uptake, average of the day. Unit: mL/min/kg.
        day_avg_vo2max_ml_per_min_per_kg: Number,
    }

    /// One reading of oxygen saturation.
    ///
    /// Schema: `OxygenSaturationSample.yaml`.
    pub struct OxygenSaturationSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Saturation. Unit: %.
        percentage: Number,
        /// Medium: blood or muscle.
        kind as "type": Code<OxygenSaturationType>,
    }

    /// One estimate of the greatest oxygen uptake.
    ///
    /// Schema: `Vo2MaxSample.yaml`.
    pub struct Vo2MaxSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Greatest uptake. Unit: mL/min/kg.
        vo2max_ml_per_min_per_kg: Number,
    }

    /// Time at each intensity.
    ///
    /// Schema: `ActiveDurationsData.yaml`.
    pub struct ActiveDurationsData<'a> {
        /// Intensity over time.
        activity_levels_samples: List<'a, ActivityLevelSample<'a>>,
        /// Time active. Unit: s.
        activity_seconds: Number,
        /// Time inactive. Unit: s.
        inactivity_seconds: Number,
        /// Time at low intensity. Unit: s.
        low_intensity_seconds: Number,
        /// Time at moderate intensity. Unit: s.
        moderate_intensity_seconds: Number,
        /// Long spells without moving. Unit: count.
        num_continuous_inactive_periods: Number,
        /// Time at rest. Unit: s.
        rest_seconds: Number,
        /// Time at vigorous intensity. Unit: s.
        vigorous_intensity_seconds: Number,
        /// Hours with some standing. Unit: count.
        standing_hours_count: Number,
        /// Time standing. Unit: s.
        standing_seconds: Number,
    }

    /// Intensity at one time.
    ///
    /// Schema: `ActivityLevelSample.yaml`.
    pub struct ActivityLevelSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Intensity.
        activity_level: Code<ActivityLevel>,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// Energy, in kilocalories.
    ///
    /// Schema: `CaloriesData.yaml`.
    pub struct CaloriesData<'a> {
        /// Energy of the resting body. Unit: kcal.
        bmr_calories as "BMR_calories": Number,
        /// Energy over time.
        calorie_samples: List<'a, CalorieSample<'a>>,
        /// Energy of activity alone. Unit: kcal.
        net_activity_calories: Number,
        /// Energy eaten. Unit: kcal.
        net_intake_calories: Number,
        /// Energy spent in all. Unit: kcal.
        total_burned_calories: Number,
    }

    /// Energy at one time.
    ///
    /// Schema: `CalorieSample.yaml`.
    pub struct CalorieSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Energy. Unit: kcal.
        calories: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// Distance, climbing and steps over time.
    ///
    /// Schema: `DistanceDataDetailed.yaml`.
    pub struct DistanceDataDetailed<'a> {
        /// Distance.
        distance_samples: List<'a, DistanceSample<'a>>,
        /// Height above sea level.
        elevation_samples: List<'a, ElevationSample<'a>>,
        /// Floors.
        floors_climbed_samples: List<'a, FloorsClimbedSample<'a>>,
        /// Steps.
        step_samples: List<'a, StepSample<'a>>,
    }

    /// One reading of distance.
    ///
    /// Schema: `DistanceSample.yaml`.
    pub struct DistanceSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Distance. Unit: m.
        distance_meters: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// One reading of height.
    ///
    /// Schema: `ElevationSample.yaml`.
    pub struct ElevationSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Height above sea level. Unit: m.
        elev_meters: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// One reading of floors climbed.
    ///
    /// Schema: `FloorsClimbedSample.yaml`.
    pub struct FloorsClimbedSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Floors climbed. Unit: count.
        floors_climbed: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// One reading of steps.
    ///
    /// Schema: `StepSample.yaml`.
    pub struct StepSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Steps. Unit: count.
        steps: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// Climbing.
    ///
    /// Schema: `ElevationData.yaml`.
    pub struct ElevationData {
        /// Average height. Unit: m.
        avg_meters: Number,
        /// Climb. Unit: m.
        gain_actual_meters: Number,
        /// Climb planned. Unit: m.
        gain_planned_meters: Number,
        /// Descent. Unit: m.
        loss_actual_meters: Number,
        /// Greatest height. Unit: m.
        max_meters: Number,
        /// Least height. Unit: m.
        min_meters: Number,
    }

    /// Swimming.
    ///
    /// Schema: `SwimmingData.yaml`.
    pub struct SwimmingData {
        /// Laps. Unit: count.
        num_laps: Number,
        /// Strokes. Unit: count.
        num_strokes: Number,
        /// Length of the pool. Unit: m.
        pool_length_meters: Number,
    }

    /// Metabolic equivalents.
    ///
    /// Schema: `METData.yaml`.
    pub struct MetData<'a> {
        /// Level over time.
        met_samples as "MET_samples": List<'a, MetSample<'a>>,
        /// Average level. Unit: MET.
        avg_level: Number,
        /// Time at high intensity. Unit: min.
        num_high_intensity_minutes: Number,
        /// Time inactive. Unit: min.
        num_inactive_minutes: Number,
        /// Time at low intensity. Unit: min.
        num_low_intensity_minutes: Number,
        /// Time at moderate intensity. Unit: min.
        num_moderate_intensity_minutes: Number,
    }

    /// One reading of the metabolic equivalent.
    ///
    /// Schema: `METSample.yaml`.
    pub struct MetSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Level. Unit: MET.
        level: Number,
    }

    /// Vendor's strain.
    ///
    /// Schema: `StrainData.yaml`.
    pub struct StrainData {
        /// Strain. Vendor's scale; WHOOP 0 to 21.
        strain_level: Number,
    }
}
