//! The reason why a number is what it is, or why there is none.

use domain::access::Scope;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::{days::date, people::tabs},
        pictures::{Candidate, Ladder, Rung, ladder},
        visit::Visit,
        words::{flag, hidden, label, list, query_of, source, state, text, value, when},
    },
    error::Failure,
    id,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console/people/{person}/days/{day}/why",
    handler: |visit| Box::pin(why(visit)),
}];

/// A rung: its name, and the reasons that put a source there.
type Reasons = (&'static str, &'static [&'static str]);

/// The rung above the chosen one: sources that would come first, had they not far too little.
const ABOVE: Reasons = ("Better tier, but far too little", &["stepped_in_over"]);
/// Rungs below the chosen one, the best first.
const BELOW: [Reasons; 2] = [
    (
        "In the same tier",
        &["less_complete", "partial", "stale_source", "newer", "tie"],
    ),
    ("In a lower tier", &["lower_tier"]),
];

async fn why(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let day = date(&visit)?.to_string();
    let metric = visit.asked("metric").to_owned();
    let place = [("person", id.as_str()), ("day", day.as_str())];
    let name = label(&metric);
    let crumbs = html! {
        (tabs(&id, "Day"))
        p.crumbs { a href={ "/console/people/" (id) "/days/" (day) } { "← " (day) } }
    };
    let route = "/console/people/{person}/days/{day}/why";
    let subject = Some(format!("{day}/{metric}"));
    if !visit.sees_values() {
        visit
            .ask("/v1/people/{person}", &[("person", &id)], &[])
            .await?;
        visit.looked_at(Some(&id), subject, route).await?;
        return Ok(Reply::Page(Page {
            title: format!("Why: {name}"),
            lead: "Your role does not see health values.".to_owned(),
            refresh: false,
            body: html! { (crumbs) div.card { (hidden()) } },
        }));
    }
    let path = "/v1/people/{person}/days/{day}/why";
    let query = [("metric", metric.as_str())];
    let why = visit.ask(path, &place, &query).await?;
    visit.looked_at(Some(&id), subject, route).await?;
    let null = Value::Null;
    let chosen = why.get("chosen").filter(|it| it.is_object());
    let number = why.get("value").filter(|it| !it.is_null());
    let rule = why.get("rule").unwrap_or(&null);
    let led_by = why.get("led_by").filter(|it| it.is_object());
    let group = text(why.get("metric").unwrap_or(&null), "group");
    let body = html! {
        (crumbs)
        section.card {
            p.big {
                b { @match number { Some(number) => (value(&metric, number)), None => "no value" } }
                " " (text(&why, "sentence"))
            }
            @for doubt in list(&why, "warnings") { p.state.warn { "▲ " (text(doubt, "text")) } }
            @if let Some(led_by) = led_by {
                p.note { "The record was chosen for " b { (label(text(led_by, "metric"))) } ": " (text(led_by, "sentence")) }
            }
        }
        (candidates(&why, &metric))
        (absent(&why, &id, &day))
        div.grid {
            @if let Some(chosen) = chosen { (came_from(chosen, visit.now_ms())) }
            section.card {
                h2 { "The rule" }
                p { (text(rule, "text")) }
                dl {
                    dt { "Level" } dd { (text(rule, "level").replace('_', " ")) }
                    dt { "Version" } dd { (text(rule, "version")) }
                    dt { "Decided by" } dd { (text(&why, "decided_by").replace('_', " ")) }
                    dt { "Day is over" } dd { (if flag(why.get("day").unwrap_or(&null), "over") { "yes, everywhere on Earth" } else { "not yet: it may still change" }) }
                }
                (preferences(&visit, &why, &metric, group, (&id, &day)))
            }
        }
    };
    Ok(Reply::Page(Page {
        title: format!("Why: {name}, {day}"),
        lead: String::new(),
        refresh: false,
        body,
    }))
}

fn candidate(found: &Value, metric: &str, chosen: bool) -> Candidate {
    let number = found.get("value").unwrap_or(&Value::Null);
    Candidate {
        source: found.get("source").map(source).unwrap_or_default(),
        shown: value(metric, number),
        value: number.as_f64(),
        chosen,
    }
}

/// Every source that has a value, as a ladder and as a table with the reasons.
fn candidates(why: &Value, metric: &str) -> Markup {
    let chosen = why.get("chosen").filter(|it| it.is_object());
    let rejected = list(why, "rejected");
    let known = |reason: &str| {
        let mut rungs = BELOW.iter().chain([&ABOVE]);
        rungs.any(|(_, reasons)| reasons.contains(&reason))
    };
    let rung = |name: &str, is_here: &dyn Fn(&str) -> bool| Rung {
        name: name.to_owned(),
        candidates: rejected
            .iter()
            .filter(|it| is_here(text(it, "reason")))
            .map(|it| candidate(it, metric, false))
            .collect(),
    };
    let of = |(name, reasons): Reasons| rung(name, &|reason| reasons.contains(&reason));
    let mut rungs = vec![
        of(ABOVE),
        Rung {
            name: "Chosen".to_owned(),
            candidates: chosen
                .map(|it| candidate(it, metric, true))
                .into_iter()
                .collect(),
        },
    ];
    rungs.extend(BELOW.map(of));
    rungs.push(rung("Left out", &|reason| !known(reason)));
    rungs.retain(|rung| !rung.candidates.is_empty());
    if rungs.is_empty() {
        return html! {};
    }
    let title = format!("Sources of {}", label(metric));
    html! {
        section.card {
            h2 { "Sources with a value" }
            div.wide tabindex="0" { (ladder(&Ladder { title: &title, rungs: &rungs })) }
            div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "Source" } th.num scope="col" { "Value" } th scope="col" { "Record" } th scope="col" { "Reason" } } }
                tbody {
                    @if let Some(chosen) = chosen { (row(chosen, metric, true)) }
                    @for other in rejected { (row(other, metric, false)) }
                }
            } }
        }
    }
}

