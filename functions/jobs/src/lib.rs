#![doc = include_str!("../README.md")]

mod config;
pub mod erase;
mod error;
mod export;
mod handler;
mod replay;
mod step;

pub use self::{
    config::{App, Budget, Clock, Config},
    error::JobError,
    handler::{go_on, handle, run},
    step::Next,
};
