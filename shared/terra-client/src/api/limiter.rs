//! Our own limits, in memory: one process never asks faster than Terra allows.
//!
//! Several processes together can. For them the same buckets are kept in the table, by the same
//! rule, and this one is told to leave it to them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::pacing::{Ask, Bucket, Demand, Quotas, Refused, Scope, take_all};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Full buckets are forgotten when there are more than this.
const MANY: usize = 10_000;

#[derive(Debug)]
pub(super) struct Limiter {
    /// `None`: somebody else keeps them.
    quotas: Option<Quotas>,
    /// Buckets need a time that only goes forward, and no calendar: ours begins here, at zero.
    start: Instant,
    buckets: Mutex<BTreeMap<Scope, Bucket>>,
}

impl Limiter {
    pub(super) fn new(quotas: Option<Quotas>) -> Self {
        Self {
            quotas,
            start: Instant::now(),
            buckets: Mutex::default(),
        }
    }

    /// Takes what a request draws, or nothing.
    pub(super) fn take(&self, ask: &Ask<'_>) -> Result<(), Refused> {
        let Some(quotas) = &self.quotas else {
            return Ok(());
        };
        let now = self.now();
        let mut buckets = self.buckets();
        if buckets.len() > MANY {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        take_all(&mut buckets, &quotas.demands(ask), now)
    }

    /// Terra says that the user has no more than `left` days.
    pub(super) fn note_left(&self, ask: &Ask<'_>, left: u32) {
        let now = self.now();
        self.note(ask, |bucket, demand| {
            bucket.with_at_most(demand.quota, now, left)
        });
    }

    /// Terra says that the user is not to be asked for `wait`.
    pub(super) fn note_wait(&self, ask: &Ask<'_>, wait: Duration) {
        let until = after(self.now(), wait);
        self.note(ask, |bucket, _| bucket.closed_until(until));
    }

    /// Changes the buckets of the user's days.
    fn note(&self, ask: &Ask<'_>, change: impl Fn(Bucket, &Demand) -> Bucket) {
        let Some(quotas) = &self.quotas else {
            return;
        };
        let mut buckets = self.buckets();
        for demand in quotas.demands(ask) {
            if matches!(demand.scope, Scope::UserDays(_)) {
                let bucket = buckets.get(&demand.scope).copied().unwrap_or_default();
                buckets.insert(demand.scope.clone(), change(bucket, &demand));
            }
        }
    }

    fn now(&self) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, self.start.elapsed())
    }

    /// No code panics while it holds them, and what is written in them is whole at any time.
    fn buckets(&self) -> MutexGuard<'_, BTreeMap<Scope, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(start: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| start.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use models::ids::TerraUserId;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_kept_over_time() {
        let limiter = Limiter::new(Some(Quotas::default()));
        let user_id = TerraUserId::new("user-1").unwrap();
        let other = TerraUserId::new("user-2").unwrap();
        let ask = |user_id| Ask {
            user_id: Some(user_id),
            days: 1_825,
            ..Ask::default()
        };
        limiter.take(&ask(&user_id)).unwrap();
        let Err(Refused::Wait(wait)) = limiter.take(&ask(&user_id)) else {
            panic!("granted at once");
        };
        limiter.take(&ask(&other)).unwrap();
        tokio::time::advance(wait.mul_f64(0.99)).await;
        limiter.take(&ask(&user_id)).unwrap_err();
        tokio::time::advance(wait.mul_f64(0.02)).await;
        limiter.take(&ask(&user_id)).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_terra_says_counts_until_it_has_passed() {
        let limiter = Limiter::new(Some(Quotas::default()));
        let user_id = TerraUserId::new("user-1").unwrap();
        let ask = Ask {
            user_id: Some(&user_id),
            days: 28,
            ..Ask::default()
        };
        limiter.note_left(&ask, 30);
        limiter.take(&ask).unwrap();
        limiter.take(&ask).unwrap_err();

        limiter.note_wait(&ask, Duration::from_hours(1));
        tokio::time::advance(Duration::from_mins(59)).await;
        limiter.take(&ask).unwrap_err();
        tokio::time::advance(Duration::from_mins(2)).await;
        limiter.take(&ask).unwrap();
        // Others are not held up.
        limiter.take(&Ask::default()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn full_buckets_are_forgotten() {
        let limiter = Limiter::new(Some(Quotas::default()));
        for number in 0..=MANY {
            let user_id = TerraUserId::new(&format!("user-{number}")).unwrap();
            let ask = Ask {
                user_id: Some(&user_id),
                ..Ask::default()
            };
            tokio::time::advance(Duration::from_secs(1)).await;
            limiter.take(&ask).unwrap();
        }
        limiter.take(&Ask::default()).unwrap();
        assert!(limiter.buckets().len() < 10);
    }
}
