//! Items of the API itself: keys, results of calls that may be repeated, the audit.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::access::{ApiKey, KeyId, MAX_TOKEN_S};
use futures::future::BoxFuture;
use models::ids::{ReferenceId, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    Freshness, Table, TableError,
    attribute::Item,
    destinations::{decode, encode},
    first_items,
    key::{DAY_SHARDS, Key, TIME_PK, TIME_SK},
    ledger::{expire, moment},
    shards,
};

/// Time for which the result of a call is kept. Unit: seconds.
const RESULT_KEPT_S: i64 = 86_400;
/// Time for which a line of the audit is kept. Unit: seconds.
const AUDIT_KEPT_S: i64 = 400 * 86_400;

/// Result of a call that its caller may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCall {
    /// Hash of everything that the caller asked for.
    pub request_sha256: String,
    /// Time of the call, the first one where it was repeated. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// Time from which a repetition runs the call again, while it has no answer. Unit: Unix milliseconds.
    #[serde(default)]
    pub free_at_ms: i64,
    /// Hashes of the ids of people that the caller named: see [`hashed`].
    #[serde(default)]
    pub about: BTreeSet<String>,
    /// The answer; absent while the call runs.
    pub answer: Option<KeptAnswer>,
}

/// Answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Status of the answer.
    pub status: u16,
    /// Its body; absent where it holds a secret.
    pub body: Option<String>,
}

/// Note that the tokens of a person are over.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct EndedTokens {
    /// Unit: Unix milliseconds.
    ended_at_ms: i64,
}

/// Hashes an id, so that what is about it is found by it and does not show it.
pub fn hashed(id: &str) -> String {
    hex(&Sha256::digest(id))
}

/// Caller under whom the calls of a token for one person are kept.
pub fn caller_of_token(key: &KeyId, person: &ReferenceId) -> String {
    format!("{key}#{}", hashed(person.as_str()))
}

/// Caller under whom the exports of a person are counted.
pub fn caller_of_exports(person: &ReferenceId) -> String {
    format!("export#{}", hashed(person.as_str()))
}

/// A line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Time of the call. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// Caller: a key, a console session or an operator.
    pub actor: String,
    /// Method and route, without what stood in the path.
    pub action: String,
    /// Reference id of the person concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Object concerned, where it is no person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Id of the request.
    pub request_id: String,
    /// Number of the line within its request, from 0.
    #[serde(default)]
    pub number: u32,
    /// Status of the answer.
    pub status: u16,
}

