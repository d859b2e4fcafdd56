//! A destination as an operator set it up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Subscription,
    order::{Purpose, Range},
};

/// Id of a destination: `dst_` and letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DestinationId(String);

/// The text is not a destination id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a destination id is `dst_` and 1 to 36 of a-z and 0-9")]
pub struct InvalidDestinationId;

impl DestinationId {
    /// Takes an id as it is written.
    ///
    /// # Errors
    ///
    /// [`InvalidDestinationId`] when the text has another form.
    pub fn new(text: &str) -> Result<Self, InvalidDestinationId> {
        let rest = text.strip_prefix("dst_").ok_or(InvalidDestinationId)?;
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=36).contains(&rest.len()) && rest.bytes().all(sound);
        fits.then(|| Self(text.to_owned()))
            .ok_or(InvalidDestinationId)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for DestinationId {
    type Err = InvalidDestinationId;

    fn from_str(text: &str) -> Result<Self, InvalidDestinationId> {
        Self::new(text)
    }
}

impl TryFrom<String> for DestinationId {
    type Error = InvalidDestinationId;

    fn try_from(text: String) -> Result<Self, InvalidDestinationId> {
        Self::new(&text)
    }
}

impl From<DestinationId> for String {
    fn from(id: DestinationId) -> Self {
        id.0
    }
}

/// State that an operator gives a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The destination was never tried with success: nothing is announced, and orders wait. The first probe that
    /// passes makes it active.
    Unproven,
    /// Changes are delivered.
    Active,
    /// Changes are owed until the destination is resumed.
    Paused,
    /// The destination asked not to be called again. What is on its way, deletions and Terra's own webhooks are owed;
    /// records are not announced any more, and resuming delivers again what changed since.
    Disabled,
}

impl Status {
    /// The name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// Content that passes to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// States of records.
    #[default]
    Records,
    /// Terra's webhooks byte for byte. Log kinds and buckets only.
    Webhooks,
}

/// Addresses that a destination may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Addresses of the internet.
    #[default]
    Public,
    /// Private addresses too, for a database in a VPC. The operator decides, never the API.
    Private,
    /// Any address, loopback and plain HTTP too. Only the system on one machine allows it.
    Local,
}

/// Time before a destination began, or stopped, to be told of changes from which on records are delivered in any case:
/// something may have been on its way. Unit: milliseconds.
pub const ON_ITS_WAY_MS: i64 = 600_000;

/// A destination as an operator set it up. Its secrets are elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Id.
    pub id: DestinationId,
    /// Name that the operator gave.
    pub name: String,
    /// Kind, by its name in `shared/destinations`.
    pub kind: String,
    /// State that the operator gave.
    pub status: Status,
    /// Time at which the status changed last. Unit: Unix milliseconds.
    pub status_since_ms: i64,
    /// Records that are wanted.
    #[serde(default)]
    pub subscription: Subscription,
    /// Content that passes.
    #[serde(default)]
    pub stream: Stream,
    /// Number of shards, whose deliveries run side by side. Never changes, once it is not 0: an unproven destination
    /// gets the number that suits its kind when its probe passes.
    pub concurrency: u32,
    /// Addresses that may be connected to.
    #[serde(default)]
    pub network: Network,
    /// Settings of the kind.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Time at which the destination was made. Unit: Unix milliseconds.
    pub created_at_ms: i64,
}

impl Destination {
    /// Makes an unproven destination active, because it was tried with success. `suits` is the number of shards that
    /// suits its kind.
    pub fn prove(&mut self, suits: u32, now_ms: i64) {
        if self.status != Status::Unproven {
            return;
        }
        self.status = Status::Active;
        self.status_since_ms = now_ms;
        if self.concurrency == 0 {
            self.concurrency = suits.max(1);
        }
    }

    /// Pauses the destination if it is active.
    pub fn pause(&mut self, now_ms: i64) {
        if self.status == Status::Active {
            self.status = Status::Paused;
            self.status_since_ms = now_ms;
        }
    }

    /// Makes a destination active that was paused or disabled.
    pub fn resume(&mut self, now_ms: i64) {
        if matches!(self.status, Status::Paused | Status::Disabled) {
            self.status = Status::Active;
            self.status_since_ms = now_ms;
        }
    }

    /// Records of which the destination was not told, because it is disabled. Terra's webhooks are owed to it.
    pub fn untold(&self) -> Option<Range> {
        let is_untold = self.status == Status::Disabled && self.stream == Stream::Records;
        is_untold.then(|| Range {
            written_since_ms: Some(self.status_since_ms.saturating_sub(ON_ITS_WAY_MS)),
            ..Range::default()
        })
    }

    /// Returns whether the destination forgets a record only when it is told the record's name: Kafka, whose topics
    /// can be searched by nobody.
    pub fn forgets_by_name(&self) -> bool {
        self.kind == "kafka" && self.stream == Stream::Records
    }

    /// Returns whether changes of records are announced to the destination.
    pub fn is_told(&self) -> bool {
        !matches!(self.status, Status::Disabled | Status::Unproven)
    }

    /// Returns whether deletions and Terra's webhooks are announced to the destination. One that is disabled is owed
    /// them: records that change meanwhile are delivered again when it is resumed, but what is gone by then, or stored
    /// as no state, would be found by nobody.
    pub fn is_told_of_deletions(&self) -> bool {
        self.status != Status::Unproven
    }

    /// Returns whether an order may begin. Records are delivered again only when every router has known for long enough
    /// that the destination is told: whatever was written before is in the walk, whatever comes later is announced.
    pub fn may_begin(&self, purpose: &Purpose, known_after_ms: i64, now_ms: i64) -> bool {
        match purpose {
            Purpose::Check { .. } => self.status != Status::Unproven,
            Purpose::Redrive { .. } | Purpose::Backfill => {
                self.is_told() && now_ms >= self.status_since_ms + known_after_ms
            }
        }
    }
}
