//! Series: samples of one to four metrics over time, one picture below the other.

use domain::series::StreamMetric;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    console::{
        Place, Reply, guard,
        layout::Page,
        pages::people::tabs,
        pictures::{Axis, Line, Lines, Samples, lines},
        visit::Visit,
        words::{decimal, hidden, label, list, moment, query_of, source, text},
    },
    error::Failure,
    route::Verb,
    text::rfc3339,
};

pub(super) const PLACES: &[Place] = &[Place {
    verb: Verb::Get,
    path: "/console/people/{person}/series",
    handler: |visit| Box::pin(series(visit)),
}];

/// Names of the form's fields for metrics.
pub(super) const FIELDS: [&str; 4] = ["m1", "m2", "m3", "m4"];
/// Lengths to choose from. Unit: days.
const LENGTHS: [(&str, &str); 5] = [
    ("1", "1 day"),
    ("3", "3 days"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
];
/// Resolutions from the finest, their seconds, and the longest time that is drawn in them. Unit: seconds.
const RESOLUTIONS: [(&str, f64, i64); 5] = [
    ("1m", 60.0, 5 * 3_600),
    ("5m", 300.0, DAY_S),
    ("15m", 900.0, 3 * DAY_S),
    ("1h", 3_600.0, 14 * DAY_S),
    ("1d", 86_400.0, 400 * DAY_S),
];
/// Points that one page has room for.
const MOST_POINTS: usize = 1_400;
/// Rows of a table that one page has room for.
const MOST_ROWS: usize = 400;
const DAY_S: i64 = 86_400;
/// Shortest and longest stretch of time that a link leads to. Unit: seconds.
const SHORTEST_S: i64 = 900;
const LONGEST_S: i64 = 400 * DAY_S;

/// The time that is asked for: by a day and a length, or by its ends.
fn window(visit: &Visit) -> (i64, i64) {
    let second = |name| moment(visit.asked(name)).map(|ms| ms.div_euclid(1_000));
    if let (Some(since), Some(until)) = (second("since"), second("until"))
        && since < until
    {
        return (since, until);
    }
    let days: i64 = visit.asked("days").parse().unwrap_or(1);
    let days = days.clamp(1, 90);
    let last = moment(&format!("{}T00:00:00Z", visit.asked("day")));
    let until = match last {
        Some(last) => last.div_euclid(1_000) + DAY_S,
        // The next full quarter of an hour: an answer is the same for a while.
        None => (visit.now_ms().div_euclid(1_000)).div_euclid(900) * 900 + 900,
    };
    (until - days * DAY_S, until)
}

async fn series(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let place = [("person", id.as_str())];
    let mut metrics: Vec<_> = FIELDS
        .iter()
        .map(|field| visit.asked(field))
        .filter(|name| !name.is_empty())
        .collect();
    if metrics.is_empty() {
        metrics.push("hr_bpm");
    }
    metrics.dedup();
    let (since_s, until_s) = window(&visit);
    let route = "/console/people/{person}/series";
    if !visit.sees_values() {
        visit.ask("/v1/people/{person}", &place, &[]).await?;
        visit.looked_at(Some(&id), None, route).await?;
        return Ok(page(html! {
            (tabs(&id, "Series"))
            p.note { "Your role does not see health values." }
            div.card { dl { @for name in metrics { dt { (label(name)) } dd { (hidden()) } } } }
        }));
    }
    let asked = metrics.join(",");
    let (since, until) = (rfc3339(since_s * 1_000), rfc3339(until_s * 1_000));
    let ends = (since.as_str(), until.as_str());
    let (found, chosen) = finest(&visit, &id, &asked, ends, until_s - since_s).await?;
    visit
        .looked_at(Some(&id), Some(asked.clone()), route)
        .await?;
    let (resolution, step_s) = chosen;
    let axis = Axis {
        since_s,
        until_s,
        offset_s: 0,
    };
    let is_table = visit.asked("view") == "table";
    let data = list(&found, "data");
    let here = |view: &str| {
        let fields = FIELDS.map(|field| (field, visit.asked(field)));
        let ends = [
            ("since", since.as_str()),
            ("until", until.as_str()),
            ("view", view),
        ];
        query_of(fields.into_iter().chain(ends))
    };
    let stretch = |from: i64, to: i64| {
        let fields = FIELDS.map(|field| (field, visit.asked(field)));
        let (from, to) = (rfc3339(from * 1_000), rfc3339(to * 1_000));
        let ends = [
            ("since", from.as_str()),
            ("until", to.as_str()),
            ("view", visit.asked("view")),
        ];
        query_of(fields.into_iter().chain(ends))
    };
    let other = if is_table {
        ("", "Show as pictures")
    } else {
        ("table", "Show as table")
    };
    let body = html! {
        (tabs(&id, "Series"))
        (form(&visit, &id, &metrics))
        p.note {
            (since.get(..16).unwrap_or_default().replace('T', " ")) " to " (until.get(..16).unwrap_or_default().replace('T', " "))
            " UTC, in buckets of " (resolution) ". Drag over a picture to see less of it more finely, or mark with Shift and the arrow "
            "keys and press Enter. "
            a href={ "?" (here(other.0)) } { (other.1) }
        }
        p.pager {
            @for (name, from, to) in moves(since_s, until_s, visit.now_ms().div_euclid(1_000)) {
                a href={ "?" (stretch(from, to)) } { (name) }
            }
        }
        @for answer in data { (of_metric(answer, axis, step_s, is_table)) }
        @if !text(&found, "next_cursor").is_empty() { p.note { "The rest is too much for one page; choose a shorter time." } }
        (call(&visit, &id, &query_of([
            ("metrics", asked.as_str()), ("since", since.as_str()), ("until", until.as_str()), ("resolution", resolution),
        ])))
    };
    Ok(page(body))
}

/// The samples in the finest resolution that the page has room for, and its width. Unit of times: seconds.
async fn finest(
    visit: &Visit,
    person: &str,
    metrics: &str,
    (since, until): (&str, &str),
    length_s: i64,
) -> Result<(Value, (&'static str, f64)), Failure> {
    let mut found = Value::Null;
    let mut chosen = ("1d", 86_400.0);
    for (resolution, step_s, longest_s) in RESOLUTIONS {
        if length_s > longest_s {
            continue;
        }
        chosen = (resolution, step_s);
        let query = [
            ("metrics", metrics),
            ("since", since),
            ("until", until),
            ("resolution", resolution),
        ];
        let path = "/v1/people/{person}/series";
        found = visit.ask(path, &[("person", person)], &query).await?;
        if points(&found) <= MOST_POINTS {
            break;
        }
    }
    Ok((found, chosen))
}

/// Other stretches of time to look at: beside this one, of half its length and of twice its length. Unit: Unix seconds.
fn moves(since_s: i64, until_s: i64, now_s: i64) -> Vec<(&'static str, i64, i64)> {
    let length = until_s - since_s;
    let quarter = length / 4;
    let mut moves = vec![("← Earlier", since_s - length, since_s)];
    if until_s < now_s {
        moves.push(("Later →", until_s, until_s + length));
    }
    if length >= SHORTEST_S * 2 {
        moves.push(("Closer", since_s + quarter, until_s - quarter));
    }
    if length * 2 <= LONGEST_S {
        moves.push(("Wider", since_s - length / 2, until_s + length / 2));
    }
    moves
}

fn page(body: Markup) -> Reply {
    Reply::Page(Page {
        title: "Series".to_owned(),
        lead: String::new(),
        refresh: false,
        body,
    })
}

fn form(visit: &Visit, person: &str, metrics: &[&str]) -> Markup {
    html! {
        form.row action={ "/console/people/" (person) "/series" } {
            @for (place, field) in FIELDS.iter().enumerate() {
                @let now = metrics.get(place).copied().unwrap_or_default();
                label { "Metric " (place + 1) select name=(field) {
                    @if place > 0 { option value="" { "none" } }
                    @for metric in StreamMetric::all() {
                        option value=(metric.id) selected[metric.id == now] { (label(metric.id)) }
                    }
                } }
            }
            label { "Last day" input type="date" name="day" value=(visit.asked("day")); }
            label { "Length" select name="days" {
                @for (days, name) in LENGTHS { option value=(days) selected[visit.asked("days") == days] { (name) } }
            } }
            button.main { "Show" }
        }
    }
}

/// Number of points of an answer.
fn points(found: &Value) -> usize {
    let series = list(found, "data").iter().flat_map(|it| list(it, "series"));
    series.map(|it| list(it, "t").len()).sum()
}

/// Columns of a series as buckets. Times of the wearer's own clock are moved by the offset.
fn buckets(series: &Value, offset_s: i64) -> Vec<Samples> {
    let shift = if text(series, "basis") == "local" {
        offset_s
    } else {
        0
    };
    let shift = i32::try_from(shift).map_or(0.0, f64::from);
    let number = |name: &str, place: usize| list(series, name).get(place).and_then(Value::as_f64);
    let times = list(series, "t").iter().enumerate();
    let buckets = times.filter_map(|(place, at)| {
        let value = number("mean", place).or_else(|| number("v", place))?;
        let range = number("min", place).zip(number("max", place));
        Some(Samples {
            at_s: at.as_f64()? - shift,
            value,
            range,
        })
    });
    buckets.collect()
}

/// The lines of an answer for one metric, one for each source and basis.
fn lines_of(answer: &Value) -> Vec<Line> {
    let found = samples_of(answer, 0).into_iter().map(|found| {
        let mut name = source(found.source);
        if found.is_local {
            name.push_str(", the wearer's clock");
        }
        Line {
            name,
            buckets: found.buckets,
        }
    });
    found.collect()
}

/// Samples of one source by one clock.
pub(super) struct Found<'a> {
    pub(super) source: &'a Value,
    /// True if the times came without an offset.
    pub(super) is_local: bool,
    pub(super) buckets: Vec<Samples>,
}

/// The samples of an answer for one metric. Times of the wearer's own clock are moved by the offset.
pub(super) fn samples_of(answer: &Value, offset_s: i64) -> Vec<Found<'_>> {
    let sources = answer.get("sources").unwrap_or(&Value::Null);
    let found = list(answer, "series").iter().map(|series| Found {
        source: sources.get(text(series, "source")).unwrap_or(&Value::Null),
        is_local: text(series, "basis") == "local",
        buckets: buckets(series, offset_s),
    });
    found.filter(|it| !it.buckets.is_empty()).collect()
}

