//! Links to connect with, their pages, and the end of a connection.

use std::{collections::BTreeMap, fmt::Write as _};

use axum::http::StatusCode;
use reqwest::Url;
use serde_json::json;

use super::{
    Forms, TerraApi,
    call::{Call, PAGES},
    reply::Reply,
    under,
};
use crate::Provider;

/// Seconds for which a widget session can be used.
const WIDGET_EXPIRES_IN: i64 = 900;

/// Seconds for which a mobile token can be used.
const TOKEN_EXPIRES_IN: i64 = 180;

/// A connection that somebody was asked to make.
#[derive(Debug, Clone)]
struct Link {
    provider: Option<Provider>,
    reference_id: String,
    success_url: Option<String>,
    failure_url: Option<String>,
}

/// Links that have been handed out, by Terra user id or widget session.
#[derive(Debug, Default)]
pub(super) struct Links {
    open: BTreeMap<String, Link>,
}

impl TerraApi {
    /// A link to one provider.
    pub(super) fn authenticate_user(&self, call: &Call, forms: Forms) -> Reply {
        let Some(resource) = call.parameter("resource") else {
            let detail = "missing resource";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        };
        let Some(provider) = Provider::of_name(resource) else {
            let detail = "no such provider";
            return Reply::problem(call, forms, StatusCode::NOT_FOUND, detail);
        };
        if provider.is_sdk_only() {
            let detail = "this provider is connected by the mobile SDK";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        }
        let (user_id, url) = self.link(call, "connect", Some(provider));
        Reply::json(&json!({ "status": "success", "user_id": user_id, "auth_url": url }))
    }

    /// A session in which the user chooses a provider.
    pub(super) fn widget_session(&self, call: &Call, forms: Forms) -> Reply {
        if !call.body.is_empty() && serde_json::from_slice::<serde_json::Value>(&call.body).is_err()
        {
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, "the body is no JSON");
        }
        let (session_id, url) = self.link(call, "widget", None);
        Reply::json(&json!({
            "status": "success",
            "session_id": session_id,
            "url": url,
            "expires_in": WIDGET_EXPIRES_IN,
        }))
    }

    fn link(&self, call: &Call, page: &str, provider: Option<Provider>) -> (String, String) {
        let link = Link {
            provider,
            reference_id: call.field("reference_id").unwrap_or_default(),
            success_url: call.field("auth_success_redirect_url"),
            failure_url: call.field("auth_failure_redirect_url"),
        };
        let now = self.truth().now();
        let mut state = self.state();
        let id = self.mint(&mut state, now).reference();
        state.links.open.insert(id.clone(), link);
        let base = &self.shared.settings.public_url;
        (id.clone(), format!("{base}{PAGES}/{page}/{id}"))
    }

    /// Ends a connection and sends `deauth`.
    pub(super) fn deauthenticate_user(&self, call: &Call, forms: Forms) -> Reply {
        let Some(user_id) = call.parameter("user_id") else {
            let detail = "missing user_id";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        };
        let Some(ended) = self.truth().end(user_id) else {
            return Reply::problem(call, forms, StatusCode::NOT_FOUND, "user not found");
        };
        let now = self.truth().now();
        let mut state = self.state();
        let webhook = self.mint(&mut state, now).deauth(&ended);
        state.outbox.put(now, webhook);
        Reply::json(&json!({ "status": "success" }))
    }

    /// A token for one use by a phone.
    pub(super) fn auth_token(&self) -> Reply {
        let now = self.truth().now();
        let mut state = self.state();
        let mut world = self.mint(&mut state, now);
        let halves = [world.reference(), world.reference()].concat();
        let token = halves.replace('-', "");
        Reply::json(&json!({
            "status": "success",
            "token": token,
            "expires_in": TOKEN_EXPIRES_IN,
        }))
    }

    /// A page behind a link: `GET /simulated/connect/{user id}` connects at once, and
    /// `/simulated/widget/{session}` shows the providers until one is chosen by `?provider=`.
    /// With `?deny=true` the user turns back.
    pub(super) fn page(&self, call: &Call) -> Reply {
        let gone = || {
            let page = "<html><body>This link has been used or never existed.</body></html>";
            Reply::text(StatusCode::NOT_FOUND, "text/html", page)
        };
        let mut parts = call.path.trim_start_matches(PAGES).split('/').skip(1);
        let (Some(page), Some(id)) = (parts.next(), parts.next()) else {
            return gone();
        };
        let Some(link) = self.state().links.open.get(id).cloned() else {
            return gone();
        };
        if call.flag("deny") == Some(true) {
            return self.denied(id, &link);
        }
        let chosen = call.parameter("provider").and_then(Provider::of_name);
        let Some(provider) = link.provider.or(chosen) else {
            return self.choice(page, id);
        };
        let now = self.truth().now();
        let mut state = self.state();
        // The id of a provider's link is the user's; a widget's user gets one now.
        let user_id = if page == "widget" {
            self.mint(&mut state, now).reference()
        } else {
            id.to_owned()
        };
        state.links.open.remove(id);
        let (connection, replaced) = self.truth().connect(&user_id, &link.reference_id, provider);
        let webhook = self.mint(&mut state, now).auth(&connection);
        state.outbox.put(now, under(webhook, id));
        if let Some(old) = replaced {
            let mut world = self.mint(&mut state, now);
            let swap = world.user_reauth(Some(&old), &connection);
            state.outbox.put(now, under(swap, id));
        }
        drop(state);
        let pairs = [
            ("user_id", user_id.as_str()),
            ("resource", provider.as_str()),
            ("reference_id", &link.reference_id),
        ];
        redirect(link.success_url.as_deref(), &pairs, "Connected.")
    }

    fn denied(&self, id: &str, link: &Link) -> Reply {
        let now = self.truth().now();
        let mut state = self.state();
        state.links.open.remove(id);
        let webhook = self
            .mint(&mut state, now)
            .auth_cancelled(Some(&link.reference_id));
        state.outbox.put(now, webhook);
        let pairs = [
            ("reason", "access_denied"),
            ("reference_id", link.reference_id.as_str()),
        ];
        redirect(link.failure_url.as_deref(), &pairs, "Not connected.")
    }

    fn choice(&self, page: &str, id: &str) -> Reply {
        let mut html = String::from("<html><body><h1>Connect</h1><ul>");
        for provider in &self.truth().settings().providers {
            let name = provider.as_str();
            // Writing to a string cannot fail.
            write!(
                html,
                r#"<li><a href="{PAGES}/{page}/{id}?provider={name}">{name}</a></li>"#
            )
            .unwrap_or_default();
        }
        html.push_str("</ul></body></html>");
        Reply::text(StatusCode::OK, "text/html", html)
    }
}

/// To the app's own page, with what Terra appends to it; without one a page that says so.
fn redirect(to: Option<&str>, pairs: &[(&str, &str)], otherwise: &str) -> Reply {
    let Some(mut url) = to.and_then(|to| Url::parse(to).ok()) else {
        let page = format!("<html><body>{otherwise}</body></html>");
        return Reply::text(StatusCode::OK, "text/html", page);
    };
    let known = pairs.iter().filter(|(_, value)| !value.is_empty());
    url.query_pairs_mut().extend_pairs(known);
    Reply::text(StatusCode::FOUND, "text/html", "").with_header("location", url.to_string())
}
