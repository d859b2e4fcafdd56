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
            series::{samples_of, state_of},
        },
        pictures::{
            Axis, Day, Hypnogram, Lane, Line, Moment, Span, Stage, Switch, day as picture,
            hypnogram,
        },
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
/// Metrics whose samples are drawn, in one call of the API.
const SAMPLED: &str = "hr_bpm,steps,blood_glucose_mg_per_dL,body_temperature_celsius";
/// Metrics that are drawn in the place of others that have no samples.
const INSTEAD: &str = "detailed_blood_glucose_mg_per_dL,skin_temperature_celsius";
/// Lanes of the picture: name, bars or lines, and the metrics of which the first with samples is drawn.
const LANES: [(&str, bool, &[&str]); 4] = [
    ("Heart rate, bpm", false, &["hr_bpm"]),
    ("Steps in each quarter of an hour", true, &["steps"]),
    (
        "Glucose, mg/dL",
        false,
        &[
            "blood_glucose_mg_per_dL",
            "detailed_blood_glucose_mg_per_dL",
        ],
    ),
    (
        "Temperature, °C",
        false,
        &["body_temperature_celsius", "skin_temperature_celsius"],
    ),
];
/// Meals that a page has room for.
const MOST_MEALS: usize = 40;
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
    let off = query_of([("off", visit.asked("off"))]);
    let off = if off.is_empty() {
        off
    } else {
        format!("?{off}")
    };
    let to_day = |day: &str| Ok(Reply::See(format!("/console/people/{id}/days/{day}{off}")));
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
            (neighbours(&View::of(visit), date))
            section.card { dl { @for name in MAIN { dt { (label(name)) } dd { (hidden()) } } } }
            p { a href={ "/console/people/" (person) "/coverage" } { "Which days have data" } }
        },
    ))
}

/// The API's answers about a day.
struct Asked {
    days: Value,
    nights: Value,
    activities: Value,
    daily: Value,
    nutrition: Value,
}

impl Asked {
    async fn of(visit: &Visit, person: &str, date: Date) -> Result<Self, Failure> {
        let place = [("person", person)];
        let date = date.to_string();
        let only = |more: &[(&'static str, &'static str)]| {
            let mut query = vec![("from", date.as_str()), ("to", date.as_str())];
            query.extend_from_slice(more);
            query
        };
        let mut days_query = only(&[("include", "others")]);
        days_query.push(("prefer", visit.asked("prefer")));
        let (nights_query, activities_query) = (
            only(&[("type", "sleep")]),
            only(&[("type", "activity"), ("limit", "50")]),
        );
        let (daily_query, nutrition_query) = (
            only(&[("type", "daily"), ("limit", "4")]),
            only(&[
                ("type", "nutrition"),
                ("include", "payload"),
                ("limit", "4"),
            ]),
        );
        let (days, nights, activities, daily, nutrition) = futures::try_join!(
            visit.ask("/v1/people/{person}/days", &place, &days_query),
            visit.ask("/v1/people/{person}/sessions", &place, &nights_query),
            visit.ask("/v1/people/{person}/sessions", &place, &activities_query),
            visit.ask("/v1/people/{person}/records", &place, &daily_query),
            visit.ask("/v1/people/{person}/records", &place, &nutrition_query),
        )?;
        Ok(Self {
            days,
            nights,
            activities,
            daily,
            nutrition,
        })
    }

    /// Offset of the wearer's clock, from the first time that has one. Unit: seconds.
    fn offset_s(&self) -> Option<i64> {
        let mut starts = list(&self.daily, "data")
            .iter()
            .chain(list(&self.activities, "data"))
            .chain(list(&self.nights, "data"));
        starts.find_map(|it| offset_s(text(it, "start_time")))
    }
}

/// The parameters of a day: the preference that it is shown by, and the connections that are not drawn.
struct View {
    person: String,
    prefer: String,
    off: Vec<String>,
}

