//! Guards of every page: the session of the cookie, the origin of a form, the headers of an answer.

use std::net::IpAddr;

use axum::body::Body;
use bytes::Bytes;
use domain::{access::secret_hash, console::Session};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION,
        ORIGIN, REFERRER_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    },
};
use maud::Markup;

use super::cookie;
use crate::{config::App, error::Failure};

/// Everything that a page may load is ours, and nothing stands inside it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Cookie of a session behind TLS: browsers take it from this host only.
const SECURE_COOKIE: &str = "__Host-terrarium";
/// Cookie of a session on loopback, where there is no TLS.
const PLAIN_COOKIE: &str = "terrarium-console";
/// Cookie of the chosen theme.
pub(super) const THEME_COOKIE: &str = "terrarium-theme";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    /// Their session.
    pub(super) session: Session,
    /// Hash of the session's token, which its item is found by.
    pub(super) hash: String,
}

/// The session that the cookie of a request names, if it has not ended.
pub(super) async fn signed(
    app: &App,
    headers: &HeaderMap,
    now_ms: i64,
) -> Result<Option<Signed>, Failure> {
    let Some(token) = cookie(headers, cookie_name(headers)) else {
        return Ok(None);
    };
    let hash = secret_hash(token);
    let session = app.table.console_session(&hash).await?;
    let Some(session) = session.filter(|session| session.is_alive(now_ms)) else {
        return Ok(None);
    };
    if let Some(moved) = session.moved(now_ms) {
        app.table.move_console_session(&hash, &moved).await?;
    }
    Ok(Some(Signed { session, hash }))
}

/// Host of a request, as the browser names it.
pub(super) fn host(headers: &HeaderMap) -> &str {
    headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
}

/// Returns whether a host is this machine, which is reached without TLS.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns whether a form was sent by a page of the same origin.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(site) = text(&HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some(origin) = text(&ORIGIN) else {
        return false;
    };
    let host = host(headers);
    let scheme = if is_loopback(host) { "http" } else { "https" };
    !host.is_empty() && origin == format!("{scheme}://{host}")
}

fn cookie_name(headers: &HeaderMap) -> &'static str {
    if is_loopback(host(headers)) {
        PLAIN_COOKIE
    } else {
        SECURE_COOKIE
    }
}

fn set_cookie(headers: &HeaderMap, name: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
    let secure = if is_loopback(host(headers)) {
        ""
    } else {
        "; Secure"
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).ok()
}

fn answer(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (CACHE_CONTROL, "no-store"),
        // Browsers heed it over TLS only.
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page.
pub(super) fn page(status: StatusCode, markup: &Markup) -> Response<Body> {
    let mut response = answer(status, markup.0.clone());
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Leads to another page.
pub(super) fn see(path: &str) -> Response<Body> {
    let mut response = answer(StatusCode::SEE_OTHER, Body::empty());
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// Bytes to save: never shown as a page, whatever they hold.
pub(super) fn file(name: &str, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = answer(StatusCode::OK, bytes);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// Begins a session in the browser.
pub(super) fn signed_in(token: &str, request: &HeaderMap) -> Response<Body> {
    let seconds = domain::console::LONGEST_MS / 1000;
    with_cookie(
        see("/console"),
        set_cookie(request, cookie_name(request), token, seconds),
    )
}

/// Ends a session in the browser.
pub(super) fn signed_out(request: &HeaderMap) -> Response<Body> {
    with_cookie(
        see("/console/login"),
        set_cookie(request, cookie_name(request), "", 0),
    )
}

/// Keeps the chosen theme in the browser.
pub(super) fn theme(theme: &str, back: &str, request: &HeaderMap) -> Response<Body> {
    let seconds = if theme.is_empty() { 0 } else { 31_536_000 };
    with_cookie(see(back), set_cookie(request, THEME_COOKIE, theme, seconds))
}

fn with_cookie(mut response: Response<Body>, cookie: Option<HeaderValue>) -> Response<Body> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        for (given, allowed) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (
                vec![
                    ("sec-fetch-site", "cross-site"),
                    ("host", "a.org"),
                    ("origin", "https://a.org"),
                ],
                false,
            ),
            (vec![("host", "a.org"), ("origin", "https://a.org")], true),
            (vec![("host", "a.org"), ("origin", "http://a.org")], false),
            (
                vec![("host", "127.0.0.1:80"), ("origin", "http://127.0.0.1:80")],
                true,
            ),
            (
                vec![("host", "127.0.0.1:80"), ("origin", "http://127.0.0.1:81")],
                false,
            ),
            (vec![("host", "a.org"), ("origin", "null")], false),
            (vec![("host", "a.org")], false),
            (vec![("origin", "https://")], false),
        ] {
            assert_eq!(is_same_origin(&headers(&given)), allowed, "{given:?}");
        }
    }

    #[test]
    fn a_cookie_behind_tls_is_bound_to_its_host() {
        let cookie = |host| {
            let response = signed_in("token", &headers(&[("host", host)]));
            let cookie = response.headers().get(SET_COOKIE).unwrap();
            cookie.to_str().unwrap().to_owned()
        };
        let secure = cookie("console.example.org");
        assert!(secure.starts_with("__Host-terrarium=token; Path=/; HttpOnly; SameSite=Lax"));
        assert!(secure.ends_with("; Secure"));
        for host in ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"] {
            assert!(cookie(host).starts_with("terrarium-console=token; Path=/; HttpOnly"));
        }
    }
}
