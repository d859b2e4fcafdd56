//! Order of arrivals.

use models::{headers::TerraHeaders, ids::WebhookId};
use serde::{Deserialize, Serialize};

use crate::Join;

/// Position of an arrival in the order of all arrivals.
///
/// Compared by ordering timestamp, then by webhook id, then by position in `data`: a total order,
/// so that two deliveries with one timestamp end the same way whichever came first, and of two
/// records with one key in one webhook the later in the array wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Time at which Terra emitted the payload. Unit: Unix milliseconds.
    pub ordering_ts_ms: i64,
    /// The webhook that brought it.
    pub webhook_id: String,
    /// Position in `data`, from 0.
    pub index: u32,
}

impl Version {
    /// The version of a webhook's first record, or of the webhook as a whole.
    pub fn of(webhook_id: &WebhookId, ordering_ts_ms: i64) -> Self {
        Self {
            ordering_ts_ms,
            webhook_id: webhook_id.as_str().to_owned(),
            index: 0,
        }
    }

    /// The version of the record at `index`.
    #[must_use]
    pub fn at(&self, index: usize) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            ..self.clone()
        }
    }

    /// The version of what a data event says about its connection in passing.
    ///
    /// Cut to the minute and to nothing else, so that a burst of webhooks writes the connection
    /// once. Two different values within one minute are told apart by the values themselves.
    #[must_use]
    pub fn in_passing(ordering_ts_ms: i64) -> Self {
        Self {
            ordering_ts_ms: ordering_ts_ms - ordering_ts_ms.rem_euclid(60_000),
            webhook_id: String::new(),
            index: 0,
        }
    }
}

/// The ordering timestamp of a webhook. Unit: Unix milliseconds.
///
/// The header `X-Terra-Ordering-Timestamp`, never later than the end of the signed second: the
/// header is not signed, and a captured request must not move data back by claiming to be new.
/// Without the header the time of receipt counts (FACTS section 7), to the millisecond. The end of
/// the signed second would place a delivery after another one of the same second that came later.
pub fn ordering_timestamp_ms(
    headers: &TerraHeaders,
    signed_at_s: Option<i64>,
    received_at_ms: i64,
) -> i64 {
    let end_of_second = |seconds: i64| seconds.saturating_mul(1000).saturating_add(999);
    let latest = signed_at_s.map_or(received_at_ms, end_of_second);
    match headers.ordering_timestamp_ms() {
        Some(claimed) => claimed.min(latest),
        None => received_at_ms,
    }
}

/// A value together with the version that set it: the newest wins, the greater value on a tie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register<T> {
    /// The value.
    pub value: T,
    /// Arrival that set it.
    pub version: Version,
}

impl<T: Ord> Join for Register<T> {
    fn join(self, other: Self) -> Self {
        if (&other.version, &other.value) > (&self.version, &self.value) {
            other
        } else {
            self
        }
    }
}

impl<T: Join> Join for Option<T> {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(other)) => Some(one.join(other)),
            (one, other) => one.or(other),
        }
    }
}

/// Joins two maps key by key.
pub(crate) fn join_maps<K: Ord, V: Join>(
    mut one: std::collections::BTreeMap<K, V>,
    other: std::collections::BTreeMap<K, V>,
) -> std::collections::BTreeMap<K, V> {
    for (key, value) in other {
        let joined = match one.remove(&key) {
            Some(known) => known.join(value),
            None => value,
        };
        one.insert(key, joined);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_cannot_be_later_than_the_signature() {
        let headers =
            |ms: &str| TerraHeaders::from_pairs([("x-terra-ordering-timestamp", ms.as_bytes())]);
        assert_eq!(
            ordering_timestamp_ms(&headers("1000500"), Some(1000), 0),
            1_000_500
        );
        assert_eq!(
            ordering_timestamp_ms(&headers("9999999"), Some(1000), 0),
            1_000_999
        );
    }

    #[test]
    fn without_the_header_the_time_of_receipt_orders_to_the_millisecond() {
        let none = TerraHeaders::default();
        let first = ordering_timestamp_ms(&none, Some(1000), 1_000_300);
        let second = ordering_timestamp_ms(&none, Some(1000), 1_000_500);
        assert_eq!((first, second), (1_000_300, 1_000_500));
        let headers =
            TerraHeaders::from_pairs([("x-terra-ordering-timestamp", b"1000400".as_slice())]);
        let with_header = ordering_timestamp_ms(&headers, Some(1000), 1_000_450);
        assert!(first < with_header && with_header < second);
        assert_eq!(ordering_timestamp_ms(&none, None, 7), 7);
    }
}
