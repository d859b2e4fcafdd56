//! Reading of records.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::key::NaturalKey;
use models::data::DataType;

use super::{FoundRecord, RecordNow, found};
use crate::table::{
    Table, TableError,
    key::{Key, RecordOwner},
    revision,
};

impl Table {
    /// Reads one record, also by a key that it had before it was known by another.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn record(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        natural: &NaturalKey,
    ) -> Result<Option<FoundRecord>, TableError> {
        let mut natural = natural.clone();
        let mut item = self.get(&Key::record(owner, data_type, &natural)).await?;
        if item.is_none()
            && let Some(home) = self.home_of(owner, data_type, &natural).await?
        {
            natural = home;
            item = self.get(&Key::record(owner, data_type, &natural)).await?;
        }
        let Some(item) = item else {
            return Ok(None);
        };
        let key = Key::record(owner, data_type, &natural);
        found(&key, data_type, natural, item).map(Some)
    }

    /// Records as they are now, strongly consistent, with their revisions. One that does not exist is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn records_now(
        &self,
        wanted: impl IntoIterator<Item = (RecordOwner, DataType, NaturalKey)>,
    ) -> Result<HashMap<(RecordOwner, DataType, NaturalKey), RecordNow>, TableError> {
        let by_key: BTreeMap<Key, _> = wanted
            .into_iter()
            .map(|record| (Key::record(&record.0, record.1, &record.2), record))
            .collect();
        let mut items = self.batch_get(by_key.keys().cloned()).await?;
        let mut all = HashMap::new();
        for (key, record) in by_key {
            if let Some(item) = items.remove(&key) {
                let revision = revision(&key, &item)?;
                let found = self::found(&key, record.1, record.2.clone(), item)?;
                let now = RecordNow {
                    record: found.record,
                    revision,
                };
                all.insert(record, now);
            }
        }
        Ok(all)
    }

    /// One page of an owner's records in the order of their sort keys, behind `after` if that is given,
    /// with the sort key to go on behind unless these were the last.
    ///
    /// # Errors
    ///
    /// Those of [`Table::records_now`].
    pub async fn records_page(
        &self,
        owner: &RecordOwner,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(FoundRecord, u64)>, Option<String>), TableError> {
        let pk = Key::partition_of(owner);
        // Sort keys begin with a letter, so all of them come after the space.
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk > :after")
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(
                ":after",
                AttributeValue::S(after.unwrap_or(" ").to_owned()),
            )
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1))
            .send()
            .await
            .map_err(TableError::unavailable("query", "records"))?;
        let last = page.last_evaluated_key.as_ref().and_then(Key::of_item);
        let mut records = Vec::new();
        for item in page.items.unwrap_or_default() {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((data_type, natural)) = key.as_record() else {
                continue;
            };
            let revision = revision(&key, &item)?;
            records.push((found(&key, data_type, natural, item)?, revision));
        }
        Ok((records, last.map(|key| key.sk().to_owned())))
    }

    /// All records of an owner, of one type or of all, in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn records(
        &self,
        owner: &RecordOwner,
        data_type: Option<DataType>,
    ) -> Result<Vec<FoundRecord>, TableError> {
        let prefix = data_type
            .map(|data_type| format!("{data_type}#"))
            .unwrap_or_default();
        let mut records = Vec::new();
        for item in self.query(&Key::partition_of(owner), &prefix).await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((data_type, natural)) = key.as_record() else {
                continue;
            };
            records.push(found(&key, data_type, natural, item)?);
        }
        Ok(records)
    }

    /// The keys of an owner's records of one type whose start time lies in `from..to`, in the order
    /// of start times. For the types whose key is no date; times compare as text.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn keys_by_time(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: &str,
        to: &str,
    ) -> Result<Vec<NaturalKey>, TableError> {
        let query = self.query_by_time(owner, data_type, from, to);
        let mut pages = query.into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(TableError::unavailable("query", "records by time"))?;
            keys.extend(
                Key::of_item(&item)
                    .and_then(|key| key.as_record())
                    .map(|(_, key)| key),
            );
        }
        Ok(keys)
    }
}
