//! Destinations: where records are sent on to, and how that goes.

use std::time::Instant;

use destinations::config;
use domain::delivery::{
    Destination, DestinationId, Status, Subscription,
    order::{Difference, Order, Purpose, Range},
};
use http::StatusCode;
use jiff::{civil::Date, tz::TimeZone};
use models::{data::DataType, ids::ReferenceId};
use runtime::problem::{Kind, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::table::{
    deliveries::{Attempt, Owed},
    destinations::Health,
};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::{Form, PAGED, Paging, Param, refused},
    route::{Doc, Endpoint, Reply},
    schema::{Page, Schema as _, answer, body},
    text::rfc3339,
    v1::{LOOKS, ORDERS, destination_making::ProbeShown},
};

/// Most items that are counted of one shard.
const MOST_COUNTED: usize = 1_000;
/// Most records that one call owes again.
const MOST_RETRIED: usize = 500;
/// Refused records that are read at once, to owe them again.
const RETRIED_AT_ONCE: usize = 50;

const fn ordering(summary: &'static str, text: &'static str) -> Doc {
    Doc {
        summary,
        text,
        query: &[],
        body: None,
        answer: Reply::Json(DestinationDetail::schema),
    }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/destinations",
        LOOKS,
        Doc {
            summary: "Destinations, in the order in which they were made.",
            text: "",
            query: &PAGED,
            body: None,
            answer: Reply::Json(Page::<DestinationShort>::schema),
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/destinations/{id}",
        LOOKS,
        Doc {
            summary: "One destination, with what it owes and its orders.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(DestinationDetail::schema),
        },
        |call| Box::pin(one(call)),
    ),
    Endpoint::get(
        "/v1/destinations/{id}/attempts",
        LOOKS,
        Doc {
            summary: "Attempts at deliveries of one day, newest first.",
            text: "Attempts that failed, and some that did not.",
            query: &[
                Param {
                    name: "day",
                    doc: "Day in UTC; today by default.",
                    form: Form::Date,
                },
                PAGED[0],
                PAGED[1],
            ],
            body: None,
            answer: Reply::Json(Page::<AttemptShown>::schema),
        },
        |call| Box::pin(attempts(call)),
    ),
    Endpoint::get(
        "/v1/destinations/{id}/failed",
        LOOKS,
        Doc {
            summary: "Records that a destination refused for good.",
            text: "",
            query: &PAGED,
            body: None,
            answer: Reply::Json(Page::<OwedShown>::schema),
        },
        |call| Box::pin(failed(call)),
    ),
    Endpoint::post(
        "/v1/destinations/{id}/pause",
        ORDERS,
        ordering(
            "Pauses a destination.",
            "What changes meanwhile is owed, and nothing is lost.",
        ),
        |call| Box::pin(pause(call)),
    ),
    Endpoint::post(
        "/v1/destinations/{id}/resume",
        ORDERS,
        ordering(
            "Resumes a destination.",
            "What is owed is delivered. One that was disabled gets again what changed since.",
        ),
        |call| Box::pin(resume(call)),
    ),
    Endpoint::post(
        "/v1/destinations/{id}/redrive",
        ORDERS,
        Doc {
            summary: "Delivers records again.",
            text: "Every member narrows the choice; without any, all records are meant.",
            query: &[],
            body: Some(RedriveBody::schema),
            answer: Reply::With(202, OrderShown::schema),
        },
        |call| Box::pin(redrive(call)),
    ),
    Endpoint::post(
        "/v1/destinations/{id}/check",
        ORDERS,
        Doc {
            summary: "Compares records with what a destination has.",
            text: "",
            query: &[],
            body: Some(CheckBody::schema),
            answer: Reply::With(202, OrderShown::schema),
        },
        |call| Box::pin(check(call)),
    ),
    Endpoint::post(
        "/v1/destinations/{id}/retry-failed",
        ORDERS,
        Doc {
            summary: "Owes again what a destination refused for good.",
            text: "One call takes a part of many records: it is repeated while `has_more` is true.",
            query: &[],
            body: None,
            answer: Reply::With(202, Retried::schema),
        },
        |call| Box::pin(retry_failed(call)),
    ),
];

