//! Sessions: one entry for each night, nap and activity that really was, however many devices recorded it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use models::data::DataType;

use super::{night::night, reading::Reading};
use crate::{
    history::day,
    source::{
        Candidate, Choice, Group, Interval, Lead, Metric, Policy, Reason, RecordRef, choose,
        choose_led,
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

/// Days around some days that tell which sessions are theirs: the records of one lie on two neighbouring days at
/// most. Unit: days.
pub const DAYS_AROUND: i64 = 2;

/// One session.
#[derive(Debug, Clone)]
pub struct Session<'a> {
    /// The day that it counts for.
    pub day: Date,
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

/// The sessions of one type of the days `from` to `to`, both included; newest day first, and within a day by their
/// start. Records that were taken back are left out, and sessions of which a policy takes no record.
///
/// `readings` are those of these days and of [`DAYS_AROUND`].
pub fn sessions<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    data_type: DataType,
    policy: &Policy,
    (from, to): (Date, Date),
) -> Vec<Session<'a>> {
    let of_type = readings
        .into_iter()
        .filter(|reading| reading.record.data_type == data_type);
    let by_day = by_day(of_type, policy).into_iter().rev();
    by_day
        .filter(|(day, _)| from <= *day && *day <= to)
        .flat_map(|(day, readings)| of_day(day, &readings, data_type, policy))
        .collect()
}

/// The sessions of one type of one day, by their start.
pub(super) fn of_day<'a>(
    day: Date,
    readings: &[&'a Reading],
    data_type: DataType,
    policy: &Policy,
) -> Vec<Session<'a>> {
    let readings: Vec<&Reading> = readings
        .iter()
        .copied()
        .filter(|reading| reading.record.data_type == data_type && !reading.retracted)
        .collect();
    let (nights, choice) = night(&readings, policy);
    let main = choice.chosen.and_then(|index| nights.get(index));
    let mut sessions: Vec<Session<'_>> = clusters(&readings)
        .into_iter()
        .filter_map(|cluster| session(day, &cluster, policy, main))
        .collect();
    sessions.sort_by(|one, other| start(one.chosen).cmp(&start(other.chosen)));
    sessions
}

/// Records by the day that they count for, those of a day in the order of their names.
///
/// A record counts for its own day, unless it is one session with a record of a neighbouring day: devices differ
/// about the minute, or write their times in different zones. Such a session is on the day of the record that is
/// chosen for it. Records that would join more than two days stay on their own, because a few days around must tell
/// all of a session. Days whose own records all count for another one are absent.
pub fn by_day<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    policy: &Policy,
) -> BTreeMap<Date, Vec<&'a Reading>> {
    let mut own = BTreeMap::<Date, Vec<&Reading>>::new();
    for reading in readings {
        own.entry(reading.day).or_default().push(reading);
    }
    let mut moved = BTreeMap::<&RecordRef, Date>::new();
    for data_type in [DataType::Sleep, DataType::Activity] {
        for joined in joined_days(&own, data_type) {
            let candidates = candidates(&joined);
            let choice = choose(metric(data_type), &candidates, policy);
            let chosen = choice.chosen.and_then(|index| joined.get(index));
            if let Some(day) = chosen.map(|chosen| chosen.day) {
                moved.extend(joined.iter().map(|reading| (&reading.record, day)));
            }
        }
    }
    let mut by_day = BTreeMap::<Date, Vec<&Reading>>::new();
    for reading in own.into_values().flatten() {
        let day = moved.get(&reading.record).copied().unwrap_or(reading.day);
        by_day.entry(day).or_default().push(reading);
    }
    for of_day in by_day.values_mut() {
        of_day.sort_by(|one, other| one.record.cmp(&other.record));
    }
    by_day
}

/// Sessions whose records are of two neighbouring days.
fn joined_days<'a>(
    by_day: &BTreeMap<Date, Vec<&'a Reading>>,
    data_type: DataType,
) -> Vec<Vec<&'a Reading>> {
    let mut all: Vec<Vec<&Reading>> = Vec::new();
    // Those of the day before, which a record of this day can be one with.
    let mut open: Vec<Vec<&Reading>> = Vec::new();
    for (date, readings) in by_day {
        let yesterday = day::previous(*date);
        let of_type: Vec<&Reading> = readings
            .iter()
            .copied()
            .filter(|reading| reading.record.data_type == data_type && !reading.retracted)
            .collect();
        for cluster in clusters(&of_type) {
            let (linked, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|before| {
                let mut before = before.iter().filter(|one| one.day == yesterday);
                before.any(|one| cluster.iter().any(|other| is_same(one, other)))
            });
            open = rest;
            open.push(linked.into_iter().flatten().chain(cluster).collect());
        }
        let (still, over): (Vec<_>, Vec<_>) = open
            .into_iter()
            .partition(|cluster| cluster.iter().any(|reading| reading.day == *date));
        open = still;
        all.extend(over);
    }
    all.extend(open);
    all.retain(|cluster| {
        let days: BTreeSet<Date> = cluster.iter().map(|reading| reading.day).collect();
        days.len() == 2
    });
    all
}

fn metric(data_type: DataType) -> &'static Metric {
    Metric::of_group(group(data_type))
}

fn group(data_type: DataType) -> Group {
    match data_type {
        DataType::Sleep => Group::Sleep,
        _ => Group::Workouts,
    }
}

/// The records of a session as candidates for it.
fn candidates(cluster: &[&Reading]) -> Vec<Candidate> {
    let only_naps = cluster.iter().all(|reading| reading.is_nap());
    let candidates = cluster.iter().map(|reading| Candidate {
        // A nap is no night, but it is a nap.
        nap: reading.is_nap() && !only_naps,
        ..reading.whole(group(reading.record.data_type))
    });
    candidates.collect()
}

fn start(reading: &Reading) -> (Option<i64>, &Option<String>) {
    let start = reading.interval.map(|interval| interval.start.as_second());
    (start, &reading.start_time)
}

fn session<'a>(
    day: Date,
    cluster: &[&'a Reading],
    policy: &Policy,
    main: Option<&Candidate>,
) -> Option<Session<'a>> {
    let metric = metric(cluster.first()?.record.data_type);
    let candidates = candidates(cluster);
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
        day,
        chosen,
        main: main.is_some(),
        others: others.collect(),
        choice,
        candidates,
    })
}

fn is_same(one: &Reading, other: &Reading) -> bool {
    let intervals = one.interval.zip(other.interval);
    intervals.is_some_and(|(one, other)| Interval::is_same_session(one, other))
}

/// Records that are one session each: linked by sharing more than half of the shorter one's time.
fn clusters<'a>(readings: &[&'a Reading]) -> Vec<Vec<&'a Reading>> {
    let mut clusters: Vec<Vec<&Reading>> = Vec::new();
    for reading in readings {
        let (linked, mut rest): (Vec<_>, Vec<_>) = clusters
            .into_iter()
            .partition(|cluster| cluster.iter().any(|other| is_same(reading, other)));
        let mut joined: Vec<&Reading> = linked.into_iter().flatten().collect();
        joined.push(reading);
        rest.push(joined);
        clusters = rest;
    }
    clusters
}
