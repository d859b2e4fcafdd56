//! Settings of a bucket.

use super::{Gcs, Objects};
use crate::{
    bucket::Settings,
    config::{Context, Fields, KindName, Refused, is_plain},
    google::Google,
};

/// Address of the interface.
const ADDRESS: &str = "https://storage.googleapis.com";
/// Scope of a token.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

/// Returns whether a bucket can have the name.
///
/// <https://cloud.google.com/storage/docs/buckets#naming>
fn is_bucket(name: &str) -> bool {
    is_plain(name, (3, 222), "-_.") && !name.contains("..")
}

pub(super) fn read(mut fields: Fields<'_>, context: &Context) -> Result<Gcs, Refused> {
    let bucket = fields.required("bucket", "my-bucket");
    let rule = "3 to 222 lower-case letters, digits, hyphens, underscores and single dots, with a letter or a digit \
                at both ends";
    fields.keep_to("bucket", &bucket, rule, is_bucket);
    let settings = Settings::read(&mut fields);
    let opened = Google::read(&mut fields, context, ADDRESS, SCOPE);
    fields.finish()?;
    let opened = opened.ok_or_else(|| Refused::new(KindName::Gcs, "endpoint", "cannot be used"))?;
    let objects = Objects {
        google: opened.google,
        base: opened.base,
        bucket,
    };
    Ok(Gcs::new(objects, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_name_that_google_gives() {
        for bucket in ["my-bucket", "my_bucket.example.com", "123"] {
            assert!(is_bucket(bucket), "{bucket}");
        }
        let long = "b".repeat(223);
        for bucket in ["..", "a/b", "a..b", "My-bucket", "-ab", "ab.", "ab", &long] {
            assert!(!is_bucket(bucket), "{bucket}");
        }
    }
}
