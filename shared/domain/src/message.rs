//! What passes between functions through queues.

use models::{
    headers::TerraHeaders,
    ids::{TerraUserId, WebhookId},
};
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionId;

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

/// A job of history-fetch: what schedules send it, the router, operators, and itself.
///
/// Each may come twice and late: what is to be done is read from the table, not from the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum HistoryMessage {
    /// Ask Terra for the windows that are due.
    Work,
    /// Compare all our connections with Terra's.
    Reconcile,
    /// One page of such a comparison.
    ReconcilePage {
        /// When the comparison began, which is its name. Unit: Unix milliseconds.
        sweep_ms: i64,
        /// Terra's page, from 0 on.
        page: u32,
    },
    /// The end of such a comparison, for one shard of our connections: what no page had has ended.
    EndMissing {
        /// When the comparison began. Unit: Unix milliseconds.
        sweep_ms: i64,
        /// The shard.
        shard: u8,
        /// The connection to go on behind.
        after: Option<ConnectionId>,
    },
    /// Look for days that are missing, at all connections.
    FindGaps,
    /// The same for one shard of them.
    FindGapsOf {
        /// The shard.
        shard: u8,
        /// The connection to go on behind.
        after: Option<ConnectionId>,
        /// Whether to look all the way back.
        #[serde(default)]
        whole: bool,
    },
    /// Somebody connected: fetch their past, once.
    Connected {
        /// Terra's id for the connection.
        terra_user_id: TerraUserId,
    },
    /// Webhooks of a request came, or their number was told.
    RequestAdvanced {
        /// Terra's reference, without chunk number.
        reference: String,
    },
}
