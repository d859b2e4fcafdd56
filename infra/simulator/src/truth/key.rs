//! The natural key of a record, written from FACTS section 9 and on purpose not shared with the
//! code under test.

use serde_json::Value;

use crate::DataType;

/// Returns the name of a record within its connection: an id, a day, a time, or nothing for the profile.
pub(super) fn natural_key(data_type: DataType, record: &Value) -> String {
    let text = |pointer: &str| {
        let found = record.pointer(pointer).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let start = || text("/metadata/start_time").unwrap_or_default();
    match data_type {
        DataType::Activity => text("/metadata/summary_id").unwrap_or_else(|| {
            let end = text("/metadata/end_time").unwrap_or_default();
            format!("{}/{end}", start())
        }),
        DataType::Sleep | DataType::HealthObservation => {
            text("/metadata/summary_id").unwrap_or_else(start)
        }
        DataType::Daily | DataType::Body | DataType::Nutrition | DataType::Menstruation => {
            start().chars().take(10).collect()
        }
        DataType::Hormone => text("/timestamp").unwrap_or_default(),
        DataType::PlannedWorkout => text("/planned_workout_id")
            .or_else(|| text("/provider_workout_id"))
            .unwrap_or_default(),
        DataType::Athlete => String::new(),
    }
}

/// Returns the begin and end of a record on its wearer's wall, as the first nineteen characters of its
/// own texts. An end that is missing is the start.
pub(super) fn span(data_type: DataType, record: &Value) -> (String, String) {
    let text = |pointer: &str| {
        let found = record.pointer(pointer).and_then(Value::as_str);
        found.map(|text| text.chars().take(19).collect::<String>())
    };
    let start = match data_type {
        DataType::Hormone => text("/timestamp"),
        DataType::PlannedWorkout => text("/planned_date").map(|day| format!("{day}T00:00:00")),
        _ => text("/metadata/start_time"),
    };
    let start = start.unwrap_or_default();
    let end = text("/metadata/end_time").unwrap_or_else(|| start.clone());
    (start, end)
}
