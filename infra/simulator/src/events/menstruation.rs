//! Cycle days.

use serde_json::{Value, json};

use super::Context;

/// The record of one day of the cycle.
pub(crate) fn record(context: &mut Context<'_>) -> Value {
    let length = context.connection.physique.cycle_days.max(20);
    let day_in_cycle =
        i32::try_from(context.day.number() % u64::from(length.unsigned_abs())).unwrap_or(0);
    let began = context.day.before(day_in_cycle);
    let (phase, phase_length, until_next) = match day_in_cycle {
        0..=4 => (1, 5, 5 - day_in_cycle),
        5..=10 => (2, 6, 11 - day_in_cycle),
        11..=16 => (3, 6, 17 - day_in_cycle),
        _ => (5, length - 17, length - day_in_cycle),
    };
    let flow = match day_in_cycle {
        0 | 4 => 2,
        1 | 2 => 4,
        3 => 3,
        _ => 1,
    };
    json!({
        "metadata": context.day_metadata(),
        "menstruation_data": {
            "period_length_days": 5,
            "current_phase": phase,
            "length_of_current_phase_days": phase_length,
            "days_until_next_phase": until_next,
            "period_start_date": began.date.to_string(),
            "predicted_cycle_length_days": length,
            "day_in_cycle": day_in_cycle + 1,
            "last_updated_time": context.day.at(context.until),
            "cycle_length_days": length,
            "is_predicted_cycle": context.dice.chance(0.3),
            "menstruation_flow": [{ "timestamp": context.day.at(28_800), "flow": flow }],
            "intervals": [{
                "start_timestamp": began.start(),
                "end_timestamp": began.before(-5).start(),
                "phase": 1,
            }],
            "fertility_window_start": began.before(-11).date.to_string(),
            "fertility_window_end": began.before(-16).date.to_string(),
            "ovulation_day": began.before(-14).date.to_string(),
        },
    })
}
