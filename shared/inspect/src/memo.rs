//! Answers of the table and the archive about a person, kept as long as one question is worked on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{connection::ConnectionId, days::Loaded, history::day, record::Payload};
use futures::{future::BoxFuture, lock::Mutex as Turn};
use jiff::civil::Date;
use models::data::DataType;
use store::archive::{Archive, ArchiveError};

use crate::error::InspectError;

/// Bytes of the archive that are kept at most: those of a few days with samples.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Records of one type, as far as they were read.
#[derive(Debug)]
struct Run {
    from: Date,
    to: Date,
    records: Vec<Loaded>,
}

type Runs = BTreeMap<(ConnectionId, DataType), Arc<Turn<Option<Run>>>>;

/// Records and bytes that were read already.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Days before and after those asked for that are read with them.
    around_days: i64,
    runs: Mutex<Runs>,
    bytes: Mutex<Bytes>,
}

#[derive(Debug, Default)]
struct Bytes {
    size: usize,
    by_place: BTreeMap<(String, u64), Arc<Vec<u8>>>,
}

impl Memo {
    /// A memo for questions about neighbouring days: so many more days are read at once.
    pub(crate) fn around(days: i64) -> Self {
        Self {
            around_days: days,
            ..Self::default()
        }
    }

    /// The records of some days, and perhaps more: read only if they were not yet.
    pub(crate) async fn records<'a>(
        &self,
        of: (&ConnectionId, DataType),
        (from, to): (Date, Date),
        read: impl FnOnce(Date, Date) -> BoxFuture<'a, Result<Vec<Loaded>, InspectError>>,
    ) -> Result<Vec<Loaded>, InspectError> {
        let turn = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = runs.entry((of.0.clone(), of.1)).or_default();
            Arc::clone(turn)
        };
        // Whoever asks for the same at the same time waits, and reads nothing.
        let mut run = turn.lock().await;
        if let Some(known) = run.as_ref().filter(|run| run.from <= from && to <= run.to) {
            return Ok(known.records.clone());
        }
        let (from, to) = (
            day::plus(from, -self.around_days),
            day::plus(to, self.around_days),
        );
        let records = read(from, to).await?;
        *run = Some(Run {
            from,
            to,
            records: records.clone(),
        });
        Ok(records)
    }

    /// The bytes of deliveries, in their order. Those that are not known are read together.
    pub(crate) async fn payloads(
        &self,
        archive: &Archive,
        payloads: &[&Payload],
    ) -> Vec<Result<Arc<Vec<u8>>, ArchiveError>> {
        let bytes = || self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |payload: &Payload| {
            let locator = &payload.locator;
            let is_elsewhere = payload.inline.is_none();
            is_elsewhere.then(|| (locator.segment.clone(), locator.offset_bytes))
        };
        let known: Vec<_> = {
            let kept = bytes();
            let known = payloads
                .iter()
                .map(|payload| kept.by_place.get(&place(payload)?).cloned());
            known.collect()
        };
        let missing = payloads.iter().zip(&known);
        let missing: Vec<&Payload> = missing
            .filter(|(_, known)| known.is_none())
            .map(|(payload, _)| *payload)
            .collect();
        let mut read = archive.read_payloads(&missing).await.into_iter();
        let mut all = Vec::with_capacity(payloads.len());
        let mut kept = bytes();
        for (payload, known) in payloads.iter().zip(known) {
            let one = match known {
                Some(known) => Ok(known),
                // One for each that is missing, in their order.
                None => read.next().unwrap_or_else(|| Ok(Vec::new())).map(Arc::new),
            };
            if let (Ok(one), Some(place)) = (&one, place(payload))
                && kept.size + one.len() <= MOST_BYTES
                && !kept.by_place.contains_key(&place)
            {
                kept.size += one.len();
                kept.by_place.insert(place, Arc::clone(one));
            }
            all.push(one);
        }
        drop(kept);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;
    use jiff::civil::date;
    use models::ids::TerraUserId;

    use super::*;

    #[test]
    fn days_that_were_read_are_not_read_again() {
        let reads = AtomicUsize::new(0);
        let id = ConnectionId::of(&TerraUserId::new("u").unwrap());
        let memo = Memo::around(3);
        let ask = |from, to| {
            let asked = memo.records((&id, DataType::Daily), (from, to), |_, _| {
                reads.fetch_add(1, Ordering::Relaxed);
                Box::pin(async { Ok(Vec::new()) })
            });
            asked.now_or_never().unwrap().unwrap();
            reads.load(Ordering::Relaxed)
        };
        assert_eq!(ask(date(2026, 11, 20), date(2026, 11, 20)), 1);
        assert_eq!(ask(date(2026, 11, 17), date(2026, 11, 23)), 1);
        assert_eq!(ask(date(2026, 11, 16), date(2026, 11, 20)), 2);
        assert_eq!(ask(date(2026, 11, 20), date(2026, 11, 24)), 3);
    }
}
