//! Terra's own limits and the providers', counted on the simulated clock (FACTS section 6).

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use crate::{DataType, Provider};

/// One request covers at most so many days.
pub const MOST_DAYS_PER_REQUEST: i64 = 1_825;

/// One user is asked for at most so many days within an hour.
pub const MOST_DAYS_PER_HOUR: i64 = 6_000;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Cost of a request, and its payer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost<'a> {
    pub(super) user_id: &'a str,
    pub(super) provider: Provider,
    pub(super) data_type: DataType,
    /// End minus start; 1 without dates.
    pub(super) days: i64,
}

/// Answer of the limits to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Within all limits, and counted.
    Fine(Hourly),
    /// More days than one request may cover.
    TooManyDays(Hourly),
    /// More days than are left in this hour.
    HourSpent(Hourly),
    /// More calls than the provider allows.
    ProviderSpent,
}

/// The state of a user's hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hourly {
    pub(super) remaining_days: i64,
    /// Time until the oldest days of the hour count no longer.
    pub(super) reset_after_seconds: i64,
    /// Time until this request would be within the limit.
    pub(super) retry_after_seconds: i64,
}

/// Calls and days that were spent.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    days: BTreeMap<String, VecDeque<(Timestamp, i64)>>,
    calls: BTreeMap<String, VecDeque<(Timestamp, i64)>>,
    /// Waits that a user's callers were told of.
    waits: BTreeMap<String, Wait>,
}

#[derive(Debug)]
struct Wait {
    told_at: Timestamp,
    until: Timestamp,
    /// Time of the answer that told them, by the machine's clock.
    answered: Instant,
    /// True if a request came that may have been on its way by then.
    crossed: bool,
}

impl Quotas {
    /// Judges a request, and counts it if it is within the limits: a refused one costs nothing.
    pub(super) fn judge(
        &mut self,
        cost: &Cost<'_>,
        calls_per_hour: &BTreeMap<Provider, i64>,
        now: Timestamp,
    ) -> Verdict {
        let spent = self.days.entry(cost.user_id.to_owned()).or_default();
        forget(spent, now);
        let used: i64 = spent.iter().map(|(_, days)| days).sum();
        let hourly = Hourly {
            remaining_days: MOST_DAYS_PER_HOUR - used,
            reset_after_seconds: spent.front().map_or(0, |(at, _)| seconds_left(*at, now)),
            retry_after_seconds: until_free(spent, used + cost.days - MOST_DAYS_PER_HOUR, now),
        };
        if cost.days > MOST_DAYS_PER_REQUEST {
            return Verdict::TooManyDays(hourly);
        }
        if used + cost.days > MOST_DAYS_PER_HOUR {
            return Verdict::HourSpent(hourly);
        }
        let calls = self.calls.entry(cost.user_id.to_owned()).or_default();
        forget(calls, now);
        let made: i64 = calls.iter().map(|(_, calls)| calls).sum();
        let needed = calls_of(cost.provider, cost.data_type);
        if let Some(most) = calls_per_hour.get(&cost.provider)
            && made + needed > *most
        {
            return Verdict::ProviderSpent;
        }
        calls.push_back((now, needed));
        spent.push_back((now, cost.days));
        Verdict::Fine(Hourly {
            remaining_days: hourly.remaining_days - cost.days,
            ..hourly
        })
    }

    /// Remembers that the caller was told to wait.
    pub(super) fn note_wait(&mut self, user_id: &str, seconds: i64, now: Timestamp) {
        let until = now.saturating_add(SignedDuration::from_secs(seconds));
        let wait = Wait {
            told_at: now,
            until: until.unwrap_or(now),
            answered: Instant::now(),
            crossed: false,
        };
        self.waits.insert(user_id.to_owned(), wait);
    }

    /// Forgets what callers were told to wait at this very moment.
    pub(super) fn forget_told_at(&mut self, now: Timestamp) {
        self.waits.retain(|_, wait| wait.told_at != now);
    }

    /// Returns how long the caller should still wait, if it was told to.
    pub(super) fn wait_seconds(&self, user_id: &str, now: Timestamp) -> Option<i64> {
        let until = self.waits.get(user_id)?.until;
        (now < until).then(|| until.duration_since(now).as_secs().max(1))
    }

