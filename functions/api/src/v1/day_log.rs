//! Pages of logs whose entries lie in days, newest first, with bounds of what one call reads: a filter may drop most
//! of it.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use store::table::{
    TableError,
    access::AuditLine,
    ledger::{WebhookEntry, place_of},
};

use crate::{query::Paging, text::rfc3339};

/// Entries read for one page, where a filter drops most of them. The table reads at most twice as many, each under a
/// kilobyte: 3 MB.
const MOST_READ: usize = 1_500;
/// Entries read at once, where a filter drops some.
const READ_AT_ONCE: usize = 250;
/// Longest time that a page reads on, where a filter drops most of it.
const LONGEST: Duration = Duration::from_millis(1_500);
/// Days that one call looks back.
pub(super) const MOST_DAYS: u32 = 31;

/// Place in a log: a day, and the entry in it before which the page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    day: Date,
    place: Option<String>,
}

/// An entry of a log.
pub(super) trait Entry {
    /// Time of the entry. Unit: Unix milliseconds.
    fn at_ms(&self) -> i64;
    /// Place of the entry in its day.
    fn place(&self) -> String;
}

impl Entry for WebhookEntry {
    fn at_ms(&self) -> i64 {
        self.received_at_ms
    }

    fn place(&self) -> String {
        place_of(self)
    }
}

impl Entry for AuditLine {
    fn at_ms(&self) -> i64 {
        self.at_ms
    }

    fn place(&self) -> String {
        self.place()
    }
}

/// Part of a log that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) now: Timestamp,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// First day that the log remembers.
    pub(super) oldest: Date,
    /// True if a filter may drop entries.
    pub(super) is_filtered: bool,
}

/// A page of a log.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) entries: Vec<T>,
    /// Place of the next page. `None`: there is nothing more.
    pub(super) next: Option<Before>,
    /// Moment back to which the page was searched. Unit: Unix milliseconds.
    pub(super) searched_ms: Option<i64>,
}

/// Bound of one call's reading.
#[derive(Debug)]
pub(super) struct Budget {
    begun: Instant,
    read: usize,
}

impl Budget {
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            read: 0,
        }
    }

    /// Notes that so many entries were read. Returns whether that is all for this call.
    pub(super) fn is_used_up_by(&mut self, entries: usize) -> bool {
        self.read += entries;
        self.read >= MOST_READ || self.begun.elapsed() >= LONGEST
    }
}

fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The first day of those that a log keeps.
pub(super) fn oldest_day(now: Timestamp, kept_days: i32) -> Date {
    day_of(now).saturating_sub(Span::new().days(kept_days))
}

