//! Connections, their aliases and their places under a person, in the table.

mod apply;
mod erase;
mod item;
mod read;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use domain::connection::{Connection, ConnectionId};
use models::ids::{Provider, ReferenceId, TerraUserId};

pub use super::key::CONNECTION_SHARDS;

/// Most Terra user ids of which a connection keeps everything; the oldest ended ones beyond it fold away.
///
/// AWS: a transaction takes at most 100 items. Besides the aliases it writes the connection, the one
/// that becomes part of it, and the person's items.
pub const MAX_MEMBERS: usize = 80;

pub(super) const CONNECTION_ID: &str = "connection_id";
const ERASED_AT: &str = "erased_at";
/// Mark of an alias whose person's erasure can still be taken back.
pub(super) const HELD: &str = "held";

/// A connection as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConnection {
    /// Our id.
    pub id: ConnectionId,
    /// Its state.
    pub state: Connection,
    /// Connections that became this one and whose records are still being moved.
    pub absorbing: BTreeSet<ConnectionId>,
    /// True if its person, its provider or its current Terra user id changed and destinations, which keep
    /// them with every record, have not been told.
    pub is_renamed: bool,
    /// Folded ids that the last change named or folded: records may still lie under them.
    lately_folded: BTreeSet<TerraUserId>,
    /// Begin of its erasure, RFC 3339.
    erased_at: Option<String>,
    revision: u64,
}

/// Place that a Terra user id leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alias {
    /// This connection.
    Connection(ConnectionId),
    /// Connection of a person who was erased. Nothing more is kept of them.
    Erased(ConnectionId),
    /// Connection of a person whose erasure can still be taken back. What comes is put aside.
    Held(ConnectionId),
}

/// Places that Terra user ids lead to.
pub type Aliases = BTreeMap<TerraUserId, Alias>;

/// Places that Terra user ids led to when they were read; `None` for an id that led nowhere.
pub type SeenAliases = BTreeMap<TerraUserId, Option<Alias>>;

/// Result of applying a fragment to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedConnection {
    /// The connection now.
    pub connection: StoredConnection,
    /// True if more than the first and last days of its records changed: what others are told of.
    pub changed: bool,
    /// True if there was no such connection before.
    pub created: bool,
}

impl StoredConnection {
    /// Revision of the connection's own item.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns whether the connection may once have had another id.
    pub fn had_other_ids(&self) -> bool {
        self.users().nth(1).is_some()
    }

    /// The members, and the folded ids that the last change was about.
    pub fn users(&self) -> impl Iterator<Item = &TerraUserId> {
        self.state.members.keys().chain(&self.lately_folded)
    }

    /// Other ids that this connection may once have had, and under which records may lie.
    fn former_ids(&self) -> BTreeSet<ConnectionId> {
        let ids = self.users().map(ConnectionId::of);
        ids.filter(|id| *id != self.id).collect()
    }

    /// The Terra user ids whose alias does not lead here yet, with where it leads now.
    fn missing_aliases<'a>(
        &'a self,
        known: &'a Aliases,
    ) -> impl Iterator<Item = (&'a TerraUserId, Option<&'a Alias>)> {
        self.users().filter_map(move |user| {
            let alias = known.get(user);
            let leads_here =
                matches!(alias, Some(Alias::Connection(id) | Alias::Held(id)) if *id == self.id);
            (!leads_here).then_some((user, alias))
        })
    }
}

/// Parts of a connection that destinations keep with each of its records.
fn shown_with_records(
    state: &Connection,
) -> (
    Option<&ReferenceId>,
    Option<&TerraUserId>,
    Option<&Provider>,
) {
    let user = state.current().map(|(user, _)| user);
    (state.reference_id(), user, state.provider())
}
