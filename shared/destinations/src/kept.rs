//! A keeper of bodies for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;

use crate::{
    change::Change,
    config::{Pointer, Pointers},
    envelope::Payload,
    kind::Fault,
};

/// Keeps bodies in memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept(pub(crate) Arc<Mutex<BTreeMap<String, Payload>>>);

#[async_trait]
impl Pointers for Kept {
    async fn keep(
        &self,
        destination_id: &str,
        change: &Change,
        body: &Payload,
    ) -> Result<Pointer, Fault> {
        let url = format!(
            "https://kept.example/{destination_id}/{}",
            change.delivery_id
        );
        self.0.lock().unwrap().insert(url.clone(), body.clone());
        Ok(Pointer {
            url,
            expires_in_s: 3600,
        })
    }
}

impl Kept {
    /// The body that a pointer in Terra's form leads to.
    pub(crate) fn follow(&self, pointer: &[u8]) -> Payload {
        let pointer: serde_json::Value = serde_json::from_slice(pointer).unwrap();
        assert_eq!(pointer["type"], "s3_payload", "{pointer}");
        assert_eq!(pointer["expires_in"], 3600);
        self.0.lock().unwrap()[pointer["url"].as_str().unwrap()].clone()
    }
}
