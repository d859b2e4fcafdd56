//! Results of a choice: the chosen candidate, why it was, and why each other was not.

use serde::Serialize;

use super::policy::{RuleRef, Within};

/// Choice between the candidates of one metric and day.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Place of the chosen candidate.
    pub chosen: Option<usize>,
    /// Tier of the chosen candidate, from 1.
    pub tier: Option<u8>,
    /// The rule that has the tiers.
    pub rule: RuleRef,
    /// Choice within a tier that the rules ask for.
    pub within: Within,
    /// Share below which a lower tier steps in; 0 where none may.
    pub step_in_below: f64,
    /// Step that decided; absent when there is nothing to choose.
    pub decided_by: Option<Decision>,
    /// Every other candidate, with its reason.
    pub rejected: Vec<(usize, Reason)>,
    /// Doubts about the chosen value.
    pub warnings: Vec<Warning>,
}

impl Choice {
    /// The reason why a candidate was not chosen.
    pub fn reason(&self, candidate: usize) -> Option<&Reason> {
        let mut rejected = self.rejected.iter();
        rejected
            .find(|(index, _)| *index == candidate)
            .map(|(_, reason)| reason)
    }
}

/// Step that decided a choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// There was one usable candidate.
    Only,
    /// Alone in the best tier.
    Tier,
    /// The only complete one of its tier.
    Settled,
    /// Best of its tier.
    Within(Within),
    /// The best tier's value was too small beside that of a lower tier.
    SteppedIn {
        /// Place of the candidate that was passed over.
        first: usize,
        /// Its share of the chosen value.
        ratio: f64,
    },
    /// The record was chosen for the leading metric of the group.
    SameRecord,
    /// Candidates alike in everything that counts: the order of their names.
    Tie,
}

impl Decision {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Tier => "tier",
            Self::Settled => "settled",
            Self::Within(_) => "within",
            Self::SteppedIn { .. } => "stepped_in",
            Self::SameRecord => "same_record",
            Self::Tie => "tie",
        }
    }
}

/// Number that stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placeholder {
    /// No steps while another source counted some: a device in a drawer.
    ZeroWhileOthersMoved,
    /// Zero where a living person has none.
    Zero,
    /// −1.
    MinusOne,
    /// 255 as heart rate.
    TwoFiftyFive,
}

/// Reason why a candidate was not chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The provider took the record back.
    Retracted,
    /// A rule excludes the source.
    Excluded(RuleRef),
    /// The number stands for none.
    Placeholder(Placeholder),
    /// The source is in a lower tier.
    LowerTier {
        /// Its tier, from 1.
        tier: u8,
    },
    /// A lower tier stepped in over it.
    SteppedInOver {
        /// Its share of the chosen value.
        ratio: f64,
    },
    /// Less of what counts within the tier.
    LessComplete {
        /// The measure.
        by: Within,
    },
    /// Delivered before the day was over, and another one after.
    Partial,
    /// Like a partial one, and its connection has ended: nothing more will come.
    StaleSource,
    /// The same value of the same source in another record.
    SameAs(usize),
    /// Another record was chosen for the whole group.
    OtherRecordChosenForGroup,
    /// Half of a pair, and another record has both.
    HalfOfAPair,
    /// Another part of the night is the main one.
    NotMainSession,
    /// Covers the time of a session of the same source that was taken.
    OverlapsChosen,
    /// A nap is no night.
    Nap,
    /// The chosen one is newer.
    Newer(usize),
    /// Alike in everything that counts.
    Tie,
}

impl Reason {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retracted => "retracted",
            Self::Excluded(_) => "excluded",
            Self::Placeholder(_) => "placeholder",
            Self::LowerTier { .. } => "lower_tier",
            Self::SteppedInOver { .. } => "stepped_in_over",
            Self::LessComplete { .. } => "less_complete",
            Self::Partial => "partial",
            Self::StaleSource => "stale_source",
            Self::SameAs(_) => "same_as",
            Self::OtherRecordChosenForGroup => "other_record_chosen_for_group",
            Self::HalfOfAPair => "half_of_a_pair",
            Self::NotMainSession => "not_main_session",
            Self::OverlapsChosen => "overlaps_chosen",
            Self::Nap => "nap",
            Self::Newer(_) => "newer",
            Self::Tie => "tie",
        }
    }
}

/// Doubt about a chosen value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warning {
    /// Last delivered before the day was over.
    Partial,
    /// A mean of samples, not Terra's own number.
    DerivedFromSamples,
    /// Outside of what a living person can have.
    OutOfRange,
    /// Connections differ.
    SourcesDisagree {
        /// Difference of the largest and the smallest value, as a share of the largest.
        ratio: f64,
    },
}

impl Warning {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::DerivedFromSamples => "derived_from_samples",
            Self::OutOfRange => "out_of_range",
            Self::SourcesDisagree { .. } => "sources_disagree",
        }
    }
}
