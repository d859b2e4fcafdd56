//! Our own ids of connections.

use std::{fmt, str::FromStr};

use models::ids::{TerraUserId, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Our own id of a connection: 32 hexadecimal digits. Says nothing about the person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionId(String);

/// The text is not a connection id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection id is 32 hexadecimal digits")]
pub struct InvalidConnectionId;

impl ConnectionId {
    /// The id of the connection whose oldest Terra user id is `root`.
    pub fn of(root: &TerraUserId) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"terrarium connection\0");
        hash.update(root.as_str());
        let mut text = hex(&hash.finalize());
        text.truncate(32);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionId> {
        let sound = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or(InvalidConnectionId)
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = InvalidConnectionId;

    fn try_from(text: String) -> Result<Self, InvalidConnectionId> {
        text.parse()
    }
}

impl From<ConnectionId> for String {
    fn from(id: ConnectionId) -> Self {
        id.0
    }
}
