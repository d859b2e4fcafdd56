#![doc = include_str!("../README.md")]

pub mod cli;
pub mod commands;
pub mod failure;
pub mod gateway;
pub mod history;
pub mod output;
pub mod system;
mod text;
mod view;
