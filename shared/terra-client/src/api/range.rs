//! A stretch of time that data are asked for.

use domain::pacing::MAX_DAYS_PER_REQUEST;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

const DAY_S: i64 = 86_400;
/// Unix seconds that ten digits can say.
const TEN_DIGITS: std::ops::RangeInclusive<i64> = 1_000_000_000..=9_999_999_999;

/// From a start to an end that is itself left out (FACTS section 14, row 44), of at most 1,825 days
/// (FACTS section 6). A range that exists can be asked for.
///
/// ```
/// use jiff::civil::date;
/// use terra_client::api::DateRange;
///
/// let june = DateRange::of_days(date(2026, 6, 1), date(2026, 7, 1))?;
/// assert_eq!(june.days(), 30);
/// assert!(DateRange::of_days(date(2026, 7, 1), date(2026, 7, 1)).is_err());
/// # Ok::<(), terra_client::api::InvalidRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    bounds: Edges,
    days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edges {
    Days(Date, Date),
    Seconds(i64, i64),
}

/// No data can be asked for such a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// The range ends where it starts, or before.
    #[error("the range does not end after its start")]
    Empty,
    /// Terra takes 1,825 days at once.
    #[error("the range has {days} days, more than {MAX_DAYS_PER_REQUEST}")]
    TooLong {
        /// Length of the range.
        days: u64,
    },
    /// Terra takes Unix seconds of ten digits: from September 2001 to November 2286.
    #[error("the range has a time that ten digits cannot say")]
    NotTenDigits,
}

impl DateRange {
    /// Whole days; `end` is the first day that is not asked for.
    ///
    /// # Errors
    ///
    /// [`InvalidRange::Empty`] when the range does not end after its start, [`InvalidRange::TooLong`]
    /// beyond 1,825 days.
    pub fn of_days(start: Date, end: Date) -> Result<Self, InvalidRange> {
        let days = days(end.duration_since(start).as_secs())?;
        Ok(Self {
            bounds: Edges::Days(start, end),
            days,
        })
    }

    /// From one second to another; `end` is the first that is not asked for. A day that is begun
    /// counts as a day.
    ///
    /// # Errors
    ///
    /// [`InvalidRange::NotTenDigits`] when ten digits cannot say a bound, [`InvalidRange::Empty`] when
    /// the range does not end after its start, [`InvalidRange::TooLong`] beyond 1,825 days.
    pub fn of_seconds(start: Timestamp, end: Timestamp) -> Result<Self, InvalidRange> {
        let (start, end) = (start.as_second(), end.as_second());
        if !TEN_DIGITS.contains(&start) || !TEN_DIGITS.contains(&end) {
            return Err(InvalidRange::NotTenDigits);
        }
        Ok(Self {
            bounds: Edges::Seconds(start, end),
            days: days(end.saturating_sub(start))?,
        })
    }

    /// Returns the days that Terra counts for the range. Unit: days.
    pub fn days(&self) -> u32 {
        self.days
    }

    /// The first and the last day that it touches; seconds by the days of UTC.
    pub fn first_and_last_day(&self) -> (Date, Date) {
        match self.bounds {
            Edges::Days(start, end) => (start, end.yesterday().unwrap_or(start)),
            Edges::Seconds(start, end) => (day_of(start), day_of(end.saturating_sub(1))),
        }
    }

    /// `start_date` and `end_date` as Terra takes them.
    pub(super) fn parameters(&self) -> (String, String) {
        match self.bounds {
            Edges::Days(start, end) => (start.to_string(), end.to_string()),
            Edges::Seconds(start, end) => (start.to_string(), end.to_string()),
        }
    }
}

fn day_of(second: i64) -> Date {
    // Ten digits are well inside the calendar.
    let at = Timestamp::from_second(second).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date()
}

fn days(seconds: i64) -> Result<u32, InvalidRange> {
    let seconds = u64::try_from(seconds).map_err(|_| InvalidRange::Empty)?;
    let days = seconds.div_ceil(DAY_S.unsigned_abs());
    match u32::try_from(days) {
        Ok(0) => Err(InvalidRange::Empty),
        Ok(days) if days <= MAX_DAYS_PER_REQUEST => Ok(days),
        _ => Err(InvalidRange::TooLong { days }),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{ToSpan, civil::date};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exactly_1825_days_are_allowed() {
        let start = date(2021, 7, 1);
        let days = |days: i32| DateRange::of_days(start, start.saturating_add(days.days()));
        assert_eq!(days(1_825).unwrap().days(), 1_825);
        assert_eq!(days(1_826), Err(InvalidRange::TooLong { days: 1_826 }));
        assert_eq!(days(0), Err(InvalidRange::Empty));
        assert_eq!(days(-1), Err(InvalidRange::Empty));
        assert_eq!(
            DateRange::of_days(Date::MIN, Date::MAX),
            Err(InvalidRange::TooLong { days: 7_304_483 })
        );
    }

    #[test]
    fn a_day_that_is_begun_counts() {
        let seconds = |start: i64, end: i64| {
            let at = |second| Timestamp::from_second(second).unwrap();
            DateRange::of_seconds(at(start), at(end))
        };
        let start = 1_780_000_000;
        assert_eq!(seconds(start, start + 1).unwrap().days(), 1);
        assert_eq!(seconds(start, start + DAY_S).unwrap().days(), 1);
        assert_eq!(seconds(start, start + DAY_S + 1).unwrap().days(), 2);
        assert_eq!(seconds(start, start), Err(InvalidRange::Empty));
        assert_eq!(seconds(start, start - 1), Err(InvalidRange::Empty));
        assert_eq!(seconds(999_999_999, start), Err(InvalidRange::NotTenDigits));
        assert_eq!(
            seconds(start, 10_000_000_000),
            Err(InvalidRange::NotTenDigits)
        );
    }

    proptest! {
        #[test]
        fn both_forms_count_the_same_days(start in 15_000_i64..40_000, length in 1_i64..=1_825) {
            let at = |day: i64| Timestamp::from_second(day * DAY_S).unwrap();
            let day = |day: i64| at(day).to_zoned(TimeZone::UTC).date();
            let end = start + length;
            let of_days = DateRange::of_days(day(start), day(end)).unwrap();
            let of_seconds = DateRange::of_seconds(at(start), at(end)).unwrap();
            prop_assert_eq!(of_days.days(), of_seconds.days());
            prop_assert_eq!(of_days.first_and_last_day(), of_seconds.first_and_last_day());
            prop_assert_eq!(of_days.first_and_last_day(), (day(start), day(end - 1)));
            prop_assert_eq!(i64::from(of_days.days()), length);
        }
    }
}
