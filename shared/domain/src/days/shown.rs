//! Days and sessions as they are answered: sources stand once beside, under a letter.

use std::collections::BTreeMap;

use jiff::civil::Date;
use models::{data::DataType, ids::Provider};
use serde::Serialize;

use super::{
    day::{Day, Decided},
    sessions::Session,
};
use crate::{
    connection::ConnectionId,
    source::{Group, Policy, RecordRef, Source, words},
    summary::Value,
};

/// Letters of the sources of one answer.
#[derive(Debug, Clone, Default)]
pub struct Letters(BTreeMap<Source, String>);

impl Letters {
    /// The letter of a source; a new one gets the next.
    pub fn of(&mut self, source: &Source) -> String {
        let next = self.0.len();
        let letter = self.0.entry(source.clone());
        letter.or_insert_with(|| letter_at(next)).clone()
    }

    /// The letter of a connection: that of its one source so far, else that of the connection without a device.
    pub fn of_connection(&mut self, connection: &ConnectionId, provider: &Provider) -> String {
        let mut known = self.0.iter();
        let mut known = known
            .by_ref()
            .filter(|(source, _)| source.connection == *connection);
        if let (Some((_, letter)), None) = (known.next(), known.next()) {
            return letter.clone();
        }
        self.of(&Source::new(connection.clone(), provider.clone(), None))
    }

    /// The sources by their letters.
    pub fn sources(&self) -> BTreeMap<String, Source> {
        let sources = self.0.iter();
        sources
            .map(|(source, letter)| (letter.clone(), source.clone()))
            .collect()
    }
}

/// `a` to `z`, then `a1` and on.
fn letter_at(index: usize) -> String {
    let letters = ('a'..='z').count();
    let letter = ('a'..='z').nth(index % letters).unwrap_or('a');
    match index / letters {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownValue {
    /// The value.
    pub value: Value,
    /// Letter of its source.
    pub source: String,
    /// Doubts, as words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<&'static str>,
    /// Values that were not chosen, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Vec<ShownOther>>,
}

/// A value that was not chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownOther {
    /// The value.
    pub value: Value,
    /// Letter of its source.
    pub source: String,
    /// The reason, as a word.
    pub reason: &'static str,
    /// The reason in words.
    pub text: String,
}

/// The night of a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownNight {
    /// The record.
    pub record: RecordRef,
    /// The day on which it began.
    pub started_on: Option<Date>,
    /// Letter of its source.
    pub source: String,
    /// Its values.
    pub values: BTreeMap<&'static str, Value>,
}

/// A score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownScore {
    /// Letter of its source.
    pub source: String,
    /// Name.
    pub name: String,
    /// The value.
    pub value: serde_json::Value,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownDay {
    /// The date.
    pub day: Date,
    /// Chosen values by metric, without those of the night.
    pub values: BTreeMap<&'static str, ShownValue>,
    /// The night.
    pub sleep: Option<ShownNight>,
    /// Number of activities; absent where only some metrics were asked for.
    pub activities: Option<usize>,
    /// Number of meals, where a diary lists them.
    pub meals: Option<Value>,
    /// Scores of every source.
    pub scores: Vec<ShownScore>,
    /// State of the day by type and source, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<BTreeMap<DataType, BTreeMap<String, &'static str>>>,
}

/// The policy that an answer followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPolicy {
    /// The nearest level.
    pub level: crate::source::Level,
    /// Its version.
    pub version: String,
}

impl From<&Policy> for ShownPolicy {
    fn from(policy: &Policy) -> Self {
        let (level, version) = policy.level();
        Self { level, version }
    }
}

/// A day with its chosen values; with the others beside them if `others`.
pub fn day(day: &Day, letters: &mut Letters, others: bool) -> ShownDay {
    let mut values = BTreeMap::new();
    let mut of_night = BTreeMap::new();
    for decided in &day.values {
        let Some(chosen) = decided.chosen() else {
            continue;
        };
        if decided.metric.group == Group::Sleep {
            of_night.insert(decided.metric.id, chosen.value.clone());
        } else {
            values.insert(decided.metric.id, value(decided, letters, others));
        }
    }
    let values: BTreeMap<_, _> = values
        .into_iter()
        .filter_map(|(id, value)| Some((id, value?)))
        .collect();
    let night = day.night.as_ref().and_then(Decided::chosen);
    ShownDay {
        day: day.date,
        sleep: night.map(|night| ShownNight {
            record: night.record.clone(),
            started_on: day.started_on,
            source: letters.of(&night.source),
            values: of_night,
        }),
        activities: day.activities,
        meals: values.get("meal_count").map(|meals| meals.value.clone()),
        values,
        scores: day
            .scores
            .iter()
            .map(|score| ShownScore {
                source: letters.of(&score.source),
                name: score.name.clone(),
                value: score.value.clone(),
            })
            .collect(),
        coverage: None,
    }
}

fn value(decided: &Decided, letters: &mut Letters, others: bool) -> Option<ShownValue> {
    let chosen = decided.chosen()?;
    let warnings = decided.choice.warnings.iter();
    Some(ShownValue {
        value: chosen.value.clone(),
        source: letters.of(&chosen.source),
        warnings: warnings.map(|warning| warning.as_str()).collect(),
        others: others.then(|| self::others(decided, letters)),
    })
}

fn others(decided: &Decided, letters: &mut Letters) -> Vec<ShownOther> {
    let rejected = decided.choice.rejected.iter();
    rejected
        .filter_map(|(index, reason)| {
            let candidate = decided.candidates.get(*index)?;
            Some(ShownOther {
                value: candidate.value.clone(),
                source: letters.of(&candidate.source),
                reason: reason.as_str(),
                text: words::reason(decided.metric, &decided.choice, reason, candidate),
            })
        })
        .collect()
}

/// Another record of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownRecorded {
    /// Letter of its source.
    pub source: String,
    /// The record.
    pub record: RecordRef,
    /// The reason, as a word.
    pub reason: &'static str,
    /// Time that it shares with the chosen one. Unit: seconds.
    pub overlap_seconds: i64,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownSession {
    /// The day it belongs to.
    pub day: Date,
    /// The day on which it began.
    pub started_on: Date,
    /// True for the night of its day.
    pub main: bool,
    /// Letter of its source.
    pub source: String,
    /// The record.
    pub record: RecordRef,
    /// Start as Terra sent it.
    pub start_time: Option<String>,
    /// End as Terra sent it.
    pub end_time: Option<String>,
    /// Its values.
    pub values: BTreeMap<&'static str, Value>,
    /// Other records of it.
    pub also_recorded_by: Vec<ShownRecorded>,
}

/// A session as it is answered.
pub fn session(session: &Session<'_>, letters: &mut Letters) -> ShownSession {
    let chosen = session.chosen;
    let others = session.others.iter().map(|other| ShownRecorded {
        source: letters.of(&other.reading.source),
        record: other.reading.record.clone(),
        reason: other.reason.as_str(),
        overlap_seconds: other.overlap_seconds,
    });
    let also_recorded_by = others.collect();
    ShownSession {
        day: session.day,
        started_on: chosen.started_on,
        main: session.main,
        source: letters.of(&chosen.source),
        record: chosen.record.clone(),
        start_time: chosen.start_time.clone(),
        end_time: chosen.end_time.clone(),
        values: session.values(),
        also_recorded_by,
    }
}
