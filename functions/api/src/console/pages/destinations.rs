//! Destinations: whether records arrive where they are sent on to, and what to do where they do not.

use bytes::Bytes;
use domain::access::Scope;
use maud::{Markup, html};
use runtime::problem::{Kind, Problem};
use serde_json::{Map, Value, json};

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        visit::Visit,
        words::{count, flag, list, query_of, state, text, thousands, when},
    },
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/destinations",
        handler: |visit| Box::pin(destinations(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/destinations/new",
        handler: |visit| Box::pin(std::future::ready(new(&visit))),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations",
        handler: |visit| Box::pin(make(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/probe",
        handler: |visit| Box::pin(order(visit, "/v1/destinations/{id}/probe", no_body)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/remove",
        handler: |visit| Box::pin(remove(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/destinations/{id}",
        handler: |visit| Box::pin(destination(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/pause",
        handler: |visit| Box::pin(order(visit, "/v1/destinations/{id}/pause", no_body)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/resume",
        handler: |visit| Box::pin(order(visit, "/v1/destinations/{id}/resume", no_body)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/retry-failed",
        handler: |visit| Box::pin(order(visit, "/v1/destinations/{id}/retry-failed", no_body)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/redrive",
        handler: |visit| Box::pin(order(visit, "/v1/destinations/{id}/redrive", redrive_body)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/destinations/{id}/check",
        handler: |visit| Box::pin(order(visit, "/v1/destinations/{id}/check", check_body)),
    },
];

/// Attempts and refused records that are listed.
const LISTED: &str = "25";

async fn destinations(visit: Visit) -> Result<Reply, Failure> {
    let found = visit.ask("/v1/destinations", &[], &[]).await?;
    let found = list(&found, "data");
    let now_ms = visit.now_ms();
    let wrong = found
        .iter()
        .filter(|it| text(it, "state") != "active")
        .count();
    let body = html! {
        @if found.is_empty() {
            div.card.finding {
                h3 { "○ Records are not sent on" }
                p { "Make a destination here, or with " code { "terrarium destinations add" } "." }
            }
        } @else {
            @if wrong == 0 { div.card.finding.good { h3 { "● All destinations are active" } } }
            @else { div.card.finding.warn { h3 { "▲ " (wrong) " of " (found.len()) " destinations are not active" } p { "What changes meanwhile is owed, and nothing is lost. Open one to see its fault." } } }
            div.card { div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "State" }
                    th scope="col" { "Last delivery" } th scope="col" { "Owes since" } th scope="col" { "Fault" }
                } }
                tbody { @for it in found { tr {
                    td.any { a href={ "/console/destinations/" (text(it, "id")) } { (text(it, "name")) } }
                    td { (text(it, "kind")) }
                    td { (state(text(it, "state"))) }
                    td { (when(text(it, "delivered_at"), now_ms)) }
                    td { (when(text(it, "owes_since"), now_ms)) }
                    td.any { (text(it, "fault")) }
                } } }
            } } }
        }
    };
    let body = html! {
        @if visit.may(Scope::KeysWrite) { p { a href="/console/destinations/new" { "Add a destination" } } }
        (body)
    };
    Ok(Reply::Page(Page {
        title: "Destinations".to_owned(),
        lead: "Where records are sent on to, and whether they arrive.".to_owned(),
        refresh: true,
        body,
    }))
}

async fn destination(visit: Visit) -> Result<Reply, Failure> {
    let place = [("id", visit.placed("id"))];
    let page = |name| [("limit", LISTED), ("cursor", visit.asked(name))];
    let (of_attempts, of_failed) = (page("attempts"), page("failed"));
    let (found, attempts, failed) = futures::try_join!(
        visit.ask("/v1/destinations/{id}", &place, &[]),
        visit.ask("/v1/destinations/{id}/attempts", &place, &of_attempts),
        visit.ask("/v1/destinations/{id}/failed", &place, &of_failed),
    )?;
    let now_ms = visit.now_ms();
    let id = text(&found, "id").to_owned();
    let status = text(&found, "state");
    let fault = text(&found, "fault");
    let (owed, refused) = (count(&found, "owed"), count(&found, "failed"));
    let findings: Vec<_> = list(&found, "findings")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let body = html! {
        p.crumbs { a href="/console/destinations" { "Destinations" } " / " (text(&found, "name")) }
        @if !fault.is_empty() {
            div.card.finding.bad { h3 { "■ " (fault) } p { (advice(status)) } }
        } @else if status != "active" {
            div.card.finding.warn { h3 { "▲ It is " (status) } p { (advice(status)) } }
        } @else if refused > 0 {
            div.card.finding.warn { h3 { "▲ " (thousands(refused)) " records were refused for good" } p { "The reasons are below. Once they are mended, try them again." } }
        } @else {
            div.card.finding.good { h3 { "● Records arrive" } }
        }
        @for finding in &findings { div.card.finding.warn { h3 { "▲ " (finding) } } }
        div.tiles {
            div.tile { div.k { "State" } div.v { (state(status)) } div.n { "since " (when(text(&found, "since"), now_ms)) } }
            div.tile { div.k { "Owed" } div.v { (thousands(owed)) } div.n { @if text(&found, "owes_since").is_empty() { "nothing waits" } @else { "since " (when(text(&found, "owes_since"), now_ms)) } } }
            div.tile { div.k { "Refused for good" } div.v { (thousands(refused)) } div.n { "until somebody tries them again" } }
            div.tile { div.k { "Last delivery" } div.v { @if text(&found, "delivered_at").is_empty() { "none yet" } @else { (when(text(&found, "delivered_at"), now_ms)) } } }
        }
        @if visit.may(Scope::OperationsWrite) { (orders(&id, status, refused)) }
        (tried(&found, now_ms))
        (given(&found, now_ms))
        section.card { h2 { "Attempts of today" } (attempts_table(list(&attempts, "data"), now_ms)) (more(&id, "attempts", &attempts)) }
        @if refused > 0 { section.card { h2 { "Refused for good" } (failed_table(list(&failed, "data"), now_ms)) (more(&id, "failed", &failed)) } }
        section.card {
            h2 { "Settings" }
            dl {
                dt { "Kind" } dd { (text(&found, "kind")) }
                dt { "Shards" } dd { (count(&found, "concurrency")) }
                dt { "Made" } dd { (when(text(&found, "created_at"), now_ms)) }
                dt { "Records" } dd.id { (found.get("subscription").unwrap_or(&Value::Null)) }
                @if let Some(config) = found.get("config").and_then(Value::as_object) {
                    @for (name, value) in config { dt { (name) } dd.id { @if let Some(text) = value.as_str() { (text) } @else { (value) } } }
                }
            }
        }
    };
    Ok(Reply::Page(Page {
        title: text(&found, "name").to_owned(),
        lead: String::new(),
        refresh: false,
        body,
    }))
}

/// The next step for a state.
fn advice(status: &str) -> &'static str {
    match status {
        "unproven" => {
            "Nothing is sent to it until every step of a probe passes. Mend what the probe found, and try it again."
        }
        "paused" => "Somebody paused it. Resume it, and what is owed is delivered.",
        "disabled" => {
            "Nothing is kept for it. Resume it, and what changed since is delivered again."
        }
        "suspended" => {
            "It is left alone for a while and then tried again by itself. Resume it to try at once."
        }
        _ => {
            "It is tried again by itself, and nothing is lost. If the cause is on its side, mend it there."
        }
    }
}

fn orders(id: &str, status: &str, refused: u64) -> Markup {
    let action = |end: &str| format!("/console/destinations/{id}/{end}");
    let is_held = matches!(status, "paused" | "disabled" | "suspended");
    html! {
        section.card {
            h2 { "Do" }
            div.buttons {
                @if is_held { form method="post" action=(action("resume")) { button.main { "Resume" } } }
                @else if status != "unproven" { form method="post" action=(action("pause")) { button { "Pause" } } }
                form method="post" action=(action("probe")) { button { "Probe" } }
                @if refused > 0 { form method="post" action=(action("retry-failed")) { button { "Try refused ones again" } } }
            }
            details {
                summary { "Deliver records again" }
                form.row method="post" action=(action("redrive")) {
                    label { "Types, with commas" input name="types" placeholder="all"; }
                    label { "Person, by reference id" input name="person" placeholder="everybody"; }
                    label { "From" input type="date" name="from"; }
                    label { "To, included" input type="date" name="to"; }
                    label.check { input type="checkbox" name="force" value="on"; " also over the same revision" }
                    button.main { "Redrive" }
                }
            }
            details {
                summary { "Compare with what it has" }
                form.row method="post" action=(action("check")) {
                    label { "Types, with commas" input name="types" placeholder="all"; }
                    label.check { input type="checkbox" name="repair" value="on"; " mend differences" }
                    button.main { "Check" }
                }
            }
            details {
                summary { "Remove it" }
                p { "Its secrets and everything that it is owed go; what it has stays at its far end." }
                form.row method="post" action=(action("remove")) {
                    label { "Type its id, " code { (id) } input name="id" autocomplete="off" required; }
                    button { "Remove" }
                }
            }
        }
    }
}

/// The newest probe, step by step.
fn tried(found: &Value, now_ms: i64) -> Markup {
    let Some(probe) = found.get("probe").filter(|probe| !probe.is_null()) else {
        return html! {};
    };
    let steps = list(probe, "steps");
    html! {
        section.card {
            h2 { "Probe" }
            @if text(probe, "done_at").is_empty() { p { "Asked for " (when(text(probe, "asked_at"), now_ms)) ", and not done yet." } }
            @else { p { (state(if flag(probe, "passed") { "passed" } else { "failed" })) " " (when(text(probe, "done_at"), now_ms)) } }
            @if !steps.is_empty() { div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "Step" } th scope="col" { "Result" } th scope="col" { "Found" } th scope="col" { "Missing" } th.num scope="col" { "Took" } } }
                tbody { @for step in steps { tr {
                    th scope="row" { (text(step, "step")) }
                    td { (state(text(step, "verdict"))) }
                    td.any { (text(step, "text")) }
                    td.any { (text(step, "missing")) }
                    td.num { (thousands(count(step, "took_ms"))) " ms" }
                } } }
            } } }
        }
    }
}

