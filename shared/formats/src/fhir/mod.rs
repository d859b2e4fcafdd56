//! Records as resources of FHIR R4.
//!
//! | record | observations |
//! |---|---|
//! | activity | the exercise, a result each, a panel that names them all |
//! | daily | a value each |
//! | sleep | one of the session with its stages as components; a value each |
//! | body | a value each; blood pressure with two components |
//! | nutrition | a nutrient each; a meal each with its nutrients as components |
//! | hormone, menstruation | a value each |
//! | health observation | one, almost field by field |
//! | lab report | a result each; a panel each that names its results |
//!
//! Each sample stream is one observation with `SampledData`. A profile, a planned workout and a
//! failed lab report hold nothing that was observed.

use models::{data::DataType, mend::mended};
use serde_json::Value;

pub use self::{
    bundle::{BundleKind, BundleText, NO_SERVER, bundle},
    resource::Resource,
};
use self::{
    maker::Maker,
    resource::{Identifier, Reference},
};

mod activity;
mod body;
mod bundle;
mod code;
mod cycle;
mod daily;
mod health_observation;
mod lab_report;
mod maker;
mod nutrition;
mod record;
pub mod resource;
mod series;
mod shared;
mod sleep;
mod ucum;
mod when;

/// MIME type of a bundle.
pub const CONTENT_TYPE: &str = "application/fhir+json";
/// System of the app's own ids of persons.
const PERSON: &str = "urn:terrarium:person";
/// System of our own ids of connections, and of other owners of records.
const OWNER: &str = "urn:terrarium:owner";

/// The person that resources are about: a reference, and no resource, because a server's patient is
/// not ours to write.
#[derive(Debug, Clone)]
pub struct Person(Reference);

impl Person {
    /// The person with the app's own id. A server finds its patient by the identifier.
    pub fn with_reference_id(reference_id: &str) -> Self {
        Self::identified(PERSON, reference_id)
    }

    /// The person to whom our own owner of a record belongs, where the app gave no id.
    pub fn with_owner_id(id: &str) -> Self {
        Self::identified(OWNER, id)
    }

    fn identified(system: &'static str, value: &str) -> Self {
        Self(Reference {
            r#type: Some("Patient"),
            identifier: Some(Identifier {
                system,
                value: value.to_owned(),
            }),
            ..Reference::default()
        })
    }

    /// The patient of a server, by the id that the server gave. `None` for what is no id of FHIR.
    pub fn with_patient_id(id: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let valid = (1..=64).contains(&id.len()) && id.bytes().all(allowed);
        valid.then(|| {
            Self(Reference {
                reference: Some(format!("Patient/{id}")),
                ..Reference::default()
            })
        })
    }
}

/// A record to export.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Type of the record.
    pub data_type: DataType,
    /// Id of the connection, or of whatever else owns the record. With the key it makes ids.
    pub owner: &'a str,
    /// The record's key within its owner.
    pub key: &'a str,
    /// Provider, as Terra spells it.
    pub provider: Option<&'a str>,
    /// True if the provider took the record back: its observations are `entered-in-error`.
    pub retracted: bool,
    /// The composed record.
    pub record: &'a [u8],
}

/// Choices of an export.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Adds codes of SNOMED CT, which need a licence in some countries.
    pub snomed: bool,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FhirError {
    /// The record is no JSON object.
    #[error("the {data_type} record is no JSON object")]
    NoObject {
        /// Type of the record.
        data_type: DataType,
        /// Cause, where a reader of JSON found one.
        source: Option<serde_json::Error>,
    },
}

