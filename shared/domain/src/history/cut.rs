//! Cuts a run of days into requests.
//!
//! Beyond a month, or over a month's boundary, Terra makes a *large request* of whatever is asked
//! (FACTS sections 4, 5 and 14, row 6). An [ordinary](RequestSize::Ordinary) request therefore lies
//! within one month and covers at most 28 days; a longer month is asked for in
//! halves. `end_date` is exclusive, and daily records may stand under the neighbouring day of UTC:
//! a request takes one day more on either side, as far as the month goes, and a record that comes
//! twice has the same key. The day across the boundary belongs to the neighbouring window.

use serde::{Deserialize, Serialize};

use super::{
    day::{self, Span},
    month::Month,
};

/// Length beyond which a request is large by the strictest of Terra's documents (FACTS section 14,
/// row 6). Unit: days.
const LARGE_ABOVE_DAYS: u32 = 28;
/// Length beyond which a request is large by all of Terra's documents: no month is longer. Unit: days.
const SURELY_LARGE_ABOVE_DAYS: u32 = 31;

/// Longest ordinary request that we send. It is our choice; the smaller, the more calls. Unit: days.
const ORDINARY_REQUEST_DAYS: u32 = 28;
/// Longest large request that we send. It is our choice: a large request of which a part is lost is
/// asked for again as a whole. Unit: days.
const LARGE_REQUEST_DAYS: u32 = 365;

const _: () = assert!(
    ORDINARY_REQUEST_DAYS <= LARGE_ABOVE_DAYS,
    "an ordinary request must stay below Terra's threshold"
);

/// Size of the requests that a plan is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestSize {
    /// Requests within a month that Terra may answer directly.
    Ordinary,
    /// Requests of up to a year that Terra answers by webhooks, and counts.
    Large,
}

impl RequestSize {
    /// Longest request of this size. Unit: days.
    pub fn max_days(self) -> u32 {
        match self {
            Self::Ordinary => ORDINARY_REQUEST_DAYS,
            Self::Large => LARGE_REQUEST_DAYS,
        }
    }
}

/// Returns whether Terra may make a large request of these days: one of its documents says so
/// (FACTS section 14, row 6).
pub fn is_large(request: Span) -> bool {
    let last = day::previous(request.until());
    request.length_days() > LARGE_ABOVE_DAYS || Month::of(request.from()) != Month::of(last)
}

/// Returns whether Terra makes a large request of these days by all of its documents.
pub fn is_surely_large(request: Span) -> bool {
    request.length_days() > SURELY_LARGE_ABOVE_DAYS
}

/// Cuts a run of days into neighbouring windows without overlap, newest first. The request of each
/// has at most [`RequestSize::max_days`].
pub fn windows(span: Span, size: RequestSize) -> Vec<Span> {
    match size {
        RequestSize::Ordinary => windows_within_months(span, size.max_days()),
        RequestSize::Large => long_windows(span, size.max_days()),
    }
}

fn long_windows(span: Span, max_request_days: u32) -> Vec<Span> {
    // The request has a day more on either side.
    let days = i64::from(max_request_days) - 2;
    let mut windows = Vec::new();
    let mut until = span.until();
    while let Ok(window) = Span::new(span.from().max(day::plus(until, -days)), until) {
        windows.push(window);
        until = window.from();
    }
    windows
}

/// Cuts at the boundaries of months, and halves each part until its request is short enough. A
/// window of one day is never halved.
fn windows_within_months(span: Span, max_request_days: u32) -> Vec<Span> {
    let mut windows = Vec::new();
    for month in Month::touched_by(span) {
        if let Some(part) = month.span().intersection(span) {
            halve_into(&mut windows, part, max_request_days);
        }
    }
    windows.reverse();
    windows
}

fn halve_into(windows: &mut Vec<Span>, span: Span, max_request_days: u32) {
    match span.halves() {
        Some(halves) if with_overlap(span).length_days() > max_request_days => {
            for half in halves {
                halve_into(windows, half, max_request_days);
            }
        }
        _ => windows.push(span),
    }
}

