//! Tests that calls are repeated and wait as they should, and that our own limits come before Terra's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::pacing::{ProviderQuota, Quota};
use jiff::{ToSpan, civil::date};
use models::{data::DataType, ids::TerraUserId};
use terra_client::api::{
    DataAnswer, DateRange, Jitter, Limit, Settings, TerraClient, TerraError, TooMuch, Via,
};

use crate::stub::{
    Content, Reply, Stub, ask, client, odd, provider, reply, request, user_id, wide,
};

const DATA: &str = r#"{"type":"body","data":[]}"#;

/// A client that waits for nothing and notes for how long it might have waited.
fn eager(settings: &Settings) -> (TerraClient, Arc<Mutex<Vec<Duration>>>) {
    let drawn = Arc::<Mutex<Vec<Duration>>>::default();
    let noted = Arc::clone(&drawn);
    let jitter = Jitter::from_fn(move |longest| {
        noted.lock().unwrap().push(longest);
        Duration::ZERO
    });
    (TerraClient::new(settings, jitter).unwrap(), drawn)
}

/// Returns how often a call is made if it is answered so, and whether it comes to a good end.
async fn attempts(replies: Vec<Reply>, via: Via) -> (usize, bool) {
    let stub = Stub::answering(replies).await;
    let mut settings = stub.settings();
    settings.retries.attempts = 3;
    settings.quotas = wide();
    let answered = ask(&client(&settings), via).await;
    (stub.seen().len(), answered.is_ok())
}

#[tokio::test]
async fn what_is_harmless_is_repeated() {
    let good = || reply(200, DATA);
    for status in [408, 500, 502, 503] {
        let bad = || reply(status, "");
        assert_eq!(attempts(vec![bad(), good()], Via::Answer).await, (2, true));
        assert_eq!(
            attempts(vec![bad(), bad(), good()], Via::Answer).await,
            (3, true)
        );
        assert_eq!(
            attempts(vec![bad(), bad(), bad(), good()], Via::Answer).await,
            (3, false)
        );
        // It may be running: a second one would be delivered, too.
        assert_eq!(
            attempts(vec![bad(), good()], Via::Webhook).await,
            (1, false)
        );
    }
    let broken = || odd(200, Content::Broken);
    assert_eq!(
        attempts(vec![broken(), good()], Via::Answer).await,
        (2, true)
    );
    assert_eq!(
        attempts(vec![broken(), good()], Via::Webhook).await,
        (1, false)
    );
    for status in [302, 400, 401, 403, 404, 413, 424, 504] {
        let bad = reply(status, "{}");
        assert_eq!(
            attempts(vec![bad, good()], Via::Answer).await,
            (1, false),
            "{status}"
        );
    }
}

#[tokio::test]
async fn what_was_refused_for_a_limit_has_not_been_done() {
    let limited = |wait: &str| reply(429, "").with("retry-after", wait);
    let good = || reply(200, DATA);
    for via in [Via::Answer, Via::Webhook] {
        assert_eq!(attempts(vec![limited("0"), good()], via).await, (2, true));
        // Too long for a call to wait.
        assert_eq!(attempts(vec![limited("11"), good()], via).await, (1, false));
    }
}

