//! A receiver on loopback that answers as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body as AnswerBody, Bytes},
    extract::State,
    http::HeaderMap,
    response::Response,
};
use models::{
    data::DataType,
    signature::{SigningSecret, Tolerance, verify},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    change::Change,
    config::{Clock, Context, KindName, Secrets, open},
    kept::Kept,
    kind::{Fault, Kind, Outcome, Rejection, Unreachable, Verdict},
    net::Network,
    samples,
    sign::Secret,
};

type Answer = Arc<dyn Fn(&HeaderMap, &[u8]) -> Response + Send + Sync>;

#[derive(Clone)]
struct Receiver {
    answer: Answer,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    address: SocketAddr,
    secret: String,
}

fn status(code: u16) -> Response {
    Response::builder()
        .status(code)
        .body(AnswerBody::empty())
        .unwrap()
}

async fn receiver(
    answer: impl Fn(&HeaderMap, &[u8]) -> Response + Send + Sync + 'static,
) -> Receiver {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = Receiver {
        answer: Arc::new(answer),
        got: Arc::default(),
        address: listener.local_addr().unwrap(),
        secret: Secret::generate().expose_secret().to_owned(),
    };
    let take = |State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes| async move {
        let answer = (receiver.answer)(&headers, &body);
        receiver.got.lock().unwrap().push((headers, body));
        answer
    };
    let router = Router::new().fallback(take).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    receiver
}

impl Receiver {
    fn destination(&self, more: Value) -> Box<dyn Kind> {
        self.opened(more, json!({}))
    }

    fn opened(&self, more: Value, secrets: Value) -> Box<dyn Kind> {
        self.keeping(more, secrets, None)
    }

    fn keeping(&self, more: Value, secrets: Value, kept: Option<&Kept>) -> Box<dyn Kind> {
        let mut config = json!({"url": format!("http://{}/hook", self.address)});
        let mut secret = json!({"secret": self.secret});
        for (all, some) in [(&mut config, more), (&mut secret, secrets)] {
            all.as_object_mut()
                .unwrap()
                .extend(some.as_object().unwrap().clone());
        }
        let mut context = Context::new(
            samples::DESTINATION,
            Network::Local,
            Clock::new(samples::now),
        );
        context.pointers = kept.map(|kept| Arc::new(kept.clone()) as _);
        let secrets = Secrets::new(secret.as_object().unwrap().clone());
        open(
            KindName::Webhook,
            config.as_object().unwrap(),
            &secrets,
            context,
        )
        .unwrap()
    }

    fn got(&self) -> Vec<(HeaderMap, Bytes)> {
        self.got.lock().unwrap().clone()
    }
}

fn steps(number: u32, revision: u64) -> Change {
    samples::daily(number, "2026-11-20", 100, revision)
}

#[tokio::test]
async fn a_receiver_of_terras_webhooks_verifies_and_reads_them() {
    let receiver = receiver(|_, _| status(200)).await;
    let destination = receiver.destination(json!({"format": "terra"}));
    let outcomes = destination.deliver(&[steps(1, 5)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED]);
    let (headers, body) = receiver.got().remove(0);
    let secrets = [SigningSecret::new("ours", &receiver.secret).unwrap()];
    let signature = headers["terra-signature"].to_str().unwrap();
    let now = samples::now().as_second();
    assert!(verify(&secrets, [signature], &body, now, Tolerance::default()).is_ok());
    let event = models::event::Event::parse(&body).unwrap();
    assert_eq!(
        event.event_type,
        models::event::EventType::Data(DataType::Daily)
    );
    assert_eq!(headers["webhook-id"], headers["x-terra-trace-id"]);
    assert_eq!(headers["x-terra-ordering-timestamp"], "1700000000005");
    assert_eq!(headers["terrarium-revision"], "5");
}

