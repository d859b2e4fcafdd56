//! Records as they are composed for the formats of others.

use std::collections::BTreeSet;

use domain::{
    compose::{Sampled, compose},
    key::NaturalKey,
    owner::RecordOwner,
    record::{Payload, Record},
    streams::Stream,
};
use jiff::{ToSpan as _, civil::Date};
use models::{data::DataType, ids::Provider};
use serde_json::Value;
use store::{
    archive::{Archive, ArchiveError},
    table::{Table, connections::StoredConnection, records::FoundRecord},
};

use crate::ExportError;

/// The provider whose body temperature goes into the file of an activity.
pub(crate) const CORE: &str = "CORE";
/// Days of body records that are searched for one activity. An end that is a mistake of the vendor
/// must not read years.
const MOST_DAYS: usize = 10;

/// Table and archive that records are read from.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Table of the records.
    pub table: &'a Table,
    /// Archive of their exact bytes.
    pub archive: &'a Archive,
}

/// Exact bytes of the deliveries that a record is made of.
pub(crate) struct Deliveries {
    pub(crate) newest: Vec<u8>,
    /// Older ones, with the streams that only they have.
    pub(crate) older: Vec<(Vec<u8>, BTreeSet<Stream>)>,
}

impl Deliveries {
    /// The record with the samples and the scores of older deliveries.
    pub(crate) fn composed(&self, data_type: DataType, record: &Record) -> Vec<u8> {
        let sampled: Vec<_> = self
            .older
            .iter()
            .map(|(record, streams)| Sampled { record, streams })
            .collect();
        compose(data_type, &self.newest, &sampled, &record.enrichment, true)
    }
}

/// The payloads of a record's deliveries, the newest first.
pub(crate) fn payloads(record: &Record) -> Vec<&Payload> {
    let older = record.sampled_arrivals().into_iter();
    let older = older.map(|(payload, _)| payload);
    std::iter::once(&record.newest.payload)
        .chain(older)
        .collect()
}

/// Puts the bytes of a record's payloads together.
pub(crate) fn deliveries(
    record: &Record,
    read: impl IntoIterator<Item = Result<Vec<u8>, ArchiveError>>,
) -> Result<Deliveries, ArchiveError> {
    let mut read = read.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
    let newest = read.next().unwrap_or_default();
    let streams = record
        .sampled_arrivals()
        .into_iter()
        .map(|(_, streams)| streams);
    let older = read.zip(streams).collect();
    Ok(Deliveries { newest, older })
}

impl Reader<'_> {
    /// Composes a record: its newest delivery with the samples and the scores of older ones.
    ///
    /// # Errors
    ///
    /// Those of [`Archive::read_frames`].
    pub async fn composed(&self, found: &FoundRecord) -> Result<Vec<u8>, ArchiveError> {
        let read = self.archive.read_payloads(&payloads(&found.record)).await;
        let deliveries = deliveries(&found.record, read)?;
        Ok(deliveries.composed(found.data_type, &found.record))
    }

    /// The body records of the person's CORE sensors on the days of an activity, composed. `connection` is
    /// the one of the activity.
    ///
    /// # Errors
    ///
    /// [`ExportError::Table`] and [`ExportError::Archive`] when one of the two does not answer.
    pub async fn core_bodies(
        &self,
        connection: &StoredConnection,
        activity: &[u8],
    ) -> Result<Vec<Vec<u8>>, ExportError> {
        let mut connections = match connection.state.reference_id() {
            Some(person) => self.table.connections_of(person).await?,
            None => Vec::new(),
        };
        if connections.iter().all(|known| known.id != connection.id) {
            connections.push(connection.clone());
        }
        let is_core = |connection: &StoredConnection| {
            let provider = connection.state.provider();
            provider.is_some_and(|provider: &Provider| provider.as_str() == CORE)
        };
        connections.retain(is_core);
        let days = days_of(activity);
        let mut bodies = Vec::new();
        for owner in connections {
            let owner = RecordOwner::Connection(owner.id);
            for day in &days {
                bodies.extend(self.body(&owner, *day).await?);
            }
        }
        Ok(bodies)
    }

    /// The body record of a day, composed, unless the provider took it back.
    pub(crate) async fn body(
        &self,
        owner: &RecordOwner,
        day: Date,
    ) -> Result<Option<Vec<u8>>, ExportError> {
        let key: NaturalKey = day
            .to_string()
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        let found = self.table.record(owner, DataType::Body, &key).await?;
        match found.filter(|found| !found.record.newest.retracted) {
            Some(found) => Ok(Some(self.composed(&found).await?)),
            None => Ok(None),
        }
    }
}

/// The days of an activity, and one before and after them: two providers need not agree on the
/// wearer's calendar.
pub(crate) fn days_of(activity: &[u8]) -> Vec<Date> {
    let record: Value = serde_json::from_slice(activity).unwrap_or_default();
    let day = |name: &str| -> Option<Date> {
        let time = record.get("metadata")?.get(name)?.as_str()?;
        time.get(..10)?.parse().ok()
    };
    let Some(first) = day("start_time") else {
        return Vec::new();
    };
    let last = day("end_time")
        .filter(|&last| last >= first)
        .unwrap_or(first);
    let (Ok(before), Ok(after)) = (first.checked_sub(1.day()), last.checked_add(1.day())) else {
        return vec![first];
    };
    before
        .series(1.day())
        .take_while(|&day| day <= after)
        .take(MOST_DAYS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_an_activity_have_one_before_and_one_after_and_a_wrong_end_reads_no_years() {
        let days = |start: &str, end: &str| {
            let record = format!(r#"{{"metadata":{{"start_time":"{start}","end_time":"{end}"}}}}"#);
            let days: Vec<_> = days_of(record.as_bytes())
                .iter()
                .map(ToString::to_string)
                .collect();
            (days.first().cloned(), days.len())
        };
        let first = Some("2026-06-30".to_owned());
        assert_eq!(
            days("2026-07-01T23:30:00", "2026-07-02T00:30:00"),
            (first.clone(), 4)
        );
        assert_eq!(
            days("2026-07-01T23:30:00", "1970-01-01T00:00:00"),
            (first.clone(), 3)
        );
        assert_eq!(
            days("2026-07-01T23:30:00", "2096-01-01T00:00:00"),
            (first, MOST_DAYS)
        );
        assert_eq!(days("yesterday", "today"), (None, 0));
    }
}