fn given(found: &Value, now_ms: i64) -> Markup {
    let orders = list(found, "orders");
    html! {
        @if !orders.is_empty() {
            section.card {
                h2 { "Orders" }
                div.wide tabindex="0" { table {
                    thead { tr {
                        th scope="col" { "Order" } th scope="col" { "Given" } th scope="col" { "Done" }
                        th.num scope="col" { "Records so far" } th.num scope="col" { "Shards done" }
                        th.num scope="col" { "Differences" } th scope="col" { "Broken off" }
                    } }
                    tbody { @for order in orders { tr {
                        th scope="row" { (text(order, "order")) }
                        td { (when(text(order, "ordered_at"), now_ms)) }
                        td { @if text(order, "done_at").is_empty() { "not yet" } @else { (when(text(order, "done_at"), now_ms)) } }
                        td.num { (thousands(count(order, "records"))) }
                        td.num { (count(order, "done_shards")) }
                        td.num { @if text(order, "order") == "check" { (thousands(count(order, "difference_count"))) } }
                        td.any { (text(order, "fault")) }
                    } } }
                } }
                @for order in orders { (differences(order)) }
            }
        }
    }
}

/// Differences that a check found, record by record.
fn differences(order: &Value) -> Markup {
    let found = list(order, "differences");
    html! {
        @if !found.is_empty() {
            details {
                summary { "Differences of " (text(order, "id")) }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Record" } th scope="col" { "Type" } th scope="col" { "Owner" } th scope="col" { "There it is" } } }
                    tbody { @for it in found { tr {
                        td.any { span.id { (text(it, "record")) } }
                        td { (text(it, "type")) }
                        td.any { span.id { (text(it, "owner")) } }
                        td { (state(text(it, "difference"))) }
                    } } }
                } }
            }
        }
    }
}

