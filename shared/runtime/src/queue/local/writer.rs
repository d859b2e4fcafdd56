//! The thread that owns the database, and its SQL.
//!
//! The thread takes every request that waits, does them in one transaction, commits, and only then
//! answers: what was answered survives a kill, and many senders share one flush to disk. Each
//! request is done inside a savepoint, so that it fails alone.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::{
    Arrivals, Clock, Durability, LocalMessage, Peeked, QueueSettings, QueueStats, Receipt,
    ReceiptParts, fifo, from_ms, to_ms,
};
use crate::queue::{FifoIds, Outgoing, QueueError, type_conflict};

/// Number of requests that share a transaction at most.
const REQUESTS_PER_COMMIT: usize = 512;

/// `sequence` is never used again, so that an old receipt can never fit a new message. The index
/// `message_due` answers receiving in order and counting without touching the bodies.
/// Group and deduplication id are those of a FIFO queue.
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
        group_id TEXT,
        deduplication_id TEXT,
        body TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS message_due
        ON message (queue, visible_at_ms, sequence, receive_count, sent_at_ms);
";

/// Reason why a request failed on the thread.
pub(super) enum Failure {
    Database(rusqlite::Error),
    UnknownQueue,
    /// Settings that do not fit what is there.
    Misconfigured(&'static str),
    /// Messages that the queue's type does not take.
    WrongQueueType(&'static str),
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
            Self::Misconfigured(reason) => QueueError::Misconfigured { queue, reason },
            Self::WrongQueueType(reason) => QueueError::WrongQueueType { queue, reason },
        }
    }
}

/// A request to the thread: done inside a transaction, answered after its commit.
pub(super) trait Job: Send {
    fn run(&mut self, writer: &mut Writer, now_ms: i64);
    fn answer(self: Box<Self>, commit: &Result<(), Arc<rusqlite::Error>>);
}

pub(super) struct Call<T, F> {
    operation: &'static str,
    queue: String,
    work: Option<F>,
    result: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, QueueError>>,
}

