//! Records of a person, and one of them with where it came from.

use domain::access::Scope;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::{days::time::at_s, event::pretty},
        visit::Visit,
        words::{count, flag, hidden, label, list, query_of, size, text, value, when},
    },
    error::Failure,
    route::Verb,
    text::rfc3339,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/records/{type}",
        handler: |visit| Box::pin(records(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/records/{connection}/{type}/{key}",
        handler: |visit| Box::pin(record(visit)),
    },
    Place {
        verb: Verb::Post,
        path: "/console/records/{connection}/{type}/{key}/payload",
        handler: |visit| Box::pin(payload(visit)),
    },
];

/// Data types that a person's page leads to.
pub(super) const TYPES: [&str; 6] = [
    "daily",
    "sleep",
    "activity",
    "body",
    "nutrition",
    "menstruation",
];

async fn records(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let data_type = visit.placed("type").to_owned();
    let (from, to) = (visit.asked("from"), visit.asked("to"));
    let crumbs = html! {
        p.crumbs {
            a href="/console/people" { "People" } " / " a href={ "/console/people/" (id) } { "person" } " / " (data_type)
        }
    };
    let title = format!("{} records", label(&data_type));
    if !visit.sees_values() {
        let lead = "Your role does not see health values.".to_owned();
        return Ok(Reply::Page(Page {
            title,
            lead,
            refresh: false,
            body: html! { (crumbs) div.card { (hidden()) } },
        }));
    }
    let query = [
        ("type", data_type.as_str()),
        ("from", from),
        ("to", to),
        ("cursor", visit.asked("cursor")),
        ("limit", "50"),
    ];
    let place = [("person", id.as_str())];
    let found = visit
        .ask("/v1/people/{person}/records", &place, &query)
        .await?;
    visit
        .looked_at(
            Some(&id),
            Some(data_type.clone()),
            "/console/people/{person}/records/{type}",
        )
        .await?;
    let next = text(&found, "next_cursor");
    let records = list(&found, "data");
    let here = format!("/console/people/{id}/records/{data_type}");
    let body = html! {
        (crumbs)
        form.row action=(here) {
            label { "From" input type="date" name="from" value=(from); }
            label { "To, included" input type="date" name="to" value=(to); }
            button.main { "Show" }
        }
        div.card {
            @if records.is_empty() {
                p.empty { "No record of these days. Choose others; without any, the last seven days are shown." }
            } @else {
                (table(records))
            }
            @if !next.is_empty() {
                p.pager { a href={ (here) "?" (query_of([("from", from), ("to", to), ("cursor", next)])) } { "More" } }
            }
        }
    };
    Ok(Reply::Page(Page {
        title,
        lead: String::new(),
        refresh: false,
        body,
    }))
}

/// Address of a record's page.
fn address(record: &Value) -> String {
    let id = record.get("id").unwrap_or(&Value::Null);
    let part = |name| text(id, name);
    format!(
        "/console/records/{}/{}/{}",
        part("connection"),
        part("type"),
        part("key")
    )
}

fn table(records: &[Value]) -> Markup {
    const SHOWN: usize = 4;
    html! {
        div.wide tabindex="0" { table {
            thead { tr { th scope="col" { "Begin, as Terra gave it" } th scope="col" { "Provider" } th scope="col" { "Says" } } }
            tbody {
                @for record in records {
                    tr {
                        td { a href=(address(record)) { (text(record, "start_time").get(..16).unwrap_or("open")) } }
                        td { (text(record, "provider")) @if flag(record, "retracted") { " " span.soft { "taken back" } } }
                        td.any {
                            @if let Some(summary) = record.get("summary").and_then(Value::as_object) {
                                @for (name, found) in summary.iter().take(SHOWN) {
                                    span.chip { (label(name)) " " b { (value(name, found)) } }
                                }
                                @if summary.len() > SHOWN { span.soft { "and " (summary.len() - SHOWN) " more" } }
                            }
                        }
                    }
                }
            }
        } }
    }
}

async fn record(visit: Visit) -> Result<Reply, Failure> {
    shown(&visit, html! {}).await
}

/// Shows the record with the payload of its newest delivery, or saves that.
async fn payload(visit: Visit) -> Result<Reply, Failure> {
    let place = place(&visit);
    let path = "/v1/records/{connection}/{type}/{key}/payload";
    let answer = visit
        .call(Verb::Get, path, &place, &[], bytes::Bytes::new())
        .await?;
    if visit.filled("as") == "file" {
        note_look(&visit, "/console/records/{connection}/{type}/{key}/payload").await?;
        return Ok(Reply::File(
            "record.json".to_owned(),
            answer.content_type,
            answer.body,
        ));
    }
    let body = html! { section.card { h2 { "Payload, as Terra sent it" } (pretty(&answer.body)) } };
    shown(&visit, body).await
}

