#![doc = include_str!("../README.md")]

mod answer;
mod cache;
mod catalogue;
mod config;
mod connected;
mod decision;
mod done;
mod error;
mod fetch;
mod gaps;
mod handler;
mod lost;
mod pace;
mod reconcile;
mod requests;
mod step;
mod window;
mod work;

pub use self::{
    catalogue::Supported,
    config::{App, Clock, Config, Deadline, TRUST_EMPTY_AFTER, terra_client},
    error::HistoryError,
    fetch::{FetchSettings, FetchVia, InvalidFetchVia},
    handler::{Trigger, handle, run},
    work::{Worked, work},
};
