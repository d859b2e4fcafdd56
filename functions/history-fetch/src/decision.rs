//! Decides what happens to a due window. Nothing here reads or writes anything.

use std::{ops::RangeInclusive, time::Duration};

use domain::{
    connection::{Connection, Status},
    history::{
        cut,
        day::DAY_MS,
        window::{Skip, Window, retry::Reason},
    },
};
use models::ids::{Provider, TerraUserId};
use terra_client::api::{Accepted, DataAnswer, Payload, Via};

use crate::{pace::ms, step::Step};

/// Bounds of the pause between two looks at a failing connection, because it may recover. Within
/// them the pause is a quarter of the time that the connection has been failing. Unit: milliseconds.
const FAILING_PAUSE_MS: RangeInclusive<i64> = 3_600_000..=12 * 3_600_000;
/// Time after which the windows of a failing connection are skipped, so that the backfill ends and
/// says what it lacks. When the connection works again, they are asked for again. Unit: milliseconds.
const FAILING_AT_MOST_MS: i64 = 14 * DAY_MS;
/// Pause before the next request where Terra promised webhooks and gave no reference for them.
const NO_REFERENCE_PAUSE: Duration = Duration::from_hours(1);

/// User that Terra is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) user: &'a TerraUserId,
    pub(crate) provider: Option<&'a Provider>,
    /// Time from which an answer without a record is believed. Unit: Unix milliseconds.
    pub(crate) trusted_from_ms: i64,
}

/// Decision about a window, in the light of its connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision<'a> {
    /// Ask Terra about this user.
    Ask(Target<'a>),
    /// Ask later.
    Defer {
        /// Earliest time. Unit: Unix milliseconds.
        until_ms: i64,
    },
    /// Never ask.
    Skip(Skip),
}

/// Returns how a step ends that cannot begin: the account may make no call for `pause`, or the
/// window is not due.
pub(crate) fn blocked(
    window: Option<&Window>,
    pause: Option<Duration>,
    now_ms: i64,
) -> Option<Step> {
    match pause {
        Some(wait) => Some(Step::Paused(wait)),
        None if window.is_some_and(|window| window.is_due(now_ms)) => None,
        None => Some(Step::Unchanged),
    }
}

/// Decides whether Terra is asked about a connection now.
pub(crate) fn decide(
    connection: Option<&Connection>,
    trust_empty_after: Duration,
    now_ms: i64,
) -> Decision<'_> {
    let current = connection.and_then(Connection::current);
    // A connection that was joined to another one is gone too: the other one has its own first backfill.
    let (Some(connection), Some((user, _))) = (connection, current) else {
        return Decision::Skip(Skip::ConnectionEnded);
    };
    match connection.status() {
        Status::Ended => Decision::Skip(Skip::ConnectionEnded),
        Status::Failing => {
            let since_ms = connection.status_since_ms().unwrap_or(now_ms);
            let failing_ms = now_ms.saturating_sub(since_ms);
            if failing_ms >= FAILING_AT_MOST_MS {
                return Decision::Skip(Skip::ConnectionFailing);
            }
            let (shortest, longest) = FAILING_PAUSE_MS.into_inner();
            let pause_ms = (failing_ms / 4).clamp(shortest, longest);
            Decision::Defer {
                until_ms: now_ms.saturating_add(pause_ms),
            }
        }
        Status::Active => Decision::Ask(Target {
            user,
            provider: connection.provider(),
            trusted_from_ms: trusted_from_ms(connection, trust_empty_after),
        }),
    }
}

/// Returns the time from which empty answers for a connection are believed. Terra first fetches
/// history by itself; it does so again for a connection that came back. Unit: Unix milliseconds.
pub(crate) fn trusted_from_ms(connection: &Connection, trust_empty_after: Duration) -> i64 {
    let began_at_ms = connection
        .connected_at_ms()
        .max(connection.status_since_ms());
    let began_at_ms = began_at_ms.unwrap_or_default();
    began_at_ms.saturating_add(ms(trust_empty_after))
}

/// Chooses how the data of a window are to come; `preferred` is the deployment's choice.
///
/// A large request is only ever answered by webhooks. Where Terra took a smaller one more than once
/// and sent no webhooks, it is asked to answer directly. A request that is ordinary by all of Terra's
/// documents is asked so after one silence: nobody counted its webhooks.
pub(crate) fn via(window: &Window, preferred: Via) -> Via {
    let tries = usize::from(!cut::is_large(window.request()));
    if cut::is_surely_large(window.request()) {
        Via::Webhook
    } else if window.silences() > tries {
        Via::Answer
    } else {
        preferred
    }
}