impl Table {
    /// Returns a key of the API, as it was a moment ago.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn api_key(&self, id: &KeyId) -> Result<Option<ApiKey>, TableError> {
        let key = Key::api_key(id);
        let item = self.get_as(&key, Freshness::Lately).await?;
        item.map(|item| decode(&key, item)).transpose()
    }

    /// Returns all keys of the API.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`].
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, TableError> {
        let (pk, prefix) = Key::api_keys();
        self.states(&pk, &prefix).await
    }

    /// Keeps a new key. Returns `false` when there is one with this id.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn add_api_key(&self, key: &ApiKey) -> Result<bool, TableError> {
        self.put_if(&Key::api_key(&key.id), encode(key), None).await
    }

    /// Changes a key. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`], and [`TableError::Contended`] when others keep writing it.
    pub fn change_api_key<'a>(
        &'a self,
        id: &'a KeyId,
        change: impl Fn(&mut ApiKey) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Option<ApiKey>, TableError>> {
        self.change_known(Key::api_key(id), change)
    }

    /// Ends all tokens of a person that were made until now. The note is kept for as long as such a token could live.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn end_tokens(&self, person: &ReferenceId, now_ms: i64) -> Result<(), TableError> {
        let mut item = encode(&EndedTokens {
            ended_at_ms: now_ms,
        });
        expire(&mut item, now_ms, MAX_TOKEN_S);
        let key = Key::tokens_of(&hashed(person.as_str()));
        self.put(&key, item, "write").await
    }

    /// Time until which tokens of a person were ended, where that was lately. Unit: Unix milliseconds.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`].
    pub async fn tokens_ended(&self, person: &ReferenceId) -> Result<Option<i64>, TableError> {
        let key = Key::tokens_of(&hashed(person.as_str()));
        let item = self.get_as(&key, Freshness::Lately).await?;
        let ended = item.map(|item| decode::<EndedTokens>(&key, item));
        Ok(ended.transpose()?.map(|ended| ended.ended_at_ms))
    }

    /// Claims a call under the caller's own text. Returns what is kept under it already.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`].
    pub async fn claim_call(
        &self,
        caller: &str,
        hash: &str,
        call: &KeptCall,
    ) -> Result<Option<KeptCall>, TableError> {
        let key = Key::idempotency(caller, hash);
        if let Some(kept) = self.state_of::<KeptCall>(&key).await? {
            let expired = call.at_ms >= kept.state.at_ms.saturating_add(RESULT_KEPT_S * 1000);
            if !expired {
                return Ok(Some(kept.state));
            }
            self.delete_if(&key, kept.revision).await?;
        }
        if self.put_if(&key, kept_item(call), None).await? {
            return Ok(None);
        }
        Ok(self
            .state_of::<KeptCall>(&key)
            .await?
            .map(|kept| kept.state))
    }

    /// Keeps the answer of a call, or who runs it now.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn keep_call(
        &self,
        caller: &str,
        hash: &str,
        call: &KeptCall,
    ) -> Result<(), TableError> {
        let key = Key::idempotency(caller, hash);
        let item = super::stamped(&key, kept_item(call), None);
        self.put(&key, item, "write").await
    }

    /// Forgets a call that had no effect, so that it may be tried again.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn forget_call(&self, caller: &str, hash: &str) -> Result<(), TableError> {
        self.delete(&Key::idempotency(caller, hash)).await
    }

    /// Writes a line of the audit.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn audit(&self, line: &AuditLine) -> Result<(), TableError> {
        let time = moment(line.at_ms);
        let day = time.get(..10).unwrap_or_default();
        let hash = xxhash_rust::xxh3::xxh3_64(line.request_id.as_bytes());
        let shard = u8::try_from(hash % u64::from(DAY_SHARDS)).unwrap_or_default();
        let key = Key::audit(day, shard, &line.place());
        let mut item = encode(line);
        expire(&mut item, line.at_ms, AUDIT_KEPT_S);
        // An erasure finds it by this.
        if let Some(named) = line.named() {
            let partition = Key::audit_naming(&hashed(named));
            item.insert(TIME_PK.to_owned(), AttributeValue::S(partition));
            item.insert(TIME_SK.to_owned(), AttributeValue::S(line.place()));
        }
        self.put(&key, item, "audit").await
    }

    /// The audit of a day (`YYYY-MM-DD`, UTC), newest first, before `before` if that is given, at most
    /// `limit` lines.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`].
    pub async fn audit_of_day(
        &self,
        day: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AuditLine>, TableError> {
        // Times begin with a digit, so all of them come before the tilde.
        let before = before.unwrap_or("~");
        let read = |shard, before: String, most| -> BoxFuture<'_, _> {
            Box::pin(async move { self.audit_of_shard(day, shard, &before, most).await })
        };
        shards::newest(before, limit, AuditLine::place, read).await
    }

    async fn audit_of_shard(
        &self,
        day: &str,
        shard: u8,
        before: &str,
        limit: usize,
    ) -> Result<Vec<AuditLine>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk < :before")
            .expression_attribute_values(":pk", AttributeValue::S(Key::audit_pk(day, shard)))
            .expression_attribute_values(":before", AttributeValue::S(before.to_owned()))
            .scan_index_forward(false);
        let items = first_items(query, limit, "the audit").await?;
        let lines = items.into_iter().filter_map(|item| {
            let key = Key::of_item(&item)?;
            Some(decode(&key, item))
        });
        lines.collect()
    }
}

impl AuditLine {
    /// Place of the line in its day, which no other line has. An erasure that takes a name out of the line keeps it.
    pub fn place(&self) -> String {
        let place = format!("{}#{}", moment(self.at_ms), self.request_id);
        match self.number {
            0 => place,
            number => format!("{place}#{number:03}"),
        }
    }

    /// The person concerned, or the first id of the subject.
    fn named(&self) -> Option<&str> {
        let subject = self.subject.as_deref();
        let first = subject.and_then(|subject| subject.split('/').next());
        self.person.as_deref().or(first).filter(|id| !id.is_empty())
    }
}

fn kept_item(call: &KeptCall) -> Item {
    let mut item = encode(call);
    expire(&mut item, call.at_ms, RESULT_KEPT_S);
    item
}
