//! Deliveries in the table: what is owed, what was refused for good, what was tried, and which
//! deleted records destinations have not been told of.

use std::{collections::HashMap, convert::Infallible};

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use domain::{
    delivery::{Cause, Changed, Destination, DestinationId, shard_of},
    owner::RecordOwner,
};
use jiff::Timestamp;
use models::data::DataType;
use serde::{Deserialize, Serialize};

use super::{
    Condition, Table, TableError,
    attribute::Item,
    destinations::{Health, at, decode, encode},
    first_items,
    key::{BY_TIME, Key, TIME_PK, TIME_SK},
    ledger::EXPIRES_AT,
    next_revision,
};

/// Time that attempts are kept. Unit: seconds.
pub const ATTEMPTS_KEPT_S: i64 = 30 * 86_400;
/// Time that the note of a deleted record is kept, should nobody ever announce it. Unit: seconds.
const GONE_KEPT_S: i64 = 14 * 86_400;

/// A delivery that is owed to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Subject that is owed.
    pub changed: Changed,
    /// Reason of the delivery that failed.
    pub cause: Cause,
    /// True if it is written over an equal revision too.
    #[serde(default)]
    pub force: bool,
    /// Attempts that failed.
    pub attempts: u32,
    /// Times that the destination refused it.
    #[serde(default)]
    pub refusals: u32,
    /// Time at which the first attempt failed. Unit: Unix milliseconds.
    pub first_failed_at_ms: i64,
    /// Time at which it is tried again. Unit: Unix milliseconds.
    pub due_at_ms: i64,
    /// Last failure, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Owed {
    /// Place of the delivery in the list of its destination. It names no person.
    pub fn place(&self) -> String {
        subject(&self.changed)
    }
}

/// An attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Time of the attempt. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// Id of the delivery.
    pub delivery_id: String,
    /// Name of the record at the destination.
    pub record_id: String,
    /// Data type, where the delivery has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Revision of the record.
    pub revision: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// Result: `delivered`, or the name of the fault.
    pub outcome: String,
    /// The fault in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Duration of the call. Unit: milliseconds.
    pub took_ms: u64,
}

impl Attempt {
    fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.at_ms).unwrap_or_default()
    }

    /// Place of the attempt in its day.
    pub fn place(&self) -> String {
        let time = self.time();
        format!("{time:.3}#{}#{}", self.delivery_id, self.attempt)
    }
}

/// Beginning of the names of webhooks that are owed.
const WEBHOOK: &str = "WEBHOOK#";
/// Attribute of the revision of a deletion.
const GONE_AT: &str = "gone_at";

/// Subjects of one owner: those of a data type, or the row of the connection.
pub type Subjects<'a> = (&'a RecordOwner, Option<DataType>);

/// Beginning of the names of what is owed of one owner.
fn beginning((owner, data_type): Subjects<'_>) -> String {
    match data_type {
        Some(data_type) => format!("{data_type}#{}#", owner.name()),
        None => format!("connection#{}", owner.name()),
    }
}

/// Name of what is owed within a destination: the same for every delivery of one record.
fn subject(changed: &Changed) -> String {
    match changed {
        Changed::Record {
            owner,
            data_type,
            key,
            ..
        } => format!("{data_type}#{}#{key}", owner.name()),
        Changed::Connection { id, .. } => format!("connection#{id}"),
        Changed::Webhook {
            webhook_id,
            received_at_ms,
            ..
        } => format!("{WEBHOOK}{}#{webhook_id}", Key::due_at(*received_at_ms)),
    }
}

fn expires(now_ms: i64, kept_s: i64) -> AttributeValue {
    let at_s = now_ms.div_euclid(1000).saturating_add(kept_s);
    AttributeValue::N(at_s.to_string())
}

fn decoded<T: serde::de::DeserializeOwned>(items: Vec<Item>) -> Result<Vec<T>, TableError> {
    let items = items.into_iter();
    let keyed = items.filter_map(|item| Some((Key::of_item(&item)?, item)));
    keyed.map(|(key, item)| decode(&key, item)).collect()
}

