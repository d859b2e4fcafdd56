//! Google Cloud Storage, over its JSON interface.
//!
//! An object is written on the condition that its generation is still the one that was read, so of
//! several writers one wins. `object_store` speaks Google's XML interface, which no emulator has.

mod config;
mod faults;
mod objects;

use reqwest::Url;

use crate::{
    bucket::Bucket,
    config::{Context, Fields, Refused},
    google::Google,
};

/// A bucket of Google's as a destination.
pub(crate) type Gcs = Bucket<Objects>;

/// The objects of one bucket.
#[derive(Debug)]
pub(crate) struct Objects {
    google: Google,
    base: Url,
    bucket: String,
}

impl Gcs {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Self, Refused> {
        let read = config::read(fields, &context);
        drop(context);
        read
    }
}
