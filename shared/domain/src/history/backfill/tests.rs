use jiff::civil::date;
use models::ids::{Provider, TerraUserId};
use proptest::prelude::*;

use super::*;
use crate::{
    history::window::{Event, State, WorkerId, retry::Jitter},
    pacing::{Quota, Quotas},
};

const NOW: i64 = 1_782_864_000_000;

fn connection() -> ConnectionId {
    ConnectionId::of(&TerraUserId::new("u1").unwrap())
}

fn history(provider: &str) -> &'static ProviderHistory {
    ProviderHistory::of(&Provider::new(provider).unwrap())
}

fn plan(provider: &str) -> Plan {
    let types = BTreeSet::from([DataType::Daily, DataType::Activity, DataType::Athlete]);
    Plan::first(
        &connection(),
        history(provider),
        &types,
        NOW,
        None,
        RequestSize::Ordinary,
        NOW,
    )
    .unwrap()
}

fn with(window: &Window, event: Event) -> Window {
    let by = WorkerId("w".into());
    let now = window.due_ms().unwrap();
    let lease = Event::Lease {
        by: by.clone(),
        until_ms: now + 1,
    };
    let leased = window.apply(lease, now).unwrap();
    let asked = leased
        .apply(
            Event::Ask {
                by,
                deadline_ms: now + 1,
            },
            now,
        )
        .unwrap();
    asked.apply(event, now).unwrap()
}

fn answered(window: &Window, records: u64) -> Window {
    with(window, Event::Answered { records })
}

#[test]
fn the_first_backfill_goes_from_today_to_the_reach_newest_first() {
    let plan = plan("GARMIN");
    let windows = plan.windows();
    assert_eq!(
        windows[0].span().until(),
        day::next(day::latest_on_earth(NOW))
    );
    assert!(windows.is_sorted_by_key(|window| std::cmp::Reverse(window.span().until())));
    assert!(
        windows
            .iter()
            .zip(0..)
            .all(|(window, rank)| window.rank() == rank)
    );
    let oldest = windows.last().unwrap().span().from();
    assert_eq!(oldest, history("GARMIN").first_day(NOW));
    let types: BTreeSet<_> = windows.iter().map(|window| window.id().data_type).collect();
    assert_eq!(types, BTreeSet::from([DataType::Daily, DataType::Activity]));
    assert_eq!(plan.windows(), windows);
}

#[test]
fn a_stored_plan_names_the_size_of_its_requests_and_gives_the_same_windows() {
    for (request_size, name) in [
        (RequestSize::Ordinary, "ordinary"),
        (RequestSize::Large, "large"),
    ] {
        let plan = Plan {
            request_size,
            ..plan("GARMIN")
        };
        let stored = serde_json::to_value(&plan).unwrap();
        assert_eq!(stored["request_size"], name);
        let read: Plan = serde_json::from_value(stored).unwrap();
        assert_eq!(read.windows(), plan.windows());
        for window in plan.windows() {
            let days = window.request().length_days();
            assert!(days <= request_size.max_days(), "{days}");
        }
    }
}

#[test]
fn there_is_no_backfill_where_only_the_phone_sends() {
    let types = BTreeSet::from([DataType::Daily]);
    let none = Plan::first(
        &connection(),
        history("APPLE"),
        &types,
        NOW,
        None,
        RequestSize::Ordinary,
        NOW,
    );
    assert_eq!(none, None);
}

#[test]
fn half_a_year_of_empty_windows_ends_going_back() {
    let plan = plan("STRAVA");
    let mut windows = plan.windows();
    let backfill = Backfill::new(plan);
    windows[0] = answered(&windows[0], 5);
    let mut asked = 1;
    let stop = loop {
        let stops = backfill.clone().with_stops(&windows).stopped_before;
        if let Some(&stop) = stops.get(&DataType::Activity) {
            break stop;
        }
        windows[asked] = answered(&windows[asked], 0);
        asked += 1;
    };
    let empty_days = day::between(stop, windows[0].span().from());
    assert!((183..215).contains(&empty_days), "{empty_days}");
    let backfill = backfill.with_stops(&windows);
    assert_eq!(
        backfill.verdict(&windows[asked]),
        Verdict::Skip(Skip::NothingFurtherBack)
    );
    let first_day = backfill.first_day(DataType::Activity, date(2021, 1, 1), date(2026, 6, 1));
    assert_eq!(first_day, stop);
}

#[test]
fn an_open_or_failed_window_keeps_going_back_alive() {
    let plan = plan("STRAVA");
    let mut windows = plan.windows();
    for window in windows.iter_mut().skip(1).take(30) {
        *window = answered(window, 0);
    }
    let backfill = Backfill::new(plan);
    assert!(
        backfill
            .clone()
            .with_stops(&windows)
            .stopped_before
            .is_empty()
    );
    windows[0] = answered(&windows[0], 0);
    assert!(!backfill.with_stops(&windows).stopped_before.is_empty());
}

