//! Backfills: plans for the past, and how far they are.

use std::collections::BTreeMap;

use domain::history::{
    backfill::{Backfill, Order},
    window::{BackfillId, Window},
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use runtime::problem::{Kind, Problem};
use serde_json::Value;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::{Form, PAGED, Paging, Param},
    route::{Doc, Endpoint, Reply},
    schema::{Page, Schema as _, answer},
    text::rfc3339,
    v1::{LOOKS, ORDERS},
};

const fn doc(summary: &'static str, text: &'static str) -> Doc {
    Doc {
        summary,
        text,
        query: &[],
        body: None,
        answer: Reply::Json(BackfillShown::schema),
    }
}

/// States of a backfill.
const STATES: &[&str] = &["running", "paused", "cancelled", "done"];
/// Backfills read for one page, where a filter drops most of them.
const MOST_READ: usize = 1_000;
/// Backfills read at once.
const CONCURRENT_READS: usize = 8;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/backfills",
        LOOKS,
        Doc {
            query: &[
                Param {
                    name: "state",
                    doc: "Those in this state.",
                    form: Form::Word(STATES),
                },
                PAGED[0],
                PAGED[1],
            ],
            answer: Reply::Json(Page::<BackfillShown>::schema),
            ..doc(
                "The backfills of all connections, newest first.",
                "Where a filter drops most of what is read, a page ends early; `next_cursor` goes on there.",
            )
        },
        |call| Box::pin(all(call)),
    ),
    Endpoint::get(
        "/v1/connections/{connection}/backfills",
        LOOKS,
        Doc {
            answer: Reply::Json(Page::<BackfillShown>::schema),
            ..doc("The backfills of a connection.", "")
        },
        |call| Box::pin(list(call)),
    ),
    Endpoint::get(
        "/v1/backfills/{id}",
        LOOKS,
        doc("One backfill, with how far it is.", ""),
        |call| Box::pin(one(call)),
    ),
    Endpoint::post(
        "/v1/backfills/{id}/pause",
        ORDERS,
        doc(
            "Pauses a backfill.",
            "What is under way is finished; nothing more is asked.",
        ),
        |call| Box::pin(ordered(call, Order::Pause)),
    ),
    Endpoint::post(
        "/v1/backfills/{id}/resume",
        ORDERS,
        doc("Lets a backfill run again.", ""),
        |call| Box::pin(ordered(call, Order::Run)),
    ),
    Endpoint::post(
        "/v1/backfills/{id}/cancel",
        ORDERS,
        doc("Cancels a backfill.", "For good: what has come stays."),
        |call| Box::pin(ordered(call, Order::Cancel)),
    ),
];

answer! {
    /// A backfill.
    pub(crate) struct BackfillShown {
        /// Its id, in the form of ids in paths.
        id: String,
        /// Our id of its connection.
        connection: String,
        /// `first`, `gaps` or `on_demand`.
        kind: Value,
        /// `running`, `paused`, `cancelled` or `done`.
        state: &'static str,
        /// `run`, `pause` or `cancel`.
        order: Value,
        /// Time at which it was planned.
        planned_at: String,
        /// Time at which its last window was done; null while it is at work.
        done_at: Option<String>,
        /// Types that Terra or the provider refused.
        refused: Vec<String>,
        /// Number of windows by type and state.
        windows: BTreeMap<String, BTreeMap<String, usize>>,
    }
}

