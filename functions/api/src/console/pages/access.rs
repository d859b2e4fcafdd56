//! Access: keys of the API, links for colleagues and their sessions, and who looked at what.

use std::cmp::Reverse;

use bytes::Bytes;
use domain::{
    access::Scope,
    console::{Role, Session},
};
use maud::{Markup, html};
use runtime::problem::{Kind, Problem};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    console::{
        Place, Reply, SignInLink, guard,
        layout::Page,
        pages::audit,
        sign_in_link,
        visit::Visit,
        words::{list, moment, state, text, when},
    },
    error::Failure,
    route::Verb,
    text::rfc3339,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/access",
        handler: |visit| Box::pin(async move { Box::pin(shown(&visit, html! {})).await }),
    },
    Place {
        verb: Verb::Post,
        path: "/console/access/keys",
        handler: |visit| Box::pin(make_key(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/access/keys/{id}/revoke",
        handler: |visit| Box::pin(revoke(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/access/keys/{id}/rotate",
        handler: |visit| Box::pin(rotate(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/access/sessions/{id}/end",
        handler: |visit| Box::pin(end_session(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/access/links",
        handler: |visit| Box::pin(make_link(visit)),
    },
];

/// Life of a link that an admin makes for a colleague. Unit: milliseconds.
const COLLEAGUE_LINK_MS: i64 = 24 * 3_600_000;
/// Characters of the hash of a session's token that name the session on pages.
const NAMED_BY: usize = 16;

async fn shown(visit: &Visit, made: Markup) -> Result<Reply, Failure> {
    let title = "Access".to_owned();
    if !visit.may(Scope::KeysWrite) {
        let lead = "Keys, links for colleagues and the audit are for admins.".to_owned();
        return Ok(Reply::Page(Page {
            title,
            lead,
            refresh: false,
            body: html! {},
        }));
    }
    let now_ms = visit.now_ms();
    let (keys, audit, sessions) = futures::try_join!(
        visit.ask("/v1/keys", &[], &[]),
        visit.ask("/v1/audit", &[], &[("limit", "50")]),
        sessions(visit),
    )?;
    let body = html! {
        (made)
        section.card { h2 { "Keys of the API" } (keys_table(list(&keys, "data"), now_ms)) }
        div.grid {
            section.card {
                h2 { "New key" }
                form method="post" action="/console/access/keys" {
                    label { "Name" input name="name" required maxlength="100"; }
                    @for scope in Scope::ALL {
                        label.check { input type="checkbox" name={ "scope-" (scope) } value="on"; " " code { (scope) } }
                    }
                    p { button.main { "Make the key" } }
                }
            }
            section.card {
                h2 { "Link for a colleague" }
                form method="post" action="/console/access/links" {
                    label { "Name" input name="name" required maxlength="60"; }
                    label { "Role" select name="role" {
                        @for role in Role::ALL { option value=(role) { (role) } }
                    } }
                    p.note { "It works once, within a day." }
                    p { button.main { "Make the link" } }
                }
            }
        }
        section.card { h2 { "Sessions" } (sessions_table(visit, &sessions)) }
        section.card {
            h2 { "Audit" }
            (audit::table(list(&audit, "data"), now_ms))
            p.pager { a href="/console/access/audit" { "More, and of one person or actor" } }
        }
        p.pager { a href="/console/exports" { "Exports" } a href="/console/erasures" { "Erasures" } }
    };
    Ok(Reply::Page(Page {
        title,
        lead: "Who may, and who did.".to_owned(),
        refresh: false,
        body,
    }))
}

fn state_of(key: &Value, now_ms: i64) -> &'static str {
    let has_expired = moment(text(key, "expires_at")).is_some_and(|end| now_ms >= end);
    match (text(key, "revoked_at").is_empty(), has_expired) {
        (false, _) => "revoked",
        (true, true) => "expired",
        (true, false) => "valid",
    }
}

fn keys_table(keys: &[Value], now_ms: i64) -> Markup {
    if keys.is_empty() {
        return html! { p.empty { "There is no key yet. Make one below: it is shown once." } };
    }
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "Key" } th scope="col" { "Name" } th scope="col" { "Permissions" }
                th scope="col" { "State" } th scope="col" { "Last used" } th scope="col" { "Do" }
            } }
            tbody { @for key in keys {
                @let id = text(key, "id");
                @let alive = state_of(key, now_ms);
                tr {
                    td.id { (id) }
                    td.any { (text(key, "name")) }
                    td.any { @for scope in list(key, "scopes") { span.chip { (scope.as_str().unwrap_or_default()) } } }
                    td { (state(alive)) }
                    td.nowrap { (text(key, "last_used_on")) }
                    td { @if alive == "valid" {
                        div.buttons {
                            form method="post" action={ "/console/access/keys/" (id) "/rotate" } {
                                button aria-label={ "Rotate " (text(key, "name")) } { "Rotate" }
                            }
                            form method="post" action={ "/console/access/keys/" (id) "/revoke" } {
                                button aria-label={ "Revoke " (text(key, "name")) } { "Revoke" }
                            }
                        }
                    } }
                }
            } }
        } }
    }
}

