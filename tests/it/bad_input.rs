//! Bad input: refused or parked, never lost, never harmful to what comes next.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::plan::ParkReason;
use models::{data::DataType, signature::Tolerance};
use reqwest::{Method, Response, StatusCode};
use runtime::metrics::Sink;
use runtime::queue::Queue;
use serde_json::{Value, json};
use simulator::sign;
use store::table::ledger::Outcome;
use terrarium::system::{EVENTS_QUEUE, PINGS_QUEUE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{SECRET, World, client, now};

const BODY: &[u8] = br#"{"type":"daily","user":{"user_id":"u","provider":"GARMIN"},"data":[]}"#;

fn signed(body: &[u8], seconds_from_now: i64) -> String {
    sign(
        SECRET.as_bytes(),
        now().as_second() + seconds_from_now,
        body,
    )
}

async fn send(world: &World, method: Method, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let request = world
        .http
        .request(method, &world.system.webhook_url)
        .body(body);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.send().await.unwrap()
}

/// The answer is a problem of this status and kind that says nothing of our insides.
async fn assert_problem(response: Response, status: u16, kind: &str) {
    assert_eq!(response.status(), StatusCode::from_u16(status).unwrap());
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["status"], status);
    assert!(
        problem["type"].as_str().unwrap().ends_with(kind),
        "{problem}"
    );
    assert!(!problem["title"].as_str().unwrap().is_empty());
    assert!(!problem.to_string().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_signed_rightly_is_refused_and_not_kept() {
    let world = World::start().await;
    let right = signed(BODY, 0);
    let wrong = sign(b"another secret", now().as_second(), BODY);
    let (old, future) = (signed(BODY, -80 * 3600), signed(BODY, 600));
    for (headers, kind) in [
        (vec![], "signature-missing"),
        (vec![("X-Terra-Signature", "")], "signature-missing"),
        (
            vec![("X-Terra-Signature", "t=1,v1=00")],
            "signature-invalid",
        ),
        (
            vec![("X-Terra-Signature", "no signature")],
            "signature-invalid",
        ),
        (
            vec![("X-Terra-Signature", wrong.as_str())],
            "signature-invalid",
        ),
        (
            vec![
                ("Terra-Signature", wrong.as_str()),
                ("X-Terra-Signature", &wrong),
            ],
            "signature-invalid",
        ),
        (
            vec![("X-Terra-Signature", old.as_str())],
            "signature-expired",
        ),
        (
            vec![("X-Terra-Signature", future.as_str())],
            "signature-expired",
        ),
    ] {
        let response = send(&world, Method::POST, &headers, BODY.to_vec()).await;
        assert_problem(response, 401, kind).await;
    }
    let mut changed = BODY.to_vec();
    changed.push(b' ');
    let response = send(
        &world,
        Method::POST,
        &[("X-Terra-Signature", &right)],
        changed,
    )
    .await;
    assert_problem(response, 401, "signature-invalid").await;
    let empty = signed(b"", 0);
    let response = send(
        &world,
        Method::POST,
        &[("X-Terra-Signature", &empty)],
        Vec::new(),
    )
    .await;
    assert_problem(response, 401, "signature-missing").await;

    world.idle().await;
    assert!(world.archived().await.is_empty());
    world.still_works("good").await;
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_right_signature_of_two_is_enough() {
    let world = World::start().await;
    let (right, wrong) = (
        signed(BODY, 0),
        sign(b"another secret", now().as_second(), BODY),
    );
    for (number, (one, other)) in [(&right, &wrong), (&wrong, &right), (&right, &right)]
        .into_iter()
        .enumerate()
    {
        let id = format!("both-{number}");
        let headers = [
            ("X-Terra-Signature", one.as_str()),
            ("Terra-Signature", other),
            ("X-Terra-Trace-Id", &id),
        ];
        let response = send(&world, Method::POST, &headers, BODY.to_vec()).await;
        assert_eq!(response.status(), StatusCode::OK, "{number}");
    }
    world.idle().await;
    assert_eq!(world.archived().await.len(), 3);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_signature_is_taken_and_counted_as_late() {
    let world = World::start().await;
    let late = signed(BODY, -3 * 3600);
    let headers = [
        ("X-Terra-Signature", late.as_str()),
        ("X-Terra-Trace-Id", "late"),
    ];
    let response = send(&world, Method::POST, &headers, BODY.to_vec()).await;
    assert_eq!(response.status(), StatusCode::OK);
    world.idle().await;
    assert!(world.entry("late").await.unwrap().late);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths_are_told_where_webhooks_go() {
    let world = World::start().await;
    let signature = signed(BODY, 0);
    for method in [
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ] {
        let headers = [("X-Terra-Signature", signature.as_str())];
        let response = send(&world, method, &headers, BODY.to_vec()).await;
        assert_eq!(response.headers()["allow"], "POST");
        assert_problem(response, 405, "method-not-allowed").await;
    }
    for path in [
        "/",
        "/webhooks/terra/",
        "/webhooks/terra/more",
        "/../webhooks",
    ] {
        let base = world
            .system
            .webhook_url
            .strip_suffix("/webhooks/terra")
            .unwrap();
        let request = world.http.post(format!("{base}{path}"));
        let request = request
            .header("X-Terra-Signature", &signature)
            .body(BODY.to_vec());
        assert_problem(request.send().await.unwrap(), 404, "not-found").await;
    }
    world.idle().await;
    assert!(world.archived().await.is_empty());
    world.still_works("good").await;
    world.system.stop().await;
}

/// Sends what `request` says over a connection of its own; what comes back until it is closed.
async fn raw(world: &World, head: &str, body: &[u8], hang_up: bool) -> String {
    let url = reqwest::Url::parse(&world.system.webhook_url).unwrap();
    let address = ("127.0.0.1", url.port().unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The other side may answer and close before all is sent.
    if stream.write_all(body).await.is_err() {
        return String::new();
    }
    if hang_up {
        stream.shutdown().await.unwrap();
    }
    let mut answer = vec![0; 16 * 1024];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    let count = read.unwrap().unwrap_or_default();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_bound_is_refused() {
    let world = World::start().await;
    let length = terrarium::gateway::MAX_BODY_BYTES + 1;
    let head = format!(
        "POST /webhooks/terra HTTP/1.1\r\nHost: localhost\r\nX-Terra-Signature: t=1,v1=00\r\nContent-Length: {length}\r\n\r\n"
    );
    let answer = raw(&world, &head, b"{", false).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");

    // Without a length it is refused once it has become too long.
    // A client of its own: the connection is closed under it.
    let client = client();
    let piece = bytes::Bytes::from(vec![b' '; 1024 * 1024]);
    let pieces = (0..=64).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let sent = client
        .post(&world.system.webhook_url)
        .body(body)
        .send()
        .await;
    // The answer may be lost when the connection closes under what is still being sent.
    if let Ok(response) = sent {
        assert!(response.status().is_client_error(), "{}", response.status());
    }
    world.still_works("good").await;
    assert_eq!(world.archived().await.len(), 1);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_not_stored() {
    let world = World::start().await;
    for told in [BODY.len() + 1, BODY.len() + 10_000] {
        let head = format!(
            "POST /webhooks/terra HTTP/1.1\r\nHost: localhost\r\nX-Terra-Signature: {}\r\nContent-Length: {told}\r\n\r\n",
            signed(BODY, 0)
        );
        let answer = raw(&world, &head, BODY, true).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    world.still_works("good").await;
    assert_eq!(world.archived().await.len(), 1);
    world.system.stop().await;
}

/// Sends a request through API Gateway's form and the conversions of the function's `main`.
async fn through_gateway(world: &World, body: &str, is_base64: bool, signature: &str) -> u16 {
    let event = json!({
        "version": "2.0",
        "routeKey": "POST /webhooks/terra",
        "rawPath": "/webhooks/terra",
        "rawQueryString": "",
        "headers": {"x-terra-signature": signature, "x-terra-trace-id": "gateway"},
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "p",
            "http": {
                "method": "POST", "path": "/webhooks/terra", "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1", "userAgent": "x",
            },
            "requestId": "r", "routeKey": "POST /webhooks/terra", "stage": "$default",
            "time": "01/Jul/2026:00:00:00 +0000", "timeEpoch": 0,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    });
    let request = webhook_intake::request_of(serde_json::from_value(event).unwrap());
    let app = webhook_intake::App {
        signing_secrets: vec![models::signature::SigningSecret::new("main", SECRET).unwrap()],
        path_token: None,
        refusals: webhook_intake::Refusals::default(),
        tolerance: Tolerance::default(),
        events: Queue::new(world.system.queues.transport(EVENTS_QUEUE)),
        pings: Queue::new(world.system.queues.transport(PINGS_QUEUE)),
        archive: world.system.archive.clone(),
        metrics: Sink::Nowhere,
    };
    webhook_intake::handle(&app, request.into(), now())
        .await
        .status()
        .as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn base64_of_the_gateway_is_undone_and_what_is_none_is_refused() {
    let world = World::start().await;
    let signature = signed(BODY, 0);
    let encoded = STANDARD.encode(BODY);
    for bad in ["***", "a", "YQ==YQ==", "äöü"] {
        assert_eq!(
            through_gateway(&world, bad, true, &signature).await,
            401,
            "{bad}"
        );
    }
    assert_eq!(
        through_gateway(&world, &encoded, false, &signature).await,
        401
    );
    assert_eq!(
        through_gateway(&world, &encoded, true, &signature).await,
        200
    );
    world.idle().await;
    let entry = world.entry("gateway").await.unwrap();
    let archived = world
        .system
        .archive
        .read_webhook(&entry.locator.unwrap())
        .await
        .unwrap();
    assert_eq!(archived.body, BODY);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_nonsense_is_parked_with_its_reason_and_kept_to_the_byte() {
    let world = World::start().await;
    let deep = |open: &str, close: &str| {
        format!(
            r#"{{"type":"daily","user":{{"user_id":"deep"}},"data":[{}{}]}}"#,
            open.repeat(100_000),
            close.repeat(100_000)
        )
        .into_bytes()
    };
    let cases: Vec<(&str, Vec<u8>, Option<ParkReason>)> = vec![
        (
            "not-utf8",
            b"{\"type\":\"daily\",\"x\":\"\xff\xfe\"}".to_vec(),
            Some(ParkReason::NotUtf8),
        ),
        (
            "not-json",
            b"{\"type\":".to_vec(),
            Some(ParkReason::NotJson),
        ),
        ("array", b"[1,2]".to_vec(), Some(ParkReason::NotAnObject)),
        ("null", b"null".to_vec(), Some(ParkReason::NotAnObject)),
        ("blank", b" ".to_vec(), Some(ParkReason::NotJson)),
        ("nul", vec![0; 1000], Some(ParkReason::NotJson)),
        (
            "untyped",
            b"{\"user\":{\"user_id\":\"u\"}}".to_vec(),
            Some(ParkReason::NoType),
        ),
        (
            "type-number",
            b"{\"type\":5}".to_vec(),
            Some(ParkReason::NoType),
        ),
        (
            "userless",
            b"{\"type\":\"daily\",\"data\":[]}".to_vec(),
            Some(ParkReason::NoUser),
        ),
        ("deep-arrays", deep("[", "]"), None),
        (
            "deep-objects",
            deep(r#"{"a":"#, "}")
                .into_iter()
                .filter(|b| *b != 0)
                .collect(),
            None,
        ),
        (
            "deep-open",
            format!(r#"{{"type":"daily","data":{}"#, "[".repeat(100_000)).into(),
            None,
        ),
    ];
    for (id, body, _) in &cases {
        assert_eq!(world.send(id, body.clone()).await, 200, "{id}");
    }
    world.idle().await;
    for (id, body, reason) in &cases {
        let entry = world
            .entry(id)
            .await
            .unwrap_or_else(|| panic!("{id} disappeared"));
        assert_eq!(entry.outcome, Outcome::Parked, "{id}");
        if let Some(reason) = reason {
            assert_eq!(entry.parked[0].reason, *reason, "{id}");
        }
        let archived = world
            .system
            .archive
            .read_webhook(&entry.locator.unwrap())
            .await
            .unwrap();
        assert!(archived.body == *body, "{id}");
    }
    assert!(world.dead_letters().await.is_empty());
    world.still_works("good").await;
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_keys_and_odd_forms_do_not_stop_a_webhook() {
    let world = World::start().await;
    let user = r#""user":{"user_id":"odd","provider":"GARMIN","user_id":"odd"}"#;
    let record = |day: &str| {
        format!(
            r#"{{"metadata":{{"start_time":"x","start_time":"{day}T00:00:00Z"}},"metadata":{{"start_time":"{day}T00:00:00Z"}},"distance_data":{{"steps":1,"steps":2}}}}"#
        )
    };
    for (id, body) in [
        (
            "twice",
            format!(
                r#"{{"type":"body","type":"daily",{user},"data":[{}]}}"#,
                record("2026-07-01")
            ),
        ),
        (
            "single",
            format!(
                r#"{{"type":"daily",{user},"data":{}}}"#,
                record("2026-07-02")
            ),
        ),
        (
            "marked",
            format!("\u{feff}{{\"type\":\"daily\",{user},\"data\":[]}}"),
        ),
        (
            "mixed",
            format!(
                r#"{{"type":"daily",{user},"data":[null,5,"x",[],{},{{}}]}}"#,
                record("2026-07-03")
            ),
        ),
        (
            "huge-number",
            format!(
                r#"{{"type":"daily",{user},"data":[{{"metadata":{{"start_time":"2026-07-04T00:00:00Z"}},"distance_data":{{"steps":1e999}}}}]}}"#
            ),
        ),
    ] {
        assert_eq!(world.send(id, body).await, 200, "{id}");
    }
    world.idle().await;
    assert!(world.dead_letters().await.is_empty());
    for id in ["twice", "single", "marked", "mixed", "huge-number"] {
        assert!(world.entry(id).await.is_some(), "{id} disappeared");
    }
    assert_eq!(world.entry("single").await.unwrap().records.created, 1);
    let mixed = world.entry("mixed").await.unwrap();
    assert_eq!((mixed.records.created, mixed.parked_count), (1, 5));
    world.still_works("good").await;
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
async fn ten_thousand_records_in_one_webhook_are_all_stored() {
    let world = World::start().await;
    let records: Vec<String> = (0..10_000)
        .map(|number| {
            format!(
                r#"{{"metadata":{{"summary_id":"s{number}","start_time":"2026-07-01T00:00:00Z","end_time":"2026-07-01T01:00:00Z","type":8}},"calories_data":{{"total_burned_calories":{number}}}}}"#
            )
        })
        .collect();
    let body = format!(
        r#"{{"type":"activity","user":{{"user_id":"many","provider":"GARMIN"}},"data":[{}]}}"#,
        records.join(",")
    );
    assert_eq!(world.send("many", body).await, 200);
    world.idle().await;
    assert_eq!(world.entry("many").await.unwrap().records.created, 10_000);
    assert_eq!(
        world.records("many", DataType::Activity).await.len(),
        10_000
    );
    world.still_works("good").await;
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_too_large_for_an_item_do_not_keep_their_record_out_of_the_table() {
    let world = World::start().await;
    let long = "x".repeat(1_000_000);
    let many: Vec<_> = (0..5_000).map(|number| format!("scope-{number}")).collect();
    let body = serde_json::json!({
        "type": "daily",
        "user": {"user_id": "u-long", "provider": "CORE", "scopes": many.join(","), "reference_id": long},
        "data": [{
            "metadata": {"start_time": format!("2026-07-01T00:00:00{long}"), "name": long},
            "data_enrichment": {"strain_index": 7, "stress_contributors": {"a": long}, "odd": long},
        }],
    });
    assert_eq!(world.send("too-long", body.to_string()).await, 200);
    world.idle().await;

    let entry = world.entry("too-long").await.unwrap();
    assert_eq!(entry.outcome, Outcome::Stored);
    assert_eq!(entry.records.created, 1);
    world.still_works("after-too-long").await;
    world.system.stop().await;
}
