//! Calls to one destination: in parts that it takes, with what it did not take owed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use destinations::{
    change::Change,
    kind::{Fault, Keeps, Kind, LONGEST_CALL, Outcome, Rejection, Unreachable, within},
};
use domain::delivery::{
    Cause, Changed, Destination, Status,
    breaker::{Failure, Passage, rejected_until_ms, retry_at_ms},
};
use rand::RngExt as _;
use runtime::{
    metrics::{Dimension, Metrics},
    telemetry::Chain,
};
use store::table::{
    deliveries::{Attempt, Owed},
    destinations::Health,
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    clients::Client,
    config::App,
    error::DeliverError,
    states::{Going, State, read, size},
};

/// Time that one more call to a destination may need: none is begun with less.
const TO_CALL: Duration = Duration::from_secs(32);
/// Pause before the second try of a call whose connection broke.
const BEFORE_SECOND_TRY: Duration = Duration::from_millis(500);
/// Most changes whose states are read at once.
const READ_AT_ONCE: usize = 100;

/// Most deliveries that were refused for good and are looked for among those that succeed.
const MOST_RECALLED: usize = 1000;

/// Subjects to deliver, each once, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    going: Vec<Going>,
    /// True if this is a look at whether a destination is back.
    is_probe: bool,
}

impl Batch {
    /// Changes that nobody has tried to deliver. The last change of a subject stands for all, with the deletion
    /// that one before may have told of.
    pub(crate) fn fresh(changes: &[Changed], cause: Cause, force: bool) -> Self {
        let mut last = BTreeMap::<_, (usize, Changed)>::new();
        for (place, changed) in changes.iter().enumerate() {
            let subject = changed.subject();
            let newest = match last.get(&subject) {
                Some((_, earlier)) => changed.clone().remembering(earlier),
                None => changed.clone(),
            };
            last.insert(subject, (place, newest));
        }
        let mut last: Vec<_> = last.into_values().collect();
        last.sort_unstable_by_key(|(place, _)| *place);
        let going = last.into_iter().map(|(_, changed)| Going {
            changed,
            cause,
            force,
            attempt: 1,
            refusals: 0,
            first_failed_at_ms: None,
        });
        Self {
            going: going.collect(),
            is_probe: false,
        }
    }

    /// Subject that is owed.
    pub(crate) fn owed(owed: Vec<Owed>, is_probe: bool) -> Self {
        let going = owed.into_iter().map(|owed| Going {
            changed: owed.changed,
            cause: Cause::Drain,
            force: owed.force,
            attempt: owed.attempts.saturating_add(1),
            refusals: owed.refusals,
            first_failed_at_ms: Some(owed.first_failed_at_ms),
        });
        Self {
            going: going.collect(),
            is_probe,
        }
    }
}

/// Result of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Deliveries that arrived, or were there already.
    pub(crate) settled: usize,
    /// Deliveries that are owed now.
    pub(crate) owed: usize,
}

/// Delivers a batch to a shard of a destination, or owes it.
///
/// # Errors
///
/// [`DeliverError`] for what is ours: the table, the archive, the queue, the secrets. The batch may be
/// delivered again then.
pub(crate) async fn deliver(
    app: &App,
    destination: &Destination,
    shard: u32,
    batch: Batch,
    until: Instant,
) -> Result<Sent, DeliverError> {
    if batch.going.is_empty() {
        return Ok(Sent::default());
    }
    let health = app.table.health(&destination.id).await?;
    let mut sending = Sending {
        app,
        destination,
        shard,
        health,
        began: Instant::now(),
        failed: BTreeSet::new(),
        sent: Sent::default(),
        tally: BTreeMap::new(),
        fault: None,
    };
    // A check repairs owner by owner: its line is about the page.
    let has_line = batch.going.iter().any(|it| it.cause != Cause::Repair);
    let passage = sending.health.breaker.passage(app.now_ms());
    let passes = passage == Passage::Open || (batch.is_probe && passage == Passage::Probe);
    let has_turn = batch.is_probe
        || sending
            .health
            .breaker
            .has_turn(shard, destination.concurrency, app.now_ms());
    if destination.status != Status::Active || !passes || !has_turn {
        sending.owe_all(batch.going, None).await?;
    } else {
        sending.recall_failed().await?;
        sending.all(batch.going, until).await?;
    }
    sending.report(has_line);
    let sent = sending.sent;
    // Removed meanwhile: nobody would ever look at what is owed to it.
    if sent.owed > 0 && app.table.destination(&destination.id).await?.is_none() {
        app.table
            .remove_destination(destination, app.now_ms())
            .await?;
    }
    Ok(sent)
}

