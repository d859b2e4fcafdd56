use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use models::ids::TerraUserId;

use super::*;
use crate::samples;

/// An object with its stamp, its revision and its record.
type Kept = (u64, u64, String);

/// A store in memory, shared by whoever has a copy. Every step lets others come between.
#[derive(Debug, Default, Clone)]
struct Memory {
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    stamps: Arc<AtomicU64>,
    /// Deletions that are under way, and the most that ever were.
    deletes: Arc<AtomicU64>,
    most_deletes: Arc<AtomicU64>,
}

impl Memory {
    /// Names of the objects with their records and revisions.
    fn held(&self) -> Vec<(String, String, u64)> {
        let kept = self.kept.lock().unwrap();
        let held = kept.iter();
        held.map(|(key, (_, revision, record))| (key.clone(), record.clone(), *revision))
            .collect()
    }
}

#[async_trait]
impl Objects for Memory {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn right(&self, _: Doing) -> String {
        "all".to_owned()
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Fault> {
        tokio::task::yield_now().await;
        let kept = self.kept.lock().unwrap();
        Ok(kept.get(key).map(|(stamp, revision, record)| Head {
            stamp: stamp.to_string(),
            revision: Some(*revision),
            record: Some(record.clone()),
        }))
    }

    async fn put(
        &self,
        key: &str,
        object: Object<'_>,
        condition: Condition<'_>,
    ) -> Result<Put, Fault> {
        tokio::task::yield_now().await;
        let mut kept = self.kept.lock().unwrap();
        let there = kept.get(key).map(|(stamp, ..)| stamp.to_string());
        let holds = match condition {
            Condition::Any => true,
            Condition::Missing => there.is_none(),
            Condition::Unchanged(stamp) => there.as_deref() == Some(stamp),
        };
        if !holds {
            return Ok(Put::Lost);
        }
        let stamp = self.stamps.fetch_add(1, Ordering::SeqCst);
        let object = (stamp, object.revision, object.record.to_owned());
        kept.insert(key.to_owned(), object);
        Ok(Put::Done)
    }

    async fn delete(&self, key: &str, stamp: Option<&str>) -> Result<bool, Fault> {
        let at_once = self.deletes.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_deletes.fetch_max(at_once, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.deletes.fetch_sub(1, Ordering::SeqCst);
        let mut kept = self.kept.lock().unwrap();
        let there = kept.get(key).map(|(stamp, ..)| stamp.to_string());
        let holds = stamp.is_none() || there.as_deref() == stamp;
        if holds {
            kept.remove(key);
        }
        Ok(holds)
    }

    /// A page has four names, and its token is their number, as some servers have it.
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<String>, Fault> {
        tokio::task::yield_now().await;
        let kept = self.kept.lock().unwrap();
        let from = after.map_or(0, |after| after.parse().unwrap());
        let keys = kept.keys().filter(|key| key.starts_with(prefix));
        let mut items: Vec<_> = keys.skip(from).take(5).cloned().collect();
        let has_more = items.len() > 4;
        items.truncate(4);
        Ok(Page {
            items,
            next: has_more.then(|| (from + 4).to_string()),
        })
    }
}

fn terras(memory: &Memory) -> Bucket<Memory> {
    let settings = Settings {
        prefix: String::new(),
        layout: Layout::Terra,
        format: Format::Terra,
        fit: false,
        write_only: false,
    };
    Bucket::new(memory.clone(), settings)
}

/// The deletion of a record whose connection became part of another one.
fn merged(number: u32, key: &str, revision: u64, users: &[&str]) -> Change {
    let mut gone = samples::deleted_of(number, DataType::Daily, key, revision);
    gone.source.terra_user_id = None;
    let users = users.iter().filter_map(|user| TerraUserId::new(user));
    gone.body = Body::Deleted {
        data_type: DataType::Daily,
        key: key.to_owned(),
        terra_user_ids: users.collect(),
    };
    gone
}

#[tokio::test]
async fn terras_layout_ends_with_the_newest_state_of_each_record_whoever_writes() {
    let memory = Memory::default();
    let days: Vec<String> = (1..=9).map(|day| format!("2026-11-0{day}")).collect();
    let states = |revisions: [u64; 4]| {
        let states = revisions.into_iter().flat_map(|revision| {
            days.iter()
                .flat_map(move |day| [1, 2].map(|person| samples::daily(person, day, 7, revision)))
        });
        states.collect::<Vec<_>>()
    };
    // Two writers that know nothing of each other, each in an order of its own.
    let write = async |changes: Vec<Change>| {
        let bucket = terras(&memory);
        for change in changes {
            while !bucket.deliver(std::slice::from_ref(&change)).await.unwrap()[0].is_settled() {}
        }
    };
    tokio::join!(write(states([3, 1, 4, 2])), write(states([2, 4, 1, 3])));
    let held = memory.held();
    assert_eq!(held.len(), 2 * days.len());
    assert!(held.iter().all(|(.., revision)| *revision == 4), "{held:?}");

    // Two sessions that begin at once.
    let record = r#"{"metadata":{"start_time":"2026-11-20T08:00:00+00:00"}}"#;
    let session = |key: &str| samples::record(DataType::Activity, key, record, 1);
    let sessions = [session("a"), session("b")];
    let outcomes = terras(&memory).deliver(&sessions).await.unwrap();
    assert!(outcomes.iter().all(Outcome::is_settled));
    assert_eq!(memory.held().len(), held.len() + 2);
    let person = Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![samples::owner(1)],
        terra_user_ids: samples::source(1).terra_user_id.into_iter().collect(),
        records: Vec::new(),
    };
    let erased = terras(&memory).erase(&person).await;
    assert_eq!(erased, Ok(Erased::Done(days.len() as u64 + 2)));
    let left = memory.held();
    assert!(left.iter().all(|(key, ..)| key.contains("/user-2-")));
    assert_eq!(left.len(), days.len());
}

#[tokio::test]
async fn what_a_merge_deletes_is_found_in_terras_layout_by_its_former_user() {
    let memory = Memory::default();
    let bucket = terras(&memory);
    let days = ["2026-11-20", "2026-11-21"];
    let states = days.map(|day| samples::daily(1, day, 7, 5));
    bucket.deliver(&states).await.unwrap();
    // Somebody else's of the same day.
    let other = samples::daily(2, days[0], 7, 5);
    bucket.deliver(&[other]).await.unwrap();

    let unknown = bucket.deliver(&[merged(1, days[0], 6, &[])]).await.unwrap();
    let [Outcome::Rejected(rejection)] = &unknown[..] else {
        panic!("{unknown:?}");
    };
    assert!(rejection.is_final);
    assert_eq!(memory.held().len(), 3);

    let gone = merged(1, days[0], 6, &["user-2", "user-1"]);
    assert_eq!(bucket.deliver(&[gone]).await, Ok(vec![Outcome::APPLIED]));
    let left: Vec<_> = memory.held().into_iter().map(|(key, ..)| key).collect();
    assert_eq!(left.len(), 2);
    assert!(left[0].contains("user-1-2026-11-21") && left[1].contains("user-2-2026-11-20"));
}

#[tokio::test]
async fn many_objects_of_a_person_are_deleted_at_once_whatever_the_pages_are() {
    let memory = Memory::default();
    let bucket = terras(&memory);
    let days = (1..=28).map(|day| samples::daily(1, &format!("2026-11-{day:02}"), 7, 1));
    let days: Vec<_> = days.collect();
    bucket.deliver(&days).await.unwrap();
    let person = Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![samples::owner(1)],
        terra_user_ids: samples::source(1).terra_user_id.into_iter().collect(),
        records: Vec::new(),
    };
    assert_eq!(bucket.erase(&person).await, Ok(Erased::Done(28)));
    assert!(memory.held().is_empty());
    // As many as a page of this store holds.
    assert_eq!(memory.most_deletes.load(Ordering::SeqCst), 4);
}

