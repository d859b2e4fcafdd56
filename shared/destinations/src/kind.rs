//! Trait of all kinds of destinations.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use domain::delivery::probe::Step;
pub use domain::delivery::probe::Verdict;
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId},
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Total},
    id::{DeliveryId, OwnerId, RecordId},
};

/// One destination, connected.
///
/// Every call may be repeated and may be cut short at any point. A **state kind** keeps one state of
/// each record and writes a state only over a lower revision; so a repeated or an older delivery
/// changes nothing, whoever else writes. A **log kind** passes on what it is given, at least once,
/// under an id that stays the same.
///
/// A call may take [`LONGEST_CALL`]; the caller ends it with [`within`].
#[async_trait]
pub trait Kind: Send + Sync + fmt::Debug {
    /// Bounds of one call, and what the destination keeps.
    fn limits(&self) -> Limits;

    /// Tries the destination step by step and reports every step, also after one failed.
    async fn probe(&self) -> Vec<Finding>;

    /// Makes tables and indexes that are missing. Never removes or narrows one.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the destination.
    async fn prepare(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        let _ = shape;
        Ok(Vec::new())
    }

    /// Delivers changes in order; of each record at most one. Returns as many outcomes as changes.
    ///
    /// # Errors
    ///
    /// [`Fault`] if nothing of the call is known to have arrived. A fault after the first changes
    /// arrived is the outcome [`Outcome::Retry`] of the rest. [`Fault::Rejected`] means that one of
    /// the changes is refused and the destination does not say which: the caller halves the call.
    async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault>;

    /// Removes everything of a person, or says so to a log.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the destination.
    async fn erase(&self, person: &Erasure) -> Result<Erased, Fault>;

    /// Counts what the destination holds. `None` from a destination that cannot be asked.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the destination.
    async fn totals(&self, owners: &[OwnerId]) -> Result<Option<Vec<Total>>, Fault> {
        let _ = owners;
        Ok(None)
    }

    /// Lists the records of one owner and data type with their revisions. `None` as data type means
    /// the row of the connection.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the destination.
    async fn revisions(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        let _ = (owner, data_type);
        Ok(Vec::new())
    }
}

/// Longest time of any call but an erasure, which goes on where the one before ended.
pub const LONGEST_CALL: Duration = Duration::from_secs(30);

/// Bounds of one call of [`Kind::deliver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most changes.
    pub changes: usize,
    /// Most bytes of all bodies together.
    pub bytes: usize,
    /// Number of message groups that suits the destination, unless the operator says otherwise.
    pub concurrency: u32,
    /// Data that the destination keeps.
    pub keeps: Keeps,
}

/// Data that a destination keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// The current state of each record.
    State,
    /// Every change, in the order of arrival.
    Log,
}

/// Tables that a destination needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Data types of the subscription.
    pub data_types: Vec<DataType>,
}

impl Shape {
    /// Every data type.
    pub fn all() -> Self {
        Self {
            data_types: DataType::ALL.to_vec(),
        }
    }
}

/// Result of delivering one change.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The destination holds the change, or accepted it.
    Applied {
        /// Characters that the destination cannot store and that were replaced.
        repaired: u32,
    },
    /// The destination already holds this revision, or a higher one.
    Stale,
    /// The change may succeed later.
    Retry(Fault),
    /// The destination refuses this change.
    Rejected(Rejection),
}

/// Sets the outcome of the change at a place.
pub fn set(outcomes: &mut [Outcome], index: usize, outcome: Outcome) {
    if let Some(place) = outcomes.get_mut(index) {
        *place = outcome;
    }
}

impl Outcome {
    /// Delivered as it is.
    pub const APPLIED: Self = Self::Applied { repaired: 0 };

    /// Returns whether the destination now has the change or a newer state.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Applied { .. } | Self::Stale)
    }
}

/// Refusal of one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Reason, without any value of the record.
    pub reason: String,
    /// The destination's own code: an HTTP status, an SQLSTATE.
    pub code: Option<String>,
    /// True if the destination asked not to be sent this change again.
    pub is_final: bool,
}

/// Part of a connection that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    /// The name has no address.
    Dns,
    /// Nobody listens.
    Refused,
    /// The connection ended in the middle.
    Reset,
    /// No road to the address.
    Network,
    /// TLS failed.
    Tls,
    /// No answer in time.
    Timeout,
    /// The server answered that it cannot serve now.
    Server,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "its name has no address",
            Self::Refused => "the connection was refused",
            Self::Reset => "the connection was reset",
            Self::Network => "there is no road to its address",
            Self::Tls => "TLS failed",
            Self::Timeout => "it did not answer in time",
            Self::Server => "it answered that it cannot serve now",
        })
    }
}

