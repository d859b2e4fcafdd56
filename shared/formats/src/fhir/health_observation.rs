//! Terra's health observations, which are FHIR's but for the names.

use models::{
    data::enums::{
        HealthObservationCategory, ObservationSeverity, ObservationStatus, ObservationValueType,
    },
    lenient::TerraEnum as _,
};
use serde_json::Value;

use super::{
    code::{COUNT, Category, Kind, LOCAL, absent, coding, quantity, value_concept, words},
    maker::{Maker, note},
    record::{at, boolean, clean, code, coded, elements, measured, text},
    resource::{Component, Concept, Quantity},
    ucum,
    when::When,
};

const OBSERVED: Kind = Kind::local("observation", "Health observation", Category::None, COUNT);
const SEVERITY: Kind = Kind::local("severity", "Severity", Category::None, COUNT);

/// A value in one of FHIR's types.
enum Observed {
    Quantity(Quantity),
    Boolean(bool),
    Text(String),
    Concept(Concept),
}

pub(super) fn make(maker: &mut Maker<'_>) {
    let record = maker.record;
    let data = at(record, "observation_data");
    let time = |name: &str| at(record, name).as_str();
    let when = When::between(time("metadata.start_time"), time("metadata.end_time"));

    match coded::<ObservationStatus>(at(data, "status")) {
        Some(ObservationStatus::EnteredInError) => maker.status = "entered-in-error",
        Some(ObservationStatus::Amended) if maker.status == "final" => maker.status = "amended",
        _ => {}
    }
    let mut observation = maker.observation(&OBSERVED, "", when);
    observation.code = concept(data);
    observation.category = category(data);
    observation.note = text(at(data, "notes")).map(note).into_iter().collect();
    match value(at(data, "value")) {
        Some(Observed::Quantity(quantity)) => observation.value_quantity = Some(quantity),
        Some(Observed::Boolean(flag)) => observation.value_boolean = Some(flag),
        Some(Observed::Text(text)) => observation.value_string = Some(text),
        Some(Observed::Concept(concept)) => observation.value_codeable_concept = Some(concept),
        None => {}
    }
    if let Some(severity) = coded::<ObservationSeverity>(at(data, "severity"))
        .filter(|&severity| severity != ObservationSeverity::Unspecified)
    {
        let label = severity.label();
        let code = format!("severity_{}", label.to_ascii_lowercase().replace(' ', "_"));
        observation.component.push(Component {
            code: SEVERITY.concept(maker.options.snomed),
            value_codeable_concept: Some(value_concept(&code, label)),
            ..Component::default()
        });
    }
    for part in elements(at(data, "components")) {
        observation.component.extend(component(part));
    }
    maker.push(observation);
}

/// The public codes that Terra sends, and its own name of the kind.
fn concept(data: &Value) -> Concept {
    let kind = at(data, "observation_type").as_str();
    let mut codings: Vec<_> = elements(at(data, "codes"))
        .iter()
        .filter_map(|sent| {
            let system = system(at(sent, "system").as_str()?)?;
            let code = code(at(sent, "code").as_str()?)?;
            Some(coding(&system, &code, text(at(sent, "display")).as_deref()))
        })
        .collect();
    if let Some(kind) = kind.and_then(code) {
        codings.push(coding(LOCAL, &kind, None));
    }
    Concept {
        text: kind
            .and_then(clean)
            .map(|kind| kind.replace('_', " "))
            .or_else(|| Some("health observation".to_owned())),
        coding: codings,
    }
}

/// A code system as an absolute URI. Terra sends URIs, and short names such as `healthkit`.
fn system(text: &str) -> Option<String> {
    let system: String = text
        .chars()
        .filter(|letter| !letter.is_whitespace() && !letter.is_control())
        .collect();
    match system.as_str() {
        "" => None,
        uri if uri.contains(':') => Some(system),
        name => Some(format!("urn:terrarium:fhir:system:{name}")),
    }
}

fn category(data: &Value) -> Vec<Concept> {
    use HealthObservationCategory as Sent;
    let Some(sent) = coded::<Sent>(at(data, "category")).filter(|&sent| sent != Sent::Unspecified)
    else {
        return Vec::new();
    };
    let standard = match sent {
        Sent::Unspecified | Sent::DeviceEvent => Category::None,
        Sent::Symptom | Sent::ReproductiveHealth | Sent::SelfCare | Sent::StateOfMind => {
            Category::Survey
        }
        Sent::Medication => Category::Therapy,
        Sent::LabHealthMetrics => Category::Laboratory,
        Sent::Clinical => Category::Exam,
    };
    let label = sent.label();
    let code: String = label
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
        .to_ascii_lowercase();
    let mut categories = standard.concepts();
    categories.push(value_concept(&format!("category_{code}"), label));
    categories
}

/// The value, in the field that its type names. A value of no type says that there is the thing,
/// and no more.
fn value(value: &Value) -> Option<Observed> {
    match coded::<ObservationValueType>(at(value, "value_type"))? {
        ObservationValueType::None => None,
        ObservationValueType::Quantity => {
            let amount = measured(value, "quantity")?;
            let (code, unit) = ucum::unit(None, text(at(value, "unit")).as_deref());
            Some(Observed::Quantity(quantity(amount, &code, &unit)))
        }
        ObservationValueType::Boolean => boolean(at(value, "boolean")).map(Observed::Boolean),
        ObservationValueType::String => text(at(value, "text")).map(Observed::Text),
        ObservationValueType::Code => {
            let code = code(at(value, "code").as_str()?)?;
            let words = words(code.replace('_', " "));
            Some(Observed::Concept(Concept {
                coding: vec![coding(super::code::LOCAL_VALUE, &code, None)],
                ..words
            }))
        }
    }
}

fn component(part: &Value) -> Option<Component> {
    let name = text(at(part, "code"))?;
    let mut component = Component {
        code: Concept {
            coding: code(&name)
                .map(|code| coding(LOCAL, &code, None))
                .into_iter()
                .collect(),
            text: Some(name.replace('_', " ")),
        },
        ..Component::default()
    };
    match value(at(part, "value")) {
        Some(Observed::Quantity(quantity)) => component.value_quantity = Some(quantity),
        Some(Observed::Boolean(flag)) => component.value_boolean = Some(flag),
        Some(Observed::Text(text)) => component.value_string = Some(text),
        Some(Observed::Concept(concept)) => component.value_codeable_concept = Some(concept),
        None => component.data_absent_reason = Some(absent("unknown", "Unknown")),
    }
    Some(component)
}
