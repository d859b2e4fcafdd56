#![doc = include_str!("../README.md")]

pub mod api;
mod calendar;
mod counters;
mod deliver;
mod dice;
mod events;
mod mischief;
mod payloads;
mod people;
mod postman;
pub mod scenario;
pub mod server;
mod shape;
mod sign;
mod truth;
mod webhook;
mod world;

use std::sync::Arc;

pub use calendar::Place;
pub use counters::Snapshot;
pub use deliver::{DeliverError, Deliverer, DeliverySettings, Outcome};
pub use events::DataType;
pub use mischief::Mischief;
pub use payloads::{Oddity, Payloads};
pub use people::{Connection, Person, Provider};
pub use postman::{Posted, Postman};
pub use shape::{Scores, Shape, Size};
pub use sign::sign;
pub use truth::{Emission, Truth, TruthRecord, TruthSettings};
pub use webhook::Webhook;
pub use world::World;

/// Tells the time: the real one in a running system, a fixed one in tests.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