/// Failure of a destination, or of one change.
///
/// No variant holds a value of a record, a secret or an answer's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The destination cannot be reached, or cannot serve now.
    #[error("the destination is unreachable: {part}")]
    Unreachable {
        /// Part of the connection that failed.
        part: Unreachable,
        /// The destination's own code.
        code: Option<String>,
    },
    /// The destination asks for less.
    #[error("the destination asks for fewer requests")]
    Throttled {
        /// Time that the destination asked to wait.
        after: Option<Duration>,
        /// The destination's own code.
        code: Option<String>,
    },
    /// Another writer was quicker.
    #[error("another writer was quicker")]
    Conflict {
        /// The destination's own code.
        code: Option<String>,
    },
    /// The destination refuses everything until somebody changes its settings or ours.
    #[error("{finding}{}", .missing.as_deref().map(|what| format!(": it lacks {what}")).unwrap_or_default())]
    Misconfigured {
        /// Fault that was found.
        finding: String,
        /// The right or the thing that is missing, as the destination's owner knows it, for example
        /// `INSERT on terrarium.daily`.
        missing: Option<String>,
        /// The destination's own code.
        code: Option<String>,
    },
    /// One of the changes is refused.
    #[error("{reason}")]
    Rejected {
        /// Reason, without any value of the record.
        reason: String,
        /// The destination's own code.
        code: Option<String>,
    },
    /// The destination asked never to be called again.
    #[error("the destination asked not to be called again")]
    Gone,
}

impl Fault {
    /// The connection failed.
    pub fn unreachable(part: Unreachable) -> Self {
        Self::Unreachable { part, code: None }
    }

    /// Something is wrong with the settings.
    pub fn misconfigured(finding: impl Into<String>) -> Self {
        Self::Misconfigured {
            finding: finding.into(),
            missing: None,
            code: None,
        }
    }

    /// A right or a thing is missing.
    pub fn missing(finding: impl Into<String>, missing: impl Into<String>) -> Self {
        Self::Misconfigured {
            finding: finding.into(),
            missing: Some(missing.into()),
            code: None,
        }
    }

    /// Sets the destination's own code.
    #[must_use]
    pub fn with_code(mut self, to: impl fmt::Display) -> Self {
        match &mut self {
            Self::Unreachable { code, .. }
            | Self::Throttled { code, .. }
            | Self::Conflict { code }
            | Self::Misconfigured { code, .. }
            | Self::Rejected { code, .. } => *code = Some(to.to_string()),
            Self::Gone => {}
        }
        self
    }

    /// The destination's own code.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Unreachable { code, .. }
            | Self::Throttled { code, .. }
            | Self::Conflict { code }
            | Self::Misconfigured { code, .. }
            | Self::Rejected { code, .. } => code.as_deref(),
            Self::Gone => None,
        }
    }

    /// Name of the variant, for metrics and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Throttled { .. } => "throttled",
            Self::Conflict { .. } => "conflict",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Rejected { .. } => "rejected",
            Self::Gone => "gone",
        }
    }

    /// The outcome of one change that met this fault.
    pub fn into_outcome(self) -> Outcome {
        match self {
            Self::Rejected { reason, code } => Outcome::Rejected(Rejection {
                reason,
                code,
                is_final: false,
            }),
            fault => Outcome::Retry(fault),
        }
    }
}

/// One step of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the step: `resolve`, `connect`, `authenticate`, `write`, …
    pub step: &'static str,
    /// Result.
    pub verdict: Verdict,
    /// Time that the step took.
    #[serde(serialize_with = "as_millis")]
    pub took: Duration,
    /// Text of the finding, without any secret.
    pub text: String,
    /// The right or the thing that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

fn as_millis<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

impl Finding {
    /// Returns whether the step fails.
    pub fn is_failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }

    /// The finding as it is kept beside the destination.
    pub fn kept(&self) -> Step {
        Step {
            step: self.step.to_owned(),
            verdict: self.verdict,
            text: self.text.clone(),
            missing: self.missing.clone(),
            took_ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// A step that works.
    pub fn passed(step: &'static str, took: Duration, text: impl Into<String>) -> Self {
        Self {
            step,
            verdict: Verdict::Passed,
            took,
            text: text.into(),
            missing: None,
        }
    }

    /// A step that works, with something that should be known.
    pub fn warning(step: &'static str, took: Duration, text: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            ..Self::passed(step, took, text)
        }
    }

    /// A step that fails.
    pub fn failed(step: &'static str, took: Duration, fault: &Fault) -> Self {
        let (text, missing) = match fault {
            Fault::Misconfigured {
                finding, missing, ..
            } => (finding.clone(), missing.clone()),
            fault => (fault.to_string(), None),
        };
        let text = match fault.code() {
            Some(code) => format!("{text} ({code})"),
            None => text,
        };
        Self {
            step,
            verdict: Verdict::Failed,
            took,
            text,
            missing,
        }
    }

    /// A step from its result.
    pub fn of(step: &'static str, took: Duration, result: Result<String, Fault>) -> Self {
        match result {
            Ok(text) => Self::passed(step, took, text),
            Err(fault) => Self::failed(step, took, &fault),
        }
    }
}

