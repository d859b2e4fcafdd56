//! Jobs of history that must not be done: before Terra's credentials are there, and in an endless chain.

use std::{sync::Arc, time::Duration};

use domain::{
    message::{HistoryMessage, MAX_STEPS},
    pacing::Quotas,
};
use history_fetch::{App, FetchSettings, FetchVia, HistoryError, TRUST_EMPTY_AFTER};
use jiff::SignedDuration;
use runtime::{metrics::Sink, queue::Queue};
use terra_client::api::Settings;
use terrarium::system::{BACKFILL_EVENTS_QUEUE, HISTORY_QUEUE};

use crate::world::{World, now};

pub(crate) fn app(world: &World, lacks_credentials: bool) -> App {
    let system = &world.system;
    let settings = Settings::new("placeholder", "no key".into());
    App {
        table: system.table.clone(),
        archive: system.archive.clone(),
        terra: history_fetch::terra_client(settings).unwrap(),
        lacks_credentials,
        backfill_events: Queue::new(system.queues.transport(BACKFILL_EVENTS_QUEUE)),
        jobs: Queue::new(system.queues.transport(HISTORY_QUEUE)),
        fetch: FetchSettings {
            via: FetchVia::Answer,
            max_days: None,
            quotas: Quotas::default(),
        },
        trust_empty_after: TRUST_EMPTY_AFTER,
        spread: Duration::ZERO,
        clock: Arc::new(now),
        metrics: Sink::Nowhere,
        supported: history_fetch::Supported::default(),
    }
}

fn link(step: u32) -> HistoryMessage {
    HistoryMessage::FindGapsOf {
        shard: 1,
        after: None,
        whole: false,
        step,
        counted: Box::default(),
    }
}

/// Jobs in the queue that are held back, and all of them.
async fn queued(world: &World) -> (u64, u64) {
    let stats = world.system.queues.stats(HISTORY_QUEUE).await.unwrap();
    (stats.delayed, stats.total())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_for_terras_credentials_and_a_look_for_work_says_that_they_lack() {
    let world = World::start().await;
    let app = app(&world, true);
    let until = now() + SignedDuration::from_mins(1);
    let look = history_fetch::run(&app, HistoryMessage::Work, "w", until).await;
    assert!(matches!(look, Err(HistoryError::NoCredentials)), "{look:?}");
    assert_eq!(queued(&world).await, (0, 0));
    for (waiting, job) in [(1, HistoryMessage::Reconcile), (2, link(3))] {
        history_fetch::run(&app, job, "w", until).await.unwrap();
        assert_eq!(queued(&world).await, (waiting, waiting));
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_jobs_ends_by_its_own_bound() {
    let world = World::start().await;
    let app = app(&world, false);
    let until = now() + SignedDuration::from_mins(1);
    history_fetch::run(&app, link(MAX_STEPS), "w", until)
        .await
        .unwrap();
    let endless = history_fetch::run(&app, link(MAX_STEPS + 1), "w", until).await;
    assert!(matches!(endless, Err(HistoryError::Endless)), "{endless:?}");
    assert_eq!(queued(&world).await, (0, 0));
    world.system.stop().await;
}
