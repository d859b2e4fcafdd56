//! Meaning of S3's errors.
//!
//! Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use crate::{
    bucket::store::{Code, first_of},
    kind::Fault,
};

/// The fault of the first code that stands in an error's text.
pub(super) fn of_text(text: &str) -> Option<Fault> {
    const CODES: &[Code] = &[
        ("SlowDown", || Fault::Throttled {
            after: None,
            code: None,
        }),
        ("NoSuchBucket", || {
            Fault::misconfigured("there is no bucket of this name")
        }),
        ("InvalidAccessKeyId", || {
            Fault::misconfigured("there is no access key of this id")
        }),
        ("SignatureDoesNotMatch", || {
            Fault::misconfigured("the secret access key is wrong")
        }),
        ("ExpiredToken", || {
            Fault::misconfigured("the access key has expired")
        }),
        ("PermanentRedirect", || {
            Fault::misconfigured("the bucket is in another region")
        }),
        ("AuthorizationHeaderMalformed", || {
            Fault::misconfigured("the bucket is in another region")
        }),
        ("incorrectly configured region", || {
            Fault::misconfigured("the bucket is in another region")
        }),
        ("KMS.", || {
            Fault::missing(
                "the bucket's key refuses us",
                "kms:GenerateDataKey, kms:Decrypt",
            )
        }),
        ("EntityTooLarge", || Fault::Rejected {
            reason: "the object is larger than the store takes".to_owned(),
            code: None,
        }),
        ("ConditionalRequestConflict", || Fault::Conflict {
            code: None,
        }),
    ];
    first_of(CODES, text)
}