    /// Returns whether a request was probably sent before its caller was told to wait. One such request
    /// counts, within `crossing` of the answer.
    pub(super) fn was_on_its_way(&mut self, user_id: &str, crossing: Duration) -> bool {
        let Some(wait) = self.waits.get_mut(user_id) else {
            return false;
        };
        let first = !std::mem::replace(&mut wait.crossed, true);
        first && wait.answered.elapsed() < crossing
    }
}

/// Returns how many calls of the provider one request makes: WHOOP multiplies them.
fn calls_of(provider: Provider, data_type: DataType) -> i64 {
    match (provider, data_type) {
        (Provider::Whoop, DataType::Sleep) => 2,
        (Provider::Whoop, DataType::Daily) => 4,
        _ => 1,
    }
}

fn forget(spent: &mut VecDeque<(Timestamp, i64)>, now: Timestamp) {
    while spent
        .front()
        .is_some_and(|(at, _)| now.duration_since(*at) >= HOUR)
    {
        spent.pop_front();
    }
}

fn seconds_left(at: Timestamp, now: Timestamp) -> i64 {
    let left = HOUR.saturating_sub(now.duration_since(at));
    // Rounded up: at the second that is told, the hour is over.
    left.as_secs() + i64::from(left.subsec_nanos() > 0)
}

/// Seconds until `excess` days of the hour count no longer.
fn until_free(spent: &VecDeque<(Timestamp, i64)>, excess: i64, now: Timestamp) -> i64 {
    let mut freed = 0;
    for (at, days) in spent {
        if freed >= excess {
            break;
        }
        freed += days;
        if freed >= excess {
            return seconds_left(*at, now).max(1);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use jiff::{SignedDuration, Timestamp};

    use super::{Cost, Quotas, Verdict};
    use crate::{DataType, Provider};

    fn cost(days: i64) -> Cost<'static> {
        Cost {
            user_id: "u",
            provider: Provider::Fitbit,
            data_type: DataType::Daily,
            days,
        }
    }

    #[test]
    fn the_hour_rolls() {
        let none = BTreeMap::new();
        let mut quotas = Quotas::default();
        let start = Timestamp::UNIX_EPOCH;
        let at = |minutes| start + SignedDuration::from_mins(minutes);
        for minute in [0, 10, 20] {
            assert!(matches!(
                quotas.judge(&cost(1_825), &none, at(minute)),
                Verdict::Fine(_)
            ));
        }
        let Verdict::HourSpent(hourly) = quotas.judge(&cost(1_000), &none, at(30)) else {
            panic!("6,475 days in an hour");
        };
        assert_eq!(hourly.remaining_days, 525);
        assert_eq!(hourly.retry_after_seconds, 30 * 60);
        assert!(matches!(
            quotas.judge(&cost(1_000), &none, at(60)),
            Verdict::Fine(_)
        ));
    }

    #[test]
    fn who_was_killed_right_after_being_told_need_not_wait() {
        let mut quotas = Quotas::default();
        let at = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        quotas.note_wait("early", 600, at(0));
        quotas.note_wait("late", 600, at(1));
        quotas.forget_told_at(at(1));
        assert_eq!(quotas.wait_seconds("early", at(1)), Some(540));
        assert_eq!(quotas.wait_seconds("late", at(1)), None);
    }

    #[test]
    fn one_request_may_have_been_on_its_way() {
        let mut quotas = Quotas::default();
        let (now, long) = (Timestamp::UNIX_EPOCH, Duration::from_mins(10));
        quotas.note_wait("u", 600, now);
        assert!(quotas.was_on_its_way("u", long));
        assert!(!quotas.was_on_its_way("u", long));
        quotas.note_wait("u", 600, now);
        assert!(!quotas.was_on_its_way("u", Duration::ZERO));
    }

    #[test]
    fn a_request_may_cover_five_years_and_no_day_more() {
        let none = BTreeMap::new();
        let mut quotas = Quotas::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!(matches!(
            quotas.judge(&cost(1_825), &none, now),
            Verdict::Fine(_)
        ));
        assert!(matches!(
            quotas.judge(&cost(1_826), &none, now),
            Verdict::TooManyDays(_)
        ));
    }

    #[test]
    fn calls_of_a_provider_are_counted_per_user_and_hour() {
        let limits = BTreeMap::from([(Provider::Fitbit, 2)]);
        let mut quotas = Quotas::default();
        let now = Timestamp::UNIX_EPOCH;
        for _ in 0..2 {
            quotas.judge(&cost(1), &limits, now);
        }
        assert_eq!(quotas.judge(&cost(1), &limits, now), Verdict::ProviderSpent);
    }
}
