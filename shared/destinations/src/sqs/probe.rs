//! A probe: a test message.

use tokio::time::Instant;

use super::Sqs;
use crate::{
    config::Format,
    envelope::{JSON, Payload, TERRA_VERSION},
    id::DeliveryId,
    kind::Finding,
};

impl Sqs {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let now = self.clock.now();
        let id = DeliveryId::of_event(&self.destination_id, "destination.test", &now.to_string());
        let body = match self.format {
            Format::Record | Format::Fhir | Format::Fit => serde_json::json!({
                "event": "destination.test", "delivery_id": id, "sent_at": now,
            }),
            Format::Terra => serde_json::json!({
                "status": "success", "type": "healthcheck", "version": TERRA_VERSION,
                "creation_timestamp": now,
            }),
        };
        let payload = Payload {
            content_type: JSON,
            extension: "json",
            bytes: body.to_string().into(),
        };
        let started = Instant::now();
        let sent = self
            .send_event(&id, "destination.test", "destination.test", &payload)
            .await;
        let sent = sent.map(|()| "the queue took a test message".to_owned());
        vec![Finding::of("send", started.elapsed(), sent)]
    }
}
