//! Answers that come as webhooks: the router counts them, here the window learns of it.

use domain::{
    history::{
        cut,
        window::{Event, State, Window},
    },
    request::{Request, SILENCE_MS},
};
use store::table::history::{Answer, Applied, Held};

use crate::{config::App, decision::trusted_from_ms, error::HistoryError, pace::jitter};

/// A small answer, whose number of webhooks nobody tells, is whole after this long without another one.
/// Terra sends what it has at once; Garmin's comes in several batches (FACTS section 5).
/// Unit: milliseconds.
const UNANNOUNCED_SILENCE_MS: i64 = 900_000;

/// Webhooks of a request came, or their number was told.
pub(crate) async fn advanced(app: &App, reference: &str) -> Result<(), HistoryError> {
    let Some(id) = app.table.window_of_request(reference).await? else {
        return Ok(());
    };
    let mut held = app.table.hold(&id);
    if held.read().await?.is_some() {
        advance(app, &mut held).await?;
    }
    Ok(())
}

/// Applies to a window the webhooks that came for its request. Returns whether the window needs nothing
/// more now.
pub(crate) async fn advance(app: &App, held: &mut Held<'_>) -> Result<bool, HistoryError> {
    let now_ms = app.now_ms();
    let Some(window) = held.window() else {
        return Ok(false);
    };
    let asked_at_ms = match window.state() {
        State::Asked { at_ms, .. } | State::Receiving { at_ms, .. } => *at_ms,
        _ => return Ok(false),
    };
    let Some(reference) = window.reference() else {
        return Ok(false);
    };
    let Some(request) = app.table.request(reference).await? else {
        return Ok(false);
    };
    if is_whole(window, &request, now_ms) {
        if !request.has_records
            && let Some(retry_after_ms) = doubt_ms(app, window, asked_at_ms).await?
        {
            let doubted = Event::Doubted {
                reference: reference.to_owned(),
                retry_after_ms,
                jitter: jitter(),
            };
            held.apply(&doubted, now_ms).await?;
            return Ok(true);
        }
        let answer = answer(app, window, asked_at_ms).await?;
        held.answer(answer, now_ms).await?;
        return Ok(true);
    }
    let received = request.chunks.len() as u64;
    if received == 0 && request.expected_chunks.is_none() {
        return Ok(false);
    }
    let patience_ms = if is_counted(window, &request) {
        SILENCE_MS
    } else {
        UNANNOUNCED_SILENCE_MS
    };
    let progress = Event::Progress {
        reference: reference.to_owned(),
        received,
        expected: request.expected_chunks,
        deadline_ms: now_ms.saturating_add(patience_ms),
    };
    let applied = held.apply(&progress, now_ms).await?;
    // Without news the deadline stays, and one that is over is for the worker to deal with.
    Ok(matches!(applied, Applied::Changed(window) if !window.is_due(now_ms)))
}

/// Returns the time until the connection's empty answers are believed, if that time had not come yet
/// when Terra was asked.
async fn doubt_ms(
    app: &App,
    window: &Window,
    asked_at_ms: i64,
) -> Result<Option<i64>, HistoryError> {
    let connection = app.table.connection(window.connection()).await?;
    let trusted_from_ms =
        connection.map(|stored| trusted_from_ms(&stored.state, app.trust_empty_after));
    let trusted_from_ms = trusted_from_ms.filter(|&trusted| asked_at_ms < trusted);
    Ok(trusted_from_ms.map(|trusted| trusted.saturating_sub(app.now_ms()).max(0)))
}

/// Returns whether Terra tells the number of the answer's webhooks. It does so for a large request,
/// though that may come late, or get lost (FACTS section 5). A request that may be large counts as
/// large: if it was not, it is asked for once more.
fn is_counted(window: &Window, request: &Request) -> bool {
    request.expected_chunks.is_some() || cut::is_large(window.request())
}

