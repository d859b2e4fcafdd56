//! The index of the archive: in which segments a person is named.
//!
//! One object per day of segments, `index/YYYY/MM/DD.idx`. It is made from the segments alone, some time after they
//! were written, so that it adds nothing to a webhook on its way. Each segment is read once for it. When a month is over,
//! its days are put together in `index/YYYY/MM.idx`, so that a person is found in years with a few reads.
//!
//! # Layout
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `TRRMIDX1` |
//! | 1 | 1 when the day or month is over and all its segments are in it |
//! | 16 | ulid of the last segment that is in it, or zeros |
//! | 7 | zeros |
//! | 257 × 4 | for each first byte of a tag the number of entries before it, little-endian; then the number of all |
//! | 24 each | the first 8 bytes of a tag, the ulid of a segment; sorted |
//!
//! A tag is a keyed hash of a Terra user id or a reference id: see [`PersonKey`]. Two tags that begin alike cost a read
//! of a segment that does not name the person.

use std::{collections::BTreeSet, ops::Range};

use bytes::{Buf as _, Bytes};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::{Timestamp, civil::Date};
use object_store::{
    ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion, WriteMultipart,
    path::Path,
};
use ulid::Ulid;

use super::{
    Archive, ArchiveError, Overwrite, SegmentKey,
    frame::Fault,
    person::{PersonKey, Tag, webhooks},
    stretch::{SETTLED_MS, Stretch},
};

const MAGIC: &[u8; 8] = b"TRRMIDX1";
const FLAG_AT: usize = 8;
const LAST_AT: usize = 9;
const FAN_AT: usize = 32;
const FANS: usize = 257;
const HEAD_BYTES: usize = FAN_AT + FANS * 4;
const ENTRY_BYTES: usize = 24;
/// Segments that are read at once.
const READS_AT_ONCE: usize = 16;
/// Length of the entries that are put together at once when days become a month. Unit: bytes.
const MERGED_AT_ONCE: usize = 16 * 1024 * 1024;
/// Length of the parts in which a month is written. Unit: bytes.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts that are written at once.
const PARTS_AT_ONCE: usize = 2;
/// Segments that one call reads at most.
const MOST_AT_ONCE: usize = 20_000;
/// Number of times that an index is put, because another may be putting it.
const ATTEMPTS: usize = 5;

/// Entry of the index.
type Entry = ([u8; 8], Ulid);

/// The index of one day, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct DayIndex {
    is_complete: bool,
    last: Ulid,
    entries: BTreeSet<Entry>,
}

/// Result of bringing the index of a stretch up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// Segments that were read for it.
    pub segments: usize,
    /// True if all segments that have settled are in it now.
    pub is_current: bool,
}

impl Archive {
    /// The days that have segments, oldest first.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer.
    pub async fn days(&self) -> Result<Vec<Date>, ArchiveError> {
        let mut days = Vec::new();
        for month in self.months().await? {
            days.extend(self.days_of(month).await?);
        }
        Ok(days)
    }

    /// The stretches of the archive, oldest first: months that are over, and days of the last one.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer.
    pub async fn stretches(&self, now: Timestamp) -> Result<Vec<Stretch>, ArchiveError> {
        let mut stretches = Vec::new();
        for month in self.months().await? {
            if Stretch::Month(month).is_over(now) {
                stretches.push(Stretch::Month(month));
            } else {
                let days = self.days_of(month).await?;
                stretches.extend(days.into_iter().map(Stretch::Day));
            }
        }
        Ok(stretches)
    }

    /// The first days of the months that have segments, in order.
    async fn months(&self) -> Result<Vec<Date>, ArchiveError> {
        let mut months = Vec::new();
        for year in self.below(&Path::from("archive")).await? {
            let folders = self.below(&year).await?;
            months.extend(folders.iter().filter_map(Stretch::of_month_folder));
        }
        months.sort_unstable();
        Ok(months)
    }

    /// The days of a month that have segments, in order.
    async fn days_of(&self, month: Date) -> Result<Vec<Date>, ArchiveError> {
        let folders = self.below(&Stretch::month_folder(month)).await?;
        let mut days: Vec<_> = folders.iter().filter_map(Stretch::of_day_folder).collect();
        days.sort_unstable();
        Ok(days)
    }