/// Returns the days of the request for a window: `from` is `start_date`, `until` is `end_date`,
/// exclusive.
pub fn with_overlap(span: Span) -> Span {
    let month = Month::of(span.from()).span();
    let wider = Span::new(day::previous(span.from()), day::next(span.until())).unwrap_or(span);
    if is_large(span) {
        return wider;
    }
    wider.intersection(month).unwrap_or(span)
}

/// Cuts a run of missing days into windows of ordinary requests. Where the run ends at a month's
/// boundary, the day beyond becomes a window of its own, because the overlap may not cross the boundary.
pub fn windows_of_gap(run: Span, newest_day: jiff::civil::Date) -> Vec<Span> {
    let months = (
        Month::of(run.from()).span(),
        Month::of(day::previous(run.until())).span(),
    );
    let before = (run.from() == months.0.from()).then(|| day::previous(run.from()));
    let after = (run.until() == months.1.until()).then_some(run.until());
    let after = after.filter(|&after| after <= newest_day);
    let mut spans = windows(run, RequestSize::Ordinary);
    spans.extend(before.into_iter().chain(after).map(Span::of_day));
    spans.sort_unstable_by(|one, other| other.cmp(one));
    spans
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_months_are_halved_and_february_is_whole() {
        let year = Span::new(date(2026, 1, 1), date(2027, 1, 1)).unwrap();
        let windows = windows(year, RequestSize::Ordinary);
        assert_eq!(windows.len(), 23);
        assert_eq!(
            windows[0],
            Span::new(date(2026, 12, 16), date(2027, 1, 1)).unwrap()
        );
        let february = Span::new(date(2026, 2, 1), date(2026, 3, 1)).unwrap();
        assert!(windows.contains(&february));
        assert_eq!(with_overlap(february), february);
    }

    #[test]
    fn a_request_overlaps_by_a_day_but_not_over_the_boundary() {
        let first = Span::of_day(date(2026, 5, 1));
        assert_eq!(
            with_overlap(first),
            Span::new(date(2026, 5, 1), date(2026, 5, 3)).unwrap()
        );
        let gap = windows_of_gap(first, date(2026, 5, 9));
        assert_eq!(gap, [first, Span::of_day(date(2026, 4, 30))]);
        let last = Span::of_day(date(2026, 4, 30));
        assert_eq!(windows_of_gap(last, date(2026, 4, 30)), [last]);
    }

    #[test]
    fn large_windows_keep_to_no_boundary_and_overlap_over_it() {
        let years = Span::new(date(2024, 1, 15), date(2026, 3, 1)).unwrap();
        let windows = windows(years, RequestSize::Large);
        assert_eq!(windows.len(), 3);
        assert_eq!(windows[0].until(), years.until());
        for window in &windows {
            let request = with_overlap(*window);
            assert!(is_large(request) && request.length_days() == window.length_days() + 2);
            assert!(request.length_days() <= LARGE_REQUEST_DAYS);
        }
        let days: Vec<_> = windows
            .iter()
            .rev()
            .flat_map(|window| window.days())
            .collect();
        assert_eq!(days, years.days().collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn every_day_is_in_one_window_and_no_request_is_large(
            from in -3000_i64..3000,
            days in 1_i64..800,
            max_days in 1_u32..=ORDINARY_REQUEST_DAYS,
        ) {
            let from = day::plus(date(2020, 2, 29), from);
            let span = Span::new(from, day::plus(from, days)).unwrap();
            let windows = windows_within_months(span, max_days);
            let mut days: Vec<_> = windows.iter().rev().flat_map(|window| window.days()).collect();
            prop_assert_eq!(&days, &span.days().collect::<Vec<_>>());
            days.dedup();
            prop_assert_eq!(days.len(), span.days().count());
            for window in windows {
                let request = with_overlap(window);
                prop_assert!(request.length_days() <= max_days || window.length_days() == 1);
                prop_assert_eq!(Month::of(request.from()), Month::of(day::previous(request.until())));
                prop_assert!(window.days().all(|day| request.contains(day)));
            }
        }
    }
}
