//! Backfills: planned once, done once, obedient.

use std::collections::BTreeSet;

use domain::history::{
    backfill::{Ended, Order, OrderRefused, Plan},
    cut::RequestSize,
    reach::ProviderHistory,
    window::{BackfillId, Event, Skip, State, Window, retry::Reason},
};
use futures::future::join_all;
use models::{data::DataType, ids::Provider};
use store::table::history::{Applied, Check, Due};

use crate::ledger::{JITTER, Ledger, MINUTE, NOW, connection, day, killed_after, plan, worker};

fn sorted(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable_by_key(Window::rank);
    windows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planning_many_times_at_once_plans_once() {
    let ledger = Ledger::start().await;
    let plan = plan("a", "2026-01-01", "2026-07-01");
    let planned = join_all((0..4).map(|_| ledger.table.plan_backfill(&plan))).await;
    let new = planned
        .into_iter()
        .filter(|planned| planned.as_ref().unwrap().new);
    assert_eq!(new.count(), 1);
    let windows = sorted(ledger.table.windows(&plan.id, None).await.unwrap());
    assert_eq!(windows, plan.windows());

    // Planning again, even something else, neither adds nor takes back anything.
    let done = ledger.answer(windows[0].id(), 1, NOW).await;
    let wider = Plan {
        planned_at_ms: NOW + 1,
        ..crate::ledger::plan("a", "2025-01-01", "2026-07-01")
    };
    let again = ledger
        .table
        .plan_backfill(&Plan {
            id: plan.id.clone(),
            ..wider
        })
        .await
        .unwrap();
    assert!(!again.new);
    assert_eq!(again.backfill.plan, plan);
    let after = sorted(ledger.table.windows(&plan.id, None).await.unwrap());
    assert_eq!(after.len(), windows.len());
    assert_eq!(after[0], done);
}

#[tokio::test]
async fn planning_that_was_killed_is_finished_by_whoever_looks() {
    let ledger = Ledger::start().await;
    let mut half_done = 0;
    for steps in 0.. {
        let plan = plan(&format!("c{steps}"), "2026-05-01", "2026-07-01");
        let ended = killed_after(steps, ledger.table.plan_backfill(&plan)).await;
        let left = ledger.table.windows(&plan.id, None).await.unwrap().len();
        match ledger.table.check_backfill(&plan.id, NOW).await.unwrap() {
            // Killed before its first step: there is nothing, and planning starts afresh.
            Check::Missing => drop(ledger.table.plan_backfill(&plan).await.unwrap()),
            Check::Open(backfill, progress) => {
                assert!(backfill.created);
                assert_eq!(progress.totals.open as usize, plan.windows().len());
                half_done += usize::from(left < plan.windows().len());
            }
            other => panic!("{other:?}"),
        }
        let windows = sorted(ledger.table.windows(&plan.id, None).await.unwrap());
        assert_eq!(windows, plan.windows());
        if ended.is_some() {
            break;
        }
    }
    assert!(half_done > 0, "nothing was interrupted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn done_is_recorded_once_and_only_when_every_window_is_final() {
    let ledger = Ledger::start().await;
    let plan = plan("a", "2026-05-01", "2026-07-01");
    let windows = ledger.planned(&plan).await;
    for (window, records) in windows.iter().zip([2, 0, 1]) {
        ledger.answer(window.id(), records, NOW + MINUTE).await;
        let check = ledger
            .table
            .check_backfill(&plan.id, NOW + MINUTE)
            .await
            .unwrap();
        assert!(matches!(check, Check::Open(..)), "{check:?}");
    }
    ledger.answer(windows[3].id(), 0, NOW + MINUTE).await;

    let times = [1, 2, 3, 4].map(|minute| NOW + minute * MINUTE);
    let checks = join_all(times.map(|now| ledger.table.check_backfill(&plan.id, now))).await;
    let to_announce = |check: &Check| matches!(check, Check::Announce(_));
    let checks: Vec<_> = checks.into_iter().map(Result::unwrap).collect();
    assert_eq!(checks.iter().filter(|check| to_announce(check)).count(), 1);
    assert!(
        checks
            .iter()
            .all(|check| to_announce(check) || matches!(check, Check::Closed(_)))
    );

    // Not announced: it comes up again. Announced: it is gone from the list.
    let hour = NOW + 60 * MINUTE;
    let due = [Due::Backfill(plan.id.clone())];
    assert_eq!(ledger.table.due(hour, 9).await.unwrap(), due);
    ledger.table.backfill_announced(&plan.id).await.unwrap();
    assert!(ledger.table.due(hour, 9).await.unwrap().is_empty());
    let Check::Closed(backfill) = ledger.table.check_backfill(&plan.id, hour).await.unwrap() else {
        panic!("not closed");
    };
    let done = backfill.done.unwrap();
    assert_eq!(
        (done.totals.done, done.totals.empty, done.totals.records),
        (2, 2, 3)
    );
    let late = ledger
        .table
        .order_backfill(&plan.id, Order::Cancel, hour)
        .await;
    assert_eq!(late.unwrap(), Some(Err(OrderRefused::Done)));
}

#[tokio::test]
async fn backfills_of_gaps_go_in_time_and_the_others_stay() {
    let ledger = Ledger::start().await;
    let (table, connection) = (&ledger.table, connection("a"));
    let missing = BTreeSet::from([day("2026-06-20")]);
    let missing = [DataType::Daily, DataType::Sleep].map(|it| (it, missing.clone()));
    let gaps = Plan::gaps(&connection, missing.into(), NOW).unwrap();
    let wanted = plan("a", "2026-06-01", "2026-07-01");
    ledger.planned(&wanted).await;
    let windows = ledger.planned(&gaps).await;
    ledger.answer(windows[0].id(), 1, NOW).await;
    ledger.answer(windows[1].id(), 0, NOW).await;
    table
        .refuse_type(&gaps.id, DataType::Sleep, NOW)
        .await
        .unwrap();
    let open = table.backfill_list(&connection).await.unwrap();
    assert!(open.iter().all(|listed| listed.ended.is_none()));
    table.check_backfill(&gaps.id, NOW).await.unwrap();
    table.backfill_announced(&gaps.id).await.unwrap();

    // A reader of the connection need not read the backfill any more.
    let listed = table.backfill_list(&connection).await.unwrap();
    let ended = |plan: &Plan| {
        let listed = listed.iter().find(|listed| listed.id == plan.id).unwrap();
        listed.ended.clone()
    };
    let refused = BTreeSet::from([DataType::Sleep]);
    assert_eq!(
        ended(&gaps),
        Some(Ended {
            at_ms: NOW,
            refused,
            permission_refused: false,
            has_failed: false,
        })
    );
    assert_eq!(ended(&wanted), None);

    // The backfill, its windows, written several times, and its entry in the list.
    #[expect(clippy::disallowed_methods, reason = "a table of a few items")]
    let all = ledger
        .client
        .scan()
        .table_name(&ledger.table_name)
        .send()
        .await;
    let expires_at = |id: &BackfillId| {
        let of_it = all.as_ref().unwrap().items().iter().filter(|item| {
            let has = |name| item[name].as_s().unwrap().contains(id.as_str());
            has("pk") || has("sk")
        });
        let expires_at = of_it.map(|item| Some(item.get("expires_at")?.as_n().unwrap().clone()));
        expires_at.collect::<Vec<_>>()
    };
    let two_months_later = (NOW / 1000 + 60 * 86_400).to_string();
    assert_eq!(expires_at(&gaps.id), vec![Some(two_months_later); 4]);
    assert_eq!(
        expires_at(&wanted.id),
        vec![None; 2 + wanted.windows().len()]
    );
}

#[tokio::test]
async fn a_paused_backfill_asks_nothing_until_it_goes_on() {
    let ledger = Ledger::start().await;
    let plan = plan("a", "2026-05-01", "2026-05-10");
    let id = ledger.planned(&plan).await[0].id().clone();
    let by = worker("a");
    let order = |order| ledger.table.order_backfill(&plan.id, order, NOW);
    order(Order::Pause).await.unwrap().unwrap().unwrap();
    assert_eq!(ledger.take(&id, &by, NOW + MINUTE, NOW).await, None);
    let later = NOW + 10 * MINUTE;
    assert!(ledger.due_windows(later - 1, 9).await.is_empty());
    assert_eq!(
        ledger.due_windows(later, 9).await,
        std::slice::from_ref(&id)
    );
    order(Order::Run).await.unwrap().unwrap().unwrap();
    let window = ledger.ask(&id, &by, later).await;
    assert!(window.setbacks().is_empty());
}

#[tokio::test]
async fn a_cancelled_backfill_lets_go_of_what_waits_and_ends_with_what_is_under_way() {
    let ledger = Ledger::start().await;
    let plan = plan("a", "2026-05-01", "2026-07-01");
    let windows = ledger.planned(&plan).await;
    let by = worker("a");
    ledger.ask(windows[0].id(), &by, NOW).await;
    let cancelled = ledger
        .table
        .order_backfill(&plan.id, Order::Cancel, NOW)
        .await;
    assert!(cancelled.unwrap().unwrap().is_ok());
    let open = ledger.due_windows(i64::MAX / 2, 9).await;
    assert_eq!(open, [windows[0].id().clone()]);
    let answered = Event::Answered { records: 1 };
    ledger
        .apply(windows[0].id(), answered, NOW)
        .await
        .changed()
        .unwrap();
    let Check::Announce(backfill) = ledger.table.check_backfill(&plan.id, NOW).await.unwrap()
    else {
        panic!("not done");
    };
    let totals = backfill.done.unwrap().totals;
    assert_eq!((totals.done, totals.skipped), (1, 3));
}

#[tokio::test]
async fn a_person_without_a_past_is_not_asked_for_five_years_of_it() {
    let ledger = Ledger::start().await;
    let strava = ProviderHistory::of(&Provider::new("STRAVA").unwrap());
    let types = BTreeSet::from([DataType::Activity]);
    let plan = Plan::first(
        &connection("a"),
        strava,
        &types,
        NOW,
        None,
        RequestSize::Ordinary,
        NOW,
    )
    .unwrap();
    let windows = ledger.planned(&plan).await;
    let (mut asked, by) = (0, worker("w"));
    for window in &windows {
        let now = NOW + 60 * MINUTE;
        let taken = ledger.take(window.id(), &by, now + MINUTE, now).await;
        if taken.is_none() {
            continue;
        }
        let mut held = ledger.table.hold(window.id());
        held.ask(&by, now + MINUTE, now).await.unwrap();
        let answer = store::table::history::Answer {
            records: 0,
            days: Vec::new(),
            asked_at_ms: now,
        };
        ledger
            .table
            .hold(window.id())
            .answer(answer, now)
            .await
            .unwrap();
        asked += 1;
    }
    assert!((12..=14).contains(&asked), "{asked} of {}", windows.len());
    let later = NOW + 120 * MINUTE;
    let Check::Announce(backfill) = ledger.table.check_backfill(&plan.id, later).await.unwrap()
    else {
        panic!("not done");
    };
    let totals = backfill.done.clone().unwrap().totals;
    assert_eq!(
        (totals.empty, totals.skipped as usize),
        (asked, windows.len() - asked as usize)
    );
    let skipped = ledger
        .table
        .window(windows.last().unwrap().id())
        .await
        .unwrap()
        .unwrap();
    let why = Skip::NothingFurtherBack;
    assert!(matches!(skipped.state(), State::Skipped { reason, .. } if *reason == why));
}

/// A worker that dies between a halved window and its halves loses neither.
#[tokio::test]
async fn halves_that_were_not_written_are_written_by_whoever_looks() {
    let ledger = Ledger::start().await;
    for steps in 0.. {
        let plan = plan(&format!("c{steps}"), "2026-05-01", "2026-05-10");
        let id = ledger.planned(&plan).await[0].id().clone();
        let by = worker("a");
        ledger.ask(&id, &by, NOW).await;
        let too_large = Event::Narrow {
            by,
            reason: Reason::TooLarge,
            jitter: JITTER,
        };
        let mut held = ledger.table.hold(&id);
        let halve = held.apply(&too_large, NOW);
        let ended = killed_after(steps, halve).await;
        let check = ledger.table.check_backfill(&plan.id, NOW).await.unwrap();
        assert!(matches!(check, Check::Open(..)), "{check:?}");
        let window = ledger.table.window(&id).await.unwrap().unwrap();
        for half in window.halves().into_iter().flatten() {
            assert_eq!(ledger.table.window(half.id()).await.unwrap(), Some(half));
        }
        if ended.is_some() {
            assert!(window.halves().is_some());
            break;
        }
    }
}

#[tokio::test]
async fn an_erased_connection_leaves_nothing_to_ask_for() {
    let ledger = Ledger::start().await;
    let other = ledger
        .planned(&plan("other", "2026-05-01", "2026-05-10"))
        .await;
    let wide = plan("a", "2026-05-01", "2026-07-01");
    let narrow = Plan {
        planned_at_ms: NOW + 1,
        ..plan("a", "2026-06-01", "2026-06-02")
    };
    let narrow = Plan {
        id: domain::history::window::BackfillId::first(&narrow.connection),
        ..narrow
    };
    let windows = ledger.planned(&wide).await;
    ledger.planned(&narrow).await;
    ledger.ask(windows[0].id(), &worker("a"), NOW).await;

    let connection = connection("a");
    let known: BTreeSet<_> = ledger
        .table
        .backfills_of(&connection)
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(known, BTreeSet::from([wide.id.clone(), narrow.id.clone()]));
    ledger.table.erase_backfills(&connection).await.unwrap();
    assert!(
        ledger
            .table
            .backfills_of(&connection)
            .await
            .unwrap()
            .is_empty()
    );
    let left: Vec<_> = other.iter().map(|window| window.id().clone()).collect();
    assert_eq!(ledger.due_windows(i64::MAX / 2, 99).await, left);
    assert!(
        ledger
            .table
            .windows(&wide.id, None)
            .await
            .unwrap()
            .is_empty()
    );
    // The worker that is under way finds nothing to answer.
    let answered = ledger
        .apply(windows[0].id(), Event::Answered { records: 1 }, NOW)
        .await;
    assert_eq!(answered, Applied::Missing);
    assert_eq!(
        ledger.table.check_backfill(&wide.id, NOW).await.unwrap(),
        Check::Missing
    );
}
