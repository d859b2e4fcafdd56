//! Progress of a backfill: a bar for each data type, of its windows by state.

use maud::{Markup, html};

/// Windows of one data type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The data type.
    pub name: String,
    /// State and number of windows, in the order in which they are drawn.
    pub states: Vec<(String, u64)>,
}

/// A backfill.
#[derive(Debug, Clone)]
pub struct Progress<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// The data types.
    pub rows: &'a [Row],
}

const WIDTH: f64 = 480.0;
const LEFT: f64 = 110.0;
const LONGEST: f64 = 300.0;
const ROW: i32 = 24;

/// Class of a window's state: ended well, ended badly, under way, waiting.
fn class(state: &str) -> &'static str {
    match state {
        "done" | "empty" => "p-done",
        "failed" => "p-failed",
        "planned" => "p-planned",
        // Not needed any more, or asked for in two halves instead.
        "skipped" | "halved" => "p-left-out",
        _ => "p-active",
    }
}

/// Returns whether nothing more is to come of a window.
fn has_ended(state: &str) -> bool {
    !matches!(class(state), "p-planned" | "p-active")
}

/// Draws the bars; each is whole when all of its windows have ended.
pub fn progress(data: &Progress<'_>) -> Markup {
    let height = ROW * i32::try_from(data.rows.len().max(1)).unwrap_or(1);
    let (mut done, mut all) = (0, 0);
    for (state, count) in data.rows.iter().flat_map(|row| &row.states) {
        all += count;
        if has_ended(state) {
            done += count;
        }
    }
    html! {
        figure {
            svg.progress role="img" viewBox={ "0 0 " (WIDTH) " " (height) } {
                title { (data.title) }
                desc { (done) " of " (all) " windows have ended" }
                @for (place, row) in (0..).zip(data.rows) { (bar(row, ROW * place)) }
            }
            details {
                summary { "Show as table" }
                table {
                    thead { tr { th scope="col" { "Type" } th scope="col" { "Windows" } } }
                    tbody { @for row in data.rows { tr {
                        th scope="row" { (row.name) }
                        td.any { @for (state, count) in &row.states { span.chip { (count) " " (state) } } }
                    } } }
                }
            }
        }
    }
}

fn bar(row: &Row, top: i32) -> Markup {
    let float = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let all: u64 = row.states.iter().map(|(_, count)| count).sum();
    let done: u64 = row
        .states
        .iter()
        .filter(|(state, _)| has_ended(state))
        .map(|(_, count)| count)
        .sum();
    let mut x = LEFT;
    let parts: Vec<_> = row
        .states
        .iter()
        .map(|(state, count)| {
            let width = float(*count) / float(all.max(1)) * LONGEST;
            let from = x;
            x += width;
            (class(state), from, width, state, count)
        })
        .collect();
    html! {
        text x="0" y=(top + 16) { (row.name) }
        @for (class, x, width, state, count) in parts {
            rect class=(class) x=(format!("{x:.1}")) y=(top + 4) width=(format!("{width:.1}")) height="16" {
                title { (count) " " (state) }
            }
        }
        text x=(LEFT + LONGEST + 8.0) y=(top + 16) { (done) " of " (all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_divided_by_the_states_of_its_windows() {
        let rows = [Row {
            name: "daily".to_owned(),
            states: vec![("done".to_owned(), 3), ("planned".to_owned(), 1)],
        }];
        let drawn = progress(&Progress {
            title: "Progress",
            rows: &rows,
        });
        insta::assert_snapshot!(drawn.into_string());
    }

    #[test]
    fn a_backfill_without_windows_is_no_fault() {
        let drawn = progress(&Progress {
            title: "Progress",
            rows: &[],
        });
        let drawn = drawn.into_string();
        assert!(
            drawn.contains("0 of 0") && !drawn.contains("NaN"),
            "{drawn}"
        );
    }
}
