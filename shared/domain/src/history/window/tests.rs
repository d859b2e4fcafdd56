use jiff::civil::date;
use models::ids::TerraUserId;
use proptest::prelude::*;

use super::{
    retry::{Jitter, MAX_FAILURES},
    *,
};
use crate::history::day;

const NOW: i64 = 1_000_000;
const MINUTE: i64 = 60_000;

fn window(days: i64) -> Window {
    let connection = ConnectionId::of(&TerraUserId::new("u1").unwrap());
    let from = date(2026, 5, 3);
    let id = WindowId {
        backfill: BackfillId::first(&connection),
        data_type: DataType::Daily,
        span: Span::new(from, day::plus(from, days)).unwrap(),
    };
    Window::new(id, connection, 0, NOW)
}

fn worker(name: u8) -> WorkerId {
    WorkerId(format!("w{name}"))
}

fn lease(name: u8, now_ms: i64) -> Event {
    Event::Lease {
        by: worker(name),
        until_ms: now_ms + MINUTE,
    }
}

fn ask(name: u8, now_ms: i64) -> Event {
    Event::Ask {
        by: worker(name),
        deadline_ms: now_ms + MINUTE,
    }
}

fn asked(days: i64) -> Window {
    let window = window(days).apply(lease(1, NOW), NOW).unwrap();
    window.apply(ask(1, NOW), NOW).unwrap()
}

/// Asked, and to be answered by webhook.
fn accepted(days: i64) -> Window {
    accept(&asked(days), NOW)
}

fn accept(window: &Window, now_ms: i64) -> Window {
    let accepted = Event::Accepted {
        by: worker(1),
        reference: "r".into(),
        deadline_ms: now_ms + MINUTE,
    };
    window.apply(accepted, now_ms).unwrap()
}

const JITTER: Jitter = Jitter(500);

#[test]
fn one_worker_has_a_window_until_its_lease_and_the_clocks_difference_are_over() {
    let leased = window(2).apply(lease(1, NOW), NOW).unwrap();
    let end = NOW + MINUTE;
    assert_eq!(leased.apply(lease(2, end), end), Err(Refused::Held));
    assert_eq!(leased.apply(ask(2, NOW), NOW), Err(Refused::NotHolder));
    assert_eq!(leased.apply(ask(1, end), end), Err(Refused::NotHolder));
    let end = end + CLOCK_SKEW_MS;
    let taken = leased.apply(lease(2, end), end).unwrap();
    assert_eq!(taken.setbacks().last().unwrap().reason, Reason::WorkerLost);
    assert_eq!(taken.apply(ask(1, end), end), Err(Refused::NotHolder));
    assert_eq!(taken.apply(ask(2, end), end).unwrap().asked(), 1);
}

#[test]
fn what_nobody_has_any_more_is_put_off_with_the_reason() {
    let later = |now_ms| Event::Defer {
        until_ms: now_ms + 2 * MINUTE,
    };
    let off = window(2).apply(later(NOW), NOW).unwrap();
    assert_eq!(off.due_ms(), Some(NOW + 2 * MINUTE));
    assert_eq!(off.setbacks(), []);
    // Never sooner than it was.
    let sooner = Event::Defer { until_ms: NOW };
    assert_eq!(off.apply(sooner, NOW).unwrap(), off);

    let leased = window(2).apply(lease(1, NOW), NOW).unwrap();
    let end = NOW + MINUTE;
    assert_eq!(leased.apply(later(end), end), Err(Refused::Held));
    let end = end + CLOCK_SKEW_MS;
    let off = leased.apply(later(end), end).unwrap();
    assert_eq!(off.due_ms(), Some(end + 2 * MINUTE));
    assert_eq!(off.setbacks().last().unwrap().reason, Reason::WorkerLost);
    assert_eq!(asked(2).apply(later(NOW), NOW), Err(Refused::Held));
}

