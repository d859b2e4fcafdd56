#![doc = include_str!("../README.md")]

mod answer;
mod at_hand;
mod config;
mod connected;
mod done;
mod error;
mod fetch;
mod gaps;
mod handler;
mod lost;
mod pace;
mod reconcile;
mod requests;
mod window;
mod work;

pub use self::{
    config::{App, Clock, Config, TRUST_EMPTY_AFTER, terra_client},
    connected::Supported,
    error::HistoryError,
    fetch::{FetchSettings, FetchVia, InvalidFetchVia},
    handler::{Deadline, Trigger, handle, run},
    work::{Worked, work},
};