#[tokio::test]
async fn a_link_is_made_once() {
    let stub = Stub::answering([reply(503, ""), reply(200, r#"{"auth_url":"https://x"}"#)]).await;
    let mut settings = stub.settings();
    settings.retries.attempts = 3;
    let link = client(&settings)
        .authentication_link(
            &provider("CORE"),
            &terra_client::api::ConnectOptions::default(),
        )
        .await;
    assert!(link.is_err());
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn waits_grow_to_a_bound() {
    let stub = Stub::answering([reply(503, "")]).await;
    let mut settings = stub.settings();
    settings.retries.attempts = 7;
    settings.quotas = wide();
    let (client, drawn) = eager(&settings);
    ask(&client, Via::Answer).await.unwrap_err();
    let drawn: Vec<u64> = drawn
        .lock()
        .unwrap()
        .iter()
        .map(Duration::as_secs)
        .collect();
    assert_eq!(drawn, [1, 2, 4, 8, 10, 10]);
    assert_eq!(stub.seen().len(), 7);
}

#[tokio::test]
async fn no_connection_is_tried_again_for_any_call() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let stub = Stub::answering([]).await;
    let mut settings = stub.settings();
    settings.base_url = format!("http://{address}").parse().unwrap();
    settings.retries.attempts = 3;
    let (client, drawn) = eager(&settings);
    ask(&client, Via::Webhook).await.unwrap_err();
    assert_eq!(drawn.lock().unwrap().len(), 2);
}

fn ours(error: &TerraError) -> Option<Duration> {
    match error {
        TerraError::RetryAfter {
            by: Limit::Ours,
            wait,
            ..
        } => Some(*wait),
        _ => None,
    }
}

#[tokio::test]
async fn days_beyond_the_hours_limit_are_not_asked_for() {
    let stub = Stub::answering([reply(200, DATA)]).await;
    let client = stub.client();
    let (user, other) = (user_id(), TerraUserId::new("other").unwrap());
    let mut large = request(&user, DataType::Body, Via::Answer);
    let end = date(2021, 7, 1).saturating_add(1_825.days());
    large.range = DateRange::of_days(date(2021, 7, 1), end).unwrap();
    client.data(&large).await.unwrap();
    let wait = ours(&client.data(&large).await.unwrap_err()).unwrap();
    assert!(wait > Duration::from_mins(20), "{wait:?}");
    // The other user's hour is another hour.
    client
        .data(&request(&other, DataType::Body, Via::Answer))
        .await
        .unwrap();
    assert_eq!(stub.seen().len(), 2);
    // A clone shares the limits.
    assert!(ours(&client.clone().data(&large).await.unwrap_err()).is_some());
}

#[tokio::test]
async fn a_providers_limit_holds_for_its_users() {
    let stub = Stub::answering([reply(200, DATA)]).await;
    let mut settings = stub.settings();
    let two = ProviderQuota {
        per_user: None,
        shared: Some(Quota::rolling_hour(3, 2)),
    };
    settings.quotas.providers.insert(provider("WHOOP"), two);
    let client = client(&settings);
    let (user, whoop) = (user_id(), provider("WHOOP"));
    let ask = async |data_type| {
        let mut asked = request(&user, data_type, Via::Answer);
        asked.provider = Some(&whoop);
        client.data(&asked).await
    };
    // WHOOP makes two calls of it, and four of the other, which are never there.
    ask(DataType::Sleep).await.unwrap();
    assert!(ours(&ask(DataType::Body).await.unwrap_err()).is_some());
    let never = ask(DataType::Daily).await.unwrap_err();
    assert!(
        matches!(
            never,
            TerraError::NarrowerWindow {
                why: TooMuch::Days,
                ..
            }
        ),
        "{never:?}"
    );
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn what_terra_says_of_its_limit_is_believed() {
    let spent = reply(200, DATA).with("X-Terra-RateLimit-Remaining", "3");
    let stub = Stub::answering([spent]).await;
    let client = stub.client();
    let first = ask(&client, Via::Answer).await.unwrap();
    assert!(matches!(first, DataAnswer::Data(payload) if payload.rate_limit.remaining == Some(3)));
    assert!(ours(&ask(&client, Via::Answer).await.unwrap_err()).is_some());

    let limited = reply(429, "").with("retry-after", "600");
    let stub = Stub::answering([limited, reply(200, DATA)]).await;
    let client = stub.client();
    let refused = ask(&client, Via::Webhook).await.unwrap_err();
    assert_eq!(refused.wait(), Some(Duration::from_mins(10)));
    let wait = ours(&ask(&client, Via::Answer).await.unwrap_err()).unwrap();
    assert!(wait > Duration::from_mins(9), "{wait:?}");
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn a_limit_that_came_as_a_success_holds_too() {
    let limited = r#"{"type":"rate_limit","message":"limit reached","user":{}}"#;
    let stub = Stub::answering([reply(200, limited), reply(200, DATA)]).await;
    let client = stub.client();
    assert_eq!(
        ask(&client, Via::Answer).await.unwrap_err().wait(),
        Some(Duration::from_mins(1))
    );
    assert!(ours(&ask(&client, Via::Answer).await.unwrap_err()).is_some());
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn what_may_become_a_large_request_is_not_repeated() {
    for (days, attempts) in [(28, 2), (29, 1)] {
        let stub = Stub::answering([reply(502, ""), reply(200, DATA)]).await;
        let mut settings = stub.settings();
        settings.retries.attempts = 2;
        let user = user_id();
        let mut asked = request(&user, DataType::Body, Via::Answer);
        let end = date(2026, 6, 1).saturating_add(days.days());
        asked.range = DateRange::of_days(date(2026, 6, 1), end).unwrap();
        let answered = client(&settings).data(&asked).await;
        assert_eq!(
            (stub.seen().len(), answered.is_ok()),
            (attempts, attempts == 2)
        );
    }
}

#[tokio::test]
async fn short_waits_for_our_own_limit_are_waited() {
    let stub = Stub::answering([reply(200, DATA)]).await;
    let mut settings = stub.settings();
    // One at once, and the next after five milliseconds.
    settings.quotas.account = Quota::rolling_hour(720_001, 1);
    let client = client(&settings);
    for _ in 0..5 {
        ask(&client, Via::Answer).await.unwrap();
    }
    assert_eq!(stub.seen().len(), 5);

    settings.retries.longest_wait = Duration::ZERO;
    settings.quotas.account = Quota::rolling_hour(3, 1);
    let client = crate::stub::client(&settings);
    ask(&client, Via::Answer).await.unwrap();
    assert!(ours(&ask(&client, Via::Answer).await.unwrap_err()).is_some());
}
