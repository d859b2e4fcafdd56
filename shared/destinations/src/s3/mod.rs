//! AWS S3, or a store that speaks its language.

mod config;
mod faults;

use crate::{
    bucket::{Bucket, store::Store},
    config::{Context, Fields, Refused},
};

/// A bucket of S3 as a destination.
#[derive(Debug)]
pub(crate) struct S3;

impl S3 {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Bucket<Store>, Refused> {
        config::read(fields, context)
    }
}
