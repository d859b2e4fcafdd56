//! Large requests in the table.

use domain::{Join, plan::PlannedRequest, request::Request};

use super::{
    MAX_ATTEMPTS, Stored, Table, TableError,
    attribute::{Item, to_attribute, to_json_map},
    back_off,
    key::Key,
    revision,
};

impl Table {
    /// Joins a webhook's fragment of a request with the stored state. Returns whether the request is known now.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Contended`] when others
    /// keep writing the item, [`TableError::Corrupt`] when it cannot be read.
    pub async fn apply_request(&self, planned: &PlannedRequest) -> Result<bool, TableError> {
        let key = Key::request(&planned.reference);
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let stored = self.stored_request(&key).await?;
            if stored.is_none() && planned.only_if_known {
                return Ok(false);
            }
            let seen = stored.as_ref().map(|stored| stored.revision);
            let known = stored.map(|stored| stored.state);
            let joined = match known.clone() {
                Some(known) => known.join(planned.request.clone()),
                None => planned.request.clone(),
            };
            if known.as_ref() == Some(&joined) || self.put_if(&key, encode(&joined), seen).await? {
                return Ok(true);
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key,
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Reads the state of a request, by its reference without chunk number.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when the item
    /// cannot be read.
    pub async fn request(&self, reference: &str) -> Result<Option<Request>, TableError> {
        let stored = self.stored_request(&Key::request(reference)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    async fn stored_request(&self, key: &Key) -> Result<Option<Stored<Request>>, TableError> {
        let Some(item) = self.get(key).await? else {
            return Ok(None);
        };
        let revision = revision(key, &item)?;
        let state =
            serde_json::from_value(to_json_map(item).into()).map_err(|_| TableError::Corrupt {
                key: key.clone(),
                field: "chunks",
            })?;
        Ok(Some(Stored { state, revision }))
    }
}

fn encode(request: &Request) -> Item {
    match serde_json::to_value(request) {
        Ok(serde_json::Value::Object(map)) => map
            .into_iter()
            .map(|(name, value)| (name, to_attribute(value)))
            .collect(),
        // A struct of plain fields always serialises to an object.
        _ => Item::new(),
    }
}
