//! Axes: places of times and values in a picture, and the marks beside them.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::console::words::decimal;

/// Most marks of a time axis.
const MOST_TICKS: i64 = 8;
/// Distances between marks of time, from the smallest. Unit: seconds.
const STEPS_S: [i64; 9] = [
    900, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000, 7_776_000,
];
const DAY_S: i64 = 86_400;

/// A number as a float, where it is small enough to be one exactly; else the largest that is.
pub(super) fn float(number: i64) -> f64 {
    i32::try_from(number).map_or(f64::from(i32::MAX), f64::from)
}

/// A stretch of time across a picture.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Start. Unit: Unix seconds.
    pub since_s: i64,
    /// End. Unit: Unix seconds.
    pub until_s: i64,
    /// Offset of the clock that the marks show. Unit: seconds.
    pub offset_s: i64,
}

/// Place of an axis in its picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) axis: Axis,
    pub(super) left: f64,
    pub(super) width: f64,
}

impl Placed {
    /// The axis from `left` to the right end of a picture, but for a margin.
    pub(super) fn across(axis: Axis, left: f64, picture_width: f64) -> Self {
        Self {
            axis,
            left,
            width: picture_width - left - 8.0,
        }
    }

    /// Place of a time. Unit of time: Unix seconds.
    pub(super) fn x(&self, at_s: f64) -> f64 {
        let Axis {
            since_s, until_s, ..
        } = self.axis;
        let span = float((until_s - since_s).max(1));
        // The whole seconds of today do not fit into a float's whole numbers of 32 bits; their distance does.
        let after = at_s - whole(since_s);
        self.left + (after / span).clamp(0.0, 1.0) * self.width
    }

    /// Marks of time with lines from top to bottom.
    pub(super) fn marks(&self, top: f64, bottom: f64) -> Markup {
        html! {
            @for (x, at, step) in self.ticks() {
                line.tick x1=(x) x2=(x) y1=(top) y2=(bottom) {}
                text x=(x) y=(bottom + 13.0) text-anchor=(self.anchor(at)) { (label(at + self.axis.offset_s, step)) }
            }
        }
    }

    /// The times of the marks by UTC, above them.
    pub(super) fn second_clock(&self, top: f64) -> Markup {
        html! {
            @for (x, at, step) in self.ticks() {
                text x=(x) y=(top - 6.0) text-anchor=(self.anchor(at)) { (label(at, step)) }
            }
        }
    }

    /// Part of its text that stands at a mark: the end at the right end of the picture, which would cut it off.
    fn anchor(&self, at_s: i64) -> &'static str {
        if at_s == self.axis.until_s {
            "end"
        } else {
            "middle"
        }
    }

    /// Place, time and distance of the marks.
    fn ticks(&self) -> Vec<(String, i64, i64)> {
        let Axis {
            since_s,
            until_s,
            offset_s,
        } = self.axis;
        let fits = |step: &&i64| (until_s - since_s) / **step <= MOST_TICKS;
        let step = STEPS_S.iter().find(fits).copied().unwrap_or(7_776_000);
        let first = (since_s + offset_s).div_euclid(step) * step - offset_s;
        let ticks = (0..=MOST_TICKS + 1).map(|tick| first + tick * step);
        let ticks = ticks.filter(|at| (since_s..=until_s).contains(at));
        ticks
            .map(|at| (format!("{:.1}", self.x(whole(at))), at, step))
            .collect()
    }
}

/// A time beside a mark: hours, or the day where marks are that far apart.
fn label(at_s: i64, step_s: i64) -> String {
    let shown = Timestamp::from_second(at_s).unwrap_or_default();
    let form = if step_s < DAY_S { "%H:%M" } else { "%d %b" };
    shown.strftime(form).to_string()
}

/// Seconds since 1970 as a float: 2^53 of them are exact, and the calendar ends before.
pub(super) fn whole(seconds: i64) -> f64 {
    const BASE: i64 = 1 << 30;
    float(seconds.div_euclid(BASE)) * float(BASE) + float(seconds.rem_euclid(BASE))
}

/// Values between the top and the bottom of a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) top: f64,
    pub(super) height: f64,
}

impl Scale {
    /// A scale for values, with a little room; bars begin at zero.
    pub(super) fn of(
        values: impl Iterator<Item = f64> + Clone,
        from_zero: bool,
        (top, height): (f64, f64),
    ) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low.is_finite() && high.is_finite() {
            (low, high)
        } else {
            (0.0, 1.0)
        };
        let low = if from_zero { low.min(0.0) } else { low };
        let room = if high > low {
            (high - low) * 0.05
        } else {
            low.abs().mul_add(0.05, 1.0)
        };
        Self {
            low: if from_zero { low } else { low - room },
            high: high + room,
            top,
            height,
        }
    }

    /// Place of a value.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.top + (1.0 - share) * self.height
    }

    /// Marks at the left, and lines to the right end.
    pub(super) fn marks(&self, left: f64, right: f64) -> Markup {
        let middle = f64::midpoint(self.low, self.high);
        html! {
            @for value in [self.low, middle, self.high] {
                @let y = self.y(value);
                line.tick x1=(left) x2=(right) y1=(format!("{y:.1}")) y2=(format!("{y:.1}")) {}
                text x=(left - 5.0) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (mark(value)) }
            }
        }
    }
}

/// A number beside an axis: as short as its size allows.
fn mark(value: f64) -> String {
    let digits = usize::from(value.abs() < 20.0);
    let text = format!("{value:.digits$}");
    text.parse().map_or(text, decimal)
}
