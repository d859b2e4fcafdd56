//! Outages in the table: one item.

use domain::history::{coverage::Outage, outage::OutageLog};

use crate::table::{Table, TableError, key::Key};

/// Named where they cannot be read.
const OUTAGES: &str = "outages";

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
        self.state(&Key::outages(), OUTAGES).await
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
        let change = |known| {
            let next = change(known);
            (next.clone(), next)
        };
        self.change_state(&Key::outages(), OUTAGES, change).await
    }
}
