//! A batch of messages: opened, archived in one segment, applied one by one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    End,
    message::{Body, EventMessage},
    plan::{ParkReason, Plan},
    record::Payload,
};
use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _,
    future::{BoxFuture, Shared, join_all},
    join, stream,
};
use jiff::Timestamp;
use models::ids::{TerraUserId, WebhookId};
use routing::{Applied, Archived, MAX_INLINE_BYTES, Read, RouteError, Work, announce, apply};
use runtime::{
    batch::Received,
    metrics::{Dimension, Metrics},
    telemetry::Chain,
};
use store::{
    archive::{SegmentBuilder, SegmentKey, Span},
    parcel::{self, ParcelError},
    table::{
        connections::{Alias, SeenAliases},
        erasures::Verdict,
        ledger::{Outcome, WebhookEntry},
        parked::ParkedWebhook,
        records::Mode,
    },
};
use tokio::time::Instant;
use tracing::{Instrument as _, error, field, info, info_span, warn};

use crate::{
    config::App,
    erased::{Verdicts, verdicts},
    ping::{Followed, follow},
};

/// Terra users of one batch whose webhooks are applied at once.
const CONCURRENT_USERS: usize = 8;

/// Time that a payload, once fetched, needs to be stored: a look at its connection, the segment, the ledger.
const TO_STORE: Duration = Duration::from_secs(30);

pub(crate) type Results = HashMap<String, Result<(), RouteError>>;

/// A webhook with the messages that brought it; a retry may stand beside its first try.
struct Job {
    message_ids: Vec<String>,
    work: Work,
    inbox: Vec<Body>,
}

/// A job whose webhook has been read and, where it is a ping, followed.
struct Ready<'a> {
    job: &'a Job,
    read: Read<'a>,
    followed: Option<Followed>,
}

/// Routes messages together. Each has its own result.
pub(crate) async fn route(
    app: &App,
    messages: Vec<Received<EventMessage>>,
    now: Timestamp,
    until: Instant,
) -> Results {
    let mut results = Results::new();
    let opened = join_all(messages.into_iter().map(|message| open(app, message))).await;
    let mut jobs = BTreeMap::<String, Job>::new();
    for (message_id, webhook_id, opened) in opened {
        match opened {
            Ok((work, inbox)) => gather(&mut jobs, message_id, work, inbox),
            Err(error) => {
                let result = if error.is_gone() && is_finished(app, &webhook_id).await {
                    Ok(())
                } else {
                    Err(RouteError::from(error))
                };
                results.insert(message_id, result);
            }
        }
    }
    let jobs: Vec<Job> = jobs.into_values().collect();
    let mut envelopes: Vec<_> = jobs.iter().map(|job| Read::new(&job.work)).collect();
    let users: BTreeSet<_> = envelopes.iter().flat_map(Read::users).cloned().collect();
    let (known, aliases) = join!(known(app, &mut envelopes), read_aliases(app, &users));

    let mut going = Vec::with_capacity(jobs.len());
    for (job, read) in jobs.iter().zip(envelopes) {
        let finished = known.as_ref().map(|known| known.contains_key(&read.id));
        match (finished, &aliases) {
            (Ok(true), _) => {
                empty_inbox(app, &job.inbox).await;
                results.extend(job.results(&Ok(())));
            }
            (Ok(false), Ok(_)) => going.push((job, read)),
            (Err(error), _) | (Ok(false), Err(error)) => {
                results.extend(job.results(&Err(error.clone())));
            }
        }
    }
    let within = until
        .saturating_duration_since(Instant::now())
        .saturating_sub(TO_STORE);
    let followed = join_all(going.iter().map(|(_, read)| follow(app, read, now, within))).await;
    let mut ready = Vec::with_capacity(going.len());
    for ((job, read), followed) in going.into_iter().zip(followed) {
        match followed {
            Ok(followed) => ready.push(Ready {
                job,
                read,
                followed,
            }),
            Err(error) => results.extend(job.results(&Err(error))),
        }
    }

    let routed = route_ready(app, &ready, aliases.unwrap_or_default(), now).await;
    for (Ready { job, .. }, result) in ready.iter().zip(routed) {
        if result.is_ok() {
            empty_inbox(app, &job.inbox).await;
        }
        results.extend(job.results(&result));
    }
    results
}

