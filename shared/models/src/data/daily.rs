//! One day of movement and strain.

use crate::{
    data::enums::{StressLevel, TimestampLocalization, UploadType},
    data::shared::{
        ActiveDurationsData, CaloriesData, DeviceData, DistanceDataDetailed, ElevationData,
        HeartRateData, MetData, OxygenData, StrainData, SwimmingData,
    },
    lenient::{Any, Code, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One day of movement and strain. Key: the date cut from `metadata.start_time`.
    ///
    /// Schema: `Daily.yaml`.
    pub struct Daily<'a> {
        /// Time at each intensity.
        active_durations_data: Object<ActiveDurationsData<'a>>,
        /// Energy, in kilocalories.
        calories_data: Object<CaloriesData<'a>>,
        /// Scores computed by Terra.
        ///
        /// Raw, because every key counts, known or not. Absence or null never erases an earlier
        /// score.
        data_enrichment: Any<'a>,
        /// The device that recorded.
        device_data: Object<DeviceData<'a>>,
        /// Distance, steps, climbing, swimming.
        distance_data: Object<DailyDistanceData<'a>>,
        /// Heart rate and its variability.
        heart_rate_data: Object<HeartRateData<'a>>,
        /// Metabolic equivalents.
        met_data as "MET_data": Object<MetData<'a>>,
        /// Day of the record.
        metadata: Object<DailyMetadata<'a>>,
        /// Oxygen saturation and uptake.
        oxygen_data: Object<OxygenData<'a>>,
        /// Vendor's scores.
        scores: Object<DailyScores>,
        /// Vendor's strain.
        strain_data: Object<StrainData>,
        /// Stress.
        stress_data: Object<StressData<'a>>,
        /// The wearer's tags.
        tag_data: Object<TagData<'a>>,
    }

    /// The day of a daily record.
    ///
    /// Schema: `DailyMetadata.yaml`.
    pub struct DailyMetadata<'a> {
        /// End of the day, ISO 8601 as Terra sent it; by the schema the next midnight.
        end_time: Text<'a>,
        /// Start of the day, ISO 8601 as Terra sent it. Its first ten characters are the date.
        start_time: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
        /// Origin of the record; 4 retracts it.
        upload_type: Code<UploadType>,
    }

    /// Distance, steps, climbing and swimming of a day.
    ///
    /// Schema: `DailyDistanceData.yaml`.
    pub struct DailyDistanceData<'a> {
        /// Sample streams.
        detailed: Object<DistanceDataDetailed<'a>>,
        /// Distance covered. Unit: m.
        distance_meters: Number,
        /// Climbing.
        elevation: Object<ElevationData>,
        /// Floors climbed. Unit: count.
        floors_climbed: Number,
        /// Steps. Unit: count.
        steps: Number,
        /// Swimming.
        swimming: Object<SwimmingData>,
    }

    /// Vendor's scores of a day.
    ///
    /// Schema: `ScoresData.yaml`.
    pub struct DailyScores {
        /// Activity. Unit: %.
        activity: Number,
        /// Recovery. Unit: %.
        recovery: Number,
        /// Sleep. Unit: %.
        sleep: Number,
    }

    /// Stress of a day, on the vendor's scale, mostly 0 to 100.
    ///
    /// Schema: `StressData.yaml`.
    pub struct StressData<'a> {
        /// Average stress. Vendor's scale; -1 means not measured.
        avg_stress_level: Number,
        /// Time of stress by activity. Unit: s.
        activity_stress_duration_seconds: Number,
        /// Time of low stress. Unit: s.
        low_stress_duration_seconds: Number,
        /// Highest stress. Vendor's scale.
        max_stress_level: Number,
        /// Time of medium stress. Unit: s.
        medium_stress_duration_seconds: Number,
        /// Stress over time.
        samples: List<'a, StressSample<'a>>,
        /// Time at rest. Unit: s.
        rest_stress_duration_seconds: Number,
        /// Time of high stress. Unit: s.
        high_stress_duration_seconds: Number,
        /// Time of stress in all. Unit: s.
        stress_duration_seconds: Number,
        /// The day in one word.
        stress_rating: Code<StressLevel>,
        /// Energy reserve over time.
        body_battery_samples: List<'a, BodyBatterySample<'a>>,
    }

    /// One reading of stress.
    ///
    /// Schema: `StressSample.yaml`.
    pub struct StressSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Stress. Vendor's scale; -1 means not measured.
        level: Number,
    }

    /// One reading of the energy reserve.
    ///
    /// Schema: `BodyBatterySample.yaml`.
    pub struct BodyBatterySample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Energy reserve. Vendor's scale.
        level: Number,
    }

    /// The wearer's tags.
    ///
    /// Schema: `TagData.yaml`.
    pub struct TagData<'a> {
        /// One entry per tag.
        tags: List<'a, TagEntry<'a>>,
    }

    /// One tag.
    ///
    /// Schema: `TagEntry.yaml`.
    pub struct TagEntry<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Text of the tag.
        tag_name: Text<'a>,
        /// The wearer's notes.
        notes: Text<'a>,
    }
}
