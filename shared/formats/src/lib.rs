#![doc = include_str!("../README.md")]

pub mod fit;
mod time;
