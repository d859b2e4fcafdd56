//! Answers, and what every one of them gets on its way: a request id, a tag, compression.

use std::io::Write as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
    },
};
use models::ids::hex;
use runtime::problem::{Kind, Problem};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Smaller bodies are not worth compressing. Unit: bytes.
const COMPRESS_FROM_BYTES: usize = 4 * 1024;
/// Most bytes of a compressed body: Lambda's answers have 6 MB, and base64 makes four bytes of three.
const MAX_COMPRESSED_BYTES: usize = 4_300_000;
/// Most bytes of a body that is not compressed; as JSON inside Lambda's answer it grows.
const MAX_PLAIN_BYTES: usize = 4_300_000;

/// Place in which an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// The caller's own cache, which asks again each time with the tag.
    Tagged,
    /// The caller's own cache, which asks again; without a tag.
    Asked,
    /// Nothing.
    Never,
}

/// An answer to a call.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: Bytes,
    /// Kind of the body.
    pub content_type: &'static str,
    /// Place in which it may be kept.
    pub keeping: Keeping,
    /// Headers besides.
    pub headers: HeaderMap,
    /// True if the body holds a secret, which nothing but the caller may keep.
    pub is_secret: bool,
    /// True if the body goes out as it is, of whatever size: on one machine nothing limits it.
    pub is_whole: bool,
}

impl Answer {
    /// 200 with JSON.
    pub fn json<T: Serialize>(value: &T) -> Self {
        // Types of answers always serialise: their maps have texts as keys.
        Self::of(
            serde_json::to_vec(value).unwrap_or_default(),
            "application/json",
        )
    }

    /// 200 with bytes.
    pub fn of(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self {
            status: StatusCode::OK,
            body: body.into(),
            content_type,
            keeping: Keeping::Asked,
            headers: HeaderMap::new(),
            is_secret: false,
            is_whole: false,
        }
    }

    /// 204.
    pub fn nothing() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            ..Self::of(Bytes::new(), "application/json")
        }
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With a tag, for callers that ask whether anything changed.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.keeping = Keeping::Tagged;
        self
    }

    /// Not to be kept anywhere.
    #[must_use]
    pub fn unkept(mut self) -> Self {
        self.keeping = Keeping::Never;
        self
    }

    /// With a secret in its body.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.is_secret = true;
        self.unkept()
    }

    /// Marks the body as one that goes out as it is, of whatever size.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The response to a request with these headers; a problem for a body that Lambda would not carry.
    pub(crate) fn response(self, request: &HeaderMap) -> Response<Body> {
        self.fitting(request)
            .unwrap_or_else(|problem| problem.response())
    }

    /// The response to a request with these headers.
    ///
    /// # Errors
    ///
    /// [`Kind::AnswerTooLarge`] for a body that Lambda would not carry.
    pub(crate) fn fitting(self, request: &HeaderMap) -> Result<Response<Body>, Problem> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        let cache = match self.keeping {
            Keeping::Never => "no-store",
            Keeping::Tagged | Keeping::Asked => "private, no-cache",
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        if self.keeping == Keeping::Tagged {
            let tag = tag_of(&self.body);
            let same = request
                .get_all(IF_NONE_MATCH)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .any(|value| has_tag(value, &tag));
            if let Ok(tag) = HeaderValue::from_str(&tag) {
                headers.insert(ETAG, tag);
            }
            if same {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
        }
        if self.body.is_empty() {
            return Ok(response);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        let compressed =
            (!self.is_whole && self.body.len() > COMPRESS_FROM_BYTES && accepts_gzip(request))
                .then(|| gzip(&self.body))
                .flatten();
        let (body, most) = match compressed {
            Some(compressed) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                (compressed, MAX_COMPRESSED_BYTES)
            }
            None => (self.body, MAX_PLAIN_BYTES),
        };
        if !self.is_whole && body.len() > most {
            return Err(Problem::new(Kind::AnswerTooLarge)
                .detail("ask for less at once, and with `Accept-Encoding: gzip`"));
        }
        *response.body_mut() = Body::from(body);
        Ok(response)
    }
}

/// The tag of a body.
fn tag_of(body: &[u8]) -> String {
    let mut hash = hex(&Sha256::digest(body));
    hash.truncate(32);
    // Weak, because the same body goes out compressed and not.
    format!("W/\"{hash}\"")
}

/// Returns whether an `If-None-Match` names the tag.
fn has_tag(value: &str, tag: &str) -> bool {
    let strong = tag.trim_start_matches("W/");
    value
        .split(',')
        .map(str::trim)
        .any(|given| given == "*" || given.trim_start_matches("W/") == strong)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let codings = values.filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&weight.trim());
        ["gzip", "x-gzip", "*"].contains(&name.trim().to_ascii_lowercase().as_str()) && !refused
    })
}

fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(1));
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn an_answer_that_did_not_change_is_not_sent_again() {
        let answer = || Answer::json(&"the same").tagged();
        let first = answer().response(&HeaderMap::new());
        let tag = first.headers()[ETAG].clone();
        let mut again = HeaderMap::new();
        again.insert(IF_NONE_MATCH, tag);
        let unchanged = answer().response(&again);
        assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
        let other = Answer::json(&"another").tagged();
        let other = other.response(&again);
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn only_large_bodies_are_compressed_and_only_for_those_who_read_it() {
        let large = "x".repeat(COMPRESS_FROM_BYTES + 1);
        let coded = |body: &str, accept: &'static str| {
            let request = request(&[("accept-encoding", accept)]);
            let response = Answer::json(&body).response(&request);
            response.headers().contains_key(CONTENT_ENCODING)
        };
        assert!(coded(&large, "br, gzip;q=0.5") && coded(&large, "*"));
        assert!(!coded(&large, "br") && !coded(&large, "gzip;q=0") && !coded("small", "gzip"));
    }

    #[test]
    fn an_answer_that_lambda_would_not_carry_is_refused() {
        let large = vec![b'x'; MAX_PLAIN_BYTES + 1];
        let answer = || Answer::of(large.clone(), "application/json");
        let refused = answer().fitting(&HeaderMap::new()).unwrap_err();
        assert_eq!(refused.kind(), Kind::AnswerTooLarge);
        let small = answer().response(&request(&[("accept-encoding", "gzip")]));
        assert_eq!(small.status(), StatusCode::OK);
    }
}
