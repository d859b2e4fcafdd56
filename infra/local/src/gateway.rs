//! The gateway before the intake and the API: HTTP on loopback in, the functions' own handlers behind it.

use std::{error::Error as _, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{self, Body, HttpBody as _},
    extract::State,
    http::{HeaderMap, Request, Response, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::IntoResponse as _,
    routing::any,
};
use http_body_util::LengthLimitError;
use runtime::{
    problem::{Kind, Problem},
    queue::local::Clock,
};
use tokio::sync::Semaphore;
use webhook_intake::{App, handle};

/// Path that webhooks are posted to.
pub const WEBHOOK_PATH: &str = "/webhooks/terra";
/// Largest body taken: FACTS section 7 speaks of tens of megabytes. Unit: bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// A body that takes longer than Terra waits for an answer (8 s) is of no use to anybody.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests whose bodies are in memory at once.
const CONCURRENT_REQUESTS: usize = 512;

#[derive(Clone)]
struct Gateway {
    intake: Arc<App>,
    clock: Clock,
    turns: Arc<Semaphore>,
    public_name: Option<Arc<str>>,
}

impl Gateway {
    /// Returns whether a request means this machine, or the name that makes it public.
    ///
    /// A web page whose own name was made to lead to this machine (DNS rebinding) sends that name.
    /// A request without `Host` comes from no browser.
    fn serves(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else {
            return true;
        };
        let authority = Authority::try_from(host.as_bytes());
        authority.is_ok_and(|authority| {
            let host = authority.host();
            let address = host.trim_start_matches('[').trim_end_matches(']');
            let is_here = address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
            let public = self.public_name.as_deref();
            // Names below `localhost` never leave this machine (RFC 6761, section 6.3).
            let last_label = host.rsplit('.').next().unwrap_or(host);
            is_here
                || last_label.eq_ignore_ascii_case("localhost")
                || public.is_some_and(|name| host.eq_ignore_ascii_case(name))
        })
    }
}

/// The routes of the local gateway.
///
/// `public_name` is the host name of a tunnel or proxy; without it, only this machine is served. `reads` are the
/// routes of the API.
pub fn router(intake: Arc<App>, clock: Clock, public_name: Option<&str>, reads: Router) -> Router {
    let turns = Arc::new(Semaphore::new(CONCURRENT_REQUESTS));
    let path = match &intake.path_token {
        Some(_) => format!("{WEBHOOK_PATH}/{{token}}"),
        None => WEBHOOK_PATH.to_owned(),
    };
    let gateway = Gateway {
        intake,
        clock,
        turns,
        public_name: public_name.map(Arc::from),
    };
    Router::new()
        .route(&path, any(webhook))
        .with_state(gateway.clone())
        .merge(reads)
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(gateway, served))
}

/// Passes on requests that mean this machine.
async fn served(
    State(gateway): State<Gateway>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    if gateway.serves(request.headers()) {
        return next.run(request).await;
    }
    Problem::new(Kind::InvalidRequest)
        .detail("the Host is neither this machine nor the name that --public-name gives")
        .response()
}

async fn nothing_here(request: Request<Body>) -> Response<Body> {
    if request.uri().path().starts_with("/v1/") {
        return api::nothing_here(request).await;
    }
    Problem::new(Kind::NotFound)
        .detail(format!(
            "webhooks go to {WEBHOOK_PATH}; /v1/openapi.json describes the API"
        ))
        .response()
}

async fn webhook(State(gateway): State<Gateway>, request: Request<Body>) -> Response<Body> {
    let Ok(_turn) = gateway.turns.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return too_large();
    }
    let read = body::to_bytes(body, MAX_BODY_BYTES);
    let body = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if broke_the_bound(&error) => {
            return too_large();
        }
        _ => {
            let seconds = BODY_TIMEOUT.as_secs();
            return Problem::new(Kind::InvalidRequest)
                .detail(format!("a body is sent to its end, within {seconds} s"))
                .response();
        }
    };
    let request = lambda_http::Request::from_parts(parts, lambda_http::Body::Binary(body.into()));
    let now = (gateway.clock)();
    handle(&gateway.intake, request, now).await.map(Body::from)
}

fn too_large() -> Response<Body> {
    Problem::new(Kind::BodyTooLarge)
        .detail(format!("a body has at most {MAX_BODY_BYTES} bytes"))
        .response()
}

fn broke_the_bound(error: &axum::Error) -> bool {
    let cause = error.source();
    matches!(cause, Some(cause) if cause.is::<LengthLimitError>())
}
