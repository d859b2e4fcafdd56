//! The common part of all buckets: names of objects, and how a state is written only over an older
//! one.
//!
//! A record has one object, named by its record id. Its revision stands in the object's metadata; it
//! is read first and written on the condition that nobody wrote meanwhile.

mod layout;
mod objects;
mod probe;
#[cfg(any(feature = "s3", feature = "azure"))]
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::{
    FutureExt as _,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use models::data::DataType;
use tokio::sync::Semaphore;

use crate::{
    change::{Body, Change, Total},
    config::{Fields, Format},
    envelope::{self, Payload},
    id::{OwnerId, RecordId, checksum},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome, Rejection},
};
pub(crate) use layout::Layout;
use objects::Walk;
pub(crate) use objects::{Condition, Doing, Head, Object, Objects, Page, Put};
#[cfg(feature = "gcs")]
pub(crate) use objects::{PAGE, RECORD, REVISION};

/// Objects that are written at once.
const PARALLEL: usize = 16;
/// Pages of lists that are read at once: each is larger than any other answer.
const LISTS: usize = 4;
/// Objects of one list whose metadata are read at once.
const HEADS: usize = 4;
/// Ending of the name of an activity's file.
const FIT: &str = "fit";
/// Attempts to write over what another writer just wrote.
const ROUNDS: usize = 3;

/// A bucket of any kind.
#[derive(Debug)]
pub(crate) struct Bucket<O> {
    pub(crate) objects: O,
    pub(crate) settings: Settings,
    lists: Semaphore,
}

/// Content that is written into a bucket.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) layout: Layout,
    pub(crate) format: Format,
    /// True if the FIT file of an activity stands beside its JSON.
    pub(crate) fit: bool,
    /// True if we may only write: states are then written without looking.
    pub(crate) write_only: bool,
}

impl Settings {
    /// Reads the settings that all buckets have.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Self {
        let prefix = fields.text("prefix").unwrap_or_default();
        if prefix.starts_with('/')
            || prefix.contains("//")
            || prefix.split('/').any(|part| part == "..")
        {
            fields.refuse("prefix", "has to be a relative path such as `terrarium/`");
        }
        let prefix = match prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let layouts = [
            ("record", Layout::Record),
            ("terra", Layout::Terra),
            ("revisions", Layout::Revisions),
        ];
        let layout = fields.choice("layout", &layouts, Layout::Record);
        let chosen = fields.format();
        if layout == Layout::Terra && chosen == Format::Fhir {
            fields.refuse(
                "format",
                "cannot be fhir in layout terra, whose files are Terra's",
            );
        }
        let format = match (layout, chosen) {
            (Layout::Terra, _) => Format::Terra,
            (_, Format::Fit) => Format::Record,
            (_, format) => format,
        };
        let write_only = fields.flag("write_only", false);
        Self {
            prefix,
            layout,
            format,
            fit: chosen == Format::Fit,
            write_only,
        }
    }
}

impl<O> Bucket<O> {
    pub(crate) fn new(objects: O, settings: Settings) -> Self {
        Self {
            objects,
            settings,
            lists: Semaphore::new(LISTS),
        }
    }
}

impl<O: Objects> Bucket<O> {
    /// Reads the page of a list at which a walk is.
    async fn page(&self, prefix: &str, walk: &Walk) -> Result<Page<String>, Fault> {
        // Refused by no semaphore that stays open.
        let _turn = self.lists.acquire().await.ok();
        self.objects.page(prefix, walk.after()).await
    }

    async fn deliver_one(&self, change: &Change) -> Result<Outcome, Fault> {
        match &change.body {
            Body::Test | Body::Totals(_) => Ok(Outcome::APPLIED),
            Body::Webhook(webhook) => {
                let key = layout::webhook_key(&self.settings, webhook);
                self.put_once(&key, change).await
            }
            // Terra has no file for a connection's state.
            Body::Connection { .. } | Body::ConnectionDeleted
                if self.settings.layout == Layout::Terra =>
            {
                Ok(Outcome::APPLIED)
            }
            Body::Deleted { .. } | Body::ConnectionDeleted => self.delete(change).await,
            Body::Record(_) | Body::Connection { .. } => {
                // The file first: whoever finds the JSON of a revision finds its file too.
                if self.has_file(change) {
                    let written = self.put_file(change).await?;
                    if !written.is_settled() {
                        return Ok(written);
                    }
                }
                let payload = match envelope::payload(change, self.settings.format) {
                    Ok(payload) => payload,
                    Err(fault) => return Ok(fault.into_outcome()),
                };
                self.put_as_laid_out(change, &payload).await
            }
        }
    }

