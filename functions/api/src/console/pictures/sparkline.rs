//! A line of one number over a few days, with a table of the same behind it.

use maud::{Markup, html};

/// A number of one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The day, as it is written.
    pub day: String,
    /// The number; `None` where there is none, which is not zero.
    pub value: Option<f64>,
    /// The number as people read it.
    pub shown: String,
}

/// Days of one number, in order.
#[derive(Debug, Clone)]
pub struct Sparkline<'a> {
    /// Name of the number.
    pub title: &'a str,
    /// The days.
    pub points: &'a [Point],
}

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 40.0;
const MARGIN: f64 = 5.0;

/// Draws a line that has a gap where a day has no number.
pub fn sparkline(data: &Sparkline<'_>) -> Markup {
    let values = || data.points.iter().filter_map(|point| point.value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let known = values().count();
    let steps = u32::try_from(data.points.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let step = (WIDTH - 2.0 * MARGIN) / f64::from(steps.max(1));
    let y = |value: f64| {
        if high > low {
            HEIGHT - MARGIN - (value - low) / (high - low) * (HEIGHT - 2.0 * MARGIN)
        } else {
            HEIGHT / 2.0
        }
    };
    let mut x = MARGIN;
    let mut path = Vec::new();
    let mut dots = Vec::new();
    let mut is_drawing = false;
    for point in data.points {
        if let Some(value) = point.value {
            let y = y(value);
            let verb = if is_drawing { 'L' } else { 'M' };
            path.push(format!("{verb}{x:.1} {y:.1}"));
            dots.push((x, y));
        }
        is_drawing = point.value.is_some();
        x += step;
    }
    html! {
        figure {
            svg.spark role="img" viewBox="0 0 240 40" {
                title { (data.title) }
                desc { (known) " of " (data.points.len()) " days have a value" }
                path.line d=(path.concat()) {}
                @for (x, y) in dots {
                    circle.dot cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.5" {}
                }
            }
            details {
                summary { "Show as table" }
                table {
                    thead { tr { th scope="col" { "Day" } th.num scope="col" { (data.title) } } }
                    tbody {
                        @for point in data.points {
                            tr { th scope="row" { (point.day) } td.num { (point.shown) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<f64>]) -> String {
        let points: Vec<_> = values
            .iter()
            .zip(1..)
            .map(|(value, day)| Point {
                day: format!("2026-11-0{day}"),
                value: *value,
                shown: value.map_or_else(|| "–".to_owned(), |value| value.to_string()),
            })
            .collect();
        let title = "Steps";
        sparkline(&Sparkline {
            title,
            points: &points,
        })
        .into_string()
    }

    #[test]
    fn a_day_without_a_value_is_a_gap_and_not_a_zero() {
        let drawn = drawn(&[Some(10.0), None, Some(30.0), Some(20.0)]);
        assert!(
            drawn.contains(r#"d="M5.0 35.0M158.3 5.0L235.0 20.0""#),
            "{drawn}"
        );
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert!(drawn.contains("3 of 4 days have a value"));
        insta::assert_snapshot!(drawn);
    }

    #[test]
    fn values_that_do_not_differ_lie_in_the_middle() {
        assert!(drawn(&[Some(7.0), Some(7.0)]).contains("M5.0 20.0L235.0 20.0"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let drawn = drawn(&[]);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert!(!drawn.contains("<circle"));
    }
}
