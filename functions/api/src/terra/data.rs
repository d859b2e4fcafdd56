//! Reads of data.

use std::ops::Range;

use domain::owner::RecordOwner;
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use models::data::DataType;
use runtime::problem::{Kind, Problem};
use serde_json::json;
use store::table::records::FoundRecord;

use super::{READS, connection, day, end_day, parameter, reads, refused, text, user};
use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::Param,
    route::Endpoint,
    v1::records::{composed, composed_together, planned_between},
};

/// Payloads of one answer at most. It is put together in memory, and goes out with 6 MB at most: compressed, samples are
/// about a tenth of this. Unit: bytes, not compressed.
const MOST_READ_BYTES: u64 = 64 * 1024 * 1024;
/// Payloads that are held beside the answer. Unit: bytes, not compressed.
const READ_AT_ONCE_BYTES: u64 = 8 * 1024 * 1024;
/// Days of planned workouts where no range is given (FACTS section 12).
const PLANNED_DAYS: i64 = 30;

const RANGE: &[Param] = &[
    text("user_id", "Terra user id, current or former."),
    text("start_date", "First day."),
    text("end_date", "Day after the last; until now without one."),
    text("with_samples", "`true` gives samples too."),
    text(
        "to_webhook",
        "Has no effect: the answer is always given at once.",
    ),
];

const ONE: &[Param] = &[text("user_id", "Terra user id, current or former.")];

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/terra/v2/activity",
        READS,
        reads("Activities.", RANGE),
        |call| Box::pin(data(call, DataType::Activity)),
    ),
    Endpoint::get(
        "/terra/v2/body",
        READS,
        reads("Body data.", RANGE),
        |call| Box::pin(data(call, DataType::Body)),
    ),
    Endpoint::get(
        "/terra/v2/daily",
        READS,
        reads("Daily data.", RANGE),
        |call| Box::pin(data(call, DataType::Daily)),
    ),
    Endpoint::get(
        "/terra/v2/menstruation",
        READS,
        reads("Menstruation data.", RANGE),
        |call| Box::pin(data(call, DataType::Menstruation)),
    ),
    Endpoint::get(
        "/terra/v2/nutrition",
        READS,
        reads("Nutrition data.", RANGE),
        |call| Box::pin(data(call, DataType::Nutrition)),
    ),
    Endpoint::get(
        "/terra/v2/sleep",
        READS,
        reads("Sleep sessions.", RANGE),
        |call| Box::pin(data(call, DataType::Sleep)),
    ),
    Endpoint::get(
        "/terra/v2/athlete",
        READS,
        reads("The profile.", ONE),
        |call| Box::pin(athlete(call)),
    ),
    Endpoint::get(
        "/terra/v2/plannedWorkout",
        READS,
        reads("Planned workouts.", RANGE),
        |call| Box::pin(planned(call)),
    ),
    Endpoint::get(
        "/terra/v2/plannedWorkouts",
        READS,
        reads("Planned workouts.", RANGE),
        |call| Box::pin(planned(call)),
    ),
];

async fn data(call: Call, data_type: DataType) -> Result<Answer, Failure> {
    let from = day(&call, "start_date")?.ok_or_else(|| refused("missing start_date"))?;
    let today = call.now.to_zoned(TimeZone::UTC).date();
    // Until now: the latest day on Earth is in it.
    let open = today.saturating_add(2.days());
    let until = end_day(&call, "end_date")?.unwrap_or(open.max(from.saturating_add(1.days())));
    if until < from {
        return Err(refused("invalid end_date: it is before start_date"));
    }
    answer(&call, data_type, from, until).await
}

/// The end is included here, other than everywhere else (FACTS section 12).
async fn planned(call: Call) -> Result<Answer, Failure> {
    let today = call.now.to_zoned(TimeZone::UTC).date();
    let until = day(&call, "end_date")?.unwrap_or(today);
    let from = day(&call, "start_date")?;
    let from = from.unwrap_or(until.saturating_sub(PLANNED_DAYS.days()));
    if until < from {
        return Err(refused("invalid end_date: it is before start_date"));
    }
    answer(
        &call,
        DataType::PlannedWorkout,
        from,
        until.saturating_add(1.days()),
    )
    .await
}

