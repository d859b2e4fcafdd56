//! Cost of a plan, before anything is sent.

use models::ids::Provider;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::{
    history::cut,
    pacing::{Quota, Quotas, provider_calls},
};

/// Price that AWS charges for one request that finds something: the window's items, its lease, the days,
/// Lambda's wait. Measured, `infra/aws/COST.md`. Unit: US dollars.
const AWS_USD_PER_REQUEST: f64 = 0.000_018;
/// Price of each of its days, routed as one record. Measured, `infra/aws/COST.md`. Unit: US dollars.
const AWS_USD_PER_DAY: f64 = 0.000_001_5;

/// Cost of a plan at most: the stop rule may spare some of it.
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
    /// Time that the quotas alone make it take. Unit: hours.
    pub hours: f64,
    /// Price that AWS charges for it, about, at the list prices of us-east-1. Unit: US dollars.
    pub aws_usd: f64,
}

impl Estimate {
    /// Estimates one connection's plan, at the pace that the quotas allow.
    pub fn of(plan: &Plan, provider: &Provider, quotas: &Quotas) -> Self {
        let mut estimate = Self::default();
        for window in plan.windows() {
            let request = cut::with_overlap(window.span());
            estimate.days += u64::from(window.span().length_days());
            estimate.requested_days += u64::from(request.length_days());
            estimate.requests += 1;
            let calls = provider_calls(provider, Some(window.id().data_type));
            estimate.provider_calls += u64::from(calls);
        }
        let limits = quotas.providers.get(provider);
        let per_user = limits.and_then(|limits| limits.per_user);
        let at_provider = per_user.map_or(0.0, |quota| hours(estimate.provider_calls, quota));
        estimate.aws_usd =
            AWS_USD_PER_REQUEST * float(estimate.requests) + AWS_USD_PER_DAY * float(estimate.days);
        estimate.hours = hours(estimate.requested_days, quotas.user_days)
            .max(hours(estimate.requests, quotas.account))
            .max(at_provider);
        estimate
    }

    /// Adds the plan of another connection: the quotas are per user, so both run side by side.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        Self {
            days: self.days + other.days,
            requested_days: self.requested_days + other.requested_days,
            requests: self.requests + other.requests,
            provider_calls: self.provider_calls + other.provider_calls,
            hours: self.hours.max(other.hours),
            aws_usd: self.aws_usd + other.aws_usd,
        }
    }
}

/// Returns the hours of an amount beyond the bucket, because a full bucket is used at once.
fn hours(amount: u64, quota: Quota) -> f64 {
    float(amount.saturating_sub(u64::from(quota.burst()))) / f64::from(quota.per_hour())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn float(amount: u64) -> f64 {
    amount as f64
}
