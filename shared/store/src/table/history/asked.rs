//! Asked days in the table.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Join as _,
    connection::ConnectionId,
    history::{
        asked::{AskedDays, AskedMonth},
        month::{Days, Month},
    },
};
use jiff::civil::Date;
use models::data::DataType;

use super::{Item, Stored, decode, encode};
use crate::table::{Table, TableError, key::Key};

/// Name of the state in errors.
const ASKED: &str = "asked";

impl Table {
    /// Reads the requests and answers for the days of a connection and type.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn asked_days(
        &self,
        connection: &ConnectionId,
        data_type: DataType,
    ) -> Result<AskedDays, TableError> {
        let (pk, prefix) = Key::asked_months(connection, data_type);
        months(self.query(&pk, &prefix).await?)
    }

    /// Reads the same as [`asked_days`](Self::asked_days), from the month of `from` on.
    pub(super) async fn asked_days_from(
        &self,
        connection: &ConnectionId,
        data_type: DataType,
        from: Date,
    ) -> Result<AskedDays, TableError> {
        let (pk, first, last) = Key::asked_months_from(connection, data_type, from);
        let query = self.query_between(&pk, &first, &last);
        let items = query.into_paginator().items().send().try_collect().await;
        months(items.map_err(TableError::unavailable("query", "asked days"))?)
    }

    /// Joins a note with what is known.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. Some months may have been
    /// written then, and all may be noted again.
    pub async fn note_asked(
        &self,
        connection: &ConnectionId,
        data_type: DataType,
        note: AskedDays,
    ) -> Result<(), TableError> {
        self.note_asked_again(connection, data_type, note, &mut BTreeMap::new())
            .await
    }

    /// The same, without reading the months that were `seen`.
    pub(super) async fn note_asked_again(
        &self,
        connection: &ConnectionId,
        data_type: DataType,
        note: AskedDays,
        seen: &mut BTreeMap<Month, Option<Stored<AskedMonth>>>,
    ) -> Result<(), TableError> {
        for (month, note) in note.into_months() {
            let key = Key::asked_month(connection, data_type, month);
            let seen = seen.entry(month).or_default();
            let join = |known: AskedMonth| (known.join(note.clone()), ());
            self.change_seen(&key, ASKED, seen, join, encode).await?;
        }
        Ok(())
    }

    /// Claims days for a plan that is about to be made: the days that are the caller's. Each is won
    /// by one of any number of claimers, and not again for a while: see [`AskedMonth::claim`].
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing an item, [`TableError::Corrupt`] when one cannot be read. Days that were won by then
    /// come free by themselves.
    pub async fn claim_days(
        &self,
        connection: &ConnectionId,
        data_type: DataType,
        days: &BTreeSet<Date>,
        now_ms: i64,
    ) -> Result<BTreeSet<Date>, TableError> {
        let mut by_month = BTreeMap::<Month, Vec<Date>>::new();
        for &day in days {
            by_month.entry(Month::of(day)).or_default().push(day);
        }
        let mut won = BTreeSet::new();
        for (month, days) in by_month {
            let key = Key::asked_month(connection, data_type, month);
            let days: Days = days.into_iter().collect();
            let claimed = self
                .change_state(&key, ASKED, |known: AskedMonth| {
                    known.claim(days, month, now_ms)
                })
                .await?;
            won.extend(month.dates(claimed));
        }
        Ok(won)
    }
}

fn months(items: Vec<Item>) -> Result<AskedDays, TableError> {
    let mut months = Vec::new();
    for item in items {
        let Some(key) = Key::of_item(&item) else {
            continue;
        };
        if let Some(month) = key.as_asked_month() {
            months.push((month, decode(&key, item, ASKED)?.state));
        }
    }
    Ok(months.into_iter().collect())
}
