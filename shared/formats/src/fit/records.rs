//! The sample streams of an activity as `record` messages, one per second with a reading.

use std::collections::BTreeMap;

use domain::stand_in::is_sample_stand_in;
use jiff::Timestamp;
use models::{
    data::{self, enums::OxygenSaturationType},
    lenient::{List, Number, Text},
};
use rustyfit::{
    profile::{mesgdef::Record, typedef::DateTime},
    proto::Message,
};
use serde::Deserialize;

use super::{
    core::Temperatures,
    date_time,
    field::{altitude, rounded, scaled, semicircles, split},
};
use crate::time::instant;

/// Records by their second; each stream's last reading of a second stands.
#[derive(Default)]
struct Records(BTreeMap<u32, Record>);

impl Records {
    /// Adds the readings of a stream.
    fn add<T>(
        &mut self,
        mut readings: Vec<T>,
        time: impl Fn(&T) -> Option<Timestamp>,
        set: impl Fn(&mut Record, &T),
    ) {
        readings.sort_by_key(&time);
        for reading in readings {
            let Some(at) = time(&reading).map(date_time) else {
                continue;
            };
            if at == DateTime(u32::MAX) {
                continue;
            }
            let mut record = Record::new();
            record.timestamp = at;
            set(self.0.entry(at.0).or_insert(record), &reading);
        }
    }
}

/// A stream's readings and their times, without those whose `$member` stands for none.
macro_rules! add {
    ($records:ident, $samples:expr, $member:ident, $set:expr) => {{
        let mut readings = $samples.parse();
        readings.retain(|reading| {
            let number = reading.$member.get();
            !number.is_some_and(|number| is_sample_stand_in(stringify!($member), number))
        });
        $records.add(readings, |reading| instant(reading.timestamp.get()), $set);
    }};
}

/// The `record` messages, in the order of time. A second without any value has none.
pub(super) fn messages(record: &data::Activity<'_>, temperatures: &Temperatures) -> Vec<Message> {
    let mut records = Records::default();
    if let Some(heart) = record
        .heart_rate_data
        .as_ref()
        .and_then(|heart| heart.detailed.as_ref())
    {
        add!(records, heart.hr_samples, bpm, |record, reading| {
            record.heart_rate = rounded(reading.bpm);
        });
    }
    if let Some(movement) = record.movement_data.as_ref() {
        add!(
            records,
            movement.cadence_samples,
            cadence_rpm,
            |record, reading| {
                (record.cadence, record.fractional_cadence) = split(reading.cadence_rpm, 128);
            }
        );
        add!(
            records,
            movement.speed_samples,
            speed_meters_per_second,
            |record, reading| {
                record.enhanced_speed = scaled(reading.speed_meters_per_second.get(), 1_000.0);
            }
        );
    }
    if let Some(distance) = record
        .distance_data
        .as_ref()
        .and_then(|distance| distance.detailed.as_ref())
    {
        add!(
            records,
            distance.distance_samples,
            distance_meters,
            |record, reading| {
                record.distance = scaled(reading.distance_meters.get(), 100.0);
            }
        );
        add!(
            records,
            distance.elevation_samples,
            elev_meters,
            |record, reading| {
                record.enhanced_altitude = altitude(reading.elev_meters);
            }
        );
    }
    if let Some(power) = record.power_data.as_ref() {
        add!(records, power.power_samples, watts, |record, reading| {
            record.power = rounded(reading.watts);
        });
    }
    if let Some(position) = record.position_data.as_ref() {
        records.add(
            position.position_samples.parse(),
            |reading| instant(reading.timestamp.get()),
            |record, reading| {
                (record.position_lat, record.position_long) =
                    semicircles_of(&reading.coords_lat_lng_deg.parse());
            },
        );
    }
    if let Some(oxygen) = record.oxygen_data.as_ref() {
        add!(
            records,
            oxygen.saturation_samples,
            percentage,
            |record, reading| {
                // FIT has a saturation of muscle here, and none of blood.
                if reading.kind.known() == Some(OxygenSaturationType::Muscle) {
                    record.saturated_hemoglobin_percent = scaled(reading.percentage.get(), 10.0);
                }
            }
        );
    }
    temperatures.add_to(|readings, set| records.add(readings, |&(at, _)| Some(at), set));
    let messages = records.0.into_values().map(Message::from);
    // The time alone says nothing.
    messages
        .filter(|message| message.fields.len() > 1 || !message.developer_fields.is_empty())
        .collect()
}

/// A position in semicircles; *not set* unless both numbers are there and lie on Earth.
pub(super) fn semicircles_of(lat_lng: &[Number]) -> (i32, i32) {
    let degrees = |index: usize, most: f64| {
        let number = lat_lng.get(index).and_then(|number| number.get());
        number.filter(|degrees| degrees.abs() <= most)
    };
    match (degrees(0, 90.0), degrees(1, 180.0)) {
        (Some(latitude), Some(longitude)) => (semicircles(latitude), semicircles(longitude)),
        _ => (i32::MAX, i32::MAX),
    }
}

/// The time of the activity's last reading.
pub(super) fn last_reading(record: &data::Activity<'_>) -> Option<Timestamp> {
    fn last<'a, T>(samples: List<'a, T>, time: impl Fn(&T) -> &Text<'a>) -> Option<Timestamp>
    where
        T: Deserialize<'a> + Default,
    {
        let readings = samples.parse();
        readings
            .iter()
            .filter_map(|reading| instant(time(reading).get()))
            .max()
    }
    let heart = record.heart_rate_data.as_ref();
    let heart = heart.and_then(|heart| heart.detailed.as_ref());
    let distance = record.distance_data.as_ref();
    let distance = distance.and_then(|distance| distance.detailed.as_ref());
    let movement = record.movement_data.as_ref();
    let power = record.power_data.as_ref();
    let position = record.position_data.as_ref();
    [
        heart.and_then(|heart| last(heart.hr_samples, |reading| &reading.timestamp)),
        distance.and_then(|way| last(way.distance_samples, |reading| &reading.timestamp)),
        distance.and_then(|way| last(way.elevation_samples, |reading| &reading.timestamp)),
        movement.and_then(|it| last(it.cadence_samples, |reading| &reading.timestamp)),
        movement.and_then(|it| last(it.speed_samples, |reading| &reading.timestamp)),
        power.and_then(|power| last(power.power_samples, |reading| &reading.timestamp)),
        position.and_then(|it| last(it.position_samples, |reading| &reading.timestamp)),
    ]
    .into_iter()
    .flatten()
    .max()
}
