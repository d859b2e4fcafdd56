//! What the gap finder knows of all connections together: when data last came from the people of each
//! provider, and when it last looked all the way back. One item each.

use domain::{
    Join as _,
    history::gap::{Looks, Peers},
};

use crate::table::{Table, TableError, key::Key};

/// Named where they cannot be read.
const PEERS: &str = "peers";
const LOOKS: &str = "looks";

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

    /// When was last looked all the way back for missing days.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn looks(&self) -> Result<Looks, TableError> {
        self.state(&Key::looks(), LOOKS).await
    }

    /// Notes that such a look was begun.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn note_whole_look(&self, now_ms: i64) -> Result<(), TableError> {
        let note = |known: Looks| (known.whole(now_ms), ());
        self.change_state(&Key::looks(), LOOKS, note).await
    }
}
