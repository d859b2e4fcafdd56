//! State of each day of one connection and data type.
//!
//! | state | means |
//! |---|---|
//! | have | a record of the day is stored; for sessions also: the day was asked for and answered |
//! | confirmed empty | the day was asked for after it was over, and the answer had nothing of it |
//! | asked | a window is planned or under way, or an answer may still come |
//! | missing | none of these |
//! | unsettled | the day may still grow, or its data may still come by themselves |
//! | outside | no data can be expected: before the provider's reach, after the end, never lived, or only the phone could send it |
//!
//! A *day* record (daily, body, nutrition, menstruation) is one per day and each delivery holds all
//! of it, so having it is knowing the day. *Sessions* (activity, sleep) come any number a day: that
//! one is stored does not say that all are, so a day counts only when it was asked for and answered
//! (FACTS section 9, "Keys"). Other types cannot be asked for by day and have no coverage here.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use models::data::DataType;
use serde::{Deserialize, Serialize};

use super::{
    asked::{ASKED_MS, AskedDays, AskedMonth, MAX_CLAIMS},
    day::{self, HOUR_MS, Span},
};
use crate::key::NaturalKey;

/// Relation of a type's records to days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyed {
    /// One record per day.
    ByDay,
    /// Any number of records, each with an id of its own.
    Sessions,
}

impl Keyed {
    /// `None`: there is no request for days of this type (FACTS section 3, "Data": athlete has no
    /// dates; hormone and health observation come by webhook only).
    pub fn of(data_type: DataType) -> Option<Self> {
        match data_type {
            DataType::Body | DataType::Daily | DataType::Menstruation | DataType::Nutrition => {
                Some(Self::ByDay)
            }
            DataType::Activity | DataType::Sleep => Some(Self::Sessions),
            DataType::Athlete
            | DataType::Hormone
            | DataType::HealthObservation
            | DataType::PlannedWorkout
            | DataType::LabReport => None,
        }
    }
}

/// The days of stored records of one connection and data type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordDays(BTreeMap<Date, RecordDay>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordDay {
    delivered_at_ms: i64,
    starts_at_ms: Option<i64>,
}

impl RecordDays {
    /// Takes in a record: its key, its start time as sent, and the ordering timestamp of its newest
    /// delivery (Unix milliseconds). A record without a day is left out.
    pub fn insert(&mut self, key: &NaturalKey, start_time: Option<&str>, delivered_at_ms: i64) {
        let Some(day) = day::of_record(key, start_time) else {
            return;
        };
        // Only with an offset is a text an instant; none is invented.
        let instant = start_time.and_then(|text| text.parse::<Timestamp>().ok());
        let starts_at_ms = instant.map(Timestamp::as_millisecond);
        let record = RecordDay {
            delivered_at_ms,
            starts_at_ms,
        };
        let known = self.0.entry(day).or_insert(record);
        known.delivered_at_ms = known.delivered_at_ms.max(delivered_at_ms);
        known.starts_at_ms = [known.starts_at_ms, starts_at_ms]
            .into_iter()
            .flatten()
            .min();
    }

    /// The days with a record, oldest first.
    pub fn days(&self) -> impl Iterator<Item = Date> {
        self.0.keys().copied()
    }

    /// The newest day with a record.
    pub fn newest(&self) -> Option<Date> {
        self.0.keys().next_back().copied()
    }

    /// Returns whether the wearer had next to nothing of this day: on a journey over the date line, a
    /// day that begins 48 hours after the day before the last one did begins after 22 to 30.
    fn is_skipped(&self, day: Date) -> bool {
        let start = |day| self.0.get(&day)?.starts_at_ms;
        match (start(day::previous(day)), start(day::next(day))) {
            (Some(before), Some(after)) => after - before <= SKIPPED_AT_MOST_MS,
            _ => false,
        }
    }
}

/// Two days that begin within this long have no day worth the name between them.
const SKIPPED_AT_MOST_MS: i64 = 30 * HOUR_MS;

/// Days of a connection and data type that may have data at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The first one; see [`reach`](super::reach) and [`Backfill::stopped_before`](super::backfill::Backfill).
    pub first_day: Date,
    /// Time at which the connection ended. Unit: Unix milliseconds.
    pub ended_at_ms: Option<i64>,
    /// True if Terra can be asked for days of the type. Otherwise only stored days say anything.
    pub can_be_asked: bool,
    /// Time after its end in which a day's data may come by themselves. Unit: hours.
    pub settle_hours: u32,
}

/// A time in which our intake took no webhooks: what was sent then is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Unit: Unix milliseconds.
    pub from_ms: i64,
    /// Unit: Unix milliseconds.
    pub until_ms: i64,
}

/// Facts that coverage is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The type.
    pub keyed: Keyed,
    /// Days of the stored records.
    pub records: &'a RecordDays,
    /// Requests and answers for the days.
    pub asked: &'a AskedDays,
    /// Days that may have data.
    pub life: Life,
    /// Days that open windows, or a backfill that is not done, will ask for.
    pub planned: &'a [Span],
    /// Times in which webhooks were lost.
    pub outages: &'a [Outage],
}

/// State of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DayState {
    /// A record is stored.
    Have,
    /// Asked for and answered: there is none.
    ConfirmedEmpty,
    /// An answer is on its way.
    Asked,
    /// Nothing is known, and why.
    Missing(Missing),
    /// Too young to tell.
    Unsettled,
    /// None can be expected, and why.
    Outside(Outside),
}

