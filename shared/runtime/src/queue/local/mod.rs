//! Durable queues in one SQLite file, with the semantics of SQS: for development and for one
//! machine.
//!
//! Kept from SQS: visibility timeout, receive count, dead-letter queue after so many receives,
//! delay, long poll, receipt handles that go stale, order roughly first in, first out. A message
//! moves to its dead-letter queue when it *would* be received once too often.
//!
//! Kept from SQS's FIFO queues: strict order within a message group, no message of a group to
//! anybody while another one of it is in flight, deduplication for five minutes, receipts that
//! expire with the visibility timeout, ten messages per receive.

mod events;
mod fifo;
mod writer;

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tracing::error;

pub use self::events::{sqs_event, succeeded};
use self::writer::{Call, Failure, Job, Writer};
use super::{FifoIds, Outgoing, QueueError, Transport};

/// Tells the time; tests and simulations give their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Number of requests that may wait for the thread before senders wait themselves.
const WAITING_REQUESTS: usize = 4096;

/// Many named queues in one file. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub struct LocalQueues {
    inner: Arc<Inner>,
}

struct Inner {
    /// Gone once the thread is told to stop.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    arrivals: Arc<Arrivals>,
    /// Receivers that wait.
    waiting: AtomicUsize,
    clock: Clock,
}

/// A receiver that waits, as long as it exists.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Settings of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// Time for which a received message is hidden from others. At least a millisecond.
    pub visibility_timeout: Duration,
    /// Number of receives before a message moves to the dead-letter queue. Set together with
    /// `dead_letter`, or not at all.
    pub max_receives: Option<u32>,
    /// The queue it moves to; set up with this one's visibility timeout and type if it is not set up
    /// yet. The dead-letter queue of a FIFO queue is a FIFO queue.
    pub dead_letter: Option<String>,
    /// True for a FIFO queue.
    pub fifo: bool,
}

/// A message received from a local queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMessage {
    /// The queue's name for it; the same each time it comes back.
    pub message_id: String,
    /// Proof of this receive, to delete the message with.
    pub receipt: Receipt,
    /// The message as it was sent.
    pub body: String,
    /// Number of receives, this one included.
    pub receive_count: u32,
    /// Time of sending, in Unix milliseconds; in a FIFO dead-letter queue, the time at which the message
    /// was given up.
    pub sent_at_ms: i64,
    /// Time of the first receive, in Unix milliseconds.
    pub first_received_at_ms: i64,
    /// The queue it was given up in, for a message of a dead-letter queue.
    pub dead_letter_source: Option<String>,
    /// Its ids, in a FIFO queue.
    pub fifo: Option<FifoIds>,
}

/// Proof of one receive of one message. It goes stale when the message is received again, and in a
/// FIFO queue already when the message becomes visible again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(String);

/// A message looked at without receiving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// The queue's name for it.
    pub message_id: String,
    /// The message as it was sent.
    pub body: String,
    /// Number of receives.
    pub receive_count: u32,
    /// Time of sending, in Unix milliseconds.
    pub sent_at_ms: i64,
    /// Time from which it can be received, in Unix milliseconds; in the past, if it can be now.
    pub visible_at_ms: i64,
    /// The queue it was given up in, for a message of a dead-letter queue.
    pub dead_letter_source: Option<String>,
    /// Its ids, in a FIFO queue.
    pub fifo: Option<FifoIds>,
}

/// Depth of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that are not hidden; in a FIFO queue some may wait for one of their group that is.
    pub visible: u64,
    /// Messages that were received and are hidden.
    pub in_flight: u64,
    /// Messages that were never received and are held back.
    pub delayed: u64,
    /// Age of the oldest of all of them.
    pub oldest_age: Option<Duration>,
}

impl QueueStats {
    /// All messages of the queue.
    pub fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// Failure that everything written to a file must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Any death of the process, and of the machine.
    PowerLoss,
    /// Any death of the process; several times as fast. For tests.
    Kill,
}

