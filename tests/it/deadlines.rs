//! Calls that never answer: what waits for them ends in time.

use std::time::{Duration, Instant};

use axum::{Json, Router, body::Bytes};
use domain::Retry;
use event_router::App;
use models::ids::WebhookId;
use serde_json::{Value, json};
use simulator::{DataType as Kind, Oddity, Payloads, Provider, Shape};
use store::table::Table;
use terrarium::system::{DatabaseAddress, dynamodb_client};
use tokio::net::TcpListener;

use crate::world::{World, now, terra};

/// Time that the router keeps for storing what it has fetched, and for its answer.
const TO_STORE_AND_ANSWER: Duration = Duration::from_secs(31);

async fn table_at(router: Router) -> Table {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    Table::new(
        dynamodb_client(&DatabaseAddress::without_key(url)).unwrap(),
        "terrarium",
    )
}

fn message(body: &str) -> aws_lambda_events::sqs::SqsEvent {
    let event = domain::message::EventMessage {
        webhook_id: WebhookId::new("one").unwrap(),
        headers: models::headers::TerraHeaders::default(),
        received_at_ms: now().as_millisecond(),
        signed_at_s: None,
        secret_name: None,
        late: false,
        size_bytes: body.len() as u64,
        body: domain::message::Body::Plain(body.to_owned()),
    };
    let body = serde_json::to_string(&event).unwrap();
    let record = json!({ "messageId": "m", "body": body });
    serde_json::from_value(json!({ "Records": [record] })).unwrap()
}

/// Routes one message; its failures.
async fn failures(app: &App, body: &str, within: Duration) -> Vec<String> {
    let response = event_router::handle(app, message(body), now(), within).await;
    let failed = response.batch_item_failures.into_iter();
    failed.map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn keys_that_dynamodb_never_processes_are_given_up() {
    // Echoes the keys as unprocessed, each time.
    let never = async |body: Bytes| {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        Json(json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] }))
    };
    let table = table_at(Router::new().fallback(never)).await;
    let ids = ["one", "two"].map(|id| WebhookId::new(id).unwrap());
    let error = table.webhooks(&ids).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_back_before_lambda_ends_its_invocation() {
    let world = World::start().await;
    let own = &world.system.router;
    let silent = Router::new().fallback(std::future::pending::<()>);
    let app = App {
        table: table_at(silent).await,
        archive: own.archive.clone(),
        payloads: own.payloads.clone(),
        history: None,
        announcer: None,
        terra_queue_arn: None,
        metrics: own.metrics.clone(),
        observer: None,
    };
    let begun = Instant::now();
    let within = Duration::from_millis(1_200);
    assert_eq!(
        failures(&app, r#"{"type":"healthcheck"}"#, within).await,
        ["m"]
    );
    assert!(begun.elapsed() < within);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_does_not_come_leaves_time_for_the_rest_of_the_batch() {
    let (world, mut terra) = (World::start().await, terra(31));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let payloads = Payloads::new(&url, b"s3", std::sync::Arc::new(now));
    let router = simulator::server::router(payloads.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    let connection = terra.connection(Provider::Garmin);
    let data = terra.data(&connection, Kind::Daily, &Shape::default());
    let slow = Oddity::Slow(Duration::from_mins(5));
    let url = payloads.put_oddly("slow", data.body.clone(), now(), 300, slow);
    let ping = terra.ping("s3_payload", &data, &url, 300);
    let ping = String::from_utf8(ping.body.to_vec()).unwrap();
    let begun = Instant::now();
    let within = TO_STORE_AND_ANSWER + Duration::from_millis(300);
    assert_eq!(failures(&world.system.router, &ping, within).await, ["m"]);
    assert!(begun.elapsed() < TO_STORE_AND_ANSWER);
    world.system.stop().await;
}
