#![doc = include_str!("../README.md")]

mod announce;
mod announcer;
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
    announcer::Announcer,
    applied::Applied,
    config::{App, Config, Observer},
    error::RouteError,
    handler::handle,
    replay::{Listed, Replayed, replay},
};
