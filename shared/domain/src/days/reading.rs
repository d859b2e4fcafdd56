//! A record as the days need it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Date, fmt::temporal::Pieces, tz::Offset};
use models::{data::DataType, ids::Provider};

use crate::{
    connection::ConnectionId,
    history::day,
    key::{CalendarDate, NaturalKey},
    locator::Locator,
    record::Record,
    source::{Candidate, Group, Interval, Metric, RecordRef, Source},
    summary::Value,
    version::Version,
};

/// A record as it was read, with what its connection says.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The connection.
    pub connection: ConnectionId,
    /// Its provider.
    pub provider: Provider,
    /// Time at which the connection ended. Unit: Unix milliseconds.
    pub ended_at_ms: Option<i64>,
    /// Type of the record.
    pub data_type: DataType,
    /// Key of the record.
    pub key: NaturalKey,
    /// Its state.
    pub record: Record,
}

/// A record with everything that choices ask of it.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about one record"
)]
pub struct Reading {
    /// The source.
    pub source: Source,
    /// The record.
    pub record: RecordRef,
    /// The day it belongs to.
    pub day: Date,
    /// The day on which it begins.
    pub started_on: Date,
    /// Start as Terra sent it.
    pub start_time: Option<String>,
    /// End as Terra sent it.
    pub end_time: Option<String>,
    /// Time of a session.
    pub interval: Option<Interval>,
    /// Fields of the summary.
    pub fields: BTreeMap<&'static str, Value>,
    /// Names of the fields that were made from samples.
    pub derived: BTreeSet<&'static str>,
    /// Terra's scores: leaves under their paths.
    pub enrichment: BTreeMap<String, serde_json::Value>,
    /// The provider took it back.
    pub retracted: bool,
    /// Last delivered after its day, or its session, was over.
    pub settled: bool,
    /// The connection ended before its day was over.
    pub ended: bool,
    /// Samples of it are there.
    pub has_samples: bool,
    /// The newest delivery.
    pub delivered: Version,
    /// Place of the newest delivery in the archive.
    pub locator: Locator,
}

/// The day that a record belongs to: that of its end for a night, that of its start or its key for others.
/// `None` for a type whose records are of no day.
pub fn day_of(
    data_type: DataType,
    key: &NaturalKey,
    start: Option<&str>,
    end: Option<&str>,
) -> Option<Date> {
    let started_on = || day::of_record(key, start);
    match data_type {
        DataType::Sleep => end.and_then(date_of).or_else(started_on),
        DataType::Activity
        | DataType::Body
        | DataType::Daily
        | DataType::Hormone
        | DataType::Menstruation
        | DataType::Nutrition => started_on(),
        DataType::Athlete
        | DataType::HealthObservation
        | DataType::LabReport
        | DataType::PlannedWorkout => None,
    }
}

fn date_of(time: &str) -> Option<Date> {
    let date = CalendarDate::cut_from(time).ok()?;
    date.to_string().parse().ok()
}

/// The wearer's offset, if a time tells one. UTC tells none: vendors write it where they know nothing.
fn offset_of(time: &str) -> Option<Offset> {
    let pieces = Pieces::parse(time.trim()).ok()?;
    let offset = pieces.to_numeric_offset()?;
    (offset != Offset::UTC).then_some(offset)
}

/// Time at which the day is over: for the wearer where an offset is told, else for everybody on Earth.
fn over_ms(of: Date, start: Option<&str>) -> i64 {
    let local = start.and_then(offset_of).and_then(|offset| {
        let midnight = day::next(of).to_datetime(jiff::civil::Time::midnight());
        offset.to_timestamp(midnight).ok()
    });
    local.map_or_else(|| day::over_ms(of), jiff::Timestamp::as_millisecond)
}

