//! One day on one time axis: measurements, steps, the stages of sleep, activities, meals.

use maud::{Markup, html};

use super::{
    axis::{Axis, Placed},
    hypnogram::{Stage, bars},
    lines::{LEFT, Line, Lines, WIDTH, line_class, marks_and_shapes},
};

/// Something that lasted.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Begin. Unit: Unix seconds.
    pub from_s: f64,
    /// End. Unit: Unix seconds.
    pub to_s: f64,
}

/// Something that happened at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Its name.
    pub name: String,
    /// Its time. Unit: Unix seconds.
    pub at_s: f64,
}

/// A source, which may be switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Name of the source.
    pub name: String,
    /// True if it is drawn.
    pub is_on: bool,
    /// Address of the page with the source switched.
    pub href: String,
}

/// Samples of one metric: a line for each source, in the order of the switches, empty for one that has none or is off.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Name of the metric with its unit.
    pub name: String,
    /// True if values are drawn as bars from zero.
    pub bars: bool,
    /// The sources.
    pub lines: Vec<Line>,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.buckets.is_empty())
    }
}

/// A day.
#[derive(Debug, Clone)]
pub struct Day<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// From midnight to midnight.
    pub axis: Axis,
    /// Width of the buckets. Unit: seconds.
    pub step_s: f64,
    /// All sources.
    pub sources: &'a [Switch],
    /// Samples, one lane below the other; one without samples is left out.
    pub lanes: &'a [Lane],
    /// Stages of sleep.
    pub stages: &'a [Stage],
    /// Activities.
    pub activities: &'a [Span],
    /// Meals.
    pub meals: &'a [Moment],
}

/// Height of the first lane.
const FIRST: i32 = 110;
/// Height of the others.
const OTHER: i32 = 64;
/// Room for the name of a lane.
const NAME: i32 = 18;
/// Room for the second clock.
const SECOND_CLOCK: i32 = 18;

/// Draws the day.
pub fn day(data: &Day<'_>) -> Markup {
    let placed = Placed::across(data.axis, LEFT, WIDTH);
    // Where the wearer's clock is not UTC, both are shown: this one below, that one above.
    let has_two_clocks = data.axis.offset_s != 0;
    let top = if has_two_clocks { SECOND_CLOCK } else { 4 };
    let mut y = top;
    let mut lanes = Vec::new();
    for (place, lane) in data
        .lanes
        .iter()
        .filter(|lane| !lane.is_empty())
        .enumerate()
    {
        let height = if place == 0 { FIRST } else { OTHER };
        lanes.push((lane, y, height));
        y += NAME + height;
    }
    let sleep = y + 6;
    let activity = sleep + 30;
    let meals = activity + 20;
    let bottom = if data.meals.is_empty() {
        activity + 22
    } else {
        meals + 22
    };
    html! {
        figure {
            (switches(data.sources))
            div.wide tabindex="0" {
                svg.big role="img" viewBox={ "0 0 " (WIDTH) " " (bottom + 18) } {
                    title { (data.title) }
                    desc {
                        @for (lane, ..) in &lanes {
                            (lane.name) " of " (lane.lines.iter().filter(|line| !line.buckets.is_empty()).count()) " sources, "
                        }
                        (data.stages.len()) " stages of sleep, " (data.activities.len()) " activities, "
                        (data.meals.len()) " meals"
                    }
                    (placed.marks(f64::from(top), f64::from(bottom)))
                    @if has_two_clocks {
                        (placed.second_clock(f64::from(top)))
                        text x="0" y=(top - 6) { "UTC" }
                        text x="0" y=(bottom + 13) { "Local" }
                    }
                    @for (lane, y, height) in lanes {
                        text.name x=(LEFT) y=(y + 13) { (lane.name) }
                        (marks_and_shapes(
                            &Lines { title: "", unit: "", axis: data.axis, step_s: data.step_s, bars: lane.bars, lines: &lane.lines },
                            &placed,
                            (f64::from(y + NAME), f64::from(height - 6)),
                        ))
                    }
                    text x="0" y=(sleep + 14) { "Sleep" }
                    (bars(data.stages, &placed, sleep, 6))
                    text x="0" y=(activity + 12) { "Activity" }
                    @for span in data.activities {
                        @let (from, to) = (placed.x(span.from_s), placed.x(span.to_s));
                        rect.activity x=(format!("{from:.1}")) y=(activity + 1) width=(format!("{:.1}", (to - from).max(2.0))) height="14" rx="2" {
                            title { (span.name) }
                        }
                    }
                    @if !data.meals.is_empty() {
                        text x="0" y=(meals + 12) { "Meals" }
                        @for meal in data.meals {
                            circle.meal cx=(format!("{:.1}", placed.x(meal.at_s))) cy=(meals + 8) r="5" { title { (meal.name) } }
                        }
                    }
                }
            }
        }
    }
}

/// Names of the sources with the look of their lines; each is a link that switches it.
fn switches(sources: &[Switch]) -> Markup {
    html! {
        @if !sources.is_empty() {
            ul.legend.switches aria-label="Sources in the picture" {
                @for (look, source) in sources.iter().enumerate() {
                    li { a href=(source.href) class=[(!source.is_on).then_some("off")] {
                        svg viewBox="0 0 24 12" aria-hidden="true" {
                            @if source.is_on { path class=(line_class(look)) d="M0 6H24" {} }
                        }
                        (source.name)
                        span.soft { @if source.is_on { " hide" } @else { " show" } }
                    } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{axis::whole, lines::Bucket},
        *,
    };

    #[test]
    fn everything_of_a_day_stands_on_one_axis() {
        let since_s = 1_795_132_800;
        let line = |name: &str, value| Line {
            name: name.to_owned(),
            buckets: vec![Bucket {
                at_s: whole(since_s + 36_000),
                value,
                range: None,
            }],
        };
        let of_metric = |name: &str, bars, value| Lane {
            name: name.to_owned(),
            bars,
            lines: vec![
                line("GARMIN", value),
                Line {
                    name: "OURA".to_owned(),
                    buckets: Vec::new(),
                },
            ],
        };
        let lanes = [
            of_metric("Heart rate, bpm", false, 61.0),
            of_metric("Steps", true, 420.0),
        ];
        let switch = |name: &str, is_on| Switch {
            name: name.to_owned(),
            is_on,
            href: format!("?off={name}"),
        };
        let meals = [Moment {
            name: "Lunch".to_owned(),
            at_s: whole(since_s + 45_000),
        }];
        let stages = [Stage {
            at_s: whole(since_s),
            level: 5,
        }];
        let activities = [Span {
            name: "Run".to_owned(),
            from_s: whole(since_s + 43_200),
            to_s: whole(since_s + 46_800),
        }];
        let drawn = day(&Day {
            title: "20 November",
            axis: Axis {
                since_s,
                until_s: since_s + 86_400,
                offset_s: 3_600,
            },
            step_s: 900.0,
            sources: &[switch("GARMIN", true), switch("OURA", false)],
            lanes: &lanes,
            stages: &stages,
            activities: &activities,
            meals: &meals,
        });
        insta::assert_snapshot!(drawn.into_string());
    }
}
