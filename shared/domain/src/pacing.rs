//! Pace of requests to Terra: token buckets, and the buckets that a request draws from.
//!
//! The rule is pure and its state is two numbers per bucket, so that whoever holds the buckets (a
//! process in memory, several Lambdas in the table) holds them to the same limits:
//!
//! 1. [`Quotas::demands`] says which buckets a request draws from, and how much from each;
//! 2. [`take_all`] draws from all of them or from none, or says how long to wait;
//! 3. the new states are stored on the condition that they are still what was read.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use jiff::Timestamp;
use models::{
    data::DataType,
    ids::{Provider, TerraUserId},
};
use serde::{Deserialize, Serialize};

use crate::Join;

/// The most days that one request may cover; exactly as many are allowed (FACTS section 6).
pub const MAX_DAYS_PER_REQUEST: u32 = 1_825;
/// The most days that all requests for one Terra user id may cover in a rolling hour
/// (FACTS section 6).
pub const MAX_USER_DAYS_PER_HOUR: u32 = 6_000;
/// Part of them that is not used: a request counts when it reaches Terra, not when we let it go, and at
/// the rate below a hundred days are one and a half minutes of such delay.
const USER_DAYS_MARGIN: u32 = 100;

/// Fitbit's limit for each of its users: calls per hour (FACTS section 6, "about 150").
const FITBIT_CALLS_PER_HOUR: u32 = 150;
/// Withings is "strict" (FACTS section 6) and nobody says how strict: our own choice.
const WITHINGS_CALLS_PER_HOUR: u32 = 60;
/// No limit of an account is published. Ten calls a second are our own choice: a backfill must not
/// be what makes Terra slow for the same account's live webhooks.
const ACCOUNT_CALLS_PER_HOUR: u32 = 36_000;

const HOUR_US: u64 = 3_600_000_000;

/// The size of a bucket and how fast it fills.
///
/// In any span of one hour a quota grants at most [`burst`](Self::burst) and
/// [`per_hour`](Self::per_hour) together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    burst: NonZeroU32,
    per_hour: NonZeroU32,
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Quota {
    /// A bucket of `burst` tokens that gains `per_hour` tokens in an hour.
    pub const fn new(burst: NonZeroU32, per_hour: NonZeroU32) -> Self {
        Self { burst, per_hour }
    }

    /// A bucket that grants at most `limit` in any rolling hour, and at most `burst` at once.
    ///
    /// The tokens that may be had at once are taken off the rate: a bucket that is full and fills at
    /// `limit` an hour would grant both. The least bucket grants one at once and one an hour.
    pub const fn rolling_hour(limit: u32, burst: u32) -> Self {
        Self {
            burst: at_least_one(burst),
            per_hour: at_least_one(limit.saturating_sub(burst)),
        }
    }

    /// The most that is granted at once.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Returns the tokens that come back in an hour.
    pub const fn per_hour(self) -> u32 {
        self.per_hour.get()
    }

    /// Returns the time until `tokens` have come back, rounded up for each.
    pub fn wait_for(self, tokens: u32) -> Duration {
        Duration::from_micros(self.time_for(tokens).unsigned_abs())
    }

    /// The same. Unit: microseconds.
    fn time_for(self, tokens: u32) -> i64 {
        let each_us = HOUR_US.div_ceil(u64::from(self.per_hour.get()));
        i64::try_from(each_us.saturating_mul(u64::from(tokens))).unwrap_or(i64::MAX)
    }
}

/// Level of a bucket: the time at which it is full again, if nothing more is taken.
///
/// Two numbers in an item. A bucket that nobody has written yet is full. Of two states of one
/// bucket the later is the emptier, which is their [`Join`]; but two that were taken from the *same*
/// state join to one of them, so a state is stored only on the condition that it is still what was
/// read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// Unit: Unix microseconds.
    full_at_us: i64,
    /// Nothing is given before. Unit: Unix microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    closed_until_us: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There will be enough after this long, if nobody else takes it first.
    #[error("there is not enough for {} ms", .0.as_millis())]
    Wait(Duration),
    /// There never is as much at once.
    #[error("more than there ever is at once")]
    Never,
}

