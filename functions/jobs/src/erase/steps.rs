//! Steps of an erasure, one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    connection::ConnectionId, delivery::Destination, message::JobKind, owner::RecordOwner,
};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::TimeZone};
use models::ids::{ReferenceId, WebhookId};
use store::{
    archive::{ArchiveError, ArchivedPerson, Seen, SegmentKey},
    table::{
        deliveries::ATTEMPTS_KEPT_S,
        destinations::ErasureOrder,
        erasures::{DestinationReceipt, Receipt, Stays, Tombstone},
        jobs::{ExportDetail, Job, JobState, Subject},
        mentions::Renamed,
    },
};

use super::{
    Erasure, JournalEntry, MANY_JOBS, Stage, gather, now, owners, record_owners, reference, save,
    tag, timestamp,
};
use crate::{
    config::{App, Budget},
    error::JobError,
    step::Next,
};

/// Segments that are looked at at once.
const SEGMENTS_AT_ONCE: usize = 8;
/// Segments after which the progress is noted.
const SEGMENTS_AT_A_STRETCH: usize = 200;
/// Shortest and longest wait between two looks at destinations.
const DESTINATIONS_ANSWER: [Duration; 2] = [Duration::from_secs(2), Duration::from_mins(1)];
/// Longest wait of one message.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// Days for which the table can be had back as of any second.
const BACKUP_DAYS: i64 = 21;
/// Days for which the bucket keeps what was overwritten.
const VERSION_DAYS: i64 = 7;
/// Days for which attempts at deliveries are kept.
const ATTEMPT_DAYS: i64 = ATTEMPTS_KEPT_S / 86_400;
/// Days for which queues keep messages.
const QUEUE_DAYS: i64 = 14;
/// Days within which DynamoDB has removed the note that ended tokens.
const TOKEN_NOTE_DAYS: i64 = 3;

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
    end_tokens(app, subject).await?;
    erasure.stage = Stage::Table;
    if save(app, job, erasure).await? {
        return Ok(None);
    }
    // Taken back before it began.
    Ok(Some(Next::Done))
}

/// Ends the tokens that clients of the person hold.
async fn end_tokens(app: &App, subject: &Subject) -> Result<(), JobError> {
    match reference(Some(subject)) {
        Some(person) => Ok(app.table.end_tokens(person, app.now_ms()).await?),
        None => Ok(()),
    }
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
    name_records(app, job, subject, erasure).await?;
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
    mentions(app, subject, erasure).await?;
    erasure.marked_at_ms = Some(app.now_ms());
    erasure.stage = Stage::Archive;
    erasure.day = None;
    save(app, job, erasure).await?;
    Ok(None)
}

