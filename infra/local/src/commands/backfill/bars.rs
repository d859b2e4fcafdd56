//! Progress of a backfill, as lines of text.

use std::collections::BTreeMap;

use crossterm::style::{Color, Stylize as _};
use domain::history::{
    backfill::{Backfill, Order, Progress, Totals},
    month::Month,
    window::{Skip, State, Window},
};
use models::data::DataType;

use super::days;
use crate::text;

/// Characters of a bar.
const BAR: usize = 30;
/// Failed windows that are listed.
const FAILED_LISTED: usize = 20;
/// Characters for the part of a month that is done.
const EIGHTHS: [char; 8] = ['░', '▁', '▂', '▃', '▄', '▅', '▆', '▇'];

/// One backfill as it stands.
pub(super) struct Standing {
    pub(super) backfill: Backfill,
    pub(super) windows: Vec<Window>,
    pub(super) provider: String,
}

impl Standing {
    pub(super) fn progress(&self) -> Progress {
        Progress::of(&self.backfill.plan, &self.windows)
    }

    pub(super) fn is_done(&self) -> bool {
        self.backfill.done.is_some()
    }

    pub(super) fn state(&self) -> &'static str {
        match (self.is_done(), self.backfill.order) {
            (true, Order::Cancel) => "cancelled and done",
            (true, _) => "done",
            (false, Order::Cancel) => "cancelled",
            (false, Order::Pause) => "paused",
            (false, Order::Run) => "running",
        }
    }

    /// One line.
    pub(super) fn summary(&self) -> String {
        let plan = &self.backfill.plan;
        let totals = counts(&self.progress().totals);
        format!("{}  {}  {}: {totals}", plan.id, self.provider, self.state())
    }

    /// Everything.
    pub(super) fn lines(&self, now_ms: i64, colored: bool) -> Vec<String> {
        let progress = self.progress();
        let mut lines = vec![self.summary()];
        if let Some(next) = self.next_request(now_ms) {
            lines.push(format!("  {next}"));
        }
        for &data_type in self.backfill.plan.days.keys() {
            let months: BTreeMap<Month, Totals> = progress
                .by_month
                .iter()
                .filter(|((of, _), _)| *of == data_type)
                .map(|((_, month), totals)| (*month, *totals))
                .collect();
            lines.push(String::new());
            lines.extend(type_lines(data_type, &months, colored));
        }
        lines.extend(self.skipped());
        lines.extend(self.failed());
        lines
    }

    /// Returns the time of the next request, when it is not about to be sent.
    fn next_request(&self, now_ms: i64) -> Option<String> {
        if self.is_done() || self.backfill.order != Order::Run {
            return None;
        }
        let waiting = self
            .windows
            .iter()
            .filter_map(|window| match window.state() {
                State::Planned { due_ms } => Some(*due_ms),
                _ => None,
            });
        let next = waiting.min().filter(|&due_ms| due_ms > now_ms)?;
        Some(format!("next request in {}", text::age(now_ms, next)))
    }

    fn skipped(&self) -> Vec<String> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for window in &self.windows {
            if let State::Skipped { reason, .. } = window.state() {
                *counts.entry(why_skipped(*reason)).or_default() += 1;
            }
        }
        let lines = counts
            .into_iter()
            .map(|(why, count)| format!("  {} not asked: {why}", text::count(count, "window")));
        lines.collect()
    }

    fn failed(&self) -> Vec<String> {
        let mut failed: Vec<_> = self
            .windows
            .iter()
            .filter_map(|window| match window.state() {
                State::Failed { reason, .. } => Some((window, *reason)),
                _ => None,
            })
            .collect();
        if failed.is_empty() {
            return Vec::new();
        }
        failed.sort_unstable_by_key(|(window, _)| (window.id().data_type, window.span()));
        let mut lines = vec![String::new(), "  given up:".to_owned()];
        lines.extend(failed.iter().take(FAILED_LISTED).map(|(window, reason)| {
            let asked = text::count(window.asked(), "time");
            let (data_type, days) = (window.id().data_type.as_str(), days(window.span()));
            format!("    {data_type:<12} {days}: {reason}, asked {asked}")
        }));
        if failed.len() > FAILED_LISTED {
            let more = failed.len() - FAILED_LISTED;
            lines.push(format!("    and {more} more: --json lists all"));
        }
        lines
    }
}

