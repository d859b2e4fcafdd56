//! First and last day of the records of a type.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::civil::Date;
use models::data::DataType;
use serde::{Deserialize, Serialize};

use crate::Join;

/// First and last day of records. It only ever grows.
///
/// Its text is `<first>/<last>`: it stands in the item of every connection, whose size is paid for with each
/// write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Extent {
    first: Date,
    last: Date,
}

/// Extents by type. A type that is not there has no record that belongs to a day.
pub type Extents = BTreeMap<DataType, Extent>;

/// The text is no extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an extent is two dates in order, with a slash between them")]
pub struct InvalidExtent;

impl Extent {
    /// One day.
    pub fn of_day(day: Date) -> Self {
        Self {
            first: day,
            last: day,
        }
    }

    /// The first day.
    pub fn first(self) -> Date {
        self.first
    }

    /// The last day.
    pub fn last(self) -> Date {
        self.last
    }

    /// Returns whether a day from `from` to `to`, both included, may have a record.
    pub fn touches(self, from: Date, to: Date) -> bool {
        self.first <= to && from <= self.last
    }
}

impl Join for Extent {
    fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.last)
    }
}

impl FromStr for Extent {
    type Err = InvalidExtent;

    fn from_str(text: &str) -> Result<Self, InvalidExtent> {
        let (first, last) = text.split_once('/').ok_or(InvalidExtent)?;
        let [first, last] = [first, last].map(|day| day.parse::<Date>().map_err(|_| InvalidExtent));
        let (first, last) = (first?, last?);
        (first <= last)
            .then_some(Self { first, last })
            .ok_or(InvalidExtent)
    }
}

impl TryFrom<String> for Extent {
    type Error = InvalidExtent;

    fn try_from(text: String) -> Result<Self, InvalidExtent> {
        text.parse()
    }
}

impl From<Extent> for String {
    fn from(extent: Extent) -> Self {
        extent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn an_extent_is_read_back_from_its_text() {
        let extent = Extent::of_day(date(2026, 3, 1)).join(Extent::of_day(date(2025, 12, 31)));
        assert_eq!(extent.to_string(), "2025-12-31/2026-03-01");
        assert_eq!(extent.to_string().parse(), Ok(extent));
        for wrong in ["", "2026-01-01", "2026-01-02/2026-01-01", "2026-01-01/x"] {
            assert_eq!(wrong.parse::<Extent>(), Err(InvalidExtent), "{wrong}");
        }
    }

    #[test]
    fn days_beside_it_are_not_touched() {
        let extent = Extent::of_day(date(2026, 3, 1)).join(Extent::of_day(date(2026, 3, 9)));
        for (from, to, touches) in [
            (date(2026, 2, 1), date(2026, 2, 28), false),
            (date(2026, 2, 1), date(2026, 3, 1), true),
            (date(2026, 3, 4), date(2026, 3, 5), true),
            (date(2026, 3, 9), date(2026, 4, 1), true),
            (date(2026, 3, 10), date(2026, 4, 1), false),
        ] {
            assert_eq!(extent.touches(from, to), touches, "{from} {to}");
        }
    }
}
