//! Writing, deleting and counting documents.

use std::collections::{BTreeMap, HashMap};

use futures::{
    FutureExt as _,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use models::data::DataType;
use serde_json::{Map, Value, json};

use super::{
    Firestore, Layout,
    document::document,
    faults::{is_lost, of_code},
    rest::{self, Document, PAGE, WRITE},
};
use crate::{
    change::{Body, Change, Total},
    id::{OwnerId, RecordId, checksum},
    kind::{Fault, Outcome, set},
};

/// Attempts to write over what another writer just wrote.
const ROUNDS: usize = 3;
/// Largest request. Firestore takes 10 MiB.
const MAX_REQUEST_BYTES: usize = 9_000_000;
/// Requests at once that count.
const PARALLEL: usize = 8;

/// A change on its way.
struct Pending<'a> {
    index: usize,
    change: &'a Change,
    /// Name of the document.
    name: String,
    /// Content; none deletes the document.
    fields: Option<Map<String, Value>>,
    repaired: u32,
}

/// A write with its condition.
struct Write<'a> {
    pending: Pending<'a>,
    json: Value,
    size: usize,
}

/// The characters of a name that no path takes apart.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .take(700)
        .collect()
}

/// Splits what is written into requests that Firestore takes.
fn requests(writes: Vec<Write<'_>>) -> Vec<Vec<Write<'_>>> {
    let mut requests: Vec<Vec<Write<'_>>> = Vec::new();
    let mut bytes = usize::MAX;
    for write in writes {
        bytes = bytes.saturating_add(write.size);
        match requests.last_mut() {
            Some(request) if bytes <= MAX_REQUEST_BYTES => request.push(write),
            _ => {
                bytes = write.size;
                requests.push(vec![write]);
            }
        }
    }
    requests
}

impl Firestore {
    fn name(&self, collection: &str, id: &str) -> String {
        format!("{}/{collection}/{id}", self.parent)
    }

    /// Id of the document of a state.
    fn id(&self, change: &Change) -> String {
        match (&change.body, self.layout) {
            (Body::Record(state), Layout::Terra) => {
                let start = state.text("start_time");
                let start = start.unwrap_or_else(|| state.key.clone());
                let user = match &change.source.terra_user_id {
                    Some(user) => user.as_str(),
                    None => change.source.owner.as_str(),
                };
                format!("{}-{}.json", plain(user), plain(&start))
            }
            _ => change.record_id.to_string(),
        }
    }

    /// The changes that are to be written, with their contents.
    async fn pending<'a>(
        &self,
        changes: &'a [Change],
        outcomes: &mut [Outcome],
    ) -> Result<Vec<Pending<'a>>, Fault> {
        let mut pending = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let Some(collection) = change.collection() else {
                continue;
            };
            let named = |name: String, fields, repaired| Pending {
                index,
                change,
                name,
                fields,
                repaired,
            };
            if change.is_deletion() {
                let is_named_by_start =
                    self.layout == Layout::Terra && change.data_type().is_some();
                if is_named_by_start {
                    // The name holds the start, which a deleted record no longer has.
                    let by_id = ("record_id", change.record_id.as_str());
                    let found = self.page(collection, by_id, None).await?;
                    pending.extend(found.into_iter().map(|found| named(found.name, None, 0)));
                } else {
                    let name = self.name(collection, change.record_id.as_str());
                    pending.push(named(name, None, 0));
                }
                continue;
            }
            match document(change, self.layout) {
                Ok((fields, repaired)) => {
                    let name = self.name(collection, &self.id(change));
                    pending.push(named(name, Some(fields), repaired));
                }
                Err(fault) => set(outcomes, index, fault.into_outcome()),
            }
        }
        Ok(pending)
    }

    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = vec![Outcome::APPLIED; changes.len()];
        let mut pending = self.pending(changes, &mut outcomes).await?;
        for _ in 0..ROUNDS {
            if pending.is_empty() {
                return Ok(outcomes);
            }
            pending = self.round(pending, &mut outcomes).await?;
        }
        for left in pending {
            let fault = Fault::Conflict { code: None };
            set(&mut outcomes, left.index, Outcome::Retry(fault));
        }
        Ok(outcomes)
    }

    /// Reads what is there and writes over what is older. Returns what has to be looked at again.
    async fn round<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        outcomes: &mut [Outcome],
    ) -> Result<Vec<Pending<'a>>, Fault> {
        let names: Vec<_> = pending.iter().map(|one| one.name.as_str()).collect();
        let there = self.get(&names).await?;
        let there: HashMap<_, _> = there
            .into_iter()
            .map(|document| (document.name.clone(), document))
            .collect();
        let mut again = Vec::new();
        let mut writes = Vec::new();
        let mut taken = HashMap::new();
        for mut one in pending {
            let found = there.get(&one.name);
            // Two records of one call can begin at once and have one name in Terra's layout.
            let other = taken
                .get(&one.name)
                .is_some_and(|id| *id != one.change.record_id);
            if other || found.is_some_and(|found| self.is_anothers(found, one.change)) {
                if one.fields.is_some() && self.layout == Layout::Terra {
                    one.name = suffixed(&one.name, &one.change.record_id);
                    again.push(one);
                } else if one.fields.is_some() {
                    let fault = Fault::misconfigured("a document has the id of another record");
                    set(outcomes, one.index, Outcome::Retry(fault));
                }
                continue;
            }
            match self.write_of(one, found) {
                Ok(write) => {
                    let id = write.pending.change.record_id.clone();
                    taken.insert(write.pending.name.clone(), id);
                    writes.push(write);
                }
                Err(index) => set(outcomes, index, Outcome::Stale),
            }
        }
        for request in requests(writes) {
            let json: Vec<_> = request.iter().map(|write| write.json.clone()).collect();
            let codes = self.batch_write(&json).await?;
            for (write, code) in request.into_iter().zip(codes) {
                let Pending {
                    index, repaired, ..
                } = write.pending;
                match code {
                    0 => set(outcomes, index, Outcome::Applied { repaired }),
                    code if is_lost(code) => again.push(write.pending),
                    code => {
                        let fault = of_code(code, &self.right(WRITE));
                        set(outcomes, index, fault.into_outcome());
                    }
                }
            }
        }
        Ok(again)
    }

    /// Returns whether a document belongs to another record. One of Terra's own, of before the move, is written
    /// over.
    fn is_anothers(&self, found: &Document, change: &Change) -> bool {
        let id = rest::text(found.ours(self.layout, "record_id"));
        id.is_some_and(|id| id != change.record_id.as_str())
    }

    /// The write of a change over what was found; its place if what was found is as new.
    fn write_of<'a>(
        &self,
        pending: Pending<'a>,
        found: Option<&Document>,
    ) -> Result<Write<'a>, usize> {
        let held = found.and_then(|found| rest::whole(found.ours(self.layout, "revision")));
        let revision = pending.change.revision;
        let condition = match found {
            Some(found) => json!({"updateTime": found.update_time}),
            None => json!({"exists": false}),
        };
        let json = match &pending.fields {
            Some(fields) => {
                let stale =
                    |held: u64| held > revision || held == revision && !pending.change.force;
                if held.is_some_and(stale) {
                    return Err(pending.index);
                }
                json!({
                    "update": {"name": pending.name, "fields": fields},
                    "currentDocument": condition,
                })
            }
            // A deletion of what is not there, or of a newer state, has nothing to do.
            None if found.is_none() || held.is_none_or(|held| held > revision) => {
                return Err(pending.index);
            }
            None => json!({"delete": pending.name, "currentDocument": condition}),
        };
        let size = json.to_string().len();
        Ok(Write {
            pending,
            json,
            size,
        })
    }

    fn collections() -> impl Iterator<Item = Option<DataType>> {
        DataType::ALL.into_iter().map(Some).chain([None])
    }

    pub(super) async fn delete_owners(&self, owners: &[OwnerId]) -> Result<u64, Fault> {
        let mut count = 0;
        for data_type in Self::collections() {
            for owner in owners {
                count += self.delete_owner(collection(data_type), owner).await?;
            }
        }
        Ok(count)
    }

    async fn delete_owner(&self, collection: &str, owner: &OwnerId) -> Result<u64, Fault> {
        let mut count = 0;
        loop {
            let of_owner = ("connection_id", owner.as_str());
            let found = self.page(collection, of_owner, None).await?;
            let deletes: Vec<_> = found
                .iter()
                .map(|document| json!({"delete": document.name}))
                .collect();
            if deletes.is_empty() {
                return Ok(count);
            }
            let codes = self.batch_write(&deletes).await?;
            if let Some(code) = codes.iter().find(|code| **code != 0) {
                return Err(of_code(*code, &self.right(WRITE)));
            }
            count += deletes.len() as u64;
        }
    }

    pub(super) async fn count(&self, owners: &[OwnerId]) -> Result<Vec<Total>, Fault> {
        let mut asked = Vec::new();
        for owner in owners {
            asked.extend(Self::collections().map(|kept| self.total(owner, kept).boxed()));
        }
        let totals = stream::iter(asked).buffer_unordered(PARALLEL);
        let totals: Vec<_> = totals.try_collect().await?;
        Ok(totals.into_iter().filter(|total| total.count > 0).collect())
    }

    async fn total(&self, owner: &OwnerId, data_type: Option<DataType>) -> Result<Total, Fault> {
        let counted = self.aggregate(collection(data_type), owner.as_str()).await;
        let (count, sum) = match counted {
            // A sum over a filter may want an index that nobody made: a list does not.
            Err(Fault::Misconfigured {
                code: Some(code), ..
            }) if code == "FAILED_PRECONDITION" => {
                let records = self.list(owner, data_type).await?;
                let sums = records
                    .iter()
                    .map(|(id, revision)| u64::from(checksum(id, *revision)));
                (records.len() as u64, sums.sum())
            }
            counted => counted?,
        };
        Ok(Total {
            owner: owner.clone(),
            data_type,
            count,
            sum,
        })
    }

    pub(super) async fn list(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        let mut records = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let of_owner = ("connection_id", owner.as_str());
            let page = self
                .page(collection(data_type), of_owner, after.as_deref())
                .await?;
            for document in &page {
                let id = rest::text(document.ours(self.layout, "record_id"));
                let revision = rest::whole(document.ours(self.layout, "revision"));
                if let (Some(Ok(id)), Some(revision)) = (id.map(str::parse), revision) {
                    records.insert(id, revision);
                }
            }
            after = page.last().map(|document| document.name.clone());
            if page.len() < PAGE || after.is_none() {
                return Ok(records.into_iter().collect());
            }
        }
    }
}

fn collection(data_type: Option<DataType>) -> &'static str {
    data_type.map_or("connections", DataType::as_str)
}

/// The name of a second record that begins at the same time.
fn suffixed(name: &str, record_id: &RecordId) -> String {
    let suffix: String = record_id.as_str().chars().take(8).collect();
    let stem = name.strip_suffix(".json").unwrap_or(name);
    format!("{stem}-{suffix}.json")
}
