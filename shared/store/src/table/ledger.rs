//! The ledger: what became of each webhook. Written last, after every effect.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{locator::Locator, plan::Parked};
use futures::future::{BoxFuture, try_join_all};
use jiff::Timestamp;
use models::ids::{Provider, TerraUserId, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Table, TableError,
    attribute::{Item, to_attribute, to_json_map},
    first_items,
    key::{BY_TIME, DAY_SHARDS, Key, TIME_PK, TIME_SK},
    shards,
};

/// The attribute by which DynamoDB's TTL removes an item. Unit: Unix seconds.
pub(crate) const EXPIRES_AT: &str = "expires_at";
/// Days for which the ledger remembers: far beyond Terra's longest retry schedule (72 h).
const KEPT_DAYS: i64 = 90;
/// Reasons listed per webhook; all are counted.
pub(crate) const MAX_PARKED_LISTED: usize = 50;

/// Outcome of a webhook, in the ledger's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its records, its connection or its request are in the table.
    Stored,
    /// Understood, and nothing was to be stored: a health check, a failed login, a chunk without records.
    Noted,
    /// Some or all of it could not be used; a person may look at it, and it can be replayed.
    Parked,
    /// A ping: its payload is a webhook of its own.
    Followed,
    /// Its person was erased: nothing of it was kept.
    Erased,
}

impl Outcome {
    /// In the ledger's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Noted => "noted",
            Self::Parked => "parked",
            Self::Followed => "followed",
            Self::Erased => "erased",
        }
    }
}

/// Number of records that a webhook created, changed and left as they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCounts {
    /// Seen for the first time.
    pub created: usize,
    /// Known, and changed.
    pub updated: usize,
    /// Known, and not changed: stale or repeated.
    pub unchanged: usize,
    /// Replaced by a later record of the same key in the same webhook, and reachable from it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shadowed: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A webhook's line in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookEntry {
    /// Its identity.
    pub webhook_id: WebhookId,
    /// `type`, or `unreadable`.
    pub event_type: String,
    /// Outcome of the webhook.
    pub outcome: Outcome,
    /// Its records.
    #[serde(default)]
    pub records: RecordCounts,
    /// Parked parts, the first of them.
    #[serde(default)]
    pub parked: Vec<Parked>,
    /// Number of parked parts.
    #[serde(default)]
    pub parked_count: usize,
    /// All its frames in the archive.
    pub locator: Option<Locator>,
    /// Position in the order of arrivals. Unit: Unix milliseconds.
    pub ordering_ts_ms: i64,
    /// Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// Unit: Unix milliseconds.
    pub routed_at_ms: i64,
    /// Unit: bytes, as Terra sent it.
    pub size_bytes: u64,
    /// XXH3 of the body, hexadecimal: tells a retry from another body under the same trace id.
    pub body_hash: String,
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

impl WebhookEntry {
    /// The line without anything that tells whose webhook it was.
    #[must_use]
    pub fn without_person(self) -> Self {
        Self {
            locator: None,
            terra_user_id: None,
            provider: None,
            reference: None,
            ..self
        }
    }
}

impl Table {
    /// The ledger's lines for these webhooks, where it has one.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an entry
    /// cannot be read.
    pub async fn webhooks(
        &self,
        ids: impl IntoIterator<Item = &WebhookId>,
    ) -> Result<HashMap<WebhookId, WebhookEntry>, TableError> {
        let found = self.batch_get(ids.into_iter().map(Key::webhook)).await?;
        found
            .into_iter()
            .map(|(key, item)| decode(&key, item).map(|entry| (entry.webhook_id.clone(), entry)))
            .collect()
    }

