//! The archive: the exact bytes that Terra sent, in object storage.
//!
//! # Limitations
//!
//! - A segment is written once and whole; nothing is ever appended to it.
//! - One body is at most [`MAX_BODY_BYTES`] long, one header [`MAX_HEADER_BYTES`].
//! - Headers have no checksum of their own, as frames have; the store's has to do.
//! - A folder knows no conditional overwrite. Erasures in one process wait for each other; two
//!   processes that erase in the same segment of a folder at the same moment may undo one of them.
//! - In a bucket that keeps versions, what was erased lives on in the older version, until the
//!   bucket's lifecycle removes it.
//!
//! # Layout
//!
//! | object | key | content |
//! |---|---|---|
//! | segment | `archive/YYYY/MM/DD/<ulid>.zst` | the webhooks of one router batch |
//! | inbox | `inbox/YYYY/MM/DD/<name>.zst` | a body that is too large for its queue message |
//! | outbox | `outbox/<owner>/<destination>/<delivery>` | a body that a destination gets a link to; not compressed |
//! | index | `index/YYYY/MM/DD.idx`, `index/YYYY/MM.idx` | for each id, hashed, the segments of the day or month that name it |
//! | erasures | `erasures/…` | the key of those hashes, the journal of erasures, their receipts |
//!
//! A segment is a run of zstd frames, so that `zstd -dc` prints what Terra sent, body after body.
//! Per webhook:
//!
//! | frame | magic number | content |
//! |---|---|---|
//! | header | `0x184D2A5A`, skippable | [`WebhookHeader`] as JSON, then spaces |
//! | record, or stretch between records | `0xFD2FB528` | a part of the body; with its size and a checksum |
//! | erased | `0x184D2A5F`, skippable | zeros |
//!
//! The frames behind a header decompress, one after the other, to the body byte for byte. There is
//! one per record of `data` and one per stretch between records; empty stretches have none. A
//! header says how long its frames are, so that headers can be found by hopping over the frames,
//! and has spaces enough for what an erasure writes in its place.
//!
//! # Protocol
//!
//! Writing, once per batch:
//!
//! 1. Each webhook is appended to a [`SegmentBuilder`], which says where it and its records lie.
//! 2. [`Archive::write_segment`] puts the whole under a fresh key, on the condition that nothing is
//!    there. A put that was repeated, and finds its own bytes, has succeeded.
//! 3. Only then may a [`Locator`] be stored in the table: what it points at exists.
//!
//! Reading: one range read of the locator's bytes, which are whole frames; decompress.
//!
//! Erasing, per segment:
//!
//! 1. Read the segment with its entity tag.
//! 2. In memory, put a skippable frame of the same length in the place of every frame of every
//!    matching webhook, and a header of the same length in the place of its header, without Terra's
//!    headers and user ids.
//! 3. Put the whole back, on the condition that the tag still holds; if not, begin again.
//!
//! # Guarantee
//!
//! Objects appear and change as a whole: a folder is written through a temporary file that is
//! synced, then linked or renamed into place. What was written is on stable storage when the call
//! returns. Every operation may be repeated. A locator stays valid for ever: after an erasure
//! elsewhere in its segment it reads the same bytes, after its own it says
//! [`ArchiveError::Erased`].
//!
//! # Sources
//!
//! - zstd frames, skippable frames (`0x184D2A50` to `0x184D2A5F`): RFC 8878, section 3.1.
//!   <https://www.rfc-editor.org/rfc/rfc8878#section-3.1>
//! - Conditional writes in S3.
//!   <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

mod error;
mod frame;
mod index;
mod journal;
mod key;
mod many;
mod person;
pub(crate) mod s3;
mod segment;
mod stretch;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fs, ops::Range, path::Path as Folder, sync::Arc, time::Duration};