impl View {
    fn of(visit: &Visit) -> Self {
        let off = visit.asked("off").split(',');
        Self {
            person: visit.placed("person").to_owned(),
            prefer: visit.asked("prefer").to_owned(),
            off: off.filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        }
    }

    /// Address of a day that is shown in the same way.
    fn href(&self, day: Date) -> String {
        self.with(day, &self.off)
    }

    fn with(&self, day: Date, off: &[String]) -> String {
        let off = off.join(",");
        let query = query_of([("prefer", self.prefer.as_str()), ("off", off.as_str())]);
        let path = format!("/console/people/{}/days/{day}", self.person);
        if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        }
    }

    fn is_on(&self, connection: &str) -> bool {
        !self.off.iter().any(|off| off == connection)
    }

    /// Address of the day with one connection switched.
    fn switched(&self, day: Date, connection: &str) -> String {
        let mut off = self.off.clone();
        if self.is_on(connection) {
            off.push(connection.to_owned());
        } else {
            off.retain(|known| known != connection);
        }
        self.with(day, &off)
    }
}

async fn day(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let date = date(&visit)?;
    if !visit.sees_values() {
        return hidden_day(&visit, &id, date).await;
    }
    let view = View::of(&visit);
    let asked = Box::pin(Asked::of(&visit, &id, date)).await?;
    visit
        .looked_at(Some(&id), Some(date.to_string()), ROUTE)
        .await?;
    let offset = asked.offset_s();
    let midnight = at_s(&format!("{date}T00:00:00Z")).unwrap_or_default();
    let since_s = midnight - offset.unwrap_or_default();
    let axis = Axis {
        since_s,
        until_s: since_s + DAY_S,
        offset_s: offset.unwrap_or_default(),
    };
    let (samples, more, stages) = futures::try_join!(
        series(&visit, &id, SAMPLED, "15m", (axis.since_s, axis.until_s)),
        series(&visit, &id, INSTEAD, "15m", (axis.since_s, axis.until_s)),
        series(
            &visit,
            &id,
            "sleep_level",
            "raw",
            (axis.since_s - DAY_S, axis.until_s)
        ),
    )?;
    let meals = meals(&asked.nutrition, axis.offset_s);
    let day = list(&asked.days, "data").first();
    let sources = asked.days.get("sources").unwrap_or(&Value::Null);
    let rows = day.map(|day| rows(day, sources)).unwrap_or_default();
    let drawn = Drawn::of([&samples, &more], axis, &view, date);
    let meals_on: Vec<_> = meals
        .iter()
        .filter(|meal| view.is_on(&meal.connection))
        .map(Meal::moment)
        .collect();
    let body = html! {
        (tabs(&id, "Day"))
        (neighbours(&view, date))
        (clock_note(&view, date, offset, drawn.by_wearers_clock))
        @if rows.is_empty() {
            div.card.finding {
                h3 { "○ No record of this day" }
                p { a href={ "/console/people/" (id) "/coverage?to=" (date) } { "The coverage says why" } "." }
            }
        } @else {
            div.tiles { @for row in rows.iter().filter(|row| MAIN.contains(&row.name.as_str())) { (tile(&id, date, row)) } }
        }
        (pictures(axis, &drawn, &meals_on, &stages, &asked, &view, date))
        @if !rows.is_empty() { (table(&id, date, &rows)) }
        @if let Some(day) = day { (scores(day, sources)) }
        (sessions(&asked.activities))
        (meals_table(&meals))
        p.note { a href={ "/console/people/" (id) "/series?" (query_of([("day", date.to_string().as_str())])) } { "Samples of this day" } }
    };
    Ok(page(date, body))
}

/// A meal: everything that was eaten at one time.
struct Meal {
    connection: String,
    record: String,
    provider: String,
    /// Unit: Unix seconds.
    at_s: i64,
    clock: String,
    foods: Vec<String>,
    kcal: f64,
}

impl Meal {
    fn moment(&self) -> Moment {
        let kcal = value("calories", &self.kcal.round().into());
        Moment {
            name: format!("{} {}, {kcal}", self.clock, self.foods.join(", ")),
            at_s: float(self.at_s),
        }
    }
}

