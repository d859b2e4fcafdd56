//! The audit: who changed what, and who looked at whom; of everybody, of one actor or about one person.

use domain::access::Scope;
use maud::{Markup, html};
use runtime::problem::{Kind, Problem};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::shown_id,
        visit::Visit,
        words::{list, query_of, text, when},
    },
    error::Failure,
    id::{from_path, to_path},
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/access/audit",
        handler: |visit| Box::pin(audit(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/access/audit",
        handler: |visit| Box::pin(std::future::ready(filtered(&visit))),
    },
];

/// Lines of a page.
const LINES: &str = "100";

/// Leads to the lines that a form asks for. A reference id may be an e-mail address, so it is posted and encoded.
fn filtered(visit: &Visit) -> Result<Reply, Failure> {
    if !visit.may(Scope::KeysWrite) {
        let detail = "only an admin reads the audit";
        return Err(Problem::new(Kind::Forbidden).detail(detail).into());
    }
    let person = match visit.filled("person") {
        "" => String::new(),
        person => to_path(person),
    };
    let query = query_of([
        ("actor", visit.filled("actor")),
        ("person", person.as_str()),
    ]);
    Ok(Reply::See(format!("/console/access/audit?{query}")))
}

async fn audit(visit: Visit) -> Result<Reply, Failure> {
    let (actor, person) = (visit.asked("actor"), visit.asked("person"));
    let reference = from_path(person).unwrap_or_default();
    let query = [
        ("actor", actor),
        ("person", reference.as_str()),
        ("cursor", visit.asked("cursor")),
        ("limit", LINES),
    ];
    let found = visit.ask("/v1/audit", &[], &query).await?;
    let (next, searched) = (text(&found, "next_cursor"), text(&found, "searched_until"));
    let older = query_of([("actor", actor), ("person", person), ("cursor", next)]);
    let lines = list(&found, "data");
    let body = html! {
        p.crumbs { a href="/console/access" { "Access" } " / Audit" }
        form.row method="post" action="/console/access/audit" {
            label { "Actor, as a line has it" input name="actor" value=(actor) placeholder="console:Anna"; }
            label { "Person, by reference id" input name="person" value=(reference) autocomplete="off"; }
            button.main { "Filter" }
            @if !actor.is_empty() || !person.is_empty() { a href="/console/access/audit" { "All lines" } }
        }
        div.card {
            @if lines.is_empty() && !next.is_empty() { p.empty { "No such line yet; there may be older ones." } }
            @else { (table(lines, visit.now_ms())) }
            p.pager {
                @if !next.is_empty() { a href={ "/console/access/audit?" (older) } { "More" } }
                @if !searched.is_empty() { span.note { "searched back to " (searched) } }
            }
        }
    };
    Ok(Reply::Page(Page {
        title: "Audit".to_owned(),
        lead: "Who changed what, and who looked at whom, newest first.".to_owned(),
        refresh: false,
        body,
    }))
}

/// A table of lines.
pub(super) fn table(lines: &[Value], now_ms: i64) -> Markup {
    if lines.is_empty() {
        return html! { p.empty { "Nothing is noted yet." } };
    }
    let filter = |name: &str, value: &str| {
        let query = query_of([(name, value)]);
        format!("/console/access/audit?{query}")
    };
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" }
                th scope="col" { "Person" } th scope="col" { "Subject" }
            } }
            tbody { @for line in lines {
                @let (actor, person) = (text(line, "actor"), text(line, "person"));
                tr {
                    td { (when(text(line, "at"), now_ms)) }
                    td.any { a href=(filter("actor", actor)) { (actor) } }
                    td.any { (text(line, "action")) }
                    td.any { @if !person.is_empty() { a href=(filter("person", person)) { (shown_id(person)) } } }
                    td.any { (text(line, "subject")) }
                }
            } }
        } }
    }
}
