//! Pauses of a destination that fails, and of a record that is refused.

use serde::{Deserialize, Serialize};

/// Failed calls in a row after which a destination is left alone.
const MOST_FAILURES: u32 = 5;
/// Pauses before the first probes of a destination that is left alone; later ones come hourly. Unit:
/// milliseconds.
const PROBE_PAUSES_MS: [i64; 8] = [
    MINUTE_MS,
    MINUTE_MS,
    2 * MINUTE_MS,
    4 * MINUTE_MS,
    8 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
];
/// Time after which a destination that never answered is suspended: one probe a day, and nothing is
/// dropped. Unit: milliseconds.
pub const SUSPENDED_AFTER_MS: i64 = 72 * HOUR_MS;
/// Pauses before a refused record is tried again, three days in all; after the last it is given up. Unit:
/// milliseconds.
const REJECTED_PAUSES_MS: [i64; 8] = [
    MINUTE_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    24 * HOUR_MS,
    // Up to three days.
    27 * HOUR_MS + 24 * MINUTE_MS,
];
/// Longest pause on a destination's own word. Unit: milliseconds.
const LONGEST_ASKED_PAUSE_MS: i64 = HOUR_MS;
/// First pause of a delivery that failed alone. Unit: milliseconds.
const FIRST_RETRY_MS: i64 = 5_000;
/// Widest page of a drain.
const WIDEST: u32 = 200;

/// Time for which a destination that asked for less has half of its shards at once. Unit: milliseconds.
const HALVED_MS: i64 = 10 * MINUTE_MS;
/// Time after which the halves change places. Unit: milliseconds.
const TURN_MS: i64 = MINUTE_MS;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Gravity of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The destination may be back soon.
    Transient,
    /// The destination asked for a pause. Unit: milliseconds.
    Throttled(Option<i64>),
    /// Somebody has to change settings.
    Misconfigured,
}

/// Health of a destination: closed while it answers, open while it is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breaker {
    /// Failed calls in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Time at which the first of them failed. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<i64>,
    /// Time at which the destination is tried again; present while it is left alone. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_at_ms: Option<i64>,
    /// Probes that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub probes: u32,
    /// Most deliveries of the next drain, while a destination that was left alone comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Time until which half of the shards deliver at once, because the destination asked for less. Unit: Unix
    /// milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halved_until_ms: Option<i64>,
    /// True if the last failure was one of settings or rights, which somebody has to change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub misconfigured: bool,
    /// Last failure, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Deliveries that a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// All.
    Open,
    /// One, to see whether the destination is back.
    Probe,
    /// None.
    Closed,
}

impl Breaker {
    /// Returns what may be delivered now.
    pub fn passage(&self, now_ms: i64) -> Passage {
        match self.probe_at_ms {
            None => Passage::Open,
            Some(at_ms) if at_ms <= now_ms => Passage::Probe,
            Some(_) => Passage::Closed,
        }
    }

