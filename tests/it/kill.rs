//! `kill -9` under load: what was answered with 200 is there afterwards, once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use models::ids::WebhookId;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use simulator::{Webhook, scenario::Lively};
use terrarium::system::{Options, System};

use crate::{
    child::{self, Running},
    fold::{assert_same, fold, headers_of, stored},
    world::{SECRET, World, client, now, terra},
};

const ROUNDS: usize = 5;
const WEBHOOKS: usize = 900;
const SENDERS: usize = 12;

fn options(folder: &Path) -> Options {
    let mut options = crate::world::options(folder);
    options.visibility_timeout = Duration::from_secs(2);
    options
}

/// The process that is killed: a system until then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of the test below, which starts it"]
async fn a_system_to_be_killed() {
    let Some(folder) = child::folder() else {
        return;
    };
    let system = System::start(options(&folder), None).await.unwrap();
    child::serve(&folder, &system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_with_200_survives_a_kill_at_any_moment() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut dice = StdRng::seed_from_u64(7);
    let mut lively = Lively::new(terra(70), None);
    let mut at = lively.world().now();
    let webhooks: Vec<Webhook> = std::iter::repeat_with(|| {
        at = at.checked_add(Duration::from_millis(20)).unwrap();
        lively.next_at(at)
    })
    .filter(|webhook| webhook.trace_id.is_some() && webhook.ordering_timestamp_ms.is_some())
    .take(WEBHOOKS)
    .collect();
    let waiting: Arc<Mutex<VecDeque<Webhook>>> = Arc::new(Mutex::new(webhooks.clone().into()));
    let answered = Arc::new(AtomicUsize::new(0));
    let http = client();

    for round in 0..ROUNDS {
        let (mut child, url) = Running::start("kill::a_system_to_be_killed", folder.path());
        let goal = answered.load(Ordering::SeqCst) + dice.random_range(1..WEBHOOKS / ROUNDS / 3);
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (waiting, answered) = (Arc::clone(&waiting), Arc::clone(&answered));
                tokio::spawn(send_until_killed(
                    http.clone(),
                    url.clone(),
                    waiting,
                    answered,
                ))
            })
            .collect();
        // At a random number of answers, and a random moment after it.
        let deadline = Instant::now() + Duration::from_secs(30);
        while answered.load(Ordering::SeqCst) < goal {
            assert!(
                Instant::now() < deadline,
                "round {round}: nothing is taken any more"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.random_range(0..60_000))).await;
        child.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    }

    let system = System::start(options(folder.path()), None).await.unwrap();
    let world = World {
        system,
        http,
        folder,
    };
    let rest: Vec<Webhook> = waiting.lock().unwrap().drain(..).collect();
    for webhook in &rest {
        world.deliver(webhook).await;
    }
    world.idle().await;
    assert!(world.dead_letters().await.is_empty());
    everything_is_there_once(&world, &webhooks).await;
    world.system.stop().await;
}

/// Sends what is waiting; what is not answered with 200 waits again, as Terra tries again.
async fn send_until_killed(
    http: reqwest::Client,
    url: String,
    waiting: Arc<Mutex<VecDeque<Webhook>>>,
    answered: Arc<AtomicUsize>,
) {
    loop {
        let Some(webhook) = waiting.lock().unwrap().pop_front() else {
            return;
        };
        let headers = webhook.signed_headers(SECRET.as_bytes(), now().as_second());
        let request = headers
            .into_iter()
            .fold(http.post(&url), |request, (name, value)| {
                request.header(name, value)
            });
        let sent = request.body(webhook.body.clone()).send().await;
        let taken = sent
            .as_ref()
            .is_ok_and(|response| response.status().is_success());
        if taken {
            answered.fetch_add(1, Ordering::SeqCst);
        } else {
            waiting.lock().unwrap().push_back(webhook);
        }
        if sent.is_err() {
            return;
        }
    }
}

async fn everything_is_there_once(world: &World, webhooks: &[Webhook]) {
    let ids: Vec<_> = webhooks
        .iter()
        .map(|webhook| WebhookId::of(&headers_of(webhook), &webhook.body))
        .collect();
    let known = world.system.table.webhooks(&ids).await.unwrap();
    for (id, webhook) in ids.iter().zip(webhooks) {
        let entry = known
            .get(id)
            .unwrap_or_else(|| panic!("{id} was answered and is lost"));
        let archived = world
            .system
            .archive
            .read_webhook(entry.locator.as_ref().unwrap())
            .await;
        assert!(archived.unwrap().body == webhook.body, "{id}");
    }
    let mut lines = BTreeMap::<String, usize>::new();
    let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
    for day in [today.yesterday().unwrap(), today] {
        for entry in world
            .system
            .table
            .webhooks_of_day(&day.to_string(), 10_000)
            .await
            .unwrap()
        {
            *lines.entry(entry.webhook_id.to_string()).or_default() += 1;
        }
    }
    assert!(lines.values().all(|count| *count == 1));
    // Some are sent twice by themselves.
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(lines.len(), distinct.len());

    let signed_at_s = now().as_second();
    let expected = fold(webhooks.iter().map(|webhook| (webhook, signed_at_s)));
    assert!(expected.records.len() > 50, "{}", expected.records.len());
    let found = stored(&world.system.table, &expected).await;
    assert_same(&found, &expected, "after the kills");
}
