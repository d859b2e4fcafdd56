//! One discrete observation.

use crate::{
    data::enums::{
        HealthObservationCategory, ObservationSeverity, ObservationStatus, ObservationValueType,
        TimestampLocalization,
    },
    lenient::{Code, Flag, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One symptom, test result or event. Key: `metadata.summary_id`.
    ///
    /// Schema: `HealthObservation.yaml`.
    pub struct HealthObservation<'a> {
        /// Time and id of the observation.
        metadata: Object<HealthObservationMetadata<'a>>,
        /// Content of the observation.
        observation_data: Object<HealthObservationData<'a>>,
    }

    /// Time of an observation.
    ///
    /// Schema: `HealthObservationMetadata.yaml`.
    pub struct HealthObservationMetadata<'a> {
        /// Start, ISO 8601 as Terra sent it.
        start_time: Text<'a>,
        /// End, ISO 8601 as Terra sent it. Absent: a moment.
        end_time: Text<'a>,
        /// The record's id.
        summary_id: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
    }

    /// Content of an observation.
    ///
    /// Schema: `HealthObservationData.yaml`.
    pub struct HealthObservationData<'a> {
        /// Kind of observation.
        category: Code<HealthObservationCategory>,
        /// Kind of observation, as `inhaler_usage`; open list.
        observation_type: Text<'a>,
        /// The same in public code systems.
        codes: List<'a, ObservationCode<'a>>,
        /// The value. Absent: presence only.
        value: Object<ObservationValue<'a>>,
        /// Severity of the symptom.
        severity: Code<ObservationSeverity>,
        /// Parts of an observation that has several.
        components: List<'a, ObservationComponent<'a>>,
        /// Status of the observation; 3 retracts the record.
        status: Code<ObservationStatus>,
        /// The wearer's notes.
        notes: Text<'a>,
    }

    /// A code in a public system.
    ///
    /// Schema: `ObservationCode.yaml`.
    pub struct ObservationCode<'a> {
        /// The system, as a URI.
        system: Text<'a>,
        /// The code.
        code: Text<'a>,
        /// The code in words.
        display: Text<'a>,
    }

    /// One part of an observation.
    ///
    /// Schema: `ObservationComponent.yaml`.
    pub struct ObservationComponent<'a> {
        /// Code of the part of the body.
        code: Text<'a>,
        /// Its value.
        value: Object<ObservationValue<'a>>,
    }

    /// A value; `value_type` names the field that holds it.
    ///
    /// Schema: `ObservationValue.yaml`.
    pub struct ObservationValue<'a> {
        /// Name of the field that holds the value.
        value_type: Code<ObservationValueType>,
        /// A quantity, in `unit`.
        quantity: Number,
        /// Unit of `quantity`.
        unit: Text<'a>,
        /// Yes or no.
        boolean: Flag,
        /// Text.
        text: Text<'a>,
        /// A code.
        code: Text<'a>,
    }
}
