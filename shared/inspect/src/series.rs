//! Series of samples.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use domain::{
    connection::ConnectionId,
    days::{Loaded, shown::Letters},
    history::day::{self, HOUR_MS},
    record::Payload,
    series::{
        Builder, Columns, MAX_POINTS, Part, Rank, Resolution, Samples, StreamMetric, StreamPlace,
        Window, read,
    },
    source::{Kind, Source},
};
use jiff::{Timestamp, civil::Date, tz::Offset};
use models::data::DataType;
use serde::Serialize;
use store::{
    archive::{Archive, ArchiveError},
    table::Table,
};

use crate::{error::InspectError, memo::Memo, person::Person};

/// Payloads that are read together before their days' turn. Unit: bytes, not compressed.
const AHEAD_BYTES: u64 = 8 * 1024 * 1024;
/// Records whose payloads are read together.
const AHEAD_RECORDS: usize = 64;
/// Days around a window on which records may begin or lie that reach into it.
const DAYS_AROUND: i64 = 2;

/// Series that are asked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The metric.
    pub metric: &'static StreamMetric,
    /// Time and resolution of all pages.
    pub window: Window,
    /// Part of the window that is still wanted.
    pub part: Part,
    /// Types of records; all where none is named.
    pub types: BTreeSet<DataType>,
    /// Connections; all where none is named.
    pub connections: BTreeSet<ConnectionId>,
    /// Bounds of the work.
    pub budget: Budget,
}

/// Bounds of one answer: behind them it ends at the next midnight that it can end at.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Points.
    pub points: usize,
    /// Bytes of payloads that are read through. Unit: bytes, not compressed.
    pub read_bytes: u64,
    /// End of the time for it.
    pub ends: Option<Instant>,
}

impl Budget {
    /// The points of one answer, however long that takes.
    pub const UNHURRIED: Self = Self {
        points: MAX_POINTS,
        read_bytes: u64::MAX,
        ends: None,
    };

    fn is_used_up(&self, points: usize, read_bytes: u64) -> bool {
        points > self.points || read_bytes > self.read_bytes
    }

    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }
}

/// The metric as it is answered.
#[derive(Debug, Clone, Serialize)]
pub struct OfMetric {
    /// Name.
    pub id: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Meaning of several values together.
    pub kind: Kind,
}

/// One series of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Letter of the source.
    pub source: String,
    /// The points.
    #[serde(flatten)]
    pub columns: Columns,
}

/// Series of one metric.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Start of what is answered.
    pub since: Timestamp,
    /// End of what is answered, excluded: every point begins before it.
    pub until: Timestamp,
    /// The resolution.
    pub resolution: Resolution,
    /// The metric.
    pub metric: OfMetric,
    /// The series, one per source and basis.
    pub series: Vec<Series>,
    /// Sources by their letters.
    pub sources: BTreeMap<String, Source>,
    /// Start of the next page. Unit: Unix milliseconds.
    #[serde(skip)]
    pub next_ms: Option<i64>,
}

/// Samples of one connection under way.
struct OfConnection {
    builder: Builder,
    source: Option<Source>,
}

/// A day whose payloads were read before its turn.
struct Ready {
    day: Date,
    /// Records, each with its samples; those whose bytes were erased meanwhile have none.
    records: Vec<(Loaded, Option<Samples>)>,
    /// Unit: bytes, not compressed.
    read_bytes: u64,
}

