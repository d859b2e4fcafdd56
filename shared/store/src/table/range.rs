//! Records of a range of days, and pages of the log.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::key::NaturalKey;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::civil::Date;
use models::data::DataType;

use super::{
    Table, TableError, first_items,
    key::{BY_TIME, DAY_SHARDS, Key, RecordOwner, after_day},
    ledger::{WebhookEntry, decode, moment},
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

    /// The webhooks received on a day (`YYYY-MM-DD`, UTC) before a place in it, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::records_between`].
    pub async fn webhooks_before(
        &self,
        day: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WebhookEntry>, TableError> {
        // Times begin with a digit, so all of them come before the tilde.
        let before = before.unwrap_or("~");
        let shards = stream::iter(0..DAY_SHARDS)
            .map(|shard| self.webhooks_of_shard_before(day, shard, before, limit))
            .buffer_unordered(usize::from(DAY_SHARDS));
        let mut entries: Vec<WebhookEntry> = shards.try_concat().await?;
        entries.sort_by_key(|entry| std::cmp::Reverse(place_of(entry)));
        entries.truncate(limit);
        Ok(entries)
    }

    async fn webhooks_of_shard_before(
        &self,
        day: &str,
        shard: u8,
        before: &str,
        limit: usize,
    ) -> Result<Vec<WebhookEntry>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :day AND time_sk < :before")
            .expression_attribute_values(
                ":day",
                AttributeValue::S(Key::webhooks_of_day(day, shard)),
            )
            .expression_attribute_values(":before", AttributeValue::S(before.to_owned()))
            .scan_index_forward(false);
        let items = first_items(query, limit, "the webhooks of a day").await?;
        let entries = items.into_iter().filter_map(|item| {
            let key = Key::of_item(&item)?;
            Some(decode(&key, item))
        });
        entries.collect()
    }
}

/// The begin of a record, as text.
fn begin(found: &FoundRecord) -> String {
    let start = found.record.newest.start_time.clone();
    start.unwrap_or_else(|| found.key.to_string())
}

/// Place of a webhook in its day: before it, the next page begins.
pub fn place_of(entry: &WebhookEntry) -> String {
    format!("{}#{}", moment(entry.received_at_ms), entry.webhook_id)
}
