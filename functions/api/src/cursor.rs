//! Cursors: the place to go on at, bound to one query. A cursor is no permission.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use models::ids::hex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

/// Version of the form of cursors.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Cursor<P> {
    v: u8,
    q: String,
    p: P,
}

/// Reason why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is no cursor.
    Unreadable,
    /// It belongs to another query.
    OtherQuery,
}

/// A short name of a query.
pub(crate) fn query_hash<'a>(
    path: &str,
    parameters: impl Iterator<Item = (&'a String, &'a String)>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(path);
    for (name, value) in parameters {
        for part in [name, value] {
            hash.update([0]);
            hash.update(part);
        }
    }
    let mut text = hex(&hash.finalize());
    text.truncate(16);
    text
}

/// Writes a cursor.
pub(crate) fn encode<P: Serialize>(query_hash: &str, position: &P) -> String {
    let cursor = Cursor {
        v: VERSION,
        q: query_hash.to_owned(),
        p: position,
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
}

/// Reads a cursor of this query.
pub(crate) fn decode<P: DeserializeOwned>(query_hash: &str, text: &str) -> Result<P, Unusable> {
    let json = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Unusable::Unreadable)?;
    let cursor: Cursor<serde_json::Value> =
        serde_json::from_slice(&json).map_err(|_| Unusable::Unreadable)?;
    if cursor.v != VERSION || cursor.q != query_hash {
        return Err(Unusable::OtherQuery);
    }
    serde_json::from_value(cursor.p).map_err(|_| Unusable::Unreadable)
}
