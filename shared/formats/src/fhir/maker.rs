//! Makes the observations of one record.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};

use models::{
    data::{DataType, enums::UploadType},
    ids::hex,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Input, Options, Person,
    code::{Category, Kind, words},
    record::{at, clean, coded, elements, measured, measured_as, measured_sample},
    resource::{
        Annotation, Device, DeviceName, DeviceVersion, Identifier, Meta, Observation, Reference,
        Resource,
    },
    series::{self, Reading, series},
    when::When,
};

/// System of the keys of records.
const RECORD: &str = "urn:terrarium:record";

/// A number of a record, and what it measures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Names that lead to the number, separated by dots.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    /// The number times this is the value in the kind's unit.
    factor: Option<f64>,
    /// Origin of the value, where it is no single reading.
    method: Option<&'static str>,
    /// Name of the number in a summary, where it is not the last of the path.
    summarised_as: Option<&'static str>,
}

impl Measure {
    pub(super) const fn new(path: &'static str, kind: Kind) -> Self {
        Self {
            path,
            kind,
            factor: None,
            method: None,
            summarised_as: None,
        }
    }

    /// The number times `factor` is the value.
    pub(super) const fn times(mut self, factor: f64) -> Self {
        self.factor = Some(factor);
        self
    }

    /// The number is an average over the time of the observation.
    pub(super) const fn average(mut self) -> Self {
        self.method = Some("average");
        self
    }

    /// The number is called so in a summary, whose names say which numbers may be negative.
    pub(super) const fn summarised_as(mut self, name: &'static str) -> Self {
        self.summarised_as = Some(name);
        self
    }

    /// The value in the kind's unit; `None` where the number stands for none.
    pub(super) fn value(&self, record: &Value) -> Option<f64> {
        let value = match self.summarised_as {
            None => measured(record, self.path),
            Some(name) => measured_as(name, at(record, self.path)),
        }?;
        Some(match self.factor {
            None => value,
            // A quotient such as 1/60 has no end.
            Some(factor) => (value * factor * 1e6).round() / 1e6,
        })
    }
}

/// A stream of a record, and what it measures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    /// Names that lead to the array, separated by dots.
    pub(super) path: &'static str,
    /// Name of the value within a reading.
    pub(super) value: &'static str,
    pub(super) kind: Kind,
}

impl Stream {
    pub(super) const fn new(path: &'static str, value: &'static str, kind: Kind) -> Self {
        Self { path, value, kind }
    }
}

/// The observations of one record so far.
pub(super) struct Maker<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) record: &'a Value,
    pub(super) options: Options,
    person: &'a Person,
    /// `final`, or what became of the record since.
    pub(super) status: &'static str,
    device: Option<Device>,
    made: Vec<Observation>,
    /// Observations by the id that their kind and part make.
    namesakes: BTreeMap<String, Namesakes>,
}

