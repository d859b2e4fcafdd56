//! A signed test, step by step.

use tokio::time::Instant;

use super::{Webhook, deliver::Label, faults};
use crate::{
    envelope::{JSON, Payload},
    id::DeliveryId,
    kind::{Finding, Outcome},
};

impl Webhook {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let host = self.url.host_str().unwrap_or_default();
        let resolved = self.guard.probe(host).await;
        if resolved.is_failed() {
            return vec![resolved];
        }
        let mut findings = vec![resolved];
        findings.push(self.try_signed().await);
        findings.push(self.try_wrongly_signed().await);
        findings
    }

    fn test(&self, seed: &str) -> (DeliveryId, Payload) {
        let now = self.clock.now();
        let id = DeliveryId::of_event(
            &self.destination_id,
            "destination.test",
            &format!("{seed}{now}"),
        );
        let body = serde_json::json!({
            "event": "destination.test", "type": "destination.test", "delivery_id": id, "sent_at": now,
        });
        let payload = Payload {
            content_type: JSON,
            extension: "json",
            bytes: body.to_string().into(),
        };
        (id, payload)
    }

    async fn try_signed(&self) -> Finding {
        let (id, payload) = self.test("right");
        let started = Instant::now();
        let sent = self.send(&self.label(&id), &payload).await;
        let took = started.elapsed();
        match sent {
            Ok(Outcome::Rejected(rejection)) => Finding::failed(
                "deliver",
                took,
                &crate::kind::Fault::Rejected {
                    reason: rejection.reason,
                    code: rejection.code,
                },
            ),
            Ok(_) => Finding::passed("deliver", took, "the receiver took a signed test"),
            Err(fault) => Finding::failed("deliver", took, &fault),
        }
    }

    /// A receiver that takes a wrong signature does not verify any.
    async fn try_wrongly_signed(&self) -> Finding {
        let (id, payload) = self.test("wrong");
        let started = Instant::now();
        let answer = self
            .post(&self.label(&id), &payload, self.clock.now(), true)
            .await;
        let took = started.elapsed();
        let step = "verify signature";
        match answer.map(|(status, headers)| faults::outcome(status, &headers)) {
            Ok(Ok(Outcome::Applied { .. })) => Finding::warning(
                step,
                took,
                "the receiver also took a wrongly signed test: it does not verify signatures",
            ),
            Ok(_) => Finding::passed(step, took, "the receiver refused a wrongly signed test"),
            Err(fault) => Finding::failed(step, took, &fault),
        }
    }

    fn label<'a>(&self, id: &'a DeliveryId) -> Label<'a> {
        Label {
            delivery_id: id.as_str(),
            event: "destination.test",
            record: None,
            ordering_ts_ms: self.clock.now().as_millisecond(),
            reference: None,
            attempt: 1,
            cause: "live",
        }
    }
}
