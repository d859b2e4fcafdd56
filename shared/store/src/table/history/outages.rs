//! Outages in the table: one item.

use domain::history::{coverage::Outage, outage::OutageLog};

use super::{Stored, decode, encode};
use crate::table::{MAX_ATTEMPTS, Table, TableError, back_off, key::Key};

impl Table {
    /// When our intake took no webhooks, as far as is known.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn outages(&self) -> Result<Vec<Outage>, TableError> {
        Ok(self.outage_log().await?.outages)
    }

    /// All that is known of outages.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn outage_log(&self) -> Result<OutageLog, TableError> {
        let stored = self.stored_outages(&Key::outages()).await?;
        Ok(stored.map(|stored| stored.state).unwrap_or_default())
    }

    /// Changes what is known of outages: what it is then. `change` may be called several times.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn change_outages(
        &self,
        change: impl Fn(OutageLog) -> OutageLog,
    ) -> Result<OutageLog, TableError> {
        let key = Key::outages();
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let stored = self.stored_outages(&key).await?;
            let seen = stored.as_ref().map(|stored| stored.revision);
            let known = stored.map(|stored| stored.state).unwrap_or_default();
            let next = change(known.clone());
            if next == known || self.put_if(&key, encode(&next), seen).await? {
                return Ok(next);
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    async fn stored_outages(&self, key: &Key) -> Result<Option<Stored<OutageLog>>, TableError> {
        let item = self.get(key).await?;
        item.map(|item| decode(key, item, "outages")).transpose()
    }
}
