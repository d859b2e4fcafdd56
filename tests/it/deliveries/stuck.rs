//! A destination or a record that is stuck holds up nothing else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use destinations::{
    config::{KindName, Secrets},
    id::RecordId,
    sign,
};
use domain::delivery::{
    Destination,
    order::{Order, Purpose, Range},
};
use futures::stream;
use jiff::SignedDuration;
use rand::{SeedableRng as _, rngs::StdRng};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::{
    far_end::{FarEnd as _, Files, Receiver},
    home::{Home, post_all, webhooks},
};

/// Failed calls in a row after which a destination is left alone, and one more for each shard that was at it.
const MOST_CALLS: usize = 5 + 3;

/// A server that answers every request so, with the number of requests.
async fn answering(answer: fn() -> Response) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let router = Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(answer())
    });
    tokio::spawn(axum::serve(listener, router).into_future());
    (port, calls)
}

/// A server that takes every connection and never says anything.
async fn silent() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((client, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            held.push(client);
        }
    });
    (port, calls)
}

/// Gigabytes, for whoever listens to them.
fn endless(status: StatusCode) -> Response {
    let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65536]));
    (status, Body::from_stream(stream::repeat_with(chunk))).into_response()
}

fn webhook(port: u16) -> (Value, Secrets) {
    let url = format!("http://127.0.0.1:{port}/");
    let secret = sign::Secret::generate().expose_secret().to_owned();
    let secrets = Map::from_iter([("secret".to_owned(), json!(secret))]);
    (json!({"url": url, "timeout_s": 1}), Secrets::new(secrets))
}