#[test]
fn the_days_of_open_windows_are_left_to_the_backfill() {
    let span = Span::new(date(2026, 4, 1), date(2026, 7, 1)).unwrap();
    let types = BTreeSet::from([DataType::Daily]);
    let mut backfill = Backfill::new(Plan::on_demand(&connection(), &[span], &types, NOW));
    // Not even written yet.
    let days = |backfill: &Backfill, windows: &[Window]| {
        let open = backfill.open_days(windows, DataType::Daily).into_iter();
        open.map(Span::length_days).sum::<u32>()
    };
    assert_eq!(days(&backfill, &[]), 91);
    let mut windows = backfill.plan.windows();
    windows[0] = answered(&windows[0], 1);
    assert_eq!(
        days(&backfill, &windows),
        91 - windows[0].span().length_days()
    );
    assert!(backfill.open_days(&windows, DataType::Sleep).is_empty());
    backfill = backfill.ordered(Order::Cancel).unwrap();
    assert_eq!(days(&backfill, &windows), 0);
}

#[test]
fn pausing_waits_resuming_goes_on_and_cancelling_is_for_good() {
    let backfill = Backfill::new(plan("GARMIN"));
    let window = &backfill.plan.windows()[0];
    let paused = backfill.ordered(Order::Pause).unwrap();
    assert_eq!(paused.verdict(window), Verdict::Wait);
    let running = paused.ordered(Order::Run).unwrap();
    assert_eq!(running.verdict(window), Verdict::Ask);
    let cancelled = running.ordered(Order::Cancel).unwrap();
    assert_eq!(cancelled.verdict(window), Verdict::Skip(Skip::Cancelled));
    assert_eq!(
        cancelled.clone().ordered(Order::Cancel).as_ref(),
        Ok(&cancelled)
    );
    let (reach, connected) = (date(2021, 1, 1), date(2026, 6, 1));
    assert_eq!(
        cancelled.first_day(DataType::Daily, reach, connected),
        connected
    );
    assert_eq!(cancelled.ordered(Order::Run), Err(OrderRefused::Cancelled));
}

#[test]
fn what_was_refused_is_remembered_for_two_weeks_and_why() {
    let span = Span::new(date(2025, 1, 1), date(2025, 2, 1)).unwrap();
    let types = BTreeSet::from([DataType::Daily]);
    let plan = Plan::on_demand(&connection(), &[span], &types, NOW);
    let backfill = Backfill {
        created: true,
        ..Backfill::new(plan)
    };
    let ended = |reason| {
        let windows = backfill.plan.windows().into_iter();
        let mut windows: Vec<_> = windows
            .map(|window| with(&window, Event::Answered { records: 1 }))
            .collect();
        let refused = Event::SetBack {
            by: WorkerId("w".into()),
            reason,
            retry_after_ms: None,
            jitter: Jitter(0),
        };
        let mut window = backfill.plan.windows().remove(0);
        while !window.is_final() {
            window = with(&window, refused.clone());
        }
        windows[0] = window;
        backfill.finished(&windows, NOW).unwrap().ended().unwrap()
    };
    let unsupported = ended(Reason::NotSupported);
    assert_eq!(unsupported.refused_lately(NOW), Some(&types));
    assert!(!unsupported.permission_refused_lately(NOW));
    let forbidden = ended(Reason::ProviderRefused);
    assert!(forbidden.permission_refused_lately(NOW));
    let later = NOW + 15 * day::DAY_MS;
    assert!(!forbidden.permission_refused_lately(later));
    assert_eq!(forbidden.refused_lately(later), None);
}

#[test]
fn the_estimate_is_what_the_quotas_allow() {
    let quotas = Quotas::default();
    let of = |name| Estimate::of(&plan(name), &Provider::new(name).unwrap(), &quotas);
    let fitbit = of("FITBIT");
    assert_eq!(fitbit.requests, fitbit.provider_calls);
    let pace = |amount: u64, quota: Quota| {
        let rest = u32::try_from(amount).unwrap().saturating_sub(quota.burst());
        f64::from(rest) / f64::from(quota.per_hour())
    };
    let calls = quotas.providers[&Provider::new("FITBIT").unwrap()].per_user;
    let hours = pace(fitbit.requests, calls.unwrap());
    let hours = hours.max(pace(fitbit.requested_days, quotas.user_days));
    assert!((fitbit.hours - hours).abs() < 1e-9);
    assert!(of("WITHINGS").hours > fitbit.hours);
    let whoop = of("WHOOP");
    assert_eq!(whoop.provider_calls, whoop.requests / 2 * 5);
    let both = fitbit.beside(whoop);
    assert_eq!(both.requests, fitbit.requests + whoop.requests);
    assert!(both.hours >= whoop.hours);
    assert!((both.aws_usd - fitbit.aws_usd - whoop.aws_usd).abs() < 1e-9);
    // The measured window of COST.md: a request with four weeks of records.
    let [month] = [28.0 * 0.000_001_5 + 0.000_018];
    let windows = f64::from(u32::try_from(fitbit.requests).unwrap());
    assert!(fitbit.aws_usd > 0.0 && fitbit.aws_usd <= windows * month * 1.2);
}