impl LocalQueues {
    /// Opens or makes the file. Only one process can have it open.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] if it cannot be opened, or another process has it open.
    pub fn open(
        path: impl AsRef<Path>,
        clock: Clock,
        durability: Durability,
    ) -> Result<Self, QueueError> {
        let path = path.as_ref();
        let unavailable =
            |source: Box<dyn std::error::Error + Send + Sync>| QueueError::Unavailable {
                operation: "open",
                queue: path.display().to_string(),
                source,
            };
        let arrivals = Arc::new(Arrivals::default());
        let (jobs, waiting) = mpsc::channel(WAITING_REQUESTS);
        let writer = Writer::open(path, durability, Arc::clone(&arrivals))
            .map_err(|error| unavailable(error.into()))?;
        let time = Arc::clone(&clock);
        let thread = std::thread::Builder::new()
            .name("local-queues".to_owned())
            .spawn(move || writer.run(waiting, &time))
            .map_err(|error| unavailable(error.into()))?;
        let inner = Inner {
            jobs: Some(jobs),
            thread: Some(thread),
            arrivals,
            waiting: AtomicUsize::new(0),
            clock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sets a queue up, or changes how it behaves. Its messages are in the file, its settings are
    /// not: it must be set up again after opening.
    ///
    /// # Errors
    ///
    /// [`QueueError::Misconfigured`] if the settings are at odds with each other, with those of the
    /// dead-letter queue, or with the messages in the file.
    pub async fn queue(&self, name: &str, settings: QueueSettings) -> Result<(), QueueError> {
        let reason = match (settings.max_receives, settings.dead_letter.as_deref()) {
            (Some(_), None) | (None, Some(_)) => {
                Some("`max_receives` and `dead_letter` go together")
            }
            (Some(0), Some(_)) => Some("`max_receives` is 0"),
            (Some(_), Some(dead_letter)) if dead_letter == name => {
                Some("it is its own dead-letter queue")
            }
            (Some(_), Some(_)) | (None, None) => None,
        };
        if let Some(reason) = reason {
            return Err(QueueError::Misconfigured {
                queue: name.to_owned(),
                reason,
            });
        }
        self.call("set up", name, move |writer, name, _| {
            writer.set_up(name, settings)
        })
        .await
    }

    /// The names of all queues that are set up, in order.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] if the queues are closed.
    pub async fn names(&self) -> Result<Vec<String>, QueueError> {
        self.call("list", "queues", |writer, _, _| Ok(writer.names()))
            .await
    }

    /// Returns the number of receivers that wait for messages now.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::Relaxed)
    }

    /// The way to send to a queue.
    pub fn transport(&self, name: &str) -> Arc<dyn Transport> {
        Arc::new(LocalTransport {
            queues: self.clone(),
            name: name.to_owned(),
        })
    }

    /// Receives up to `max` messages; waits until there is at least one, at most for `wait`. A FIFO
    /// queue gives at most ten, as SQS does, and several of one group only in order.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn receive(
        &self,
        name: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<LocalMessage>, QueueError> {
        let _waiting = Waiting::begin(&self.inner.waiting);
        let deadline = Instant::now() + wait;
        let arrival = self.inner.arrivals.of(name);
        loop {
            // Before looking: an arrival after the look must not be missed.
            let mut arrived = pin!(arrival.notified());
            arrived.as_mut().enable();

            let receive =
                move |writer: &mut Writer, name: &str, now| writer.receive(name, max, now);
            let (messages, next_ms) = self.call("receive from", name, receive).await?;
            if !messages.is_empty() || max == 0 || Instant::now() >= deadline {
                return Ok(messages);
            }
            let wake = match next_ms.map(|next_ms| next_ms.saturating_sub(self.now_ms())) {
                Some(in_ms) => deadline.min(Instant::now() + from_ms(in_ms.max(1))),
                None => deadline,
            };
            // Woken or not, the next look tells.
            drop(timeout_at(wake, arrived).await);
        }
    }

    /// Deletes received messages and gives their number. Stale receipts are ignored.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn delete(&self, name: &str, receipts: &[Receipt]) -> Result<u64, QueueError> {
        let receipts = parts(receipts);
        self.call("delete from", name, move |writer, name, now| {
            writer.delete(name, &receipts, now)
        })
        .await
    }

