//! Brings records to where the Terra user ids of a connection lead now.

use domain::{connection::ConnectionId, delivery::Changed};
use futures::future::try_join_all;

use super::{Alias, StoredConnection, item::encode, shown_with_records};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError, back_off,
    key::{Key, RecordOwner},
};

impl Table {
    /// Makes sure that records just written or moved under `written` are where its Terra user ids
    /// lead now. Returns the connection that has them; `None` when the person was erased meanwhile, and the
    /// records are gone again.
    ///
    /// Two connections may have become one while we wrote. And a router that was killed between its
    /// writes and this step may have left records under an id that the connection no longer has. Every
    /// such id is that of a member, or of an id that the event itself names.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read, [`TableError::Contended`] when the aliases keep changing.
    pub async fn settle(
        &self,
        written: &StoredConnection,
    ) -> Result<Option<ConnectionId>, TableError> {
        let former = written.former_ids();
        let moves = former.iter().map(|id| self.move_records(id, &written.id));
        try_join_all(moves).await?;

        // One transaction moves the aliases of all members, so one stands for all.
        let Some(user) = written.state.members.keys().next() else {
            return Ok(Some(written.id.clone()));
        };
        let mut written = written.id.clone();
        // One step per merge that happens at this very moment; more than a few is no accident.
        for _ in 0..MAX_ATTEMPTS {
            match self.alias(user).await? {
                Some(Alias::Connection(now)) if now != written => {
                    self.move_records(&written, &now).await?;
                    written = now;
                }
                Some(Alias::Erased(_)) => {
                    self.erase_contents(&written).await?;
                    return Ok(None);
                }
                _ => return Ok(Some(written)),
            }
        }
        let key = Key::connection(&written);
        Err(TableError::Contended {
            operation: "settle",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Notes that destinations have been told of a connection's new person, provider or Terra user id.
    /// Does nothing if the connection has changed since it was read: whoever changed it tells again.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn settle_renamed(&self, connection: &StoredConnection) -> Result<(), TableError> {
        let key = Key::connection(&connection.id);
        let Some(mut stored) = self.connection(&connection.id).await? else {
            return Ok(());
        };
        if !stored.is_renamed
            || shown_with_records(&stored.state) != shown_with_records(&connection.state)
        {
            return Ok(());
        }
        stored.is_renamed = false;
        self.put_if(&key, encode(&stored), Some(stored.revision))
            .await
            .map(drop)
    }

    /// Moves the records of absorbed connections and strikes those from the list.
    pub(super) async fn absorb(
        &self,
        mut connection: StoredConnection,
    ) -> Result<StoredConnection, TableError> {
        self.redirect_folded(&connection).await?;
        for other in connection.absorbing.clone() {
            self.move_records(&other, &connection.id).await?;
            let (owner, other) = (
                RecordOwner::Connection(other.clone()),
                Key::connection(&other),
            );
            self.note_gone(&owner, &other, 0).await?;
        }
        let key = Key::connection(&connection.id);
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let Some(mut stored) = self.connection(&connection.id).await? else {
                // Absorbed itself meanwhile, and what was moved here may have come too late for
                // whoever absorbed it: `settle` takes it on.
                return Ok(connection);
            };
            let seen = Some(stored.revision);
            stored
                .absorbing
                .retain(|other| !connection.absorbing.contains(other));
            if self.put_if(&key, encode(&stored), seen).await? {
                connection.absorbing.clear();
                return Ok(connection);
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Points the aliases of folded ids to the connection. More of them may come with an absorbed
    /// connection than one transaction takes.
    async fn redirect_folded(&self, connection: &StoredConnection) -> Result<(), TableError> {
        let aliases = self.aliases(&connection.state.folded.ids).await?;
        for (user, alias) in &aliases {
            if matches!(alias, Alias::Connection(id) | Alias::Held(id) if *id != connection.id) {
                let key = Key::alias(user);
                let put = self.put_alias(user, &connection.id, Some(alias))?;
                if !self.transact(vec![put], &key).await? {
                    return Err(TableError::Contended {
                        operation: "redirect",
                        key,
                        attempts: 1,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) async fn move_records(
        &self,
        from: &ConnectionId,
        to: &ConnectionId,
    ) -> Result<(), TableError> {
        let from = RecordOwner::Connection(from.clone());
        let to = RecordOwner::Connection(to.clone());
        self.move_all_records(&from, &to).await
    }

    /// Returns what was deleted under the former ids of a connection and, where `own` says so, under its
    /// own, and destinations have not been told of.
    ///
    /// # Errors
    ///
    /// Those of [`Table::gone`](Self::gone).
    pub async fn gone_of(
        &self,
        connection: &StoredConnection,
        own: bool,
    ) -> Result<Vec<Changed>, TableError> {
        let mut gone = Vec::new();
        let own = own.then(|| connection.id.clone());
        for id in connection.former_ids().into_iter().chain(own) {
            let found = self.gone(&RecordOwner::Connection(id)).await?.into_iter();
            gone.extend(found.map(|changed| changed.inherited_by(&connection.id)));
        }
        Ok(gone)
    }
}
