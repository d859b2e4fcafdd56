//! The days of a person, put together from the records of all connections.
//!
//! A night belongs to the day on which it ends, by its own text; an activity to the day on which it begins. Where
//! records of one session differ about the day, it is on one all the same ([`by_day`]). Every value is a [`Decided`]: the candidates and the choice between them. What explains a value shows the same.

mod day;
mod night;
mod reading;
mod sessions;
pub mod shown;
mod why;

pub use self::{
    day::{Day, Decided, Score, Wanted, decide, decide_all},
    reading::{Loaded, Reading, day_of},
    sessions::{DAYS_AROUND, Recorded, Session, by_day, sessions},
    why::{Absent, IfPreferred, Why, why},
};

#[cfg(test)]
mod tests;
