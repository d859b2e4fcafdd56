//! The deliverer against a receiver that answers as told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use futures::stream;
use jiff::Timestamp;
use simulator::{
    Clock, DataType, Deliverer, DeliverySettings, Mischief, Oddity, Outcome, Payloads, Provider,
    Shape, Webhook, World, scenario, server, sign,
};

const SECRET: &[u8] = b"whsec_simulator";

type Request = (HeaderMap, Bytes);

/// A receiver that keeps what comes and answers with the prepared statuses, then with 200.
#[derive(Clone, Default)]
struct Receiver {
    requests: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    /// Refuses what is not signed with the right secret, whatever is prepared.
    strict: bool,
}

impl Receiver {
    fn answering(answers: &[u16]) -> Self {
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        Self {
            answers,
            ..Self::default()
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    async fn listen(&self) -> String {
        let app = Router::new()
            .route("/webhooks/terra", post(receive))
            .with_state(self.clone());
        format!("{}/webhooks/terra", serve(app).await)
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.strict && !signed(&headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    receiver.requests.lock().unwrap().push((headers, body));
    let answer = receiver.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap()
}

/// Returns whether one of the two signature headers is right.
fn signed(headers: &HeaderMap, body: &[u8]) -> bool {
    ["x-terra-signature", "terra-signature"].iter().any(|name| {
        let Some(header) = headers.get(*name) else {
            return false;
        };
        let header = header.to_str().unwrap();
        let time = header
            .strip_prefix("t=")
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        sign(SECRET, time, body).eq_ignore_ascii_case(header)
    })
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

fn start() -> Timestamp {
    "2026-07-01T15:30:00Z".parse().unwrap()
}

/// A clock that goes on by a minute whenever it is read.
fn ticking() -> Clock {
    let minutes = Mutex::new(0);
    Arc::new(move || {
        let mut minutes = minutes.lock().unwrap();
        *minutes += 1;
        start() + jiff::SignedDuration::from_mins(*minutes)
    })
}

fn settings(url: &str) -> DeliverySettings {
    DeliverySettings {
        time_scale: 0.0,
        ..DeliverySettings::new(url, SECRET)
    }
}

fn webhook() -> Webhook {
    let mut world = World::new(1, 1, start());
    let core = world.connection(Provider::Core);
    world.data(&core, DataType::Body, &Shape::default())
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.0.get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_under_the_same_identity_and_signed_anew() {
    let receiver = Receiver::answering(&[500, 302, 401, 204]);
    let deliverer = Deliverer::new(settings(&receiver.listen().await), ticking()).unwrap();
    let webhook = webhook();

    let outcome = deliverer.deliver(&webhook).await;

    assert_eq!(outcome, Outcome::Acknowledged { attempt: 4 });
    let requests = receiver.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert_eq!(request.1, webhook.body);
        assert_eq!(
            header(request, "x-terra-trace-id"),
            webhook.trace_id.as_deref().unwrap()
        );
        assert_eq!(
            header(request, "terra-reference"),
            webhook.reference.as_deref().unwrap()
        );
        let stamp = webhook.ordering_timestamp_ms.unwrap().to_string();
        assert_eq!(header(request, "x-terra-ordering-timestamp"), stamp);
        assert_eq!(
            header(request, "x-terra-signature"),
            header(request, "terra-signature")
        );
        assert!(signed(&request.0, &request.1));
    }
    assert_ne!(
        header(&requests[0], "terra-signature"),
        header(&requests[1], "terra-signature")
    );
    let snapshot = deliverer.snapshot();
    assert_eq!((snapshot.sent, snapshot.acknowledged), (4, 1));
    assert_eq!(
        (snapshot.retried, snapshot.refused, snapshot.given_up),
        (3, 3, 0)
    );
    assert_eq!(snapshot.in_flight, 0);
    assert!(snapshot.latency_p50 <= snapshot.latency_p99);
}

#[tokio::test]
async fn the_first_signature_is_kept_when_asked_for() {
    let receiver = Receiver::answering(&[500, 200]);
    let url = receiver.listen().await;
    let settings = DeliverySettings {
        sign_anew: false,
        ..settings(&url)
    };
    Deliverer::new(settings, ticking())
        .unwrap()
        .deliver(&webhook())
        .await;
    let requests = receiver.requests();
    assert_eq!(
        header(&requests[0], "terra-signature"),
        header(&requests[1], "terra-signature")
    );
}

#[tokio::test]
async fn ten_failures_are_the_end() {
    let receiver = Receiver::answering(&[503; 20]);
    let deliverer = Deliverer::new(settings(&receiver.listen().await), ticking()).unwrap();
    assert_eq!(deliverer.deliver(&webhook()).await, Outcome::GivenUp);
    assert_eq!(receiver.requests().len(), 10);
    assert_eq!(deliverer.snapshot().given_up, 1);
}

#[tokio::test]
async fn an_address_where_nobody_listens_counts_as_unanswered() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let deliverer = Deliverer::new(settings(&url), ticking()).unwrap();
    assert_eq!(deliverer.deliver(&webhook()).await, Outcome::GivenUp);
    assert_eq!(deliverer.snapshot().unanswered, 10);
}

#[tokio::test]
async fn nothing_is_lost_through_mischief_and_no_forgery_gets_in() {
    let receiver = Receiver {
        strict: true,
        ..Receiver::default()
    };
    let url = receiver.listen().await;
    let mischief = Mischief {
        drop_mid_body: 0.2,
        wrong_secret: 0.2,
        missing_signature: 0.2,
        not_json: 0.1,
        delay: 0.0,
        ..Mischief::some(9)
    };
    let deliverer = Deliverer::new(
        DeliverySettings {
            mischief,
            ..settings(&url)
        },
        ticking(),
    )
    .unwrap();
    let mut world = World::new(4, 1, start());
    let webhooks: Vec<Webhook> = std::iter::repeat_with(|| scenario::every_event(&mut world))
        .take(3)
        .flatten()
        .collect();

    deliverer.run(stream::iter(webhooks.clone())).await;

    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for request in receiver.requests() {
        *arrived
            .entry(header(&request, "x-terra-trace-id").to_owned())
            .or_default() += 1;
    }
    for webhook in &webhooks {
        assert!(arrived.contains_key(webhook.trace_id.as_deref().unwrap()));
    }
    assert!(
        arrived.values().any(|count| *count > 1),
        "duplicates were asked for"
    );
    assert!(
        arrived.len() > webhooks.len(),
        "bodies without JSON were asked for"
    );
    let snapshot = deliverer.snapshot();
    assert_eq!((snapshot.given_up, snapshot.forgeries_accepted), (0, 0));
    assert!(snapshot.refused > 0 && snapshot.unanswered > 0 && snapshot.retried > 0);
}

#[tokio::test]
async fn a_receiver_that_accepts_forgeries_is_found_out() {
    let receiver = Receiver::default();
    let url = receiver.listen().await;
    let mischief = Mischief {
        wrong_secret: 1.0,
        ..Mischief::none()
    };
    let deliverer = Deliverer::new(
        DeliverySettings {
            mischief,
            ..settings(&url)
        },
        ticking(),
    )
    .unwrap();
    assert_eq!(
        deliverer.deliver(&webhook()).await,
        Outcome::Acknowledged { attempt: 2 }
    );
    assert_eq!(deliverer.snapshot().forgeries_accepted, 1);
}

#[test]
fn an_address_must_be_one() {
    for url in ["", "no address", "data:,x"] {
        assert!(Deliverer::new(settings(url), ticking()).is_err(), "{url}");
    }
}

/// A GET as the side that fetches a payload would make it, redirects not followed.
async fn fetch(url: &str) -> (u16, Bytes) {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let response = client.get(url).send().await.unwrap();
    (response.status().as_u16(), response.bytes().await.unwrap())
}

#[tokio::test]
async fn a_payload_is_served_until_it_expires_and_only_under_its_signature() {
    let now = Arc::new(Mutex::new(start()));
    let clock: Clock = {
        let now = Arc::clone(&now);
        Arc::new(move || *now.lock().unwrap())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let payloads = Payloads::new(&base, b"payload secret", clock);
    let app = server::router(payloads.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let mut world = World::new(1, 1, start());
    let core = world.connection(Provider::Core);
    let shape = Shape::default();
    let ping = scenario::ping(
        &mut world,
        &core,
        DataType::Body,
        &shape,
        &payloads,
        "s3_payload",
    );
    let ping: serde_json::Value = serde_json::from_slice(&ping.body).unwrap();
    let url = ping["url"].as_str().unwrap();

    let (status, body) = fetch(url).await;
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["type"], "body");
    assert_eq!(
        fetch(&url.replace("X-Amz-Expires=300", "X-Amz-Expires=9999"))
            .await
            .0,
        403
    );
    assert_eq!(fetch(url.split('?').next().unwrap()).await.0, 403);

    let odd = |oddity| payloads.put_oddly("odd", Bytes::from("{}"), start(), 300, oddity);
    assert_eq!(
        fetch(&odd(Oddity::Redirect("http://x/".into()))).await.0,
        302
    );
    assert_eq!(
        fetch(&odd(Oddity::Oversize(200_000))).await.1.len(),
        200_002
    );
    assert_eq!(
        fetch(&odd(Oddity::Slow(std::time::Duration::ZERO))).await.0,
        200
    );

    *now.lock().unwrap() += jiff::SignedDuration::from_mins(10);
    assert_eq!(fetch(url).await.0, 400);
}
