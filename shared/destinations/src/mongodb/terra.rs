//! Terra's layout: documents named by user and start, with what is ours under one name.
//!
//! A name does not say which record it holds: two sessions can begin at once, a start can change, and
//! before the move the document was Terra's own. So what is there is read before and after a write.

use std::collections::{BTreeMap, BTreeSet};

use ::mongodb::{
    Database,
    bson::{Bson, Document, doc},
};

use super::{
    Mongodb,
    deliver::{Write, whole},
    document::{document, json},
    faults::fault,
};
use crate::{
    change::{Body, Change},
    envelope::user,
    id::RecordId,
    kind::{Fault, Outcome, set},
};

/// Name of what is ours in a document.
pub(super) const OURS: &str = "_terrarium";
/// Path of the record's id.
pub(super) const RECORD_ID: &str = "_terrarium.record_id";
/// Path of the revision.
pub(super) const REVISION: &str = "_terrarium.revision";
/// Documents that one record can have for a while: names of former starts and users.
const MOST_OF_A_RECORD: usize = 32;
/// Fields that the record itself has.
const IN_THE_RECORD: [&str; 3] = ["_id", "summary", "enrichment"];

/// A document of a record that is there.
struct Held {
    id: Bson,
    record_id: String,
    revision: u64,
}

/// The name of a record's document; with the record's id for a second one that begins at the same time.
fn name(change: &Change, is_second: bool) -> Bson {
    let user_id = change.source.terra_user_id.as_ref();
    let user_id = user_id.map_or(change.source.owner.as_str(), |user| user.as_str());
    let start = match &change.body {
        Body::Record(state) => state
            .text("start_time")
            .unwrap_or_else(|| state.key.clone()),
        _ => String::new(),
    };
    let mut id = doc! {"user_id": user_id, "start_time": start};
    if is_second {
        id.insert("record_id", change.record_id.as_str());
    }
    Bson::Document(id)
}

/// The document of a state, with the number of characters that were replaced.
pub(super) fn terras(change: &Change, is_second: bool) -> Result<(Document, u32), Fault> {
    let (mut ours, mut repaired) = document(change)?;
    let mut top = match ours.remove("payload") {
        Some(Bson::Document(record)) => record,
        _ => Document::new(),
    };
    for field in IN_THE_RECORD {
        ours.remove(field);
    }
    ours.insert("record_id", change.record_id.as_str());
    let user = serde_json::to_vec(&user(&change.source)).unwrap_or_default();
    top.insert("user", json(&user, &mut repaired)?);
    top.insert(OURS, ours);
    top.insert("_id", name(change, is_second));
    Ok((top, repaired))
}