impl Bucket {
    /// Takes `cost` tokens at `now`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use domain::pacing::{Bucket, Quota, Refused};
    /// use jiff::Timestamp;
    ///
    /// let quota = Quota::rolling_hour(7, 1); // one at once, six an hour
    /// let now: Timestamp = "2026-07-01T12:00:00Z".parse()?;
    /// let bucket = Bucket::default().take(quota, now, 1)?;
    /// let ten_minutes = Duration::from_mins(10);
    /// assert_eq!(bucket.take(quota, now, 1), Err(Refused::Wait(ten_minutes)));
    /// assert!(bucket.take(quota, now + ten_minutes, 1).is_ok());
    /// assert_eq!(bucket.take(quota, now, 2), Err(Refused::Never));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`]; the bucket stays as it is.
    pub fn take(self, quota: Quota, now: Timestamp, cost: u32) -> Result<Self, Refused> {
        if cost > quota.burst() {
            return Err(Refused::Never);
        }
        let now_us = now.as_microsecond();
        let after_us = self
            .full_at_us
            .max(now_us)
            .saturating_add(quota.time_for(cost));
        let emptiest_us = now_us.saturating_add(quota.time_for(quota.burst()));
        let lacking_us = after_us.saturating_sub(emptiest_us);
        let closed_us = self.closed_until_us.saturating_sub(now_us);
        match u64::try_from(lacking_us.max(closed_us)) {
            Ok(wait_us) if wait_us > 0 => Err(Refused::Wait(Duration::from_micros(wait_us))),
            _ => Ok(Self {
                full_at_us: after_us,
                ..self
            }),
        }
    }

    /// The bucket after calls that did not wait for it. It may owe tokens then: whoever waits, waits
    /// for those, too.
    #[must_use]
    pub fn overdrawn(self, quota: Quota, now: Timestamp, cost: u32) -> Self {
        let full_at_us = self.full_at_us.max(now.as_microsecond());
        Self {
            full_at_us: full_at_us.saturating_add(quota.time_for(cost)),
            ..self
        }
    }

    /// The bucket with tokens back in it that were taken and not used.
    #[must_use]
    pub fn given_back(self, quota: Quota, tokens: u32) -> Self {
        Self {
            full_at_us: self.full_at_us.saturating_sub(quota.time_for(tokens)),
            ..self
        }
    }

    /// The bucket with at most `left` tokens in it, because Terra says that no more are left: it
    /// counts what others ask for, too.
    #[must_use]
    pub fn with_at_most(self, quota: Quota, now: Timestamp, left: u32) -> Self {
        let taken = quota.burst().saturating_sub(left);
        self.join(Self {
            full_at_us: now.as_microsecond().saturating_add(quota.time_for(taken)),
            ..Self::default()
        })
    }

    /// The bucket closed until `at`, because Terra says to wait. What is in it stays in it.
    #[must_use]
    pub fn closed_until(self, at: Timestamp) -> Self {
        self.join(Self {
            closed_until_us: at.as_microsecond(),
            ..Self::default()
        })
    }

    /// Returns whether the bucket gives nothing at `now`, however full it is.
    pub fn is_closed(self, now: Timestamp) -> bool {
        self.closed_until_us > now.as_microsecond()
    }

    /// Returns whether the bucket is full and open at `now`: then it need not be remembered.
    pub fn is_full(self, now: Timestamp) -> bool {
        self.full_at_us.max(self.closed_until_us) <= now.as_microsecond()
    }
}

impl Join for Bucket {
    fn join(self, other: Self) -> Self {
        Self {
            full_at_us: self.full_at_us.max(other.full_at_us),
            closed_until_us: self.closed_until_us.max(other.closed_until_us),
        }
    }
}