    async fn below(&self, folder: &Path) -> Result<Vec<Path>, ArchiveError> {
        let listed = self.store.list_with_delimiter(Some(folder)).await;
        let listed =
            listed.map_err(|error| ArchiveError::of_write("list", folder.as_ref(), error))?;
        Ok(listed.common_prefixes)
    }

    /// Brings the index of a stretch up to date. For a month this may take several calls, each of a bounded time.
    ///
    /// # Errors
    ///
    /// Those of [`index_day`](Self::index_day), and [`ArchiveError::Corrupt`] when the index of a day cannot be read.
    pub async fn index(
        &self,
        key: &PersonKey,
        stretch: Stretch,
        now: Timestamp,
    ) -> Result<Indexed, ArchiveError> {
        let path = stretch.path();
        let month = match stretch {
            Stretch::Day(day) => return self.index_day(key, day, now).await,
            Stretch::Month(month) => month,
        };
        let mut indexed = Indexed {
            segments: 0,
            is_current: true,
        };
        if self.is_complete(&path).await? {
            return Ok(indexed);
        }
        indexed.is_current = stretch.is_over(now);
        let days = self.days_of(month).await?;
        for day in &days {
            if indexed.segments >= MOST_AT_ONCE {
                indexed.is_current = false;
            }
            if !indexed.is_current {
                return Ok(indexed);
            }
            let of_day = self.index_day(key, *day, now).await?;
            indexed.segments += of_day.segments;
            indexed.is_current = of_day.is_current;
        }
        if indexed.is_current {
            self.put_together(&days, &path).await?;
        }
        Ok(indexed)
    }

    /// Writes the index of a month from those of its days. Whoever does it twice writes the same.
    async fn put_together(&self, days: &[Date], path: &Path) -> Result<(), ArchiveError> {
        let paths = days.iter().map(|day| Stretch::Day(*day).path());
        let paths: Vec<Path> = paths.collect();
        let mut heads = Vec::with_capacity(paths.len());
        for path in &paths {
            heads.push((path, self.head(path).await?));
        }
        let write_error = |error| ArchiveError::of_write("index", path.as_ref(), error);
        let upload = self.store.put_multipart(path).await.map_err(write_error)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        match self.write_month(&heads, &mut writer).await {
            Ok(()) => writer.finish().await.map(drop).map_err(write_error),
            Err(error) => {
                // What stays of it ends with the bucket's lifecycle.
                drop(writer.abort().await);
                Err(error)
            }
        }
    }

    async fn write_month(
        &self,
        days: &[(&Path, Head)],
        writer: &mut WriteMultipart,
    ) -> Result<(), ArchiveError> {
        let last = days.iter().map(|(_, head)| head.last).max();
        let mut fans = [0_usize; FANS];
        for (sum, at) in fans.iter_mut().zip(0..) {
            *sum = days.iter().map(|(_, head)| head.before(at)).sum();
        }
        writer.write(&head_of(true, last.unwrap_or_default(), &fans));
        let mut from = 0;
        while from < FANS - 1 {
            let before = |at: usize| fans.get(at).copied().unwrap_or_default();
            let most = before(from) + MERGED_AT_ONCE / ENTRY_BYTES;
            let mut to = from + 1;
            while to < FANS - 1 && before(to + 1) <= most {
                to += 1;
            }
            let mut pieces = Vec::with_capacity(days.len());
            for (path, head) in days {
                let range = head.range(from, to);
                if !range.is_empty() {
                    pieces.push(self.piece(path, range).boxed());
                }
            }
            let pieces: Vec<Bytes> = stream::iter(pieces)
                .buffer_unordered(READS_AT_ONCE)
                .try_collect()
                .await?;
            let mut entries: Vec<&[u8]> = Vec::new();
            for piece in &pieces {
                entries.extend(piece.chunks_exact(ENTRY_BYTES));
            }
            entries.sort_unstable();
            writer
                .wait_for_capacity(PARTS_AT_ONCE)
                .await
                .map_err(|error| ArchiveError::of_write("index", "a month", error))?;
            for entry in entries {
                writer.write(entry);
            }
            from = to;
        }
        Ok(())
    }

