//! Pictures as SVG: pure functions of their data, with classes and attributes only, because the pages' policy
//! forbids styles inside them.

mod axis;
mod calendar;
mod day;
mod days;
mod hypnogram;
mod ladder;
mod lines;
mod progress;
mod sparkline;
mod strip;

pub use self::{
    axis::Axis,
    calendar::{Calendar, Run, STATES, calendar, glyph, legend},
    day::{Day, Lane, Moment, Span, Switch, day},
    days::{Days, TypeOfDays, days},
    hypnogram::{Hypnogram, Stage, hypnogram},
    ladder::{Candidate, Ladder, Rung, ladder},
    lines::{Bucket as Samples, Line, Lines, lines},
    progress::{Progress, Row, progress},
    sparkline::{Point, Sparkline, sparkline},
    strip::{Bucket, OUTCOMES, Strip, strip},
};
