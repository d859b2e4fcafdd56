//! Facts of the gap finder about all connections together: the time of the newest data of each
//! provider's people, and the time of the last search all the way back. One item each.

use domain::{
    Join as _,
    history::gap::{Peers, Searches},
};

use crate::table::{Table, TableError, key::Key};

/// Names of the states in errors.
const PEERS: &str = "peers";
const SEARCHES: &str = "searches";

impl Table {
    /// Reads the time of the newest data of each provider's people.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn peers(&self) -> Result<Peers, TableError> {
        self.state(&Key::peers(), PEERS).await
    }

    /// Notes the time of the newest data of some people. Returns the times of all.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn note_peers(&self, seen: &Peers) -> Result<Peers, TableError> {
        let join = |known: Peers| {
            let next = known.join(seen.clone());
            (next.clone(), next)
        };
        self.change_state(&Key::peers(), PEERS, join).await
    }

    /// Reads the time of the last search all the way back.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn searches(&self) -> Result<Searches, TableError> {
        self.state(&Key::searches(), SEARCHES).await
    }

    /// Notes that a search all the way back begins.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn note_whole_search(&self, now_ms: i64) -> Result<(), TableError> {
        let note = |known: Searches| (known.with_whole(now_ms), ());
        self.change_state(&Key::searches(), SEARCHES, note).await
    }
}
