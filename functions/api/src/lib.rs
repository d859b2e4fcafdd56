#![doc = include_str!("../README.md")]

mod answer;
mod call;
mod config;
pub mod console;
mod cursor;
mod error;
pub mod gateway;
pub mod id;
mod keys;
pub mod openapi;
mod query;
pub mod route;
pub mod schema;
mod serve;
mod site;
mod terra;
mod text;
pub mod token;
mod upstream;
mod v1;
mod webhook_secrets;

pub use self::{
    config::{ANSWERS_WITHIN, App, Clock, Config},
    keys::{KeyCache, NewKey, new_secret},
    serve::{RequestId, endpoints, nothing_here},
    site::router,
    upstream::{Upstream, UpstreamError},
    webhook_secrets::WebhookSecrets,
};
