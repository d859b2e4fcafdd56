//! Facts that coverage of a connection is computed from, read at once.

use std::collections::{BTreeMap, BTreeSet};

use domain::history::{
    asked::AskedDays,
    backfill::{Backfill, Kind, Order},
    coverage::{Keyed, Known, Life, Outage, RecordDays},
    day::{self, Span},
    reach::ProviderHistory,
    window::{BackfillId, Window},
};
use futures::future::{try_join, try_join_all};
use jiff::civil::{Date, date};
use models::data::DataType;

use super::ListedBackfill;
use crate::table::{Table, TableError, connections::StoredConnection};

/// First day of which records are looked for. Earlier times are no times (FACTS section 9).
const FIRST_DAY: Date = date(1900, 1, 1);

/// State of the days of one connection and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDays {
    /// Relation of its records to days.
    pub keyed: Keyed,
    /// Days of the stored records.
    pub records: RecordDays,
    /// Requests and answers for the days.
    pub asked: AskedDays,
    /// Days that may have data.
    pub life: Life,
    /// Days that open windows will ask for.
    pub planned: Vec<Span>,
    /// The type was refused for this connection, and nothing of it ever came.
    pub refused: bool,
}

impl KnownDays {
    /// In the light of the times in which webhooks were lost.
    pub fn known<'a>(&'a self, outages: &'a [Outage]) -> Known<'a> {
        Known {
            keyed: self.keyed,
            records: &self.records,
            asked: &self.asked,
            life: self.life,
            planned: &self.planned,
            outages,
        }
    }
}

impl Table {
    /// Reads what is known of the days of a connection: for each type that Terra can be asked for, and
    /// for each other type of which records are stored. Empty while the provider is unknown.
    ///
    /// Days before `from` are not read. Stored days before the provider's reach are.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn known_days(
        &self,
        connection: &StoredConnection,
        from: Option<Date>,
        now_ms: i64,
    ) -> Result<BTreeMap<DataType, KnownDays>, TableError> {
        let all = BTreeSet::new();
        self.known_days_until(connection, &all, from, None, now_ms)
            .await
    }

    /// Reads the same as [`known_days`](Self::known_days) of some days alone, however long ago they were, and of some
    /// types alone. No `types` means all.
    ///
    /// # Errors
    ///
    /// Those of [`known_days`](Self::known_days).
    pub async fn known_days_of(
        &self,
        connection: &StoredConnection,
        types: &BTreeSet<DataType>,
        span: Span,
        now_ms: i64,
    ) -> Result<BTreeMap<DataType, KnownDays>, TableError> {
        // The day behind the last one tells whether that one was skipped on a journey.
        let until = Some(span.until());
        self.known_days_until(connection, types, Some(span.from()), until, now_ms)
            .await
    }

    async fn known_days_until(
        &self,
        connection: &StoredConnection,
        types: &BTreeSet<DataType>,
        from: Option<Date>,
        until: Option<Date>,
        now_ms: i64,
    ) -> Result<BTreeMap<DataType, KnownDays>, TableError> {
        let Some(provider) = connection.state.provider() else {
            return Ok(BTreeMap::new());
        };
        let history = ProviderHistory::of(provider);
        let backfills = self.open_backfills(connection).await?;
        let types = DataType::ALL
            .into_iter()
            .filter(|data_type| types.is_empty() || types.contains(data_type))
            .filter_map(|data_type| Some((data_type, Keyed::of(data_type)?)));
        let known = types.map(|(data_type, keyed)| {
            let life = life(connection, history, &backfills, data_type, now_ms);
            let planned = backfills
                .iter()
                .flat_map(|(backfill, windows)| backfill.open_days(windows, data_type));
            let planned = planned.collect();
            let stored_from = from.unwrap_or(FIRST_DAY);
            let asked_from = stored_from.max(life.first_day);
            async move {
                let (records, asked) = try_join(
                    self.record_days(&connection.id, data_type, stored_from, until),
                    self.asked_days_from(&connection.id, data_type, asked_from),
                )
                .await?;
                let known = KnownDays {
                    keyed,
                    records,
                    asked,
                    life,
                    planned,
                    refused: false,
                };
                Ok::<_, TableError>((data_type, known))
            }
        });
        let mut known: BTreeMap<_, _> = try_join_all(known).await?.into_iter().collect();
        // A type that Terra cannot be asked for is known by its records alone.
        let came = |data_type: &DataType, days: &KnownDays| {
            let ever = connection.state.types.contains_key(data_type);
            ever || days.records.days().next().is_some()
        };
        known.retain(|data_type, days| days.life.can_be_asked || came(data_type, days));
        // A type that the provider does not have is not missing, unless it comes all the same.
        if let Some(first) = first_of(&backfills) {
            known.retain(|data_type, days: &mut KnownDays| {
                let came = came(data_type, days);
                days.refused =
                    first.refused.contains(data_type) && !came && !days.asked.is_answered();
                first.plan.days.contains_key(data_type) || came
            });
        }
        Ok(known)
    }

    /// Its first backfill and those that are not done; with their windows where some may be open.
    async fn open_backfills(
        &self,
        connection: &StoredConnection,
    ) -> Result<Vec<(Backfill, Vec<Window>)>, TableError> {
        let first = BackfillId::first(&connection.id);
        let mut backfills = Vec::new();
        for ListedBackfill { id, ended } in self.backfill_list(&connection.id).await? {
            // Of those that are done only the first says something of days.
            if ended.is_some() && id != first {
                continue;
            }
            let Some(backfill) = self.backfill(&id).await? else {
                continue;
            };
            let windows = if backfill.done.is_some() || backfill.order == Order::Cancel {
                Vec::new()
            } else {
                self.windows(&id, None).await?
            };
            backfills.push((backfill, windows));
        }
        Ok(backfills)
    }
}

fn first_of(backfills: &[(Backfill, Vec<Window>)]) -> Option<&Backfill> {
    let mut backfills = backfills.iter().map(|(backfill, _)| backfill);
    backfills.find(|backfill| backfill.plan.kind == Kind::First)
}

fn life(
    connection: &StoredConnection,
    history: &ProviderHistory,
    backfills: &[(Backfill, Vec<Window>)],
    data_type: DataType,
    now_ms: i64,
) -> Life {
    let connected_at_ms = connection.state.connected_at_ms().unwrap_or(now_ms);
    let reach = history.first_day(connected_at_ms);
    let connected = day::earliest_on_earth(connected_at_ms);
    let first = first_of(backfills);
    Life {
        first_day: first.map_or(reach, |first| first.first_day(data_type, reach, connected)),
        ended_at_ms: connection.state.ended_at_ms(),
        can_be_asked: history.can_be_asked(data_type),
        settle_hours: history.settle_hours,
    }
}
