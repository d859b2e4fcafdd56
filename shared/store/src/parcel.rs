//! The bytes of a webhook between intake and router: compressed, inside the queue message while
//! they fit, else in the archive's inbox.

use std::{cell::RefCell, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::message::Body;
use jiff::Timestamp;
use models::ids::WebhookId;
use xxhash_rust::xxh3::xxh3_128;
use zstd::bulk::{Compressor, Decompressor};

use crate::{
    Retry,
    archive::{Archive, ArchiveError, InboxKey},
};

/// Largest base64 text inside a message. SQS takes 1 MiB (1,048,576 bytes) per message, attributes
/// and all; the rest of ours is a few KiB of headers.
pub const MAX_INLINE_BYTES: usize = 960 * 1024;

/// Speed matters here and size does not: the router compresses for good.
const LEVEL: i32 = 1;

/// A parcel that cannot be packed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    /// The compressor failed, which only a lack of memory explains.
    #[error("cannot compress the body")]
    Compress(#[source] std::io::Error),
    /// The inbox did not take or give it.
    #[error("cannot use the inbox")]
    Inbox(#[from] ArchiveError),
    /// The parcel is not what the intake packed.
    #[error("the parcel is damaged: {what}")]
    Damaged {
        /// Fault of the parcel.
        what: &'static str,
    },
}

impl ParcelError {
    /// Returns whether the inbox has the body no more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Inbox(ArchiveError::NotFound { .. }))
    }

    /// Returns whether the queue should bring the work back.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Compress(_) => Retry::Later,
            Self::Inbox(error) => error.retry(),
            Self::Damaged { .. } => Retry::Never,
        }
    }
}

thread_local! {
    /// zstd's contexts: making one costs more than compressing a small webhook with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(body: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(compressor) => compressor.compress(body),
        None => slot.insert(Compressor::new(LEVEL)?).compress(body),
    })
}

fn decompress(compressed: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(decompressor) => decompressor.decompress(compressed, capacity),
        None => slot
            .insert(Decompressor::new()?)
            .decompress(compressed, capacity),
    })
}

/// Packs a body. Once this returns, a body too large for a message is durable in the inbox.
///
/// # Errors
///
/// [`ParcelError`] when it could not be made durable.
pub async fn pack(
    archive: &Archive,
    webhook_id: &WebhookId,
    body: &[u8],
    now: Timestamp,
) -> Result<Body, ParcelError> {
    let compressed = compress(body).map_err(ParcelError::Compress)?;
    if compressed.len().div_ceil(3) * 4 <= MAX_INLINE_BYTES {
        return Ok(Body::Inline(STANDARD.encode(compressed)));
    }
    // The body is part of the name: another body under the same id must not take its place.
    let id = webhook_id.as_str().as_bytes();
    let name = format!("{:032x}-{:032x}", xxh3_128(id), xxh3_128(body));
    let key = InboxKey::new(now, &name).map_err(|_| ParcelError::Damaged {
        what: "no inbox key",
    })?;
    archive.put_inbox(&key, Bytes::from(compressed)).await?;
    Ok(Body::Inbox(key.to_string()))
}

/// Opens a parcel. `size_bytes` is the size of the body, which bounds what is unpacked.
///
/// # Errors
///
/// [`ParcelError::Damaged`] when the body is not what [`pack`] made, or has another size;
/// [`ParcelError::Inbox`] when the inbox does not answer, or no longer has the body.
pub async fn open(archive: &Archive, body: &Body, size_bytes: u64) -> Result<Vec<u8>, ParcelError> {
    let damaged = |what| ParcelError::Damaged { what };
    let compressed = match body {
        Body::Plain(text) => return Ok(text.clone().into_bytes()),
        Body::Inline(text) => STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|_| damaged("not base64"))?,
        Body::Inbox(key) => {
            let key: InboxKey = key.parse().map_err(|_| damaged("not an inbox key"))?;
            archive.get_inbox(&key).await?
        }
    };
    let capacity = usize::try_from(size_bytes).map_err(|_| damaged("too large"))?;
    let bytes = decompress(&compressed, capacity)
        .map_err(|_| damaged("not zstd, or larger than it says"))?;
    if bytes.len() != capacity {
        return Err(damaged("smaller than it says"));
    }
    Ok(bytes)
}

/// Removes what an opened parcel left in the inbox, if it lay there.
///
/// # Errors
///
/// [`ParcelError::Damaged`] when the key is no key of the inbox, [`ParcelError::Inbox`] when the inbox
/// does not answer.
pub async fn discard(archive: &Archive, body: &Body) -> Result<(), ParcelError> {
    if let Body::Inbox(key) = body {
        let key = key.parse().map_err(|_| ParcelError::Damaged {
            what: "not an inbox key",
        })?;
        archive.delete_inbox(&key).await?;
    }
    Ok(())
}