    /// Reads a whole piece of an index.
    async fn piece(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let length = range.end - range.start;
        let (bytes, _) = self.read_range(path.as_ref(), path, range).await?;
        if to_u64(bytes.len()) == length {
            Ok(bytes)
        } else {
            Err(Fault::Corrupt("it ends too early").about(path.as_ref()))
        }
    }

    /// Reads the head of an index.
    async fn head(&self, path: &Path) -> Result<Head, ArchiveError> {
        let range = 0..to_u64(HEAD_BYTES);
        let (bytes, _) = self.read_range(path.as_ref(), path, range).await?;
        Head::read(bytes).ok_or_else(|| Fault::Corrupt("it is no index").about(path.as_ref()))
    }

    /// Brings the index of a day up to date, but for the segments of the last two minutes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer, [`ArchiveError::Conflict`] when others keep
    /// writing the index.
    pub async fn index_day(
        &self,
        key: &PersonKey,
        day: Date,
        now: Timestamp,
    ) -> Result<Indexed, ArchiveError> {
        let stretch = Stretch::Day(day);
        let path = stretch.path();
        let mut read = 0;
        // Most days are over, and the whole of their index is of no interest here.
        if self.is_complete(&path).await? {
            return Ok(Indexed {
                segments: read,
                is_current: true,
            });
        }
        for _ in 0..ATTEMPTS {
            let (mut index, version) = self.day_index(&path).await?;
            if index.is_complete {
                return Ok(Indexed {
                    segments: read,
                    is_current: true,
                });
            }
            let settled_ms = now.as_millisecond().saturating_sub(SETTLED_MS);
            let mut new = self.segments_after(day, index.last).await?;
            new.retain(|key| milliseconds(key.ulid()) < settled_ms);
            let is_current = new.len() <= MOST_AT_ONCE;
            new.truncate(MOST_AT_ONCE);
            let is_over = stretch.is_over(now);
            if new.is_empty() && !is_over {
                return Ok(Indexed {
                    segments: read,
                    is_current,
                });
            }
            index.last = new.last().map_or(index.last, SegmentKey::ulid);
            index.is_complete = is_over && is_current;
            read += new.len();
            let entries: Vec<Vec<Entry>> = stream::iter(new)
                .map(|segment| async move { self.entries_of(key, &segment).await })
                .buffer_unordered(READS_AT_ONCE)
                .try_collect()
                .await?;
            index.entries.extend(entries.into_iter().flatten());
            if self.put_index(&path, &index, version).await? {
                return Ok(Indexed {
                    segments: read,
                    is_current,
                });
            }
        }
        Err(ArchiveError::Conflict {
            operation: "index",
            key: path.to_string(),
        })
    }

