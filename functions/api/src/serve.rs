//! The router: every call takes the same way through who may, what is asked, the handler and the audit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{self, Body},
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    middleware::{self, Next},
    routing::on,
};
use bytes::Bytes;
use domain::access::Scope;
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use models::ids::hex;
use runtime::{
    problem::{Fault, Kind, Problem},
    telemetry::Chain,
};
use sha2::{Digest as _, Sha256};
use store::{
    archive::Named,
    table::access::{AuditLine, KeptAnswer, KeptCall, caller_of_token, hashed},
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::{
    answer::Answer,
    call::{Call, Caller, OF_TERRAS_PAIR, Origin, other_person},
    config::App,
    error::Failure,
    id,
    query::refused,
    route::{Audit, Endpoint, Needs, PersonToken, Verb},
    terra, token, v1,
};

/// Largest body taken. Unit: bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Time for a line of the audit, after that for the call. Together they end before the function does.
const LINE_WITHIN: Duration = Duration::from_secs(2);
/// Longest `Idempotency-Key`. Unit: bytes.
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Largest answer that is kept for repetitions: an item takes 400 KB. Unit: bytes.
const MAX_KEPT_BYTES: usize = 300 * 1024;
/// A call that has run for so long died on its way. Unit: milliseconds.
const CLAIM_MS: i64 = 60_000;

const REQUEST_ID: &str = "x-request-id";
const API_KEY: &str = "x-api-key";
const DEV_ID: &str = "dev-id";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Id of a request, as the one who runs the function gives it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Every endpoint there is.
pub fn endpoints() -> Vec<Endpoint> {
    [v1::endpoints(), terra::endpoints()].concat()
}

/// The routes of the API, without an answer for other paths: see [`nothing_here`].
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        let app = Arc::clone(app);
        let handle = move |placed: Result<RawPathParams, RawPathParamsRejection>,
                           request: Request| {
            let app = Arc::clone(&app);
            // Boxed: the handlers' futures are deeper than the compiler lays out in one.
            Box::pin(async move { serve(app, endpoint, placed.ok(), request).await })
        };
        router = router.route(endpoint.path, on(endpoint.verb.filter(), handle));
    }
    let app = Arc::clone(app);
    router
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn_with_state(app, for_pages))
}

/// Lets pages of the allowed origins call the API. They gain nothing without a key or a token, because no cookie
/// is ever taken.
async fn for_pages(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin = origin.filter(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        app.allowed_origins.iter().any(|allowed| allowed == origin)
    });
    let Some(origin) = origin else {
        return next.run(request).await;
    };
    let is_question = request.method() == Method::OPTIONS;
    let mut response = if is_question {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::VARY,
        HeaderValue::from_static("origin, accept-encoding"),
    );
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, PATCH, DELETE",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, x-api-key, content-type, idempotency-key, if-match, if-none-match",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "etag, retry-after, x-request-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The answer for paths that are none of the API's.
pub async fn nothing_here(request: Request) -> Response<Body> {
    let id = request_id(request.extensions());
    let problem = Problem::new(Kind::NotFound)
        .detail("there is no such path; GET /v1/openapi.json describes those there are");
    finished(problem.request_id(&id).response(), &id)
}

async fn other_method(request: Request) -> Response<Body> {
    let id = request_id(request.extensions());
    let problem = Problem::new(Kind::MethodNotAllowed)
        .detail("the path is there, with the methods that the header Allow lists");
    finished(problem.request_id(&id).response(), &id)
}

pub(crate) fn request_id(extensions: &Extensions) -> String {
    match extensions.get::<RequestId>() {
        Some(RequestId(id)) => id.clone(),
        None => hex(&rand::random::<[u8; 16]>()),
    }
}

pub(crate) fn finished(mut response: Response<Body>, id: &str) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn serve(
    app: Arc<App>,
    endpoint: Endpoint,
    placed: Option<RawPathParams>,
    request: Request,
) -> Response<Body> {
    let id = request_id(request.extensions());
    let now = (app.clock)();
    // The route, and never the path or the query: those hold reference ids.
    let route = endpoint.path;
    let span = info_span!("call", request_id = %id, method = endpoint.verb.as_str(), route);
    async {
        let headers = request.headers().clone();
        let (caller, outcome) = match placed {
            Some(placed) => {
                let placed = placed
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                answer(&app, endpoint, placed, request, &id, now).await
            }
            None => (Caller::Anybody, Err(not_utf8().into())),
        };
        let response = outcome.and_then(|answer| Ok(answer.fitting(&headers)?));
        let response = match response {
            Ok(response) => response,
            Err(failure) => {
                let problem = failure.problem();
                if problem.kind().status().is_server_error() {
                    error!(error = %Chain(&failure), "call failed");
                }
                let kind = problem.kind();
                let mut response = if route.starts_with(terra::ROOT) {
                    terra::problem(&problem).response(&headers)
                } else {
                    problem.request_id(&id).response()
                };
                if kind == Kind::Unauthorized {
                    let bearer = HeaderValue::from_static("Bearer");
                    response
                        .headers_mut()
                        .insert(header::WWW_AUTHENTICATE, bearer);
                }
                response
            }
        };
        let took = (app.clock)().as_millisecond() - now.as_millisecond();
        let status = response.status().as_u16();
        info!(
            caller = caller.name(),
            status,
            took_ms = took,
            "call answered"
        );
        finished(response, &id)
    }
    .instrument(span)
    .await
}

