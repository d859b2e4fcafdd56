//! Reach and rhythm of each provider, from `providers.json`; every entry there names its source.
//!
//! A provider that is not in the file has the default, and so has every field that an entry leaves
//! out: an unknown provider is never refused (FACTS section 13).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use jiff::civil::Date;
use models::{data::DataType, ids::Provider};
use serde::{Deserialize, Serialize};

use super::day::{self, HOUR_MS};

/// Way in which a provider's past can be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetch {
    /// Terra can be asked for it.
    #[default]
    Server,
    /// Only the app on the phone sends it (FACTS section 6).
    Phone,
}

/// Rhythm of a type's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rhythm {
    /// A day without one is worth asking for as soon as it has settled.
    EveryDay,
    /// Days without one are ordinary, and asked for a week at a time.
    NowAndThen,
}

/// History that a provider has and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderHistory {
    /// Way in which its past can be had.
    pub fetch: Fetch,
    /// Reach back from the connection. Unit: days.
    pub reach_days: u32,
    /// Never further back than this before the connection. Unit: hours.
    pub reach_before_connection_hours: Option<u32>,
    /// The only types it has, where that is known.
    pub types: Option<BTreeSet<DataType>>,
    /// Time after its end in which a day's data may come by themselves. Unit: hours.
    pub settle_hours: u32,
    /// Time without data after which a connection is reported. Unit: days.
    pub quiet_after_days: u32,
    /// Source of the entry.
    pub source: String,
    rhythm: BTreeMap<DataType, Rhythm>,
}

impl ProviderHistory {
    /// Returns the entry of a provider, or the default for one that is not in the file.
    pub fn of(provider: &Provider) -> &'static Self {
        HISTORIES.0.get(provider.as_str()).unwrap_or(&HISTORIES.1)
    }

    /// The first day that asking can bring, for a person who connected at `connected_at_ms`.
    ///
    /// Nobody knows where the wearer is: the earliest date on Earth counts, so nothing is left out.
    pub fn first_day(&self, connected_at_ms: i64) -> Date {
        let connected = day::earliest_on_earth(connected_at_ms);
        let reach = day::plus(connected, -i64::from(self.reach_days));
        let nearest = self.reach_before_connection_hours.map(|hours| {
            day::earliest_on_earth(connected_at_ms.saturating_sub(i64::from(hours) * HOUR_MS))
        });
        nearest.map_or(reach, |nearest| nearest.max(reach))
    }

    /// Returns whether Terra can be asked for days of this type.
    pub fn can_be_asked(&self, data_type: DataType) -> bool {
        let known = self
            .types
            .as_ref()
            .is_none_or(|types| types.contains(&data_type));
        self.fetch == Fetch::Server && known && super::coverage::Keyed::of(data_type).is_some()
    }

    /// Returns the rhythm of the type's records.
    pub fn rhythm(&self, data_type: DataType) -> Rhythm {
        self.rhythm
            .get(&data_type)
            .copied()
            .unwrap_or(Rhythm::NowAndThen)
    }
}

/// One entry of the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    fetch: Fetch,
    reach_days: Option<u32>,
    reach_before_connection_hours: Option<u32>,
    types: Option<BTreeSet<DataType>>,
    settle_hours: Option<u32>,
    quiet_after_days: Option<u32>,
    #[serde(default)]
    rhythm: BTreeMap<DataType, Rhythm>,
    source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Entry,
    providers: BTreeMap<String, Entry>,
}

/// Reach for a provider, should the file's default ever leave it out.
const REACH_DAYS: u32 = 1825;
const SETTLE_HOURS: u32 = 24;
const QUIET_AFTER_DAYS: u32 = 3;

impl Entry {
    fn on(self, default: &Self) -> ProviderHistory {
        let rhythm = default.rhythm.clone().into_iter().chain(self.rhythm);
        ProviderHistory {
            fetch: self.fetch,
            reach_days: self.reach_days.or(default.reach_days).unwrap_or(REACH_DAYS),
            reach_before_connection_hours: self.reach_before_connection_hours,
            types: self.types,
            settle_hours: self
                .settle_hours
                .or(default.settle_hours)
                .unwrap_or(SETTLE_HOURS),
            quiet_after_days: self
                .quiet_after_days
                .or(default.quiet_after_days)
                .unwrap_or(QUIET_AFTER_DAYS),
            source: self.source,
            rhythm: rhythm.collect(),
        }
    }
}

const PROVIDERS: &str = include_str!("providers.json");

/// The file's providers, and its default.
static HISTORIES: LazyLock<(BTreeMap<String, ProviderHistory>, ProviderHistory)> =
    LazyLock::new(|| {
        // The file is part of the build and a test reads it.
        let file: File = serde_json::from_str(PROVIDERS).unwrap_or_default();
        let default = &file.default;
        let providers = file.providers.into_iter();
        let histories = providers.map(|(provider, entry)| (provider, entry.on(default)));
        (histories.collect(), default.clone().on(default))
    });

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn provider(name: &str) -> &'static ProviderHistory {
        ProviderHistory::of(&Provider::new(name).unwrap())
    }

    #[test]
    fn the_file_reads_and_every_entry_has_a_source() {
        let file: File = serde_json::from_str(PROVIDERS).unwrap();
        assert!(file.default.reach_days.is_some());
        for (name, entry) in file.providers {
            assert_eq!(name, name.to_uppercase());
            assert!(entry.source.contains("FACTS section"), "{name}");
        }
    }

    #[test]
    fn reach_is_that_of_facts_section_6() {
        let connected_at = "2026-06-15T20:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let first = |name| provider(name).first_day(connected_at.as_millisecond());
        assert_eq!(first("GARMIN"), date(2021, 6, 16));
        assert_eq!(first("POLAR"), date(2026, 5, 16));
        assert_eq!(first("COROS"), date(2026, 6, 14));
        assert_eq!(first("NOBODY_KNOWS"), first("GARMIN"));
        assert!(!provider("APPLE").can_be_asked(DataType::Daily));
        assert!(!provider("STRAVA").can_be_asked(DataType::Sleep));
        assert!(provider("STRAVA").can_be_asked(DataType::Activity));
        assert!(!provider("OURA").can_be_asked(DataType::Hormone));
        assert_eq!(provider("DEXCOM").rhythm(DataType::Body), Rhythm::EveryDay);
    }

    #[test]
    fn every_provider_of_facts_section_13_is_in_the_file() {
        let facts = include_str!("../../../models/FACTS.md");
        let section = facts.split("## 13. Providers").nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let is_provider = |name: &&str| {
            name.len() > 2
                && name
                    .chars()
                    .all(|char| char.is_ascii_uppercase() || char == '_')
        };
        let named: BTreeSet<_> = section
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(is_provider)
            .collect();
        assert!(named.len() > 15, "{named:?}");
        let missing: Vec<_> = named
            .iter()
            .filter(|name| !HISTORIES.0.contains_key(**name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
