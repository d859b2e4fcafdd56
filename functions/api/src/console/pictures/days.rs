//! States of the last days: a row for each type of a connection, a cell for each day, a glyph for each state.

use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};

use super::calendar::{Run, bar, glyph, words};

/// Days of one type of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeOfDays {
    /// Type and provider.
    pub name: String,
    /// Runs of days of one state.
    pub runs: Vec<Run>,
}

/// A few days in a row.
#[derive(Debug, Clone)]
pub struct Days<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// The types.
    pub rows: &'a [TypeOfDays],
}

/// Width of the names of rows.
const LEFT: i32 = 190;
/// Width of a cell.
const CELL: i32 = 26;
/// Height of a row.
const ROW: i32 = 22;
/// Height of the numbers of days.
const TOP: i32 = 18;

/// Draws the days from the first to the last, with the states of each type.
pub fn days(data: &Days<'_>) -> Markup {
    let all = data.from.series(1.day()).take_while(|day| *day <= data.to);
    let all: Vec<_> = all.collect();
    let width = LEFT + CELL * i32::try_from(all.len()).unwrap_or_default();
    let height = TOP + ROW * i32::try_from(data.rows.len()).unwrap_or_default();
    html! {
        figure {
            svg.calendar role="img" viewBox={ "0 0 " (width) " " (height) } {
                title { (data.title) }
                desc { (data.rows.len()) " types, each day from " (data.from) " to " (data.to) }
                @for (place, day) in (0..).zip(&all) {
                    text x=(LEFT + CELL * place + CELL / 2) y="12" text-anchor="middle" { (day.day()) }
                }
                @for (row, of_type) in (0..).zip(data.rows) {
                    @let y = TOP + ROW * row;
                    text.name x="0" y=(y + 15) { (of_type.name) }
                    @for run in &of_type.runs { (part(run, (data.from, data.to), y)) }
                }
            }
            details {
                summary { "Show as table" }
                div.wide tabindex="0" { table {
                    thead { tr { th scope="col" { "Type" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "State" } } }
                    tbody { @for of_type in data.rows { @for run in &of_type.runs { tr {
                        th scope="row" { (of_type.name) }
                        td.nowrap { (run.from) } td.nowrap { (run.to) } td.any { (glyph(&run.state).0) " " (words(run)) }
                    } } } }
                } }
            }
        }
    }
}

/// The days of a run that are in the picture.
fn part(run: &Run, (from, to): (Date, Date), y: i32) -> Markup {
    let (first, last) = (run.from.max(from), run.to.min(to));
    let days = |until: Date, since: Date| until.since(since).map_or(0, |span| span.get_days());
    let x = LEFT + CELL * days(first, from);
    html! {
        @if first <= last {
            (bar(run, (first, last), days(last, first) + 1, (x, y), (CELL, ROW)))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn every_day_of_every_type_has_the_glyph_of_its_state() {
        let run = |state: &str, from: Date, to: Date| Run {
            state: state.to_owned(),
            from,
            to,
            why: String::new(),
        };
        let rows = [
            TypeOfDays {
                name: "daily · GARMIN".to_owned(),
                runs: vec![
                    run("have", date(2026, 11, 29), date(2026, 11, 30)),
                    run("missing", date(2026, 12, 1), date(2026, 12, 1)),
                ],
            },
            TypeOfDays {
                name: "sleep · GARMIN".to_owned(),
                runs: vec![run("have", date(2026, 11, 30), date(2026, 12, 1))],
            },
        ];
        let drawn = days(&Days {
            title: "The last days",
            from: date(2026, 11, 29),
            to: date(2026, 12, 1),
            rows: &rows,
        });
        let drawn = drawn.into_string();
        let svg = drawn.split("</svg>").next().unwrap();
        assert_eq!((svg.matches('■').count(), svg.matches('!').count()), (4, 1));
        insta::assert_snapshot!(drawn);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let day = date(2026, 12, 1);
        let drawn = days(&Days {
            title: "The last days",
            from: day,
            to: day,
            rows: &[],
        });
        assert!(!drawn.into_string().contains("<rect"));
    }
}
