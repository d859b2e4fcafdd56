//! Sessions: one entry for each night, nap and activity that really was, however many devices recorded it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use models::data::DataType;

use super::{night::night, reading::Reading};
use crate::{
    source::{
        Candidate, Choice, Group, Interval, Lead, Metric, Policy, Reason, choose, choose_led,
    },
    summary::Value,
};

/// Another record of a session.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    /// The record.
    pub reading: &'a Reading,
    /// Reason why it was not chosen.
    pub reason: Reason,
    /// Time that it shares with the chosen one. Unit: seconds.
    pub overlap_seconds: i64,
}

/// One session.
#[derive(Debug, Clone)]
pub struct Session<'a> {
    /// The record that was chosen.
    pub chosen: &'a Reading,
    /// True for the night of its day.
    pub main: bool,
    /// Other records of it.
    pub others: Vec<Recorded<'a>>,
    /// The candidates, and the choice between them.
    pub candidates: Vec<Candidate>,
    /// The choice.
    pub choice: Choice,
}

impl Session<'_> {
    /// Fields of the chosen record, without those that say which record it is.
    pub fn values(&self) -> BTreeMap<&'static str, Value> {
        let about = [
            "start_time",
            "end_time",
            "timestamp_localization",
            "device_name",
            "device_manufacturer",
            "stand_ins",
            "unknown_codes",
        ];
        let fields = self.chosen.fields.iter();
        fields
            .filter(|(name, _)| !about.contains(name))
            .map(|(name, value)| (*name, value.clone()))
            .collect()
    }
}

/// The sessions of one type, newest day first, and within a day by their start. Records that were taken back
/// are left out, and sessions of which a policy takes no record.
pub fn sessions<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    data_type: DataType,
    policy: &Policy,
) -> Vec<Session<'a>> {
    let mut by_day = BTreeMap::<Date, Vec<&Reading>>::new();
    for reading in readings {
        if reading.record.data_type == data_type && !reading.retracted {
            by_day.entry(reading.day).or_default().push(reading);
        }
    }
    let mut all = Vec::new();
    for (_, mut of_day) in by_day.into_iter().rev() {
        of_day.sort_by(|one, other| one.record.cmp(&other.record));
        let (nights, choice) = night(&of_day, policy);
        let main = choice.chosen.and_then(|index| nights.get(index));
        let main = main.filter(|_| data_type == DataType::Sleep);
        let mut sessions: Vec<Session<'_>> = clusters(&of_day)
            .into_iter()
            .filter_map(|cluster| session(&cluster, policy, main))
            .collect();
        sessions.sort_by(|one, other| start(one.chosen).cmp(&start(other.chosen)));
        all.extend(sessions);
    }
    all
}

fn start(reading: &Reading) -> (Option<i64>, &Option<String>) {
    let start = reading.interval.map(|interval| interval.start.as_second());
    (start, &reading.start_time)
}

fn session<'a>(
    cluster: &[&'a Reading],
    policy: &Policy,
    main: Option<&Candidate>,
) -> Option<Session<'a>> {
    let data_type = cluster.first()?.record.data_type;
    let group = match data_type {
        DataType::Sleep => Group::Sleep,
        _ => Group::Workouts,
    };
    let only_naps = cluster.iter().all(|reading| reading.is_nap());
    let candidates: Vec<Candidate> = cluster
        .iter()
        .map(|reading| Candidate {
            // A nap is no night, but it is a nap.
            nap: reading.is_nap() && !only_naps,
            ..reading.whole(group)
        })
        .collect();
    let metric = Metric::of_group(group);
    let main = main.filter(|main| {
        let mut records = cluster.iter().map(|reading| &reading.record);
        records.any(|record| *record == main.record)
    });
    let mut choice = choose(metric, &candidates, policy);
    let chosen_record = |choice: &Choice| Some(&candidates.get(choice.chosen?)?.record);
    // The night of the day is the night of its session, too.
    if let Some(main) = main
        && chosen_record(&choice) != Some(&main.record)
    {
        choice = choose_led(metric, &candidates, policy, Lead::Only(&main.record));
    }
    let chosen = *cluster.get(choice.chosen?)?;
    let others = choice.rejected.iter().filter_map(|(index, reason)| {
        let reading = *cluster.get(*index)?;
        let overlap = reading.interval.zip(chosen.interval);
        Some(Recorded {
            reading,
            reason: reason.clone(),
            overlap_seconds: overlap.map_or(0, |(one, other)| one.overlap_seconds(other)),
        })
    });
    Some(Session {
        chosen,
        main: main.is_some(),
        others: others.collect(),
        choice,
        candidates,
    })
}

/// Records that are one session each: linked by sharing more than half of the shorter one's time.
pub(super) fn clusters<'a>(readings: &[&'a Reading]) -> Vec<Vec<&'a Reading>> {
    let mut clusters: Vec<Vec<&Reading>> = Vec::new();
    let same = |one: &Reading, other: &Reading| {
        let intervals = one.interval.zip(other.interval);
        intervals.is_some_and(|(one, other)| Interval::is_same_session(one, other))
    };
    for reading in readings {
        let (linked, mut rest): (Vec<_>, Vec<_>) = clusters
            .into_iter()
            .partition(|cluster| cluster.iter().any(|other| same(reading, other)));
        let mut joined: Vec<&Reading> = linked.into_iter().flatten().collect();
        joined.push(reading);
        rest.push(joined);
        clusters = rest;
    }
    clusters
}
