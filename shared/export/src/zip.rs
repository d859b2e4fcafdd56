//! A ZIP file that is written from front to back and can be gone on with between two of its files.
//!
//! Everything that the end of the archive needs is in a [`ZipState`], so that a writer that was interrupted
//! goes on where a file ended. No crate at hand can do that without reading back what it wrote.
//!
//! - Files are deflated. Their lengths are not known in front, so they stand behind them (APPNOTE 4.3.9),
//!   in the form of ZIP64, which has no limit of 4 GiB.
//! - Names are UTF-8. Times are UTC, which ZIP cannot say.
//!
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use jiff::{Timestamp, tz::TimeZone};
use models::ids::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Level of compression: the default of `zip` and of Python.
const LEVEL: u32 = 6;
/// Bytes that the compressor gives at once.
const STEP_BYTES: usize = 64 * 1024;
/// Version that knows ZIP64.
const VERSION: u16 = 45;
/// Version that made the file, on a system with the permissions of Unix.
const MADE_BY: u16 = (3 << 8) | VERSION;
/// Lengths stand behind the file, and its name is UTF-8.
const FLAGS: u16 = (1 << 3) | (1 << 11);
const DEFLATED: u16 = 8;
/// Place of a number that stands in an extra field of ZIP64.
const ELSEWHERE: u32 = u32::MAX;
const ZIP64: u16 = 1;
/// A file that its owner may read and write, and others may read.
const ATTRIBUTES: u32 = 0o100_644 << 16;

/// A file that is in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZipEntry {
    pub(crate) name: String,
    pub(crate) crc32: u32,
    pub(crate) sha256: String,
    pub(crate) compressed_bytes: u64,
    pub(crate) size_bytes: u64,
    offset: u64,
}

/// Files that are in the archive, and its length so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZipState {
    pub(crate) entries: Vec<ZipEntry>,
    offset: u64,
}

impl ZipState {
    /// Length of the archive so far. Unit: bytes.
    pub(crate) fn length_bytes(&self) -> u64 {
        self.offset
    }
}

/// Writer of an archive. It does no I/O: [`ZipWriter::take`] gives what is to be written.
pub(crate) struct ZipWriter {
    state: ZipState,
    /// Time of all files, as ZIP writes it.
    time: (u16, u16),
    out: Vec<u8>,
    open: Option<Open>,
}

/// A file that is being written.
struct Open {
    entry: ZipEntry,
    compress: Compress,
    crc: Crc,
    sha256: Sha256,
}