pub(super) fn why_skipped(reason: Skip) -> &'static str {
    match reason {
        Skip::NothingFurtherBack => "there was nothing for so long that nothing older is expected",
        Skip::Cancelled => "the backfill was cancelled",
        Skip::ConnectionEnded => "the connection ended",
        Skip::ConnectionFailing => "the connection has been failing for weeks",
        Skip::NotSupported => "the type is not supported",
    }
}

/// Meaning of the months' characters.
pub(super) const LEGEND: &str =
    "months: ░ not begun  ▁▂▃▄▅▆▇ under way  █ complete  ! with a window that was given up";

fn counts(totals: &Totals) -> String {
    let over = totals.final_windows();
    let windows = text::count(totals.windows(), "window");
    let records = text::count(totals.records, "record");
    match totals.failed {
        0 => format!("{over} of {windows}, {records}"),
        failed => format!("{over} of {windows}, {failed} given up, {records}"),
    }
}

fn type_lines(data_type: DataType, months: &BTreeMap<Month, Totals>, colored: bool) -> Vec<String> {
    let mut whole = Totals::default();
    for month in months.values() {
        whole.open += month.open;
        whole.done += month.done;
        whole.empty += month.empty;
        whole.failed += month.failed;
        whole.skipped += month.skipped;
        whole.records += month.records;
    }
    let percent = whole.final_windows() * 100 / whole.windows().max(1);
    let filled = BAR * whole.final_windows() as usize / (whole.windows().max(1) as usize);
    let bar = "█".repeat(filled) + &"░".repeat(BAR - filled);
    let mut lines = vec![format!(
        "  {:<12} {} {percent:>3} %  {}",
        data_type.as_str(),
        painted(&bar, &whole, colored),
        counts(&whole)
    )];
    let mut years = BTreeMap::<String, [Option<Totals>; 12]>::new();
    for (month, totals) in months {
        let first = month.span().from();
        let year = years.entry(format!("{:04}", first.year())).or_default();
        let place = usize::try_from(first.month() - 1).unwrap_or_default();
        if let Some(cell) = year.get_mut(place) {
            *cell = Some(*totals);
        }
    }
    // Newest first, as they are asked for.
    for (year, cells) in years.into_iter().rev() {
        let cells = cells.map(|totals| {
            totals.map_or_else(
                || " ".to_owned(),
                |totals| painted(&cell(&totals).to_string(), &totals, colored),
            )
        });
        lines.push(format!("    {year}  {}", cells.concat().trim_end()));
    }
    lines
}

fn cell(totals: &Totals) -> char {
    if totals.failed > 0 {
        return '!';
    }
    let eighths = totals.final_windows() * 8 / totals.windows().max(1);
    let begun = usize::from(totals.final_windows() > 0);
    let eighths = usize::try_from(eighths).unwrap_or_default().max(begun);
    EIGHTHS.get(eighths).copied().unwrap_or('█')
}

fn painted(text: &str, totals: &Totals, colored: bool) -> String {
    if !colored {
        return text.to_owned();
    }
    let color = match (totals.failed, totals.open) {
        (1.., _) => Color::Red,
        (0, 0) => Color::Green,
        (0, 1..) => Color::Yellow,
    };
    text.with(color).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_and_a_character_per_month_tell_how_far_it_is() {
        let totals = |open, done, failed| Totals {
            open,
            done,
            failed,
            records: u64::from(done) * 10,
            ..Totals::default()
        };
        let months = BTreeMap::from([
            ("2025-11".parse().unwrap(), totals(2, 0, 0)),
            ("2025-12".parse().unwrap(), totals(1, 1, 0)),
            ("2026-01".parse().unwrap(), totals(0, 1, 1)),
            ("2026-02".parse().unwrap(), totals(0, 2, 0)),
            ("2026-04".parse().unwrap(), totals(99, 1, 0)),
        ]);
        let lines = type_lines(DataType::Daily, &months, false);
        assert_eq!(
            lines,
            [
                "  daily        █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   5 %  6 of 108 windows, 1 given \
                 up, 50 records",
                "    2026  !█ ▁",
                "    2025            ░▄",
            ]
        );
        assert!(type_lines(DataType::Daily, &months, true)[1].contains('\u{1b}'));
        assert_eq!(cell(&totals(0, 0, 0)), '░');
    }
}
