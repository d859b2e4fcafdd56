//! Backfills: plans for the past, and how far they are.

use std::collections::BTreeMap;

use domain::history::{
    backfill::{Backfill, Order},
    window::{BackfillId, Window},
};
use runtime::problem::{Kind, Problem};
use serde_json::Value;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
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

pub(super) const ENDPOINTS: &[Endpoint] = &[
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
fn word(window: &Window) -> String {
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

fn missing() -> Failure {
    Failure::not_found("there is no such backfill; a connection's are under its backfills")
}

fn backfill_id(call: &Call) -> Result<BackfillId, Failure> {
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
