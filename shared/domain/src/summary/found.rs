//! Content of one record.

use std::collections::{BTreeMap, BTreeSet};

use models::{data::DataType, mend::mended};

use super::Summary;
use crate::{
    key::Identity,
    streams::{Stream, filled_streams},
};

/// Content of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Identity of the record, as delivered.
    pub identity: Identity,
    /// The numbers that Terra gave outside samples.
    pub delivered: Summary,
    /// Summary from samples, for fields that Terra left absent; `None` if there is none.
    pub from_samples: Option<Summary>,
    /// The leaves of `data_enrichment` under their paths, known to Terra's schemas or not. A set of
    /// contributors is taken apart: `sleep_contributors.deep`.
    pub enrichment: BTreeMap<String, serde_json::Value>,
    /// Sample streams that hold at least one sample.
    pub streams: BTreeSet<Stream>,
    /// True if the record takes itself back: an activity or day that the vendor deleted, an observation
    /// entered in error.
    pub retracted: bool,
}

/// Summarises the exact bytes of one record.
///
/// The record is parsed once; a sample stream only where a number is missing without it.
///
/// ```
/// use domain::summary::{Value, summarise};
/// use models::{data::DataType, mend::mended};
///
/// let record = br#"{"measurements_data": {"measurements": [{"weight_kg": 72.4}]}}"#;
/// let summaries = summarise(DataType::Body, record)?;
/// assert_eq!(summaries.delivered.get("weight_kg"), None);
/// let from_samples = summaries.from_samples.unwrap();
/// assert_eq!(from_samples.get("weight_kg"), Some(Value::Number(72.4)));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// Malformed JSON. A value of the wrong type, half an emoji, a number too large for a double and
/// nesting beyond reading each cost no more than their own field.
pub fn summarise(data_type: DataType, record: &[u8]) -> Result<Found, serde_json::Error> {
    let mut found = Summary::read(data_type, record).or_else(|error| {
        let text = str::from_utf8(record).map_err(|_| error)?;
        Summary::read(data_type, mended(text).as_bytes())
    })?;
    found.streams = filled_streams(data_type, record);
    Ok(found)
}