fn not_utf8() -> Problem {
    refused(vec![Fault {
        place: "path",
        name: "path".to_owned(),
        detail: "is not percent-encoded UTF-8".to_owned(),
    }])
}

/// Answers a call in the time that there is; also says whose it is.
async fn answer(
    app: &Arc<App>,
    endpoint: Endpoint,
    placed: BTreeMap<String, String>,
    request: Request,
    id: &str,
    now: jiff::Timestamp,
) -> (Caller, Result<Answer, Failure>) {
    let ends = Instant::now() + app.answers_within;
    let (parts, body) = request.into_parts();
    let taken = async {
        let caller = match caller_of(app, endpoint, &parts.headers, now).await {
            Ok(caller) => caller,
            Err(failure) => return (Caller::Anybody, Err(failure)),
        };
        if let Err(problem) = may(&caller, endpoint, &placed) {
            return (caller, Err(problem.into()));
        }
        let body = body_of(endpoint, &parts.headers, body).await;
        (caller, body.map_err(Failure::from))
    };
    let (caller, body) = match timeout_at(ends, taken).await {
        Ok((caller, Ok(body))) => (caller, body),
        Ok((caller, Err(failure))) => return (caller, Err(failure)),
        Err(_) => return (Caller::Anybody, Err(Failure::TooSlow)),
    };
    let call = Call {
        app: Arc::clone(app),
        caller: caller.clone(),
        now,
        origin: Origin::new(now.as_millisecond()),
        headers: parts.headers,
        request_id: id.to_owned(),
        line: 0,
        path: parts.uri.path().to_owned(),
        placed,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        params: endpoint.doc.query,
        body,
        known: Arc::default(),
    };
    (caller, audited(call, endpoint, ends).await)
}

/// Answers a call that a page of the console makes, as its visitor's role may.
pub(crate) async fn call_of_page(call: Call, endpoint: Endpoint) -> Result<Answer, Failure> {
    may(&call.caller, endpoint, &call.placed)?;
    // A page gives up later than its calls, which leaves time for their lines.
    let ends = Instant::now() + call.app.answers_within.saturating_sub(LINE_WITHIN);
    audited(call, endpoint, ends).await
}

/// Answers a call until a moment, and notes it where its route says so: also one that took too long, which may have
/// done its work.
async fn audited(call: Call, endpoint: Endpoint, ends: Instant) -> Result<Answer, Failure> {
    let app = Arc::clone(&call.app);
    let line = audit_line(&call, endpoint);
    let outcome = timeout_at(ends, once(call, endpoint)).await;
    let outcome = outcome.unwrap_or(Err(Failure::TooSlow));
    if let Some(mut line) = line {
        line.status = match &outcome {
            Ok(answer) => answer.status.as_u16(),
            Err(failure) => failure.problem().kind().status().as_u16(),
        };
        match timeout(LINE_WITHIN, app.table.audit(&line)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(error = %Chain(&error), "a line of the audit is missing"),
            Err(_) => error!("a line of the audit is missing: the table took too long"),
        }
    }
    outcome
}