/// The compressor refused its input.
#[derive(Debug, thiserror::Error)]
#[error("cannot compress the export")]
pub struct CompressError(#[from] flate2::CompressError);

impl ZipWriter {
    /// A writer that begins, or goes on behind the files of `state`. `tail` is what was taken by nobody yet.
    pub(crate) fn new(state: ZipState, tail: Vec<u8>, time: Timestamp) -> Self {
        Self {
            state,
            time: dos_time(time),
            out: tail,
            open: None,
        }
    }

    /// Files so far, and how far the archive is.
    pub(crate) fn state(&self) -> &ZipState {
        &self.state
    }

    /// Bytes that wait to be taken.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.out
    }

    /// Takes the next `length` bytes of the archive, if there are so many.
    pub(crate) fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        if self.out.len() < length {
            return None;
        }
        let rest = self.out.split_off(length);
        Some(std::mem::replace(&mut self.out, rest))
    }

    /// Begins a file. One that is still open is ended.
    pub(crate) fn begin(&mut self, name: &str) -> Result<(), CompressError> {
        self.end()?;
        let offset = self.state.offset;
        let mut header = Vec::with_capacity(name.len() + 50);
        put32(&mut header, 0x0403_4b50);
        put16(&mut header, VERSION);
        self.put_kind(&mut header);
        put32(&mut header, 0);
        put32(&mut header, ELSEWHERE);
        put32(&mut header, ELSEWHERE);
        put16(&mut header, length16(name));
        put16(&mut header, 20);
        header.extend_from_slice(name.as_bytes());
        put16(&mut header, ZIP64);
        put16(&mut header, 16);
        put64(&mut header, 0);
        put64(&mut header, 0);
        self.push(&header);
        self.open = Some(Open {
            entry: ZipEntry {
                name: name.to_owned(),
                crc32: 0,
                sha256: String::new(),
                compressed_bytes: 0,
                size_bytes: 0,
                offset,
            },
            compress: Compress::new(Compression::new(LEVEL), false),
            crc: Crc::new(),
            sha256: Sha256::new(),
        });
        Ok(())
    }

    /// Writes content of the open file. Without one nothing happens.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CompressError> {
        if let Some(open) = &mut self.open {
            open.crc.update(bytes);
            open.sha256.update(bytes);
            open.entry.size_bytes += to_u64(bytes.len());
        }
        self.deflate(bytes, FlushCompress::None)
    }

    /// Ends the open file, if there is one.
    pub(crate) fn end(&mut self) -> Result<(), CompressError> {
        self.deflate(&[], FlushCompress::Finish)?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let mut entry = open.entry;
        entry.crc32 = open.crc.sum();
        entry.sha256 = hex(&open.sha256.finalize());
        entry.compressed_bytes = open.compress.total_out();
        let mut descriptor = Vec::with_capacity(24);
        put32(&mut descriptor, 0x0807_4b50);
        put32(&mut descriptor, entry.crc32);
        put64(&mut descriptor, entry.compressed_bytes);
        put64(&mut descriptor, entry.size_bytes);
        self.push(&descriptor);
        self.state.entries.push(entry);
        Ok(())
    }

    /// Ends the archive: writes its directory. Nothing may be written behind it.
    pub(crate) fn finish(&mut self) -> Result<(), CompressError> {
        self.end()?;
        let begin = self.state.offset;
        let entries = std::mem::take(&mut self.state.entries);
        for entry in &entries {
            let mut header = Vec::with_capacity(entry.name.len() + 80);
            let mut extra = Vec::new();
            let mut number = |number: u64| {
                u32::try_from(number)
                    .ok()
                    .filter(|&number| number != ELSEWHERE)
                    .unwrap_or_else(|| {
                        put64(&mut extra, number);
                        ELSEWHERE
                    })
            };
            // The order of ZIP64's extra field.
            let size = number(entry.size_bytes);
            let compressed = number(entry.compressed_bytes);
            let offset = number(entry.offset);
            put32(&mut header, 0x0201_4b50);
            put16(&mut header, MADE_BY);
            put16(&mut header, VERSION);
            self.put_kind(&mut header);
            put32(&mut header, entry.crc32);
            put32(&mut header, compressed);
            put32(&mut header, size);
            put16(&mut header, length16(&entry.name));
            let extra_length = u16::try_from(extra.len()).unwrap_or_default();
            put16(
                &mut header,
                if extra.is_empty() {
                    0
                } else {
                    extra_length + 4
                },
            );
            // Comment, disk, kind of text.
            for _ in 0..3 {
                put16(&mut header, 0);
            }
            put32(&mut header, ATTRIBUTES);
            put32(&mut header, offset);
            header.extend_from_slice(entry.name.as_bytes());
            if !extra.is_empty() {
                put16(&mut header, ZIP64);
                put16(&mut header, extra_length);
                header.extend_from_slice(&extra);
            }
            self.push(&header);
        }
        let (count, end) = (to_u64(entries.len()), self.state.offset);
        self.state.entries = entries;
        self.push(&end_of_archive(count, begin, end));
        Ok(())
    }

    /// Flags, method and time, which stand alike in both headers of a file.
    fn put_kind(&self, header: &mut Vec<u8>) {
        put16(header, FLAGS);
        put16(header, DEFLATED);
        put16(header, self.time.0);
        put16(header, self.time.1);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.state.offset += to_u64(bytes.len());
    }

    fn deflate(&mut self, mut bytes: &[u8], flush: FlushCompress) -> Result<(), CompressError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        loop {
            let (read, written) = (open.compress.total_in(), open.compress.total_out());
            self.out.reserve(STEP_BYTES);
            let status = open.compress.compress_vec(bytes, &mut self.out, flush)?;
            let taken = usize::try_from(open.compress.total_in() - read).unwrap_or(bytes.len());
            let given = open.compress.total_out() - written;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.state.offset += given;
            let done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => bytes.is_empty(),
            };
            if done {
                return Ok(());
            }
        }
    }
}