    fn has_file(&self, change: &Change) -> bool {
        self.settings.fit && change.data_type() == Some(DataType::Activity)
    }

    /// Writes the file of an activity, or removes the one of an earlier state that had one.
    async fn put_file(&self, change: &Change) -> Result<Outcome, Fault> {
        match envelope::file(change, Format::Fit) {
            Ok(Some(file)) => self.put_as_laid_out(change, &file).await,
            Ok(None) if self.settings.write_only || self.settings.layout == Layout::Revisions => {
                Ok(Outcome::APPLIED)
            }
            Ok(None) => {
                let key = layout::state_key(&self.settings, change, FIT);
                let own = layout::suffixed(&key, &change.record_id);
                let deleted = self.delete_all(change, [key.clone(), own]).await?;
                if !deleted.is_settled() {
                    return Ok(deleted);
                }
                self.keep_newest(change, &key).await
            }
            Err(fault) => Ok(fault.into_outcome()),
        }
    }

    async fn put_as_laid_out(&self, change: &Change, payload: &Payload) -> Result<Outcome, Fault> {
        match self.settings.layout {
            Layout::Revisions => {
                let key = layout::revision_key(&self.settings, change, payload.extension);
                self.put_payload_once(&key, change, payload).await
            }
            Layout::Record | Layout::Terra => self.put_state(change, payload).await,
        }
    }

    /// Writes an object that never changes.
    async fn put_once(&self, key: &str, change: &Change) -> Result<Outcome, Fault> {
        match envelope::payload(change, self.settings.format) {
            Ok(payload) => self.put_payload_once(key, change, &payload).await,
            Err(fault) => Ok(fault.into_outcome()),
        }
    }

    async fn put_payload_once(
        &self,
        key: &str,
        change: &Change,
        payload: &Payload,
    ) -> Result<Outcome, Fault> {
        let object = Object::of(change, payload);
        // The person or the ids of the connection may have changed since.
        let condition = if change.force {
            Condition::Any
        } else {
            Condition::Missing
        };
        Ok(match self.objects.put(key, object, condition).await? {
            Put::Done => Outcome::APPLIED,
            Put::Lost => Outcome::Stale,
        })
    }

    /// Writes a state over an older one.
    async fn put_state(&self, change: &Change, payload: &Payload) -> Result<Outcome, Fault> {
        let mut key = layout::state_key(&self.settings, change, payload.extension);
        if self.settings.write_only {
            self.objects
                .put(&key, Object::of(change, payload), Condition::Any)
                .await?;
            return Ok(Outcome::APPLIED);
        }
        for _ in 0..ROUNDS {
            let head = self.objects.head(&key).await?;
            if let Some(head) = &head {
                let is_anothers = head
                    .record
                    .as_deref()
                    .is_some_and(|id| id != change.record_id.as_str());
                if is_anothers {
                    // Terra names objects by start: two sessions can begin at once.
                    let own = layout::suffixed(&key, &change.record_id);
                    if own == key {
                        return Err(Fault::misconfigured(
                            "an object has the id of another record",
                        ));
                    }
                    key = own;
                    continue;
                }
                if head.revision.is_some_and(|held| is_stale(change, held)) {
                    // An attempt before may have ended between the write and what follows it.
                    if change.attempt > 1 && head.revision == Some(change.revision) {
                        self.keep_newest(change, &key).await?;
                    }
                    return Ok(Outcome::Stale);
                }
            }
            let condition = match &head {
                None => Condition::Missing,
                Some(head) => Condition::Unchanged(&head.stamp),
            };
            if let Put::Done = self
                .objects
                .put(&key, Object::of(change, payload), condition)
                .await?
            {
                // A name that is new may be a second one of a record that had another.
                if head.is_none() || change.force {
                    return self.keep_newest(change, &key).await;
                }
                return Ok(Outcome::APPLIED);
            }
        }
        Ok(Outcome::Retry(Fault::Conflict { code: None }))
    }

