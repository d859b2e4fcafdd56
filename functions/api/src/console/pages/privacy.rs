//! Export and erasure of a person: the order, the way of the job, the file and the receipt.

use bytes::Bytes;
use domain::{access::Scope, export::ExportPart};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::shown_id,
        visit::Visit,
        words::{count, list, moment, query_of, size, state, text, thousands, when},
    },
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Post,
        path: "/console/people/{person}/export",
        handler: |visit| Box::pin(order_export(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/people/{person}/erase",
        handler: |visit| Box::pin(order_erasure(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/exports",
        handler: |visit| Box::pin(exports(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/exports/{id}",
        handler: |visit| Box::pin(export(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/exports/{id}/file",
        handler: |visit| Box::pin(file(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/erasures",
        handler: |visit| Box::pin(erasures(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/erasures/{id}",
        handler: |visit| Box::pin(erasure(visit)),
    },
];

/// Each look at an export is a line of the audit, so a page that is left open ends refreshing itself. Unit: milliseconds.
const REFRESHED_MS: i64 = 10 * 60_000;

/// The forms on the page of a person, as far as the visitor's role may.
pub(super) fn forms(visit: &Visit, person: &str) -> Markup {
    let (exports, erases) = (
        visit.may(Scope::PeopleExport),
        visit.may(Scope::PeopleErase),
    );
    html! {
        @if exports || erases {
            section.card {
                h2 { "Export and erase" }
                @if exports {
                    form.row method="post" action={ "/console/people/" (person) "/export" } {
                        label { "From" input type="date" name="from"; }
                        label { "To, included" input type="date" name="to"; }
                        @for part in ExportPart::ALL {
                            label.check { input type="checkbox" name={ "part-" (part) } value="on" checked; " " code { (part) } }
                        }
                        button { "Export" }
                        span.note { "Everything as one ZIP; without days, of all time. Three a day. " a href="/console/exports" { "Exports so far" } }
                    }
                }
                @if erases {
                    details {
                        summary { "Erase this person" }
                        p { "Everywhere and for good; it begins at once and cannot be taken back. Their connections at Terra are not ended by "
                            "it: " code { "DELETE /v1/connections/{connection}" } " does that, and comes first. "
                            a href="/console/erasures" { "Erasures so far" } }
                        form.row method="post" action={ "/console/people/" (person) "/erase" } {
                            label { "Type the reference id, " code { (shown_id(person)) } input name="reference_id" autocomplete="off" required; }
                            button { "Erase for good" }
                        }
                    }
                }
            }
        }
    }
}

/// Members of a form that were filled, for a body.
fn filled(visit: &Visit, names: &[&str]) -> Map<String, Value> {
    let given = names.iter().map(|name| (*name, visit.filled(name)));
    let given = given.filter(|(_, text)| !text.is_empty());
    given
        .map(|(name, text)| (name.to_owned(), json!(text)))
        .collect()
}

/// Parts of an export that are ticked in its form.
fn ticked(visit: &Visit) -> Vec<ExportPart> {
    let parts = ExportPart::ALL.iter().copied();
    parts
        .filter(|part| visit.filled(&format!("part-{part}")) == "on")
        .collect()
}

/// Orders a job of a person, and leads to its page below `pages`.
async fn order(
    visit: &Visit,
    (verb, path): (Verb, &'static str),
    body: Bytes,
    pages: &str,
) -> Result<Reply, Failure> {
    let place = [("person", visit.placed("person"))];
    let job = visit.call(verb, path, &place, &[], body).await?;
    let job: Value = serde_json::from_slice(&job.body).unwrap_or_default();
    Ok(Reply::See(format!("/console/{pages}/{}", text(&job, "id"))))
}

async fn order_export(visit: Visit) -> Result<Reply, Failure> {
    let mut body = filled(&visit, &["from", "to"]);
    body.insert("include".to_owned(), json!(ticked(&visit)));
    let body = Value::Object(body).to_string().into();
    let call = (Verb::Post, "/v1/people/{person}/exports");
    order(&visit, call, body, "exports").await
}

/// Erases a person whose reference id was typed once more: the API compares them.
async fn order_erasure(visit: Visit) -> Result<Reply, Failure> {
    let typed = json!({"reference_id": visit.filled("reference_id")});
    let call = (Verb::Delete, "/v1/people/{person}");
    order(&visit, call, typed.to_string().into(), "erasures").await
}

fn is_open(job: &Value) -> bool {
    matches!(text(job, "state"), "waiting" | "running")
}

/// Returns whether a page of a job refreshes itself.
fn is_live(job: &Value, now_ms: i64) -> bool {
    let ordered = moment(text(job, "requested_at"));
    is_open(job) && ordered.is_some_and(|at| now_ms - at < REFRESHED_MS)
}

/// Parts of a job that are done, of how many.
fn progress(job: &Value) -> Markup {
    let progress = job.get("progress").unwrap_or(&Value::Null);
    html! {
        (thousands(count(progress, "done")))
        @if let Some(of) = progress.get("of").and_then(Value::as_u64) { " of " (thousands(of)) }
    }
}

/// Rows that the pages of all jobs have.
fn facts(job: &Value, now_ms: i64) -> Markup {
    html! {
        dt { "State" } dd { (state(text(job, "state"))) }
        dt { "Done" } dd { (progress(job)) }
        dt { "Ordered" } dd { (when(text(job, "requested_at"), now_ms)) " by " (text(job, "requested_by")) }
        @if !text(job, "error").is_empty() { dt { "Fault" } dd { (text(job, "error")) } }
    }
}

async fn export(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    let export = visit.ask("/v1/exports/{id}", &[("id", &id)], &[]).await?;
    let now_ms = visit.now_ms();
    let person = text(&export, "person");
    let url = text(&export, "url");
    // A link of the API's own takes a key; a link to a bucket takes nothing.
    let link = if url.starts_with('/') {
        format!("/console/exports/{id}/file")
    } else {
        url.to_owned()
    };
    let days = |name: &str| match text(&export, name) {
        "" => "any".to_owned(),
        day => day.to_owned(),
    };
    let parts = list(&export, "include").iter().filter_map(Value::as_str);
    let parts: Vec<_> = parts.collect();
    let body = html! {
        p.crumbs { a href="/console/exports" { "Exports" } " / " span.id { (id) } }
        @if !url.is_empty() {
            div.card.finding.good {
                h3 { "● The file is there" }
                p {
                    a href=(link) rel="noreferrer" { "Save the file" } " · " (size(count(&export, "size_bytes")))
                    @if !text(&export, "url_expires_at").is_empty() {
                        ". The link needs no sign-in and works until " (when(text(&export, "url_expires_at"), now_ms)) "; this page makes a new one"
                    }
                    "."
                }
            }
        } @else if is_open(&export) {
            div.card.finding { h3 { "○ The file is being made" } p { a href={ "/console/exports/" (id) } { "Look again" } } }
        } @else if text(&export, "state") == "done" {
            div.card.finding.warn { h3 { "▲ The file is gone" } p { "It stays for seven days, or until its person is erased. Order another one." } }
        } @else {
            div.card.finding.bad { h3 { "■ It was not made" } p { "Order it again once the fault below is mended." } }
        }
        section.card {
            dl {
                (facts(&export, now_ms))
                dt { "Person" } dd { @if person.is_empty() { span.soft { "erased" } } @else { a href={ "/console/people/" (person) } { (shown_id(person)) } } }
                dt { "Days" } dd { (days("from")) " to " (days("to")) }
                dt { "Parts" } dd { (parts.join(", ")) }
                @if let Some(records) = export.get("records").and_then(Value::as_u64) { dt { "Records" } dd { (thousands(records)) } }
                @if let Some(left) = export.get("left_out").and_then(Value::as_u64) { dt { "Left out" } dd { (thousands(left)) " · the manifest inside says why" } }
                @if !text(&export, "expires_at").is_empty() { dt { "The file goes" } dd { (text(&export, "expires_at").get(..10).unwrap_or_default()) } }
            }
        }
    };
    Ok(Reply::Page(Page {
        title: "Export".to_owned(),
        lead: String::new(),
        refresh: is_live(&export, now_ms),
        body,
    }))
}

/// The file of an export, where it lies on this machine.
async fn file(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    let path = "/v1/exports/{id}/file";
    let place = [("id", id.as_str())];
    let answer = visit.call(Verb::Get, path, &place, &[], Bytes::new());
    let answer = answer.await?;
    Ok(Reply::File(
        format!("{id}.zip"),
        answer.content_type,
        answer.body,
    ))
}

/// A list of jobs, newest first, whose own pages are below `pages`.
async fn jobs(
    visit: &Visit,
    path: &'static str,
    (pages, title, lead): (&str, &str, &str),
) -> Result<Reply, Failure> {
    let query = [("cursor", visit.asked("cursor"))];
    let found = visit.ask(path, &[], &query).await?;
    let next = text(&found, "next_cursor");
    let now_ms = visit.now_ms();
    let found = list(&found, "data");
    let names_people = pages == "exports";
    let body = html! {
        div.card {
            @if found.is_empty() { p.empty { "None was ordered. The page of a person has the form." } }
            @else { div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Ordered" } @if names_people { th scope="col" { "Person" } } th scope="col" { "State" }
                    th.num scope="col" { "Done" } th scope="col" { "By" }
                } }
                tbody { @for job in found {
                    @let person = text(job, "person");
                    tr {
                        td { a href={ "/console/" (pages) "/" (text(job, "id")) } { (when(text(job, "requested_at"), now_ms)) } }
                        @if names_people { td.any { @if person.is_empty() { span.soft { "erased" } } @else { a href={ "/console/people/" (person) } { (shown_id(person)) } } } }
                        td { (state(text(job, "state"))) }
                        td.num { (progress(job)) }
                        td.any { (text(job, "requested_by")) }
                    }
                } }
            } } }
            @if !next.is_empty() { p.pager { a href={ "/console/" (pages) "?" (query_of([("cursor", next)])) } { "More" } } }
        }
    };
    Ok(Reply::Page(Page {
        title: title.to_owned(),
        lead: lead.to_owned(),
        refresh: false,
        body,
    }))
}

async fn exports(visit: Visit) -> Result<Reply, Failure> {
    let page = (
        "exports",
        "Exports",
        "Everything of a person as one file, which stays for seven days.",
    );
    jobs(&visit, "/v1/exports", page).await
}

async fn erasures(visit: Visit) -> Result<Reply, Failure> {
    let page = (
        "erasures",
        "Erasures",
        "They name nobody: their receipts say what went, and what stays for how long.",
    );
    jobs(&visit, "/v1/erasures", page).await
}

async fn erasure(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    let erasure = visit.ask("/v1/erasures/{id}", &[("id", &id)], &[]).await?;
    let now_ms = visit.now_ms();
    let receipt = erasure.get("receipt").filter(|it| it.is_object());
    let body = html! {
        p.crumbs { a href="/console/erasures" { "Erasures" } " / " span.id { (id) } }
        @if receipt.is_some() { div.card.finding.good { h3 { "● The person is erased" } } }
        @else if is_open(&erasure) {
            div.card.finding { h3 { "○ It is at work: " (text(&erasure, "step")) } p { "It goes on by itself until it is done." } }
        }
        section.card { dl { (facts(&erasure, now_ms)) dt { "Step" } dd { (text(&erasure, "step")) } } }
        @if let Some(receipt) = receipt { (receipt_card(receipt, now_ms)) }
    };
    Ok(Reply::Page(Page {
        title: "Erasure".to_owned(),
        lead: String::new(),
        refresh: is_live(&erasure, now_ms),
        body,
    }))
}

fn receipt_card(receipt: &Value, now_ms: i64) -> Markup {
    let members = |name: &str| {
        let found = receipt.get(name).and_then(Value::as_object);
        found.into_iter().flatten()
    };
    html! {
        section.card {
            h2 { "Receipt" }
            dl {
                dt { "Done" } dd { (when(text(receipt, "done_at"), now_ms)) }
                dt { "Number" } dd { (count(receipt, "number")) " of the chain of receipts" }
                dt { "Hash" } dd.id { (text(receipt, "hash")) }
                dt { "Hash before" } dd.id { (text(receipt, "previous")) }
                @for (name, number) in members("counts") { dt { (name.replace('_', " ")) } dd { (number.as_u64().map(thousands).unwrap_or_default()) } }
                @for (name, result) in members("destinations") { dt { "At " (name) } dd.id { (result) } }
            }
            h3 { "What stays" }
            div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "Until" } } }
                tbody { @for kept in list(receipt, "kept") { tr {
                    td.any { (text(kept, "what")) } td.any { (text(kept, "why")) }
                    td.nowrap { @match text(kept, "until") { "" => "for ever", until => (until) } }
                } } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_left_open_ends_refreshing_itself() {
        let job = |state: &str| json!({"state": state, "requested_at": "1970-01-01T00:00:01Z"});
        assert!(is_live(&job("running"), 1_000 + REFRESHED_MS - 1));
        assert!(!is_live(&job("running"), 1_000 + REFRESHED_MS));
        assert!(!is_live(&job("done"), 1_000));
    }
}
