#![doc = include_str!("../README.md")]

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "bucket")]
mod bucket;
pub mod change;
pub mod config;
pub mod draft;
pub mod envelope;
#[cfg(feature = "firestore")]
mod firestore;
#[cfg(feature = "folder")]
mod folder;
mod foreign;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "google")]
mod google;
pub mod id;
#[cfg(feature = "kafka")]
mod kafka;
pub mod kind;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
pub mod net;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sql", feature = "mongodb", feature = "firestore"))]
mod repair;
#[cfg(feature = "s3")]
mod s3;
pub mod sign;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(feature = "supabase")]
pub mod supabase;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(test)]
mod kept;
#[cfg(test)]
mod samples;