answer! {
    /// A destination in a list.
    pub(crate) struct DestinationShort {
        /// Its id.
        id: String,
        /// Name that the operator gave.
        name: String,
        /// Kind, for example `webhook` or `postgres`.
        kind: String,
        /// `unproven`, `active`, `failing`, `suspended`, `paused` or `disabled`.
        state: &'static str,
        /// Time since which something is owed.
        owes_since: Option<String>,
        /// Time of the last delivery that arrived, as noted now and then.
        delivered_at: Option<String>,
        /// Last fault, in words; null while it answers.
        fault: Option<String>,
    }

    /// A destination.
    pub(crate) struct DestinationDetail {
        /// Its id.
        id: String,
        /// Name that the operator gave.
        name: String,
        /// Kind, for example `webhook` or `postgres`.
        kind: String,
        /// `unproven`, `active`, `failing`, `suspended`, `paused` or `disabled`.
        state: &'static str,
        /// Time since which the operator's own state holds.
        since: String,
        /// Settings of the kind, without secrets.
        config: Map<String, Value>,
        /// Records that are wanted.
        subscription: Value,
        /// Number of its shards, which are delivered side by side; 0 until its first probe passed.
        concurrency: u32,
        /// Time since which something is owed.
        owes_since: Option<String>,
        /// Number of owed deliveries, counted up to 1,000 of each shard.
        owed: usize,
        /// Number of records that it refused for good, counted up to 1,000.
        failed: usize,
        /// Time of the last delivery that arrived.
        delivered_at: Option<String>,
        /// Last fault, in words; null while it answers.
        fault: Option<String>,
        /// Findings of making tables, for example a column of another type.
        findings: Vec<String>,
        /// Newest trial of it; null if nobody asked for one here.
        probe: Option<ProbeShown>,
        /// Orders, oldest first.
        orders: Vec<OrderShown>,
        /// Time of its making.
        created_at: String,
    }

    /// An order for a destination.
    pub(crate) struct OrderShown {
        /// Its id.
        id: String,
        /// `redrive`, `backfill` or `check`.
        order: &'static str,
        /// Time at which it was given.
        ordered_at: String,
        /// Records that were gone through so far.
        records: u64,
        /// Number of shards that are done.
        done_shards: usize,
        /// Time at which it was done; null while it is under way.
        done_at: Option<String>,
        /// Reason why it ended before its end, in words: nothing behind that was delivered or compared.
        fault: Option<String>,
        /// Number of differences that a check found.
        difference_count: u64,
        /// The first of those differences, up to 200.
        differences: Vec<DifferenceShown>,
    }

    /// A difference between the records here and those at a destination.
    pub(crate) struct DifferenceShown {
        /// Id of the record at the destination.
        record: String,
        /// Id of the connection, or name of a person without one, as the destination knows it.
        owner: String,
        /// Data type; null for the row of a connection.
        r#type: Option<String>,
        /// `missing` there, `extra` there, `older` there, or `ahead`: newer there than here.
        difference: &'static str,
    }

    /// An attempt at a delivery.
    pub(crate) struct AttemptShown {
        /// Time of the attempt.
        at: String,
        /// Id of the delivery.
        delivery: String,
        /// Id of the record at the destination.
        record: String,
        /// Data type; null for a connection or a webhook.
        r#type: Option<String>,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Outcome in a word.
        outcome: String,
        /// Fault, in words.
        fault: Option<String>,
        /// Time taken. Unit: milliseconds.
        took_ms: u64,
    }

    /// A delivery that waits or was given up.
    pub(crate) struct OwedShown {
        /// The record or connection.
        what: Value,
        /// Attempts so far.
        attempts: u32,
        /// Times that the destination refused it.
        refusals: u32,
        /// Time of the first failure.
        first_failed_at: String,
        /// Fault, in words.
        fault: Option<String>,
    }

    /// Number of records that are tried again.
    pub(crate) struct Retried {
        /// The number.
        records: usize,
        /// True if this was only a part of the records: the next call goes on.
        has_more: bool,
    }
}

body! {
    /// Records to deliver again.
    pub(crate) struct RedriveBody {
        /// Data types.
        types: Option<Vec<String>>,
        /// Reference ids of people.
        people: Option<Vec<String>>,
        /// First day of the records, a civil date.
        from: Option<String>,
        /// Last day of the records, which is included.
        to: Option<String>,
        /// True if states are written over equal revisions too.
        force: Option<bool>,
    }

    /// A comparison.
    pub(crate) struct CheckBody {
        /// Data types.
        types: Option<Vec<String>>,
        /// True if differences are mended.
        repair: Option<bool>,
    }
}

