//! Series of samples.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use domain::{
    connection::ConnectionId,
    days::{Loaded, shown::Letters},
    history::day::{self, HOUR_MS},
    record::Payload,
    series::{Builder, Columns, MAX_POINTS, Rank, Resolution, StreamMetric, Window, read},
    source::{Kind, Source},
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::{Timestamp, civil::Date, tz::Offset};
use models::data::DataType;
use serde::Serialize;
use store::{
    archive::{Archive, ArchiveError},
    table::Table,
};

use crate::{
    error::InspectError,
    memo::Memo,
    person::{CONCURRENT_READS, Person},
};

/// Days around a window on which records may begin or lie that reach into it.
const DAYS_AROUND: i64 = 2;

/// Series that are asked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The metric.
    pub metric: &'static StreamMetric,
    /// Time and resolution.
    pub window: Window,
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
        points > self.points
            || read_bytes > self.read_bytes
            || self.ends.is_some_and(|ends| Instant::now() >= ends)
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
    /// End of what is answered, excluded.
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
    loaded: Vec<Loaded>,
    builder: Builder,
    source: Option<Source>,
}

/// The series of a metric, one per connection, as many days as one answer holds.
///
/// Records are read in the order of their days; what lies far enough behind is put into buckets for good, so that
/// samples of a few days are held at most. An answer that would get too large ends at midnight, UTC.
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
    let Window {
        since_ms, until_ms, ..
    } = query.window;
    let is_wanted =
        |data_type: &DataType| query.types.is_empty() || query.types.contains(data_type);
    let types: BTreeSet<DataType> = query
        .metric
        .places
        .iter()
        .map(|place| place.data_type)
        .filter(is_wanted)
        .collect();
    let first = day::plus(utc_date(since_ms), -DAYS_AROUND);
    let last = day::plus(utc_date(until_ms), DAYS_AROUND);
    let person = Person {
        connections: person
            .connections
            .iter()
            .filter(|one| query.connections.is_empty() || query.connections.contains(&one.id))
            .cloned()
            .collect(),
        ..person.clone()
    };
    let loaded = person.loaded(table, &types, first, last).await?;
    let mut of_connections = BTreeMap::<ConnectionId, OfConnection>::new();
    for record in loaded {
        if record.record.newest.retracted || !record.record.has_samples() {
            continue;
        }
        let connection = record.connection.clone();
        let of_connection = of_connections
            .entry(connection)
            .or_insert_with(|| OfConnection {
                loaded: Vec::new(),
                builder: Builder::new(query.metric, query.window),
                source: None,
            });
        of_connection.loaded.push(record);
    }
    let mut end_ms = until_ms;
    let mut read_bytes = 0;
    let days = Date::series(first, jiff::ToSpan::days(1)).take_while(|day| *day <= last);
    for day in days {
        for of_connection in of_connections.values_mut() {
            read_bytes += of_connection
                .read_day(archive, &person.memo, query, day)
                .await?;
        }
        // Everything that reaches before the midnight two days ago has been read.
        let settled_ms = midnight_ms(day::plus(day, -DAYS_AROUND));
        let mut points = 0;
        for of_connection in of_connections.values_mut() {
            of_connection.builder.settle_before(settled_ms);
            points += of_connection.builder.points();
        }
        let is_used_up = query.budget.is_used_up(points, read_bytes);
        if is_used_up && settled_ms > since_ms && settled_ms < until_ms {
            end_ms = settled_ms;
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

impl OfConnection {
    /// Takes the samples of the records that begin on a day. Returns how much was read through. Unit: bytes.
    async fn read_day(
        &mut self,
        archive: &Archive,
        memo: &Memo,
        query: &Query,
        day: Date,
    ) -> Result<u64, InspectError> {
        let of_day = |loaded: &Loaded| {
            let start = loaded.record.newest.start_time.as_deref();
            day::of_record(&loaded.key, start) == Some(day)
        };
        let of_day: Vec<Loaded> = self
            .loaded
            .extract_if(.., |loaded| of_day(loaded))
            .collect();
        let reads = of_day.iter().filter_map(|loaded| {
            let place = query.metric.place_in(loaded.data_type)?;
            let payload = payload_with(loaded, place.stream()?)?;
            Some((loaded, place, payload))
        });
        // Boxed: the compiler does not see that the futures of closures may cross threads.
        let mut reading: Vec<BoxFuture<'_, Result<_, InspectError>>> = Vec::new();
        let mut read_bytes = 0;
        for (loaded, place, payload) in reads {
            read_bytes += payload.size_bytes;
            reading.push(Box::pin(async move {
                let samples = match memo.payload(archive, payload).await {
                    Ok(bytes) => Some(read(query.metric, place, &bytes)),
                    Err(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => None,
                    Err(error) => return Err(InspectError::Archive(error)),
                };
                Ok((loaded, samples))
            }));
        }
        let samples: Vec<_> = stream::iter(reading)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        for (loaded, samples) in samples {
            let Some(samples) = samples else { continue };
            let rank = Rank::of(loaded.data_type);
            self.builder.take(rank, &samples);
            self.note_source(loaded);
        }
        Ok(read_bytes)
    }

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
