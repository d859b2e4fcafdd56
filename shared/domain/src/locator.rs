//! Places of bytes in the archive.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A run of bytes inside one archive segment.
///
/// Written as `<segment>@<offset>+<length>`, for example
/// `archive/2026/07/02/01J1XY….zst@128+512`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Locator {
    /// The segment's object key.
    pub segment: String,
    /// First byte, from the start of the object.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub length_bytes: u64,
}

/// The text is not a locator.
#[derive(Debug, thiserror::Error)]
#[error("a locator is written <segment>@<offset>+<length>")]
pub struct InvalidLocator;

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{}+{}",
            self.segment, self.offset_bytes, self.length_bytes
        )
    }
}

impl FromStr for Locator {
    type Err = InvalidLocator;

    fn from_str(text: &str) -> Result<Self, InvalidLocator> {
        let (segment, span) = text.rsplit_once('@').ok_or(InvalidLocator)?;
        let (offset, length) = span.split_once('+').ok_or(InvalidLocator)?;
        if segment.is_empty() {
            return Err(InvalidLocator);
        }
        Ok(Self {
            segment: segment.to_owned(),
            offset_bytes: offset.parse().map_err(|_| InvalidLocator)?,
            length_bytes: length.parse().map_err(|_| InvalidLocator)?,
        })
    }
}

impl From<Locator> for String {
    fn from(locator: Locator) -> Self {
        locator.to_string()
    }
}

impl TryFrom<String> for Locator {
    type Error = InvalidLocator;

    fn try_from(text: String) -> Result<Self, InvalidLocator> {
        text.parse()
    }
}