fn state(destination: &Destination, health: &Health, now_ms: i64) -> &'static str {
    match destination.status {
        Status::Active if health.breaker.is_suspended(now_ms) => "suspended",
        Status::Active if health.breaker.probe_at_ms.is_some() => "failing",
        status => status.as_str(),
    }
}

impl OrderShown {
    fn of(order: &Order) -> Self {
        Self {
            id: order.id.clone(),
            order: match order.purpose {
                Purpose::Redrive { .. } => "redrive",
                Purpose::Backfill => "backfill",
                Purpose::Check { .. } => "check",
            },
            ordered_at: rfc3339(order.ordered_at_ms),
            records: order.records,
            done_shards: order.done_shards.len(),
            done_at: order.done_at_ms.map(rfc3339),
            fault: order.fault.clone(),
            difference_count: order.difference_count,
            differences: order.differences.iter().map(DifferenceShown::of).collect(),
        }
    }
}

impl DifferenceShown {
    fn of(difference: &Difference) -> Self {
        Self {
            record: difference.record_id.clone(),
            owner: difference.owner.clone(),
            r#type: difference.data_type.map(|data_type| data_type.to_string()),
            difference: difference.kind.as_str(),
        }
    }
}

impl AttemptShown {
    fn of(attempt: &Attempt) -> Self {
        Self {
            at: rfc3339(attempt.at_ms),
            delivery: attempt.delivery_id.clone(),
            record: attempt.record_id.clone(),
            r#type: attempt.data_type.map(|data_type| data_type.to_string()),
            attempt: attempt.attempt,
            outcome: attempt.outcome.clone(),
            fault: attempt.fault.clone(),
            took_ms: attempt.took_ms,
        }
    }
}

impl OwedShown {
    fn of(owed: &Owed) -> Self {
        Self {
            what: serde_json::to_value(&owed.changed).unwrap_or_default(),
            attempts: owed.attempts,
            refusals: owed.refusals,
            first_failed_at: rfc3339(owed.first_failed_at_ms),
            fault: owed.fault.clone(),
        }
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let paging: Paging<DestinationId> = query.paging();
    query.done()?;
    let mut found = call.app.table.destinations().await?;
    found.retain(|it| paging.after.as_ref().is_none_or(|after| it.id > *after));
    found.sort_by(|one, other| one.id.cmp(&other.id));
    let more = found.len() > paging.limit;
    found.truncate(paging.limit);
    let last = found.last().filter(|_| more).map(|it| it.id.clone());
    let mut data = Vec::new();
    for destination in found {
        let health = call.app.table.health(&destination.id).await?;
        data.push(DestinationShort {
            id: destination.id.to_string(),
            state: state(&destination, &health, call.now_ms()),
            owes_since: health.owing.values().min().copied().map(rfc3339),
            delivered_at: health.delivered_at_ms.map(rfc3339),
            fault: health.breaker.fault.as_ref().map(ToString::to_string),
            name: destination.name,
            kind: destination.kind,
        });
    }
    Ok(Answer::json(&Page {
        data,
        next_cursor: paging.cursor(last.as_ref()),
    }))
}

fn missing() -> Failure {
    Failure::not_found("there is no such destination; GET /v1/destinations lists them")
}

pub(super) async fn find(call: &Call) -> Result<Destination, Failure> {
    let id: DestinationId = call.placed("id")?.parse().map_err(|_| missing())?;
    call.app.table.destination(&id).await?.ok_or_else(missing)
}

/// Settings as they are shown. Those that nobody has checked yet are not: a secret may stand under a wrong name.
fn shown_config(destination: &Destination) -> Map<String, Value> {
    let kind = destination.kind.parse().ok();
    if destination.status == Status::Unproven && !kind.is_some_and(config::is_built) {
        return Map::new();
    }
    destination.config.clone()
}

/// A destination as it is shown.
pub(super) async fn detail(call: &Call, id: &DestinationId) -> Result<DestinationDetail, Failure> {
    let table = &call.app.table;
    let destination = table.destination(id).await?.ok_or_else(missing)?;
    let health = table.health(id).await?;
    let orders = table.orders(id).await?;
    let mut owed = 0;
    for shard in 0..destination.concurrency {
        owed += table.owed(id, shard, MOST_COUNTED).await?.len();
    }
    let failed = table.failed(id, None, MOST_COUNTED).await?.len();
    Ok(DestinationDetail {
        id: id.to_string(),
        state: state(&destination, &health, call.now_ms()),
        since: rfc3339(destination.status_since_ms),
        subscription: serde_json::to_value(&destination.subscription).unwrap_or_default(),
        concurrency: destination.concurrency,
        owes_since: health.owing.values().min().copied().map(rfc3339),
        owed,
        failed,
        delivered_at: health.delivered_at_ms.map(rfc3339),
        fault: health.breaker.fault.as_ref().map(ToString::to_string),
        findings: health.findings,
        probe: health.probe.as_ref().map(ProbeShown::of),
        orders: orders.iter().map(OrderShown::of).collect(),
        created_at: rfc3339(destination.created_at_ms),
        config: shown_config(&destination),
        name: destination.name,
        kind: destination.kind,
    })
}

/// The destination in the path, as it is shown.
pub(super) async fn shown(call: &Call) -> Result<Answer, Failure> {
    let id = call.placed("id")?.parse().map_err(|_| missing())?;
    Ok(Answer::json(&detail(call, &id).await?))
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    shown(&call).await
}

/// Place among the attempts: their day, which today is no more when it is over, and an attempt in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    day: Date,
    place: String,
}