/// Reads a page. `read` gives the entries of a day before a place in it, newest first, as many as it is told.
pub(super) async fn page<'a, T: Entry>(
    paging: &Paging<Before>,
    wanted: &Wanted,
    read: impl Fn(String, Option<String>, usize) -> BoxFuture<'a, Result<Vec<T>, TableError>>,
    takes: impl Fn(&T) -> bool,
) -> Result<Found<T>, TableError> {
    let start = wanted.until.unwrap_or(wanted.now).min(wanted.now);
    let mut at = paging.after.clone().unwrap_or_else(|| Before {
        day: day_of(start),
        // A moment sorts before every entry of it.
        place: wanted.until.map(|until| rfc3339(until.as_millisecond())),
    });
    let since_ms = wanted.since.map_or(i64::MIN, Timestamp::as_millisecond);
    let first_day = wanted.since.map_or(wanted.oldest, day_of);
    let first_day = first_day.max(wanted.oldest);
    let at_once = if wanted.is_filtered {
        paging.limit.max(READ_AT_ONCE)
    } else {
        paging.limit
    };
    let (mut entries, mut days, mut budget) = (Vec::new(), 0, Budget::begin());
    let mut searched_ms = None;
    let more = 'days: loop {
        let found = read(at.day.to_string(), at.place.clone(), at_once).await?;
        let number = found.len();
        for entry in found {
            if entry.at_ms() < since_ms {
                break 'days false;
            }
            at.place = Some(entry.place());
            searched_ms = Some(entry.at_ms());
            if takes(&entry) {
                entries.push(entry);
                if entries.len() == paging.limit {
                    break 'days true;
                }
            }
        }
        if number < at_once {
            days += 1;
            let Ok(before) = at.day.yesterday() else {
                break false;
            };
            if before < first_day {
                break false;
            }
            let begun = at.day.to_zoned(TimeZone::UTC).ok();
            searched_ms = begun.map(|begun| begun.timestamp().as_millisecond());
            at = Before {
                day: before,
                place: None,
            };
        }
        if budget.is_used_up_by(number) || days >= MOST_DAYS {
            break true;
        }
    };
    Ok(Found {
        entries,
        next: more.then_some(at),
        searched_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt as _;

    use super::*;
    use crate::query::{PAGED, Reader};

    const NOW: &str = "2026-11-20T12:00:00Z";
    const DAY_MS: i64 = 86_400_000;

    /// A line so many days ago, the newest with the lowest number.
    fn line(days_ago: i64, number: i64) -> AuditLine {
        let now: Timestamp = NOW.parse().unwrap();
        AuditLine {
            at_ms: now.as_millisecond() - days_ago * DAY_MS - number,
            actor: format!("key:{number}"),
            action: String::new(),
            person: None,
            subject: None,
            request_id: format!("r{number}"),
            number: 0,
            status: 200,
        }
    }

    fn paging(limit: usize, after: Option<Before>) -> Paging<Before> {
        let mut reader = Reader::new("", &PAGED, "/v1/audit");
        let mut paging = reader.paging();
        paging.limit = limit;
        paging.after = after;
        paging
    }

    fn wanted(until: Option<&str>) -> Wanted {
        let now: Timestamp = NOW.parse().unwrap();
        Wanted {
            now,
            since: None,
            until: until.map(|until| until.parse().unwrap()),
            oldest: oldest_day(now, 400),
            is_filtered: true,
        }
    }

    /// Reads all pages. Returns the lines, the number of pages, and the most that one of them read.
    fn all_pages(
        lines: &[AuditLine],
        wanted: &Wanted,
        takes: impl Fn(&AuditLine) -> bool,
    ) -> (Vec<AuditLine>, usize, usize) {
        let (mut all, mut pages, mut most, mut after) = (Vec::new(), 0, 0, None);
        loop {
            let read = Cell::new(0);
            let of_day = |day: String, before: Option<String>, limit| {
                let of_day = lines.iter().filter(|line| {
                    let place = line.place();
                    place.starts_with(&day) && before.as_ref().is_none_or(|it| place < *it)
                });
                let mut of_day: Vec<_> = of_day.cloned().collect();
                of_day.sort_by_key(|line| std::cmp::Reverse(line.place()));
                of_day.truncate(limit);
                read.set(read.get() + of_day.len());
                std::future::ready(Ok(of_day)).boxed()
            };
            let paging = paging(50, after);
            let found = page(&paging, wanted, of_day, &takes);
            let found = found.now_or_never().unwrap().unwrap();
            (pages, most) = (pages + 1, most.max(read.get()));
            assert!(found.entries.is_empty() || found.searched_ms.is_some());
            all.extend(found.entries);
            after = found.next;
            if after.is_none() {
                return (all, pages, most);
            }
            assert!(found.searched_ms.is_some());
        }
    }

    #[test]
    fn a_call_reads_a_bounded_number_and_its_cursor_goes_on() {
        let lines: Vec<_> = (0..5_000).map(|number| line(0, number)).collect();
        let (found, pages, most) =
            all_pages(&lines, &wanted(None), |line| line.actor == "key:4999");
        assert_eq!(found, [line(0, 4_999)]);
        assert!(
            pages > 3 && most < MOST_READ + READ_AT_ONCE,
            "{pages} {most}"
        );
    }

    #[test]
    fn an_end_in_the_future_begins_now() {
        let lines = [line(0, 1), line(40, 2), line(399, 3)];
        let (found, ..) = all_pages(&lines, &wanted(Some("2029-01-01T00:00:00Z")), |_| true);
        assert_eq!(found, lines);
        let (found, ..) = all_pages(&lines, &wanted(Some("2026-11-20T00:00:00Z")), |_| true);
        assert_eq!(found, lines[1..]);
    }
}