/// Returns the resources of a record: observations, and the device that made them.
///
/// Ids depend on owner, type, key and the thing observed alone, so that a newer delivery of a record
/// has the same ids.
///
/// ```
/// use formats::fhir::{self, BundleKind, Input, Options, Person};
/// use models::data::DataType;
///
/// let input = Input {
///     data_type: DataType::Daily,
///     owner: "connection-1",
///     key: "2026-07-01",
///     provider: Some("GARMIN"),
///     retracted: false,
///     record: br#"{"metadata":{"start_time":"2026-07-01T00:00:00+02:00"},"distance_data":{"steps":9120}}"#,
/// };
/// let person = Person::with_reference_id("person-1");
/// let resources = fhir::resources(&input, &person, Options::default())?;
/// let bundle = fhir::bundle(BundleKind::Collection, &resources, fhir::NO_SERVER);
/// let bundle: serde_json::Value = serde_json::from_slice(&bundle)?;
/// assert_eq!(bundle["entry"][0]["resource"]["valueQuantity"]["value"], 9120);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`FhirError::NoObject`]
pub fn resources(
    input: &Input<'_>,
    person: &Person,
    options: Options,
) -> Result<Vec<Resource>, FhirError> {
    let no_object = |source| FhirError::NoObject {
        data_type: input.data_type,
        source,
    };
    let text = std::str::from_utf8(input.record).map_err(|_| no_object(None))?;
    let record: Value =
        serde_json::from_str(&mended(text)).map_err(|error| no_object(Some(error)))?;
    if !record.is_object() {
        return Err(no_object(None));
    }
    let mut maker = Maker::new(input, &record, person, options);
    match input.data_type {
        DataType::Activity => activity::make(&mut maker),
        DataType::Daily => daily::make(&mut maker),
        DataType::Sleep => sleep::make(&mut maker),
        DataType::Body => body::make(&mut maker),
        DataType::Nutrition => nutrition::make(&mut maker),
        DataType::Hormone => cycle::make_hormones(&mut maker),
        DataType::Menstruation => cycle::make_menstruation(&mut maker),
        DataType::HealthObservation => health_observation::make(&mut maker),
        DataType::LabReport => lab_report::make(&mut maker),
        DataType::Athlete | DataType::PlannedWorkout => {}
    }
    Ok(maker.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::{
        series::{StreamMetric, StreamPlace, read},
        summary::summarise,
    };
    use serde_json::json;

    use super::{
        maker::{Measure, Stream},
        record::{at, elements, measured_sample},
        *,
    };

    type Tables = (Vec<&'static [Measure]>, Vec<&'static [Stream]>);

    /// Scores that only older payloads have, which the samples lack.
    const OLDER: [&str; 3] = [
        "data_enrichment.stress_score",
        "data_enrichment.cardiovascular_score",
        "data_enrichment.readiness_score",
    ];

    /// The sample in which every field of a type has a value.
    fn every_field(file: &str) -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/samples/every-field");
        let event = std::fs::read(format!("{folder}/{file}.json")).unwrap();
        let event: Value = serde_json::from_slice(&event).unwrap();
        event["data"][0].clone()
    }

    fn hold(file: &str, record: &Value, measures: &[&[Measure]], streams: &[&[Stream]]) {
        let mut ids = BTreeSet::new();
        for measure in measures.iter().copied().flatten() {
            let path = measure.path;
            let found = measure.value(record).is_some();
            assert!(found || OLDER.contains(&path), "{file}: nothing at {path}");
            assert!(
                ids.insert(measure.kind.name),
                "{file}: {} twice",
                measure.kind.name
            );
        }
        for stream in streams.iter().copied().flatten() {
            let first = elements(at(record, stream.path)).first();
            let found = first.is_some_and(|reading| reading.get(stream.value).is_some());
            assert!(found, "{file}: nothing at {}", stream.path);
            assert!(
                ids.insert(stream.kind.name),
                "{file}: {} twice",
                stream.kind.name
            );
        }
    }

    /// Tables of the types that have them.
    fn tables() -> [(DataType, Tables); 4] {
        [
            (DataType::Activity, activity::tables()),
            (DataType::Daily, daily::tables()),
            (DataType::Sleep, sleep::tables()),
            (DataType::Body, body::tables()),
        ]
    }

    /// Numbers of which some stand for none, in some fields.
    const PROBES: [f64; 8] = [
        -2_147_483_648.0,
        -5.0,
        -1.0,
        0.0,
        60.0,
        255.0,
        2_147_483_647.0,
        4.9e-324,
    ];

    /// A record that has nothing but this value.
    fn only(path: &str, value: Value) -> Value {
        path.rsplit('.')
            .fold(value, |value, name| json!({ name: value }))
    }

    #[test]
    fn a_number_is_exported_exactly_where_the_summary_has_it() {
        let mut compared = 0;
        for (data_type, (measures, _)) in tables() {
            for measure in measures.into_iter().flatten() {
                for probe in PROBES {
                    let record = only(measure.path, json!(probe));
                    let found = summarise(data_type, record.to_string().as_bytes()).unwrap();
                    let summary = found.delivered.to_map();
                    // A field that no summary has is compared with nothing.
                    if !summary.is_empty() {
                        compared += 1;
                        let left_out = summary.contains_key("stand_ins");
                        let exported = measure.value(&record).is_some();
                        assert_eq!(exported, !left_out, "{data_type} {} {probe}", measure.path);
                    }
                }
            }
        }
        assert!(compared > 500, "{compared}");
    }

    #[test]
    fn a_sample_is_exported_exactly_where_the_series_has_it() {
        let mut compared = 0;
        for (data_type, (_, streams)) in tables() {
            for stream in streams.into_iter().flatten() {
                let holds = |place: &&StreamPlace| {
                    place.data_type == data_type
                        && place.path() == Some(stream.path)
                        && place.member == stream.value
                };
                let mut places = StreamMetric::all()
                    .iter()
                    .filter_map(|metric| Some((metric, metric.places.iter().find(holds)?)));
                let Some((metric, place)) = places.next() else {
                    continue;
                };
                for probe in PROBES {
                    let sample = json!({"timestamp": "2026-07-01T10:00:00Z", stream.value: probe});
                    let record = only(stream.path, json!([sample]));
                    let samples = read(metric, place, record.to_string().as_bytes());
                    compared += 1;
                    let exported = measured_sample(&sample, stream.value).is_some();
                    let (of, path) = (data_type, stream.path);
                    assert_eq!(
                        exported,
                        !samples.instants.is_empty(),
                        "{of} {path} {probe}"
                    );
                }
            }
        }
        assert!(compared > 100, "{compared}");
    }

    #[test]
    fn a_negative_training_stress_is_exported_as_the_summary_has_it() {
        let score = json!({"actual": -5, "normalized_power_watts": -5});
        let record = only("TSS_data.TSS_samples", json!([score]));
        let found = summarise(DataType::Activity, record.to_string().as_bytes()).unwrap();
        assert!(found.from_samples.is_some());
        let values: Vec<_> = activity::TRAINING_STRESS
            .iter()
            .map(|measure| measure.value(&score))
            .collect();
        assert_eq!(values, [Some(-5.0), None, None]);
    }

    #[test]
    fn every_path_of_the_tables_leads_to_a_field_of_terra_and_every_kind_has_its_own_name() {
        for (data_type, (measures, streams)) in tables() {
            let file = data_type.as_str();
            hold(file, &every_field(file), &measures, &streams);
        }
        let body = every_field("body");
        let measurement = at(&body, "measurements_data.measurements")[0].clone();
        hold("body", &measurement, &[body::MEASUREMENT], &[]);
        let food = every_field("nutrition");
        for part in [at(&food, "summary"), &at(&food, "meals")[0]] {
            hold("nutrition", part, &[nutrition::NUTRIENTS], &[]);
        }
        hold("hormone", &every_field("hormone"), &[cycle::HORMONES], &[]);
        let day = every_field("menstruation");
        hold("menstruation", &day, &[cycle::LENGTHS], &[]);
    }
}
