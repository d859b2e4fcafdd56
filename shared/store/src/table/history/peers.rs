//! When data last came from the people of each provider, in the table: one item.

use domain::{Join as _, history::gap::Peers};

use crate::table::{Table, TableError, key::Key};

/// Named where they cannot be read.
const PEERS: &str = "peers";

impl Table {
    /// When data last came from the people of each provider, as far as was noted.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn peers(&self) -> Result<Peers, TableError> {
        self.state(&Key::peers(), PEERS).await
    }

    /// Notes when data last came from some people: what is known then of all.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn note_peers(&self, seen: &Peers) -> Result<Peers, TableError> {
        let join = |known: Peers| {
            let next = known.join(seen.clone());
            (next.clone(), next)
        };
        self.change_state(&Key::peers(), PEERS, join).await
    }
}
