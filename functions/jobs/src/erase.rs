//! The erasure of a person: `requested → table → archive → destinations → done`.
//!
//! The job's item holds every id before anything is removed, so that whoever goes on after a crash knows whom it is about.
//! Each step may run twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    connection::ConnectionId,
    message::JobKind,
    owner::{PolicyOwner, RecordOwner},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use models::ids::{ReferenceId, TerraUserId, WebhookId};
use serde::{Deserialize, Serialize};
use store::{
    archive::{ArchiveError, ArchivedPerson, SegmentKey},
    exports::ExportKey,
    table::{
        access::AUDIT_KEPT_S,
        connections::{CONNECTION_SHARDS, StoredConnection},
        destinations::ErasureOrder,
        erasures::{DestinationReceipt, Receipt, Stays, Tombstone},
        jobs::{ExportDetail, Job, JobState, Subject},
    },
};

use crate::{
    config::{App, Budget},
    error::JobError,
    step::Next,
};

/// Segments that are looked at at once.
const SEGMENTS_AT_ONCE: usize = 8;
/// Wait between two looks at destinations.
const DESTINATIONS_ANSWER: Duration = Duration::from_mins(1);
/// Longest wait of one message.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// Jobs of a kind that are looked through.
const MANY_JOBS: usize = 10_000;
/// Connections that are read at once when all are gone through.
const PAGE: usize = 500;
/// The longest that an order may be taken back. Unit: days.
pub const MAX_COOL_OFF_DAYS: i64 = 7;
/// Days for which the table can be had back as of any second.
const BACKUP_DAYS: i64 = 21;
/// Days for which the bucket keeps what was overwritten.
const VERSION_DAYS: i64 = 7;
/// Days after which a body that was lent to a destination is gone, its older version included.
const OUTBOX_DAYS: i64 = 2;
/// Days for which the audit is kept.
const AUDIT_DAYS: i64 = AUDIT_KEPT_S / 86_400;
/// Days for which queues keep messages.
const QUEUE_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

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