fn is_whole(window: &Window, request: &Request, now_ms: i64) -> bool {
    let came = request.chunks.len() as u64;
    if is_counted(window, request) {
        return request.expected_chunks.is_some_and(|all| came >= all);
    }
    // Nothing more came since the last one was noted here: webhooks tell when they were made, not when
    // they got through.
    matches!(window.state(), State::Receiving { received, deadline_ms, .. }
        if *received == came && *deadline_ms <= now_ms)
}

/// Reads an answer's days from the table: a webhook is counted after its records are stored.
async fn answer(app: &App, window: &Window, asked_at_ms: i64) -> Result<Answer, HistoryError> {
    let (connection, id) = (window.connection(), window.id());
    let table = &app.table;
    let records = table
        .record_days(
            connection,
            id.data_type,
            id.span.from(),
            Some(id.span.until()),
        )
        .await?;
    let days: Vec<_> = records
        .days()
        .filter(|&day| id.span.contains(day))
        .collect();
    Ok(Answer {
        records: days.len() as u64,
        days,
        asked_at_ms,
    })
}

#[cfg(test)]
mod tests {
    use domain::{
        connection::ConnectionId,
        history::{
            day::{self, Span},
            window::{BackfillId, WindowId, WorkerId},
        },
    };
    use jiff::civil::date;
    use models::{data::DataType, ids::TerraUserId};

    use super::*;

    const NOW: i64 = 1_000_000;
    const DAYS_LATER_MS: i64 = NOW + 9 * day::DAY_MS;

    /// A window of so many days from the third of May on, whose webhooks Terra promised.
    fn accepted(days: i64) -> Window {
        let connection = ConnectionId::of(&TerraUserId::new("u1").unwrap());
        let from = date(2026, 5, 3);
        let id = WindowId {
            backfill: BackfillId::first(&connection),
            data_type: DataType::Daily,
            span: Span::new(from, day::plus(from, days)).unwrap(),
        };
        let by = || WorkerId("w".to_owned());
        let later = NOW + 60_000;
        [
            Event::Lease {
                by: by(),
                until_ms: later,
            },
            Event::Ask {
                by: by(),
                deadline_ms: later,
            },
            Event::Accepted {
                by: by(),
                reference: "r".to_owned(),
                deadline_ms: later,
            },
        ]
        .into_iter()
        .fold(Window::new(id, connection, 0, NOW), |window, event| {
            window.apply(event, NOW).unwrap()
        })
    }

    fn noted(window: &Window, received: u64) -> Window {
        let progress = Event::Progress {
            reference: "r".to_owned(),
            received,
            expected: None,
            deadline_ms: NOW + UNANNOUNCED_SILENCE_MS,
        };
        window.apply(progress, NOW).unwrap()
    }

    /// A request of which these webhooks came, made long before they got through.
    fn request(chunks: &[&str], expected_chunks: Option<u64>) -> Request {
        Request {
            chunks: chunks.iter().map(|&chunk| chunk.to_owned()).collect(),
            expected_chunks,
            ..Request::default()
        }
    }

    #[test]
    fn a_small_answer_is_whole_when_nothing_more_came_since_it_was_noted() {
        let (one, later) = (request(&["1"], None), NOW + UNANNOUNCED_SILENCE_MS);
        assert!(!is_whole(&accepted(9), &one, later));
        let window = noted(&accepted(9), 1);
        assert!(!is_whole(&window, &one, later - 1));
        assert!(is_whole(&window, &one, later));
        // Another came, and is not noted yet.
        assert!(!is_whole(&window, &request(&["1", "2"], None), later));
    }

    #[test]
    fn a_large_answer_is_whole_when_all_came_that_were_told_of() {
        // By some accounts a request is large when it reaches into another month.
        for days in [29, 40] {
            let window = noted(&accepted(days), 2);
            assert!(!is_whole(
                &window,
                &request(&["1", "2"], None),
                DAYS_LATER_MS
            ));
            assert!(!is_whole(
                &window,
                &request(&["1", "2"], Some(3)),
                DAYS_LATER_MS
            ));
            assert!(is_whole(&window, &request(&["1", "2"], Some(2)), NOW));
        }
    }
}
