//! Where data are sent on to: one trait, one folder per kind of destination.
//!
//! A **state kind** (databases, buckets) keeps one state of each record and takes a state only over a
//! lower revision. A **log kind** (webhook, SQS, Kafka) passes on whatever it is given, at least once.
//! [`kind::Kind`] is all that a caller sees of either; [`config::open`] makes one from settings.
//!
//! Every kind is a folder of the same shape: `config` reads the settings, `deliver` writes, `probe`
//! tries a destination step by step, `faults` says what an error of the server means.
//!
//! The library reads no clock, no environment and no secret store, and logs nothing: faults and
//! findings are returned, without any value of a record, secret or body of an answer.
//!
//! Where it differs from the first design:
//! - a person without a connection is known as `person_<hash>` at destinations, because a reference
//!   id does not fit every key;
//! - an erasure is told to a log kind as one event; records of Kafka get their tombstones from the
//!   deletions that the store announces for each record;
//! - [`kind::Kind::prepare`] returns findings, because a column of another type is no fault.

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
