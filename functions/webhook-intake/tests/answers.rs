//! Tests of the intake's answers, and of the writes before them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::message::{Body, EventMessage};
use jiff::Timestamp;
use lambda_http::{Request, http};
use models::signature::{SigningSecret, Tolerance};
use runtime::{
    metrics::Sink,
    queue::{Outgoing, Queue, QueueError, Transport},
    settings::Settings,
};
use store::archive::Archive;
use webhook_intake::{App, Config, handle};

const NOW_S: i64 = 1_783_000_000;

/// A queue that keeps what it is sent, or refuses everything.
#[derive(Debug, Default)]
struct Kept {
    sent: Mutex<Vec<Outgoing>>,
    down: bool,
}

#[async_trait]
impl Transport for Kept {
    fn queue(&self) -> &'static str {
        "events"
    }

    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        if self.down {
            let source = "no route to host".into();
            let (queue, operation) = ("events".to_owned(), "send to");
            return Err(QueueError::Unavailable {
                queue,
                operation,
                source,
            });
        }
        self.sent.lock().unwrap().extend(messages);
        Ok(())
    }
}

impl Kept {
    fn messages(&self) -> Vec<EventMessage> {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .map(|message| serde_json::from_str(&message.body).unwrap())
            .collect()
    }
}

fn secret() -> SigningSecret {
    SigningSecret::new("main", "whsec_terrarium_test_0123456789abcdef").unwrap()
}

fn app(queue: &Arc<Kept>, archive: Archive) -> App {
    app_with_pings(queue, queue, archive)
}

fn app_with_pings(queue: &Arc<Kept>, pings: &Arc<Kept>, archive: Archive) -> App {
    App {
        signing_secrets: vec![secret()],
        path_token: None,
        refusals: webhook_intake::Refusals::default(),
        tolerance: Tolerance::default(),
        events: Queue::new(Arc::clone(queue) as Arc<dyn Transport>),
        pings: Queue::new(Arc::clone(pings) as Arc<dyn Transport>),
        archive,
        metrics: Sink::Nowhere,
    }
}

fn signed(body: Vec<u8>) -> Request {
    let request = http::Request::post("/webhooks/terra")
        .header("terra-signature", secret().sign(NOW_S, &body))
        .header("x-terra-trace-id", "trace-1");
    request.body(lambda_http::Body::Binary(body)).unwrap()
}

async fn status(app: &App, request: Request) -> u16 {
    handle(app, request, Timestamp::from_second(NOW_S).unwrap())
        .await
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_signed_webhook_is_in_the_queue_when_it_is_answered() {
    let queue = Arc::new(Kept::default());
    assert_eq!(
        status(&app(&queue, Archive::memory()), signed(b"{}".to_vec())).await,
        200
    );
    let messages = queue.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].webhook_id.as_str(), "trace-1");
    assert_eq!(messages[0].signed_at_s, Some(NOW_S));
}

#[tokio::test]
async fn a_ping_takes_a_lane_of_its_own() {
    let (queue, pings) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
    let app = app_with_pings(&queue, &pings, Archive::memory());
    for name in ["s3_payload", "s3_upload"] {
        let ping = format!(r#"{{"type": "{name}", "url": "https://bucket.s3.amazonaws.com/1"}}"#);
        assert_eq!(status(&app, signed(ping.into_bytes())).await, 200);
    }
    assert_eq!((queue.messages().len(), pings.messages().len()), (0, 2));
    assert_eq!(status(&app, signed(b"{}".to_vec())).await, 200);
    assert_eq!((queue.messages().len(), pings.messages().len()), (1, 2));
}

#[tokio::test]
async fn a_forged_body_is_refused_before_anything_is_written() {
    let queue = Arc::new(Kept::default());
    let mut request = signed(b"{}".to_vec());
    *request.body_mut() = lambda_http::Body::from("{ }");
    assert_eq!(status(&app(&queue, Archive::memory()), request).await, 401);
    assert!(queue.messages().is_empty());
}

#[tokio::test]
async fn a_webhook_that_cannot_be_queued_is_asked_for_again() {
    let queue = Arc::new(Kept {
        down: true,
        ..Kept::default()
    });
    let app = app(&queue, Archive::memory());
    let now = Timestamp::from_second(NOW_S).unwrap();
    let answer = handle(&app, signed(b"{}".to_vec()), now).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(
        !answer.body().contains("no route"),
        "a cause of ours is not the sender's business"
    );
}

#[tokio::test]
async fn what_fits_no_message_is_in_the_inbox_and_the_message_says_where() {
    let queue = Arc::new(Kept::default());
    // A pattern that zstd finds nothing in.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(1_500_000)
    .collect();
    let archive = Archive::memory();
    let app = app(&queue, archive.clone());
    assert_eq!(status(&app, signed(noise.clone())).await, 200);
    let message = &queue.messages()[0];
    assert!(matches!(message.body, Body::Inbox(_)));
    let opened = store::parcel::open(&archive, &message.body, message.size_bytes).await;
    assert_eq!(opened.unwrap(), noise);
}

#[test]
fn wrong_settings_are_reported_together_and_at_start() {
    let wrong = Settings::from_map([
        ("EVENTS_QUEUE_URL", "nonsense"),
        ("AWS_REGION", "eu-west-2"),
    ]);
    let error = Config::from_settings(wrong).unwrap_err().to_string();
    for name in [
        "EVENTS_QUEUE_URL",
        "PINGS_QUEUE_URL",
        "ARCHIVE_BUCKET",
        "SIGNING_SECRETS",
        "AWS_ACCESS_KEY_ID",
    ] {
        assert!(error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn only_the_path_with_the_token_leads_to_the_intake() {
    let queue = Arc::new(Kept::default());
    let app = App {
        path_token: Some("a-token-that-nobody-guesses".into()),
        ..app(&queue, Archive::memory())
    };
    for (path, answer) in [
        ("/webhooks/terra", 404),
        ("/webhooks/terra/another-token-of-that-size", 404),
        ("/webhooks/terra/a-token", 404),
        ("/webhooks/terra/a-token-that-nobody-guesses", 200),
    ] {
        let mut request = signed(b"{}".to_vec());
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(status(&app, request).await, answer, "{path}");
    }
    assert_eq!(queue.messages().len(), 1);
}
