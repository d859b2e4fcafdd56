//! Parked webhooks: a list of what could not be used, kept until somebody decides.
//!
//! The ledger's lines end after 90 days; these items have no TTL. A webhook leaves the list when a
//! replay stores it, or when it is dismissed. A replay puts no dismissed webhook back: a note, with
//! nothing in it but the webhook's id, says that somebody has decided.
//!
//! # Writes
//!
//! Two small writes per parked webhook, none for any other: first the day, under
//! `PARKED_DAYS#<shard>`, then the webhook. A writer that dies in between leaves a day without
//! webhooks, which costs a reader one empty query.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{locator::Locator, plan::Parked};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::Timestamp;
use models::ids::{Provider, TerraUserId, WebhookId};
use serde::{Deserialize, Serialize};

use super::{
    Table, TableError,
    attribute::{Item, to_attribute, to_json},
    first_items,
    key::{BY_TIME, DAY_SHARDS, Key, TIME_PK, TIME_SK},
    ledger::{MAX_PARKED_LISTED, WebhookEntry, moment, shard},
    shards,
};

/// Attribute that holds the webhook. The index does not project it: its entries are keys only.
const WEBHOOK: &str = "webhook";
/// Length of a day, `YYYY-MM-DD`.
const DAY_LENGTH: usize = 10;
/// Shards of days that are read at once: more than those of one day.
const DAYS_AT_ONCE: usize = 4 * DAY_SHARDS as usize;

/// A webhook of which something could not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParkedWebhook {
    /// Id of the webhook.
    pub webhook_id: WebhookId,
    /// `type`, or `unreadable`.
    pub event_type: String,
    /// Parts that could not be used, with the reasons; the first 50 of them.
    pub parked: Vec<Parked>,
    /// Number of parts that could not be used.
    pub parked_count: usize,
    /// All frames of the webhook in the archive.
    pub locator: Option<Locator>,
    /// Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// Unit: bytes, as Terra sent it.
    pub size_bytes: u64,
    /// First Terra user id that the webhook names.
    pub terra_user_id: Option<TerraUserId>,
    /// Provider that the webhook names.
    pub provider: Option<Provider>,
    /// Name of the signing secret that verified the webhook; absent for what was fetched.
    pub secret_name: Option<String>,
}

/// Standing of one webhook on the list of parked ones.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing {
    /// The list does not have it.
    Unlisted,
    /// The list has it.
    Listed(Box<ParkedWebhook>),
    /// An operator took it off the list.
    Dismissed,
}

impl ParkedWebhook {
    /// The parked webhook that a line of the ledger tells of.
    pub fn of_entry(entry: &WebhookEntry, secret_name: Option<&str>) -> Self {
        let mut parked = entry.parked.clone();
        parked.truncate(MAX_PARKED_LISTED);
        Self {
            webhook_id: entry.webhook_id.clone(),
            event_type: entry.event_type.clone(),
            parked,
            parked_count: entry.parked_count,
            locator: entry.locator.clone(),
            received_at_ms: entry.received_at_ms,
            size_bytes: entry.size_bytes,
            terra_user_id: entry.terra_user_id.clone(),
            provider: entry.provider.clone(),
            secret_name: secret_name.map(str::to_owned),
        }
    }

    /// Day of UTC on which the webhook was received.
    fn day(&self) -> String {
        let received_at = Timestamp::from_millisecond(self.received_at_ms).unwrap_or_default();
        received_at.strftime("%Y-%m-%d").to_string()
    }
}

impl Table {
    /// Puts a webhook on the list of parked ones, in place of an earlier item for the same webhook.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when the table does not take one of the two writes.
    pub async fn park(&self, webhook: &ParkedWebhook) -> Result<(), TableError> {
        let day = webhook.day();
        let shard = shard(&webhook.webhook_id);
        self.put(&Key::parked_day(&day, shard), Item::new(), "park")
            .await?;
        let key = Key::parked(&webhook.webhook_id);
        let time = moment(webhook.received_at_ms);
        let time = format!("{time}#{}", webhook.webhook_id);
        let json = serde_json::to_value(webhook).unwrap_or_default();
        let item = Item::from([
            (WEBHOOK.to_owned(), to_attribute(json)),
            (
                TIME_PK.to_owned(),
                AttributeValue::S(Key::parked_of_day(&day, shard)),
            ),
            (TIME_SK.to_owned(), AttributeValue::S(time)),
        ]);
        self.put(&key, item, "park").await
    }

