//! Body records around an activity.

use std::collections::BTreeMap;

use domain::owner::RecordOwner;
use jiff::civil::Date;

use super::cursor::reason;
use crate::{ExportError, Reader, reader::days_of};

/// Body records of CORE's sensors around one activity. Those of the days before are let go.
pub(super) struct Bodies<'a> {
    reader: Reader<'a>,
    owners: Vec<RecordOwner>,
    by_day: BTreeMap<(usize, Date), Option<Vec<u8>>>,
}

impl<'a> Bodies<'a> {
    pub(super) fn new(reader: Reader<'a>, owners: Vec<RecordOwner>) -> Self {
        Self {
            reader,
            owners,
            by_day: BTreeMap::new(),
        }
    }

    /// Reads the bodies of the days of an activity that are not there yet.
    pub(super) async fn read(&mut self, activity: &[u8]) -> Result<(), ExportError> {
        if self.owners.is_empty() {
            return Ok(());
        }
        let days = days_of(activity);
        self.by_day.retain(|(_, day), _| days.contains(day));
        for (place, owner) in self.owners.iter().enumerate() {
            for &day in &days {
                if self.by_day.contains_key(&(place, day)) {
                    continue;
                }
                let body = match self.reader.body(owner, day).await {
                    Ok(body) => body,
                    // The activity is worth a file without them, too.
                    Err(ExportError::Archive(error)) => reason(error).map(|_| None)?,
                    Err(error) => return Err(error),
                };
                self.by_day.insert((place, day), body);
            }
        }
        Ok(())
    }

    pub(super) fn all(&self) -> Vec<&[u8]> {
        self.by_day.values().flatten().map(Vec::as_slice).collect()
    }
}
