//! Promises that history must keep in the end, whatever happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use domain::{
    compose::{Sampled, compose},
    connection::ConnectionId,
    history::{
        coverage::{DayState, Keyed},
        day,
        window::Window,
    },
};
use jiff::{civil::Date, tz::TimeZone};
use models::data::DataType;
use serde_json::Value;
use simulator::{Connection, Truth, api::ViolationKind};
use store::table::{key::RecordOwner, records::FoundRecord};
use tokio::{runtime::Handle, task::block_in_place};

use super::{Past, TYPES};

/// Threads that compare connections.
const THREADS: usize = 4;

/// Takes the nulls out of a record's scores, and makes their numbers alike (36.0 and 36): scores that a later delivery
/// lacks are stored as values.
pub(crate) fn with_plain_scores(record: &Value) -> Value {
    fn plain(scores: &Value) -> Value {
        match scores {
            Value::Object(scores) => {
                let given = scores.iter().filter(|(_, score)| !score.is_null());
                given
                    .map(|(name, score)| (name.clone(), plain(score)))
                    .collect()
            }
            Value::Number(number) => number.as_f64().into(),
            other => other.clone(),
        }
    }
    let mut record = record.clone();
    if let Some(scores) = record.get_mut("data_enrichment") {
        *scores = plain(scores);
    }
    record
}

/// Returns whether the newest delivery of a record lacks a score that an older one had.
pub(crate) fn lacks_scores(found: &FoundRecord) -> bool {
    let mut scores = found.record.enrichment.values();
    scores.any(|score| score.version != found.record.newest.version)
}

impl Past {
    /// Nothing that was asked broke a limit or was no call of Terra's, and nothing was asked twice
    /// without a reason that stands on its window. All those windows.
    pub(crate) async fn assert_well_behaved(&self) -> Vec<Window> {
        // Every limit that was reached is one, and every call before a time that a 429 named. On a busy
        // machine a worker gives an answer up, or is killed with it, and was never told to wait: of a
        // thousand requests one may be early. No limit may be reached.
        let (early, broken): (Vec<_>, Vec<_>) = self
            .api
            .violations()
            .into_iter()
            .partition(|violation| violation.kind == ViolationKind::TooSoon);
        assert!(broken.is_empty(), "{broken:?}");
        let requests = self.api.requests().len();
        assert!(early.len() * 1000 <= requests, "{early:?} of {requests}");
        let windows = self.windows().await;
        for window in &windows {
            let (asked, reasons) = (window.asked() as usize, window.setbacks().len());
            assert!(
                asked <= reasons + 1,
                "asked {asked} times for {reasons} reasons"
            );
        }
        windows
    }

    /// Every settled day of every type is had or confirmed empty, or cannot have anything, and the
    /// table holds what Terra has. How many days and records that were.
    pub(crate) fn assert_complete(&self) -> (usize, usize) {
        self.assert_complete_but(&[])
    }

    /// The same but for those who are gone.
    pub(crate) fn assert_complete_but(&self, gone: &[&str]) -> (usize, usize) {
        let mut there = self.truth.connections();
        there.retain(|connection| !gone.contains(&connection.terra_user_id.as_str()));
        let look = async |connections: &[Connection]| {
            let (mut days, mut records) = (0, 0);
            for connection in connections {
                days += self.assert_all_known(connection).await;
                records += self.assert_true(connection).await;
            }
            (days, records)
        };
        // On threads of their own: comparing is work for a processor.
        let runtime = Handle::current();
        let counts: Vec<(usize, usize)> = block_in_place(|| {
            thread::scope(|scope| {
                let parts = there.chunks(there.len().div_ceil(THREADS).max(1));
                let threads: Vec<_> = parts
                    .map(|part| scope.spawn(|| runtime.block_on(look(part))))
                    .collect();
                let counts = threads.into_iter().map(|thread| thread.join().unwrap());
                counts.collect()
            })
        });
        let (days, records): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
        (days.into_iter().sum(), records.into_iter().sum())
    }

