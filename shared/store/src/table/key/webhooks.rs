//! Keys of webhooks, parked or not, and of large requests.

use models::ids::{PROBE, WebhookId};

use super::Key;

/// Beginning of the keys of parked webhooks.
const PARKED: &str = "PARKED#";

impl Key {
    /// A webhook in the ledger.
    pub fn webhook(id: &WebhookId) -> Self {
        Self {
            pk: format!("WEBHOOK#{id}"),
            sk: "WEBHOOK".to_owned(),
        }
    }

    /// Reads back the id of a webhook in the ledger.
    pub(crate) fn as_webhook(&self) -> Option<WebhookId> {
        WebhookId::new(self.pk.strip_prefix("WEBHOOK#")?)
    }

    /// The partition of one shard of one day (`YYYY-MM-DD`) of webhooks in [`BY_TIME`](super::BY_TIME).
    pub(crate) fn webhooks_of_day(day: &str, shard: u8) -> String {
        format!("WEBHOOKS#{day}#{shard}")
    }

    /// The beginning of the keys of what Terra was asked for, among webhooks.
    pub(crate) fn fetched_prefix() -> String {
        Self::webhook(&WebhookId::fetched("")).pk
    }

    /// Returns the beginning of the partitions of our own probes of the intake.
    pub(crate) fn probe_prefix() -> String {
        format!("WEBHOOK#{PROBE}")
    }

    /// A parked webhook.
    pub fn parked(id: &WebhookId) -> Self {
        Self {
            pk: format!("{PARKED}{id}"),
            sk: "PARKED".to_owned(),
        }
    }

    /// The note that a parked webhook was dismissed.
    pub fn dismissed(id: &WebhookId) -> Self {
        Self {
            pk: format!("{PARKED}{id}"),
            sk: "DISMISSED".to_owned(),
        }
    }

    /// Reads back the id of a parked webhook.
    pub(crate) fn as_parked(&self) -> Option<WebhookId> {
        WebhookId::new(self.pk.strip_prefix(PARKED)?)
    }

    /// A day (`YYYY-MM-DD`) with parked webhooks in one shard.
    pub(crate) fn parked_day(day: &str, shard: u8) -> Self {
        Self {
            pk: Self::parked_days(shard),
            sk: day.to_owned(),
        }
    }

    /// Partition of the days with parked webhooks in one shard.
    pub(crate) fn parked_days(shard: u8) -> String {
        format!("PARKED_DAYS#{shard}")
    }

    /// The day that is the sort key of [`Key::parked_day`].
    pub(crate) fn as_parked_day(&self) -> &str {
        &self.sk
    }

    /// The partition of one shard of one day (`YYYY-MM-DD`) of parked webhooks in [`BY_TIME`](super::BY_TIME).
    pub(crate) fn parked_of_day(day: &str, shard: u8) -> String {
        format!("{PARKED}{day}#{shard}")
    }

    /// A large request.
    pub fn request(reference: &str) -> Self {
        Self {
            pk: format!("REQUEST#{reference}"),
            sk: "REQUEST".to_owned(),
        }
    }
}
