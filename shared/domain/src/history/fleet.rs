//! Counts over all connections, so that nobody walks through them to know how many there are.
//!
//! Each search for gaps counts the connections of a shard on its way, page by page, and leaves the counts behind
//! when it is through. So they are as old as the last search; [`Fleet::as_of_ms`] says how old.

use std::{cmp::Reverse, collections::BTreeMap};

use models::ids::Provider;
use serde::{Deserialize, Serialize};

use super::{
    day::DAY_MS,
    gap::{Cause, Quiet},
    window::{State, Window, retry::Reason},
};
use crate::connection::{Connection, ConnectionId, Status};

/// Windows that were given up longer ago do not count. Unit: milliseconds.
const LATELY_MS: i64 = 7 * DAY_MS;
/// Examples of quiet connections that one shard keeps: those that fell silent last.
const MAX_EXAMPLES: usize = 4;
/// Examples of all shards together.
const MAX_EXAMPLES_OF_ALL: usize = 50;

/// Counts over some connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// Begin of the count, the oldest of several. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_ms: Option<i64>,
    /// Connections by provider and status. The provider is empty while it is not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_provider: BTreeMap<String, BTreeMap<Status, usize>>,
    /// Quiet connections by cause. Those that ended are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quiet: BTreeMap<Cause, usize>,
    /// Some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<QuietExample>,
    /// Backfills that are not done.
    #[serde(skip_serializing_if = "is_zero")]
    pub backfills: usize,
    /// Windows that were given up lately, by why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, usize>,
}

/// A connection that has gone quiet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QuietExample {
    /// Last sign of life. Unit: Unix milliseconds.
    pub since_ms: i64,
    /// Our id of the connection.
    pub connection: ConnectionId,
    /// Provider.
    pub provider: String,
    /// Cause of its silence.
    pub cause: Cause,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Fleet {
    /// Counts that begin now.
    pub fn begun(now_ms: i64) -> Self {
        Self {
            as_of_ms: Some(now_ms),
            ..Self::default()
        }
    }

    /// Counts a connection. `quiet` says since when and why it is silent, if it is.
    pub fn note(&mut self, id: &ConnectionId, state: &Connection, quiet: Option<&Quiet>) {
        let provider = state.provider().map_or("", Provider::as_str);
        let of_provider = self.by_provider.entry(provider.to_owned()).or_default();
        *of_provider.entry(state.status()).or_default() += 1;
        if let Some(quiet) = quiet.filter(|quiet| quiet.cause != Cause::Ended) {
            *self.quiet.entry(quiet.cause).or_default() += 1;
            self.examples.push(QuietExample {
                since_ms: quiet.since_ms,
                connection: id.clone(),
                provider: provider.to_owned(),
                cause: quiet.cause,
            });
            self.keep_examples(MAX_EXAMPLES);
        }
    }

    /// Counts the windows of a backfill that were given up lately. That its provider has no such type is no fault.
    pub fn note_failed(&mut self, windows: &[Window], now_ms: i64) {
        for window in windows {
            if let State::Failed { at_ms, reason } = window.state()
                && is_late(*at_ms, now_ms)
                && *reason != Reason::NotSupported
            {
                *self.failed.entry(reason.to_string()).or_default() += 1;
            }
        }
    }

    /// Adds the counts of other connections.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.as_of_ms = match (self.as_of_ms, other.as_of_ms) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        for (provider, by_status) in other.by_provider {
            let known = self.by_provider.entry(provider).or_default();
            add_all(known, by_status);
        }
        add_all(&mut self.quiet, other.quiet);
        add_all(&mut self.failed, other.failed);
        self.backfills += other.backfills;
        self.examples.extend(other.examples);
        self.keep_examples(MAX_EXAMPLES_OF_ALL);
        self
    }

    /// Number of connections with a status.
    pub fn with_status(&self, status: Status) -> usize {
        let by_status = self.by_provider.values();
        by_status
            .filter_map(|by_status| by_status.get(&status))
            .sum()
    }

    /// Number of connections.
    pub fn total(&self) -> usize {
        self.by_provider.values().flat_map(BTreeMap::values).sum()
    }

    fn keep_examples(&mut self, most: usize) {
        self.examples.sort_unstable_by(|one, other| {
            (Reverse(one.since_ms), &one.connection)
                .cmp(&(Reverse(other.since_ms), &other.connection))
        });
        self.examples.truncate(most);
    }
}

/// Returns whether something that happened then still counts.
pub fn is_late(at_ms: i64, now_ms: i64) -> bool {
    at_ms >= now_ms.saturating_sub(LATELY_MS)
}

fn add_all<K: Ord>(known: &mut BTreeMap<K, usize>, other: BTreeMap<K, usize>) {
    for (key, number) in other {
        *known.entry(key).or_default() += number;
    }
}

#[cfg(test)]
mod tests {
    use models::ids::TerraUserId;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        connection::Member,
        version::{Register, Version},
    };

    fn connection(number: usize) -> (ConnectionId, Connection) {
        let user = TerraUserId::new(&format!("u{number}")).unwrap();
        let provider = ["GARMIN", "OURA"][number % 2];
        let member = Member {
            provider: Some(Register {
                value: Provider::new(provider).unwrap(),
                version: Version::in_passing(0),
            }),
            ..Member::default()
        };
        let state = Connection::of_member(user.clone(), member);
        (ConnectionId::of(&user), state)
    }

    fn counted(numbers: impl Iterator<Item = usize>) -> Fleet {
        let mut fleet = Fleet::begun(100);
        for number in numbers {
            let (id, state) = connection(number);
            let quiet = (number % 3 == 0).then(|| Quiet {
                since_ms: i64::try_from(number).unwrap(),
                cause: Cause::NothingRecorded,
            });
            fleet.note(&id, &state, quiet.as_ref());
        }
        fleet
    }

    #[test]
    fn an_item_of_a_shard_is_small_and_read_back() {
        let fleet = counted(0..400);
        assert_eq!(fleet.total(), 400);
        assert_eq!(fleet.with_status(Status::Active), 400);
        assert_eq!(fleet.quiet[&Cause::NothingRecorded], 134);
        let since: Vec<_> = fleet.examples.iter().map(|it| it.since_ms).collect();
        assert_eq!(since, [399, 396, 393, 390]);
        let text = serde_json::to_string(&fleet).unwrap();
        assert!(text.len() < 1_000, "{} bytes", text.len());
        assert_eq!(serde_json::from_str::<Fleet>(&text).unwrap(), fleet);
    }

    #[test]
    fn those_that_ended_are_counted_and_are_not_quiet() {
        let (id, state) = connection(1);
        let quiet = Quiet {
            since_ms: 1,
            cause: Cause::Ended,
        };
        let mut fleet = Fleet::default();
        fleet.note(&id, &state, Some(&quiet));
        assert_eq!(
            (fleet.total(), fleet.quiet.len(), fleet.examples.len()),
            (1, 0, 0)
        );
    }

    proptest! {
        #[test]
        fn shards_added_up_are_all_connections(cuts in prop::collection::vec(0_usize..60, 0..5)) {
            let mut cuts = cuts;
            cuts.extend([0, 60]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|ends| counted(ends[0]..ends[1]));
            let added = parts.reduce(Fleet::with).unwrap();
            let whole = counted(0..60);
            prop_assert_eq!(&added.by_provider, &whole.by_provider);
            prop_assert_eq!(&added.quiet, &whole.quiet);
            prop_assert_eq!(added.as_of_ms, Some(100));
        }
    }
}
