//! Operations of a store of objects.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::PARALLEL;
use crate::{change::Change, envelope::Payload, kind::Fault};

/// Name of the metadata that holds the revision. Letters only: Azure refuses hyphens, and proxies
/// drop underscores.
pub(crate) const REVISION: &str = "terrariumrevision";
/// Name of the metadata that holds the record id.
pub(crate) const RECORD: &str = "terrariumrecord";

/// A store of objects with conditional writes.
#[async_trait]
pub(crate) trait Objects: Send + Sync + fmt::Debug {
    /// Name of the store, for findings: `s3://bucket`.
    fn place(&self) -> String;

    /// Right that a step needs, as the store's owner knows it.
    fn right(&self, doing: Doing) -> String;

    /// Reads what is known of an object; `None` if there is none.
    async fn head(&self, key: &str) -> Result<Option<Head>, Fault>;

    /// Writes an object if the condition holds.
    async fn put(
        &self,
        key: &str,
        object: Object<'_>,
        condition: Condition<'_>,
    ) -> Result<Put, Fault>;

    /// Deletes an object, if it still has the stamp. Returns false if it has another one. Stores
    /// without conditional deletion delete it anyway.
    async fn delete(&self, key: &str, stamp: Option<&str>) -> Result<bool, Fault>;

    /// Names of the objects whose names begin with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault>;

    /// Lists the objects whose names begin with `prefix`, with what is known of them.
    async fn heads(&self, prefix: &str) -> Result<Vec<Head>, Fault> {
        let keys = stream::iter(self.list(prefix).await?);
        let heads = keys.map(|key| async move { self.head(&key).await });
        let heads: Vec<_> = heads.buffer_unordered(PARALLEL).try_collect().await?;
        Ok(heads.into_iter().flatten().collect())
    }
}

/// Operation for which a right was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Head,
    Put,
    Delete,
    List,
}

/// Metadata of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Changes with every write: an `ETag`, a generation.
    pub(crate) stamp: String,
    /// Revision of the state; none for an object of somebody else.
    pub(crate) revision: Option<u64>,
    /// Id of the record; none for an object of somebody else.
    pub(crate) record: Option<String>,
}

/// An object to write.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) revision: u64,
    pub(crate) record: &'a str,
}

impl<'a> Object<'a> {
    pub(crate) fn of(change: &'a Change, payload: &Payload) -> Self {
        Self {
            content_type: payload.content_type,
            bytes: payload.bytes.clone(),
            revision: change.revision,
            record: change.record_id.as_str(),
        }
    }
}

/// Condition under which an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition<'a> {
    /// Always.
    Any,
    /// If there is none.
    Missing,
    /// If the one that is there still has this stamp.
    Unchanged(&'a str),
}

/// Result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The object is written.
    Done,
    /// The condition does not hold.
    Lost,
}
