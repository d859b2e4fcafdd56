//! Events: what came in.

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
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console/events",
    handler: |visit| Box::pin(events(visit)),
}];

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

/// The person of a webhook; else its Terra user id, cut to its beginning, which leads to whoever has it.
fn person_of(webhook: &Value) -> Markup {
    let (person, user) = (text(webhook, "person"), text(webhook, "terra_user_id"));
    let short: String = user.chars().take(8).collect();
    html! {
        @if !person.is_empty() {
            a href={ "/console/people/" (person) } { (shown_id(person)) }
        } @else if !user.is_empty() {
            a.id href={ "/console/connections/" (to_path(user)) } title=(user) { (short) @if short.len() < user.len() { "…" } }
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
                th scope="col" { "Outcome" }
                th scope="col" { "Type" }
                th scope="col" { "Provider" }
                th scope="col" title="or a Terra user id that leads to nobody" { "Person" }
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
                        td.any {
                            (state(text(webhook, "outcome")))
                            @if let Some(part) = list(webhook, "parked").first() {
                                @let more = count(webhook, "parked_count").saturating_sub(1);
                                div.soft { (text(part, "text")) @if more > 0 { ", and " (more) " more" } }
                            }
                        }
                        td { (text(webhook, "type")) @if flag(webhook, "late") { " " span.soft { "late" } } }
                        td { (text(webhook, "provider")) }
                        td { (person_of(webhook)) }
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
        let known = json!({"id": "w-2", "terra_user_id": "0123456789", "person": "u_1"});
        let drawn = table(&[known], 0).into_string();
        assert!(
            drawn.contains("href=\"/console/people/u_1\">u_1<"),
            "{drawn}"
        );
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
