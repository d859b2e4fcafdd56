//! Bodies that are too large for a destination: kept in the archive's bucket, and linked to.

use std::time::Duration;

use async_trait::async_trait;
use destinations::{
    change::Change,
    config::{Pointer, Pointers},
    envelope::Payload,
    kind::{Fault, Unreachable},
};
use runtime::telemetry::Chain;
use store::archive::Archive;
use tracing::warn;

/// Time that a link leads to its body. A role's session may end earlier, and the link with it.
const LASTS: Duration = Duration::from_hours(1);

/// Outbox of an archive in a bucket.
#[derive(Debug)]
pub struct Outbox(Archive);

impl Outbox {
    /// Keeps bodies beside the archive.
    pub fn new(archive: Archive) -> Self {
        Self(archive)
    }
}

#[async_trait]
impl Pointers for Outbox {
    async fn keep(
        &self,
        destination_id: &str,
        change: &Change,
        body: &Payload,
    ) -> Result<Pointer, Fault> {
        let content = (body.content_type, body.bytes.clone());
        let owner = change.source.owner.as_str();
        let name = [owner, destination_id, change.delivery_id.as_str()];
        let lent = self.0.lend(name, content, LASTS);
        match lent.await {
            Ok(url) => Ok(Pointer {
                url,
                expires_in_s: LASTS.as_secs(),
            }),
            Err(error) => {
                // Ours to mend, although the destination waits for it.
                warn!(error = %Chain(&error), "cannot keep a body for a destination");
                Err(Fault::unreachable(Unreachable::Server).with_code("outbox"))
            }
        }
    }
}
