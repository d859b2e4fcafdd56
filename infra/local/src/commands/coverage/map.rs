//! Days as a map of characters, and the gaps in it.

use std::collections::BTreeMap;

use crossterm::style::{Color, Stylize as _};
use domain::history::{coverage::DayState, day::Span, month::Month, window::retry::Reason};
use inspect::coverage::{Gap, describe, gaps};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};

use crate::text;

/// Days of a month, above its line.
pub(super) const RULER: &str = "1   5    10   15   20   25   30";

/// Mark that a day is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    Have,
    ConfirmedEmpty,
    Asked,
    Missing,
    Unsettled,
    Outside,
}

impl Mark {
    const ALL: [Self; 6] = [
        Self::Have,
        Self::ConfirmedEmpty,
        Self::Asked,
        Self::Missing,
        Self::Unsettled,
        Self::Outside,
    ];

    pub(super) fn of(state: DayState) -> Self {
        match state {
            DayState::Have => Self::Have,
            DayState::ConfirmedEmpty => Self::ConfirmedEmpty,
            DayState::Asked => Self::Asked,
            DayState::Missing(_) => Self::Missing,
            DayState::Unsettled => Self::Unsettled,
            DayState::Outside(_) => Self::Outside,
        }
    }

    fn char(self) -> char {
        match self {
            Self::Have => '■',
            Self::ConfirmedEmpty => '□',
            Self::Asked => '~',
            Self::Missing => '!',
            Self::Unsettled => '?',
            Self::Outside => '·',
        }
    }

    fn color(self) -> Color {
        match self {
            Self::Have => Color::Green,
            Self::ConfirmedEmpty => Color::Blue,
            Self::Asked => Color::Yellow,
            Self::Missing => Color::Red,
            Self::Unsettled => Color::Cyan,
            Self::Outside => Color::DarkGrey,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Have => "have",
            Self::ConfirmedEmpty => "confirmed empty",
            Self::Asked => "asked",
            Self::Missing => "missing",
            Self::Unsettled => "unsettled",
            Self::Outside => "outside",
        }
    }

    fn painted(self, times: usize, colored: bool) -> String {
        let text = self.char().to_string().repeat(times);
        if colored {
            text.with(self.color()).to_string()
        } else {
            text
        }
    }
}

/// Explains each character.
pub(super) fn legend(colored: bool) -> String {
    let entries = Mark::ALL.map(|mark| format!("{} {}", mark.painted(1, colored), mark.name()));
    entries.join("   ")
}

/// The days of one type.
#[derive(Debug)]
pub(super) struct TypeMap {
    pub(super) days: BTreeMap<Date, DayState>,
    pub(super) gaps: Vec<Gap>,
}

impl TypeMap {
    /// `failed`: windows that were given up, and why.
    pub(super) fn new(days: BTreeMap<Date, DayState>, failed: &[(Span, Reason)]) -> Self {
        let gaps = gaps(&days, failed);
        Self { days, gaps }
    }

    pub(super) fn counts(&self) -> BTreeMap<Mark, usize> {
        let mut counts = BTreeMap::new();
        for &state in self.days.values() {
            *counts.entry(Mark::of(state)).or_default() += 1;
        }
        counts
    }

    pub(super) fn counts_text(&self) -> String {
        let counts = self.counts();
        let counted = Mark::ALL.iter().filter_map(|mark| {
            let count = counts.get(mark)?;
            (*mark != Mark::Outside).then(|| format!("{count} {}", mark.name()))
        });
        counted.collect::<Vec<_>>().join(", ")
    }

    /// One line per month, oldest first; months in which no data can be expected are left out.
    pub(super) fn lines(&self, colored: bool) -> Vec<(Month, String)> {
        let mut by_month = BTreeMap::<Month, BTreeMap<i8, Mark>>::new();
        for (&day, &state) in &self.days {
            let month = by_month.entry(Month::of(day)).or_default();
            month.insert(day.day(), Mark::of(state));
        }
        let lived = |days: &BTreeMap<i8, Mark>| days.values().any(|&mark| mark != Mark::Outside);
        by_month
            .into_iter()
            .filter(|(_, days)| lived(days))
            .map(|(month, days)| (month, line(&days, colored)))
            .collect()
    }
}