    /// Takes a webhook off the list of parked ones; does nothing when it is not on the list.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when the table does not answer.
    pub async fn unpark(&self, id: &WebhookId) -> Result<(), TableError> {
        self.delete(&Key::parked(id)).await
    }

    /// Takes a webhook off the list, and notes that a replay does not put it back.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when the table does not take one of the two writes. The webhook is
    /// then still on the list.
    pub async fn dismiss(&self, id: &WebhookId) -> Result<(), TableError> {
        self.put(&Key::dismissed(id), Item::new(), "dismiss")
            .await?;
        self.unpark(id).await
    }

    /// Returns whether a webhook is on the list, and if not, whether it was dismissed.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer, or the item cannot be read.
    pub async fn listing(&self, id: &WebhookId) -> Result<Listing, TableError> {
        let (key, dismissed) = (Key::parked(id), Key::dismissed(id));
        let mut found = self.batch_get([key.clone(), dismissed.clone()]).await?;
        Ok(match found.remove(&key) {
            Some(item) => Listing::Listed(Box::new(decode(&key, item)?)),
            None if found.contains_key(&dismissed) => Listing::Dismissed,
            None => Listing::Unlisted,
        })
    }

    /// A parked webhook; `None` when it is not on the list.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer, or the item cannot be read.
    pub async fn parked(&self, id: &WebhookId) -> Result<Option<ParkedWebhook>, TableError> {
        let key = Key::parked(id);
        let item = self.get(&key).await?;
        item.map(|item| decode(&key, item)).transpose()
    }

    /// The parked webhooks, newest first, at most `limit`.
    ///
    /// The index says which there are, the items say what they are: one that was taken off the list
    /// a moment ago is left out.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer, or an item cannot be read.
    pub async fn parked_webhooks(&self, limit: usize) -> Result<Vec<ParkedWebhook>, TableError> {
        Ok(self.parked_page(None, limit).await?.0)
    }