    /// Returns whether the destination failed for so long that it is asked once a day only.
    pub fn is_suspended(&self, now_ms: i64) -> bool {
        self.probe_at_ms.is_some()
            && self
                .failing_since_ms
                .is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= SUSPENDED_AFTER_MS)
    }

    /// Returns whether the destination is left alone until somebody changes settings or rights.
    pub fn is_stopped(&self) -> bool {
        self.misconfigured && self.probe_at_ms.is_some()
    }

    /// Returns whether a shard delivers now. For ten minutes after a destination asked for less, half of
    /// its shards do, by turns of a minute; a single shard always does.
    pub fn has_turn(&self, shard: u32, shards: u32, now_ms: i64) -> bool {
        let is_halved = self
            .halved_until_ms
            .is_some_and(|until_ms| now_ms < until_ms);
        let turn = now_ms.div_euclid(TURN_MS).saturating_add(shard.into());
        !is_halved || shards < 2 || turn.rem_euclid(2) == 0
    }

    /// Most deliveries of the next page of a drain.
    pub fn width(&self, now_ms: i64) -> u32 {
        match self.passage(now_ms) {
            Passage::Open => self.width.unwrap_or(WIDEST),
            Passage::Probe | Passage::Closed => 1,
        }
    }

    /// The health after a failed call. `jitter` is 0 to 1000: pauses vary by a fifth.
    #[must_use]
    pub fn failed(self, failure: Failure, fault: &str, jitter: u16, now_ms: i64) -> Self {
        let failures = self.failures.saturating_add(1);
        let since_ms = self.failing_since_ms.unwrap_or(now_ms);
        let probing = self.probe_at_ms.is_some();
        let misconfigured = failure == Failure::Misconfigured;
        let opens = probing || misconfigured || failures >= MOST_FAILURES;
        let probes = if probing {
            self.probes.saturating_add(1)
        } else {
            0
        };
        let pause_ms = if now_ms.saturating_sub(since_ms) >= SUSPENDED_AFTER_MS {
            DAY_MS
        } else if misconfigured {
            HOUR_MS
        } else {
            let pauses = PROBE_PAUSES_MS.get(probes as usize);
            pauses.copied().unwrap_or(HOUR_MS)
        };
        let asked_ms = match failure {
            Failure::Throttled(Some(asked_ms)) => asked_ms.clamp(0, LONGEST_ASKED_PAUSE_MS),
            _ => 0,
        };
        let pause_ms = jittered(pause_ms, jitter).max(asked_ms);
        Self {
            failures,
            failing_since_ms: Some(since_ms),
            probe_at_ms: opens.then(|| now_ms.saturating_add(pause_ms)),
            probes,
            width: self.width,
            halved_until_ms: match failure {
                Failure::Throttled(_) => Some(now_ms.saturating_add(HALVED_MS)),
                Failure::Transient | Failure::Misconfigured => self.halved_until_ms,
            },
            misconfigured,
            fault: Some(fault.to_owned()),
        }
    }

    /// The health after a call that went well. A destination that was left alone comes back slowly.
    #[must_use]
    pub fn succeeded(self) -> Self {
        let width = match (self.probe_at_ms, self.width) {
            (Some(_), _) => Some(2),
            (None, Some(width)) => Some(width.saturating_mul(2)).filter(|width| *width < WIDEST),
            (None, None) => None,
        };
        Self {
            width,
            // One answer does not take back what was asked for.
            halved_until_ms: self.halved_until_ms,
            ..Self::default()
        }
    }

    /// The health on an operator's word: everything is tried again at once.
    #[must_use]
    pub fn resumed(self, now_ms: i64) -> Self {
        match self.probe_at_ms {
            None => self,
            Some(_) => Self {
                probe_at_ms: Some(now_ms),
                failing_since_ms: Some(now_ms),
                probes: 0,
                ..self
            },
        }
    }
}

/// Returns the time at which a refused record is tried again after so many refusals; `None` once it is given up. Unit: Unix
/// milliseconds.
pub fn rejected_until_ms(refusals: u32, now_ms: i64) -> Option<i64> {
    let index = usize::try_from(refusals).ok()?.checked_sub(1)?;
    let pause_ms = REJECTED_PAUSES_MS.get(index)?;
    Some(now_ms.saturating_add(*pause_ms))
}

/// Returns the time at which a delivery is tried again that failed so often. Unit: Unix milliseconds.
pub fn retry_at_ms(attempts: u32, asked_ms: Option<i64>, jitter: u16, now_ms: i64) -> i64 {
    let doubled = FIRST_RETRY_MS.saturating_mul(1_i64 << attempts.min(10));
    let pause_ms = jittered(doubled.min(HOUR_MS), jitter);
    let asked_ms = asked_ms.unwrap_or(0).clamp(0, LONGEST_ASKED_PAUSE_MS);
    now_ms.saturating_add(pause_ms.max(asked_ms))
}

