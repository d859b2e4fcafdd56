//! One day of a menstrual cycle.

use crate::{
    data::enums::{MenstruationFlow, MenstruationInterval, TimestampLocalization},
    lenient::{Code, Flag, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One day of a menstrual cycle. Key: the date cut from `metadata.start_time`.
    ///
    /// Schema: `Menstruation.yaml`.
    pub struct Menstruation<'a> {
        /// Day of the record.
        metadata: Object<MenstruationMetadata<'a>>,
        /// The state of the cycle.
        menstruation_data: Object<MenstruationData<'a>>,
    }

    /// The day of a menstruation record.
    ///
    /// Schema: `MenstruationMetadata.yaml`.
    pub struct MenstruationMetadata<'a> {
        /// End of the day, ISO 8601 as Terra sent it; by the schema the next midnight.
        end_time: Text<'a>,
        /// Start of the day, ISO 8601 as Terra sent it. Its first ten characters are the date.
        start_time: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
    }

    /// The state of the cycle.
    ///
    /// Schema: `MenstruationData.yaml`.
    pub struct MenstruationData<'a> {
        /// Length of the period. Unit: days.
        period_length_days: Number,
        /// Phase on this day.
        current_phase: Code<MenstruationInterval>,
        /// Length of that phase. Unit: days.
        length_of_current_phase_days: Number,
        /// Time until the next phase. Unit: days.
        days_until_next_phase: Number,
        /// First day of the cycle, `YYYY-MM-DD`.
        period_start_date: Text<'a>,
        /// Predicted length of the cycle. Unit: days.
        predicted_cycle_length_days: Number,
        /// Day within the cycle, counted by the vendor. Unit: days.
        day_in_cycle: Number,
        /// Time of the vendor's last change, ISO 8601 as Terra sent it.
        last_updated_time: Text<'a>,
        /// Length of the cycle. Unit: days.
        cycle_length_days: Number,
        /// True if the cycle is a prediction.
        is_predicted_cycle: Flag,
        /// Flow over time.
        menstruation_flow: List<'a, MenstruationFlowSample<'a>>,
        /// Phases of the cycle.
        intervals: List<'a, MenstruationIntervalSample<'a>>,
        /// First fertile day, `YYYY-MM-DD`.
        fertility_window_start: Text<'a>,
        /// Last fertile day, `YYYY-MM-DD`.
        fertility_window_end: Text<'a>,
        /// Day of ovulation, `YYYY-MM-DD`.
        ovulation_day: Text<'a>,
    }

    /// Flow at one time.
    ///
    /// Schema: `MenstruationFlowSample.yaml`.
    pub struct MenstruationFlowSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// The flow.
        flow: Code<MenstruationFlow>,
    }

    /// One phase of the cycle.
    ///
    /// Schema: `MenstruationIntervalSample.yaml`.
    pub struct MenstruationIntervalSample<'a> {
        /// Start, ISO 8601 as Terra sent it.
        start_timestamp: Text<'a>,
        /// End, ISO 8601 as Terra sent it.
        end_timestamp: Text<'a>,
        /// The phase.
        phase: Code<MenstruationInterval>,
    }
}
