//! Frames: where one ends, what it holds, how it is read and how it is erased.

use std::ops::Range;

use zstd::{bulk::Decompressor, zstd_safe};

use super::{ArchiveError, MAX_BODY_BYTES, segment::WebhookHeader};

/// A zstd frame (RFC 8878, section 3.1.1).
const DATA: u32 = 0xFD2F_B528;
/// Skippable frames are `0x184D2A50` to `0x184D2A5F` (RFC 8878, section 3.1.2). Ours that holds a
/// webhook's header.
const HEADER: u32 = 0x184D_2A5A;
/// Ours that stands where a frame was erased.
const ERASED: u32 = 0x184D_2A5F;
const SKIPPABLE: Range<u32> = 0x184D_2A50..0x184D_2A60;

/// Magic number and length, both little-endian `u32`.
pub(super) const PREFIX_BYTES: usize = 8;

/// Reason why bytes cannot be read; [`Fault::about`] adds the name of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Erased,
    Corrupt(&'static str),
    TooLarge,
}

impl Fault {
    pub(super) fn about(self, key: impl Into<String>) -> ArchiveError {
        let key = key.into();
        match self {
            Self::Erased => ArchiveError::Erased { key },
            Self::Corrupt(what) => ArchiveError::Corrupt { key, what },
            Self::TooLarge => ArchiveError::TooLarge {
                key,
                limit_bytes: to_u64(MAX_BODY_BYTES),
            },
        }
    }
}

/// Lossless on every machine that Rust has a standard library for.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The length of a header frame's content, from the frame's first [`PREFIX_BYTES`] bytes.
pub(super) fn header_length(bytes: &[u8]) -> Result<usize, Fault> {
    match prefix(bytes) {
        Some((HEADER, length)) => Ok(length),
        Some(_) => Err(Fault::Corrupt("a webhook does not start with its header")),
        None => Err(Fault::Corrupt("it ends within a header")),
    }
}

fn prefix(bytes: &[u8]) -> Option<(u32, usize)> {
    let [m0, m1, m2, m3, l0, l1, l2, l3] = *bytes.first_chunk::<PREFIX_BYTES>()?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    Some((
        u32::from_le_bytes([m0, m1, m2, m3]),
        usize::try_from(length).ok()?,
    ))
}

/// The header at the start of `bytes`, and what follows it.
pub(super) fn split_header(bytes: &[u8]) -> Result<(WebhookHeader, &[u8]), Fault> {
    let length = header_length(bytes)?;
    let (content, rest) = bytes
        .get(PREFIX_BYTES..)
        .and_then(|bytes| bytes.split_at_checked(length))
        .ok_or(Fault::Corrupt("it ends within a header"))?;
    Ok((WebhookHeader::parse(content)?, rest))
}

/// A frame that holds a header.
pub(super) fn push_header(out: &mut Vec<u8>, content: &[u8]) -> Result<(), Fault> {
    let length = u32::try_from(content.len()).map_err(|_| Fault::TooLarge)?;
    out.extend_from_slice(&HEADER.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(content);
    Ok(())
}

enum Kind {
    Data { size_bytes: u64 },
    Erased,
    Skipped,
}

/// Returns the kind and the length of the first frame of `bytes`.
fn first(bytes: &[u8]) -> Result<(Kind, usize), Fault> {
    let (magic, length) = prefix(bytes).ok_or(Fault::Corrupt("it ends within a frame"))?;
    if magic == DATA {
        let length = zstd_safe::find_frame_compressed_size(bytes)
            .map_err(|_| Fault::Corrupt("a frame is damaged"))?;
        let size_bytes = zstd_safe::get_frame_content_size(bytes)
            .ok()
            .flatten()
            .ok_or(Fault::Corrupt(
                "a frame does not say how large its content is",
            ))?;
        return Ok((Kind::Data { size_bytes }, length));
    }
    if !SKIPPABLE.contains(&magic) {
        return Err(Fault::Corrupt("it is not a run of zstd frames"));
    }
    let length = length.saturating_add(PREFIX_BYTES);
    if length > bytes.len() {
        return Err(Fault::Corrupt("it ends within a frame"));
    }
    Ok((
        if magic == ERASED {
            Kind::Erased
        } else {
            Kind::Skipped
        },
        length,
    ))
}

/// Decompresses a run of frames.
///
/// Nothing is decompressed, nor memory taken, before all frames have said how large they are.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut total = 0_u64;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (kind, length) = first(rest)?;
        match kind {
            Kind::Data { size_bytes } => total = total.saturating_add(size_bytes),
            Kind::Erased => return Err(Fault::Erased),
            Kind::Skipped => {}
        }
        rest = rest
            .get(length..)
            .ok_or(Fault::Corrupt("it ends within a frame"))?;
    }
    let total = usize::try_from(total).map_err(|_| Fault::TooLarge)?;
    if total > MAX_BODY_BYTES {
        return Err(Fault::TooLarge);
    }

    let mut decoded = Vec::with_capacity(total);
    // An empty buffer has no address that zstd would take.
    if total > 0 {
        Decompressor::new()
            .and_then(|mut decompressor| decompressor.decompress_to_buffer(bytes, &mut decoded))
            .map_err(|_| Fault::Corrupt("a frame does not decompress"))?;
    }
    if decoded.len() == total {
        Ok(decoded)
    } else {
        Err(Fault::Corrupt("a frame is not as large as it says"))
    }
}