fn attempts_table(attempts: &[Value], now_ms: i64) -> Markup {
    if attempts.is_empty() {
        return html! { p.empty { "None is noted. Attempts that failed are noted all, those that did not only sometimes." } };
    }
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "When" } th scope="col" { "Outcome" } th scope="col" { "Type" } th scope="col" { "Record" }
                th.num scope="col" { "Attempt" } th.num scope="col" { "Took" } th scope="col" { "Fault" }
            } }
            tbody { @for it in attempts { tr {
                td { (when(text(it, "at"), now_ms)) }
                td { (state(text(it, "outcome"))) }
                td { (text(it, "type")) }
                td.any { span.id { (text(it, "record")) } }
                td.num { (count(it, "attempt")) }
                td.num { (thousands(count(it, "took_ms"))) " ms" }
                td.any { (text(it, "fault")) }
            } } }
        } }
    }
}

/// Leads to the next page of a list, which the query of the destination's page names.
fn more(id: &str, name: &str, page: &Value) -> Markup {
    let next = text(page, "next_cursor");
    html! {
        @if !next.is_empty() {
            p.pager { a href={ "/console/destinations/" (id) "?" (query_of([(name, next)])) } { "More" } }
        }
    }
}

fn failed_table(failed: &[Value], now_ms: i64) -> Markup {
    html! {
        div.wide tabindex="0" { table {
            thead { tr { th scope="col" { "First failed" } th scope="col" { "What" } th.num scope="col" { "Refusals" } th scope="col" { "Fault" } } }
            tbody { @for it in failed { tr {
                td { (when(text(it, "first_failed_at"), now_ms)) }
                td.any { span.id { (it.get("what").unwrap_or(&Value::Null)) } }
                td.num { (count(it, "refusals")) }
                td.any { (text(it, "fault")) }
            } } }
        } }
    }
}

/// An order that has no body.
fn no_body(_: &Visit) -> Value {
    Value::Null
}

/// Data types of a form; absent where none is named.
fn types(visit: &Visit) -> Option<Value> {
    let types = visit.filled("types").split(',').map(str::trim);
    let types: Vec<_> = types.filter(|text| !text.is_empty()).collect();
    (!types.is_empty()).then(|| json!(types))
}

