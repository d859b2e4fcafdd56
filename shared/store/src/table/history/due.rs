//! List of everything that needs a worker now, without a scan.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::window::{BackfillId, Window, WindowId};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::table::{
    Table, TableError,
    attribute::Item,
    key::{BY_TIME, DUE_SHARDS, Key, TIME_PK, TIME_SK},
};

/// Something that needs a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A window: to be asked, taken over, or past its deadline. See
    /// [`Held::is_to_be_asked`](super::Held::is_to_be_asked).
    Window(WindowId),
    /// A backfill to check. See [`Table::check_backfill`].
    Backfill(BackfillId),
}

impl Table {
    /// Lists at most `limit` due items at `now_ms`: the longest due first and of one time the newest
    /// days first. The list may lag behind and name items that another worker has taken meanwhile.
    ///
    /// If more is due, one part of the list is read, another one each time: workers keep out of each
    /// other's way, and nobody reads items that they will not get to.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn due(&self, now_ms: i64, limit: usize) -> Result<Vec<Due>, TableError> {
        let first = rand::random_range(0..DUE_SHARDS);
        let mut found = self.due_in_shard(first, now_ms, limit).await?;
        if found.len() < limit {
            let others = (0..DUE_SHARDS).filter(|shard| *shard != first);
            let others = stream::iter(others)
                .map(|shard| self.due_in_shard(shard, now_ms, limit))
                .buffer_unordered(usize::from(DUE_SHARDS));
            let others: Vec<_> = others.try_concat().await?;
            found.extend(others);
        }
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        found.truncate(limit);
        Ok(found.into_iter().map(|(_, due)| due).collect())
    }

    async fn due_in_shard(
        &self,
        shard: u8,
        now_ms: i64,
        limit: usize,
    ) -> Result<Vec<(String, Due)>, TableError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :shard AND time_sk < :after")
            .expression_attribute_values(":shard", AttributeValue::S(Key::due_shard(shard)))
            .expression_attribute_values(
                ":after",
                AttributeValue::S(Key::due_at(now_ms.saturating_add(1))),
            )
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1))
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(item) = items.next().await else {
                break;
            };
            let item = item.map_err(TableError::unavailable("query", "what is due"))?;
            let time = item.get(TIME_SK).and_then(|time| time.as_s().ok()).cloned();
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let window = key.as_window().map(Due::Window);
            let due = window.or_else(|| key.as_backfill().map(Due::Backfill));
            found.extend(time.zip(due));
        }
        Ok(found)
    }
}

/// Puts an open window into the list; a final one is left out of it.
pub(super) fn list_window(item: &mut Item, window: &Window) {
    let Some(due_ms) = window.due_ms() else {
        return;
    };
    let id = window.id();
    let place = format!(
        "{}#{:06}#{}#{}#{}",
        Key::due_at(due_ms),
        window.rank(),
        id.backfill,
        id.data_type,
        id.span.from(),
    );
    list(item, &id.backfill, place);
}

/// Puts a backfill into the list, to be looked at then.
pub(super) fn list_backfill(item: &mut Item, id: &BackfillId, look_at_ms: i64) {
    list(item, id, format!("{}#{id}", Key::due_at(look_at_ms)));
}

fn list(item: &mut Item, id: &BackfillId, place: String) {
    let shard = Key::due_shard_of(id);
    item.insert(TIME_PK.to_owned(), AttributeValue::S(shard));
    item.insert(TIME_SK.to_owned(), AttributeValue::S(place));
}