impl Mongodb {
    /// Writes states of records into one collection. Afterwards each record has one document: that of its
    /// newest state, whoever else writes.
    pub(super) async fn write_terras(
        &self,
        database: &Database,
        collection: &str,
        changes: Vec<(usize, &Change)>,
        outcomes: &mut [Outcome],
    ) -> Result<(), Fault> {
        let ids = changes
            .iter()
            .map(|(_, change)| change.record_id.to_string());
        let ids: Vec<_> = ids.collect();
        let held = self.held(database, collection, &ids).await?;
        let mut writes = Vec::new();
        let mut by_place = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (index, change) in changes {
            let of_record = held
                .iter()
                .filter(|held| held.record_id == change.record_id.as_str());
            let of_record: Vec<_> = of_record.collect();
            let newest = of_record.iter().map(|held| held.revision).max();
            let is_stale = |revision| {
                revision > change.revision || (revision == change.revision && !change.force)
            };
            if newest.is_some_and(is_stale) {
                set(outcomes, index, Outcome::Stale);
                continue;
            }
            let second = name(change, true);
            let is_second = of_record.iter().any(|held| held.id == second);
            by_place.insert(index, change);
            match write(index, change, is_second, false) {
                Ok(write) => {
                    names.insert(index, name(change, is_second));
                    writes.push(write);
                }
                Err(fault) => set(outcomes, index, fault.into_outcome()),
            }
        }
        // A taken name is tried once more: it may have been an insert of another writer.
        let again = self.upsert(database, collection, writes, outcomes).await?;
        let taken = self.upsert(database, collection, again, outcomes).await?;
        // One after the other: two records of this call may want the same name.
        for taken in taken {
            let Some(change) = by_place.get(&taken.index) else {
                continue;
            };
            let holder = self
                .holder(database, collection, &name(change, false))
                .await?;
            let next = match holder {
                // Terra's own, of before the move.
                Some(None) => write(taken.index, change, false, true),
                Some(Some(id)) if id != change.record_id.as_str() => {
                    names.insert(taken.index, name(change, true));
                    write(taken.index, change, true, false)
                }
                Some(Some(_)) => {
                    set(outcomes, taken.index, Outcome::Stale);
                    continue;
                }
                // Removed meanwhile.
                None => write(taken.index, change, false, false),
            };
            match next {
                Ok(write) => {
                    let upsert = self.upsert(database, collection, vec![write], outcomes);
                    if !upsert.await?.is_empty() {
                        let conflict = Outcome::Retry(Fault::Conflict { code: None });
                        set(outcomes, taken.index, conflict);
                    }
                }
                Err(fault) => set(outcomes, taken.index, fault.into_outcome()),
            }
        }
        for (index, name) in names {
            let Some(change) = by_place.get(&index) else {
                continue;
            };
            let is_written = matches!(outcomes.get(index), Some(Outcome::Applied { .. }));
            let is_left =
                |held: &Held| held.record_id == change.record_id.as_str() && held.id != name;
            if is_written
                && held.iter().any(is_left)
                && let Some(former) = former(change, &name)
            {
                self.remove(database, collection, former).await?;
            }
        }
        self.keep_newest(database, collection, &ids).await
    }

    async fn remove(
        &self,
        database: &Database,
        collection: &str,
        which: Document,
    ) -> Result<(), Fault> {
        let documents = database.collection::<Document>(collection);
        let removed = documents.delete_many(which).await;
        let removed = removed.map_err(|error| fault(&error, &self.right()));
        removed.map(|_| ())
    }

    /// Documents of records, wherever they are.
    async fn held(
        &self,
        database: &Database,
        collection: &str,
        ids: &[String],
    ) -> Result<Vec<Held>, Fault> {
        let failed = |error| fault(&error, &self.right());
        let found = database
            .collection::<Document>(collection)
            .find(doc! {RECORD_ID: {"$in": ids}})
            .projection(doc! {RECORD_ID: 1, REVISION: 1})
            .await
            .map_err(failed)?;
        let held = |mut found: Document| {
            let (record_id, revision) = named(&found)?;
            let record_id = record_id.to_string();
            Some(Held {
                id: found.remove("_id")?,
                record_id,
                revision,
            })
        };
        self.documents(found, ids.len() * MOST_OF_A_RECORD, held)
            .await
    }

    /// The record whose document has a name: none has it, one of ours, or a document of Terra's own.
    async fn holder(
        &self,
        database: &Database,
        collection: &str,
        id: &Bson,
    ) -> Result<Option<Option<String>>, Fault> {
        let found = database
            .collection::<Document>(collection)
            .find_one(doc! {"_id": id})
            .projection(doc! {RECORD_ID: 1, REVISION: 1})
            .await
            .map_err(|error| fault(&error, &self.right()))?;
        Ok(found.map(|found| named(&found).map(|(id, _)| id.to_string())))
    }

    /// Removes what a record left under another name: its start changed, or two writers met.
    async fn keep_newest(
        &self,
        database: &Database,
        collection: &str,
        ids: &[String],
    ) -> Result<(), Fault> {
        let held = self.held(database, collection, ids).await?;
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        let mut several = BTreeSet::new();
        for held in &held {
            let revision = newest.entry(&held.record_id).or_insert(held.revision);
            if *revision != held.revision {
                several.insert(held.record_id.as_str());
            }
            *revision = held.revision.max(*revision);
        }
        for id in several {
            let newest = newest.get(id).copied().unwrap_or_default();
            let newest = i64::try_from(newest).unwrap_or(i64::MAX);
            let older = doc! {RECORD_ID: id, REVISION: {"$lt": newest}};
            self.remove(database, collection, older).await?;
        }
        Ok(())
    }
}

