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
        /// When and under which id.
        metadata: Object<HealthObservationMetadata<'a>>,
        /// What was observed.
        observation_data: Object<HealthObservationData<'a>>,
    }

    /// When an observation was made.
    ///
    /// Schema: `HealthObservationMetadata.yaml`.
    pub struct HealthObservationMetadata<'a> {
        /// Start, ISO 8601 as Terra sent it.
        start_time: Text<'a>,
        /// End, ISO 8601 as Terra sent it. Absent: a moment.
        end_time: Text<'a>,
        /// The record's id.
        summary_id: Text<'a>,
        /// How the times are to be read. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
    }

    /// What was observed.
    ///
    /// Schema: `HealthObservationData.yaml`.
    pub struct HealthObservationData<'a> {
        /// Kind of observation.
        category: Code<HealthObservationCategory>,
        /// What was observed, as `inhaler_usage`; open list.
        observation_type: Text<'a>,
        /// The same in public code systems.
        codes: List<'a, ObservationCode<'a>>,
        /// The value. Absent: presence only.
        value: Object<ObservationValue<'a>>,
        /// How bad.
        severity: Code<ObservationSeverity>,
        /// Parts of an observation that has several.
        components: List<'a, ObservationComponent<'a>>,
        /// Whether it stands; 3 retracts the record.
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
        /// Which part.
        code: Text<'a>,
        /// Its value.
        value: Object<ObservationValue<'a>>,
    }

    /// A value; `value_type` names the field that holds it.
    ///
    /// Schema: `ObservationValue.yaml`.
    pub struct ObservationValue<'a> {
        /// Which of the other fields holds the value.
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