impl Job {
    /// Gives each of the messages the result of their webhook.
    fn results(
        &self,
        result: &Result<(), RouteError>,
    ) -> impl Iterator<Item = (String, Result<(), RouteError>)> {
        let ids = self.message_ids.iter();
        ids.map(|id| (id.clone(), result.clone()))
    }
}

type Opened = Result<(Work, Option<Body>), ParcelError>;

async fn open(app: &App, message: Received<EventMessage>) -> (String, WebhookId, Opened) {
    let Received {
        message_id,
        message,
        ..
    } = message;
    let opened = parcel::open(&app.archive, &message.body, message.size_bytes).await;
    let webhook_id = message.webhook_id.clone();
    let inbox = matches!(message.body, Body::Inbox(_)).then(|| message.body.clone());
    let opened = opened.map(|body| (Work::new(message, body), inbox));
    (message_id, webhook_id, opened)
}

/// A retry shares the inbox with its first try, which takes its body from there once it is done.
async fn is_finished(app: &App, webhook_id: &WebhookId) -> bool {
    let known = app.table.webhooks([webhook_id]).await;
    known.is_ok_and(|known| known.contains_key(webhook_id))
}

/// Puts retries of one webhook together; another body under the same id stays apart.
fn gather(jobs: &mut BTreeMap<String, Job>, message_id: String, work: Work, inbox: Option<Body>) {
    let key = format!("{}~{}", work.id, work.body_hash_text());
    let job = jobs.entry(key).or_insert_with(|| Job {
        message_ids: Vec::new(),
        work,
        inbox: Vec::new(),
    });
    job.message_ids.push(message_id);
    job.inbox.extend(inbox);
}

