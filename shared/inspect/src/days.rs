//! Days and sessions of a person, page by page.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    days::{
        Day, Wanted, decide_all, sessions as sessions_of,
        shown::{self, Letters, ShownDay, ShownPolicy, ShownSession},
    },
    history::day::{self, Span},
    source::Source,
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::civil::Date;
use models::data::DataType;
use serde::Serialize;
use store::table::{Table, TableError, history::KnownDays};

use crate::{
    coverage,
    error::InspectError,
    person::{CONCURRENT_READS, Person},
};

/// Order of days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
}

/// Days that are asked for.
#[derive(Debug, Clone)]
pub struct DaysQuery {
    /// First day.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
    /// Order.
    pub order: Order,
    /// Metrics.
    pub wanted: Wanted,
    /// With the values that were not chosen.
    pub others: bool,
    /// With the state of each day of each type, as of this moment. Unit: Unix milliseconds.
    pub coverage_at_ms: Option<i64>,
    /// Most calendar days of one page.
    pub limit: u32,
}

impl DaysQuery {
    /// First and last day of the first page, and the day at which the next one begins.
    fn page(&self) -> (Date, Date, Option<Date>) {
        let more = i64::from(self.limit.max(1)) - 1;
        match self.order {
            Order::Newest => {
                let first = day::plus(self.to, -more).max(self.from);
                let next = (first > self.from).then(|| day::previous(first));
                (first, self.to, next)
            }
            Order::Oldest => {
                let last = day::plus(self.from, more).min(self.to);
                let next = (last < self.to).then(|| day::next(last));
                (self.from, last, next)
            }
        }
    }
}

/// A page of days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DaysAnswer {
    /// The days of which there are records.
    pub data: Vec<ShownDay>,
    /// Sources by their letters.
    pub sources: BTreeMap<String, Source>,
    /// The policy that was followed.
    pub policy: ShownPolicy,
    /// The day at which the next page begins: its last one if the newest come first, else its first.
    #[serde(skip)]
    pub next: Option<Date>,
}

/// The first page of the days of a person. A page has a run of calendar days, so pages joined are one page.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn days(
    table: &Table,
    person: &Person,
    query: &DaysQuery,
) -> Result<DaysAnswer, InspectError> {
    let (first, last, next) = query.page();
    let types = query.wanted.types();
    let readings = person.readings(table, &types, first, last).await?;
    let days = (first, last);
    let mut days = decide_all(&readings, &person.policy, &query.wanted, days);
    if query.order == Order::Oldest {
        days.reverse();
    }
    let mut letters = Letters::default();
    let mut data: Vec<ShownDay> = days
        .iter()
        .map(|day| shown::day(day, &mut letters, query.others))
        .collect();
    let span = Span::new(first, day::next(last));
    if let (Some(now_ms), Ok(span)) = (query.coverage_at_ms, span) {
        let of = (&types, span, now_ms);
        cover(table, person, of, &mut letters, &mut data).await?;
    }
    Ok(DaysAnswer {
        data,
        sources: letters.sources(),
        policy: ShownPolicy::from(&person.policy),
        next,
    })
}

/// Adds to each day the states of its types, for every connection.
async fn cover(
    table: &Table,
    person: &Person,
    (types, span, now_ms): (&BTreeSet<DataType>, Span, i64),
    letters: &mut Letters,
    data: &mut [ShownDay],
) -> Result<(), InspectError> {
    let outages = table.outages().await?;
    let reading: Vec<BoxFuture<'_, Result<_, TableError>>> = person
        .connections
        .iter()
        .map(|connection| {
            let known = table.known_days_of(connection, types, span, now_ms);
            Box::pin(known) as BoxFuture<'_, _>
        })
        .collect();
    let known: Vec<BTreeMap<DataType, KnownDays>> = stream::iter(reading)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    for day in data.iter_mut() {
        day.coverage = Some(BTreeMap::new());
    }
    for (connection, known) in person.connections.iter().zip(known) {
        let Some(provider) = connection.state.provider() else {
            continue;
        };
        let letter = letters.of_connection(&connection.id, provider);
        let known = known
            .iter()
            .filter(|(data_type, days)| types.contains(data_type) && !days.refused);
        for (data_type, days) in known {
            let days = days.known(&outages);
            for day in data.iter_mut() {
                let states = day.coverage.get_or_insert_default();
                let states = states.entry(*data_type).or_default();
                let state = coverage::word(days.state(day.day, now_ms));
                states.insert(letter.clone(), state);
            }
        }
    }
    Ok(())
}

/// The days `from` to `to`, both included, of which there are records, with every metric and the choice that made
/// it. Oldest first.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn decided(
    table: &Table,
    person: &Person,
    (from, to): (Date, Date),
) -> Result<Vec<Day>, InspectError> {
    let wanted = Wanted::default();
    let readings = person.readings(table, &wanted.types(), from, to).await?;
    let mut days = decide_all(&readings, &person.policy, &wanted, (from, to));
    days.reverse();
    Ok(days)
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionsAnswer {
    /// The sessions.
    pub data: Vec<ShownSession>,
    /// Sources by their letters.
    pub sources: BTreeMap<String, Source>,
    /// The policy that was followed.
    pub policy: ShownPolicy,
    /// The last day of the next page.
    #[serde(skip)]
    pub next: Option<Date>,
}

/// The first page of the nights or activities of a person, newest day first.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn sessions(
    table: &Table,
    person: &Person,
    data_type: DataType,
    (from, to): (Date, Date),
    limit: u32,
) -> Result<SessionsAnswer, InspectError> {
    let query = DaysQuery {
        from,
        to,
        order: Order::Newest,
        wanted: Wanted::default(),
        others: false,
        coverage_at_ms: None,
        limit,
    };
    let (first, last, next) = query.page();
    let types = BTreeSet::from([data_type]);
    let readings = person.readings(table, &types, first, last).await?;
    let mut letters = Letters::default();
    let data = sessions_of(&readings, data_type, &person.policy, (first, last))
        .iter()
        .map(|session| shown::session(session, &mut letters))
        .collect();
    Ok(SessionsAnswer {
        data,
        sources: letters.sources(),
        policy: ShownPolicy::from(&person.policy),
        next,
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn pages_cover_every_day_once() {
        for order in [Order::Newest, Order::Oldest] {
            for limit in 1..9 {
                let mut query = DaysQuery {
                    from: date(2026, 2, 26),
                    to: date(2026, 3, 3),
                    order,
                    wanted: Wanted::default(),
                    others: false,
                    coverage_at_ms: None,
                    limit,
                };
                let mut covered = Vec::new();
                loop {
                    let (first, last, next) = query.page();
                    let mut days: Vec<Date> = first
                        .series(jiff::ToSpan::days(1))
                        .take_while(|day| *day <= last)
                        .collect();
                    if order == Order::Newest {
                        days.reverse();
                    }
                    covered.extend(days);
                    match (next, order) {
                        (None, _) => break,
                        (Some(next), Order::Newest) => query.to = next,
                        (Some(next), Order::Oldest) => query.from = next,
                    }
                }
                let mut expected: Vec<Date> = date(2026, 2, 26)
                    .series(jiff::ToSpan::days(1))
                    .take(6)
                    .collect();
                if order == Order::Newest {
                    expected.reverse();
                }
                assert_eq!(covered, expected);
            }
        }
    }
}
