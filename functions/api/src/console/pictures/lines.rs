//! Samples of one metric over time: a line or bars for each source.

use maud::{Markup, html};

use super::axis::{Axis, Placed, Scale};

/// A bucket of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Begin. Unit: Unix seconds.
    pub at_s: f64,
    /// Mean, sum or value.
    pub value: f64,
    /// Least and greatest sample, where the bucket has several.
    pub range: Option<(f64, f64)>,
}

/// Samples of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Name of the source.
    pub name: String,
    /// Buckets in the order of time.
    pub buckets: Vec<Bucket>,
}

/// Samples of one metric.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// Unit of the values; empty where they have none.
    pub unit: &'a str,
    /// The time that is shown.
    pub axis: Axis,
    /// Width of a bucket; more than two of them without a sample are a gap. Unit: seconds.
    pub step_s: f64,
    /// True if values are drawn as bars from zero.
    pub bars: bool,
    /// The sources.
    pub lines: &'a [Line],
}

pub(super) const LEFT: f64 = 52.0;
pub(super) const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 170.0;

/// Draws the samples, with a legend of the sources.
pub fn lines(data: &Lines<'_>) -> Markup {
    let placed = Placed::across(data.axis, LEFT, WIDTH);
    let points: usize = data.lines.iter().map(|line| line.buckets.len()).sum();
    let Axis {
        since_s, until_s, ..
    } = data.axis;
    html! {
        figure {
            div.wide tabindex="0" {
                svg.big role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 30.0) } data-since=(since_s) data-until=(until_s) data-left=(LEFT) data-width=(placed.width) {
                    title { (data.title) @if !data.unit.is_empty() { ", in " (data.unit) } }
                    desc { (points) " points of " (data.lines.len()) " sources" }
                    (placed.marks(8.0, HEIGHT + 8.0))
                    (marks_and_shapes(data, &placed, (8.0, HEIGHT)))
                }
            }
            (legend(data.lines, data.bars))
        }
    }
}

/// The scale and the samples of one metric, at a height of a picture.
pub(super) fn marks_and_shapes(data: &Lines<'_>, placed: &Placed, place: (f64, f64)) -> Markup {
    let values = data.lines.iter().flat_map(|line| &line.buckets);
    let values = values.flat_map(|bucket| {
        let (low, high) = bucket.range.unwrap_or((bucket.value, bucket.value));
        [bucket.value, low, high]
    });
    let scale = Scale::of(values, data.bars, place);
    // A line without samples keeps its look for itself, and takes no room.
    let drawn: Vec<_> = (0..)
        .zip(data.lines)
        .filter(|(_, line)| !line.buckets.is_empty())
        .collect();
    let count = u32::try_from(drawn.len().max(1)).unwrap_or(u32::MAX);
    html! {
        (scale.marks(placed.left, placed.left + placed.width))
        @for (place, (look, line)) in (0_u32..).zip(drawn) {
            @if data.bars {
                (bars(line, look, (place, count), data.step_s, placed, &scale))
            } @else {
                @if count == 1 { (band(line, data.step_s, placed, &scale)) }
                path class=(line_class(look)) d=(path(&line.buckets, data.step_s, placed, &scale)) {}
            }
        }
    }
}

/// Looks that there are; a line beyond them is thick.
const LOOKS: usize = 7;

/// Classes of the line of a source.
pub(super) fn line_class(look: usize) -> String {
    format!("line l{}{}", look % LOOKS + 1, again(look))
}

/// Classes of the bars of a source.
fn bar_class(look: usize) -> String {
    format!("b{}{}", look % LOOKS + 1, again(look))
}

const fn again(look: usize) -> &'static str {
    if look < LOOKS { "" } else { " again" }
}

/// Names of sources with the look of their lines.
pub(super) fn legend(lines: &[Line], bars: bool) -> Markup {
    html! {
        ul.legend {
            @for (index, line) in lines.iter().enumerate() {
                li {
                    svg viewBox="0 0 24 12" aria-hidden="true" {
                        @if bars { rect class=(bar_class(index)) x="4" width="16" height="12" rx="2" {} }
                        @else { path class=(line_class(index)) d="M0 6H24" {} }
                    }
                    (line.name)
                }
            }
        }
    }
}

/// Buckets without a gap between them.
fn parts(buckets: &[Bucket], step_s: f64) -> impl Iterator<Item = &[Bucket]> {
    buckets.chunk_by(move |one, next| next.at_s - one.at_s <= step_s * 2.5)
}