struct Sending<'a> {
    app: &'a App,
    destination: &'a Destination,
    shard: u32,
    health: Health,
    /// Time at which this batch began: a client that was opened earlier may have secrets of before a change.
    began: Instant,
    /// Subjects that were refused for good before.
    failed: BTreeSet<Changed>,
    sent: Sent,
    tally: BTreeMap<&'static str, u64>,
    /// Name of the last fault of the destination.
    fault: Option<&'static str>,
}

impl Sending<'_> {
    async fn all(&mut self, going: Vec<Going>, until: Instant) -> Result<(), DeliverError> {
        let mut client = match self.app.clients.get(self.destination).await {
            Ok(client) => client,
            Err(error) => {
                let fault = error.into_fault()?;
                return self.broken(going, &fault).await;
            }
        };
        if let Err(fault) = self.prepare(&mut client).await {
            return self.broken(going, &fault).await;
        }
        let mut waiting = VecDeque::from(going);
        while !waiting.is_empty() {
            let part: &[Going] = waiting.make_contiguous();
            let part = part.get(..READ_AT_ONCE).unwrap_or(part);
            let states = read(self.app, self.destination, part).await?;
            let mut pairs = Vec::with_capacity(states.len());
            let part: Vec<_> = waiting.drain(..states.len()).collect();
            for (going, state) in part.into_iter().zip(states) {
                match state {
                    State::Change(change) => pairs.push((going, *change)),
                    State::Absent => self.settle_absent(&going).await?,
                    // Its neighbours do not wait for it.
                    State::Unreadable(reason) => {
                        let rejection = Rejection {
                            reason,
                            code: None,
                            is_final: false,
                        };
                        self.rejected(going, rejection).await?;
                    }
                }
            }
            let limits = client.kind.limits();
            let chunks = chunks(pairs, limits.changes, limits.bytes);
            let mut chunks = chunks.into_iter();
            while let Some(chunk) = chunks.next() {
                // A slow destination takes what it can in this time. Coming back with everything would
                // begin anew, and end among the dead letters.
                if until.saturating_duration_since(Instant::now()) < TO_CALL {
                    let rest = chunk.into_iter().chain(chunks.flatten());
                    let rest = rest.map(|(going, _)| going).chain(waiting);
                    return self.owe_all(rest.collect(), None).await;
                }
                if let Some(fault) = Box::pin(self.chunk(&mut client, chunk, until)).await? {
                    // Everything that is left waits for the destination.
                    let rest = chunks.flatten().map(|(going, _)| going).chain(waiting);
                    return self.owe_all(rest.collect(), Some(&fault)).await;
                }
            }
        }
        Ok(())
    }

    async fn prepare(&mut self, client: &mut Client) -> Result<(), Fault> {
        let findings = within(LONGEST_CALL, self.app.clients.prepare(client)).await?;
        if !findings.is_empty() {
            let texts: Vec<String> = findings.into_iter().map(|finding| finding.text).collect();
            let id = &self.destination.id;
            let noted = self
                .app
                .table
                .change_health(id, |health| health.findings.clone_from(&texts));
            if let Err(error) = noted.await {
                warn!(error = %Chain(&error), "cannot note what was found at a destination");
            }
        }
        Ok(())
    }

    /// Delivers one part, or owes what there is no time for. `Some`: the destination fails, and nothing more is to
    /// be tried now.
    async fn chunk(
        &mut self,
        client: &mut Client,
        chunk: Vec<(Going, Change)>,
        until: Instant,
    ) -> Result<Option<Fault>, DeliverError> {
        let has_time = || until.saturating_duration_since(Instant::now()) >= TO_CALL;
        if !has_time() {
            let rest = chunk.into_iter().map(|(going, _)| going).collect();
            self.owe_all(rest, None).await?;
            return Ok(None);
        }
        let (going, changes): (Vec<_>, Vec<_>) = chunk.into_iter().unzip();
        let began = Instant::now();
        let mut result = call(&*client.kind, &changes).await;
        if let Some(pause) = unsettled(&result).and_then(second_try)
            && has_time()
        {
            sleep(pause).await;
            result = once_more(client, &changes, result).await;
        }
        let is_refused = matches!(unsettled(&result), Some(Fault::Misconfigured { .. }));
        if is_refused && client.at < self.began && has_time() {
            result = self.anew(client, &changes, result).await?;
        }
        let took = began.elapsed();
        match result {
            Ok(outcomes) if outcomes.len() == changes.len() => {
                self.outcomes(client, going, &changes, outcomes, took).await
            }
            Ok(_) => {
                let fault = Fault::misconfigured("the destination did not answer for every change");
                self.failed(going, &changes, &fault, took).await
            }
            // One of them is refused, and the destination does not say which.
            Err(Fault::Rejected { .. }) if changes.len() > 1 => {
                let mut pairs: Vec<_> = going.into_iter().zip(changes).collect();
                let other = pairs.split_off(pairs.len() / 2);
                if let Some(fault) = Box::pin(self.chunk(client, pairs, until)).await? {
                    let other = other.into_iter().map(|(going, _)| going).collect();
                    self.owe_all(other, Some(&fault)).await?;
                    return Ok(Some(fault));
                }
                Box::pin(self.chunk(client, other, until)).await
            }
            Err(Fault::Rejected { reason, code }) => {
                let rejected = Fault::Rejected { reason, code }.into_outcome();
                let outcomes = vec![rejected; changes.len()];
                self.outcomes(client, going, &changes, outcomes, took).await
            }
            Err(fault) => self.failed(going, &changes, &fault, took).await,
        }
    }

    /// Makes a call once more with the secrets of now: somebody may have changed them since the client was opened.
    async fn anew(
        &mut self,
        client: &mut Client,
        changes: &[Change],
        refused: Result<Vec<Outcome>, Fault>,
    ) -> Result<Result<Vec<Outcome>, Fault>, DeliverError> {
        self.app.clients.forget(&self.destination.id);
        match self.app.clients.get(self.destination).await {
            Ok(opened) => *client = opened,
            Err(error) => return Ok(Err(error.into_fault()?)),
        }
        if let Err(fault) = self.prepare(client).await {
            return Ok(Err(fault));
        }
        Ok(once_more(client, changes, refused).await)
    }

    /// Deals with the outcomes of a call that was answered.
    async fn outcomes(
        &mut self,
        client: &Client,
        going: Vec<Going>,
        changes: &[Change],
        outcomes: Vec<Outcome>,
        took: Duration,
    ) -> Result<Option<Fault>, DeliverError> {
        let keeps_log = client.kind.limits().keeps == Keeps::Log;
        let mut failing = None;
        let mut answered = false;
        for ((going, change), outcome) in going.into_iter().zip(changes).zip(outcomes) {
            match outcome {
                Outcome::Applied { .. } | Outcome::Stale => {
                    answered = true;
                    if keeps_log || going.attempt > 1 {
                        self.note(change, "delivered", None, took).await?;
                    }
                    let name = if outcome == Outcome::Stale {
                        "stale"
                    } else {
                        "delivered"
                    };
                    self.count(name);
                    self.settle(&going).await?;
                }
                Outcome::Retry(fault) => {
                    self.note(change, fault.name(), Some(&fault.to_string()), took)
                        .await?;
                    self.owe(going, Some(&fault)).await?;
                    failing = Some(fault);
                }
                Outcome::Rejected(rejection) => {
                    answered = true;
                    self.note(change, "rejected", Some(&rejection.reason), took)
                        .await?;
                    self.rejected(going, rejection).await?;
                }
            }
        }
        if let Some(fault) = failing {
            if fault == Fault::Gone {
                self.broken(Vec::new(), &fault).await?;
            } else {
                self.app.clients.forget(&self.destination.id);
                self.breaker_failed(&fault).await?;
            }
            return Ok(Some(fault));
        }
        if answered {
            self.breaker_succeeded().await?;
        }
        Ok(None)
    }

    /// Deals with a call of which nothing is known to have arrived.
    async fn failed(
        &mut self,
        going: Vec<Going>,
        changes: &[Change],
        fault: &Fault,
        took: Duration,
    ) -> Result<Option<Fault>, DeliverError> {
        if let Some(change) = changes.first() {
            self.note(change, fault.name(), Some(&fault.to_string()), took)
                .await?;
        }
        self.broken(going, fault).await?;
        Ok(Some(fault.clone()))
    }

    /// The destination fails as a whole.
    async fn broken(&mut self, going: Vec<Going>, fault: &Fault) -> Result<(), DeliverError> {
        let id = &self.destination.id;
        self.app.clients.forget(id);
        if *fault == Fault::Gone {
            let now_ms = self.app.now_ms();
            let disabled = self.app.table.change_destination(id, |destination| {
                // What it was not told since the first time is what resuming delivers.
                if destination.status != Status::Disabled {
                    destination.status = Status::Disabled;
                    destination.status_since_ms = now_ms;
                }
            });
            disabled.await?;
            self.count("gone");
            self.fault = Some(fault.name());
            // Told anew when it is enabled is only what changes after this.
            return self.owe_all(going, None).await;
        }
        self.breaker_failed(fault).await?;
        self.owe_all(going, Some(fault)).await
    }

    async fn breaker_failed(&mut self, fault: &Fault) -> Result<(), DeliverError> {
        let failure = failure_of(fault);
        let (now_ms, jitter, text) = (self.app.now_ms(), jitter(), fault.to_string());
        let id = &self.destination.id;
        let change = |health: &mut Health| {
            let breaker = std::mem::take(&mut health.breaker);
            health.breaker = breaker.failed(failure, &text, jitter, now_ms);
        };
        self.health = self.app.table.change_health(id, change).await?;
        self.fault = Some(fault.name());
        self.count("fault");
        Ok(())
    }

    /// Notes that the destination answers: where it had failed, and now and then for operators.
    async fn breaker_succeeded(&mut self) -> Result<(), DeliverError> {
        const NOTED_EVERY_MS: i64 = 60_000;
        let now_ms = self.app.now_ms();
        let was_noted = self.health.delivered_at_ms.unwrap_or(i64::MIN);
        let breaker = self.health.breaker.clone();
        let is_well = breaker.clone().succeeded() == breaker;
        if is_well && now_ms.saturating_sub(was_noted) < NOTED_EVERY_MS {
            return Ok(());
        }
        let change = |health: &mut Health| {
            health.breaker = std::mem::take(&mut health.breaker).succeeded();
            health.delivered_at_ms = Some(now_ms);
        };
        let id = &self.destination.id;
        self.health = self.app.table.change_health(id, change).await?;
        Ok(())
    }

    /// Clears what may be owed for something that arrived, or that there is nothing left of.
    async fn settle(&mut self, going: &Going) -> Result<(), DeliverError> {
        self.sent.settled += 1;
        if self.health.owing.contains_key(&self.shard) {
            let (id, table) = (&self.destination.id, &self.app.table);
            table.settle_owed(id, self.shard, &going.changed).await?;
        }
        if self.failed.remove(&going.changed.subject()) {
            let (id, table) = (&self.destination.id, &self.app.table);
            table.settle_failed(id, &going.changed).await?;
            if self.failed.is_empty() {
                self.recall_failed().await?;
            }
        }
        Ok(())
    }

    /// Settles what there is nothing to tell of. A deletion that is still owed is something.
    async fn settle_absent(&mut self, going: &Going) -> Result<(), DeliverError> {
        if going.changed.gone().is_none() && self.health.owing.contains_key(&self.shard) {
            let (id, table) = (&self.destination.id, &self.app.table);
            let owed = table.owed_for(id, self.shard, &going.changed).await?;
            if owed.is_some_and(|owed| owed.changed.gone().is_some()) {
                self.sent.settled += 1;
                return Ok(());
            }
        }
        self.settle(going).await
    }

    /// Reads what was refused for good, so that a later success takes it off the list. Only where there is
    /// something: each delivery would pay for it otherwise.
    async fn recall_failed(&mut self) -> Result<(), DeliverError> {
        if !self.health.has_failed {
            return Ok(());
        }
        let (id, table) = (&self.destination.id, &self.app.table);
        let listed = table.failed(id, None, MOST_RECALLED).await?;
        self.failed = listed.iter().map(|it| it.changed.subject()).collect();
        if self.failed.is_empty() {
            let set = |has_failed| move |health: &mut Health| health.has_failed = has_failed;
            self.health = table.change_health(id, set(false)).await?;
            // Another shard may have listed something since: it sets the mark after the item.
            if !table.failed(id, None, 1).await?.is_empty() {
                self.health = table.change_health(id, set(true)).await?;
            }
        }
        Ok(())
    }

    async fn rejected(&mut self, going: Going, rejection: Rejection) -> Result<(), DeliverError> {
        let refusals = going.refusals.saturating_add(1);
        let now_ms = self.app.now_ms();
        let again_ms = rejected_until_ms(refusals, now_ms).filter(|_| !rejection.is_final);
        let going = Going { refusals, ..going };
        if let Some(again_ms) = again_ms {
            self.count("rejected");
            let owed = owed(going, again_ms, Some(rejection.reason), now_ms);
            return self.put_owed(owed).await;
        }
        self.count("failed");
        let id = &self.destination.id;
        let owed = owed(going, now_ms, Some(rejection.reason), now_ms);
        let table = &self.app.table;
        table.fail(id, &owed).await?;
        let mark = |health: &mut Health| health.has_failed = true;
        self.health = table.change_health(id, mark).await?;
        self.failed.insert(owed.changed.subject());
        table.settle_owed(id, self.shard, &owed.changed).await?;
        self.sent.settled += 1;
        Ok(())
    }

    async fn owe_all(
        &mut self,
        going: Vec<Going>,
        fault: Option<&Fault>,
    ) -> Result<(), DeliverError> {
        for going in going {
            self.owe(going, fault).await?;
        }
        Ok(())
    }

    async fn owe(&mut self, going: Going, fault: Option<&Fault>) -> Result<(), DeliverError> {
        self.count("owed");
        let now_ms = self.app.now_ms();
        let due_at_ms = match fault {
            // What was not even tried waits for the breaker alone.
            None => now_ms,
            Some(fault) => {
                let tried = going.attempt.saturating_sub(1);
                retry_at_ms(tried, asked_pause_ms(fault), jitter(), now_ms)
            }
        };
        let owed = owed(going, due_at_ms, fault.map(ToString::to_string), now_ms);
        self.put_owed(owed).await
    }

    async fn put_owed(&mut self, owed: Owed) -> Result<(), DeliverError> {
        self.sent.owed += 1;
        let (id, shard, table) = (&self.destination.id, self.shard, &self.app.table);
        // Before the item: whoever drains looks at this first.
        if !self.health.owing.contains_key(&shard) {
            let since_ms = self.app.now_ms();
            let change = |health: &mut Health| {
                health.owing.entry(shard).or_insert(since_ms);
            };
            self.health = table.change_health(id, change).await?;
        }
        Ok(table.owe(id, shard, &owed).await?)
    }

    async fn note(
        &self,
        change: &Change,
        outcome: &str,
        fault: Option<&str>,
        took: Duration,
    ) -> Result<(), DeliverError> {
        let attempt = Attempt {
            at_ms: self.app.now_ms(),
            delivery_id: change.delivery_id.to_string(),
            record_id: change.record_id.to_string(),
            data_type: change.data_type(),
            revision: change.revision,
            attempt: change.attempt,
            outcome: outcome.to_owned(),
            fault: fault.map(|fault| fault.chars().take(2000).collect()),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        Ok(self
            .app
            .table
            .note_attempt(&self.destination.id, &attempt)
            .await?)
    }

    fn count(&mut self, outcome: &'static str) {
        *self.tally.entry(outcome).or_default() += 1;
    }

    fn report(&self, has_line: bool) {
        let now_ms = self.app.now_ms();
        for (outcome, count) in &self.tally {
            let mut metrics = Metrics::new("deliver").dimension(Dimension::Outcome, outcome);
            metrics.count("Deliveries", *count);
            if *outcome == "failed" {
                metrics.count("FailedDeliveries", *count);
            }
            metrics.send(now_ms, &self.app.metrics);
        }
        if !has_line {
            return;
        }
        let of = |name: &str| self.tally.get(name).copied();
        // The one line of a message: what becomes of each delivery is in its attempts.
        info!(
            destination = %self.destination.id,
            shard = self.shard,
            delivered = of("delivered"),
            stale = of("stale"),
            owed = of("owed"),
            rejected = of("rejected"),
            failed = of("failed"),
            fault = self.fault,
            "deliveries"
        );
    }
}