    /// Hides received messages for `timeout` from now on, or no longer if it is zero, and gives
    /// their number. Stale receipts are ignored.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn change_visibility(
        &self,
        name: &str,
        receipts: &[Receipt],
        timeout: Duration,
    ) -> Result<u64, QueueError> {
        let receipts = parts(receipts);
        self.call("change visibility in", name, move |writer, name, now| {
            writer.change_visibility(name, &receipts, timeout, now)
        })
        .await
    }

    /// Deletes all messages of a queue and gives their number.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn purge(&self, name: &str) -> Result<u64, QueueError> {
        self.call("purge", name, |writer, name, _| writer.purge(name))
            .await
    }

    /// Returns the depth of a queue.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn stats(&self, name: &str) -> Result<QueueStats, QueueError> {
        self.call("count", name, Writer::stats).await
    }

    /// The `max` oldest messages of a queue, hidden or not. Nothing changes for receivers.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn peek(&self, name: &str, max: usize) -> Result<Vec<Peeked>, QueueError> {
        self.call("look into", name, move |writer, name, _| {
            writer.peek(name, max)
        })
        .await
    }

    /// Moves the messages of a dead-letter queue that are not in flight back to the queues that
    /// gave them up, and gives their number. As on SQS they are new messages there: in a FIFO queue
    /// they stand in their order behind all others of their group, and deduplication does not apply.
    /// A message that was sent to the dead-letter queue itself stays, and so does a group of a FIFO
    /// queue of which a message is in flight.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if there is no such queue or the database fails.
    pub async fn redrive(&self, dead_letter: &str) -> Result<u64, QueueError> {
        self.call("redrive", dead_letter, |writer, name, now| {
            writer.redrive(name, now)
        })
        .await
    }

    /// Makes waiting receivers look again: after a clock that is not the real one was moved.
    pub fn clock_moved(&self) {
        self.inner.arrivals.all();
    }

    fn now_ms(&self) -> i64 {
        (self.inner.clock)().as_millisecond()
    }

    async fn send(&self, name: &str, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        self.call("send to", name, move |writer, name, now| {
            writer.send(name, &messages, now)
        })
        .await
    }

    /// Has work done by the thread, and waits until it is committed.
    async fn call<T, F>(
        &self,
        operation: &'static str,
        name: &str,
        work: F,
    ) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer, &str, i64) -> Result<T, Failure> + Send + 'static,
    {
        let closed = || QueueError::Unavailable {
            operation,
            queue: name.to_owned(),
            source: "the queues are closed".into(),
        };
        let (reply, answer) = oneshot::channel();
        let call = Call::new(operation, name, work, reply);
        let jobs = self.inner.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(Box::new(call)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl fmt::Debug for LocalQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalQueues").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the thread ends after what is waiting.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread of the local queues panicked");
        }
    }
}

/// Sends to one local queue.
#[derive(Debug, Clone)]
struct LocalTransport {
    queues: LocalQueues,
    name: String,
}

#[async_trait]
impl Transport for LocalTransport {
    fn queue(&self) -> &str {
        &self.name
    }

    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        self.queues.send(&self.name, messages).await
    }
}

impl Receipt {
    /// The receipt as text, as in an event's `receiptHandle`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Receipt {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Parts of a receipt: the message, and the number of the receive.
#[derive(Clone, Copy)]
struct ReceiptParts {
    sequence: i64,
    receive_count: u32,
}

impl ReceiptParts {
    fn receipt(self) -> Receipt {
        Receipt(format!("{}-{}", self.sequence, self.receive_count))
    }
}

/// Reads the parts of receipts; a text that is no receipt has none.
fn parts(receipts: &[Receipt]) -> Vec<ReceiptParts> {
    let parts = receipts.iter().filter_map(|receipt| {
        let (sequence, receive_count) = receipt.0.split_once('-')?;
        let parts = ReceiptParts {
            sequence: sequence.parse().ok()?,
            receive_count: receive_count.parse().ok()?,
        };
        Some(parts)
    });
    parts.collect()
}

/// Wakes receivers, queue by queue.
#[derive(Default)]
struct Arrivals(Mutex<HashMap<String, Arc<Notify>>>);

impl Arrivals {
    fn of(&self, queue: &str) -> Arc<Notify> {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(arrivals.entry(queue.to_owned()).or_default())
    }

    fn all(&self) {
        let arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals
            .values()
            .for_each(|arrival| arrival.notify_waiters());
    }
}

fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn from_ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