/// Note of a record that is deleted after its revision `seen`.
fn gone_note(owner: &RecordOwner, record: &Key, seen: u64) -> (Key, Item) {
    let gone_at = next_revision(Some(seen));
    // The clock part of the revision is the time.
    let now_ms = i64::try_from(gone_at >> super::CLOCK_BITS).unwrap_or_default();
    let item = Item::from([
        (GONE_AT.to_owned(), AttributeValue::N(gone_at.to_string())),
        (EXPIRES_AT.to_owned(), expires(now_ms, GONE_KEPT_S)),
    ]);
    (Key::gone(owner, record), item)
}

impl Table {
    /// Owes a delivery. What was owed for the same record before is replaced, but for the time of its first failure.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn owe(&self, id: &DestinationId, shard: u32, owed: &Owed) -> Result<(), TableError> {
        let key = Key::owed(id, shard, &subject(&owed.changed));
        // Only the shard's own group writes here, so nobody writes in between.
        let known = self.owed_for(id, shard, &owed.changed).await?;
        let mut owed = owed.clone();
        if let Some(known) = known {
            owed.first_failed_at_ms = owed.first_failed_at_ms.min(known.first_failed_at_ms);
            owed.force |= known.force;
            owed.changed = owed.changed.remembering(&known.changed);
        }
        let mut item = encode(&owed);
        item.insert(
            TIME_PK.to_owned(),
            AttributeValue::S(Key::owed_pk(id, shard)),
        );
        item.insert(TIME_SK.to_owned(), at(owed.due_at_ms));
        self.put(&key, item, "owe").await
    }

    /// Owed deliveries of a shard that are due, the longest due first, at most `limit`.
    ///
    /// The index says which there are, the items say what they are.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn owed_due(
        &self,
        id: &DestinationId,
        shard: u32,
        now_ms: i64,
        limit: usize,
    ) -> Result<Vec<Owed>, TableError> {
        let pk = Key::owed_pk(id, shard);
        let found = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .key_condition_expression("time_pk = :pk AND time_sk <= :now")
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":now", at(now_ms))
            .projection_expression("pk, sk")
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).max(1))
            .send()
            .await
            .map_err(TableError::unavailable("query", "owed deliveries"))?;
        let keys: Vec<_> = found
            .items
            .unwrap_or_default()
            .iter()
            .filter_map(Key::of_item)
            .collect();
        let mut items = self.batch_get(keys.iter().cloned()).await?;
        let mut due = Vec::new();
        for key in keys {
            if let Some(item) = items.remove(&key) {
                let owed: Owed = decode(&key, item)?;
                if owed.due_at_ms <= now_ms {
                    due.push(owed);
                }
            }
        }
        Ok(due)
    }

    /// Owed deliveries of a shard in the order of their names, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn owed(
        &self,
        id: &DestinationId,
        shard: u32,
        limit: usize,
    ) -> Result<Vec<Owed>, TableError> {
        self.some_of(&Key::owed_pk(id, shard), None, limit, true)
            .await
    }

    /// Deliveries of one owner's records or row that are owed to a shard.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn owed_of(
        &self,
        id: &DestinationId,
        shard: u32,
        subjects: Subjects<'_>,
    ) -> Result<Vec<Owed>, TableError> {
        let key = Key::owed(id, shard, &beginning(subjects));
        self.states(key.pk(), key.sk()).await
    }

    /// Webhooks that are owed to a shard, in the order in which they came, behind one of them, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn owed_webhooks(
        &self,
        id: &DestinationId,
        shard: u32,
        after: Option<&Changed>,
        limit: usize,
    ) -> Result<Vec<Owed>, TableError> {
        let named = |name: &str| Key::owed(id, shard, name);
        self.webhooks_behind(named, after, limit).await
    }

    /// Webhooks that a destination refused for good, likewise.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn failed_webhooks(
        &self,
        id: &DestinationId,
        after: Option<&Changed>,
        limit: usize,
    ) -> Result<Vec<Owed>, TableError> {
        let named = |name: &str| Key::failed(id, name);
        self.webhooks_behind(named, after, limit).await
    }

    async fn webhooks_behind(
        &self,
        named: impl Fn(&str) -> Key,
        after: Option<&Changed>,
        limit: usize,
    ) -> Result<Vec<Owed>, TableError> {
        let name = after.map_or_else(|| WEBHOOK.to_owned(), subject);
        // A blank comes before every other character of a name, `~` behind those of a time.
        let (after, last) = (named(&format!("{name} ")), named(&format!("{WEBHOOK}~")));
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :after AND :last")
            .expression_attribute_values(":pk", text(last.pk()))
            .expression_attribute_values(":after", text(after.sk()))
            .expression_attribute_values(":last", text(last.sk()));
        decoded(first_items(query, limit, "deliveries").await?)
    }

    /// Delivery that is owed for a record.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn owed_for(
        &self,
        id: &DestinationId,
        shard: u32,
        changed: &Changed,
    ) -> Result<Option<Owed>, TableError> {
        let key = Key::owed(id, shard, &subject(changed));
        let item = self.get(&key).await?;
        item.map(|item| decode(&key, item)).transpose()
    }

    /// Clears what is owed for a record.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn settle_owed(
        &self,
        id: &DestinationId,
        shard: u32,
        changed: &Changed,
    ) -> Result<(), TableError> {
        self.delete(&Key::owed(id, shard, &subject(changed))).await
    }

    /// Keeps a delivery that a destination refused for good, until it is redriven.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn fail(&self, id: &DestinationId, failed: &Owed) -> Result<(), TableError> {
        let key = Key::failed(id, &subject(&failed.changed));
        self.put(&key, encode(failed), "fail").await
    }

    /// Deliveries that a destination refused for good, in the order of their places, behind one of those, at most
    /// `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn failed(
        &self,
        id: &DestinationId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Owed>, TableError> {
        self.some_of(&Key::failed_pk(id), after, limit, true).await
    }

    /// Deliveries of one owner's records or row that a destination refused for good.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn failed_of(
        &self,
        id: &DestinationId,
        subjects: Subjects<'_>,
    ) -> Result<Vec<Owed>, TableError> {
        let key = Key::failed(id, &beginning(subjects));
        self.states(key.pk(), key.sk()).await
    }

    /// Takes a delivery off the list of those refused for good.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn settle_failed(
        &self,
        id: &DestinationId,
        changed: &Changed,
    ) -> Result<(), TableError> {
        self.delete(&Key::failed(id, &subject(changed))).await
    }

    /// Owes again what a destination refused for good, and takes it off that list.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn owe_failed(
        &self,
        destination: &Destination,
        failed: &[Owed],
        now_ms: i64,
    ) -> Result<(), TableError> {
        let id = &destination.id;
        for failed in failed {
            let shard = shard_of(&failed.changed.owner(), destination.concurrency);
            let owed = Owed {
                refusals: 0,
                due_at_ms: now_ms,
                ..failed.clone()
            };
            // Before the item: whoever drains looks at this first.
            let change = |health: &mut Health| {
                health.owing.entry(shard).or_insert(now_ms);
            };
            self.change_health(id, change).await?;
            self.owe(id, shard, &owed).await?;
            self.settle_failed(id, &failed.changed).await?;
        }
        Ok(())
    }

    /// Notes an attempt.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn note_attempt(
        &self,
        id: &DestinationId,
        attempt: &Attempt,
    ) -> Result<(), TableError> {
        let day = attempt.time().strftime("%Y-%m-%d").to_string();
        let key = Key::attempt(id, &day, &attempt.place());
        let mut item = encode(attempt);
        item.insert(
            EXPIRES_AT.to_owned(),
            expires(attempt.at_ms, ATTEMPTS_KEPT_S),
        );
        self.put(&key, item, "note").await
    }

    /// Attempts of one day of UTC (`YYYY-MM-DD`), newest first, before the place of one of them, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Table::owe`].
    pub async fn attempts(
        &self,
        id: &DestinationId,
        day: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Attempt>, TableError> {
        self.some_of(&Key::attempts_pk(id, day), before, limit, false)
            .await
    }

    async fn some_of<T: serde::de::DeserializeOwned>(
        &self,
        pk: &str,
        behind: Option<&str>,
        limit: usize,
        forward: bool,
    ) -> Result<Vec<T>, TableError> {
        let condition = match (behind, forward) {
            (None, _) => "pk = :pk",
            (Some(_), true) => "pk = :pk AND sk > :behind",
            (Some(_), false) => "pk = :pk AND sk < :behind",
        };
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(condition)
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .scan_index_forward(forward);
        if let Some(behind) = behind {
            let behind = AttributeValue::S(behind.to_owned());
            query = query.expression_attribute_values(":behind", behind);
        }
        decoded(first_items(query, limit, "deliveries").await?)
    }

    /// Notes that a record is about to be deleted under its owner, so that destinations are told even
    /// if whoever deletes it dies. Should the record be there all the same, telling does no harm.
    pub(super) async fn note_gone(
        &self,
        owner: &RecordOwner,
        record: &Key,
        seen: u64,
    ) -> Result<(), TableError> {
        let (key, item) = gone_note(owner, record, seen);
        self.put(&key, item, "note").await
    }

    /// The same as a part of the transaction that deletes the record.
    pub(super) fn transact_gone(
        &self,
        owner: &RecordOwner,
        record: &Key,
        seen: u64,
    ) -> Result<TransactWriteItem, TableError> {
        let (key, mut item) = gone_note(owner, record, seen);
        item.extend(key.attributes());
        let put = Put::builder().table_name(&self.name).set_item(Some(item));
        let put = put.build().map_err(TableError::unavailable("note", &key))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Deletions under an owner that destinations have not been told of.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when a note
    /// cannot be read.
    pub async fn gone(&self, owner: &RecordOwner) -> Result<Vec<Changed>, TableError> {
        let mut all = Vec::new();
        for item in self.query(&Key::gone_pk(owner), "").await? {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            let revision = item.get(GONE_AT).and_then(|at| at.as_n().ok());
            let revision = revision.and_then(|text| text.parse().ok());
            let gone = Some(revision.ok_or_else(|| TableError::Corrupt {
                key: key.clone(),
                field: GONE_AT,
            })?);
            match (key.as_record(), owner) {
                (Some((data_type, natural)), _) => all.push(Changed::Record {
                    owner: owner.clone(),
                    data_type,
                    key: natural.to_string(),
                    gone,
                    heir: None,
                }),
                (None, RecordOwner::Connection(id)) => all.push(Changed::Connection {
                    id: id.clone(),
                    gone,
                }),
                (None, RecordOwner::Person(_)) => {}
            }
        }
        Ok(all)
    }

    /// Takes away the note of a deletion, after destinations have been told. One of a later deletion stays.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn settle_gone(&self, changed: &Changed) -> Result<(), TableError> {
        let Some(gone) = changed.gone() else {
            return Ok(());
        };
        let owner = changed.owner();
        let subject = match changed {
            Changed::Record { data_type, key, .. } => {
                let natural = key
                    .parse()
                    .unwrap_or_else(|never: Infallible| match never {});
                Key::record(&owner, *data_type, &natural)
            }
            Changed::Connection { id, .. } => Key::connection(id),
            Changed::Webhook { .. } => return Ok(()),
        };
        let condition = Condition {
            expression: "gone_at = :told",
            values: Some(HashMap::from([(
                ":told".to_owned(),
                AttributeValue::N(gone.to_string()),
            )])),
        };
        self.delete_on(&Key::gone(&owner, &subject), condition)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use models::ids::{ReferenceId, TerraUserId, WebhookId};

    use super::*;

    #[test]
    fn a_subject_is_the_record_and_names_no_person() {
        let ann = RecordOwner::Person(ReferenceId::new("ann@example.org"));
        let changed = |gone| Changed::Record {
            owner: ann.clone(),
            data_type: DataType::LabReport,
            key: "report-1".to_owned(),
            gone,
            heir: None,
        };
        let name = subject(&changed(None));
        assert_eq!(name, subject(&changed(Some(7))));
        assert!(name.starts_with("lab_report#person_") && !name.contains("ann"));
        let user = TerraUserId::new("u").unwrap();
        let connection = domain::connection::ConnectionId::of(&user);
        let row = Changed::Connection {
            id: connection.clone(),
            gone: None,
        };
        assert_eq!(subject(&row), format!("connection#{connection}"));
        let webhook = Changed::Webhook {
            owner: RecordOwner::Connection(connection),
            webhook_id: WebhookId::new("w-1").unwrap(),
            event_type: "daily".to_owned(),
            locator: "archive/2026/01/01/a.zst@0+1".parse().unwrap(),
            reference: None,
            received_at_ms: 5,
            ordering_ts_ms: 5,
        };
        assert_eq!(subject(&webhook), "WEBHOOK#000000000000005#w-1");
    }
}