/// The fault why not everything of a call arrived, but may another time.
fn unsettled(result: &Result<Vec<Outcome>, Fault>) -> Option<&Fault> {
    match result {
        Err(fault) => Some(fault),
        Ok(outcomes) => outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Retry(fault) => Some(fault),
            _ => None,
        }),
    }
}

/// Pause before the same call is made once more; `None` if it is not worth a second try.
fn second_try(fault: &Fault) -> Option<Duration> {
    match fault {
        // Another writer was quicker: the same call finds its way now.
        Fault::Conflict { .. } => Some(Duration::ZERO),
        Fault::Unreachable {
            part: Unreachable::Reset,
            ..
        } => Some(BEFORE_SECOND_TRY),
        Fault::Throttled { after: None, code } if code.as_deref() == Some("503") => {
            Some(BEFORE_SECOND_TRY)
        }
        _ => None,
    }
}

/// Delivers once more what a call did not settle.
async fn once_more(
    client: &Client,
    changes: &[Change],
    before: Result<Vec<Outcome>, Fault>,
) -> Result<Vec<Outcome>, Fault> {
    let Ok(mut outcomes) = before else {
        return call(&*client.kind, changes).await;
    };
    let is_left = |outcome: &Outcome| matches!(outcome, Outcome::Retry(_));
    let left = outcomes.iter().zip(changes);
    let left = left.filter(|(outcome, _)| is_left(outcome));
    let left: Vec<Change> = left.map(|(_, change)| change.clone()).collect();
    let again = match call(&*client.kind, &left).await {
        Ok(again) if again.len() == left.len() => again,
        // A later call finds the one that is refused.
        Err(Fault::Rejected { .. }) if left.len() > 1 => return Ok(outcomes),
        Ok(_) => return Ok(outcomes),
        Err(fault) => vec![fault.into_outcome(); left.len()],
    };
    let places = outcomes.iter_mut().filter(|outcome| is_left(outcome));
    for (place, outcome) in places.zip(again) {
        *place = outcome;
    }
    Ok(outcomes)
}

