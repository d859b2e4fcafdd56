//! The frame of every page: header with search, navigation, theme.

use http::HeaderMap;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    assets::{ICON, SCRIPT, STYLE},
    cookie,
    guard::{Signed, THEME_COOKIE},
};

/// Content of a page.
#[derive(Debug)]
pub(super) struct Page {
    /// Heading.
    pub(super) title: String,
    /// Sentence below the heading; empty where there is none.
    pub(super) lead: String,
    /// True if the page refreshes itself every ten seconds.
    pub(super) refresh: bool,
    /// Everything below.
    pub(super) body: Markup,
}

/// Circumstances that the frame around a page depends on.
#[derive(Debug)]
pub(super) struct Frame {
    /// Name and role of who is signed in.
    me: Option<(String, &'static str)>,
    theme: Option<&'static str>,
    path: String,
    now_ms: i64,
}

const PAGES: &[(&str, &str)] = &[
    ("/console", "Overview"),
    ("/console/people", "People"),
    ("/console/events", "Events"),
    ("/console/history", "History"),
    ("/console/destinations", "Destinations"),
    ("/console/sources", "Sources"),
    ("/console/access", "Access"),
    ("/console/api", "API"),
];

impl Frame {
    /// The frame for a request.
    pub(super) fn of(
        signed: Option<&Signed>,
        headers: &HeaderMap,
        path: &str,
        now_ms: i64,
    ) -> Self {
        let theme = match cookie(headers, THEME_COOKIE) {
            Some("dark") => Some("dark"),
            Some("light") => Some("light"),
            _ => None,
        };
        Self {
            me: signed.map(|signed| {
                let session = &signed.session;
                (session.name.clone(), session.role.as_str())
            }),
            theme,
            path: path.to_owned(),
            now_ms,
        }
    }

    /// Returns whether a page of the navigation is open, or one below it.
    fn is_at(&self, path: &str) -> bool {
        let rest = self.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || (path != "/console" && rest.starts_with('/')))
    }
}

/// The whole document.
pub(super) fn whole(frame: &Frame, page: &Page) -> Markup {
    let now = Timestamp::from_millisecond(frame.now_ms).unwrap_or_default();
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[frame.theme] data-now=(now) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) " · Terrarium" }
                link rel="icon" href=(ICON.path);
                link rel="stylesheet" href=(STYLE.path);
                script type="module" src=(SCRIPT.path) {}
            }
            body {
                a.skip href="#main" { "To the content" }
                @if frame.me.is_some() { (header(frame)) }
                main id="main" data-refresh=[page.refresh.then_some("10")] {
                    @if page.refresh { p.stale role="status" {} }
                    h1 { (page.title) }
                    @if !page.lead.is_empty() { p.lead { (page.lead) } }
                    (page.body)
                }
            }
        }
    }
}

fn header(frame: &Frame) -> Markup {
    let (next, label) = match frame.theme {
        Some("dark") => ("light", "Light theme"),
        Some(_) => ("system", "Theme of the system"),
        None => ("dark", "Dark theme"),
    };
    html! {
        header.top { div.top-in {
            a.brand href="/console" {
                (PreEscaped(r#"<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 22v-8C6 14 3 11 3 5c5 0 8 2 9 6 1-5 4-8 9-8 0 7-3 10-8 11v8z"/></svg>"#))
                "Terrarium"
            }
            nav aria-label="Pages" { ul {
                @for (path, name) in PAGES {
                    li { a href=(path) aria-current=[frame.is_at(path).then_some("page")] { (name) } }
                }
            } }
            form.search action="/console/search" method="post" role="search" {
                input name="q" type="search" required maxlength="400" aria-label="Search" placeholder="Any id"
                    title="Reference id, Terra user id, id of a connection or of a webhook";
                button { "Find" }
            }
            div.me {
                @if let Some((name, role)) = &frame.me { span title={ (name) " · " (role) } { span.name { (name) " · " } (role) } }
                form action="/console/theme" method="post" {
                    input type="hidden" name="back" value=(frame.path);
                    button name="theme" value=(next) title=(label) aria-label=(label) { "◐" }
                }
                form action="/console/sign-out" method="post" { button { "Sign out" } }
            }
        } }
    }
}
