//! Refused requests: every one is counted, one a minute and cause is logged.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Time for which further refusals of one cause are only counted. Unit: milliseconds.
const QUIET_MS: i64 = 60_000;

/// Counts of refused requests, by cause.
///
/// A flood of unsigned requests must not turn into a flood of log lines, which cost more than the
/// requests. A metric is a log line too, so counts are collected and sent with the sampled line.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<&'static str, Cause>>);

#[derive(Debug)]
struct Cause {
    logged_at_ms: i64,
    /// Refusals since the last log line.
    waiting: u64,
}

impl Refusals {
    /// Counts one refusal. Returns how many refusals to log now, or `None` while the cause was
    /// logged within the last minute.
    pub(crate) fn add(&self, cause: &'static str, now_ms: i64) -> Option<u64> {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match causes.get_mut(cause) {
            Some(known) if now_ms < known.logged_at_ms.saturating_add(QUIET_MS) => {
                known.waiting += 1;
                None
            }
            known => {
                let waiting = known.map_or(0, |known| known.waiting);
                causes.insert(
                    cause,
                    Cause {
                        logged_at_ms: now_ms,
                        waiting: 0,
                    },
                );
                Some(waiting + 1)
            }
        }
    }

    /// Takes the counts that have waited for a minute.
    pub(crate) fn take_due(&self, now_ms: i64) -> Vec<(&'static str, u64)> {
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for (name, cause) in &mut *causes {
            if cause.waiting > 0 && now_ms >= cause.logged_at_ms.saturating_add(QUIET_MS) {
                due.push((*name, std::mem::take(&mut cause.waiting)));
                cause.logged_at_ms = now_ms;
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_and_cause_and_every_refusal_is_counted() {
        let refusals = Refusals::default();
        let mut said = Vec::new();
        for at_ms in (0..180_000).step_by(10) {
            said.extend(refusals.add("missing", at_ms));
        }
        assert_eq!(said, [1, 6000, 6000]);
        assert_eq!(refusals.add("stale", 5), Some(1));
        assert_eq!(refusals.take_due(179_999), []);
        assert_eq!(refusals.take_due(180_000), [("missing", 5999)]);
        assert_eq!(refusals.take_due(400_000), []);
    }
}