    /// The parked webhooks behind a place of the list, newest first, at most `limit`, and the place behind which
    /// the next page begins; `None` at the end. What is parked meanwhile stands before the first page.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer, or an item cannot be read.
    pub async fn parked_page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ParkedWebhook>, Option<String>), TableError> {
        let mut webhooks = Vec::new();
        let mut place = after.map(str::to_owned);
        // A place begins with its day, which may have more.
        let mut before = match after {
            Some(after) => format!("{}~", after.get(..DAY_LENGTH).unwrap_or_default()),
            None => "~".to_owned(),
        };
        loop {
            let days = self.parked_days_before(&before).await?;
            let Some(oldest) = days.keys().next().cloned() else {
                return Ok((webhooks, None));
            };
            for (day, shards) in days.iter().rev() {
                loop {
                    let left = limit.saturating_sub(webhooks.len());
                    if left == 0 {
                        return Ok((webhooks, place));
                    }
                    let place_before = place.as_deref();
                    let found = self.parked_of_day(day, shards, place_before, left).await?;
                    webhooks.extend(found.0);
                    let Some(last) = found.1 else { break };
                    place = Some(last);
                }
            }
            before = oldest;
        }
    }

    /// The parked webhooks that were received on a day (`YYYY-MM-DD`, UTC), newest first, at most
    /// `limit`.
    ///
    /// # Errors
    ///
    /// [`TableError`] when the table does not answer, or an item cannot be read.
    pub async fn parked_webhooks_of_day(
        &self,
        day: &str,
        limit: usize,
    ) -> Result<Vec<ParkedWebhook>, TableError> {
        let shards: Vec<u8> = (0..DAY_SHARDS).collect();
        Ok(self.parked_of_day(day, &shards, None, limit).await?.0)
    }

    /// Those in some shards of one day behind a place, and the place of the last one that was looked at; `None` where
    /// the day has no more.
    async fn parked_of_day(
        &self,
        day: &str,
        shards: &[u8],
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ParkedWebhook>, Option<String>), TableError> {
        let shards = stream::iter(shards.to_vec())
            .map(|shard| self.parked_of_shard(day, shard, after, limit))
            .buffer_unordered(usize::from(DAY_SHARDS));
        let mut listed: Vec<(String, Key)> = shards.try_concat().await?;
        listed.sort_by(|(one, _), (other, _)| other.cmp(one));
        listed.truncate(limit);
        let last = listed.last().filter(|_| listed.len() == limit);
        let last = last.map(|(place, _)| place.clone());
        let keys: Vec<Key> = listed.into_iter().map(|(_, key)| key).collect();
        let mut items = self.batch_get(keys.iter().cloned()).await?;
        let mut webhooks = Vec::new();
        for key in keys {
            if let Some(item) = items.remove(&key) {
                webhooks.push(decode(&key, item)?);
            }
        }
        Ok((webhooks, last))
    }

    /// Some days before a place on which parked webhooks were received, the newest, each with its shards; none at the
    /// end.
    async fn parked_days_before(
        &self,
        before: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, TableError> {
        let read = |shard, before: String, most| -> BoxFuture<'_, _> {
            Box::pin(self.parked_days_of_shard(shard, before, most))
        };
        let place = |(day, shard): &(String, u8)| format!("{day}#{shard}");
        let found = shards::newest(before, DAYS_AT_ONCE, place, read).await?;
        let is_full = found.len() == DAYS_AT_ONCE;
        let mut days = BTreeMap::<String, Vec<u8>>::new();
        for (day, shard) in found {
            days.entry(day).or_default().push(shard);
        }
        if is_full {
            // Its other shards may not have been read.
            days.pop_first();
        }
        Ok(days)
    }

    async fn parked_days_of_shard(
        &self,
        shard: u8,
        before: String,
        limit: usize,
    ) -> Result<Vec<(String, u8)>, TableError> {
        let day = before.split('#').next().unwrap_or_default();
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :days AND sk < :day")
            .expression_attribute_values(":days", AttributeValue::S(Key::parked_days(shard)))
            .expression_attribute_values(":day", AttributeValue::S(day.to_owned()))
            .scan_index_forward(false);
        let items = first_items(query, limit, "days with parked webhooks").await?;
        let keys = items.iter().filter_map(Key::of_item);
        Ok(keys
            .map(|key| (key.as_parked_day().to_owned(), shard))
            .collect())
    }

    async fn parked_of_shard(
        &self,
        day: &str,
        shard: u8,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Key)>, TableError> {
        let partition = Key::parked_of_day(day, shard);
        let after = after.unwrap_or("~").to_owned();
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :day AND time_sk < :after")
            .expression_attribute_values(":day", AttributeValue::S(partition))
            .expression_attribute_values(":after", AttributeValue::S(after))
            .scan_index_forward(false);
        let items = first_items(query, limit, "parked webhooks").await?;
        let placed = |item: &Item| {
            let place = item.get(TIME_SK)?.as_s().ok()?.clone();
            Some((place, Key::of_item(item)?))
        };
        Ok(items.iter().filter_map(placed).collect())
    }
}

fn decode(key: &Key, mut item: Item) -> Result<ParkedWebhook, TableError> {
    let webhook = item.remove(WEBHOOK).map(to_json);
    let webhook: Option<ParkedWebhook> = webhook.and_then(|json| serde_json::from_value(json).ok());
    webhook
        .filter(|webhook| key.as_parked().as_ref() == Some(&webhook.webhook_id))
        .ok_or_else(|| TableError::Corrupt {
            key: key.clone(),
            field: WEBHOOK,
        })
}
