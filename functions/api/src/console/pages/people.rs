//! People, and one of them: connections, the last days, webhooks.

use domain::access::Scope;
use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::{coverage, events, history, privacy, records},
        pictures::{Days, Point, Sparkline, TypeOfDays, days, legend, sparkline},
        visit::Visit,
        words::{count, hidden, label, list, query_of, state, text, value, when},
    },
    error::Failure,
    id,
    route::Verb,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/people",
        handler: |visit| Box::pin(people(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}",
        handler: |visit| Box::pin(person(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/people/{person}/connect",
        handler: |visit| Box::pin(connect(visit)),
    },
];

/// Days that the lines of a person show.
const DAYS: i64 = 7;
/// Days of which the states are drawn.
const COVERED_DAYS: i64 = 14;
/// Types of which the states are drawn.
const MOST_TYPES: usize = 20;
/// Webhooks that the page of a person lists.
const WEBHOOKS: &str = "10";
/// Numbers that are shown as lines: data type and field.
const MAIN: [(&str, &str); 4] = [
    ("daily", "steps"),
    ("daily", "resting_hr_bpm"),
    ("sleep", "duration_asleep_state_seconds"),
    ("body", "weight_kg"),
];

async fn people(visit: Visit) -> Result<Reply, Failure> {
    let query = [("cursor", visit.asked("cursor"))];
    let found = visit.ask("/v1/people", &[], &query).await?;
    let next = text(&found, "next_cursor");
    Ok(Reply::Page(Page {
        title: "People".to_owned(),
        lead: "In the order of their reference ids.".to_owned(),
        refresh: false,
        body: html! {
            p { a href="/console/connections" { "By provider, status and silence" } }
            div.card {
                (table(&found, visit.now_ms(), &html! {
                    "Nobody has connected yet. Make a link for a person: "
                    code { "terrarium connect --reference-id …" } "."
                }))
                @if !next.is_empty() {
                    p.pager { a href={ "/console/people?" (query_of([("cursor", next)])) } { "More" } }
                }
            }
        },
    }))
}

/// A table of people. `empty` says what to do where there are none.
pub(super) fn table(found: &Value, now_ms: i64, empty: &Markup) -> Markup {
    let people = list(found, "data");
    if people.is_empty() {
        return html! { p.empty { (empty) } };
    }
    html! {
        div.wide tabindex="0" { table {
            thead { tr { th scope="col" { "Person" } th scope="col" { "Connections" } th scope="col" { "Newest data" } } }
            tbody {
                @for person in people {
                    @let connections = list(person, "connections");
                    @let newest = connections.iter().map(|it| text(it, "newest_data_at")).max().unwrap_or_default();
                    tr {
                        td.any { a href={ "/console/people/" (text(person, "id")) } { (text(person, "reference_id")) } }
                        td.any { @for connection in connections {
                            span.chip { (text(connection, "provider")) " " (state(text(connection, "status"))) }
                        } }
                        td { (when(newest, now_ms)) }
                    }
                }
            }
        } }
    }
}

/// Pages of a person: the end of their path, and their name.
const TABS: [(&str, &str); 6] = [
    ("", "Person"),
    ("/days", "Day"),
    ("/coverage", "Coverage"),
    ("/series", "Series"),
    ("/history", "History"),
    ("/sources", "Sources"),
];

/// Links to the pages of a person. `here` is the name of the open one.
pub(super) fn tabs(person: &str, here: &str) -> Markup {
    html! {
        p.crumbs { a href="/console/people" { "People" } " / " a href={ "/console/people/" (person) } { (shown_id(person)) } }
        nav.tabs aria-label="Pages of this person" { ul {
            @for (end, name) in TABS {
                li { a href={ "/console/people/" (person) (end) } aria-current=[(name == here).then_some("page")] { (name) } }
            }
        } }
    }
}

/// The reference id of a person, as it was given.
pub(super) fn shown_id(person: &str) -> String {
    id::from_path(person).unwrap_or_else(|| person.to_owned())
}

async fn person(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let place = [("person", id.as_str())];
    let newest = [("person", id.as_str()), ("limit", WEBHOOKS)];
    let to = visit.latest_day();
    let from = to.saturating_sub((COVERED_DAYS - 1).days());
    let (first, last) = (from.to_string(), to.to_string());
    let days = [("from", first.as_str()), ("to", last.as_str())];
    let (person, connections, webhooks, covered) = futures::try_join!(
        visit.ask("/v1/people/{person}", &place, &[]),
        visit.ask("/v1/people/{person}/connections", &place, &[]),
        visit.ask("/v1/webhooks", &[], &newest),
        visit.ask("/v1/people/{person}/coverage", &place, &days),
    )?;
    let connections = list(&connections, "data");
    let backfills = backfills(&visit, connections).await?;
    let policy = Box::pin(policy(&visit, &id)).await?;
    visit
        .looked_at(Some(&id), None, "/console/people/{person}")
        .await?;
    let lines = if visit.sees_values() {
        Some(lines(&visit, &id).await?)
    } else {
        None
    };
    let now_ms = visit.now_ms();
    let body = html! {
        (tabs(&id, "Person"))
        @if connections.is_empty() {
            div.card.finding { h3 { "○ No connection" }
                p { "Make a link: " code { "terrarium connect --reference-id …" } "." } }
        }
        (covered_days(&id, list(&covered, "connections"), from, to))
        div.grid { @for (connection, backfill) in connections.iter().zip(&backfills) { (connection_card(connection, backfill.as_ref(), now_ms)) } }
        (policy)
        @if visit.may(Scope::PeopleConnect) { (connecting(&id, connections)) }
        section.card {
            h2 { "The last seven days" }
            @match &lines {
                Some(lines) if lines.is_empty() => {
                    p.empty { "No record of these days. Older ones are under Records below." }
                }
                Some(lines) => { div.grid { @for line in lines { (line) } } }
                None => { dl { @for (_, name) in MAIN { dt { (label(name)) } dd { (hidden()) } } } }
            }
            p.pager {
                @for data_type in records::TYPES {
                    a href={ "/console/people/" (id) "/records/" (data_type) } { (data_type) }
                }
            }
        }
        section.card {
            h2 { "Newest webhooks" }
            (events::table(list(&webhooks, "data"), now_ms))
            p.pager { a href={ "/console/events?" (query_of([("person", id.as_str())])) } { "All of them" } }
        }
        (privacy::forms(&visit, &id))
    };
    Ok(Reply::Page(Page {
        title: text(&person, "reference_id").to_owned(),
        lead: String::new(),
        refresh: false,
        body,
    }))
}

/// The newest backfill of each connection.
async fn backfills(visit: &Visit, connections: &[Value]) -> Result<Vec<Option<Value>>, Failure> {
    let asking = connections.iter().map(async |connection| {
        let place = [("connection", text(connection, "id"))];
        let path = "/v1/connections/{connection}/backfills";
        let found = visit.ask(path, &place, &[]).await?;
        let found = list(&found, "data").iter();
        let newest = found.max_by_key(|it| text(it, "planned_at").to_owned());
        Ok(newest.cloned())
    });
    futures::future::try_join_all(asking).await
}

/// The level that sources are chosen by, for those who may read policies.
async fn policy(visit: &Visit, person: &str) -> Result<Markup, Failure> {
    if !visit.may(Scope::PolicyWrite) {
        return Ok(html! {});
    }
    let place = [("person", person)];
    let (own, app) = futures::try_join!(
        visit.ask("/v1/people/{person}/source-policy", &place, &[]),
        visit.ask("/v1/source-policy", &[], &[]),
    )?;
    let has = |policy: &Value| policy.get("document").is_some_and(Value::is_object);
    Ok(html! {
        p.note {
            "Sources are chosen by "
            @if has(&own) { "a policy of this person, version " (count(&own, "version")) ", then by " }
            @if has(&app) { "the app's policy, version " (count(&app, "version")) ", then by " }
            "the built-in rules. " a href={ "/console/people/" (person) "/sources" } { "See them" }
        }
    })
}

/// States of the last days of each type of each connection.
fn covered_days(person: &str, connections: &[Value], from: Date, to: Date) -> Markup {
    let types = connections.iter().flat_map(|connection| {
        let types = connection.get("types").and_then(Value::as_object);
        let provider = text(connection, "provider");
        let types = types.into_iter().flatten();
        types.map(move |(name, known)| TypeOfDays {
            name: format!("{name} · {provider}"),
            runs: coverage::runs(known),
        })
    });
    let rows: Vec<_> = types.take(MOST_TYPES).collect();
    let title = format!("Days from {from} to {to}");
    html! {
        @if !rows.is_empty() {
            section.card {
                h2 { "The last fourteen days" }
                div.wide tabindex="0" { (days(&Days { title: &title, from, to, rows: &rows })) }
                (legend())
                p.pager { a href={ "/console/people/" (person) "/coverage" } { "Coverage, with reasons and what to do" } }
            }
        }
    }
}

/// Buttons that make a link to connect: one for each provider that is there, and one to choose.
fn connecting(person: &str, connections: &[Value]) -> Markup {
    let mut providers: Vec<_> = connections.iter().map(|it| text(it, "provider")).collect();
    providers.retain(|provider| !provider.is_empty());
    providers.sort_unstable();
    providers.dedup();
    html! {
        form.row method="post" action={ "/console/people/" (person) "/connect" } {
            @for provider in providers { button name="provider" value=(provider) { "Link to reconnect " (provider) } }
            button name="provider" value="" { "Link to connect another" }
            span.note { "For the person to open in a browser. Whoever has the link can connect." }
        }
    }
}

/// Makes a link to connect, which is shown once.
async fn connect(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let provider = visit.filled("provider");
    let body = if provider.is_empty() {
        json!({"kind": "widget"})
    } else {
        json!({"kind": "link", "providers": [provider]})
    };
    let place = [("person", id.as_str())];
    let path = "/v1/people/{person}/connect";
    let made = visit.call(Verb::Post, path, &place, &[], body.to_string().into());
    let made: Value = serde_json::from_slice(&made.await?.body).unwrap_or_default();
    let (url, until) = (text(&made, "url"), text(&made, "expires_at"));
    Ok(Reply::Page(Page {
        title: "A link to connect".to_owned(),
        lead: format!("For {}. It is shown this once.", shown_id(&id)),
        refresh: false,
        body: html! {
            p.crumbs { a href="/console/people" { "People" } " / " a href={ "/console/people/" (id) } { (shown_id(&id)) } }
            section.card {
                pre { (url) }
                p { button type="button" hidden data-copy=(url) { "Copy" } }
                @if !until.is_empty() { p.note { "It can be used until " (until) "." } }
            }
        },
    }))
}

fn connection_card(connection: &Value, backfill: Option<&Value>, now_ms: i64) -> Markup {
    let ids = list(connection, "terra_user_ids");
    let scopes = connection.get("scopes").and_then(Value::as_array);
    html! {
        section.card {
            h2 { (text(connection, "provider")) }
            dl {
                dt { "Status" } dd { (state(text(connection, "status"))) }
                @if !text(connection, "since").is_empty() { dt { "Since" } dd { (when(text(connection, "since"), now_ms)) } }
                @if let Some(quiet) = connection.get("quiet").filter(|quiet| quiet.is_object()) {
                    dt { "Quiet since" } dd { (when(text(quiet, "since"), now_ms)) ": " (text(quiet, "advice")) }
                }
                dt { "Newest data" } dd { (when(text(connection, "newest_data_at"), now_ms)) }
                dt { "Connected" } dd { (when(text(connection, "connected_at"), now_ms)) }
                @if !text(connection, "note").is_empty() { dt { "Note" } dd { (text(connection, "note")) } }
                @if let Some(backfill) = backfill {
                    dt { "Newest backfill" } dd {
                        (history::state_of(backfill)) " "
                        a href={ "/console/backfills/" (text(backfill, "id")) } { (text(backfill, "kind").replace('_', " ")) }
                        ", planned " (when(text(backfill, "planned_at"), now_ms))
                    }
                }
                dt { "Permissions" } dd { @match scopes {
                    Some(scopes) => { (scopes.len()) " granted" }
                    None => { span.soft { "not told by Terra" } }
                } }
            }
            @let user = text(connection, "terra_user_id");
            @if !user.is_empty() {
                p.pager { a href={ "/console/events?" (query_of([("terra_user_id", user)])) } { "Its webhooks" } }
            }
            (types(connection))
            details {
                summary { "Ids and permissions" }
                dl {
                    dt { "Connection" } dd.id { (text(connection, "id")) }
                    dt { "Terra user ids" } dd.id { @for id in ids { (id.as_str().unwrap_or_default()) " " } }
                    @if let Some(scopes) = scopes {
                        dt { "Permissions" } dd { @for scope in scopes { span.chip { (scope.as_str().unwrap_or_default()) } } }
                    }
                }
            }
        }
    }
}

/// Types of a connection, with the first and last day of each.
fn types(connection: &Value) -> Markup {
    let types = connection.get("types").and_then(Value::as_object);
    let types = types.filter(|types| !types.is_empty());
    html! {
        @if let Some(types) = types {
            div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "Type" } th scope="col" { "Since" } th scope="col" { "Until" } } }
                tbody { @for (name, days) in types {
                    tr { td { (name) } td { (text(days, "first")) } td { (text(days, "last")) } }
                } }
            } }
        } @else {
            p.empty { "No record of any day yet." }
        }
    }
}

