//! Events that concern nobody in particular.

use super::Envelope;
use crate::{Webhook, World, calendar::instant, people::Connection};

impl World {
    /// `healthcheck`: a sign of life, with a trend of what was sent.
    pub fn healthcheck(&mut self) -> Webhook {
        let created = instant(self.now());
        let trend = super::number::tenths(self.dice.noise(40.0));
        let envelope = Envelope::new("healthcheck")
            .with("status", "success")
            .with("creation_timestamp", created)
            .with("trend_percentage", trend)
            .with("sent_webhooks_last_hour", self.dice.whole(0, 900))
            .with_version();
        self.mint(envelope, None)
    }

    /// `internal_server_error`, which has no public shape.
    pub fn internal_server_error(&mut self, connection: &Connection) -> Webhook {
        let envelope = Envelope::new("internal_server_error")
            .with("status", "error")
            .with("user", connection.user(self.now()))
            .with("message", "Something went wrong");
        self.mint(envelope, Some(&connection.terra_user_id))
    }
}