#[tokio::test]
async fn what_follows_a_failed_change_of_the_same_connection_waits() {
    let receiver = receiver(
        |headers, _| match headers["terrarium-revision"].to_str().unwrap() {
            "2" => status(500),
            _ => status(200),
        },
    )
    .await;
    let destination = receiver.destination(json!({}));
    let first = [steps(1, 1), steps(1, 2), steps(1, 3)];
    let outcomes = destination.deliver(&first).await.unwrap();
    assert_eq!(outcomes[0], Outcome::APPLIED);
    assert!(matches!(
        &outcomes[1],
        Outcome::Retry(Fault::Unreachable {
            part: Unreachable::Server,
            ..
        })
    ));
    assert!(matches!(outcomes[2], Outcome::Retry(_)));
    assert_eq!(
        receiver.got().len(),
        2,
        "the third is not sent before the second"
    );
}

#[tokio::test]
async fn a_refused_record_holds_nobody_up() {
    let receiver = receiver(
        |headers, _| match headers["terrarium-revision"].to_str().unwrap() {
            "1" => status(422),
            _ => status(204),
        },
    )
    .await;
    let destination = receiver.destination(json!({}));
    let outcomes = destination
        .deliver(&[steps(1, 1), steps(2, 2)])
        .await
        .unwrap();
    assert!(
        matches!(&outcomes[0], Outcome::Rejected(Rejection { code: Some(code), .. }) if code == "422")
    );
    assert_eq!(outcomes[1], Outcome::APPLIED);
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let elsewhere = receiver(|_, _| status(200)).await;
    let target = format!("http://{}/", elsewhere.address);
    let receiver = receiver(move |_, _| {
        let redirect = Response::builder().status(307).header("location", &target);
        redirect.body(AnswerBody::empty()).unwrap()
    })
    .await;
    let fault = receiver
        .destination(json!({}))
        .deliver(&[steps(1, 1)])
        .await
        .unwrap_err();
    assert_eq!(fault.name(), "misconfigured");
    assert!(elsewhere.got().is_empty());
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut receiver = receiver(|_, _| status(200)).await;
    receiver.address = listener.local_addr().unwrap();
    let destination = receiver.destination(json!({"timeout_s": 1}));
    let fault = destination.deliver(&[steps(1, 1)]).await.unwrap_err();
    assert_eq!(fault, Fault::unreachable(Unreachable::Timeout));
}

#[tokio::test]
async fn a_receiver_that_answers_without_end_is_not_listened_to() {
    let receiver = receiver(|_, _| {
        let endless = futures::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65536]))
        });
        Response::builder()
            .status(200)
            .body(AnswerBody::from_stream(endless))
            .unwrap()
    })
    .await;
    let outcomes = receiver
        .destination(json!({}))
        .deliver(&[steps(1, 1)])
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED]);
}

#[tokio::test]
async fn nobody_listening_and_an_answer_cut_off_are_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut receiver = receiver(|_, _| status(200)).await;
    receiver.address = listener.local_addr().unwrap();
    let destination = receiver.destination(json!({}));
    let cut = tokio::spawn(async move {
        drop(listener.accept().await.unwrap());
        listener
    });
    let fault = destination.deliver(&[steps(1, 1)]).await.unwrap_err();
    assert_eq!(fault, Fault::unreachable(Unreachable::Reset));
    drop(cut.await.unwrap());
    let fault = destination.deliver(&[steps(1, 1)]).await.unwrap_err();
    assert_eq!(fault, Fault::unreachable(Unreachable::Refused));
}

