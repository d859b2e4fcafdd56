//! A year of many people, with every fault there is, restarts and `kill -9`.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    connection::Status,
    history::window::{Window, retry::Reason},
};
use history_fetch::FetchVia;
use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use simulator::{
    Provider, TruthSettings,
    api::{Fault, Faults, Forms, Rule},
};
use terrarium::history::HistoryOptions;

use super::{DAY, HOUR, Past, Wish, history_options, start};
use crate::child;

/// Name of the test that is killed.
pub(super) const CHILD: &str = "past::year::a_system_that_fetches_until_it_is_killed";

/// Between them all that goes wrong: Garmin prepares first, Fitbit and Withings have limits of their own,
/// and the others have little, so that many people fit in.
const PROVIDERS: [Provider; 6] = [
    Provider::Core,
    Provider::Cronometer,
    Provider::Fitbit,
    Provider::FreestyleLibre,
    Provider::Garmin,
    Provider::Withings,
];
/// Days before anybody connects; with those that are lived through they are a year.
const DAYS_OF_PAST: u16 = 335;
/// Number of people of whom one comes back under a new id, one vanishes, and one's token dies for a
/// while.
const OF_MANY: usize = 6;
/// With fewer people, windows may all be done when a process is killed.
const ENOUGH_TO_HIT: usize = 100;

/// Ways in which windows are asked for and answered, in turns.
pub(super) const WAYS: [(FetchVia, Forms); 3] = [
    (FetchVia::Answer, Forms::Current),
    (FetchVia::LargeRequest, Forms::Current),
    (FetchVia::Webhook, Forms::Former),
];

/// The place of this way among the [`WAYS`].
pub(super) fn place_of(via: FetchVia) -> usize {
    WAYS.iter().position(|(way, _)| *way == via).unwrap()
}

/// Settings of the child for a stand-in Terra.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) api_url: String,
    /// The place of a [way](WAYS) whose first half it is.
    pub(super) way: usize,
    pub(super) max_days: Option<u32>,
    pub(super) trust_empty_after: Duration,
    pub(super) now_ms: i64,
}

impl Orders {
    pub(super) fn write(&self, folder: &Path) {
        let orders = serde_json::to_vec(self).unwrap();
        std::fs::write(folder.join("orders.json"), orders).unwrap();
    }

    fn read(folder: &Path) -> Self {
        let orders = std::fs::read(folder.join("orders.json")).unwrap();
        serde_json::from_slice(&orders).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of the test below, which starts it"]
async fn a_system_that_fetches_until_it_is_killed() {
    let Some(folder) = child::folder() else {
        return;
    };
    drop(crate::world::client());
    let orders = Orders::read(&folder);
    let history = HistoryOptions {
        trust_empty_after: orders.trust_empty_after,
        ..history_options(&orders.api_url, WAYS[orders.way].0, orders.max_days)
    };
    let begun = Instant::now();
    let clock = move || {
        let ms = i64::try_from(begun.elapsed().as_millis()).unwrap();
        Timestamp::from_millisecond(orders.now_ms + ms).unwrap()
    };
    let system = start(&folder, &history, Arc::new(clock)).await;
    let app = system.history.as_ref().unwrap();
    let work = async |name: &str| {
        loop {
            let worker = format!("{name}-{}", orders.now_ms);
            let until = clock() + HOUR;
            drop(history_fetch::work(app, &worker, until).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = child::serve(&folder, &system) => {}
        () = work("one") => {}
        () = work("other") => {}
    }
}

/// Number of people: 200, or the number in `TERRARIUM_YEAR_PEOPLE`.
fn people() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
    let told = std::env::var("TERRARIUM_YEAR_PEOPLE").ok();
    told.map_or(200, |told| told.parse().unwrap())
}

/// All there are: those of chance, and providers that answer no more than a week, or not many bytes.
fn faults() -> Faults {
    let beyond_a_week = |provider, fault| Rule {
        provider: Some(provider),
        more_than_days: Some(7),
        times: Some(40),
        ..Rule::always(fault)
    };
    Faults {
        rules: vec![
            beyond_a_week(Provider::Withings, Fault::GatewayTimeout),
            beyond_a_week(Provider::Fitbit, Fault::TooLarge),
        ],
        ..Faults::some(11)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes: .ci/run runs it"]
async fn a_year_with_every_fault_ends_complete_and_true() {
    let begun = Instant::now();
    let start = "2026-03-02T09:30:00Z".parse().unwrap();
    let mut past = Past::start(Wish {
        max_days: Some(365),
        faults: faults(),
        trust_empty_after: history_fetch::TRUST_EMPTY_AFTER,
        ..Wish::new(TruthSettings {
            providers_per_person: 1,
            history_days: DAYS_OF_PAST,
            updates_per_day: 1,
            connect_within: DAY,
            ..TruthSettings::new(3, people(), &PROVIDERS, start)
        })
    })
    .await;
    let mut dice = StdRng::seed_from_u64(9);
    let mut life = || Duration::from_millis(dice.random_range(50..1_500));
    let step = HOUR * 8;
    for phase in 0..4 {
        past.advance(HOUR * 8);
        for turn in 0..3 {
            // The last is the default: what is left of the past is asked for in it.
            past.go_the_way(phase + turn + 1);
            past.work_until_killed(life()).await;
        }
    }
    past.live(DAY, step).await;

    let users = past.truth.connections();
    let every = |first: usize| users.iter().skip(first).step_by(OF_MANY);
    for user in every(0) {
        past.api.reauthenticate(&user.terra_user_id).unwrap();
    }
    for user in every(1) {
        assert!(past.api.vanish(&user.terra_user_id));
    }
    for user in every(2) {
        past.api.kill_token(&user.terra_user_id);
    }
    past.go_the_way(2);
    past.work_until_killed(life()).await;
    past.live(DAY, step).await;
    past.go_the_way(1);
    past.crash().await;
    for user in every(2) {
        past.api.revive_token(&user.terra_user_id);
    }
    past.live(DAY, step).await;
    past.lose_webhooks().await;
    past.live(DAY * 3, DAY).await;
    past.go_the_way(0);
    past.work_until_killed(life()).await;
    past.live(DAY, step).await;
    // Days that were given up are claimed again after a pause; then the world behaves.
    past.api.set_faults(Faults::none());
    past.live(DAY * 20, DAY * 5).await;

    for user in every(1) {
        let vanished = past.connection(&user.terra_user_id).await.unwrap();
        assert_eq!(vanished.state.status(), Status::Ended);
    }
    let gone: Vec<_> = every(1).map(|user| user.terra_user_id.as_str()).collect();
    let (days, records) = past.assert_complete_but(&gone);
    let windows = past.assert_well_behaved().await;
    let lost = |window: &&Window| {
        let mut setbacks = window.setbacks().iter();
        setbacks.any(|setback| setback.reason == Reason::WorkerLost)
    };
    let lost = windows.iter().filter(lost).count();
    assert!(
        lost > 0 || users.len() < ENOUGH_TO_HIT,
        "no worker was lost"
    );
    println!(
        "{} people, {} requests in {} windows, {lost} of them taken over, \
         {days} days known, {records} records compared, {:?}",
        users.len(),
        past.api.requests().len(),
        windows.len(),
        begun.elapsed()
    );
}
