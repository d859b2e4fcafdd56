//! The overview: is it alive, and what is there to do.

use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::events,
        pictures::{Bucket, OUTCOMES, Strip, strip},
        visit::Visit,
        words::{age, count, flag, list, moment, text, thousands, when},
    },
    error::Failure,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console",
    handler: |visit| Box::pin(overview(visit)),
}];

/// Webhooks that the numbers are taken from.
const NEWEST: &str = "500";
/// Webhooks that are listed.
const LISTED: usize = 8;
/// Stretches of time of the strip.
const BUCKETS: usize = 40;
/// Statuses of connections, in the order of their columns.
const STATUSES: [&str; 3] = ["active", "failing", "ended"];
/// Quiet connections that are named for one cause.
const EXAMPLES: usize = 3;
/// Silence that is worth a look. Unit: milliseconds.
const SILENCE_MS: i64 = 24 * 3_600_000;

async fn overview(visit: Visit) -> Result<Reply, Failure> {
    let now_ms = visit.now_ms();
    let newest = [("limit", NEWEST)];
    let (log, parked, people, seen) = futures::try_join!(
        visit.ask("/v1/webhooks", &[], &newest),
        visit.ask("/v1/parked", &[], &newest),
        visit.ask("/v1/people", &[], &[("limit", "1")]),
        visit.ask("/v1/overview", &[], &[]),
    )?;
    let webhooks = list(&log, "data");
    let times: Vec<i64> = webhooks.iter().filter_map(received).collect();
    let parked = list(&parked, "data").len();
    let is_anybody_there = !list(&people, "data").is_empty();

    let body = html! {
        (findings(times.first().copied(), parked, is_anybody_there, now_ms))
        (others(&seen))
        div.tiles {
            (tile("Last webhook", &last(webhooks, now_ms), "by the time of its arrival"))
            (tile("Rate", &html! { (rate(&times)) }, &format!("of the newest {}", thousands(u64::try_from(times.len()).unwrap_or_default()))))
            (tile("Parked", &html! { (parked) @if parked == 500 { "+" } }, "waiting for a person"))
        }
        @if !times.is_empty() {
            section.card {
                h2 { "Webhooks by outcome" }
                (strip(&Strip { title: "Webhooks by outcome", buckets: &buckets(webhooks, &times) }))
            }
        }
        (connections(&seen, now_ms))
        section.card {
            h2 { "Newest webhooks" }
            (events::table(webhooks.get(..LISTED).unwrap_or(webhooks), now_ms))
            p.pager { a href="/console/events" { "All events" } }
        }
    };
    Ok(Reply::Page(Page {
        title: "Overview".to_owned(),
        lead: String::new(),
        refresh: true,
        body,
    }))
}

fn received(webhook: &Value) -> Option<i64> {
    moment(text(webhook, "received_at"))
}

/// Age of the newest webhook, which goes on while the page is open.
fn last(webhooks: &[Value], now_ms: i64) -> Markup {
    let newest = webhooks.iter().find_map(|it| Some((it, received(it)?)));
    html! {
        @match newest {
            Some((webhook, at_ms)) => { span data-age=(text(webhook, "received_at")) { (age(at_ms, now_ms)) } }
            None => { "none yet" }
        }
    }
}

fn tile(name: &str, value: &Markup, note: &str) -> Markup {
    html! { div.tile { div.k { (name) } div.v { (value) } div.n { (note) } } }
}

