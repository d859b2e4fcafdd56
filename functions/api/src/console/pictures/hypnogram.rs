//! The stages of a night over time, with their lengths as a table.

use maud::{Markup, html};

use super::axis::{Axis, Placed, whole};
use crate::console::words::duration;

/// Beginning of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Begin. Unit: Unix seconds.
    pub at_s: f64,
    /// Level, as Terra numbers them.
    pub level: u8,
}

/// A night.
#[derive(Debug, Clone)]
pub struct Hypnogram<'a> {
    /// Name of the picture.
    pub title: &'a str,
    /// Time from going to bed to getting up.
    pub axis: Axis,
    /// Stages in the order of time; each lasts until the next.
    pub stages: &'a [Stage],
}

/// Rows from the top: Terra's level, its name, its row, its class.
const LEVELS: [(u8, &str, i32, &str); 6] = [
    (3, "Out of bed", 0, "awake"),
    (1, "Awake", 0, "awake"),
    (6, "REM", 1, "rem"),
    (4, "Light", 2, "light"),
    (2, "Asleep", 2, "light"),
    (5, "Deep", 3, "deep"),
];
const NAMES: [&str; 4] = ["Awake", "REM", "Light", "Deep"];
const LEFT: f64 = 52.0;
const WIDTH: f64 = 700.0;
const ROW: i32 = 26;
const BOTTOM: i32 = ROW * 4;

/// A stretch of one level.
struct Stretch {
    level: (u8, &'static str, i32, &'static str),
    from_s: f64,
    to_s: f64,
}

fn stretches(stages: &[Stage], until_s: f64) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (place, stage) in stages.iter().enumerate() {
        let to_s = stages.get(place + 1).map_or(until_s, |next| next.at_s);
        // A level that is no stage leaves a gap.
        let Some(level) = LEVELS.iter().find(|(known, ..)| *known == stage.level) else {
            continue;
        };
        match stretches.last_mut() {
            Some(last) if last.level == *level && last.to_s >= stage.at_s => last.to_s = to_s,
            _ => stretches.push(Stretch {
                level: *level,
                from_s: stage.at_s,
                to_s,
            }),
        }
    }
    stretches
}

/// Bars of the stages within a picture: from `top` on, each row `row` high.
pub(super) fn bars(stages: &[Stage], placed: &Placed, top: i32, row: i32) -> Markup {
    let until_s = whole(placed.axis.until_s);
    html! {
        @for stretch in stretches(stages, until_s) {
            @let (_, name, place, class) = stretch.level;
            @let (from, to) = (placed.x(stretch.from_s), placed.x(stretch.to_s));
            rect class={ "st-" (class) } x=(format!("{from:.1}")) y=(top + row * place + 2)
                width=(format!("{:.1}", (to - from).max(0.5))) height=(row - 4) {
                title { (name) ", " (duration(stretch.to_s - stretch.from_s)) }
            }
        }
    }
}

/// Draws the stages as steps.
pub fn hypnogram(data: &Hypnogram<'_>) -> Markup {
    let placed = Placed::across(data.axis, LEFT, WIDTH);
    let stretches = stretches(data.stages, whole(data.axis.until_s));
    let total = |name: &str| -> f64 {
        let of_name = stretches.iter().filter(|it| it.level.1 == name);
        of_name.map(|it| it.to_s - it.from_s).sum()
    };
    let totals: Vec<_> = LEVELS
        .iter()
        .map(|(_, name, ..)| (*name, total(name)))
        .filter(|(_, seconds)| *seconds > 0.0)
        .collect();
    html! {
        figure {
            div.wide tabindex="0" {
                svg.big role="img" viewBox={ "0 0 " (WIDTH) " " (BOTTOM + 18) } {
                    title { (data.title) }
                    desc {
                        @if totals.is_empty() { "No stage is known" }
                        @for (name, seconds) in &totals { (name) " " (duration(*seconds)) ". " }
                    }
                    (placed.marks(0.0, f64::from(BOTTOM)))
                    @for (place, name) in (0..).zip(NAMES) {
                        text x="0" y=(ROW * place + 17) { (name) }
                    }
                    (bars(data.stages, &placed, 0, ROW))
                }
            }
            details {
                summary { "Show as table" }
                table {
                    thead { tr { th scope="col" { "Stage" } th.num scope="col" { "Together" } } }
                    tbody { @for (name, seconds) in &totals {
                        tr { th scope="row" { (name) } td.num { (duration(*seconds)) } }
                    } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: Axis = Axis {
        since_s: 1_795_129_200,
        until_s: 1_795_150_800,
        offset_s: 3_600,
    };

    fn stages(levels: &[(i64, u8)]) -> Vec<Stage> {
        let stages = levels.iter().map(|(after, level)| Stage {
            at_s: whole(NIGHT.since_s + after),
            level: *level,
        });
        stages.collect()
    }

    #[test]
    fn a_night_is_steps_between_four_rows() {
        let stages = stages(&[
            (0, 1),
            (600, 4),
            (3_600, 5),
            (7_200, 5),
            (9_000, 6),
            (12_000, 0),
            (14_400, 2),
        ]);
        let drawn = hypnogram(&Hypnogram {
            title: "Night of GARMIN",
            axis: NIGHT,
            stages: &stages,
        });
        let drawn = drawn.into_string();
        // Two stages of one level are one bar, and an unknown level is none.
        assert_eq!(drawn.matches("<rect").count(), 5);
        insta::assert_snapshot!(drawn);
    }

    #[test]
    fn a_night_without_stages_says_so() {
        let drawn = hypnogram(&Hypnogram {
            title: "Night",
            axis: NIGHT,
            stages: &[],
        });
        assert!(drawn.into_string().contains("No stage is known"));
    }
}