use aws_types::SdkConfig;
use bytes::Bytes;
use domain::{Retry, locator::Locator, record::Payload};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use http::Method;
use jiff::{Timestamp, civil::Date};
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, UpdateVersion, local::LocalFileSystem, memory::InMemory, path::Path,
    signer::Signer,
};
use tokio::sync::{Mutex, OnceCell};

use self::frame::{Fault, PREFIX_BYTES, to_u64};
pub use self::{
    error::ArchiveError,
    index::Indexed,
    key::{InboxKey, InvalidKey, SegmentKey},
    person::{ArchivedPerson, Named, PersonKey, Seen, Sighted, Tag},
    segment::{Appended, SegmentBuilder, Span, WebhookHeader},
    stretch::Stretch,
};

/// The longest body that is taken, and the most that one read decompresses to.
pub const MAX_BODY_BYTES: usize = 128 * 1024 * 1024;

/// The longest [`WebhookHeader`], as JSON.
pub const MAX_HEADER_BYTES: usize = 1024 * 1024;

/// Bytes that are read at once when headers are looked for: a header, and often the next ones too.
const HOP_BYTES: usize = 16 * 1024;

/// Name of [`Archive::write_segment`] in its errors.
const WRITE: &str = "write";

/// Name of [`Archive::lend`] in its errors.
const LEND: &str = "lend";

/// Number of times that a segment is put, each time with the client's own retries.
const WRITE_TRIES: usize = 3;

/// The longest that all tries to put a segment may take.
const WRITE_WITHIN: Duration = Duration::from_secs(15);

/// Number of times that an erasure begins again because the segment changed under it.
const ERASE_ATTEMPTS: usize = 5;

/// The archive in a bucket, a folder or memory; cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    overwrite: Overwrite,
    /// Signs links to objects; a bucket alone has one.
    signer: Option<Arc<dyn Signer>>,
    /// The key of hashes, once it was read.
    key: Arc<OnceCell<PersonKey>>,
}

/// Way to write a segment back without losing another writer's change.
#[derive(Debug, Clone)]
enum Overwrite {
    /// The store compares entity tags.
    IfUnchanged,
    /// The store cannot, but we are its only process.
    OneAtATime(Arc<Mutex<()>>),
}

/// A webhook as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedWebhook {
    /// Place of the whole webhook.
    pub locator: Locator,
    /// Everything but the body.
    pub header: WebhookHeader,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The frames it lies in, one per record and one per stretch between records.
    pub frames: Vec<ArchivedFrame>,
}

/// One frame of an archived webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFrame {
    /// The part of the body it holds.
    pub body_range: Range<usize>,
    /// Place of the frame.
    pub locator: Locator,
    /// The frame itself, compressed.
    pub bytes: Bytes,
}

/// A segment that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSegment {
    /// Its key.
    pub key: SegmentKey,
    /// Its length.
    pub size_bytes: u64,
}

impl Archive {
    /// The archive in a folder, which is created if need be.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Open`] if it cannot be created or found.
    pub fn folder(directory: impl AsRef<Folder>) -> Result<Self, ArchiveError> {
        Self::open(directory.as_ref(), true)
    }

    /// The same without waiting for the disk: it outlives any death of the process, but not of the
    /// machine. For tests.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Open`] if it cannot be created or found.
    pub fn unsynced_folder(directory: impl AsRef<Folder>) -> Result<Self, ArchiveError> {
        Self::open(directory.as_ref(), false)
    }

    fn open(directory: &Folder, syncs: bool) -> Result<Self, ArchiveError> {
        let place = || directory.display().to_string();
        fs::create_dir_all(directory).map_err(|source| ArchiveError::Open {
            place: place(),
            source: source.into(),
        })?;
        let store = LocalFileSystem::new_with_prefix(directory)
            .map_err(|source| ArchiveError::Open {
                place: place(),
                source: source.into(),
            })?
            .with_fsync(syncs);
        Ok(Self {
            store: Arc::new(store),
            overwrite: Overwrite::OneAtATime(Arc::new(Mutex::new(()))),
            signer: None,
            key: Arc::default(),
        })
    }

