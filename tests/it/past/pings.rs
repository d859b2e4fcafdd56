//! Data that Terra offers by pings: what happens while nobody can fetch them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{
    history::{backfill::Kind as BackfillKind, window::State},
    message::{HistoryMessage, LostPayload},
    plan::{self, ParkReason},
};
use history_fetch::FetchVia;
use jiff::{SignedDuration, Timestamp};
use models::{event::Event, headers::TerraHeaders, ids::WebhookId};
use runtime::{
    metrics::Sink,
    queue::{
        Queue,
        local::{Durability, LocalQueues, QueueSettings},
    },
};
use simulator::{Emission, TruthSettings};
use store::{archive::Archive, table::ledger::Outcome};
use terrarium::{
    gateway,
    system::{EVENTS_QUEUE, PINGS_QUEUE},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{DAY, HOUR, PROVIDERS, Past, SOON, Wish, deliverer, reading};
use crate::world::SECRET;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn wish() -> Wish {
    let start = "2026-03-02T09:30:00Z".parse().unwrap();
    let people = TruthSettings {
        providers_per_person: 2,
        history_days: 10,
        updates_per_day: 2,
        ..TruthSettings::new(5, 2, &PROVIDERS, start)
    };
    Wish {
        pings: true,
        max_days: Some(20),
        ..Wish::new(people)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_fails_for_two_minutes_costs_no_payload() {
    let mut past = Past::start(wish()).await;
    past.live(DAY, HOUR * 12).await;
    let before = past.now();
    past.advance(HOUR * 12);
    let failing_until = past.now() + MINUTE * 2;
    past.payloads.fail_until(failing_until);
    past.settle().await;

    assert!(past.now() >= failing_until, "nothing had to be tried again");
    past.assert_emitted_is_stored(before, failing_until - MINUTE * 2)
        .await;
    let (followed, lost) = past.pings().await;
    assert!(followed > 0);
    assert_eq!(lost, 0);
    assert_eq!(past.dead_letters().await, 0);
    past.live(DAY * 4, DAY).await;
    past.assert_complete();
    past.assert_well_behaved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_down_for_ten_minutes_asks_again_for_what_expired() {
    let mut past = Past::start(wish()).await;
    past.live(DAY, HOUR * 12).await;
    let before = past.now();
    past.advance(HOUR * 12);
    let emitted_until = past.now();
    let intake = past.leave_only_the_intake().await;
    let posted = past.postman.post_until_now().await;
    assert!(posted.acknowledged > 0);
    assert_eq!(posted.failed, 0, "a ping is durable before it is answered");
    past.advance(MINUTE * 10);
    intake.end().await;
    past.start_again().await;

    // No comparison and no search for missing days: only windows that are due.
    past.settle().await;
    let (_, lost) = past.pings().await;
    assert!(lost > 0, "nothing expired");
    past.advance(SOON * 2);
    past.settle().await;
    while past.has_due(SOON).await {
        past.advance(SOON);
        past.settle().await;
    }
    past.assert_emitted_is_stored(before, emitted_until).await;
    past.assert_asked_together().await;
    assert_eq!(past.dead_letters().await, 0);
    past.live(DAY * 4, DAY).await;
    past.assert_complete();
    past.assert_well_behaved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_history_that_was_offered_and_expired_the_very_windows_are_asked_for_again() {
    let mut past = Past::start(Wish {
        via: FetchVia::Webhook,
        ..wish()
    })
    .await;
    past.advance(HOUR);
    past.payloads.fail_until(past.now() + HOUR);
    past.settle().await;
    let windows = past.windows().await.into_iter();
    let asked: BTreeSet<_> = windows
        .filter(|window| window.reference().is_some())
        .map(|window| (window.id().data_type, window.span().from()))
        .collect();
    assert!(!asked.is_empty(), "no history was under way");

    past.advance(SOON);
    past.settle().await;
    let mut again = BTreeSet::new();
    for connection in past.truth.connections() {
        let stored = past.connection(&connection.terra_user_id).await.unwrap();
        for (backfill, _) in past.backfills(&stored.id).await {
            // Payloads that nobody asked for have the days of two weeks instead, of all types.
            if backfill.plan.kind == BackfillKind::Gaps && backfill.plan.days.len() == 1 {
                let spans = backfill.plan.days.into_iter();
                again.extend(spans.flat_map(|(data_type, spans)| {
                    spans.into_iter().map(move |span| (data_type, span.from()))
                }));
            }
        }
    }
    assert!(!again.is_empty(), "nothing expired");
    assert!(again.is_subset(&asked), "{again:?} {asked:?}");

    past.payloads.fail_until(past.now());
    past.live(DAY * 4, DAY).await;
    past.assert_complete();
    assert_eq!(past.dead_letters().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_payload_of_somebody_unknown_is_asked_for_at_everybody() {
    let mut past = Past::start(wish()).await;
    past.live(DAY, HOUR * 12).await;
    let offered_at_ms = past.now().as_millisecond();
    let nobody = LostPayload {
        terra_user_id: None,
        reference_id: None,
        reference: None,
        offered_at_ms,
    };
    past.job(HistoryMessage::PayloadLost(nobody.clone())).await;
    let outages = past.system().table.outages().await.unwrap();
    assert_eq!(outages.len(), 1);
    assert_eq!(outages[0].from_ms, offered_at_ms);

    // If a person is named, their days are asked for at once.
    let users = past.truth.connections();
    let stored = past.connection(&users[0].terra_user_id).await.unwrap();
    let person = LostPayload {
        reference_id: stored.state.reference_id().cloned(),
        ..nobody
    };
    assert!(person.reference_id.is_some());
    let before = past.backfills(&stored.id).await.len();
    past.job(HistoryMessage::PayloadLost(person)).await;
    assert_eq!(past.backfills(&stored.id).await.len(), before + 1);
    let outages = past.system().table.outages().await.unwrap();
    assert_eq!(outages.len(), 1);
}

/// The intake without anything behind it, as when the router fails.
struct OnlyIntake {
    gateway: JoinHandle<()>,
}

impl OnlyIntake {
    async fn end(self) {
        self.gateway.abort();
        drop(self.gateway.await);
    }
}

impl Past {
    async fn leave_only_the_intake(&mut self) -> OnlyIntake {
        drop(self.system.take());
        let file = self.folder.path().join("queues.db");
        // The file stays locked until the last task of the system is gone.
        let queues = loop {
            match LocalQueues::open(&file, reading(&self.clock), Durability::Kill) {
                Ok(queues) => break queues,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        for name in [EVENTS_QUEUE, PINGS_QUEUE] {
            let settings = QueueSettings {
                visibility_timeout: Duration::from_secs(30),
                max_receives: None,
                dead_letter: None,
                fifo: false,
            };
            queues.queue(name, settings).await.unwrap();
        }
        let secret = models::signature::SigningSecret::new("main", SECRET).unwrap();
        let intake = webhook_intake::App {
            signing_secrets: vec![secret],
            path_token: None,
            refusals: webhook_intake::Refusals::default(),
            tolerance: models::signature::Tolerance::default(),
            events: Queue::new(queues.transport(EVENTS_QUEUE)),
            pings: Queue::new(queues.transport(PINGS_QUEUE)),
            archive: Archive::unsynced_folder(self.folder.path()).unwrap(),
            metrics: Sink::Nowhere,
        };
        let router = gateway::router(
            Arc::new(intake),
            reading(&self.clock),
            None,
            axum::Router::new(),
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        let url = format!("http://{address}{}", gateway::WEBHOOK_PATH);
        self.postman.deliver_by(deliverer(&url, &self.clock)).await;
        OnlyIntake { gateway }
    }

    /// Pings of the last two days whose payload was fetched, and those whose payload was lost.
    async fn pings(&self) -> (usize, usize) {
        let today = self.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let (mut followed, mut lost) = (0, 0);
        for day in [today, today.yesterday().unwrap()] {
            let table = &self.system().table;
            for entry in table
                .webhooks_of_day(&day.to_string(), 10_000)
                .await
                .unwrap()
            {
                followed += usize::from(entry.outcome == Outcome::Followed);
                let expired = |parked: &plan::Parked| parked.reason == ParkReason::PayloadExpired;
                lost += usize::from(entry.parked.iter().any(expired));
            }
        }
        (followed, lost)
    }

    /// Every record that Terra emitted in this time is stored, and not as it was before.
    async fn assert_emitted_is_stored(&self, from: Timestamp, until: Timestamp) {
        let mut checked = 0;
        for Emission { webhook, .. } in self.truth.webhooks_between(from, until) {
            let event = Event::parse(&webhook.body).unwrap();
            let id = WebhookId::new(webhook.trace_id.as_deref().unwrap()).unwrap();
            let emitted_at_ms = webhook.ordering_timestamp_ms.unwrap();
            let planned = plan::plan(&event, &id, &TerraHeaders::default(), emitted_at_ms);
            let askable = |data_type| domain::history::coverage::Keyed::of(data_type).is_some();
            let records = planned.records.into_iter();
            for record in records.filter(|record| askable(record.data_type)) {
                let user = webhook.terra_user_id.as_deref().unwrap();
                let stored = self.connection(user).await.unwrap();
                let owner = store::table::key::RecordOwner::Connection(stored.id);
                let table = &self.system().table;
                let found = table.records(&owner, Some(record.data_type)).await.unwrap();
                let found = found.into_iter().find(|found| found.key == record.key);
                let found = found.unwrap_or_else(|| panic!("{} is missing", record.data_type));
                let stored_at_ms = found.record.newest.version.ordering_ts_ms;
                assert!(stored_at_ms >= emitted_at_ms, "{} is old", record.data_type);
                checked += 1;
            }
        }
        assert!(checked > 0, "nothing was emitted");
    }

    /// Asserts that all lost payloads of a connection were asked for once together, and are answered.
    async fn assert_asked_together(&self) {
        let mut asked = 0;
        for connection in self.truth.connections() {
            let stored = self.connection(&connection.terra_user_id).await.unwrap();
            let backfills = self.backfills(&stored.id).await.into_iter();
            let lost: Vec<_> = backfills
                .filter(|(backfill, _)| backfill.plan.kind == BackfillKind::Gaps)
                .collect();
            let names: BTreeSet<_> = lost.iter().map(|(backfill, _)| &backfill.plan.id).collect();
            assert!(names.len() <= 1, "asked for {} times", names.len());
            for window in lost.iter().flat_map(|(_, windows)| windows) {
                let answered = matches!(window.state(), State::Done { .. } | State::Empty { .. });
                assert!(answered, "{window:?}");
                asked += 1;
            }
        }
        assert!(asked > 0, "nothing was asked for again");
    }
}
