//! Source priority: one number of several that say the same, and why that one.
//!
//! A *metric* is a number with one meaning, under Terra's field name. A *candidate* is one record's value for a
//! metric and a day. A *source* is a connection and its device. [`choose`] takes a metric, its candidates and a
//! [`Policy`], and gives a [`Choice`] that has a reason for every candidate. What is
//! shown as explanation is that very choice, so that both cannot differ.

mod candidate;
mod catalogue;
mod choice;
mod choose;
mod kind;
mod metric;
pub mod policy;
mod rank;
pub mod words;

pub use self::{
    candidate::{Candidate, Interval, RecordRef, Source},
    choice::{Choice, Decision, Placeholder, Reason, Warning},
    choose::{Lead, choose, choose_led},
    kind::{SourceKind, UnknownKind},
    metric::{Group, Kind, Metric, Place, SCORES_ARE_NOT_CHOSEN, UnknownGroup},
    policy::{Level, Policy, RuleRef, Within},
};
