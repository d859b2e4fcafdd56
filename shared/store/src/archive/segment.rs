//! One segment in the making.

use std::{collections::BTreeMap, io, ops::Range};

use bytes::Bytes;
use domain::locator::Locator;
use serde::{Deserialize, Serialize};
use zstd::{
    bulk::Compressor,
    zstd_safe::{CParameter, compress_bound},
};

use super::{
    ArchiveError, MAX_BODY_BYTES, MAX_HEADER_BYTES, SegmentKey,
    frame::{self, Fault, to_u64},
};

/// Level 1: a router spends its time here, and a level more gains a few percent on Terra's JSON.
const LEVEL: i32 = 1;

/// At least as long as `,"erased_at":"<the longest text of a jiff::Timestamp>"`.
const ERASURE_NOTE_BYTES: usize = 64;

/// Header of a webhook in the archive, besides the body: a small JSON text in a skippable frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookHeader {
    /// The webhook's identity: Terra's trace id, or what stands for it. Survives an erasure.
    pub webhook_id: String,
    /// The body's `type`; `None` if the body could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The Terra user ids in the body, by which a person's webhooks are found. Gone after an
    /// erasure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terra_user_ids: Vec<String>,
    /// Terra's own headers as they came, the signature among them; names in lower case. Gone after
    /// an erasure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Time at which our intake took the webhook, RFC 3339.
    pub received_at: String,
    /// The time that Terra signed, Unix seconds; `None` on roads without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at_s: Option<i64>,
    /// The name of the signing secret that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Place in the same segment of the body as it was sent, if that was compressed: those are the bytes
    /// that Terra signed. Gone after an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Span>,
    /// Length of the body. Filled in by [`SegmentBuilder::append`].
    #[serde(default)]
    pub size_bytes: u64,
    /// Length of all frames that follow this header. Filled in by [`SegmentBuilder::append`].
    #[serde(default)]
    pub frames_bytes: u64,
    /// Time at which the body was erased, RFC 3339; `None` while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
}

impl WebhookHeader {
    pub(super) fn parse(content: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(content).map_err(|_| Fault::Corrupt("a header is not readable"))
    }

    /// Returns the rest of the header once the webhook is erased.
    pub(super) fn into_erased(self, erased_at: &str) -> Self {
        Self {
            terra_user_ids: Vec::new(),
            headers: BTreeMap::new(),
            sent: None,
            erased_at: Some(erased_at.to_owned()),
            ..self
        }
    }

    fn to_json(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec(self).map_err(|_| Fault::Corrupt("a header cannot be written"))
    }

    /// Writes the header as JSON, followed by spaces up to exactly `length`.
    pub(super) fn to_json_of(&self, length: usize) -> Result<Vec<u8>, Fault> {
        let mut json = self.to_json()?;
        if json.len() > length {
            return Err(Fault::Corrupt("a header has no room for its erasure"));
        }
        json.resize(length, b' ');
        Ok(json)
    }

    /// Writes the header as JSON, with room for [`Self::into_erased`].
    fn to_json_with_room(&self) -> Result<Vec<u8>, Fault> {
        let mut json = self.to_json()?;
        let shed: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        // An erasure nearly always removes more text than it adds.
        if shed < ERASURE_NOTE_BYTES {
            json.resize(json.len() + ERASURE_NOTE_BYTES, b' ');
        }
        if json.len() > MAX_HEADER_BYTES {
            return Err(Fault::TooLarge);
        }
        Ok(json)
    }
}

/// A run of bytes inside a segment that has no key yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte, from the start of the segment.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub length_bytes: u64,
}

impl Span {
    /// The same run once the segment has its key.
    pub fn locate(&self, segment: &SegmentKey) -> Locator {
        Locator {
            segment: segment.as_str().to_owned(),
            offset_bytes: self.offset_bytes,
            length_bytes: self.length_bytes,
        }
    }

    fn between(start: usize, end: usize) -> Self {
        Self {
            offset_bytes: to_u64(start),
            length_bytes: to_u64(end.saturating_sub(start)),
        }
    }
}

/// Place of an appended webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its header and all of its frames.
    pub webhook: Span,
    /// The frame of each record, in the order of the ranges.
    pub records: Vec<Span>,
}

/// A segment in the making: webhooks are appended, then the whole is written as one object.
///
/// ```
/// use store::archive::{SegmentBuilder, WebhookHeader};
///
/// let body = br#"{"data":[{"a":1},{"b":2}]}"#;
/// let header = WebhookHeader { webhook_id: "trace-1".into(), ..WebhookHeader::default() };
/// let mut segment = SegmentBuilder::new();
/// let appended = segment.append(header, body, &[9..16, 17..24])?;
/// assert_eq!(appended.records.len(), 2);
/// # Ok::<(), store::archive::ArchiveError>(())
/// ```
#[derive(Default)]
pub struct SegmentBuilder {
    compressor: Compressor<'static>,
    segment: Vec<u8>,
    /// The frames of the webhook that is being appended: its header comes first and holds their
    /// length.
    frames: Vec<u8>,
    /// One compressed frame.
    scratch: Vec<u8>,
}

