#![doc = include_str!("../README.md")]

mod batch;
mod config;
mod erased;
mod handler;
mod ping;
mod source;

pub use self::{
    config::{App, Config, Observer},
    handler::handle,
};
