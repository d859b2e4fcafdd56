//! Newest entries of a day whose items lie in several partitions, without reading each of them to the limit.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use super::{TableError, key::DAY_SHARDS};

/// Entries of one partition, read so far.
#[derive(Debug)]
struct Shard {
    /// Place before which its next entries lie.
    before: String,
    /// True if nothing is left.
    is_over: bool,
}

/// Reads the newest entries of all partitions of a day, at most `limit`, newest first.
///
/// Each partition gives its fair share first. Only one whose last entry is still among the newest has to give more: keys
/// are hashed into partitions, so that is rare, and most of what is read is shown.
///
/// `read` gives entries of a partition before a place, newest first, as many as it is told; `place` is the place of an
/// entry in the day, which grows with time and is nobody else's.
pub(super) async fn newest<'a, T: Send>(
    before: &str,
    limit: usize,
    place: fn(&T) -> String,
    read: impl Fn(u8, String, usize) -> BoxFuture<'a, Result<Vec<T>, TableError>>,
) -> Result<Vec<T>, TableError> {
    let fair = limit.div_ceil(usize::from(DAY_SHARDS));
    let portion = (fair + fair / 2 + 4).min(limit);
    let mut shards: BTreeMap<u8, Shard> = (0..DAY_SHARDS)
        .map(|shard| {
            let before = before.to_owned();
            let is_over = limit == 0;
            (shard, Shard { before, is_over })
        })
        .collect();
    let mut found: Vec<(String, T)> = Vec::new();
    loop {
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        found.truncate(limit);
        let last = found.last().filter(|_| found.len() == limit);
        let last = last.map(|(place, _)| place.as_str());
        let reading: Vec<_> = shards
            .iter()
            .filter(|(_, it)| !it.is_over && last.is_none_or(|last| it.before.as_str() > last))
            .map(|(shard, it)| {
                let (number, entries) = (*shard, read(*shard, it.before.clone(), portion));
                async move { Ok::<_, TableError>((number, entries.await?)) }
            })
            .collect();
        if reading.is_empty() {
            return Ok(found.into_iter().map(|(_, entry)| entry).collect());
        }
        let more: Vec<(u8, Vec<T>)> = stream::iter(reading)
            .buffer_unordered(usize::from(DAY_SHARDS))
            .try_collect()
            .await?;
        for (shard, entries) in more {
            let is_over = entries.len() < portion;
            let entries: Vec<_> = entries.into_iter().map(|it| (place(&it), it)).collect();
            if let Some(shard) = shards.get_mut(&shard) {
                shard.is_over = is_over;
                if let Some((last, _)) = entries.last() {
                    shard.before.clone_from(last);
                }
            }
            found.extend(entries);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    /// Compares with a plain sort of everything. Returns the number of entries that were read.
    fn compare(entries: &[(u8, u32)], limit: usize, before: &str) -> usize {
        let read = AtomicUsize::new(0);
        let place = |(_, at): &(u8, u32)| format!("{at:010}");
        let found = newest(before, limit, place, |shard, before, most| {
            let of_shard = entries
                .iter()
                .filter(|it| it.0 == shard && place(it) < before);
            let mut of_shard: Vec<_> = of_shard.copied().collect();
            of_shard.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
            of_shard.truncate(most);
            read.fetch_add(of_shard.len(), Ordering::Relaxed);
            Box::pin(async move { Ok(of_shard) })
        });
        let found = found.now_or_never().unwrap();
        let mut all: Vec<_> = entries
            .iter()
            .filter(|it| place(it).as_str() < before)
            .copied()
            .collect();
        all.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        all.truncate(limit);
        assert_eq!(found.unwrap(), all);
        read.into_inner()
    }

    proptest! {
        #[test]
        fn the_newest_of_all_partitions_are_found(
            shards in proptest::collection::vec(0..DAY_SHARDS, 0..200),
            limit in 0_usize..60,
            before in 0_u32..220,
        ) {
            let entries: Vec<_> = shards.into_iter().zip(0..).collect();
            compare(&entries, limit, &format!("{before:010}"));
            compare(&entries, limit, "~");
        }
    }

    #[test]
    fn a_page_reads_little_more_than_it_shows() {
        let entries: Vec<_> = (0..4_000)
            .map(|at| (u8::try_from(at * 7 % 8).unwrap(), at))
            .collect();
        let read = compare(&entries, 500, "~");
        assert!(read < 1_000, "{read}");
    }
}
