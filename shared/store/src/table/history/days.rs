//! The days of stored records: as little as coverage needs of them.

use domain::{
    connection::ConnectionId,
    history::{
        coverage::{Keyed, RecordDays},
        day,
    },
};
use jiff::civil::Date;
use models::data::DataType;

use crate::table::{
    Table, TableError,
    attribute::Item,
    key::{Key, RecordOwner, TIME_SK, after_day},
    records::{ORDERING_TS_MS, RETRACTED, START_TIME},
};

impl Table {
    /// The days of a connection's records of one type, from the day before `from` on: that one tells
    /// whether `from` itself was skipped on a journey. Until `to`, which is included, or the newest.
    /// Empty for a type that has no coverage.
    ///
    /// A record that the provider took back is none. Sessions come from an index, which lags.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when a record
    /// has no ordering timestamp.
    pub async fn record_days(
        &self,
        connection: &ConnectionId,
        data_type: DataType,
        from: Date,
        to: Option<Date>,
    ) -> Result<RecordDays, TableError> {
        let owner = RecordOwner::Connection(connection.clone());
        let from = day::previous(from);
        let items = match Keyed::of(data_type) {
            Some(Keyed::ByDay) => self.days_of_records(&owner, data_type, from, to).await?,
            Some(Keyed::Sessions) => self.days_of_sessions(&owner, data_type, from, to).await?,
            None => Vec::new(),
        };
        let mut days = RecordDays::default();
        for item in items {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let Some((_, natural)) = key.as_record() else {
                continue;
            };
            if item.contains_key(RETRACTED) {
                continue;
            }
            let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
            // The index has the start time in its own key.
            let indexed = text(TIME_SK).and_then(|place| place.split('#').next());
            let start_time = text(START_TIME).or(indexed);
            let delivered_at_ms = item
                .get(ORDERING_TS_MS)
                .and_then(|number| number.as_n().ok()?.parse().ok())
                .ok_or(TableError::Corrupt {
                    key,
                    field: ORDERING_TS_MS,
                })?;
            days.insert(&natural, start_time, delivered_at_ms);
        }
        Ok(days)
    }

    async fn days_of_records(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Option<Date>,
    ) -> Result<Vec<Item>, TableError> {
        let (pk, first, last) = Key::records_of_days(owner, data_type, from, to);
        let query = self
            .query_between(&pk, &first, &last)
            .projection_expression("pk, sk, ordering_ts_ms, start_time, retracted");
        let items = query.into_paginator().items().send();
        items
            .try_collect()
            .await
            .map_err(TableError::unavailable("query", "days of records"))
    }

    async fn days_of_sessions(
        &self,
        owner: &RecordOwner,
        data_type: DataType,
        from: Date,
        to: Option<Date>,
    ) -> Result<Vec<Item>, TableError> {
        let to = to.map_or_else(|| "~".to_owned(), after_day);
        let query = self
            .query_by_time(owner, data_type, &from.to_string(), &to)
            .projection_expression("pk, sk, time_sk, ordering_ts_ms, retracted");
        let items = query.into_paginator().items().send();
        items
            .try_collect()
            .await
            .map_err(TableError::unavailable("query", "days of sessions"))
    }
}
