#![doc = include_str!("../README.md")]

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "bucket")]
mod bucket;
pub mod change;
pub mod config;
pub mod envelope;
#[cfg(feature = "folder")]
mod folder;
pub mod id;
pub mod kind;
pub mod net;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "s3")]
mod s3;
pub mod sign;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(test)]
mod samples;