/// The length of a frame and of what it decompresses to.
pub(super) struct Lengths {
    pub(super) frame: usize,
    pub(super) content: usize,
}

/// The lengths of a run of frames.
pub(super) fn lengths(bytes: &[u8]) -> Result<Vec<Lengths>, Fault> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (kind, frame) = first(rest)?;
        let content = match kind {
            Kind::Data { size_bytes } => {
                usize::try_from(size_bytes).map_err(|_| Fault::TooLarge)?
            }
            Kind::Erased => return Err(Fault::Erased),
            Kind::Skipped => 0,
        };
        found.push(Lengths { frame, content });
        rest = rest
            .get(frame..)
            .ok_or(Fault::Corrupt("it ends within a frame"))?;
    }
    Ok(found)
}

/// Erases the matching webhooks of a whole segment in place; how many were not yet erased.
pub(super) fn erase(
    segment: &mut [u8],
    matches: &(impl Fn(&WebhookHeader) -> bool + ?Sized),
    erased_at: &str,
) -> Result<usize, Fault> {
    let mut count = 0;
    let mut rest = segment;
    while !rest.is_empty() {
        let length = header_length(rest)?;
        let (content, tail) = rest
            .get_mut(PREFIX_BYTES..)
            .and_then(|bytes| bytes.split_at_mut_checked(length))
            .ok_or(Fault::Corrupt("it ends within a header"))?;
        let header = WebhookHeader::parse(content)?;
        let (frames, tail) = usize::try_from(header.frames_bytes)
            .ok()
            .and_then(|length| tail.split_at_mut_checked(length))
            .ok_or(Fault::Corrupt("it ends within a webhook"))?;
        if header.erased_at.is_none() && matches(&header) {
            let erased = header.into_erased(erased_at).to_json_of(content.len())?;
            content.copy_from_slice(&erased);
            erase_frames(frames);
            count += 1;
        }
        rest = tail;
    }
    Ok(count)
}

/// Puts a skippable frame of the same length in the place of every frame.
///
/// Damaged frames, whose ends cannot be told, are erased as one.
fn erase_frames(mut frames: &mut [u8]) {
    while !frames.is_empty() {
        let length = match first(frames) {
            Ok((_, length)) if length <= frames.len() => length,
            _ => frames.len(),
        };
        let (frame, tail) = frames.split_at_mut(length);
        frame.fill(0);
        if let Some((prefix, content)) = frame.split_first_chunk_mut::<PREFIX_BYTES>()
            && let Ok(length) = u32::try_from(content.len())
        {
            let (magic, size) = prefix.split_at_mut(4);
            magic.copy_from_slice(&ERASED.to_le_bytes());
            size.copy_from_slice(&length.to_le_bytes());
        }
        frames = tail;
    }
}