/// Notes the name of each record, where a destination has to be told of each: a topic of Kafka keeps the newest state
/// of every name until it is told that there is none.
async fn name_records(
    app: &App,
    job: &Job,
    subject: &Subject,
    erasure: &Erasure,
) -> Result<(), JobError> {
    let destinations = app.table.destinations().await?;
    if destinations.iter().any(Destination::forgets_by_name) {
        for owner in record_owners(subject, erasure) {
            app.table.note_erased_records(&job.id, &owner).await?;
        }
    }
    Ok(())
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
pub(super) async fn exports_of(
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

/// Puts hashes in the place of the person's ids where they are mentioned: in the audit, and in what destinations are
/// told to choose. Forgets answers that are kept for repetitions.
async fn mentions(app: &App, subject: &Subject, erasure: &mut Erasure) -> Result<(), JobError> {
    let key = app.archive.person_key().await?;
    let mut renamed = Renamed {
        people: erasure.people.clone(),
        ..Renamed::default()
    };
    if let Some(reference) = reference(Some(subject)) {
        let tag = key.reference(reference).text();
        renamed.ids.insert(reference.as_str().to_owned(), tag);
        renamed.people.insert(reference.clone());
    }
    let users = erasure.users.iter();
    let tagged = users.map(|id| (id.to_string(), key.terra_user(id.as_str()).text()));
    renamed.ids.extend(tagged);
    let tagged = owners(subject, erasure).into_iter();
    let tagged = tagged.map(|id| (key.owner(&id).text(), id));
    renamed.ids.extend(tagged.map(|(tag, id)| (id, tag)));
    let found = app.table.erase_mentions(&renamed).await?;
    erasure.count("lines of the audit", found.audit);
    erasure.count("kept answers", found.calls);
    erasure.count("choices of destinations", found.destinations);
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

/// Erases the person in the segments of every stretch from the noted day on. Returns `false` when the time is over.
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
    for stretch in app.archive.stretches(now(app)).await? {
        if first.is_some_and(|first| stretch.last() < first) {
            continue;
        }
        loop {
            if budget.is_over() {
                return Ok(false);
            }
            let indexed = app.archive.index(&key, stretch, now(app)).await?;
            if indexed.is_current {
                break;
            }
        }
        let mut segments = app.archive.segments_naming(&tags, stretch).await?;
        segments.retain(|segment| first.is_none_or(|first| segment.day() >= first));
        for segments in segments.chunks(SEGMENTS_AT_A_STRETCH) {
            if budget.is_over() {
                return Ok(false);
            }
            let erased_at = now(app);
            // Made before the stream: the compiler does not see through a closure in it that the future may cross threads.
            let mut work = Vec::with_capacity(segments.len());
            for segment in segments {
                work.push(erase_in(app, segment, &person, erased_at).boxed());
            }
            let erased: Vec<Erased> = stream::iter(work)
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
            erasure.day = segments.last().map(SegmentKey::day).or(erasure.day);
            save(app, job, erasure).await?;
        }
        erasure.day = Some(stretch.last());
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
    let mut erased = Erased::default();
    let Some(seen) = sight(app, segment, person).await? else {
        return Ok(erased);
    };
    // The table first: the frames lead to it. After a crash in between, or a restore, those that were erased before
    // lead to it as well, whoever's they were.
    for webhook in seen
        .webhooks
        .iter()
        .filter(|it| it.is_theirs || it.is_erased)
    {
        let Some(id) = WebhookId::new(&webhook.webhook_id) else {
            continue;
        };
        let reference = webhook.reference.as_deref();
        let forgotten = app.table.forget_webhook(&id, reference).await?;
        erased.ledger += forgotten.ledger;
        erased.parked += forgotten.parked;
        erased.requests += forgotten.requests;
    }
    let webhooks = app.archive.erase_seen(segment, seen, erased_at).await?;
    erased.webhooks = webhooks as u64;
    Ok(erased)
}

/// Looks at a segment. One that is gone or damaged holds nobody whom we could find.
pub(super) async fn sight(
    app: &App,
    segment: &SegmentKey,
    person: &ArchivedPerson,
) -> Result<Option<Seen>, JobError> {
    match app.archive.sight(segment, person).await {
        Err(ArchiveError::NotFound { .. }) => Ok(None),
        seen => Ok(Some(seen?)),
    }
}

/// Wait until the next look at destinations: a part of the erasure's age, so that what is done at once is told at once.
fn wait_for_destinations(age: SignedDuration) -> Duration {
    let [shortest, longest] = DESTINATIONS_ANSWER;
    (Duration::try_from(age).unwrap_or_default() / 4).clamp(shortest, longest)
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
        let age = now(app).duration_since(timestamp(erasure.begins_at_ms));
        return Ok(Some(Next::Again(wait_for_destinations(age))));
    }

    for owner in record_owners(subject, erasure) {
        app.table.forget_erased_records(&job.id, &owner).await?;
    }
    // Somebody may have looked at the person until now, or ordered something about them.
    mentions(app, subject, erasure).await?;
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
    // Also those that were made meanwhile.
    end_tokens(app, subject).await?;
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
    name_records(app, job, subject, erasure).await?;
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
    let mut lenders = owners(subject, erasure);
    // A body of a webhook without a connection is lent as nobody's, for an hour, and may be this person's.
    lenders.insert(RecordOwner::Person(None).name());
    let lent = app.archive.erase_outbox(&lenders).await?;
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
            "attempts at deliveries",
            "they name a record by a hash, and hold nothing of it",
            until(ATTEMPT_DAYS),
        ),
        stay(
            "messages in queues and dead letters",
            "a queue cannot be searched; what comes out of it is not stored",
            until(QUEUE_DAYS),
        ),
        stay(
            "tombstones: Terra user ids and a keyed hash of the reference id",
            "without them a late retry would be stored; the audit names the person by the hash",
            None,
        ),
        stay(
            "a hash of the reference id",
            "tokens that clients hold end with it; it is needed for an hour",
            until(TOKEN_NOTE_DAYS),
        ),
        stay(
            "bodies that are no JSON",
            "nobody can tell whose they are; they are parked and listed",
            None,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_looked_at_soon_and_then_each_minute() {
        for (age_s, wait_s) in [(-5, 2), (0, 2), (20, 5), (240, 60), (1_000_000, 60)] {
            let age = SignedDuration::from_secs(age_s);
            assert_eq!(wait_for_destinations(age), Duration::from_secs(wait_s));
        }
    }
}
