//! One sleep session.

use crate::{
    data::enums::{SleepLevel, SleepUploadType, TimestampLocalization},
    data::shared::{DeviceData, HeartRateData, OxygenSaturationSample},
    lenient::{Any, Code, Flag, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One sleep session, night or nap. Key: `metadata.summary_id`, else `metadata.start_time`.
    ///
    /// Schema: `Sleep.yaml`.
    pub struct Sleep<'a> {
        /// Scores computed by Terra.
        ///
        /// Raw, because every key counts, known or not. Absence or null never erases an earlier
        /// score.
        data_enrichment: Any<'a>,
        /// The device that recorded.
        device_data: Object<DeviceData<'a>>,
        /// Heart rate and its variability. 255 as lowest or resting rate means unknown.
        heart_rate_data: Object<HeartRateData<'a>>,
        /// Times and id of the session.
        metadata: Object<SleepMetadata<'a>>,
        /// Vendor's readiness.
        readiness_data: Object<ReadinessData>,
        /// Breathing.
        respiration_data: Object<RespirationData<'a>>,
        /// Vendor's score.
        scores: Object<SleepScores>,
        /// Time in each stage.
        sleep_durations_data: Object<SleepDurationsData<'a>>,
        /// Skin temperature against the baseline.
        temperature_data: Object<SleepTemperatureData>,
    }

    /// Times of a sleep session.
    ///
    /// Schema: `SleepMetadata.yaml`.
    pub struct SleepMetadata<'a> {
        /// End, ISO 8601 as Terra sent it.
        end_time: Text<'a>,
        /// True if the sleep was a nap.
        is_nap: Flag,
        /// Start, ISO 8601 as Terra sent it; without an offset it is the wearer's wall time.
        start_time: Text<'a>,
        /// The record's id, unique within a connection only. Often absent.
        summary_id: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
        /// Origin of the record. Counts differently from `UploadType`.
        upload_type: Code<SleepUploadType>,
    }

    /// Vendor's readiness.
    ///
    /// Schema: `ReadinessData.yaml`.
    pub struct ReadinessData {
        /// Readiness, 0 to 100.
        readiness: Number,
        /// Recovery; by older material 0 unknown, 1 very poor to 6 very good.
        recovery_level: Number,
    }

    /// Breathing during sleep.
    ///
    /// Schema: `RespirationData.yaml`.
    pub struct RespirationData<'a> {
        /// Breathing rate.
        breaths_data: Object<BreathsData<'a>>,
        /// Oxygen saturation.
        oxygen_saturation_data: Object<OxygenSaturationData<'a>>,
        /// Snoring.
        snoring_data: Object<SnoringData<'a>>,
    }

    /// Breathing rate during sleep.
    ///
    /// Schema: `BreathsData.yaml`.
    pub struct BreathsData<'a> {
        /// Average rate. Unit: breaths/min.
        avg_breaths_per_min: Number,
        /// Highest rate. Unit: breaths/min.
        max_breaths_per_min: Number,
        /// Lowest rate. Unit: breaths/min.
        min_breaths_per_min: Number,
        /// True if the wearer asked for the reading.
        on_demand_reading: Flag,
        /// Rate over time.
        samples: List<'a, BreathSample<'a>>,
        /// Start, ISO 8601 as Terra sent it.
        start_time: Text<'a>,
        /// End, ISO 8601 as Terra sent it.
        end_time: Text<'a>,
    }

    /// One reading of the breathing rate.
    ///
    /// Schema: `BreathSample.yaml`.
    pub struct BreathSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Rate. Unit: breaths/min.
        breaths_per_min: Number,
    }

    /// Oxygen saturation during sleep.
    ///
    /// Schema: `OxygenSaturationData.yaml`.
    pub struct OxygenSaturationData<'a> {
        /// Average saturation. Unit: %.
        avg_saturation_percentage: Number,
        /// End, ISO 8601 as Terra sent it.
        end_time: Text<'a>,
        /// Saturation over time.
        samples: List<'a, OxygenSaturationSample<'a>>,
        /// Start, ISO 8601 as Terra sent it.
        start_time: Text<'a>,
    }

    /// Snoring during sleep.
    ///
    /// Schema: `SnoringData.yaml`.
    pub struct SnoringData<'a> {
        /// Start, ISO 8601 as Terra sent it.
        start_time: Text<'a>,
        /// End, ISO 8601 as Terra sent it.
        end_time: Text<'a>,
        /// Episodes of snoring. Unit: count.
        num_snoring_events: Number,
        /// Single episodes.
        samples: List<'a, SnoringSample<'a>>,
        /// Time spent snoring. Unit: s.
        total_snoring_duration_seconds: Number,
    }

    /// One episode of snoring.
    ///
    /// Schema: `SnoringSample.yaml`.
    pub struct SnoringSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Its length. Unit: s.
        duration_seconds: Number,
    }

    /// Vendor's score of a sleep session.
    ///
    /// Schema: `SleepScores.yaml`.
    pub struct SleepScores {
        /// Sleep. Vendor's scale, mostly 0 to 100.
        sleep: Number,
    }

    /// Time in each stage.
    ///
    /// Schema: `SleepDurationsData.yaml`.
    pub struct SleepDurationsData<'a> {
        /// Time asleep.
        asleep: Object<AsleepDurations>,
        /// Time awake.
        awake: Object<AwakeDurations>,
        /// Stage over time.
        hypnogram_samples: List<'a, SleepHypnogramSample<'a>>,
        /// Time in bed.
        other: Object<OtherSleepDurations>,
        /// Share of the time in bed asleep. Unit: %; some vendors send a fraction.
        sleep_efficiency: Number,
    }

    /// Time asleep, by stage.
    ///
    /// Schema: `AsleepDurations.yaml`.
    pub struct AsleepDurations {
        /// Time asleep in all. May be absent although the stages are there. Unit: s.
        duration_asleep_state_seconds: Number,
        /// Deep sleep. Unit: s.
        duration_deep_sleep_state_seconds: Number,
        /// Light sleep. Unit: s.
        duration_light_sleep_state_seconds: Number,
        /// REM sleep. Unit: s.
        duration_rem_sleep_state_seconds as "duration_REM_sleep_state_seconds": Number,
        /// Phases of REM sleep. Unit: count.
        num_rem_events as "num_REM_events": Number,
    }

    /// Time awake during the session.
    ///
    /// Schema: `AwakeDurations.yaml`.
    pub struct AwakeDurations {
        /// Time awake in all. Unit: s.
        duration_awake_state_seconds: Number,
        /// Long interruptions. Unit: s.
        duration_long_interruption_seconds: Number,
        /// Short interruptions. Unit: s.
        duration_short_interruption_seconds: Number,
        /// Times out of bed. Unit: count.
        num_out_of_bed_events: Number,
        /// Times awoken. Unit: count.
        num_wakeup_events: Number,
        /// Time to fall asleep. Unit: s.
        sleep_latency_seconds: Number,
        /// Time to get up after waking. Unit: s.
        wake_up_latency_seconds: Number,
    }

    /// Time in bed.
    ///
    /// Schema: `OtherSleepDurations.yaml`.
    pub struct OtherSleepDurations {
        /// Time in bed. Unit: s.
        duration_in_bed_seconds: Number,
        /// Time that could not be classified. Unit: s.
        duration_unmeasurable_sleep_seconds: Number,
    }

    /// The stage from one time on.
    ///
    /// Schema: `SleepHypnogramSample.yaml`.
    pub struct SleepHypnogramSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// The stage.
        level: Code<SleepLevel>,
    }

    /// Skin temperature against the baseline.
    ///
    /// Schema: `SleepTemperatureData.yaml`.
    pub struct SleepTemperatureData {
        /// Difference from the person's baseline. Unit: °C.
        delta: Number,
    }
}
