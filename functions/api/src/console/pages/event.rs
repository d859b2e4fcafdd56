//! One event: its way through the system, what it brought, its body, and its replay.

use domain::access::Scope;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::shown_id,
        visit::Visit,
        words::{count, list, query_of, size, state, text, thousands, when},
    },
    error::Failure,
    route::Verb,
    v1::webhooks::SIGNATURE,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/events/{webhook}",
        handler: |visit| Box::pin(event(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/events/{webhook}/body",
        handler: |visit| Box::pin(body(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/events/{webhook}/verify",
        handler: |visit| Box::pin(verify(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/events/{webhook}/replay",
        handler: |visit| Box::pin(replay(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/replays/{id}",
        handler: |visit| Box::pin(replayed(visit)),
    },
];

async fn event(visit: Visit) -> Result<Reply, Failure> {
    shown(&visit, &html! {}).await
}

/// Shows the event with its body, which is looked at on request only.
async fn body(visit: Visit) -> Result<Reply, Failure> {
    let webhook = visit.placed("webhook").to_owned();
    let place = [("webhook", webhook.as_str())];
    let answer = visit
        .call(
            Verb::Get,
            "/v1/webhooks/{webhook}/body",
            &place,
            &[],
            bytes::Bytes::new(),
        )
        .await?;
    let detail = visit.ask("/v1/webhooks/{webhook}", &place, &[]).await?;
    let person = detail.pointer("/webhook/person").and_then(Value::as_str);
    let route = "/console/events/{webhook}/body";
    visit.looked_at(person, Some(webhook), route).await?;
    if visit.filled("as") == "file" {
        return Ok(Reply::File(
            "webhook.json".to_owned(),
            answer.content_type,
            answer.body,
        ));
    }
    let body = html! {
        section.card { h2 { "Body" } (pretty(&answer.body)) }
    };
    Ok(drawn(&visit, &detail, &body))
}

/// Verifies the signature of the event once more. Its body is not shown.
async fn verify(visit: Visit) -> Result<Reply, Failure> {
    let webhook = visit.placed("webhook").to_owned();
    let place = [("webhook", webhook.as_str())];
    let path = "/v1/webhooks/{webhook}/body";
    let answer = visit.call(
        Verb::Get,
        path,
        &place,
        &[("verify", "true")],
        bytes::Bytes::new(),
    );
    let answer = answer.await?;
    let detail = visit.ask("/v1/webhooks/{webhook}", &place, &[]).await?;
    let person = detail.pointer("/webhook/person").and_then(Value::as_str);
    let route = "/console/events/{webhook}/verify";
    visit
        .looked_at(person, Some(webhook.clone()), route)
        .await?;
    let told = answer.headers.get(SIGNATURE);
    let told = told.and_then(|told| told.to_str().ok()).unwrap_or_default();
    let (word, more) = told.split_once("; ").unwrap_or((told, ""));
    let body = html! {
        section.card {
            h2 { "Its signature, verified now" }
            p { (state(if word == "invalid" { "refused" } else { word })) " " span.id { (more) } }
            @match word {
                "valid" => { p.note { "Terra signed these very bytes, with the secret of this name." } }
                "unsigned" => { p.note { "It came on a road without a signature: our own request brought it, or a queue." } }
                "of-ping" => { p.note { "It is the payload of a ping, and the ping is what was signed." } }
                _ => { p.note { "The bytes, or the secrets, are not those of its time." } }
            }
        }
    };
    Ok(drawn(&visit, &detail, &body))
}

/// Replays the event: first dry, with what that would change, then with a button in earnest.
async fn replay(visit: Visit) -> Result<Reply, Failure> {
    let webhook = visit.placed("webhook").to_owned();
    let dry_run = visit.filled("do") != "replay";
    let body = serde_json::json!({"dry_run": dry_run}).to_string();
    let place = [("webhook", webhook.as_str())];
    let path = "/v1/webhooks/{webhook}/replay";
    let answer = visit.call(Verb::Post, path, &place, &[], body.into());
    let found: Value = serde_json::from_slice(&answer.await?.body).unwrap_or_default();
    if !dry_run {
        let id = text(&found, "id");
        return Ok(Reply::See(format!("/console/replays/{id}")));
    }
    let action = format!("/console/events/{webhook}/replay");
    let card = html! {
        section.card {
            h2 { "What a replay would change" }
            (changes(&found))
            p.note { "A dry run counts the records, and does not name them." }
            form.row method="post" action=(action) {
                button.main name="do" value="replay" { "Replay it" }
                span.note { "Nothing was written yet." }
            }
        }
    };
    shown(&visit, &card).await
}

/// Records that a replay changes or would change.
fn changes(replay: &Value) -> Markup {
    let counts = replay.get("counts").unwrap_or(&Value::Null);
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th.num scope="col" { "New" } th.num scope="col" { "Changed" } th.num scope="col" { "Same" }
                th.num scope="col" { "Connections" } th.num scope="col" { "Parked parts" }
            } }
            tbody { tr {
                @for name in ["created", "updated", "unchanged", "connections", "parked"] {
                    td.num { (thousands(count(counts, name))) }
                }
            } }
        } }
    }
}

/// A replay that was ordered, and how far it is.
async fn replayed(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("id").to_owned();
    let replay = visit.ask("/v1/replays/{id}", &[("id", &id)], &[]).await?;
    let is_at_work = matches!(text(&replay, "state"), "waiting" | "running");
    let body = html! {
        p.crumbs { a href="/console/events" { "Events" } " / " span.id { (id) } }
        section.card {
            dl {
                dt { "State" } dd { (state(text(&replay, "state"))) }
                dt { "Ordered" } dd { (when(text(&replay, "requested_at"), visit.now_ms())) " by " (text(&replay, "requested_by")) }
                @if !text(&replay, "error").is_empty() { dt { "Fault" } dd { (text(&replay, "error")) } }
            }
        }
        section.card { h2 { "Records" } (changes(&replay)) }
    };
    Ok(Reply::Page(Page {
        title: "Replay".to_owned(),
        lead: String::new(),
        refresh: is_at_work,
        body,
    }))
}

/// JSON with its lines, as far as a page has room for it.
pub(super) fn pretty(json: &[u8]) -> Markup {
    const MOST_CHARS: usize = 30_000;
    let value: Option<Value> = serde_json::from_slice(json).ok();
    let text = match value.and_then(|value| serde_json::to_string_pretty(&value).ok()) {
        Some(text) => text,
        None => String::from_utf8_lossy(json).into_owned(),
    };
    let end = text.char_indices().nth(MOST_CHARS).map(|(end, _)| end);
    let part = end.and_then(|end| text.get(..end)).unwrap_or(&text);
    html! {
        pre tabindex="0" { (part) }
        @if end.is_some() { p.note { "This is the beginning; save the file to see the rest." } }
    }
}

/// Asks for the event, and shows it with what a button brought.
async fn shown(visit: &Visit, more: &Markup) -> Result<Reply, Failure> {
    let place = [("webhook", visit.placed("webhook"))];
    let detail = visit.ask("/v1/webhooks/{webhook}", &place, &[]).await?;
    Ok(drawn(visit, &detail, more))
}

fn drawn(visit: &Visit, detail: &Value, more: &Markup) -> Reply {
    let id = visit.placed("webhook");
    let webhook = detail.get("webhook").unwrap_or(&Value::Null);
    let parked = list(webhook, "parked");
    let has_body = !text(webhook, "archive").is_empty();
    let body = html! {
        p.crumbs { a href="/console/events" { "Events" } " / " span.id { (id) } }
        section.card {
            h2 { "Its way" }
            ol.steps {
                @for step in list(detail, "timeline") {
                    li {
                        b { (text(step, "what")) }
                        @if let Some(after) = step.get("after_ms").and_then(Value::as_i64) { " +" (after) " ms" }
                        br; (when(text(step, "at"), visit.now_ms()))
                    }
                }
            }
        }
        (came(detail, webhook, visit.now_ms()))
        (brought(detail, visit.may(Scope::PeopleRead)))
        (headers(detail))
        @if !parked.is_empty() {
            section.card {
                h2 { "Parked" }
                div.wide tabindex="0" { table {
                    thead { tr { th.num scope="col" { "Place" } th scope="col" { "Reason" } } }
                    tbody { @for part in parked { tr {
                        td.num { @if let Some(index) = part.get("index").and_then(Value::as_u64) { (index) } @else { "whole" } }
                        td.any { (text(part, "text")) }
                    } } }
                } }
                p.note { "Once the cause is mended: " code { "terrarium replay --webhook " (id) } }
            }
        }
        @if has_body && visit.may(Scope::PeopleRead) {
            form.row method="post" action={ "/console/events/" (id) "/body" } {
                button name="as" value="page" { "Show the body" }
                button name="as" value="file" { "Save the body" }
                span.note { "A look at a body is noted in the audit." }
            }
            form.row method="post" action={ "/console/events/" (id) "/verify" } {
                button { "Verify its signature now" }
            }
        }
        @if has_body && visit.may(Scope::OperationsWrite) {
            form.row method="post" action={ "/console/events/" (id) "/replay" } {
                button name="do" value="dry" { "Try a replay" }
                span.note { "Tells what today's code would make of it, and writes nothing." }
            }
        }
        (more)
    };
    Reply::Page(Page {
        title: format!("{} event", text(webhook, "type")),
        lead: String::new(),
        refresh: false,
        body,
    })
}

/// Facts about an event, and the place where it is kept.
fn came(detail: &Value, webhook: &Value, now_ms: i64) -> Markup {
    let records = webhook.get("records").unwrap_or(&Value::Null);
    let archive = text(webhook, "archive");
    let (person, connection) = (text(webhook, "person"), text(webhook, "connection"));
    html! {
        div.grid {
            section.card {
                h2 { "What came" }
                dl {
                    dt { "Outcome" } dd { (state(text(webhook, "outcome"))) }
                    dt { "Type" } dd { (text(webhook, "type")) }
                    dt { "Provider" } dd { (text(webhook, "provider")) }
                    dt { "Person" } dd {
                        @if person.is_empty() { span.soft { "none that is known" } }
                        @else { a href={ "/console/people/" (person) } { (shown_id(person)) } }
                    }
                    dt { "Terra user id" } dd.id {
                        @let user = text(webhook, "terra_user_id");
                        @if !user.is_empty() { a href={ "/console/events?" (query_of([("terra_user_id", user)])) } { (user) } }
                    }
                    @if !connection.is_empty() {
                        dt { "Connection" } dd.id { a href={ "/console/connections/" (connection) } { (connection) } }
                    }
                    dt { "Records" } dd {
                        (count(records, "created")) " new, " (count(records, "updated")) " changed, "
                        (count(records, "unchanged")) " the same"
                    }
                    dt { "Size" } dd { (size(count(webhook, "size_bytes"))) }
                }
            }
            section.card {
                h2 { "Where it is" }
                dl {
                    dt { "Verified by" } dd {
                        @if text(detail, "secret_name").is_empty() { span.soft { "not signed: we asked for it" } }
                        @else { "secret " code { (text(detail, "secret_name")) } }
                    }
                    dt { "Reference" } dd.id { (text(webhook, "reference")) }
                    dt { "Order" } dd { (when(text(webhook, "ordered_at"), now_ms)) }
                    @if !archive.is_empty() { dt { "Archive" } dd.id { (archive) } }
                }
            }
        }
    }
}

/// Records that an event brought, with what is left of it in each. They lead to their pages for whoever may see them.
fn brought(detail: &Value, sees_records: bool) -> Markup {
    let (records, all) = (list(detail, "brought"), count(detail, "brought_count"));
    let words = |state: &str| match state {
        "newest" => "the record is as this event says",
        "older" => "samples or scores of it are still shown",
        "replaced" => "a newer event replaced all of it",
        _ => "there is no such record",
    };
    html! {
        @if !records.is_empty() {
            section.card {
                h2 { "Records that it brought" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Type" } th scope="col" { "Key" } th scope="col" { "Today" } } }
                    tbody { @for record in records {
                        @let (connection, key) = (text(record, "connection"), text(record, "key"));
                        @let (kind, state) = (text(record, "type"), text(record, "state"));
                        tr {
                            td { (kind) }
                            td.id {
                                @if sees_records && !connection.is_empty() && state != "missing" {
                                    a href={ "/console/records/" (connection) "/" (kind) "/" (key) } { (shown_id(key)) }
                                } @else { (shown_id(key)) }
                            }
                            td.any { (words(state)) }
                        }
                    } }
                } }
                @if all > records.len() as u64 {
                    p.note { "These are the first " (records.len()) " of " (thousands(all)) "." }
                }
            }
        }
    }
}

