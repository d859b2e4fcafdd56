#![doc = include_str!("../README.md")]

pub mod data;
pub mod event;
pub mod gzip;
pub mod headers;
pub mod ids;
pub mod lenient;
pub mod mend;
pub mod signature;
pub mod streams;
