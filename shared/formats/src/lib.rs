#![doc = include_str!("../README.md")]

pub mod fhir;
pub mod fit;
mod time;
