#![doc = include_str!("../README.md")]

mod clients;
mod config;
mod drain;
mod erase;
mod error;
mod handler;
mod outbox;
mod probe;
mod send;
mod states;
mod vault;
mod walk;
mod work;

pub use self::{
    clients::Clients,
    config::{App, Clock, Config},
    error::DeliverError,
    handler::handle,
    outbox::Outbox,
    states::day,
    vault::{Vault, VaultError},
    work::owed_for_ms,
};
