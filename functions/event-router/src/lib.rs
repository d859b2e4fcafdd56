#![doc = include_str!("../README.md")]

mod applied;
mod apply;
mod batch;
mod config;
mod error;
mod handler;
mod ping;
mod replay;
mod source;
mod work;

pub use self::{
    applied::Applied,
    config::{App, Config, Observer},
    error::RouteError,
    handler::handle,
    replay::{Listed, Replayed, replay},
};
