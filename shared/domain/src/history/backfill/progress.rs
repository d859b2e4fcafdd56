//! Progress of a backfill, from its windows.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use models::data::DataType;
use serde::{Deserialize, Serialize};

use super::{Plan, STOP_AFTER_EMPTY_DAYS};
use crate::history::{
    day,
    month::Month,
    window::{State, Window, WindowId},
};

/// Windows by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Not final, or not written yet.
    pub open: u32,
    /// Answered with records.
    pub done: u32,
    /// Answered without.
    pub empty: u32,
    /// Given up.
    pub failed: u32,
    /// Not asked.
    pub skipped: u32,
    /// Records in the answers, overlaps counted twice.
    pub records: u64,
    /// Requests sent.
    pub requests: u32,
}

impl Totals {
    /// All windows.
    pub fn windows(&self) -> u32 {
        self.final_windows() + self.open
    }

    /// Windows that nothing more will happen to.
    pub fn final_windows(&self) -> u32 {
        self.done + self.empty + self.failed + self.skipped
    }

    fn count(&mut self, window: &Window) {
        self.requests = self.requests.saturating_add(window.asked());
        match window.state() {
            State::Done { records, .. } => {
                self.done += 1;
                self.records = self.records.saturating_add(*records);
            }
            State::Empty { .. } => self.empty += 1,
            State::Failed { .. } => self.failed += 1,
            State::Skipped { .. } => self.skipped += 1,
            // Its halves are counted.
            State::Halved { .. } => {}
            State::Planned { .. }
            | State::Leased { .. }
            | State::Asked { .. }
            | State::Receiving { .. } => self.open += 1,
        }
    }
}

/// Progress of a backfill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything.
    pub totals: Totals,
    /// Counts by type and month, for progress bars.
    pub by_month: BTreeMap<(DataType, Month), Totals>,
}

impl Progress {
    /// Computes the progress of the plan when these windows are written. A planned window that is not
    /// written is open.
    pub fn of(plan: &Plan, windows: &[Window]) -> Self {
        let mut progress = Self::default();
        for window in current(plan, windows) {
            progress.totals.count(&window);
            let cell = (window.id().data_type, Month::of(window.span().from()));
            progress.by_month.entry(cell).or_default().count(&window);
        }
        progress
    }

    /// Returns whether every window is final.
    pub fn is_complete(&self) -> bool {
        self.totals.open == 0
    }
}

/// A plan's windows and their halves as they stand: as written, or as planned where they are not.
pub(super) fn current(plan: &Plan, windows: &[Window]) -> Vec<Window> {
    let written: HashMap<&WindowId, &Window> =
        windows.iter().map(|window| (window.id(), window)).collect();
    let mut rest = plan.windows();
    let mut current = Vec::with_capacity(rest.len());
    while let Some(planned) = rest.pop() {
        let window = written
            .get(planned.id())
            .map_or(planned, |&window| window.clone());
        rest.extend(window.halves().into_iter().flatten());
        current.push(window);
    }
    current
}

/// Finds the day at which going back ends for a type: the first day of an unbroken run of empty windows
/// of at least [`STOP_AFTER_EMPTY_DAYS`], counted from the newest window on. Returns `None` as long as a
/// newer window is open, since its records may break the run.
pub(super) fn nothing_before(windows: &[Window], data_type: DataType) -> Option<Date> {
    let mut of_type: Vec<_> = windows
        .iter()
        .filter(|window| window.id().data_type == data_type)
        .filter(|window| !matches!(window.state(), State::Halved { .. }))
        .collect();
    of_type.sort_unstable_by_key(|window| std::cmp::Reverse(window.span().until()));
    let mut empty_days = 0;
    let mut expected = None;
    for window in of_type {
        let adjoins = expected.is_none_or(|until| window.span().until() == until);
        expected = Some(window.span().from());
        match window.state() {
            State::Empty { .. } if adjoins => {
                empty_days += day::between(window.span().from(), window.span().until());
                if empty_days >= i64::from(STOP_AFTER_EMPTY_DAYS) {
                    return Some(window.span().from());
                }
            }
            // A failed window may have had records.
            State::Done { .. } | State::Failed { .. } | State::Empty { .. } => empty_days = 0,
            _ => return None,
        }
    }
    None
}
