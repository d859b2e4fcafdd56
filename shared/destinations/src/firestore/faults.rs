//! Returns the fault that an error of Firestore means.
//!
//! Codes: <https://cloud.google.com/firestore/docs/understand-error-codes>. The text of an error can
//! quote names of documents, so only its code is kept.

use serde::Deserialize;

use crate::{
    google::Answer,
    kind::{Fault, Unreachable},
};

#[derive(Deserialize)]
struct Body {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: String,
}

/// Answers of a stream are elements of an array, and so is an error there. The stream stands first,
/// because an array can also be read as the fields of one body.
#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Stream(Vec<Body>),
    One(Body),
}

/// The fault of an answer; `right` is what is missing if the database refuses.
pub(super) fn fault(answer: &Answer, right: &str) -> Fault {
    let status = answer.status.as_u16();
    let found = match serde_json::from_slice(&answer.body) {
        Ok(Either::One(body)) => Some(body.error),
        Ok(Either::Stream(bodies)) => bodies.into_iter().next().map(|body| body.error),
        Err(_) => None,
    };
    let is_disabled = found.as_ref().is_some_and(|error| {
        let mut reasons = error.details.iter().map(|detail| detail.reason.as_str());
        reasons.any(|reason| reason == "SERVICE_DISABLED")
    });
    if is_disabled {
        return Fault::misconfigured("the project has not enabled the Firestore interface")
            .with_code("SERVICE_DISABLED");
    }
    let name = found.map(|error| error.status).unwrap_or_default();
    let code = CODES.iter().find(|(_, known)| *known == name);
    match (code, status) {
        (Some((code, _)), _) => of_code(*code, right),
        (None, 300..=399) => {
            Fault::misconfigured("the endpoint redirects; enter the final one").with_code(status)
        }
        (None, 429) => of_code(8, right),
        (None, 401) => of_code(16, right),
        (None, 403) => of_code(7, right),
        (None, 404) => of_code(5, right),
        (None, 413) => of_code(3, right),
        (None, 500..) => of_code(14, right),
        _ => {
            Fault::misconfigured("the endpoint does not answer as Firestore does").with_code(status)
        }
    }
}

/// The canonical codes of Google's interfaces.
const CODES: [(u16, &str); 16] = [
    (1, "CANCELLED"),
    (2, "UNKNOWN"),
    (3, "INVALID_ARGUMENT"),
    (4, "DEADLINE_EXCEEDED"),
    (5, "NOT_FOUND"),
    (6, "ALREADY_EXISTS"),
    (7, "PERMISSION_DENIED"),
    (8, "RESOURCE_EXHAUSTED"),
    (9, "FAILED_PRECONDITION"),
    (10, "ABORTED"),
    (11, "OUT_OF_RANGE"),
    (12, "UNIMPLEMENTED"),
    (13, "INTERNAL"),
    (14, "UNAVAILABLE"),
    (15, "DATA_LOSS"),
    (16, "UNAUTHENTICATED"),
];

/// Returns whether a write failed because the document is another one than was read.
pub(super) fn is_lost(code: u16) -> bool {
    matches!(code, 5 | 6 | 9)
}

/// The fault of a code.
pub(super) fn of_code(code: u16, right: &str) -> Fault {
    let fault = match code {
        3 | 11 => Fault::Rejected {
            reason: "the database refuses the document".to_owned(),
            code: None,
        },
        5 => Fault::misconfigured("there is no Firestore database of this name in the project"),
        7 => Fault::missing("the service account lacks a right", right),
        8 => Fault::Throttled {
            after: None,
            code: None,
        },
        6 | 10 => Fault::Conflict { code: None },
        9 => Fault::misconfigured(
            "the database does not serve this: it is in Datastore mode, or an index is missing",
        ),
        12 => Fault::misconfigured("the endpoint does not answer as Firestore does"),
        16 => Fault::misconfigured("Google does not accept the service account's token"),
        _ => Fault::unreachable(Unreachable::Server),
    };
    let name = CODES.iter().find(|(known, _)| *known == code);
    fault.with_code(name.map_or("UNKNOWN", |(_, name)| *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Fault {
        let answer = Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            body: body.as_bytes().to_vec(),
        };
        fault(&answer, "datastore.entities.update on project p")
    }

    #[test]
    fn every_code_has_one_meaning() {
        for (code, name) in [
            ("UNAVAILABLE", "unreachable"),
            ("INTERNAL", "unreachable"),
            ("DEADLINE_EXCEEDED", "unreachable"),
            ("RESOURCE_EXHAUSTED", "throttled"),
            ("ABORTED", "conflict"),
            ("PERMISSION_DENIED", "misconfigured"),
            ("UNAUTHENTICATED", "misconfigured"),
            ("NOT_FOUND", "misconfigured"),
            ("FAILED_PRECONDITION", "misconfigured"),
            ("INVALID_ARGUMENT", "rejected"),
        ] {
            let error = format!(r#"{{"error":{{"code":400,"message":"m","status":"{code}"}}}}"#);
            for body in [format!("[{error}]"), error] {
                let fault = of(400, &body);
                assert_eq!((fault.name(), fault.code()), (name, Some(code)), "{body}");
            }
        }
    }

    #[test]
    fn an_interface_that_is_not_enabled_and_a_missing_right_are_told_apart() {
        let body = r#"{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"@type":"t","reason":"SERVICE_DISABLED"}]}}"#;
        assert!(of(403, body).to_string().contains("not enabled"));
        let body = r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#;
        assert!(
            of(403, body)
                .to_string()
                .ends_with("datastore.entities.update on project p")
        );
    }

    #[test]
    fn what_is_no_answer_of_firestore_is_told_by_its_status() {
        for (status, name) in [
            (503, "unreachable"),
            (429, "throttled"),
            (404, "misconfigured"),
            (307, "misconfigured"),
            (200, "misconfigured"),
        ] {
            assert_eq!(of(status, "<html>").name(), name, "{status}");
        }
    }
}
