//! The overview: is it alive, and what is there to do.

use inspect::findings::MOST_PARKED;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::{
            connections::{STATUSES, address},
            events,
            people::shown_id,
        },
        pictures::{Bucket, OUTCOMES, Strip, strip},
        visit::Visit,
        words::{age, count, flag, list, moment, state, text, thousands, when},
    },
    error::Failure,
    id::to_path,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console",
    handler: |visit| Box::pin(overview(visit)),
}];

/// Webhooks that the numbers are taken from.
const NEWEST: &str = "250";
/// Webhooks that are listed.
const LISTED: usize = 8;
/// Stretches of time of the strip.
const BUCKETS: usize = 40;
/// People who connected last that are listed.
const CONNECTED: usize = 5;
/// Quiet connections that are named for one cause.
const EXAMPLES: usize = 3;
/// Silence that is worth a look. Unit: milliseconds.
const SILENCE_MS: i64 = 24 * 3_600_000;

async fn overview(visit: Visit) -> Result<Reply, Failure> {
    let now_ms = visit.now_ms();
    let newest = [("limit", NEWEST)];
    let (log, people, seen) = futures::try_join!(
        visit.ask("/v1/webhooks", &[], &newest),
        visit.ask("/v1/people", &[], &[("limit", "1")]),
        visit.ask("/v1/overview", &[], &[]),
    )?;
    let webhooks = list(&log, "data");
    let times: Vec<i64> = webhooks.iter().filter_map(received).collect();
    let parked = parked_tile(count(&seen, "parked"), is_wrong(&seen, PARKED));
    let is_anybody_there = !list(&people, "data").is_empty();
    let connected = connected_last(&visit, webhooks).await?;

    let body = html! {
        (findings(times.first().copied(), !list(&seen, "wrong").is_empty(), is_anybody_there, now_ms))
        (others(&seen))
        div.tiles {
            (tile("Last webhook", &last(webhooks, now_ms), "by the time of its arrival"))
            (tile("Rate", &html! { (rate(&times)) }, &format!("of the newest {}", thousands(u64::try_from(times.len()).unwrap_or_default()))))
            (parked)
        }
        @if !times.is_empty() {
            section.card {
                h2 { "Webhooks by outcome" }
                (strip(&Strip { title: "Webhooks by outcome", buckets: &buckets(webhooks, &times) }))
            }
        }
        (connections(&seen, now_ms))
        (connected)
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

/// Number of parked webhooks. `is_wrong`: some of them are more than the simulator's.
fn parked_tile(parked: u64, is_wrong: bool) -> Markup {
    let note = match (parked, is_wrong) {
        (0, _) => "nothing waits",
        (_, true) => "waiting for a person",
        (_, false) => "made wrong by the simulator, on purpose",
    };
    let number = html! {
        @if parked == 0 { "0" }
        @else { a href=(PARKED_EVENTS) { (parked) @if parked >= u64::try_from(MOST_PARKED).unwrap_or(u64::MAX) { "+" } } }
    };
    tile("Parked", &number, note)
}

/// Findings about what comes in, each with its remedy. `is_more_wrong`: other checks found something.
fn findings(last_ms: Option<i64>, is_more_wrong: bool, anybody: bool, now_ms: i64) -> Markup {
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
        @if last_ms.is_some() && !is_silent && !is_more_wrong && anybody {
            div.card.finding.good { h3 { "● Webhooks arrive, and no check found a fault" } }
        }
    }
}

/// Check of which [`findings`] has more to say.
const SAID_ALREADY: &str = "webhooks";
/// Check of the parked webhooks: it sets apart those that the simulator made wrong on purpose.
const PARKED: &str = "parked webhooks";
/// Page that lists the parked webhooks with their reasons.
const PARKED_EVENTS: &str = "/console/events?parked=true";

fn is_wrong(seen: &Value, check: &str) -> bool {
    let mut wrong = list(seen, "wrong").iter();
    wrong.any(|finding| text(finding, "check") == check)
}

/// Further checks that found something wrong, each with its remedy.
fn others(seen: &Value) -> Markup {
    let wrong = list(seen, "wrong").iter();
    let wrong = wrong.filter(|finding| text(finding, "check") != SAID_ALREADY);
    html! {
        @for finding in wrong {
            div.card.finding.bad {
                h3 { "■ " (text(finding, "check")) ": " (text(finding, "detail")) }
                p {
                    (text(finding, "advice"))
                    @if text(finding, "check") == PARKED { ". " a href=(PARKED_EVENTS) { "See them here" } }
                }
            }
        }
    }
}

/// People who connected last, as far as the newest webhooks tell.
async fn connected_last(visit: &Visit, webhooks: &[Value]) -> Result<Markup, Failure> {
    let connected = webhooks.iter().filter(|it| text(it, "type") == "auth");
    let asking = connected.take(CONNECTED).map(async |webhook| {
        let id = to_path(text(webhook, "terra_user_id"));
        let place = [("connection", id.as_str())];
        let path = "/v1/connections/{connection}";
        let found = visit.ask_if_there(path, &place).await?;
        Ok::<_, Failure>((webhook, found.unwrap_or_default()))
    });
    let connected = futures::future::try_join_all(asking).await?;
    Ok(html! {
        @if !connected.is_empty() {
            section.card {
                h2 { "Connected last" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Person" } th scope="col" { "Provider" } th scope="col" { "Status" } } }
                    tbody { @for (webhook, connection) in &connected {
                        @let person = text(connection, "person");
                        tr {
                            td { a href={ "/console/events/" (text(webhook, "id")) } { (when(text(webhook, "received_at"), visit.now_ms())) } }
                            td.any {
                                @if person.is_empty() { span.soft { "not known any more" } }
                                @else { a href={ "/console/people/" (person) } { (shown_id(person)) } }
                            }
                            td { (text(webhook, "provider")) }
                            td { @if !text(connection, "status").is_empty() { (state(text(connection, "status"))) } }
                        }
                    } }
                } }
                p.pager { a href="/console/events?type=auth" { "All who connected" } }
            }
        }
    })
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
                        @for status in STATUSES { td.num { (counted(count(by_status, status), &[("provider", provider.as_str()), ("status", status)])) } }
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
                        td.num { (counted(count(quiet, "connections"), &[("quiet", "true")])) }
                        td.any { (text(quiet, "advice")) }
                        td.any { @for one in list(quiet, "examples").iter().take(EXAMPLES) {
                            div { (text(one, "provider")) " " a.id href={ "/console/connections/" (text(one, "id")) } { (text(one, "id")) } }
                        } }
                    } } }
                } }
            }
        }
    }
}

