//! Returns the fault that an error of Google Cloud Storage means.
//!
//! Codes: <https://cloud.google.com/storage/docs/json_api/v1/status-codes>. The text of an error can
//! quote what was sent, so only its reason is kept, which is one word.

use serde::Deserialize;

use crate::{
    google::Answer,
    kind::{Fault, Unreachable},
};

#[derive(Deserialize)]
struct Body {
    error: Errors,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

fn reason(body: &[u8]) -> Option<String> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let reason = body.error.errors.into_iter().next()?.reason;
    let is_word = reason.len() <= 40 && reason.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then_some(reason)
}

/// The fault of an answer; `right` is what is missing if the store refuses.
pub(super) fn fault(answer: &Answer, right: &str, place: &str) -> Fault {
    let reason = reason(&answer.body);
    let throttled = || Fault::Throttled {
        after: None,
        code: None,
    };
    let fault = match (answer.status.as_u16(), reason.as_deref()) {
        (429, _) | (403, Some("rateLimitExceeded" | "userRateLimitExceeded" | "quotaExceeded")) => {
            throttled()
        }
        (403, Some("accountDisabled" | "billingNotEnabled" | "userProjectAccountProblem")) => {
            Fault::misconfigured("the project of the bucket is disabled or has no billing account")
        }
        (401, _) => Fault::misconfigured("Google does not accept the service account's token"),
        (403, _) => Fault::missing("the store refuses us", right),
        (404, _) => Fault::missing("there is no bucket of this name", place),
        (409 | 412, _) => Fault::Conflict { code: None },
        (400 | 413, _) => Fault::Rejected {
            reason: "the store refuses the object".to_owned(),
            code: None,
        },
        (300..=399, _) => Fault::misconfigured("the endpoint redirects; enter the final one"),
        (408 | 500.., _) => Fault::unreachable(Unreachable::Server),
        _ => Fault::misconfigured("the store refuses the request"),
    };
    match reason {
        Some(reason) => fault.with_code(format!("{} {reason}", answer.status.as_u16())),
        None => fault.with_code(answer.status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, reason: &str) -> Fault {
        let body = serde_json::json!({
            "error": {"code": status, "message": "m", "errors": [{"reason": reason}]},
        });
        let answer = Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            body: body.to_string().into_bytes(),
        };
        fault(&answer, "storage.objects.create on gs://b", "gs://b")
    }

    #[test]
    fn every_status_has_one_meaning() {
        for (status, reason, name) in [
            (429, "rateLimitExceeded", "throttled"),
            (403, "userRateLimitExceeded", "throttled"),
            (403, "forbidden", "misconfigured"),
            (403, "accountDisabled", "misconfigured"),
            (401, "authError", "misconfigured"),
            (404, "notFound", "misconfigured"),
            (307, "", "misconfigured"),
            (412, "conditionNotMet", "conflict"),
            (409, "conflict", "conflict"),
            (400, "invalid", "rejected"),
            (413, "uploadTooLarge", "rejected"),
            (408, "", "unreachable"),
            (500, "backendError", "unreachable"),
            (503, "backendError", "unreachable"),
        ] {
            assert_eq!(of(status, reason).name(), name, "{status} {reason}");
        }
        assert!(
            of(403, "forbidden")
                .to_string()
                .ends_with("storage.objects.create on gs://b")
        );
    }

    #[test]
    fn a_reason_that_is_no_word_is_not_kept() {
        let fault = of(403, "person@example.org may not");
        assert_eq!(fault.code(), Some("403"));
    }
}
