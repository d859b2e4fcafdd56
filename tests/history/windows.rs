//! One window and those who want it.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::{
    asked::ASKED_MS,
    window::{CLOCK_SKEW_MS, Event, Refused, State, retry::Reason},
};
use futures::future::join_all;
use models::data::DataType;
use store::table::{
    TableError,
    history::{Answer, Applied, Held},
    key::Key,
};

use crate::ledger::{self, Ledger, MINUTE, NOW, connection, day, plan, span, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_a_window_one_gets_it() {
    let ledger = Ledger::start().await;
    let id = ledger.planned(&plan("a", "2026-05-01", "2026-05-10")).await[0]
        .id()
        .clone();
    let workers: Vec<_> = (0..8).map(|name| worker(&name.to_string())).collect();
    let take = |by| ledger.take(&id, by, NOW + MINUTE, NOW);
    let taken = join_all(workers.iter().map(take)).await;
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        ledger.table.window(&id).await.unwrap().as_ref(),
        taken.first()
    );
}

/// Tests that a change of one of several windows that were read at once concerns that one only.
#[tokio::test]
async fn a_worker_sees_who_was_faster_and_what_cannot_be_read() {
    let ledger = Ledger::start().await;
    let plan = plan("a", "2026-05-01", "2026-07-01");
    let windows = ledger.planned(&plan).await;
    let ids: Vec<_> = windows.iter().map(|window| window.id().clone()).collect();
    assert!(ids.len() >= 4);
    let damaged = Key::window(&ids[1]).to_string();
    let (pk, sk) = damaged.split_once('/').unwrap();
    let put = ledger.client.put_item().table_name(&ledger.table_name);
    let put = put
        .item("pk", AttributeValue::S(pk.to_owned()))
        .item("sk", AttributeValue::S(sk.to_owned()))
        .item("state", AttributeValue::N("7".to_owned()));
    put.send().await.unwrap();
    let backfill = ledger.table.backfill(&plan.id).await.unwrap();
    let mut held = ledger.table.load_windows(&ids).await.unwrap();
    let (own, other) = (worker("own"), worker("other"));
    let until = NOW + MINUTE;
    ledger.take(&ids[2], &other, until, NOW).await.unwrap();

    let take = async |held: &mut Held<'_>| {
        let taken = ledger::take(held, backfill.as_ref(), &own, until, NOW).await;
        taken.map(|taken| (taken.is_some(), held.is_with_another(&own, NOW)))
    };
    assert_eq!(take(&mut held[0]).await.unwrap(), (true, false));
    assert!(matches!(
        take(&mut held[1]).await,
        Err(TableError::Corrupt { .. })
    ));
    assert_eq!(take(&mut held[2]).await.unwrap(), (false, true));
    assert_eq!(take(&mut held[3]).await.unwrap(), (true, false));
    // The other's time is over: whoever reads it then takes it.
    let now = until + CLOCK_SKEW_MS;
    let held = ledger.table.load_windows(&ids[2..3]).await.unwrap();
    assert!(held[0].is_with_another(&own, NOW));
    assert!(!held[0].is_with_another(&own, now));
}

#[tokio::test]
async fn a_dead_worker_is_taken_over_and_cannot_come_back() {
    let ledger = Ledger::start().await;
    let id = ledger.planned(&plan("a", "2026-05-01", "2026-05-10")).await[0]
        .id()
        .clone();
    let (dead, next) = (worker("dead"), worker("next"));
    let (until, later) = (NOW + MINUTE, NOW + 2 * MINUTE);
    assert!(ledger.take(&id, &dead, until, NOW).await.is_some());

    // Not due, and not to be had, before its lease and the clocks' difference are over.
    assert!(
        ledger
            .due_windows(until + CLOCK_SKEW_MS - 1, 9)
            .await
            .is_empty()
    );
    assert_eq!(ledger.take(&id, &next, later, until).await, None);

    let now = until + CLOCK_SKEW_MS;
    assert_eq!(ledger.due_windows(now, 9).await, std::slice::from_ref(&id));
    let taken = ledger.take(&id, &next, later, now).await.unwrap();
    assert_eq!(taken.setbacks().last().unwrap().reason, Reason::WorkerLost);
    let ghost = ledger.table.hold(&id).ask(&dead, later, now).await.unwrap();
    assert_eq!(ghost, Applied::Refused(taken, Refused::NotHolder));
}

