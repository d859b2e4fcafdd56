//! Trouble that meets every kind: a server that never answers, that answers without end or in another
//! language, that sends elsewhere, that refuses; and a name that changes its address. Needs no server.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use destinations::{
    config::{Context, KindName, Secrets, open},
    kind::{Erased, Erasure, Fault, Kind, LONGEST_CALL, Outcome, Unreachable},
    net::{Network, Resolve},
    sign::Secret,
};
use futures::future::join_all;
use models::data::DataType;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, time::Instant};

use crate::{samples, tls::context};

/// Kinds that speak HTTP.
const OVER_HTTP: [KindName; 7] = [
    KindName::Webhook,
    KindName::Gcs,
    KindName::Firestore,
    KindName::Supabase,
    KindName::S3,
    KindName::Azure,
    KindName::Sqs,
];
/// Kinds that are buckets over HTTP.
const BUCKETS: [KindName; 3] = [KindName::S3, KindName::Gcs, KindName::Azure];
/// Kinds with a protocol of their own.
const OTHERS: [KindName; 4] = [
    KindName::Postgres,
    KindName::Mysql,
    KindName::Mongodb,
    KindName::Kafka,
];

/// A destination at an address: `http://<host>:<port>`, or host and port.
fn at(kind: KindName, scheme: &str, host: &str, port: u16, context: Context) -> Box<dyn Kind> {
    with(kind, scheme, (host, port), context, &json!({}))
}

/// A destination with more settings than it needs.
fn with(
    kind: KindName,
    scheme: &str,
    (host, port): (&str, u16),
    context: Context,
    more: &Value,
) -> Box<dyn Kind> {
    let url = format!("{scheme}://{host}:{port}");
    let local = scheme == "http";
    let (mut config, secrets) = match kind {
        KindName::Webhook => (
            json!({"url": url}),
            json!({"secret": Secret::generate().expose_secret()}),
        ),
        KindName::Gcs => (json!({"bucket": "bucket", "endpoint": url}), json!({})),
        KindName::Firestore => (
            json!({"project_id": "project-1", "endpoint": url}),
            json!({}),
        ),
        KindName::Supabase => (
            json!({"project_url": url}),
            json!({"secret_key": "sb_secret_k"}),
        ),
        KindName::S3 => (
            json!({"bucket": "b", "region": "eu-west-2", "endpoint": url}),
            json!({"access_key_id": "id", "secret_access_key": "secret"}),
        ),
        KindName::Azure => (
            json!({"account": "account", "container": "container", "endpoint": url}),
            json!({"account_key": "c2VjcmV0"}),
        ),
        KindName::Sqs => (
            json!({"queue_url": format!("{url}/1/q"), "endpoint": url, "region": "eu-west-2"}),
            json!({"access_key_id": "id", "secret_access_key": "secret"}),
        ),
        KindName::Postgres | KindName::Mysql => (
            json!({"host": host, "port": port, "database": "d", "user": "u"}),
            json!({"password": "p"}),
        ),
        KindName::Mongodb => (
            json!({"host": host, "port": port, "database": "d", "direct_connection": true}),
            json!({}),
        ),
        KindName::Kafka => (
            json!({"brokers": [format!("{host}:{port}")], "topic": "t"}),
            json!({}),
        ),
        KindName::Folder => (json!({}), json!({})),
    };
    let plain = match kind {
        KindName::Postgres => Some(("sslmode", json!("disable"))),
        KindName::Mysql => Some(("ssl_mode", json!("disabled"))),
        KindName::Mongodb | KindName::Kafka => Some(("tls", json!(false))),
        _ => None,
    };
    if let Some((name, value)) = plain.filter(|_| local) {
        config[name] = value;
    }
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    open(kind, config.as_object().unwrap(), &secrets, context).unwrap()
}

fn here(kind: KindName, port: u16) -> Box<dyn Kind> {
    at(kind, "http", "127.0.0.1", port, context())
}