/// The word for the state of a window, as it is stored.
pub(super) fn word(window: &Window) -> String {
    let state = serde_json::to_value(window.state()).unwrap_or_default();
    match state {
        Value::String(word) => word,
        Value::Object(members) => {
            let tag = members.get("state").and_then(Value::as_str);
            let only = members.keys().next().map(String::as_str);
            tag.or(only).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn state(backfill: &Backfill) -> &'static str {
    match backfill.order {
        _ if backfill.done.is_some() => "done",
        Order::Run => "running",
        Order::Pause => "paused",
        Order::Cancel => "cancelled",
    }
}

async fn shown(call: &Call, backfill: &Backfill) -> Result<BackfillShown, Failure> {
    let plan = &backfill.plan;
    let mut windows = BTreeMap::<String, BTreeMap<String, usize>>::new();
    for window in call.app.table.windows(&plan.id, None).await? {
        let of_type = windows
            .entry(window.id().data_type.to_string())
            .or_default();
        *of_type.entry(word(&window)).or_default() += 1;
    }
    Ok(BackfillShown {
        id: to_path(plan.id.as_str()),
        connection: plan.connection.to_string(),
        kind: serde_json::to_value(plan.kind).unwrap_or_default(),
        state: state(backfill),
        order: serde_json::to_value(backfill.order).unwrap_or_default(),
        planned_at: rfc3339(plan.planned_at_ms),
        done_at: backfill.done.as_ref().map(|done| rfc3339(done.at_ms)),
        refused: backfill.refused.iter().map(ToString::to_string).collect(),
        windows,
    })
}

async fn list(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let connection = call.connection().await?;
    let mut data = Vec::new();
    for id in call.app.table.backfills_of(&connection.id).await? {
        if let Some(backfill) = call.app.table.backfill(&id).await? {
            data.push(shown(&call, &backfill).await?);
        }
    }
    Ok(Answer::json(&Page {
        data,
        next_cursor: None,
    }))
}

async fn all(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let wanted = query.word("state");
    let paging: Paging<String> = query.paging();
    query.done()?;
    let table = &call.app.table;
    let mut place = paging.after.clone();
    let (mut data, mut read) = (Vec::new(), 0);
    while data.len() < paging.limit && read < MOST_READ {
        let left = paging.limit - data.len();
        let listed = table.newest_backfills(place.as_deref(), left).await?;
        let is_end = listed.len() < left;
        read += listed.len();
        place = listed.last().filter(|_| !is_end).map(|it| it.0.clone());
        let reading: Vec<BoxFuture<'_, Result<Option<BackfillShown>, Failure>>> = listed
            .iter()
            .map(|(_, id)| Box::pin(shown_if(&call, id, wanted)) as BoxFuture<'_, _>)
            .collect();
        let found: Vec<Option<BackfillShown>> = stream::iter(reading)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        data.extend(found.into_iter().flatten());
        if is_end {
            break;
        }
    }
    Ok(Answer::json(&Page {
        data,
        next_cursor: paging.cursor(place.as_ref()),
    }))
}

/// A backfill, if it is in this state. One that was erased a moment ago is left out.
async fn shown_if(
    call: &Call,
    id: &BackfillId,
    wanted: Option<&str>,
) -> Result<Option<BackfillShown>, Failure> {
    let found = call.app.table.backfill(id).await?;
    let found = found.filter(|it| wanted.is_none_or(|wanted| state(it) == wanted));
    match found {
        Some(backfill) => Ok(Some(shown(call, &backfill).await?)),
        None => Ok(None),
    }
}

pub(super) fn missing() -> Failure {
    Failure::not_found("there is no such backfill; GET /v1/backfills lists them")
}

pub(super) fn backfill_id(call: &Call) -> Result<BackfillId, Failure> {
    call.placed("id")?.parse().map_err(|_| missing())
}

async fn one(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let found = call.app.table.backfill(&backfill_id(&call)?).await?;
    let backfill = found.ok_or_else(missing)?;
    Ok(Answer::json(&shown(&call, &backfill).await?))
}

async fn ordered(call: Call, order: Order) -> Result<Answer, Failure> {
    call.no_query()?;
    let id = backfill_id(&call)?;
    let obeyed = call
        .app
        .table
        .order_backfill(&id, order, call.now_ms())
        .await?;
    match obeyed.ok_or_else(missing)? {
        Ok(backfill) => Ok(Answer::json(&shown(&call, &backfill).await?)),
        Err(refused) => Err(Problem::new(Kind::Conflict)
            .detail(refused.to_string())
            .into()),
    }
}