/// Every fault of its own destination: what it is, its port, its calls, and words of the finding.
async fn stuck() -> Vec<(&'static str, u16, Arc<AtomicUsize>, &'static str)> {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = nobody.local_addr().unwrap().port();
    let mut stuck = vec![("nobody listens", nobody, Arc::default(), "refused")];
    let (port, calls) = silent().await;
    stuck.push(("never answers", port, calls, "did not answer in time"));
    let answers: [(_, fn() -> Response, _); 4] = [
        (
            "answers gigabytes",
            || endless(StatusCode::INTERNAL_SERVER_ERROR),
            "cannot serve now",
        ),
        (
            "redirects",
            || (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response(),
            "redirects to",
        ),
        (
            "refuses the signature",
            || StatusCode::UNAUTHORIZED.into_response(),
            "refuses our signature",
        ),
        (
            "asks for less",
            || StatusCode::TOO_MANY_REQUESTS.into_response(),
            "fewer requests",
        ),
    ];
    for (name, answer, words) in answers {
        let (port, calls) = answering(answer).await;
        stuck.push((name, port, calls, words));
    }
    stuck
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
async fn stuck_destinations_hold_up_no_other_and_get_everything_once_they_are_mended() {
    let home = Home::start().await;
    let mut added = Vec::new();
    for (name, port, calls, words) in stuck().await {
        let (config, secrets) = webhook(port);
        let call_it = |destination: &mut Destination| name.clone_into(&mut destination.name);
        let destination = home.add(KindName::Webhook, config, &secrets, call_it).await;
        added.push((destination, calls, words));
    }
    let (files, receiver) = (Files::new(), Receiver::start().await);
    let folder = home.add_far(&files).await;
    home.add_far(&receiver).await;

    let (made, _) = webhooks(6);
    post_all(&home, &made, &mut StdRng::seed_from_u64(1)).await;
    home.idle().await;
    // No time passed, and nothing was tried anew.
    let store = home.store().await;
    let revisions: BTreeMap<RecordId, u64> = files
        .held()
        .await
        .into_iter()
        .map(|(id, held)| (id, held.revision))
        .collect();
    let table = &home.world.system.table;
    let health = table.health(&folder.id).await.unwrap();
    assert_eq!(revisions, store, "{health:?}");
    assert_eq!(receiver.revisions(), store);
    for (destination, calls, words) in &added {
        let name = &destination.name;
        let health = table.health(&destination.id).await.unwrap();
        let fault = health.breaker.fault.unwrap();
        assert!(fault.contains(words), "{name}: {fault}");
        assert!(!health.owing.is_empty(), "{name}");
        let calls = calls.load(Ordering::SeqCst);
        assert!(calls <= MOST_CALLS, "{name} was called {calls} times");
    }

    home.advance(SignedDuration::from_hours(9));
    let app = &home.world.system.deliver;
    for (destination, ..) in &added {
        let health = table.health(&destination.id).await.unwrap();
        let owed_for_ms = deliver::owed_for_ms(app, destination, &health, home.now_ms());
        assert!(
            owed_for_ms.await.unwrap() > 8 * 3_600_000,
            "{}",
            destination.name
        );
        let is_refused = ["redirects", "refuses the signature"];
        let is_refused = is_refused.contains(&destination.name.as_str());
        assert_eq!(
            health.breaker.is_stopped(),
            is_refused,
            "{}",
            destination.name
        );
    }

    // Somebody enters the right addresses.
    for (destination, _, _) in added {
        let receiver = Receiver::start().await;
        let config = json!({"url": receiver.settings()["url"]});
        let mend = |destination: &mut Destination| {
            destination.config = serde_json::from_value(config.clone()).unwrap();
        };
        table
            .change_destination(&destination.id, mend)
            .await
            .unwrap();
        home.settle(&destination).await;
        assert_eq!(receiver.revisions(), store, "{}", destination.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_holds_up_no_other() {
    let home = Home::start().await;
    let receiver = Receiver::start().await;
    let destination = home.add_far(&receiver).await;
    *receiver.inbox.refuses.lock().unwrap() = Some("sleep".to_owned());
    let (made, _) = webhooks(7);
    post_all(&home, &made, &mut StdRng::seed_from_u64(2)).await;
    home.idle().await;
    let store = home.contents().await;
    let arrived = receiver.revisions();
    let (refused, taken): (Vec<_>, Vec<_>) = store
        .iter()
        .map(|(id, held)| (id, held.revision))
        .partition(|(id, _)| !arrived.contains_key(id));
    assert!(!refused.is_empty() && taken.len() > refused.len());
    assert!(taken.iter().all(|(id, revision)| arrived[id] == *revision));
    let table = &home.world.system.table;
    let health = table.health(&destination.id).await.unwrap();
    assert_eq!(health.breaker.probe_at_ms, None, "it is not left alone");
    let first_failed_ms = home.now_ms();

    // For three days it is tried again; then it is listed, and nothing is owed any more.
    let app = &home.world.system.deliver;
    for _ in 0..100 {
        home.advance(SignedDuration::from_hours(1));
        home.look().await;
        let health = table.health(&destination.id).await.unwrap();
        if health.owing.is_empty() {
            break;
        }
        // That records wait for their own next try is no sign of a destination that takes nothing.
        let owed_for_ms = deliver::owed_for_ms(app, &destination, &health, home.now_ms());
        assert!(owed_for_ms.await.unwrap() < 3_600_000);
    }
    let hours = (home.now_ms() - first_failed_ms) / 3_600_000;
    assert!((72..=80).contains(&hours), "{hours} hours");
    let failed = table.failed(&destination.id, None, 100).await.unwrap();
    assert_eq!(failed.len(), refused.len());
    assert!(
        failed
            .iter()
            .all(|it| it.fault.as_deref() == Some("the receiver refuses the content"))
    );
    assert_eq!(receiver.revisions(), arrived);

    // A redrive that arrives takes them off the list.
    assert!(table.health(&destination.id).await.unwrap().has_failed);
    *receiver.inbox.refuses.lock().unwrap() = None;
    let purpose = Purpose::Redrive { force: false };
    let order = Order::new("1".to_owned(), purpose, Range::default(), home.now_ms());
    table.put_order(&destination.id, &order).await.unwrap();
    home.settle(&destination).await;
    assert_eq!(table.failed(&destination.id, None, 100).await.unwrap(), []);
    assert_eq!(receiver.revisions(), home.store().await);
}
