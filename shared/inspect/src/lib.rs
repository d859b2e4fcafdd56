#![doc = include_str!("../README.md")]

pub mod coverage;
mod days;
mod error;
mod person;
mod policies;
mod series;
pub mod signs;
mod why;

pub use self::{
    days::{DaysAnswer, DaysQuery, Order, SessionsAnswer, days, decided, sessions},
    error::InspectError,
    person::{Person, person},
    policies::{Change, Preview, PreviewQuery, policy_of, preview},
    series::{Answer as SeriesAnswer, Query as SeriesQuery, series},
    why::why,
};