/// The series of a metric, one per connection, as many days as one answer holds.
///
/// Records are read in the order of their days; what lies far enough behind is put into buckets for good, so that
/// samples of a few days are held at most. An answer that would get too large ends at midnight, UTC; a point that
/// begins before and ends after it is whole all the same, so the samples of the day behind are read, too.
///
/// # Errors
///
/// [`InspectError`]. A record whose bytes were erased meanwhile is left out.
pub async fn series(
    table: &Table,
    archive: &Archive,
    person: &Person,
    query: &Query,
) -> Result<Answer, InspectError> {
    let (window, part) = (query.window, query.part);
    let (since_ms, until_ms) = (part.since_ms(window), part.until_ms(window));
    let is_wanted =
        |data_type: &DataType| query.types.is_empty() || query.types.contains(data_type);
    let types = query
        .metric
        .places
        .iter()
        .map(|place| place.data_type)
        .filter(is_wanted);
    let first = day::plus(utc_date(since_ms), -DAYS_AROUND);
    let last = day::plus(utc_date(part.samples_until_ms(window)), DAYS_AROUND);
    let person = Person {
        connections: person
            .connections
            .iter()
            .filter(|one| query.connections.is_empty() || query.connections.contains(&one.id))
            .cloned()
            .collect(),
        ..person.clone()
    };
    let days = types.map(|data_type| (data_type, (first, last))).collect();
    let loaded = person.loaded(table, &days).await?;
    let mut of_connections = BTreeMap::<ConnectionId, OfConnection>::new();
    let mut by_day = BTreeMap::<Date, Vec<Loaded>>::new();
    for record in loaded {
        if record.record.newest.retracted || !record.record.has_samples() {
            continue;
        }
        let start = record.record.newest.start_time.as_deref();
        if let Some(day) = day::of_record(&record.key, start) {
            by_day.entry(day).or_default().push(record);
        }
    }
    let mut end_ms = until_ms;
    let mut read_bytes = 0;
    let mut ahead = VecDeque::new();
    let days = Date::series(first, jiff::ToSpan::days(1)).take_while(|day| *day <= last);
    for day in days {
        by_day = by_day.split_off(&day);
        if ahead.is_empty() {
            ahead = read_ahead(archive, &person.memo, query, &mut by_day).await?;
        }
        if ahead.front().is_some_and(|ready: &Ready| ready.day == day)
            && let Some(ready) = ahead.pop_front()
        {
            read_bytes += ready.read_bytes;
            take(ready, query, &mut of_connections);
        }
        // Everything that reaches before the midnight two days ago has been read.
        let settled_ms = midnight_ms(day::plus(day, -DAYS_AROUND));
        let mut points = 0;
        for of_connection in of_connections.values_mut() {
            of_connection.builder.settle_before(settled_ms);
            points += of_connection.builder.points();
        }
        // What was read ahead is used, however long that took.
        let is_late = ahead.is_empty() && query.budget.is_over();
        let is_used_up = is_late || query.budget.is_used_up(points, read_bytes);
        // Points that begin before have all their samples.
        let whole_ms = settled_ms - window.resolution.over_midnight_ms();
        if is_used_up && whole_ms > since_ms && whole_ms < until_ms {
            end_ms = whole_ms;
            break;
        }
    }
    let mut letters = Letters::default();
    let mut series = Vec::new();
    for of_connection in of_connections.into_values() {
        let Some(source) = of_connection.source else {
            continue;
        };
        for columns in of_connection.builder.finish_before(end_ms) {
            series.push(Series {
                source: letters.of(&source),
                columns,
            });
        }
    }
    let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or_default();
    Ok(Answer {
        since: time(since_ms),
        until: time(end_ms),
        resolution: query.window.resolution,
        metric: OfMetric {
            id: query.metric.id,
            unit: query.metric.unit,
            kind: query.metric.kind,
        },
        series,
        sources: letters.sources(),
        next_ms: (end_ms < until_ms).then_some(end_ms),
    })
}

/// Puts the samples of a day to those of their connections.
fn take(ready: Ready, query: &Query, of_connections: &mut BTreeMap<ConnectionId, OfConnection>) {
    for (loaded, samples) in ready.records {
        let Some(samples) = samples else { continue };
        let of_connection = of_connections.entry(loaded.connection.clone());
        let of_connection = of_connection.or_insert_with(|| OfConnection {
            builder: Builder::new(query.metric, query.window, query.part),
            source: None,
        });
        let rank = Rank::of(loaded.data_type);
        of_connection.builder.take(rank, &samples);
        of_connection.note_source(&loaded);
    }
}