/// A session that begins at a time.
fn session(key: &str, start: &str, revision: u64) -> Change {
    let record = format!(r#"{{"metadata":{{"start_time":"{start}"}}}}"#);
    let mut change = samples::record(DataType::Activity, key, &record, revision);
    if let Body::Record(state) = &mut change.body {
        state.day = start.get(..10).and_then(|day| day.parse().ok());
    }
    change
}

#[tokio::test]
async fn a_session_whose_start_moves_leaves_no_object_behind() {
    let memory = Memory::default();
    let bucket = terras(&memory);
    let (night, midnight) = ("2026-11-20T23:50:00+00:00", "2026-11-21T00:10:00+00:00");
    let other = session("b", night, 1);
    for change in [
        other.clone(),
        session("a", night, 2),
        session("a", midnight, 3),
        // An older state comes late.
        session("a", "2026-11-20T23:00:00+00:00", 1),
    ] {
        let outcomes = bucket.deliver(&[change]).await.unwrap();
        assert!(outcomes[0].is_settled(), "{outcomes:?}");
    }
    let id = session("a", midnight, 3).record_id.to_string();
    let held = memory.held();
    let of_it: Vec<_> = held.iter().filter(|(_, record, _)| *record == id).collect();
    assert_eq!(of_it.len(), 1, "{held:?}");
    assert!(of_it[0].0.contains(midnight) && of_it[0].2 == 3);
    assert_eq!(held.len(), 2);
    // Back on the second name's first one, when it is free.
    let gone = samples::deleted(DataType::Activity, "b", 9);
    bucket.deliver(&[gone]).await.unwrap();
    let mut back = session("a", night, 4);
    bucket.deliver(&[back.clone()]).await.unwrap();
    back.force = true;
    bucket.deliver(&[back]).await.unwrap();
    let held = memory.held();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].0.ends_with("23:50:00+00:00.json") && held[0].2 == 4);
}

#[tokio::test]
async fn an_attempt_that_ended_behind_its_write_is_finished_by_the_next() {
    let memory = Memory::default();
    let bucket = terras(&memory);
    let before = session("a", "2026-11-20T08:00:00+00:00", 1);
    let mut after = session("a", "2026-11-20T09:00:00+00:00", 2);
    bucket.deliver(std::slice::from_ref(&before)).await.unwrap();
    let payload = envelope::payload(&after, Format::Terra).unwrap();
    let key = layout::state_key(&bucket.settings, &after, "json");
    let written = memory.put(&key, Object::of(&after, &payload), Condition::Missing);
    written.await.unwrap();
    after.attempt = 2;
    let outcomes = bucket.deliver(std::slice::from_ref(&after)).await;
    assert_eq!(outcomes, Ok(vec![Outcome::Stale]));
    let held = memory.held();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0].0, key);
    // A forced state clears up what was left at any time.
    let old = layout::state_key(&bucket.settings, &before, "json");
    let left = memory.put(&old, Object::of(&before, &payload), Condition::Missing);
    left.await.unwrap();
    after.force = true;
    assert_eq!(bucket.deliver(&[after]).await, Ok(vec![Outcome::APPLIED]));
    let held = memory.held();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0].0, key);
}
