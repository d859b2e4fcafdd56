//! Owners of records and of policies.

use std::fmt;

use models::ids::{ReferenceId, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::connection::ConnectionId;

/// Owner of a record: a connection, or a person for lab reports.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordOwner {
    /// A connection.
    Connection(ConnectionId),
    /// A person; absent when the lab report names none.
    Person(Option<ReferenceId>),
}

impl RecordOwner {
    /// Beginning of the name of a person; names of connections are hexadecimal.
    pub const PERSON: &str = "person_";

    /// Name where others see it: the id of a connection, or a hash of a person's, because a reference id can be an
    /// e-mail address or too long for a key. At most 39 characters of `a-z`, `0-9` and `_`.
    pub fn name(&self) -> String {
        match self {
            Self::Connection(id) => id.to_string(),
            Self::Person(reference_id) => {
                let mut hash = Sha256::new();
                hash.update(b"terrarium person\0");
                hash.update(reference_id.as_ref().map_or("", ReferenceId::as_str));
                let mut digits = hex(&hash.finalize());
                digits.truncate(32);
                format!("{}{digits}", Self::PERSON)
            }
        }
    }
}

/// Shows no reference id, which may be an e-mail address.
impl fmt::Debug for RecordOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(id) => write!(f, "Connection({id})"),
            Self::Person(_) => f.write_str("Person(…)"),
        }
    }
}

/// Owner of a source policy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PolicyOwner {
    /// The app, for all people.
    App,
    /// One person.
    Person(ReferenceId),
}

/// Shows no reference id either.
impl fmt::Debug for PolicyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "App",
            Self::Person(_) => "Person(…)",
        })
    }
}
