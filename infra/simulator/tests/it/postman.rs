//! Delivery on the simulated clock: repeated, given up, switched off.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use jiff::SignedDuration;
use simulator::{Deliverer, DeliverySettings, Posted, Postman, Provider, TruthSettings};

use crate::stand_in::{StandIn, start};

#[derive(Clone, Default)]
struct Intake {
    down: Arc<AtomicBool>,
    traces: Arc<Mutex<Vec<String>>>,
}

impl Intake {
    async fn listen(&self) -> String {
        let app = Router::new()
            .route("/", post(take))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    fn distinct(&self) -> usize {
        self.traces
            .lock()
            .unwrap()
            .iter()
            .collect::<BTreeSet<_>>()
            .len()
    }
}

async fn take(State(intake): State<Intake>, headers: HeaderMap) -> StatusCode {
    if intake.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let trace = headers.get("x-terra-trace-id").unwrap().to_str().unwrap();
    intake.traces.lock().unwrap().push(trace.to_owned());
    StatusCode::OK
}

async fn postman(intake: &Intake) -> (StandIn, Postman) {
    let people = TruthSettings::new(3, 2, &[Provider::Oura, Provider::Core], start());
    let terra = StandIn::of(people, |_| {}).await;
    let settings = DeliverySettings {
        attempts: 1,
        ..DeliverySettings::new(&intake.listen().await, b"secret")
    };
    let deliverer = Deliverer::new(settings, terra.hands.clock()).unwrap();
    let postman = Postman::new(
        terra.truth.clone(),
        Some(terra.api.clone()),
        deliverer,
        start(),
    );
    (terra, postman)
}

#[tokio::test]
async fn everything_emitted_and_promised_is_posted_once() {
    let intake = Intake::default();
    let (terra, postman) = postman(&intake).await;
    terra
        .order(
            &terra.user(Provider::Oura),
            "daily",
            "2026-07-01",
            "2026-07-05",
        )
        .await;
    let mut acknowledged = 0;
    for _ in 0..48 {
        terra.hands.advance(SignedDuration::from_hours(1));
        let posted = postman.post_until_now().await;
        assert_eq!(posted.failed + posted.given_up + posted.withheld, 0);
        acknowledged += posted.acknowledged;
    }
    let emitted = terra.truth.webhooks_between(start(), terra.hands.now());
    assert_eq!(acknowledged, emitted.len() + 1);
    assert_eq!(intake.distinct(), acknowledged);
}

#[tokio::test]
async fn a_short_failure_loses_nothing_and_a_longer_one_gives_up_after_ten_attempts() {
    let intake = Intake::default();
    let (terra, postman) = postman(&intake).await;
    intake.down.store(true, Ordering::SeqCst);
    terra.hands.advance(SignedDuration::from_secs(1));
    let first = postman.post_until_now().await;
    assert!(first.failed >= 4, "{first:?}");
    intake.down.store(false, Ordering::SeqCst);
    terra.hands.advance(SignedDuration::from_secs(29));
    assert_eq!(
        postman.post_until_now().await,
        Posted::default(),
        "not before its time"
    );
    terra.hands.advance(SignedDuration::from_secs(1));
    let second = postman.post_until_now().await;
    assert_eq!(second.acknowledged, first.failed);

    terra.hands.advance(SignedDuration::from_hours(30));
    intake.down.store(true, Ordering::SeqCst);
    let mut given_up = 0;
    for _ in 0..60 {
        given_up += postman.post_until_now().await.given_up;
        terra.hands.advance(SignedDuration::from_mins(6));
    }
    assert!(given_up > 0);
    assert!(!postman.is_switched_off().await);
}

#[tokio::test]
async fn a_day_of_failures_switches_the_destination_off_until_somebody_switches_it_on() {
    let intake = Intake::default();
    let (terra, postman) = postman(&intake).await;
    intake.down.store(true, Ordering::SeqCst);
    for _ in 0..25 {
        terra.hands.advance(SignedDuration::from_hours(1));
        postman.post_until_now().await;
    }
    assert!(postman.is_switched_off().await);
    intake.down.store(false, Ordering::SeqCst);
    terra.hands.advance(SignedDuration::from_hours(24));
    let posted = postman.post_until_now().await;
    assert!(
        posted.withheld > 0 && posted.acknowledged == 0,
        "{posted:?}"
    );
    assert_eq!(intake.distinct(), 0);

    postman.switch_on().await;
    terra.hands.advance(SignedDuration::from_hours(24));
    assert!(postman.post_until_now().await.acknowledged > 0);
}

#[tokio::test]
async fn one_success_begins_the_day_of_failures_anew() {
    let intake = Intake::default();
    let (terra, postman) = postman(&intake).await;
    for hour in 0..47 {
        intake.down.store(hour != 23, Ordering::SeqCst);
        terra.hands.advance(SignedDuration::from_hours(1));
        postman.post_until_now().await;
    }
    assert!(intake.distinct() > 0);
    assert!(!postman.is_switched_off().await);
}