impl Erasure {
    fn of(job: &Job) -> Result<Self, JobError> {
        if job.detail.is_null() {
            return Ok(Self::default());
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
    for day in app.archive.days().await? {
        // The index is nobody's data: made here, it is there for the erasure.
        while !app.archive.index_day(&key, day, now(app)).await?.is_current {}
        for segment in app.archive.segments_naming(&tags, day).await? {
            let theirs = sight(app, &segment, &person).await?;
            let theirs = theirs.iter().filter(|webhook| webhook.is_theirs).count();
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

/// The reference ids that the table knows, by their keyed hashes: those of connections, and of lab reports.
async fn people(app: &App) -> Result<BTreeMap<String, ReferenceId>, JobError> {
    let key = app.archive.person_key().await?;
    let mut people = BTreeMap::new();
    let mut note = |reference: &ReferenceId| {
        people.insert(key.reference(reference).text(), reference.clone());
    };
    for shard in 0..CONNECTION_SHARDS {
        let mut after: Option<ConnectionId> = None;
        loop {
            let ids = app
                .table
                .connection_ids(shard, after.as_ref(), PAGE)
                .await?;
            for id in &ids {
                if let Some(connection) = app.table.stored_connection(id).await? {
                    connection
                        .state
                        .reference_id()
                        .iter()
                        .for_each(|id| note(id));
                }
            }
            if ids.len() < PAGE {
                break;
            }
            after = ids.last().cloned();
        }
    }
    Ok(people)
}

/// Goes on with an erasure.
pub(crate) async fn go_on(app: &App, job: Job, budget: Budget) -> Result<Next, JobError> {
    let Some(subject) = job.subject.clone() else {
        return Err(JobError::Unreadable);
    };
    let mut erasure = Erasure::of(&job)?;
    loop {
        let next = match erasure.stage {
            Stage::Requested => requested(app, &job, &subject, &mut erasure).await?,
            Stage::Table => table(app, &job, &subject, &mut erasure).await?,
            Stage::Archive => archive(app, &job, &subject, &mut erasure, budget).await?,
            Stage::Destinations => destinations(app, &job, &subject, &mut erasure, budget).await?,
            Stage::Done => return Ok(Next::Done),
        };
        if let Some(next) = next {
            return Ok(next);
        }
        if budget.is_over() {
            return Ok(Next::Again(Duration::ZERO));
        }
    }
}

/// Holds what comes for as long as the order can be taken back, then notes everything in the journal.
async fn requested(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
) -> Result<Option<Next>, JobError> {
    let connections = gather(app, subject, erasure).await?;
    let tag = tag(app, Some(subject)).await?;
    let now_ms = app.now_ms();
    let waits = erasure.begins_at_ms > now_ms;
    if let Some(tag) = &tag {
        let tombstone = Tombstone {
            erasure: job.id.clone(),
            held_until_ms: waits.then_some(erasure.begins_at_ms),
            done_at_ms: None,
        };
        app.table.put_tombstone(tag, &tombstone).await?;
    }
    if waits {
        for connection in &connections {
            app.table.hold_aliases(connection, true).await?;
        }
        // Taken back in this moment: what was just held is let go.
        let is_open = app
            .table
            .job(&job.id)
            .await?
            .is_some_and(|job| job.state.is_open());
        if !is_open {
            for connection in &connections {
                app.table.hold_aliases(connection, false).await?;
            }
            if let Some(tag) = &tag {
                app.table.remove_tombstone(tag).await?;
            }
            return Ok(Some(Next::Done));
        }
        save(app, job, erasure).await?;
        let left_ms = u64::try_from(erasure.begins_at_ms - now_ms).unwrap_or_default();
        let wait = Duration::from_millis(left_ms).min(LONGEST_WAIT);
        return Ok(Some(Next::Again(wait)));
    }
    note(app, job, subject, erasure).await?;
    erasure.stage = Stage::Table;
    if save(app, job, erasure).await? {
        return Ok(None);
    }
    // Taken back before it began.
    Ok(Some(Next::Done))
}

/// Notes in the journal what a restore of the table must not bring back.
async fn note(app: &App, job: &Job, subject: &Subject, erasure: &Erasure) -> Result<(), JobError> {
    let entry = JournalEntry {
        id: job.id.clone(),
        person: tag(app, Some(subject)).await?,
        connections: erasure.connections.clone(),
        users: erasure.users.clone(),
        begun_at_ms: app.now_ms(),
        repeats: erasure.repeats.clone(),
    };
    Ok(app.archive.note_erasure(&job.id, &entry).await?)
}

/// Empties the table. From the end of it on nothing new is stored.
async fn table(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
) -> Result<Option<Next>, JobError> {
    let connections = gather(app, subject, erasure).await?;
    // The ids first: nobody else knows them once the items are gone.
    save(app, job, erasure).await?;
    note(app, job, subject, erasure).await?;
    let erased_at = now(app).to_string();
    for connection in &connections {
        let items = app.table.erase_connection(connection, &erased_at).await?;
        erasure.count("table items", items as u64);
        erasure.count("connections", u64::from(items > 0));
    }
    app.table.entomb(&erasure.users, &erased_at).await?;
    let more = sweep_table(app, subject, erasure).await?;
    erasure.count("table items", more);
    exports(app, job, subject, erasure).await?;
    erasure.marked_at_ms = Some(app.now_ms());
    erasure.stage = Stage::Archive;
    erasure.day = None;
    save(app, job, erasure).await?;
    Ok(None)
}

/// Removes what a router that was killed half-way left, notes of deleted records, and lab reports.
async fn sweep_table(app: &App, subject: &Subject, erasure: &Erasure) -> Result<u64, JobError> {
    let mut ids = erasure.connections.clone();
    ids.extend(erasure.users.iter().map(ConnectionId::of));
    let mut removed = 0;
    for id in ids {
        removed += app.table.erase_leftovers_of(&id).await? as u64;
        let owner = RecordOwner::Connection(id);
        removed += app.table.erase_notes(&owner).await?;
    }
    if let Some(reference) = reference(Some(subject)) {
        let owner = RecordOwner::Person(Some(reference.clone()));
        removed += app.table.erase_notes(&owner).await?;
        removed += app.table.erase_person(reference).await? as u64;
    }
    Ok(removed)
}

/// Finds the exports of a subject, and of these people.
async fn exports_of(
    app: &App,
    subject: &Subject,
    people: &BTreeSet<ReferenceId>,
) -> Result<Vec<Job>, JobError> {
    let mut jobs = app.table.jobs_of(JobKind::Export, MANY_JOBS).await?;
    jobs.retain(|export| match &export.subject {
        Some(Subject::Person(person)) if people.contains(person) => true,
        exported => exported.as_ref() == Some(subject),
    });
    Ok(jobs)
}

/// Removes exports with their jobs: those of the person, and those that hold a connection that is erased alone.
async fn exports(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
) -> Result<(), JobError> {
    let jobs = exports_of(app, subject, &erasure.people).await?;
    for export in &jobs {
        let key = ExportDetail::key(export).map_err(|_| JobError::Unreadable)?;
        if erasure.exports.insert(key) {
            erasure.count("exports", 1);
        }
    }
    // The files first are noted, because nobody else knows them once the jobs are gone. The jobs go before the files,
    // so that whoever is writing one sees that nobody wants it.
    save(app, job, erasure).await?;
    for export in &jobs {
        app.table.remove_job(&export.id).await?;
    }
    for key in &erasure.exports {
        app.exports.delete(key).await?;
    }
    Ok(())
}

/// Goes through the archive, day by day.
async fn archive(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
    budget: Budget,
) -> Result<Option<Next>, JobError> {
    if !erase_days(app, job, subject, erasure, budget).await? {
        return Ok(Some(Next::Again(Duration::ZERO)));
    }
    erasure.stage = Stage::Destinations;
    save(app, job, erasure).await?;
    Ok(None)
}

/// Erases the person in the segments of every day from the noted one on. Returns `false` when the time is over.
async fn erase_days(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
    budget: Budget,
) -> Result<bool, JobError> {
    let person = erasure.person(Some(subject));
    let key = app.archive.person_key().await?;
    let tags = person.tags(&key);
    let first = erasure.day;
    let days = app.archive.days().await?;
    for day in days
        .into_iter()
        .filter(|day| first.is_none_or(|first| *day >= first))
    {
        loop {
            if budget.is_over() {
                return Ok(false);
            }
            let indexed = app.archive.index_day(&key, day, now(app)).await?;
            if indexed.is_current {
                break;
            }
        }
        let segments = app.archive.segments_naming(&tags, day).await?;
        let erased_at = now(app);
        let erased: Vec<Erased> = stream::iter(segments)
            .map(|segment| {
                let person = &person;
                async move { erase_in(app, &segment, person, erased_at).await }
            })
            .buffer_unordered(SEGMENTS_AT_ONCE)
            .try_collect()
            .await?;
        for erased in erased {
            erasure.count("archived webhooks", erased.webhooks);
            erasure.count("segments", u64::from(erased.webhooks > 0));
            erasure.count("ledger lines", erased.ledger);
            erasure.count("parked webhooks", erased.parked);
            erasure.count("requests", erased.requests);
        }
        erasure.day = Some(day);
        save(app, job, erasure).await?;
    }
    Ok(true)
}

/// Numbers of one segment.
#[derive(Debug, Clone, Copy, Default)]
struct Erased {
    webhooks: u64,
    ledger: u64,
    parked: u64,
    requests: u64,
}

/// Erases the person in one segment, and what the table keeps of those webhooks.
async fn erase_in(
    app: &App,
    segment: &SegmentKey,
    person: &ArchivedPerson,
    erased_at: Timestamp,
) -> Result<Erased, JobError> {
    let sighted = sight(app, segment, person).await?;
    let mut erased = Erased::default();
    // The table first: the frames lead to it. After a crash in between, or a restore, those that were erased before
    // lead to it as well, whoever's they were.
    for webhook in sighted.iter().filter(|it| it.is_theirs || it.is_erased) {
        let Some(id) = WebhookId::new(&webhook.webhook_id) else {
            continue;
        };
        let reference = webhook.reference.as_deref();
        let forgotten = app.table.forget_webhook(&id, reference).await?;
        erased.ledger += forgotten.ledger;
        erased.parked += forgotten.parked;
        erased.requests += forgotten.requests;
    }
    let theirs: BTreeSet<&str> = sighted
        .iter()
        .filter(|webhook| webhook.is_theirs)
        .map(|webhook| webhook.webhook_id.as_str())
        .collect();
    if !theirs.is_empty() {
        let matches =
            |header: &store::archive::WebhookHeader| theirs.contains(header.webhook_id.as_str());
        let webhooks = app.archive.erase(segment, matches, erased_at).await?;
        erased.webhooks = webhooks as u64;
    }
    Ok(erased)
}

/// Looks at a segment. One that is gone or damaged holds nobody whom we could find.
async fn sight(
    app: &App,
    segment: &SegmentKey,
    person: &ArchivedPerson,
) -> Result<Vec<store::archive::Sighted>, JobError> {
    match app.archive.sight(segment, person).await {
        Err(ArchiveError::NotFound { .. }) => Ok(Vec::new()),
        sighted => Ok(sighted?),
    }
}

/// Looks once more for what came meanwhile, asks destinations until all have answered, and writes the receipt.
async fn destinations(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
    budget: Budget,
) -> Result<Option<Next>, JobError> {
    // First of all, so that they begin while routers end.
    order_at_destinations(app, job, subject, erasure).await?;
    if !erasure.is_swept {
        if let Some(next) = sweep(app, job, subject, erasure, budget).await? {
            return Ok(Some(next));
        }
        if erasure.stage != Stage::Destinations {
            return Ok(None);
        }
    }
    // Once more: the ids of whoever connected in the middle are told as well.
    let orders = order_at_destinations(app, job, subject, erasure).await?;
    if orders.values().any(|order| !order.is_done) {
        return Ok(Some(Next::Again(DESTINATIONS_ANSWER)));
    }

    let tag = tag(app, Some(subject)).await?;
    let answers = orders.into_iter().map(|(id, order)| DestinationReceipt {
        id,
        results: order.results,
    });
    let receipt = Receipt {
        id: job.id.clone(),
        person: tag.clone(),
        ordered_by: job.ordered_by.clone(),
        ordered_at: timestamp(job.ordered_at_ms).to_string(),
        done_at: now(app).to_string(),
        repeats: erasure.repeats.clone(),
        counts: erasure.counts.clone(),
        destinations: answers.collect(),
        stays: stays(now(app)),
        number: 0,
        previous: String::new(),
        hash: String::new(),
    };
    let receipt = app.table.append_receipt(&receipt).await?;
    app.archive.keep_receipt(&receipt.id, &receipt).await?;
    if let Some(tag) = &tag {
        let tombstone = Tombstone {
            erasure: job.id.clone(),
            held_until_ms: None,
            done_at_ms: Some(app.now_ms()),
        };
        app.table.put_tombstone(tag, &tombstone).await?;
    }
    erasure.stage = Stage::Done;
    let close = |job: &mut Job| {
        job.state = JobState::Done;
        job.step = Stage::Done.name();
        job.subject = None;
        job.detail = serde_json::Value::Null;
        job.error = None;
    };
    app.table.change_job(&job.id, close).await?;
    Ok(Some(Next::Done))
}

/// Orders the erasure at every destination, with every id that is known by now.
async fn order_at_destinations(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &Erasure,
) -> Result<BTreeMap<String, ErasureOrder>, JobError> {
    let (users, connections) = (&erasure.users, &erasure.connections);
    let reference = reference(Some(subject));
    let orders = app
        .table
        .order_erasure(&job.id, reference, users, connections, app.now_ms());
    Ok(orders.await?)
}

/// Looks once more for what came while the erasure was at work. Goes back to the table when somebody has connected in
/// the middle.
async fn sweep(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &mut Erasure,
    budget: Budget,
) -> Result<Option<Next>, JobError> {
    // A router that read the aliases before they said "erased" may have archived something until now.
    let marked_at_ms = erasure.marked_at_ms.unwrap_or_default();
    let over_at_ms =
        marked_at_ms.saturating_add(i64::try_from(app.grace.as_millis()).unwrap_or_default());
    let left_ms = over_at_ms.saturating_sub(app.now_ms());
    if left_ms > 0 {
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
        return Ok(Some(Next::Again(left)));
    }
    let known = (erasure.users.len(), erasure.connections.len());
    let connections = gather(app, subject, erasure).await?;
    if !connections.is_empty() || known != (erasure.users.len(), erasure.connections.len()) {
        // All of it once more, the archive included: what they sent lies there.
        erasure.stage = Stage::Table;
        save(app, job, erasure).await?;
        return Ok(None);
    }
    let more = sweep_table(app, subject, erasure).await?;
    erasure.count("table items", more);
    let marked = Timestamp::from_millisecond(marked_at_ms).unwrap_or_default();
    let day = marked.to_zoned(TimeZone::UTC).date();
    erasure.day = day.checked_sub(1.day()).ok();
    if !erase_days(app, job, subject, erasure, budget).await? {
        return Ok(Some(Next::Again(Duration::ZERO)));
    }
    // Only now: a router would wait for a body whose message is still under way.
    let person = erasure.person(Some(subject));
    let bodies = app.archive.erase_inbox(&person).await?;
    erasure.count("inbox bodies", bodies as u64);
    let ids = ids(subject, erasure);
    let lent = app.archive.erase_outbox(&ids, now(app)).await?;
    erasure.count("bodies lent to destinations", lent as u64);
    // An export that somebody was writing, or has ordered since.
    exports(app, job, subject, erasure).await?;
    erasure.is_swept = true;
    save(app, job, erasure).await?;
    Ok(None)
}

/// Data that end by themselves, with the day.
fn stays(now: Timestamp) -> Vec<Stays> {
    let until = |days: i64| {
        let day = now.to_zoned(TimeZone::UTC).date().checked_add(days.days());
        day.ok().map(|day| day.to_string())
    };
    let stay = |what: &str, why: &str, until: Option<String>| Stays {
        what: what.to_owned(),
        why: why.to_owned(),
        until,
    };
    vec![
        stay(
            "older versions of archive objects",
            "the bucket keeps what was overwritten, against a slip of ours",
            until(VERSION_DAYS),
        ),
        stay(
            "backups of the table",
            "it can be had back as of any second; `terrarium erase --reapply` erases again after that",
            until(BACKUP_DAYS),
        ),
        stay(
            "FIT files that a destination was given a link to within the last hour",
            "nobody can tell whose they are; the link ends after an hour",
            until(OUTBOX_DAYS),
        ),
        stay(
            "lines of the audit, and kept answers of calls, that name the person",
            "they say who changed or erased what; answers go after a day",
            until(AUDIT_DAYS),
        ),
        stay(
            "messages in queues and dead letters",
            "a queue cannot be searched; what comes out of it is not stored",
            until(QUEUE_DAYS),
        ),
        stay(
            "tombstones: Terra user ids and a keyed hash of the reference id",
            "without them a late retry would be stored",
            None,
        ),
        stay(
            "bodies that are no JSON",
            "nobody can tell whose they are; they are parked and listed",
            None,
        ),
    ]
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

/// Every id of the person, as text.
fn ids(subject: &Subject, erasure: &Erasure) -> BTreeSet<String> {
    let users = erasure.users.iter().map(ToString::to_string);
    let connections = erasure.connections.iter().map(ToString::to_string);
    let reference = reference(Some(subject)).map(|id| id.as_str().to_owned());
    users.chain(connections).chain(reference).collect()
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
