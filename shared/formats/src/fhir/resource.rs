//! The resources of FHIR R4 (4.0.1) that are written, with the elements that are written.
//!
//! Names are FHIR's, in Rust's case. What is absent is not serialized.

use models::lenient::Number;
use serde::Serialize;

/// A resource of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "resourceType")]
pub enum Resource {
    /// Something that was measured or observed.
    Observation(Box<Observation>),
    /// The device that measured.
    Device(Box<Device>),
}

impl Resource {
    /// `Observation` or `Device`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Observation(_) => "Observation",
            Self::Device(_) => "Device",
        }
    }

    /// The resource's id, the same whenever the same record is exported.
    pub fn id(&self) -> &str {
        match self {
            Self::Observation(observation) => &observation.id,
            Self::Device(device) => &device.id,
        }
    }
}

macro_rules! elements {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $kind:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "elements are FHIR's: https://hl7.org/fhir/R4/")]
        pub struct $name { $(
            #[serde(skip_serializing_if = "Absent::is_absent")]
            pub $field: $kind,
        )* }
    )* };
}

/// Returns whether an element has nothing to write.
trait Absent {
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Absent for String {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Absent for &'static str {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Absent for Concept {
    fn is_absent(&self) -> bool {
        self.coding.is_empty() && self.text.is_none()
    }
}

impl Absent for Reference {
    fn is_absent(&self) -> bool {
        *self == Self::default()
    }
}

impl Absent for Number {
    fn is_absent(&self) -> bool {
        self.get().is_none()
    }
}

impl Absent for u32 {
    fn is_absent(&self) -> bool {
        false
    }
}

impl Absent for Quantity {
    fn is_absent(&self) -> bool {
        false
    }
}

elements! {
    /// `Observation`.
    struct Observation {
        id: String,
        meta: Option<Meta>,
        identifier: Vec<Identifier>,
        status: &'static str,
        category: Vec<Concept>,
        code: Concept,
        subject: Reference,
        effective_date_time: Option<String>,
        effective_period: Option<Period>,
        value_quantity: Option<Quantity>,
        value_codeable_concept: Option<Concept>,
        value_string: Option<String>,
        value_boolean: Option<bool>,
        value_date_time: Option<String>,
        value_sampled_data: Option<SampledData>,
        data_absent_reason: Option<Concept>,
        interpretation: Vec<Concept>,
        note: Vec<Annotation>,
        method: Option<Concept>,
        specimen: Option<Reference>,
        device: Option<Reference>,
        reference_range: Vec<ReferenceRange>,
        has_member: Vec<Reference>,
        component: Vec<Component>,
    }

    /// `Device`.
    struct Device {
        id: String,
        meta: Option<Meta>,
        manufacturer: Option<String>,
        serial_number: Option<String>,
        device_name: Vec<DeviceName>,
        version: Vec<DeviceVersion>,
        patient: Reference,
    }

    /// `Device.deviceName`.
    struct DeviceName {
        name: String,
        r#type: &'static str,
    }

    /// `Device.version`.
    struct DeviceVersion {
        value: String,
    }

    /// `Meta`.
    struct Meta {
        source: Option<String>,
        profile: Vec<String>,
    }

    /// `Identifier`.
    struct Identifier {
        system: &'static str,
        value: String,
    }

    /// `CodeableConcept`.
    struct Concept {
        coding: Vec<Coding>,
        text: Option<String>,
    }

    /// `Coding`.
    struct Coding {
        system: String,
        code: String,
        display: Option<String>,
    }

    /// `Reference`.
    struct Reference {
        reference: Option<String>,
        r#type: Option<&'static str>,
        identifier: Option<Identifier>,
        display: Option<String>,
    }

    /// `Period`.
    struct Period {
        start: String,
        end: String,
    }

    /// `Quantity`.
    struct Quantity {
        value: Number,
        comparator: Option<&'static str>,
        unit: String,
        system: &'static str,
        code: String,
    }

    /// `SampledData`.
    struct SampledData {
        origin: Quantity,
        period: Number,
        dimensions: u32,
        data: String,
    }

    /// `Annotation`.
    struct Annotation {
        text: String,
    }

    /// `Observation.referenceRange`.
    struct ReferenceRange {
        low: Option<Quantity>,
        high: Option<Quantity>,
        r#type: Option<Concept>,
        applies_to: Vec<Concept>,
        age: Option<Range>,
        text: Option<String>,
    }

    /// `Range`.
    struct Range {
        low: Option<Quantity>,
        high: Option<Quantity>,
    }

    /// `Observation.component`.
    struct Component {
        code: Concept,
        value_quantity: Option<Quantity>,
        value_codeable_concept: Option<Concept>,
        value_string: Option<String>,
        value_boolean: Option<bool>,
        data_absent_reason: Option<Concept>,
    }
}
