//! Sources of one number on the rungs of a ladder: the best tier on top, the chosen one marked.

use maud::{Markup, html};

/// A source on a rung.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Name of the source.
    pub source: String,
    /// Its value as people read it.
    pub shown: String,
    /// Its value, where that is a number.
    pub value: Option<f64>,
    /// True for the chosen one.
    pub chosen: bool,
}

/// Sources that are alike in rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Name of the rung.
    pub name: String,
    /// The sources.
    pub candidates: Vec<Candidate>,
}

/// The ladder of one number.
#[derive(Debug, Clone)]
pub struct Ladder<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// The rungs, the best first.
    pub rungs: &'a [Rung],
}

const WIDTH: i32 = 640;
const ROW: i32 = 26;
const HEAD: i32 = 22;
/// Place at which bars begin.
const BAR: i32 = 230;
/// Length of the longest bar.
const LONGEST: f64 = 280.0;

/// Draws the rungs with a bar for each source, as long as its value.
pub fn ladder(data: &Ladder<'_>) -> Markup {
    let all = || data.rungs.iter().flat_map(|rung| &rung.candidates);
    let largest = all().filter_map(|it| it.value).fold(0.0, f64::max);
    let chosen = all().find(|it| it.chosen);
    let mut top = 0;
    let mut drawn = Vec::new();
    for rung in data.rungs {
        drawn.push(html! {
            line.rung x1="0" x2=(WIDTH) y1=(top + HEAD - 4) y2=(top + HEAD - 4) {}
            text x="0" y=(top + 13) { (rung.name) }
        });
        top += HEAD;
        for candidate in &rung.candidates {
            drawn.push(row(candidate, top, largest));
            top += ROW;
        }
        top += 6;
    }
    html! {
        svg.big role="img" viewBox={ "0 0 " (WIDTH) " " (top.max(1)) } {
            title { (data.title) }
            desc {
                @match chosen {
                    Some(it) => { "Chosen: " (it.source) ", " (it.shown) ". " }
                    None => { "None is chosen. " }
                }
                (all().count()) " sources have a value"
            }
            @for part in drawn { (part) }
        }
    }
}

fn row(candidate: &Candidate, top: i32, largest: f64) -> Markup {
    let length = match candidate.value {
        Some(value) if largest > 0.0 => (value.max(0.0) / largest * LONGEST).max(2.0),
        _ => 2.0,
    };
    let name: String = candidate.source.chars().take(34).collect();
    let class = if candidate.chosen {
        "bar chosen"
    } else {
        "bar"
    };
    html! {
        text.name x="8" y=(top + 16) { @if candidate.chosen { "✔ " } (name) }
        rect class=(class) x=(BAR) y=(top + 4) width=(format!("{length:.1}")) height="16" rx="2" {}
        text.name x=(format!("{:.1}", f64::from(BAR) + length + 8.0)) y=(top + 16) { (candidate.shown) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(source: &str, value: f64, chosen: bool) -> Candidate {
        Candidate {
            source: source.to_owned(),
            shown: value.to_string(),
            value: Some(value),
            chosen,
        }
    }

    #[test]
    fn the_chosen_one_is_marked_and_bars_are_as_long_as_their_values() {
        let rungs = [
            Rung {
                name: "Chosen".to_owned(),
                candidates: vec![
                    candidate("GARMIN Forerunner 265", 9_000.0, true),
                    candidate("OURA", 4_500.0, false),
                ],
            },
            Rung {
                name: "Lower tiers".to_owned(),
                candidates: vec![candidate("APPLE", 0.0, false)],
            },
        ];
        let title = "Sources of steps";
        let drawn = ladder(&Ladder {
            title,
            rungs: &rungs,
        });
        insta::assert_snapshot!(drawn.into_string());
    }

    #[test]
    fn a_ladder_without_rungs_says_so() {
        let drawn = ladder(&Ladder {
            title: "Sources of steps",
            rungs: &[],
        });
        assert!(drawn.into_string().contains("None is chosen. 0 sources"));
    }
}
