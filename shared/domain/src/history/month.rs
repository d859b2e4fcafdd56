//! Months, and sets of days within one.

use std::{fmt, str::FromStr};

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use super::day::{self, Span};

/// A calendar month, written `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    first: Date,
}

/// The text is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written YYYY-MM")]
pub struct InvalidMonth;

impl Month {
    /// The month of a day.
    pub fn of(day: Date) -> Self {
        Self {
            first: day.first_of_month(),
        }
    }

    /// All its days.
    pub fn span(self) -> Span {
        let last = self.first.last_of_month();
        Span::new(self.first, day::next(last)).unwrap_or(Span::of_day(self.first))
    }

    /// Returns the days of a run that lie in this month.
    pub fn days_of(self, span: Span) -> Days {
        let within = self.span().intersection(span);
        within.into_iter().flat_map(Span::days).collect()
    }

    /// The days of a set, oldest first. A number that the month has not is left out.
    pub fn dates(self, days: Days) -> impl Iterator<Item = Date> {
        let (year, month) = (self.first.year(), self.first.month());
        (1..=self.first.days_in_month())
            .filter(move |&number| days.has_number(number))
            .map(move |number| date(year, month, number))
    }

    /// The months that a run of days touches, oldest first.
    pub fn touched_by(span: Span) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(Self::of(span.from())), |month| {
            Some(Self::of(month.span().until()))
        })
        .take_while(move |month| month.first < span.until())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, InvalidMonth> {
        let first: Date = format!("{text}-01").parse().map_err(|_| InvalidMonth)?;
        let month = Self::of(first);
        (month.to_string() == text)
            .then_some(month)
            .ok_or(InvalidMonth)
    }
}

impl TryFrom<String> for Month {
    type Error = InvalidMonth;

    fn try_from(text: String) -> Result<Self, InvalidMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

/// A set of days of one month: bit 0 is the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Days(u32);

impl Days {
    /// Returns whether the set holds the day of its month that `day` is.
    pub fn has(self, day: Date) -> bool {
        self.has_number(day.day())
    }

    fn has_number(self, number: i8) -> bool {
        self.0 & bit(number) != 0
    }

    /// No day.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the days of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the days that `other` has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the number of days.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl FromIterator<Date> for Days {
    fn from_iter<I: IntoIterator<Item = Date>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | bit(day.day())))
    }
}

fn bit(number: i8) -> u32 {
    u32::try_from(number - 1)
        .ok()
        .and_then(|shift| 1_u32.checked_shl(shift))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_one_spelling() {
        let month: Month = "2024-02".parse().unwrap();
        assert_eq!(month.to_string(), "2024-02");
        assert_eq!(month.span().length_days(), 29);
        for text in ["2024-2", "2024-13", "202402", ""] {
            assert_eq!(text.parse::<Month>(), Err(InvalidMonth));
        }
    }

    #[test]
    fn a_run_over_a_boundary_is_split_among_its_months() {
        let span = Span::new(date(2026, 1, 30), date(2026, 3, 2)).unwrap();
        let months: Vec<_> = Month::touched_by(span).collect();
        let counts: Vec<_> = months
            .iter()
            .map(|month| month.days_of(span).count())
            .collect();
        assert_eq!(counts, [2, 28, 1]);
        let dates = months[2].dates(months[2].days_of(span)).collect::<Vec<_>>();
        assert_eq!(dates, [date(2026, 3, 1)]);
    }
}
