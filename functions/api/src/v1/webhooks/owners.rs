//! Connections and people that webhooks belong to.

use std::collections::{BTreeMap, BTreeSet};

use domain::connection::ConnectionId;
use models::ids::TerraUserId;
use store::table::{Table, TableError, ledger::WebhookEntry};

use crate::id::to_path;

/// Connection of a Terra user, and its person.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    /// Our id of the connection.
    pub(super) connection: ConnectionId,
    /// Id of the person for paths; absent where the connection names none.
    pub(super) person: Option<String>,
}

/// Owners of webhooks, by the Terra user id that each names first.
#[derive(Debug, Default)]
pub(super) struct Owners(BTreeMap<TerraUserId, Owner>);

impl Owners {
    /// Reads where the Terra user ids of webhooks lead today.
    ///
    /// # Errors
    ///
    /// Those of [`Table::connections_of_users`].
    pub(super) async fn read(
        table: &Table,
        entries: impl IntoIterator<Item = &WebhookEntry>,
    ) -> Result<Self, TableError> {
        let entries = entries.into_iter();
        let users = entries.filter_map(|entry| entry.terra_user_id.as_ref());
        let users: BTreeSet<_> = users.collect();
        let connections = table.connections_of_users(users).await?;
        let owners = connections.into_iter().map(|(user, connection)| {
            let person = connection.state.reference_id();
            let owner = Owner {
                connection: connection.id.clone(),
                person: person.map(|person| to_path(person.as_str())),
            };
            (user, owner)
        });
        Ok(Self(owners.collect()))
    }

    /// Owner of a webhook; none where its Terra user id leads nowhere, or it names none.
    pub(super) fn of(&self, entry: &WebhookEntry) -> Option<&Owner> {
        self.0.get(entry.terra_user_id.as_ref()?)
    }
}
