#![doc = include_str!("../README.md")]

mod batch;
mod config;
mod handler;
mod ping;
mod source;

pub use self::{
    config::{App, Config, Observer},
    handler::handle,
};
