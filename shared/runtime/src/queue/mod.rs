//! Typed queues: what is sent is a type, and sending returns only once the message is durable.
//!
//! A [`Queue`] is what a function holds; a [`Transport`] carries its messages: [`SqsTransport`] on
//! AWS, `local::LocalQueues` on one machine. Receiving is not here: on AWS it is done by Lambda's
//! event source mapping, and what arrives is read by [`crate::batch`].
//!
//! A FIFO queue takes messages by [`Queue::send_fifo`], a standard queue by the other ways to send;
//! the wrong way is an error before anything is sent.

#[cfg(feature = "local-queue")]
pub mod local;
mod sqs;

use std::{error::Error, fmt, marker::PhantomData, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::Retry;
use serde::{Serialize, de::DeserializeOwned};

pub use self::sqs::{QueueDepth, SqsTransport};

/// The most bytes that one message, or one batch of messages, may have.
///
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The longest that a message can be held back.
///
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// The most characters that an id of a FIFO queue may have.
///
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_FIFO_ID_LENGTH: usize = 128;

/// A queue of messages of one type.
pub struct Queue<M> {
    transport: Arc<dyn Transport>,
    message: PhantomData<fn(M)>,
}

/// Carries messages to one queue.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Name of the queue, in errors and logs.
    fn queue(&self) -> &str;

    /// Sends messages, and returns only when every one of them is durable.
    ///
    /// # Errors
    ///
    /// If even one is not known to be durable; the others may have been sent. In a FIFO queue no
    /// message has passed an earlier one of its group that was not sent.
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError>;
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The message as JSON.
    pub body: String,
    /// Time for which nobody may receive it; at most [`MAX_DELAY`], and zero in a FIFO queue.
    pub delay: Duration,
    /// Place and identity in a FIFO queue; `None` in a standard queue.
    pub fifo: Option<FifoIds>,
}

/// Ids of a message in a FIFO queue, each of 1 to [`MAX_FIFO_ID_LENGTH`] ASCII letters, digits and
/// punctuation characters.
///
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FifoIds {
    /// SQS's `MessageGroupId`. Messages of one group are received in the order of sending, and none
    /// while another of them is in flight.
    pub group_id: String,
    /// SQS's `MessageDeduplicationId`. For five minutes after the first message with this id, sending
    /// another succeeds and adds nothing to the queue.
    pub deduplication_id: String,
}

/// A failed operation on a queue.
///
/// `Display` says what we were doing; the cause is in [`source`](Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The message has no JSON form.
    #[error("cannot write a message for {queue} as JSON")]
    Unwritable {
        /// The queue.
        queue: String,
        /// Cause from the serializer.
        source: serde_json::Error,
    },
    /// The message is larger than a queue takes. Nothing was sent.
    #[error("a message for {queue} has {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// The queue.
        queue: String,
        /// The message's size as JSON.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// An id of a FIFO queue is empty, too long, or has other characters. Nothing was sent.
    #[error("a message for {queue} has an unfit {name}")]
    InvalidFifoId {
        /// The queue.
        queue: String,
        /// SQS's name of the id.
        name: &'static str,
    },
    /// Messages of a FIFO queue were sent to a standard queue, or the other way round. Nothing was
    /// sent.
    #[error("{queue} does not take these messages: {reason}")]
    WrongQueueType {
        /// The queue.
        queue: String,
        /// Fault of the messages.
        reason: &'static str,
    },
    /// The queue did not answer, throttled us, or refused us.
    #[error("cannot {operation} {queue}")]
    Unavailable {
        /// Attempted operation, with its preposition: `send to`, `receive from`.
        operation: &'static str,
        /// The queue.
        queue: String,
        /// Cause from the SDK or the database.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The queue does not take this content.
    #[error("{queue} refuses the message: {code}")]
    Refused {
        /// The queue.
        queue: String,
        /// SQS's error code.
        code: String,
    },
    /// Some messages of a batch were not sent, the others were.
    #[error("{failed} of {sent} messages did not reach {queue}: {code}")]
    PartlySent {
        /// The queue.
        queue: String,
        /// Number of messages that were not sent.
        failed: usize,
        /// Number of all messages.
        sent: usize,
        /// SQS's error code for the first of them.
        code: String,
        /// `Never` only if every failed message is itself at fault.
        retry: Retry,
    },
    /// There is no queue of this name.
    #[error("there is no queue {queue}")]
    Unknown {
        /// The name asked for.
        queue: String,
    },
    /// The settings of a queue are at odds.
    #[error("the queue {queue} cannot be set up: {reason}")]
    Misconfigured {
        /// The queue.
        queue: String,
        /// Fault of the settings.
        reason: &'static str,
    },
}