    /// Deletes what a record left under former names in Terra's layout, or the object of this name if another one
    /// holds a newer state. Where the store lets nobody list or delete, all stay.
    async fn keep_newest(&self, change: &Change, key: &str) -> Result<Outcome, Fault> {
        let mut outcome = Outcome::APPLIED;
        for prefix in layout::former_prefixes(&self.settings, change) {
            match self.delete_older(change, &prefix, key).await {
                Ok(Outcome::Applied { .. }) => {}
                Ok(other) => outcome = other,
                Err(Fault::Misconfigured { .. }) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(outcome)
    }

    /// Deletes the older ones of two objects of a record: the one of this name, and another one whose name begins with
    /// a prefix and ends as it does.
    async fn delete_older(
        &self,
        change: &Change,
        prefix: &str,
        key: &str,
    ) -> Result<Outcome, Fault> {
        let ending = key.rsplit_once('.').map_or("", |(_, ending)| ending);
        let others = self.of_record(change, prefix).await?;
        let others = others.into_iter();
        let others = others.filter(|(other, _)| other != key && other.ends_with(ending));
        let mut older = Vec::new();
        for (other, head) in others {
            if head.revision.is_some_and(|held| is_stale(change, held)) {
                let deleted = self.delete_all(change, [key.to_owned()]).await?;
                return Ok(if deleted.is_settled() {
                    Outcome::Stale
                } else {
                    deleted
                });
            }
            older.push(other);
        }
        self.delete_all(change, older).await
    }

    /// The objects of the record of a change, among those whose names begin with a prefix.
    async fn of_record(&self, change: &Change, prefix: &str) -> Result<Vec<(String, Head)>, Fault> {
        let (mut found, mut walk) = (Vec::new(), Walk::default());
        loop {
            let page = self.page(prefix, &walk).await?;
            let heads = page.items.into_iter();
            let heads: Vec<_> = heads.map(|key| self.head_of(key).boxed()).collect();
            let heads = stream::iter(heads).buffer_unordered(HEADS);
            let heads: Vec<_> = heads.try_collect().await?;
            let is_of_it = |(_, head): &(String, Head)| {
                head.record.as_deref() == Some(change.record_id.as_str())
            };
            found.extend(heads.into_iter().flatten().filter(is_of_it));
            if !walk.go_on(page.next)? {
                return Ok(found);
            }
        }
    }

    async fn head_of(&self, key: String) -> Result<Option<(String, Head)>, Fault> {
        let head = self.objects.head(&key).await?;
        Ok(head.map(|head| (key, head)))
    }

    async fn delete(&self, change: &Change) -> Result<Outcome, Fault> {
        if self.settings.write_only && self.settings.layout != Layout::Revisions {
            return Ok(Outcome::Rejected(Rejection {
                reason: "nothing can be deleted from a bucket that is write-only: delete the object there"
                    .to_owned(),
                code: None,
                is_final: true,
            }));
        }
        let keys = match self.settings.layout {
            Layout::Record => {
                let mut keys = vec![layout::state_key(&self.settings, change, "json")];
                if self.has_file(change) {
                    keys.push(layout::state_key(&self.settings, change, FIT));
                }
                keys
            }
            Layout::Revisions => {
                let key = layout::revision_key(&self.settings, change, "deleted");
                return self.put_once(&key, change).await;
            }
            // The name holds the start, which a deleted record no longer has.
            Layout::Terra => {
                let prefixes = layout::terra_prefixes(&self.settings, change);
                if prefixes.is_empty() {
                    return Ok(Outcome::Rejected(Rejection {
                        reason: "nobody knows any more which Terra user the deleted record was of, and its object is named by that: delete it there".to_owned(),
                        code: None,
                        is_final: true,
                    }));
                }
                let mut keys = Vec::new();
                for prefix in prefixes {
                    let found = self.of_record(change, &prefix).await?;
                    keys.extend(found.into_iter().map(|(key, _)| key));
                }
                keys
            }
        };
        self.delete_all(change, keys).await
    }

    /// Deletes the objects among these that hold the record of the change in no newer state.
    async fn delete_all(
        &self,
        change: &Change,
        keys: impl IntoIterator<Item = String> + Send,
    ) -> Result<Outcome, Fault> {
        let keys: Vec<_> = keys.into_iter().collect();
        for key in keys {
            for round in 0..ROUNDS {
                let Some(head) = self.objects.head(&key).await? else {
                    break;
                };
                let is_ours = head.record.as_deref() == Some(change.record_id.as_str());
                if !is_ours || head.revision.is_none_or(|held| held > change.revision) {
                    break;
                }
                if self.objects.delete(&key, Some(&head.stamp)).await? {
                    break;
                }
                if round + 1 == ROUNDS {
                    return Ok(Outcome::Retry(Fault::Conflict { code: None }));
                }
            }
        }
        Ok(Outcome::APPLIED)
    }

    /// The records below a prefix, with their revisions.
    async fn records(&self, prefix: &str) -> Result<Vec<(RecordId, u64)>, Fault> {
        let record = |head: Head| Some((head.record?.parse().ok()?, head.revision?));
        let (mut records, mut walk) = (Vec::new(), Walk::default());
        loop {
            let page = self.objects.heads(prefix, walk.after()).await?;
            records.extend(page.items.into_iter().filter_map(record));
            if !walk.go_on(page.next)? {
                return Ok(records);
            }
        }
    }
}

/// Returns whether a change has nothing to write over a state of this revision.
fn is_stale(change: &Change, held: u64) -> bool {
    held > change.revision || (held == change.revision && !change.force)
}

#[async_trait]
impl<O: Objects> Kind for Bucket<O> {
    fn limits(&self) -> Limits {
        Limits {
            changes: 100,
            bytes: 32 * 1024 * 1024,
            concurrency: 4,
            keeps: match self.settings.layout {
                Layout::Record | Layout::Terra => Keeps::State,
                Layout::Revisions => Keeps::Log,
            },
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let outcomes: Vec<_> = changes
            .iter()
            .map(|change| self.deliver_one(change).boxed())
            .collect();
        let outcomes: Vec<_> = stream::iter(outcomes).buffered(PARALLEL).collect().await;
        let arrived = outcomes
            .iter()
            .any(|outcome| outcome.as_ref().is_ok_and(Outcome::is_settled));
        let mut settled = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            match outcome {
                Ok(outcome) => settled.push(outcome),
                Err(Fault::Rejected { reason, code }) => {
                    settled.push(Fault::Rejected { reason, code }.into_outcome());
                }
                Err(fault) if arrived => settled.push(Outcome::Retry(fault)),
                Err(fault) => return Err(fault),
            }
        }
        Ok(settled)
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        if self.settings.write_only {
            return Ok(Erased::Manual(self.what_to_remove(person)));
        }
        let mut count = 0;
        for prefix in layout::prefixes_of(&self.settings, person) {
            count += match self.remove(&prefix).await {
                Ok(count) => count,
                Err(Fault::Misconfigured { .. }) => {
                    return Ok(Erased::Manual(self.what_to_remove(person)));
                }
                Err(fault) => return Err(fault),
            };
        }
        Ok(Erased::Done(count))
    }

    async fn totals(&self, owners: &[OwnerId]) -> Result<Option<Vec<Total>>, Fault> {
        if self.settings.write_only || self.settings.layout != Layout::Record {
            return Ok(None);
        }
        let mut totals = Vec::new();
        let types = DataType::ALL.into_iter().map(Some).chain([None]);
        let types: Vec<_> = types.collect();
        for owner in owners {
            for data_type in &types {
                let records = self.revisions(owner, *data_type).await?;
                if records.is_empty() {
                    continue;
                }
                let sums = records
                    .iter()
                    .map(|(id, revision)| u64::from(checksum(id, *revision)));
                totals.push(Total {
                    owner: owner.clone(),
                    data_type: *data_type,
                    count: records.len() as u64,
                    sum: sums.sum(),
                });
            }
        }
        Ok(Some(totals))
    }

    async fn revisions(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        if self.settings.layout != Layout::Record {
            return Ok(Vec::new());
        }
        let collection = data_type.map_or("connections", DataType::as_str);
        let prefix = format!("{}{collection}/{owner}/", self.settings.prefix);
        // A record is as old as the older of its JSON and its file.
        let mut records = BTreeMap::new();
        for (id, revision) in self.records(&prefix).await? {
            let held = records.entry(id).or_insert(revision);
            *held = revision.min(*held);
        }
        Ok(records.into_iter().collect())
    }
}

impl<O: Objects> Bucket<O> {
    /// Deletes every object whose name begins with a prefix. Returns their number.
    async fn remove(&self, prefix: &str) -> Result<u64, Fault> {
        let (mut count, mut walk) = (0, Walk::default());
        loop {
            let page = self.page(prefix, &walk).await?;
            let is_empty = page.items.is_empty();
            let deletes = page.items.into_iter();
            let deletes: Vec<_> = deletes.map(|key| self.delete_any(key).boxed()).collect();
            let mut deletes = stream::iter(deletes).buffer_unordered(PARALLEL);
            while let Some(deleted) = deletes.next().await {
                deleted?;
                count += 1;
            }
            if is_empty {
                if !walk.go_on(page.next)? {
                    return Ok(count);
                }
            } else if page.next.is_none_or(|token| token.is_empty()) {
                return Ok(count);
            } else {
                // Where a token is a number, it would pass over as many objects as are gone.
                walk.begin_anew()?;
            }
        }
    }

    async fn delete_any(&self, key: String) -> Result<(), Fault> {
        self.objects.delete(&key, None).await.map(|_| ())
    }

    fn what_to_remove(&self, person: &Erasure) -> String {
        let prefixes = layout::prefixes_of(&self.settings, person);
        format!(
            "we may not list or delete in {}; remove everything below {}",
            self.objects.place(),
            prefixes.join(", ")
        )
    }
}
