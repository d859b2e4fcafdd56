//! The log of some Terra users: their webhooks, by the index of users.
//!
//! The index says which there are and what a filter needs; the lines themselves are in the
//! [`ledger`](super::ledger). It holds every webhook that names a user, also the answers to our own requests.

use std::cmp::Reverse;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use models::ids::{Provider, TerraUserId, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Table, TableError,
    attribute::{Item, to_json_map},
    key::{BY_USER, Key},
    ledger::{Outcome, RecordCounts, WebhookEntry},
};

/// Users whose webhooks are read at once.
const CONCURRENT_USERS: usize = 8;

/// Place in the log, newest first: webhooks behind it are older.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPlace {
    /// Time of the arrival. Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// The webhook; absent for the place before all webhooks of that time.
    pub webhook_id: Option<WebhookId>,
}

/// A webhook as the index of users has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LoggedWebhook {
    /// Its identity.
    pub webhook_id: WebhookId,
    /// `type`, or `unreadable`.
    pub event_type: String,
    /// Outcome of the webhook.
    pub outcome: Outcome,
    /// Its records.
    #[serde(default)]
    pub records: RecordCounts,
    /// Number of parked parts.
    #[serde(default)]
    pub parked_count: usize,
    /// Position in the order of arrivals. Unit: Unix milliseconds.
    pub ordering_ts_ms: i64,
    /// Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// Unit: bytes, as Terra sent it.
    pub size_bytes: u64,
    /// User of the webhook.
    pub terra_user_id: Option<TerraUserId>,
    /// The provider.
    pub provider: Option<Provider>,
    /// `Terra-Reference` as sent.
    pub reference: Option<String>,
    /// Came later than on time.
    #[serde(default)]
    pub late: bool,
}

impl LoggedWebhook {
    /// Place of the webhook in the log.
    pub fn place(&self) -> LogPlace {
        LogPlace {
            received_at_ms: self.received_at_ms,
            webhook_id: Some(self.webhook_id.clone()),
        }
    }
}

impl From<&WebhookEntry> for LoggedWebhook {
    fn from(entry: &WebhookEntry) -> Self {
        Self {
            webhook_id: entry.webhook_id.clone(),
            event_type: entry.event_type.clone(),
            outcome: entry.outcome,
            records: entry.records,
            parked_count: entry.parked_count,
            ordering_ts_ms: entry.ordering_ts_ms,
            received_at_ms: entry.received_at_ms,
            size_bytes: entry.size_bytes,
            terra_user_id: entry.terra_user_id.clone(),
            provider: entry.provider.clone(),
            reference: entry.reference.clone(),
            late: entry.late,
        }
    }
}

impl LogPlace {
    /// The place before everything that was received at a moment. Unit: Unix milliseconds.
    pub fn before(received_at_ms: i64) -> Self {
        Self {
            received_at_ms,
            webhook_id: None,
        }
    }

    /// Returns whether a webhook stands behind this place.
    pub fn precedes(&self, webhook: &LoggedWebhook) -> bool {
        // Of one millisecond the greater id comes first. Before all of them stands no id at all.
        let rest = (webhook.received_at_ms, Some(&webhook.webhook_id));
        match &self.webhook_id {
            Some(id) => rest < (self.received_at_ms, Some(id)),
            None => webhook.received_at_ms < self.received_at_ms,
        }
    }
}

impl Table {
    /// The webhooks of some Terra users that stand behind a place of the log and were received at `since_ms` or
    /// later, newest first, at most `limit`. There are no more if there are fewer.
    ///
    /// They come from an index, which lags by a moment.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an entry
    /// cannot be read.
    pub async fn webhooks_of_users(
        &self,
        users: &[TerraUserId],
        since_ms: i64,
        behind: &LogPlace,
        limit: usize,
    ) -> Result<Vec<LoggedWebhook>, TableError> {
        let reading: Vec<BoxFuture<'_, _>> = users
            .iter()
            .map(|user| {
                let read: BoxFuture<'_, _> =
                    Box::pin(self.webhooks_of_user(user, since_ms, behind, limit));
                read
            })
            .collect();
        let found = stream::iter(reading).buffer_unordered(CONCURRENT_USERS);
        let mut found: Vec<LoggedWebhook> = found.try_concat().await?;
        found.sort_by_key(|webhook| Reverse(webhook.place()));
        found.truncate(limit);
        Ok(found)
    }

    /// The webhooks of one user behind a place: at least `limit`, if there are so many. The index does not order
    /// what it received within one millisecond, so the last of these has no rest.
    async fn webhooks_of_user(
        &self,
        user: &TerraUserId,
        since_ms: i64,
        behind: &LogPlace,
        limit: usize,
    ) -> Result<Vec<LoggedWebhook>, TableError> {
        let last_ms = match &behind.webhook_id {
            Some(_) => behind.received_at_ms,
            None => behind.received_at_ms.saturating_sub(1),
        };
        if last_ms < since_ms {
            return Ok(Vec::new());
        }
        let number = |number: i64| AttributeValue::N(number.to_string());
        let page = limit.saturating_add(1);
        let mut items = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_USER)
            .key_condition_expression(
                "terra_user_id = :user AND received_at_ms BETWEEN :since AND :last",
            )
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .expression_attribute_values(":since", number(since_ms))
            .expression_attribute_values(":last", number(last_ms))
            .scan_index_forward(false)
            .limit(i32::try_from(page).unwrap_or(i32::MAX))
            .into_paginator()
            .items()
            .send();
        let mut found: Vec<LoggedWebhook> = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(TableError::unavailable("query", "webhooks of a user"))?;
            let webhook = decode(item)?;
            let is_enough = found.len() >= limit;
            let last = found.last();
            if is_enough && last.is_none_or(|last| webhook.received_at_ms < last.received_at_ms) {
                break;
            }
            if behind.precedes(&webhook) {
                found.push(webhook);
            }
        }
        Ok(found)
    }
}

fn decode(item: Item) -> Result<LoggedWebhook, TableError> {
    let key = Key::of_item(&item);
    let id = key.as_ref().and_then(Key::as_webhook);
    let mut map = to_json_map(item);
    if let Some(id) = id {
        map.insert("webhook_id".to_owned(), Value::from(id.as_str()));
    }
    serde_json::from_value(Value::Object(map)).map_err(|_| TableError::Corrupt {
        key: key.unwrap_or_else(|| Key::request("none")),
        field: "outcome",
    })
}