impl<T, F> Call<T, F> {
    pub(super) fn new(
        operation: &'static str,
        queue: &str,
        work: F,
        reply: oneshot::Sender<Result<T, QueueError>>,
    ) -> Self {
        Self {
            operation,
            queue: queue.to_owned(),
            work: Some(work),
            result: None,
            reply,
        }
    }
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
pub(super) struct Writer {
    pub(super) connection: Connection,
    queues: HashMap<String, QueueSettings>,
    arrivals: Arc<Arrivals>,
    /// Queues that get something to receive with the next commit.
    arrived: Vec<String>,
    id_prefix: String,
    ids: u64,
}

impl Writer {
    pub(super) fn open(
        path: &Path,
        durability: Durability,
        arrivals: Arc<Arrivals>,
    ) -> rusqlite::Result<Self> {
        let connection = connect(path, durability)?;
        let id_prefix =
            connection.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            queues: HashMap::new(),
            arrivals,
            arrived: Vec::new(),
            id_prefix,
            ids: 0,
        })
    }

    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Job>>, clock: &Clock) {
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

    pub(super) fn arrived_in(&mut self, queue: &str) {
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

    pub(super) fn set_up(&mut self, queue: &str, settings: QueueSettings) -> Result<(), Failure> {
        if self.holds_messages_of_type(queue, !settings.fifo)? {
            return Err(Failure::Misconfigured(
                "it has messages from when it was of the other type",
            ));
        }
        if let Some(dead_letter) = &settings.dead_letter {
            let dead_letter_settings = QueueSettings {
                visibility_timeout: settings.visibility_timeout,
                max_receives: None,
                dead_letter: None,
                fifo: settings.fifo,
            };
            let dead_letter_settings = self
                .queues
                .entry(dead_letter.clone())
                .or_insert(dead_letter_settings);
            if dead_letter_settings.fifo != settings.fifo {
                return Err(Failure::Misconfigured(
                    "of it and its dead-letter queue only one is a FIFO queue",
                ));
            }
        }
        self.queues.insert(queue.to_owned(), settings);
        Ok(())
    }

    fn holds_messages_of_type(&self, queue: &str, fifo: bool) -> rusqlite::Result<bool> {
        let mut counts = self.connection.prepare_cached(
            "SELECT (SELECT count(*) FROM message WHERE queue = ?1) AS total,
                 (SELECT count(*) FROM message WHERE queue = ?1 AND group_id IS NOT NULL) AS fifo",
        )?;
        counts.query_row([queue], |row| {
            let (total, of_fifo): (u64, u64) = (row.get("total")?, row.get("fifo")?);
            Ok(if fifo { of_fifo > 0 } else { of_fifo < total })
        })
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.queues.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    pub(super) fn send(
        &mut self,
        queue: &str,
        messages: &[Outgoing],
        now_ms: i64,
    ) -> Result<(), Failure> {
        let settings = self.known(queue)?;
        if let Some(reason) = type_conflict(settings.fifo, messages) {
            return Err(Failure::WrongQueueType(reason));
        }
        if settings.fifo {
            self.forget_duplicates(now_ms)?;
        }
        for message in messages {
            if let Some(ids) = &message.fifo {
                if self.is_duplicate(queue, ids, now_ms)? {
                    continue;
                }
                self.open_group(queue, &ids.group_id, now_ms)?;
            }
            let message_id = self.message_id();
            let visible_at_ms = now_ms.saturating_add(to_ms(message.delay));
            let ids = message.fifo.as_ref();
            self.connection
                .prepare_cached(
                    "INSERT INTO message (queue, message_id, sent_at_ms, visible_at_ms, body,
                         group_id, deduplication_id)
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    queue,
                    message_id,
                    now_ms,
                    visible_at_ms,
                    message.body,
                    ids.map(|ids| &ids.group_id),
                    ids.map(|ids| &ids.deduplication_id),
                ])?;
        }
        // Also for a delayed message: a receiver must know until when to sleep.
        self.arrived_in(queue);
        Ok(())
    }

    /// Receives, or else tells when the next message can be received.
    pub(super) fn receive(
        &mut self,
        queue: &str,
        max: usize,
        now_ms: i64,
    ) -> Result<(Vec<LocalMessage>, Option<i64>), Failure> {
        let settings = self.known(queue)?;
        let messages = if settings.fifo {
            self.receive_in_groups(queue, &settings, max, now_ms)?
        } else {
            self.receive_due(queue, &settings, max, now_ms)?
        };
        let next_ms = if messages.is_empty() {
            self.next_ms(queue, settings.fifo)?
        } else {
            None
        };
        Ok((messages, next_ms))
    }

    fn receive_due(
        &mut self,
        queue: &str,
        settings: &QueueSettings,
        max: usize,
        now_ms: i64,
    ) -> Result<Vec<LocalMessage>, Failure> {
        let mut messages = Vec::new();
        while messages.len() < max {
            let due = self.due(queue, max - messages.len(), now_ms)?;
            if due.is_empty() {
                break;
            }
            for (sequence, message) in due {
                messages.extend(self.receive_one(sequence, message, settings, now_ms)?);
            }
        }
        Ok(messages)
    }

    /// Hides a message and gives its receipt, or gives it up.
    pub(super) fn receive_one(
        &mut self,
        sequence: i64,
        mut message: LocalMessage,
        settings: &QueueSettings,
        now_ms: i64,
    ) -> Result<Option<LocalMessage>, Failure> {
        if let (Some(max_receives), Some(dead_letter)) =
            (settings.max_receives, &settings.dead_letter)
            && message.receive_count >= max_receives
        {
            match &message.fifo {
                None => self.give_up(sequence, dead_letter, now_ms)?,
                Some(ids) => self.give_up_in_order(sequence, dead_letter, ids, now_ms)?,
            }
            return Ok(None);
        }
        message.receive_count = message.receive_count.saturating_add(1);
        message.receipt = ReceiptParts {
            sequence,
            receive_count: message.receive_count,
        }
        .receipt();
        let visible_at_ms = now_ms.saturating_add(to_ms(settings.visibility_timeout).max(1));
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
        Ok(Some(message))
    }

    /// The messages that can be received, in order.
    fn due(
        &self,
        queue: &str,
        max: usize,
        now_ms: i64,
    ) -> rusqlite::Result<Vec<(i64, LocalMessage)>> {
        let mut select = self.connection.prepare_cached(
            "SELECT sequence, message_id, body, receive_count, sent_at_ms, first_received_at_ms,
                 dead_letter_source, group_id, deduplication_id
             FROM message WHERE queue = :queue AND visible_at_ms <= :now
             ORDER BY visible_at_ms, sequence LIMIT :max",
        )?;
        let rows = named_params! { ":queue": queue, ":now": now_ms, ":max": limit(max) };
        let messages = select.query_map(rows, |row| received(row, now_ms))?;
        messages.collect()
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

    pub(super) fn remove(&self, sequence: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM message WHERE sequence = ?")?
            .execute([sequence])?;
        Ok(())
    }

    fn next_ms(&self, queue: &str, fifo: bool) -> rusqlite::Result<Option<i64>> {
        let sql = if fifo {
            "SELECT free_at_ms FROM message_group WHERE queue = ? ORDER BY free_at_ms LIMIT 1"
        } else {
            "SELECT visible_at_ms FROM message WHERE queue = ? ORDER BY visible_at_ms LIMIT 1"
        };
        self.connection
            .prepare_cached(sql)?
            .query_row([queue], |row| row.get(0))
            .optional()
    }

    pub(super) fn delete(
        &mut self,
        queue: &str,
        receipts: &[ReceiptParts],
        now_ms: i64,
    ) -> Result<u64, Failure> {
        self.known(queue)?;
        let (mut deleted, mut groups) = (0, BTreeSet::new());
        for ReceiptParts {
            sequence,
            receive_count,
        } in receipts
        {
            let group: Option<Option<String>> = self
                .connection
                .prepare_cached(
                    "DELETE FROM message WHERE sequence = ? AND queue = ? AND receive_count = ?
                         AND (group_id IS NULL OR visible_at_ms > ?)
                     RETURNING group_id",
                )?
                .query_row(params![sequence, queue, receive_count, now_ms], |row| {
                    row.get(0)
                })
                .optional()?;
            deleted += usize::from(group.is_some());
            groups.extend(group.flatten());
        }
        self.settle_groups(queue, groups, now_ms)?;
        Ok(count(deleted))
    }

    pub(super) fn change_visibility(
        &mut self,
        queue: &str,
        receipts: &[ReceiptParts],
        timeout: Duration,
        now_ms: i64,
    ) -> Result<u64, Failure> {
        self.known(queue)?;
        let visible_at_ms = now_ms.saturating_add(to_ms(timeout));
        let (mut changed, mut groups) = (0, BTreeSet::new());
        for ReceiptParts {
            sequence,
            receive_count,
        } in receipts
        {
            let group: Option<Option<String>> = self
                .connection
                .prepare_cached(
                    "UPDATE message SET visible_at_ms = ?
                     WHERE sequence = ? AND queue = ? AND receive_count = ?
                         AND (group_id IS NULL OR visible_at_ms > ?)
                     RETURNING group_id",
                )?
                .query_row(
                    params![visible_at_ms, sequence, queue, receive_count, now_ms],
                    |row| row.get(0),
                )
                .optional()?;
            changed += usize::from(group.is_some());
            groups.extend(group.flatten());
        }
        self.settle_groups(queue, groups, now_ms)?;
        self.arrived_in(queue);
        Ok(count(changed))
    }

    pub(super) fn purge(&mut self, queue: &str) -> Result<u64, Failure> {
        self.known(queue)?;
        self.connection
            .prepare_cached("DELETE FROM message_group WHERE queue = ?")?
            .execute([queue])?;
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM message WHERE queue = ?")?;
        Ok(count(delete.execute([queue])?))
    }

    pub(super) fn stats(&mut self, queue: &str, now_ms: i64) -> Result<QueueStats, Failure> {
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

    pub(super) fn peek(&mut self, queue: &str, max: usize) -> Result<Vec<Peeked>, Failure> {
        self.known(queue)?;
        let mut select = self.connection.prepare_cached(
            "SELECT message_id, body, receive_count, sent_at_ms, visible_at_ms,
                 dead_letter_source, group_id, deduplication_id
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
                fifo: fifo_ids(row)?,
            })
        };
        let peeked: rusqlite::Result<_> = select
            .query_map(params![queue, limit(max)], peeked)?
            .collect();
        Ok(peeked?)
    }

    pub(super) fn redrive(&mut self, dead_letter: &str, now_ms: i64) -> Result<u64, Failure> {
        self.known(dead_letter)?;
        // A group in flight stays whole: its later messages must not come back before that one.
        let given_up: rusqlite::Result<Vec<(i64, String, Option<String>)>> = self
            .connection
            .prepare_cached(
                "SELECT sequence, dead_letter_source, group_id FROM message
                 WHERE queue = ?1 AND visible_at_ms <= ?2 AND dead_letter_source IS NOT NULL
                     AND NOT EXISTS (
                         SELECT 1 FROM message_group
                         WHERE message_group.queue = ?1
                             AND message_group.group_id = message.group_id
                             AND free_at_ms > ?2
                     )
                 ORDER BY sequence",
            )?
            .query_map(params![dead_letter, now_ms], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect();
        let given_up = given_up?;
        let mut groups = BTreeSet::new();
        for (sequence, source, group_id) in &given_up {
            let message_id = self.message_id();
            // A new sequence, so that no receipt from before fits.
            self.connection
                .prepare_cached(
                    "INSERT INTO message (queue, message_id, sent_at_ms, visible_at_ms, body,
                         group_id, deduplication_id)
                     SELECT ?1, ?2, ?3, ?3, body, group_id, deduplication_id
                     FROM message WHERE sequence = ?4",
                )?
                .execute(params![source, message_id, now_ms, sequence])?;
            self.remove(*sequence)?;
            if let Some(group_id) = group_id {
                self.open_group(source, group_id, now_ms)?;
                groups.insert(group_id.clone());
            }
            self.arrived_in(source);
        }
        self.settle_groups(dead_letter, groups, now_ms)?;
        Ok(count(given_up.len()))
    }
}

