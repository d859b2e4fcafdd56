//! The names of the archive's objects; nowhere else is one spelled.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::stretch::Stretch;

const SEGMENTS: &str = "archive";
const INBOX: &str = "inbox";
const EXTENSION: &str = ".zst";
const MAX_NAME_BYTES: usize = 128;

/// The text is not the key of an object of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not written {0}")]
pub struct InvalidKey(&'static str);

impl InvalidKey {
    pub(crate) fn of_export() -> Self {
        Self("exports/YYYY/MM/DD/<letters, digits, - and _>.zip")
    }
}

const NO_SEGMENT: InvalidKey = InvalidKey("archive/YYYY/MM/DD/<ulid>.zst");
const NO_INBOX: InvalidKey = InvalidKey("inbox/YYYY/MM/DD/<letters, digits, - and _>.zst");

/// The key of one segment: `archive/YYYY/MM/DD/<ulid>.zst`.
///
/// The day is that of writing, in UTC. Keys sort in the order of writing, to the millisecond.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SegmentKey(String);

impl SegmentKey {
    /// The key of a segment that is written `now`. Of `random`, the low 80 bits are used.
    ///
    /// ```
    /// use store::archive::SegmentKey;
    ///
    /// let now = "2026-07-02T23:59:59+00:00".parse()?;
    /// let key = SegmentKey::new(now, 42);
    /// assert_eq!(key.as_str(), "archive/2026/07/02/01KWJMCT0R000000000000001A.zst");
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn new(now: Timestamp, random: u128) -> Self {
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let ulid = Ulid::from_parts(milliseconds, random);
        Self(format!(
            "{}/{ulid}{EXTENSION}",
            folder(SEGMENTS, day_of(now))
        ))
    }

    /// The key of the segment of a day with this ulid.
    pub(super) fn of_day(day: Date, ulid: Ulid) -> Self {
        Self(format!("{}/{ulid}{EXTENSION}", folder(SEGMENTS, day)))
    }

    /// The key of the segment with this ulid, which holds the time of writing.
    pub(super) fn of_ulid(ulid: Ulid) -> Self {
        let at_ms = i64::try_from(ulid.timestamp_ms()).unwrap_or_default();
        let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
        Self::of_day(day_of(at), ulid)
    }

    /// The day of the segment.
    pub fn day(&self) -> Date {
        let folder = self.0.rsplit_once('/').map_or("", |(folder, _)| folder);
        Stretch::of_day_folder(&Path::from(folder)).unwrap_or_default()
    }

    /// The ulid of the segment.
    pub(super) fn ulid(&self) -> Ulid {
        let name = name_in(SEGMENTS, &self.0);
        name.and_then(|name| Ulid::from_string(name).ok())
            .unwrap_or_default()
    }

    /// The key as the store knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn path(&self) -> Path {
        Path::from(self.as_str())
    }

    /// Returns the beginning of every segment key of a day.
    pub(super) fn folder_of(day: Date) -> Path {
        Path::from(folder(SEGMENTS, day))
    }
}

impl FromStr for SegmentKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let name = name_in(SEGMENTS, text).ok_or(NO_SEGMENT)?;
        // Ulids are read leniently; only their one canonical form is a key.
        match Ulid::from_string(name) {
            Ok(ulid) if ulid.to_string() == name => Ok(Self(text.to_owned())),
            _ => Err(NO_SEGMENT),
        }
    }
}

/// The key of one body that was too large for its queue message:
/// `inbox/YYYY/MM/DD/<name>.zst`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InboxKey(String);

impl InboxKey {
    /// The key of a body that is put into the inbox `now`; the same name on the same day is the
    /// same body.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] unless `name` is 1 to 128 ASCII letters, digits, `-` and `_`.
    pub fn new(now: Timestamp, name: &str) -> Result<Self, InvalidKey> {
        if !is_name(name) {
            return Err(NO_INBOX);
        }
        Ok(Self(format!(
            "{}/{name}{EXTENSION}",
            folder(INBOX, day_of(now))
        )))
    }

    /// The key as the store knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn path(&self) -> Path {
        Path::from(self.as_str())
    }
}

impl FromStr for InboxKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let name = name_in(INBOX, text).ok_or(NO_INBOX)?;
        if is_name(name) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NO_INBOX)
        }
    }
}

macro_rules! as_text {
    ($key:ty) => {
        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$key> for String {
            fn from(key: $key) -> Self {
                key.0
            }
        }

        impl TryFrom<String> for $key {
            type Error = InvalidKey;

            fn try_from(text: String) -> Result<Self, InvalidKey> {
                text.parse()
            }
        }
    };
}

as_text!(SegmentKey);
as_text!(InboxKey);

fn day_of(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

fn folder(kind: &str, day: Date) -> String {
    format!(
        "{kind}/{:04}/{:02}/{:02}",
        day.year(),
        day.month(),
        day.day()
    )
}

/// `<name>` of `<kind>/YYYY/MM/DD/<name>.zst`, if the text is exactly that.
fn name_in<'a>(kind: &str, text: &'a str) -> Option<&'a str> {
    let (directory, file) = text.rsplit_once('/')?;
    let mut parts = directory.strip_prefix(kind)?.strip_prefix('/')?.split('/');
    let day = Date::new(
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    // Written anew it must be the same text, so that a day has one spelling.
    if folder(kind, day.ok()?) != directory {
        return None;
    }
    file.strip_suffix(EXTENSION)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let now = "2026-07-02T23:30:00-01:00".parse().unwrap();
        let segment = SegmentKey::new(now, u128::MAX);
        assert!(
            segment.as_str().starts_with("archive/2026/07/03/"),
            "{segment}"
        );
        assert_eq!(segment.as_str().parse(), Ok(segment.clone()));
        assert_eq!(segment.path().as_ref(), segment.as_str());

        let inbox = InboxKey::new(now, "3f2a_b-C").unwrap();
        assert_eq!(inbox.as_str(), "inbox/2026/07/03/3f2a_b-C.zst");
        assert_eq!(inbox.as_str().parse(), Ok(inbox.clone()));
        assert_eq!(inbox.path().as_ref(), inbox.as_str());
    }

    #[test]
    fn anything_else_is_no_key() {
        for text in [
            "",
            "archive",
            "archive/2026/07/02",
            "archive/2026/07/02/",
            "archive/2026/07/02/.zst",
            "archive/2026/07/02/01J1XY.zst",
            "archive/2026/07/02/01kwjmct0r000000000000001a.zst",
            "archive/2026/07/02/01KWJMCT0R000000000000001A",
            "archive/2026/13/02/01KWJMCT0R000000000000001A.zst",
            "archive/2026/7/2/01KWJMCT0R000000000000001A.zst",
            "archive/2026/07/02/x/01KWJMCT0R000000000000001A.zst",
            "/archive/2026/07/02/01KWJMCT0R000000000000001A.zst",
            "inbox/2026/07/02/01KWJMCT0R000000000000001A.zst",
        ] {
            assert_eq!(text.parse::<SegmentKey>(), Err(NO_SEGMENT), "{text}");
        }
        let now = "2026-07-02T00:00:00Z".parse().unwrap();
        for name in ["", "a/b", "..", "a.b", "a#1", "é", &"x".repeat(129)] {
            assert_eq!(InboxKey::new(now, name), Err(NO_INBOX), "{name}");
            let text = format!("inbox/2026/07/02/{name}.zst");
            assert_eq!(text.parse::<InboxKey>(), Err(NO_INBOX), "{text}");
        }
    }
}
