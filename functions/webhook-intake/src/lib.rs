#![doc = include_str!("../README.md")]

mod config;
mod error;
mod handler;
mod refusals;

pub use self::{
    config::{App, Config},
    handler::{handle, request_of},
    refusals::Refusals,
};