fn owed(going: Going, due_at_ms: i64, fault: Option<String>, now_ms: i64) -> Owed {
    Owed {
        changed: going.changed,
        cause: going.cause,
        force: going.force,
        attempts: going.attempt,
        refusals: going.refusals,
        first_failed_at_ms: going.first_failed_at_ms.unwrap_or(now_ms),
        due_at_ms,
        fault,
    }
}

/// Delivers changes within the longest time of a call.
pub(crate) async fn call(kind: &dyn Kind, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
    within(LONGEST_CALL, kind.deliver(changes)).await
}

/// Parts of at most so many changes and about so many bytes.
fn chunks(
    pairs: Vec<(Going, Change)>,
    most: usize,
    most_bytes: usize,
) -> Vec<Vec<(Going, Change)>> {
    let mut chunks = Vec::new();
    let mut chunk: Vec<(Going, Change)> = Vec::new();
    let mut bytes = 0;
    for pair in pairs {
        let size = size(&pair.1);
        if !chunk.is_empty() && (chunk.len() >= most.max(1) || bytes + size > most_bytes) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += size;
        chunk.push(pair);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// Pause that a destination asked for. Unit: milliseconds.
fn asked_pause_ms(fault: &Fault) -> Option<i64> {
    match fault {
        Fault::Throttled { after, .. } => {
            after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
        }
        _ => None,
    }
}

/// Failure that a fault is to the breaker.
pub(crate) fn failure_of(fault: &Fault) -> Failure {
    match fault {
        Fault::Throttled { .. } => Failure::Throttled(asked_pause_ms(fault)),
        Fault::Misconfigured { .. } => Failure::Misconfigured,
        _ => Failure::Transient,
    }
}

pub(crate) fn jitter() -> u16 {
    rand::rng().random_range(0..=1000)
}

#[cfg(test)]
mod tests {
    use domain::connection::ConnectionId;
    use models::ids::TerraUserId;

    use super::*;

    fn connection(name: &str, gone: Option<u64>) -> Changed {
        let user = TerraUserId::new(name).unwrap();
        let id = ConnectionId::of(&user);
        Changed::Connection { id, gone }
    }

    #[test]
    fn the_last_change_of_a_subject_stands_for_all_in_its_place() {
        let changes = vec![
            connection("a", Some(1)),
            connection("b", None),
            connection("a", None),
        ];
        let batch = Batch::fresh(&changes, Cause::Live, false);
        let left: Vec<_> = batch.going.into_iter().map(|going| going.changed).collect();
        assert_eq!(left, [connection("b", None), connection("a", Some(1))]);
    }
}