    /// Writes a webhook's line. Call it last.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn finish(&self, entry: &WebhookEntry) -> Result<(), TableError> {
        let key = Key::webhook(&entry.webhook_id);
        self.put(&key, encode(entry), "finish").await
    }

    /// The webhooks received on a day (`YYYY-MM-DD`, UTC), newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`webhooks`](Self::webhooks).
    pub async fn webhooks_of_day(
        &self,
        day: &str,
        limit: usize,
    ) -> Result<Vec<WebhookEntry>, TableError> {
        self.webhooks_before(day, None, limit).await
    }

    /// The webhooks received on a day (`YYYY-MM-DD`, UTC) before a place in it, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`webhooks`](Self::webhooks).
    pub async fn webhooks_before(
        &self,
        day: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WebhookEntry>, TableError> {
        // Times begin with a digit, so all of them come before the tilde.
        let before = before.unwrap_or("~");
        let read = |shard, before: String, most| -> BoxFuture<'_, _> {
            Box::pin(async move {
                self.webhooks_of_shard_before(day, shard, &before, most)
                    .await
            })
        };
        shards::newest(before, limit, place_of, read).await
    }

    /// Returns the time of the first webhook after `after_ms`, of those that Terra sent by itself. Times
    /// are Unix milliseconds.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn first_webhook_after(
        &self,
        after_ms: i64,
        now_ms: i64,
    ) -> Result<Option<i64>, TableError> {
        let after = moment(after_ms);
        for day in days_between(after_ms, now_ms) {
            let shards =
                (0..DAY_SHARDS).map(|shard| self.sent_by_itself(&day, shard, &after, true));
            let found = try_join_all(shards).await?;
            if let Some(first_ms) = found.into_iter().flatten().min() {
                return Ok(Some(first_ms));
            }
        }
        Ok(None)
    }

    /// Returns the time of the newest webhook since `from_ms`, of those that Terra sent by itself. Times
    /// are Unix milliseconds.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn newest_webhook(
        &self,
        from_ms: i64,
        now_ms: i64,
    ) -> Result<Option<i64>, TableError> {
        for day in days_between(from_ms, now_ms).into_iter().rev() {
            let shards = (0..DAY_SHARDS).map(|shard| self.sent_by_itself(&day, shard, "", false));
            let found = try_join_all(shards).await?;
            if let Some(newest_ms) = found.into_iter().flatten().max() {
                return Ok(Some(newest_ms));
            }
        }
        Ok(None)
    }

    /// Returns the time of the first or last webhook of a shard of a day, behind a moment of the day.
    async fn sent_by_itself(
        &self,
        day: &str,
        shard: u8,
        after: &str,
        forward: bool,
    ) -> Result<Option<i64>, TableError> {
        let text = AttributeValue::S;
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :day AND time_sk > :after")
            .filter_expression("NOT begins_with(pk, :fetched) AND NOT begins_with(pk, :probe)")
            .expression_attribute_values(":day", text(Key::webhooks_of_day(day, shard)))
            // Behind everything of that millisecond; the least text there is, for none.
            .expression_attribute_values(":after", text(format!("{after}#~")))
            .expression_attribute_values(":fetched", text(Key::fetched_prefix()))
            .expression_attribute_values(":probe", text(Key::probe_prefix()))
            .scan_index_forward(forward);
        // The first few have one, unless much was fetched at that time: a page of a megabyte is read for that alone.
        let (mut page_size, mut from) = (4, None);
        let item = loop {
            let query = query.clone().limit(page_size).set_exclusive_start_key(from);
            let page = query.send().await;
            let page = page.map_err(TableError::unavailable("query", "the webhooks of a day"))?;
            from = page.last_evaluated_key;
            if let Some(item) = page.items.unwrap_or_default().into_iter().next() {
                break item;
            }
            if from.is_none() {
                return Ok(None);
            }
            page_size = (page_size * 4).min(1_000);
        };
        let time = item.get(TIME_SK).and_then(|time| time.as_s().ok());
        let time = time.and_then(|time| time.split('#').next());
        Ok(time
            .and_then(|time| time.parse::<Timestamp>().ok())
            .map(Timestamp::as_millisecond))
    }

    async fn webhooks_of_shard_before(
        &self,
        day: &str,
        shard: u8,
        before: &str,
        limit: usize,
    ) -> Result<Vec<WebhookEntry>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :day AND time_sk < :before")
            .expression_attribute_values(
                ":day",
                AttributeValue::S(Key::webhooks_of_day(day, shard)),
            )
            .expression_attribute_values(":before", AttributeValue::S(before.to_owned()))
            .scan_index_forward(false);
        let items = first_items(query, limit, "the webhooks of a day").await?;
        let decoded = items.into_iter().map(|item| {
            let key = Key::of_item(&item).ok_or_else(|| TableError::Corrupt {
                key: Key::request(day),
                field: "pk",
            })?;
            decode(&key, item)
        });
        decoded.collect()
    }
}

