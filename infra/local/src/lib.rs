//! The whole system on one machine, and the operator's tool.
//!
//! What runs here is the functions' own code over the AWS SDK; only the ends are local: an embedded
//! DynamoDB-compatible database, durable queues in a file, and a folder for the archive.

pub mod cli;
pub mod commands;
pub mod failure;
pub mod gateway;
pub mod history;
pub mod output;
pub mod system;
mod text;
mod view;