fn path(buckets: &[Bucket], step_s: f64, placed: &Placed, scale: &Scale) -> String {
    let mut path = Vec::new();
    for part in parts(buckets, step_s) {
        for (place, bucket) in part.iter().enumerate() {
            let (x, y) = (placed.x(bucket.at_s + step_s / 2.0), scale.y(bucket.value));
            let verb = if place == 0 { 'M' } else { 'L' };
            path.push(format!("{verb}{x:.1} {y:.1}"));
        }
        // A bucket alone is a dot: a line without length, with round ends.
        if part.len() == 1 {
            path.push("h0".to_owned());
        }
    }
    path.concat()
}

/// The least and greatest samples as an area behind the line.
fn band(line: &Line, step_s: f64, placed: &Placed, scale: &Scale) -> Markup {
    let mut path = Vec::new();
    for part in parts(&line.buckets, step_s) {
        let at = |bucket: &Bucket| placed.x(bucket.at_s + step_s / 2.0);
        let ranges = || part.iter().filter_map(|it| Some((at(it), it.range?)));
        if ranges().count() < 2 {
            continue;
        }
        for (place, (x, (_, high))) in ranges().enumerate() {
            let verb = if place == 0 { 'M' } else { 'L' };
            path.push(format!("{verb}{x:.1} {:.1}", scale.y(high)));
        }
        for (x, (low, _)) in ranges().collect::<Vec<_>>().into_iter().rev() {
            path.push(format!("L{x:.1} {:.1}", scale.y(low)));
        }
        path.push("Z".to_owned());
    }
    html! { @if !path.is_empty() { path.band d=(path.concat()) {} } }
}

fn bars(
    line: &Line,
    look: usize,
    (index, count): (u32, u32),
    step_s: f64,
    placed: &Placed,
    scale: &Scale,
) -> Markup {
    let mut path = Vec::new();
    let base = scale.y(0.0);
    for bucket in line.buckets.iter().filter(|it| it.value > 0.0) {
        let (from, to) = (placed.x(bucket.at_s), placed.x(bucket.at_s + step_s));
        let width = (to - from) * 0.9 / f64::from(count);
        let x = from + (to - from) * 0.05 + width * f64::from(index);
        let y = scale.y(bucket.value);
        path.push(format!("M{x:.1} {base:.1}V{y:.1}h{width:.1}V{base:.1}Z"));
    }
    html! { path class=(bar_class(look)) d=(path.concat()) {} }
}

#[cfg(test)]
mod tests {
    use super::{super::axis::whole, *};

    const DAY: Axis = Axis {
        since_s: 1_795_132_800,
        until_s: 1_795_219_200,
        offset_s: 0,
    };

    fn line(name: &str, values: &[(i64, f64, f64)]) -> Line {
        let buckets = values.iter().map(|(after, value, spread)| Bucket {
            at_s: whole(DAY.since_s + after),
            value: *value,
            range: (*spread > 0.0).then_some((value - spread, value + spread)),
        });
        Line {
            name: name.to_owned(),
            buckets: buckets.collect(),
        }
    }

    #[test]
    fn fourteen_sources_look_different() {
        let classes = (0..14).flat_map(|look| [line_class(look), bar_class(look)]);
        let different: std::collections::BTreeSet<_> = classes.collect();
        assert_eq!(different.len(), 28);
    }

    fn drawn(bars: bool, given: &[Line]) -> String {
        lines(&Lines {
            title: "Heart rate",
            unit: "bpm",
            axis: DAY,
            step_s: 3_600.0,
            bars,
            lines: given,
        })
        .into_string()
    }

    #[test]
    fn a_line_has_a_band_and_a_gap_where_nothing_was_measured() {
        let line = line(
            "GARMIN",
            &[(0, 60.0, 5.0), (3_600, 70.0, 5.0), (36_000, 80.0, 0.0)],
        );
        insta::assert_snapshot!(drawn(false, &[line]));
    }

    #[test]
    fn bars_of_two_sources_stand_side_by_side() {
        let one = line("GARMIN", &[(0, 600.0, 0.0), (3_600, 0.0, 0.0)]);
        let other = line("OURA", &[(0, 300.0, 0.0)]);
        insta::assert_snapshot!(drawn(true, &[one, other]));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let drawn = drawn(false, &[]);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
}