fn place(visit: &Visit) -> [(&'static str, &str); 3] {
    ["connection", "type", "key"].map(|name| (name, visit.placed(name)))
}

/// Notes a look at a record. Returns the id of its person, for paths.
async fn note_look(visit: &Visit, route: &str) -> Result<Option<String>, Failure> {
    let place = [("connection", visit.placed("connection"))];
    let connection = visit.ask("/v1/connections/{connection}", &place, &[]);
    let connection = connection.await?;
    let person = connection.get("person").and_then(Value::as_str);
    let subject = format!("{}/{}", visit.placed("type"), visit.placed("key"));
    visit.looked_at(person, Some(subject), route).await?;
    Ok(person.map(str::to_owned))
}

/// Metrics whose samples records of a type have.
fn metrics_of(data_type: &str) -> [(&'static str, &'static str); 2] {
    match data_type {
        "sleep" => [("m1", "hr_bpm"), ("m2", "sleep_level")],
        "body" => [
            ("m1", "blood_glucose_mg_per_dL"),
            ("m2", "body_temperature_celsius"),
        ],
        _ => [("m1", "hr_bpm"), ("m2", "steps")],
    }
}

/// Shortest time that samples are shown of. Unit: seconds.
const SHORTEST_S: i64 = 3_600;

/// Says whether a record has samples, and leads to those of its time.
fn samples(person: Option<&str>, data_type: &str, record: &Value) -> Markup {
    let begin = at_s(text(record, "start_time"));
    let link = person.zip(begin).map(|(person, since)| {
        let until = at_s(text(record, "end_time")).unwrap_or(since);
        let until = until.max(since + SHORTEST_S);
        let (since, until) = (rfc3339(since * 1_000), rfc3339(until * 1_000));
        let ends = [("since", since.as_str()), ("until", until.as_str())];
        let query = query_of(ends.into_iter().chain(metrics_of(data_type)));
        format!("/console/people/{person}/series?{query}")
    });
    html! {
        @match (flag(record, "has_samples"), link) {
            (false, _) => { "none" }
            (true, None) => { "yes" }
            (true, Some(link)) => { "yes: " a href=(link) { "the series of its time" } }
        }
    }
}

async fn shown(visit: &Visit, more: Markup) -> Result<Reply, Failure> {
    let data_type = visit.placed("type");
    let path = "/v1/records/{connection}/{type}/{key}";
    let record = visit.ask(path, &place(visit), &[]).await?;
    let person = note_look(visit, "/console/records/{connection}/{type}/{key}").await?;
    let delivered = record.get("delivered").unwrap_or(&Value::Null);
    let webhook = text(delivered, "webhook");
    let derived: Vec<_> = list(&record, "derived")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let summary = record.get("summary").and_then(Value::as_object);
    let scores = record.get("scores").and_then(Value::as_object);
    let archive = text(&record, "archive");
    let body = html! {
        p.crumbs {
            a href="/console/people" { "People" }
            @if let Some(person) = &person {
                " / " a href={ "/console/people/" (person) } { "person" }
                " / " a href={ "/console/people/" (person) "/records/" (data_type) } { (data_type) }
            }
        }
        div.grid {
            section.card {
                h2 { "What it says" }
                @match summary {
                    Some(summary) if !summary.is_empty() => { dl { @for (name, found) in summary {
                        dt title=(name) { (label(name)) }
                        dd { (value(name, found)) @if derived.contains(&name.as_str()) { " " span.soft { "computed of samples" } } }
                    } } }
                    _ => { p.empty { "It has no number that is summarised; its payload is below." } }
                }
            }
            section.card {
                h2 { "Where it came from" }
                dl {
                    dt { "Begin" } dd { (text(&record, "start_time")) }
                    dt { "End" } dd { (text(&record, "end_time")) }
                    dt { "Delivered by" } dd { a.id href={ "/console/events/" (webhook) } { (webhook) } }
                    dt { "Order" } dd { (when(text(delivered, "ordered_at"), visit.now_ms())) }
                    dt { "Size" } dd { (size(count(&record, "size_bytes"))) }
                    dt { "Samples" } dd { (samples(person.as_deref(), data_type, &record)) }
                    @for older in list(&record, "sampled_by") {
                        dt { "Samples of an older delivery" }
                        dd {
                            @for stream in list(older, "streams").iter().filter_map(Value::as_str) { span.chip { (stream) } }
                            div.id { (older.get("archive").unwrap_or(&Value::Null)) }
                        }
                    }
                    dt { "Taken back" } dd { (if flag(&record, "retracted") { "yes, by the provider" } else { "no" }) }
                    @if !archive.is_empty() { dt { "Archive" } dd.id { (archive) } }
                }
            }
        }
        @if let Some(scores) = scores.filter(|scores| !scores.is_empty()) {
            section.card {
                h2 { "Scores of Terra's" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Score" } th.num scope="col" { "Value" } th scope="col" { "Delivered by" } } }
                    tbody { @for (name, score) in scores { tr {
                        th scope="row" { (label(name)) }
                        td.num { (value(name, score.get("value").unwrap_or(&Value::Null))) }
                        td.any { a.id href={ "/console/events/" (text(score, "webhook")) } { (text(score, "webhook")) } }
                    } } }
                } }
            }
        }
        @if visit.may(Scope::PeopleRead) {
            form.row method="post" action={ (address(&record)) "/payload" } {
                button name="as" value="page" { "Show the payload" }
                button name="as" value="file" { "Save the payload" }
                span.note { "Byte for byte as Terra sent it." }
            }
        }
        (more)
    };
    Ok(Reply::Page(Page {
        title: format!("{} {}", label(data_type), text(&record, "day")),
        lead: text(&record, "provider").to_owned(),
        refresh: false,
        body,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn samples_lead_to_the_series_of_the_records_own_time() {
        let record = json!({
            "has_samples": true, "start_time": "2026-11-20T22:00:00.000000+01:00",
            "end_time": "2026-11-21T06:00:00.000000+01:00",
        });
        let told = |record| samples(Some("p"), "sleep", record).into_string();
        let night = told(&record);
        for part in [
            "/console/people/p/series?",
            "since=2026-11-20T21%3A00%3A00",
            "until=2026-11-21T05%3A00%3A00",
            "m2=sleep_level",
        ] {
            assert!(night.contains(part), "{part}: {night}");
        }
        let without = json!({"has_samples": false});
        assert_eq!(told(&without), "none");
        let point = json!({"has_samples": true, "start_time": "2026-11-20T22:00:00Z"});
        assert!(told(&point).contains("until=2026-11-20T23%3A00%3A00"));
    }
}
