//! Every event Terra is known to send, as methods of [`World`].

mod activity;
mod athlete;
mod body;
mod body_core;
mod body_glucose;
mod connection;
mod daily;
mod envelope;
mod health_observation;
mod heart;
mod hormone;
mod lab_report;
mod menstruation;
mod notice;
mod number;
mod nutrition;
mod nutrition_foods;
mod odd;
mod planned_workout;
mod request;
mod sleep;

use jiff::civil::Date;
use serde_json::{Value, json};

pub(crate) use envelope::{Envelope, VERSION};

use crate::{
    Webhook, World,
    calendar::Day,
    dice::{Dice, fingerprint},
    people::{Connection, Provider},
    shape::Shape,
    truth::with_some_samples,
};

/// A body is not stretched over more days than these, five years.
const MOST_DAYS: i32 = 1_825;

/// The data types that come as webhooks with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataType {
    /// Workouts and trips.
    Activity,
    /// The person's profile at the provider.
    Athlete,
    /// Measurements of a day: temperature, weight, glucose.
    Body,
    /// A day's totals.
    Daily,
    /// Symptoms, medication, states of mind.
    HealthObservation,
    /// Hormone tests.
    Hormone,
    /// Cycle days.
    Menstruation,
    /// The food diary.
    Nutrition,
    /// Workouts to come.
    PlannedWorkout,
    /// Nights and naps.
    Sleep,
}

impl DataType {
    /// Every data type.
    pub const ALL: [Self; 10] = [
        Self::Activity,
        Self::Athlete,
        Self::Body,
        Self::Daily,
        Self::HealthObservation,
        Self::Hormone,
        Self::Menstruation,
        Self::Nutrition,
        Self::PlannedWorkout,
        Self::Sleep,
    ];

    /// The data type of an event type.
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|data_type| data_type.as_str() == name)
    }

    /// Terra's event type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Athlete => "athlete",
            Self::Body => "body",
            Self::Daily => "daily",
            Self::HealthObservation => "health_observation",
            Self::Hormone => "hormone",
            Self::Menstruation => "menstruation",
            Self::Nutrition => "nutrition",
            Self::PlannedWorkout => "planned_workout",
            Self::Sleep => "sleep",
        }
    }
}

/// Parameters of a record: its day, its form and its dice.
pub(crate) struct Context<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) day: Day,
    pub(crate) shape: &'a Shape,
    /// Seconds of the day that have happened.
    pub(crate) until: i32,
    pub(crate) dice: Dice,
}

impl Context<'_> {
    /// The `metadata` of a record that covers the day.
    pub(crate) fn day_metadata(&self) -> Value {
        json!({
            "start_time": self.day.start(),
            "end_time": self.day.end(),
            "timestamp_localization": self.localization(),
        })
    }

    /// `timestamp_localization`: 1 for local times, null where the provider does not say.
    pub(crate) fn localization(&self) -> Value {
        if self.day.zone.offset_written {
            Value::from(1)
        } else {
            Value::Null
        }
    }

    /// The `device_data` of a record.
    pub(crate) fn device(&self) -> Value {
        let (manufacturer, name) = self.connection.provider.device().unzip();
        json!({
            "activation_timestamp": null,
            "data_provided": [],
            "hardware_version": null,
            "last_upload_date": null,
            "manufacturer": manufacturer,
            "name": name,
            "other_devices": [],
            "serial_number": name.map(|_| format!("SN-{:06}", self.connection.account % 1_000_000)),
            "software_version": name.map(|_| "21.19"),
        })
    }

    /// Seconds between two samples of a series that has one every `ordinary` seconds by nature.
    pub(crate) fn step(&self, ordinary: i32) -> i32 {
        self.shape.size.step_seconds(ordinary)
    }

    /// `samples` if the delivery carries samples, else an empty array.
    pub(crate) fn samples(&self, samples: Vec<Value>) -> Value {
        if self.shape.samples {
            Value::Array(samples)
        } else {
            json!([])
        }
    }
}

impl World {
    /// One delivery of a connection's data.
    ///
    /// Works for every combination, also those the provider does not offer: a receiver goes by the
    /// event's type, not by a table of what providers send.
    pub fn data(&mut self, connection: &Connection, data_type: DataType, shape: &Shape) -> Webhook {
        let records = if data_type == DataType::Athlete {
            Vec::new()
        } else {
            self.records(connection, data_type, shape)
        };
        self.data_of(connection, data_type, &records)
    }

