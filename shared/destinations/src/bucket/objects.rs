//! Operations of a store of objects.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::PARALLEL;
use crate::{change::Change, envelope::Payload, kind::Fault, net::without_end};

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

    /// A page of the names that begin with `prefix`: the first, or the one of the token `after`.
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<String>, Fault>;

    /// A page of the objects whose names begin with `prefix`, with what is known of them.
    async fn heads(&self, prefix: &str, after: Option<&str>) -> Result<Page<Head>, Fault> {
        let page = self.page(prefix, after).await?;
        let keys = stream::iter(page.items);
        let heads = keys.map(|key| async move { self.head(&key).await });
        let heads: Vec<_> = heads.buffer_unordered(PARALLEL).try_collect().await?;
        Ok(Page {
            items: heads.into_iter().flatten().collect(),
            next: page.next,
        })
    }
}

/// Objects of one page of a list, where the store lets that be chosen.
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
pub(crate) const PAGE: usize = 500;
/// Pages of one list that are read at most.
pub(crate) const MAX_PAGES: usize = 600;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Token of the page that follows. Some servers end their list with an empty one.
    pub(crate) next: Option<String>,
}

/// Way through the pages of a list, which ends whatever the server answers.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    after: Option<String>,
    pages: usize,
}

impl Walk {
    /// Token of the page to read; none for the first.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Goes on behind a page to the one of this token. Returns false at the end of the list.
    ///
    /// # Errors
    ///
    /// [`Fault::Misconfigured`] for a list that stays where it is, or has more than [`MAX_PAGES`].
    pub(crate) fn go_on(&mut self, next: Option<String>) -> Result<bool, Fault> {
        let Some(next) = next.filter(|token| !token.is_empty()) else {
            return Ok(false);
        };
        self.pages += 1;
        if self.pages >= MAX_PAGES || self.after.as_ref() == Some(&next) {
            return Err(without_end());
        }
        self.after = Some(next);
        Ok(true)
    }

    /// Goes back to the first page, because the objects of the last one are gone. Pages are counted on.
    ///
    /// # Errors
    ///
    /// [`Fault::Misconfigured`] if more than [`MAX_PAGES`] were read.
    pub(crate) fn begin_anew(&mut self) -> Result<(), Fault> {
        self.pages += 1;
        if self.pages >= MAX_PAGES {
            return Err(without_end());
        }
        self.after = None;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_end_is_given_up() {
        let mut walk = Walk::default();
        assert_eq!(walk.go_on(None), Ok(false));
        // Some servers end their list with an empty token, which would begin it anew.
        assert_eq!(walk.go_on(Some(String::new())), Ok(false));
        assert_eq!(walk.go_on(Some("1".to_owned())), Ok(true));
        assert_eq!(walk.after(), Some("1"));
        assert_eq!(walk.go_on(Some("1".to_owned())), Err(without_end()));
        let ended = (2..).find_map(|token| walk.go_on(Some(token.to_string())).err());
        assert_eq!(ended, Some(without_end()));
        assert!(walk.pages <= MAX_PAGES);
        let mut walk = Walk::default();
        let anew = std::iter::repeat_with(|| walk.begin_anew());
        assert!(anew.take(MAX_PAGES).any(|begun| begun.is_err()));
    }
}