/// A message as it is received, with its sequence; the receipt is still empty.
pub(super) fn received(row: &Row<'_>, now_ms: i64) -> rusqlite::Result<(i64, LocalMessage)> {
    let first_received_at_ms: Option<i64> = row.get("first_received_at_ms")?;
    let message = LocalMessage {
        message_id: row.get("message_id")?,
        receipt: Receipt(String::new()),
        body: row.get("body")?,
        receive_count: row.get("receive_count")?,
        sent_at_ms: row.get("sent_at_ms")?,
        first_received_at_ms: first_received_at_ms.unwrap_or(now_ms),
        dead_letter_source: row.get("dead_letter_source")?,
        fifo: fifo_ids(row)?,
    };
    Ok((row.get("sequence")?, message))
}

fn fifo_ids(row: &Row<'_>) -> rusqlite::Result<Option<FifoIds>> {
    let group_id: Option<String> = row.get("group_id")?;
    let deduplication_id: Option<String> = row.get("deduplication_id")?;
    let ids = group_id.zip(deduplication_id);
    Ok(ids.map(|(group_id, deduplication_id)| FifoIds {
        group_id,
        deduplication_id,
    }))
}

/// Opens the file for one process: exclusive locking, and every commit flushed to disk.
fn connect(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let flushed = match durability {
        Durability::PowerLoss => "FULL",
        Durability::Kill => "OFF",
    };
    connection.pragma_update(None, "synchronous", flushed)?;
    // The space that a burst took in the log is given back.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(fifo::SCHEMA)?;
    Ok(connection)
}

pub(super) fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
