#![doc = include_str!("../README.md")]

pub mod backfills;
mod connections;
pub mod coverage;
mod days;
mod error;
pub mod findings;
mod memo;
mod person;
mod policies;
mod series;
mod signed;
pub mod signs;
pub mod text;
mod why;

pub use self::{
    connections::all_connections,
    days::{DaysAnswer, DaysQuery, Order, SessionsAnswer, days, decided, sessions},
    error::InspectError,
    person::{Person, may_have, person},
    policies::{Change, Preview, PreviewQuery, policy_of, preview},
    series::{Answer as SeriesAnswer, Budget, Query as SeriesQuery, series},
    signed::{Verdict, verdict},
    why::why,
};
