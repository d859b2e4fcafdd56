//! The reason for a number, or for its absence.

use std::collections::BTreeSet;

use domain::{
    connection::ConnectionId,
    days::{Absent, Reading, Wanted, Why, by_day, why as explain},
    history::{
        coverage::{DayState, Missing, Outside},
        day::Span,
    },
    source::Metric,
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::civil::Date;
use store::table::{Table, connections::StoredConnection};

use crate::{
    error::InspectError,
    person::{CONCURRENT_READS, Person},
};

/// Explains a metric of a day: the very choice that the day shows.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn why(
    table: &Table,
    person: &Person,
    metric: &'static Metric,
    date: Date,
    now_ms: i64,
) -> Result<Why, InspectError> {
    let types = Wanted::of(&[metric], &[]).types();
    let readings = person.readings(table, &types, date, date).await?;
    let having = |readings: &[&Reading]| -> BTreeSet<ConnectionId> {
        let readings = readings.iter();
        let having = readings.filter(|reading| reading.candidate(metric).is_some());
        having
            .map(|reading| reading.source.connection.clone())
            .collect()
    };
    let own: Vec<&Reading> = readings
        .iter()
        .filter(|reading| reading.day == date)
        .collect();
    let of_day = by_day(&readings, &person.policy).remove(&date);
    let (has_own, has_value) = (having(&own), having(&of_day.unwrap_or_default()));
    let without = person
        .connections
        .iter()
        .filter(|connection| !has_value.contains(&connection.id));
    // Boxed: the compiler does not see that the futures of closures may cross threads.
    let asking: Vec<BoxFuture<'_, Result<Option<Absent>, InspectError>>> = without
        .map(|connection| {
            Box::pin(absent(table, connection, metric, date, now_ms)) as BoxFuture<'_, _>
        })
        .collect();
    let absent: Vec<Option<Absent>> = stream::iter(asking)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let absent = absent.into_iter().flatten().map(|absent| {
        if has_own.contains(&absent.connection) {
            on_other_day(absent)
        } else {
            absent
        }
    });
    let absent = absent.collect();
    let readings: Vec<&Reading> = readings.iter().collect();
    Ok(explain(
        metric,
        date,
        &readings,
        &person.policy,
        absent,
        now_ms,
    ))
}

/// A connection whose session counts for another day, that of the record that was chosen.
fn on_other_day(absent: Absent) -> Absent {
    Absent {
        why: Some("other_day".to_owned()),
        text: "its session counts for another day, by the record that was chosen for it".to_owned(),
        ..absent
    }
}

/// The state of a day of one connection without a value. `None` while its provider is unknown.
async fn absent(
    table: &Table,
    connection: &StoredConnection,
    metric: &Metric,
    date: Date,
    now_ms: i64,
) -> Result<Option<Absent>, InspectError> {
    let Some(provider) = connection.state.provider() else {
        return Ok(None);
    };
    let types = metric.places.iter().map(|place| place.data_type).collect();
    let known = table
        .known_days_of(connection, &types, Span::of_day(date), now_ms)
        .await?;
    let outages = table.outages().await?;
    let states = metric.places.iter().filter_map(|place| {
        let days = known.get(&place.data_type)?;
        (!days.refused).then(|| days.known(&outages).state(date, now_ms))
    });
    // Of several types the one that may still bring something tells most.
    let state = states.min_by_key(|state| weight(*state));
    let (state, why, text) = match state {
        Some(state) => told(state),
        None => (
            "outside",
            Some("no_such_type"),
            "this connection has no such data",
        ),
    };
    Ok(Some(Absent {
        connection: connection.id.clone(),
        provider: provider.clone(),
        state: state.to_owned(),
        why: why.map(str::to_owned),
        text: text.to_owned(),
    }))
}

fn weight(state: DayState) -> u8 {
    match state {
        DayState::Asked => 0,
        DayState::Missing(_) => 1,
        DayState::Unsettled => 2,
        DayState::Have => 3,
        DayState::ConfirmedEmpty => 4,
        DayState::Outside(_) => 5,
    }
}

/// A state, its reason and both in words.
fn told(state: DayState) -> (&'static str, Option<&'static str>, &'static str) {
    match state {
        DayState::Have => (
            "have",
            Some("record_without_it"),
            "a record of the day is there, without this value",
        ),
        DayState::ConfirmedEmpty => (
            "confirmed_empty",
            None,
            "asked for after the day was over, and there was nothing",
        ),
        DayState::Asked => ("asked", None, "asked for; the answer has not come yet"),
        DayState::Unsettled => (
            "unsettled",
            None,
            "too early to tell: the data may still come by themselves",
        ),
        DayState::Missing(missing) => {
            let (why, text) = match missing {
                Missing::NoRecord => (
                    "no_record",
                    "no record came, and the day was not asked for yet",
                ),
                Missing::Unproven => (
                    "unproven",
                    "a session is there; whether it is all of them was not asked",
                ),
                Missing::Stale => (
                    "stale",
                    "a record is there, last delivered before webhooks were lost",
                ),
                Missing::Unanswered => (
                    "unanswered",
                    "asked for without an answer; it is asked again later",
                ),
                Missing::GivenUp => (
                    "given_up",
                    "asked for as often as is allowed, without an answer",
                ),
            };
            ("missing", Some(why), text)
        }
        DayState::Outside(outside) => {
            let (why, text) = match outside {
                Outside::CannotBeAsked => (
                    "cannot_be_asked",
                    "only the person's phone could send it, and it did not",
                ),
                Outside::BeforeReach => ("before_reach", "before the provider's reach"),
                Outside::AfterEnd => ("after_end", "after the connection ended"),
                Outside::Skipped => (
                    "skipped",
                    "the wearer crossed the date line and had no such day",
                ),
                Outside::Future => ("future", "the day has not begun"),
            };
            ("outside", Some(why), text)
        }
    }
}