#[test]
fn silence_becomes_a_retry_and_then_a_visible_failure() {
    let mut window = accepted(2);
    let mut retries = 0;
    let mut now = NOW;
    while !window.is_final() {
        let due = window.due_ms().unwrap();
        assert_eq!(
            window.apply(Event::Silence { jitter: JITTER }, due - 1),
            Err(Refused::NotDue)
        );
        now = due;
        window = window
            .apply(Event::Silence { jitter: JITTER }, now)
            .unwrap();
        if let State::Planned { due_ms } = *window.state() {
            now = due_ms;
            window = window.apply(lease(1, now), now).unwrap();
            window = accept(&window.apply(ask(1, now), now).unwrap(), now);
            retries += 1;
        }
    }
    let expected = State::Failed {
        at_ms: now,
        reason: Reason::NoAnswer,
    };
    assert_eq!((window.state(), retries), (&expected, MAX_FAILURES));
    assert_eq!(window.setbacks().len(), retries + 1);
}

#[test]
fn whoever_asked_and_never_says_what_came_was_lost() {
    let end = NOW + MINUTE;
    let back = asked(2).apply(Event::Silence { jitter: JITTER }, end);
    let back = back.unwrap();
    assert_eq!(back.setbacks().last().unwrap().reason, Reason::WorkerLost);
    // By its own clock, its call may not be over yet.
    assert!(back.due_ms().unwrap() >= end + CLOCK_SKEW_MS);
    assert_eq!(back.silences(), 0);
}

#[test]
fn a_large_request_that_never_comes_whole_is_halved_and_one_that_may_be_small_a_try_later() {
    // From 3 May on: by some accounts, what reaches into June is large.
    for (days, tries) in [(20, MAX_FAILURES), (29, 2), (40, 1)] {
        let mut window = accepted(days);
        let mut now = NOW;
        for _ in 0..tries {
            now = window.due_ms().unwrap();
            window = window
                .apply(Event::Silence { jitter: JITTER }, now)
                .unwrap();
            assert!(matches!(window.state(), State::Planned { .. }), "{days}");
            now = window.due_ms().unwrap();
            window = window.apply(lease(1, now), now).unwrap();
            window = accept(&window.apply(ask(1, now), now).unwrap(), now);
        }
        now = window.due_ms().unwrap_or(now);
        window = window
            .apply(Event::Silence { jitter: JITTER }, now)
            .unwrap();
        let halved = window.halves().is_some();
        assert_eq!(halved, tries < MAX_FAILURES, "{days}");
    }
}

#[test]
fn what_is_too_large_is_halved_down_to_a_day_without_overlap() {
    let too_large = || Event::Narrow {
        reason: Reason::TooLarge,
        by: worker(1),
        jitter: JITTER,
    };
    let halved = asked(3).apply(too_large(), NOW).unwrap();
    let [newer, older] = halved.halves().unwrap();
    assert_eq!(older.span().until(), newer.span().from());
    assert_eq!(newer.setbacks().last().unwrap().reason, Reason::TooLarge);
    assert_eq!(older.span().length_days(), 1);
    assert_eq!(older.request().length_days(), 3);

    let again = |window: &Window| {
        let window = window.apply(lease(1, NOW), NOW).unwrap();
        let window = window.apply(ask(1, NOW), NOW).unwrap();
        window.apply(too_large(), NOW).unwrap()
    };
    let bare = again(&older);
    assert_eq!(bare.request(), bare.span());
    let failed = again(&bare);
    assert_eq!(
        *failed.state(),
        State::Failed {
            at_ms: NOW,
            reason: Reason::TooLarge
        }
    );
}

#[test]
fn pieces_count_once_and_only_news_moves_the_deadline() {
    let progress = |received, expected, deadline_ms| Event::Progress {
        reference: "r".into(),
        received,
        expected,
        deadline_ms,
    };
    let window = accepted(2);
    let window = window.apply(progress(1, None, NOW + 10), NOW).unwrap();
    let window = window.apply(progress(1, Some(3), NOW + 20), NOW).unwrap();
    let window = window.apply(progress(0, None, NOW + 30), NOW).unwrap();
    let State::Receiving {
        received: 1,
        expected: Some(3),
        deadline_ms,
        ..
    } = *window.state()
    else {
        panic!("{:?}", window.state());
    };
    assert_eq!(deadline_ms, NOW + 20);
    let other = Event::Progress {
        reference: "x".into(),
        received: 9,
        expected: None,
        deadline_ms,
    };
    assert_eq!(window.apply(other, NOW), Err(Refused::NotAsked));
    let short = window
        .apply(Event::Silence { jitter: JITTER }, deadline_ms)
        .unwrap();
    assert_eq!(short.setbacks().last().unwrap().reason, Reason::Incomplete);
}