/// The meals of a day: their times stand in the records' payloads alone.
fn meals(nutrition: &Value, offset_s: i64) -> Vec<Meal> {
    let mut meals: Vec<Meal> = Vec::new();
    for record in list(nutrition, "data") {
        let name = record.get("id").unwrap_or(&Value::Null);
        let (connection, key) = (text(name, "connection"), text(name, "key"));
        let payload = record.get("payload").unwrap_or(&Value::Null);
        for food in list(payload, "meals") {
            let time = text(food, "timestamp");
            let Some(at_s) = at_s(time) else { continue };
            // Without an offset it is the wearer's clock.
            let shift = moment(time).map_or(offset_s, |_| 0);
            let at_s = at_s - shift;
            let macros = food.get("macros").unwrap_or(&Value::Null);
            let kcal = macros.get("calories").and_then(Value::as_f64);
            let food = text(food, "name").to_owned();
            let same = |meal: &&mut Meal| meal.at_s == at_s && meal.connection == connection;
            if let Some(meal) = meals.iter_mut().find(same) {
                meal.foods.push(food);
                meal.kcal += kcal.unwrap_or_default();
            } else {
                meals.push(Meal {
                    connection: connection.to_owned(),
                    record: format!("/console/records/{connection}/nutrition/{key}"),
                    provider: text(record, "provider").to_owned(),
                    at_s,
                    clock: time.get(11..16).unwrap_or_default().to_owned(),
                    foods: vec![food],
                    kcal: kcal.unwrap_or_default(),
                });
            }
        }
    }
    meals.sort_by_key(|meal| meal.at_s);
    meals.truncate(MOST_MEALS);
    meals
}

fn meals_table(meals: &[Meal]) -> Markup {
    html! {
        @if !meals.is_empty() {
            section.card {
                h2 { "Meals" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Time" } th.num scope="col" { "Energy" } th scope="col" { "Foods" } th scope="col" { "Source" } } }
                    tbody { @for meal in meals { tr {
                        td.nowrap { a href=(meal.record) { (meal.clock) } }
                        td.num { (value("calories", &meal.kcal.round().into())) }
                        td.any { (meal.foods.join(", ")) }
                        td { span.chip { (meal.provider) } }
                    } } }
                } }
            }
        }
    }
}

/// Samples of a day, sorted by source.
struct Drawn {
    lanes: Vec<Lane>,
    switches: Vec<Switch>,
    /// Names of sources whose times came without an offset.
    by_wearers_clock: usize,
}

impl Drawn {
    fn of(answers: [&Value; 2], axis: Axis, view: &View, date: Date) -> Self {
        let metric = |id: &str| {
            let all = answers.iter().flat_map(|answer| list(answer, "data"));
            let found = all
                .clone()
                .find(|it| text(it.get("metric").unwrap_or(&Value::Null), "id") == id);
            found
                .map(|it| samples_of(it, axis.offset_s))
                .unwrap_or_default()
        };
        // Connections in the order of their first samples; the name with the device says most.
        let mut known_sources: Vec<(String, String)> = Vec::new();
        let mut local: Vec<String> = Vec::new();
        let mut lanes = Vec::new();
        for (name, is_bars, ids) in LANES {
            let found = ids
                .iter()
                .map(|id| metric(id))
                .find(|found| !found.is_empty());
            let found = found.unwrap_or_default();
            for it in &found {
                let connection = text(it.source, "connection");
                let told = source(it.source);
                match known_sources
                    .iter_mut()
                    .find(|(known, _)| known == connection)
                {
                    Some((_, known)) if !text(it.source, "device").is_empty() => *known = told,
                    Some(_) => {}
                    None => known_sources.push((connection.to_owned(), told)),
                }
                if it.is_local && !local.iter().any(|known| known == connection) {
                    local.push(connection.to_owned());
                }
            }
            lanes.push((name, is_bars, found));
        }
        let lanes = lanes.into_iter().map(|(name, bars, mut taken)| {
            let drawn = known_sources.iter().map(|(connection, name)| {
                let of_source = taken
                    .iter_mut()
                    .filter(|it| text(it.source, "connection") == connection)
                    .filter(|_| view.is_on(connection));
                let mut buckets: Vec<_> = of_source
                    .flat_map(|it| std::mem::take(&mut it.buckets))
                    .collect();
                buckets.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
                Line {
                    name: name.clone(),
                    buckets,
                }
            });
            Lane {
                name: name.to_owned(),
                bars,
                lines: drawn.collect(),
            }
        });
        let lanes: Vec<_> = lanes.collect();
        let switches = known_sources.iter().map(|(connection, name)| Switch {
            name: name.clone(),
            is_on: view.is_on(connection),
            href: view.switched(date, connection),
        });
        Self {
            switches: switches.collect(),
            lanes,
            by_wearers_clock: local.len(),
        }
    }
}