impl std::fmt::Debug for SegmentBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentBuilder")
            .field("size_bytes", &self.segment.len())
            .finish_non_exhaustive()
    }
}

impl SegmentBuilder {
    /// An empty segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the length of the segment so far.
    pub fn size_bytes(&self) -> usize {
        self.segment.len()
    }

    /// Returns whether nothing has been appended.
    pub fn is_empty(&self) -> bool {
        self.segment.is_empty()
    }

    /// Appends a webhook: its header, then one frame per record and one per stretch between
    /// records.
    ///
    /// `records` are the byte ranges of the records in the body, in order. In the header,
    /// `size_bytes`, `frames_bytes` and `erased_at` are overwritten.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::InvalidRanges`] if a range is empty, overlaps the one before it or leaves the
    /// body; [`ArchiveError::TooLarge`] for a body above [`MAX_BODY_BYTES`] or a header above
    /// [`MAX_HEADER_BYTES`]; [`ArchiveError::Compress`]. The segment is then as it was before.
    pub fn append(
        &mut self,
        header: WebhookHeader,
        body: &[u8],
        records: &[Range<usize>],
    ) -> Result<Appended, ArchiveError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Fault::TooLarge.about(header.webhook_id));
        }
        let ranges = match compress_webhook(self, body, records) {
            Ok(ranges) => ranges,
            Err(Failed::Ranges(what)) => {
                return Err(ArchiveError::InvalidRanges {
                    webhook_id: header.webhook_id,
                    what,
                });
            }
            Err(Failed::Compress(source)) => {
                return Err(ArchiveError::Compress {
                    webhook_id: header.webhook_id,
                    source,
                });
            }
        };

        let header = WebhookHeader {
            size_bytes: to_u64(body.len()),
            frames_bytes: to_u64(self.frames.len()),
            erased_at: None,
            ..header
        };
        let start = self.segment.len();
        let json = match header.to_json_with_room() {
            Ok(json) => json,
            Err(Fault::TooLarge) => {
                let limit_bytes = to_u64(MAX_HEADER_BYTES);
                return Err(ArchiveError::TooLarge {
                    key: header.webhook_id,
                    limit_bytes,
                });
            }
            Err(fault) => return Err(fault.about(header.webhook_id)),
        };
        frame::push_header(&mut self.segment, &json)
            .map_err(|fault| fault.about(header.webhook_id))?;
        let base = self.segment.len();
        self.segment.extend_from_slice(&self.frames);

        let records = ranges
            .into_iter()
            .map(|range| Span::between(base + range.start, base + range.end))
            .collect();
        Ok(Appended {
            webhook: Span::between(start, self.segment.len()),
            records,
        })
    }

    /// The segment, ready for [`Archive::write_segment`](super::Archive::write_segment).
    pub fn finish(self) -> Bytes {
        Bytes::from(self.segment)
    }
}

enum Failed {
    Ranges(&'static str),
    Compress(io::Error),
}

/// Compresses a body into `frames`; where in them the records are.
fn compress_webhook(
    builder: &mut SegmentBuilder,
    body: &[u8],
    records: &[Range<usize>],
) -> Result<Vec<Range<usize>>, Failed> {
    let SegmentBuilder {
        compressor,
        frames,
        scratch,
        ..
    } = builder;
    // The level and the checksum outlive a frame; set here because they can fail, `new` cannot.
    compressor
        .set_parameter(CParameter::CompressionLevel(LEVEL))
        .map_err(Failed::Compress)?;
    compressor
        .set_parameter(CParameter::ChecksumFlag(true))
        .map_err(Failed::Compress)?;
    frames.clear();
    let mut push = |stretch: &[u8]| {
        scratch.clear();
        scratch.reserve(compress_bound(stretch.len()));
        compressor
            .compress_to_buffer(stretch, scratch)
            .map_err(Failed::Compress)?;
        let start = frames.len();
        frames.extend_from_slice(scratch);
        Ok(start..frames.len())
    };

    let mut located = Vec::with_capacity(records.len());
    let mut done = 0;
    for range in records {
        if range.is_empty() {
            return Err(Failed::Ranges("a record is empty"));
        }
        let record = body
            .get(range.clone())
            .ok_or(Failed::Ranges("a record ends behind the body"))?;
        let between = body.get(done..range.start).ok_or(Failed::Ranges(
            "a record starts before the end of the one before it",
        ))?;
        if !between.is_empty() {
            push(between)?;
        }
        located.push(push(record)?);
        done = range.end;
    }
    if let Some(rest) = body.get(done..)
        && !rest.is_empty()
    {
        push(rest)?;
    }
    Ok(located)
}
