//! Events about requests for data: they are processed, limited, sent in chunks, put up for fetching.

use jiff::SignedDuration;

use super::Envelope;
use crate::{Webhook, World, calendar::instant, people::Connection};

impl World {
    /// A fresh reference, as the answer to a request would carry it.
    pub fn reference(&mut self) -> String {
        self.dice.uuid()
    }

    /// `processing`: the provider needs time, data follow by themselves.
    pub fn processing(&mut self, connection: &Connection) -> Webhook {
        let envelope = Envelope::new("processing")
            .with("status", "success")
            .with("user", connection.user(self.now()))
            .with("message", "Request is processing, try again later")
            .with("retry_after_seconds", 300);
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// `rate_limit_hit`: the provider has had enough, Terra repeats by itself.
    pub fn rate_limit_hit(&mut self, connection: &Connection) -> Webhook {
        let now = self.now();
        let hours = |hours: i64| {
            let at = now
                .saturating_add(SignedDuration::from_hours(hours))
                .unwrap_or(now);
            instant(at)
        };
        let envelope = Envelope::new("rate_limit_hit")
            .with("user", connection.user(now))
            .with("start_date", hours(-30 * 24))
            .with("end_date", hours(0))
            .with("retrying_at", hours(1))
            .with("message", "Rate limit hit; retrying");
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// `large_request_processing` for the request `reference`.
    pub fn large_request_processing(
        &mut self,
        connection: &Connection,
        reference: &str,
    ) -> Webhook {
        let envelope = Envelope::new("large_request_processing")
            .with("status", "processing")
            .with("message", "Large request is being processed")
            .with("user", connection.user(self.now()))
            .with("reference", reference);
        let envelope = if self.dice.chance(0.5) {
            envelope.with("terra_reference", reference).with_version()
        } else {
            envelope
        };
        let webhook = self.mint(envelope, Some(&connection.terra_user_id));
        Webhook {
            reference: Some(reference.to_owned()),
            ..webhook
        }
    }

    /// `large_request_sending`: so many data webhooks are coming.
    pub fn large_request_sending(
        &mut self,
        connection: &Connection,
        reference: &str,
        expected_payloads: u32,
    ) -> Webhook {
        let envelope = Envelope::new("large_request_sending")
            .with("user", connection.user(self.now()))
            .with("reference", reference)
            .with("message", "Large request payloads are being sent")
            .with("expected_payloads", expected_payloads);
        let webhook = self.mint(envelope, Some(&connection.terra_user_id));
        Webhook {
            reference: Some(reference.to_owned()),
            ..webhook
        }
    }

    /// A ping, `s3_payload` or under its other name `s3_upload`, for the payload of `webhook`.
    ///
    /// The payload is to be handled like the webhook it would have been, with the ping's headers.
    pub fn ping(
        &mut self,
        event_type: &str,
        webhook: &Webhook,
        url: &str,
        expires_in: i64,
    ) -> Webhook {
        let envelope = Envelope::new(event_type)
            .with("status", "success")
            .with("url", url)
            .with("expires_in", expires_in)
            .with("payload_reference", self.dice.uuid())
            .with("user_id", webhook.terra_user_id.clone());
        Webhook {
            terra_user_id: webhook.terra_user_id.clone(),
            ..self.mint(envelope, None)
        }
    }
}
