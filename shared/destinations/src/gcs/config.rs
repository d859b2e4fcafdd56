//! Settings of a bucket.

use super::{Gcs, Objects};
use crate::{
    bucket::Settings,
    config::{Context, Fields, KindName, Refused},
    google::Google,
};

/// Address of the interface.
const ADDRESS: &str = "https://storage.googleapis.com";
/// Scope of a token.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

pub(super) fn read(mut fields: Fields<'_>, context: &Context) -> Result<Gcs, Refused> {
    let bucket = fields.required("bucket", "my-bucket");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if !bucket.chars().all(plain) {
        fields.refuse(
            "bucket",
            "has to be lower-case letters, digits, hyphens, underscores and dots",
        );
    }
    let settings = Settings::read(&mut fields);
    let opened = Google::read(&mut fields, context, ADDRESS, SCOPE);
    fields.finish()?;
    let opened = opened.ok_or_else(|| Refused::new(KindName::Gcs, "endpoint", "cannot be used"))?;
    Ok(Gcs {
        objects: Objects {
            google: opened.google,
            base: opened.base,
            bucket,
        },
        settings,
    })
}