/// States over time of a connection, else of the first there is: times in Unix seconds, and states.
pub(super) fn state_of(found: &Value, connection: &str, offset_s: i64) -> Vec<(f64, u8)> {
    let Some(answer) = list(found, "data").first() else {
        return Vec::new();
    };
    let all = list(answer, "series");
    let of_connection = all.iter().find(|series| {
        let source = answer
            .get("sources")
            .and_then(|it| it.get(text(series, "source")));
        source.is_some_and(|source| text(source, "connection") == connection)
    });
    let Some(series) = of_connection.or_else(|| all.first()) else {
        return Vec::new();
    };
    let states = buckets(series, offset_s).into_iter().filter_map(|bucket| {
        let level: u8 = format!("{:.0}", bucket.value).parse().ok()?;
        Some((bucket.at_s, level))
    });
    states.collect()
}

fn of_metric(answer: &Value, axis: Axis, step_s: f64, is_table: bool) -> Markup {
    let metric = answer.get("metric").unwrap_or(&Value::Null);
    let (id, unit) = (text(metric, "id"), text(metric, "unit"));
    let found = lines_of(answer);
    let name = label(id);
    html! {
        section.card {
            h2 { (name) @if !unit.is_empty() { " " span.soft { (unit) } } }
            @if found.is_empty() {
                p.empty { "No sample of this time. Choose another day, or look at the coverage for the days that have data." }
            } @else if is_table {
                (table(&found))
            } @else {
                (lines(&Lines { title: &name, unit, axis, step_s, bars: text(metric, "kind") == "counter", lines: &found }))
            }
        }
    }
}

