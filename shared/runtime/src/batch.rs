//! Batches from SQS: each message is handled on its own and fails alone.
//!
//! A function answers with the messages that must come back
//! (`FunctionResponseTypes: ReportBatchItemFailures`); all others are deleted from the queue.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::{collections::HashMap, error::Error, future::Future, panic::AssertUnwindSafe};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use serde::de::DeserializeOwned;
use tracing::{Instrument as _, Span, error, field, info, info_span};

use crate::telemetry::Chain;

/// One message as it came from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<M> {
    /// The queue's name for it; the same each time it comes back.
    pub message_id: String,
    /// Number of receives, this one included.
    pub receive_count: u32,
    /// Time of sending, in Unix milliseconds; 0 if the queue does not say.
    pub sent_at_ms: i64,
    /// Message that was sent.
    pub message: M,
}

/// Result of one message of a batch that is handled as a whole.
#[derive(Debug)]
pub struct Outcome<E> {
    /// Id of the message.
    pub message_id: String,
    /// An error brings the message back.
    pub result: Result<(), E>,
}

/// The attribute of a message that names its group in a FIFO queue.
pub(crate) const MESSAGE_GROUP_ID: &str = "MessageGroupId";

/// The work panicked. The panic's message is not kept: it may hold data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work panicked")]
pub struct Panicked;

/// Handles each message of a batch on its own, up to `concurrency` of them at once.
///
/// A message comes back if its handler fails or panics, or if it cannot be read; the others do not
/// notice. Each handler runs in a span `message` with `message_id` and `receive_count`, in which it
/// can record `webhook_id`, `trace_id`, `event_type` and `connection_id`.
///
/// ```
/// # use std::convert::Infallible;
/// # use aws_lambda_events::sqs::SqsEvent;
/// # async fn example(event: SqsEvent) {
/// use runtime::batch::{self, Received};
///
/// let response = batch::run(event, 4, |received: Received<String>| async move {
///     println!("{}", received.message);
///     Ok::<_, Infallible>(())
/// })
/// .await;
/// # }
/// ```
pub async fn run<M, E, F, Fut>(event: SqsEvent, concurrency: usize, handle: F) -> SqsBatchResponse
where
    M: DeserializeOwned,
    E: Error,
    F: Fn(Received<M>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let (messages, mut failures) = parse(event, json);
    let mut waiting = messages.into_iter();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < concurrency.max(1)
            && let Some(message) = waiting.next()
        {
            running.push(run_one(&handle, message));
        }
        match running.next().await {
            Some(failure) => failures.extend(failure),
            None => return respond(failures),
        }
    }
}

/// Gives the messages of a batch that `read` can read ([`json`], as a rule) to one handler, all at
/// once.
///
/// A message comes back if its outcome is an error, if the handler gives no outcome for it, or if
/// it cannot be read; if the handler panics, all do.
pub async fn run_whole<M, E, R, F, Fut>(event: SqsEvent, read: R, handle: F) -> SqsBatchResponse
where
    E: Error,
    R: Fn(&SqsMessage) -> Result<M, serde_json::Error>,
    F: FnOnce(Vec<Received<M>>) -> Fut,
    Fut: Future<Output = Vec<Outcome<E>>>,
{
    let (messages, mut failures) = parse(event, read);
    let results = results(messages, handle).await;
    let failed = results.into_iter().filter(|message| !message.is_done());
    failures.extend(failed.map(|message| failure(message.message_id)));
    respond(failures)
}

