//! One day on one time axis: heart rate, steps, the stages of sleep, activities.

use maud::{Markup, html};

use super::{
    axis::{Axis, Placed},
    hypnogram::{Stage, bars},
    lines::{LEFT, Line, Lines, WIDTH, legend, marks_and_shapes},
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

/// A day.
#[derive(Debug, Clone)]
pub struct Day<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// From midnight to midnight.
    pub axis: Axis,
    /// Width of the buckets. Unit: seconds.
    pub step_s: f64,
    /// Heart rate per source.
    pub heart: &'a [Line],
    /// Steps per source.
    pub steps: &'a [Line],
    /// Stages of sleep.
    pub stages: &'a [Stage],
    /// Activities.
    pub activities: &'a [Span],
}

/// Height of the heart rate.
const HEART: f64 = 110.0;
/// Top of the steps.
const STEPS: f64 = 130.0;
/// Top of sleep and activities.
const SPANS: i32 = 222;
const BOTTOM: i32 = 272;

/// Draws the day.
pub fn day(data: &Day<'_>) -> Markup {
    let placed = Placed::across(data.axis, LEFT, WIDTH);
    let lane = |bars: bool, lines| Lines {
        title: "",
        unit: "",
        axis: data.axis,
        step_s: data.step_s,
        bars,
        lines,
    };
    html! {
        figure {
            div.wide tabindex="0" {
                svg.big role="img" viewBox={ "0 0 " (WIDTH) " " (BOTTOM + 18) } {
                    title { (data.title) }
                    desc {
                        "Heart rate of " (data.heart.len()) " sources, steps of " (data.steps.len())
                        ", " (data.stages.len()) " stages of sleep, " (data.activities.len()) " activities"
                    }
                    (placed.marks(4.0, f64::from(BOTTOM)))
                    @if !data.heart.is_empty() { (marks_and_shapes(&lane(false, data.heart), &placed, (8.0, HEART))) }
                    @if !data.steps.is_empty() { (marks_and_shapes(&lane(true, data.steps), &placed, (STEPS, 80.0))) }
                    text x="0" y=(SPANS + 14) { "Sleep" }
                    (bars(data.stages, &placed, SPANS, 6))
                    text x="0" y=(SPANS + 42) { "Activity" }
                    @for span in data.activities {
                        @let (from, to) = (placed.x(span.from_s), placed.x(span.to_s));
                        rect.activity x=(format!("{from:.1}")) y=(SPANS + 31) width=(format!("{:.1}", (to - from).max(2.0))) height="14" rx="2" {
                            title { (span.name) }
                        }
                    }
                }
            }
            @if !data.heart.is_empty() { p.note { "Heart rate, bpm" } (legend(data.heart, false)) }
            @if !data.steps.is_empty() { p.note { "Steps in each quarter of an hour" } (legend(data.steps, true)) }
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
        let (heart, steps) = ([line("GARMIN", 61.0)], [line("GARMIN", 420.0)]);
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
                offset_s: 0,
            },
            step_s: 900.0,
            heart: &heart,
            steps: &steps,
            stages: &stages,
            activities: &activities,
        });
        insta::assert_snapshot!(drawn.into_string());
    }
}
