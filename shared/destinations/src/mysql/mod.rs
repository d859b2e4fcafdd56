//! MySQL and MariaDB: one table per data type, with real columns beside the whole record.
//!
//! A row is written only over a lower revision: every column is set on the condition that the new
//! revision is greater, and the revision itself last.

mod config;
mod deliver;
mod faults;
mod probe;
mod schema;

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use models::data::DataType;
use tokio::sync::Mutex;

use crate::{
    change::{Change, Total},
    config::{Context, Fields, Format, Refused},
    id::{OwnerId, RecordId},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome, Shape, within},
    net::Guard,
};
use deliver::Session;

/// Longest time of a call.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A MySQL or MariaDB destination.
#[derive(Debug)]
pub(crate) struct Mysql {
    settings: Settings,
    guard: Guard,
    /// One connection, kept until it fails.
    session: Mutex<Option<Session>>,
}

/// Place of the database, and the tables to write.
#[derive(Debug)]
struct Settings {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: secrecy::SecretString,
    table_prefix: String,
    encrypted: bool,
    ca_pem: Option<String>,
    /// Format of the column `payload`.
    format: Format,
}

impl Mysql {
    /// Reads the settings.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        config::read(fields, context)
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        within(TIMEOUT, call).await
    }
}

#[async_trait]
impl Kind for Mysql {
    fn limits(&self) -> Limits {
        Limits {
            changes: 200,
            bytes: 4 * 1024 * 1024,
            concurrency: 4,
            keeps: Keeps::State,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn prepare(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        self.in_time(self.make_tables(shape)).await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        self.in_time(self.write(changes)).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.in_time(self.delete_owners(&person.owners))
            .await
            .map(Erased::Done)
    }

    async fn totals(&self, owners: &[OwnerId]) -> Result<Option<Vec<Total>>, Fault> {
        self.in_time(self.count(owners)).await.map(Some)
    }

    async fn revisions(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        self.in_time(self.list(owner, data_type)).await
    }
}
