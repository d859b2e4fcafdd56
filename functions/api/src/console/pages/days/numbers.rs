//! Numbers of a day, its scores and its activities, as tables.

use domain::source::Metric;
use jiff::civil::Date;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::words::{label, list, source, text, value};

/// Rows up to which a table has room for the values that were not chosen.
const MOST_ROWS_WITH_OTHERS: usize = 60;

pub(super) fn name_of(activity: &Value) -> String {
    let values = activity.get("values").unwrap_or(&Value::Null);
    match text(values, "name") {
        "" => "Activity".to_owned(),
        name => name.to_owned(),
    }
}

/// One number of a day.
pub(super) struct Row<'a> {
    pub(super) name: String,
    pub(super) value: &'a Value,
    pub(super) source: String,
    pub(super) warnings: &'a [Value],
    /// Sources, values and reasons that were not chosen.
    pub(super) others: Vec<(String, &'a Value, &'a str)>,
}

/// The numbers of a day in the order of the catalogue, with the night's among them.
pub(super) fn rows<'a>(day: &'a Value, sources: &'a Value) -> Vec<Row<'a>> {
    let name_of = |letter: &str| sources.get(letter).map(source).unwrap_or_default();
    let object = |value: Option<&'a Value>| value.and_then(Value::as_object);
    let values = object(day.get("values"));
    let night = day.get("sleep").filter(|night| night.is_object());
    let of_night = object(night.and_then(|night| night.get("values")));
    let mut rows = Vec::new();
    for metric in Metric::all() {
        if let Some(found) = values.and_then(|values| values.get(metric.id)) {
            let others = list(found, "others").iter();
            rows.push(Row {
                name: metric.id.to_owned(),
                value: found.get("value").unwrap_or(&Value::Null),
                source: name_of(text(found, "source")),
                warnings: list(found, "warnings"),
                others: others
                    .map(|other| {
                        let value = other.get("value").unwrap_or(&Value::Null);
                        (name_of(text(other, "source")), value, text(other, "text"))
                    })
                    .collect(),
            });
        } else if let Some(found) = of_night.and_then(|values| values.get(metric.id)) {
            rows.push(Row {
                name: metric.id.to_owned(),
                value: found,
                source: night
                    .map(|it| name_of(text(it, "source")))
                    .unwrap_or_default(),
                warnings: &[],
                others: Vec::new(),
            });
        }
    }
    rows
}

fn why_link(person: &str, date: Date, name: &str) -> Markup {
    html! {
        a href={ "/console/people/" (person) "/days/" (date) "/why?metric=" (name) } aria-label={ "Why: " (label(name)) } { "why?" }
    }
}

pub(super) fn tile(person: &str, date: Date, row: &Row<'_>) -> Markup {
    html! {
        div.tile {
            div.k { (label(&row.name)) }
            div.v { (value(&row.name, row.value)) }
            div.n { (row.source) " · " (why_link(person, date, &row.name)) }
        }
    }
}

pub(super) fn table(person: &str, date: Date, rows: &[Row<'_>]) -> Markup {
    let has_room = rows.len() <= MOST_ROWS_WITH_OTHERS;
    html! {
        section.card {
            h2 { "Every number" }
            div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Metric" } th.num scope="col" { "Value" } th scope="col" { "Source" }
                    th scope="col" { "Reason" } th scope="col" { "Not chosen" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" title=(row.name) { (label(&row.name)) }
                    td.num { (value(&row.name, row.value)) }
                    td {
                        span.chip { (row.source) }
                        @for warning in row.warnings.iter().filter_map(Value::as_str) {
                            span.state.warn { "▲ " (warning.replace('_', " ")) }
                        }
                    }
                    td { (why_link(person, date, &row.name)) }
                    td.nowrap { @if has_room && !row.others.is_empty() { details {
                        summary { (row.others.len()) }
                        @for (source, other, reason) in &row.others {
                            div.soft { (source) " " (value(&row.name, other)) ": " (reason) }
                        }
                    } } @else { (row.others.len()) }
                    }
                } } }
            } }
        }
    }
}

pub(super) fn scores(day: &Value, sources: &Value) -> Markup {
    let scores = list(day, "scores");
    html! {
        @if !scores.is_empty() {
            section.card {
                h2 { "Scores, of every source" }
                p.note { "Scores are never chosen: each vendor counts in its own way." }
                @for score in scores {
                    @let from = sources.get(text(score, "source")).map(source).unwrap_or_default();
                    span.chip { (label(text(score, "name"))) " " b { (value("", score.get("value").unwrap_or(&Value::Null))) } " " (from) }
                }
            }
        }
    }
}

/// The activities of a day, each with the other records of it.
pub(super) fn sessions(activities: &Value) -> Markup {
    let found = list(activities, "data");
    let sources = activities.get("sources").unwrap_or(&Value::Null);
    html! {
        @if !found.is_empty() {
            section.card {
                h2 { "Activities" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Begin" } th scope="col" { "End" } th scope="col" { "Name" } th scope="col" { "Source" } th scope="col" { "Also recorded by" } } }
                    tbody { @for activity in found {
                        @let record = activity.get("record").unwrap_or(&Value::Null);
                        tr {
                            td.nowrap { a href={ "/console/records/" (text(record, "connection")) "/activity/" (text(record, "key")) } {
                                (text(activity, "start_time").get(11..16).unwrap_or("open"))
                            } }
                            td.nowrap { (text(activity, "end_time").get(11..16).unwrap_or("–")) }
                            td.any { (name_of(activity)) }
                            td { span.chip { (sources.get(text(activity, "source")).map(source).unwrap_or_default()) } }
                            td.any { @for other in list(activity, "also_recorded_by") {
                                span.soft { (sources.get(text(other, "source")).map(source).unwrap_or_default()) " " }
                            } }
                        }
                    } }
                } }
            }
        }
    }
}