/// Finds the ledger's entries of these webhooks: those that have one are done. A trace id that was used
/// for another body before gets a name of its own.
async fn known(
    app: &App,
    reads: &mut [Read<'_>],
) -> Result<HashMap<WebhookId, WebhookEntry>, RouteError> {
    let mut taken = BTreeMap::new();
    for read in &mut *reads {
        let hash = read.work.body_hash;
        if *taken.entry(read.id.clone()).or_insert(hash) != hash {
            read.id = read.id.with_body_hash(hash);
        }
    }
    let known = ledger(app, reads).await?;
    let mut renamed = false;
    for read in &mut *reads {
        if known
            .get(&read.id)
            .is_some_and(|entry| entry.body_hash != read.work.body_hash_text())
        {
            warn!(webhook_id = %read.id, "a trace id names two different bodies");
            read.id = read.id.with_body_hash(read.work.body_hash);
            renamed = true;
        }
    }
    if renamed {
        ledger(app, reads).await
    } else {
        Ok(known)
    }
}

async fn ledger(
    app: &App,
    reads: &[Read<'_>],
) -> Result<HashMap<WebhookId, WebhookEntry>, RouteError> {
    let ids: Vec<&WebhookId> = reads.iter().map(|read| &read.id).collect();
    match app.table.webhooks(ids.clone()).await {
        Ok(known) => return Ok(known),
        Err(error) if matches!(error.end(), End::Parked(_)) => {}
        Err(error) => return Err(error.into()),
    }
    // One line cannot be read. Its webhook is routed again, which writes the line anew.
    let mut known = HashMap::new();
    for id in ids {
        match app.table.webhooks([id]).await {
            Ok(entry) => known.extend(entry),
            Err(error) if matches!(error.end(), End::Parked(_)) => {
                error!(webhook_id = %id, error = %Chain(&error), "a line of the ledger cannot be read");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(known)
}

/// Routes webhooks whose Terra users lead to `aliases`; those of payloads are looked up here.
async fn route_ready(
    app: &App,
    ready: &[Ready<'_>],
    mut aliases: SeenAliases,
    now: Timestamp,
) -> Vec<Result<(), RouteError>> {
    let payloads: Vec<Option<Read<'_>>> = ready
        .iter()
        .map(|ready| match &ready.followed {
            Some(Followed::Payload(payload)) => Some(Read::new(payload)),
            _ => None,
        })
        .collect();
    let users = payloads.iter().flatten().flat_map(Read::users);
    let unseen = users.filter(|user| !aliases.contains_key(user));
    match read_aliases(app, &unseen.cloned().collect()).await {
        Ok(more) => aliases.extend(more),
        Err(error) => return vec![Err(error); ready.len()],
    }
    let own = ready.iter().map(|ready| &ready.read);
    let all = own.chain(payloads.iter().flatten());
    let verdicts = match verdicts(app, all, &aliases).await {
        Ok(verdicts) => verdicts,
        Err(error) => return vec![Err(error); ready.len()],
    };
    let is_erased = |read: &Read<'_>| verdicts.get(&read.id) == Some(&Verdict::Erase);

    let mut segment = SegmentBuilder::new();
    let mut archive = |read: &Read<'_>| {
        if is_erased(read) {
            Ok(None)
        } else {
            read.archive(&mut segment).map(Some)
        }
    };
    let archived: Vec<_> = ready
        .iter()
        .zip(&payloads)
        .map(|(ready, payload)| {
            let payload = payload.as_ref().map(&mut archive).transpose()?;
            Ok::<_, RouteError>((archive(&ready.read)?, payload.flatten()))
        })
        .collect();
    // Webhooks of one user one after the other: side by side they would only wait for each other's
    // write of the connection.
    let mut by_user = BTreeMap::<Option<&TerraUserId>, Vec<(usize, Placed<'_>)>>::new();
    for (index, ((ready, payload), archived)) in
        ready.iter().zip(&payloads).zip(archived).enumerate()
    {
        let read = payload.as_ref().unwrap_or(&ready.read);
        by_user
            .entry(read.terra_user_ids.first())
            .or_default()
            .push((index, (ready, payload.as_ref(), archived)));
    }
    let batch = Batch {
        segment: write(app, segment, now).boxed().shared(),
        tally: Tally::default(),
        verdicts,
        now,
    };
    // Boxed: the futures of a batch inside one another are more than the compiler lays out.
    let mut work: Vec<BoxFuture<'_, Vec<Routed>>> = Vec::new();
    for group in by_user.into_values() {
        let (batch, mut aliases) = (&batch, aliases.clone());
        work.push(Box::pin(async move {
            let mut results = Vec::with_capacity(group.len());
            for (index, archived) in group {
                results.push((index, route_job(app, archived, &aliases, batch).await));
                // A user without a connection may have got one now.
                aliases.retain(|_, alias| alias.is_some());
            }
            results
        }));
    }
    let routed = stream::iter(work).buffer_unordered(CONCURRENT_USERS);
    // The archive takes the segment while the table says what it knows. Nothing that points into the
    // segment is written before it is there.
    let (_, mut results) = join!(batch.segment.clone(), routed.concat());
    batch.tally.send(app, now);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Place of a job in the batch, and its result.
type Routed = (usize, Result<(), RouteError>);

/// Job with its payload and the places of both in the segment.
type Placed<'a> = (
    &'a Ready<'a>,
    Option<&'a Read<'a>>,
    Result<(Option<Archived>, Option<Archived>), RouteError>,
);

async fn route_job(
    app: &App,
    (ready, payload, archived): Placed<'_>,
    aliases: &SeenAliases,
    batch: &Batch<'_>,
) -> Result<(), RouteError> {
    let (own, of_payload) = archived?;
    // The payload first: the ping's own line in the ledger says that it was followed.
    if let Some(payload) = payload {
        let task = Task::Plan(Box::new(payload.plan()));
        route_one(app, payload, task, of_payload.as_ref(), aliases, batch).await?;
    }
    let task = match &ready.followed {
        None => Task::Plan(Box::new(ready.read.plan())),
        Some(Followed::Payload(_)) => Task::Followed,
        Some(Followed::Lost(plan)) => Task::Plan(plan.clone()),
    };
    route_one(app, &ready.read, task, own.as_ref(), aliases, batch).await
}

/// Task with a webhook that is in the archive.
enum Task {
    /// Plan to apply.
    Plan(Box<Plan>),
    /// Nothing: it was a ping and its payload has been routed.
    Followed,
}

/// State that the webhooks of a batch share.
struct Batch<'a> {
    /// Segment of the batch, once it is archived; `None`: there was nothing to archive.
    segment: Shared<BoxFuture<'a, Result<Option<Segment>, RouteError>>>,
    tally: Tally,
    /// Verdicts of tombstones about webhooks.
    verdicts: Verdicts,
    now: Timestamp,
}

/// A written segment, with its bytes: small records keep theirs in their items.
#[derive(Clone)]
struct Segment {
    key: SegmentKey,
    bytes: Bytes,
}

impl Segment {
    fn payload(&self, span: Span, size_bytes: usize) -> Payload {
        let inline = || {
            let start = usize::try_from(span.offset_bytes).ok()?;
            let end = start.checked_add(usize::try_from(span.length_bytes).ok()?)?;
            self.bytes.get(start..end).map(<[u8]>::to_vec)
        };
        Payload {
            locator: span.locate(&self.key),
            size_bytes: size_bytes as u64,
            inline: if span.length_bytes <= MAX_INLINE_BYTES {
                inline()
            } else {
                None
            },
        }
    }
}

async fn write(
    app: &App,
    segment: SegmentBuilder,
    now: Timestamp,
) -> Result<Option<Segment>, RouteError> {
    if segment.is_empty() {
        return Ok(None);
    }
    let bytes = segment.finish();
    let key = SegmentKey::new(now, rand::random());
    let key = app.archive.write_segment(key, bytes.clone()).await?;
    Ok(Some(Segment { key, bytes }))
}

/// Reads the aliases of Terra users. For users whose person was erased, records that an earlier attempt,
/// killed half-way, may have written before the erasure are erased too.
async fn read_aliases(app: &App, users: &BTreeSet<TerraUserId>) -> Result<SeenAliases, RouteError> {
    // Whatever is written looks once more before it counts.
    let aliases = match app.table.aliases_lately(users).await {
        Ok(aliases) => aliases,
        Err(error) if matches!(error.end(), End::Parked(_)) => readable_aliases(app, users).await?,
        Err(error) => return Err(error.into()),
    };
    for (user, alias) in &aliases {
        if let Some(Alias::Erased(connection)) = alias {
            app.table.erase_leftovers(user, connection).await?;
        }
    }
    Ok(aliases)
}

/// Reads aliases one by one. A webhook whose alias cannot be read is parked when it comes to it.
async fn readable_aliases(
    app: &App,
    users: &BTreeSet<TerraUserId>,
) -> Result<SeenAliases, RouteError> {
    let mut aliases = SeenAliases::new();
    for user in users {
        match app.table.aliases_lately([user]).await {
            Ok(alias) => aliases.extend(alias),
            Err(error) if matches!(error.end(), End::Parked(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(aliases)
}

/// Routes one webhook. `archived` says where in the segment it lies; nowhere when its person was erased.
async fn route_one(
    app: &App,
    read: &Read<'_>,
    task: Task,
    archived: Option<&Archived>,
    aliases: &SeenAliases,
    batch: &Batch<'_>,
) -> Result<(), RouteError> {
    let span = info_span!(
        "webhook",
        webhook_id = %read.id,
        event_type = read.event_type(),
        connection_id = field::Empty,
    );
    async {
        let applied = match (archived, task) {
            (None, _) => Applied::nothing(Outcome::Erased),
            (Some(_), Task::Followed) => Applied::nothing(Outcome::Followed),
            (Some(_), Task::Plan(_)) if batch.verdicts.contains_key(&read.id) => {
                Applied::parked(ParkReason::ErasureWaits)
            }
            (
                Some(Archived {
                    fault: Some(fault), ..
                }),
                _,
            ) => Applied::parked(*fault),
            (Some(Archived { appended, .. }), Task::Plan(plan)) => {
                let records = read.event.iter().flat_map(|event| &event.records);
                let spans: HashMap<_, _> = records
                    .map(|record| record.range.start)
                    .zip(&appended.records)
                    .collect();
                let in_archive = batch.segment.clone().map_ok(|segment| {
                    move |range: &Range<usize>| {
                        let span = spans.get(&range.start)?;
                        Some(segment.as_ref()?.payload(**span, range.len()))
                    }
                });
                let applying = apply(app.ways(), read, *plan, in_archive, aliases, Mode::Write);
                applying.await.or_else(Applied::parked_by)?
            }
        };
        let segment = batch.segment.clone().await?;
        let place = segment.as_ref().zip(archived);
        if let (Some((segment, _)), Outcome::Erased) = (place, applied.outcome) {
            // Erased between our first look and now: what we archived meanwhile must go too.
            let (id, sent) = (read.id.as_str(), read.id.sent());
            app.archive
                .erase(
                    &segment.key,
                    |header| header.webhook_id == id || header.webhook_id == sent,
                    batch.now,
                )
                .await?;
        }
        let locator =
            place.map(|(segment, archived)| archived.appended.webhook.locate(&segment.key));
        // Before the ledger: a webhook that is routed again is announced again.
        let passed_on = match applied.outcome {
            Outcome::Erased | Outcome::Followed => None,
            _ => locator.as_ref(),
        };
        // Another run archives elsewhere, and may write a record anew that was told of before.
        let run = place.map_or_else(String::new, |(segment, _)| segment.key.to_string());
        announce(app.ways(), read, &applied.told, passed_on, &run).await?;
        let entry = read.entry(applied, locator, batch.now);
        let entry = if entry.outcome == Outcome::Erased {
            entry.without_person()
        } else {
            entry
        };
        if entry.outcome == Outcome::Parked {
            let secret_name = read.work.secret_name.as_deref();
            let parked = ParkedWebhook::of_entry(&entry, secret_name);
            app.table.park(&parked).await?;
        }
        app.table.finish(&entry).await?;
        report(app, &entry, &batch.tally);
        Ok(())
    }
    .instrument(span)
    .await
}

fn report(app: &App, entry: &WebhookEntry, tally: &Tally) {
    // Logs are billed by length: what is none is not said.
    let some = |count: usize| (count > 0).then_some(count);
    info!(
        outcome = entry.outcome.as_str(),
        created = some(entry.records.created),
        updated = some(entry.records.updated),
        unchanged = some(entry.records.unchanged),
        shadowed = some(entry.records.shadowed),
        parked = some(entry.parked_count),
        waited_ms = entry.routed_at_ms.saturating_sub(entry.received_at_ms),
        "webhook routed"
    );
    tally.add(entry);
    if let Some(observer) = &app.observer {
        observer(entry);
    }
}

/// Counts of a batch, by outcome: a line of metrics for each instead of one for every webhook, since
/// logs are billed by length.
#[derive(Debug, Default)]
struct Tally(Mutex<BTreeMap<&'static str, Metrics>>);

impl Tally {
    fn add(&self, entry: &WebhookEntry) {
        let outcome = entry.outcome.as_str();
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = tally
            .entry(outcome)
            .or_insert_with(|| Metrics::new("event-router").dimension(Dimension::Outcome, outcome));
        metrics.count("RoutedWebhooks", 1);
        metrics.count("RecordsCreated", entry.records.created as u64);
        metrics.count("RecordsUpdated", entry.records.updated as u64);
        if entry.records.shadowed > 0 {
            metrics.count("RecordsShadowed", entry.records.shadowed as u64);
        }
        let faults = entry
            .parked
            .iter()
            .filter(|parked| parked.reason.is_fault());
        let faults = faults.count() as u64;
        if faults > 0 {
            metrics.count("ParkedFaults", faults);
        }
        metrics.count("Parked", entry.parked_count as u64);
        let lost = entry
            .parked
            .iter()
            .any(|parked| parked.reason.is_lost_payload());
        if lost {
            metrics.count("LostPayloads", 1);
        }
    }

    fn send(&self, app: &App, now: Timestamp) {
        let tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for metrics in tally.values() {
            metrics.send(now.as_millisecond(), &app.metrics);
        }
    }
}

/// The webhook is in the archive proper: its copy in the inbox is done with. Left behind, it goes
/// by the bucket's lifecycle.
async fn empty_inbox(app: &App, inbox: &[Body]) {
    for body in inbox {
        if let Err(error) = parcel::discard(&app.archive, body).await {
            warn!(error = %Chain(&error), "cannot remove a body from the inbox");
        }
    }
}
