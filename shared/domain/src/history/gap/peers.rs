//! Newest data of the other people of a provider.

use std::collections::BTreeMap;

use models::ids::Provider;
use serde::{Deserialize, Serialize};

use crate::Join;

/// Times of the newest data, by provider and by the shard that a connection is listed in: nobody's name
/// is in them, and still each connection can be told apart from most others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peers {
    /// Unit: Unix milliseconds.
    newest_at_ms: BTreeMap<Provider, BTreeMap<u8, i64>>,
}

impl Peers {
    /// With what one connection of a shard brought.
    pub fn note(&mut self, provider: &Provider, shard: u8, data_at_ms: i64) {
        let of_provider = self.newest_at_ms.entry(provider.clone()).or_default();
        let newest = of_provider.entry(shard).or_insert(data_at_ms);
        *newest = data_at_ms.max(*newest);
    }

    /// Returns the time at which another connection of a provider last brought data, seen from a
    /// connection of `shard` that last brought them itself at `own_at_ms`. Within its own shard only a
    /// newer time shows. Unit: Unix milliseconds.
    pub fn newest_beside(
        &self,
        provider: &Provider,
        shard: u8,
        own_at_ms: Option<i64>,
    ) -> Option<i64> {
        let shards = self.newest_at_ms.get(provider)?.iter();
        let others = shards.filter(|&(&of, &at_ms)| of != shard || Some(at_ms) > own_at_ms);
        others.map(|(_, &at_ms)| at_ms).max()
    }
}

impl Join for Peers {
    fn join(mut self, other: Self) -> Self {
        for (provider, shards) in other.newest_at_ms {
            for (shard, at_ms) in shards {
                self.note(&provider, shard, at_ms);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_their_own_peer() {
        let oura = Provider::new("OURA").unwrap();
        let mut peers = Peers::default();
        assert_eq!(peers.newest_beside(&oura, 3, Some(5)), None);
        peers.note(&oura, 3, 5);
        assert_eq!(peers.newest_beside(&oura, 3, Some(5)), None);
        assert_eq!(peers.newest_beside(&oura, 4, None), Some(5));
        // Somebody of the same shard.
        peers.note(&oura, 3, 7);
        peers.note(&oura, 3, 6);
        assert_eq!(peers.newest_beside(&oura, 3, Some(5)), Some(7));
        peers.note(&oura, 9, 2);
        assert_eq!(peers.newest_beside(&oura, 3, Some(7)), Some(2));
        let garmin = Provider::new("GARMIN").unwrap();
        assert_eq!(peers.newest_beside(&garmin, 3, None), None);
    }

    #[test]
    fn what_two_jobs_noted_is_all_kept_as_json() {
        let oura = Provider::new("OURA").unwrap();
        let noted = |shard, at_ms| {
            let mut peers = Peers::default();
            peers.note(&oura, shard, at_ms);
            peers
        };
        let joined = noted(1, 10).join(noted(2, 5)).join(noted(1, 8));
        let json = serde_json::to_string(&joined).unwrap();
        assert_eq!(json, r#"{"newest_at_ms":{"OURA":{"1":10,"2":5}}}"#);
        assert_eq!(serde_json::from_str::<Peers>(&json).unwrap(), joined);
    }
}