async fn answer(
    call: &Call,
    data_type: DataType,
    from: Date,
    until: Date,
) -> Result<Answer, Failure> {
    let connection = connection(call).await?;
    let with_samples = parameter(call, "with_samples").is_some_and(|text| text == "true");
    let owner = RecordOwner::Connection(connection.id.clone());
    let table = &call.app.table;
    let found = if until > from {
        // A session that crosses midnight is in both days.
        let first = from.saturating_sub(1.days());
        let last = until.saturating_sub(1.days());
        if data_type == DataType::PlannedWorkout {
            planned_between(table, &owner, from, last).await?
        } else {
            let found = table.records_between(&owner, data_type, first, last);
            found.await?
        }
    } else {
        Vec::new()
    };
    let wanted: Vec<_> = found
        .iter()
        .filter(|found| !found.record.newest.retracted && touches(found, from))
        .collect();
    let sizes: Vec<u64> = wanted
        .iter()
        .map(|found| read_through(found, with_samples))
        .collect();
    if sizes.iter().sum::<u64>() > MOST_READ_BYTES {
        return Err(Problem::new(Kind::AnswerTooLarge).into());
    }
    let user = user(&connection).to_string();
    let mut body =
        format!(r#"{{"status":"success","type":"{data_type}","user":{user},"data":["#).into_bytes();
    let mut is_first = true;
    for stretch in stretches(&sizes) {
        let wanted = wanted.get(stretch).unwrap_or_default();
        for record in composed_together(call, wanted, with_samples).await? {
            if !std::mem::take(&mut is_first) {
                body.push(b',');
            }
            body.extend(record);
        }
    }
    body.extend(b"]}");
    Ok(Answer::of(body, "application/json").unkept())
}

/// Size of the payloads that a record is made of. Unit: bytes, not compressed.
fn read_through(found: &FoundRecord, with_samples: bool) -> u64 {
    let record = &found.record;
    let older = record.sampled_arrivals();
    let older = older.iter().filter(|_| with_samples);
    let older: u64 = older.map(|(payload, _)| payload.size_bytes).sum();
    record.newest.payload.size_bytes + older
}

/// Runs of records that are read together: as many as fit in [`READ_AT_ONCE_BYTES`], and at least one.
fn stretches(sizes: &[u64]) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (place, size) in sizes.iter().enumerate() {
        bytes += size;
        match stretches.last_mut() {
            Some(last) if bytes <= READ_AT_ONCE_BYTES => last.end = place + 1,
            _ => {
                stretches.push(place..place + 1);
                bytes = *size;
            }
        }
    }
    stretches
}

/// Returns whether a record that begins on the day before `from`, or later, touches `from` or what follows.
fn touches(found: &FoundRecord, from: Date) -> bool {
    let from = from.to_string();
    let day_of = |text: &str| text.get(..10).map(str::to_owned);
    let key = found.key.to_string();
    let start = found.record.newest.start_time.as_deref();
    let begins = match &found.key {
        domain::key::NaturalKey::Day(_) => Some(key),
        _ => start.and_then(day_of),
    };
    if begins.is_none_or(|begins| begins >= from) {
        return true;
    }
    let end = found.record.summary().get("end_time");
    let midnight = format!("{from}T00:00:00");
    match (&found.key, end) {
        (domain::key::NaturalKey::Day(_), _) | (_, None) => false,
        (_, Some(domain::summary::Value::Text(end))) => {
            end.get(..19).is_some_and(|end| end > midnight.as_str())
        }
        (_, Some(_)) => false,
    }
}

async fn athlete(call: Call) -> Result<Answer, Failure> {
    let connection = connection(&call).await?;
    let owner = RecordOwner::Connection(connection.id.clone());
    let found = call
        .app
        .table
        .records(&owner, Some(DataType::Athlete))
        .await?;
    let Some(found) = found.first() else {
        return Ok(Answer::json(&json!({
            "type": "no_data",
            "status": "success",
            "message": "No data",
            "user": user(&connection),
        }))
        .unkept());
    };
    let athlete = composed(&call, found, true).await?;
    let mut body = br#"{"athlete":"#.to_vec();
    body.extend(athlete);
    body.extend(format!(r#","type":"athlete","user":{}}}"#, user(&connection)).into_bytes());
    Ok(Answer::of(body, "application/json").unkept())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_in_runs_of_bounded_size() {
        const MB: u64 = 1024 * 1024;
        assert!(stretches(&[]).is_empty());
        assert_eq!(stretches(&[3 * MB, 5 * MB, 1]), [0..2, 2..3]);
        assert_eq!(
            stretches(&[20 * MB, 1, 2 * MB, 20 * MB]),
            [0..1, 1..3, 3..4]
        );
    }
}
