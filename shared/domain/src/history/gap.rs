//! Missing days to ask for now, and the cause of a connection's silence.
//!
//! The way of a gap: [`wanted`] names the days, the store claims them (see
//! [`AskedMonth::claim`](super::asked::AskedMonth::claim)), and what was won becomes a
//! [`Plan::gaps`](super::backfill::Plan::gaps). A day is claimed a few times at most and with
//! growing pauses, and a type that has brought nothing for long is asked for in ever larger batches:
//! nobody is asked for ever.

pub mod peers;
pub mod quiet;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use models::data::DataType;
use serde::{Deserialize, Serialize};

pub use self::{
    peers::Peers,
    quiet::{Cause, Quiet, Signs, quiet},
};
use super::{
    coverage::{DayState, Known, Missing},
    day::{self, DAY_MS, Span},
    reach::{ProviderHistory, Rhythm},
};
use crate::connection::Status;

/// Days of a type that has records now and then are asked for when the oldest has waited so long.
const BATCH_DAYS: i64 = 7;
/// A type that has brought nothing for this long is asked for in batches, whatever its rhythm.
const LULL_DAYS: i64 = 14;
/// A type that has brought nothing for this long is asked for in large batches.
const LONG_LULL_DAYS: i64 = 60;
/// A large batch.
const LARGE_BATCH_DAYS: i64 = 28;

/// Days that a usual search goes back: reading all of the past every few hours would cost more than it
/// could find. Unit: days.
pub const LOOK_BACK_DAYS: i64 = 45;
/// Time between two searches all the way back. They find days that a first backfill could not get, and
/// days of a connection that works again after months. Unit: milliseconds.
const WHOLE_SEARCH_MS: i64 = 7 * DAY_MS;

/// Time of the last search all the way back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Searches {
    /// Unit: Unix milliseconds.
    whole_at_ms: Option<i64>,
}

impl Searches {
    /// Returns whether the search that begins now goes all the way back.
    pub fn is_whole_due(self, now_ms: i64) -> bool {
        self.whole_at_ms
            .is_none_or(|at_ms| now_ms >= at_ms.saturating_add(WHOLE_SEARCH_MS))
    }

    /// Notes that a search all the way back begins.
    #[must_use]
    pub fn with_whole(self, now_ms: i64) -> Self {
        let whole_at_ms = self.whole_at_ms.max(Some(now_ms));
        Self { whole_at_ms }
    }
}

/// The days to ask for now, by type, of a connection of which this is known.
///
/// - A connection that has ended or is failing is asked for nothing: see [`quiet()`]. So is a
///   provider that only the phone can fetch from.
/// - `refused` types were refused for good lately (no permission, not supported) and are left alone.
/// - Types with a record every day: every missing day.
/// - Other types: all missing days, once the oldest of them has waited a week. A week without
///   workouts is no gap. But the days on which an every-day type has a gap, or on which webhooks
///   were lost, are asked for at once: what took the one took the other.
pub fn wanted(
    types: &BTreeMap<DataType, Known<'_>>,
    history: &ProviderHistory,
    status: Status,
    refused: &BTreeSet<DataType>,
    now_ms: i64,
) -> BTreeMap<DataType, BTreeSet<Date>> {
    let mut wanted = BTreeMap::<DataType, BTreeSet<Date>>::new();
    if status != Status::Active {
        return wanted;
    }
    let asked = types
        .iter()
        .filter(|(data_type, _)| history.can_be_asked(**data_type) && !refused.contains(data_type));
    let missing: BTreeMap<_, _> = asked
        .map(|(&data_type, known)| (data_type, missing_days(known, now_ms)))
        .collect();
    let mut suspect = BTreeSet::<Date>::new();
    for (&data_type, missing) in &missing {
        let batch_days = types.get(&data_type).map_or(LARGE_BATCH_DAYS, |known| {
            batch_days(known, history.rhythm(data_type), now_ms)
        });
        let oldest = missing.iter().map(|day| day.settles_ms).min();
        let due = oldest.is_some_and(|ms| now_ms >= ms.saturating_add(batch_days * DAY_MS));
        let days: BTreeSet<_> = missing
            .iter()
            .filter(|day| due || day.why == Missing::Stale)
            .map(|day| day.day)
            .collect();
        if history.rhythm(data_type) == Rhythm::EveryDay && batch_days == 0 {
            suspect.extend(&days);
        }
        wanted.insert(data_type, days);
    }
    for (data_type, missing) in &missing {
        let also = missing
            .iter()
            .filter(|day| day.lost || suspect.contains(&day.day));
        wanted
            .entry(*data_type)
            .or_default()
            .extend(also.map(|day| day.day));
    }
    wanted.retain(|_, days| !days.is_empty());
    wanted
}

struct MissingDay {
    day: Date,
    why: Missing,
    settles_ms: i64,
    lost: bool,
}

/// The missing days that may be asked for now.
fn missing_days(known: &Known<'_>, now_ms: i64) -> Vec<MissingDay> {
    let until = day::next(day::latest_on_earth(now_ms));
    let Ok(life) = Span::new(known.life.first_day, until) else {
        return Vec::new();
    };
    let states = known.coverage(life, now_ms).into_iter();
    let missing = states.filter_map(|(day, state)| match state {
        DayState::Missing(Missing::Unanswered | Missing::GivenUp) => None,
        DayState::Missing(why) => Some(MissingDay {
            day,
            why,
            settles_ms: known.settles_ms(day),
            lost: known.lost_until_ms(day).is_some(),
        }),
        _ => None,
    });
    missing.collect()
}

/// Returns how long the oldest missing day waits, so that others can be asked for with it. Unit: days.
fn batch_days(known: &Known<'_>, rhythm: Rhythm, now_ms: i64) -> i64 {
    let newest = known.records.newest().unwrap_or(known.life.first_day);
    let lull_days = day::between(newest, day::earliest_on_earth(now_ms));
    match rhythm {
        _ if lull_days >= LONG_LULL_DAYS => LARGE_BATCH_DAYS,
        Rhythm::EveryDay if lull_days < LULL_DAYS => 0,
        Rhythm::EveryDay | Rhythm::NowAndThen => BATCH_DAYS,
    }
}

#[cfg(test)]
mod tests;