/// Reads the next days together, of all connections, as far as [`AHEAD_BYTES`] and [`AHEAD_RECORDS`] go; at least one.
async fn read_ahead(
    archive: &Archive,
    memo: &Memo,
    query: &Query,
    by_day: &mut BTreeMap<Date, Vec<Loaded>>,
) -> Result<VecDeque<Ready>, InspectError> {
    let mut days = Vec::new();
    let (mut bytes, mut records) = (0, 0);
    while let Some(next) = by_day.first_entry() {
        let reads = next.get().iter().filter_map(|loaded| wanted(query, loaded));
        let (of_day, number) = reads.fold((0, 0), |(bytes, number), (_, payload)| {
            (bytes + payload.size_bytes, number + 1)
        });
        let fits = bytes + of_day <= AHEAD_BYTES && records + number <= AHEAD_RECORDS;
        if !days.is_empty() && !fits {
            break;
        }
        (bytes, records) = (bytes + of_day, records + number);
        days.push((next.remove_entry(), of_day));
    }
    let loaded = days.iter().flat_map(|((_, loaded), _)| loaded);
    let reads: Vec<_> = loaded.filter_map(|loaded| wanted(query, loaded)).collect();
    let payloads: Vec<&Payload> = reads.iter().map(|(_, payload)| *payload).collect();
    let read_of = memo.payloads(archive, &payloads).await;
    let mut samples = VecDeque::with_capacity(reads.len());
    for ((place, _), bytes) in reads.into_iter().zip(read_of) {
        samples.push_back(match bytes {
            Ok(bytes) => Some(read(query.metric, place, &bytes)),
            Err(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => None,
            Err(error) => return Err(InspectError::Archive(error)),
        });
    }
    let read_days = days.into_iter().map(|((day, mut records), read_bytes)| {
        records.retain(|loaded| wanted(query, loaded).is_some());
        let records = records.into_iter();
        Ready {
            day,
            records: records
                .map(|loaded| (loaded, samples.pop_front().flatten()))
                .collect(),
            read_bytes,
        }
    });
    Ok(read_days.collect())
}

/// Place of the metric in a record, and the bytes that have its samples.
fn wanted<'a>(query: &Query, loaded: &'a Loaded) -> Option<(&'static StreamPlace, &'a Payload)> {
    let place = query.metric.place_in(loaded.data_type)?;
    Some((place, payload_with(loaded, place.stream()?)?))
}

impl OfConnection {
    /// Notes the source: with the device as long as all records name the same one.
    fn note_source(&mut self, loaded: &Loaded) {
        let device = loaded.record.newest.summary.get("device_name");
        let device = match device {
            Some(domain::summary::Value::Text(name)) => Some(name),
            _ => None,
        };
        let of_record = Source::new(loaded.connection.clone(), loaded.provider.clone(), device);
        match &self.source {
            None => self.source = Some(of_record),
            Some(known) if known.device != of_record.device => {
                let Loaded {
                    connection,
                    provider,
                    ..
                } = loaded;
                self.source = Some(Source::new(connection.clone(), provider.clone(), None));
            }
            Some(_) => {}
        }
    }
}

/// The bytes that have the samples: the newest delivery's, or those of an older one that are kept for them.
fn payload_with(loaded: &Loaded, stream: domain::streams::Stream) -> Option<&Payload> {
    let record = &loaded.record;
    if record.newest.streams.contains(&stream) {
        return Some(&record.newest.payload);
    }
    record.sampled.get(&stream).map(|kept| &kept.payload)
}

fn utc_date(ms: i64) -> Date {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    Offset::UTC.to_datetime(at).date()
}

fn midnight_ms(day: Date) -> i64 {
    day::begins_ms(day) + 14 * HOUR_MS
}
