//! Each misbehaviour of the API, by rule and by chance.

use std::time::Duration;

use axum::http::Method;
use jiff::SignedDuration;
use serde_json::Value;
use simulator::{
    DataType, Provider, Webhook,
    api::{Fault, Faults, Rule, ViolationKind},
};

use crate::stand_in::{API_KEY, Answer, DEV_ID, StandIn, client};

const FROM: &str = "2026-06-20";
const TO: &str = "2026-07-10";

/// One read under a rule, and one after it.
async fn twice(fault: Fault) -> (StandIn, Answer, Answer) {
    let terra = StandIn::with_rule(Rule::always(fault).times(1)).await;
    let user = terra.user(Provider::Garmin);
    let first = terra.read(&user, "daily", FROM, TO).await;
    let second = terra.read(&user, "daily", FROM, TO).await;
    (terra, first, second)
}

#[tokio::test]
async fn statuses_come_as_ruled_and_pass() {
    for (fault, statuses, detail) in [
        (Fault::ProviderLimited, [429].as_slice(), "rate limit"),
        (Fault::GatewayTimeout, &[504], "too long"),
        (Fault::Unavailable, &[500, 502, 503], "went wrong"),
        (Fault::TooLarge, &[413], "too large"),
        (Fault::ProviderRefused, &[424], "permission"),
        (Fault::TokenExpired, &[424], "expired"),
        (Fault::Credentials, &[401], "wrong"),
    ] {
        let (terra, first, second) = twice(fault.clone()).await;
        assert!(
            statuses.contains(&first.status),
            "{fault:?}: {}",
            first.status
        );
        let told = first.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{told}");
        assert_eq!(first.header("retry-after"), None, "{fault:?}");
        assert_eq!(second.status, 200, "{fault:?}");
        assert_eq!(terra.api.violations(), [], "{fault:?}");
        assert_eq!(terra.api.requests()[0].faults, [fault]);
    }
}

#[tokio::test]
async fn an_injected_limit_holds_until_its_time_and_asking_before_is_noted() {
    let fault = Fault::RateLimited {
        retry_after_seconds: 600,
    };
    let (terra, first, second) = twice(fault).await;
    for (answer, seconds) in [(&first, "600"), (&second, "600")] {
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some(seconds));
        assert_eq!(answer.header("x-terra-ratelimit-remaining"), Some("0"));
        assert_eq!(
            answer.header("x-terra-ratelimit-reset-after"),
            Some(seconds)
        );
    }
    let user = terra.user(Provider::Garmin);
    terra.hands.advance(SignedDuration::from_secs(600));
    assert_eq!(terra.read(&user, "daily", FROM, TO).await.status, 200);
    let kinds: Vec<ViolationKind> = terra
        .api
        .violations()
        .into_iter()
        .map(|violation| violation.kind)
        .collect();
    assert_eq!(
        kinds,
        [ViolationKind::TooSoon],
        "the first 429 was nobody's fault"
    );
    assert_eq!(terra.api.limited().len(), 2);
}

