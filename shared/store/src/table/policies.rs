//! Source policies: one item per version, of the app and of people.
//!
//! Every version stays, so that an old answer can be explained. A policy that is taken away leaves a version
//! without rules behind. Erasing a person removes all of theirs.

use aws_sdk_dynamodb::types::AttributeValue;
pub use domain::owner::PolicyOwner;
use domain::source::policy::Document;
use models::ids::ReferenceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Table, TableError,
    attribute::{Item, to_attribute, to_json_map},
    first_items,
    key::Key,
};

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// The version, from 1.
    pub version: u64,
    /// Time at which it was set. Unit: Unix milliseconds.
    pub set_at_ms: i64,
    /// Name of who set it: a key's or an operator's.
    pub set_by: String,
    /// The document; absent when the policy was taken away.
    pub document: Option<Document>,
}

/// Result of setting a policy.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyWrite {
    /// Stored under this version.
    Stored(u64),
    /// Nothing was written: the current version is another one than was expected, 0 where there is none.
    Conflict(u64),
}

impl Table {
    /// The current version of a policy.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn source_policy(
        &self,
        owner: &PolicyOwner,
    ) -> Result<Option<StoredPolicy>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(1)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(Key::source_policies(owner)));
        let items = first_items(query, 1, "source policies").await?;
        items.into_iter().next().map(read).transpose()
    }

    /// One version of a policy.
    ///
    /// # Errors
    ///
    /// Those of [`Table::source_policy`].
    pub async fn source_policy_at(
        &self,
        owner: &PolicyOwner,
        version: u64,
    ) -> Result<Option<StoredPolicy>, TableError> {
        let item = self.get(&Key::source_policy(owner, version)).await?;
        item.map(read).transpose()
    }

    /// Every version of a policy, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Table::source_policy`].
    pub async fn source_policy_versions(
        &self,
        owner: &PolicyOwner,
    ) -> Result<Vec<StoredPolicy>, TableError> {
        let items = self.query(&Key::source_policies(owner), "").await?;
        items.into_iter().map(read).collect()
    }

    /// Sets a policy over the version that was seen, 0 for none; takes it away where `document` is absent.
    ///
    /// # Errors
    ///
    /// Those of [`Table::source_policy`].
    pub async fn set_source_policy(
        &self,
        owner: &PolicyOwner,
        seen: u64,
        document: Option<Document>,
        set_at_ms: i64,
        set_by: &str,
    ) -> Result<PolicyWrite, TableError> {
        let current = self.source_policy(owner).await?;
        let current = current.map_or(0, |current| current.version);
        if current != seen {
            return Ok(PolicyWrite::Conflict(current));
        }
        let version = seen.saturating_add(1);
        let policy = StoredPolicy {
            version,
            set_at_ms,
            set_by: set_by.to_owned(),
            document: document.map(|document| Document {
                version,
                ..document
            }),
        };
        let key = Key::source_policy(owner, version);
        let item: Item = match serde_json::json!(policy) {
            Value::Object(map) => map
                .into_iter()
                .map(|(name, value)| (name, to_attribute(value)))
                .collect(),
            _ => Item::new(),
        };
        // Two writers that saw the same version write the same key, and one of them finds it taken.
        if self.put_if(&key, item, None).await? {
            return Ok(PolicyWrite::Stored(version));
        }
        let current = self.source_policy(owner).await?;
        Ok(PolicyWrite::Conflict(
            current.map_or(0, |current| current.version),
        ))
    }

    /// Removes every version of a person's policy. Returns their number.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn erase_source_policy(
        &self,
        reference_id: &ReferenceId,
    ) -> Result<usize, TableError> {
        let owner = PolicyOwner::Person(reference_id.clone());
        let items = self.query(&Key::source_policies(&owner), "").await?;
        let keys: Vec<Key> = items.iter().filter_map(Key::of_item).collect();
        for key in &keys {
            self.delete(key).await?;
        }
        Ok(keys.len())
    }
}

fn read(item: Item) -> Result<StoredPolicy, TableError> {
    let key = Key::of_item(&item);
    let read = serde_json::from_value(Value::Object(to_json_map(item)));
    read.map_err(|_| TableError::Corrupt {
        key: key.unwrap_or_else(|| Key::source_policy(&PolicyOwner::App, 0)),
        field: "document",
    })
}
