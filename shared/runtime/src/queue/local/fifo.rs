//! FIFO queues: message groups and deduplication.
//!
//! A group with messages has a row in `message_group`: it can be received from at `free_at_ms`, when
//! the last of its messages in flight becomes visible. The row is replaced whenever the group becomes
//! free, so that `turn` grows and the groups take turns. The index `message_ordered` has the messages
//! of a group in order, and `message_received` the few that are or were in flight: whatever the
//! length of a group, neither receiving nor deleting reads more rows than it changes.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, named_params, params};

use super::{
    LocalMessage, QueueSettings,
    writer::{Failure, Writer, limit, received},
};
use crate::queue::FifoIds;

/// Time for which a FIFO queue remembers a deduplication id, from the first message with it on.
///
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-key-terms.html>
const DEDUPLICATION_MS: i64 = 5 * 60 * 1000;
/// A FIFO queue gives at most ten messages per receive, to Lambda too.
const MAX_FIFO_RECEIVE: usize = 10;

pub(super) const SCHEMA: &str = "
    CREATE INDEX IF NOT EXISTS message_ordered
        ON message (queue, group_id, sequence) WHERE group_id IS NOT NULL;
    CREATE INDEX IF NOT EXISTS message_received
        ON message (queue, group_id, visible_at_ms)
        WHERE group_id IS NOT NULL AND receive_count > 0;

    CREATE TABLE IF NOT EXISTS message_group (
        turn INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        group_id TEXT NOT NULL,
        free_at_ms INTEGER NOT NULL,
        UNIQUE (queue, group_id)
    );
    CREATE INDEX IF NOT EXISTS message_group_free ON message_group (queue, free_at_ms, turn);

    CREATE TABLE IF NOT EXISTS deduplication (
        queue TEXT NOT NULL,
        deduplication_id TEXT NOT NULL,
        sent_at_ms INTEGER NOT NULL,
        PRIMARY KEY (queue, deduplication_id)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS deduplication_sent ON deduplication (sent_at_ms);
";

/// Finds the group that waited longest of those that can be received from.
pub(super) const FREE_GROUP: &str = "
    SELECT group_id FROM message_group WHERE queue = ? AND free_at_ms <= ?
    ORDER BY free_at_ms, turn LIMIT 1";
/// Reads messages of a group in order, from a sequence on.
pub(super) const GROUP_MESSAGES: &str = "
    SELECT sequence, message_id, body, receive_count, sent_at_ms, first_received_at_ms,
        dead_letter_source, group_id, deduplication_id
    FROM message WHERE queue = :queue AND group_id = :group AND sequence > :after
    ORDER BY sequence LIMIT :max";
/// Finds out when the last of a group's received messages is visible again.
pub(super) const GROUP_VISIBLE_AT: &str = "
    SELECT visible_at_ms FROM message
    WHERE queue = ? AND group_id = ? AND receive_count > 0
    ORDER BY visible_at_ms DESC LIMIT 1";
/// Condition that a group has messages.
pub(super) const GROUP_EXISTS: &str =
    "SELECT 1 FROM message WHERE queue = ? AND group_id = ? LIMIT 1";

impl Writer {
    /// Forgets the deduplication ids that are older than five minutes.
    pub(super) fn forget_duplicates(&self, now_ms: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM deduplication WHERE sent_at_ms <= ?")?
            .execute([now_ms.saturating_sub(DEDUPLICATION_MS)])?;
        Ok(())
    }

    /// Notes a deduplication id; returns whether it was noted before.
    pub(super) fn is_duplicate(
        &self,
        queue: &str,
        ids: &FifoIds,
        now_ms: i64,
    ) -> rusqlite::Result<bool> {
        let noted = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO deduplication VALUES (?, ?, ?)")?
            .execute(params![queue, ids.deduplication_id, now_ms])?;
        Ok(noted == 0)
    }

    /// Makes the row of a group that gets a message, if it has none.
    pub(super) fn open_group(
        &self,
        queue: &str,
        group_id: &str,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO message_group (queue, group_id, free_at_ms)
                 VALUES (?, ?, ?)",
            )?
            .execute(params![queue, group_id, now_ms])?;
        Ok(())
    }

    /// Writes down from when on a group can be received from, after a change of its messages.
    fn settle_group(&self, queue: &str, group_id: &str, now_ms: i64) -> rusqlite::Result<()> {
        let ids = params![queue, group_id];
        let has_messages = self.connection.prepare_cached(GROUP_EXISTS)?.exists(ids)?;
        if has_messages {
            let visible_at_ms: Option<i64> = self
                .connection
                .prepare_cached(GROUP_VISIBLE_AT)?
                .query_row(ids, |row| row.get(0))
                .optional()?;
            let free_at_ms =
                visible_at_ms.map_or(now_ms, |visible_at_ms| visible_at_ms.max(now_ms));
            self.connection
                .prepare_cached(
                    "REPLACE INTO message_group (queue, group_id, free_at_ms) VALUES (?, ?, ?)",
                )?
                .execute(params![queue, group_id, free_at_ms])?;
        } else {
            self.connection
                .prepare_cached("DELETE FROM message_group WHERE queue = ? AND group_id = ?")?
                .execute(ids)?;
        }
        Ok(())
    }

    pub(super) fn settle_groups(
        &mut self,
        queue: &str,
        groups: BTreeSet<String>,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        for group_id in groups {
            self.settle_group(queue, &group_id, now_ms)?;
            self.arrived_in(queue);
        }
        Ok(())
    }

    /// Receives from the groups that are free, all that fits of one before the next, as SQS does.
    pub(super) fn receive_in_groups(
        &mut self,
        queue: &str,
        settings: &QueueSettings,
        max: usize,
        now_ms: i64,
    ) -> Result<Vec<LocalMessage>, Failure> {
        let max = max.min(MAX_FIFO_RECEIVE);
        let mut messages = Vec::new();
        while messages.len() < max
            && let Some(group_id) = self.free_group(queue, now_ms)?
        {
            let mut after = 0;
            while messages.len() < max {
                let oldest = self.oldest(queue, &group_id, after, max - messages.len(), now_ms)?;
                if oldest.is_empty() {
                    break;
                }
                for (sequence, message) in oldest {
                    after = sequence;
                    messages.extend(self.receive_one(sequence, message, settings, now_ms)?);
                }
            }
            self.settle_group(queue, &group_id, now_ms)?;
        }
        Ok(messages)
    }

    /// The oldest messages of a group whose sequence is greater than `after`.
    fn oldest(
        &self,
        queue: &str,
        group_id: &str,
        after: i64,
        max: usize,
        now_ms: i64,
    ) -> rusqlite::Result<Vec<(i64, LocalMessage)>> {
        let mut select = self.connection.prepare_cached(GROUP_MESSAGES)?;
        let rows = named_params! {
            ":queue": queue, ":group": group_id, ":after": after, ":max": limit(max)
        };
        let messages = select.query_map(rows, |row| received(row, now_ms))?;
        messages.collect()
    }

    fn free_group(&self, queue: &str, now_ms: i64) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached(FREE_GROUP)?
            .query_row(params![queue, now_ms], |row| row.get(0))
            .optional()
    }

    /// Gives a message of a FIFO queue up: behind all that its dead-letter queue has of the group,
    /// and with a new time of sending, as on SQS.
    ///
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html>
    pub(super) fn give_up_in_order(
        &mut self,
        sequence: i64,
        dead_letter: &str,
        ids: &FifoIds,
        now_ms: i64,
    ) -> Result<(), Failure> {
        self.connection
            .prepare_cached(
                "INSERT INTO message (queue, message_id, sent_at_ms, visible_at_ms, body,
                     group_id, deduplication_id, dead_letter_source)
                 SELECT ?1, message_id, ?2, ?2, body, group_id, deduplication_id, queue
                 FROM message WHERE sequence = ?3",
            )?
            .execute(params![dead_letter, now_ms, sequence])?;
        self.remove(sequence)?;
        self.open_group(dead_letter, &ids.group_id, now_ms)?;
        self.arrived_in(dead_letter);
        Ok(())
    }
}
