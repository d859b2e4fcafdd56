//! Events that a receiver cannot use now and must not lose either.

use serde_json::json;

use super::Envelope;
use crate::{Webhook, World, calendar::Day, people::Connection};

impl World {
    /// `route`: named in a guide, its shape is not public.
    pub fn route(&mut self, connection: &Connection) -> Webhook {
        let envelope = Envelope::new("route")
            .with("user", connection.user(self.now()))
            .with(
                "data",
                json!([{ "metadata": { "id": "rt-1", "name": "Loop" } }]),
            )
            .with_version();
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// An event of a type that did not exist yesterday. New types come without notice.
    pub fn unknown_event(&mut self, connection: &Connection) -> Webhook {
        let envelope = Envelope::new("breath_session")
            .with("user", connection.user(self.now()))
            .with(
                "data",
                json!([{ "metadata": { "start_time": "2026-07-01T07:00:00.000000+02:00" } }]),
            )
            .with_version();
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// A `daily` event with one record that has no usable key beside one that has.
    pub fn record_without_key(&mut self, connection: &Connection) -> Webhook {
        let zone = connection.zone;
        let day = Day {
            date: zone.date(self.now()),
            zone,
        };
        let keyed = json!({
            "metadata": {
                "start_time": day.start(),
                "end_time": day.end(),
                "upload_type": 1,
            },
            "distance_data": { "steps": 4_021 },
        });
        let keyless = json!({
            "metadata": { "start_time": "", "end_time": "", "upload_type": 1 },
            "distance_data": { "steps": 17 },
        });
        let envelope = Envelope::new("daily")
            .with("user", connection.user(self.now()))
            .with("data", json!([keyless, keyed]))
            .with_version();
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// A `daily` event that succeeds with nothing to store.
    pub fn empty_data(&mut self, connection: &Connection) -> Webhook {
        let envelope = Envelope::new("daily")
            .with("user", connection.user(self.now()))
            .with_data(&[])
            .with_version();
        self.mint(envelope, Some(&connection.terra_user_id))
    }

    /// A correctly signed body that is no JSON.
    pub fn not_json(&mut self) -> Webhook {
        let webhook = self.mint(Envelope::new("not_json"), None);
        Webhook {
            body: bytes::Bytes::from_static(b"<html>502 Bad Gateway</html>"),
            ..webhook
        }
    }
}
