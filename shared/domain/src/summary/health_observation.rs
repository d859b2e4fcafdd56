//! Summary of one health observation.

use models::data::{HealthObservation, enums::ObservationStatus};

use super::table::{code, id, listed, summary, take, text, time, whole};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of an observation.
    HealthObservation(HealthObservationSummary) of record: HealthObservation<'_> {
        let metadata = take(record.metadata);
        let observed = take(record.observation_data);
        let value = take(observed.value);
        identity = Identity {
            summary_id: id(&metadata.summary_id),
            start_time: time(&metadata.start_time),
            end_time: time(&metadata.end_time),
            observation_type: whole(&observed.observation_type),
            ..Identity::default()
        };
        retracted = observed.status.known() == Some(ObservationStatus::EnteredInError);
    } {
        /// Start as Terra sent it. From `metadata.start_time`.
        start_time: String = text(&metadata.start_time),
        /// End as Terra sent it. Absent: a moment. From `metadata.end_time`.
        end_time: String = text(&metadata.end_time),
        /// 0 UTC, 1 local. From `metadata.timestamp_localization`.
        timestamp_localization: Value = code(&metadata.timestamp_localization),
        /// Kind of observation. From `observation_data.observation_type`.
        observation_type: String = text(&observed.observation_type),
        /// Kind of observation, by Terra's number. From `observation_data.category`.
        category: Value = code(&observed.category),
        /// Severity, by Terra's number. From `observation_data.severity`.
        severity: Value = code(&observed.severity),
        /// Status of the observation, by Terra's number. From `observation_data.status`.
        status: Value = code(&observed.status),
        /// Name of the next field that holds the value, by Terra's number. From
        /// `observation_data.value.value_type`.
        value_type: Value = code(&value.value_type),
        /// A quantity, in `unit`. From `observation_data.value.quantity`.
        quantity: f64 = value.quantity.get(),
        /// Unit of `quantity`. From `observation_data.value.unit`.
        unit: String = text(&value.unit),
        /// Yes or no. From `observation_data.value.boolean`.
        boolean: bool = value.boolean.get(),
        /// Text. From `observation_data.value.text`.
        text: String = text(&value.text),
        /// A code. From `observation_data.value.code`.
        code: String = text(&value.code),
        /// Parts of the observation: a JSON array of `code` with `quantity` and `unit`, `boolean`,
        /// `text` or `value_code`. From `observation_data.components`.
        components: String = listed(&observed.components, |part| {
            let value = take(part.value);
            vec![
                ("code", text(&part.code).map(Value::Text)),
                ("quantity", value.quantity.get().map(Value::Number)),
                ("unit", text(&value.unit).map(Value::Text)),
                ("boolean", value.boolean.get().map(Value::Flag)),
                ("text", text(&value.text).map(Value::Text)),
                ("value_code", text(&value.code).map(Value::Text)),
            ]
        }),
    }
}