    /// The segments of a stretch that may name one of these ids, as the index has them, and those that are not in the
    /// index yet. In the order of writing.
    ///
    /// # Errors
    ///
    /// Those of [`index`](Self::index).
    pub async fn segments_naming(
        &self,
        tags: &[Tag],
        stretch: Stretch,
    ) -> Result<Vec<SegmentKey>, ArchiveError> {
        let path = stretch.path();
        let mut found = BTreeSet::new();
        let head = match self.head(&path).await {
            Ok(head) => Some(head),
            Err(ArchiveError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let wanted = |tag: [u8; 8]| tags.iter().any(|wanted| wanted.short() == tag);
        if let Some(head) = head.filter(|head| head.is_complete) {
            let firsts = tags.iter().filter_map(|tag| tag.short().first().copied());
            for first in firsts.collect::<BTreeSet<u8>>() {
                let first = usize::from(first);
                let range = head.range(first, first + 1);
                if range.is_empty() {
                    continue;
                }
                let bytes = self.piece(&path, range).await?;
                for entry in bytes.chunks_exact(ENTRY_BYTES) {
                    if let Some((tag, ulid)) = read_entry(entry)
                        && wanted(tag)
                    {
                        found.insert(match stretch {
                            Stretch::Day(day) => SegmentKey::of_day(day, ulid),
                            Stretch::Month(_) => SegmentKey::of_ulid(ulid),
                        });
                    }
                }
            }
            return Ok(found.into_iter().collect());
        }
        match stretch {
            // As a whole: another may write it between the reads of two pieces.
            Stretch::Day(day) => {
                let (index, _) = self.day_index(&path).await?;
                let named = index.entries.iter().filter(|(tag, _)| wanted(*tag));
                found.extend(named.map(|(_, ulid)| SegmentKey::of_day(day, *ulid)));
                found.extend(self.segments_after(day, index.last).await?);
            }
            Stretch::Month(month) => {
                for day in self.days_of(month).await? {
                    found.extend(self.segments_after(day, Ulid::nil()).await?);
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The segments of a day behind one of them, in the order of writing. What lies before it is not listed.
    async fn segments_after(&self, day: Date, last: Ulid) -> Result<Vec<SegmentKey>, ArchiveError> {
        let folder = SegmentKey::folder_of(day);
        let offset = SegmentKey::of_day(day, last).path();
        let objects = self.store.list_with_offset(Some(&folder), &offset);
        let mut keys: Vec<SegmentKey> = objects
            // Another object was not put here by us.
            .try_filter_map(async |object| Ok(object.location.as_ref().parse().ok()))
            .try_collect()
            .await
            .map_err(|error| ArchiveError::of_write("list", folder.as_ref(), error))?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// The entries of one segment. One that is gone or damaged has none.
    async fn entries_of(
        &self,
        key: &PersonKey,
        segment: &SegmentKey,
    ) -> Result<Vec<Entry>, ArchiveError> {
        let bytes = match self
            .read_whole("read", segment.as_str(), &segment.path())
            .await
        {
            Ok((bytes, _)) => bytes,
            Err(ArchiveError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let Ok(webhooks) = webhooks(&bytes) else {
            return Ok(Vec::new());
        };
        let mut tags = BTreeSet::new();
        for webhook in webhooks
            .iter()
            .filter(|webhook| webhook.header.erased_at.is_none())
        {
            let named = webhook.named();
            tags.extend(named.users.iter().map(|id| key.terra_user(id).short()));
            tags.extend(named.references.iter().map(|id| key.reference(id).short()));
        }
        let ulid = segment.ulid();
        Ok(tags.into_iter().map(|tag| (tag, ulid)).collect())
    }

    /// Returns whether an index is there and all segments of its day are in it.
    async fn is_complete(&self, path: &Path) -> Result<bool, ArchiveError> {
        let head = 0..to_u64(FLAG_AT + 1);
        match self.read_range(path.as_ref(), path, head).await {
            Ok((head, _)) => Ok(head.starts_with(MAGIC) && head.get(FLAG_AT) == Some(&1)),
            Err(ArchiveError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn day_index(
        &self,
        path: &Path,
    ) -> Result<(DayIndex, Option<UpdateVersion>), ArchiveError> {
        match self.read_whole("read", path.as_ref(), path).await {
            // A damaged one is made anew from the segments.
            Ok((bytes, version)) => Ok((DayIndex::read(&bytes).unwrap_or_default(), Some(version))),
            Err(ArchiveError::NotFound { .. }) => Ok((DayIndex::default(), None)),
            Err(error) => Err(error),
        }
    }

    /// Writes an index over the version that was read. Returns `false` when another has written it.
    async fn put_index(
        &self,
        path: &Path,
        index: &DayIndex,
        version: Option<UpdateVersion>,
    ) -> Result<bool, ArchiveError> {
        let mode = match (version, &self.overwrite) {
            (None, _) => PutMode::Create,
            (Some(version), Overwrite::IfUnchanged) => PutMode::Update(version),
            (Some(_), Overwrite::OneAtATime(_)) => PutMode::Overwrite,
        };
        let payload = PutPayload::from(index.write());
        match self.store.put_opts(path, payload, mode.into()).await {
            Ok(_) => Ok(true),
            Err(error) => match ArchiveError::of_write("index", path.as_ref(), error) {
                ArchiveError::Conflict { .. } => Ok(false),
                error => Err(error),
            },
        }
    }

    /// The objects below a prefix, with their lengths.
    pub(super) async fn listed(&self, prefix: &str) -> Result<Vec<(Path, u64)>, ArchiveError> {
        let objects = self.store.list(Some(&Path::from(prefix)));
        let mut found: Vec<_> = objects
            .map_ok(|object| (object.location, object.size))
            .try_collect()
            .await
            .map_err(|error| ArchiveError::of_write("list", prefix, error))?;
        found.sort_unstable();
        Ok(found)
    }
}

impl DayIndex {
    fn read(bytes: &Bytes) -> Option<Self> {
        if bytes.len() < HEAD_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        let entries = bytes
            .get(HEAD_BYTES..)?
            .chunks_exact(ENTRY_BYTES)
            .map(read_entry);
        Some(Self {
            is_complete: bytes.get(FLAG_AT) == Some(&1),
            last: ulid_at(bytes, LAST_AT)?,
            entries: entries.collect::<Option<_>>()?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut fans = [0_usize; FANS];
        for ([first, ..], _) in &self.entries {
            if let Some(fan) = fans.get_mut(usize::from(*first) + 1) {
                *fan += 1;
            }
        }
        let mut sum = 0;
        for fan in &mut fans {
            sum += *fan;
            *fan = sum;
        }
        let mut bytes = head_of(self.is_complete, self.last, &fans);
        bytes.reserve(self.entries.len() * ENTRY_BYTES);
        for (tag, ulid) in &self.entries {
            bytes.extend_from_slice(tag);
            bytes.extend_from_slice(&ulid.to_bytes());
        }
        bytes
    }
}

/// Beginning of an index.
struct Head {
    bytes: Bytes,
    is_complete: bool,
    last: Ulid,
}

impl Head {
    fn read(bytes: Bytes) -> Option<Self> {
        if bytes.len() < HEAD_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        Some(Self {
            is_complete: bytes.get(FLAG_AT) == Some(&1),
            last: ulid_at(&bytes, LAST_AT)?,
            bytes,
        })
    }

    /// Number of entries before those that begin with a byte.
    fn before(&self, first: usize) -> usize {
        let at = FAN_AT + first * 4;
        let count = self
            .bytes
            .get(at..at + 4)
            .map(|mut count| count.get_u32_le());
        usize::try_from(count.unwrap_or_default()).unwrap_or_default()
    }

    /// The entries that begin with these bytes.
    fn range(&self, from: usize, to: usize) -> Range<u64> {
        let at = |first: usize| to_u64(HEAD_BYTES + self.before(first) * ENTRY_BYTES);
        at(from)..at(to).max(at(from))
    }
}

fn head_of(is_complete: bool, last: Ulid, fans: &[usize; FANS]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(u8::from(is_complete));
    bytes.extend_from_slice(&last.to_bytes());
    bytes.resize(FAN_AT, 0);
    for fan in fans {
        let fan = u32::try_from(*fan).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&fan.to_le_bytes());
    }
    bytes
}

fn ulid_at(bytes: &[u8], at: usize) -> Option<Ulid> {
    let bytes: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(Ulid::from_bytes(bytes))
}

fn read_entry(bytes: &[u8]) -> Option<Entry> {
    Some((bytes.first_chunk().copied()?, ulid_at(bytes, 8)?))
}

fn milliseconds(ulid: Ulid) -> i64 {
    i64::try_from(ulid.timestamp_ms()).unwrap_or(i64::MAX)
}

fn to_u64(length: usize) -> u64 {
    super::frame::to_u64(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let ulid = |n: u64| Ulid::from_parts(n, u128::from(n));
        let index = DayIndex {
            is_complete: true,
            last: ulid(9),
            entries: (0..600_u64)
                .map(|n| {
                    (
                        (n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_be_bytes(),
                        ulid(n % 9),
                    )
                })
                .collect(),
        };
        let bytes = Bytes::from(index.write());
        assert_eq!(DayIndex::read(&bytes), Some(index.clone()));
        let head = Head::read(bytes.clone()).unwrap();
        for (tag, _) in &index.entries {
            let first = usize::from(tag[0]);
            let range = head.range(first, first + 1);
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            let entries = &bytes[start..end];
            assert!(
                entries
                    .chunks(24)
                    .any(|entry| read_entry(entry).unwrap().0 == *tag)
            );
        }
        assert_eq!(DayIndex::read(&Bytes::from_static(b"TRRMIDX")), None);
    }
}