    /// The archive in an S3 bucket, with the region, endpoint and credentials of `config`, for a function:
    /// a request that takes longer than a few seconds is given up.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Open`] if the settings are unusable. The bucket is not asked.
    pub fn s3(bucket: &str, config: &SdkConfig) -> Result<Self, ArchiveError> {
        Self::bucket(bucket, config, s3::FUNCTION)
    }

    /// The same for a person's commands, whose line may be slow.
    ///
    /// # Errors
    ///
    /// Those of [`s3`](Self::s3).
    pub fn s3_for_a_person(bucket: &str, config: &SdkConfig) -> Result<Self, ArchiveError> {
        Self::bucket(bucket, config, s3::PERSON)
    }

    fn bucket(
        bucket: &str,
        config: &SdkConfig,
        patience: s3::Patience,
    ) -> Result<Self, ArchiveError> {
        let store = s3::connect(bucket, config, patience).map_err(|source| ArchiveError::Open {
            place: bucket.to_owned(),
            source: source.into(),
        })?;
        let store = Arc::new(store);
        Ok(Self {
            store: Arc::clone(&store) as Arc<dyn ObjectStore>,
            overwrite: Overwrite::IfUnchanged,
            signer: Some(store),
            key: Arc::default(),
        })
    }

    /// Opens the connection that the first webhook will use: TCP and TLS, at a time when nobody
    /// waits. That it could not is not an error: the first webhook tries again.
    pub async fn open_connection(&self) {
        drop(self.store.head(&Path::from("archive/none")).await);
    }

