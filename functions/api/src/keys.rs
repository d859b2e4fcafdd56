//! Keys of callers: made, found and remembered for a while.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::access::{ApiKey, KeyId, Scope, secret_hash};
use secrecy::SecretString;
use store::table::{Table, TableError};

/// Time for which a key is remembered, and so within which a revocation works. Unit: milliseconds.
const REMEMBERED_MS: i64 = 60_000;
/// Keys that are remembered at once.
const MAX_REMEMBERED: usize = 256;

/// A key with its secret, which is shown once.
#[derive(Debug)]
pub struct NewKey {
    /// The key as it is kept.
    pub key: ApiKey,
    /// The whole key as callers send it.
    pub whole: SecretString,
}

impl NewKey {
    /// Makes a key of fresh random bytes.
    pub fn make(
        name: &str,
        scopes: BTreeSet<Scope>,
        created_by: &str,
        expires_at_ms: Option<i64>,
        now_ms: i64,
    ) -> Self {
        let id = KeyId::of_random(rand::random());
        Self::with_id(id, name, scopes, created_by, expires_at_ms, now_ms)
    }

    /// Makes a key under an id.
    pub(crate) fn with_id(
        id: KeyId,
        name: &str,
        scopes: BTreeSet<Scope>,
        created_by: &str,
        expires_at_ms: Option<i64>,
        now_ms: i64,
    ) -> Self {
        let secret = new_secret();
        let key = ApiKey {
            name: name.to_owned(),
            scopes,
            secret_sha256: secret_hash(&secret),
            former: None,
            rotated_at_ms: None,
            created_at_ms: now_ms,
            created_by: created_by.to_owned(),
            expires_at_ms,
            revoked_at_ms: None,
            last_used: None,
            id,
        };
        let whole = SecretString::from(format!("{}_{secret}", key.id));
        Self { key, whole }
    }
}

/// Makes the secret of a key.
pub fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Keys that were read within the last minute, also those that are not there.
#[derive(Debug, Default)]
pub struct KeyCache(Mutex<HashMap<KeyId, Remembered>>);

#[derive(Debug, Clone)]
struct Remembered {
    key: Option<ApiKey>,
    at_ms: i64,
}

impl KeyCache {
    /// Returns a key that is neither revoked nor expired.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`].
    pub(crate) async fn key(
        &self,
        table: &Table,
        id: &KeyId,
        now_ms: i64,
    ) -> Result<Option<ApiKey>, TableError> {
        let known = self.lock().get(id).cloned();
        let fresh = known.filter(|known| now_ms < known.at_ms.saturating_add(REMEMBERED_MS));
        let key = if let Some(known) = fresh {
            known.key
        } else {
            let key = table.api_key(id).await?;
            self.remember(id, key.clone(), now_ms);
            key
        };
        Ok(key.filter(|key| key.is_alive(now_ms)))
    }

    /// Returns the key of a caller, `tk_<id>_<secret>`. An unknown id and a wrong secret take the same way.
    ///
    /// # Errors
    ///
    /// Those of [`Table::api_key`].
    pub(crate) async fn verify(
        &self,
        table: &Table,
        whole: &str,
        now_ms: i64,
    ) -> Result<Option<ApiKey>, TableError> {
        let Some((id, secret)) = KeyId::split(whole) else {
            return Ok(None);
        };
        let Some(key) = self.key(table, &id, now_ms).await? else {
            // As much work as for a key that is there.
            drop(secret_hash(secret));
            return Ok(None);
        };
        Ok(key.has_secret(secret, now_ms).then_some(key))
    }

    /// Forgets a key that was changed here.
    pub(crate) fn forget(&self, id: &KeyId) {
        self.lock().remove(id);
    }

    /// Notes that a key was used on a day, once a day and environment.
    pub(crate) async fn note_use(&self, table: &Table, key: &ApiKey, now: jiff::Timestamp) {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        if key.last_used == Some(today) {
            return;
        }
        let changed = table.change_api_key(&key.id, |key| key.last_used = Some(today));
        // The day of a key's last use is a help for people: no call fails by it.
        if let Ok(Some(key)) = changed.await {
            self.remember(&key.id.clone(), Some(key), now.as_millisecond());
        }
    }

    fn remember(&self, id: &KeyId, key: Option<ApiKey>, at_ms: i64) {
        let mut keys = self.lock();
        if keys.len() >= MAX_REMEMBERED {
            keys.retain(|_, known| at_ms < known.at_ms.saturating_add(REMEMBERED_MS));
        }
        if keys.len() >= MAX_REMEMBERED {
            keys.clear();
        }
        keys.insert(id.clone(), Remembered { key, at_ms });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
