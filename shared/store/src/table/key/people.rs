//! Keys of connections, of people and of source policies.

use domain::{connection::ConnectionId, owner::PolicyOwner};
use models::ids::{ReferenceId, TerraUserId};

use super::Key;

/// Beginning of the keys of connections.
const CONNECTION: &str = "CONNECTION#";
/// Beginning of the keys of source policies.
const SOURCE_POLICY: &str = "SOURCE_POLICY#";

pub(super) fn person_pk(reference_id: Option<&ReferenceId>) -> String {
    format!("PERSON#{}", reference_id.map_or("", ReferenceId::as_str))
}

impl Key {
    /// A connection.
    pub fn connection(id: &ConnectionId) -> Self {
        Self {
            pk: format!("{CONNECTION}{id}"),
            sk: "CONNECTION".to_owned(),
        }
    }

    /// Reads back the id of a connection.
    pub(crate) fn as_connection(&self) -> Option<ConnectionId> {
        let id = self.pk.strip_prefix(CONNECTION)?;
        (self.sk == "CONNECTION").then(|| id.parse().ok()).flatten()
    }

    /// One shard of the list of all connections, in [`BY_TIME`](super::BY_TIME).
    pub(crate) fn connections_shard(shard: u8) -> String {
        format!("CONNECTIONS#{shard}")
    }

    /// The shard that a connection is listed in, of [`CONNECTION_SHARDS`](super::CONNECTION_SHARDS): the first digit of its id.
    pub fn shard_of(id: &ConnectionId) -> u8 {
        let digit = id.as_str().chars().next();
        let digit = digit.and_then(|char| char.to_digit(16));
        digit
            .and_then(|digit| digit.try_into().ok())
            .unwrap_or_default()
    }

    /// Key of the alias that leads from a Terra user id to a connection.
    pub fn alias(id: &TerraUserId) -> Self {
        Self {
            pk: format!("TERRA#{id}"),
            sk: "ALIAS".to_owned(),
        }
    }

    /// One connection of a person.
    pub fn person_connection(reference_id: &ReferenceId, id: &ConnectionId) -> Self {
        let (pk, prefix) = Self::person_connections(reference_id);
        Self {
            pk,
            sk: format!("{prefix}{id}"),
        }
    }

    /// All connections of a person: their partition, and the prefix of the sort keys.
    pub(crate) fn person_connections(reference_id: &ReferenceId) -> (String, &'static str) {
        (person_pk(Some(reference_id)), CONNECTION)
    }

    /// Reads back the connection of a person's item.
    pub(crate) fn as_person_connection(&self) -> Option<ConnectionId> {
        self.sk.strip_prefix(CONNECTION)?.parse().ok()
    }

    /// A person.
    pub(crate) fn person(reference_id: &ReferenceId) -> Self {
        Self {
            pk: person_pk(Some(reference_id)),
            sk: "PERSON".to_owned(),
        }
    }

    /// Reads back the reference id of a person.
    pub(crate) fn as_person(&self) -> Option<ReferenceId> {
        let reference_id = self.pk.strip_prefix("PERSON#")?;
        (self.sk == "PERSON")
            .then(|| ReferenceId::new(reference_id))
            .flatten()
    }

    /// Partition of the versions of a source policy.
    pub(crate) fn source_policies(owner: &PolicyOwner) -> String {
        match owner {
            PolicyOwner::App => format!("{SOURCE_POLICY}app"),
            // No app is called so: a reference id may be any text.
            PolicyOwner::Person(reference_id) => {
                format!("{SOURCE_POLICY}~{}", reference_id.as_str())
            }
        }
    }

    /// One version of a source policy. They sort by their numbers.
    pub(crate) fn source_policy(owner: &PolicyOwner, version: u64) -> Self {
        Self {
            pk: Self::source_policies(owner),
            sk: format!("{version:020}"),
        }
    }
}
