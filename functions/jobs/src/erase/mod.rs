//! The erasure of a person: `requested → table → archive → destinations → done`.
//!
//! The job's item holds every id before anything is removed, so that whoever goes on after a crash knows whom it is about.
//! Each step may run twice.

mod order;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use domain::{connection::ConnectionId, owner::RecordOwner};
use jiff::{Timestamp, civil::Date};
use models::ids::{ReferenceId, TerraUserId};
use serde::{Deserialize, Serialize};
use store::{
    archive::ArchivedPerson,
    exports::ExportKey,
    table::{
        connections::StoredConnection,
        jobs::{Job, Subject},
    },
};

pub use self::order::{Found, MAX_COOL_OFF_DAYS, find, open, order, reapply, undo};
pub(crate) use self::steps::go_on;
use crate::{config::App, error::JobError};

/// Jobs of a kind that are looked through.
const MANY_JOBS: usize = 10_000;

/// Step of an erasure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Ordered; it may still be taken back.
    #[default]
    Requested,
    /// The table is emptied.
    Table,
    /// The archive is gone through.
    Archive,
    /// Destinations are asked, and what came meanwhile is removed.
    Destinations,
    /// Nothing is left to do.
    Done,
}

impl Stage {
    /// In the word of the item.
    fn name(self) -> String {
        let name = match self {
            Self::Requested => "requested",
            Self::Table => "table",
            Self::Archive => "archive",
            Self::Destinations => "destinations",
            Self::Done => "done",
        };
        name.to_owned()
    }
}

/// Progress of an erasure, in its job's item.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Step that it is at.
    pub stage: Stage,
    /// End of the time in which it can be taken back. Unit: Unix milliseconds.
    pub begins_at_ms: i64,
    /// Every connection of the person.
    pub connections: BTreeSet<ConnectionId>,
    /// Every Terra user id of the person.
    pub users: BTreeSet<TerraUserId>,
    /// Time from which on nothing new is stored. Unit: Unix milliseconds.
    pub marked_at_ms: Option<i64>,
    /// First day of the archive that has not been gone through.
    pub day: Option<Date>,
    /// True once what came meanwhile is removed too, so that destinations alone are waited for.
    #[serde(default)]
    pub is_swept: bool,
    /// Files of exports that are removed.
    #[serde(default)]
    pub exports: BTreeSet<ExportKey>,
    /// Reference ids of connections that are erased alone: their exports hold the connection.
    #[serde(default)]
    pub people: BTreeSet<ReferenceId>,
    /// Number of things erased in each place.
    pub counts: BTreeMap<String, u64>,
    /// The erasure that this one repeats after a restore.
    #[serde(default)]
    pub repeats: Option<String>,
}

/// Shows nothing of the person.
impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Entry of the journal: what has to be erased again after a restore of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Id of the erasure.
    pub id: String,
    /// Keyed hash of the reference id; absent when one connection was erased.
    pub person: Option<String>,
    /// Every connection.
    pub connections: BTreeSet<ConnectionId>,
    /// Every Terra user id.
    pub users: BTreeSet<TerraUserId>,
    /// Begin of the erasure. Unit: Unix milliseconds.
    pub begun_at_ms: i64,
    /// The erasure that this one repeats: that one's entry stands for both.
    #[serde(default)]
    pub repeats: Option<String>,
}

impl Erasure {
    fn of(job: &Job) -> Result<Self, JobError> {
        // An order of the API, which knows no cool-off.
        if job.detail.is_null() {
            return Ok(Self {
                begins_at_ms: job.ordered_at_ms,
                ..Self::default()
            });
        }
        serde_json::from_value(job.detail.clone()).map_err(|_| JobError::Unreadable)
    }

    fn count(&mut self, place: &str, number: u64) {
        if number > 0 {
            let count = self.counts.entry(place.to_owned()).or_default();
            *count = count.saturating_add(number);
        }
    }

    fn person(&self, subject: Option<&Subject>) -> ArchivedPerson {
        ArchivedPerson {
            users: self.users.clone(),
            reference: reference(subject).cloned(),
        }
    }
}

fn reference(subject: Option<&Subject>) -> Option<&ReferenceId> {
    match subject {
        Some(Subject::Person(reference)) => Some(reference),
        Some(Subject::Connection(_)) | None => None,
    }
}

/// Reads the connections of the subject that are there, and adds their ids to those that are known.
async fn gather(
    app: &App,
    subject: &Subject,
    erasure: &mut Erasure,
) -> Result<Vec<StoredConnection>, JobError> {
    let mut found = match subject {
        Subject::Person(reference) => app.table.connections_of(reference).await?,
        Subject::Connection(id) => app.table.stored_connection(id).await?.into_iter().collect(),
    };
    // Connections that are known already may have lost their place under the person.
    for id in &erasure.connections {
        if !found.iter().any(|connection| connection.id == *id) {
            found.extend(app.table.stored_connection(id).await?);
        }
    }
    for connection in &found {
        erasure.connections.insert(connection.id.clone());
        let state = &connection.state;
        erasure.users.extend(state.members.keys().cloned());
        erasure.users.extend(state.folded.ids.iter().cloned());
        if matches!(subject, Subject::Connection(_)) {
            erasure.people.extend(state.reference_id().cloned());
        }
    }
    Ok(found)
}

/// Names of everything that owns records of the person.
fn owners(subject: &Subject, erasure: &Erasure) -> BTreeSet<String> {
    let owners = record_owners(subject, erasure).into_iter();
    owners.map(|owner| owner.name()).collect()
}

/// Everything that owns records of the person.
fn record_owners(subject: &Subject, erasure: &Erasure) -> BTreeSet<RecordOwner> {
    let of_users = erasure.users.iter().map(ConnectionId::of);
    let connections = erasure.connections.iter().cloned().chain(of_users);
    let person = reference(Some(subject)).cloned();
    let person = person.map(|id| RecordOwner::Person(Some(id)));
    connections
        .map(RecordOwner::Connection)
        .chain(person)
        .collect()
}

/// The keyed hash of the person's reference id.
async fn tag(app: &App, subject: Option<&Subject>) -> Result<Option<String>, JobError> {
    let Some(reference) = reference(subject) else {
        return Ok(None);
    };
    let key = app.archive.person_key().await?;
    Ok(Some(key.reference(reference).text()))
}

/// Notes the progress. What another worker has noted is kept: ids add up, and no step goes back by it. Returns `false`
/// when the job is not open any more.
async fn save(app: &App, job: &Job, erasure: &Erasure) -> Result<bool, JobError> {
    let note = |job: &mut Job| {
        if !job.state.is_open() {
            return;
        }
        let mut next = erasure.clone();
        if let Ok(known) = Erasure::of(job) {
            next.users.extend(known.users);
            next.connections.extend(known.connections);
            next.exports.extend(known.exports);
            next.people.extend(known.people);
        }
        job.step = next.stage.name();
        job.done = next
            .counts
            .get("archived webhooks")
            .copied()
            .unwrap_or_default();
        job.error = None;
        job.detail = serde_json::to_value(&next).unwrap_or_default();
    };
    let changed = app.table.change_job(&job.id, note).await?;
    Ok(changed.is_some_and(|job| job.state.is_open()))
}

fn now(app: &App) -> Timestamp {
    (app.clock)()
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}