/// A pause that is longer or shorter by up to a fifth.
fn jittered(pause_ms: i64, jitter: u16) -> i64 {
    let share = i64::from(jitter.min(1000)) - 500;
    pause_ms.saturating_add(pause_ms / 2500 * share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVEN: u16 = 500;

    #[test]
    fn five_failures_in_a_row_open_it_and_one_success_closes_it() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker = breaker.failed(Failure::Transient, "reset", EVEN, 0);
            assert_eq!(breaker.passage(0), Passage::Open);
        }
        breaker = breaker.failed(Failure::Transient, "reset", EVEN, 0);
        assert_eq!(breaker.passage(59_999), Passage::Closed);
        assert_eq!(breaker.passage(60_000), Passage::Probe);
        let back = breaker.succeeded();
        assert_eq!(back.passage(60_000), Passage::Open);
        let widths: Vec<_> = std::iter::successors(Some(back), |b| Some(b.clone().succeeded()))
            .map(|breaker| breaker.width(60_000))
            .take(8)
            .collect();
        assert_eq!(widths, [2, 4, 8, 16, 32, 64, 128, WIDEST]);
    }

    #[test]
    fn wrong_settings_open_it_at_once() {
        let breaker = Breaker::default().failed(Failure::Misconfigured, "no such bucket", EVEN, 0);
        assert_eq!(breaker.passage(HOUR_MS - 1), Passage::Closed);
        assert_eq!(breaker.passage(HOUR_MS), Passage::Probe);
        assert!(breaker.is_stopped());
        assert!(!breaker.clone().succeeded().is_stopped());
        let unreachable = breaker.failed(Failure::Transient, "refused", EVEN, HOUR_MS);
        assert!(!unreachable.is_stopped());
    }

    /// The schedule that operators are told.
    #[test]
    fn probes_come_sooner_then_hourly_then_daily() {
        let mut breaker = Breaker::default();
        let mut now_ms = 0;
        for _ in 0..5 {
            breaker = breaker.failed(Failure::Transient, "down", EVEN, now_ms);
        }
        let mut probes_ms = Vec::new();
        while now_ms < 5 * DAY_MS {
            now_ms = breaker.probe_at_ms.unwrap();
            probes_ms.push(now_ms / MINUTE_MS);
            breaker = breaker.failed(Failure::Transient, "down", EVEN, now_ms);
        }
        assert_eq!(
            probes_ms.get(..9).unwrap(),
            [1, 2, 4, 8, 16, 31, 61, 121, 181]
        );
        let in_72_hours = probes_ms.iter().filter(|ms| **ms <= 72 * 60).count();
        assert_eq!(in_72_hours, 77);
        assert!(breaker.is_suspended(now_ms));
        let last = probes_ms.last_chunk::<2>().unwrap();
        assert_eq!(last[1] - last[0], 24 * 60);
    }

    #[test]
    fn a_destination_that_asks_for_less_gets_half_of_its_shards_by_turns_for_ten_minutes() {
        let well = Breaker::default();
        assert!((0..4).all(|shard| well.has_turn(shard, 4, 0)));
        let asked = well
            .failed(Failure::Throttled(None), "429", EVEN, 0)
            .succeeded();
        let at = |now_ms| {
            (0..4)
                .filter(|shard| asked.has_turn(*shard, 4, now_ms))
                .collect::<Vec<_>>()
        };
        assert_eq!(at(0), [0, 2]);
        assert_eq!(at(MINUTE_MS), [1, 3]);
        assert_eq!(at(9 * MINUTE_MS + 59_999), [1, 3]);
        assert_eq!(at(HALVED_MS), [0, 1, 2, 3]);
        assert!(
            (0..10).all(|minute| asked.has_turn(0, 1, minute * MINUTE_MS)),
            "a single shard"
        );
        let other = Breaker::default().failed(Failure::Transient, "reset", EVEN, 0);
        assert!(other.has_turn(1, 4, 0));
    }

    #[test]
    fn a_refused_record_is_given_up_in_the_end() {
        let pauses: Vec<_> = (1..)
            .map_while(|times| rejected_until_ms(times, 0))
            .collect();
        assert_eq!(pauses, REJECTED_PAUSES_MS);
        assert_eq!(pauses.iter().sum::<i64>(), 3 * DAY_MS);
    }

    proptest! {
        #[test]
        fn it_never_waits_longer_than_a_day_and_a_fifth(
            steps in prop::collection::vec((any::<bool>(), 0_u8..3, 0_u16..=1000, 0_i64..DAY_MS), 0..60)
        ) {
            let (mut breaker, mut now_ms) = (Breaker::default(), 0);
            for (good, failure, jitter, later_ms) in steps {
                now_ms += later_ms;
                breaker = if good {
                    breaker.succeeded()
                } else {
                    let failure = [Failure::Transient, Failure::Throttled(Some(i64::MAX)), Failure::Misconfigured]
                        [usize::from(failure)];
                    breaker.failed(failure, "fault", jitter, now_ms)
                };
                if let Some(at_ms) = breaker.probe_at_ms {
                    prop_assert!(at_ms > now_ms);
                    prop_assert!(at_ms - now_ms <= DAY_MS + DAY_MS / 5);
                }
                prop_assert!((1..=WIDEST).contains(&breaker.width(now_ms)));
                prop_assert_eq!(good, breaker.failing_since_ms.is_none());
            }
        }
    }
}
