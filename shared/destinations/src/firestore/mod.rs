//! Google Cloud Firestore in native mode, over its REST interface: one collection per data type, one
//! document per record.
//!
//! A document is read first and written on the condition that it is still the one that was read: each
//! write of a request has its own condition and its own result.

mod config;
mod deliver;
mod document;
mod faults;
mod probe;
mod rest;

use std::time::Duration;

use async_trait::async_trait;
use models::data::DataType;
use reqwest::Url;

use crate::{
    change::{Change, Total},
    config::{Context, Fields, Refused},
    google::Google,
    id::{OwnerId, RecordId},
    kind::{Erased, Erasure, Fault, Finding, Keeps, Kind, Limits, Outcome, within},
};

/// Longest time of a call.
const TIMEOUT: Duration = Duration::from_secs(28);

/// A Firestore database as a destination.
#[derive(Debug)]
pub(crate) struct Firestore {
    google: Google,
    base: Url,
    project: String,
    /// `projects/<project>/databases/<database>/documents`, and the folder below it.
    parent: String,
    layout: Layout,
}

/// Shape of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Named by record id; the record stands in `payload`.
    Record,
    /// Named as Terra names them; the record's fields are the document's own, ours stand in
    /// `_terrarium`.
    Terra,
}

impl Firestore {
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
impl Kind for Firestore {
    fn limits(&self) -> Limits {
        Limits {
            changes: 200,
            bytes: 4 * 1024 * 1024,
            concurrency: 2,
            keeps: Keeps::State,
        }
    }

    async fn probe(&self) -> Vec<Finding> {
        self.try_steps().await
    }

    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        within(TIMEOUT, self.write(changes)).await
    }

    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault> {
        let deleted = within(TIMEOUT, self.delete_person(person)).await?;
        Ok(Erased::Done(deleted))
    }

    async fn totals(&self, owners: &[OwnerId]) -> Result<Option<Vec<Total>>, Fault> {
        within(TIMEOUT, self.count(owners)).await.map(Some)
    }

    async fn revisions(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        within(TIMEOUT, self.list(owner, data_type)).await
    }
}