/// Gives the messages of a batch from a FIFO queue to one handler group by group: the groups at
/// once, the messages of a group together and in order.
///
/// A message comes back as with [`run_whole`], and so does every later message of its group: done
/// already or not, it must not pass the first. The handler should therefore stop at the first message of a
/// group that fails, and leave the outcomes of the others out. Of a group with a message that cannot
/// be read, the handler gets those before it.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub async fn run_fifo<M, E, R, F, Fut>(event: SqsEvent, read: R, handle: F) -> SqsBatchResponse
where
    E: Error,
    R: Fn(&SqsMessage) -> Result<M, serde_json::Error>,
    F: Fn(Vec<Received<M>>) -> Fut,
    Fut: Future<Output = Vec<Outcome<E>>>,
{
    let mut groups: Vec<Group<M>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for record in event.records {
        let group_id = record.attributes.get(MESSAGE_GROUP_ID).cloned();
        let group_id = group_id.unwrap_or_default();
        let place = *places.entry(group_id.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group::new(group_id));
        }
        if let Some(group) = groups.get_mut(place) {
            group.push(&record, &read);
        }
    }
    let mut running: FuturesUnordered<_> = groups
        .into_iter()
        .map(|group| run_group(&handle, group))
        .collect();
    let mut failures = Vec::new();
    while let Some(failed) = running.next().await {
        failures.extend(failed);
    }
    respond(failures)
}

/// The messages of one group of a batch.
struct Group<M> {
    id: String,
    /// Messages up to the first that cannot be read.
    messages: Vec<Received<M>>,
    /// The first message that cannot be read, and all behind it.
    failures: Vec<BatchItemFailure>,
}

