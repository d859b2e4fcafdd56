//! Messages between functions, in queues.

use models::{
    headers::TerraHeaders,
    ids::{ReferenceId, TerraUserId, WebhookId},
};
use serde::{Deserialize, Serialize};

use crate::{connection::ConnectionId, history::fleet::Fleet};

/// One accepted webhook on its way from intake to router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMessage {
    /// The webhook's identity.
    pub webhook_id: WebhookId,
    /// Terra's own headers.
    pub headers: TerraHeaders,
    /// Time at which the intake took it. Unit: Unix milliseconds.
    pub received_at_ms: i64,
    /// The signed `t`. Unit: Unix seconds. Absent on roads without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at_s: Option<i64>,
    /// Name of the signing secret that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Accepted later than on time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Size of the body as Terra sent it. Unit: bytes.
    pub size_bytes: u64,
    /// Place of the body.
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
    /// Plain text: on the road where Terra itself writes to a queue of ours.
    Plain(String),
}

/// Most jobs that may follow one another in a chain, each queueing the next one of its kind.
///
/// Lambda stops a function that feeds its own queue after 16 invocations in one chain, unless it is told not
/// to. This is the bound in its place: two million users of a list, or connections of a shard.
pub const MAX_STEPS: u32 = 10_000;

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
        /// Begin of the comparison, which is its name. Unit: Unix milliseconds.
        sweep_ms: i64,
        /// Terra's page, from 0 on.
        page: u32,
    },
    /// The end of such a comparison, for one shard of our connections: what no page had has ended.
    EndMissing {
        /// Begin of the comparison. Unit: Unix milliseconds.
        sweep_ms: i64,
        /// The shard.
        shard: u8,
        /// The connection to go on behind.
        after: Option<ConnectionId>,
        /// Jobs before this one in its chain.
        #[serde(default)]
        step: u32,
    },
    /// Look for days that are missing, at all connections.
    FindGaps,
    /// The same for one shard of them.
    FindGapsOf {
        /// The shard.
        shard: u8,
        /// The connection to go on behind.
        after: Option<ConnectionId>,
        /// True if the search goes all the way back.
        #[serde(default)]
        whole: bool,
        /// Jobs before this one in its chain.
        #[serde(default)]
        step: u32,
        /// Counts over the connections before that one. They come along, so that a job that comes twice counts
        /// nothing twice.
        #[serde(default)]
        counted: Box<Fleet>,
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
    /// The payload of a ping could not be fetched: ask Terra for those days again.
    PayloadLost(LostPayload),
}

impl HistoryMessage {
    /// Returns how many jobs stand before this one in a chain of its kind.
    pub fn step(&self) -> u32 {
        match self {
            Self::ReconcilePage { page, .. } => *page,
            Self::EndMissing { step, .. } | Self::FindGapsOf { step, .. } => *step,
            Self::Work
            | Self::Reconcile
            | Self::FindGaps
            | Self::Connected { .. }
            | Self::RequestAdvanced { .. }
            | Self::PayloadLost(_) => 0,
        }
    }
}

/// A message of the jobs queue: long work.
///
/// It may come twice and late: what is to be done is read from the job's item, not from the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum JobMessage {
    /// Look for jobs that are due.
    Work,
    /// Go on with one job.
    Run {
        /// Kind of the job.
        kind: JobKind,
        /// Id of the job.
        id: String,
        /// Messages before this one in the job's chain.
        #[serde(default)]
        step: u32,
    },
}

impl JobMessage {
    /// The first message of a job.
    pub fn first(kind: JobKind, id: impl Into<String>) -> Self {
        Self::Run {
            kind,
            id: id.into(),
            step: 0,
        }
    }

    /// Returns how many messages stand before this one in the chain of its job.
    pub fn step(&self) -> u32 {
        match self {
            Self::Work => 0,
            Self::Run { step, .. } => *step,
        }
    }
}

/// Kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A person's data are erased.
    Erase,
    /// A person's data are put into one file.
    Export,
    /// Archived webhooks go through today's code.
    Replay,
}

impl JobKind {
    /// In the word of messages and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Export => "export",
            Self::Replay => "replay",
        }
    }
}

/// A payload that a ping offered and that cannot be had any more.
///
/// A ping itself tells neither the type nor the days of its payload (FACTS section 7, "Ping mode").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostPayload {
    /// Terra user that the payload is about, where the ping names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terra_user_id: Option<TerraUserId>,
    /// Person that the payload is about, where the ping names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    /// Request of ours that the payload answers, where it is one: its window says type and days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Time at which Terra offered the payload. Unit: Unix milliseconds.
    pub offered_at_ms: i64,
}
