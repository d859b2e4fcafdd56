//! Answers in Terra's forms, and on purpose not in them.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{call::Call, faults::Fault};

/// An endless body ends here all the same.
const ENDLESS_BYTES: usize = 4 << 30;

const PIECE_BYTES: usize = 64 * 1_024;

/// Time within which written bytes are flushed.
const FLUSH: Duration = Duration::from_millis(1);

/// Generation of the API's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forms {
    /// Answers of the current description.
    #[default]
    Current,
    /// Answers of documentation up to 2025 and of the former base URL: errors as `{status, message}`,
    /// 403 for credentials, `no_data`, acceptance with `type: "webhook"` and the reference in a header
    /// too, `{users: […]}`, `sdk_resource`, `active` as text.
    Former,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// 200 with this JSON.
    pub(super) fn json(body: &Value) -> Self {
        Self::text(StatusCode::OK, "application/json", body.to_string())
    }

    pub(super) fn text(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// An error in the form of the generation.
    pub(super) fn problem(call: &Call, forms: Forms, status: StatusCode, detail: &str) -> Self {
        let title = status.canonical_reason().unwrap_or_default().to_lowercase();
        Self::titled_problem(call, forms, status, &title, detail)
    }

    /// An error whose title is not the status's own.
    pub(super) fn titled_problem(
        call: &Call,
        forms: Forms,
        status: StatusCode,
        title: &str,
        detail: &str,
    ) -> Self {
        match forms {
            Forms::Current => {
                let body = json!({
                    "type": "about:blank",
                    "title": title,
                    "instance": call.instance,
                    "detail": detail,
                });
                Self::text(status, "application/problem+json", body.to_string())
            }
            Forms::Former => {
                let body = json!({ "status": "error", "message": detail });
                Self::text(status, "application/json", body.to_string())
            }
        }
    }

    #[must_use]
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer as it goes out, with what `fault` makes of it.
    pub(super) async fn send(self, fault: Option<&Fault>) -> Response {
        match fault {
            Some(Fault::Html) => {
                // Either status occurs; the same answer always gets the same.
                let status = if self.body.len().is_multiple_of(2) {
                    StatusCode::OK
                } else {
                    StatusCode::BAD_GATEWAY
                };
                let page = "<html><head><title>502 Bad Gateway</title></head><body></body></html>";
                Self::text(status, "text/html", page).whole()
            }
            Some(Fault::Closed) => self.broken(Bytes::new()),
            Some(Fault::HalfBody) => {
                let half = self.body.slice(..self.body.len() / 2);
                self.broken(half)
            }
            Some(Fault::EndlessBody) => {
                let blank = Bytes::from(vec![b' '; PIECE_BYTES]);
                let blanks = (0..ENDLESS_BYTES / PIECE_BYTES).map(move |_| blank.clone());
                let pieces = std::iter::once(Bytes::from_static(b"{\"data\":[")).chain(blanks);
                let pieces = pieces.map(Ok::<_, Infallible>);
                self.streamed(Body::from_stream(stream::iter(pieces)))
            }
            Some(Fault::Slow(wait)) => {
                tokio::time::sleep(*wait).await;
                self.whole()
            }
            _ => self.whole(),
        }
    }

    fn whole(self) -> Response {
        let body = Body::from(self.body.clone());
        self.streamed(body)
    }

    /// Sends these bytes and breaks the connection; nothing at all goes out if there are none.
    fn broken(mut self, bytes: Bytes) -> Response {
        let promised = self.body.len() + 1;
        self.headers.push(("content-length", promised.to_string()));
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        if bytes.is_empty() {
            // An error before anything is written: the head is never flushed.
            let body = Body::from_stream(stream::iter([Err::<Bytes, _>(reset())]));
            return self.streamed(body);
        }
        let sent = stream::iter([Ok(bytes)]);
        let broken = stream::once(async move {
            // A moment without data lets out what has been written.
            tokio::time::sleep(FLUSH).await;
            Err(reset())
        });
        self.streamed(Body::from_stream(sent.chain(broken)))
    }

    fn streamed(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(self.content_type),
            );
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