impl<M> Group<M> {
    fn new(id: String) -> Self {
        Self {
            id,
            messages: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn push(
        &mut self,
        record: &SqsMessage,
        read: impl Fn(&SqsMessage) -> Result<M, serde_json::Error>,
    ) {
        match parse_one(record, read) {
            Ok(message) if self.failures.is_empty() => self.messages.push(message),
            Ok(message) => self.failures.push(failure(message.message_id)),
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// Runs the handler on a group; gives the messages that come back.
async fn run_group<M, E, F, Fut>(handle: &F, group: Group<M>) -> Vec<BatchItemFailure>
where
    E: Error,
    F: Fn(Vec<Received<M>>) -> Fut,
    Fut: Future<Output = Vec<Outcome<E>>>,
{
    let Group {
        id,
        messages,
        failures: unreadable,
    } = group;
    let span = info_span!("group", message_group_id = id);
    let work = async {
        let results = if messages.is_empty() {
            Vec::new()
        } else {
            results(messages, handle).await
        };
        let from_first_failed = results.into_iter().skip_while(ResultOf::is_done);
        let mut failures: Vec<BatchItemFailure> = from_first_failed
            .map(|message| failure(message.message_id))
            .collect();
        failures.extend(unreadable);
        if failures.len() > 1 {
            let messages = failures.len() - 1;
            info!(messages, "later messages of the group go back too");
        }
        failures
    };
    work.instrument(span).await
}

/// A message that was given to a handler, and the handler's result for it.
struct ResultOf<E> {
    message_id: String,
    receive_count: u32,
    result: Option<Result<(), E>>,
}

impl<E: Error> ResultOf<E> {
    /// Returns whether the message is done; if not, the log says why it goes back.
    fn is_done(&self) -> bool {
        let Self {
            message_id,
            receive_count,
            result,
        } = self;
        match result {
            Some(Ok(())) => return true,
            Some(Err(error)) => {
                info!(message_id, receive_count, error = %Chain(error), "message goes back");
            }
            None => error!(
                message_id,
                receive_count, "message has no outcome and goes back"
            ),
        }
        false
    }
}

/// Gives messages to a handler, and their results in their order.
async fn results<M, E, Fut>(
    messages: Vec<Received<M>>,
    handle: impl FnOnce(Vec<Received<M>>) -> Fut,
) -> Vec<ResultOf<E>>
where
    Fut: Future<Output = Vec<Outcome<E>>>,
{
    let expected: Vec<(String, u32)> = messages
        .iter()
        .map(|message| (message.message_id.clone(), message.receive_count))
        .collect();
    let outcomes = caught(async { handle(messages).await })
        .await
        .unwrap_or_else(|Panicked| {
            error!(
                messages = expected.len(),
                "the handler of several messages panicked"
            );
            Vec::new()
        });
    let mut results: HashMap<String, Result<(), E>> = outcomes
        .into_iter()
        .map(|outcome| (outcome.message_id, outcome.result))
        .collect();
    let result_of = |(message_id, receive_count): (String, u32)| ResultOf {
        result: results.remove(&message_id),
        message_id,
        receive_count,
    };
    expected.into_iter().map(result_of).collect()
}

/// Reads the messages of a batch; those that cannot be read are failures.
///
/// An unreadable message goes to the dead-letter queue by way of its retries; the log says where
/// reading stopped, never what was read.
pub fn parse<M>(
    event: SqsEvent,
    read: impl Fn(&SqsMessage) -> Result<M, serde_json::Error>,
) -> (Vec<Received<M>>, Vec<BatchItemFailure>) {
    let mut messages = Vec::with_capacity(event.records.len());
    let mut failures = Vec::new();
    for record in event.records {
        match parse_one(&record, &read) {
            Ok(message) => messages.push(message),
            Err(failure) => failures.push(failure),
        }
    }
    (messages, failures)
}

/// Reads a message whose body is JSON.
///
/// # Errors
///
/// Fails where the body is not JSON, or not of this type.
pub fn json<M: DeserializeOwned>(message: &SqsMessage) -> Result<M, serde_json::Error> {
    serde_json::from_str(message.body.as_deref().unwrap_or_default())
}

/// Returns the time at which a message was sent, in Unix milliseconds, if the queue says so.
pub fn sent_at_ms(message: &SqsMessage) -> Option<i64> {
    number(message, "SentTimestamp")
}

fn number(message: &SqsMessage, attribute: &str) -> Option<i64> {
    message.attributes.get(attribute)?.parse().ok()
}

/// The answer to a batch: these messages come back, the others are done.
pub fn respond(failures: Vec<BatchItemFailure>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}

/// One message comes back.
pub fn failure(message_id: impl Into<String>) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id.into();
    failure
}

/// Runs a piece of work and turns its panic into an error.
///
/// # Errors
///
/// [`Panicked`] if it did.
pub async fn caught<F: Future>(work: F) -> Result<F::Output, Panicked> {
    // Whatever the work shares with others is behind locks that poison, or in a database.
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|_| Panicked)
}

async fn run_one<M, E, F, Fut>(handle: &F, message: Received<M>) -> Option<BatchItemFailure>
where
    E: Error,
    F: Fn(Received<M>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let message_id = message.message_id.clone();
    let span = span(&message_id, message.receive_count);
    let work = async {
        match caught(async { handle(message).await }).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => info!(error = %Chain(&error), "message goes back"),
            Err(Panicked) => error!("the message's handler panicked, message goes back"),
        }
        Some(failure(message_id))
    };
    work.instrument(span).await
}

fn span(message_id: &str, receive_count: u32) -> Span {
    info_span!(
        "message",
        message_id,
        receive_count,
        webhook_id = field::Empty,
        trace_id = field::Empty,
        event_type = field::Empty,
        connection_id = field::Empty,
    )
}

fn parse_one<M>(
    record: &SqsMessage,
    read: impl Fn(&SqsMessage) -> Result<M, serde_json::Error>,
) -> Result<Received<M>, BatchItemFailure> {
    // A failure without an identifier makes Lambda bring the whole batch back: nothing is lost.
    let message_id = record.message_id.clone().unwrap_or_default();
    let receive_count = number(record, "ApproximateReceiveCount").unwrap_or(1);

    match read(record) {
        Ok(message) => Ok(Received {
            message_id,
            receive_count: u32::try_from(receive_count).unwrap_or(1),
            sent_at_ms: sent_at_ms(record).unwrap_or(0),
            message,
        }),
        Err(cause) => {
            error!(
                message_id,
                receive_count,
                size_bytes = record.body.as_ref().map_or(0, String::len),
                category = ?cause.classify(),
                line = cause.line(),
                column = cause.column(),
                "unreadable message goes back"
            );
            Err(failure(message_id))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("refused")]
    struct Refused;

    fn event(bodies: &[&str]) -> SqsEvent {
        let records: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(index, body)| {
                json!({
                    "messageId": format!("m-{index}"),
                    "body": body,
                    "attributes": {
                        "ApproximateReceiveCount": "2",
                        "SentTimestamp": "1700000000000",
                    },
                })
            })
            .collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    fn failed(response: &SqsBatchResponse) -> Vec<&str> {
        let mut ids: Vec<&str> = response
            .batch_item_failures
            .iter()
            .map(|item| item.item_identifier.as_str())
            .collect();
        ids.sort_unstable();
        ids
    }

    #[tokio::test]
    async fn a_failing_a_panicking_and_an_unreadable_message_fail_alone() {
        let handled = Mutex::new(Vec::new());
        let event = event(&[r#""good""#, r#""bad""#, "{", r#""panic""#, r#""also good""#]);
        let response = run(event, 2, |received: Received<String>| {
            // Panics outside of the future as well.
            assert_ne!(received.message, "panic");
            let handled = &handled;
            async move {
                tokio::task::yield_now().await;
                if received.message == "bad" {
                    return Err(Refused);
                }
                assert_eq!(
                    (received.receive_count, received.sent_at_ms),
                    (2, 1_700_000_000_000)
                );
                handled.lock().unwrap().push(received.message);
                Ok(())
            }
        })
        .await;

        assert_eq!(failed(&response), ["m-1", "m-2", "m-3"]);
        assert_eq!(*handled.lock().unwrap(), ["good", "also good"]);
    }

    #[tokio::test]
    async fn no_more_than_the_allowed_number_run_at_once() {
        let running = Mutex::new((0, 0));
        let response = run(event(&["1"; 10]), 3, |_: Received<u32>| async {
            {
                let mut running = running.lock().unwrap();
                running.0 += 1;
                running.1 = running.1.max(running.0);
            }
            tokio::task::yield_now().await;
            running.lock().unwrap().0 -= 1;
            Ok::<_, Refused>(())
        })
        .await;

        assert!(failed(&response).is_empty());
        assert_eq!(*running.lock().unwrap(), (0, 3));
    }

    #[tokio::test]
    async fn a_message_of_a_whole_batch_without_an_outcome_comes_back() {
        let response = run_whole(
            event(&["0", "1", "2", "x"]),
            json,
            |messages: Vec<Received<u32>>| {
                let outcomes = messages
                    .into_iter()
                    .filter(|received| received.message != 2)
                    .map(|received| Outcome {
                        message_id: received.message_id,
                        result: if received.message == 1 {
                            Err(Refused)
                        } else {
                            Ok(())
                        },
                    });
                std::future::ready(outcomes.collect())
            },
        )
        .await;
        assert_eq!(failed(&response), ["m-1", "m-2", "m-3"]);
    }

    #[tokio::test]
    async fn a_whole_batch_comes_back_after_a_panic() {
        let response = run_whole(event(&["0", "1"]), json, |_: Vec<Received<u32>>| async {
            assert!(std::hint::black_box(false), "lost");
            Vec::<Outcome<Refused>>::new()
        })
        .await;
        assert_eq!(failed(&response), ["m-0", "m-1"]);
    }

    /// Messages of a FIFO queue: group and body of each.
    fn fifo_event(messages: &[(&str, &str)]) -> SqsEvent {
        let bodies: Vec<&str> = messages.iter().map(|(_, body)| *body).collect();
        let mut event = event(&bodies);
        for (record, (group, _)) in event.records.iter_mut().zip(messages) {
            let attribute = (MESSAGE_GROUP_ID.to_owned(), (*group).to_owned());
            record.attributes.extend([attribute]);
        }
        event
    }

    fn outcome(received: &Received<u32>) -> Outcome<Refused> {
        Outcome {
            message_id: received.message_id.clone(),
            result: if received.message < 100 {
                Ok(())
            } else {
                Err(Refused)
            },
        }
    }

    #[tokio::test]
    async fn groups_run_at_once_and_each_is_handed_over_in_order() {
        let messages = [("a", "0"), ("b", "10"), ("a", "1"), ("c", "20"), ("a", "2")];
        // Passed only when all three groups have arrived.
        let barrier = tokio::sync::Barrier::new(3);
        let handled = Mutex::new(Vec::new());
        let response = run_fifo(fifo_event(&messages), json, |group: Vec<Received<u32>>| {
            let (barrier, handled) = (&barrier, &handled);
            async move {
                barrier.wait().await;
                let numbers: Vec<u32> = group.iter().map(|received| received.message).collect();
                handled.lock().unwrap().push(numbers);
                group.iter().map(outcome).collect()
            }
        })
        .await;
        assert!(failed(&response).is_empty());
        let mut handled = handled.into_inner().unwrap();
        handled.sort();
        assert_eq!(handled, [vec![0, 1, 2], vec![10], vec![20]]);
    }

    #[tokio::test]
    async fn the_rest_of_a_group_comes_back_with_its_first_failed_message() {
        let messages = [
            ("a", "0"),
            ("b", "0"),
            ("a", "100"),
            // Done, but behind a failed one.
            ("a", "1"),
            ("b", "1"),
            ("c", "100"),
            ("a", "2"),
        ];
        let response = run_fifo(fifo_event(&messages), json, |group: Vec<Received<u32>>| {
            std::future::ready(group.iter().map(outcome).collect())
        })
        .await;
        assert_eq!(failed(&response), ["m-2", "m-3", "m-5", "m-6"]);
    }

    #[tokio::test]
    async fn a_group_comes_back_from_its_first_message_without_an_outcome() {
        let messages = [("a", "0"), ("a", "1"), ("a", "2"), ("b", "3")];
        let response = run_fifo(fifo_event(&messages), json, |group: Vec<Received<u32>>| {
            let given = group.iter().filter(|received| received.message != 1);
            std::future::ready(given.map(outcome).collect())
        })
        .await;
        assert_eq!(failed(&response), ["m-1", "m-2"]);
    }

    #[tokio::test]
    async fn a_group_is_handed_over_up_to_its_first_unreadable_message() {
        let messages = [
            ("a", "0"),
            ("b", "x"),
            ("a", "x"),
            ("a", "2"),
            ("b", "1"),
            ("c", "4"),
        ];
        let handled = Mutex::new(Vec::new());
        let response = run_fifo(fifo_event(&messages), json, |group: Vec<Received<u32>>| {
            let mut handled = handled.lock().unwrap();
            handled.extend(group.iter().map(|received| received.message));
            std::future::ready(group.iter().map(outcome).collect())
        })
        .await;
        assert_eq!(failed(&response), ["m-1", "m-2", "m-3", "m-4"]);
        assert_eq!(handled.into_inner().unwrap(), [0, 4]);
    }

    #[tokio::test]
    async fn a_group_whose_handler_panics_comes_back_alone() {
        let messages = [("a", "0"), ("b", "1"), ("a", "2")];
        let response = run_fifo(
            fifo_event(&messages),
            json,
            |group: Vec<Received<u32>>| async move {
                assert_ne!(group[0].message, 0);
                group.iter().map(outcome).collect()
            },
        )
        .await;
        assert_eq!(failed(&response), ["m-0", "m-2"]);
    }

    #[test]
    fn a_record_without_an_id_brings_the_whole_batch_back() {
        let event: SqsEvent =
            serde_json::from_value(json!({ "Records": [{ "body": "x" }] })).unwrap();
        let (messages, failures) = parse::<u32>(event, json);
        assert!(messages.is_empty());
        assert_eq!(failures[0].item_identifier, "");
    }

    /// The driver must run on a multi-threaded runtime too, in the local system.
    #[test]
    fn the_driver_can_be_sent_between_threads() {
        fn check<T: Send>(_: T) {}
        check(run(SqsEvent::default(), 1, |_: Received<u32>| async {
            Ok::<_, Refused>(())
        }));
        check(run_whole(
            SqsEvent::default(),
            json,
            |_: Vec<Received<u32>>| async { Vec::<Outcome<Refused>>::new() },
        ));
        check(run_fifo(
            SqsEvent::default(),
            json,
            |_: Vec<Received<u32>>| async { Vec::<Outcome<Refused>>::new() },
        ));
    }
}
