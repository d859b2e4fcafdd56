//! Events: what came in, and the way of one webhook through the system.

use domain::access::Scope;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::people::shown_id,
        pictures::OUTCOMES,
        visit::Visit,
        words::{count, flag, list, moment, query_of, size, state, text, thousands, when},
    },
    error::Failure,
    id::to_path,
    route::Verb,
    v1::webhooks::SIGNATURE,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/events",
        handler: |visit| Box::pin(events(visit)),
    },
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

const FILTERS: [&str; 9] = [
    "since",
    "until",
    "outcome",
    "type",
    "provider",
    "person",
    "terra_user_id",
    "parked",
    "asked_for",
];

async fn events(visit: Visit) -> Result<Reply, Failure> {
    let filters = || FILTERS.map(|name| (name, visit.asked(name)));
    let (since, until) = (instant(visit.asked("since")), instant(visit.asked("until")));
    let mut query = filters().to_vec();
    for (name, value) in &mut query {
        match *name {
            "since" => *value = &since,
            "until" => *value = &until,
            _ => {}
        }
    }
    query.push(("cursor", visit.asked("cursor")));
    let log = visit.ask("/v1/webhooks", &[], &query).await?;
    let person = visit.asked("person");
    if !person.is_empty() {
        visit
            .looked_at(Some(person), None, "/console/events")
            .await?;
    }
    let next = text(&log, "next_cursor");
    let searched = text(&log, "searched_until");
    // On an older page nothing changes, and each look at a person is a line of the audit.
    let may_be_live = [visit.asked("cursor"), visit.asked("until"), person];
    let may_be_live = may_be_live.iter().all(|text| text.is_empty());
    let is_live = may_be_live && visit.asked("live") != "0";
    let older = query_of(filters().into_iter().chain([("cursor", next)]));
    let chosen = |name, value| visit.asked(name) == value;
    let body = html! {
        form.row action="/console/events" {
            label { "Outcome" select name="outcome" {
                option value="" { "any" }
                @for outcome in OUTCOMES {
                    option value=(outcome) selected[chosen("outcome", outcome)] { (outcome) }
                }
            } }
            label { "Since, UTC" input type="datetime-local" name="since" value=(visit.asked("since")); }
            label { "Until, UTC" input type="datetime-local" name="until" value=(visit.asked("until")); }
            label { "Type" input name="type" value=(visit.asked("type")) placeholder="daily"; }
            label { "Provider" input name="provider" value=(visit.asked("provider")) placeholder="GARMIN"; }
            @if person.is_empty() {
                label { "Terra user id" input name="terra_user_id" value=(visit.asked("terra_user_id")); }
            } @else {
                input type="hidden" name="person" value=(person);
            }
            label { "Parked" select name="parked" {
                option value="" { "all" }
                option value="true" selected[chosen("parked", "true")] { "only parked" }
            } }
            label { "Our own requests" select name="asked_for" {
                option value="" { "left out" }
                option value="true" selected[chosen("asked_for", "true")] { "shown" }
            } }
            button.main { "Filter" }
        }
        @if !person.is_empty() {
            p { "Of " a href={ "/console/people/" (person) } { (shown_id(person)) } " only; "
                a href="/console/events" { "of all people" } "." }
        }
        @if may_be_live {
            p.note {
                @if is_live {
                    "Live: the newest come by themselves. "
                    a href={ "/console/events?" (query_of(filters().into_iter().chain([("live", "0")]))) } { "Stand still" }
                } @else {
                    "It stands still. "
                    a href={ "/console/events?" (query_of(filters())) } { "Live" }
                }
            }
        }
        div.card {
            (table(list(&log, "data"), visit.now_ms()))
            p.pager {
                @if !visit.asked("cursor").is_empty() { a href={ "/console/events?" (query_of(filters())) } { "Newest" } }
                @if !next.is_empty() { a href={ "/console/events?" (older) } { "Older" } }
                @if !searched.is_empty() { span.note { "searched back to " (searched) } }
            }
        }
    };
    Ok(Reply::Page(Page {
        title: "Events".to_owned(),
        lead: "Every webhook of the last 90 days, newest first. Times are in UTC.".to_owned(),
        refresh: is_live,
        body,
    }))
}

