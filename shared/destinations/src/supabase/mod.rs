//! Supabase: the tables of the PostgreSQL kind, reached through Supabase's Data API or as a database,
//! and, if a bucket is named, the bodies as files of Supabase Storage.
//!
//! Storage knows no conditional write, so files have a name for each state of a record: none is ever
//! written over by an older one.

mod config;
mod deliver;
mod faults;
mod probe;
mod rest;
mod script;

use std::time::Duration;

use async_trait::async_trait;
use models::data::DataType;

use crate::{
    bucket::{Bucket, store::Store},
    change::{Change, Total},
    config::{Context, Fields, Refused},
    id::{OwnerId, RecordId},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome, Shape, within},
    postgres::Postgres,
    sql::Table,
};
use rest::Rest;
pub use script::install_script;

/// Longest time of a call.
const TIMEOUT: Duration = Duration::from_secs(28);

/// A Supabase project as a destination.
#[derive(Debug)]
pub(crate) struct Supabase {
    rows: Rows,
    schema: String,
    files: Option<Bucket<Store>>,
}

/// Way to the tables.
#[derive(Debug)]
enum Rows {
    /// Through the Data API: the functions of the install script.
    Rest(Rest),
    /// The database itself.
    Postgres(Box<Postgres>),
}

impl Supabase {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        let read = config::read(fields, &context);
        drop(context);
        read
    }
}

#[async_trait]
impl Kind for Supabase {
    fn limits(&self) -> Limits {
        Limits {
            changes: 200,
            bytes: 1024 * 1024,
            concurrency: 2,
            keeps: Keeps::State,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn prepare(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        within(TIMEOUT, self.install(shape)).await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        within(TIMEOUT, self.write(changes)).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        within(TIMEOUT, self.erase_both(person)).await
    }

    async fn totals(&self, owners: &[OwnerId]) -> Result<Option<Vec<Total>>, Fault> {
        match &self.rows {
            Rows::Rest(rest) => within(TIMEOUT, rest.count(owners)).await.map(Some),
            Rows::Postgres(database) => database.totals(owners).await,
        }
    }

    async fn revisions(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        match &self.rows {
            Rows::Rest(rest) => within(TIMEOUT, rest.list(owner, Table::of(data_type))).await,
            Rows::Postgres(database) => database.revisions(owner, data_type).await,
        }
    }
}
