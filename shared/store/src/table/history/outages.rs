//! Outages in the table, and when data last came from whom: one item each.

use domain::{
    Join as _,
    history::{coverage::Outage, gap::Peers, outage::OutageLog},
};
use serde::{Serialize, de::DeserializeOwned};

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
        self.single(&Key::outages()).await
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
        self.change_single(Key::outages(), change).await
    }

    /// When data last came from the people of each provider, as far as was noted.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn peers(&self) -> Result<Peers, TableError> {
        self.single(&Key::peers()).await
    }

    /// Notes when data last came from some people: what is known then of all.
    ///
    /// # Errors
    ///
    /// [`TableError`].
    pub async fn note_peers(&self, seen: &Peers) -> Result<Peers, TableError> {
        let join = |known: Peers| known.join(seen.clone());
        self.change_single(Key::peers(), join).await
    }

    async fn single<T: Default + DeserializeOwned>(&self, key: &Key) -> Result<T, TableError> {
        let stored = self.stored_single(key).await?;
        Ok(stored.map(|stored| stored.state).unwrap_or_default())
    }

    async fn change_single<T>(&self, key: Key, change: impl Fn(T) -> T) -> Result<T, TableError>
    where
        T: Default + Clone + PartialEq + Serialize + DeserializeOwned,
    {
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let stored = self.stored_single::<T>(&key).await?;
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

    async fn stored_single<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<Stored<T>>, TableError> {
        let item = self.get(key).await?;
        item.map(|item| decode(key, item, "history")).transpose()
    }
}
