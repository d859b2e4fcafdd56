//! The transport on AWS.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
};

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata,
    types::{QueueAttributeName, SendMessageBatchRequestEntry as Entry},
};
use aws_types::SdkConfig;
use domain::Retry;
use tracing::info;

use super::{FifoIds, MAX_MESSAGE_BYTES, Outgoing, QueueError, Transport, type_conflict};
use crate::telemetry::Chain;

/// SQS takes ten messages in one call.
const MAX_ENTRIES: usize = 10;

/// Sends to one SQS queue.
#[derive(Debug, Clone)]
pub struct SqsTransport {
    client: Client,
    queue_url: String,
}

/// Depth of a queue. SQS counts approximately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received.
    pub waiting: u64,
    /// Messages that were received and neither deleted nor given back yet.
    pub in_flight: u64,
    /// Messages that are held back.
    pub delayed: u64,
    /// The URL of its dead-letter queue, if it has one.
    pub dead_letter_url: Option<String>,
}

impl SqsTransport {
    /// The queue with this URL.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
        }
    }

    /// The queue with this URL, through a client of its own.
    pub fn with_config(config: &SdkConfig, queue_url: impl Into<String>) -> Self {
        Self::new(Client::new(config), queue_url)
    }

    /// Opens the connection that the first message will use: TCP and TLS, at a time when nobody
    /// waits. That it could not is not an error: the first message tries again.
    pub async fn open_connection(&self) {
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.queue_url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await;
        if let Err(error) = asked {
            info!(error = %Chain(&error), "cannot open a connection to the queue yet");
        }
    }

    /// Reads the depth of the queue, as SQS counts.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]; it takes the permission `sqs:GetQueueAttributes`.
    pub async fn depth(&self) -> Result<QueueDepth, QueueError> {
        use QueueAttributeName as Name;

        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.queue_url)
            .attribute_names(Name::ApproximateNumberOfMessages)
            .attribute_names(Name::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(Name::ApproximateNumberOfMessagesDelayed)
            .attribute_names(Name::RedrivePolicy)
            .send()
            .await
            .map_err(|error| self.failed("look at", error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name: &Name| {
            let text = attributes.get(name);
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        let policy = attributes.get(&Name::RedrivePolicy);
        Ok(QueueDepth {
            waiting: number(&Name::ApproximateNumberOfMessages),
            in_flight: number(&Name::ApproximateNumberOfMessagesNotVisible),
            delayed: number(&Name::ApproximateNumberOfMessagesDelayed),
            dead_letter_url: policy.and_then(|policy| self.dead_letter_url(policy)),
        })
    }

    /// A dead-letter queue lies in the account and region of its queue, so only the name differs.
    fn dead_letter_url(&self, policy: &str) -> Option<String> {
        let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
        let name = policy
            .get("deadLetterTargetArn")?
            .as_str()?
            .rsplit(':')
            .next()?;
        let (account, _) = self.queue_url.rsplit_once('/')?;
        Some(format!("{account}/{name}"))
    }

    /// SQS requires the suffix of every FIFO queue, and forbids it for every other.
    fn is_fifo(&self) -> bool {
        let suffix = self.queue_url.rsplit_once('.');
        suffix.is_some_and(|(_, suffix)| suffix == "fifo")
    }

    async fn send_one(&self, message: Outgoing) -> Result<(), QueueError> {
        let delay = delay_seconds(&message);
        let (group_id, deduplication_id) = message.fifo.map(ids).unzip();
        let sent = self
            .client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(message.body)
            .set_delay_seconds((delay > 0).then_some(delay))
            .set_message_group_id(group_id)
            .set_message_deduplication_id(deduplication_id)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                Some(code) if is_at_fault(code) => Err(QueueError::Refused {
                    queue: self.queue().to_owned(),
                    code: code.to_owned(),
                }),
                _ => Err(self.unavailable(error)),
            },
        }
    }

    /// Sends up to ten messages; gives those that failed.
    async fn send_some(&self, messages: Vec<Outgoing>) -> Result<Vec<Failed>, QueueError> {
        let mut call = self.client.send_message_batch().queue_url(&self.queue_url);
        for (index, message) in messages.into_iter().enumerate() {
            let delay = delay_seconds(&message);
            let (group_id, deduplication_id) = message.fifo.map(ids).unzip();
            let entry = Entry::builder()
                .id(index.to_string())
                .message_body(message.body)
                .set_delay_seconds((delay > 0).then_some(delay))
                .set_message_group_id(group_id)
                .set_message_deduplication_id(deduplication_id)
                .build()
                .map_err(|error| self.unavailable(error))?;
            call = call.entries(entry);
        }
        let answer = call.send().await.map_err(|error| self.unavailable(error))?;
        let failed = answer.failed.into_iter().map(|entry| Failed {
            at_fault: entry.sender_fault && is_at_fault(&entry.code),
            code: entry.code,
        });
        Ok(failed.collect())
    }

    fn unavailable(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> QueueError {
        self.failed("send to", source)
    }

    fn failed(
        &self,
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> QueueError {
        QueueError::Unavailable {
            operation,
            queue: self.queue().to_owned(),
            source: source.into(),
        }
    }
}

/// A message of a batch that was not sent.
struct Failed {
    at_fault: bool,
    code: String,
}

#[async_trait]
impl Transport for SqsTransport {
    fn queue(&self) -> &str {
        self.queue_url.rsplit('/').next().unwrap_or(&self.queue_url)
    }

    async fn send(&self, mut messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let is_fifo = self.is_fifo();
        if let Some(reason) = type_conflict(is_fifo, &messages) {
            return Err(QueueError::WrongQueueType {
                queue: self.queue().to_owned(),
                reason,
            });
        }
        let sent = messages.len();
        if let Some(message) = messages.pop_if(|_| sent == 1) {
            return self.send_one(message).await;
        }
        let calls = if is_fifo {
            fifo_calls(messages)
        } else {
            calls(messages)
        };
        let mut failed = Vec::new();
        let mut held_back = 0;
        for messages in calls {
            // A later call may hold the next message of a group whose message failed.
            if is_fifo && !failed.is_empty() {
                held_back += messages.len();
            } else {
                failed.extend(self.send_some(messages).await?);
            }
        }
        let all_at_fault = failed.iter().all(|failed| failed.at_fault);
        match failed.first() {
            None => Ok(()),
            Some(first) => Err(QueueError::PartlySent {
                queue: self.queue().to_owned(),
                failed: failed.len() + held_back,
                sent,
                code: first.code.clone(),
                retry: if all_at_fault {
                    Retry::Never
                } else {
                    Retry::Later
                },
            }),
        }
    }
}

/// Cuts messages into calls of at most ten that together stay under the limit of one message.
fn calls(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut calls = Vec::new();
    let mut call: Vec<Outgoing> = Vec::new();
    let mut size_bytes = 0;
    for message in messages {
        if call.len() == MAX_ENTRIES || size_bytes + message.body.len() > MAX_MESSAGE_BYTES {
            calls.push(std::mem::take(&mut call));
            size_bytes = 0;
        }
        size_bytes += message.body.len();
        call.push(message);
    }
    calls.push(call);
    calls.retain(|call| !call.is_empty());
    calls
}

/// Cuts messages into as few calls as hold each group's messages in order and at most one of each
/// group per call. SQS may refuse one entry and take the next: with two entries of one group in a
/// call, the second could then arrive before the first.
fn fifo_calls(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut groups: Vec<VecDeque<Outgoing>> = Vec::new();
    let mut places: HashMap<Option<String>, usize> = HashMap::new();
    for message in messages {
        let group_id = message.fifo.as_ref().map(|ids| ids.group_id.clone());
        let place = *places.entry(group_id).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push_back(message),
            None => groups.push(VecDeque::from([message])),
        }
    }
    let mut calls = Vec::new();
    while !groups.is_empty() {
        // The longest groups first, since they need the most calls.
        groups.sort_by_key(|group| Reverse(group.len()));
        let mut call: Vec<Outgoing> = Vec::new();
        let mut size_bytes = 0;
        for group in &mut groups {
            if call.len() == MAX_ENTRIES {
                break;
            }
            let fits = group.front().is_some_and(|message| {
                call.is_empty() || size_bytes + message.body.len() <= MAX_MESSAGE_BYTES
            });
            if fits && let Some(message) = group.pop_front() {
                size_bytes += message.body.len();
                call.push(message);
            }
        }
        groups.retain(|group| !group.is_empty());
        calls.push(call);
    }
    calls
}

/// The group's id and the deduplication id.
fn ids(fifo: FifoIds) -> (String, String) {
    (fifo.group_id, fifo.deduplication_id)
}

/// SQS's codes for a message that it will never take. Every other failure can pass: a missing
/// permission or a missing queue too.
fn is_at_fault(code: &str) -> bool {
    matches!(
        code.rsplit('.').next(),
        Some("InvalidMessageContents" | "InvalidParameterValue")
    )
}

/// Whole seconds, rounded up: not before it is due.
fn delay_seconds(message: &Outgoing) -> i32 {
    let seconds = message.delay.as_secs() + u64::from(message.delay.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread::JoinHandle,
        time::Duration,
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::{aws::sdk_config, settings::Settings};

    /// A server that gives one answer to one request, and the request's body to us.
    fn answering(status: &str, answer: &Value) -> (SqsTransport, JoinHandle<Value>) {
        let url = "https://sqs.eu-west-1.amazonaws.com/1/events";
        let (transport, server) = answering_all(url, status, vec![answer.clone()]);
        let first = std::thread::spawn(move || server.join().unwrap().remove(0));
        (transport, first)
    }

    /// A server that gives each request the next answer, and the requests' bodies to us.
    fn answering_all(
        queue_url: &str,
        status: &str,
        answers: Vec<Value>,
    ) -> (SqsTransport, JoinHandle<Vec<Value>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close"
        );
        let server = std::thread::spawn(move || {
            let answer = |answer: Value| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = body(&mut stream);
                let (answer, head) = (answer.to_string(), &head);
                let length = answer.len();
                let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{answer}");
                stream.write_all(answer.as_bytes()).unwrap();
                request
            };
            answers.into_iter().map(answer).collect()
        });

        let mut settings = Settings::from_map([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "swordfish"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_MAX_ATTEMPTS", "1"),
        ]);
        let config = sdk_config(&mut settings);
        let client = Client::new(&settings.finish(|| config).unwrap());
        (SqsTransport::new(client, queue_url), server)
    }

    /// Reads one request and gives its body.
    fn body(stream: &mut TcpStream) -> Value {
        let mut request = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "the request has no whole body");
            request.extend_from_slice(&bytes[..read]);
            let text = String::from_utf8_lossy(&request);
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
            if let Some(body) = body.and_then(|body| serde_json::from_str(body).ok()) {
                return body;
            }
        }
    }

    #[tokio::test]
    async fn one_message_is_one_call() {
        let (transport, server) = answering("200 OK", &json!({ "MessageId": "m-1" }));
        transport.send(messages(&[3])).await.unwrap();
        assert_eq!(
            server.join().unwrap(),
            json!({
                "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/events",
                "MessageBody": "xxx",
                "DelaySeconds": 1,
            })
        );
    }

    #[tokio::test]
    async fn refused_content_is_not_tried_again_and_a_missing_queue_is() {
        let error = |code: &str| json!({ "__type": format!("com.amazonaws.sqs#{code}") });
        let (transport, _) = answering("400 Bad Request", &error("InvalidMessageContents"));
        let refused = transport.send(messages(&[1])).await.unwrap_err();
        assert_eq!(refused.retry(), Retry::Never);
        insta::assert_snapshot!(refused, @"events refuses the message: InvalidMessageContents");

        let (transport, _) = answering("400 Bad Request", &error("QueueDoesNotExist"));
        let missing = transport.send(messages(&[1])).await.unwrap_err();
        assert_eq!(missing.retry(), Retry::Later);
        insta::assert_snapshot!(missing, @"cannot send to events");
    }

    #[tokio::test]
    async fn a_batch_of_which_a_part_fails_is_an_error() {
        let failed = json!({ "Id": "1", "Code": "InternalError", "SenderFault": false });
        let (transport, server) =
            answering("200 OK", &json!({ "Successful": [], "Failed": [failed] }));
        let error = transport.send(messages(&[1, 2, 3])).await.unwrap_err();
        assert_eq!(
            server.join().unwrap()["Entries"].as_array().unwrap().len(),
            3
        );
        assert_eq!(error.retry(), Retry::Later);
        insta::assert_snapshot!(error, @"1 of 3 messages did not reach events: InternalError");
    }

    #[tokio::test]
    async fn the_depth_is_read_with_where_dead_letters_go() {
        let policy = json!({
            "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:1:events-dead-letters",
            "maxReceiveCount": 5,
        });
        let attributes = json!({
            "ApproximateNumberOfMessages": "12",
            "ApproximateNumberOfMessagesNotVisible": "3",
            "ApproximateNumberOfMessagesDelayed": "1",
            "RedrivePolicy": policy.to_string(),
        });
        let (transport, _) = answering("200 OK", &json!({ "Attributes": attributes }));
        let dead_letters = "https://sqs.eu-west-1.amazonaws.com/1/events-dead-letters";
        let depth = QueueDepth {
            waiting: 12,
            in_flight: 3,
            delayed: 1,
            dead_letter_url: Some(dead_letters.to_owned()),
        };
        assert_eq!(transport.depth().await.unwrap(), depth);

        let denied = json!({ "__type": "com.amazonaws.sqs#AccessDenied" });
        let (transport, _) = answering("400 Bad Request", &denied);
        let error = transport.depth().await.unwrap_err();
        assert!(Chain(&error).to_string().contains("AccessDenied"));
        insta::assert_snapshot!(error, @"cannot look at events");
    }

    fn messages(sizes: &[usize]) -> Vec<Outgoing> {
        let message = |size: &usize| Outgoing {
            body: "x".repeat(*size),
            delay: Duration::from_millis(1),
            fifo: None,
        };
        sizes.iter().map(message).collect()
    }

    const FIFO: &str = "https://sqs.eu-west-1.amazonaws.com/1/deliveries.fifo";

    /// A message for each group, with its number as body and deduplication id.
    fn fifo_messages(groups: &[&str]) -> Vec<Outgoing> {
        let message = |(number, group): (usize, &&str)| Outgoing {
            body: number.to_string(),
            delay: Duration::ZERO,
            fifo: Some(FifoIds {
                group_id: (*group).to_owned(),
                deduplication_id: format!("d-{number}"),
            }),
        };
        groups.iter().enumerate().map(message).collect()
    }

    fn numbers(calls: &[Vec<Outgoing>]) -> Vec<Vec<usize>> {
        let numbers = calls.iter().map(|call| {
            let numbers = call.iter().map(|message| message.body.parse().unwrap());
            numbers.collect()
        });
        numbers.collect()
    }

    #[tokio::test]
    async fn a_fifo_message_carries_its_ids_alone_and_in_a_batch() {
        let (transport, server) =
            answering_all(FIFO, "200 OK", vec![json!({ "MessageId": "m-1" })]);
        transport.send(fifo_messages(&["a"])).await.unwrap();
        let alone = json!({
            "QueueUrl": FIFO,
            "MessageBody": "0",
            "MessageGroupId": "a",
            "MessageDeduplicationId": "d-0",
        });
        assert_eq!(server.join().unwrap(), [alone]);

        let (transport, server) = answering_all(
            FIFO,
            "200 OK",
            vec![json!({ "Successful": [], "Failed": [] })],
        );
        transport.send(fifo_messages(&["a", "b"])).await.unwrap();
        let entry = |number: usize, group: &str| {
            json!({
                "Id": number.to_string(),
                "MessageBody": number.to_string(),
                "MessageGroupId": group,
                "MessageDeduplicationId": format!("d-{number}"),
            })
        };
        let batch = json!({ "QueueUrl": FIFO, "Entries": [entry(0, "a"), entry(1, "b")] });
        assert_eq!(server.join().unwrap(), [batch]);
    }

    #[tokio::test]
    async fn nothing_is_sent_after_a_fifo_message_that_failed() {
        let failed = json!({ "Id": "0", "Code": "InternalError", "SenderFault": false });
        let (transport, server) = answering_all(
            FIFO,
            "200 OK",
            vec![json!({ "Successful": [], "Failed": [failed] })],
        );
        let error = transport.send(fifo_messages(&["a", "a", "b", "a"])).await;
        insta::assert_snapshot!(
            error.unwrap_err(),
            @"3 of 4 messages did not reach deliveries.fifo: InternalError"
        );
        let requests = server.join().unwrap();
        let bodies = requests[0]["Entries"].as_array().unwrap();
        let bodies: Vec<&Value> = bodies.iter().map(|entry| &entry["MessageBody"]).collect();
        assert_eq!(
            (bodies, requests.len()),
            (vec![&json!("0"), &json!("2")], 1)
        );
    }

    #[tokio::test]
    async fn messages_for_the_other_type_of_queue_are_refused() {
        let (transport, _) = answering_all(FIFO, "200 OK", vec![]);
        let mut message = messages(&[1]);
        message[0].delay = Duration::ZERO;
        let error = transport.send(message).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Later);
        insta::assert_snapshot!(error, @"deliveries.fifo does not take these messages: a FIFO queue needs a message group and a deduplication id");

        let events = "https://sqs.eu-west-1.amazonaws.com/1/events";
        let (transport, _) = answering_all(events, "200 OK", vec![]);
        let error = transport
            .send(fifo_messages(&["a", "b"]))
            .await
            .unwrap_err();
        insta::assert_snapshot!(error, @"events does not take these messages: a standard queue has no message groups");
    }

    #[test]
    fn a_call_has_one_message_of_a_group_and_there_are_few_calls() {
        // Three of one group need three calls, into which all others fit.
        let calls = fifo_calls(fifo_messages(&[
            "a", "b", "a", "c", "d", "e", "f", "g", "h", "i", "j", "k", "a", "b",
        ]));
        assert_eq!(
            numbers(&calls),
            [
                vec![0, 1, 3, 4, 5, 6, 7, 8, 9, 10],
                vec![2, 13, 11],
                vec![12],
            ]
        );
        assert!(fifo_calls(Vec::new()).is_empty());

        let mut large = fifo_messages(&["a", "b", "c"]);
        large[0].body = "x".repeat(MAX_MESSAGE_BYTES);
        large[1].body = "x".repeat(MAX_MESSAGE_BYTES + 1);
        let sizes: Vec<usize> = fifo_calls(large).iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    #[test]
    fn calls_keep_to_both_limits() {
        let sizes = |calls: Vec<Vec<Outgoing>>| calls.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(calls(messages(&[1; 21]))), [10, 10, 1]);
        let half = MAX_MESSAGE_BYTES / 2;
        assert_eq!(
            sizes(calls(messages(&[half, half, 1, MAX_MESSAGE_BYTES]))),
            [2, 1, 1]
        );
        assert!(calls(Vec::new()).is_empty());
    }

    #[test]
    fn a_delay_is_rounded_up() {
        assert_eq!(delay_seconds(&messages(&[1])[0]), 1);
    }

    #[test]
    fn only_the_content_can_be_at_fault() {
        assert!(is_at_fault("InvalidMessageContents"));
        assert!(!is_at_fault("AWS.SimpleQueueService.NonExistentQueue"));
        assert!(!is_at_fault("AccessDenied"));
    }
}
