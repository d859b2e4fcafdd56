//! Calendar days, runs of them, and when a day is over for everybody.
//!
//! A day is the wearer's own and is cut from Terra's text (FACTS section 9). Where on Earth the
//! wearer is, nobody tells: offsets go from −14 to +14 hours, may be absent, and change on a
//! journey. So every rule here holds for all of them at once, and the length of a day (23 or 25
//! hours at a clock change) never matters.

use jiff::{Timestamp, civil::Date, tz::Offset};
use serde::{Deserialize, Serialize};

use crate::key::{CalendarDate, NaturalKey};

/// The widest offset on either side. Unit: milliseconds.
const WIDEST_OFFSET_MS: i64 = 14 * HOUR_MS;
/// One hour. Unit: milliseconds.
pub const HOUR_MS: i64 = 3_600_000;
/// One day of 24 hours. Unit: milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A run of calendar days, first one included, last one not; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Date, Date)", into = "(Date, Date)")]
pub struct Span {
    from: Date,
    until: Date,
}

/// A run of days that ends before it begins, or has no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run of days ends after it begins")]
pub struct InvalidSpan;

impl Span {
    /// The days from `from` up to and without `until`.
    ///
    /// # Errors
    ///
    /// [`InvalidSpan`] unless `from` is before `until`.
    pub fn new(from: Date, until: Date) -> Result<Self, InvalidSpan> {
        (from < until)
            .then_some(Self { from, until })
            .ok_or(InvalidSpan)
    }

    /// One day.
    pub fn of_day(day: Date) -> Self {
        Self {
            from: day,
            until: next(day),
        }
    }

    /// The first day.
    pub fn from(self) -> Date {
        self.from
    }

    /// The day after the last one.
    pub fn until(self) -> Date {
        self.until
    }

    /// Returns the number of days.
    pub fn length_days(self) -> u32 {
        u32::try_from(number(self.until) - number(self.from)).unwrap_or_default()
    }

    /// Returns whether the day is one of them.
    pub fn contains(self, day: Date) -> bool {
        self.from <= day && day < self.until
    }

    /// The days, oldest first.
    pub fn days(self) -> impl Iterator<Item = Date> {
        std::iter::successors(Some(self.from), |&day| day.tomorrow().ok())
            .take_while(move |&day| day < self.until)
    }

    /// The days that both have.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.until.min(other.until)).ok()
    }

    /// Older and newer half; `None` for a single day.
    pub fn halves(self) -> Option<[Self; 2]> {
        let middle = plus(self.from, i64::from(self.length_days() / 2));
        let older = Self::new(self.from, middle).ok()?;
        let newer = Self::new(middle, self.until).ok()?;
        Some([older, newer])
    }

    /// Runs of neighbouring days, oldest first. Repeated days count once.
    pub fn runs(days: impl IntoIterator<Item = Date>) -> Vec<Self> {
        let mut days: Vec<_> = days.into_iter().collect();
        days.sort_unstable();
        let mut runs: Vec<Self> = Vec::new();
        for day in days {
            match runs.last_mut() {
                Some(run) if day <= run.until => run.until = run.until.max(next(day)),
                _ => runs.push(Self::of_day(day)),
            }
        }
        runs
    }
}

impl TryFrom<(Date, Date)> for Span {
    type Error = InvalidSpan;

    fn try_from((from, until): (Date, Date)) -> Result<Self, InvalidSpan> {
        Self::new(from, until)
    }
}

impl From<Span> for (Date, Date) {
    fn from(span: Span) -> Self {
        (span.from, span.until)
    }
}

/// The day a record belongs to: its key where that is a date, else cut from its start time.
pub fn of_record(key: &NaturalKey, start_time: Option<&str>) -> Option<Date> {
    let day = match key {
        NaturalKey::Day(day) => *day,
        _ => CalendarDate::cut_from(start_time?).ok()?,
    };
    day.to_string().parse().ok()
}

/// The latest date that anybody on Earth writes at `now_ms`.
pub fn latest_on_earth(now_ms: i64) -> Date {
    utc_date(now_ms.saturating_add(WIDEST_OFFSET_MS))
}

/// The earliest date that anybody on Earth writes at `now_ms`.
pub fn earliest_on_earth(now_ms: i64) -> Date {
    utc_date(now_ms.saturating_sub(WIDEST_OFFSET_MS))
}