/// Documents that a state has left behind which was written anew under a name: its user changed, and not its revision.
fn former(change: &Change, name: &Bson) -> Option<Document> {
    let revision = i64::try_from(change.revision).unwrap_or(i64::MAX);
    change.force.then(|| {
        doc! {
            RECORD_ID: change.record_id.as_str(), REVISION: {"$lte": revision}, "_id": {"$ne": name.clone()},
        }
    })
}

/// One write; over a document of Terra's own if that `is_over_terras`.
fn write(
    index: usize,
    change: &Change,
    is_second: bool,
    is_over_terras: bool,
) -> Result<Write, Fault> {
    let (document, repaired) = terras(change, is_second)?;
    let revision = i64::try_from(change.revision).unwrap_or(i64::MAX);
    let older = if change.force { "$lte" } else { "$lt" };
    let mut condition = doc! {"_id": name(change, is_second)};
    if is_over_terras {
        condition.insert(OURS, Bson::Null);
    } else {
        condition.insert(RECORD_ID, change.record_id.as_str());
        condition.insert(REVISION, doc! {older: revision});
    }
    Ok(Write {
        index,
        statement: doc! {"q": condition, "u": document, "upsert": true},
        repaired,
    })
}

/// Record and revision of a document; none for one of Terra's own.
pub(super) fn named(document: &Document) -> Option<(RecordId, u64)> {
    let ours = document.get_document(OURS).ok()?;
    let id = ours.get_str("record_id").ok()?.parse().ok()?;
    Some((id, whole(ours.get("revision"))?))
}

#[cfg(test)]
mod tests {
    use models::data::DataType;

    use super::*;
    use crate::samples;

    #[test]
    fn a_document_has_terras_fields_at_the_top_and_ours_under_one_name() {
        let record = r#"{"_id":"x","user":"y","distance_data":{"steps":65},"metadata":{"start_time":"2026-11-20T00:00:00+00:00"}}"#;
        let change = samples::record(DataType::Daily, "2026-11-20", record, 7);
        let (document, _) = terras(&change, false).unwrap();
        let id = doc! {"user_id": "user-1", "start_time": "2026-11-20T00:00:00+00:00"};
        assert_eq!(document.get_document("_id").unwrap(), &id);
        let steps = document.get_document("distance_data").unwrap();
        assert_eq!(steps.get("steps"), Some(&Bson::Int64(65)));
        let user = document.get_document("user").unwrap();
        assert_eq!(user.get_str("user_id").unwrap(), "user-1");
        assert_eq!(user.get_str("reference_id").unwrap(), "person-1");
        assert_eq!(named(&document), Some((change.record_id.clone(), 7)));
        assert!(document.get("payload").is_none());
        let (second, _) = terras(&change, true).unwrap();
        let id = second.get_document("_id").unwrap();
        assert_eq!(id.get_str("record_id").unwrap(), change.record_id.as_str());
    }

    #[test]
    fn a_state_that_is_written_anew_for_another_user_leaves_its_former_name_behind() {
        let record = r#"{"metadata":{"start_time":"2026-11-20T00:00:00+00:00"}}"#;
        let mut change = samples::record(DataType::Daily, "2026-11-20", record, 7);
        change.source.terra_user_id = samples::source(2).terra_user_id;
        let place = name(&change, false);
        assert_eq!(former(&change, &place), None);
        change.force = true;
        let former = former(&change, &place).unwrap();
        let id = doc! {"user_id": "user-2", "start_time": "2026-11-20T00:00:00+00:00"};
        let expected = doc! {
            RECORD_ID: change.record_id.as_str(), REVISION: {"$lte": 7_i64}, "_id": {"$ne": id},
        };
        assert_eq!(former, expected);
    }
}
