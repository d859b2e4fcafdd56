#![doc = include_str!("../README.md")]

pub mod aws;
pub mod batch;
pub mod metrics;
pub mod problem;
pub mod queue;
pub mod secret_store;
pub mod secrets;
pub mod settings;
pub mod telemetry;
