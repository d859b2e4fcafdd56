//! Signing in: a link that works once opens a page with one button, and the button opens the session.
//!
//! A link alone does nothing, because programs that preview or fetch links ahead would use it up.

use std::sync::Arc;

use axum::{Router, body::Body, extract::Request, routing::get};
use domain::{
    access::secret_hash,
    console::{Role, SignIn},
};
use http::{HeaderMap, Response, StatusCode};
use maud::{Markup, html};
use runtime::{
    problem::{Kind, Problem},
    telemetry::Chain,
};
use secrecy::SecretString;
use store::table::{Table, TableError, access::AuditLine};
use tracing::{error, info};

use super::{
    form_of, guard,
    layout::{Frame, Page, whole},
    pairs,
};
use crate::{
    config::App,
    error::Failure,
    keys::new_secret,
    serve::{finished, request_id},
};

/// Longest name of a person. Unit: characters.
const MAX_NAME_CHARS: usize = 60;

/// A sign-in link to make.
#[derive(Debug, Clone)]
pub struct SignInLink {
    /// Role of the session that it opens.
    pub role: Role,
    /// Name of the person.
    pub name: String,
    /// Maker of the link.
    pub made_by: String,
    /// End of the link. Unit: Unix milliseconds.
    pub expires_at_ms: i64,
}

/// Keeps a sign-in link and returns its path with the token, which is shown once.
///
/// # Errors
///
/// [`TableError::Unavailable`] when DynamoDB does not answer.
pub async fn sign_in_link(table: &Table, link: SignInLink) -> Result<SecretString, TableError> {
    let token = new_secret();
    let name: String = link.name.chars().take(MAX_NAME_CHARS).collect();
    let sign_in = SignIn {
        role: link.role,
        name,
        made_by: link.made_by,
        expires_at_ms: link.expires_at_ms,
    };
    table.add_sign_in(&secret_hash(&token), &sign_in).await?;
    Ok(format!("/console/login?token={token}").into())
}

/// The routes for those who are not signed in yet.
pub(super) fn router(app: &Arc<App>) -> Router {
    let (to_ask, to_open) = (Arc::clone(app), Arc::clone(app));
    let ask = move |request: Request| {
        let app = Arc::clone(&to_ask);
        Box::pin(async move { ask(&app, request).await })
    };
    let open = move |request: Request| {
        let app = Arc::clone(&to_open);
        Box::pin(async move { open(&app, request).await })
    };
    Router::new().route("/console/login", get(ask).post(open))
}

/// The answer to a request without a session: how to get one.
pub(super) fn asked_for(headers: &HeaderMap) -> Response<Body> {
    page_of(
        headers,
        StatusCode::UNAUTHORIZED,
        "You are not signed in, or not any more",
        &how(),
    )
}

fn how() -> Markup {
    html! {
        p { "A link signs you in. It works once, within ten minutes. Whoever runs the system makes one:" }
        pre { "terrarium console --role support --name Anna" }
    }
}

fn page_of(headers: &HeaderMap, status: StatusCode, title: &str, body: &Markup) -> Response<Body> {
    let page = Page {
        title: title.to_owned(),
        lead: String::new(),
        refresh: false,
        body: html! { div.card { (body) } },
    };
    let frame = Frame::of(None, headers, "/console/login", 0);
    guard::page(status, &whole(&frame, &page))
}

fn spent(headers: &HeaderMap) -> Response<Body> {
    let title = "This link was used, or it is too old";
    page_of(headers, StatusCode::UNAUTHORIZED, title, &how())
}

/// Shows the button, and leaves the link as it is.
async fn ask(app: &App, request: Request) -> Response<Body> {
    let id = request_id(request.extensions());
    let headers = request.headers().clone();
    let query = pairs(request.uri().query().unwrap_or_default());
    let Some(token) = query.get("token").filter(|token| !token.is_empty()) else {
        let title = "Sign in";
        return finished(page_of(&headers, StatusCode::OK, title, &how()), &id);
    };
    let now_ms = (app.clock)().as_millisecond();
    let response = match app.table.sign_in(&secret_hash(token)).await {
        Ok(Some(link)) if link.is_alive(now_ms) => page_of(
            &headers,
            StatusCode::OK,
            "Sign in to Terrarium",
            &html! {
                p { "You sign in as " b { (link.role) } " (" (link.name) ")." }
                form method="post" action="/console/login" {
                    input type="hidden" name="token" value=(token);
                    button.main autofocus { "Sign in as " (link.role) }
                }
            },
        ),
        Ok(_) => spent(&headers),
        Err(error) => broken(&headers, &error.into()),
    };
    finished(response, &id)
}

/// Takes the link, and opens the session.
async fn open(app: &App, request: Request) -> Response<Body> {
    let id = request_id(request.extensions());
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    if !guard::is_same_origin(&headers) {
        let title = "This form was not sent by a page of this console";
        let response = page_of(&headers, StatusCode::FORBIDDEN, title, &how());
        return finished(response, &id);
    }
    let response = match begin(app, body, &id).await {
        Ok(Some(token)) => guard::signed_in(&token, &headers),
        Ok(None) => spent(&headers),
        Err(failure) => broken(&headers, &failure),
    };
    finished(response, &id)
}

async fn begin(app: &App, body: Body, request_id: &str) -> Result<Option<String>, Failure> {
    let form = form_of(body).await?;
    let token = form.get("token").map_or("", String::as_str);
    let now_ms = (app.clock)().as_millisecond();
    let found = app.table.take_sign_in(&secret_hash(token)).await?;
    let Some(link) = found.filter(|link| link.is_alive(now_ms)) else {
        return Ok(None);
    };
    let session = link.session(now_ms);
    let token = new_secret();
    let hash = secret_hash(&token);
    app.table.put_console_session(&hash, &session).await?;
    let noted = AuditLine {
        at_ms: now_ms,
        actor: format!("console:{}", session.name),
        action: "POST /console/login".to_owned(),
        person: None,
        subject: Some(format!("{}, link by {}", session.role, session.made_by)),
        request_id: request_id.to_owned(),
        number: 0,
        status: StatusCode::SEE_OTHER.as_u16(),
    };
    app.table.audit(&noted).await?;
    info!(role = session.role.as_str(), "signed in");
    Ok(Some(token))
}

fn broken(headers: &HeaderMap, failure: &Failure) -> Response<Body> {
    error!(error = %Chain(failure), "sign-in failed");
    let problem = match failure.problem() {
        problem if problem.kind() == Kind::Internal => Problem::new(Kind::Internal),
        problem => problem,
    };
    let kind = problem.kind();
    page_of(headers, kind.status(), kind.title(), &how())
}