/// Owner of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All calls of the account. Unit: calls.
    Account,
    /// All calls that reach one provider with credentials that its users share. Unit: calls.
    Provider(Provider),
    /// The calls that reach the provider of one Terra user. Unit: calls.
    UserCalls(TerraUserId),
    /// The days asked for one Terra user (FACTS section 6). Unit: days.
    UserDays(TerraUserId),
}

/// Draw of a request from one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Owner of the bucket.
    pub scope: Scope,
    /// Its size and rate.
    pub quota: Quota,
    /// Tokens that are drawn.
    pub cost: u32,
}

/// A request to Terra, as far as limits look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ask<'a> {
    /// User whose data are asked for; `None` where they are nobody's.
    pub user_id: Option<&'a TerraUserId>,
    /// The user's provider, where it is known: without it, no limit of a provider counts.
    pub provider: Option<&'a Provider>,
    /// Data type that is asked for, if any.
    pub data_type: Option<DataType>,
    /// End minus start; a request without dates costs one day. Unit: days.
    pub days: u32,
}

/// The limits of one provider (FACTS section 6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderQuota {
    /// For each of its users. Unit: calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_user: Option<Quota>,
    /// For all its users together, where they share credentials. Unit: calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Quota>,
}

/// All limits that we keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// All calls of the account. Unit: calls.
    pub account: Quota,
    /// For each Terra user id. Unit: days.
    pub user_days: Quota,
    /// Quotas by provider; a provider that is not here has no limit of its own.
    #[serde(default)]
    pub providers: BTreeMap<Provider, ProviderQuota>,
}

impl Default for Quotas {
    /// Terra's days as FACTS section 6 has them, less a margin; Fitbit's 150 calls per user and
    /// hour. Our own choice, because no number is known: ten calls a second for the account, and
    /// 60 per user and hour at Withings.
    ///
    /// WHOOP's limit is not known either; that it multiplies calls is in [`provider_calls`].
    fn default() -> Self {
        let per_user = |limit, burst| ProviderQuota {
            per_user: Some(Quota::rolling_hour(limit, burst)),
            shared: None,
        };
        let providers = [
            ("FITBIT", per_user(FITBIT_CALLS_PER_HOUR, 30)),
            ("WITHINGS", per_user(WITHINGS_CALLS_PER_HOUR, 10)),
        ];
        Self {
            account: Quota::rolling_hour(ACCOUNT_CALLS_PER_HOUR, 20),
            user_days: Quota::rolling_hour(
                MAX_USER_DAYS_PER_HOUR - USER_DAYS_MARGIN,
                MAX_DAYS_PER_REQUEST,
            ),
            providers: providers
                .into_iter()
                .filter_map(|(name, quota)| Some((Provider::new(name)?, quota)))
                .collect(),
        }
    }
}

impl Quotas {
    /// Bounds the calls of all users of a provider together, where they share credentials with a limit of
    /// their own. A twentieth of an hour's calls may be made at once.
    pub fn share(&mut self, provider: Provider, calls_per_hour: NonZeroU32) {
        let limit = calls_per_hour.get();
        let burst = limit.div_ceil(20).max(MOST_CALLS_PER_REQUEST).min(limit);
        self.providers.entry(provider).or_default().shared =
            Some(Quota::rolling_hour(limit, burst));
    }

    /// Lists the draws of `ask`, and their buckets.
    pub fn demands(&self, ask: &Ask<'_>) -> Vec<Demand> {
        let mut demands = vec![Demand {
            scope: Scope::Account,
            quota: self.account,
            cost: 1,
        }];
        let Some(user_id) = ask.user_id else {
            return demands;
        };
        let limits = ask.provider.and_then(|name| self.providers.get(name));
        if let (Some(provider), Some(limits)) = (ask.provider, limits) {
            let cost = provider_calls(provider, ask.data_type);
            let scopes = [
                (Scope::UserCalls(user_id.clone()), limits.per_user),
                (Scope::Provider(provider.clone()), limits.shared),
            ];
            demands.extend(
                scopes
                    .into_iter()
                    .filter_map(|(scope, quota)| quota.map(|quota| Demand { scope, quota, cost })),
            );
        }
        demands.push(Demand {
            scope: Scope::UserDays(user_id.clone()),
            quota: self.user_days,
            cost: ask.days.max(1),
        });
        demands
    }
}