/// Headers of an event as they were archived.
fn headers(detail: &Value) -> Markup {
    let headers = detail.get("headers").and_then(Value::as_object);
    html! {
        @if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            section.card {
                h2 { "Headers" }
                dl { @for (name, value) in headers {
                    dt { code { (name) } } dd.id { (value.as_str().unwrap_or_default()) }
                } }
                p.note { "Terra's own, without the signature." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_lead_to_their_pages_for_whoever_may_see_them() {
        let record =
            |key, state| json!({"connection": "c", "type": "daily", "key": key, "state": state});
        let detail = json!({
            "brought": [record("2026-11-20", "newest"), record("2026-11-21", "missing")],
            "brought_count": 120,
            "headers": {"x-terra-trace-id": "t-1"},
        });
        let link = "href=\"/console/records/c/daily/2026-11-20\"";
        let drawn = brought(&detail, true).into_string();
        assert!(
            drawn.contains(link) && drawn.contains("first 2 of 120"),
            "{drawn}"
        );
        assert!(!drawn.contains("daily/2026-11-21"), "{drawn}");
        assert!(!brought(&detail, false).into_string().contains(link));
        assert!(headers(&detail).into_string().contains("t-1"));
        assert!(brought(&json!({}), true).into_string().is_empty());
        assert!(headers(&json!({"headers": {}})).into_string().is_empty());
    }
}
