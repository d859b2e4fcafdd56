//! Counts since the start: the numbers behind the view and the plain lines.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use simulator::Snapshot;
use store::table::ledger::{Outcome, RecordCounts, WebhookEntry};

/// The sparkline reaches this far back.
pub(crate) const SECONDS_SHOWN: usize = 120;
/// Webhooks remembered for the live list.
const NEWEST_KEPT: usize = 200;

/// Everything counted since the start.
#[derive(Debug)]
pub(crate) struct Board {
    started: Instant,
    pub(crate) routed: u64,
    pub(crate) bytes: u64,
    pub(crate) late: u64,
    pub(crate) parked: u64,
    pub(crate) records: RecordCounts,
    pub(crate) newest: VecDeque<WebhookEntry>,
    pub(crate) providers: BTreeMap<String, ProviderCounts>,
    /// Webhooks per second, the last one being the present second.
    seconds: VecDeque<u64>,
    /// The second since the start that the last of `seconds` is.
    second: u64,
}

/// One provider's share.
#[derive(Debug, Default, Clone)]
pub(crate) struct ProviderCounts {
    pub(crate) webhooks: u64,
    pub(crate) records: RecordCounts,
    /// The newest numbers stored, for a person.
    pub(crate) latest: String,
}

/// Numbers that the system is asked for from time to time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) queued: u64,
    pub(crate) dead_letters: u64,
    /// The simulator's own count; absent without a simulator.
    pub(crate) simulator: Option<Snapshot>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            routed: 0,
            bytes: 0,
            late: 0,
            parked: 0,
            records: RecordCounts::default(),
            newest: VecDeque::new(),
            providers: BTreeMap::new(),
            seconds: VecDeque::from([0]),
            second: 0,
        }
    }

    /// Counts a routed webhook.
    pub(crate) fn observe(&mut self, entry: &WebhookEntry) {
        self.advance(self.started.elapsed().as_secs());
        if let Some(now) = self.seconds.back_mut() {
            *now += 1;
        }
        self.routed += 1;
        self.bytes += entry.size_bytes;
        self.late += u64::from(entry.late);
        self.parked += u64::from(entry.outcome == Outcome::Parked);
        add(&mut self.records, entry.records);
        if let Some(provider) = &entry.provider {
            let provider = self
                .providers
                .entry(provider.as_str().to_owned())
                .or_default();
            provider.webhooks += 1;
            add(&mut provider.records, entry.records);
        }
        self.newest.push_front(entry.clone());
        self.newest.truncate(NEWEST_KEPT);
    }

    /// Notes the newest numbers of a provider.
    pub(crate) fn set_latest(&mut self, provider: &str, latest: String) {
        self.providers
            .entry(provider.to_owned())
            .or_default()
            .latest = latest;
    }

    pub(crate) fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Webhooks per second, oldest first, the present second last.
    pub(crate) fn per_second(&mut self) -> Vec<u64> {
        self.advance(self.started.elapsed().as_secs());
        self.seconds.iter().copied().collect()
    }

    /// Webhooks per second over the last ten whole seconds, in tenths.
    pub(crate) fn rate_tenths(&mut self) -> u64 {
        self.advance(self.started.elapsed().as_secs());
        let whole: Vec<u64> = self
            .seconds
            .iter()
            .rev()
            .skip(1)
            .take(10)
            .copied()
            .collect();
        let seconds = u64::try_from(whole.len()).unwrap_or(1).max(1);
        whole.iter().sum::<u64>() * 10 / seconds
    }

    /// CORE and CRONOMETER first, then the busiest.
    pub(crate) fn providers_in_order(&self) -> Vec<(&str, &ProviderCounts)> {
        let mut providers: Vec<_> = self
            .providers
            .iter()
            .map(|(name, counts)| (name.as_str(), counts))
            .collect();
        let place = |name: &str| match name {
            "CORE" => 0,
            "CRONOMETER" => 1,
            _ => 2,
        };
        providers.sort_by_key(|(name, counts)| {
            (
                place(name),
                std::cmp::Reverse(counts.webhooks),
                (*name).to_owned(),
            )
        });
        providers
    }

    fn advance(&mut self, second: u64) {
        while self.second < second {
            self.second += 1;
            self.seconds.push_back(0);
            if self.seconds.len() > SECONDS_SHOWN {
                self.seconds.pop_front();
            }
        }
    }
}

fn add(to: &mut RecordCounts, from: RecordCounts) {
    to.created += from.created;
    to.updated += from.updated;
    to.unchanged += from.unchanged;
    to.shadowed += from.shadowed;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_pass_also_without_webhooks() {
        let mut board = Board::new();
        board.advance(500);
        assert_eq!(board.seconds.len(), SECONDS_SHOWN);
        assert_eq!(board.rate_tenths(), 0);
    }
}
