//! Windows of a backfill: each request for history, where it stands, and what went wrong on the way.

use domain::history::{
    day,
    window::{Skip, State, Window},
};
use jiff::civil::Date;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    route::{Doc, Endpoint, Reply},
    schema::{Page, Schema as _, answer},
    text::rfc3339,
    v1::{
        LOOKS,
        backfills::{backfill_id, missing, word},
    },
};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::get(
    "/v1/backfills/{id}/windows",
    LOOKS,
    Doc {
        summary: "The windows of a backfill, with their states and reasons.",
        text: "All of them, newest days first. A window is one request to Terra.",
        query: &[],
        body: None,
        answer: Reply::Json(Page::<WindowShown>::schema),
    },
    |call| Box::pin(list(call)),
)];

answer! {
    /// A window.
    pub(crate) struct WindowShown {
        /// Its data type.
        r#type: String,
        /// First day.
        from: Date,
        /// Last day.
        to: Date,
        /// `planned`, `leased`, `asked`, `receiving`, `done`, `empty`, `failed`, `skipped` or `halved`.
        state: String,
        /// Reason of the state, else of the last attempt that failed; null where nothing went wrong.
        reason: Option<String>,
        /// Number of requests so far.
        asked: u32,
        /// Number of records of the answer; null without one.
        records: Option<u64>,
        /// Time at which it is worked on next; null once it has ended.
        due_at: Option<String>,
    }
}

impl WindowShown {
    fn of(window: &Window) -> Self {
        let records = match window.state() {
            State::Done { records, .. } => Some(*records),
            State::Empty { .. } => Some(0),
            _ => None,
        };
        let last = window.setbacks().last();
        let reason = match window.state() {
            State::Failed { reason, .. } => Some(reason.to_string()),
            State::Skipped { reason, .. } => Some(skipped(*reason).to_owned()),
            State::Done { .. } | State::Empty { .. } => None,
            _ => last.map(|setback| setback.reason.to_string()),
        };
        let span = window.span();
        Self {
            r#type: window.id().data_type.to_string(),
            from: span.from(),
            to: day::previous(span.until()),
            state: word(window),
            reason,
            asked: window.asked(),
            records,
            due_at: window.due_ms().map(rfc3339),
        }
    }
}

/// The reason for skipping a window, in words.
fn skipped(reason: Skip) -> &'static str {
    match reason {
        Skip::NothingFurtherBack => {
            "newer windows were empty for so long that nothing is further back"
        }
        Skip::Cancelled => "the backfill was cancelled",
        Skip::ConnectionEnded => "the connection ended",
        Skip::ConnectionFailing => "the connection has been failing for weeks",
        Skip::NotSupported => "the type is not supported",
    }
}

async fn list(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let id = backfill_id(&call)?;
    let table = &call.app.table;
    if table.backfill(&id).await?.is_none() {
        return Err(missing());
    }
    let mut windows = table.windows(&id, None).await?;
    windows.sort_by_key(|window| (std::cmp::Reverse(window.span().from()), window.rank()));
    Ok(Answer::json(&Page {
        data: windows.iter().map(WindowShown::of).collect(),
        next_cursor: None,
    }))
}
