//! One day of a person: a picture on one time axis, and every number with its source and its reason.

use domain::source::Metric;
use jiff::{ToSpan as _, civil::Date, fmt::temporal::Pieces};
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::{
            people::tabs,
            series::{lines_of, state_of},
        },
        pictures::{Axis, Day, Hypnogram, Line, Span, Stage, day as picture, hypnogram},
        visit::Visit,
        words::{hidden, label, list, moment, query_of, source, text, value},
    },
    error::Failure,
    route::Verb,
    text::rfc3339,
};

pub(super) const PLACES: &[Place] = &[
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/days",
        handler: |visit| Box::pin(newest(visit)),
    },
    Place {
        verb: Verb::Get,
        path: "/console/people/{person}/days/{day}",
        handler: |visit| Box::pin(day(visit)),
    },
];

/// Name of the page in the audit.
const ROUTE: &str = "/console/people/{person}/days/{day}";
/// Numbers that stand above the fold.
const MAIN: [&str; 4] = [
    "steps",
    "duration_asleep_state_seconds",
    "resting_hr_bpm",
    "total_burned_calories",
];
/// Width of the picture's buckets. Unit: seconds.
const STEP_S: f64 = 900.0;
const DAY_S: i64 = 86_400;
/// Rows up to which a table has room for the values that were not chosen.
const MOST_ROWS_WITH_OTHERS: usize = 60;

/// The date in a place of the path.
pub(super) fn date(visit: &Visit) -> Result<Date, Failure> {
    let parsed = visit.placed("day").parse();
    parsed.map_err(|_| Failure::not_found("a day is written like 2026-11-20"))
}

/// Leads to the newest day that there is: a form's choice, the newest with data, else yesterday.
async fn newest(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let to_day = |day: &str| Ok(Reply::See(format!("/console/people/{id}/days/{day}")));
    if let Ok(asked) = visit.asked("day").parse::<Date>() {
        return to_day(&asked.to_string());
    }
    let place = [("person", id.as_str())];
    if visit.sees_values() {
        let query = [("limit", "7")];
        let days = visit
            .ask("/v1/people/{person}/days", &place, &query)
            .await?;
        if let Some(newest) = list(&days, "data").first() {
            return to_day(text(newest, "day"));
        }
    }
    let yesterday = visit.now.to_zoned(jiff::tz::TimeZone::UTC).date();
    to_day(&yesterday.saturating_sub(1.day()).to_string())
}

/// Offset of the clock in a text of Terra's. Unit: seconds.
fn offset_s(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    Some(i64::from(offset.seconds()))
}

