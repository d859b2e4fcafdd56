//! The console: pages for the people who run the system.
//!
//! A page asks the handlers of `/v1` and shows their answers, so that its numbers are the API's. What a role may not
//! read is never asked for: a viewer's page cannot hold a health value.

mod assets;
mod guard;
mod layout;
mod pages;
pub mod pictures;
mod sign_in;
mod visit;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use axum::{
    Router,
    body::{self, Body},
    extract::{RawPathParams, Request, rejection::RawPathParamsRejection},
    routing::{get, on},
};
use futures::future::BoxFuture;
use http::{HeaderMap, Response, StatusCode, request::Parts};
use maud::html;
use runtime::{
    problem::{Kind, Problem},
    telemetry::Chain,
};
use tracing::{Instrument as _, error, info, info_span};

pub use self::sign_in::{SignInLink, sign_in_link};
use self::{guard::Signed, layout::Frame, visit::Visit};
use crate::{
    call::Known,
    config::App,
    error::Failure,
    route::Verb,
    serve::{finished, request_id},
    text::decoded,
};

/// Largest body of a form. Unit: bytes.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// The gateway gives up after 30 s and says nothing of use then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(25);
/// Days before and after those that a page asks for first: it asks about its days in several ways, and samples and
/// nights reach over midnight.
const READ_AROUND_DAYS: i64 = 3;

/// Result of a page's work.
#[derive(Debug)]
enum Reply {
    /// A page.
    Page(layout::Page),
    /// Another page shows the result.
    See(String),
    /// Bytes to save: their name, kind and content.
    File(String, &'static str, bytes::Bytes),
    /// Signed out.
    SignedOut,
    /// The theme was chosen; the page that it was chosen on comes again.
    Theme(&'static str, String),
}

/// Does the work of a page.
type Handler = fn(Visit) -> BoxFuture<'static, Result<Reply, Failure>>;

/// A page, or an action on one.
#[derive(Clone, Copy)]
struct Place {
    verb: Verb,
    path: &'static str,
    handler: Handler,
}

/// The routes of the console.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new()
        .route(
            "/console/assets/{name}",
            get(async |request: Request| assets::serve(request.uri().path(), request.headers())),
        )
        .merge(sign_in::router(app));
    for place in pages::places() {
        let app = Arc::clone(app);
        let handle = move |placed: Result<RawPathParams, RawPathParamsRejection>,
                           request: Request| {
            let app = Arc::clone(&app);
            Box::pin(async move { serve(app, place, placed.ok(), request).await })
        };
        router = router.route(place.path, on(place.verb.filter(), handle));
    }
    router
}

/// Answers a request for a page of somebody who is signed in.
async fn serve(
    app: Arc<App>,
    place: Place,
    placed: Option<RawPathParams>,
    request: Request,
) -> Response<Body> {
    let id = request_id(request.extensions());
    let now = (app.clock)();
    let span =
        info_span!("page", request_id = %id, method = place.verb.as_str(), route = place.path);
    async {
        let (parts, body) = request.into_parts();
        let signed = match guard::signed(&app, &parts.headers, now.as_millisecond()).await {
            Ok(Some(signed)) => signed,
            Ok(None) => return finished(sign_in::asked_for(&parts.headers), &id),
            Err(failure) => return finished(failed(&failure, None, &parts, &id), &id),
        };
        let outcome = async {
            if place.verb != Verb::Get && !guard::is_same_origin(&parts.headers) {
                let detail = "the form was not sent by a page of this console";
                return Err(Problem::new(Kind::Forbidden).detail(detail).into());
            }
            let placed = placed.iter().flat_map(RawPathParams::iter);
            let placed = placed
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let form = form_of(body).await?;
            let visit = Visit {
                app: Arc::clone(&app),
                signed: signed.clone(),
                now,
                request_id: id.clone(),
                lines: AtomicU32::default(),
                host: guard::host(&parts.headers).to_owned(),
                placed,
                query: pairs(parts.uri.query().unwrap_or_default()),
                form,
                known: Arc::new(Known {
                    around_days: READ_AROUND_DAYS,
                    ..Known::default()
                }),
            };
            (place.handler)(visit).await
        };
        let outcome = tokio::time::timeout(ANSWERED_WITHIN, outcome).await;
        let response = match outcome.unwrap_or(Err(Failure::TooSlow)) {
            Ok(reply) => shown(reply, &signed, &parts, now.as_millisecond()),
            Err(failure) => failed(&failure, Some(&signed), &parts, &id),
        };
        let took = (app.clock)().as_millisecond() - now.as_millisecond();
        let status = response.status().as_u16();
        let role = signed.session.role.as_str();
        info!(role, status, took_ms = took, "page answered");
        finished(response, &id)
    }
    .instrument(span)
    .await
}

fn shown(reply: Reply, signed: &Signed, parts: &Parts, now_ms: i64) -> Response<Body> {
    let frame = Frame::of(Some(signed), &parts.headers, parts.uri.path(), now_ms);
    match reply {
        Reply::Page(page) => guard::page(StatusCode::OK, &layout::whole(&frame, &page)),
        Reply::See(path) => guard::see(&path),
        Reply::File(name, kind, bytes) => guard::file(&name, kind, bytes),
        Reply::SignedOut => guard::signed_out(&parts.headers),
        Reply::Theme(theme, back) => guard::theme(theme, &back, &parts.headers),
    }
}

/// The page of a failure: the problem's detail, and never a cause from inside.
fn failed(
    failure: &Failure,
    signed: Option<&Signed>,
    parts: &Parts,
    request_id: &str,
) -> Response<Body> {
    let problem = failure.problem();
    let status = problem.kind().status();
    if status.is_server_error() {
        error!(error = %Chain(failure), "page failed");
    }
    let frame = Frame::of(signed, &parts.headers, parts.uri.path(), 0);
    let page = layout::Page {
        title: problem.kind().title().to_owned(),
        lead: problem.detail_text().unwrap_or_default().to_owned(),
        refresh: false,
        body: html! {
            p { a href="/console" { "To the overview" } }
            p.note { "Request " code { (request_id) } " · status " (status.as_u16()) }
        },
    };
    guard::page(status, &layout::whole(&frame, &page))
}

/// The members of a form.
async fn form_of(body: Body) -> Result<BTreeMap<String, String>, Failure> {
    let bytes = body::to_bytes(body, MAX_FORM_BYTES)
        .await
        .map_err(|_| Problem::new(Kind::BodyTooLarge).detail("the form is too large"))?;
    Ok(pairs(&String::from_utf8_lossy(&bytes)))
}

/// Reads names and values that are encoded as in a query.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name, true)?, decoded(value, true)?))
    });
    pairs.collect()
}

/// A cookie of a request.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(http::header::COOKIE).iter();
    let all = all.filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}
