//! Reads of data.

use domain::owner::RecordOwner;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use models::data::DataType;
use serde_json::json;
use store::table::records::FoundRecord;

use super::{READS, connection, day, end_day, parameter, reads, refused, text, user};
use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::Param,
    route::Endpoint,
    v1::records::{composed, planned_between},
};

/// Payloads that are read at once.
const CONCURRENT_READS: usize = 8;
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
    let reading: Vec<BoxFuture<'_, _>> = wanted
        .iter()
        .map(|found| Box::pin(composed(call, found, with_samples)) as BoxFuture<'_, _>)
        .collect();
    let records: Vec<Vec<u8>> = stream::iter(reading)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let user = user(&connection).to_string();
    let mut body =
        format!(r#"{{"status":"success","type":"{data_type}","user":{user},"data":["#).into_bytes();
    body.extend(records.join(&b','));
    body.extend(b"]}");
    Ok(Answer::of(body, "application/json").unkept())
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
