//! Summary of a profile.

use models::data::Athlete;

use super::table::{summary, text};
use crate::key::Identity;

summary! {
    /// Summary of a profile, without anything that names the person.
    Athlete(AthleteSummary) of record: Athlete<'_> {
        identity = Identity::default();
    } {
        /// Age. Unit: years. From `age`.
        age: f64 = record.age.get(),
        /// Sex. From `sex`.
        sex: String = text(&record.sex),
        /// Gender. From `gender`.
        gender: String = text(&record.gender),
        /// Country. From `country`.
        country: String = text(&record.country),
    }
}