/// Findings, each with its remedy.
fn findings(last_ms: Option<i64>, parked: usize, anybody: bool, now_ms: i64) -> Markup {
    let silent_ms = last_ms.map(|last| now_ms.saturating_sub(last));
    let is_silent = silent_ms.is_some_and(|silent| silent > SILENCE_MS);
    html! {
        @if last_ms.is_none() {
            div.card.finding.bad {
                h3 { "■ No webhook has arrived yet" }
                p { "The usual causes: the address in Terra's dashboard is another one; the signing secret is another one, "
                    "so that everything is refused; or nobody has connected a device yet. "
                    code { "terrarium doctor" } " tells which." }
            }
        } @else if is_silent {
            div.card.finding.warn {
                h3 { "▲ No webhook for more than a day" }
                p { "Devices that are worn bring data every day. " code { "terrarium doctor" }
                    " checks the address, the secret and Terra's own list of connections." }
            }
        }
        @if last_ms.is_some() && !anybody {
            div.card.finding.warn {
                h3 { "▲ Nobody is connected" }
                p { "Make a link for a person with " code { "terrarium connect --reference-id …" } "." }
            }
        }
        @if parked > 0 {
            div.card.finding.warn {
                h3 { "▲ " (parked) (if parked == 1 { " webhook is parked" } else { " webhooks are parked" }) }
                p { "Something in them could not be used. "
                    a href="/console/events?parked=true" { "See why" }
                    "; once the cause is mended, " code { "terrarium replay" } " stores them." }
            }
        }
        @if last_ms.is_some() && !is_silent && parked == 0 && anybody {
            div.card.finding.good { h3 { "● Webhooks arrive, and none is parked" } }
        }
    }
}

/// Checks of which [`findings`] has more to say.
const SAID_ALREADY: [&str; 2] = ["webhooks", "parked webhooks"];

/// Further checks that found something wrong, each with its remedy.
fn others(seen: &Value) -> Markup {
    let wrong = list(seen, "wrong").iter();
    let wrong = wrong.filter(|finding| !SAID_ALREADY.contains(&text(finding, "check")));
    html! {
        @for finding in wrong {
            div.card.finding.bad {
                h3 { "■ " (text(finding, "check")) ": " (text(finding, "detail")) }
                p { (text(finding, "advice")) }
            }
        }
    }
}

/// Connections by provider and status, and those that are quiet by the cause.
fn connections(seen: &Value, now_ms: i64) -> Markup {
    let members = |name: &str| {
        let found = seen.get(name).and_then(Value::as_object);
        found.into_iter().flatten()
    };
    let quiet = members("quiet").count() > 0;
    html! {
        @if members("connections").count() > 0 {
            section.card {
                h2 { "Connections" }
                div.wide tabindex="0" { table {
                    thead { tr {
                        th scope="col" { "Provider" }
                        @for status in STATUSES { th.num scope="col" { (status) } }
                    } }
                    tbody { @for (provider, by_status) in members("connections") { tr {
                        td { @if provider.is_empty() { span.soft { "not known yet" } } @else { (provider) } }
                        @for status in STATUSES { td.num { (thousands(count(by_status, status))) } }
                    } } }
                } }
                p.note {
                    "As of " (when(text(seen, "as_of"), now_ms))
                    @if flag(seen, "more_connections") { "; there are more" }
                    ". " (count(seen, "backfills")) " backfills are not done."
                }
            }
        }
        @if quiet {
            section.card {
                h2 { "Quiet connections" }
                div.wide tabindex="0" { table {
                    thead { tr { th.num scope="col" { "Number" } th scope="col" { "Cause, and what to do" } th scope="col" { "For example" } } }
                    tbody { @for (_, quiet) in members("quiet") { tr {
                        td.num { (thousands(count(quiet, "connections"))) }
                        td.any { (text(quiet, "advice")) }
                        td.any { @for one in list(quiet, "examples").iter().take(EXAMPLES) {
                            div { (text(one, "provider")) " " span.id { (text(one, "id")) } }
                        } }
                    } } }
                } }
            }
        }
    }
}

/// Webhooks in an hour, by the newest of them. `times` are newest first. Unit: Unix milliseconds.
fn rate(times: &[i64]) -> String {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return "–".to_owned();
    };
    let span_ms = u64::try_from(first - last).unwrap_or_default();
    if span_ms < 1_000 {
        return "–".to_owned();
    }
    let between = u64::try_from(times.len() - 1).unwrap_or_default();
    let per_hour = between.saturating_mul(3_600_000) / span_ms;
    format!("{} an hour", thousands(per_hour))
}

