//! Orders of erasures: given, taken back, looked at before, and given again after a restore.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    message::JobKind,
    owner::{PolicyOwner, RecordOwner},
};
use models::ids::ReferenceId;
use store::table::{
    erasures::Tombstone,
    jobs::{Job, JobState, Subject},
};

use super::{
    Erasure, JournalEntry, MANY_JOBS, Stage, gather, now, reference,
    steps::{exports_of, sight},
    tag,
};
use crate::{config::App, error::JobError};

/// People that are read at once when all are gone through.
const PAGE: usize = 500;
/// The longest that an order may be taken back. Unit: days.
pub const MAX_COOL_OFF_DAYS: i64 = 7;
const DAY_MS: i64 = 86_400_000;

/// Data that an erasure would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Connections.
    pub connections: usize,
    /// Records of the connections and lab reports.
    pub records: usize,
    /// Archived webhooks.
    pub webhooks: usize,
    /// Segments of the archive that hold them.
    pub segments: usize,
}

impl Found {
    /// Returns whether there is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Orders an erasure, or finds the one that is under way for the same subject, or the one that is done and after which
/// nothing came. With a cool-off it can be taken back until that is over.
///
/// # Errors
///
/// [`JobError`] when the table does not answer.
pub async fn order(
    app: &App,
    subject: Subject,
    ordered_by: &str,
    cool_off_days: i64,
) -> Result<Job, JobError> {
    if let Some(job) = open(app, &subject).await? {
        return Ok(job);
    }
    if let Some(job) = done(app, &subject).await? {
        return Ok(job);
    }
    let now_ms = app.now_ms();
    let erasure = Erasure {
        begins_at_ms: now_ms + cool_off_days.clamp(0, MAX_COOL_OFF_DAYS) * DAY_MS,
        ..Erasure::default()
    };
    add(app, subject, ordered_by, erasure).await
}

async fn add(
    app: &App,
    subject: Subject,
    ordered_by: &str,
    erasure: Erasure,
) -> Result<Job, JobError> {
    let mut job = Job::ordered(JobKind::Erase, subject, ordered_by, app.now_ms());
    job.step = erasure.stage.name();
    job.detail = serde_json::to_value(erasure).unwrap_or_default();
    app.table.add_job(&job).await?;
    Ok(job)
}

/// Finds the open erasure of a subject.
///
/// # Errors
///
/// [`JobError`] when the table does not answer.
pub async fn open(app: &App, subject: &Subject) -> Result<Option<Job>, JobError> {
    let jobs = app.table.jobs_due(i64::MAX, MANY_JOBS).await?;
    let mut jobs = jobs.into_iter();
    Ok(jobs.find(|job| job.kind == JobKind::Erase && job.subject.as_ref() == Some(subject)))
}

/// Finds the erasure of a person after which nothing of them came: whoever orders again means that one.
async fn done(app: &App, subject: &Subject) -> Result<Option<Job>, JobError> {
    let (Some(reference), Some(tag)) = (reference(Some(subject)), tag(app, Some(subject)).await?)
    else {
        return Ok(None);
    };
    let tombstone = app.table.tombstones([&tag]).await?.remove(&tag);
    let Some(tombstone) = tombstone.filter(|it| it.done_at_ms.is_some()) else {
        return Ok(None);
    };
    let owner = PolicyOwner::Person(reference.clone());
    let is_back = app.table.has_person(reference).await?
        || app.table.source_policy(&owner).await?.is_some()
        || !exports_of(app, subject, &BTreeSet::new()).await?.is_empty();
    if is_back {
        return Ok(None);
    }
    Ok(app.table.job(&tombstone.erasure).await?)
}

/// Tells what an erasure would remove, and removes nothing.
///
/// # Errors
///
/// [`JobError`] when the table or the archive does not answer.
pub async fn find(app: &App, subject: &Subject) -> Result<Found, JobError> {
    let mut erasure = Erasure::default();
    let connections = gather(app, subject, &mut erasure).await?;
    let owners = connections
        .iter()
        .map(|connection| RecordOwner::Connection(connection.id.clone()))
        .chain(reference(Some(subject)).map(|id| RecordOwner::Person(Some(id.clone()))));
    let mut found = Found {
        connections: connections.len(),
        ..Found::default()
    };
    for owner in owners {
        found.records += app.table.records(&owner, None).await?.len();
    }
    let person = erasure.person(Some(subject));
    let key = app.archive.person_key().await?;
    let tags = person.tags(&key);
    for stretch in app.archive.stretches(now(app)).await? {
        // The index is nobody's data: made here, it is there for the erasure.
        while !app.archive.index(&key, stretch, now(app)).await?.is_current {}
        for segment in app.archive.segments_naming(&tags, stretch).await? {
            let seen = sight(app, &segment, &person).await?;
            let webhooks = seen.iter().flat_map(|seen| &seen.webhooks);
            let theirs = webhooks.filter(|webhook| webhook.is_theirs).count();
            found.webhooks += theirs;
            found.segments += usize::from(theirs > 0);
        }
    }
    Ok(found)
}

/// Takes back an erasure that has not begun. Returns `false` when there is none, or it has begun.
///
/// # Errors
///
/// [`JobError`] when the table does not answer.
pub async fn undo(app: &App, subject: &Subject) -> Result<bool, JobError> {
    let Some(job) = open(app, subject).await? else {
        return Ok(false);
    };
    let take_back = |job: &mut Job| {
        let is_waiting = Erasure::of(job).is_ok_and(|it| it.stage == Stage::Requested);
        if is_waiting && job.state.is_open() {
            job.state = JobState::Undone;
            job.subject = None;
            job.detail = serde_json::Value::Null;
        }
    };
    let changed = app.table.change_job(&job.id, take_back).await?;
    if changed.is_none_or(|job| job.state != JobState::Undone) {
        return Ok(false);
    }
    let mut erasure = Erasure::default();
    for connection in gather(app, subject, &mut erasure).await? {
        app.table.hold_aliases(&connection, false).await?;
    }
    if let Some(tag) = tag(app, Some(subject)).await? {
        app.table.remove_tombstone(&tag).await?;
    }
    Ok(true)
}

/// Orders every erasure of the journal anew, after a restore of the table. Returns the jobs.
///
/// # Errors
///
/// [`JobError`] when the table or the archive does not answer.
pub async fn reapply(app: &App, ordered_by: &str) -> Result<Vec<Job>, JobError> {
    let entries: Vec<JournalEntry> = app.archive.erasures().await?;
    let people = people(app).await?;
    let now_ms = app.now_ms();
    let mut jobs = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.repeats.is_none()) {
        let person = entry.person.as_ref().and_then(|tag| people.get(tag));
        let subject = match (person, entry.connections.first()) {
            (Some(reference), _) => Subject::Person(reference.clone()),
            (None, Some(connection)) => Subject::Connection(connection.clone()),
            (None, None) => continue,
        };
        let erasure = Erasure {
            begins_at_ms: now_ms,
            connections: entry.connections.clone(),
            users: entry.users.clone(),
            repeats: Some(entry.id.clone()),
            ..Erasure::default()
        };
        // First, so that nothing comes back meanwhile.
        app.table
            .entomb(&entry.users, &now(app).to_string())
            .await?;
        if let Some(tag) = &entry.person {
            let tombstone = Tombstone {
                erasure: entry.id.clone(),
                held_until_ms: None,
                done_at_ms: Some(now_ms),
            };
            app.table.put_tombstone(tag, &tombstone).await?;
        }
        jobs.push(add(app, subject, ordered_by, erasure).await?);
    }
    Ok(jobs)
}

/// The reference ids that the table knows, by their keyed hashes.
async fn people(app: &App) -> Result<BTreeMap<String, ReferenceId>, JobError> {
    let key = app.archive.person_key().await?;
    let mut people = BTreeMap::new();
    let mut after: Option<ReferenceId> = None;
    loop {
        let listed = app.table.people("", after.as_ref(), PAGE).await?;
        after = (listed.len() == PAGE)
            .then(|| listed.last().cloned())
            .flatten();
        let tagged = listed.into_iter();
        people.extend(tagged.map(|reference| (key.reference(&reference).text(), reference)));
        if after.is_none() {
            return Ok(people);
        }
    }
}