/// Time of a text of Terra's; without an offset as if it were UTC. Unit: Unix seconds.
fn at_s(text: &str) -> Option<i64> {
    if let Some(at_ms) = moment(text) {
        return Some(at_ms.div_euclid(1_000));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// Number as a float: of pictures, where the last digits do not show.
#[expect(clippy::cast_precision_loss, reason = "times of a picture are seconds")]
fn float(seconds: i64) -> f64 {
    seconds as f64
}

/// The page for a role that sees no values: nothing is asked of the API that it may not read.
async fn hidden_day(visit: &Visit, person: &str, date: Date) -> Result<Reply, Failure> {
    let place = [("person", person)];
    visit.ask("/v1/people/{person}", &place, &[]).await?;
    visit
        .looked_at(Some(person), Some(date.to_string()), ROUTE)
        .await?;
    Ok(page(
        date,
        html! {
            (tabs(person, "Day"))
            (neighbours(person, date))
            section.card { dl { @for name in MAIN { dt { (label(name)) } dd { (hidden()) } } } }
            p { a href={ "/console/people/" (person) "/coverage" } { "Which days have data" } }
        },
    ))
}

async fn day(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let date = date(&visit)?;
    let place = [("person", id.as_str())];
    if !visit.sees_values() {
        return hidden_day(&visit, &id, date).await;
    }
    let text_of_day = date.to_string();
    let only = [("from", text_of_day.as_str()), ("to", text_of_day.as_str())];
    let prefer = visit.asked("prefer");
    let with = |more: &[(&'static str, &'static str)]| {
        let mut query: Vec<(&str, &str)> = only.to_vec();
        query.extend_from_slice(more);
        query
    };
    let mut days_query = with(&[("include", "others")]);
    days_query.push(("prefer", prefer));
    let (nights_query, activities_query) = (
        with(&[("type", "sleep")]),
        with(&[("type", "activity"), ("limit", "50")]),
    );
    let daily_query = with(&[("type", "daily"), ("limit", "4")]);
    let (days, nights, activities, daily) = futures::try_join!(
        visit.ask("/v1/people/{person}/days", &place, &days_query),
        visit.ask("/v1/people/{person}/sessions", &place, &nights_query),
        visit.ask("/v1/people/{person}/sessions", &place, &activities_query),
        visit.ask("/v1/people/{person}/records", &place, &daily_query),
    )?;
    visit
        .looked_at(Some(&id), Some(date.to_string()), ROUTE)
        .await?;

    let mut starts = list(&daily, "data")
        .iter()
        .chain(list(&activities, "data"))
        .chain(list(&nights, "data"));
    let offset = starts.find_map(|it| offset_s(text(it, "start_time")));
    let midnight = at_s(&format!("{date}T00:00:00Z")).unwrap_or_default();
    let since_s = midnight - offset.unwrap_or_default();
    let axis = Axis {
        since_s,
        until_s: since_s + DAY_S,
        offset_s: offset.unwrap_or_default(),
    };
    let night = list(&nights, "data")
        .iter()
        .find(|it| it.get("main").and_then(Value::as_bool) == Some(true));
    let (samples, stages) = futures::try_join!(
        series(
            &visit,
            &id,
            "hr_bpm,steps",
            "15m",
            (axis.since_s, axis.until_s)
        ),
        series(
            &visit,
            &id,
            "sleep_level",
            "raw",
            (axis.since_s - DAY_S, axis.until_s)
        ),
    )?;
    let day = list(&days, "data").first();
    let sources = days.get("sources").unwrap_or(&Value::Null);
    let rows = day.map(|day| rows(day, sources)).unwrap_or_default();
    let of_metric = |answer: &Value, id: &str| {
        let found = list(answer, "data")
            .iter()
            .find(|it| text(it.get("metric").unwrap_or(&Value::Null), "id") == id);
        found
            .map(|it| lines_of(it, axis.offset_s))
            .unwrap_or_default()
    };
    let body = html! {
        (tabs(&id, "Day"))
        (neighbours(&id, date))
        (clock_note(&id, date, offset, prefer))
        @if rows.is_empty() {
            div.card.finding {
                h3 { "○ No record of this day" }
                p { a href={ "/console/people/" (id) "/coverage?to=" (date) } { "The coverage says why" } "." }
            }
        } @else {
            div.tiles { @for row in rows.iter().filter(|row| MAIN.contains(&row.name.as_str())) { (tile(&id, date, row)) } }
        }
        (pictures(axis, &of_metric(&samples, "hr_bpm"), &of_metric(&samples, "steps"), &stages, night, &activities, date))
        @if !rows.is_empty() { (table(&id, date, &rows)) }
        @if let Some(day) = day { (scores(day, sources)) }
        (sessions(&activities))
        p.note { a href={ "/console/people/" (id) "/series?" (query_of([("day", text_of_day.as_str())])) } { "Samples of this day" } }
    };
    Ok(page(date, body))
}

/// The clock of the picture, and whose preference the day is shown by.
fn clock_note(person: &str, date: Date, offset: Option<i64>, prefer: &str) -> Markup {
    html! {
        p.note {
            @match offset {
                Some(offset) => { "Local time of the wearer, UTC" (offset_text(offset)) ", as Terra gave it." }
                None => { "No offset given: times are read as UTC." }
            }
            @if !prefer.is_empty() {
                " Shown as if " b { (prefer) } " were preferred. "
                a href={ "/console/people/" (person) "/days/" (date) } { "As it is" }
            }
        }
    }
}

fn page(date: Date, body: Markup) -> Reply {
    Reply::Page(Page {
        title: date.strftime("%A, %-d %B %Y").to_string(),
        lead: String::new(),
        refresh: false,
        body,
    })
}

fn neighbours(person: &str, date: Date) -> Markup {
    let (before, after) = (date.saturating_sub(1.day()), date.saturating_add(1.day()));
    html! {
        form.row action={ "/console/people/" (person) "/days" } {
            a href={ "/console/people/" (person) "/days/" (before) } { "← " (before) }
            label { "Day" input type="date" name="day" value=(date); }
            button { "Show" }
            a href={ "/console/people/" (person) "/days/" (after) } { (after) " →" }
        }
    }
}

fn offset_text(offset_s: i64) -> String {
    let sign = if offset_s < 0 { '−' } else { '+' };
    let minutes = offset_s.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Samples of a stretch of time. Unit: Unix seconds.
async fn series(
    visit: &Visit,
    person: &str,
    metrics: &str,
    resolution: &str,
    (since_s, until_s): (i64, i64),
) -> Result<Value, Failure> {
    let (since, until) = (rfc3339(since_s * 1_000), rfc3339(until_s * 1_000));
    let query = [
        ("metrics", metrics),
        ("resolution", resolution),
        ("since", since.as_str()),
        ("until", until.as_str()),
    ];
    let path = "/v1/people/{person}/series";
    visit.ask(path, &[("person", person)], &query).await
}

fn pictures(
    axis: Axis,
    heart: &[Line],
    steps: &[Line],
    stages: &Value,
    night: Option<&Value>,
    activities: &Value,
    date: Date,
) -> Markup {
    let of_night = night.and_then(|night| night.get("record"));
    let connection = of_night.map_or("", |record| text(record, "connection"));
    let stages = state_of(stages, connection, axis.offset_s);
    let stages: Vec<_> = stages
        .into_iter()
        .map(|(at_s, level)| Stage { at_s, level })
        .collect();
    let times = |it: &Value| Some((at_s(text(it, "start_time"))?, at_s(text(it, "end_time"))?));
    let spans = list(activities, "data").iter().filter_map(|activity| {
        let (from, to) = times(activity)?;
        Some(Span {
            name: name_of(activity),
            from_s: float(from),
            to_s: float(to),
        })
    });
    let spans: Vec<_> = spans.collect();
    let (since, until) = (float(axis.since_s), float(axis.until_s));
    let of_day: Vec<_> = stages
        .iter()
        .filter(|stage| (since..until).contains(&stage.at_s))
        .copied()
        .collect();
    let title = format!("The day {date}");
    let night = night.and_then(times).map(|(since_s, until_s)| Axis {
        since_s,
        until_s,
        offset_s: axis.offset_s,
    });
    let of_night: Vec<_> = stages
        .iter()
        .filter(|stage| {
            night.is_some_and(|it| (float(it.since_s)..float(it.until_s)).contains(&stage.at_s))
        })
        .copied()
        .collect();
    // A stage lasts until the next; the last one of the night ends with it, not with the day.
    let mut until_up = of_day.clone();
    if let (Some(night), true) = (night, !of_day.is_empty()) {
        until_up.push(Stage {
            at_s: float(night.until_s),
            level: 0,
        });
        until_up.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    }
    let is_empty = heart.is_empty() && steps.is_empty() && of_day.is_empty() && spans.is_empty();
    html! {
        @if !is_empty {
            section.card {
                h2 { "24 hours" }
                (picture(&Day { title: &title, axis, step_s: STEP_S, heart, steps, stages: &until_up, activities: &spans }))
            }
        }
        @if let Some(night) = night.filter(|_| !of_night.is_empty()) {
            section.card {
                h2 { "The night that ended on this day" }
                (hypnogram(&Hypnogram { title: "Stages of the night", axis: night, stages: &of_night }))
            }
        }
    }
}

fn name_of(activity: &Value) -> String {
    let values = activity.get("values").unwrap_or(&Value::Null);
    match text(values, "name") {
        "" => "Activity".to_owned(),
        name => name.to_owned(),
    }
}

/// One number of a day.
struct Row<'a> {
    name: String,
    value: &'a Value,
    source: String,
    warnings: &'a [Value],
    /// Sources, values and reasons that were not chosen.
    others: Vec<(String, &'a Value, &'a str)>,
}

/// The numbers of a day in the order of the catalogue, with the night's among them.
fn rows<'a>(day: &'a Value, sources: &'a Value) -> Vec<Row<'a>> {
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

fn tile(person: &str, date: Date, row: &Row<'_>) -> Markup {
    html! {
        div.tile {
            div.k { (label(&row.name)) }
            div.v { (value(&row.name, row.value)) }
            div.n { (row.source) " · " (why_link(person, date, &row.name)) }
        }
    }
}

fn table(person: &str, date: Date, rows: &[Row<'_>]) -> Markup {
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

fn scores(day: &Value, sources: &Value) -> Markup {
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
fn sessions(activities: &Value) -> Markup {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_offset_and_without_one_as_they_stand() {
        assert_eq!(offset_s("2026-11-20T00:00:00.000000+01:00"), Some(3_600));
        assert_eq!(offset_s("2026-11-20T00:00:00.000000-05:30"), Some(-19_800));
        assert_eq!(offset_s("2026-11-20T00:00:00"), None);
        assert_eq!(
            at_s("2026-11-20T01:00:00+01:00"),
            at_s("2026-11-20T00:00:00Z")
        );
        assert_eq!(at_s("2026-11-20T00:00:00"), at_s("2026-11-20T00:00:00Z"));
        assert_eq!(offset_text(-19_800), "−05:30");
    }
}
