//! List of a person's records: small enough for memory, in the order of the files.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::ConnectionId, key::NaturalKey, owner::RecordOwner, record::Record, summary::Value,
};
use jiff::civil::Date;
use models::{data::DataType, ids::ReferenceId};
use serde::{Deserialize, Serialize};
use store::table::{Table, connections::StoredConnection, records::FoundRecord};

use crate::ExportError;

/// Records that are read from the table at once.
const PAGE: usize = 200;
/// Days for which the ledger remembers a webhook.
const LEDGER_DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;

/// Days to export, both included; all where one is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// First day, by the wearer's own calendar.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
}

impl Period {
    /// Returns whether a record of that day is meant. One without a day is only in an export of all days.
    pub fn contains(&self, day: Option<Date>) -> bool {
        match day {
            None => self.from.is_none() && self.to.is_none(),
            Some(day) => {
                self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
            }
        }
    }
}

/// The wearer's day on which a record begins, or the date of a laboratory's report.
pub(crate) fn day_of(key: &NaturalKey, record: &Record) -> Option<Date> {
    if let NaturalKey::Day(_) = key {
        return key.to_string().parse().ok();
    }
    let start = record.newest.start_time.clone();
    let text = start.or_else(|| match record.newest.summary.get("report_date")? {
        Value::Text(text) => Some(text),
        Value::Number(_) | Value::Flag(_) => None,
    })?;
    text.trim().get(..10)?.parse().ok()
}

/// A record in the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) day: Option<Date>,
    /// Place of the owner in [`Index::owners`].
    pub(crate) owner: usize,
    pub(crate) key: NaturalKey,
    /// True if the ledger may still know a webhook of it.
    pub(crate) is_recent: bool,
}

/// An owner of records.
#[expect(clippy::struct_field_names, reason = "it is the word of the table")]
pub(crate) struct Owner {
    pub(crate) owner: RecordOwner,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) provider: Option<String>,
}

/// Year of records, or none.
pub(crate) type Year = Option<i16>;

/// All records of a person.
pub(crate) struct Index {
    pub(crate) connections: Vec<StoredConnection>,
    pub(crate) owners: Vec<Owner>,
    /// By type and year, each in the order of days, owners and keys.
    pub(crate) records: BTreeMap<(DataType, Year), Vec<Listed>>,
}

impl Index {
    /// Lists a person's records.
    pub(crate) async fn read(
        table: &Table,
        person: &ReferenceId,
        period: Period,
        now_ms: i64,
    ) -> Result<Self, ExportError> {
        let mut connections = table.connections_of(person).await?;
        connections.sort_by(|one, other| one.id.cmp(&other.id));
        let mut owners: Vec<_> = connections
            .iter()
            .map(|connection| Owner {
                owner: RecordOwner::Connection(connection.id.clone()),
                connection: Some(connection.id.clone()),
                provider: connection.state.provider().map(ToString::to_string),
            })
            .collect();
        owners.push(Owner {
            owner: RecordOwner::Person(Some(person.clone())),
            connection: None,
            provider: None,
        });
        let mut records = BTreeMap::<_, Vec<_>>::new();
        let mut seen = false;
        for (place, owner) in owners.iter().enumerate() {
            let mut after = None;
            loop {
                let (page, last) = table
                    .records_page(&owner.owner, after.as_deref(), PAGE)
                    .await?;
                for (
                    FoundRecord {
                        data_type,
                        key,
                        record,
                    },
                    _,
                ) in page
                {
                    seen = true;
                    let day = day_of(&key, &record);
                    if !period.contains(day) {
                        continue;
                    }
                    let year = day.map(Date::year);
                    let is_recent = newest_ms(&record) >= now_ms - LEDGER_DAYS * DAY_MS;
                    let of_file = records.entry((data_type, year)).or_default();
                    of_file.push(Listed {
                        day,
                        owner: place,
                        key,
                        is_recent,
                    });
                }
                after = last;
                if after.is_none() {
                    break;
                }
            }
        }
        if connections.is_empty() && !seen {
            return Err(ExportError::Nothing);
        }
        for of_file in records.values_mut() {
            of_file.sort();
            of_file.shrink_to_fit();
        }
        Ok(Self {
            connections,
            owners,
            records,
        })
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.records.values().map(Vec::len).sum()
    }

    /// Number of activities.
    pub(crate) fn activities(&self) -> usize {
        self.of_type(DataType::Activity).len()
    }

    /// Records of one type and year.
    pub(crate) fn of_file(&self, data_type: DataType, year: Year) -> Vec<&Listed> {
        let listed = self.records.get(&(data_type, year));
        listed.into_iter().flatten().collect()
    }

    /// Records of one type.
    pub(crate) fn of_type(&self, data_type: DataType) -> Vec<&Listed> {
        let of_type = self.records.iter().filter(|((of, _), _)| *of == data_type);
        of_type.flat_map(|(_, listed)| listed).collect()
    }

    /// The first and the last day that may have something. A night belongs to the day after the one it is listed under.
    pub(crate) fn days(&self, period: Period) -> Option<(Date, Date)> {
        let days = || {
            let listed = self.records.values().flatten();
            listed.filter_map(|listed| listed.day)
        };
        let first = period.from.or_else(|| days().min())?;
        let last = period.to.or_else(|| days().max()?.tomorrow().ok())?;
        Some((first, last))
    }

    /// Years that have records, the absent one first.
    pub(crate) fn years(&self) -> BTreeSet<Year> {
        self.records.keys().map(|(_, year)| *year).collect()
    }

    /// Ids and providers of the connections of one provider.
    pub(crate) fn connections_to(&self, provider: &str) -> Vec<RecordOwner> {
        let wanted = self.owners.iter();
        wanted
            .filter(|owner| owner.provider.as_deref() == Some(provider))
            .map(|owner| owner.owner.clone())
            .collect()
    }
}

/// Time of the newest delivery that the record has something of.
fn newest_ms(record: &Record) -> i64 {
    let scores = record
        .enrichment
        .values()
        .map(|score| score.version.ordering_ts_ms);
    scores.fold(record.newest.version.ordering_ts_ms, i64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_includes_both_its_days_and_records_without_a_day_are_only_in_all() {
        let day = |text: &str| Some(text.parse::<Date>().unwrap());
        let period = Period {
            from: day("2026-07-01"),
            to: day("2026-07-31"),
        };
        assert!(period.contains(day("2026-07-01")) && period.contains(day("2026-07-31")));
        assert!(!period.contains(day("2026-06-30")) && !period.contains(day("2026-08-01")));
        assert!(!period.contains(None));
        assert!(Period::default().contains(None));
        assert!(!Period { to: None, ..period }.contains(day("2026-06-30")));
    }
}
