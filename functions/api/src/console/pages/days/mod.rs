//! One day of a person: a picture on one time axis, and every number with its source and its reason.

mod asked;
mod meals;
mod numbers;
mod picture;
pub(super) mod time;
mod view;

use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};
use serde_json::Value;

use self::{
    asked::{Asked, series},
    meals::{Meal, meals, meals_table},
    numbers::{rows, scores, sessions, table, tile},
    picture::{Drawn, pictures},
    time::at_s,
    view::View,
};
use crate::{
    console::{
        Place, Reply,
        layout::Page,
        pages::{people::tabs, series::FIELDS},
        pictures::Axis,
        visit::Visit,
        words::{hidden, label, list, query_of, text},
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
const DAY_S: i64 = 86_400;
/// Metrics whose samples are drawn, in one call of the API.
const SAMPLED: &str = "hr_bpm,steps,blood_glucose_mg_per_dL,body_temperature_celsius";
/// Metrics that are drawn in the place of others that have no samples.
const INSTEAD: &str = "detailed_blood_glucose_mg_per_dL,skin_temperature_celsius";

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
            (neighbours(&View::of(visit), date, visit.latest_day()))
            section.card { dl { @for name in MAIN { dt { (label(name)) } dd { (hidden()) } } } }
            p { a href={ "/console/people/" (person) "/coverage" } { "Which days have data" } }
        },
    ))
}

async fn day(visit: Visit) -> Result<Reply, Failure> {
    let id = visit.placed("person").to_owned();
    let date = date(&visit)?;
    if !visit.sees_values() {
        return hidden_day(&visit, &id, date).await;
    }
    let latest = visit.latest_day();
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
        (neighbours(&view, date, latest))
        (clock_note(&view, date, offset, drawn.by_wearers_clock))
        @if rows.is_empty() {
            div.card.finding {
                h3 { "○ No record of this day" }
                @if date > latest { p { "It has not begun anywhere." } }
                @else { p { a href={ "/console/people/" (id) "/coverage?to=" (date) } { "The coverage says why" } "." } }
            }
        } @else {
            div.tiles { @for row in rows.iter().filter(|row| MAIN.contains(&row.name.as_str())) { (tile(&id, date, row)) } }
        }
        (pictures(axis, &drawn, &meals_on, &stages, &asked, &view, date))
        (samples_links(&id, axis))
        @if !rows.is_empty() { (table(&id, date, &rows)) }
        @if let Some(day) = day { (scores(day, sources)) }
        (sessions(&asked.activities))
        (meals_table(&meals))
    };
    Ok(page(date, body))
}

/// Links to the samples of the picture, as pictures of their own and as a table.
fn samples_links(person: &str, axis: Axis) -> Markup {
    let (since, until) = (rfc3339(axis.since_s * 1_000), rfc3339(axis.until_s * 1_000));
    let fields = FIELDS.into_iter().zip(SAMPLED.split(','));
    let ends = [("since", since.as_str()), ("until", until.as_str())];
    let query: Vec<_> = fields.chain(ends).collect();
    let table = query.iter().copied().chain([("view", "table")]);
    let series = format!("/console/people/{person}/series?");
    html! {
        p.pager {
            a href={ (series) (query_of(query.iter().copied())) } { "Samples of this day" }
            a href={ (series) (query_of(table)) } { "Samples as a table" }
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

/// Links to the days before and after, up to the latest, and a form for any other.
fn neighbours(view: &View, date: Date, latest: Date) -> Markup {
    let (before, after) = (date.saturating_sub(1.day()), date.saturating_add(1.day()));
    html! {
        form.row.days action={ "/console/people/" (view.person) "/days" } {
            a href=(view.href(before)) rel="prev" { "← " (before) }
            label { "Day" input type="date" name="day" value=(date) max=(latest); }
            @if !view.off.is_empty() { input type="hidden" name="off" value=(view.off.join(",")); }
            button { "Show" }
            @if after <= latest { a href=(view.href(after)) rel="next" { (after) " →" } }
        }
    }
}

fn offset_text(offset_s: i64) -> String {
    let sign = if offset_s < 0 { '−' } else { '+' };
    let minutes = offset_s.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_written_with_its_sign() {
        assert_eq!(offset_text(-19_800), "−05:30");
    }
}