impl QueueError {
    /// Returns whether sending the same message later could succeed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unwritable { .. }
            | Self::TooLarge { .. }
            | Self::InvalidFifoId { .. }
            | Self::Refused { .. } => Retry::Never,
            // A queue that is missing or wrong is put right by a deployment.
            Self::Unavailable { .. }
            | Self::Unknown { .. }
            | Self::WrongQueueType { .. }
            | Self::Misconfigured { .. } => Retry::Later,
            Self::PartlySent { retry, .. } => *retry,
        }
    }
}

impl<M: Serialize + DeserializeOwned> Queue<M> {
    /// The queue behind a transport.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            message: PhantomData,
        }
    }

    /// The SQS queue with this URL.
    pub fn sqs(client: aws_sdk_sqs::Client, queue_url: impl Into<String>) -> Self {
        Self::new(Arc::new(SqsTransport::new(client, queue_url)))
    }

    /// Returns the name of the queue.
    pub fn name(&self) -> &str {
        self.transport.queue()
    }

    /// Sends a message. Once this returns `Ok`, the message survives anything that happens to us.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if it is not known to be durable. It may have been sent all the same.
    pub async fn send(&self, message: &M) -> Result<(), QueueError> {
        self.send_after(message, Duration::ZERO).await
    }

    /// Sends a message that nobody receives before `delay` is over.
    ///
    /// A delay beyond [`MAX_DELAY`] is cut to it: the receiver of work that is due later must look
    /// at the work's own time and send it again.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub async fn send_after(&self, message: &M, delay: Duration) -> Result<(), QueueError> {
        let outgoing = self.outgoing(message, delay, None)?;
        self.transport.send(vec![outgoing]).await
    }

    /// Sends messages with as few calls as possible.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if even one of them is not known to be durable: then all are to be sent
    /// again, receivers take it that a message comes twice. If one is too large, none was sent.
    pub async fn send_batch<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), QueueError>
    where
        M: 'a,
    {
        let messages = messages
            .into_iter()
            .map(|message| self.outgoing(message, Duration::ZERO, None));
        let messages: Result<Vec<Outgoing>, QueueError> = messages.collect();
        self.send_all(messages?).await
    }

    /// Sends messages to a FIFO queue, those of one group in the given order, with as few calls as
    /// that allows.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if even one of them is not known to be durable. Then all are to be sent again
    /// with the same ids: the queue drops those that had arrived, if that was less than five minutes
    /// ago. If one is too large or has an unfit id, none was sent.
    pub async fn send_fifo<'a>(
        &self,
        messages: impl IntoIterator<Item = (&'a M, FifoIds)>,
    ) -> Result<(), QueueError>
    where
        M: 'a,
    {
        let messages = messages
            .into_iter()
            .map(|(message, ids)| self.outgoing(message, Duration::ZERO, Some(ids)));
        let messages: Result<Vec<Outgoing>, QueueError> = messages.collect();
        self.send_all(messages?).await
    }

    async fn send_all(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        if messages.is_empty() {
            Ok(())
        } else {
            self.transport.send(messages).await
        }
    }

    fn outgoing(
        &self,
        message: &M,
        delay: Duration,
        fifo: Option<FifoIds>,
    ) -> Result<Outgoing, QueueError> {
        if let Some(name) = fifo.as_ref().and_then(FifoIds::unfit) {
            return Err(QueueError::InvalidFifoId {
                queue: self.name().to_owned(),
                name,
            });
        }
        let mut body = serde_json::to_string(message).map_err(|source| QueueError::Unwritable {
            queue: self.name().to_owned(),
            source,
        })?;
        // SQS takes the characters of XML 1.0. JSON escapes the others of them itself, and these
        // two can only be inside of a string.
        if body.contains(['\u{fffe}', '\u{ffff}']) {
            body = body
                .replace('\u{fffe}', "\\ufffe")
                .replace('\u{ffff}', "\\uffff");
        }
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(QueueError::TooLarge {
                queue: self.name().to_owned(),
                size_bytes: body.len(),
                limit_bytes: MAX_MESSAGE_BYTES,
            });
        }
        Ok(Outgoing {
            body,
            delay: delay.min(MAX_DELAY),
            fifo,
        })
    }
}

impl FifoIds {
    /// SQS's name of the first id that SQS would refuse.
    fn unfit(&self) -> Option<&'static str> {
        let fits = |id: &str| {
            (1..=MAX_FIFO_ID_LENGTH).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !fits(&self.group_id) {
            Some("MessageGroupId")
        } else if !fits(&self.deduplication_id) {
            Some("MessageDeduplicationId")
        } else {
            None
        }
    }
}

