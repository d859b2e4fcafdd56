//! Reading of many records at once.

use std::collections::BTreeMap;

use domain::{locator::Locator, record::Payload};
use futures::{StreamExt as _, stream};

use super::{Archive, ArchiveError, SegmentKey, frame, frame::to_u64};

/// Segments that are read at the same time.
const CONCURRENT_SEGMENTS: usize = 16;

impl Archive {
    /// Many records exactly as sent, in the order of `payloads`. Those of one segment are read together, in
    /// as few requests as the gaps between them allow.
    ///
    /// A record that cannot be read is an error in its own place, one of
    /// [`read_frames`](Self::read_frames).
    pub async fn read_payloads(&self, payloads: &[&Payload]) -> Vec<Result<Vec<u8>, ArchiveError>> {
        let mut by_segment = BTreeMap::<&str, Vec<(usize, &Locator)>>::new();
        let mut read = BTreeMap::new();
        for (place, payload) in payloads.iter().enumerate() {
            let locator = &payload.locator;
            if let Some(frame) = &payload.inline {
                let decoded = frame::decode(frame);
                let decoded = decoded.map_err(|fault| fault.about(locator.to_string()));
                read.insert(place, decoded);
            } else {
                let of_segment = by_segment.entry(locator.segment.as_str());
                of_segment.or_default().push((place, locator));
            }
        }
        // Made before the stream: the compiler does not see through a closure in it that the future may
        // cross threads.
        let mut segments = Vec::with_capacity(by_segment.len());
        for records in by_segment.into_values() {
            segments.push(self.read_of_segment(records));
        }
        let segments: Vec<_> = stream::iter(segments)
            .buffer_unordered(CONCURRENT_SEGMENTS)
            .collect()
            .await;
        read.extend(segments.into_iter().flatten());
        // One for each payload, in order: every place was read above.
        read.into_values().collect()
    }

    async fn read_of_segment(
        &self,
        records: Vec<(usize, &Locator)>,
    ) -> Vec<(usize, Result<Vec<u8>, ArchiveError>)> {
        if records.len() > 1
            && let Some(frames) = self.ranges_of_segment(&records).await
        {
            let decoded = records.iter().zip(frames);
            return decoded
                .map(|((place, locator), frame)| {
                    let decoded = frame::decode(&frame);
                    (
                        *place,
                        decoded.map_err(|fault| fault.about(locator.to_string())),
                    )
                })
                .collect();
        }
        // Alone, or one of them is not there: each has its own answer.
        let mut read = Vec::with_capacity(records.len());
        for (place, locator) in records {
            read.push((place, self.read_frames(locator).await));
        }
        read
    }

    /// Reads ranges of one segment together. `None` unless all of them are there.
    async fn ranges_of_segment(&self, records: &[(usize, &Locator)]) -> Option<Vec<bytes::Bytes>> {
        let (_, first) = records.first()?;
        let key: SegmentKey = first.segment.parse().ok()?;
        let mut ranges = Vec::with_capacity(records.len());
        for (_, locator) in records {
            let end = locator.offset_bytes.checked_add(locator.length_bytes)?;
            ranges.push(locator.offset_bytes..end);
        }
        let read = self.store.get_ranges(&key.path(), &ranges).await.ok()?;
        let whole = read.len() == ranges.len()
            && read
                .iter()
                .zip(&ranges)
                .all(|(bytes, range)| to_u64(bytes.len()) == range.end - range.start);
        whole.then_some(read)
    }
}
