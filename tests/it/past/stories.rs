//! History from end to end: people with a past, and what becomes of it here.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::Status,
    history::{
        coverage::Keyed,
        day::{self, Span},
        window::BackfillId,
    },
    message::HistoryMessage,
};
use history_fetch::FetchVia;
use jiff::{Timestamp, civil::Date};
use models::{data::DataType, ids::WebhookId};
use simulator::{Place, TruthSettings, api::Faults};

use super::{DAY, HOUR, PROVIDERS, Past, Wish};

fn start() -> Timestamp {
    "2026-03-02T09:30:00Z".parse().unwrap()
}

fn people(people: u64, per_person: usize, history_days: u16) -> TruthSettings {
    TruthSettings {
        providers_per_person: per_person,
        history_days,
        updates_per_day: 0,
        ..TruthSettings::new(3, people, &PROVIDERS, start())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_has_all_of_their_past_and_is_done_once() {
    let mut past = Past::start(Wish {
        max_days: Some(100),
        ..Wish::new(people(2, 3, 60))
    })
    .await;
    past.live(DAY, HOUR * 12).await;
    past.live(DAY * 12, DAY * 2).await;
    past.assert_complete();
    past.assert_well_behaved().await;
    assert_eq!(past.dead_letters().await, 0);
    for connection in past.truth.connections() {
        let stored = past.connection(&connection.terra_user_id).await.unwrap();
        for (backfill, _) in past.backfills(&stored.id).await {
            assert!(backfill.done.is_some_and(|done| done.announced));
            let said = WebhookId::fetched(&format!("{}~done", backfill.plan.id));
            let ledger = past.system().table.webhooks([&said]).await.unwrap();
            assert_eq!(ledger.len(), 1, "done is said once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terra_that_answers_nobody_for_hours_costs_no_past() {
    let mut past = Past::start(Wish {
        max_days: Some(70),
        faults: Faults {
            gateway_timeout: 1.0,
            ..Faults::none()
        },
        ..Wish::new(people(1, 1, 60))
    })
    .await;
    past.live(HOUR * 3, HOUR).await;
    past.api.set_faults(Faults::none());
    past.live(DAY * 12, DAY * 2).await;
    past.assert_complete();
    past.assert_well_behaved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fails_for_weeks_has_its_past_when_it_works_again() {
    let mut past = Past::start(Wish {
        max_days: Some(100),
        ..Wish::new(people(1, 1, 90))
    })
    .await;
    past.advance(HOUR);
    past.postman.post_until_now().await;
    past.idle().await;
    let user = past.truth.connections().remove(0);
    assert!(past.api.set_active(&user.terra_user_id, false));
    past.job(HistoryMessage::Reconcile).await;
    past.live(DAY * 17, DAY).await;
    let stored = past.connection(&user.terra_user_id).await.unwrap();
    assert_eq!(stored.state.status(), Status::Failing);
    let first = BackfillId::first(&stored.id);
    let first = past.system().table.backfill(&first).await.unwrap().unwrap();
    let done = first.done.unwrap();
    assert!(done.totals.skipped > 0, "its end was not waited for");

    assert!(past.api.set_active(&user.terra_user_id, true));
    past.live(DAY * 12, DAY * 2).await;
    past.assert_complete();
    past.assert_well_behaved().await;
}

/// Counts the requests for each day of each person's types that is settled after four weeks. Returns
/// them with the days of an outage of webhooks, if there was one.
async fn asked_in_four_weeks(outage: bool) -> (BTreeMap<(String, DataType, Date), usize>, Span) {
    let mut past = Past::start(Wish {
        max_days: Some(60),
        ..Wish::new(people(2, 2, 20))
    })
    .await;
    past.live(DAY * 2, HOUR * 12).await;
    past.assert_complete();
    let before = past.now();
    if outage {
        past.lose_webhooks().await;
    }
    past.live(DAY * 3, HOUR * 12).await;
    let after = past.now();
    assert_eq!(past.postman.is_switched_off().await, outage);
    if outage {
        past.take_webhooks_again().await;
    }
    past.live(DAY * 2, HOUR * 12).await;
    past.live(DAY * 20, DAY).await;

    past.assert_complete();
    past.assert_well_behaved().await;
    let outages = past.system().table.outages().await.unwrap();
    assert_eq!(outages.len(), usize::from(outage));
    // A day of the outage begins and ends somewhere on Earth, and may be sent for late.
    let from = day::plus(day::earliest_on_earth(before.as_millisecond()), -2);
    let until = day::plus(day::latest_on_earth(after.as_millisecond()), 3);
    let settled = past.settled_until();
    let mut asked = BTreeMap::new();
    let mut planned = BTreeSet::new();
    for user in past.truth.connections() {
        let stored = past.connection(&user.terra_user_id).await.unwrap();
        for window in past.windows_of(&stored.id).await {
            let days = window.request();
            planned.insert((user.terra_user_id.clone(), days.from(), days.until()));
            for day in window.span().days().filter(|day| *day < settled) {
                let of = (user.terra_user_id.clone(), window.id().data_type, day);
                *asked.entry(of).or_insert(0) += 1;
            }
        }
    }
    // The windows count the requests that were really sent.
    for request in past.api.requests() {
        if let (Some(user), Some((first, last))) = (request.user_id, request.days) {
            assert!(planned.contains(&(user, first, last)), "{first}..{last}");
        }
    }
    (asked, Span::new(from, until).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
async fn an_outage_of_three_days_is_found_and_only_its_days_are_asked_for() {
    // The same people, once with an outage and once without.
    let (asked, lost) = asked_in_four_weeks(true).await;
    let (asked_anyway, _) = asked_in_four_weeks(false).await;
    // Sessions are asked for anyway, each day once: there may be any number a day, and only an answer
    // tells that there are no more.
    for ((_, data_type, day), times) in &asked {
        let sessions = Keyed::of(*data_type) == Some(Keyed::Sessions);
        assert!(
            *times == 1 || !sessions || lost.contains(*day),
            "{data_type} {day}: {times} times"
        );
    }
    let more = asked.iter().filter(|(of, times)| {
        let anyway = asked_anyway.get(of).copied().unwrap_or_default();
        **times > anyway
    });
    let more: Vec<_> = more.map(|(of, _)| of).collect();
    assert!(more.len() > 3, "no lost day was asked for");
    for (user, data_type, day) in more {
        assert!(
            lost.contains(*day),
            "{user} {data_type}: {day} asked for, {lost:?} lost"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_imported_by_comparing_and_who_is_gone_is_ended() {
    let mut past = Past::start(Wish {
        max_days: Some(40),
        ..Wish::new(people(3, 2, 20))
    })
    .await;
    past.lose_webhooks().await;
    past.advance(HOUR);
    past.job(HistoryMessage::Reconcile).await;
    let users = past.truth.connections();
    for user in &users {
        let stored = past.connection(&user.terra_user_id).await.unwrap();
        assert_eq!(stored.state.status(), Status::Active);
        assert_eq!(
            stored.state.reference_id().unwrap().as_str(),
            user.reference_id
        );
    }
    past.take_webhooks_again().await;
    past.live(DAY * 12, DAY * 2).await;
    past.assert_complete();

    assert!(past.api.vanish(&users[0].terra_user_id));
    past.advance(HOUR);
    past.job(HistoryMessage::Reconcile).await;
    for (place, user) in users.iter().enumerate() {
        let stored = past.connection(&user.terra_user_id).await.unwrap();
        let status = if place == 0 {
            Status::Ended
        } else {
            Status::Active
        };
        assert_eq!(stored.state.status(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
async fn a_year_comes_as_large_requests_that_lose_and_repeat_chunks() {
    let mut past = Past::start(Wish {
        max_days: Some(400),
        via: FetchVia::LargeRequest,
        faults: Faults {
            seed: 8,
            chunk_missing: 0.3,
            chunk_repeated: 0.2,
            chunks_early: 0.3,
            count_missing: 0.5,
            silence: 0.1,
            ..Faults::none()
        },
        ..Wish::new(people(2, 1, 300))
    })
    .await;
    past.live(DAY * 4, HOUR * 12).await;
    past.api.set_faults(Faults::none());
    past.live(DAY * 14, DAY * 2).await;
    past.assert_complete();
    past.assert_well_behaved().await;
    let large = past
        .api
        .requests()
        .into_iter()
        .filter_map(|asked| asked.days)
        .filter(|&(from, until)| day::between(from, until) > 300);
    assert!(large.count() > 0, "no year was asked for at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_as_webhooks_end_their_windows() {
    let mut past = Past::start(Wish {
        max_days: Some(40),
        via: FetchVia::Webhook,
        faults: Faults {
            seed: 5,
            chunk_missing: 0.1,
            chunk_repeated: 0.2,
            chunks_early: 0.3,
            silence: 0.1,
            rate_limit_hit: 0.1,
            ..Faults::none()
        },
        ..Wish::new(people(2, 2, 20))
    })
    .await;
    past.live(DAY * 4, HOUR * 12).await;
    past.api.set_faults(Faults::none());
    // A type without a record every day is asked for when a week has waited.
    past.live(DAY * 12, DAY * 2).await;
    past.assert_complete();
    past.assert_well_behaved().await;
}

/// Places as far from UTC as clocks go and further, with days that are longer and shorter, and on the
/// way.
const PLACES: [Place; 4] = [
    Place::At(14 * 60),
    Place::At(-14 * 60),
    Place::Europe,
    Place::AcrossTheDateLine,
];

/// Tests that in the end no day of a person at any of the [`PLACES`] is missing and none is there twice,
/// fetched or come by themselves, over a change of clocks.
async fn days_are_days_everywhere(start: &str, utc_days: bool) {
    let start: Timestamp = start.parse().unwrap();
    let mut past = Past::start(Wish {
        max_days: Some(40),
        utc_days,
        ..Wish::new(TruthSettings {
            places: PLACES.to_vec(),
            start,
            // Each provider at two of the places.
            ..people(12, 1, 20)
        })
    })
    .await;
    past.live(DAY * 5, HOUR * 12).await;
    past.lose_webhooks().await;
    past.live(DAY * 2, DAY).await;
    past.take_webhooks_again().await;
    past.live(DAY * 14, DAY * 2).await;
    past.assert_complete();
    past.assert_well_behaved().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
async fn a_day_of_23_hours_is_a_day_and_so_are_those_of_travellers() {
    days_are_days_everywhere("2026-03-27T09:30:00Z", false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
async fn a_day_of_25_hours_is_a_day_also_where_terra_counts_in_utc() {
    days_are_days_everywhere("2026-10-23T09:30:00Z", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_means_nothing_while_terra_fetches_by_itself_however_it_comes() {
    for via in [FetchVia::Answer, FetchVia::Webhook, FetchVia::LargeRequest] {
        let mut past = Past::start(Wish {
            max_days: Some(60),
            via,
            // In the first two hours, as the stand-in has it.
            faults: Faults {
                empty: 1.0,
                ..Faults::none()
            },
            trust_empty_after: history_fetch::TRUST_EMPTY_AFTER,
            ..Wish::new(people(1, 1, 40))
        })
        .await;
        past.live(HOUR, HOUR / 2).await;
        assert!(
            !past.api.requests().is_empty(),
            "nothing was asked so early"
        );
        past.live(DAY * 12, DAY * 2).await;
        past.assert_complete();
        past.assert_well_behaved().await;
    }
}
