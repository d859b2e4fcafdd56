use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{
    CopyOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutOptions, PutResult,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const NOW: &str = "2026-07-02T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn key(random: u128) -> SegmentKey {
    SegmentKey::new(now(), random)
}

fn header(webhook_id: &str, user: &str) -> WebhookHeader {
    WebhookHeader {
        webhook_id: webhook_id.to_owned(),
        event_type: Some("daily".to_owned()),
        terra_user_ids: vec![user.to_owned()],
        headers: [("terra-signature".to_owned(), format!("t=1,v1={user}"))].into(),
        received_at: NOW.to_owned(),
        secret_name: Some("current".to_owned()),
        ..WebhookHeader::default()
    }
}

/// A webhook that was appended, and its place.
struct Sent {
    body: Vec<u8>,
    records: Vec<Range<usize>>,
    webhook: Locator,
    located: Vec<Locator>,
}

/// A segment of these bodies; the user of webhook 3 is `user-3`.
fn build(key: &SegmentKey, bodies: &[(Vec<u8>, Vec<Range<usize>>)]) -> (SegmentBuilder, Vec<Sent>) {
    let mut segment = SegmentBuilder::new();
    let sent = bodies
        .iter()
        .enumerate()
        .map(|(n, (body, records))| {
            let header = header(&format!("trace-{n}"), &format!("user-{n}"));
            let appended = segment.append(header, body, records).unwrap();
            Sent {
                body: body.clone(),
                records: records.clone(),
                webhook: appended.webhook.locate(key),
                located: appended
                    .records
                    .iter()
                    .map(|span| span.locate(key))
                    .collect(),
            }
        })
        .collect();
    (segment, sent)
}

fn sample() -> Vec<(Vec<u8>, Vec<Range<usize>>)> {
    vec![
        (
            br#"{"data":[{"a":1},{"b":2}]}"#.to_vec(),
            vec![9..16, 17..24],
        ),
        (Vec::new(), Vec::new()),
        (b"not json at all".to_vec(), Vec::new()),
        // Longer than what is read at once, and hardly compressible.
        (
            (0..100_000_u32)
                .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
                .collect(),
            { vec![0..50_000, 50_000..399_999, 399_999..400_000] },
        ),
        (b"[1][2]".to_vec(), vec![0..3, 3..6]),
    ]
}

async fn assert_reads(archive: &Archive, sent: &Sent) {
    let webhook = archive.read_webhook(&sent.webhook).await.unwrap();
    assert!(webhook.body == sent.body);
    for (range, locator) in sent.records.iter().zip(&sent.located) {
        assert!(archive.read_frames(locator).await.unwrap() == sent.body[range.clone()]);
    }
}

async fn whole(archive: &Archive, key: &SegmentKey) -> Bytes {
    archive
        .read_whole("read", key.as_str(), &key.path())
        .await
        .unwrap()
        .0
}

