//! Events that Lambda hands to each function.

use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Bytes;
use jiff::Timestamp;
use runtime::metrics::Sink;
use serde_json::{Map, Value, json};

use super::history;
use crate::{
    cpu::{Kept, intake},
    webhooks::{Signed, many, sizes},
};

/// Webhooks in a router's batch of small ones.
pub(super) const BATCH: usize = 10;
/// Lambda takes 6 MB per invocation, and the body travels in it as an escaped JSON string.
const MAX_BODY_BYTES: usize = 4_000_000;

/// An event and how a right answer looks.
pub(super) struct Event {
    pub(super) payload: Bytes,
    pub(super) webhooks: usize,
    pub(super) is_right: fn(&[u8]) -> bool,
}

/// The events for a function, by name; the first one is the one that a cold start meets.
pub(super) async fn of(function: &str, now: Timestamp) -> anyhow::Result<Vec<(String, Event)>> {
    let sizes = sizes(now)
        .into_iter()
        .filter(|(_, signed)| signed.webhook.body.len() < MAX_BODY_BYTES);
    let mut events = Vec::new();
    if function == "webhook-intake" {
        for (name, signed) in sizes {
            events.push((name.to_owned(), request(&signed)?));
        }
        return Ok(events);
    }
    if function == "history-fetch" {
        events.push(("nothing due".to_owned(), history::work()));
        return Ok(events);
    }
    for (name, signed) in sizes {
        let (event, _) = batch(&[signed], now).await?;
        events.push((format!("one of {name}"), event));
    }
    let (small, _) = batch(&many(BATCH, now), now).await?;
    events.push((format!("{BATCH} of 2 KB at once"), small));
    Ok(events)
}

/// An API Gateway HTTP API event, payload format 2.0.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
pub(super) fn request(signed: &Signed) -> anyhow::Result<Event> {
    let headers: Map<String, Value> = signed
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), Value::from(value.as_str())))
        .collect();
    let body = str::from_utf8(&signed.webhook.body)?;
    let event = json!({
        "version": "2.0",
        "routeKey": "POST /webhooks/terra",
        "rawPath": "/webhooks/terra",
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "bench",
            "domainName": "bench.execute-api.eu-west-2.amazonaws.com",
            "domainPrefix": "bench",
            "http": {
                "method": "POST",
                "path": "/webhooks/terra",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "bench",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "POST /webhooks/terra",
            "stage": "$default",
            "time": "10/Mar/2026:05:16:23 +0000",
            "timeEpoch": 1_773_119_783_636_i64,
        },
        "body": body,
        "isBase64Encoded": false,
    });
    Ok(Event {
        payload: event.to_string().into(),
        webhooks: 1,
        is_right: |answer| {
            let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
            answer.get("statusCode") == Some(&json!(200))
        },
    })
}

/// An SQS event with what the intake would have queued, and the size of each message.
pub(super) async fn batch(
    signed: &[Signed],
    now: Timestamp,
) -> anyhow::Result<(Event, Vec<usize>)> {
    let kept = Arc::new(Kept::default());
    let app = intake(&kept, Sink::Nowhere)?;
    let mut records = Vec::new();
    let mut sizes = Vec::new();
    for (number, signed) in signed.iter().enumerate() {
        webhook_intake::handle(&app, signed.request()?, now).await;
        let body = kept.take().context("the intake queued nothing")?;
        sizes.push(body.len());
        records.push(json!({
            "messageId": format!("059f36b4-87a3-44ab-83d2-{number:012}"),
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": now.as_millisecond().to_string(),
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": now.as_millisecond().to_string(),
            },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-2:000000000000:events",
            "awsRegion": "eu-west-2",
        }));
    }
    let event = Event {
        payload: json!({ "Records": records }).to_string().into(),
        webhooks: records.len(),
        is_right: no_failures,
    };
    Ok((event, sizes))
}

/// Returns whether an answer to a batch, or to a schedule, says that nothing failed.
pub(super) fn no_failures(answer: &[u8]) -> bool {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer.get("batchItemFailures") == Some(&json!([]))
}
