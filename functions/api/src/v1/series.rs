//! Samples over time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use domain::{
    history::day::DAY_MS,
    series::{MAX_POINTS, Part, StreamMetric, Window, WindowFault},
};
use inspect::{Budget, SeriesAnswer, SeriesQuery};
use models::data::DataType;
use serde::{Deserialize, Serialize};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::{Form, PAGED, Paging, Param},
    route::{Doc, Endpoint, Reply},
    v1::{READS_A_PERSON, numbers::person, shapes},
};

/// Most metrics of one call.
const MAX_METRICS: usize = 4;
/// Payloads that one page reads through. Unit: bytes, not compressed.
const MOST_READ_BYTES: u64 = 64 * 1024 * 1024;
/// Time for one page.
const PAGE_WITHIN: Duration = Duration::from_secs(2);

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::get(
    "/v1/people/{person}/series",
    READS_A_PERSON,
    Doc {
        summary: "Samples of a person over time, per source, as columns.",
        text: "Rates have mean, min and max of each bucket, counters their sum, states the last. `raw` gives every \
               sample. At most 7 days of `raw`, 31 of `1m` and `5m`, 92 of `15m`, 400 of `1h` and `1d`. A page \
               has about 20,000 points and two seconds of work: a larger answer ends at a midnight, UTC, with a cursor. No \
               end of a page cuts a point: it is whole, on the page in which it begins.",
        query: &[
            Param {
                name: "metrics",
                doc: "One to four metrics, as `series` of GET /v1/metrics lists them; required.",
                form: Form::List,
            },
            Param {
                name: "since",
                doc: "Start, included; 24 hours before `until` by default.",
                form: Form::Instant,
            },
            Param {
                name: "until",
                doc: "End, excluded; now by default.",
                form: Form::Instant,
            },
            Param {
                name: "resolution",
                doc: "Width of the buckets; `auto`, the default, is the finest with at most 2,000 points.",
                form: Form::Word(&["raw", "1m", "5m", "15m", "1h", "1d", "auto"]),
            },
            Param {
                name: "connection",
                doc: "Only samples of this connection, by our id or a Terra user id.",
                form: Form::Text,
            },
            Param {
                name: "types",
                doc: "Only samples of records of these types.",
                form: Form::Words(&["activity", "body", "daily", "sleep"]),
            },
            PAGED[0],
        ],
        body: None,
        answer: Reply::Json(shapes::series),
    },
    |call| Box::pin(series(call)),
)];

/// Start of a page. Unit: Unix milliseconds.
#[derive(Debug, Serialize, Deserialize)]
struct At(i64);

#[derive(Serialize)]
struct Page {
    data: Vec<SeriesAnswer>,
    next_cursor: Option<String>,
}

async fn series(call: Call) -> Result<Answer, Failure> {
    let mut query = call.query();
    let mut metrics = Vec::new();
    for name in query.list("metrics") {
        match StreamMetric::named(&name) {
            Some(metric) => metrics.push(metric),
            None => query.refuse(
                "metrics",
                "there is no such metric with samples; GET /v1/metrics lists them under `series`",
            ),
        }
    }
    if !(1..=MAX_METRICS).contains(&metrics.len()) {
        query.refuse("metrics", format!("one to {MAX_METRICS} are wanted"));
    }
    let until = query.instant("until").unwrap_or(call.now);
    let until_ms = until.as_millisecond();
    let since = query.instant("since");
    let since_ms = since.map_or(until_ms.saturating_sub(DAY_MS), |since| {
        since.as_millisecond()
    });
    let resolution = query.word("resolution");
    let connection = query.text("connection");
    let types: BTreeSet<DataType> = query
        .words("types")
        .into_iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    // A page begins where the one before ended, at the resolution of the whole.
    let window = Window::new(since_ms, until_ms, resolution);
    if let Err(fault) = &window {
        let name = match fault {
            WindowFault::Empty => "until",
            WindowFault::UnknownResolution(_) | WindowFault::TooLong { .. } => "resolution",
        };
        query.refuse(name, fault.to_string());
    }
    let paging: Paging<At> = query.cursor();
    query.done()?;
    let Ok(window) = window else {
        return Err(Failure::not_found("there is no such window"));
    };
    let after_ms = paging.after.as_ref().map(|At(at_ms)| *at_ms);
    let after_ms = after_ms.map(|at_ms| at_ms.clamp(window.since_ms, window.until_ms));
    let mut person = person(&call).await?;
    if let Some(connection) = connection {
        let found = call
            .own_connection(&connection, &person.connections)
            .await?;
        person.connections.retain(|own| own.id == found);
    }
    // All metrics of a page share its points and its time.
    let parts = metrics.len().max(1);
    let budget = Budget {
        points: MAX_POINTS / parts,
        read_bytes: MOST_READ_BYTES / parts as u64,
        ends: Some(Instant::now() + PAGE_WITHIN),
    };
    let mut data: Vec<SeriesAnswer> = Vec::new();
    let mut next_ms: Option<i64> = None;
    let mut left = metrics.into_iter();
    let mut again = Vec::new();
    while let Some(metric) = left.next() {
        let query = SeriesQuery {
            metric,
            window,
            part: Part {
                after_ms,
                end_ms: next_ms,
            },
            types: types.clone(),
            connections: BTreeSet::new(),
            // What is read again ends where another metric ended in time.
            budget: match next_ms {
                None => budget,
                Some(_) => Budget {
                    read_bytes: u64::MAX,
                    ends: None,
                    ..budget
                },
            },
        };
        let answer = inspect::series(&call.app.table, &call.app.archive, &person, &query).await?;
        // All metrics of a page end together: what was read further is read again, only that far.
        if answer.next_ms.is_some() {
            next_ms = answer.next_ms;
            data.clear();
            again.push(metric);
            again.extend(left);
            left = std::mem::take(&mut again).into_iter();
            continue;
        }
        again.push(metric);
        data.push(answer);
    }
    let next_cursor = paging.cursor(next_ms.map(At).as_ref());
    Ok(Answer::json(&Page { data, next_cursor }))
}
