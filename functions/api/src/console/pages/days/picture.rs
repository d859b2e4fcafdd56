//! The picture of a day: samples, stages, activities and meals on one time axis.

use jiff::civil::Date;
use maud::{Markup, html};
use serde_json::Value;

use super::{
    asked::Asked,
    numbers::name_of,
    time::{at_s, float},
    view::View,
};
use crate::console::{
    pages::series::{samples_of, state_of},
    pictures::{
        Axis, Day, Hypnogram, Lane, Line, Moment, Span, Stage, Switch, day as picture, hypnogram,
    },
    words::{list, source, text},
};

/// Width of the picture's buckets. Unit: seconds.
const STEP_S: f64 = 900.0;
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
/// Samples of a day, sorted by source.
pub(super) struct Drawn {
    pub(super) lanes: Vec<Lane>,
    pub(super) switches: Vec<Switch>,
    /// Names of sources whose times came without an offset.
    pub(super) by_wearers_clock: usize,
}

impl Drawn {
    pub(super) fn of(answers: [&Value; 2], axis: Axis, view: &View, date: Date) -> Self {
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

pub(super) fn pictures(
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
