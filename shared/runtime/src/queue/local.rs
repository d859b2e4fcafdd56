//! Durable queues in one SQLite file, with the semantics of SQS: for development and for one
//! machine.
//!
//! Kept from SQS: visibility timeout, receive count, dead-letter queue after so many receives,
//! delay, long poll, receipt handles that go stale, order roughly first in, first out. A message
//! moves to its dead-letter queue when it *would* be received once too often.
//!
//! One thread owns the database. It takes every request that waits, does them in one transaction,
//! commits, and only then answers: what was answered survives a kill, and many senders share one
//! flush to disk. Each request is done inside a savepoint, so that it fails alone.

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
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tracing::error;

use super::{Outgoing, QueueError, Transport};

/// Tells the time; tests and simulations give their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How many requests may wait for the thread before senders wait themselves.
const WAITING_REQUESTS: usize = 4096;
/// How many requests share a transaction at most.
const REQUESTS_PER_COMMIT: usize = 512;

/// `sequence` is never used again, so that an old receipt can never fit a new message. The index
/// answers receiving in order and counting without touching the bodies.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS message (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        message_id TEXT NOT NULL,
        sent_at_ms INTEGER NOT NULL,
        visible_at_ms INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        first_received_at_ms INTEGER,
        dead_letter_source TEXT,
        body TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS message_due
        ON message (queue, visible_at_ms, sequence, receive_count, sent_at_ms);
";

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

/// How one queue behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a received message is hidden from others. At least a millisecond.
    pub visibility_timeout: Duration,
    /// How often a message is received before it moves to the dead-letter queue. Set together with
    /// `dead_letter`, or not at all.
    pub max_receives: Option<u32>,
    /// The queue it moves to; set up with this one's visibility timeout if it is not set up yet.
    pub dead_letter: Option<String>,
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
    /// How many times it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, in Unix milliseconds.
    pub sent_at_ms: i64,
    /// When it was first received, in Unix milliseconds.
    pub first_received_at_ms: i64,
    /// The queue it was given up in, for a message of a dead-letter queue.
    pub dead_letter_source: Option<String>,
}

/// Proof of one receive of one message. It goes stale when the message is received again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(String);

/// A message looked at without receiving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// The queue's name for it.
    pub message_id: String,
    /// The message as it was sent.
    pub body: String,
    /// How many times it was received.
    pub receive_count: u32,
    /// When it was sent, in Unix milliseconds.
    pub sent_at_ms: i64,
    /// When it can be received, in Unix milliseconds; in the past, if it can be now.
    pub visible_at_ms: i64,
    /// The queue it was given up in, for a message of a dead-letter queue.
    pub dead_letter_source: Option<String>,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that were received and are hidden.
    pub in_flight: u64,
    /// Messages that were never received and are held back.
    pub delayed: u64,
    /// How long ago the oldest of all of them was sent.
    pub oldest_age: Option<Duration>,
}