/// Finds out who calls.
async fn caller_of(
    app: &App,
    endpoint: Endpoint,
    headers: &HeaderMap,
    now: jiff::Timestamp,
) -> Result<Caller, Failure> {
    if endpoint.route.scope == Needs::Nothing {
        return Ok(Caller::Anybody);
    }
    let given = credential(headers).ok_or_else(|| {
        unauthorized("send a key: `Authorization: Bearer tk_…` or `x-api-key: tk_…`")
    })?;
    let now_ms = now.as_millisecond();
    if given.starts_with(token::PREFIX) {
        let over = || unauthorized("the token is not valid, or not any more");
        let claims = app.signing_keys.read(given, now.as_second()).await?;
        let claims = claims.ok_or_else(over)?;
        let key = app.keys.key(&app.table, &claims.key, now_ms).await?;
        key.ok_or_else(over)?;
        let ended_at_ms = app.table.tokens_ended(&claims.person).await?;
        if ended_at_ms.is_some_and(|ended_at_ms| claims.made_at_ms <= ended_at_ms) {
            return Err(over());
        }
        return Ok(Caller::Person(Box::new(claims)));
    }
    let is_terras = endpoint.path.starts_with(terra::ROOT) && app.upstream.key_opens();
    if is_terras
        && let Some(dev_id) = text(headers, DEV_ID)
        && app.upstream.is_own_pair(dev_id, given).await?
    {
        return Ok(Caller::Terra);
    }
    let key = app.keys.verify(&app.table, given, now_ms).await?;
    let key = key.ok_or_else(|| unauthorized("the key is not valid, or not any more"))?;
    app.keys.note_use(&app.table, &key, now).await;
    Ok(Caller::Key(Box::new(key)))
}

fn unauthorized(detail: &str) -> Failure {
    Problem::new(Kind::Unauthorized).detail(detail).into()
}

/// The key or token of a request.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let bearer = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, credential) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(credential)
    });
    bearer.or_else(|| text(headers, API_KEY)).map(str::trim)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Scopes of which a caller needs one. `None`: any caller may.
fn wanted(endpoint: &Endpoint) -> Option<&[Scope]> {
    match &endpoint.route.scope {
        Needs::Nothing | Needs::AnyKey => None,
        Needs::One(scope) => Some(std::slice::from_ref(scope)),
        Needs::AnyOf(scopes) => Some(scopes),
    }
}

/// Holds the caller against the route.
fn may(
    caller: &Caller,
    endpoint: Endpoint,
    placed: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(Kind::Forbidden).detail(detail));
    match caller {
        Caller::Anybody => Ok(()),
        Caller::Key(key) => {
            let Some(wanted) = wanted(&endpoint) else {
                return Ok(());
            };
            if wanted.iter().any(|scope| key.scopes.contains(scope)) {
                return Ok(());
            }
            let names = |scopes: Vec<&str>| scopes.join(", ");
            let wanted = wanted
                .iter()
                .map(|scope| scope.as_str())
                .collect::<Vec<_>>();
            let has = key.scopes.iter().map(|scope| scope.as_str()).collect();
            refuse(format!(
                "this key lacks {}; it has {}",
                wanted.join(" or "),
                names(has)
            ))
        }
        Caller::Terra => {
            let wanted = wanted(&endpoint).unwrap_or_default();
            if wanted.iter().any(|scope| OF_TERRAS_PAIR.contains(scope)) {
                return Ok(());
            }
            refuse("Terra's key pair may not do this".to_owned())
        }
        Caller::Console(session) => {
            let has = session.role.scopes();
            let wanted = wanted(&endpoint);
            if wanted.is_none_or(|wanted| wanted.iter().any(|scope| has.contains(scope))) {
                return Ok(());
            }
            refuse(format!("the role {} may not do this", session.role))
        }
        Caller::Person(claims) => match endpoint.route.person_token {
            PersonToken::Any => Ok(()),
            PersonToken::Never => refuse("tokens for one person may not do this".to_owned()),
            PersonToken::With(scope) if !claims.scopes.contains(&scope) => {
                refuse(format!("this token lacks {scope}"))
            }
            PersonToken::With(_) => {
                let person = placed.get("person").map(|text| id::from_path(text));
                match person {
                    Some(person) if person.as_deref() != Some(claims.person.as_str()) => {
                        Err(other_person())
                    }
                    // A connection's person is compared where the connection is read.
                    _ => Ok(()),
                }
            }
        },
    }
}

async fn body_of(endpoint: Endpoint, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let body = body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        let detail = format!("a body has at most {MAX_BODY_BYTES} bytes");
        Problem::new(Kind::BodyTooLarge).detail(detail)
    })?;
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let is_json = content_type.is_none_or(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    });
    if endpoint.doc.body.is_some() && !is_json {
        return Err(refused(vec![Fault {
            place: "header",
            name: "Content-Type".to_owned(),
            detail: "a body is application/json".to_owned(),
        }]));
    }
    Ok(body)
}

