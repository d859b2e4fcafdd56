//! Asked days under many hands.

use std::collections::BTreeSet;

use domain::{
    Join as _,
    history::{asked::AskedDays, day::Span},
};
use futures::future::join_all;
use models::data::DataType;

use crate::ledger::{Ledger, NOW, connection, day, span};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_day_is_won_by_one_of_many_gap_finders() {
    let ledger = Ledger::start().await;
    let connection = connection("a");
    let wanted: Vec<BTreeSet<_>> = (0..6)
        .map(|shift| {
            let from = domain::history::day::plus(day("2026-04-25"), shift);
            let until = domain::history::day::plus(from, 10);
            Span::new(from, until).unwrap().days().collect()
        })
        .collect();
    let claim = |days| {
        ledger
            .table
            .claim_days(&connection, DataType::Daily, days, NOW)
    };
    let won = join_all(wanted.iter().map(claim)).await;
    let won: Vec<BTreeSet<_>> = won.into_iter().map(Result::unwrap).collect();
    let all: BTreeSet<_> = wanted.iter().flatten().copied().collect();
    assert_eq!(won.iter().map(BTreeSet::len).sum::<usize>(), all.len());
    assert_eq!(won.into_iter().flatten().collect::<BTreeSet<_>>(), all);
    let again = ledger
        .table
        .claim_days(&connection, DataType::Daily, &all, NOW + 1)
        .await;
    assert!(again.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_of_many_workers_are_all_kept() {
    let ledger = Ledger::start().await;
    let connection = connection("a");
    let april = span("2026-04-20", "2026-05-10");
    let notes: Vec<_> = april
        .days()
        .zip(0..)
        .map(|(day, second)| {
            let with_records = (second % 2 == 0).then_some(day);
            AskedDays::answer(Span::of_day(day), with_records, NOW + second)
        })
        .collect();
    let note = |note: &AskedDays| {
        ledger
            .table
            .note_asked(&connection, DataType::Sleep, note.clone())
    };
    for written in join_all(notes.iter().map(note)).await {
        written.unwrap();
    }
    let expected = notes.into_iter().reduce(domain::Join::join).unwrap();
    let stored = ledger
        .table
        .asked_days(&connection, DataType::Sleep)
        .await
        .unwrap();
    assert_eq!(stored, expected);
    assert_eq!(stored.clone().join(expected), stored);
    let other = ledger
        .table
        .asked_days(&connection, DataType::Daily)
        .await
        .unwrap();
    assert_eq!(other, AskedDays::default());
}