    /// An archive that lives as long as the process; for tests.
    pub fn memory() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    /// An archive over a store that compares entity tags; for tests.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            overwrite: Overwrite::IfUnchanged,
            signer: None,
            key: Arc::default(),
        }
    }

    /// Writes a segment that [`SegmentBuilder::finish`] gave; it is durable when this returns.
    ///
    /// The same bytes may be written again under the same key. A put whose answer got lost is repeated
    /// here: it is conditional, so that the client of the store does not dare to.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Conflict`] if the key is taken by another segment;
    /// [`ArchiveError::Unavailable`], also when all tries together take too long.
    pub async fn write_segment(
        &self,
        key: SegmentKey,
        bytes: Bytes,
    ) -> Result<SegmentKey, ArchiveError> {
        match tokio::time::timeout(WRITE_WITHIN, self.try_to_write(&key, &bytes)).await {
            Ok(written) => written.map(|()| key),
            Err(elapsed) => Err(ArchiveError::Unavailable {
                operation: WRITE,
                key: key.to_string(),
                source: elapsed.into(),
            }),
        }
    }

    async fn try_to_write(&self, key: &SegmentKey, bytes: &Bytes) -> Result<(), ArchiveError> {
        let path = key.path();
        let mut tries = 0;
        loop {
            let payload = PutPayload::from_bytes(bytes.clone());
            let put = self.store.put_opts(&path, payload, PutMode::Create.into());
            let Err(error) = put.await else {
                return Ok(());
            };
            let error = ArchiveError::of_write(WRITE, key.as_str(), error);
            tries += 1;
            if matches!(error, ArchiveError::Conflict { .. }) {
                // The key is taken: by ourselves, if an earlier answer was lost.
                match self.read_whole(WRITE, key.as_str(), &path).await {
                    Ok((present, _)) if present == *bytes => return Ok(()),
                    Ok(_) => return Err(error),
                    // Two puts met, and neither is there; or the store cannot say.
                    Err(_) => {}
                }
            }
            if tries >= WRITE_TRIES || error.retry() == Retry::Never {
                return Err(error);
            }
        }
    }

    /// Keeps a body of an owner's in the outbox of a bucket and returns a link to it, which anybody may read for so
    /// long. The same body under the same name is written over. The bucket's lifecycle removes it.
    ///
    /// The link ends with the session of the role that signed it, if that is earlier.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`], also for a folder, which has no links.
    pub async fn lend(
        &self,
        [owner, destination, delivery]: [&str; 3],
        (content_type, bytes): (&'static str, Bytes),
        lasts: Duration,
    ) -> Result<String, ArchiveError> {
        let path = Path::from_iter([person::OUTBOX, owner, destination, delivery]);
        let about = |source: Box<dyn std::error::Error + Send + Sync>| ArchiveError::Unavailable {
            operation: LEND,
            key: path.to_string(),
            source,
        };
        let Some(signer) = &self.signer else {
            return Err(about("only a bucket has links to objects".into()));
        };
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, content_type.into());
        let options = PutOptions {
            attributes,
            ..PutOptions::default()
        };
        let put = self.store.put_opts(&path, bytes.into(), options).await;
        put.map_err(|error| about(error.into()))?;
        let link = signer.signed_url(Method::GET, &path, lasts).await;
        link.map(String::from).map_err(|error| about(error.into()))
    }

    /// Decompresses the frames at `locator`: one record, exactly as sent.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotFound`] when there is no such segment, [`ArchiveError::Erased`] when the
    /// person was erased, [`ArchiveError::Corrupt`] when the bytes are no run of zstd frames,
    /// [`ArchiveError::TooLarge`] above [`MAX_BODY_BYTES`], [`ArchiveError::Unavailable`] when the store
    /// does not answer.
    pub async fn read_frames(&self, locator: &Locator) -> Result<Vec<u8>, ArchiveError> {
        let bytes = self.read_located(locator).await?;
        frame::decode(&bytes).map_err(|fault| fault.about(locator.to_string()))
    }

    /// One record exactly as sent: from its item where that holds the frame, else from the archive.
    ///
    /// # Errors
    ///
    /// Those of [`read_frames`](Self::read_frames).
    pub async fn read_payload(&self, payload: &Payload) -> Result<Vec<u8>, ArchiveError> {
        let Some(frame) = &payload.inline else {
            return self.read_frames(&payload.locator).await;
        };
        frame::decode(frame).map_err(|fault| fault.about(payload.locator.to_string()))
    }

    /// One webhook, exactly as it came; `locator` is that of the whole webhook.
    ///
    /// # Errors
    ///
    /// Those of [`read_frames`](Self::read_frames).
    pub async fn read_webhook(&self, locator: &Locator) -> Result<ArchivedWebhook, ArchiveError> {
        let bytes = self.read_located(locator).await?;
        decode_webhook(&bytes, locator).map_err(|fault| fault.about(locator.to_string()))
    }

    /// The segments of the days `first` to `last` (UTC, both included) in the order of writing.
    ///
    /// # Errors
    ///
    /// The stream ends with [`ArchiveError::Unavailable`] if the store does not answer.
    pub fn segments(
        &self,
        first: Date,
        last: Date,
    ) -> BoxStream<'static, Result<ListedSegment, ArchiveError>> {
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok())
            .take_while(move |day| *day <= last);
        let store = Arc::clone(&self.store);
        stream::iter(days)
            .then(move |day| segments_of_day(Arc::clone(&store), day))
            .map_ok(|segments| stream::iter(segments.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    /// All webhooks of a segment, erased ones included, with where each lies.
    ///
    /// Bodies are hopped over, not read.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotFound`] when there is no such segment, [`ArchiveError::Corrupt`] when a header
    /// cannot be read, [`ArchiveError::Unavailable`] when the store does not answer.
    pub async fn webhooks_in(
        &self,
        key: &SegmentKey,
    ) -> Result<Vec<(Locator, WebhookHeader)>, ArchiveError> {
        let about = |fault: Fault| fault.about(key.as_str());
        let mut reader = Reader::of(self, key);
        let mut webhooks = Vec::new();
        let mut offset_bytes = 0;
        loop {
            let prefix = reader.read(offset_bytes, PREFIX_BYTES).await?;
            if prefix.is_empty() {
                return Ok(webhooks);
            }
            let length = frame::header_length(&prefix).map_err(about)?;
            if length > MAX_HEADER_BYTES {
                return Err(about(Fault::Corrupt("a header is too long")));
            }
            let bytes = reader
                .read(offset_bytes, PREFIX_BYTES.saturating_add(length))
                .await?;
            let (header, _) = frame::split_header(&bytes).map_err(about)?;
            let length_bytes = to_u64(bytes.len()).saturating_add(header.frames_bytes);
            let end_bytes = offset_bytes.saturating_add(length_bytes);
            if end_bytes > reader.object_bytes {
                return Err(about(Fault::Corrupt("it ends within a webhook")));
            }
            let segment = key.as_str().to_owned();
            webhooks.push((
                Locator {
                    segment,
                    offset_bytes,
                    length_bytes,
                },
                header,
            ));
            offset_bytes = end_bytes;
        }
    }

    /// Erases the webhooks that match, for good; how many there were.
    ///
    /// Their headers keep the webhook's id, type and times. All locators stay valid. What is already
    /// erased is left alone and not counted.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotFound`] when there is no such segment, [`ArchiveError::Corrupt`] when the bytes
    /// are no run of zstd frames, [`ArchiveError::Unavailable`] when the store does not answer,
    /// [`ArchiveError::Conflict`] when the segment kept changing meanwhile. Nothing is erased then.
    pub async fn erase(
        &self,
        key: &SegmentKey,
        matches: impl Fn(&WebhookHeader) -> bool,
        erased_at: Timestamp,
    ) -> Result<usize, ArchiveError> {
        self.erase_from(key, None, matches, erased_at).await
    }

    /// Erases what was found to be theirs, without reading the segment again unless it has changed since.
    ///
    /// # Errors
    ///
    /// Those of [`erase`](Self::erase).
    pub async fn erase_seen(
        &self,
        key: &SegmentKey,
        seen: Seen,
        erased_at: Timestamp,
    ) -> Result<usize, ArchiveError> {
        let theirs = seen.webhooks.iter().filter(|webhook| webhook.is_theirs);
        let theirs: BTreeSet<&str> = theirs.map(|webhook| webhook.webhook_id.as_str()).collect();
        if theirs.is_empty() {
            return Ok(0);
        }
        let matches = |header: &WebhookHeader| theirs.contains(header.webhook_id.as_str());
        let read = Some((seen.bytes, seen.version));
        self.erase_from(key, read, matches, erased_at).await
    }

    /// Erases in a segment that may have been read before.
    async fn erase_from(
        &self,
        key: &SegmentKey,
        mut read: Option<(Bytes, UpdateVersion)>,
        matches: impl Fn(&WebhookHeader) -> bool,
        erased_at: Timestamp,
    ) -> Result<usize, ArchiveError> {
        const OPERATION: &str = "erase in";
        let path = key.path();
        let alone = match &self.overwrite {
            Overwrite::IfUnchanged => None,
            Overwrite::OneAtATime(turn) => Some(turn.lock().await),
        };
        if alone.is_some() {
            // Nothing would tell that it has changed before it was our turn.
            read = None;
        }
        let erased_at = erased_at.to_string();
        for _ in 0..ERASE_ATTEMPTS {
            let (bytes, version) = match read.take() {
                Some(read) => read,
                None => self.read_whole(OPERATION, key.as_str(), &path).await?,
            };
            let mut segment = Vec::from(bytes);
            let count = frame::erase(&mut segment, &matches, &erased_at)
                .map_err(|fault| fault.about(key.as_str()))?;
            if count == 0 {
                return Ok(0);
            }
            let mode = match &self.overwrite {
                Overwrite::IfUnchanged => PutMode::Update(version),
                Overwrite::OneAtATime(_) => PutMode::Overwrite,
            };
            match self
                .store
                .put_opts(&path, PutPayload::from(segment), mode.into())
                .await
            {
                Ok(_) => return Ok(count),
                Err(error) => match ArchiveError::of_write(OPERATION, key.as_str(), error) {
                    ArchiveError::Conflict { .. } => {}
                    error => return Err(error),
                },
            }
        }
        Err(ArchiveError::Conflict {
            operation: OPERATION,
            key: key.to_string(),
        })
    }

    /// Puts a body that is too large for its message into the inbox; it is durable when this
    /// returns. The same key is overwritten.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer or refuses the object.
    pub async fn put_inbox(&self, key: &InboxKey, bytes: Bytes) -> Result<(), ArchiveError> {
        match self
            .store
            .put(&key.path(), PutPayload::from_bytes(bytes))
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => Err(ArchiveError::of_write("write", key.as_str(), error)),
        }
    }

    /// The bytes that were put.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotFound`] when the inbox has no such body, [`ArchiveError::Unavailable`] when the
    /// store does not answer.
    pub async fn get_inbox(&self, key: &InboxKey) -> Result<Bytes, ArchiveError> {
        Ok(self.read_whole("read", key.as_str(), &key.path()).await?.0)
    }

    /// Removes a body from the inbox, if it is there.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unavailable`] when the store does not answer or refuses the deletion.
    pub async fn delete_inbox(&self, key: &InboxKey) -> Result<(), ArchiveError> {
        match self.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(ArchiveError::of_write("delete", key.as_str(), error)),
        }
    }

    async fn read_located(&self, locator: &Locator) -> Result<Bytes, ArchiveError> {
        let corrupt = |what| Fault::Corrupt(what).about(locator.to_string());
        let key: SegmentKey = locator
            .segment
            .parse()
            .map_err(|_| corrupt("it names no segment"))?;
        let range = locator
            .offset_bytes
            .checked_add(locator.length_bytes)
            .map(|end| locator.offset_bytes..end)
            .filter(|range| !range.is_empty())
            .ok_or_else(|| corrupt("it points at nothing"))?;
        // Frames are hardly longer than what they hold, however small the records.
        if locator.length_bytes / 16 > to_u64(MAX_BODY_BYTES) {
            return Err(Fault::TooLarge.about(locator.to_string()));
        }
        let (bytes, _) = self
            .read_range(&locator.to_string(), &key.path(), range)
            .await?;
        if to_u64(bytes.len()) == locator.length_bytes {
            Ok(bytes)
        } else {
            Err(corrupt("the segment ends before it"))
        }
    }

    /// Reads as much of `range` as there is. Returns it with the length of the whole object.
    async fn read_range(
        &self,
        about: &str,
        path: &Path,
        range: Range<u64>,
    ) -> Result<(Bytes, u64), ArchiveError> {
        const OPERATION: &str = "read";
        let start = range.start;
        let options = GetOptions::new().with_range(Some(range));
        let error = match self.store.get_opts(path, options).await {
            Ok(found) => {
                let object_bytes = found.meta.size;
                return match found.bytes().await {
                    Ok(bytes) => Ok((bytes, object_bytes)),
                    Err(error) => Err(ArchiveError::of_read(OPERATION, about, error)),
                };
            }
            Err(error) => error,
        };
        // Stores have no common word for a range that starts behind the end.
        if matches!(error, object_store::Error::Generic { .. })
            && let Ok(meta) = self.store.head(path).await
            && start >= meta.size
        {
            return Ok((Bytes::new(), meta.size));
        }
        Err(ArchiveError::of_read(OPERATION, about, error))
    }

    async fn read_whole(
        &self,
        operation: &'static str,
        about: &str,
        path: &Path,
    ) -> Result<(Bytes, UpdateVersion), ArchiveError> {
        let read = async {
            let found = self.store.get(path).await?;
            let e_tag = found.meta.e_tag.clone();
            let version = found.meta.version.clone();
            Ok((found.bytes().await?, UpdateVersion { e_tag, version }))
        };
        read.await
            .map_err(|error| ArchiveError::of_read(operation, about, error))
    }
}

