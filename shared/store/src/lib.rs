#![doc = include_str!("../README.md")]

pub mod archive;
pub mod exports;
pub mod parcel;
#[cfg(feature = "table")]
pub mod table;

pub use domain::Retry;
