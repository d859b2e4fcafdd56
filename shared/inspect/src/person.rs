//! A person: their connections, and the records of some days.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{
    days::{DAYS_AROUND, Loaded, Reading},
    history::day,
    source::Policy,
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::civil::Date;
use models::{
    data::DataType,
    ids::{Provider, ReferenceId},
};
use store::table::{Table, connections::StoredConnection, key::RecordOwner, records::FoundRecord};

use crate::{error::InspectError, memo::Memo, policies::policy_of};

/// Queries at once: more connections would each cost a TLS handshake.
pub(crate) const CONCURRENT_READS: usize = 8;
/// Days before a night's end on which it may begin. Unit: days.
const NIGHT_BEGINS_BEFORE: i64 = 2;

/// A person with everything that choices need to know.
#[derive(Debug, Clone)]
pub struct Person {
    /// Connections.
    pub connections: Vec<StoredConnection>,
    /// Policies that count.
    pub policy: Policy,
    pub(crate) memo: Arc<Memo>,
}

/// Reads a person. One without connections is nobody.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn person(table: &Table, reference_id: &ReferenceId) -> Result<Person, InspectError> {
    let connections = table.connections_of(reference_id).await?;
    let policy = policy_of(table, Some(reference_id)).await?;
    Ok(Person::new(connections, policy))
}

/// A provider that no record has named yet.
fn provider(connection: &StoredConnection) -> Option<Provider> {
    connection.state.provider().cloned()
}

impl Person {
    /// A person with these connections and policies.
    pub fn new(connections: Vec<StoredConnection>, policy: Policy) -> Self {
        Self {
            connections,
            policy,
            memo: Arc::default(),
        }
    }

    /// The same person for several questions about neighbouring days: their records are read once.
    #[must_use]
    pub fn for_neighbouring_days(self, days: i64) -> Self {
        Self {
            memo: Arc::new(Memo::around(days)),
            ..self
        }
    }

    /// The records of some types that belong to the days `from` to `to`, both included; of sessions also those
    /// around, which tell what counts for these days.
    pub(crate) async fn readings(
        &self,
        table: &Table,
        types: &BTreeSet<DataType>,
        from: Date,
        to: Date,
    ) -> Result<Vec<Reading>, InspectError> {
        let (first, last) = (day::plus(from, -DAYS_AROUND), day::plus(to, DAYS_AROUND));
        let days = types.iter().map(|data_type| match data_type {
            DataType::Sleep | DataType::Activity => (*data_type, (first, last)),
            _ => (*data_type, (from, to)),
        });
        let days: BTreeMap<_, _> = days.collect();
        let loaded = self.loaded(table, &days).await?;
        let readings = loaded.iter().filter_map(Reading::of);
        Ok(readings
            .filter(|reading| {
                let days = days.get(&reading.record.data_type);
                days.is_some_and(|(from, to)| *from <= reading.day && reading.day <= *to)
            })
            .collect())
    }

    /// The records that may belong to some days of their type, first and last one included, and some around.
    pub(crate) async fn loaded(
        &self,
        table: &Table,
        days: &BTreeMap<DataType, (Date, Date)>,
    ) -> Result<Vec<Loaded>, InspectError> {
        let mut reading = Vec::new();
        for connection in &self.connections {
            for (data_type, days) in days {
                // Boxed: the compiler does not see that the futures of closures may cross threads.
                let read: BoxFuture<'_, _> = Box::pin(async move {
                    let of = (&connection.id, *data_type);
                    let read = |from, to| -> BoxFuture<'_, _> {
                        Box::pin(of_connection(table, connection, *data_type, from, to))
                    };
                    self.memo.records(of, *days, read).await
                });
                reading.push(read);
            }
        }
        let found: Vec<Vec<Loaded>> = stream::iter(reading)
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}

async fn of_connection(
    table: &Table,
    connection: &StoredConnection,
    data_type: DataType,
    from: Date,
    to: Date,
) -> Result<Vec<Loaded>, InspectError> {
    let Some(provider) = provider(connection) else {
        return Ok(Vec::new());
    };
    let owner = RecordOwner::Connection(connection.id.clone());
    let (from, to) = starts(data_type, from, to);
    if !may_have(connection, data_type, from, to) {
        return Ok(Vec::new());
    }
    let records = table.records_between(&owner, data_type, from, to).await?;
    let ended_at_ms = connection.state.ended_at_ms();
    let loaded = records.into_iter().map(
        |FoundRecord {
             data_type,
             key,
             record,
         }| Loaded {
            connection: connection.id.clone(),
            provider: provider.clone(),
            ended_at_ms,
            data_type,
            key,
            record,
        },
    );
    Ok(loaded.collect())
}

/// Returns whether a connection may have a record of a type that begins on a day from `from` to `to`, both
/// included, as far as the connection itself tells. What it denies need not be asked for.
pub fn may_have(connection: &StoredConnection, data_type: DataType, from: Date, to: Date) -> bool {
    let extent = connection.state.types.get(&data_type);
    extent.is_some_and(|extent| extent.touches(from, to))
}

/// Days on which records begin that belong to the days `from` to `to`.
fn starts(data_type: DataType, from: Date, to: Date) -> (Date, Date) {
    match data_type {
        // Over the date line a night may end on the date before the one it began on.
        DataType::Sleep => (day::plus(from, -NIGHT_BEGINS_BEFORE), day::next(to)),
        _ => (from, to),
    }
}
