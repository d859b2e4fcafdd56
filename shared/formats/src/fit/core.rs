//! Temperatures that a CORE sensor measured, in FIT's own fields and in those of CORE's app.
//!
//! CORE's Connect IQ app wrote *developer fields* before FIT had a core temperature of its own.
//! Programs that read files look at either, so both are written.

use jiff::Timestamp;
use models::{
    data::{Body, body::TemperatureSample},
    lenient::List,
};
use rustyfit::{
    profile::{
        mesgdef::{DeveloperDataId, FieldDescription, Lap, Record, Session},
        typedef::{FitBaseType, MesgNum},
    },
    proto::{DeveloperField, Message, Value},
};

use super::field::{real, scaled};
use crate::time::instant;

/// CORE's app in Garmin's store, 6957fe68-83fe-4ed6-8613-413f70624bb5.
const APPLICATION_ID: [u8; 16] = [
    0x69, 0x57, 0xfe, 0x68, 0x83, 0xfe, 0x4e, 0xd6, 0x86, 0x13, 0x41, 0x3f, 0x70, 0x62, 0x4b, 0xb5,
];
/// Number of CORE's app among the apps of a file; there is no other.
const APP: u8 = 0;
const CELSIUS: &str = "°C";

/// A developer field of CORE's app, and FIT's own field of the same meaning.
struct Described {
    number: u8,
    name: &'static str,
    message: MesgNum,
    native: u8,
}

/// There is no field of FIT for the temperature of the skin.
const NO_NATIVE: u8 = u8::MAX;
const CORE: Described = described(
    0,
    "core_temperature",
    MesgNum::RECORD,
    Record::CORE_TEMPERATURE,
);
const SKIN: Described = described(10, "skin_temperature", MesgNum::RECORD, NO_NATIVE);
const LAP: [Described; 3] = [
    described(
        1,
        "avg_core_temperature",
        MesgNum::LAP,
        Lap::AVG_CORE_TEMPERATURE,
    ),
    described(
        2,
        "max_core_temperature",
        MesgNum::LAP,
        Lap::MAX_CORE_TEMPERATURE,
    ),
    described(
        3,
        "min_core_temperature",
        MesgNum::LAP,
        Lap::MIN_CORE_TEMPERATURE,
    ),
];
const SESSION: [Described; 3] = [
    described(
        5,
        "avg_core_temperature",
        MesgNum::SESSION,
        Session::AVG_CORE_TEMPERATURE,
    ),
    described(
        6,
        "max_core_temperature",
        MesgNum::SESSION,
        Session::MAX_CORE_TEMPERATURE,
    ),
    described(
        7,
        "min_core_temperature",
        MesgNum::SESSION,
        Session::MIN_CORE_TEMPERATURE,
    ),
];

const fn described(number: u8, name: &'static str, message: MesgNum, native: u8) -> Described {
    Described {
        number,
        name,
        message,
        native,
    }
}

impl Described {
    fn description(&self) -> Message {
        let mut description = FieldDescription::new();
        description.developer_data_index = APP;
        description.field_definition_number = self.number;
        description.fit_base_type_id = FitBaseType::FLOAT32;
        description.field_name = [self.name.into()].into();
        description.units = [CELSIUS.into()].into();
        if self.native != NO_NATIVE {
            description.native_mesg_num = self.message;
            description.native_field_num = self.native;
        }
        Message::from(description)
    }

    fn holding(&self, celsius: f64) -> DeveloperField {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "CORE's fields are of single precision"
        )]
        let value = Value::Float32(celsius as f32);
        DeveloperField {
            num: self.number,
            developer_data_index: APP,
            value,
        }
    }
}

/// A reading: its time and its degrees Celsius.
pub(super) type Reading = (Timestamp, f64);

/// Temperatures from the time of an activity, each in the order of time.
#[derive(Default)]
pub(super) struct Temperatures {
    core: Vec<Reading>,
    skin: Vec<Reading>,
    ambient: Vec<Reading>,
}