impl Reading {
    /// Reads a record. `None` for one that belongs to no day.
    pub fn of(loaded: &Loaded) -> Option<Self> {
        let Loaded {
            connection,
            provider,
            ended_at_ms,
            data_type,
            key,
            record,
        } = loaded;
        let newest = &record.newest;
        let fields = record.summary().to_map();
        let text = |name: &str| match fields.get(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let start_time = newest.start_time.clone().or_else(|| text("start_time"));
        let end_time = text("end_time");
        let day = day_of(*data_type, key, start_time.as_deref(), end_time.as_deref())?;
        let is_session = matches!(data_type, DataType::Sleep | DataType::Activity);
        let interval = start_time
            .as_deref()
            .zip(end_time.as_deref())
            .filter(|_| is_session)
            .and_then(|(start, end)| Interval::between(start, end));
        let over_ms = match interval {
            Some(interval) if interval.is_instant => interval.end.as_millisecond(),
            _ => over_ms(day, start_time.as_deref()),
        };
        let delivered = &newest.summary;
        let derived = fields
            .keys()
            .copied()
            .filter(|name| delivered.get(name).is_none());
        Some(Self {
            source: Source::new(connection.clone(), provider.clone(), text("device_name")),
            record: RecordRef {
                connection: connection.clone(),
                data_type: *data_type,
                key: key.clone(),
            },
            day,
            started_on: start_time.as_deref().and_then(date_of).unwrap_or(day),
            interval,
            derived: derived.collect(),
            enrichment: record
                .enrichment
                .iter()
                .map(|(name, score)| (name.clone(), score.value.clone()))
                .collect(),
            retracted: newest.retracted,
            settled: newest.version.ordering_ts_ms >= over_ms,
            ended: ended_at_ms.is_some_and(|ended| ended < over_ms),
            has_samples: record.has_samples(),
            delivered: newest.version.clone(),
            locator: newest.payload.locator.clone(),
            start_time,
            end_time,
            fields,
        })
    }

    /// A field as a number.
    pub fn number(&self, field: &str) -> Option<f64> {
        match self.fields.get(field) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// True for a nap.
    pub fn is_nap(&self) -> bool {
        self.fields.get("is_nap") == Some(&Value::Flag(true))
    }

    /// Time asleep of a night, length of an activity. Unit: seconds.
    ///
    /// The time asleep in all may be absent although the stages are there.
    pub fn length_seconds(&self) -> Option<f64> {
        let session = || {
            let seconds = self.interval.map(Interval::seconds)?;
            i32::try_from(seconds).ok().map(f64::from)
        };
        match self.record.data_type {
            DataType::Sleep => {
                let stages = [
                    "duration_deep_sleep_state_seconds",
                    "duration_light_sleep_state_seconds",
                    "duration_REM_sleep_state_seconds",
                ];
                let stages: Vec<f64> = stages.iter().filter_map(|name| self.number(name)).collect();
                let sum = (!stages.is_empty()).then(|| stages.iter().sum());
                self.number("duration_asleep_state_seconds")
                    .or(sum)
                    .or_else(|| self.number("duration_in_bed_seconds"))
                    .or_else(session)
            }
            DataType::Activity => session().or_else(|| self.number("activity_seconds")),
            _ => None,
        }
    }

    /// Number of readings or meals behind the values of a group; one or none where only that is known.
    fn samples(&self, group: Group) -> u32 {
        let counted = match group {
            Group::Glucose => self.number("sensor_usage"),
            Group::Nutrition => self.number("meal_count"),
            _ => None,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count; more than the type holds is as many as can be"
        )]
        let counted = counted.map(|count| count.max(0.0) as u32);
        counted.unwrap_or(u32::from(self.has_samples))
    }

    /// The candidate that the record is for a metric, if it has it.
    pub fn candidate(&self, metric: &Metric) -> Option<Candidate> {
        let place = metric.place_in(self.record.data_type)?;
        let value = self.fields.get(place.field)?;
        let derived = self.derived.contains(place.field);
        Some(self.candidate_of(metric.group, place.path, value.clone(), derived))
    }

    /// The candidate that the record is for its group as a whole.
    pub fn whole(&self, group: Group) -> Candidate {
        let length = self.length_seconds().unwrap_or_default();
        self.candidate_of(group, "", Value::Number(length), false)
    }

    fn candidate_of(
        &self,
        group: Group,
        field: &'static str,
        value: Value,
        derived: bool,
    ) -> Candidate {
        let pair = ["systolic_bp", "diastolic_bp"].map(|name| self.fields.contains_key(name));
        Candidate {
            source: self.source.clone(),
            record: self.record.clone(),
            field,
            value,
            derived,
            retracted: self.retracted,
            settled: self.settled,
            ended: self.ended,
            samples: Some(self.samples(group)),
            interval: self.interval,
            length_seconds: self.length_seconds(),
            nap: self.is_nap(),
            half: group == Group::Pressure && pair.contains(&false),
            main_sleep: false,
            delivered: self.delivered.clone(),
        }
    }
}