async fn attempts(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let day = query.date("day");
    let paging: Paging<Before> = query.paging();
    query.done()?;
    let destination = find(&call).await?;
    let before = paging.after.as_ref();
    let day = before.map(|before| before.day).or(day);
    let day = day.unwrap_or_else(|| call.now.to_zoned(TimeZone::UTC).date());
    let before = before.map(|before| before.place.as_str());
    let table = &call.app.table;
    let one_more = paging.limit.saturating_add(1);
    let mut attempts = table
        .attempts(&destination.id, &day.to_string(), before, one_more)
        .await?;
    let more = attempts.len() > paging.limit;
    attempts.truncate(paging.limit);
    let last = attempts.last().filter(|_| more).map(|it| Before {
        day,
        place: it.place(),
    });
    Ok(Answer::json(&Page {
        data: attempts.iter().map(AttemptShown::of).collect(),
        next_cursor: paging.cursor(last.as_ref()),
    }))
}

async fn failed(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let paging: Paging<String> = query.paging();
    query.done()?;
    let destination = find(&call).await?;
    let (after, one_more) = (paging.after.as_deref(), paging.limit.saturating_add(1));
    let table = &call.app.table;
    let mut failed = table.failed(&destination.id, after, one_more).await?;
    let more = failed.len() > paging.limit;
    failed.truncate(paging.limit);
    let last = failed.last().filter(|_| more).map(Owed::place);
    Ok(Answer::json(&Page {
        data: failed.iter().map(OwedShown::of).collect(),
        next_cursor: paging.cursor(last.as_ref()),
    }))
}

fn conflict(detail: &str) -> Failure {
    Problem::new(Kind::Conflict).detail(detail).into()
}

/// Refuses a destination that was never tried with success.
fn proven(destination: Destination) -> Result<Destination, Failure> {
    if destination.status == Status::Unproven {
        return Err(conflict(
            "it was never tried with success: `probe` tries it, and makes it active",
        ));
    }
    Ok(destination)
}

async fn pause(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let destination = find(&call).await?;
    let table = &call.app.table;
    let paused = table.pause_destination(&destination.id, call.now_ms());
    let paused = proven(paused.await?.unwrap_or(destination))?;
    if paused.status == Status::Disabled {
        return Err(conflict(
            "it is disabled, and gets nothing already: `resume` calls it again",
        ));
    }
    shown(&call).await
}

async fn resume(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let destination = proven(find(&call).await?)?;
    let (order, now_ms) = (new_id(&call, "order"), call.now_ms());
    let table = &call.app.table;
    table
        .resume_destination(&destination.id, &order, now_ms)
        .await?;
    shown(&call).await
}

/// The id of a destination or an order that a call makes, in the order of time.
pub(super) fn new_id(call: &Call, what: &str) -> String {
    call.origin.ulid(what).to_string().to_lowercase()
}