/// Returns the time at which the day begins for the first person on Earth. Unit: Unix milliseconds.
pub fn begins_ms(day: Date) -> i64 {
    midnight_ms(day) - WIDEST_OFFSET_MS
}

/// Returns the time at which the day is over for the last person on Earth. Unit: Unix milliseconds.
pub fn over_ms(day: Date) -> i64 {
    midnight_ms(next(day)) + WIDEST_OFFSET_MS
}

/// The day `days` later, or earlier if negative; the calendar's own end at most.
pub fn plus(day: Date, days: i64) -> Date {
    day.saturating_add(jiff::SignedDuration::from_hours(
        24 * days.clamp(-MAX_DAYS, MAX_DAYS),
    ))
}

/// More days than any calendar here has.
const MAX_DAYS: i64 = 10_000_000;

/// The day after.
pub fn next(day: Date) -> Date {
    day.tomorrow().unwrap_or(Date::MAX)
}

/// The day before.
pub fn previous(day: Date) -> Date {
    day.yesterday().unwrap_or(Date::MIN)
}

/// Returns the number of days from `one` to `other`; negative when `other` is earlier.
pub fn between(one: Date, other: Date) -> i64 {
    number(other) - number(one)
}

/// Days since 1 January 1970.
fn number(day: Date) -> i64 {
    // Every date has a number, also those that no instant has.
    i64::from((day - Date::constant(1970, 1, 1)).get_days())
}

fn midnight_ms(day: Date) -> i64 {
    let midnight = day.to_datetime(jiff::civil::Time::midnight());
    let instant = Offset::UTC.to_timestamp(midnight);
    instant.map_or(i64::MAX / 4, Timestamp::as_millisecond)
}

fn utc_date(ms: i64) -> Date {
    let instant = Timestamp::from_millisecond(ms).unwrap_or_default();
    Offset::UTC.to_datetime(instant).date()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_day_is_over_when_the_last_person_on_earth_has_left_it() {
        let day = date(2026, 3, 29);
        assert_eq!(over_ms(day), ms("2026-03-30T14:00:00Z"));
        assert_eq!(begins_ms(day), ms("2026-03-28T10:00:00Z"));
        assert_eq!(latest_on_earth(ms("2026-03-28T10:00:00Z")), day);
        assert_eq!(earliest_on_earth(ms("2026-03-30T13:59:59Z")), day);
    }

    #[test]
    fn the_day_of_a_record_is_its_own_text_whatever_the_offset() {
        for text in [
            "2026-10-25T23:59:59+14:00",
            "2026-10-25T00:00:00-14:00",
            "2026-10-25T02:30:00",
        ] {
            let key = NaturalKey::Id("x".into());
            assert_eq!(of_record(&key, Some(text)), Some(date(2026, 10, 25)));
        }
        let key = NaturalKey::Day("2026-10-25".parse().unwrap());
        assert_eq!(of_record(&key, None), Some(date(2026, 10, 25)));
        assert_eq!(of_record(&NaturalKey::Profile, Some("soon")), None);
    }

    #[test]
    fn runs_are_of_neighbouring_days() {
        let days = [3, 1, 2, 2, 7].map(|day| date(2026, 2, day));
        let runs = Span::runs(days);
        assert_eq!(runs.len(), 2);
        assert_eq!(
            runs[0],
            Span::new(date(2026, 2, 1), date(2026, 2, 4)).unwrap()
        );
        assert_eq!(runs[1].length_days(), 1);
    }

    #[test]
    fn halves_keep_every_day() {
        let span = Span::new(date(2026, 2, 25), date(2026, 3, 4)).unwrap();
        let [older, newer] = span.halves().unwrap();
        assert_eq!((older.from(), newer.until()), (span.from(), span.until()));
        assert_eq!(older.until(), newer.from());
        assert_eq!(Span::of_day(span.from()).halves(), None);
    }

    #[test]
    fn a_span_that_ends_before_it_begins_cannot_be_read() {
        assert!(serde_json::from_str::<Span>(r#"["2026-02-02","2026-02-02"]"#).is_err());
        assert!(serde_json::from_str::<Span>(r#"["2026-02-02","2026-02-30"]"#).is_err());
        let span: Span = serde_json::from_str(r#"["2026-02-02","2026-02-04"]"#).unwrap();
        assert_eq!(span.days().count(), 2);
    }
}
