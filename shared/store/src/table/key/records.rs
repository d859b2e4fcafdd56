//! Keys of records, of sessions and of deleted records.

use std::convert::Infallible;

use domain::{
    key::NaturalKey,
    owner::RecordOwner,
    session::{Range, Sighting},
};
use jiff::civil::Date;
use models::data::DataType;

use super::{Key, SESSION, after_all, after_day, people::person_pk};

impl Key {
    /// Partition of an owner's records.
    pub(crate) fn partition_of(owner: &RecordOwner) -> String {
        match owner {
            RecordOwner::Connection(id) => format!("CONNECTION#{id}"),
            RecordOwner::Person(reference_id) => person_pk(reference_id.as_ref()),
        }
    }

    /// Partition of an owner's records of one type in [`BY_TIME`](super::BY_TIME).
    pub(crate) fn time_partition_of(owner: &RecordOwner, data_type: DataType) -> String {
        format!("{}#{data_type}", Self::partition_of(owner))
    }

    /// A record. Those of one type sort together, days in order.
    pub fn record(owner: &RecordOwner, data_type: DataType, key: &NaturalKey) -> Self {
        Self {
            pk: Self::partition_of(owner),
            sk: format!("{data_type}#{key}"),
        }
    }

    /// Reads back the data type and natural key of a record.
    pub(crate) fn as_record(&self) -> Option<(DataType, NaturalKey)> {
        let (data_type, natural) = self.sk.split_once('#')?;
        let natural = natural
            .parse()
            .unwrap_or_else(|never: Infallible| match never {});
        Some((data_type.parse().ok()?, natural))
    }

    /// Partition of an owner's records of one type, and first and last sort key of those whose key
    /// is a date from `from` on; to the end, or until `to`, which is included.
    pub(crate) fn records_of_days(
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Option<Date>,
    ) -> (String, String, String) {
        let last = match to {
            Some(to) => format!("{data_type}#{}", after_day(to)),
            None => after_all(&format!("{data_type}")),
        };
        (
            Self::partition_of(owner),
            format!("{data_type}#{from}"),
            last,
        )
    }

    /// Session that a delivery gave under a natural key.
    pub(crate) fn sighting(owner: &RecordOwner, data_type: DataType, sighting: &Sighting) -> Self {
        Self {
            pk: Key::partition_of(owner),
            sk: format!("{SESSION}{data_type}#{sighting}"),
        }
    }

    /// Partition of an owner's sightings of one type, and first and last sort key of those that begin
    /// within a range.
    pub(crate) fn sightings(
        owner: &RecordOwner,
        data_type: DataType,
        range: &Range,
    ) -> (String, String, String) {
        let prefix = format!("{SESSION}{data_type}#");
        let Range { first, last } = range;
        (
            Key::partition_of(owner),
            format!("{prefix}{first}"),
            after_all(&format!("{prefix}{last}")),
        )
    }

    /// Reads back a sighting and its data type.
    pub(crate) fn as_sighting(&self) -> Option<(DataType, Sighting)> {
        let (data_type, sighting) = self.sk.strip_prefix(SESSION)?.split_once('#')?;
        Some((data_type.parse().ok()?, sighting.parse().ok()?))
    }

    /// Partition of the records of an owner that were deleted and not announced yet.
    pub(crate) fn gone_pk(owner: &RecordOwner) -> String {
        format!("GONE#{}", Self::partition_of(owner))
    }

    /// The note of a deleted record.
    pub(crate) fn gone(owner: &RecordOwner, record: &Self) -> Self {
        Self {
            pk: Self::gone_pk(owner),
            sk: record.sk.clone(),
        }
    }
}
