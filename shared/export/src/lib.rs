#![doc = include_str!("../README.md")]

mod error;
mod files;
mod index;
mod lines;
mod reader;
mod texts;
mod write;
mod zip;

pub use self::{
    error::ExportError,
    index::Period,
    reader::Reader,
    write::{End, Order, Progress, Report, Written, write},
    zip::CompressError,
};
