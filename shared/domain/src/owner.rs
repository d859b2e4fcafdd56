//! Owners of records and of policies.

use std::fmt;

use models::ids::ReferenceId;
use serde::{Deserialize, Serialize};

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
