//! Points of a series, as columns.

use models::lenient::Number;
use serde::Serialize;

/// Meaning of the times of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Instants.
    Instant,
    /// The wearer's clock, where Terra gave no offset; read as UTC.
    Local,
}

/// Columns of equal length, in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Columns {
    /// Meaning of the times.
    pub basis: Basis,
    /// Start of each bucket, or time of each sample. Unit: Unix seconds.
    pub t: Vec<Number>,
    /// Samples, sums of counters or last states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v: Option<Vec<Number>>,
    /// Means of rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<Number>>,
    /// Least values of rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Vec<Number>>,
    /// Greatest values of rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Vec<Number>>,
    /// Number of samples in each bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<Vec<u32>>,
}
