//! Reading of records in batches that memory has room for.

use std::collections::VecDeque;

use domain::record::Record;
use models::data::DataType;
use store::archive::ArchiveError;

use crate::{
    ExportError, Reader,
    index::{Index, Listed, Owner},
    reader::{self, Deliveries},
};

/// Records that are read from the table together: a request takes 100.
pub(super) const ITEMS: usize = 100;
/// Payloads that are in memory together, unless one alone is longer. Unit: bytes, as sent.
const PAYLOAD_BYTES: u64 = 4 * 1024 * 1024;

/// Reason for a record that was listed and is not there any more.
pub(super) const CHANGED: &str =
    "it got another key while the export was made: a new export has it";

/// Records of a list as they are now, `None` where one is gone.
pub(super) async fn read<'a>(
    reader: Reader<'_>,
    index: &Index,
    data_type: DataType,
    listed: &[&'a Listed],
) -> Result<Vec<(&'a Listed, Option<Record>)>, ExportError> {
    // A list and no iterator: the compiler does not see through its closures that the future may cross
    // threads.
    let mut wanted = Vec::with_capacity(listed.len());
    for listed in listed {
        if let Some(owner) = index.owners.get(listed.owner) {
            wanted.push((owner.owner.clone(), data_type, listed.key.clone()));
        }
    }
    let mut found = reader.table.records_now(wanted).await?;
    let mut records = Vec::with_capacity(listed.len());
    for &listed in listed {
        let owner = index.owners.get(listed.owner);
        let now = owner
            .and_then(|owner| found.remove(&(owner.owner.clone(), data_type, listed.key.clone())));
        records.push((listed, now.map(|now| now.record)));
    }
    Ok(records)
}

/// A record with the exact bytes of its deliveries, or the reason why it has none.
pub(super) struct Loaded<'a> {
    pub(super) listed: &'a Listed,
    pub(super) owner: &'a Owner,
    pub(super) found: Result<(Record, Deliveries), String>,
}

/// Reads records in batches that memory has room for.
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    index: &'a Index,
    data_type: DataType,
    listed: VecDeque<&'a Listed>,
    records: VecDeque<(&'a Listed, Option<Record>)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(
        reader: Reader<'a>,
        index: &'a Index,
        data_type: DataType,
        listed: Vec<&'a Listed>,
    ) -> Self {
        Self {
            reader,
            index,
            data_type,
            listed: listed.into(),
            records: VecDeque::new(),
        }
    }

    /// The next records, at least one. `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Loaded<'a>>>, ExportError> {
        if self.records.is_empty() {
            let many = self.listed.len().min(ITEMS);
            let listed: Vec<_> = self.listed.drain(..many).collect();
            self.records = read(self.reader, self.index, self.data_type, &listed)
                .await?
                .into();
        }
        let mut batch = Vec::new();
        let mut size_bytes = 0;
        while let Some((_, record)) = self.records.front() {
            let payloads = record.iter().flat_map(reader::payloads);
            size_bytes += payloads.map(|payload| payload.size_bytes).sum::<u64>();
            if !batch.is_empty() && size_bytes > PAYLOAD_BYTES {
                break;
            }
            batch.extend(self.records.pop_front());
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let payloads: Vec<_> = batch
            .iter()
            .flat_map(|(_, record)| record.iter().flat_map(reader::payloads))
            .collect();
        let mut read = self
            .reader
            .archive
            .read_payloads(&payloads)
            .await
            .into_iter();
        let mut loaded = Vec::with_capacity(batch.len());
        for (listed, record) in batch {
            let Some(owner) = self.index.owners.get(listed.owner) else {
                continue;
            };
            let found = match record {
                None => Err(CHANGED.to_owned()),
                Some(record) => {
                    let own = read.by_ref().take(reader::payloads(&record).len());
                    match reader::deliveries(&record, own.collect::<Vec<_>>()) {
                        Ok(deliveries) => Ok((record, deliveries)),
                        Err(error) => Err(reason(error)?),
                    }
                }
            };
            loaded.push(Loaded {
                listed,
                owner,
                found,
            });
        }
        Ok(Some(loaded))
    }
}

/// Reason why a record cannot be read, in plain words.
///
/// # Errors
///
/// The error itself where it may be gone later.
pub(super) fn reason(error: ArchiveError) -> Result<String, ArchiveError> {
    Ok(match error {
        ArchiveError::Erased { .. } => "its bytes were erased",
        ArchiveError::NotFound { .. } => "its bytes are not in the archive",
        ArchiveError::Corrupt { .. } => "its bytes in the archive are damaged",
        ArchiveError::TooLarge { .. } => "it is too long to be read",
        other => return Err(other),
    }
    .to_owned())
}
