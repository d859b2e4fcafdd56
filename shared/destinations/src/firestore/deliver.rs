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
    rest::{self, Document, MAX_PAGES, MOST_NAMED, PAGE, WRITE},
};
use crate::{
    change::{Body, Change, Total},
    id::{OwnerId, RecordId, checksum},
    kind::{Erasure, Fault, Outcome, set},
    net::without_end,
};

/// Attempts to write over what another writer just wrote.
const ROUNDS: usize = 3;
/// Largest request. Firestore takes 10 MiB.
const MAX_REQUEST_BYTES: usize = 9_000_000;
/// Collection of Terra's own for events of users.
const TERRAS_EVENTS: &str = "user_events";
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
                    let path = self.path("record_id");
                    let by_id = (path.as_str(), change.record_id.as_str());
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
        let mut places = HashMap::new();
        for _ in 0..ROUNDS {
            if pending.is_empty() {
                break;
            }
            pending = self.round(pending, &mut outcomes, &mut places).await?;
        }
        if self.layout == Layout::Terra {
            self.keep_newest(changes, &places).await?;
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
        places: &mut HashMap<RecordId, String>,
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
                    0 => {
                        set(outcomes, index, Outcome::Applied { repaired });
                        places.insert(write.pending.change.record_id.clone(), write.pending.name);
                    }
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

    /// Removes what records left under other names: a start or a user changed, or two writers met. `places` are the
    /// names of those that were written now.
    async fn keep_newest(
        &self,
        changes: &[Change],
        places: &HashMap<RecordId, String>,
    ) -> Result<(), Fault> {
        let mut by_collection: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for change in changes {
            if let (Body::Record(_), Some(collection)) = (&change.body, change.collection()) {
                by_collection.entry(collection).or_default().push(change);
            }
        }
        for (collection, changes) in by_collection {
            for changes in changes.chunks(MOST_NAMED) {
                let ids: Vec<_> = changes.iter().map(|it| it.record_id.as_str()).collect();
                let found = self.of_records(collection, &ids).await?;
                let old = changes.iter().flat_map(|change| {
                    let place = places.get(&change.record_id).map(String::as_str);
                    self.outdated(&found, change, place)
                });
                let deletes: Vec<_> = old
                    .map(|it| {
                        let unchanged = json!({"updateTime": it.update_time});
                        json!({"delete": it.name, "currentDocument": unchanged})
                    })
                    .collect();
                if deletes.is_empty() {
                    continue;
                }
                // One that changed or went meanwhile is somebody else's.
                let is_bad = |code: &u16| *code != 0 && !is_lost(*code);
                let codes = self.batch_write(&deletes).await?;
                if let Some(code) = codes.into_iter().find(is_bad) {
                    return Err(of_code(code, &self.right(WRITE)));
                }
            }
        }
        Ok(())
    }

    /// Documents of a record that hold an older state than another one of it. Written over an equal revision was a
    /// state whose user changed: what has the former name is outdated too.
    fn outdated<'a>(
        &self,
        found: &'a [Document],
        change: &Change,
        place: Option<&str>,
    ) -> Vec<&'a Document> {
        let id = change.record_id.as_str();
        let is_of_it = |it: &&Document| rest::text(it.ours(self.layout, "record_id")) == Some(id);
        let revision = |it: &Document| rest::whole(it.ours(self.layout, "revision")).unwrap_or(0);
        let of_record: Vec<_> = found.iter().filter(is_of_it).collect();
        let newest = of_record.iter().map(|it| revision(it)).max().unwrap_or(0);
        let is_moved = |it: &Document| {
            change.force && newest == change.revision && place.is_some_and(|place| place != it.name)
        };
        let is_old = |it: &&Document| revision(it) < newest || is_moved(it);
        of_record.into_iter().filter(is_old).collect()
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

    /// Deletes what we wrote of a person, and Terra's own documents of before the move: they may lie in the same
    /// collections.
    pub(super) async fn delete_person(&self, person: &Erasure) -> Result<u64, Fault> {
        let mut count = 0;
        let path = self.path("connection_id");
        for data_type in Self::collections() {
            for owner in &person.owners {
                let owned = (path.as_str(), owner.as_str());
                count += self.delete_where(collection(data_type), owned).await?;
            }
        }
        let types = DataType::ALL.map(DataType::as_str).into_iter();
        for collection in types.chain([TERRAS_EVENTS]) {
            for user in &person.terra_user_ids {
                let terras = ("user.user_id", user.as_str());
                count += self.delete_where(collection, terras).await?;
            }
        }
        Ok(count)
    }

    async fn delete_where(&self, collection: &str, whose: (&str, &str)) -> Result<u64, Fault> {
        let mut count = 0;
        loop {
            let found = self.page(collection, whose, None).await?;
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
        for _ in 0..MAX_PAGES {
            let path = self.path("connection_id");
            let of_owner = (path.as_str(), owner.as_str());
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
        Err(without_end())
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
