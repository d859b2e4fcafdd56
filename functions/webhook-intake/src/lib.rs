#![doc = include_str!("../README.md")]

mod config;
mod error;
mod handler;

pub use self::{
    config::{App, Config},
    handler::{handle, request_of},
};