/// Sessions that have not ended, the newest first, with what names them on pages.
async fn sessions(visit: &Visit) -> Result<Vec<(String, Session)>, Failure> {
    let mut sessions = visit.app.table.console_sessions().await?;
    sessions.retain(|(_, session)| session.is_alive(visit.now_ms()));
    sessions.sort_by_key(|(_, session)| Reverse(session.began_at_ms));
    Ok(sessions)
}

/// Name of a session on pages: too short a part of the hash to find the session by at the table.
fn named(hash: &str) -> &str {
    hash.get(..NAMED_BY).unwrap_or(hash)
}

fn sessions_table(visit: &Visit, sessions: &[(String, Session)]) -> Markup {
    let now_ms = visit.now_ms();
    html! {
        p.note { "A session ends after twelve hours without a request, and after seven days." }
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Since" } th scope="col" { "Link by" }
                th scope="col" { "Ends, unless used" } th scope="col" { "Do" }
            } }
            tbody { @for (hash, session) in sessions { tr {
                td.any { (session.name) @if *hash == visit.signed.hash { " " span.soft { "this one" } } }
                td { (session.role) }
                td { (when(&rfc3339(session.began_at_ms), now_ms)) }
                td.any { (session.made_by) }
                td.nowrap { (rfc3339(session.expires_at_ms).get(..16).unwrap_or_default().replace('T', " ")) }
                td { form method="post" action={ "/console/access/sessions/" (named(hash)) "/end" } {
                    button aria-label={ "End the session of " (session.name) } { "End" }
                } }
            } } }
        } }
    }
}

/// Ends a session, perhaps of somebody else: the next request of it gets the sign-in page.
async fn end_session(visit: Visit) -> Result<Reply, Failure> {
    admins_only(&visit, "only an admin ends sessions")?;
    let id = visit.placed("id");
    let mut found = visit.app.table.console_sessions().await?.into_iter();
    let (hash, session) = found
        .find(|(hash, _)| named(hash) == id)
        .ok_or_else(|| Failure::not_found("there is no such session, or not any more"))?;
    visit.app.table.end_console_session(&hash).await?;
    let of = format!("{}, {}", session.role, session.name);
    visit
        .noted("POST /console/access/sessions/{id}/end", of)
        .await?;
    Ok(Reply::See("/console/access".to_owned()))
}

fn admins_only(visit: &Visit, detail: &'static str) -> Result<(), Failure> {
    if visit.may(Scope::KeysWrite) {
        return Ok(());
    }
    Err(Problem::new(Kind::Forbidden).detail(detail).into())
}

async fn make_key(visit: Visit) -> Result<Reply, Failure> {
    let given = |scope: &&Scope| visit.filled(&format!("scope-{scope}")) == "on";
    let scopes: Vec<_> = Scope::ALL.iter().filter(given).collect();
    let body = json!({"name": visit.filled("name"), "scopes": scopes});
    let body = Bytes::from(body.to_string());
    let answer = visit.call(Verb::Post, "/v1/keys", &[], &[], body).await?;
    let made: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let made = once("The key, shown this once", text(&made, "secret"));
    Box::pin(shown(&visit, made)).await
}

fn once(title: &str, secret: &str) -> Markup {
    html! {
        section.card.finding.good {
            h2 { (title) }
            pre { (secret) }
            p { button type="button" hidden data-copy=(secret) { "Copy" } }
        }
    }
}

async fn revoke(visit: Visit) -> Result<Reply, Failure> {
    let place = [("id", visit.placed("id"))];
    visit
        .call(Verb::Delete, "/v1/keys/{id}", &place, &[], Bytes::new())
        .await?;
    Ok(Reply::See("/console/access".to_owned()))
}

/// Gives a key a new secret, which is shown once.
async fn rotate(visit: Visit) -> Result<Reply, Failure> {
    let place = [("id", visit.placed("id"))];
    let path = "/v1/keys/{id}/rotate";
    let body = Bytes::from_static(b"{}");
    let made = visit.call(Verb::Post, path, &place, &[], body).await?;
    let made: Value = serde_json::from_slice(&made.body).unwrap_or_default();
    let title =
        "The key with its new secret, shown this once; the old one is valid for another day";
    let made = once(title, text(&made, "secret"));
    Box::pin(shown(&visit, made)).await
}

async fn make_link(visit: Visit) -> Result<Reply, Failure> {
    admins_only(&visit, "only an admin makes links for colleagues")?;
    let role: Role = visit.filled("role").parse().map_err(|unknown| {
        let unknown: domain::word::UnknownWord = unknown;
        Problem::new(Kind::InvalidRequest).detail(unknown.to_string())
    })?;
    let name = visit.filled("name");
    if name.is_empty() {
        let detail = "a link has the name of the person who signs in with it";
        return Err(Problem::new(Kind::InvalidRequest).detail(detail).into());
    }
    let link = SignInLink {
        role,
        name: name.to_owned(),
        made_by: visit.actor(),
        expires_at_ms: visit.now_ms().saturating_add(COLLEAGUE_LINK_MS),
    };
    let path = sign_in_link(&visit.app.table, link).await?;
    visit
        .noted("POST /console/access/links", format!("{role}, {name}"))
        .await?;
    let scheme = if guard::is_loopback(&visit.host) {
        "http"
    } else {
        "https"
    };
    let link = format!("{scheme}://{}{}", visit.host, path.expose_secret());
    let made = once("The link, shown this once", &link);
    Box::pin(shown(&visit, made)).await
}
