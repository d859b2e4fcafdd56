//! Days that were asked for, and those of them that came back empty.
//!
//! One state per connection, data type and month. It only grows, so it is a [`Join`]: two workers
//! that note different answers at once lose neither, in whatever order they write.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    day::{DAY_MS, Span},
    month::{Days, Month},
};
use crate::Join;

/// Time in which a day counts as *asked* after it was claimed for a window or asked for. It is longer
/// than any pause between two requests of one window (see [`retry`](super::window::retry)); beyond it,
/// no answer is expected any more.
pub const ASKED_MS: i64 = 2 * DAY_MS;
/// Number of claims of a day before it is left alone and reported.
pub const MAX_CLAIMS: usize = 5;
/// Marks of one kind kept per month, the newest: bounds the item.
const MAX_MARKS: usize = 64;

/// Sets of days by time. Only the newest are kept, so an item stays small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(BTreeMap<i64, Days>);

impl Marks {
    fn one(days: Days, at_ms: i64) -> Self {
        let some = (!days.is_empty()).then_some((at_ms, days));
        Self(some.into_iter().collect())
    }

    fn times_of(&self, day: Date) -> impl DoubleEndedIterator<Item = i64> {
        let marks = self.0.iter().filter(move |(_, days)| days.has(day));
        marks.map(|(&at_ms, _)| at_ms)
    }

    fn newest_of(&self, day: Date) -> Option<i64> {
        self.times_of(day).next_back()
    }
}

impl Join for Marks {
    fn join(mut self, other: Self) -> Self {
        for (at_ms, days) in other.0 {
            let known = self.0.entry(at_ms).or_default();
            *known = known.union(days);
        }
        while self.0.len() > MAX_MARKS {
            self.0.pop_first();
        }
        self
    }
}

/// Requests and answers for the days of one month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AskedMonth {
    /// A window for these days is about to be planned.
    pub claimed: Marks,
    /// A request for these days was sent. Unit of the times: Unix milliseconds.
    pub asked: Marks,
    /// An answer came to a request of that time, and these days were in it.
    pub answered: Marks,
    /// An answer came to a request of that time, and these days were not in it.
    pub empty: Marks,
}

impl AskedMonth {
    /// The request was sent at `asked_at_ms`.
    pub fn sent(days: Days, asked_at_ms: i64) -> Self {
        Self {
            asked: Marks::one(days, asked_at_ms),
            ..Self::default()
        }
    }

    /// The complete answer to what was asked at `asked_at_ms` had records of `with_records` among
    /// `days`.
    pub fn answer(days: Days, with_records: Days, asked_at_ms: i64) -> Self {
        Self {
            asked: Marks::one(days, asked_at_ms),
            answered: Marks::one(days.without(days.without(with_records)), asked_at_ms),
            empty: Marks::one(days.without(with_records), asked_at_ms),
            ..Self::default()
        }
    }

    /// Claims days for a window that is about to be planned: the state to write, and the days that
    /// are the caller's once it is written. Days that somebody else has claimed or asked for
    /// lately, and days that were claimed often enough, are not.
    #[must_use]
    pub fn claim(self, days: Days, month: Month, now_ms: i64) -> (Self, Days) {
        let free = |&day: &Date| {
            days.has(day) && !self.is_pending(day, now_ms) && self.pause_is_over(day, now_ms)
        };
        let won: Days = month.span().days().filter(free).collect();
        let claim = Self {
            claimed: Marks::one(won, now_ms),
            ..Self::default()
        };
        (self.join(claim), won)
    }

    /// An answer to the newest claim or request may still come.
    pub fn is_pending(&self, day: Date, now_ms: i64) -> bool {
        let newest = self.claimed.newest_of(day).max(self.asked.newest_of(day));
        let settled = self.answered_at_ms(day).max(self.empty_at_ms(day));
        newest.is_some_and(|at_ms| {
            now_ms < at_ms.saturating_add(ASKED_MS) && settled.is_none_or(|settled| settled < at_ms)
        })
    }

    /// The newest request whose answer had this day. Unit: Unix milliseconds.
    pub fn answered_at_ms(&self, day: Date) -> Option<i64> {
        self.answered.newest_of(day)
    }

    /// The newest request whose answer came without this day. Unit: Unix milliseconds.
    pub fn empty_at_ms(&self, day: Date) -> Option<i64> {
        self.empty.newest_of(day)
    }

    /// Returns how often the day was claimed.
    pub fn claims(&self, day: Date) -> usize {
        self.claimed.times_of(day).count()
    }

    /// Each claim that came to nothing doubles the pause before the next: 2, 4, 8, 16 days. After
    /// [`MAX_CLAIMS`] there is none.
    pub fn pause_is_over(&self, day: Date, now_ms: i64) -> bool {
        let claims = self.claims(day);
        let pause_ms = ASKED_MS << claims.saturating_sub(1).min(MAX_CLAIMS);
        let newest = self.claimed.newest_of(day);
        claims < MAX_CLAIMS && newest.is_none_or(|at_ms| now_ms >= at_ms.saturating_add(pause_ms))
    }
}

impl Join for AskedMonth {
    fn join(self, other: Self) -> Self {
        Self {
            claimed: self.claimed.join(other.claimed),
            asked: self.asked.join(other.asked),
            answered: self.answered.join(other.answered),
            empty: self.empty.join(other.empty),
        }
    }
}

/// Requests and answers for the days of one connection and data type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedDays {
    months: BTreeMap<Month, AskedMonth>,
}

