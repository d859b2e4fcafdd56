//! The night of a day.

use models::data::DataType;

use super::reading::Reading;
use crate::source::{Candidate, Choice, Group, Metric, Policy, choose};

/// Sleeps of a day as candidates for its night, and the choice between them.
pub(super) fn night(readings: &[&Reading], policy: &Policy) -> (Vec<Candidate>, Choice) {
    let sleeps = readings
        .iter()
        .filter(|reading| reading.record.data_type == DataType::Sleep);
    let candidates: Vec<Candidate> = sleeps.map(|sleep| sleep.whole(Group::Sleep)).collect();
    let choice = choose(Metric::of_group(Group::Sleep), &candidates, policy);
    (candidates, choice)
}
