//! Meaning of Azure Blob Storage's errors.
//!
//! Codes: <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>.

use crate::{
    bucket::store::{Code, first_of},
    kind::Fault,
};

/// The fault of the first code that stands in an error's text.
pub(super) fn of_text(text: &str) -> Option<Fault> {
    const CODES: &[Code] = &[
        ("ServerBusy", || Fault::Throttled {
            after: None,
            code: None,
        }),
        ("OperationTimedOut", || Fault::Throttled {
            after: None,
            code: None,
        }),
        ("ContainerNotFound", || {
            Fault::misconfigured("there is no container of this name")
        }),
        ("AuthenticationFailed", || {
            Fault::misconfigured(
                "the store does not accept the key or the SAS; has the SAS expired?",
            )
        }),
        ("AccountIsDisabled", || {
            Fault::misconfigured("the account is disabled")
        }),
        ("BlobAlreadyExists", || Fault::Conflict { code: None }),
        ("ConditionNotMet", || Fault::Conflict { code: None }),
        ("RequestBodyTooLarge", || Fault::Rejected {
            reason: "the object is larger than the store takes".to_owned(),
            code: None,
        }),
    ];
    first_of(CODES, text)
}