/// Waits for a call for at most this long.
///
/// # Errors
///
/// Those of the call, and [`Fault::Unreachable`] if the time is over.
pub async fn within<T>(
    limit: Duration,
    call: impl std::future::Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let done = tokio::time::timeout(limit, call).await;
    done.unwrap_or(Err(Fault::unreachable(Unreachable::Timeout)))
}

/// Person whose data are to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Names the erasure, so that a log destination sees the same id on every retry.
    pub id: String,
    /// The app's id of the person.
    pub reference_id: Option<ReferenceId>,
    /// Every connection of the person, and [`OwnerId::person`] for lab reports.
    pub owners: Vec<OwnerId>,
    /// Every Terra user id of the person.
    pub terra_user_ids: Vec<TerraUserId>,
    /// Records of these owners, for a destination that forgets by name; none for others.
    pub records: Vec<ErasedRecord>,
}

/// Name of a record that an erasure removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedRecord {
    /// Its owner.
    pub owner: OwnerId,
    /// Data type of the record.
    pub data_type: DataType,
    /// Name of the record at the destination.
    pub record_id: RecordId,
}

impl Erasure {
    /// The erasure of one owner after the other, so that each is told behind the owner's own records.
    pub fn parts(&self) -> impl Iterator<Item = (&OwnerId, Self)> {
        self.owners.iter().map(|owner| {
            let part = Self {
                owners: vec![owner.clone()],
                records: Vec::new(),
                id: self.id.clone(),
                reference_id: self.reference_id.clone(),
                terra_user_ids: self.terra_user_ids.clone(),
            };
            (owner, part)
        })
    }

    /// Name of the word that tells the readers of a log. A person is erased in parts, each of which has its own
    /// owners: queues and receivers drop what comes under the same name twice.
    pub fn delivery_id(&self, destination_id: &str) -> DeliveryId {
        let owners: Vec<_> = self.owners.iter().map(OwnerId::as_str).collect();
        let name = format!("{} {}", self.id, owners.join(" "));
        DeliveryId::of_event(destination_id, "person.erased", &name)
    }
}

/// Result of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Erased {
    /// Nothing of the person is left. Number of records that this call removed.
    Done(u64),
    /// The readers of the log were told.
    Announced,
    /// We cannot remove it; the text says what to remove.
    Manual(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_what_is_missing() {
        let fault = Fault::missing(
            "the user may not write the table",
            "INSERT on terrarium.daily",
        );
        assert_eq!(
            fault.to_string(),
            "the user may not write the table: it lacks INSERT on terrarium.daily"
        );
        let finding = Finding::failed("write", Duration::ZERO, &fault.with_code("42501"));
        assert_eq!(finding.text, "the user may not write the table (42501)");
        assert_eq!(
            finding.missing.as_deref(),
            Some("INSERT on terrarium.daily")
        );
    }

    #[test]
    fn each_part_of_an_erasure_has_a_name_of_its_own_at_each_destination() {
        let part = |digit: &str| Erasure {
            id: "e1".to_owned(),
            reference_id: None,
            owners: vec![OwnerId::connection(&digit.repeat(32).parse().unwrap())],
            terra_user_ids: Vec::new(),
            records: Vec::new(),
        };
        let name = part("1").delivery_id("dst_1");
        assert_eq!(name, part("1").delivery_id("dst_1"));
        assert_ne!(name, part("2").delivery_id("dst_1"));
        assert_ne!(name, part("1").delivery_id("dst_2"));
    }

    #[test]
    fn a_refused_record_is_an_outcome_and_everything_else_is_tried_again() {
        let rejected = Fault::Rejected {
            reason: "too large".to_owned(),
            code: None,
        };
        assert!(matches!(rejected.into_outcome(), Outcome::Rejected(_)));
        let fault = Fault::unreachable(Unreachable::Timeout);
        assert_eq!(fault.clone().into_outcome(), Outcome::Retry(fault));
    }
}
