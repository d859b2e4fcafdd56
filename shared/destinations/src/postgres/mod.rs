//! PostgreSQL: one table per data type, with real columns beside the whole record.
//!
//! A row is written only over a lower revision, in one statement per table, its rows in the order of
//! their ids: so several writers neither overwrite a newer state nor lock each other out.

pub(crate) mod config;
pub(crate) mod deliver;
pub(crate) mod faults;
mod line;
mod probe;
pub(crate) mod schema;

use std::time::Duration;

use async_trait::async_trait;
use models::data::DataType;
use rustls::ClientConfig;
use tokio::sync::Mutex;

use crate::{
    change::{Change, Total},
    config::{Context, Fields, Format, Refused},
    id::{OwnerId, RecordId},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome, Shape},
    net::Guard,
};
use deliver::Session;

/// Longest time for one statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time of a call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A PostgreSQL destination.
#[derive(Debug)]
pub(crate) struct Postgres {
    settings: Settings,
    guard: Guard,
    tls: Option<ClientConfig>,
    /// One connection, kept until it fails.
    session: Mutex<Option<Session>>,
}

/// Place of the database, and what is written.
#[derive(Debug)]
struct Settings {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: secrecy::SecretString,
    schema: String,
    /// True if a pooler stands before the database, which takes no settings at the start.
    pooler: bool,
    terra_views: bool,
    /// Format of the column `payload`.
    format: Format,
}

impl Postgres {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        config::read(fields, context)
    }

    /// Runs statements of an operator's.
    #[cfg(feature = "supabase")]
    pub(crate) async fn run_script(&self, script: &str) -> Result<(), Fault> {
        let session = self.session().await?;
        let done = session.client.batch_execute(script).await;
        let name = format!("schema {}", self.settings.schema);
        done.map_err(|error| faults::fault(&error, faults::Doing::MakeTable(&name)))?;
        self.keep(session).await;
        Ok(())
    }
}

#[async_trait]
impl Kind for Postgres {
    fn limits(&self) -> Limits {
        Limits {
            changes: 500,
            bytes: 4 * 1024 * 1024,
            concurrency: 4,
            keeps: Keeps::State,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn prepare(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        self.make_tables(shape).await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        self.write(changes).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.delete_owners(&person.owners).await.map(Erased::Done)
    }

    async fn totals(&self, owners: &[OwnerId]) -> Result<Option<Vec<Total>>, Fault> {
        self.count(owners).await.map(Some)
    }

    async fn revisions(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        self.list(owner, data_type).await
    }
}