/// Gives an order that the next look for work begins, or finds the one that an earlier try of the call gave.
async fn order(
    call: &Call,
    destination: &Destination,
    purpose: Purpose,
    range: Range,
) -> Result<Order, Failure> {
    let order = Order::new(new_id(call, "order"), purpose, range, call.origin.at_ms);
    Ok(call.app.table.add_order(&destination.id, order).await?)
}

fn fault(name: &str, detail: impl Into<String>) -> runtime::problem::Fault {
    runtime::problem::Fault {
        place: "body",
        name: name.to_owned(),
        detail: detail.into(),
    }
}

type Faults = Vec<runtime::problem::Fault>;

fn types(named: Option<Vec<String>>, faults: &mut Faults) -> Vec<DataType> {
    let mut types = Vec::new();
    for text in named.unwrap_or_default() {
        if let Ok(data_type) = text.parse() {
            types.push(data_type);
        } else {
            let known: Vec<_> = DataType::ALL.iter().map(|known| known.as_str()).collect();
            faults.push(fault("types", format!("there are: {}", known.join(", "))));
        }
    }
    types
}

fn date(name: &str, text: Option<String>, faults: &mut Faults) -> Option<Date> {
    let parsed = text?.parse().ok();
    if parsed.is_none() {
        faults.push(fault(name, "is not a date like 2026-11-20"));
    }
    parsed
}

async fn redrive(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: RedriveBody = call.json()?;
    let mut faults = Faults::new();
    let mut chosen = Subscription {
        data_types: types(body.types, &mut faults).into_iter().collect(),
        ..Subscription::default()
    };
    let (from, to) = (
        date("from", body.from, &mut faults),
        date("to", body.to, &mut faults),
    );
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        faults.push(fault("to", "is before `from`"));
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let destination = find(&call).await?;
    // Looked up now: the order walks connections.
    for text in body.people.unwrap_or_default() {
        let person = ReferenceId::new(&text).ok_or_else(Call::no_person)?;
        let connections = call.app.table.connections_of(&person).await?;
        if connections.is_empty() && !call.app.table.is_person(&person).await? {
            return Err(Call::no_person());
        }
        let ids = connections.into_iter().map(|connection| connection.id);
        chosen.connections.extend(ids);
        chosen.reference_ids.insert(person);
    }
    let range = Range {
        subscription: chosen,
        from,
        to,
        written_since_ms: None,
    };
    let purpose = Purpose::Redrive {
        force: body.force.unwrap_or_default(),
    };
    let order = order(&call, &destination, purpose, range).await?;
    Ok(Answer::json(&OrderShown::of(&order)).status(StatusCode::ACCEPTED))
}

async fn check(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: CheckBody = call.json()?;
    let mut faults = Faults::new();
    let data_types = types(body.types, &mut faults).into_iter().collect();
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let destination = find(&call).await?;
    let range = Range {
        subscription: Subscription {
            data_types,
            ..Subscription::default()
        },
        ..Range::default()
    };
    let purpose = Purpose::Check {
        repair: body.repair.unwrap_or_default(),
    };
    let order = order(&call, &destination, purpose, range).await?;
    Ok(Answer::json(&OrderShown::of(&order)).status(StatusCode::ACCEPTED))
}

async fn retry_failed(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let destination = find(&call).await?;
    let (table, id) = (&call.app.table, &destination.id);
    // Each record takes several writes, one after the other.
    let ends = Instant::now() + call.app.answers_within / 2;
    let (mut records, mut after) = (0, None::<String>);
    let has_more = loop {
        let failed = table.failed(id, after.as_deref(), RETRIED_AT_ONCE).await?;
        table
            .owe_failed(&destination, &failed, call.now_ms())
            .await?;
        records += failed.len();
        // One that is refused once more meanwhile stands before this place, and waits for another call.
        after = failed.last().map(Owed::place);
        if failed.len() < RETRIED_AT_ONCE {
            break false;
        }
        if records >= MOST_RETRIED || Instant::now() >= ends {
            break !table.failed(id, after.as_deref(), 1).await?.is_empty();
        }
    };
    let retried = Retried { records, has_more };
    Ok(Answer::json(&retried).status(StatusCode::ACCEPTED))
}
