//! What a plan costs, before anything is sent.

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::history::{cut, reach::ProviderHistory};

/// Terra's own limit per user (FACTS section 6). Unit: requested days per hour.
pub const DAYS_PER_USER_AND_HOUR: u32 = 6000;

/// What a plan costs at most: the stop rule may spare some of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Days wanted, each type for itself.
    pub days: u64,
    /// Days that requests cover, with overlaps: what Terra counts.
    pub requested_days: u64,
    /// Requests to Terra, when none has to be repeated or halved.
    pub requests: u64,
    /// Calls at the provider (FACTS section 6: some requests cost several).
    pub provider_calls: u64,
    /// How long the quotas alone make it take. Unit: hours.
    pub hours: f64,
}

impl Estimate {
    /// Of one connection's plan.
    pub fn of(plan: &Plan, history: &ProviderHistory) -> Self {
        let mut estimate = Self::default();
        for window in plan.windows() {
            let request = cut::with_overlap(window.span());
            estimate.days += u64::from(window.span().length_days());
            estimate.requested_days += u64::from(request.length_days());
            estimate.requests += 1;
            let calls = history.calls_per_request(window.id().data_type);
            estimate.provider_calls += u64::from(calls);
        }
        let at_terra = hours(estimate.requested_days, DAYS_PER_USER_AND_HOUR);
        let quota = history.calls_per_user_and_hour;
        let at_provider = quota.map_or(0.0, |quota| hours(estimate.provider_calls, quota));
        estimate.hours = at_terra.max(at_provider);
        estimate
    }

    /// Of two connections: the quotas are per user, so they run side by side.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        Self {
            days: self.days + other.days,
            requested_days: self.requested_days + other.requested_days,
            requests: self.requests + other.requests,
            provider_calls: self.provider_calls + other.provider_calls,
            hours: self.hours.max(other.hours),
        }
    }
}

fn hours(amount: u64, per_hour: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let amount = amount as f64;
    amount / f64::from(per_hour.max(1))
}
