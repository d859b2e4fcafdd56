//! Counts over all connections: an item per shard, written by each search for gaps when it is through the shard.

use domain::history::fleet::Fleet;

use super::decode;
use crate::table::{Table, TableError, connections::CONNECTION_SHARDS, key::Key};

/// Name of the state in errors.
const FLEET: &str = "fleet";

impl Table {
    /// Notes the counts over the connections of a shard, unless those of a later search are there.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn note_fleet(&self, shard: u8, counted: &Fleet) -> Result<(), TableError> {
        let newer = |known: Fleet| {
            let is_newer = counted.as_of_ms >= known.as_of_ms;
            (if is_newer { counted.clone() } else { known }, ())
        };
        self.change_state(&Key::fleet(shard), FLEET, newer).await
    }

    /// Reads the counts over all connections. `None` until a search was through every shard.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn fleet(&self) -> Result<Option<Fleet>, TableError> {
        let found = self
            .batch_get((0..CONNECTION_SHARDS).map(Key::fleet))
            .await?;
        if found.len() < usize::from(CONNECTION_SHARDS) {
            return Ok(None);
        }
        let mut all = None;
        for (key, item) in found {
            let counted = decode::<Fleet>(&key, item, FLEET)?.state;
            all = Some(match all {
                Some(known) => Fleet::with(known, counted),
                None => counted,
            });
        }
        Ok(all)
    }
}
