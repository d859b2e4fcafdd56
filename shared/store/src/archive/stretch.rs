//! Stretches of the archive that have one object of the index each: a month that is over, or a day of one that is not.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use object_store::path::Path;

/// Age below which a segment may still get a neighbour with an older ulid, because a batch has its name from its
/// beginning and takes a minute at most. Unit: milliseconds.
pub(super) const SETTLED_MS: i64 = 2 * 60 * 1000;

/// A month or a day of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stretch {
    /// The month of a day.
    Month(Date),
    /// One day.
    Day(Date),
}

impl Stretch {
    /// The first day.
    pub fn first(self) -> Date {
        match self {
            Self::Month(day) => day.first_of_month(),
            Self::Day(day) => day,
        }
    }

    /// The last day.
    pub fn last(self) -> Date {
        match self {
            Self::Month(day) => day.last_of_month(),
            Self::Day(day) => day,
        }
    }

    /// Returns whether no segment comes any more.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        let next = self.last().tomorrow().ok();
        let end = next.and_then(|next| next.to_zoned(TimeZone::UTC).ok());
        let settled_ms = now.as_millisecond().saturating_sub(SETTLED_MS);
        end.is_some_and(|end| end.timestamp().as_millisecond() < settled_ms)
    }

    /// The object of the index.
    pub(super) fn path(self) -> Path {
        let first = self.first();
        let (year, month, day) = (first.year(), first.month(), first.day());
        Path::from(match self {
            Self::Month(_) => format!("index/{year:04}/{month:02}.idx"),
            Self::Day(_) => format!("index/{year:04}/{month:02}/{day:02}.idx"),
        })
    }

    /// The day of a folder of segments.
    pub(super) fn of_day_folder(folder: &Path) -> Option<Date> {
        let mut parts = folder.as_ref().strip_prefix("archive/")?.split('/');
        let day = Date::new(
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        );
        day.ok()
    }

    /// The first day of a month's folder.
    pub(super) fn of_month_folder(folder: &Path) -> Option<Date> {
        Self::of_day_folder(&Path::from(format!("{folder}/01")))
    }

    /// The folder of a month's days.
    pub(super) fn month_folder(day: Date) -> Path {
        Path::from(format!("archive/{:04}/{:02}", day.year(), day.month()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_stretch_is_over_when_its_last_segment_has_settled() {
        let month = Stretch::Month(date(2026, 2, 14));
        assert_eq!(
            (month.first(), month.last()),
            (date(2026, 2, 1), date(2026, 2, 28))
        );
        let over = |now: &str, stretch: Stretch| stretch.is_over(now.parse().unwrap());
        assert!(!over("2026-02-28T23:59:59Z", month));
        assert!(!over("2026-03-01T00:02:00Z", month));
        assert!(over("2026-03-01T00:02:01Z", month));
        let day = Stretch::Day(date(2026, 2, 14));
        assert!(over("2026-02-15T00:02:01Z", day) && !over("2026-02-14T12:00:00Z", day));
        let folder = Stretch::month_folder(day.first());
        assert_eq!(Stretch::of_month_folder(&folder), Some(month.first()));
        assert_eq!(month.path().as_ref(), "index/2026/02.idx");
        assert_eq!(day.path().as_ref(), "index/2026/02/14.idx");
    }
}