fn line(days: &BTreeMap<i8, Mark>, colored: bool) -> String {
    let mut line = String::new();
    let mut run: Option<(Mark, usize)> = None;
    for &mark in days.values() {
        run = match run {
            Some((same, times)) if same == mark => Some((same, times + 1)),
            Some((other, times)) => {
                line.push_str(&other.painted(times, colored));
                Some((mark, 1))
            }
            None => Some((mark, 1)),
        };
    }
    if let Some((mark, times)) = run {
        line.push_str(&mark.painted(times, colored));
    }
    line
}

/// One line for a person.
pub(super) fn gap_text(gap: &Gap) -> String {
    let days = gap.span.length_days();
    let until = if days > 1 {
        format!(" to {}, {}", gap.last(), text::count(days, "day"))
    } else {
        String::new()
    };
    let failed = gap.failed.map_or_else(String::new, |reason| {
        format!(" (a window was given up: {reason})")
    });
    let (from, why) = (gap.span.from(), describe(gap.why));
    format!("! {from}{until}: {why}{failed}")
}

pub(super) fn gap_json(gap: &Gap) -> Value {
    json!({
        "from": gap.span.from(),
        "to": gap.last(),
        "days": gap.span.length_days(),
        "reason": gap.why,
        "window_failed": gap.failed,
    })
}

#[cfg(test)]
mod tests {
    use domain::history::coverage::{Missing, Outside};
    use jiff::civil::date;

    use super::*;

    fn map() -> TypeMap {
        let span = Span::new(date(2026, 4, 1), date(2026, 6, 4)).unwrap();
        let failed = [(
            Span::new(date(2026, 5, 20), date(2026, 5, 22)).unwrap(),
            Reason::TooLarge,
        )];
        let days = span.days().map(|day| {
            let state = match (day.month(), day.day()) {
                (4, _) => DayState::Outside(Outside::BeforeReach),
                (5, 10..13) => DayState::ConfirmedEmpty,
                (5, 20..23) => DayState::Missing(Missing::NoRecord),
                (5, 25) => DayState::Missing(Missing::GivenUp),
                (5, 26) => DayState::Missing(Missing::Stale),
                (5, 28) => DayState::Asked,
                (6, 3) => DayState::Unsettled,
                _ => DayState::Have,
            };
            (day, state)
        });
        TypeMap::new(days.collect(), &failed)
    }

    #[test]
    fn a_month_is_a_line_and_a_day_is_a_character() {
        let lines = map().lines(false);
        let lines: Vec<_> = lines
            .iter()
            .map(|(month, line)| format!("{month} {line}"))
            .collect();
        assert_eq!(
            lines,
            ["2026-05 ■■■■■■■■■□□□■■■■■■■!!!■■!!■~■■■", "2026-06 ■■?",]
        );
        for (number, place) in [
            (1, 0),
            (5, 4),
            (10, 9),
            (15, 14),
            (20, 19),
            (25, 24),
            (30, 29),
        ] {
            assert_eq!(RULER.find(&number.to_string()), Some(place), "{number}");
        }
        assert_eq!(
            map().counts_text(),
            "24 have, 3 confirmed empty, 1 asked, 5 missing, 1 unsettled"
        );
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let plain = |text: &str| -> String {
            let mut plain = String::new();
            let mut rest = text;
            while let Some((before, after)) = rest.split_once('\u{1b}') {
                plain.push_str(before);
                rest = after.split_once('m').unwrap().1;
            }
            plain + rest
        };
        let map = map();
        for ((_, with), (_, without)) in map.lines(true).iter().zip(map.lines(false)) {
            assert_eq!(plain(with), without);
        }
        assert_eq!(plain(&legend(true)), legend(false));
    }

    #[test]
    fn every_gap_has_its_days_and_its_reason() {
        let gaps = map().gaps;
        let texts: Vec<_> = gaps.iter().map(gap_text).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert_eq!(
            texts[0],
            "! 2026-05-20 to 2026-05-21, 2 days: no record, and not asked for yet (a window was \
             given up: the answer is too large)"
        );
        assert_eq!(texts[1], "! 2026-05-22: no record, and not asked for yet");
        assert!(texts[2].starts_with("! 2026-05-25: asked for 5 times"));
        assert_eq!(gap_json(&gaps[3])["reason"], "stale");
        assert_eq!(gap_json(&gaps[0])["to"], "2026-05-21");
    }
}