async fn put(archive: &Archive, key: &SegmentKey, bytes: Vec<u8>) {
    archive.store.put(&key.path(), bytes.into()).await.unwrap();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Tests the promises of every archive.
async fn conformance(archive: &Archive) {
    let sent = writes_once_and_reads_exactly(archive).await;
    lists_in_order(archive).await;
    erases_once_and_nothing_else(archive, &sent).await;
    says_what_is_not_there(archive).await;
    keeps_an_inbox(archive).await;
}

async fn writes_once_and_reads_exactly(archive: &Archive) -> Vec<Sent> {
    let key_1 = key(1);
    let (segment, sent) = build(&key_1, &sample());
    assert_eq!(
        archive
            .write_segment(key_1.clone(), segment.finish())
            .await
            .unwrap(),
        key_1
    );
    for sent in &sent {
        assert_reads(archive, sent).await;
    }

    // Again is fine, another under the same key is not.
    let (segment, _) = build(&key_1, &sample());
    archive
        .write_segment(key_1.clone(), segment.finish())
        .await
        .unwrap();
    let (segment, _) = build(&key_1, &[(b"other".to_vec(), Vec::new())]);
    let error = archive
        .write_segment(key_1.clone(), segment.finish())
        .await
        .unwrap_err();
    assert!(matches!(error, ArchiveError::Conflict { .. }), "{error:?}");
    assert_reads(archive, &sent[0]).await;

    // Headers are found by hopping.
    let found = archive.webhooks_in(&key_1).await.unwrap();
    assert_eq!(found.len(), sent.len());
    for ((locator, header), (n, sent)) in found.iter().zip(sent.iter().enumerate()) {
        assert_eq!(locator, &sent.webhook);
        assert_eq!(header.webhook_id, format!("trace-{n}"));
        assert_eq!(header.size_bytes, to_u64(sent.body.len()));
        assert_eq!(&archive.read_webhook(locator).await.unwrap().header, header);
    }

    sent
}

async fn lists_in_order(archive: &Archive) {
    let days = [
        "2026-06-30T23:59:59Z",
        "2026-07-01T00:00:00Z",
        "2026-07-03T00:00:00Z",
    ];
    let mut expected = vec![key(1), key(2)];
    for at in days {
        expected.push(SegmentKey::new(at.parse().unwrap(), 7));
    }
    for key in expected.iter().skip(1) {
        archive
            .write_segment(key.clone(), SegmentBuilder::new().finish())
            .await
            .unwrap();
        assert!(archive.webhooks_in(key).await.unwrap().is_empty());
    }
    expected.sort();
    let listed = async |first: Date, last: Date| -> Vec<SegmentKey> {
        archive
            .segments(first, last)
            .map_ok(|listed| listed.key)
            .try_collect()
            .await
            .unwrap()
    };
    let date = |day: &str| -> Date { day.parse().unwrap() };
    assert_eq!(
        listed(date("2026-06-29"), date("2026-07-04")).await,
        expected
    );
    assert_eq!(
        listed(date("2026-07-01"), date("2026-07-02")).await,
        expected[1..4]
    );
    assert_eq!(listed(date("2025-01-01"), date("2025-01-02")).await, []);
    assert_eq!(listed(date("2026-07-02"), date("2026-07-01")).await, []);
}

async fn erases_once_and_nothing_else(archive: &Archive, sent: &[Sent]) {
    let key_1 = key(1);
    let before = whole(archive, &key_1).await;
    let of_user = |header: &WebhookHeader| {
        header
            .terra_user_ids
            .iter()
            .any(|user| user == "user-0" || user == "user-3")
    };
    assert_eq!(archive.erase(&key_1, of_user, now()).await.unwrap(), 2);
    assert_eq!(archive.erase(&key_1, of_user, now()).await.unwrap(), 0);
    assert_eq!(archive.erase(&key_1, |_| false, now()).await.unwrap(), 0);
    assert_erased(archive, &key_1, sent, &[0, 3], before.len()).await;
    assert_eq!(archive.erase(&key_1, |_| true, now()).await.unwrap(), 3);
    assert_erased(archive, &key_1, sent, &[0, 1, 2, 3, 4], before.len()).await;
}

async fn says_what_is_not_there(archive: &Archive) {
    let key_1 = key(1);
    let absent = Locator {
        segment: key(99).to_string(),
        offset_bytes: 0,
        length_bytes: 10,
    };
    for error in [
        archive.read_frames(&absent).await.unwrap_err(),
        archive.read_webhook(&absent).await.unwrap_err(),
        archive.webhooks_in(&key(99)).await.unwrap_err(),
        archive.erase(&key(99), |_| true, now()).await.unwrap_err(),
    ] {
        assert!(matches!(error, ArchiveError::NotFound { .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::Never);
    }
    let odd = |segment: &str, offset_bytes, length_bytes| Locator {
        segment: segment.to_owned(),
        offset_bytes,
        length_bytes,
    };
    let end = to_u64(whole(archive, &key_1).await.len());
    for locator in [
        odd("../../etc/passwd", 0, 10),
        odd(key_1.as_str(), 0, 0),
        odd(key_1.as_str(), u64::MAX, 2),
        odd(key_1.as_str(), end - 9, 10),
        odd(key_1.as_str(), end, 10),
        odd(key_1.as_str(), end + 100, 10),
    ] {
        let error = archive.read_frames(&locator).await.unwrap_err();
        assert!(
            matches!(error, ArchiveError::Corrupt { .. }),
            "{locator} {error:?}"
        );
    }
}

async fn keeps_an_inbox(archive: &Archive) {
    let inbox = InboxKey::new(now(), "abc").unwrap();
    let error = archive.get_inbox(&inbox).await.unwrap_err();
    assert!(matches!(error, ArchiveError::NotFound { .. }), "{error:?}");
    archive.delete_inbox(&inbox).await.unwrap();
    for content in ["once", "twice"] {
        archive
            .put_inbox(&inbox, Bytes::from(content))
            .await
            .unwrap();
        assert_eq!(archive.get_inbox(&inbox).await.unwrap(), content);
    }
    archive.delete_inbox(&inbox).await.unwrap();
    archive.delete_inbox(&inbox).await.unwrap();
    assert!(archive.get_inbox(&inbox).await.is_err());
}

async fn assert_erased(
    archive: &Archive,
    key: &SegmentKey,
    sent: &[Sent],
    erased: &[usize],
    size_bytes: usize,
) {
    let bytes = whole(archive, key).await;
    assert_eq!(bytes.len(), size_bytes);
    let left: Vec<u8> = sent
        .iter()
        .enumerate()
        .filter(|(n, _)| !erased.contains(n))
        .flat_map(|(_, sent)| sent.body.clone())
        .collect();
    assert!(zstd::stream::decode_all(&bytes[..]).unwrap() == left);

    let found = archive.webhooks_in(key).await.unwrap();
    assert_eq!(found.len(), sent.len());
    for ((locator, header), (n, sent)) in found.iter().zip(sent.iter().enumerate()) {
        assert_eq!(locator, &sent.webhook);
        assert_eq!(header.webhook_id, format!("trace-{n}"));
        if !erased.contains(&n) {
            assert_reads(archive, sent).await;
            continue;
        }
        assert_eq!(header.erased_at.as_deref(), Some(NOW));
        assert!(header.headers.is_empty() && header.terra_user_ids.is_empty());
        let user = format!("user-{n}");
        assert!(
            !bytes
                .windows(user.len())
                .any(|window| window == user.as_bytes())
        );
        let error = archive.read_webhook(locator).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Erased { .. }), "{error:?}");
        for locator in &sent.located {
            let error = archive.read_frames(locator).await.unwrap_err();
            assert!(matches!(error, ArchiveError::Erased { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    conformance(&Archive::memory()).await;
}

#[tokio::test]
async fn a_folder_keeps_the_promises() {
    let directory = TempDir::new().unwrap();
    conformance(&Archive::folder(directory.path().join("not/yet/there")).unwrap()).await;
}

#[tokio::test]
async fn a_folder_survives_being_opened_again_beside_the_remains_of_a_killed_write() {
    let directory = TempDir::new().unwrap();
    let archive = Archive::folder(directory.path()).unwrap();
    let (segment, sent) = build(&key(1), &sample());
    let file = directory.path().join(key(1).as_str());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(format!("{}#1", file.display()), b"half a segm").unwrap();
    archive
        .write_segment(key(1), segment.finish())
        .await
        .unwrap();

    let archive = Archive::folder(directory.path()).unwrap();
    assert_reads(&archive, &sent[0]).await;
    let day = "2026-07-02".parse().unwrap();
    assert_eq!(archive.segments(day, day).count().await, 1);
}

#[test]
fn ranges_that_cannot_be_records_are_refused_and_leave_the_segment_as_it_was() {
    let mut segment = SegmentBuilder::new();
    segment
        .append(header("trace-0", "user-0"), b"abc", &[])
        .unwrap();
    let before = segment.size_bytes();
    for pairs in [
        &[(0, 0)][..],
        &[(4, 2)],
        &[(0, 11)],
        &[(11, 12)],
        &[(2, 5), (4, 6)],
        &[(4, 6), (0, 2)],
    ] {
        let ranges: Vec<_> = pairs
            .iter()
            .map(|&(start, end)| Range { start, end })
            .collect();
        let error = segment
            .append(header("trace-1", "user-1"), b"0123456789", &ranges)
            .unwrap_err();
        assert!(
            matches!(error, ArchiveError::InvalidRanges { .. }),
            "{ranges:?} {error:?}"
        );
        assert_eq!(error.retry(), Retry::Never);
    }
    let huge = header("trace-2", &"x".repeat(MAX_HEADER_BYTES));
    let error = segment.append(huge, b"", &[]).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error:?}");
    let body = vec![0; MAX_BODY_BYTES + 1];
    let error = segment
        .append(header("trace-3", "user-3"), &body, &[])
        .unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error:?}");
    assert_eq!(segment.size_bytes(), before);
}

#[tokio::test]
async fn a_header_with_nothing_to_lose_has_room_for_its_erasure() {
    let archive = Archive::memory();
    let mut segment = SegmentBuilder::new();
    segment.append(WebhookHeader::default(), b"x", &[]).unwrap();
    archive
        .write_segment(key(1), segment.finish())
        .await
        .unwrap();
    for at in [Timestamp::MIN, Timestamp::MAX] {
        assert!(at.to_string().len() <= 33, "{at}");
    }
    let erased = archive
        .erase(&key(1), |_| true, Timestamp::MIN)
        .await
        .unwrap();
    assert_eq!(erased, 1);
}

#[tokio::test]
async fn a_frame_that_would_swell_beyond_the_limit_is_not_decompressed() {
    let archive = Archive::memory();
    let bomb = zstd::bulk::compress(&vec![0; MAX_BODY_BYTES / 2 + 1], 1).unwrap();
    assert!(bomb.len() < 100_000);
    let twice = bomb.repeat(2);
    let at = |length: usize| Locator {
        segment: key(1).to_string(),
        offset_bytes: 0,
        length_bytes: to_u64(length),
    };
    let (one, two) = (at(bomb.len()), at(twice.len()));
    put(&archive, &key(1), twice).await;
    assert!(archive.read_frames(&one).await.is_ok());
    let error = archive.read_frames(&two).await.unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error:?}");

    // One that hides how large it is: streams do not know in advance.
    let silent = zstd::stream::encode_all(&[0; 1_000][..], 1).unwrap();
    let locator = at(silent.len());
    put(&archive, &key(1), silent).await;
    let error = archive.read_frames(&locator).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error:?}");
}

/// A store that fails at the first puts.
#[derive(Debug, Default)]
struct Failing {
    store: InMemory,
    puts: AtomicUsize,
    fails: usize,
    /// True if a put that fails was done all the same: its answer got lost.
    after_all: bool,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let fails = self.puts.fetch_add(1, Ordering::Relaxed) < self.fails;
        if !fails || self.after_all {
            let put = self.store.put_opts(location, payload, options).await;
            if !fails || put.is_err() {
                return put;
            }
        }
        Err(object_store::Error::Generic {
            store: "failing",
            source: "the connection broke".into(),
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_put_whose_answer_got_lost_is_repeated_and_compared() {
    for after_all in [false, true] {
        let failing = |fails| Archive {
            signer: None,
            key: Arc::default(),
            store: Arc::new(Failing {
                fails,
                after_all,
                ..Failing::default()
            }),
            overwrite: Overwrite::IfUnchanged,
        };
        let bytes = Bytes::from_static(b"a segment");
        let archive = failing(1);
        archive.write_segment(key(1), bytes.clone()).await.unwrap();
        assert_eq!(whole(&archive, &key(1)).await, bytes);
        // Somebody else's stays, and is never taken for ours.
        let other = archive
            .write_segment(key(1), Bytes::from_static(b"another"))
            .await;
        assert!(
            matches!(other, Err(ArchiveError::Conflict { .. })),
            "{other:?}"
        );
        assert_eq!(whole(&archive, &key(1)).await, bytes);

        // It ends.
        let written = failing(usize::MAX).write_segment(key(1), bytes).await;
        assert_eq!(written.is_ok(), after_all);
    }
}

#[tokio::test]
async fn an_erasure_begins_again_when_the_segment_changes_under_it() {
    let archive = Archive::memory();
    let (segment, sent) = build(&key(1), &sample());
    archive
        .write_segment(key(1), segment.finish())
        .await
        .unwrap();
    let other = archive.clone();
    let calls = AtomicUsize::new(0);
    let first = |header: &WebhookHeader| {
        // In the middle of it, somebody else erases the last one; memory answers at once.
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            let last = |header: &WebhookHeader| header.webhook_id == "trace-4";
            let erased = other.erase(&key(1), last, now()).now_or_never().unwrap();
            assert_eq!(erased.unwrap(), 1);
        }
        header.webhook_id == "trace-0"
    };
    assert_eq!(archive.erase(&key(1), first, now()).await.unwrap(), 1);
    let size_bytes = whole(&archive, &key(1)).await.len();
    assert_erased(&archive, &key(1), &sent, &[0, 4], size_bytes).await;

    // Without an end to it, it gives up and says so.
    let n = AtomicUsize::new(0);
    let error = archive
        .erase(
            &key(1),
            |_| {
                let random = u128::from(n.fetch_add(1, Ordering::Relaxed) == 0);
                let (segment, _) = build(&key(random), &sample());
                let bytes = segment.finish();
                other
                    .store
                    .put(&key(1).path(), bytes.into())
                    .now_or_never()
                    .unwrap()
                    .unwrap();
                true
            },
            now(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, ArchiveError::Conflict { .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::Later);
}

#[tokio::test]
async fn erasures_in_a_folder_wait_for_each_other() {
    let directory = TempDir::new().unwrap();
    let archive = Archive::folder(directory.path()).unwrap();
    let (segment, sent) = build(&key(1), &sample());
    archive
        .write_segment(key(1), segment.finish())
        .await
        .unwrap();
    let size_bytes = whole(&archive, &key(1)).await.len();
    let erase = async |id: &'static str| {
        archive
            .clone()
            .erase(&key(1), |header| header.webhook_id == id, now())
            .await
            .unwrap()
    };
    let counts = futures::future::join(erase("trace-0"), erase("trace-4")).await;
    assert_eq!(counts, (1, 1));
    assert_erased(&archive, &key(1), &sent, &[0, 4], size_bytes).await;
}

#[tokio::test]
async fn a_damaged_webhook_can_still_be_erased() {
    let archive = Archive::memory();
    let (segment, sent) = build(&key(1), &sample());
    let mut bytes = Vec::from(segment.finish());
    let frames = usize::try_from(sent[0].located[0].offset_bytes).unwrap();
    bytes[frames] ^= 0xFF;
    let size_bytes = bytes.len();
    put(&archive, &key(1), bytes).await;
    assert!(archive.read_webhook(&sent[0].webhook).await.is_err());
    assert_eq!(
        archive.erase(&key(1), |_| true, now()).await.unwrap(),
        sent.len()
    );
    let bytes = whole(&archive, &key(1)).await;
    assert_eq!(bytes.len(), size_bytes);
    assert_eq!(zstd::stream::decode_all(&bytes[..]).unwrap(), b"");
    let error = archive.read_webhook(&sent[0].webhook).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Erased { .. }), "{error:?}");
}

/// A body and the ranges of its records: any bytes, cut anywhere.
fn body() -> impl Strategy<Value = (Vec<u8>, Vec<Range<usize>>)> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        // Compressible, as JSON is.
        prop::collection::vec(prop::sample::select(b"{\"a\":1},".to_vec()), 0..3_000),
    ];
    bytes.prop_flat_map(|bytes| {
        let cuts = prop::collection::btree_set(0..=bytes.len(), 0..12);
        (Just(bytes), cuts, any::<u16>()).prop_map(|(bytes, cuts, taken)| {
            let cuts: Vec<_> = cuts.into_iter().collect();
            let ranges = cuts
                .windows(2)
                .enumerate()
                .filter(|(n, _)| taken >> n & 1 == 1)
                .map(|(_, cut)| cut[0]..cut[1])
                .collect();
            (bytes, ranges)
        })
    })
}

fn bodies() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<Range<usize>>)>> {
    prop::collection::vec(body(), 1..6)
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(bodies in bodies()) {
        block_on(async {
            let archive = Archive::memory();
            let (segment, sent) = build(&key(1), &bodies);
            archive.write_segment(key(1), segment.finish()).await.unwrap();
            for sent in &sent {
                assert_reads(&archive, sent).await;
            }
            let all: Vec<u8> = bodies.iter().flat_map(|(body, _)| body.clone()).collect();
            let bytes = whole(&archive, &key(1)).await;
            assert!(zstd::stream::decode_all(&bytes[..]).unwrap() == all);
        });
    }

    #[test]
    fn an_erasure_moves_nothing(bodies in bodies(), chosen in any::<u8>()) {
        block_on(async {
            let archive = Archive::memory();
            let (segment, sent) = build(&key(1), &bodies);
            let size_bytes = segment.size_bytes();
            archive.write_segment(key(1), segment.finish()).await.unwrap();
            let erased: Vec<usize> = (0..sent.len()).filter(|n| chosen >> n & 1 == 1).collect();
            let matches = |header: &WebhookHeader| {
                erased.iter().any(|n| header.terra_user_ids == [format!("user-{n}")])
            };
            let count = archive.erase(&key(1), matches, now()).await.unwrap();
            assert_eq!(count, erased.len());
            assert_eq!(archive.erase(&key(1), matches, now()).await.unwrap(), 0);
            assert_erased(&archive, &key(1), &sent, &erased, size_bytes).await;
        });
    }

    #[test]
    fn damage_is_an_error_or_harmless_never_other_bytes(
        bodies in bodies(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        block_on(async {
            let archive = Archive::memory();
            let (segment, sent) = build(&key(1), &bodies);
            let mut bytes = Vec::from(segment.finish());
            for (at, mask) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            put(&archive, &key(1), bytes).await;
            let typed = |error: &ArchiveError| {
                assert!(
                    matches!(
                        error,
                        ArchiveError::Corrupt { .. }
                            | ArchiveError::Erased { .. }
                            | ArchiveError::TooLarge { .. }
                    ),
                    "{error:?}"
                );
            };
            for sent in &sent {
                match archive.read_webhook(&sent.webhook).await {
                    Ok(webhook) => assert!(webhook.body == sent.body),
                    Err(error) => typed(&error),
                }
                for (range, locator) in sent.records.iter().zip(&sent.located) {
                    match archive.read_frames(locator).await {
                        Ok(record) => assert!(record == sent.body[range.clone()]),
                        Err(error) => typed(&error),
                    }
                }
            }
            if let Err(error) = archive.webhooks_in(&key(1)).await {
                typed(&error);
            }
            if let Err(error) = archive.erase(&key(1), |_| true, now()).await {
                typed(&error);
            }
        });
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        block_on(async {
            let archive = Archive::memory();
            let length_bytes = to_u64(bytes.len());
            let locator = Locator { segment: key(1).to_string(), offset_bytes: 0, length_bytes };
            put(&archive, &key(1), bytes).await;
            assert!(archive.read_webhook(&locator).await.is_err());
            assert!(archive.read_frames(&locator).await.is_err());
            assert!(archive.webhooks_in(&key(1)).await.is_err());
            assert!(archive.erase(&key(1), |_| true, now()).await.is_err());
        });
    }
}
