#![doc = include_str!("../README.md")]

pub mod cli;
pub mod commands;
mod database;
mod deliveries;
pub mod failure;
mod folder;
pub mod gateway;
pub mod history;
mod jobs;
mod outbox;
pub mod output;
mod queues;
mod reads;
pub mod system;
mod text;
mod view;
mod workers;
