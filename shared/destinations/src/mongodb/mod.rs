//! MongoDB: one collection per data type, one document per record.
//!
//! A document is replaced on the condition that its revision is lower. Where the condition fails the
//! server tries to insert and finds the id taken: the document that is there is as new or newer.

mod config;
mod deliver;
mod document;
mod faults;
mod probe;
mod terra;

use std::{future::Future, time::Duration};

use ::mongodb::Client;
use async_trait::async_trait;
use models::data::DataType;
use tokio::sync::Mutex;

use crate::{
    change::{Change, Total},
    config::{Context, Fields, Refused},
    id::{OwnerId, RecordId},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome, Shape, within},
    net::Guard,
};

/// Longest time of a call.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A MongoDB database as a destination.
#[derive(Debug)]
pub(crate) struct Mongodb {
    settings: Settings,
    guard: Guard,
    /// One client, kept until it fails.
    client: Mutex<Option<Client>>,
}

/// Place of the database.
#[derive(Debug)]
struct Settings {
    host: String,
    port: u16,
    srv: bool,
    direct: bool,
    database: String,
    username: Option<String>,
    password: Option<secrecy::SecretString>,
    auth_source: Option<String>,
    collection_prefix: String,
    layout: Layout,
    encrypted: bool,
    ca_pem: Option<String>,
}

/// Form of the documents of records. Connections have one form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Named by the record's id, the record under `payload`.
    Record,
    /// Named by Terra's user id and the start, the record's own fields at the top, as Terra writes them.
    Terra,
}

impl Mongodb {
    /// Reads the settings.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        config::read(fields, context)
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        let done = within(TIMEOUT, call).await;
        if matches!(
            done,
            Err(Fault::Unreachable { .. } | Fault::Misconfigured { .. })
        ) {
            // A client that failed is thrown away, and with it what it believes of the servers.
            drop(self.client.lock().await.take());
        }
        done
    }
}

#[async_trait]
impl Kind for Mongodb {
    fn limits(&self) -> Limits {
        Limits {
            changes: 500,
            bytes: 12 * 1024 * 1024,
            concurrency: 4,
            keeps: Keeps::State,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn prepare(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        self.in_time(self.make_indexes(shape))
            .await
            .map(|()| Vec::new())
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        self.in_time(self.write(changes)).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.in_time(self.delete_person(person))
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
