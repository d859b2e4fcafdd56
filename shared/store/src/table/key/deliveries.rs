//! Keys of destinations and of what is owed to them.

use domain::delivery::DestinationId;

use super::{ERASURE, Key, ORDER};

impl Key {
    /// A destination.
    pub(crate) fn destination(id: &DestinationId) -> Self {
        let (pk, prefix) = Self::destinations();
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All destinations: their partition, and the prefix of the sort keys.
    pub(crate) fn destinations() -> (String, String) {
        ("DESTINATIONS".to_owned(), "DESTINATION#".to_owned())
    }

    /// Health of a destination.
    pub(crate) fn destination_health(id: &DestinationId) -> Self {
        Self {
            pk: Self::destination_pk(id),
            sk: "HEALTH".to_owned(),
        }
    }

    /// Partition of everything about one destination.
    pub(crate) fn destination_pk(id: &DestinationId) -> String {
        format!("DESTINATION#{id}")
    }

    /// An order for a destination.
    pub(crate) fn order(id: &DestinationId, order: &str) -> Self {
        Self {
            pk: Self::destination_pk(id),
            sk: format!("{ORDER}{order}"),
        }
    }

    /// An erasure at a destination.
    pub(crate) fn erasure(id: &DestinationId, erasure: &str) -> Self {
        Self {
            pk: Self::destination_pk(id),
            sk: format!("{ERASURE}{erasure}"),
        }
    }

    /// Partition of what is owed to one shard of a destination; also in [`BY_TIME`](super::BY_TIME).
    pub(crate) fn owed_pk(id: &DestinationId, shard: u32) -> String {
        format!("OWED#{id}#{shard}")
    }

    /// An owed delivery. `subject` names what is owed.
    pub(crate) fn owed(id: &DestinationId, shard: u32, subject: &str) -> Self {
        Self {
            pk: Self::owed_pk(id, shard),
            sk: subject.to_owned(),
        }
    }

    /// Partition of what a destination refused for good.
    pub(crate) fn failed_pk(id: &DestinationId) -> String {
        format!("FAILED#{id}")
    }

    /// A delivery that a destination refused for good.
    pub(crate) fn failed(id: &DestinationId, subject: &str) -> Self {
        Self {
            pk: Self::failed_pk(id),
            sk: subject.to_owned(),
        }
    }

    /// Partition of a destination's attempts of one day (`YYYY-MM-DD`).
    pub(crate) fn attempts_pk(id: &DestinationId, day: &str) -> String {
        format!("ATTEMPTS#{id}#{day}")
    }

    /// An attempt at a delivery.
    pub(crate) fn attempt(id: &DestinationId, day: &str, place: &str) -> Self {
        Self {
            pk: Self::attempts_pk(id, day),
            sk: place.to_owned(),
        }
    }
}
