//! The index of the archive: in which segments a person is named.
//!
//! One object per day of segments, `index/YYYY/MM/DD.idx`. It is made from the segments alone, some time after they
//! were written, so that it adds nothing to a webhook on its way. Each segment is read once for it.
//!
//! # Layout
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `TRRMIDX1` |
//! | 1 | 1 when the day is over and all its segments are in it |
//! | 16 | ulid of the last segment that is in it, or zeros |
//! | 7 | zeros |
//! | 257 × 4 | for each first byte of a tag the number of entries before it, little-endian; then the number of all |
//! | 24 each | the first 8 bytes of a tag, the ulid of a segment; sorted |
//!
//! A tag is a keyed hash of a Terra user id or a reference id: see [`PersonKey`]. Two tags that begin alike cost a read
//! of a segment that does not name the person.

use std::collections::BTreeSet;

use bytes::{Buf as _, Bytes};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use object_store::{ObjectStore as _, PutMode, PutPayload, UpdateVersion, path::Path};
use ulid::Ulid;

use super::{
    Archive, ArchiveError, Overwrite, SegmentKey,
    frame::Fault,
    person::{PersonKey, Tag, webhooks},
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
/// Age below which a segment may still get a neighbour with an older ulid, because a batch has its name from its
/// beginning and takes a minute at most. Unit: milliseconds.
const SETTLED_MS: i64 = 2 * 60 * 1000;
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

/// Result of bringing the index of a day up to date.
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
        let mut folders = vec![Path::from("archive")];
        for _ in ["year", "month", "day"] {
            let mut below = Vec::new();
            for folder in folders {
                let listed = self.store.list_with_delimiter(Some(&folder)).await;
                let listed = listed
                    .map_err(|error| ArchiveError::of_write("list", folder.as_ref(), error))?;
                below.extend(listed.common_prefixes);
            }
            folders = below;
        }
        let mut days: Vec<Date> = folders.iter().filter_map(day_of).collect();
        days.sort_unstable();
        Ok(days)
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
        let path = path_of(day);
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
            let ended = day
                .tomorrow()
                .ok()
                .and_then(|next| next.to_zoned(TimeZone::UTC).ok());
            let is_over = ended.is_some_and(|end| end.timestamp().as_millisecond() < settled_ms);
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

    /// The segments of a day that may name one of these ids, as the index has them, and those that are not in the
    /// index yet.
    ///
    /// # Errors
    ///
    /// Those of [`index_day`](Self::index_day), and [`ArchiveError::Corrupt`] when the index cannot be read.
    pub async fn segments_naming(
        &self,
        tags: &[Tag],
        day: Date,
    ) -> Result<Vec<SegmentKey>, ArchiveError> {
        let path = path_of(day);
        let mut found = BTreeSet::new();
        let head = match self
            .read_range(path.as_ref(), &path, 0..to_u64(HEAD_BYTES))
            .await
        {
            Ok((head, _)) => Some(head),
            Err(ArchiveError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let corrupt = || Fault::Corrupt("it is no index").about(path.as_ref());
        let mut last = Ulid::nil();
        let mut is_complete = false;
        if let Some(head) = &head {
            if head.len() < HEAD_BYTES || !head.starts_with(MAGIC) {
                return Err(corrupt());
            }
            is_complete = head.get(FLAG_AT) == Some(&1);
            last = ulid_at(head, LAST_AT).ok_or_else(corrupt)?;
            let mut firsts: BTreeSet<u8> = BTreeSet::new();
            firsts.extend(tags.iter().filter_map(|tag| tag.short().first().copied()));
            for first in firsts {
                let from = fan(head, usize::from(first)).ok_or_else(corrupt)?;
                let to = fan(head, usize::from(first) + 1).ok_or_else(corrupt)?;
                if to <= from {
                    continue;
                }
                let range =
                    to_u64(HEAD_BYTES + from * ENTRY_BYTES)..to_u64(HEAD_BYTES + to * ENTRY_BYTES);
                let (bytes, _) = self.read_range(path.as_ref(), &path, range).await?;
                for entry in bytes.chunks_exact(ENTRY_BYTES) {
                    let (tag, ulid) = read_entry(entry).ok_or_else(corrupt)?;
                    if tags.iter().any(|wanted| wanted.short() == tag) {
                        found.insert(SegmentKey::of_day(day, ulid));
                    }
                }
            }
        }
        if !is_complete {
            found.extend(self.segments_after(day, last).await?);
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
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.entries.len() * ENTRY_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.push(u8::from(self.is_complete));
        bytes.extend_from_slice(&self.last.to_bytes());
        bytes.resize(FAN_AT, 0);
        let mut counts = [0_u32; FANS];
        for ([first, ..], _) in &self.entries {
            if let Some(count) = counts.get_mut(usize::from(*first) + 1) {
                *count = count.saturating_add(1);
            }
        }
        let mut sum = 0_u32;
        for count in counts {
            sum = sum.saturating_add(count);
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        for (tag, ulid) in &self.entries {
            bytes.extend_from_slice(tag);
            bytes.extend_from_slice(&ulid.to_bytes());
        }
        bytes
    }
}

fn path_of(day: Date) -> Path {
    let (year, month, day) = (day.year(), day.month(), day.day());
    Path::from(format!("index/{year:04}/{month:02}/{day:02}.idx"))
}

/// The day of a folder of segments.
fn day_of(folder: &Path) -> Option<Date> {
    let mut parts = folder.as_ref().strip_prefix("archive/")?.split('/');
    let day = Date::new(
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    day.ok()
}

fn fan(head: &Bytes, at: usize) -> Option<usize> {
    let mut bytes = head.get(FAN_AT + at * 4..FAN_AT + at * 4 + 4)?;
    usize::try_from(bytes.get_u32_le()).ok()
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
        for (tag, _) in &index.entries {
            let first = usize::from(tag[0]);
            let range = fan(&bytes, first).unwrap()..fan(&bytes, first + 1).unwrap();
            let entries = &bytes[HEAD_BYTES + range.start * 24..HEAD_BYTES + range.end * 24];
            assert!(
                entries
                    .chunks(24)
                    .any(|entry| read_entry(entry).unwrap().0 == *tag)
            );
        }
        assert_eq!(DayIndex::read(&Bytes::from_static(b"TRRMIDX")), None);
    }
}