/// Observations of one kind and part.
struct Namesakes {
    /// Place of the first among all observations.
    first: usize,
    /// Contents of the observations but for their ids; empty as long as there is one.
    contents: BTreeSet<Vec<u8>>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        input: &'a Input<'a>,
        record: &'a Value,
        person: &'a Person,
        options: Options,
    ) -> Self {
        let mut maker = Self {
            input,
            record,
            options,
            person,
            status: if input.retracted || is_deleted(input.data_type, record) {
                "entered-in-error"
            } else {
                "final"
            },
            device: None,
            made: Vec::new(),
            namesakes: BTreeMap::new(),
        };
        maker.device = maker.device();
        maker
    }

    pub(super) fn finish(mut self) -> Vec<Resource> {
        let device = self.device.take();
        let made = take(&mut self.made).into_iter();
        let observations = made.map(|made| Resource::Observation(Box::new(made)));
        let device = device.map(|device| Resource::Device(Box::new(device)));
        device.into_iter().chain(observations).collect()
    }

    /// An id that depends on these and on the record's owner alone.
    fn id(&self, parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in [self.input.owner].iter().chain(parts) {
            digest.update(u64::try_from(part.len()).unwrap_or_default().to_be_bytes());
            digest.update(part);
        }
        hex(&digest.finalize())
    }

    fn meta(&self, profile: Vec<String>) -> Option<Meta> {
        let source = self.input.provider.and_then(clean).map(|provider| {
            let name = provider.replace(char::is_whitespace, "_");
            format!("urn:terrarium:provider:{name}")
        });
        (source.is_some() || !profile.is_empty()).then_some(Meta { source, profile })
    }

    /// The device of the record, where Terra names one.
    fn device(&self) -> Option<Device> {
        let data = at(self.record, "device_data");
        let text = |name| super::record::text(at(data, name));
        let (name, manufacturer) = (text("name"), text("manufacturer"));
        let serial_number = text("serial_number");
        if name.is_none() && serial_number.is_none() {
            return None;
        }
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let id = self.id(&[
            "device",
            &part(&manufacturer),
            &part(&name),
            &part(&serial_number),
        ]);
        Some(Device {
            id,
            meta: self.meta(Vec::new()),
            manufacturer,
            serial_number,
            device_name: name
                .map(|name| DeviceName {
                    name,
                    r#type: "model-name",
                })
                .into_iter()
                .collect(),
            version: text("software_version")
                .map(|value| DeviceVersion { value })
                .into_iter()
                .collect(),
            patient: self.person.reference(),
        })
    }

    /// A new observation without a value. `part` tells apart what one record has several of.
    pub(super) fn observation(&self, kind: &Kind, part: &str, when: When) -> Observation {
        let input = self.input;
        let id = self.id(&[input.data_type.as_str(), input.key, kind.name, part]);
        let mut observation = Observation {
            id,
            meta: self.meta(kind.category.profile()),
            identifier: vec![Identifier {
                system: RECORD,
                value: format!("{}/{}", input.data_type, input.key),
            }],
            status: self.status,
            category: kind.category.concepts(),
            code: kind.concept(self.options.snomed),
            subject: self.person.reference(),
            device: self.device.as_ref().map(|device| Reference {
                reference: Some(format!("Device/{}", device.id)),
                ..Reference::default()
            }),
            ..Observation::default()
        };
        let is_vital = matches!(kind.category, Category::Vital(_));
        let when = if is_vital { self.of_vital(when) } else { when };
        when.set(&mut observation);
        observation
    }

    /// The time of a vital sign: of a whole day its date, of a night its beginning.
    ///
    /// Validators that take R4's rule `vs-1` by its expression refuse a period.
    fn of_vital(&self, when: When) -> When {
        let of_day = matches!(self.input.data_type, DataType::Daily | DataType::Body);
        match when {
            When::Between(start, _) if of_day => When::at(start.get(..10)),
            When::Between(start, _) => When::At(start),
            when => when,
        }
    }

    /// Adds an observation. A vital sign without a time is none: its profile demands one.
    ///
    /// Of several with one id each further one gets an id with its place among them. One that is the
    /// same as an earlier one is left out.
    pub(super) fn push(&mut self, observation: Observation) {
        let has_time =
            observation.effective_date_time.is_some() || observation.effective_period.is_some();
        let has_profile = |meta: &Meta| !meta.profile.is_empty();
        if !has_time && observation.meta.as_ref().is_some_and(has_profile) {
            return;
        }
        if let Some(observation) = self.with_own_id(observation) {
            self.made.push(observation);
        }
    }

    /// Gives the observation an id that no other has; `None` if there is the same observation already.
    fn with_own_id(&mut self, mut observation: Observation) -> Option<Observation> {
        let Some(namesakes) = self.namesakes.get_mut(&observation.id) else {
            let first = self.made.len();
            let contents = BTreeSet::new();
            let namesakes = Namesakes { first, contents };
            self.namesakes.insert(observation.id.clone(), namesakes);
            return Some(observation);
        };
        let of_all = take(&mut observation.id);
        if namesakes.contents.is_empty() {
            let first = self.made.get(namesakes.first).map(|first| Observation {
                id: String::new(),
                ..first.clone()
            });
            namesakes.contents.extend(first.as_ref().map(content));
        }
        let occurrence = namesakes.contents.len().to_string();
        if !namesakes.contents.insert(content(&observation)) {
            return None;
        }
        observation.id = self.id(&[&of_all, &occurrence]);
        Some(observation)
    }

    /// References to what was made since there were `count` observations.
    pub(super) fn members_since(&self, count: usize) -> Vec<Reference> {
        let made = self.made.iter().skip(count);
        made.map(|made| Reference {
            reference: Some(format!("Observation/{}", made.id)),
            ..Reference::default()
        })
        .collect()
    }

    pub(super) fn count(&self) -> usize {
        self.made.len()
    }

    /// Adds one observation for each number that is there.
    pub(super) fn measures(&mut self, measures: &[Measure], when: &When) {
        for measure in measures {
            self.measure_in(self.record, measure, "", when);
        }
    }

    /// Adds the observation of one number of a part of the record.
    pub(super) fn measure_in(&mut self, value: &Value, measure: &Measure, part: &str, when: &When) {
        let Some(value) = measure.value(value) else {
            return;
        };
        let mut observation = self.observation(&measure.kind, part, when.clone());
        observation.value_quantity = Some(measure.kind.unit.quantity(value));
        observation.method = measure.method.map(words);
        self.push(observation);
    }

    /// Adds one observation for each stream that has a reading.
    pub(super) fn streams(&mut self, streams: &[Stream]) {
        for stream in streams {
            let readings = elements(at(self.record, stream.path));
            self.stream(stream, readings.iter());
        }
    }

    /// Adds the observation of a stream with these readings, without those that stand for none.
    pub(super) fn stream<'v>(
        &mut self,
        stream: &Stream,
        readings: impl Iterator<Item = &'v Value>,
    ) {
        self.stream_of(stream, "series", readings);
    }

    /// [`Maker::stream`] of a part of a record that has several.
    pub(super) fn stream_of<'v>(
        &mut self,
        stream: &Stream,
        part: &str,
        readings: impl Iterator<Item = &'v Value>,
    ) {
        let readings: Vec<_> = readings
            .filter_map(|reading| {
                Some(Reading {
                    time: reading.get("timestamp")?.as_str()?,
                    value: measured_sample(reading, stream.value)?,
                })
            })
            .collect();
        let Some(series) = series(&readings, stream.kind.unit) else {
            return;
        };
        let mut observation = self.observation(&stream.kind, part, series.when);
        match series.value {
            series::Value::One(quantity) => observation.value_quantity = Some(quantity),
            series::Value::Many(sampled) => observation.value_sampled_data = Some(sampled),
        }
        observation.method = series.method.map(words);
        observation.note = series.note.map(note).into_iter().collect();
        self.push(observation);
    }
}

fn content(observation: &Observation) -> Vec<u8> {
    // Strings, numbers and lists of them are always JSON.
    serde_json::to_vec(observation).unwrap_or_default()
}

pub(super) fn note(text: impl Into<String>) -> Annotation {
    Annotation { text: text.into() }
}

/// Returns whether the provider says in the record that it took the record back. A night counts its
/// `upload_type` differently.
fn is_deleted(data_type: DataType, record: &Value) -> bool {
    let upload = coded(at(record, "metadata.upload_type"));
    matches!(data_type, DataType::Activity | DataType::Daily) && upload == Some(UploadType::Delete)
}

impl Person {
    pub(super) fn reference(&self) -> Reference {
        self.0.clone()
    }
}
