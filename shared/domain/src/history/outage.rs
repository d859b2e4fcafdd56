//! When our intake took no webhooks.

use serde::{Deserialize, Serialize};

use super::coverage::Outage;

/// What is known of the times in which webhooks were lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutageLog {
    /// The times, oldest first.
    pub outages: Vec<Outage>,
    /// Up to when it was looked for them. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_until_ms: Option<i64>,
    /// When the newest webhook came that was looked at. Unit: Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_at_ms: Option<i64>,
}