/// Place of a webhook in its day: before it, the next page begins.
pub fn place_of(entry: &WebhookEntry) -> String {
    format!("{}#{}", moment(entry.received_at_ms), entry.webhook_id)
}

fn encode(entry: &WebhookEntry) -> Item {
    let mut entry = entry.clone();
    entry.parked.truncate(MAX_PARKED_LISTED);
    let received_at = Timestamp::from_millisecond(entry.received_at_ms).unwrap_or_default();
    let day = received_at.strftime("%Y-%m-%d").to_string();
    let shard = shard(&entry.webhook_id);
    let text = AttributeValue::S;
    let mut item = match serde_json::to_value(&entry) {
        Ok(Value::Object(map)) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, to_attribute(value)))
            .collect(),
        // A struct of plain fields always serialises to an object.
        _ => Item::new(),
    };
    item.insert(TIME_PK.to_owned(), text(Key::webhooks_of_day(&day, shard)));
    let moment = moment(entry.received_at_ms);
    item.insert(
        TIME_SK.to_owned(),
        text(format!("{moment}#{}", entry.webhook_id)),
    );
    expire(&mut item, entry.received_at_ms, KEPT_DAYS * 86_400);
    item
}

/// Lets DynamoDB remove an item when it has been kept for so long.
pub(crate) fn expire(item: &mut Item, from_ms: i64, kept_s: i64) {
    let expires_at = from_ms.div_euclid(1000).saturating_add(kept_s);
    let expires_at = AttributeValue::N(expires_at.to_string());
    item.insert(EXPIRES_AT.to_owned(), expires_at);
}

/// Text order is time order.
pub(crate) fn moment(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    format!("{at:.3}")
}

/// The most days looked at for a webhook: longer than anything is remembered of silence.
const MAX_DAYS: i64 = 62;

/// The days of UTC from one moment to another, oldest first.
fn days_between(from_ms: i64, until_ms: i64) -> Vec<String> {
    const DAY_MS: i64 = 86_400_000;
    let until = until_ms.div_euclid(DAY_MS);
    let from = from_ms.div_euclid(DAY_MS).max(until - MAX_DAYS);
    (from..=until)
        .filter_map(|day| Timestamp::from_millisecond(day * DAY_MS).ok())
        .map(|day| day.strftime("%Y-%m-%d").to_string())
        .collect()
}

pub(crate) fn shard(id: &WebhookId) -> u8 {
    let hash = xxhash_rust::xxh3::xxh3_64(id.as_str().as_bytes());
    u8::try_from(hash % u64::from(DAY_SHARDS)).unwrap_or_default()
}

/// The line of the ledger in an item.
pub(super) fn entry_of(key: &Key, item: Item) -> Result<WebhookEntry, TableError> {
    decode(key, item)
}

/// An index gives only what it projects: the rest reads as absent.
pub(super) fn decode(key: &Key, item: Item) -> Result<WebhookEntry, TableError> {
    let mut map = to_json_map(item);
    if let Some(id) = key.as_webhook() {
        map.entry("webhook_id")
            .or_insert_with(|| id.as_str().into());
    }
    map.entry("body_hash").or_insert_with(|| "".into());
    serde_json::from_value(Value::Object(map)).map_err(|_| TableError::Corrupt {
        key: key.clone(),
        field: "outcome",
    })
}