#[tokio::test]
async fn garmin_processes_first_and_answers_after_the_time_it_names() {
    let (terra, first, second) = twice(Fault::Processing {
        retry_after_seconds: 120,
    })
    .await;
    for answer in [first, second] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["type"], "processing");
        assert_eq!(answer.json()["retry_after_seconds"], 120);
    }
    let user = terra.user(Provider::Garmin);
    terra.hands.advance(SignedDuration::from_secs(120));
    let data = terra.read(&user, "daily", FROM, TO).await.json();
    assert!(!data["data"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_may_be_empty_although_there_are_data() {
    let (_, first, second) = twice(Fault::Empty).await;
    assert_eq!(first.json()["data"].as_array().unwrap().len(), 0);
    assert!(!second.json()["data"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn by_chance_an_answer_is_wrongly_empty_only_while_a_connection_is_young() {
    let terra = StandIn::start(|settings| {
        settings.faults = Faults {
            empty: 1.0,
            ..Faults::none()
        };
    })
    .await;
    let old = terra.user(Provider::Garmin);
    let data = terra.read(&old, "daily", FROM, TO).await.json();
    assert!(!data["data"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn acceptance_may_be_followed_by_silence() {
    let terra = StandIn::with_rule(Rule::always(Fault::Silence).times(2)).await;
    let user = terra.user(Provider::Garmin);
    for from in [FROM, "2026-01-01"] {
        let order = terra.order(&user, "daily", from, TO).await;
        assert!(order.json()["reference"].is_string());
    }
    terra.hands.advance(SignedDuration::from_hours(24));
    assert_eq!(terra.api.take_due(), []);
}

#[tokio::test]
async fn an_order_may_be_put_off_by_the_provider_s_limit() {
    let terra = StandIn::with_rule(Rule::always(Fault::RateLimitHit).times(1)).await;
    let user = terra.user(Provider::Garmin);
    let order = terra.order(&user, "daily", FROM, TO).await.json();
    let types = || -> Vec<String> {
        let due = terra.api.take_due().into_iter();
        due.map(|due| {
            assert_eq!(
                due.webhook.reference.as_deref(),
                order["reference"].as_str()
            );
            due.webhook.event_type
        })
        .collect()
    };
    terra.hands.advance(SignedDuration::from_mins(30));
    assert_eq!(types(), ["rate_limit_hit"]);
    terra.hands.advance(SignedDuration::from_mins(60));
    assert_eq!(types(), ["daily"]);
}

/// Returns the webhooks of a large request under a fault, and those of the next one without.
async fn chunks(fault: Fault) -> (Vec<Webhook>, Vec<Webhook>) {
    let terra = StandIn::with_rule(Rule::always(fault).times(1)).await;
    let user = terra.user(Provider::Garmin);
    let mut both = Vec::new();
    for _ in 0..2 {
        terra.order(&user, "daily", "2026-04-01", TO).await;
        terra.hands.advance(SignedDuration::from_hours(1));
        let due = terra.api.take_due().into_iter();
        both.push(due.map(|due| due.webhook).collect());
    }
    let whole = both.pop().unwrap();
    (both.pop().unwrap(), whole)
}

fn numbers(webhooks: &[Webhook]) -> Vec<&str> {
    let traces = webhooks
        .iter()
        .filter_map(|webhook| webhook.trace_id.as_deref());
    traces
        .filter_map(|trace| Some(trace.split_once(":chunk:")?.1))
        .collect()
}

#[tokio::test]
async fn a_chunk_may_be_missing_or_repeated_or_early() {
    let (short, whole) = chunks(Fault::ChunkMissing(Some(2))).await;
    let expected = |webhooks: &[Webhook]| {
        let sending = webhooks
            .iter()
            .find(|webhook| webhook.event_type == "large_request_sending");
        let body: Value = serde_json::from_slice(&sending.unwrap().body).unwrap();
        usize::try_from(body["expected_payloads"].as_u64().unwrap()).unwrap()
    };
    assert_eq!(numbers(&whole).len(), expected(&whole));
    assert_eq!(numbers(&short).len() + 1, expected(&short));
    assert!(!numbers(&short).contains(&"2"));

    let (long, whole) = chunks(Fault::ChunkRepeated(Some(1))).await;
    assert_eq!(numbers(&long).len(), expected(&whole) + 1);
    let twice: Vec<&Webhook> = long
        .iter()
        .filter(|webhook| webhook.trace_id.as_deref().unwrap().ends_with(":chunk:1"))
        .collect();
    assert_eq!(twice[0], twice[1]);

    let (early, whole) = chunks(Fault::ChunksEarly).await;
    let types: Vec<&str> = early
        .iter()
        .map(|webhook| webhook.event_type.as_str())
        .collect();
    let count = types.len();
    assert_eq!(
        types[count - 2..],
        ["large_request_processing", "large_request_sending"]
    );
    assert_eq!(numbers(&early).len(), expected(&whole));

    let (untold, whole) = chunks(Fault::CountMissing).await;
    let told = |webhook: &Webhook| webhook.event_type.as_str() == "large_request_sending";
    assert!(!untold.iter().any(told));
    assert_eq!(numbers(&untold).len(), expected(&whole));
}

#[tokio::test]
async fn html_comes_instead_of_json() {
    let (_, first, second) = twice(Fault::Html).await;
    assert_eq!(first.header("content-type"), Some("text/html"));
    assert!(matches!(first.status, 200 | 502));
    assert!(first.text.starts_with("<html>"));
    assert_eq!(second.status, 200);
}

#[tokio::test]
async fn a_connection_closes_before_or_in_the_middle_of_the_answer() {
    for (fault, answered) in [(Fault::Closed, false), (Fault::HalfBody, true)] {
        let terra = StandIn::with_rule(Rule::always(fault).times(1)).await;
        let user = terra.user(Provider::Garmin);
        let url = format!(
            "{}/api/v2/daily?user_id={user}&start_date={FROM}&end_date={TO}&to_webhook=false",
            terra.address
        );
        let request = client()
            .get(url)
            .header("dev-id", DEV_ID)
            .header("x-api-key", API_KEY);
        let response = request.send().await;
        assert_eq!(response.is_ok(), answered);
        if let Ok(response) = response {
            let promised = response.content_length().unwrap();
            assert!(promised > 100);
            let (mut response, mut received, mut broke) = (response, 0, false);
            loop {
                match response.chunk().await {
                    Ok(Some(piece)) => received += piece.len() as u64,
                    Ok(None) => break,
                    Err(_) => {
                        broke = true;
                        break;
                    }
                }
            }
            assert!(broke && received > 0 && received < promised, "{received}");
        }
    }
}

#[tokio::test]
async fn a_body_may_have_no_end() {
    let terra = StandIn::with_rule(Rule::always(Fault::EndlessBody).times(1)).await;
    let user = terra.user(Provider::Garmin);
    let url = format!(
        "{}/api/v2/daily?user_id={user}&start_date={FROM}&to_webhook=false",
        terra.address
    );
    let request = client()
        .get(url)
        .header("dev-id", DEV_ID)
        .header("x-api-key", API_KEY);
    let mut response = request.send().await.unwrap();
    let mut received = 0;
    while received < 50_000_000 {
        received += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn a_slow_answer_is_the_right_one() {
    let wait = Duration::from_millis(1);
    let (_, first, second) = twice(Fault::Slow(wait)).await;
    assert_eq!(first.text, second.text);
}

#[tokio::test]
async fn long_and_large_reads_time_out_or_are_too_large() {
    let terra = StandIn::start(|settings| {
        settings.faults.timeout_beyond_days = Some(10);
        settings.faults.too_large_beyond_bytes = Some(12_000);
    })
    .await;
    let user = terra.user(Provider::FreestyleLibre);
    assert_eq!(
        terra
            .read(&user, "body", "2026-07-01", "2026-07-12")
            .await
            .status,
        504
    );
    assert_eq!(
        terra
            .read(&user, "body", "2026-07-01", "2026-07-11")
            .await
            .status,
        413
    );
    assert_eq!(
        terra
            .read(&user, "body", "2026-07-01", "2026-07-03")
            .await
            .status,
        200
    );
    // Data that come as webhooks have no such bounds.
    assert_eq!(
        terra
            .order(&user, "body", "2026-07-01", "2026-07-12")
            .await
            .status,
        200
    );
    terra.api.set_faults(Faults {
        timeout_beyond_bytes: Some(12_000),
        ..Faults::none()
    });
    assert_eq!(
        terra
            .read(&user, "body", "2026-07-01", "2026-07-12")
            .await
            .status,
        504
    );
}

#[tokio::test]
async fn a_dead_token_fails_every_read_until_the_user_connects_again() {
    let terra = StandIn::start(|_| {}).await;
    let user = terra.user(Provider::Oura);
    assert!(terra.api.kill_token(&user));
    for _ in 0..2 {
        let answer = terra.read(&user, "daily", FROM, TO).await;
        assert_eq!(answer.status, 424);
        assert!(answer.text.contains("authorization has expired"));
    }
    let info = terra.get(&format!("/userInfo?user_id={user}")).await.json();
    assert_eq!(info["is_authenticated"], false);
    let renewed = terra.api.reauthenticate(&user).unwrap();
    assert_eq!(terra.read(&renewed, "daily", FROM, TO).await.status, 200);
    let types: Vec<String> = terra
        .api
        .take_due()
        .into_iter()
        .map(|due| due.webhook.event_type)
        .collect();
    assert_eq!(types, ["connection_error", "auth", "user_reauth"]);
}

#[tokio::test]
async fn a_rule_meets_only_what_it_names() {
    let rule = Rule {
        provider: Some(Provider::Garmin),
        data_type: Some(DataType::Daily),
        more_than_days: Some(7),
        ..Rule::always(Fault::GatewayTimeout)
    };
    let terra = StandIn::with_rule(rule).await;
    let (garmin, oura) = (terra.user(Provider::Garmin), terra.user(Provider::Oura));
    for (user, kind, to, status) in [
        (&garmin, "daily", "2026-07-09", 504),
        (&garmin, "daily", "2026-07-08", 200),
        (&garmin, "sleep", "2026-07-09", 200),
        (&oura, "daily", "2026-07-09", 200),
    ] {
        assert_eq!(
            terra.read(user, kind, "2026-07-01", to).await.status,
            status
        );
    }
    assert_eq!(terra.get("/subscriptions").await.status, 200);
    terra.api.set_faults(Faults {
        rules: vec![Rule::on("/subscriptions", Fault::Unavailable)],
        ..Faults::none()
    });
    assert!(terra.get("/subscriptions").await.status >= 500);
    assert_eq!(terra.get("/integrations").await.status, 200);
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed_whatever_is_asked_in_between() {
    let faults = |settings: &mut simulator::api::ApiSettings| {
        settings.faults = Faults {
            gateway_timeout: 0.4,
            provider_refused: 0.3,
            ..Faults::none()
        };
    };
    let mut runs = Vec::new();
    for others in [false, true] {
        let terra = StandIn::start(faults).await;
        let (garmin, oura) = (terra.user(Provider::Garmin), terra.user(Provider::Oura));
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(terra.read(&garmin, "daily", FROM, TO).await.status);
            if others {
                terra.read(&oura, "daily", FROM, TO).await;
            }
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    for status in [200, 504, 424] {
        assert!(runs[0].contains(&status), "{:?}", runs[0]);
    }
}

#[tokio::test]
async fn a_patient_caller_gets_through_a_little_of_everything() {
    let terra = StandIn::start(|settings| settings.faults = Faults::some(11)).await;
    let mut failures = 0;
    for connection in terra.truth.connections() {
        if connection.provider == Provider::Apple {
            continue;
        }
        let data_type = connection.provider.data_types()[0];
        let path = format!(
            "/{}?user_id={}&start_date={FROM}&end_date={TO}&to_webhook=false&with_samples=true",
            data_type.as_str(),
            connection.terra_user_id
        );
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries < 30);
            terra.hands.advance(SignedDuration::from_mins(31));
            let read = terra.try_call(Method::GET, &path, None);
            let answer = tokio::time::timeout(Duration::from_secs(20), read).await;
            let Ok(Ok(answer)) = answer else {
                failures += 1;
                continue;
            };
            let body: Option<Value> = serde_json::from_str(&answer.text).ok();
            if let Some(records) = body.as_ref().and_then(|body| body["data"].as_array()) {
                assert!(!records.is_empty());
                break;
            }
            failures += 1;
        }
    }
    assert!(failures > 0, "nothing ever failed");
    assert_eq!(terra.api.violations(), []);
}
