//! Times in which our intake took no webhooks.
//!
//! Terra repeats what was not taken for a little over a day, and then it is lost and the destination
//! is switched off (FACTS section 7, "Answer, timeout, retries"). So silence of more than that, with
//! webhooks on either side of it, means lost webhooks; shorter silence heals by itself. An account
//! so small that it is silent for longer has its days asked for once more than needed.

use serde::{Deserialize, Serialize};

use super::{coverage::Outage, day::HOUR_MS};

/// Silence of this length counts as an outage. Unit: milliseconds.
pub const OUTAGE_MS: i64 = 30 * HOUR_MS;
/// Number of outages that are remembered: gaps are looked for in the last weeks only.
const REMEMBERED: usize = 32;

/// Times in which webhooks were lost, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutageLog {
    /// The times, oldest first.
    pub outages: Vec<Outage>,
    /// Up to when it was looked for them. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_until_ms: Option<i64>,
    /// Time of the newest webhook that was read. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_at_ms: Option<i64>,
}

/// Losses this close to each other are kept as one. Unit: milliseconds.
const ONE_LOSS_MS: i64 = 24 * HOUR_MS;

impl OutageLog {
    /// Takes in that a webhook of an unknown connection got lost between these times. Every connection
    /// may miss something of those days then.
    ///
    /// Unit: Unix milliseconds.
    #[must_use]
    pub fn lost(mut self, from_ms: i64, until_ms: i64) -> Self {
        let until_ms = until_ms.max(from_ms.saturating_add(1));
        let near = |known: &&mut Outage| {
            from_ms <= known.until_ms.saturating_add(ONE_LOSS_MS)
                && until_ms >= known.from_ms.saturating_sub(ONE_LOSS_MS)
        };
        match self.outages.iter_mut().find(near) {
            Some(known) => {
                known.from_ms = known.from_ms.min(from_ms);
                known.until_ms = known.until_ms.max(until_ms);
            }
            None => self.remember(Outage { from_ms, until_ms }),
        }
        self
    }

    fn remember(&mut self, outage: Outage) {
        self.outages.push(outage);
        let forgotten = self.outages.len().saturating_sub(REMEMBERED);
        self.outages.drain(..forgotten);
    }

    /// Adds the webhooks since the last search: the first one after the newest one known, and the newest
    /// of all. Searches are to be closer together than [`OUTAGE_MS`], so that no outage hides between
    /// those two. Times are Unix milliseconds.
    #[must_use]
    pub fn with_webhooks(
        mut self,
        first_ms: Option<i64>,
        newest_ms: Option<i64>,
        now_ms: i64,
    ) -> Self {
        if let (Some(from_ms), Some(until_ms)) = (self.webhook_at_ms, first_ms)
            && until_ms.saturating_sub(from_ms) >= OUTAGE_MS
        {
            self.remember(Outage { from_ms, until_ms });
        }
        self.webhook_at_ms = self.webhook_at_ms.max(first_ms).max(newest_ms);
        self.looked_until_ms = self.looked_until_ms.max(Some(now_ms));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = HOUR_MS;

    #[test]
    fn three_silent_days_are_an_outage_once_webhooks_come_again() {
        let log = OutageLog::default().with_webhooks(Some(HOUR), Some(5 * HOUR), 6 * HOUR);
        assert_eq!(log.outages, []);
        let silent = log
            .with_webhooks(None, None, 30 * HOUR)
            .with_webhooks(None, None, 60 * HOUR);
        assert_eq!(silent.outages, []);
        let later = silent.with_webhooks(Some(77 * HOUR), Some(80 * HOUR), 81 * HOUR);
        let outage = Outage {
            from_ms: 5 * HOUR,
            until_ms: 77 * HOUR,
        };
        assert_eq!(later.outages, [outage]);
        assert_eq!(later.webhook_at_ms, Some(80 * HOUR));
        // The next look begins behind it.
        let next = later.with_webhooks(Some(82 * HOUR), Some(83 * HOUR), 84 * HOUR);
        assert_eq!(next.outages, [outage]);
    }

    #[test]
    fn what_gets_lost_of_nobody_known_is_one_outage_a_day() {
        let log = OutageLog::default()
            .lost(HOUR, 2 * HOUR)
            .lost(2 * HOUR, 3 * HOUR)
            .lost(90 * HOUR, 90 * HOUR);
        let outage = |from_ms, until_ms| Outage { from_ms, until_ms };
        let expected = [outage(HOUR, 3 * HOUR), outage(90 * HOUR, 90 * HOUR + 1)];
        assert_eq!(log.outages, expected);
    }

    #[test]
    fn a_night_is_no_outage() {
        let log = OutageLog::default().with_webhooks(Some(0), Some(HOUR), HOUR);
        assert_eq!(
            log.with_webhooks(Some(12 * HOUR), None, 12 * HOUR).outages,
            []
        );
    }
}