/// The clocks of the picture, and whose preference the day is shown by.
fn clock_note(view: &View, date: Date, offset: Option<i64>, by_wearers_clock: usize) -> Markup {
    html! {
        p.note {
            @match offset {
                Some(0) => { "Local time of the wearer is UTC, as Terra gave it." }
                Some(offset) => { "Local time of the wearer, UTC" (offset_text(offset)) ", as Terra gave it; UTC stands above the picture." }
                None => { "No offset given: times are read as UTC." }
            }
            @if by_wearers_clock > 0 {
                " Samples of " (by_wearers_clock) (if by_wearers_clock == 1 { " source" } else { " sources" })
                " came without an offset and are drawn by the wearer's clock."
            }
            @if !view.prefer.is_empty() {
                " Shown as if " b { (view.prefer) } " were preferred. "
                a href={ "/console/people/" (view.person) "/days/" (date) } { "As it is" }
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

fn neighbours(view: &View, date: Date) -> Markup {
    let (before, after) = (date.saturating_sub(1.day()), date.saturating_add(1.day()));
    html! {
        form.row.days action={ "/console/people/" (view.person) "/days" } {
            a href=(view.href(before)) rel="prev" { "← " (before) }
            label { "Day" input type="date" name="day" value=(date); }
            @if !view.off.is_empty() { input type="hidden" name="off" value=(view.off.join(",")); }
            button { "Show" }
            a href=(view.href(after)) rel="next" { (after) " →" }
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
    drawn: &Drawn,
    meals: &[Moment],
    stages: &Value,
    asked: &Asked,
    view: &View,
    date: Date,
) -> Markup {
    let night = list(&asked.nights, "data")
        .iter()
        .find(|it| it.get("main").and_then(Value::as_bool) == Some(true));
    let connection_of = |it: &Value| {
        let record = it.get("record").unwrap_or(&Value::Null);
        text(record, "connection").to_owned()
    };
    let connection = night.map(connection_of).unwrap_or_default();
    let stages = state_of(stages, &connection, axis.offset_s);
    let stages: Vec<_> = stages
        .into_iter()
        .map(|(at_s, level)| Stage { at_s, level })
        .collect();
    let times = |it: &Value| Some((at_s(text(it, "start_time"))?, at_s(text(it, "end_time"))?));
    let activities = list(&asked.activities, "data").iter();
    let shown = activities.filter(|activity| view.is_on(&connection_of(activity)));
    let spans = shown.filter_map(|activity| {
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
    let is_empty = drawn.switches.is_empty()
        && of_day.is_empty()
        && list(&asked.activities, "data").is_empty()
        && list(&asked.nutrition, "data").is_empty();
    html! {
        @if !is_empty {
            section.card {
                h2 { "24 hours" }
                (picture(&Day {
                    title: &title, axis, step_s: STEP_S, sources: &drawn.switches, lanes: &drawn.lanes,
                    stages: &until_up, activities: &spans, meals,
                }))
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
