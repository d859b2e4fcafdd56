//! A batch of messages from SQS, and the answer to Lambda.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::message::EventMessage;
use futures::future::BoxFuture;
use jiff::Timestamp;
use routing::RouteError;
use runtime::batch::{self, Outcome as MessageOutcome, Received};
use tokio::time::{Instant, timeout_at};

use crate::{
    batch::{Results, route},
    config::App,
    source,
};

/// Time that is left for the answer to Lambda.
const TO_ANSWER: Duration = Duration::from_secs(1);
/// Routes a batch. Messages that could not be routed are reported one by one and come back; so do those
/// that are not done when `within`, the time that is left of the invocation, is nearly over.
pub async fn handle(
    app: &App,
    event: SqsEvent,
    now: Timestamp,
    within: Duration,
) -> SqsBatchResponse {
    let read = |message: &SqsMessage| source::read(app, message, now);
    let until = Instant::now() + within.saturating_sub(TO_ANSWER);
    batch::run_whole(event, read, |messages| async move {
        let ids: Vec<_> = messages
            .iter()
            .map(|message| message.message_id.clone())
            .collect();
        // Boxed: the futures of a batch are deeper than the compiler lays out in one.
        let routing: BoxFuture<'_, Results> = Box::pin(route_all(app, messages, now, until));
        let routed = timeout_at(until, routing).await;
        let outcomes = routed.unwrap_or_else(|_| {
            let too_slow = |id| (id, Err(RouteError::TooSlow));
            ids.into_iter().map(too_slow).collect()
        });
        outcomes
            .into_iter()
            .map(|(message_id, result)| MessageOutcome { message_id, result })
            .collect()
    })
    .await
}

async fn route_all(
    app: &App,
    messages: Vec<Received<EventMessage>>,
    now: Timestamp,
    until: Instant,
) -> Results {
    let whole = batch::caught(Box::pin(route(app, messages.clone(), now, until))).await;
    match whole {
        Ok(outcomes) => outcomes,
        // One of them brought the batch down. Alone, each can only bring down itself.
        Err(batch::Panicked) => route_each(app, messages, now, until).await,
    }
}

async fn route_each(
    app: &App,
    messages: Vec<Received<EventMessage>>,
    now: Timestamp,
    until: Instant,
) -> Results {
    let mut results = Results::new();
    for message in messages {
        let message_id = message.message_id.clone();
        match batch::caught(Box::pin(route(app, vec![message], now, until))).await {
            Ok(outcome) => results.extend(outcome),
            Err(batch::Panicked) => drop(results.insert(message_id, Err(RouteError::Panicked))),
        }
    }
    results
}