impl AskedDays {
    /// The month of a day; empty where nothing was asked.
    pub fn month_of(&self, day: Date) -> Option<&AskedMonth> {
        self.months.get(&Month::of(day))
    }

    /// Returns whether any answer ever came.
    pub fn is_answered(&self) -> bool {
        let mut months = self.months.values();
        months.any(|month| !month.answered.0.is_empty() || !month.empty.0.is_empty())
    }

    /// Its months, oldest first.
    pub fn into_months(self) -> impl Iterator<Item = (Month, AskedMonth)> {
        self.months.into_iter()
    }

    /// [`AskedMonth::sent`] for a run of days.
    pub fn sent(span: Span, asked_at_ms: i64) -> Self {
        Month::touched_by(span)
            .map(|month| (month, AskedMonth::sent(month.days_of(span), asked_at_ms)))
            .collect()
    }

    /// [`AskedMonth::answer`] for a run of days: `with_records` are the days of the records in the
    /// answer, also such as lie outside the run.
    pub fn answer(
        span: Span,
        with_records: impl IntoIterator<Item = Date>,
        asked_at_ms: i64,
    ) -> Self {
        let mut by_month = BTreeMap::<Month, Vec<Date>>::new();
        for day in with_records {
            by_month.entry(Month::of(day)).or_default().push(day);
        }
        Month::touched_by(span)
            .map(|month| {
                let with_records = by_month.remove(&month).unwrap_or_default();
                let with_records = with_records.into_iter().collect();
                let days = month.days_of(span);
                (month, AskedMonth::answer(days, with_records, asked_at_ms))
            })
            .collect()
    }
}

impl FromIterator<(Month, AskedMonth)> for AskedDays {
    fn from_iter<I: IntoIterator<Item = (Month, AskedMonth)>>(months: I) -> Self {
        Self {
            months: months.into_iter().collect(),
        }
    }
}

impl Join for AskedDays {
    fn join(self, other: Self) -> Self {
        Self {
            months: crate::version::join_maps(self.months, other.months),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const DAY: Date = date(2026, 7, 9);

    fn july(days: impl IntoIterator<Item = i8>) -> Days {
        days.into_iter().map(|day| date(2026, 7, day)).collect()
    }

    fn month() -> Month {
        Month::of(DAY)
    }

    #[test]
    fn a_day_is_claimed_by_one_and_later_again_with_growing_pauses() {
        let (state, won) = AskedMonth::default().claim(july([8, 9]), month(), 0);
        assert_eq!(won, july([8, 9]));
        let (state, won) = state.claim(july([9, 10]), month(), 1);
        assert_eq!(won, july([10]));

        let (mut state, mut now_ms, mut pauses_days) = (state, 0, Vec::new());
        while state.claims(DAY) < MAX_CLAIMS {
            let claimed_at_ms = now_ms;
            let won = loop {
                now_ms += DAY_MS;
                let (next, won) = state.clone().claim(july([9]), month(), now_ms);
                if !won.is_empty() {
                    break next;
                }
            };
            pauses_days.push((now_ms - claimed_at_ms) / DAY_MS);
            state = won;
        }
        assert_eq!(pauses_days, [2, 4, 8, 16]);
        let for_ever = now_ms + 1000 * DAY_MS;
        assert!(state.claim(july([9]), month(), for_ever).1.is_empty());
    }

    #[test]
    fn an_answer_ends_the_asking() {
        let sent = AskedMonth::sent(july([9, 10]), 5);
        assert!(sent.is_pending(DAY, 6));
        assert!(!sent.is_pending(DAY, 5 + ASKED_MS));
        let answered = sent.join(AskedMonth::answer(july([9, 10]), july([10, 11]), 5));
        assert!(!answered.is_pending(DAY, 6));
        assert_eq!(answered.empty_at_ms(DAY), Some(5));
        assert_eq!(answered.answered_at_ms(date(2026, 7, 10)), Some(5));
        assert_eq!(answered.answered_at_ms(date(2026, 7, 11)), None);
        let again = answered.join(AskedMonth::sent(july([9]), 7));
        assert!(again.is_pending(DAY, 8));
    }

    fn of_bits(bits: u32) -> Days {
        july((1..=28).filter(|day| bits >> day & 1 == 1))
    }

    fn fragment() -> impl Strategy<Value = AskedMonth> {
        (0_i64..200, any::<u32>(), any::<u32>(), 0_u8..3).prop_map(|(at_ms, bits, some, kind)| {
            let (days, with) = (of_bits(bits), of_bits(some));
            match kind {
                0 => AskedMonth::sent(days, at_ms),
                1 => AskedMonth::answer(days, with, at_ms),
                _ => AskedMonth {
                    claimed: Marks::one(days, at_ms),
                    ..AskedMonth::default()
                },
            }
        })
    }

    proptest! {
        #[test]
        fn notes_join_the_same_in_any_order_and_number(
            (notes, shuffled) in prop::collection::vec(fragment(), 1..150)
                .prop_flat_map(|notes| {
                    let mut twice = notes.clone();
                    twice.extend(notes.clone());
                    (Just(notes), Just(twice).prop_shuffle())
                }),
            split in 0_usize..150,
        ) {
            let fold = |notes: &[AskedMonth]| notes.iter().cloned().fold(AskedMonth::default(), Join::join);
            let whole = fold(&notes);
            prop_assert_eq!(&whole, &fold(&shuffled));
            let (one, other) = notes.split_at(split.min(notes.len()));
            prop_assert_eq!(whole, fold(one).join(fold(other)));
        }
    }
}