fn decode_webhook(bytes: &Bytes, locator: &Locator) -> Result<ArchivedWebhook, Fault> {
    let (header, frames) = frame::split_header(bytes)?;
    if header.erased_at.is_some() {
        return Err(Fault::Erased);
    }
    if header.frames_bytes != to_u64(frames.len()) {
        return Err(Fault::Corrupt("it is not one whole webhook"));
    }
    let body = frame::decode(frames)?;
    if header.size_bytes != to_u64(body.len()) {
        return Err(Fault::Corrupt("the body is not as long as the header says"));
    }
    let start = bytes.len().saturating_sub(frames.len());
    let frames = frame::lengths(frames)?
        .into_iter()
        .scan((start, 0_usize), |(frame_start, body_start), length| {
            let frame = *frame_start..frame_start.saturating_add(length.frame);
            let body_range = *body_start..body_start.saturating_add(length.content);
            (*frame_start, *body_start) = (frame.end, body_range.end);
            Some(ArchivedFrame {
                body_range,
                locator: Locator {
                    segment: locator.segment.clone(),
                    offset_bytes: locator.offset_bytes.saturating_add(to_u64(frame.start)),
                    length_bytes: to_u64(frame.len()),
                },
                bytes: bytes.slice(frame),
            })
        })
        .collect();
    Ok(ArchivedWebhook {
        locator: locator.clone(),
        header,
        body,
        frames,
    })
}