/// Returns the reason why a queue of this type does not take these messages, if there is one.
fn type_conflict(is_fifo: bool, messages: &[Outgoing]) -> Option<&'static str> {
    let conflict = |message: &Outgoing| match (is_fifo, &message.fifo) {
        (true, None) => Some("a FIFO queue needs a message group and a deduplication id"),
        (true, Some(_)) if !message.delay.is_zero() => {
            Some("a FIFO queue delays no message of its own")
        }
        (false, Some(_)) => Some("a standard queue has no message groups"),
        (true, Some(_)) | (false, None) => None,
    };
    messages.iter().find_map(conflict)
}

impl<M> Clone for Queue<M> {
    fn clone(&self) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            message: PhantomData,
        }
    }
}

impl<M> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.transport).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Outgoing>>);

    #[async_trait]
    impl Transport for Kept {
        fn queue(&self) -> &'static str {
            "events"
        }

        async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
            self.0.lock().unwrap().extend(messages);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused_and_nothing_is_sent() {
        let kept = Arc::new(Kept::default());
        let queue = Queue::<String>::new(Arc::clone(&kept) as Arc<dyn Transport>);
        // Two bytes are the quotes.
        let largest = "x".repeat(MAX_MESSAGE_BYTES - 2);
        let larger = "x".repeat(MAX_MESSAGE_BYTES - 1);

        let error = queue.send_batch([&largest, &larger]).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Never);
        insta::assert_snapshot!(error, @"a message for events has 1048577 bytes, more than 1048576");
        assert!(kept.0.lock().unwrap().is_empty());

        queue.send(&largest).await.unwrap();
        assert_eq!(kept.0.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_delay_is_cut_and_odd_characters_are_escaped() {
        let kept = Arc::new(Kept::default());
        let queue = Queue::<String>::new(Arc::clone(&kept) as Arc<dyn Transport>);
        let odd = "a\u{0}\u{1f}\u{7f}\u{fffe}\u{ffff}é".to_owned();

        queue
            .send_after(&odd, Duration::from_hours(1))
            .await
            .unwrap();

        let sent = kept.0.lock().unwrap().pop().unwrap();
        assert_eq!(sent.delay, MAX_DELAY);
        assert_eq!(sent.body, "\"a\\u0000\\u001f\u{7f}\\ufffe\\uffffé\"");
        assert_eq!(serde_json::from_str::<String>(&sent.body).unwrap(), odd);
    }

    #[tokio::test]
    async fn an_id_that_a_fifo_queue_refuses_is_an_error_before_anything_is_sent() {
        let kept = Arc::new(Kept::default());
        let queue = Queue::<u32>::new(Arc::clone(&kept) as Arc<dyn Transport>);
        let ids = |group_id: &str, deduplication_id: &str| FifoIds {
            group_id: group_id.to_owned(),
            deduplication_id: deduplication_id.to_owned(),
        };
        let longest = "~".repeat(MAX_FIFO_ID_LENGTH);
        let too_long = "~".repeat(MAX_FIFO_ID_LENGTH + 1);
        for (unfit, name) in [
            (ids("", "d"), "MessageGroupId"),
            (ids("a group", "d"), "MessageGroupId"),
            (ids("g", "é"), "MessageDeduplicationId"),
            (ids("g", &too_long), "MessageDeduplicationId"),
        ] {
            let sent = queue.send_fifo([(&1, ids("g", "d")), (&2, unfit)]).await;
            let error = sent.unwrap_err();
            assert_eq!(error.retry(), Retry::Never);
            assert_eq!(
                error.to_string(),
                format!("a message for events has an unfit {name}")
            );
        }
        assert!(kept.0.lock().unwrap().is_empty());

        queue
            .send_fifo([(&1, ids("dst#4#0", &longest))])
            .await
            .unwrap();
        let sent = kept.0.lock().unwrap().pop().unwrap();
        assert_eq!(sent.fifo, Some(ids("dst#4#0", &longest)));
    }

    #[test]
    fn a_message_fits_one_type_of_queue() {
        let mut message = Outgoing {
            body: "1".to_owned(),
            delay: Duration::ZERO,
            fifo: None,
        };
        let conflict = |is_fifo, message: &Outgoing| {
            type_conflict(is_fifo, std::slice::from_ref(message)).is_some()
        };
        assert!(!conflict(false, &message) && conflict(true, &message));
        message.fifo = Some(FifoIds {
            group_id: "g".to_owned(),
            deduplication_id: "d".to_owned(),
        });
        assert!(conflict(false, &message) && !conflict(true, &message));
        message.delay = Duration::from_millis(1);
        assert!(conflict(true, &message));
    }
}