impl Temperatures {
    /// The readings of CORE's body records from `start` to `end`, both included.
    pub(super) fn of(bodies: &[Body<'_>], start: Timestamp, end: Timestamp) -> Self {
        let mut temperatures = Self::default();
        for data in bodies
            .iter()
            .filter_map(|body| body.temperature_data.as_ref())
        {
            let mut add = |to: fn(&mut Self) -> &mut Vec<Reading>, samples| {
                to(&mut temperatures).extend(within(samples, start, end));
            };
            add(|to| &mut to.core, data.body_temperature_samples);
            add(|to| &mut to.skin, data.skin_temperature_samples);
            add(|to| &mut to.ambient, data.ambient_temperature_samples);
        }
        for readings in [
            &mut temperatures.core,
            &mut temperatures.skin,
            &mut temperatures.ambient,
        ] {
            readings.sort_by_key(|&(at, _)| at);
        }
        temperatures
    }

    /// Description of the developer fields; nothing where none are used.
    pub(super) fn descriptions(&self) -> Vec<Message> {
        let mut described = Vec::new();
        if !self.core.is_empty() {
            described.push(&CORE);
        }
        if !self.skin.is_empty() {
            described.push(&SKIN);
        }
        if !self.core.is_empty() {
            described.extend(LAP.iter().chain(&SESSION));
        }
        if described.is_empty() {
            return Vec::new();
        }
        let mut app = DeveloperDataId::new();
        app.application_id = APPLICATION_ID.into();
        app.developer_data_index = APP;
        let mut messages = vec![Message::from(app)];
        messages.extend(described.into_iter().map(Described::description));
        messages
    }

    /// Hands each stream to `add`, with what puts a reading into a record.
    pub(super) fn add_to(&self, mut add: impl FnMut(Vec<Reading>, fn(&mut Record, &Reading))) {
        add(self.core.clone(), |record, &(_, celsius)| {
            record.core_temperature = scaled(celsius, 100.0);
            put(&mut record.developer_fields, &CORE, celsius);
        });
        add(self.skin.clone(), |record, &(_, celsius)| {
            put(&mut record.developer_fields, &SKIN, celsius);
        });
        add(self.ambient.clone(), |record, &(_, celsius)| {
            record.temperature = scaled(celsius, 1.0);
        });
    }

    /// Summarizes the core temperatures of a lap.
    pub(super) fn summarize_lap(&self, lap: &mut Lap, start: Timestamp, end: Timestamp) {
        if let Some(summary) = Summary::of(&self.core, start, end) {
            lap.avg_core_temperature = scaled(summary.average, 100.0);
            lap.max_core_temperature = scaled(summary.largest, 100.0);
            lap.min_core_temperature = scaled(summary.least, 100.0);
            lap.developer_fields = summary.fields(&LAP);
        }
    }

    /// Summarizes the core temperatures of the whole activity.
    pub(super) fn summarize_session(
        &self,
        session: &mut Session,
        start: Timestamp,
        end: Timestamp,
    ) {
        if let Some(summary) = Summary::of(&self.core, start, end) {
            session.avg_core_temperature = scaled(summary.average, 100.0);
            session.max_core_temperature = scaled(summary.largest, 100.0);
            session.min_core_temperature = scaled(summary.least, 100.0);
            session.developer_fields = summary.fields(&SESSION);
        }
    }
}

fn put(fields: &mut Vec<DeveloperField>, described: &Described, celsius: f64) {
    fields.retain(|field| field.num != described.number);
    fields.push(described.holding(celsius));
}

fn within<'a>(
    samples: List<'a, TemperatureSample<'a>>,
    start: Timestamp,
    end: Timestamp,
) -> impl Iterator<Item = Reading> {
    samples.parse().into_iter().filter_map(move |sample| {
        let at = instant(sample.timestamp.get())?;
        let celsius = real("temperature_celsius", sample.temperature_celsius).get()?;
        (start <= at && at <= end).then_some((at, celsius))
    })
}

struct Summary {
    average: f64,
    largest: f64,
    least: f64,
}

impl Summary {
    /// `None` without a reading.
    fn of(readings: &[Reading], start: Timestamp, end: Timestamp) -> Option<Self> {
        let (mut count, mut sum) = (0.0, 0.0);
        let (mut largest, mut least) = (f64::NEG_INFINITY, f64::INFINITY);
        for &(_, celsius) in readings.iter().filter(|&&(at, _)| start <= at && at <= end) {
            count += 1.0;
            sum += celsius;
            largest = largest.max(celsius);
            least = least.min(celsius);
        }
        (count > 0.0).then(|| Self {
            average: sum / count,
            largest,
            least,
        })
    }

    /// The values as developer fields, described as average, maximum and minimum.
    fn fields(&self, described: &[Described; 3]) -> Vec<DeveloperField> {
        let values = [self.average, self.largest, self.least];
        described
            .iter()
            .zip(values)
            .map(|(described, value)| described.holding(value))
            .collect()
    }
}