proptest! {
    /// In whatever order windows end, and however they end, *done* is said with the last of them,
    /// not before, and once.
    #[test]
    fn done_is_said_once_and_with_the_last_window(
        fates in prop::collection::vec((0_u8..4, any::<usize>()), 60),
    ) {
        let span = Span::new(date(2026, 1, 10), date(2026, 3, 5)).unwrap();
        let types = BTreeSet::from([DataType::Daily, DataType::Sleep]);
        let plan = Plan::on_demand(&connection(), &[span], &types, NOW);
        let mut backfill = Backfill { created: true, ..Backfill::new(plan) };
        let mut windows = backfill.plan.windows();
        let mut said = 0;
        for (fate, which) in fates.into_iter().chain([(0, 0); 500]) {
            let open: Vec<_> = (0..windows.len()).filter(|&at| !windows[at].is_final()).collect();
            if let Some(next) = backfill.finished(&windows, NOW) {
                prop_assert!(open.is_empty());
                backfill = next;
                said += 1;
            }
            if open.is_empty() {
                continue;
            }
            let at = open[which % open.len()];
            let by = WorkerId("w".into());
            windows[at] = match fate {
                0 => answered(&windows[at], 0),
                1 => answered(&windows[at], 2),
                2 => windows[at].apply(Event::Skip(Skip::Cancelled), NOW).unwrap(),
                _ => with(&windows[at], Event::Narrow { by, reason: Reason::TooLarge, jitter: Jitter(0) }),
            };
            let halves = windows[at].halves();
            // A halved window whose halves are not written yet is not done.
            prop_assert!(halves.is_none() || backfill.finished(&windows, NOW).is_none());
            windows.extend(halves.into_iter().flatten());
        }
        prop_assert_eq!(said, 1);
        let totals = backfill.done.as_ref().unwrap().totals;
        let leaves = windows.iter().filter(|window| !matches!(window.state(), State::Halved { .. }));
        prop_assert_eq!(totals.windows() as usize, leaves.count());
        // One sends the event; another only when the first did not come back.
        let sending = backfill.announcing(NOW + 9, NOW).unwrap();
        prop_assert_eq!(sending.announcing(NOW + 18, NOW + 8), None);
        prop_assert!(sending.announcing(NOW + 18, NOW + 9).is_some());
        prop_assert_eq!(sending.announced().announcing(NOW + 99, NOW + 90), None);
    }
}

#[test]
fn payloads_that_get_lost_together_are_asked_for_once_and_after_the_last() {
    let types = BTreeSet::from([DataType::Daily, DataType::Sleep, DataType::Hormone]);
    let plan_of = |offered_at_ms, now_ms| {
        let times = (offered_at_ms, NOW - 400 * day::DAY_MS);
        Plan::lost(&connection(), history("GARMIN"), &types, times, now_ms).unwrap()
    };
    let begin = NOW - NOW.rem_euclid(LOST_TOGETHER_MS);
    let (first, second) = (
        plan_of(NOW, begin),
        plan_of(NOW + 1, begin + LOST_TOGETHER_MS - 1),
    );
    assert_eq!(first, second);
    let due = first
        .windows()
        .iter()
        .map(|window| window.due_ms().unwrap())
        .min();
    assert_eq!(due, Some(begin + LOST_TOGETHER_MS));
    // The next one is another backfill: the first may have been asked by then.
    assert_ne!(first.id, plan_of(NOW, begin + LOST_TOGETHER_MS).id);
    // Nobody can ask for days of hormones.
    assert!(first.days.keys().eq([&DataType::Daily, &DataType::Sleep]));
    let days: BTreeSet<_> = first
        .days_of(DataType::Daily)
        .iter()
        .flat_map(|span| span.days())
        .collect();
    let newest = day::latest_on_earth(NOW);
    assert!(days.contains(&newest) && days.contains(&day::plus(newest, -LOST_DAYS)));
}

#[test]
fn of_an_answer_that_got_lost_its_very_days_are_asked_for() {
    let first = plan("GARMIN");
    let window = first.windows().pop().unwrap();
    let lost = Plan::lost_answer(&connection(), window.id(), NOW);
    let days = BTreeMap::from([(window.id().data_type, vec![window.span()])]);
    assert_eq!((lost.kind, lost.days), (Kind::Gaps, days));
    assert!(lost.planned_at_ms > NOW);
}

#[test]
fn what_lies_before_the_reach_is_not_asked_for_again() {
    let types = BTreeSet::from([DataType::Daily]);
    // COROS reaches back to the day before somebody connected.
    let plan = Plan::lost(&connection(), history("COROS"), &types, (NOW, NOW), NOW).unwrap();
    let days: usize = plan
        .days_of(DataType::Daily)
        .iter()
        .map(|span| span.length_days() as usize)
        .sum();
    assert!(days <= 5, "{days}");
    let apple = Plan::lost(&connection(), history("APPLE"), &types, (NOW, NOW), NOW);
    assert!(apple.is_none());
}