/// Reason why a day counts as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// No record, and not asked for.
    NoRecord,
    /// A session is stored; whether it is all of them was not asked.
    Unproven,
    /// A record is stored, last delivered before webhooks were lost.
    Stale,
    /// Asked for more than once and never answered; the next time comes later.
    Unanswered,
    /// Asked for [`MAX_CLAIMS`] times without an answer: not any more.
    GivenUp,
}

/// Reason why no data of a day can be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// Terra cannot be asked for days of this type, so days without a record say nothing.
    CannotBeAsked,
    /// Before the provider's reach, or before its data begin.
    BeforeReach,
    /// After the connection ended.
    AfterEnd,
    /// The wearer crossed the date line and had no such day.
    Skipped,
    /// Not begun anywhere.
    Future,
}

impl Known<'_> {
    /// The state of each day of a run.
    pub fn coverage(&self, span: Span, now_ms: i64) -> BTreeMap<Date, DayState> {
        span.days()
            .map(|day| (day, self.state(day, now_ms)))
            .collect()
    }

    /// The state of a day.
    pub fn state(&self, day: Date, now_ms: i64) -> DayState {
        let record = self.records.0.get(&day);
        let month = self.asked.month_of(day);
        let with_records = month.and_then(|month| month.answered_at_ms(day));
        let empty = month.and_then(|month| month.empty_at_ms(day));
        let answered = with_records.max(empty);
        // An answer tells of the whole day only when the day was over, and of lost webhooks only
        // when it came after them.
        let settled = answered.is_some_and(|at_ms| {
            at_ms >= day::over_ms(day) && self.lost_until_ms(day).is_none_or(|until| at_ms >= until)
        });
        let proven = match (self.keyed, record) {
            (_, None) => false,
            // A delivery holds all of the day that there was by then.
            (Keyed::ByDay, Some(record)) => {
                let whole_from_ms = self
                    .lost_until_ms(day)
                    .map(|until| until.min(day::over_ms(day)));
                settled || whole_from_ms.is_none_or(|from| record.delivered_at_ms >= from)
            }
            (Keyed::Sessions, Some(_)) => settled,
        };
        if proven {
            return DayState::Have;
        }
        if let Some(outside) = self.outside(day, now_ms) {
            return if record.is_some() {
                DayState::Have
            } else {
                DayState::Outside(outside)
            };
        }
        if settled && record.is_none() && empty >= with_records {
            return DayState::ConfirmedEmpty;
        }
        let pending = month.is_some_and(|month| month.is_pending(day, now_ms));
        // The answer had records of the day; they are on their way into the table.
        let arriving = record.is_none()
            && with_records > empty
            && with_records.is_some_and(|at_ms| now_ms < at_ms.saturating_add(ASKED_MS));
        if pending || arriving || self.planned.iter().any(|span| span.contains(day)) {
            return DayState::Asked;
        }
        if now_ms < self.settles_ms(day) {
            return if record.is_some() {
                DayState::Have
            } else {
                DayState::Unsettled
            };
        }
        DayState::Missing(self.why(day, record, month, now_ms))
    }

    /// Returns the time from which all data of the day can be expected to be there. Unit: Unix
    /// milliseconds.
    pub fn settles_ms(&self, day: Date) -> i64 {
        day::over_ms(day) + i64::from(self.life.settle_hours) * HOUR_MS
    }

    fn outside(&self, day: Date, now_ms: i64) -> Option<Outside> {
        if !self.life.can_be_asked {
            Some(Outside::CannotBeAsked)
        } else if day < self.life.first_day {
            Some(Outside::BeforeReach)
        } else if self
            .life
            .ended_at_ms
            .is_some_and(|ended| day::over_ms(day) > ended)
        {
            Some(Outside::AfterEnd)
        } else if day > day::latest_on_earth(now_ms) {
            Some(Outside::Future)
        } else if self.keyed == Keyed::ByDay && self.records.is_skipped(day) {
            Some(Outside::Skipped)
        } else {
            None
        }
    }

    fn why(
        &self,
        day: Date,
        record: Option<&RecordDay>,
        month: Option<&AskedMonth>,
        now_ms: i64,
    ) -> Missing {
        let claims = month.map_or(0, |month| month.claims(day));
        if claims >= MAX_CLAIMS {
            Missing::GivenUp
        } else if month.is_some_and(|month| !month.pause_is_over(day, now_ms)) {
            Missing::Unanswered
        } else {
            match (record, self.keyed) {
                (None, _) => Missing::NoRecord,
                (Some(_), Keyed::Sessions) => Missing::Unproven,
                (Some(_), Keyed::ByDay) => Missing::Stale,
            }
        }
    }

    /// Returns the end of the last outage that may have lost data of this day.
    pub(super) fn lost_until_ms(&self, day: Date) -> Option<i64> {
        let (begins, settles) = (day::begins_ms(day), self.settles_ms(day));
        let over_it = |outage: &&Outage| outage.from_ms < settles && begins < outage.until_ms;
        self.outages
            .iter()
            .filter(over_it)
            .map(|outage| outage.until_ms)
            .max()
    }
}

#[cfg(test)]
mod tests;