fn day() -> Vec<destinations::change::Change> {
    vec![samples::daily(1, "2026-11-20", 1, 1)]
}

/// The person behind the samples' first connection.
fn person() -> Erasure {
    Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![samples::owner(1)],
        terra_user_ids: samples::source(1).terra_user_id.into_iter().collect(),
        records: Vec::new(),
    }
}

/// The fault of a delivery, or of its only change.
async fn fault_of(kind: &dyn Kind) -> Fault {
    match kind.deliver(&day()).await {
        Err(fault) => fault,
        Ok(mut outcomes) => match outcomes.remove(0) {
            Outcome::Retry(fault) => fault,
            Outcome::Rejected(rejection) => Fault::Rejected {
                reason: rejection.reason,
                code: rejection.code,
            },
            outcome => panic!("{kind:?}: {outcome:?}"),
        },
    }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// An HTTP server that gives everybody one answer.
async fn answering(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> u16 {
    let (listener, port) = listener().await;
    let router = Router::new().fallback(move || std::future::ready(answer()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// A server that says the same to everybody, as often as they listen.
async fn saying(text: &'static [u8], times: usize) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                for _ in 0..times {
                    if client.write_all(text).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_in_time() {
    for kind in OVER_HTTP.into_iter().chain(OTHERS) {
        let (listener, port) = listener().await;
        let silent = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                held.push(client);
            }
        });
        let destination = here(kind, port);
        let started = Instant::now();
        let fault = fault_of(&*destination).await;
        assert_eq!(fault, Fault::unreachable(Unreachable::Timeout), "{kind}");
        assert!(
            started.elapsed() <= LONGEST_CALL,
            "{kind}: {:?}",
            started.elapsed()
        );
        silent.abort();
    }
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_told_as_such() {
    // Two of the clients try again until their time is over: all at once.
    let told = OVER_HTTP.into_iter().chain(OTHERS).map(|kind| async move {
        let (listener, port) = listener().await;
        drop(listener);
        let fault = fault_of(&*here(kind, port)).await;
        assert_eq!(fault, Fault::unreachable(Unreachable::Refused), "{kind}");
    });
    join_all(told).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_kind_holds_nobody_up() {
    let http = saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 1).await;
    let endless = saying(&[b'x'; 4096], usize::MAX).await;
    for kind in OTHERS {
        let fault = fault_of(&*here(kind, http)).await;
        assert!(
            ["unreachable", "misconfigured"].contains(&fault.name()),
            "{kind}: {fault:?}"
        );
    }
    for kind in OVER_HTTP.into_iter().chain(OTHERS) {
        let fault = fault_of(&*here(kind, endless)).await;
        assert!(
            ["unreachable", "misconfigured"].contains(&fault.name()),
            "{kind}: {fault:?}"
        );
    }
}

/// Bytes that all answers to one call may take: what is read of them, and what lies in the buffers of connections.
const MAX_TAKEN: usize = 128 * 1024 * 1024;

#[tokio::test]
async fn answers_without_end_are_not_listened_to_however_many_a_call_has() {
    let days: Vec<_> = (1..=24)
        .map(|day| samples::daily(1, &format!("2026-11-{day:02}"), 1, 1))
        .collect();
    let (owner, person) = (samples::owner(1), person());
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let port = answering(move || {
            let counted = Arc::clone(&counted);
            let chunk = move || {
                counted.fetch_add(65536, Ordering::SeqCst);
                Ok::<_, io::Error>(Bytes::from(vec![b' '; 65536]))
            };
            let endless = futures::stream::repeat_with(chunk);
            (status, Body::from_stream(endless)).into_response()
        })
        .await;
        let mut destinations = Vec::new();
        // The answers of SQS come from AWS: its address is not the app's to choose.
        for kind in OVER_HTTP.into_iter().filter(|kind| *kind != KindName::Sqs) {
            destinations.push((kind, here(kind, port)));
            if BUCKETS.contains(&kind) {
                let write_only = json!({"write_only": true});
                let at = ("127.0.0.1", port);
                destinations.push((kind, with(kind, "http", at, context(), &write_only)));
            }
        }
        for (kind, destination) in destinations {
            let started = std::time::Instant::now();
            let delivered = destination.deliver(&days).await;
            let of_delivery = taken.swap(0, Ordering::SeqCst);
            let listed = destination.revisions(&owner, Some(DataType::Daily)).await;
            let erased = destination.erase(&person).await;
            let of_lists = taken.swap(0, Ordering::SeqCst);
            assert!(
                started.elapsed().as_secs() < 20,
                "{kind} {status}: {delivered:?} {listed:?} {erased:?}"
            );
            assert!(of_delivery < MAX_TAKEN, "{kind} {status}: {of_delivery}");
            assert!(of_lists < MAX_TAKEN, "{kind} {status}: {of_lists}");
        }
    }
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let owner = samples::owner(1);
    for kind in BUCKETS {
        // Ever new tokens, and one that is always the same.
        for step in [1, 0] {
            let number = Arc::new(AtomicUsize::new(7));
            let port = answering(move || {
                let token = number.fetch_add(step, Ordering::SeqCst);
                match kind {
                    KindName::S3 => format!(
                        "<ListBucketResult><IsTruncated>true</IsTruncated>\
                         <NextContinuationToken>{token}</NextContinuationToken></ListBucketResult>"
                    ),
                    KindName::Azure => format!(
                        "<EnumerationResults><Blobs></Blobs><NextMarker>{token}</NextMarker>\
                         </EnumerationResults>"
                    ),
                    _ => json!({"items": [], "nextPageToken": token.to_string()}).to_string(),
                }
                .into_response()
            })
            .await;
            let destination = here(kind, port);
            let listed = destination.revisions(&owner, Some(DataType::Daily));
            let fault = listed.await.unwrap_err();
            assert!(
                fault.to_string().contains("does not end"),
                "{kind}: {fault}"
            );
            let erased = destination.erase(&person()).await;
            assert!(
                matches!(erased, Ok(Erased::Manual(_))),
                "{kind}: {erased:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_by_any_kind() {
    let called = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    let elsewhere = answering(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        StatusCode::OK.into_response()
    })
    .await;
    let port = answering(move || {
        let target = format!("http://127.0.0.1:{elsewhere}/");
        (StatusCode::TEMPORARY_REDIRECT, [("location", target)]).into_response()
    })
    .await;
    for kind in OVER_HTTP {
        let fault = fault_of(&*here(kind, port)).await;
        assert_eq!(fault.name(), "misconfigured", "{kind}: {fault:?}");
    }
    assert_eq!(called.load(Ordering::SeqCst), 0);
}

/// A name that belongs to a public address once, and to this machine from then on.
#[derive(Debug, Default)]
struct Rebound(AtomicUsize);

#[async_trait]
impl Resolve for Rebound {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
            _ => Ipv4Addr::LOCALHOST.into(),
        }])
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_changes_its_address_reaches_nothing() {
    for kind in [
        KindName::Webhook,
        KindName::Supabase,
        KindName::S3,
        KindName::Azure,
        KindName::Postgres,
        KindName::Mysql,
    ] {
        let (listener, port) = listener().await;
        let mut context = context();
        context.network = Network::Public;
        let resolver = Arc::new(Rebound::default());
        context.resolver = Arc::clone(&resolver) as Arc<dyn Resolve>;
        let destination = at(kind, "https", "db.example.com", port, context);
        // The check before: the address is one of the internet.
        resolver.resolve("db.example.com").await.unwrap();
        let fault = fault_of(&*destination).await;
        assert!(
            fault.to_string().contains("it is this machine"),
            "{kind}: {fault:?}"
        );
        let connected = tokio::time::timeout(std::time::Duration::from_secs(1), listener.accept());
        assert!(connected.await.is_err(), "{kind}");
    }
}

/// The fault of a kind whose server answers so.
async fn refused(kind: KindName, status: u16, body: String) -> Fault {
    let status = StatusCode::from_u16(status).unwrap();
    let port = answering(move || (status, body.clone()).into_response()).await;
    fault_of(&*here(kind, port)).await
}

#[tokio::test]
async fn a_refusal_names_the_right_or_the_key_that_is_wrong() {
    let s3 = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let sqs = |code: &str| json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "m"});
    let gcs = |reason: &str| json!({"error": {"code": 403, "errors": [{"reason": reason}]}});
    let firestore = |status: &str| json!([{"error": {"code": 403, "status": status}}]);
    let azure = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    let text = |value: Value| value.to_string();
    for (kind, status, body, finding) in [
        (
            KindName::Gcs,
            403,
            text(gcs("forbidden")),
            "storage.objects.get",
        ),
        (
            KindName::Gcs,
            401,
            text(gcs("authError")),
            "does not accept the service account",
        ),
        (
            KindName::Firestore,
            403,
            text(firestore("PERMISSION_DENIED")),
            "datastore.entities.get",
        ),
        (
            KindName::Firestore,
            404,
            text(firestore("NOT_FOUND")),
            "no Firestore database",
        ),
        (
            KindName::S3,
            403,
            s3("AccessDenied"),
            "s3:GetObject on arn:aws:s3:::b/*",
        ),
        (
            KindName::Azure,
            403,
            azure("AuthorizationPermissionMismatch"),
            "read (r) on container container",
        ),
        (
            KindName::Sqs,
            403,
            text(sqs("AccessDeniedException")),
            "sqs:SendMessage on ",
        ),
        (
            KindName::Sqs,
            403,
            text(sqs("InvalidClientTokenId")),
            "no access key of this id",
        ),
        (
            KindName::Sqs,
            403,
            text(sqs("SignatureDoesNotMatch")),
            "the secret access key is wrong",
        ),
        (
            KindName::Sqs,
            400,
            text(sqs("QueueDoesNotExist")),
            "no queue under this URL",
        ),
        (
            KindName::Webhook,
            401,
            String::new(),
            "refuses our signature",
        ),
    ] {
        let fault = refused(kind, status, body.clone()).await;
        assert_eq!(fault.name(), "misconfigured", "{kind} {body}: {fault:?}");
        assert!(
            fault.to_string().contains(finding),
            "{kind} {body}: {fault}"
        );
    }
    for (kind, status, body) in [
        (KindName::Gcs, 403, text(gcs("rateLimitExceeded"))),
        (
            KindName::Firestore,
            429,
            text(firestore("RESOURCE_EXHAUSTED")),
        ),
        (KindName::S3, 503, s3("SlowDown")),
        (KindName::Azure, 503, azure("ServerBusy")),
        (KindName::Sqs, 403, text(sqs("RequestThrottled"))),
        (KindName::Webhook, 429, String::new()),
        (KindName::Supabase, 429, String::new()),
    ] {
        let fault = refused(kind, status, body).await;
        assert_eq!(fault.name(), "throttled", "{kind}: {fault:?}");
    }
}

#[tokio::test]
async fn a_record_over_the_limit_of_a_request_to_kafka_is_rejected() {
    let (_listener, port) = listener().await;
    let record = format!(r#"{{"note":"{}"}}"#, "x".repeat(1_000_000));
    let large = samples::record(DataType::Daily, "2026-11-20", &record, 1);
    let outcomes = here(KindName::Kafka, port).deliver(&[large]).await.unwrap();
    assert!(matches!(&outcomes[0], Outcome::Rejected(_)), "{outcomes:?}");
}
