//! One day: a value for each metric, and the choice that made it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use models::data::DataType;

use super::{
    night::night,
    reading::Reading,
    sessions::{by_day, of_day},
};
use crate::{
    source::{
        Candidate, Choice, Group, Lead, Metric, Policy, RecordRef, Source, choose, choose_led,
    },
    summary::Value,
};

/// A metric of a day: its candidates and the choice between them.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The metric.
    pub metric: &'static Metric,
    /// Values that records have.
    pub candidates: Vec<Candidate>,
    /// The choice.
    pub choice: Choice,
    /// Choice of the record that leads the group.
    pub led_by: Option<Box<Decided>>,
}

impl Decided {
    /// The chosen candidate.
    pub fn chosen(&self) -> Option<&Candidate> {
        self.candidates.get(self.choice.chosen?)
    }
}

/// A score of one source; never chosen across providers.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The source.
    pub source: Source,
    /// The record.
    pub record: RecordRef,
    /// Name: that of a summary's field, or the path of a score of Terra's.
    pub name: String,
    /// The value.
    pub value: serde_json::Value,
}

/// One day of a person.
#[derive(Debug, Clone)]
pub struct Day {
    /// The date.
    pub date: Date,
    /// Every metric of which a record has a value, in the order of the catalogue.
    pub values: Vec<Decided>,
    /// The choice of the night; absent when no record of a sleep is there.
    pub night: Option<Decided>,
    /// The day on which the night began.
    pub started_on: Option<Date>,
    /// Activities; several records of one count once. Absent where only some metrics were asked for.
    pub activities: Option<usize>,
    /// Scores, per source.
    pub scores: Vec<Score>,
}

impl Day {
    /// The metric of that name, if a record has a value.
    pub fn value(&self, metric: &str) -> Option<&Decided> {
        self.values
            .iter()
            .find(|decided| decided.metric.id == metric)
    }
}

/// Metrics that are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    metrics: Option<BTreeSet<&'static str>>,
}

impl Wanted {
    /// These metrics and those of these groups; all of them where neither is named.
    pub fn of(metrics: &[&'static Metric], groups: &[Group]) -> Self {
        if metrics.is_empty() && groups.is_empty() {
            return Self::default();
        }
        let of_groups = Metric::all()
            .iter()
            .filter(|metric| groups.contains(&metric.group));
        let all = metrics.iter().copied().chain(of_groups);
        Self {
            metrics: Some(all.map(|metric| metric.id).collect()),
        }
    }

    /// Returns whether the metric is asked for.
    pub fn has(&self, metric: &Metric) -> bool {
        self.metrics
            .as_ref()
            .is_none_or(|metrics| metrics.contains(metric.id))
    }

    /// Returns whether the sessions of a day are counted: where everything is asked for.
    pub fn has_sessions(&self) -> bool {
        self.metrics.is_none()
    }

    /// Types of records that can have any of them, or the sessions that a day counts.
    pub fn types(&self) -> BTreeSet<DataType> {
        let places = Metric::all()
            .iter()
            .filter(|metric| self.has(metric))
            .flat_map(|metric| metric.places.iter().map(|place| place.data_type));
        let mut types: BTreeSet<_> = places.collect();
        // The night leads over recovery, and a policy may want the device of the main sleep for anything.
        types.insert(DataType::Sleep);
        if self.has_sessions() {
            types.insert(DataType::Activity);
        }
        types
    }
}

/// Decides the days `from` to `to`, both included, of which there are records; newest first.
///
/// `readings` are those of these days and of [`DAYS_AROUND`](super::DAYS_AROUND).
pub fn decide_all<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    policy: &Policy,
    wanted: &Wanted,
    (from, to): (Date, Date),
) -> Vec<Day> {
    let days = by_day(readings, policy).into_iter().rev();
    days.filter(|(date, _)| from <= *date && *date <= to)
        .map(|(date, readings)| decide_day(date, &readings, policy, wanted))
        .collect()
}

/// Decides one day from the readings of that day and of [`DAYS_AROUND`](super::DAYS_AROUND).
pub fn decide(date: Date, readings: &[&Reading], policy: &Policy, wanted: &Wanted) -> Day {
    let mut by_day = by_day(readings.iter().copied(), policy);
    let readings = by_day.remove(&date).unwrap_or_default();
    decide_day(date, &readings, policy, wanted)
}

/// Decides one day from the readings that count for it.
fn decide_day(date: Date, readings: &[&Reading], policy: &Policy, wanted: &Wanted) -> Day {
    let (sleeps, choice) = night(readings, policy);
    let night = (!sleeps.is_empty()).then(|| Decided {
        metric: Metric::of_group(Group::Sleep),
        candidates: sleeps,
        choice,
        led_by: None,
    });
    let mut leads = Leads {
        readings,
        policy,
        night: night.as_ref(),
        known: BTreeMap::new(),
    };
    let metrics = Metric::all()
        .iter()
        .filter(|metric| metric.group != Group::Scores && wanted.has(metric));
    let values = metrics.filter_map(|metric| leads.decide(metric)).collect();
    let activities = || of_day(date, readings, DataType::Activity, policy).len();
    let main = night.as_ref().and_then(Decided::chosen);
    let main = main.and_then(|main| {
        let mut readings = readings.iter();
        readings.find(|reading| reading.record == main.record)
    });
    let started_on = main.map(|main| main.started_on);
    Day {
        date,
        values,
        started_on,
        activities: wanted.has_sessions().then(activities),
        scores: scores(readings, wanted),
        night,
    }
}

