//! What passes between functions through queues.

use models::{headers::TerraHeaders, ids::WebhookId};
use serde::{Deserialize, Serialize};

/// One accepted webhook on its way from intake to router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMessage {
    /// The webhook's identity.
    pub webhook_id: WebhookId,
    /// Terra's own headers.
    pub headers: TerraHeaders,
    /// When intake took it. Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// The signed `t`. Unit: Unix seconds. Absent on roads without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at_s: Option<i64>,
    /// Which signing secret matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Accepted later than on time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Size of the body as Terra sent it. Unit: bytes.
    pub size_bytes: u64,
    /// Where the body is.
    pub body: Body,
}

/// The bytes of a webhook on their way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// zstd, then base64, inside the message.
    Inline(String),
    /// zstd, as an object of the archive's inbox: did not fit a message.
    Inbox(String),
    /// As it is: on the road where Terra itself writes to a queue of ours.
    Plain(String),
}
