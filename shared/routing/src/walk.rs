//! A replay of many webhooks: which, how far it is, and what it changed.

use std::collections::{BTreeMap, BTreeSet};

use domain::connection::ConnectionId;
use futures::TryStreamExt as _;
use jiff::{Timestamp, civil::Date};
use models::ids::WebhookId;
use serde::{Deserialize, Serialize};
use store::{
    archive::{Archive, ArchiveError, ArchivedWebhook, SegmentKey, WebhookHeader},
    table::{Table, TableError, records::Mode},
};

use crate::{
    error::RouteError,
    replay::{Listed, Replayed, replay},
    ways::Ways,
};

/// Most differences that are listed one by one.
const MAX_DIFFERENCES: usize = 100;

/// Order of a replay and how far it is, as its job keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayDetail {
    /// True if nothing is written, and only told what would be.
    pub dry_run: bool,
    /// Webhooks that are meant.
    pub which: Which,
    /// Progress and result.
    #[serde(default)]
    pub progress: Progress,
}

/// Webhooks that a replay is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// One, which the ledger knows.
    One(WebhookId),
    /// All that were archived in some days and that a choice takes.
    Range {
        /// First day of the archive, in UTC.
        first: Date,
        /// Last day, included.
        last: Date,
        /// Received at this time or later. Unit: Unix milliseconds.
        #[serde(default)]
        since_ms: Option<i64>,
        /// Received before this time. Unit: Unix milliseconds.
        #[serde(default)]
        until_ms: Option<i64>,
        /// Of this connection, under any id that it ever had.
        #[serde(default)]
        connection: Option<ConnectionId>,
        /// Of this event type.
        #[serde(default)]
        event_type: Option<String>,
    },
}

/// Choice of webhooks by what their headers in the archive say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Received at this time or later. Unit: Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Received before this time. Unit: Unix milliseconds.
    pub until_ms: Option<i64>,
    /// Terra user ids, one of which has to be named.
    pub terra_user_ids: Option<BTreeSet<String>>,
    /// Event type.
    pub event_type: Option<String>,
}

impl Choice {
    /// Returns whether a webhook with this header is meant.
    pub fn takes(&self, header: &WebhookHeader) -> bool {
        let of_user = self
            .terra_user_ids
            .as_ref()
            .is_none_or(|ids| header.terra_user_ids.iter().any(|id| ids.contains(id)));
        let of_type =
            self.event_type.is_none() || self.event_type.as_deref() == header.event_type.as_deref();
        of_user && of_type && self.in_time(header)
    }

    fn in_time(&self, header: &WebhookHeader) -> bool {
        if self.since_ms.is_none() && self.until_ms.is_none() {
            return true;
        }
        header.received_at.parse::<Timestamp>().is_ok_and(|at| {
            let at_ms = at.as_millisecond();
            self.since_ms.is_none_or(|since_ms| at_ms >= since_ms)
                && self.until_ms.is_none_or(|until_ms| at_ms < until_ms)
        })
    }
}

/// Terra user ids of a connection, all that it ever had; `None` when there is no such connection.
///
/// # Errors
///
/// Those of [`Table::connection`].
pub async fn users_of(
    table: &Table,
    connection: &ConnectionId,
) -> Result<Option<BTreeSet<String>>, TableError> {
    let connection = table.connection(connection).await?;
    Ok(connection.map(|found| {
        found
            .state
            .members
            .keys()
            .map(ToString::to_string)
            .collect()
    }))
}

/// Counts of replayed webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Webhooks.
    pub webhooks: usize,
    /// Records that were not there.
    pub created: usize,
    /// Records that changed.
    pub updated: usize,
    /// Records that stayed as they were.
    pub unchanged: usize,
    /// Connections that changed.
    pub connections: usize,
    /// Parts that could not be used.
    pub parked: usize,
}

impl Counts {
    /// Counts of one webhook.
    fn of(replayed: &Replayed) -> Self {
        let applied = &replayed.applied;
        Self {
            webhooks: 1,
            created: applied.records.created,
            updated: applied.records.updated,
            unchanged: applied.records.unchanged,
            connections: usize::from(applied.connection_changed),
            parked: applied.parked.len(),
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.webhooks += other.webhooks;
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.connections += other.connections;
        self.parked += other.parked;
    }

    /// Number of changes.
    pub fn changes(&self) -> usize {
        self.created + self.updated + self.connections
    }
}

/// A webhook whose replay changes something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Id of the webhook.
    pub webhook_id: String,
    /// Its event type.
    pub event_type: String,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Totals of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Counts by event type.
    pub by_type: BTreeMap<String, Counts>,
    /// Erased webhooks that were passed over.
    pub erased: usize,
    /// Webhooks that were put on the list of parked ones.
    pub listed: usize,
    /// Webhooks that were taken off it.
    pub unlisted: usize,
    /// Webhooks that change something, the first of them.
    pub differences: Vec<Difference>,
}

