//! Series: samples of records over time, for one metric and one connection each.
//!
//! Samples lie in arrays of the records' payloads. Only the wanted array is parsed; what it holds is put into
//! buckets of the resolution that is asked for, and the record is let go.

mod builder;
mod catalogue;
mod columns;
mod resolution;
mod samples;

pub use self::{
    builder::{Builder, Rank},
    catalogue::{StreamMetric, StreamPlace},
    columns::{Basis, Columns},
    resolution::{MAX_POINTS, Part, Resolution, Window, WindowFault},
    samples::{Sample, Samples, read},
};
