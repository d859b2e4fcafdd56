//! Records of a range of days.

use domain::key::NaturalKey;
use jiff::civil::Date;
use models::data::DataType;

use super::{
    Table, TableError,
    key::{Key, RecordOwner, after_day},
    records::{FoundRecord, found},
};

impl Table {
    /// The records of an owner of one type that begin on the days `from` to `to`, both included, in the order
    /// of their begin. A day is the one that Terra's own text names.
    ///
    /// Records whose key is no date come from an index, which lags by a moment.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn records_between(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Date,
    ) -> Result<Vec<FoundRecord>, TableError> {
        let (of_days, of_times) = futures::try_join!(
            self.records_of_days(owner, data_type, from, to),
            self.records_of_times(owner, data_type, from, to)
        )?;
        let mut records = of_days;
        records.extend(of_times);
        records.sort_by(|one, other| begin(one).cmp(&begin(other)).then(one.key.cmp(&other.key)));
        Ok(records)
    }

    /// Those whose key is a day.
    async fn records_of_days(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Date,
    ) -> Result<Vec<FoundRecord>, TableError> {
        let (pk, first, last) = Key::records_of_days(owner, data_type, from, Some(to));
        let query = self
            .query_between(&pk, &first, &last)
            .consistent_read(false);
        let mut items = query.into_paginator().items().send();
        let mut records = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(TableError::unavailable("query", "records"))?;
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            // An id may look like a date at its beginning.
            if let Some((data_type, natural @ NaturalKey::Day(_))) = key.as_record() {
                records.push(found(&key, data_type, natural, item)?);
            }
        }
        Ok(records)
    }

    /// Those with another key, by their begin.
    async fn records_of_times(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Date,
    ) -> Result<Vec<FoundRecord>, TableError> {
        let (first, last) = (from.to_string(), after_day(to));
        let keys = self.keys_by_time(owner, data_type, &first, &last).await?;
        let wanted = keys.into_iter().map(|key| (owner.clone(), data_type, key));
        let records = self.records_now(wanted).await?;
        let records = records.into_iter();
        Ok(records
            .map(|((_, data_type, key), now)| FoundRecord {
                data_type,
                key,
                record: now.record,
            })
            .collect())
    }
}

/// The begin of a record, as text.
fn begin(found: &FoundRecord) -> String {
    let start = found.record.newest.start_time.clone();
    start.unwrap_or_else(|| found.key.to_string())
}