/// The end of an archive whose directory lies in `begin..end`.
fn end_of_archive(count: u64, begin: u64, end: u64) -> Vec<u8> {
    let length = end - begin;
    let mut bytes = Vec::new();
    let small = |number: u64, limit: u64| number < limit;
    let fits = small(count, u64::from(u16::MAX))
        && small(begin, u64::from(ELSEWHERE))
        && small(length, u64::from(ELSEWHERE));
    if !fits {
        put32(&mut bytes, 0x0606_4b50);
        put64(&mut bytes, 44);
        put16(&mut bytes, MADE_BY);
        put16(&mut bytes, VERSION);
        put32(&mut bytes, 0);
        put32(&mut bytes, 0);
        put64(&mut bytes, count);
        put64(&mut bytes, count);
        put64(&mut bytes, length);
        put64(&mut bytes, begin);
        put32(&mut bytes, 0x0706_4b50);
        put32(&mut bytes, 0);
        put64(&mut bytes, end);
        put32(&mut bytes, 1);
    }
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let number = |number: u64| u32::try_from(number).unwrap_or(ELSEWHERE);
    put32(&mut bytes, 0x0605_4b50);
    put16(&mut bytes, 0);
    put16(&mut bytes, 0);
    put16(&mut bytes, count);
    put16(&mut bytes, count);
    put32(&mut bytes, number(length));
    put32(&mut bytes, number(begin));
    put16(&mut bytes, 0);
    bytes
}

/// Time and date as ZIP writes them: in steps of two seconds, from 1980.
fn dos_time(at: Timestamp) -> (u16, u16) {
    let at = at.to_zoned(TimeZone::UTC);
    let part = |number: i8| u16::try_from(number).unwrap_or_default();
    let time = (part(at.hour()) << 11) | (part(at.minute()) << 5) | (part(at.second()) / 2);
    let year = u16::try_from(at.year().clamp(1980, 2107) - 1980).unwrap_or_default();
    let date = (year << 9) | (part(at.month()) << 5) | part(at.day());
    (time, date)
}

pub(crate) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Length of a name. Names are made by this crate and short.
fn length16(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or(u16::MAX)
}

fn put16(bytes: &mut Vec<u8>, number: u16) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        "2026-07-02T10:20:30Z".parse().unwrap()
    }

    fn written(writer: &mut ZipWriter) -> Vec<u8> {
        let length = writer.waiting().len();
        writer.take(length).unwrap()
    }

    #[test]
    fn an_archive_that_was_gone_on_with_is_the_one_that_was_written_at_once() {
        let text = "a line of text\n".repeat(20_000);
        let mut whole = ZipWriter::new(ZipState::default(), Vec::new(), time());
        for name in ["a.txt", "b.txt"] {
            whole.begin(name).unwrap();
            for line in text.as_bytes().chunks(1000) {
                whole.write(line).unwrap();
            }
            whole.end().unwrap();
        }
        whole.finish().unwrap();

        let mut first = ZipWriter::new(ZipState::default(), Vec::new(), time());
        first.begin("a.txt").unwrap();
        first.write(text.as_bytes()).unwrap();
        first.end().unwrap();
        let saved = serde_json::to_string(first.state()).unwrap();
        let mut bytes = first.take(100).unwrap();
        let tail = first.waiting().to_vec();
        let mut second = ZipWriter::new(serde_json::from_str(&saved).unwrap(), tail, time());
        second.begin("b.txt").unwrap();
        second.write(text.as_bytes()).unwrap();
        second.finish().unwrap();
        bytes.extend(written(&mut second));
        assert!(bytes == written(&mut whole));
        let entry = &second.state().entries[1];
        assert_eq!(entry.size_bytes, to_u64(text.len()));
        assert_eq!(entry.sha256, hex(&Sha256::digest(&text)));
        assert!(entry.compressed_bytes < entry.size_bytes / 50);
    }

    #[test]
    fn an_archive_beyond_the_limits_of_zip_ends_in_the_form_of_zip64() {
        let far = u64::from(u32::MAX) + 10;
        assert_eq!(end_of_archive(3, 1000, 1200).len(), 22);
        for end in [
            end_of_archive(3, far, far + 200),
            end_of_archive(70_000, 1000, 9_000_000),
        ] {
            assert_eq!(end.len(), 56 + 20 + 22);
            assert_eq!(end[..4], [0x50, 0x4b, 0x06, 0x06]);
        }
    }
}