#[tokio::test]
async fn a_compressed_body_is_signed_as_it_was_before() {
    let receiver = receiver(|_, _| status(200)).await;
    let destination = receiver.destination(json!({"gzip": true}));
    destination.deliver(&[steps(1, 1)]).await.unwrap();
    let (headers, body) = receiver.got().remove(0);
    assert_eq!(headers["content-encoding"], "gzip");
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
    let secrets = [SigningSecret::new("ours", &receiver.secret).unwrap()];
    let signature = headers["terra-signature"].to_str().unwrap();
    let now = samples::now().as_second();
    assert!(verify(&secrets, [signature], &plain, now, Tolerance::default()).is_ok());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_where_no_link_can_be_made() {
    let receiver = receiver(|_, _| status(200)).await;
    let destination = receiver.destination(json!({"max_bytes": 1024}));
    let large = samples::large(1, 2000, 1);
    let outcomes = destination.deliver(&[large, steps(1, 2)]).await.unwrap();
    assert!(matches!(&outcomes[0], Outcome::Rejected(_)));
    assert_eq!(outcomes[1], Outcome::APPLIED);
}

#[tokio::test]
async fn a_body_over_the_limit_is_sent_as_a_link_and_one_within_it_whole() {
    let receiver = receiver(|_, _| status(200)).await;
    let kept = Kept::default();
    let settings = json!({"max_bytes": 1024});
    let destination = receiver.keeping(settings, json!({}), Some(&kept));
    let large = samples::large(1, 2000, 1);
    let sent = [large.clone(), steps(2, 2)];
    let outcomes = destination.deliver(&sent).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED, Outcome::APPLIED]);
    let got = receiver.got();
    let (headers, body) = &got[0];
    assert_eq!(headers["webhook-id"], large.delivery_id.as_str());
    assert_eq!(headers["terrarium-revision"], "1");
    let whole = kept.follow(body).bytes;
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["record_id"], large.record_id.as_str());
    assert_eq!(whole["record"]["note"].as_str().unwrap().len(), 2000);
    let second: Value = serde_json::from_slice(&got[1].1).unwrap();
    assert_eq!(second["event"], "record.updated");
    // A receiver that asks for links gets nothing else.
    let destination = receiver.keeping(json!({"mode": "ping"}), json!({}), Some(&kept));
    destination.deliver(&[steps(2, 3)]).await.unwrap();
    kept.follow(&receiver.got()[2].1);
}

