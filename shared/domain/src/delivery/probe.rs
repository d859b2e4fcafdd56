//! Trials of a destination: steps that were tried one by one, and what each found.

use serde::{Deserialize, Serialize};

use super::{DeliveryMessage, DestinationId};

/// Result of a step of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The step works.
    Passed,
    /// The step works, and something should be known.
    Warning,
    /// The step fails.
    Failed,
}

impl Verdict {
    /// The name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One step of a probe, as it is kept. No value of a record and no secret stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Name of the step: `settings`, `resolve`, `connect`, `write`, …
    pub step: String,
    /// Result.
    pub verdict: Verdict,
    /// Text of the finding.
    pub text: String,
    /// The right or the thing that is missing, as the owner of the destination knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Time taken. Unit: milliseconds.
    pub took_ms: u64,
}

/// A probe that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Time at which it was asked for. Unit: Unix milliseconds.
    pub asked_at_ms: i64,
    /// Time at which it was done. Unit: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at_ms: Option<i64>,
    /// Steps of the probe; those of the one before until it is done.
    #[serde(default)]
    pub steps: Vec<Step>,
}

impl Probe {
    /// A probe that is asked for now, beside the steps of the one before.
    pub fn asked(before: Option<Self>, now_ms: i64) -> Self {
        Self {
            asked_at_ms: now_ms,
            done_at_ms: None,
            steps: before.map(|before| before.steps).unwrap_or_default(),
        }
    }

    /// The message that asks for it, and the id under which a queue takes it once.
    pub fn message(&self, destination: &DestinationId) -> (DeliveryMessage, String) {
        let message = DeliveryMessage::Probe {
            destination: destination.clone(),
            asked_at_ms: self.asked_at_ms,
        };
        (message, format!("probe-{destination}-{}", self.asked_at_ms))
    }

    /// Returns whether every step works; `None` until the probe is done.
    pub fn has_passed(&self) -> Option<bool> {
        self.done_at_ms?;
        Some(
            self.steps
                .iter()
                .all(|step| step.verdict != Verdict::Failed),
        )
    }
}