/// Meaning of Terra's answer for the window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The data are in the answer.
    Data(Payload),
    /// There are no data, and that is to be believed.
    Empty,
    /// The data come as webhooks under this reference.
    Accepted {
        /// Terra's reference, without the number of a chunk.
        reference: String,
    },
    /// The window is asked for again.
    SetBack {
        /// Cause, for the list of setbacks.
        reason: Reason,
        /// Pause before the next request, where there is a special one.
        wait: Option<Duration>,
    },
}

/// Reads an answer. One without a record is doubted where it was asked for before `trusted_from_ms`.
pub(crate) fn read(
    answer: DataAnswer,
    via: Via,
    asked_at_ms: i64,
    trusted_from_ms: i64,
) -> Reading {
    let doubted_ms = trusted_from_ms.saturating_sub(asked_at_ms);
    let doubted = u64::try_from(doubted_ms).ok().filter(|&ms| ms > 0);
    let has_records = match &answer {
        DataAnswer::Data(payload) => payload.records > 0,
        DataAnswer::NoData => false,
        DataAnswer::Accepted(_) | DataAnswer::Processing { .. } => true,
    };
    match (answer, doubted) {
        (_, Some(doubted_ms)) if !has_records => Reading::SetBack {
            reason: Reason::Processing,
            wait: Some(Duration::from_millis(doubted_ms)),
        },
        (DataAnswer::Data(payload), _) => Reading::Data(payload),
        (DataAnswer::NoData, _) => Reading::Empty,
        (
            DataAnswer::Accepted(Accepted {
                reference: Some(reference),
                ..
            }),
            _,
        ) => Reading::Accepted {
            reference: reference.split(':').next().unwrap_or_default().to_owned(),
        },
        // Webhooks without a reference belong to no request. They are stored all the same when they come.
        (DataAnswer::Accepted(_), _) => Reading::SetBack {
            reason: Reason::NoAnswer,
            wait: (via == Via::Webhook).then_some(NO_REFERENCE_PAUSE),
        },
        (DataAnswer::Processing { retry_after }, _) => Reading::SetBack {
            reason: Reason::Processing,
            wait: retry_after,
        },
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        connection::ConnectionId,
        history::{
            day::{self, HOUR_MS, Span},
            window::{BackfillId, Event, WindowId, WorkerId, retry::Jitter},
        },
        reconcile::with_status,
    };
    use jiff::civil::date;
    use models::data::DataType;

    use super::*;

    const NOW: i64 = 1_782_864_000_000;
    const TRUST: Duration = Duration::from_hours(2);

    fn user() -> TerraUserId {
        TerraUserId::new("u1").unwrap()
    }

    /// A window of so many days from the third of May on, due now.
    fn window(days: i64) -> Window {
        let connection = ConnectionId::of(&user());
        let from = date(2026, 5, 3);
        let id = WindowId {
            backfill: BackfillId::first(&connection),
            data_type: DataType::Daily,
            span: Span::new(from, day::plus(from, days)).unwrap(),
        };
        Window::new(id, connection, 0, NOW)
    }

    /// The window after another request that Terra took and sent no webhook for.
    fn silent(window: &Window) -> Window {
        let now_ms = window.due_ms().unwrap();
        let deadline_ms = now_ms + 1;
        let by = || WorkerId("w".to_owned());
        let events = [
            Event::Lease {
                by: by(),
                until_ms: deadline_ms,
            },
            Event::Ask {
                by: by(),
                deadline_ms,
            },
            Event::Accepted {
                by: by(),
                reference: "r".to_owned(),
                deadline_ms,
            },
        ];
        let asked = events.into_iter().fold(window.clone(), |window, event| {
            window.apply(event, now_ms).unwrap()
        });
        let jitter = Jitter(500);
        asked.apply(Event::Silence { jitter }, deadline_ms).unwrap()
    }

    fn decide_for(connection: &Connection) -> Decision<'_> {
        decide(Some(connection), TRUST, NOW)
    }

    #[test]
    fn a_step_is_blocked_by_an_empty_account_before_it_looks_at_the_window() {
        let due = window(1);
        let second = Duration::from_secs(1);
        assert_eq!(blocked(Some(&due), None, NOW), None);
        assert_eq!(blocked(Some(&due), None, NOW - 1), Some(Step::Unchanged));
        assert_eq!(blocked(None, None, NOW), Some(Step::Unchanged));
        for window in [Some(&due), None] {
            let paused = Some(Step::Paused(second));
            assert_eq!(blocked(window, Some(second), NOW), paused);
        }
    }

    #[test]
    fn an_active_connection_is_asked_and_an_ended_or_unknown_one_is_not() {
        let began_ms = NOW - HOUR_MS;
        let active = with_status(&user(), Status::Active, began_ms);
        let target = Target {
            user: &user(),
            provider: None,
            trusted_from_ms: began_ms + 2 * HOUR_MS,
        };
        assert_eq!(decide_for(&active), Decision::Ask(target));
        let ended = with_status(&user(), Status::Ended, began_ms);
        let gone = Decision::Skip(Skip::ConnectionEnded);
        assert_eq!(decide_for(&ended), gone);
        assert_eq!(decide(None, TRUST, NOW), gone);
    }

    #[test]
    fn a_failing_connection_waits_for_a_quarter_of_its_failing_and_is_skipped_after_weeks() {
        let failing_for = |ms: i64| with_status(&user(), Status::Failing, NOW - ms);
        for (failing_ms, pause_ms) in [
            (0, HOUR_MS),
            (4 * HOUR_MS, HOUR_MS),
            (20 * HOUR_MS, 5 * HOUR_MS),
            (FAILING_AT_MOST_MS - 1, 12 * HOUR_MS),
        ] {
            let until_ms = NOW + pause_ms;
            let connection = failing_for(failing_ms);
            assert_eq!(decide_for(&connection), Decision::Defer { until_ms });
        }
        let skipped = Decision::Skip(Skip::ConnectionFailing);
        assert_eq!(decide_for(&failing_for(FAILING_AT_MOST_MS)), skipped);
    }

    #[test]
    fn a_small_window_is_asked_for_directly_after_two_silences() {
        let fresh = window(9);
        assert_eq!(via(&fresh, Via::Webhook), Via::Webhook);
        assert_eq!(via(&fresh, Via::Answer), Via::Answer);
        let once = silent(&fresh);
        assert_eq!(via(&once, Via::Webhook), Via::Webhook);
        assert_eq!(via(&silent(&once), Via::Webhook), Via::Answer);
    }

    #[test]
    fn a_window_that_may_be_large_is_asked_for_directly_after_one_silence() {
        // The request of 29 days reaches into June: one of Terra's documents calls that large.
        let perhaps = window(29);
        assert!(cut::is_large(perhaps.request()) && !cut::is_surely_large(perhaps.request()));
        assert_eq!(via(&perhaps, Via::Webhook), Via::Webhook);
        assert_eq!(via(&silent(&perhaps), Via::Webhook), Via::Answer);
    }

    #[test]
    fn a_large_window_is_always_asked_for_by_webhook() {
        let large = window(40);
        assert_eq!(via(&large, Via::Answer), Via::Webhook);
        assert_eq!(via(&silent(&large), Via::Answer), Via::Webhook);
    }

    #[test]
    fn an_empty_answer_is_doubted_until_terra_has_fetched_by_itself() {
        let read = |asked_at_ms| read(DataAnswer::NoData, Via::Answer, asked_at_ms, NOW);
        let doubted = Reading::SetBack {
            reason: Reason::Processing,
            wait: Some(Duration::from_millis(5)),
        };
        assert_eq!(read(NOW - 5), doubted);
        assert_eq!(read(NOW), Reading::Empty);
        assert_eq!(read(NOW + 5), Reading::Empty);
    }

    #[test]
    fn promised_webhooks_are_awaited_under_the_reference_without_the_number_of_a_chunk() {
        let accepted = |reference: Option<&str>, via| {
            let reference = reference.map(str::to_owned);
            let large = false;
            read(
                DataAnswer::Accepted(Accepted { reference, large }),
                via,
                // A promise is no empty answer: it is never doubted.
                NOW - 1,
                NOW,
            )
        };
        let reference = "r1".to_owned();
        let awaited = Reading::Accepted { reference };
        assert_eq!(accepted(Some("r1:chunk:0"), Via::Webhook), awaited);
        for (via, wait) in [
            (Via::Webhook, Some(NO_REFERENCE_PAUSE)),
            (Via::Answer, None),
        ] {
            let reason = Reason::NoAnswer;
            assert_eq!(accepted(None, via), Reading::SetBack { reason, wait });
        }
    }

    #[test]
    fn a_provider_that_prepares_data_is_asked_again_when_terra_says() {
        let wait = Some(Duration::from_secs(30));
        let processing = DataAnswer::Processing { retry_after: wait };
        let reason = Reason::Processing;
        let again = Reading::SetBack { reason, wait };
        assert_eq!(read(processing, Via::Answer, NOW, NOW), again);
    }
}
