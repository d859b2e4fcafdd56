//! Settings that the truth is made from.

use jiff::{SignedDuration, Timestamp};

use crate::{Provider, calendar::Place};

/// Settings that the truth is made from. The same settings give the same truth.
#[derive(Debug, Clone)]
pub struct TruthSettings {
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// Number of people.
    pub people: u64,
    /// The providers people connect.
    pub providers: Vec<Provider>,
    /// Number of providers of each person; the persons take turns through the list.
    pub providers_per_person: usize,
    /// Time at which the first connections are made.
    pub start: Timestamp,
    /// All connections are made within this time from `start`.
    pub connect_within: SignedDuration,
    /// Days of history before `start`; a seeded share of accounts is younger.
    pub history_days: u16,
    /// Webhooks of a day before the one with the whole day.
    pub updates_per_day: u16,
    /// The whole day comes at the latest so long after its end, two days at most.
    pub sync_delay: SignedDuration,
    /// True if webhooks carry samples.
    pub webhooks_with_samples: bool,
    /// Places where people live, who take turns through the list; for an empty list, a place where
    /// clocks never change.
    pub places: Vec<Place>,
    /// True if records are thin, with one sample in two hours: years stay cheap.
    pub sparse: bool,
    /// True if Terra's own scores come hours after the data, and the last delivery of a day lacks them
    /// again, as null or left out (FACTS section 9, "Enrichment").
    pub late_scores: bool,
}

impl TruthSettings {
    /// `people` persons with one connection to each of `providers`, a year of history, two updates
    /// a day, thin samples.
    pub fn new(seed: u64, people: u64, providers: &[Provider], start: Timestamp) -> Self {
        Self {
            seed,
            people,
            providers: providers.to_vec(),
            providers_per_person: providers.len(),
            start,
            connect_within: SignedDuration::ZERO,
            history_days: 365,
            updates_per_day: 2,
            sync_delay: SignedDuration::from_hours(3),
            webhooks_with_samples: true,
            places: Vec::new(),
            sparse: true,
            late_scores: false,
        }
    }
}