/// A line for each main number and provider of the last days.
async fn lines(visit: &Visit, person: &str) -> Result<Vec<Markup>, Failure> {
    let today = visit.now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let days: Vec<_> = (0..DAYS)
        .rev()
        .filter_map(|back| today.checked_sub(jiff::Span::new().days(back)).ok())
        .collect();
    let from = days.first().map(ToString::to_string).unwrap_or_default();
    let to = today.to_string();
    let mut lines = Vec::new();
    for (data_type, name) in MAIN {
        let query = [
            ("type", data_type),
            ("from", from.as_str()),
            ("to", to.as_str()),
            ("limit", "500"),
        ];
        let found = visit
            .ask("/v1/people/{person}/records", &[("person", person)], &query)
            .await?;
        let records = list(&found, "data");
        let mut providers: Vec<_> = records.iter().map(|it| text(it, "provider")).collect();
        providers.sort_unstable();
        providers.dedup();
        for provider in providers {
            let of_day = |day: &str| {
                let of_day = records.iter().filter(|record| {
                    text(record, "provider") == provider && text(record, "day") == day
                });
                // Two nights of one day are two records; the longer number is the main one's.
                of_day
                    .filter_map(|record| record.get("summary")?.get(name))
                    .max_by(|one, other| {
                        let number = |value: &Value| value.as_f64().unwrap_or_default();
                        number(one).total_cmp(&number(other))
                    })
            };
            let points: Vec<_> = days
                .iter()
                .map(|day| {
                    let day = day.to_string();
                    let found = of_day(&day);
                    Point {
                        value: found.and_then(Value::as_f64),
                        shown: found.map_or_else(|| "–".to_owned(), |found| value(name, found)),
                        day,
                    }
                })
                .collect();
            let newest = points.iter().rev().find(|point| point.value.is_some());
            let Some(newest) = newest else { continue };
            let title = format!("{} from {provider}", label(name));
            lines.push(html! {
                div {
                    div.soft { (label(name)) " · " (provider) }
                    b { (newest.shown) } " " a href={ "/console/people/" (person) "/days/" (newest.day) } { (newest.day) }
                    " " a href={ "/console/people/" (person) "/days/" (newest.day) "/why?metric=" (name) } aria-label={ "Why: " (title) } { "why?" }
                    (sparkline(&Sparkline { title: &title, points: &points }))
                }
            });
        }
    }
    Ok(lines)
}
