//! A probe: find the topic, produce a test.

use tokio::time::Instant;

use super::{Kafka, producer::Message};
use crate::{envelope::JSON, id::DeliveryId, kind::Finding};

impl Kafka {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let topic = self.topic_of(None);
        let started = Instant::now();
        let count = self.partitions(&topic).await;
        let mut findings = Vec::new();
        let found = match &count {
            Ok(count) => Ok(format!("the topic {topic} has {count} partitions")),
            Err(fault) => Err(fault.clone()),
        };
        findings.push(Finding::of(
            "connect, find the topic",
            started.elapsed(),
            found,
        ));
        if count.is_err() {
            return findings;
        }
        let now = self.clock.now();
        let id = DeliveryId::of_event(&self.destination_id, "destination.test", &now.to_string());
        let body =
            serde_json::json!({"event": "destination.test", "delivery_id": id, "sent_at": now});
        let headers = [
            ("webhook-id", id.as_str()),
            ("terrarium-event", "destination.test"),
            ("content-type", JSON),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let message = Message {
            key: id.as_str().to_owned(),
            value: Some(body.to_string().into_bytes()),
            headers: headers.into(),
            timestamp_ms: now.as_millisecond(),
        };
        let started = Instant::now();
        let sent = self.producer.send(&topic, 0, vec![message]).await;
        let sent = sent.map(|()| "the topic took a test record".to_owned());
        findings.push(Finding::of("produce", started.elapsed(), sent));
        findings
    }
}