    /// One delivery in which every second sample stream is empty and all else is there.
    pub fn data_with_some_samples(
        &mut self,
        connection: &Connection,
        data_type: DataType,
        shape: &Shape,
    ) -> Webhook {
        let records: Vec<String> = self
            .records(connection, data_type, shape)
            .into_iter()
            .map(|record| match serde_json::from_str(&record) {
                Ok(mut body) => {
                    with_some_samples(data_type, &mut body);
                    body.to_string()
                }
                Err(_) => record,
            })
            .collect();
        self.data_of(connection, data_type, &records)
    }

    /// A delivery of exactly these records, each a JSON text; of the profile for `athlete`.
    pub(crate) fn data_of(
        &mut self,
        connection: &Connection,
        data_type: DataType,
        records: &[String],
    ) -> Webhook {
        let user = connection.user(self.now());
        let envelope = Envelope::new(data_type.as_str());
        let envelope = if self.dice.chance(0.3) {
            envelope.with("status", "success")
        } else {
            envelope
        };
        let user_last = self.dice.chance(0.2);
        let envelope = if user_last {
            envelope
        } else {
            envelope.with("user", user.clone())
        };

        let envelope = if data_type == DataType::Athlete {
            envelope.with("athlete", self.athlete(connection))
        } else {
            envelope.with_data(records)
        };

        let envelope = if user_last {
            envelope.with("user", user)
        } else {
            envelope
        };
        self.mint(envelope.with_version(), Some(&connection.terra_user_id))
    }

    /// The `athlete` object of a connection.
    pub(crate) fn athlete(&self, connection: &Connection) -> Value {
        let mut dice = self.dice_of(connection, [kind(DataType::Athlete), 0]);
        athlete::profile(connection, &mut dice)
    }

    /// The records of one day, oldest first, without regard to `shape`'s own days and floats.
    pub(crate) fn records_on(
        &self,
        connection: &Connection,
        data_type: DataType,
        date: Date,
        shape: &Shape,
    ) -> Vec<Value> {
        let day = Day {
            date,
            zone: connection.zone,
        };
        let mut context = Context {
            connection,
            day,
            shape,
            until: shape.until_minute.clamp(0, 1_440) * 60,
            dice: self.dice_of(connection, [kind(data_type), day.number()]),
        };
        records_of_day(&mut context, data_type)
    }

    /// The records of one delivery, newest day first made, oldest first sent.
    fn records(&self, connection: &Connection, data_type: DataType, shape: &Shape) -> Vec<String> {
        let zone = connection.zone;
        let newest = Day {
            date: shape.day.unwrap_or_else(|| zone.date(self.now())),
            zone,
        };
        let mut records = Vec::new();
        let mut bytes = 0;
        for back in 0..MOST_DAYS {
            if back >= i32::from(shape.days) && bytes >= shape.size.bytes() {
                break;
            }
            let day = newest.before(back);
            let mut context = Context {
                connection,
                day,
                shape,
                until: if back == 0 {
                    shape.until_minute.clamp(0, 1_440) * 60
                } else {
                    86_400
                },
                dice: self.dice_of(connection, [kind(data_type), day.number()]),
            };
            for mut record in records_of_day(&mut context, data_type).into_iter().rev() {
                if shape.floats {
                    number::as_floats(&mut record);
                }
                let record = record.to_string();
                bytes += record.len();
                records.push(record);
            }
        }
        records.reverse();
        records
    }
}

/// A number for a data type, to seed its dice.
pub(crate) fn kind(data_type: DataType) -> u64 {
    fingerprint(data_type.as_str().as_bytes())
}

/// All records of one type on one day.
fn records_of_day(context: &mut Context<'_>, data_type: DataType) -> Vec<Value> {
    match data_type {
        DataType::Activity => activity::records(context),
        // One object per connection, not an array: made by the caller.
        DataType::Athlete => Vec::new(),
        DataType::Body => match context.connection.provider {
            Provider::Core => vec![body_core::record(context)],
            Provider::FreestyleLibre => vec![body_glucose::record(context)],
            _ => vec![body::record(context)],
        },
        DataType::Daily => vec![daily::record(context)],
        DataType::HealthObservation => health_observation::records(context),
        DataType::Hormone => hormone::records(context),
        DataType::Menstruation => vec![menstruation::record(context)],
        DataType::Nutrition => vec![nutrition::record(context)],
        DataType::PlannedWorkout => vec![planned_workout::record(context)],
        DataType::Sleep => sleep::records(context),
    }
}