/// A number of connections, which leads to the list of them.
fn counted(number: u64, filters: &[(&str, &str)]) -> Markup {
    html! {
        @if number == 0 { "0" } @else { a href=(address(filters)) { (thousands(number)) } }
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
        for text in [
            "1,200",
            "2026-11-20",
            "wear it",
            "/console/connections/3eff",
            "/console/connections?provider=GARMIN&amp;status=active",
            "2 backfills",
        ] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        let shown = others(&seen).into_string();
        assert!(shown.contains("look at its log") && !shown.contains("said elsewhere"));
        let nobody = json!({"connections": {}, "quiet": {}, "wrong": []});
        assert_eq!(connections(&nobody, 0).into_string(), "");
    }

    #[test]
    fn a_quiet_system_is_told_what_to_do() {
        let told = |last, wrong| findings(last, wrong, true, SILENCE_MS + 2).into_string();
        assert!(told(None, false).contains("terrarium doctor"));
        assert!(told(Some(1), false).contains("more than a day"));
        assert!(told(Some(SILENCE_MS), false).contains("no check found a fault"));
        assert!(!told(Some(SILENCE_MS), true).contains("no check found a fault"));
    }

    #[test]
    fn what_the_simulator_broke_on_purpose_waits_for_nobody() {
        let tile = |parked, is_wrong| parked_tile(parked, is_wrong).into_string();
        assert!(tile(9, false).contains("on purpose") && !tile(9, false).contains("waiting"));
        assert!(tile(9, true).contains("waiting for a person"));
        assert!(tile(u64::try_from(MOST_PARKED).unwrap_or(u64::MAX), true).contains("100+"));
        assert!(!tile(0, false).contains("href"));
    }
}
