//! Keys of access: to the API, to the console, and the audit of both.

use domain::access::KeyId;

use super::{Key, SESSION};

impl Key {
    /// A key of the API.
    pub(crate) fn api_key(id: &KeyId) -> Self {
        let (pk, prefix) = Self::api_keys();
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All keys of the API: their partition, and the prefix of the sort keys.
    pub(crate) fn api_keys() -> (String, String) {
        ("KEYS".to_owned(), "KEY#".to_owned())
    }

    /// Result of a call that the caller may repeat. `hash` is that of the caller's own text.
    pub(crate) fn idempotency(caller: &str, hash: &str) -> Self {
        Self {
            pk: Self::calls_of(caller),
            sk: hash.to_owned(),
        }
    }

    /// End of the tokens of a person, by the hash of their reference id.
    pub(crate) fn tokens_of(hash: &str) -> Self {
        Self {
            pk: format!("TOKENS#{hash}"),
            sk: "ENDED".to_owned(),
        }
    }

    /// Partition of the calls of one caller.
    pub(crate) fn calls_of(caller: &str) -> String {
        format!("IDEMPOTENCY#{caller}")
    }

    /// A sign-in link of the console, by the hash of its token.
    pub(crate) fn sign_in(hash: &str) -> Self {
        Self {
            pk: format!("LOGIN#{hash}"),
            sk: "LOGIN".to_owned(),
        }
    }

    /// A session of the console, by the hash of its token.
    pub(crate) fn console_session(hash: &str) -> Self {
        let (pk, prefix) = Self::console_sessions();
        Self {
            pk: pk.to_owned(),
            sk: format!("{prefix}{hash}"),
        }
    }

    /// All sessions of the console: their partition, and the prefix of the sort keys.
    pub(crate) fn console_sessions() -> (&'static str, &'static str) {
        ("SESSIONS", SESSION)
    }

    /// Reads back the hash of the token of a session of the console.
    pub(crate) fn as_console_session(&self) -> Option<&str> {
        self.sk.strip_prefix(SESSION)
    }

    /// Partition of one shard of one day (`YYYY-MM-DD`) of the audit.
    pub(crate) fn audit_pk(day: &str, shard: u8) -> String {
        format!("AUDIT#{day}#{shard}")
    }

    /// Partition in [`BY_TIME`](super::BY_TIME) of the lines of the audit that name an id, by its hash.
    pub(crate) fn audit_naming(hash: &str) -> String {
        format!("AUDIT_OF#{hash}")
    }

    /// A line of the audit.
    pub(crate) fn audit(day: &str, shard: u8, place: &str) -> Self {
        Self {
            pk: Self::audit_pk(day, shard),
            sk: place.to_owned(),
        }
    }
}
