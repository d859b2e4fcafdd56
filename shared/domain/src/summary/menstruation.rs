//! Summary of one day of a menstrual cycle.

use models::data::Menstruation;

use super::table::{code, listed, summary, take, text, time};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of a day of a menstrual cycle.
    Menstruation(MenstruationSummary) of record: Menstruation<'_> {
        let metadata = take(record.metadata);
        let cycle = take(record.menstruation_data);
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
        /// Phase on this day, by Terra's number. From `menstruation_data.current_phase`.
        current_phase: Value = code(&cycle.current_phase),
        /// Day within the cycle. Unit: days. From `menstruation_data.day_in_cycle`.
        day_in_cycle: f64 = cycle.day_in_cycle.get(),
        /// First day of the cycle. From `menstruation_data.period_start_date`.
        period_start_date: String = text(&cycle.period_start_date),
        /// Length of the period. Unit: days. From `menstruation_data.period_length_days`.
        period_length_days: f64 = cycle.period_length_days.get(),
        /// Length of the phase. Unit: days. From `menstruation_data.length_of_current_phase_days`.
        length_of_current_phase_days: f64 = cycle.length_of_current_phase_days.get(),
        /// Time until the next phase. Unit: days. From `menstruation_data.days_until_next_phase`.
        days_until_next_phase: f64 = cycle.days_until_next_phase.get(),
        /// Length of the cycle. Unit: days. From `menstruation_data.cycle_length_days`.
        cycle_length_days: f64 = cycle.cycle_length_days.get(),
        /// Predicted length of the cycle. Unit: days. From
        /// `menstruation_data.predicted_cycle_length_days`.
        predicted_cycle_length_days: f64 = cycle.predicted_cycle_length_days.get(),
        /// True if the cycle is a prediction. From `menstruation_data.is_predicted_cycle`.
        is_predicted_cycle: bool = cycle.is_predicted_cycle.get(),
        /// Flow over the cycle: a JSON array of `timestamp` and `flow`, by Terra's number. From
        /// `menstruation_data.menstruation_flow`.
        menstruation_flow: String = listed(&cycle.menstruation_flow, |sample| vec![
            ("timestamp", text(&sample.timestamp).map(Value::Text)),
            ("flow", code(&sample.flow)),
        ]),
        /// First fertile day. From `menstruation_data.fertility_window_start`.
        fertility_window_start: String = text(&cycle.fertility_window_start),
        /// Last fertile day. From `menstruation_data.fertility_window_end`.
        fertility_window_end: String = text(&cycle.fertility_window_end),
        /// Day of ovulation. From `menstruation_data.ovulation_day`.
        ovulation_day: String = text(&cycle.ovulation_day),
        /// Time of the vendor's last change. From `menstruation_data.last_updated_time`.
        last_updated_time: String = text(&cycle.last_updated_time),
    }
}