fn redrive_body(visit: &Visit) -> Value {
    let mut body = Map::new();
    body.extend(types(visit).map(|types| ("types".to_owned(), types)));
    for name in ["from", "to"] {
        let given = visit.filled(name);
        if !given.is_empty() {
            body.insert(name.to_owned(), json!(given));
        }
    }
    let person = visit.filled("person");
    if !person.is_empty() {
        body.insert("people".to_owned(), json!([person]));
    }
    body.insert("force".to_owned(), json!(visit.filled("force") == "on"));
    Value::Object(body)
}

fn check_body(visit: &Visit) -> Value {
    let mut body = Map::new();
    body.extend(types(visit).map(|types| ("types".to_owned(), types)));
    body.insert("repair".to_owned(), json!(visit.filled("repair") == "on"));
    Value::Object(body)
}

/// A destination as somebody may begin to describe it.
const EXAMPLE: &str = r#"{
  "kind": "webhook",
  "name": "our app",
  "subscription": {"data_types": ["daily", "sleep"]},
  "config": {"url": "https://app.example.com/terrarium"}
}"#;

fn new(visit: &Visit) -> Result<Reply, Failure> {
    if !visit.may(Scope::KeysWrite) {
        return Err(Problem::new(Kind::Forbidden)
            .detail("only admins add destinations")
            .into());
    }
    Ok(Reply::Page(Page {
        title: "Add a destination".to_owned(),
        lead: "It is tried at once, and gets nothing before every step of the probe passes."
            .to_owned(),
        refresh: false,
        body: html! {
            p.crumbs { a href="/console/destinations" { "Destinations" } " / new" }
            section.card {
                form method="post" action="/console/destinations" {
                    label { "Description, as JSON; secrets stand among the settings in " code { "config" } ", and are never shown again"
                        textarea name="description" rows="16" spellcheck="false" autocomplete="off" required { (EXAMPLE) }
                    }
                    div.buttons { button.main { "Add" } }
                }
                p.note { "Kinds and their settings: " code { "shared/destinations/README.md" } "." }
            }
        },
    }))
}

/// Makes a destination, and leads to it; a secret that was made is shown first.
async fn make(visit: Visit) -> Result<Reply, Failure> {
    let body = Bytes::from(visit.filled("description").to_owned());
    let made = visit.call(Verb::Post, "/v1/destinations", &[], &[], body);
    let made: Value = serde_json::from_slice(&made.await?.body).unwrap_or_default();
    let id = made.get("destination").map_or("", |it| text(it, "id"));
    let path = format!("/console/destinations/{id}");
    let secret = text(&made, "secret");
    if secret.is_empty() {
        return Ok(Reply::See(path));
    }
    Ok(Reply::Page(Page {
        title: "The destination is made".to_owned(),
        lead: "Its webhooks are signed with this secret, which is shown this once.".to_owned(),
        refresh: false,
        body: html! {
            section.card {
                pre { (secret) }
                p { button type="button" hidden data-copy=(secret) { "Copy" } }
                p { a href=(path) { "To the destination" } }
            }
        },
    }))
}

/// Removes a destination whose id was typed once more.
async fn remove(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    if visit.filled("id") != id {
        return Err(Problem::new(Kind::InvalidRequest)
            .detail("the id that was typed is not the destination's: nothing was removed")
            .into());
    }
    let path = "/v1/destinations/{id}";
    let place = [("id", id.as_str())];
    let removed = visit.call(Verb::Delete, path, &place, &[], Bytes::new());
    let removed: Value = serde_json::from_slice(&removed.await?.body).unwrap_or_default();
    Ok(Reply::Page(Page {
        title: format!("{} is removed", text(&removed, "name")),
        lead: format!("{}.", text(&removed, "stays")),
        refresh: false,
        body: html! { p { a href="/console/destinations" { "To the destinations" } } },
    }))
}

/// Gives an order, and leads back to the destination.
async fn order(
    visit: Visit,
    path: &'static str,
    body: fn(&Visit) -> Value,
) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    let place = [("id", id.as_str())];
    let body = match body(&visit) {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    visit.call(Verb::Post, path, &place, &[], body).await?;
    Ok(Reply::See(format!("/console/destinations/{id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_next_step_and_the_buttons_that_fit() {
        for (status, button) in [
            ("active", "/pause"),
            ("failing", "/pause"),
            ("unproven", "/probe"),
            ("paused", "/resume"),
            ("disabled", "/resume"),
            ("suspended", "/resume"),
        ] {
            assert!(!advice(status).is_empty());
            let drawn = orders("d1", status, 0).into_string();
            assert!(
                drawn.contains(&format!("/console/destinations/d1{button}")),
                "{status}"
            );
            assert!(!drawn.contains("retry-failed"));
        }
        assert!(
            orders("d1", "active", 2)
                .into_string()
                .contains("retry-failed")
        );
    }
}
