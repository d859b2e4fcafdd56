//! HTTP answers that say what is wrong: `application/problem+json`, RFC 9457.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use serde_json::json;

/// Kind of problem. Each has one type URI, one title and one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request has no signature.
    SignatureMissing,
    /// The signature does not belong to the request.
    SignatureInvalid,
    /// The signature is right, but too old.
    SignatureExpired,
    /// The caller is not known, or may not.
    Unauthorized,
    /// The request cannot be understood.
    InvalidRequest,
    /// The body is larger than is taken.
    BodyTooLarge,
    /// There is nothing under this path, or no such thing.
    NotFound,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The caller is known, and may not do this.
    Forbidden,
    /// The thing was there, and was erased.
    Gone,
    /// The answer is larger than one answer can be.
    AnswerTooLarge,
    /// The cursor belongs to another query.
    CursorMismatch,
    /// The idempotency key was used for another request.
    IdempotencyConflict,
    /// Terra does this, and we do not.
    NotImplemented,
    /// The request is at odds with the stored state.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// Something we depend on does not work now: the same request later can succeed.
    Unavailable,
    /// Our own mistake.
    Internal,
}

/// One problem, ready to be answered.
///
/// ```
/// use runtime::problem::{Kind, Problem};
///
/// let response = Problem::new(Kind::SignatureMissing)
///     .detail("the request has no terra-signature header")
///     .response::<String>();
/// assert_eq!(response.status(), 401);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Option<String>,
    retry_after: Option<Duration>,
    errors: Vec<Fault>,
    request_id: Option<String>,
}

/// One part of a request that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Place of the part: `query`, `path`, `header` or `body`.
    #[serde(rename = "in")]
    pub place: &'static str,
    /// Name of the part.
    pub name: String,
    /// Fault of the part, and the form of a right one.
    pub detail: String,
}

impl Kind {
    /// The last part of the type URI: stable, callers may compare it.
    pub fn name(self) -> &'static str {
        self.describe().1
    }

    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        self.describe().0
    }

    /// The same for every problem of the kind.
    pub fn title(self) -> &'static str {
        self.describe().2
    }

    fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::SignatureMissing => (
                StatusCode::UNAUTHORIZED,
                "signature-missing",
                "The request is not signed",
            ),
            Self::SignatureInvalid => (
                StatusCode::UNAUTHORIZED,
                "signature-invalid",
                "The signature is wrong",
            ),
            Self::SignatureExpired => (
                StatusCode::UNAUTHORIZED,
                "signature-expired",
                "The signature is too old",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "The caller is not authorized",
            ),
            Self::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid-request",
                "The request is not valid",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The body is too large",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not allowed here",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The caller may not do this",
            ),
            Self::Gone => (StatusCode::GONE, "gone", "It was erased"),
            Self::AnswerTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "answer-too-large",
                "The answer is too large",
            ),
            Self::CursorMismatch => (
                StatusCode::BAD_REQUEST,
                "cursor-mismatch",
                "The cursor belongs to another query",
            ),
            Self::IdempotencyConflict => (
                StatusCode::CONFLICT,
                "idempotency-conflict",
                "The idempotency key is taken",
            ),
            Self::NotImplemented => (
                StatusCode::NOT_IMPLEMENTED,
                "not-implemented",
                "This is not done here",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "The request conflicts with what is there",
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "There are too many requests",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Try again later",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on our side",
            ),
        }
    }
}

impl Problem {
    /// A problem without anything particular to this occurrence.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            detail: None,
            retry_after: None,
            errors: Vec::new(),
            request_id: None,
        }
    }

    /// Says what is particular to this occurrence, for a person. Never a cause from inside, and
    /// nothing that the caller did not send or may not see.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says when to try again, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Names the parts of the request that cannot be used.
    #[must_use]
    pub fn errors(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    /// Names the request, for those who look for it in the logs.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// Returns the detail, if there is one.
    pub fn detail_text(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Returns the kind of the problem.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The answer. No cache may keep it.
    pub fn response<B: From<String>>(&self) -> Response<B> {
        let mut body = json!({
            "type": format!("urn:terrarium:problem:{}", self.kind.name()),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
        });
        if let Some(members) = body.as_object_mut() {
            let texts = [("detail", &self.detail), ("request_id", &self.request_id)];
            for (name, text) in texts {
                if let Some(text) = text {
                    members.insert(name.to_owned(), text.as_str().into());
                }
            }
            if !self.errors.is_empty() {
                members.insert("errors".to_owned(), json!(self.errors));
            }
        }

        let mut response = Response::new(B::from(body.to_string()));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl<B: From<String>> From<Problem> for Response<B> {
    fn from(problem: Problem) -> Self {
        problem.response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_problem_json() {
        let problem = Problem::new(Kind::Unavailable)
            .detail("the webhook could not be kept")
            .retry_after(Duration::from_millis(1001));
        let response: Response<Vec<u8>> = problem.into();

        insta::assert_debug_snapshot!((response.status(), response.headers()), @r#"
        (
            503,
            {
                "content-type": "application/problem+json",
                "cache-control": "no-store",
                "retry-after": "2",
            },
        )
        "#);
        insta::assert_snapshot!(String::from_utf8_lossy(response.body()), @r#"{"detail":"the webhook could not be kept","status":503,"title":"Try again later","type":"urn:terrarium:problem:unavailable"}"#);
    }

    #[test]
    fn an_answer_without_detail_has_no_such_member() {
        let response = Problem::new(Kind::SignatureInvalid).response::<String>();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(!response.body().contains("detail"));
    }
}