#[test]
fn an_answer_that_is_doubted_is_asked_for_again_and_only_its_own_request() {
    let window = accepted(2);
    let doubted = |reference: &str| Event::Doubted {
        reference: reference.into(),
        retry_after_ms: 2 * MINUTE,
        jitter: JITTER,
    };
    assert_eq!(window.apply(doubted("x"), NOW), Err(Refused::NotAsked));
    let again = window.apply(doubted("r"), NOW).unwrap();
    assert_eq!(again.setbacks().last().unwrap().reason, Reason::Processing);
    assert!(again.due_ms().unwrap() >= NOW + 2 * MINUTE);
    assert_eq!(again.apply(doubted("r"), NOW), Err(Refused::NotAsked));
}

#[test]
fn a_late_answer_ends_a_window_that_waits_to_be_asked_again() {
    let now = NOW + MINUTE;
    let waiting = asked(2)
        .apply(Event::Silence { jitter: JITTER }, now)
        .unwrap();
    let done = waiting.apply(Event::Answered { records: 3 }, now).unwrap();
    assert_eq!(
        *done.state(),
        State::Done {
            at_ms: now,
            records: 3
        }
    );
    assert_eq!(
        window(2).apply(Event::Answered { records: 3 }, NOW),
        Err(Refused::NotAsked)
    );
}

#[test]
fn a_worker_that_was_given_up_cannot_fail_the_next_ones_request() {
    let now = NOW + MINUTE;
    let waiting = asked(2)
        .apply(Event::Silence { jitter: JITTER }, now)
        .unwrap();
    let now = waiting.due_ms().unwrap();
    let asked = waiting
        .apply(lease(2, now), now)
        .unwrap()
        .apply(ask(2, now), now)
        .unwrap();
    let late = Event::SetBack {
        by: worker(1),
        reason: Reason::Unavailable,
        retry_after_ms: None,
        jitter: JITTER,
    };
    assert_eq!(asked.apply(late, now), Err(Refused::NotAsked));
}

#[test]
fn a_window_is_read_back_as_it_was_written() {
    for window in [window(9), asked(2), accepted(2)] {
        let text = serde_json::to_string(&window).unwrap();
        assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), window);
    }
}

fn reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(vec![
        Reason::NoAnswer,
        Reason::RateLimited,
        Reason::Processing,
        Reason::Unavailable,
        Reason::ProviderRefused,
        Reason::NotSupported,
    ])
}

/// Any event, by any of three workers, with times around `now`.
fn event(now_ms: i64) -> impl Strategy<Value = Event> {
    let by = || (0_u8..3).prop_map(worker);
    let time = move || (-MINUTE..3 * MINUTE).prop_map(move |ms| now_ms + ms);
    let jitter = || (0_u16..=1000).prop_map(Jitter);
    let reference = || (0_u8..2).prop_map(|name| format!("r{name}"));
    prop_oneof![
        6 => (by(), time()).prop_map(|(by, until_ms)| Event::Lease { by, until_ms }),
        2 => time().prop_map(|until_ms| Event::Defer { until_ms }),
        8 => (by(), time()).prop_map(|(by, deadline_ms)| Event::Ask { by, deadline_ms }),
        3 => (by(), reference(), time()).prop_map(|(by, reference, deadline_ms)| {
            Event::Accepted { by, reference, deadline_ms }
        }),
        3 => (reference(), 0_u64..4, prop::option::of(0_u64..4), time()).prop_map(
            |(reference, received, expected, deadline_ms)| {
                Event::Progress { reference, received, expected, deadline_ms }
            },
        ),
        1 => (0_u64..3).prop_map(|records| Event::Answered { records }),
        1 => (reference(), 0_i64..MINUTE, jitter()).prop_map(|(reference, retry_after_ms, jitter)| {
            Event::Doubted { reference, retry_after_ms, jitter }
        }),
        3 => (by(), reason(), prop::option::of(0_i64..MINUTE), jitter()).prop_map(
            |(by, reason, retry_after_ms, jitter)| {
                Event::SetBack { by, reason, retry_after_ms, jitter }
            },
        ),
        1 => (by(), jitter()).prop_map(|(by, jitter)| Event::Narrow { by, reason: Reason::TooLarge, jitter }),
        4 => jitter().prop_map(|jitter| Event::Silence { jitter }),
        1 => Just(Event::Skip(Skip::Cancelled)),
    ]
}

