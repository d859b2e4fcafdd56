//! A stand-in Terra: it makes webhooks, signs them, delivers them with retries, and misbehaves on
//! request.
//!
//! - [`World`] holds people and their connections and makes every event Terra is known to send.
//! - [`scenario`] strings events together: short named stories for tests, and [`scenario::Lively`],
//!   an endless mix for a demonstration.
//! - [`Deliverer`] posts webhooks as Terra does: timeout, doubling waits, a fresh signature per attempt.
//! - [`Mischief`] makes the delivery worse than Terra ever was.
//! - [`Payloads`] and [`server`] serve the payloads that pings point to.
//! - [`Truth`] says for every connection, type and day which records there are, and makes the
//!   webhooks of any span of time from them; [`api`] answers Terra's HTTP API from the same truth,
//!   with its limits and its misbehaviour; [`Postman`] sends both on a simulated clock.
//!
//! The same seed and start time give the same bytes. Nothing here reads a clock, the environment or
//! the machine's randomness: each is an argument.

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