/// Runs the handler; a call that its caller repeats under the same `Idempotency-Key` runs once. Where it broke off, it
/// runs again with the origin of the first, and so makes nothing twice.
async fn once(mut call: Call, endpoint: Endpoint) -> Result<Answer, Failure> {
    let given = call.headers.get(IDEMPOTENCY_KEY);
    let (Verb::Post, Some(given)) = (endpoint.verb, given) else {
        return (endpoint.handler)(call).await;
    };
    let given = given.as_bytes();
    if given.is_empty() || given.len() > MAX_IDEMPOTENCY_KEY_BYTES {
        let detail = format!("a text of 1 to {MAX_IDEMPOTENCY_KEY_BYTES} bytes");
        return Err(refused(vec![Fault {
            place: "header",
            name: "Idempotency-Key".to_owned(),
            detail,
        }])
        .into());
    }
    let owner = match &call.caller {
        Caller::Anybody | Caller::Console(_) => return (endpoint.handler)(call).await,
        Caller::Terra => "terra".to_owned(),
        Caller::Key(key) => key.id.to_string(),
        Caller::Person(claims) => caller_of_token(&claims.key, &claims.person),
    };
    let name = hash([given]);
    let mut kept = KeptCall {
        request_sha256: hash([
            endpoint.verb.as_str().as_bytes(),
            call.path.as_bytes(),
            call.query.as_bytes(),
            &call.body,
            // A body may hold a password, whose hash alone could be guessed from.
            given,
        ]),
        at_ms: call.now_ms(),
        free_at_ms: call.now_ms().saturating_add(CLAIM_MS),
        about: about(&call),
        answer: None,
    };
    let app = Arc::clone(&call.app);
    let mut is_first = true;
    if let Some(before) = app.table.claim_call(&owner, &name, &kept).await? {
        if before.request_sha256 != kept.request_sha256 {
            return Err(Problem::new(Kind::IdempotencyConflict)
                .detail("this Idempotency-Key was used for another request within a day")
                .into());
        }
        match before.answer {
            Some(answer) => return repeated(answer),
            None if call.now_ms() < before.free_at_ms => {
                return Err(Problem::new(Kind::IdempotencyConflict)
                    .detail("the same request is at work")
                    .retry_after(Duration::from_secs(1))
                    .into());
            }
            // Whoever ran it is gone, or broke off.
            None => {
                is_first = false;
                kept.at_ms = before.at_ms;
                app.table.keep_call(&owner, &name, &kept).await?;
            }
        }
    }
    call.origin = Origin::of_key(&owner, &name, kept.at_ms);
    let outcome = (endpoint.handler)(call).await;
    match &outcome {
        Ok(answer) if answer.body.len() <= MAX_KEPT_BYTES => {
            let text =
                (!answer.is_secret).then(|| String::from_utf8_lossy(&answer.body).into_owned());
            kept.answer = Some(KeptAnswer {
                status: answer.status.as_u16(),
                body: text,
            });
        }
        // It was refused before it had an effect, so the key may be used for what is right.
        Err(failure) if is_first && failure.problem().kind().status().is_client_error() => {
            app.table.forget_call(&owner, &name).await?;
            return outcome;
        }
        // It may have done a part, or has an answer that cannot be kept: the same may be tried again at once.
        _ => kept.free_at_ms = kept.at_ms,
    }
    if let Err(error) = app.table.keep_call(&owner, &name, &kept).await {
        warn!(error = %Chain(&error), "an answer was not kept for repetitions");
    }
    outcome
}

fn repeated(kept: KeptAnswer) -> Result<Answer, Failure> {
    let Some(body) = kept.body else {
        return Err(Problem::new(Kind::IdempotencyConflict)
            .detail("this was done, and its answer held a secret, which is shown once")
            .into());
    };
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let answer = Answer::of(body, "application/json").status(status);
    Ok(answer.header("idempotency-replayed", "true"))
}

/// Hashes of the ids in the path and of those that the body names.
fn about(call: &Call) -> BTreeSet<String> {
    let placed = call.placed.values();
    let placed = placed.filter_map(|text| id::from_path(text));
    let named = Named::in_body(&call.body);
    let people = named.references.iter().map(|id| id.as_str().to_owned());
    let named = people.chain(named.users.iter().cloned());
    placed.chain(named).map(|id| hashed(&id)).collect()
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn audit_line(call: &Call, endpoint: Endpoint) -> Option<AuditLine> {
    // Keys and tokens are machines: a read is noted where a human looks.
    if endpoint.route.audit != Audit::Change {
        return None;
    }
    let decoded = |name: &str| call.placed.get(name).and_then(|text| id::from_path(text));
    let subject = endpoint.places().filter(|place| *place != "person");
    let subject: Vec<_> = subject.filter_map(decoded).collect();
    Some(AuditLine {
        at_ms: call.now_ms(),
        actor: call.caller.name(),
        action: format!("{} {}", endpoint.verb.as_str(), endpoint.path),
        person: decoded("person"),
        subject: (!subject.is_empty()).then(|| subject.join("/")),
        request_id: call.request_id.clone(),
        number: call.line,
        status: 0,
    })
}
