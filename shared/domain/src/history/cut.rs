//! A run of days cut into requests that stay small.
//!
//! Beyond a month, or over a month's boundary, Terra makes a *large request* of whatever is asked
//! (FACTS sections 4, 5 and 14, row 6). So, unless that is wanted, a request lies within one
//! month and covers at most 28 days; a month of more is asked for in halves. `end_date` is exclusive, and daily records may
//! stand under the neighbouring day of UTC: a request takes one day more on either side, as far as
//! the month goes, and what comes twice has the same key. Across the boundary, the neighbouring
//! window sees to it.

use super::{
    day::{self, Span},
    month::Month,
};

/// The most days of one request that is to stay an ordinary one (FACTS section 4).
pub const MAX_REQUEST_DAYS: u32 = 28;

/// The days of one large request, where history is to come by them: what is lost of one is asked for
/// again as a whole.
pub const LARGE_REQUEST_DAYS: u32 = 365;

/// Whether Terra makes a large request of these days, whatever is asked, by any account of what is
/// large (FACTS section 14, row 6).
pub fn is_large(request: Span) -> bool {
    let last = day::previous(request.until());
    request.length_days() > MAX_REQUEST_DAYS || Month::of(request.from()) != Month::of(last)
}

/// The same by every account: more than any month has.
pub fn is_surely_large(request: Span) -> bool {
    request.length_days() > 31
}

/// Windows for a run of days, newest first: neighbouring, without overlap, each small enough for its
/// request to have at most `max_request_days` (but one day at least). Each lies within a month, unless
/// requests may be large.
pub fn windows(span: Span, max_request_days: u32) -> Vec<Span> {
    let mut windows = Vec::new();
    if max_request_days > MAX_REQUEST_DAYS {
        // The request has a day more on either side.
        let days = i64::from(max_request_days) - 2;
        let mut until = span.until();
        while let Ok(window) = Span::new(span.from().max(day::plus(until, -days)), until) {
            windows.push(window);
            until = window.from();
        }
        return windows;
    }
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

/// The days to ask Terra for when a window's own are wanted: `from` is `start_date`, `until` is
/// `end_date`, exclusive.
pub fn with_overlap(span: Span) -> Span {
    let month = Month::of(span.from()).span();
    let wider = Span::new(day::previous(span.from()), day::next(span.until())).unwrap_or(span);
    if is_large(span) {
        return wider;
    }
    wider.intersection(month).unwrap_or(span)
}

/// Windows for the days that are missing: as [`windows`], and where a run ends at a month's
/// boundary, the day beyond it as a window of its own, because the overlap may not cross it.
pub fn windows_of_gap(
    run: Span,
    newest_day: jiff::civil::Date,
    max_request_days: u32,
) -> Vec<Span> {
    let months = (
        Month::of(run.from()).span(),
        Month::of(day::previous(run.until())).span(),
    );
    let before = (run.from() == months.0.from()).then(|| day::previous(run.from()));
    let after = (run.until() == months.1.until()).then_some(run.until());
    let after = after.filter(|&after| after <= newest_day);
    let mut spans = windows(run, max_request_days);
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
        let windows = windows(year, MAX_REQUEST_DAYS);
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
        let gap = windows_of_gap(first, date(2026, 5, 9), MAX_REQUEST_DAYS);
        assert_eq!(gap, [first, Span::of_day(date(2026, 4, 30))]);
        let last = Span::of_day(date(2026, 4, 30));
        assert_eq!(
            windows_of_gap(last, date(2026, 4, 30), MAX_REQUEST_DAYS),
            [last]
        );
    }

    #[test]
    fn large_windows_keep_to_no_boundary_and_overlap_over_it() {
        let years = Span::new(date(2024, 1, 15), date(2026, 3, 1)).unwrap();
        let windows = windows(years, LARGE_REQUEST_DAYS);
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
            max_days in 1_u32..=MAX_REQUEST_DAYS,
        ) {
            let from = day::plus(date(2020, 2, 29), from);
            let span = Span::new(from, day::plus(from, days)).unwrap();
            let windows = windows(span, max_days);
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
