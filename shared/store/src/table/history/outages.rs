//! Outages in the table: one item.

use domain::history::{coverage::Outage, outage::OutageLog};

use crate::table::{Table, TableError, key::Key};

/// Name of the state in errors.
const OUTAGES: &str = "outages";

impl Table {
    /// Reads the known times in which our intake took no webhooks.
    ///
    /// # Errors
    ///
    /// Those of [`outage_log`](Self::outage_log).
    pub async fn outages(&self) -> Result<Vec<Outage>, TableError> {
        Ok(self.outage_log().await?.outages)
    }

    /// Reads the log of outages.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn outage_log(&self) -> Result<OutageLog, TableError> {
        self.state(&Key::outages(), OUTAGES).await
    }

    /// Changes the log of outages. Returns the changed log. `change` may be called several times.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn change_outages(
        &self,
        change: impl Fn(OutageLog) -> OutageLog,
    ) -> Result<OutageLog, TableError> {
        let change = |known| {
            let next = change(known);
            (next.clone(), next)
        };
        self.change_state(&Key::outages(), OUTAGES, change).await
    }
}