/// `event_type` of a body that is no event.
const UNREADABLE: &str = "unreadable";

impl Totals {
    /// Adds a webhook.
    pub fn add(&mut self, webhook: &ArchivedWebhook, replayed: &Replayed) {
        match replayed.listed {
            Listed::Added => self.listed += 1,
            Listed::Removed => self.unlisted += 1,
            Listed::No | Listed::Stays => {}
        }
        let header = &webhook.header;
        let event_type = header.event_type.as_deref().unwrap_or(UNREADABLE);
        let counts = Counts::of(replayed);
        self.by_type
            .entry(event_type.to_owned())
            .or_default()
            .add(counts);
        if counts.changes() > 0 && self.differences.len() < MAX_DIFFERENCES {
            self.differences.push(Difference {
                webhook_id: header.webhook_id.clone(),
                event_type: event_type.to_owned(),
                counts,
            });
        }
    }

    /// Counts of all types together.
    pub fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.by_type.values() {
            sum.add(*counts);
        }
        sum
    }
}

/// Progress of a replay of many webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Segment that was done last: those that were written before it are left.
    pub behind: Option<SegmentKey>,
    /// Segments that are done.
    pub done: usize,
    /// Segments in all.
    pub of: usize,
    /// Totals so far.
    pub totals: Totals,
}

/// Replays what a choice takes of some days, a segment at a time. Returns whether all of it is done: `go_on`
/// is asked after every segment.
///
/// The newest come first: what an older version read wrongly out of a newer delivery no longer hides what an
/// older delivery has, when that one's turn comes.
///
/// # Errors
///
/// [`RouteError`] when the table or the archive does not answer. The progress is that of the segments before.
pub async fn replay_range(
    ways: Ways<'_>,
    archive: &Archive,
    (first, last): (Date, Date),
    choice: &Choice,
    mode: Mode,
    progress: &mut Progress,
    mut go_on: impl FnMut(&Progress) -> bool + Send,
) -> Result<bool, RouteError> {
    let segments: Vec<_> = archive.segments(first, last).try_collect().await?;
    let behind = progress.behind.clone();
    let left = segments.iter().map(|segment| &segment.key);
    let left = left.filter(|key| behind.as_ref().is_none_or(|behind| *key < behind));
    let left: Vec<_> = left.collect();
    progress.of = progress.done + left.len();
    for key in left.into_iter().rev() {
        // A segment counts as a whole, so that one that is begun again is not counted twice.
        let mut totals = progress.totals.clone();
        let webhooks = archive.webhooks_in(key).await?;
        for (locator, header) in webhooks.into_iter().rev() {
            if !choice.takes(&header) {
                continue;
            }
            if header.erased_at.is_some() {
                totals.erased += 1;
                continue;
            }
            let webhook = match archive.read_webhook(&locator).await {
                Ok(webhook) => webhook,
                // Its person was erased since the header was read.
                Err(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => {
                    totals.erased += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // Boxed: the SDK's futures are deeper than the compiler lays out in one.
            let replayed = Box::pin(replay(ways, &webhook, mode)).await?;
            totals.add(&webhook, &replayed);
        }
        progress.totals = totals;
        progress.behind = Some(key.clone());
        progress.done += 1;
        if progress.done < progress.of && !go_on(progress) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(received_at: &str, user: &str) -> WebhookHeader {
        WebhookHeader {
            received_at: received_at.to_owned(),
            terra_user_ids: vec![user.to_owned()],
            event_type: Some("daily".to_owned()),
            ..WebhookHeader::default()
        }
    }

    #[test]
    fn a_choice_takes_what_all_of_its_members_name() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let choice = Choice {
            since_ms: Some(at("2026-07-02T10:00:00Z")),
            until_ms: Some(at("2026-07-02T11:00:00Z")),
            terra_user_ids: Some(["u".to_owned()].into()),
            event_type: Some("daily".to_owned()),
        };
        assert!(choice.takes(&header("2026-07-02T10:00:00Z", "u")));
        assert!(!choice.takes(&header("2026-07-02T11:00:00Z", "u")));
        assert!(!choice.takes(&header("2026-07-02T09:59:59.999Z", "u")));
        assert!(!choice.takes(&header("2026-07-02T10:00:00Z", "v")));
        assert!(!choice.takes(&header("never", "u")));
        let sleep = Choice {
            event_type: Some("sleep".to_owned()),
            ..Choice::default()
        };
        assert!(!sleep.takes(&header("never", "u")));
        assert!(Choice::default().takes(&header("never", "u")));
    }
}