/// Sorts webhooks into stretches of equal length between the oldest and the newest of them.
fn buckets(webhooks: &[Value], times: &[i64]) -> Vec<Bucket> {
    let (Some(newest), Some(oldest)) = (times.first(), times.last()) else {
        return Vec::new();
    };
    let stretches = i64::try_from(BUCKETS).unwrap_or(1);
    let length = ((newest - oldest) / stretches + 1).max(1);
    let mut buckets: Vec<_> = (0..stretches)
        .map(|place| Bucket {
            label: clock(oldest + place * length),
            counts: [0; 5],
        })
        .collect();
    for webhook in webhooks {
        let Some(at) = received(webhook) else {
            continue;
        };
        let place = usize::try_from((at - oldest) / length).unwrap_or_default();
        let outcome = text(webhook, "outcome");
        let outcome = OUTCOMES.iter().position(|known| *known == outcome);
        if let (Some(bucket), Some(outcome)) = (buckets.get_mut(place), outcome)
            && let Some(count) = bucket.counts.get_mut(outcome)
        {
            *count += 1;
        }
    }
    buckets
}

/// Day and time of a stretch, in UTC.
fn clock(at_ms: i64) -> String {
    let text = crate::text::rfc3339(at_ms);
    let day = text.get(5..10).unwrap_or_default();
    format!("{day} {}", text.get(11..19).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_webhook_is_in_one_stretch() {
        let webhooks: Vec<_> = [(59, "stored"), (30, "parked"), (0, "stored")]
            .into_iter()
            .map(|(second, outcome)| {
                json!({"received_at": format!("2026-11-20T10:00:{second:02}.000Z"), "outcome": outcome})
            })
            .collect();
        let times: Vec<_> = webhooks.iter().filter_map(received).collect();
        let buckets = buckets(&webhooks, &times);
        let all = buckets.iter().flat_map(|bucket| bucket.counts).sum::<u64>();
        assert_eq!((buckets.len(), all), (BUCKETS, 3));
        assert_eq!(buckets.last().unwrap().counts, [1, 0, 0, 0, 0]);
        assert_eq!(rate(&times), "122 an hour");
    }

    #[test]
    fn connections_are_counted_with_the_time_of_the_count() {
        let seen = json!({
            "as_of": "2026-11-20T10:00:00.000Z", "more_connections": false, "backfills": 2,
            "connections": {"GARMIN": {"active": 1200, "ended": 3}},
            "quiet": {"nothing_recorded": {"connections": 7, "advice": "wear it", "examples": [
                {"id": "3eff", "provider": "GARMIN", "since": "2026-11-01T00:00:00.000Z"},
            ]}},
            "wrong": [
                {"check": "jobs", "detail": "one is late", "advice": "look at its log"},
                {"check": "webhooks", "detail": "none came", "advice": "said elsewhere"},
            ],
        });
        let shown = connections(&seen, 1_795_000_000_000).into_string();
        for text in ["1,200", "2026-11-20", "wear it", "3eff", "2 backfills"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        let shown = others(&seen).into_string();
        assert!(shown.contains("look at its log") && !shown.contains("said elsewhere"));
        let nobody = json!({"connections": {}, "quiet": {}, "wrong": []});
        assert_eq!(connections(&nobody, 0).into_string(), "");
    }

    #[test]
    fn a_quiet_system_is_told_what_to_do() {
        let told = |last, parked| findings(last, parked, true, SILENCE_MS + 2).into_string();
        assert!(told(None, 0).contains("terrarium doctor"));
        assert!(told(Some(1), 0).contains("more than a day"));
        assert!(told(Some(SILENCE_MS), 2).contains("/console/events?parked=true"));
        assert!(told(Some(SILENCE_MS), 0).contains("none is parked"));
    }
}