/// A moment of a form, which has no zone and is taken as UTC.
fn instant(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// Time from the arrival of a webhook to the end of its routing.
fn took(webhook: &Value) -> String {
    let at = |name| moment(text(webhook, name));
    match at("routed_at").zip(at("received_at")) {
        Some((routed, received)) if routed - received < 1_000 => {
            format!("{} ms", (routed - received).max(0))
        }
        Some((routed, received)) => {
            let tenths = (routed - received) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        None => "–".to_owned(),
    }
}

/// A Terra user id, cut to its beginning, which leads to its person.
fn user(id: &str) -> Markup {
    let short: String = id.chars().take(8).collect();
    html! {
        @if !id.is_empty() {
            a.id href={ "/console/connections/" (to_path(id)) } title=(id) { (short) @if short.len() < id.len() { "…" } }
        }
    }
}

/// A table of webhooks.
pub(super) fn table(webhooks: &[Value], now_ms: i64) -> Markup {
    if webhooks.is_empty() {
        return html! {
            p.empty { "No webhook is like this. Take a filter away, or send one: " code { "terrarium send" } "." }
        };
    }
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "Received" }
                th scope="col" { "Type" }
                th scope="col" { "Provider" }
                th scope="col" { "User" }
                th scope="col" { "Outcome" }
                th.num scope="col" title="records seen for the first time" { "New" }
                th.num scope="col" title="records that were known, and changed" { "Changed" }
                th.num scope="col" title="records that were known, and did not change" { "Same" }
                th.num scope="col" { "Size" }
                th.num scope="col" title="from its arrival until it was done" { "Took" }
            } }
            tbody {
                @for webhook in webhooks {
                    @let records = webhook.get("records").unwrap_or(&Value::Null);
                    tr {
                        td { a href={ "/console/events/" (text(webhook, "id")) } { (when(text(webhook, "received_at"), now_ms)) } }
                        td { (text(webhook, "type")) @if flag(webhook, "late") { " " span.soft { "late" } } }
                        td { (text(webhook, "provider")) }
                        td { (user(text(webhook, "terra_user_id"))) }
                        td.any {
                            (state(text(webhook, "outcome")))
                            @if let Some(part) = list(webhook, "parked").first() {
                                @let more = count(webhook, "parked_count").saturating_sub(1);
                                div.soft { (text(part, "text")) @if more > 0 { ", and " (more) " more" } }
                            }
                        }
                        td.num { (thousands(count(records, "created"))) }
                        td.num { (thousands(count(records, "updated"))) }
                        td.num { (thousands(count(records, "unchanged"))) }
                        td.num { (size(count(webhook, "size_bytes"))) }
                        td.num { (took(webhook)) }
                    }
                }
            }
        } }
    }
}

async fn event(visit: Visit) -> Result<Reply, Failure> {
    shown(&visit, html! {}).await
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
    let person = detail.get("person").and_then(Value::as_str);
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
    shown(&visit, body).await
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
    let person = detail.get("person").and_then(Value::as_str);
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
    shown(&visit, body).await
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
    shown(&visit, card).await
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

async fn shown(visit: &Visit, more: Markup) -> Result<Reply, Failure> {
    let id = visit.placed("webhook");
    let place = [("webhook", id)];
    let detail = visit.ask("/v1/webhooks/{webhook}", &place, &[]).await?;
    let webhook = detail.get("webhook").unwrap_or(&Value::Null);
    let parked = list(webhook, "parked");
    let has_body = !text(webhook, "archive").is_empty();
    let body = html! {
        p.crumbs { a href="/console/events" { "Events" } " / " span.id { (id) } }
        section.card {
            h2 { "Its way" }
            ol.steps {
                @for step in list(&detail, "timeline") {
                    li {
                        b { (text(step, "what")) }
                        @if let Some(after) = step.get("after_ms").and_then(Value::as_i64) { " +" (after) " ms" }
                        br; (when(text(step, "at"), visit.now_ms()))
                    }
                }
            }
        }
        (came(&detail, webhook, visit.now_ms()))
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
    Ok(Reply::Page(Page {
        title: format!("{} event", text(webhook, "type")),
        lead: String::new(),
        refresh: false,
        body,
    }))
}

/// Facts about an event, and the place where it is kept.
fn came(detail: &Value, webhook: &Value, now_ms: i64) -> Markup {
    let records = webhook.get("records").unwrap_or(&Value::Null);
    let archive = text(webhook, "archive");
    let person = text(detail, "person");
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
                    @if !text(detail, "connection").is_empty() { dt { "Connection" } dd.id { (text(detail, "connection")) } }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parked_webhook_says_why_and_whose_it_is_and_how_long_it_took() {
        let webhook = json!({
            "id": "w-1", "type": "daily", "outcome": "parked", "terra_user_id": "0123456789", "parked_count": 3,
            "parked": [{"index": 0, "reason": "no_date", "text": "it has no date"}],
            "received_at": "2026-11-20T10:00:00.000Z", "routed_at": "2026-11-20T10:00:00.120Z",
        });
        let drawn = table(&[webhook], 0).into_string();
        for part in [
            "it has no date, and 2 more",
            "href=\"/console/connections/0123456789\"",
            ">01234567…<",
            ">120 ms<",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let slow =
            json!({"received_at": "2026-11-20T10:00:00Z", "routed_at": "2026-11-20T10:00:02.340Z"});
        assert_eq!(took(&slow), "2.3 s");
    }

    #[test]
    fn a_moment_of_a_form_is_utc() {
        assert_eq!(instant("2026-11-20T10:00"), "2026-11-20T10:00:00Z");
        assert_eq!(instant("2026-11-20T10:00:30"), "2026-11-20T10:00:30Z");
        assert_eq!(instant("2026-11-20T10:00:30Z"), "2026-11-20T10:00:30Z");
        assert_eq!(instant(""), "");
    }
}