/// The most of [`provider_calls`].
const MOST_CALLS_PER_REQUEST: u32 = 4;

/// Returns how many calls at the provider one request to Terra becomes (FACTS section 6): at WHOOP one
/// for activity and athlete, two for sleep, four for daily. One where nothing is known.
pub fn provider_calls(provider: &Provider, data_type: Option<DataType>) -> u32 {
    match (provider.as_str(), data_type) {
        ("WHOOP", Some(DataType::Sleep)) => 2,
        ("WHOOP", Some(DataType::Daily)) => MOST_CALLS_PER_REQUEST,
        _ => 1,
    }
}

/// Draws every demand from its bucket, or nothing from any. A bucket that is not there is full.
///
/// # Errors
///
/// [`Refused::Never`] if one bucket never has as much; else [`Refused::Wait`] with the longest wait.
pub fn take_all(
    buckets: &mut BTreeMap<Scope, Bucket>,
    demands: &[Demand],
    now: Timestamp,
) -> Result<(), Refused> {
    let mut longest = None;
    let mut taken = Vec::with_capacity(demands.len());
    for Demand { scope, quota, cost } in demands {
        let bucket = buckets.get(scope).copied().unwrap_or_default();
        match bucket.take(*quota, now, *cost) {
            Ok(bucket) => taken.push((scope, bucket)),
            Err(Refused::Wait(wait)) => longest = longest.max(Some(wait)),
            Err(Refused::Never) => return Err(Refused::Never),
        }
    }
    if let Some(wait) = longest {
        return Err(Refused::Wait(wait));
    }
    for (scope, bucket) in taken {
        buckets.insert(scope.clone(), bucket);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_microsecond(1_780_000_000_000_000 + us).unwrap()
    }

    fn user() -> TerraUserId {
        TerraUserId::new("user-1").unwrap()
    }

    fn provider(name: &str) -> Provider {
        Provider::new(name).unwrap()
    }

    fn quota() -> impl Strategy<Value = Quota> {
        (1_u32..3_000, 1_u32..8_000)
            .prop_map(|(burst, per_hour)| Quota::new(at_least_one(burst), at_least_one(per_hour)))
    }

    /// A wait of up to two hours, then a cost.
    fn takes() -> impl Strategy<Value = Vec<(i64, u32)>> {
        prop::collection::vec((0_i64..7_200_000_000, 0_u32..3_000), 1..60)
    }

    proptest! {
        #[test]
        fn no_hour_ever_holds_more_than_burst_and_rate(quota in quota(), takes in takes()) {
            let mut bucket = Bucket::default();
            let mut granted: Vec<(i64, u64)> = Vec::new();
            let mut now = 0;
            for (pause, cost) in takes {
                now += pause;
                if let Ok(after) = bucket.take(quota, at(now), cost) {
                    bucket = after;
                    granted.push((now, cost.into()));
                }
            }
            let limit = u64::from(quota.burst()) + u64::from(quota.per_hour());
            for (first, _) in &granted {
                let hour = granted.iter().filter(|(when, _)| (0..3_600_000_000).contains(&(when - first)));
                prop_assert!(hour.map(|(_, cost)| cost).sum::<u64>() <= limit);
            }
        }

        #[test]
        fn terras_rolling_hour_holds_when_everybody_asks_as_soon_as_allowed(
            costs in prop::collection::vec(1..=MAX_DAYS_PER_REQUEST, 1..80),
        ) {
            let quota = Quotas::default().user_days;
            let mut bucket = Bucket::default();
            let mut asked: Vec<(i64, u32)> = Vec::new();
            let mut now = 0;
            for cost in costs {
                if let Err(Refused::Wait(wait)) = bucket.take(quota, at(now), cost) {
                    now += i64::try_from(wait.as_micros()).unwrap();
                }
                bucket = bucket.take(quota, at(now), cost).unwrap();
                asked.push((now, cost));
            }
            for (first, _) in &asked {
                let hour = asked.iter().filter(|(when, _)| (0..=3_600_000_000).contains(&(when - first)));
                prop_assert!(hour.map(|(_, days)| days).sum::<u32>() <= MAX_USER_DAYS_PER_HOUR);
            }
        }

        #[test]
        fn a_clock_that_jumps_back_grants_nothing_twice(
            quota in quota(),
            takes in prop::collection::vec((0_i64..7_200_000_000, 1_u32..3_000), 1..60),
        ) {
            let mut bucket = Bucket::default();
            let mut granted = 0;
            for (now, cost) in &takes {
                if let Ok(after) = bucket.take(quota, at(*now), *cost) {
                    bucket = after;
                    granted += u64::from(*cost);
                }
            }
            let (first, last) = takes.iter().fold((i64::MAX, 0), |(first, last), (now, _)| {
                (first.min(*now), last.max(*now))
            });
            let span = u64::try_from(last - first).unwrap();
            let gained = span * u64::from(quota.per_hour()) / HOUR_US;
            prop_assert!(granted <= u64::from(quota.burst()) + gained);
        }

        #[test]
        fn a_wait_is_long_enough_and_no_longer(
            quota in quota(),
            full_at_us in -DAY_US..DAY_US,
            closed_until_us in -DAY_US..DAY_US,
            cost in 0_u32..3_000,
        ) {
            let bucket = Bucket {
                full_at_us: at(full_at_us).as_microsecond(),
                closed_until_us: at(closed_until_us).as_microsecond(),
            };
            match bucket.take(quota, at(0), cost) {
                Ok(after) => prop_assert_eq!(after.join(bucket), after),
                Err(Refused::Never) => prop_assert!(cost > quota.burst()),
                Err(Refused::Wait(wait)) => {
                    let wait = i64::try_from(wait.as_micros()).unwrap();
                    prop_assert!(bucket.take(quota, at(wait), cost).is_ok());
                    prop_assert!(bucket.take(quota, at(wait - 1), cost).is_err());
                }
            }
        }

        #[test]
        fn states_join(
            a in any::<(i64, i64)>(),
            b in any::<(i64, i64)>(),
            c in any::<(i64, i64)>(),
        ) {
            let [a, b, c] = [a, b, c].map(|(full_at_us, closed_until_us)| Bucket {
                full_at_us,
                closed_until_us,
            });
            prop_assert_eq!(a.join(b), b.join(a));
            prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
            prop_assert_eq!(a.join(a), a);
        }

        #[test]
        fn any_state_that_was_stored_is_survived(
            full_at_us in any::<i64>(),
            closed_until_us in any::<i64>(),
            quota in quota(),
            cost in any::<u32>(),
        ) {
            let stored = Bucket { full_at_us, closed_until_us };
            let text = serde_json::to_string(&stored).unwrap();
            let bucket: Bucket = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(bucket, stored);
            let emptier = bucket
                .with_at_most(quota, at(0), cost)
                .closed_until(at(0));
            prop_assert_eq!(emptier.join(bucket), emptier);
            if let Ok(after) = emptier.take(quota, at(0), cost) {
                prop_assert_eq!(after.join(emptier), after);
            }
        }
    }

    #[test]
    fn what_terra_counted_elsewhere_is_not_there() {
        let quota = Quotas::default().user_days;
        let bucket = Bucket::default().with_at_most(quota, at(0), 28);
        let bucket = bucket.take(quota, at(0), 28).unwrap();
        assert!(bucket.take(quota, at(0), 1).is_err());
        // A larger rest than we thought is no reason to hurry.
        assert_eq!(bucket.with_at_most(quota, at(0), 5_000), bucket);
    }

    #[test]
    fn calls_that_do_not_wait_are_waited_for_by_others() {
        let quota = Quota::rolling_hour(3_601, 1); // one at once, one a second
        let owing = Bucket::default()
            .overdrawn(quota, at(0), 1)
            .overdrawn(quota, at(0), 2);
        let three_seconds = Duration::from_secs(3);
        assert_eq!(
            owing.take(quota, at(0), 1),
            Err(Refused::Wait(three_seconds))
        );
        assert!(owing.take(quota, at(3_000_000), 1).is_ok());
    }

    #[test]
    fn a_closed_bucket_gives_nothing_before_its_time_and_then_what_it_has() {
        let quota = Quotas::default().user_days;
        let bucket = Bucket::default().closed_until(at(DAY_US));
        assert_eq!(
            bucket.take(quota, at(0), 1),
            Err(Refused::Wait(Duration::from_hours(24)))
        );
        assert!(!bucket.is_full(at(DAY_US - 1)));
        assert!(bucket.is_full(at(DAY_US)));
        let bucket = bucket.take(quota, at(DAY_US), 1_825).unwrap();
        assert!(bucket.take(quota, at(DAY_US), 1).is_err());
    }

    #[test]
    fn a_bucket_is_small_where_it_is_kept() {
        let quota = Quota::rolling_hour(3_601, 1);
        let bucket = Bucket::default().take(quota, at(0), 1);
        let text = serde_json::to_string(&bucket.unwrap()).unwrap();
        assert_eq!(text, r#"{"full_at_us":1780000001000000}"#);
        assert_eq!(
            serde_json::from_str::<Bucket>(&text).unwrap(),
            bucket.unwrap()
        );
    }

    #[test]
    fn a_request_draws_from_everything_it_burdens() {
        let mut quotas = Quotas::default();
        let whoop = ProviderQuota {
            per_user: None,
            shared: Some(Quota::rolling_hour(100, 10)),
        };
        quotas.providers.insert(provider("WHOOP"), whoop);
        let user_id = user();
        let drawn = |name: &str, data_type, days| {
            let demands = quotas.demands(&Ask {
                user_id: Some(&user_id),
                provider: Some(&provider(name)),
                data_type,
                days,
            });
            let costs = demands
                .into_iter()
                .map(|demand| (demand.scope, demand.cost));
            costs.collect::<Vec<_>>()
        };
        let days = |days| (Scope::UserDays(user()), days);
        let account = (Scope::Account, 1);
        assert_eq!(
            drawn("FITBIT", Some(DataType::Daily), 28),
            [account.clone(), (Scope::UserCalls(user()), 1), days(28)]
        );
        assert_eq!(
            drawn("WHOOP", Some(DataType::Daily), 28),
            [
                account.clone(),
                (Scope::Provider(provider("WHOOP")), 4),
                days(28)
            ]
        );
        assert_eq!(
            drawn("CORE", Some(DataType::Athlete), 0),
            [account, days(1)]
        );
        assert_eq!(quotas.demands(&Ask::default()).len(), 1);
    }

    #[test]
    fn fitbits_150_calls_are_not_exceeded() {
        let quota = Quotas::default().providers[&provider("FITBIT")]
            .per_user
            .unwrap();
        assert_eq!(quota.burst() + quota.per_hour(), 150);
    }

    #[test]
    fn all_or_nothing_is_taken() {
        let quotas = Quotas::default();
        let user_id = user();
        let fitbit = provider("FITBIT");
        let demands = quotas.demands(&Ask {
            user_id: Some(&user_id),
            provider: Some(&fitbit),
            data_type: Some(DataType::Daily),
            days: 1_825,
        });
        let mut buckets = BTreeMap::new();
        take_all(&mut buckets, &demands, at(0)).unwrap();
        let before = buckets.clone();
        assert!(matches!(
            take_all(&mut buckets, &demands, at(0)),
            Err(Refused::Wait(wait)) if wait > Duration::from_mins(25)
        ));
        assert_eq!(buckets, before);

        let mut more = demands;
        more[2].cost = MAX_DAYS_PER_REQUEST + 1;
        assert_eq!(
            take_all(&mut buckets, &more, at(DAY_US)),
            Err(Refused::Never)
        );
        assert_eq!(buckets, before);
    }
}