/// A table of all lines. Each gets the same room, so that none is hidden by one before it.
fn table(found: &[Line]) -> Markup {
    let room = MOST_ROWS / found.len().max(1);
    let rows: usize = found.iter().map(|line| line.buckets.len()).sum();
    let is_cut = found.iter().any(|line| line.buckets.len() > room);
    html! {
        div.wide tabindex="0" { table {
            thead { tr {
                th scope="col" { "Time, UTC" } th scope="col" { "Source" } th.num scope="col" { "Value" }
                th.num scope="col" { "Least" } th.num scope="col" { "Greatest" }
            } }
            tbody { @for line in found { @for bucket in line.buckets.iter().take(room) {
                tr {
                    td.nowrap { (clock(bucket.at_s)) }
                    td { (line.name) }
                    td.num { (decimal(bucket.value)) }
                    td.num { @if let Some((low, _)) = bucket.range { (decimal(low)) } }
                    td.num { @if let Some((_, high)) = bucket.range { (decimal(high)) } }
                }
            } } }
        } }
        @if is_cut { p.note { "These are the first " (room) " rows of each source, of " (rows) " in all; the API below has all of them." } }
    }
}

/// Day and time of a bucket, in UTC.
fn clock(at_s: f64) -> String {
    let at: i64 = format!("{at_s:.0}").parse().unwrap_or_default();
    let text = rfc3339(at.saturating_mul(1_000));
    text.get(..16).unwrap_or_default().replace('T', " ")
}