async fn segments_of_day(
    store: Arc<dyn ObjectStore>,
    day: Date,
) -> Result<Vec<ListedSegment>, ArchiveError> {
    let folder = SegmentKey::folder_of(day);
    let mut segments: Vec<_> = store
        .list(Some(&folder))
        // Another object was not put here by us.
        .try_filter_map(async |object| {
            let key = object.location.as_ref().parse().ok();
            Ok(key.map(|key| ListedSegment {
                key,
                size_bytes: object.size,
            }))
        })
        .try_collect()
        .await
        .map_err(|error| ArchiveError::of_write("list", folder.as_ref(), error))?;
    // A folder lists in no order.
    segments.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(segments)
}

/// Reads small runs of a segment through a window of what was last fetched.
struct Reader<'a> {
    archive: &'a Archive,
    key: &'a SegmentKey,
    path: Path,
    window: Bytes,
    window_start: u64,
    /// Unknown, and therefore 0, before the first read.
    object_bytes: u64,
}

impl<'a> Reader<'a> {
    fn of(archive: &'a Archive, key: &'a SegmentKey) -> Self {
        let path = key.path();
        Self {
            archive,
            key,
            path,
            window: Bytes::new(),
            window_start: 0,
            object_bytes: 0,
        }
    }

    /// `length` bytes from `start`, or as many as there are.
    async fn read(&mut self, start: u64, length: usize) -> Result<Bytes, ArchiveError> {
        if let Some(bytes) = self.in_window(start, length) {
            return Ok(bytes);
        }
        let end = start.saturating_add(to_u64(length.max(HOP_BYTES)));
        (self.window, self.object_bytes) = self
            .archive
            .read_range(self.key.as_str(), &self.path, start..end)
            .await?;
        self.window_start = start;
        Ok(self.window.slice(..length.min(self.window.len())))
    }

    fn in_window(&self, start: u64, length: usize) -> Option<Bytes> {
        let from = usize::try_from(start.checked_sub(self.window_start)?).ok()?;
        let wanted = self.window.get(from..from.checked_add(length)?)?;
        Some(self.window.slice_ref(wanted))
    }
}