#[tokio::test]
async fn a_receiver_that_finds_a_body_too_large_gets_a_link_and_is_not_asked_again() {
    let receiver = receiver(|_, body| match body.len() {
        0..3000 => status(200),
        _ => status(413),
    })
    .await;
    let kept = Kept::default();
    let destination = receiver.keeping(json!({"mode": "push"}), json!({}), Some(&kept));
    let sent = [
        samples::large(1, 4000, 1),
        samples::large(2, 5000, 2),
        steps(3, 3),
    ];
    let outcomes = destination.deliver(&sent).await.unwrap();
    assert_eq!(
        outcomes,
        [Outcome::APPLIED, Outcome::APPLIED, Outcome::APPLIED]
    );
    let sizes: Vec<_> = receiver.got().iter().map(|(_, body)| body.len()).collect();
    assert_eq!(sizes.len(), 4, "only the first is sent in vain: {sizes:?}");
    assert_eq!(kept.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_receiver_of_fit_gets_the_file_itself_and_its_signatures_are_over_the_file() {
    let receiver = receiver(|_, _| status(200)).await;
    let destination = receiver.destination(json!({"format": "fit"}));
    let walk = r#"{"metadata":{"type":7,"start_time":"2026-07-01T08:02:17+01:00","end_time":"2026-07-01T08:34:03+01:00"}}"#;
    let walk = samples::record(DataType::Activity, "w", walk, 1);
    let gone = samples::deleted(DataType::Activity, "w", 2);
    destination.deliver(&[walk, gone]).await.unwrap();
    let got = receiver.got();
    let (headers, body) = &got[0];
    assert_eq!(headers["content-type"], "application/vnd.ant.fit");
    assert_eq!(&body[8..12], b".FIT");
    let secrets = [SigningSecret::new("ours", &receiver.secret).unwrap()];
    let signature = headers["terra-signature"].to_str().unwrap();
    let now = samples::now().as_second();
    assert!(verify(&secrets, [signature], body, now, Tolerance::default()).is_ok());
    let (headers, body) = &got[1];
    assert_eq!(headers["content-type"], "application/json");
    let event: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(event["event"], "record.deleted");
}

#[tokio::test]
async fn a_receiver_that_verifies_nothing_is_warned_of() {
    let receiver = receiver(|_, _| status(200)).await;
    let findings = receiver.destination(json!({})).probe().await;
    let verdicts: Vec<_> = findings
        .iter()
        .map(|finding| (finding.step, finding.verdict))
        .collect();
    assert_eq!(
        verdicts,
        [
            ("resolve", Verdict::Passed),
            ("deliver", Verdict::Passed),
            ("verify signature", Verdict::Warning)
        ]
    );
}

#[tokio::test]
async fn an_erasure_is_told_once_however_often_it_is_repeated() {
    let receiver = receiver(|_, _| status(200)).await;
    let destination = receiver.destination(json!({}));
    let person = crate::kind::Erasure {
        id: "erasure-1".to_owned(),
        reference_id: samples::source(1).reference_id,
        owners: vec![samples::owner(1)],
        terra_user_ids: Vec::new(),
        records: Vec::new(),
    };
    for _ in 0..2 {
        assert_eq!(
            destination.erase(&person).await,
            Ok(crate::kind::Erased::Announced)
        );
    }
    let got = receiver.got();
    assert_eq!(got[0].0["webhook-id"], got[1].0["webhook-id"]);
    let event: Value = serde_json::from_slice(&got[0].1).unwrap();
    assert_eq!(event["reference_id"], "person-1");
}

#[test]
fn settings_that_cannot_work_are_refused_with_every_reason() {
    let open = |config: Value, secrets: Value| {
        let context = Context::new("dst", Network::Public, Clock::new(samples::now));
        let secrets = Secrets::new(secrets.as_object().unwrap().clone());
        let opened = open(
            KindName::Webhook,
            config.as_object().unwrap(),
            &secrets,
            context,
        );
        opened.map(drop).map_err(|refused| refused.to_string())
    };
    let secret = json!({"secret": Secret::generate().expose_secret()});
    assert_eq!(
        open(json!({"url": "https://app.example.com/"}), secret.clone()),
        Ok(())
    );
    for (config, secrets, reason) in [
        (
            json!({}),
            secret.clone(),
            "url is missing, for example https://",
        ),
        (
            json!({"url": "https://app.example.com/"}),
            json!({}),
            "secret is missing: the secret that signs",
        ),
        (
            json!({"url": "http://app.example.com/"}),
            secret.clone(),
            "has to begin with https://",
        ),
        (
            json!({"url": "https://127.0.0.1:9001/"}),
            secret.clone(),
            "it is this machine",
        ),
        (
            json!({"url": "https://a.example/", "custom_headers": {"Webhook-Id": "1"}}),
            secret.clone(),
            "must not set `webhook-id`",
        ),
        (
            json!({"url": "https://a.example/", "previous_secret_invalid_at": "tomorrow"}),
            secret.clone(),
            "previous_secret_invalid_at has to be a time",
        ),
        (
            json!({
                "url": "https://a.example/", "previous_secret_invalid_at": "2026-12-07T10:00:00Z",
            }),
            secret.clone(),
            "previous_secret_invalid_at has to be within seven days",
        ),
        (
            json!({"url": "https://a.example/", "mode": "pull"}),
            secret.clone(),
            "mode has to be one of push, ping, auto",
        ),
        (
            json!({"url": "https://a.example/", "mode": "ping"}),
            secret.clone(),
            "a place to keep bodies",
        ),
        (
            json!({"url": "https://a.example/", "urll": 1}),
            secret.clone(),
            "urll is no setting of this kind",
        ),
        (
            json!({"url": "https://a.example/"}),
            json!({"secret": "hunter2"}),
            "secret has to be `whsec_`",
        ),
    ] {
        let refused = open(config, secrets).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