/// The call of the API that the page shows the answer of.
fn call(visit: &Visit, person: &str, query: &str) -> Markup {
    let scheme = if guard::is_loopback(&visit.host) {
        "http"
    } else {
        "https"
    };
    let address = format!(
        "{scheme}://{}/v1/people/{person}/series?{query}",
        visit.host
    );
    let command = format!("curl -H \"x-api-key: $KEY\" '{address}'");
    html! {
        details { summary { "The same from the API" } pre { (command) } p { button type="button" hidden data-copy=(command) { "Copy" } } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn links_lead_earlier_later_closer_and_wider() {
        let names = |moves: Vec<(&'static str, i64, i64)>| -> Vec<_> {
            moves.into_iter().map(|(name, ..)| name).collect()
        };
        let day = moves(0, DAY_S, 3 * DAY_S);
        assert_eq!(day[2], ("Closer", DAY_S / 4, DAY_S * 3 / 4));
        assert_eq!(day[3], ("Wider", -DAY_S / 2, DAY_S * 3 / 2));
        assert_eq!(names(moves(0, 900, 900)), ["← Earlier", "Wider"]);
        assert_eq!(names(moves(0, LONGEST_S, 900)), ["← Earlier", "Closer"]);
    }

    #[test]
    fn a_table_has_rows_of_every_source() {
        let line = |name: &str, number: i32| Line {
            name: name.to_owned(),
            buckets: (0..number)
                .map(|place| Samples {
                    at_s: f64::from(place) * 60.0,
                    value: 60.0,
                    range: None,
                })
                .collect(),
        };
        let rows = |lines: &[Line], name: &str| table(lines).into_string().matches(name).count();
        let two = [line("GARMIN", 1_000), line("OURA", 1_000)];
        assert_eq!((rows(&two, "GARMIN"), rows(&two, "OURA")), (200, 200));
        let cut = table(&two).into_string();
        assert!(
            cut.contains("the first 200 rows of each source, of 2000"),
            "{cut}"
        );
        let whole = [line("GARMIN", 3), line("OURA", 200)];
        assert_eq!((rows(&whole, "GARMIN"), rows(&whole, "OURA")), (3, 200));
        assert!(!table(&whole).into_string().contains("the first"));
    }

    #[test]
    fn columns_become_lines_with_the_names_of_their_sources() {
        let answer = json!({
            "metric": {"id": "hr_bpm", "unit": "bpm", "kind": "rate"},
            "sources": {"a": {"provider": "GARMIN", "device": "Forerunner 265", "kind": "watch", "connection": "c"},
                        "b": {"provider": "OURA", "device": null, "kind": "ring", "connection": "d"}},
            "series": [
                {"source": "a", "basis": "instant", "t": [0, 60], "mean": [60.5, 61], "min": [58, 60], "max": [62, 63], "n": [2, 2]},
                {"source": "b", "basis": "local", "t": [3600], "v": [70]},
                {"source": "b", "basis": "instant", "t": [], "v": []},
            ],
        });
        let lines = lines_of(&answer);
        let moved = &samples_of(&answer, 3_600)[1].buckets[0];
        assert!(moved.at_s.abs() < 0.1, "{moved:?}");
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(
            names,
            ["GARMIN Forerunner 265", "OURA (ring), the wearer's clock"]
        );
        assert_eq!(lines[0].buckets[0].range, Some((58.0, 62.0)));
        assert_eq!(
            (lines[1].buckets[0].at_s, lines[1].buckets[0].value),
            (3_600.0, 70.0)
        );
        let all = json!({"data": [answer]});
        assert_eq!(points(&all), 3);
        assert_eq!(state_of(&all, "d", 0), [(3_600.0, 70)]);
        assert_eq!(clock(3_600.0), "1970-01-01 01:00");
    }
}
