//! Calendar of the states of days: a row for each month, a cell for each day, a glyph for each state.

use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};

/// Word, glyph and meaning of each state of a day.
pub const STATES: [(&str, &str, &str); 6] = [
    ("have", "■", "data are there"),
    ("confirmed_empty", "□", "asked, and there was nothing"),
    ("asked", "~", "asked for, no answer yet"),
    ("missing", "!", "missing"),
    ("unsettled", "?", "too early to tell"),
    ("outside", "·", "before or after the connection"),
];

/// Days of one state, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The state's word.
    pub state: String,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Reason, in words; empty where the state says all.
    pub why: String,
}

/// Days of one data type of one connection.
#[derive(Debug, Clone)]
pub struct Calendar<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// Runs of days, in order.
    pub runs: &'a [Run],
}

/// Width of the names of months.
const LEFT: i32 = 62;
/// Width of a cell.
const CELL: i32 = 16;
/// Height of a row.
const ROW: i32 = 20;
/// Height of the numbers of days.
const TOP: i32 = 16;
/// Width of the whole.
const WIDTH: i32 = LEFT + 31 * CELL;

/// Glyph and meaning of a state.
pub fn glyph(state: &str) -> (&'static str, &'static str) {
    let known = STATES.iter().find(|(word, ..)| *word == state);
    known.map_or(("·", ""), |(_, glyph, meaning)| (*glyph, *meaning))
}

/// Days of a run in one month: the first and the last.
type Part<'a> = (&'a Run, Date, Date);

/// Draws the months, the oldest first.
pub fn calendar(data: &Calendar<'_>) -> Markup {
    let mut rows: Vec<(Date, Vec<Part<'_>>)> = Vec::new();
    for run in data.runs {
        let mut from = run.from;
        while from <= run.to {
            let last = from.last_of_month().min(run.to);
            let month = from.first_of_month();
            if rows.last().is_none_or(|(known, _)| *known != month) {
                rows.push((month, Vec::new()));
            }
            if let Some((_, parts)) = rows.last_mut() {
                parts.push((run, from, last));
            }
            from = last.saturating_add(1.day());
            if from == last {
                break;
            }
        }
    }
    let height = TOP + ROW * i32::try_from(rows.len()).unwrap_or(i32::MAX / ROW - 1);
    html! {
        figure {
            svg.calendar role="img" viewBox={ "0 0 " (WIDTH) " " (height) } {
                title { (data.title) }
                desc { (told(data.runs)) }
                @for day in [1, 5, 10, 15, 20, 25, 31] {
                    text x=(LEFT + CELL * (day - 1) + CELL / 2) y="11" text-anchor="middle" { (day) }
                }
                @for (row, (month, parts)) in (0..).zip(&rows) {
                    @let y = TOP + ROW * row;
                    text x="0" y=(y + 14) { (month.strftime("%b %Y")) }
                    @for (run, from, to) in parts { (part(run, *from, *to, y)) }
                }
            }
            details {
                summary { "Show as table" }
                table {
                    thead { tr { th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "State" } } }
                    tbody { @for run in data.runs {
                        tr { td.nowrap { (run.from) } td.nowrap { (run.to) } td.any { (glyph(&run.state).0) " " (words(run)) } }
                    } }
                }
            }
        }
    }
}

/// The legend of all calendars of a page.
pub fn legend() -> Markup {
    html! {
        ul.legend {
            @for (word, glyph, meaning) in STATES {
                li {
                    svg viewBox="0 0 16 16" aria-hidden="true" {
                        rect class={ "day s-" (word) } x="1" y="1" width="14" height="14" {}
                        text.glyph x="8" y="12" text-anchor="middle" { (glyph) }
                    }
                    (meaning)
                }
            }
        }
    }
}

/// A state and its reason in words.
pub(super) fn words(run: &Run) -> String {
    let meaning = glyph(&run.state).1;
    if run.why.is_empty() {
        meaning.to_owned()
    } else {
        format!("{meaning}: {}", run.why)
    }
}

/// Number of days by state, in words.
fn told(runs: &[Run]) -> String {
    let days = |run: &Run| {
        let span = run.to.since(run.from).map(|span| span.get_days());
        span.unwrap_or_default() + 1
    };
    let counts = STATES.iter().filter_map(|(word, _, meaning)| {
        let of_state = runs.iter().filter(|run| run.state == *word);
        let count: i32 = of_state.map(days).sum();
        (count > 0).then(|| format!("{count} days: {meaning}"))
    });
    let counts: Vec<_> = counts.collect();
    if counts.is_empty() {
        "No day is known".to_owned()
    } else {
        counts.join("; ")
    }
}

/// The part of a run that lies in one month.
fn part(run: &Run, from: Date, to: Date, y: i32) -> Markup {
    let x = LEFT + CELL * (i32::from(from.day()) - 1);
    let days = i32::from(to.day()) - i32::from(from.day()) + 1;
    bar(run, (run.from, run.to), days, (x, y), (CELL, ROW))
}

/// Draws some days of a run side by side, with a glyph for each of them. `first` and `last` are the days of its title.
pub(super) fn bar(
    run: &Run,
    (first, last): (Date, Date),
    days: i32,
    (x, y): (i32, i32),
    (cell, row): (i32, i32),
) -> Markup {
    let places = (0..days).map(|place| (x + cell * place + cell / 2).to_string());
    let places: Vec<_> = places.collect();
    html! {
        g {
            title { (first) @if first < last { " to " (last) } ": " (words(run)) }
            rect class={ "day s-" (run.state) } x=(x + 1) y=(y + 1) width=(cell * days - 2) height=(row - 3) rx="2" {}
            text.glyph x=(places.join(" ")) y=(y + row / 2 + 4) text-anchor="middle" { (glyph(&run.state).0.repeat(places.len())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn run(state: &str, from: Date, to: Date, why: &str) -> Run {
        Run {
            state: state.to_owned(),
            from,
            to,
            why: why.to_owned(),
        }
    }

    #[test]
    fn months_are_rows_and_every_day_has_its_glyph() {
        let runs = [
            run("have", date(2026, 10, 29), date(2026, 11, 2), ""),
            run("missing", date(2026, 11, 3), date(2026, 11, 3), "no record"),
            run("confirmed_empty", date(2026, 11, 4), date(2026, 11, 6), ""),
        ];
        let title = "Daily of GARMIN";
        let drawn = calendar(&Calendar { title, runs: &runs }).into_string();
        assert_eq!(drawn.matches('■').count(), 5 + 1);
        assert_eq!(drawn.matches('!').count(), 1 + 1);
        insta::assert_snapshot!(drawn);
    }

    #[test]
    fn nothing_is_known() {
        let drawn = calendar(&Calendar {
            title: "Sleep",
            runs: &[],
        });
        let drawn = drawn.into_string();
        assert!(!drawn.contains("<rect") && drawn.contains("No day is known"));
    }
}
