//! Counters of a deliverer, shared by many tasks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Buckets of the latency histogram: eight per power of two of microseconds, up to half an hour.
const BUCKETS: usize = 256;

/// A moment's view of a deliverer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Attempts made, retries and mischief included.
    pub sent: u64,
    /// Webhooks that were answered with 2xx.
    pub acknowledged: u64,
    /// Attempts answered with anything but 2xx.
    pub refused: u64,
    /// Attempts without an answer: timeouts and network errors.
    pub unanswered: u64,
    /// Attempts after the first one of a webhook.
    pub retried: u64,
    /// Webhooks whose last attempt failed.
    pub given_up: u64,
    /// Attempts without a valid signature that were acknowledged all the same: a receiver's fault.
    pub forgeries_accepted: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// Bytes of bodies sent.
    pub body_bytes: u64,
    /// Half of the answers came within this time.
    pub latency_p50: Duration,
    /// 99 of 100 answers came within this time.
    pub latency_p99: Duration,
    /// The slowest answer.
    pub latency_max: Duration,
}

/// The counters behind a [`Snapshot`].
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) forgeries_accepted: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    latency_max_micros: AtomicU64,
    latencies: Vec<AtomicU64>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            forgeries_accepted: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            latency_max_micros: AtomicU64::new(0),
            latencies: std::iter::repeat_with(AtomicU64::default)
                .take(BUCKETS)
                .collect(),
        }
    }

    /// Counts the time an answer took.
    pub(crate) fn answered_after(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency_max_micros.fetch_max(micros, Ordering::Relaxed);
        if let Some(bucket) = self.latencies.get(bucket(micros)) {
            add(bucket, 1);
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let latency_max = read(&self.latency_max_micros);
        let percentile = |percent: u64| {
            let micros = self.percentile_micros(percent).min(latency_max);
            Duration::from_micros(micros)
        };
        Snapshot {
            sent: read(&self.sent),
            acknowledged: read(&self.acknowledged),
            refused: read(&self.refused),
            unanswered: read(&self.unanswered),
            retried: read(&self.retried),
            given_up: read(&self.given_up),
            forgeries_accepted: read(&self.forgeries_accepted),
            in_flight: read(&self.in_flight),
            body_bytes: read(&self.body_bytes),
            latency_p50: percentile(50),
            latency_p99: percentile(99),
            latency_max: Duration::from_micros(latency_max),
        }
    }

    fn percentile_micros(&self, percent: u64) -> u64 {
        let counts: Vec<u64> = self
            .latencies
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let rank = (counts.iter().sum::<u64>() * percent).div_ceil(100);
        let mut seen = 0;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return upper_bound(index);
            }
        }
        0
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// The bucket of a latency: values below eight have their own, then eight per power of two.
fn bucket(micros: u64) -> usize {
    let index = match micros.checked_ilog2() {
        None | Some(..=2) => micros,
        Some(power) => u64::from(power - 2) * 8 + ((micros >> (power - 3)) & 7),
    };
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The largest latency that falls into the bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(0);
    if bucket < 8 {
        return bucket;
    }
    let shift = bucket / 8 - 1;
    ((8 + bucket % 8 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Counters, bucket, upper_bound};

    #[test]
    fn every_latency_is_at_most_an_eighth_below_its_bucket_s_bound() {
        for micros in (0..2_000_000).step_by(17) {
            let bound = upper_bound(bucket(micros));
            assert!(
                bound >= micros && bound - micros <= micros / 8,
                "{micros} in {bound}"
            );
        }
    }

    #[test]
    fn percentiles_are_read_from_the_histogram() {
        let counters = Counters::new();
        for millis in 1..=100 {
            counters.answered_after(Duration::from_millis(millis));
        }
        let snapshot = counters.snapshot();
        assert!(
            (50..57).contains(&snapshot.latency_p50.as_millis()),
            "{snapshot:?}"
        );
        assert!(
            (99..=100).contains(&snapshot.latency_p99.as_millis()),
            "{snapshot:?}"
        );
        assert_eq!(snapshot.latency_max, Duration::from_millis(100));
    }
}