fn record_link(record: &Value) -> Markup {
    let part = |name| text(record, name);
    let key = part("key");
    let shown = id::from_path(key).unwrap_or_default();
    html! {
        a href={ "/console/records/" (part("connection")) "/" (part("type")) "/" (key) } { (part("type")) " " span.id { (shown) } }
    }
}

fn row(found: &Value, metric: &str, chosen: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (found.get("source").map(source).unwrap_or_default()) }
            td.num { (value(metric, found.get("value").unwrap_or(&Value::Null))) }
            td.any { (record_link(found.get("record").unwrap_or(&Value::Null))) }
            td.any { @if chosen { span.state.good { "✔ chosen" } } @else { (text(found, "text")) } }
        }
    }
}

/// The way of the chosen value: record, webhook, archive.
fn came_from(chosen: &Value, now_ms: i64) -> Markup {
    let null = Value::Null;
    let delivery = chosen.get("delivery").unwrap_or(&null);
    let webhook = text(delivery, "webhook");
    let ordered = text(delivery, "ordered_at");
    let archive = text(chosen, "archive");
    html! {
        section.card {
            h2 { "Where it came from" }
            dl {
                dt { "Record" } dd { (record_link(chosen.get("record").unwrap_or(&null))) }
                dt { "Field" } dd { code { (text(chosen, "field")) } @if flag(chosen, "derived") { " " span.soft { "computed of samples" } } }
                dt { "Webhook" } dd { a.id href={ "/console/events/" (webhook) } { (id::from_path(webhook).unwrap_or_default()) } }
                @if !ordered.is_empty() { dt { "Sent" } dd { (when(ordered, now_ms)) } }
                dt { "Came" } dd { (if flag(delivery, "asked_for") { "because it was asked for" } else { "by itself" }) }
                dt { "Settled" } dd { (if flag(chosen, "settled") { "yes: delivered after the day was over" } else { "not yet: the day went on" }) }
                @if !archive.is_empty() { dt { "Archive" } dd.id { (archive) } }
            }
        }
    }
}

/// Connections without a value, with what is known of the day and what happens next.
fn absent(why: &Value, person: &str, day: &str) -> Markup {
    let absent = list(why, "absent");
    html! {
        @if !absent.is_empty() {
            section.card {
                h2 { "Sources without a value" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Provider" } th scope="col" { "State of the day" } th scope="col" { "Reason" } } }
                    tbody { @for it in absent { tr {
                        th scope="row" { (text(it, "provider")) }
                        td { (state(&text(it, "state").replace('_', " "))) }
                        td.any { (text(it, "text")) }
                    } } }
                } }
                p.pager { a href={ "/console/people/" (person) "/coverage?to=" (day) } { "Coverage of these days" } }
            }
        }
    }
}

/// The value that other preferences would give, with the way to prefer them.
fn preferences(
    visit: &Visit,
    why: &Value,
    metric: &str,
    group: &str,
    (person, day): (&str, &str),
) -> Markup {
    let preferred = why.get("if_preferred").and_then(Value::as_object);
    let Some(preferred) = preferred.filter(|it| it.len() > 1) else {
        return html! {};
    };
    html! {
        h3 { "If another source were preferred" }
        dl { @for (provider, number) in preferred {
            dt { (provider) }
            dd {
                (value(metric, number)) " "
                a href={ "/console/people/" (person) "/days/" (day) "?" (query_of([("prefer", provider.as_str())])) } { "the day" }
                @if visit.may(Scope::PolicyWrite) {
                    " · " a href={ "/console/people/" (person) "/sources/" (group) "?" (query_of([("prefer", provider.as_str())])) } { "prefer it for this person" }
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
    fn the_ladder_stands_as_the_tiers_do() {
        let source = |provider: &str, value: u32, reason: &str| {
            json!({
                "source": {"provider": provider, "kind": "watch"}, "value": value, "reason": reason,
                "record": {"connection": "c", "type": "daily", "key": "2026-11-20"},
            })
        };
        let why = json!({
            "chosen": source("APPLE", 14_079, ""),
            "rejected": [
                source("GOOGLE", 9, "retracted"), source("FITBIT", 900, "lower_tier"),
                source("HUAWEI", 9_000, "less_complete"), source("GARMIN", 4_157, "stepped_in_over"),
            ],
        });
        let drawn = candidates(&why, "steps").into_string();
        let svg = drawn.split("</svg>").next().unwrap();
        let order = [
            "far too little",
            "GARMIN",
            ">Chosen<",
            "✔ APPLE",
            "same tier",
            "HUAWEI",
            "lower tier",
            "FITBIT",
            "Left out",
            "GOOGLE",
        ];
        let places: Vec<_> = order
            .iter()
            .map(|text| svg.find(text).unwrap_or_else(|| panic!("{text}: {svg}")))
            .collect();
        assert!(places.is_sorted(), "{places:?}: {svg}");
    }
}
