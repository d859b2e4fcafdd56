#![doc = include_str!("../README.md")]

mod apply;
mod batch;
mod config;
mod error;
mod ping;
mod replay;
mod source;
mod work;

pub use self::{
    apply::Applied,
    batch::handle,
    config::{App, Config, Observer},
    error::RouteError,
    replay::replay,
};
