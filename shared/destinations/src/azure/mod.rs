//! Azure Blob Storage.

mod config;
mod faults;

use crate::{
    bucket::{Bucket, store::Store},
    config::{Context, Fields, Refused},
};

/// A container of Azure as a destination.
#[derive(Debug)]
pub(crate) struct Azure;

impl Azure {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Refused`] with everything that is wrong.
    pub(crate) fn open(fields: Fields<'_>, context: Context) -> Result<Bucket<Store>, Refused> {
        config::read(fields, context)
    }
}
