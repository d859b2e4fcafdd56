//! Promises of every kind that keeps state.

use std::collections::BTreeMap;

use destinations::{
    change::{Body, Change, Total},
    id::{OwnerId, RecordId, checksum},
    kind::{Erased, Erasure, Kind, Outcome, Shape, Verdict},
};
use models::data::DataType;
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use crate::{proxy::Proxy, samples};

/// Attempts after which a test gives up.
const MAX_ATTEMPTS: usize = 200;

/// State that a destination should hold: the greatest revision of each record.
#[derive(Default)]
pub(crate) struct Model {
    records: BTreeMap<RecordId, Change>,
}

impl Model {
    fn take(&mut self, change: &Change) {
        let held = self.records.get(&change.record_id);
        if held.is_none_or(|held| held.revision < change.revision) {
            self.records
                .insert(change.record_id.clone(), change.clone());
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Change> {
        self.records.values().filter(|change| !change.is_deletion())
    }

    fn totals(&self) -> BTreeMap<(OwnerId, Option<DataType>), (u64, u64)> {
        let mut totals = BTreeMap::new();
        for change in self.rows() {
            let key = (change.source.owner.clone(), change.data_type());
            let (count, sum) = totals.entry(key).or_insert((0, 0));
            *count += 1;
            *sum += u64::from(checksum(&change.record_id, change.revision));
        }
        totals
    }
}

/// The same totals as the destination counts them.
fn by_key(totals: Vec<Total>) -> BTreeMap<(OwnerId, Option<DataType>), (u64, u64)> {
    let pair = |total: Total| ((total.owner, total.data_type), (total.count, total.sum));
    totals
        .into_iter()
        .filter(|total| total.count > 0)
        .map(pair)
        .collect()
}

/// Several states of every record of some people, in the order in which they came to be.
pub(crate) fn stretch(people: u32, days: u32, with_connections: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    for person in 1..=people {
        for day in 1..=days {
            for revision in 1..=4_u32 {
                let date = format!("2026-10-{day:02}");
                let stamp = u64::from(person * 1000 + day * 10 + revision) << 20;
                changes.push(samples::daily(person, &date, revision * 1000, stamp));
                if day % 3 == 0 {
                    let record = format!(
                        r#"{{"metadata":{{"summary_id":"s{day}","start_time":"{date}T22:00:00+02:00","end_time":"{date}T23:00:00+02:00","upload_type":{}}},"note":"N\u0000UL \ud83d","name":"é\ud83d\ude00 {revision}"}}"#,
                        if revision == 4 && day % 2 == 0 { 4 } else { 1 }
                    );
                    let key = format!("s{day}");
                    changes.push(samples::record_of(
                        person,
                        DataType::Activity,
                        &key,
                        &record,
                        stamp,
                    ));
                }
            }
        }
        if with_connections {
            changes.push(samples::connection(person, u64::from(person) << 20));
            changes.push(samples::connection(person, u64::from(person + 1) << 20));
        }
    }
    changes
}

/// Delivers until everything is settled, whatever happens in between.
pub(crate) async fn deliver_all(kind: &dyn Kind, changes: &[Change], chunk: usize) {
    for part in changes.chunks(chunk) {
        let mut owed: Vec<Change> = Vec::new();
        for change in part {
            match owed
                .iter_mut()
                .find(|other| other.record_id == change.record_id)
            {
                Some(other) if other.revision < change.revision => *other = change.clone(),
                Some(_) => {}
                None => owed.push(change.clone()),
            }
        }
        for attempt in 0.. {
            assert!(attempt < MAX_ATTEMPTS, "{kind:?} does not settle");
            match kind.deliver(&owed).await {
                Err(fault) => assert!(
                    ["unreachable", "conflict", "throttled"].contains(&fault.name()),
                    "{fault}"
                ),
                Ok(outcomes) => {
                    assert_eq!(outcomes.len(), owed.len());
                    let mut outcomes = outcomes.iter();
                    owed.retain(|change| match outcomes.next().unwrap() {
                        Outcome::Applied { .. } | Outcome::Stale => false,
                        Outcome::Retry(_) => true,
                        Outcome::Rejected(rejection) => panic!("{change:?}: {rejection:?}"),
                    });
                }
            }
            if owed.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn assert_equal(kind: &dyn Kind, model: &Model, people: u32) {
    let owners: Vec<_> = (1..=people).map(samples::owner).collect();
    let totals = kind.totals(&owners).await.unwrap().unwrap();
    assert_eq!(by_key(totals), model.totals());
    for owner in &owners {
        let types = [Some(DataType::Daily), Some(DataType::Activity), None];
        for data_type in types {
            let mut found = kind.revisions(owner, data_type).await.unwrap();
            found.sort();
            let held = model
                .rows()
                .filter(|change| change.source.owner == *owner && change.data_type() == data_type)
                .map(|change| (change.record_id.clone(), change.revision));
            let mut held: Vec<_> = held.collect();
            held.sort();
            assert_eq!(found, held);
        }
    }
}

fn twice_and_shuffled(changes: &[Change], seed: u64) -> Vec<Change> {
    let mut all = changes.to_vec();
    all.extend(changes.iter().step_by(3).cloned());
    all.shuffle(&mut StdRng::seed_from_u64(seed));
    all
}

/// Two writers, random order, a third twice, answers cut off, the server down for a while; then
/// deletions, a repetition and an erasure.
pub(crate) async fn state_kind(
    one: &dyn Kind,
    other: &dyn Kind,
    line: Option<&Proxy>,
    size: (u32, u32),
    with_connections: bool,
) {
    let (people, days) = size;
    let findings = one.probe().await;
    assert!(
        findings
            .iter()
            .all(|finding| finding.verdict == Verdict::Passed),
        "{findings:#?}"
    );
    one.prepare(&Shape::all()).await.unwrap();
    other.prepare(&Shape::all()).await.unwrap();

    let changes = stretch(people, days, with_connections);
    let mut model = Model::default();
    for change in &changes {
        model.take(change);
    }
    if let Some(line) = line {
        line.cut_every(29);
    }
    let (first, second) = (
        twice_and_shuffled(&changes, 1),
        twice_and_shuffled(&changes, 2),
    );
    let interrupted = async {
        deliver_all(one, &first[..first.len() / 2], 23).await;
        if let Some(line) = line {
            line.set_down(true);
            assert!(
                one.deliver(&first[..3])
                    .await
                    .is_err_and(|fault| fault.name() == "unreachable")
            );
            line.set_down(false);
        }
        deliver_all(one, &first[first.len() / 2..], 23).await;
    };
    futures::join!(interrupted, deliver_all(other, &second, 17));
    if let Some(line) = line {
        line.cut_every(0);
    }
    // A connection that was cut is noticed by its next use.
    drop((one.totals(&[]).await, other.totals(&[]).await));
    assert_equal(one, &model, people).await;

    let newest: Vec<_> = model.rows().cloned().collect();
    let outcomes = one.deliver(&newest[..20]).await.unwrap();
    assert!(
        outcomes.iter().all(|outcome| *outcome == Outcome::Stale),
        "{outcomes:?}"
    );
    let forced = newest[..3].iter().cloned().map(|change| Change {
        force: true,
        ..change
    });
    let outcomes = one.deliver(&forced.collect::<Vec<_>>()).await.unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Applied { .. })),
        "{outcomes:?}"
    );

    let gone = newest
        .iter()
        .filter(|change| matches!(change.body, Body::Record(_)))
        .step_by(5);
    let gone: Vec<_> = gone
        .enumerate()
        .map(|(index, change)| {
            let Body::Record(state) = &change.body else {
                unreachable!()
            };
            // A deletion of an older state than the one that is there removes nothing.
            let revision = if index % 4 == 0 {
                change.revision - 1
            } else {
                change.revision + 1
            };
            let body = Body::Deleted {
                data_type: state.data_type,
                key: state.key.clone(),
                terra_user_ids: change.source.terra_user_id.clone().into_iter().collect(),
            };
            Change {
                revision,
                body,
                ..change.clone()
            }
        })
        .collect();
    deliver_all(one, &gone, 50).await;
    for change in &gone {
        model.take(change);
    }
    assert_equal(other, &model, people).await;

    assert_erased(one, other, &mut model, people).await;
}

/// Erases the first person, twice.
async fn assert_erased(one: &dyn Kind, other: &dyn Kind, model: &mut Model, people: u32) {
    let person = Erasure {
        id: "erasure-1".to_owned(),
        reference_id: samples::source(1).reference_id,
        owners: vec![samples::owner(1)],
        terra_user_ids: Vec::new(),
        records: Vec::new(),
    };
    let erased = one.erase(&person).await.unwrap();
    assert!(
        matches!(erased, Erased::Done(count) if count > 0),
        "{erased:?}"
    );
    assert_eq!(one.erase(&person).await, Ok(Erased::Done(0)));
    model
        .records
        .retain(|_, change| change.source.owner != samples::owner(1));
    assert_equal(other, model, people).await;
}