    async fn assert_all_known(&self, connection: &Connection) -> usize {
        let stored = self.connection(&connection.terra_user_id).await.unwrap();
        let mut days = 0;
        for (data_type, covered) in self.coverage(&stored).await {
            for (day, state) in covered {
                match state {
                    DayState::Have | DayState::ConfirmedEmpty => days += 1,
                    DayState::Outside(_) => {}
                    state => {
                        let about = self.windows_about(&stored.id, data_type, day).await;
                        panic!(
                            "{:?} {data_type} {day}: {state:?} at {}, {:?} since {:?}, {about:#?}",
                            connection.provider,
                            self.now().as_millisecond(),
                            stored.state.status(),
                            stored.state.status_since_ms(),
                        );
                    }
                }
            }
        }
        days
    }

    /// The windows of a connection in which a day of a type was asked for.
    async fn windows_about(
        &self,
        id: &ConnectionId,
        data_type: DataType,
        day: Date,
    ) -> Vec<Window> {
        let mut windows = self.windows_of(id).await;
        windows.retain(|window| window.id().data_type == data_type && window.span().contains(day));
        windows
    }

    /// The record as it would be shown, with the samples and scores of older deliveries.
    async fn composed(&self, found: &FoundRecord) -> Vec<u8> {
        let archive = &self.system().archive;
        let newest = &found.record.newest.payload.locator;
        let newest = archive.read_frames(newest).await.unwrap();
        let mut older = Vec::new();
        for (payload, streams) in found.record.sampled_arrivals() {
            let bytes = archive.read_frames(&payload.locator).await.unwrap();
            older.push((bytes, streams));
        }
        let sampled: Vec<_> = older
            .iter()
            .map(|(record, streams)| Sampled { record, streams })
            .collect();
        let scores = &found.record.enrichment;
        compose(found.data_type, &newest, &sampled, scores, true)
    }

    /// Every record of a connection in the table that was not taken back is one of the truth's, byte for
    /// byte of meaning, and the other way round, up to days that are settled.
    async fn assert_true(&self, connection: &Connection) -> usize {
        let mut count = 0;
        let stored = self.connection(&connection.terra_user_id).await;
        let stored = stored.unwrap_or_else(|| panic!("no connection"));
        let owner = RecordOwner::Connection(stored.id.clone());
        let today = self.now().to_zoned(TimeZone::UTC).date();
        let settled = day::plus(today, -3);
        let first = day::plus(today, -4000);
        for (data_type, kind) in TYPES {
            if Keyed::of(data_type).is_none() || !Truth::is_fetchable(connection, kind) {
                continue;
            }
            let mut expected: BTreeMap<String, Value> = self
                .truth
                .records(connection, kind, first, settled)
                .into_iter()
                .map(|record| (record.key, record.body))
                .collect();
            let mut found = BTreeMap::new();
            let table = &self.system().table;
            for record in table.records(&owner, Some(data_type)).await.unwrap() {
                let newest = &record.record.newest;
                let day = day::of_record(&record.key, newest.start_time.as_deref());
                if newest.retracted || day.is_none_or(|day| day >= settled) {
                    continue;
                }
                let bytes = self.composed(&record).await;
                let mut body: Value = serde_json::from_slice(&bytes).unwrap();
                let key = record.key.to_string();
                if lacks_scores(&record) {
                    body = with_plain_scores(&body);
                    expected
                        .entry(key.clone())
                        .and_modify(|body| *body = with_plain_scores(body));
                }
                found.insert(key, body);
            }
            let what = format!("{:?} {data_type}", connection.provider);
            let (have, want): (BTreeSet<_>, BTreeSet<_>) =
                (found.keys().collect(), expected.keys().collect());
            let missing: Vec<_> = want.difference(&have).take(5).collect();
            let extra: Vec<_> = have.difference(&want).take(5).collect();
            if let Some(first) = missing.first().or(extra.first()) {
                let about = match first.parse() {
                    Ok(day) => self.windows_about(&stored.id, data_type, day).await,
                    Err(_) => Vec::new(),
                };
                panic!(
                    "{what}: of {} records {missing:?} are missing, {extra:?} are too many, {about:#?}",
                    want.len()
                );
            }
            for (key, body) in &found {
                assert!(expected.get(key) == Some(body), "{what} {key} differs");
            }
            count += found.len();
        }
        count
    }
}
