//! Meaning of SQS's errors.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::{
    kind::{Fault, Unreachable},
    net::fault_of,
};

/// The fault of a failed request.
pub(super) fn fault<E>(error: &SdkError<E>, queue_url: &str) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => Fault::unreachable(Unreachable::Timeout),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) if error.is_timeout() => Fault::unreachable(Unreachable::Timeout),
            Some(error) => fault_of(error),
            None => Fault::unreachable(Unreachable::Network),
        },
        error => match (error.code(), error.raw_response()) {
            (Some(code), _) => of_code(code, queue_url),
            (None, Some(answer)) => of_status(answer.status().as_u16(), queue_url),
            (None, None) => Fault::unreachable(Unreachable::Reset),
        },
    }
}

/// The fault of an answer that has no code.
fn of_status(status: u16, queue_url: &str) -> Fault {
    let fault = match status {
        300..=399 => Fault::misconfigured("the URL of the queue redirects; enter the final one"),
        401 | 403 => return of_code("AccessDenied", queue_url),
        429 => Fault::Throttled {
            after: None,
            code: None,
        },
        500.. => Fault::unreachable(Unreachable::Server),
        _ => Fault::misconfigured("the URL of the queue does not answer as SQS does"),
    };
    fault.with_code(status)
}

/// The fault of a code. Queries and JSON spell some codes differently.
pub(super) fn of_code(code: &str, queue_url: &str) -> Fault {
    let name = code.rsplit('.').next().unwrap_or(code);
    let fault = match name {
        "AccessDenied"
        | "AccessDeniedException"
        | "KmsAccessDenied"
        | "KMS.AccessDeniedException" => Fault::missing(
            "the queue refuses us",
            format!("sqs:SendMessage on {queue_url}"),
        ),
        "NonExistentQueue" | "QueueDoesNotExist" | "InvalidAddress" => {
            Fault::misconfigured("there is no queue under this URL")
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidSecurity" => {
            Fault::misconfigured("there is no access key of this id")
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" => {
            Fault::misconfigured("the secret access key is wrong")
        }
        "RequestThrottled" | "ThrottlingException" | "OverLimit" | "KmsThrottled" => {
            Fault::Throttled {
                after: None,
                code: None,
            }
        }
        "InvalidMessageContents" | "InvalidParameterValue" | "BatchRequestTooLong" => {
            Fault::Rejected {
                reason: "the queue refuses the message".to_owned(),
                code: None,
            }
        }
        _ => Fault::unreachable(Unreachable::Server),
    };
    fault.with_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_meaning() {
        for (codes, name) in [
            (
                &[
                    "AccessDenied",
                    "AWS.SimpleQueueService.NonExistentQueue",
                    "QueueDoesNotExist",
                    "InvalidClientTokenId",
                ][..],
                "misconfigured",
            ),
            (&["RequestThrottled", "OverLimit"], "throttled"),
            (&["InvalidMessageContents"], "rejected"),
            (&["InternalError", "ServiceUnavailable"], "unreachable"),
        ] {
            for code in codes {
                assert_eq!(of_code(code, "q").name(), name, "{code}");
            }
        }
        for (status, name) in [
            (307, "misconfigured"),
            (403, "misconfigured"),
            (429, "throttled"),
            (503, "unreachable"),
        ] {
            assert_eq!(of_status(status, "q").name(), name, "{status}");
        }
    }
}