impl QueueStats {
    /// All messages of the queue.
    pub fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// What a file outlives with all that was written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlives {
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
        outlives: Outlives,
    ) -> Result<Self, QueueError> {
        let path = path.as_ref();
        let unavailable =
            |source: Box<dyn std::error::Error + Send + Sync>| QueueError::Unavailable {
                operation: "open",
                queue: path.display().to_string(),
                source,
            };
        let connection = connect(path, outlives).map_err(|error| unavailable(error.into()))?;
        let id_prefix = connection
            .query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))
            .map_err(|error| unavailable(error.into()))?;

        let arrivals = Arc::new(Arrivals::default());
        let (jobs, waiting) = mpsc::channel(WAITING_REQUESTS);
        let writer = Writer {
            connection,
            queues: HashMap::new(),
            arrivals: Arc::clone(&arrivals),
            arrived: Vec::new(),
            id_prefix,
            ids: 0,
        };
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
    /// [`QueueError::Misconfigured`] if the settings are at odds.
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
            if let Some(dead_letter) = &settings.dead_letter {
                let dead_letter_settings = QueueSettings {
                    visibility_timeout: settings.visibility_timeout,
                    max_receives: None,
                    dead_letter: None,
                };
                writer
                    .queues
                    .entry(dead_letter.clone())
                    .or_insert(dead_letter_settings);
            }
            writer.queues.insert(name.to_owned(), settings);
            Ok(())
        })
        .await
    }

    /// The names of all queues that are set up, in order.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] if the queues are closed.
    pub async fn names(&self) -> Result<Vec<String>, QueueError> {
        self.call("list", "queues", |writer, _, _| {
            let mut names: Vec<String> = writer.queues.keys().cloned().collect();
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    /// How many receivers wait for messages now.
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

    /// Receives up to `max` messages; waits until there is at least one, at most for `wait`.
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
        self.call("delete from", name, move |writer, name, _| {
            writer.delete(name, &receipts)
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
            writer.change_visibility(name, &receipts, now.saturating_add(to_ms(timeout)))
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

    /// How full a queue is.
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
    /// gave them up, and gives their number. As on SQS they are new messages there. A message that
    /// was sent to the dead-letter queue itself stays.
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
        let queue = name.to_owned();
        let call = Call {
            operation,
            queue,
            work: Some(work),
            result: None,
            reply,
        };
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

/// The event that Lambda makes of received messages, so that the same handlers take them.
///
/// It has the attributes that SQS gives, but no MD5 sums.
pub fn sqs_event(queue: &str, messages: &[LocalMessage]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| sqs_message(queue, message))
        .collect();
    event
}

/// The receipts of the messages to delete after a handler's answer, as Lambda decides it: all but
/// the reported ones; none, if the answer names a message that is not in the batch.
pub fn succeeded(messages: &[LocalMessage], response: &SqsBatchResponse) -> Vec<Receipt> {
    let failed: Vec<&str> = response
        .batch_item_failures
        .iter()
        .map(|item| item.item_identifier.as_str())
        .collect();
    let is_known = |id: &&str| messages.iter().any(|message| message.message_id == **id);
    if !failed.iter().all(is_known) {
        return Vec::new();
    }
    let succeeded = messages
        .iter()
        .filter(|message| !failed.contains(&&*message.message_id));
    succeeded.map(|message| message.receipt.clone()).collect()
}

fn sqs_message(queue: &str, message: &LocalMessage) -> SqsMessage {
    let mut attributes: HashMap<String, String> = [
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        (
            "ApproximateFirstReceiveTimestamp",
            message.first_received_at_ms.to_string(),
        ),
        ("SentTimestamp", message.sent_at_ms.to_string()),
        ("SenderId", "local".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(source) = &message.dead_letter_source {
        attributes.insert("DeadLetterQueueSourceArn".to_owned(), arn(source));
    }

    let mut sqs = SqsMessage::default();
    sqs.message_id = Some(message.message_id.clone());
    sqs.receipt_handle = Some(message.receipt.0.clone());
    sqs.body = Some(message.body.clone());
    sqs.attributes = attributes;
    sqs.event_source_arn = Some(arn(queue));
    sqs.event_source = Some("aws:sqs".to_owned());
    sqs.aws_region = Some(REGION.to_owned());
    sqs
}

const REGION: &str = "local";

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:000000000000:{queue}")
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

/// What a receipt proves.
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

/// What receipts prove; one that is none proves nothing.
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

/// Why a request failed on the thread.
enum Failure {
    Database(rusqlite::Error),
    UnknownQueue,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    fn error(self, operation: &'static str, queue: String) -> QueueError {
        match self {
            Self::Database(error) => QueueError::Unavailable {
                operation,
                queue,
                source: Box::new(error),
            },
            Self::UnknownQueue => QueueError::Unknown { queue },
        }
    }
}

/// A request to the thread: done inside a transaction, answered after its commit.
trait Job: Send {
    fn run(&mut self, writer: &mut Writer, now_ms: i64);
    fn answer(self: Box<Self>, commit: &Result<(), Arc<rusqlite::Error>>);
}

struct Call<T, F> {
    operation: &'static str,
    queue: String,
    work: Option<F>,
    result: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, QueueError>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut Writer, &str, i64) -> Result<T, Failure> + Send,
{
    fn run(&mut self, writer: &mut Writer, now_ms: i64) {
        // Nobody waits any more: what nobody would hear of is not done.
        if let Some(work) = self.work.take().filter(|_| !self.reply.is_closed()) {
            let queue = &self.queue;
            self.result = Some(writer.alone(|writer| work(writer, queue, now_ms)));
        }
    }

    fn answer(self: Box<Self>, commit: &Result<(), Arc<rusqlite::Error>>) {
        let Self {
            operation,
            queue,
            result,
            reply,
            ..
        } = *self;
        let answer = match (commit, result) {
            (Ok(()), Some(result)) => result.map_err(|failure| failure.error(operation, queue)),
            (Err(error), _) => {
                let source = Box::new(Arc::clone(error));
                Err(QueueError::Unavailable {
                    operation,
                    queue,
                    source,
                })
            }
            (Ok(()), None) => return,
        };
        // The caller may have gone away.
        drop(reply.send(answer));
    }
}

/// The thread's own: the connection, and what is set up.
struct Writer {
    connection: Connection,
    queues: HashMap<String, QueueSettings>,
    arrivals: Arc<Arrivals>,
    /// Queues that get something to receive with the next commit.
    arrived: Vec<String>,
    id_prefix: String,
    ids: u64,
}

impl Writer {
    fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Job>>, clock: &Clock) {
        while let Some(first) = waiting.blocking_recv() {
            let mut jobs = vec![first];
            let mut commit = self.execute("BEGIN IMMEDIATE");
            if commit.is_ok() {
                let now_ms = clock().as_millisecond();
                let mut done = 0;
                while let Some(job) = jobs.get_mut(done) {
                    job.run(&mut self, now_ms);
                    done += 1;
                    if done < REQUESTS_PER_COMMIT {
                        jobs.extend(waiting.try_recv().ok());
                    }
                }
                commit = self.execute("COMMIT");
                if commit.is_err() && !self.connection.is_autocommit() {
                    // A transaction that can neither be committed nor undone fails the next BEGIN.
                    drop(self.execute("ROLLBACK"));
                }
            }
            if let Err(error) = &commit {
                error!(%error, requests = jobs.len(), "the local queues cannot write");
            }
            self.arrived.sort_unstable();
            self.arrived.dedup();
            for queue in self.arrived.drain(..) {
                self.arrivals.of(&queue).notify_waiters();
            }
            let commit = commit.map_err(Arc::new);
            for job in jobs {
                job.answer(&commit);
            }
        }
        if let Err((_, error)) = self.connection.close() {
            error!(%error, "the local queues were not closed cleanly");
        }
    }

    /// Does work that changes all or nothing, whatever else is in the transaction.
    fn alone<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.execute("SAVEPOINT request")?;
        let result = work(self);
        if result.is_err() {
            self.execute("ROLLBACK TO request")?;
        }
        self.execute("RELEASE request")?;
        result
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn known(&self, queue: &str) -> Result<QueueSettings, Failure> {
        self.queues.get(queue).cloned().ok_or(Failure::UnknownQueue)
    }

    fn arrived_in(&mut self, queue: &str) {
        if self.arrived.last().is_none_or(|last| last != queue) {
            self.arrived.push(queue.to_owned());
        }
    }

    /// An id in the form of SQS's: unlike in every other run, unlike every other in this run.
    fn message_id(&mut self) -> String {
        self.ids += 1;
        let mut id = format!("{}{:016x}", self.id_prefix, self.ids);
        for position in [20, 16, 12, 8] {
            id.insert(position, '-');
        }
        id
    }

    fn send(&mut self, queue: &str, messages: &[Outgoing], now_ms: i64) -> Result<(), Failure> {
        self.known(queue)?;
        for message in messages {
            let message_id = self.message_id();
            let visible_at_ms = now_ms.saturating_add(to_ms(message.delay));
            self.connection
                .prepare_cached(
                    "INSERT INTO message (queue, message_id, sent_at_ms, visible_at_ms, body)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    queue,
                    message_id,
                    now_ms,
                    visible_at_ms,
                    message.body
                ])?;
        }
        // Also for a delayed message: a receiver must know until when to sleep.
        self.arrived_in(queue);
        Ok(())
    }

    /// Receives, or else tells when the next message can be received.
    fn receive(
        &mut self,
        queue: &str,
        max: usize,
        now_ms: i64,
    ) -> Result<(Vec<LocalMessage>, Option<i64>), Failure> {
        let settings = self.known(queue)?;
        let visible_at_ms = now_ms.saturating_add(to_ms(settings.visibility_timeout).max(1));
        let mut messages = Vec::new();
        while messages.len() < max {
            let due = self.due(queue, max - messages.len(), now_ms)?;
            if due.is_empty() {
                break;
            }
            for (sequence, mut message) in due {
                if let (Some(max_receives), Some(dead_letter)) =
                    (settings.max_receives, &settings.dead_letter)
                    && message.receive_count >= max_receives
                {
                    self.give_up(sequence, dead_letter, now_ms)?;
                    continue;
                }
                message.receive_count = message.receive_count.saturating_add(1);
                message.receipt = ReceiptParts {
                    sequence,
                    receive_count: message.receive_count,
                }
                .receipt();
                self.connection
                    .prepare_cached(
                        "UPDATE message SET visible_at_ms = ?, receive_count = ?,
                             first_received_at_ms = ?
                         WHERE sequence = ?",
                    )?
                    .execute(params![
                        visible_at_ms,
                        message.receive_count,
                        message.first_received_at_ms,
                        sequence
                    ])?;
                messages.push(message);
            }
        }
        let next_ms = if messages.is_empty() {
            self.next_ms(queue)?
        } else {
            None
        };
        Ok((messages, next_ms))
    }

    /// The messages that can be received, with their sequences; the receipts are still empty.
    fn due(
        &self,
        queue: &str,
        max: usize,
        now_ms: i64,
    ) -> rusqlite::Result<Vec<(i64, LocalMessage)>> {
        let mut select = self.connection.prepare_cached(
            "SELECT sequence, message_id, body, receive_count, sent_at_ms, first_received_at_ms,
                 dead_letter_source
             FROM message WHERE queue = :queue AND visible_at_ms <= :now
             ORDER BY visible_at_ms, sequence LIMIT :max",
        )?;
        let message = |row: &Row<'_>| {
            let first_received_at_ms: Option<i64> = row.get("first_received_at_ms")?;
            let message = LocalMessage {
                message_id: row.get("message_id")?,
                receipt: Receipt(String::new()),
                body: row.get("body")?,
                receive_count: row.get("receive_count")?,
                sent_at_ms: row.get("sent_at_ms")?,
                first_received_at_ms: first_received_at_ms.unwrap_or(now_ms),
                dead_letter_source: row.get("dead_letter_source")?,
            };
            Ok((row.get("sequence")?, message))
        };
        let rows = named_params! { ":queue": queue, ":now": now_ms, ":max": limit(max) };
        select.query_map(rows, message)?.collect()
    }

    fn give_up(&mut self, sequence: i64, dead_letter: &str, now_ms: i64) -> Result<(), Failure> {
        self.connection
            .prepare_cached(
                "UPDATE message SET dead_letter_source = queue, queue = ?, visible_at_ms = ?,
                     receive_count = 0, first_received_at_ms = NULL
                 WHERE sequence = ?",
            )?
            .execute(params![dead_letter, now_ms, sequence])?;
        self.arrived_in(dead_letter);
        Ok(())
    }

    fn next_ms(&self, queue: &str) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached(
                "SELECT visible_at_ms FROM message WHERE queue = ? ORDER BY visible_at_ms LIMIT 1",
            )?
            .query_row([queue], |row| row.get(0))
            .optional()
    }

    fn delete(&mut self, queue: &str, receipts: &[ReceiptParts]) -> Result<u64, Failure> {
        self.known(queue)?;
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM message WHERE sequence = ? AND queue = ? AND receive_count = ?",
        )?;
        let mut deleted = 0;
        for ReceiptParts {
            sequence,
            receive_count,
        } in receipts
        {
            deleted += delete.execute(params![sequence, queue, receive_count])?;
        }
        Ok(count(deleted))
    }

    fn change_visibility(
        &mut self,
        queue: &str,
        receipts: &[ReceiptParts],
        visible_at_ms: i64,
    ) -> Result<u64, Failure> {
        self.known(queue)?;
        let mut changed = 0;
        for ReceiptParts {
            sequence,
            receive_count,
        } in receipts
        {
            changed += self
                .connection
                .prepare_cached(
                    "UPDATE message SET visible_at_ms = ?
                     WHERE sequence = ? AND queue = ? AND receive_count = ?",
                )?
                .execute(params![visible_at_ms, sequence, queue, receive_count])?;
        }
        self.arrived_in(queue);
        Ok(count(changed))
    }

    fn purge(&mut self, queue: &str) -> Result<u64, Failure> {
        self.known(queue)?;
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM message WHERE queue = ?")?;
        Ok(count(delete.execute([queue])?))
    }

    fn stats(&mut self, queue: &str, now_ms: i64) -> Result<QueueStats, Failure> {
        self.known(queue)?;
        let mut select = self.connection.prepare_cached(
            "SELECT coalesce(sum(visible_at_ms <= :now), 0) AS visible,
                 coalesce(sum(visible_at_ms > :now AND receive_count > 0), 0) AS in_flight,
                 coalesce(sum(visible_at_ms > :now AND receive_count = 0), 0) AS delayed,
                 min(sent_at_ms) AS oldest_ms
             FROM message WHERE queue = :queue",
        )?;
        let stats = |row: &Row<'_>| {
            let oldest_ms: Option<i64> = row.get("oldest_ms")?;
            Ok(QueueStats {
                visible: row.get("visible")?,
                in_flight: row.get("in_flight")?,
                delayed: row.get("delayed")?,
                oldest_age: oldest_ms.map(|oldest_ms| from_ms(now_ms.saturating_sub(oldest_ms))),
            })
        };
        Ok(select.query_row(named_params! { ":queue": queue, ":now": now_ms }, stats)?)
    }

    fn peek(&mut self, queue: &str, max: usize) -> Result<Vec<Peeked>, Failure> {
        self.known(queue)?;
        let mut select = self.connection.prepare_cached(
            "SELECT message_id, body, receive_count, sent_at_ms, visible_at_ms, dead_letter_source
             FROM message WHERE queue = ? ORDER BY sent_at_ms, sequence LIMIT ?",
        )?;
        let peeked = |row: &Row<'_>| {
            Ok(Peeked {
                message_id: row.get("message_id")?,
                body: row.get("body")?,
                receive_count: row.get("receive_count")?,
                sent_at_ms: row.get("sent_at_ms")?,
                visible_at_ms: row.get("visible_at_ms")?,
                dead_letter_source: row.get("dead_letter_source")?,
            })
        };
        let peeked: rusqlite::Result<_> = select
            .query_map(params![queue, limit(max)], peeked)?
            .collect();
        Ok(peeked?)
    }

    fn redrive(&mut self, dead_letter: &str, now_ms: i64) -> Result<u64, Failure> {
        self.known(dead_letter)?;
        let given_up: rusqlite::Result<Vec<(i64, String)>> = self
            .connection
            .prepare_cached(
                "SELECT sequence, dead_letter_source FROM message
                 WHERE queue = ? AND visible_at_ms <= ? AND dead_letter_source IS NOT NULL
                 ORDER BY sequence",
            )?
            .query_map(params![dead_letter, now_ms], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect();
        let given_up = given_up?;
        for (sequence, source) in &given_up {
            let message_id = self.message_id();
            // A new sequence, so that no receipt from before fits.
            self.connection
                .prepare_cached(
                    "INSERT INTO message (queue, message_id, sent_at_ms, visible_at_ms, body)
                     SELECT ?, ?, ?, ?, body FROM message WHERE sequence = ?",
                )?
                .execute(params![source, message_id, now_ms, now_ms, sequence])?;
            self.connection
                .prepare_cached("DELETE FROM message WHERE sequence = ?")?
                .execute([sequence])?;
            self.arrived_in(source);
        }
        Ok(count(given_up.len()))
    }
}

/// Opens the file for one process: exclusive locking, and every commit flushed to disk.
fn connect(path: &Path, outlives: Outlives) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let flushed = match outlives {
        Outlives::PowerLoss => "FULL",
        Outlives::Kill => "OFF",
    };
    connection.pragma_update(None, "synchronous", flushed)?;
    // What a burst has made of the log is given back.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn from_ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