#[tokio::test]
async fn silence_brings_a_window_back_with_its_reason() {
    let ledger = Ledger::start().await;
    let id = ledger.planned(&plan("a", "2026-05-01", "2026-05-10")).await[0]
        .id()
        .clone();
    ledger.ask(&id, &worker("a"), NOW).await;
    assert!(ledger.due_windows(NOW + MINUTE - 1, 9).await.is_empty());
    let now = NOW + MINUTE;
    assert_eq!(ledger.due_windows(now, 9).await, std::slice::from_ref(&id));
    let taken = ledger.take(&id, &worker("b"), now + MINUTE, now).await;
    assert_eq!(taken, None);
    let window = ledger.table.window(&id).await.unwrap().unwrap();
    assert_eq!(window.setbacks()[0].reason, Reason::WorkerLost);
    let State::Planned { due_ms } = *window.state() else {
        panic!("{:?}", window.state())
    };
    ledger.ask(&id, &worker("b"), due_ms).await;
}

#[tokio::test]
async fn asking_and_answering_leave_their_marks_on_the_days() {
    let ledger = Ledger::start().await;
    let id = ledger.planned(&plan("a", "2026-05-01", "2026-05-10")).await[0]
        .id()
        .clone();
    ledger.ask(&id, &worker("a"), NOW).await;
    let asked = ledger
        .table
        .asked_days(&connection("a"), DataType::Daily)
        .await
        .unwrap();
    let may = asked.month_of(day("2026-05-01")).unwrap();
    assert!(may.is_pending(day("2026-05-09"), NOW + 1));
    assert!(!may.is_pending(day("2026-05-09"), NOW + ASKED_MS));
    assert!(!may.is_pending(day("2026-05-10"), NOW + 1));

    let days = vec![day("2026-05-02"), day("2026-05-10")];
    let answer = Answer {
        records: 2,
        days,
        asked_at_ms: NOW,
    };
    ledger
        .table
        .hold(&id)
        .answer(answer, NOW + 5)
        .await
        .unwrap()
        .changed()
        .unwrap();
    let asked = ledger
        .table
        .asked_days(&connection("a"), DataType::Daily)
        .await
        .unwrap();
    let may = asked.month_of(day("2026-05-01")).unwrap();
    assert_eq!(may.answered_at_ms(day("2026-05-02")), Some(NOW));
    assert_eq!(may.empty_at_ms(day("2026-05-03")), Some(NOW));
    assert_eq!(may.answered_at_ms(day("2026-05-10")), None);
    assert!(ledger.due_windows(i64::MAX / 2, 9).await.is_empty());
}

#[tokio::test]
async fn a_reference_leads_to_its_window() {
    let ledger = Ledger::start().await;
    let id = ledger.planned(&plan("a", "2026-05-01", "2026-05-10")).await[0]
        .id()
        .clone();
    let by = worker("a");
    ledger.ask(&id, &by, NOW).await;
    assert_eq!(ledger.table.window_of_request("ref").await.unwrap(), None);
    let accepted = ledger
        .table
        .hold(&id)
        .accept(&by, "ref", NOW + MINUTE, NOW)
        .await;
    assert_eq!(
        accepted.unwrap().changed().unwrap().reference(),
        Some("ref")
    );
    assert_eq!(
        ledger
            .table
            .window_of_request("ref")
            .await
            .unwrap()
            .as_ref(),
        Some(&id)
    );
    let progress = Event::Progress {
        reference: "ref".into(),
        received: 1,
        expected: Some(2),
        deadline_ms: NOW + 2 * MINUTE,
    };
    let window = ledger.apply(&id, progress, NOW).await.changed().unwrap();
    assert!(matches!(
        window.state(),
        State::Receiving {
            received: 1,
            expected: Some(2),
            ..
        }
    ));
}

#[tokio::test]
async fn what_is_due_comes_oldest_first_then_newest_days_and_no_more_than_wanted() {
    let ledger = Ledger::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let windows = ledger
            .planned(&plan(name, "2026-02-01", "2026-07-01"))
            .await;
        ids.extend(
            windows
                .into_iter()
                .map(|window| (window.due_ms(), window.rank(), window.id().clone())),
        );
    }
    ids.sort_unstable_by_key(|(due_ms, rank, id)| (*due_ms, *rank, id.backfill.clone()));
    let all: Vec<_> = ids.iter().map(|(_, _, id)| id.clone()).collect();
    let after = NOW + 60 * MINUTE;
    let due = ledger.due_windows(after, 1000).await;
    assert_eq!(due, all);
    let at_once = ids
        .iter()
        .filter(|(due_ms, ..)| *due_ms == Some(NOW))
        .count();
    assert_eq!(at_once, 12);
    assert_eq!(ledger.due_windows(NOW, 1000).await, all[..at_once]);
    assert_eq!(ledger.due_windows(NOW, 5).await, all[..5]);
    assert!(ledger.due_windows(NOW - 1, 5).await.is_empty());
    assert_eq!(due[0].span, span("2026-06-16", "2026-07-01"));
}