/// Records that lead groups, each chosen once.
struct Leads<'a> {
    readings: &'a [&'a Reading],
    policy: &'a Policy,
    night: Option<&'a Decided>,
    known: BTreeMap<&'static str, Option<Decided>>,
}

impl Leads<'_> {
    /// Decides a metric; `None` when no record has a value.
    fn decide(&mut self, metric: &'static Metric) -> Option<Decided> {
        let candidates = self.candidates(metric);
        if candidates.is_empty() {
            return None;
        }
        // A rule of its own takes a metric out of its group.
        let alone = self.policy.names(metric);
        let lead = match metric.group {
            Group::Sleep => self.night.cloned(),
            _ if alone => None,
            Group::Movement | Group::Energy => self.leading("steps"),
            Group::Pressure => self.leading("systolic_bp"),
            Group::Glucose | Group::Nutrition | Group::Cycle | Group::Hormones => {
                self.whole(metric.group)
            }
            Group::Heart
            | Group::Recovery
            | Group::Workouts
            | Group::Body
            | Group::Temperature
            | Group::Scores => None,
        };
        let lead = lead.filter(|lead| lead.metric.id != metric.id);
        let record = lead.as_ref().and_then(Decided::chosen);
        let record = record.map(|chosen| &chosen.record);
        let is_whole_pair = || {
            let chosen = lead.as_ref().and_then(Decided::chosen);
            chosen.is_some_and(|chosen| !chosen.half)
        };
        let how = match (metric.group, &record) {
            (Group::Movement | Group::Energy, Some(record)) => Lead::First(record),
            (Group::Pressure, Some(record)) if is_whole_pair() => Lead::Only(record),
            (
                Group::Sleep | Group::Glucose | Group::Nutrition | Group::Cycle | Group::Hormones,
                record,
            ) if !alone || metric.group == Group::Sleep => record.map_or(Lead::Nothing, Lead::Only),
            _ => Lead::None,
        };
        let choice = choose_led(metric, &candidates, self.policy, how);
        let has_lead = matches!(how, Lead::First(_) | Lead::Only(_) | Lead::Nothing);
        Some(Decided {
            metric,
            candidates,
            choice,
            led_by: lead.filter(|_| has_lead).map(Box::new),
        })
    }

    fn candidates(&self, metric: &Metric) -> Vec<Candidate> {
        let main = self.night.and_then(Decided::chosen);
        let main = main.map(|main| &main.source.connection);
        let candidates = self.readings.iter().filter_map(|reading| {
            let mut candidate = reading.candidate(metric)?;
            candidate.main_sleep = Some(&candidate.source.connection) == main;
            Some(candidate)
        });
        candidates.collect()
    }

    /// The choice of the metric that leads a group.
    fn leading(&mut self, id: &'static str) -> Option<Decided> {
        if !self.known.contains_key(id) {
            let decided = Metric::named(id).and_then(|metric| {
                let candidates = self.candidates(metric);
                (!candidates.is_empty()).then(|| Decided {
                    choice: choose(metric, &candidates, self.policy),
                    metric,
                    candidates,
                    led_by: None,
                })
            });
            self.known.insert(id, decided);
        }
        self.known.get(id).cloned().flatten()
    }

    /// The choice of one record for a whole group, among those that have any metric of it.
    fn whole(&mut self, group: Group) -> Option<Decided> {
        let metric = Metric::of_group(group);
        if !self.known.contains_key(metric.id) {
            let has_any = |reading: &&&Reading| {
                let mut metrics = Metric::all().iter().filter(|metric| metric.group == group);
                metrics.any(|metric| reading.candidate(metric).is_some())
            };
            let records = self.readings.iter().filter(has_any);
            // The length of no session is told here, so records differ by their name.
            let candidates: Vec<Candidate> = records
                .map(|reading| Candidate {
                    value: Value::Text(reading.record.key.to_string()),
                    ..reading.whole(group)
                })
                .collect();
            let decided = (!candidates.is_empty()).then(|| Decided {
                choice: choose(metric, &candidates, self.policy),
                metric,
                candidates,
                led_by: None,
            });
            self.known.insert(metric.id, decided);
        }
        self.known.get(metric.id).cloned().flatten()
    }
}

/// Scores of all sources: the vendors' own, then Terra's.
fn scores(readings: &[&Reading], wanted: &Wanted) -> Vec<Score> {
    let metrics: Vec<&Metric> = Metric::all()
        .iter()
        .filter(|metric| metric.group == Group::Scores && wanted.has(metric))
        .collect();
    let mut scores = Vec::new();
    for reading in readings.iter().filter(|reading| !reading.retracted) {
        let mut add = |name: &str, value: serde_json::Value| {
            scores.push(Score {
                source: reading.source.clone(),
                record: reading.record.clone(),
                name: name.to_owned(),
                value,
            });
        };
        for metric in &metrics {
            if let Some(candidate) = reading.candidate(metric) {
                add(metric.id, serde_json::json!(candidate.value));
            }
        }
        if !metrics.is_empty() {
            let numbers = reading
                .enrichment
                .iter()
                .filter(|(_, value)| value.is_number());
            for (name, value) in numbers {
                add(name, value.clone());
            }
        }
    }
    scores
}
