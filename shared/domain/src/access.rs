//! Keys of the API: who may do what.

use std::{collections::BTreeSet, fmt};

use jiff::civil::Date;
use models::ids::hex;
use serde::{Deserialize, Serialize, de};
use sha2::{Digest as _, Sha256};

use crate::word::words;

/// Beginning of every key.
const KEY_PREFIX: &str = "tk_";
/// Characters of a key's id behind the prefix.
const ID_CHARS: usize = 12;
/// Longest life of a token for one person. Unit: seconds.
pub const MAX_TOKEN_S: i64 = 3600;
/// Longest time for which a rotated key's old secret stays valid. Unit: seconds.
pub const MAX_GRACE_S: i64 = 7 * 86_400;

words! {
    /// Permission of a key.
    Scope {
        /// Reads people, their connections and their health values.
        PeopleRead = "people:read",
        /// Makes and ends connections.
        PeopleConnect = "people:connect",
        /// Makes tokens for one person.
        PeopleToken = "people:token",
        /// Exports a person's data.
        PeopleExport = "people:export",
        /// Erases a person.
        PeopleErase = "people:erase",
        /// Reads the log, coverage and findings: no values and no bodies.
        OperationsRead = "operations:read",
        /// Replays, fetches history and changes destinations.
        OperationsWrite = "operations:write",
        /// Changes which source is preferred.
        PolicyWrite = "policy:write",
        /// Makes and revokes keys, and reads the audit.
        KeysWrite = "keys:write",
    }
}

words! {
    /// Permission of a token for one person.
    TokenScope {
        /// Reads the person's data.
        Read = "read",
        /// Makes connections of the person.
        Connect = "connect",
        /// Exports the person's data.
        Export = "export",
        /// Changes which source is preferred for the person.
        Policy = "policy",
    }
}

/// Public part of a key, which names it: `tk_` and 12 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// Takes `tk_` and twelve lower-case letters or digits.
    pub fn new(text: &str) -> Option<Self> {
        let id = text.strip_prefix(KEY_PREFIX)?;
        let sound = id.len() == ID_CHARS
            && id
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        sound.then(|| Self(text.to_owned()))
    }

    /// Makes an id of random bytes, five bits a character.
    pub fn of_random(random: [u8; ID_CHARS]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let chars = random.iter().map(|byte| {
            let letter = ALPHABET.get(usize::from(byte & 31));
            char::from(letter.copied().unwrap_or(b'a'))
        });
        Self(format!("{KEY_PREFIX}{}", chars.collect::<String>()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Splits a whole key, `tk_<id>_<secret>`.
    pub fn split(key: &str) -> Option<(Self, &str)> {
        let end = KEY_PREFIX.len() + ID_CHARS;
        let (id, secret) = key.split_at_checked(end)?;
        let secret = secret.strip_prefix('_').filter(|it| !it.is_empty())?;
        Some((Self::new(id)?, secret))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| de::Error::custom("not the id of a key"))
    }
}

/// A key of the API, as it is kept: with the hash of its secret only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Id of the key.
    pub id: KeyId,
    /// Name that people gave it.
    pub name: String,
    /// Permissions of the key.
    pub scopes: BTreeSet<Scope>,
    /// SHA-256 of the secret. 256 random bits need no slow hash.
    pub secret_sha256: String,
    /// Secret before the last rotation, while it is still valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<FormerSecret>,
    /// Unit: Unix milliseconds.
    pub created_at_ms: i64,
    /// Maker of the key.
    pub created_by: String,
    /// Unit: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
    /// Unit: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<i64>,
    /// Time of the last rotation. Unit: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<i64>,
    /// Last day on which it was used, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Date>,
}

/// Secret that a rotation replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerSecret {
    /// SHA-256 of it.
    pub sha256: String,
    /// End of its validity. Unit: Unix milliseconds.
    pub until_ms: i64,
}

impl ApiKey {
    /// Returns whether the key is neither revoked nor expired.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|expires| now_ms < expires)
    }

    /// Returns whether this is a secret of the key. Takes the same time for every wrong one.
    pub fn has_secret(&self, secret: &str, now_ms: i64) -> bool {
        let given = secret_hash(secret);
        let current = same(&given, &self.secret_sha256);
        let former = self.former.as_ref().is_some_and(|former| {
            // Compared before the time is, so that both take the same way.
            let right = same(&given, &former.sha256);
            right && now_ms < former.until_ms
        });
        current || former
    }

    /// Replaces the secret. The old one stays valid for a while, at most [`MAX_GRACE_S`]. The same rotation, which is
    /// known by its time, may be repeated: then nobody has seen its first secret.
    pub fn rotate(&mut self, secret: &str, grace_s: i64, now_ms: i64) {
        let until_ms = now_ms.saturating_add(grace_s.clamp(0, MAX_GRACE_S) * 1000);
        let old = std::mem::replace(&mut self.secret_sha256, secret_hash(secret));
        if self.rotated_at_ms.replace(now_ms) == Some(now_ms) {
            return;
        }
        self.former = (until_ms > now_ms).then_some(FormerSecret {
            sha256: old,
            until_ms,
        });
    }
}

/// The hash of a secret, as it is kept.
pub fn secret_hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

/// Compares two texts in the same time, wherever they differ.
pub fn same(one: &str, other: &str) -> bool {
    let differences = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey {
            id: KeyId::of_random([3; 12]),
            name: "server".to_owned(),
            scopes: BTreeSet::from([Scope::PeopleRead]),
            secret_sha256: secret_hash("first"),
            former: None,
            rotated_at_ms: None,
            created_at_ms: 0,
            created_by: "operator".to_owned(),
            expires_at_ms: Some(10_000),
            revoked_at_ms: None,
            last_used: None,
        }
    }

    #[test]
    fn a_key_is_split_at_its_id_and_a_secret_may_hold_anything() {
        let (id, secret) = KeyId::split("tk_q3v7m2x4c5ka_a_b-c").unwrap();
        assert_eq!((id.as_str(), secret), ("tk_q3v7m2x4c5ka", "a_b-c"));
        for wrong in [
            "",
            "tk_",
            "tk_q3v7m2x4c5ka",
            "tk_q3v7m2x4c5ka_",
            "tk_Q3v7m2x4c5ka_x",
            "é",
        ] {
            assert_eq!(KeyId::split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn after_a_rotation_the_old_secret_is_valid_for_the_grace_and_no_longer() {
        let mut key = key();
        key.rotate("second", 2, 1000);
        assert!(key.has_secret("second", 1000) && key.has_secret("first", 2999));
        assert!(!key.has_secret("first", 3000) && !key.has_secret("third", 1000));
        key.rotate("third", 0, 1001);
        assert!(!key.has_secret("second", 1001) && key.has_secret("third", 1001));
    }

    #[test]
    fn a_rotation_that_is_repeated_leaves_the_secret_before_it_valid() {
        let mut key = key();
        key.rotate("lost", 2, 1000);
        key.rotate("second", 2, 1000);
        assert!(key.has_secret("first", 2999) && key.has_secret("second", 2999));
        assert!(!key.has_secret("lost", 1000) && !key.has_secret("first", 3000));
    }

    #[test]
    fn a_key_ends_when_it_expires_or_is_revoked() {
        let mut key = key();
        assert!(key.is_alive(9_999) && !key.is_alive(10_000));
        key.revoked_at_ms = Some(5);
        assert!(!key.is_alive(6));
    }

    #[test]
    fn every_scope_reads_back_and_others_are_told_what_there_is() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        let unknown = "people:all".parse::<Scope>().unwrap_err();
        assert!(unknown.to_string().contains("people:read"));
    }
}