/// Events each with the time that passes before it.
fn happenings() -> impl Strategy<Value = Vec<(i64, Event)>> {
    prop::collection::vec(0_i64..2 * MINUTE, 1..120).prop_flat_map(|pauses| {
        let mut now_ms = NOW;
        let steps: Vec<_> = pauses
            .into_iter()
            .map(|pause_ms| {
                now_ms += pause_ms;
                (Just(now_ms), event(now_ms))
            })
            .collect();
        steps
    })
}

proptest! {
    #[test]
    fn no_sequence_of_events_breaks_a_promise(happenings in happenings(), days in 1_i64..6) {
        let mut now = window(days);
        let whole = now.span();
        for (at_ms, event) in happenings {
            let before = now.clone();
            let Ok(after) = before.apply(event.clone(), at_ms) else {
                continue;
            };
            // A final window stays.
            prop_assert!(!before.is_final());
            // Nothing gets lost: an open window is due some time, and is still the same window.
            prop_assert_eq!(after.is_final(), after.due_ms().is_none());
            prop_assert_eq!((after.id(), after.rank()), (before.id(), before.rank()));
            // Asked again only with a reason for each time.
            prop_assert!(after.asked() as usize <= after.setbacks().len() + 1);
            prop_assert!(after.setbacks().starts_with(before.setbacks()));
            // Asked only by its holder, within the lease.
            if after.asked() > before.asked() {
                let State::Leased { by: holder, until_ms } = before.state() else {
                    panic!("asked without a lease");
                };
                let by_holder = matches!(&event, Event::Ask { by, .. } if by == holder);
                prop_assert!(by_holder);
                prop_assert!(at_ms < *until_ms);
            }
            // Never taken from a holder whose lease may still run by its own clock.
            if let (State::Leased { by, until_ms }, State::Leased { by: next, .. }) =
                (before.state(), after.state())
            {
                prop_assert!(by == next || at_ms >= until_ms + CLOCK_SKEW_MS);
            }
            // A final state has been earned.
            match after.state() {
                State::Done { .. } | State::Empty { .. } | State::Halved { .. } => {
                    prop_assert!(after.asked() > 0);
                }
                State::Failed { reason, .. } => {
                    prop_assert_eq!(after.setbacks().last().map(|last| last.reason), Some(*reason));
                }
                _ => {}
            }
            if let Some([newer, older]) = after.halves() {
                prop_assert_eq!((older.span().from(), newer.span().until()), (whole.from(), whole.until()));
                prop_assert_eq!(older.span().until(), newer.span().from());
                prop_assert!(!newer.is_final() && !older.is_final());
            }
            now = after;
        }
    }

    /// Whatever goes wrong, and however often workers die, a window comes to an end.
    #[test]
    fn a_window_that_workers_keep_taking_ends(reasons in prop::collection::vec(reason(), 100)) {
        let mut window = window(1);
        let mut reasons = reasons.into_iter();
        while let Some(now) = window.due_ms() {
            window = match window.state() {
                State::Planned { .. } | State::Leased { .. } => window.apply(lease(1, now), now).unwrap(),
                _ => window,
            };
            if window.apply(ask(1, now), now).is_ok_and(|_| now % 3 != 0) {
                window = window.apply(ask(1, now), now).unwrap();
                let Some(reason) = reasons.next() else { panic!("it never ends") };
                let event = Event::SetBack { by: worker(1), reason, retry_after_ms: None, jitter: JITTER };
                window = window.apply(event, now).unwrap();
            }
        }
        prop_assert!(window.is_final());
    }
}
