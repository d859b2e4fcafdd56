use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::{Join as _, history::asked::ASKED_MS};

const FIRST: Date = date(2026, 3, 1);
const SETTLE_HOURS: u32 = 24;

/// Everything coverage rests on, for one day-keyed or session type.
struct Case {
    keyed: Keyed,
    records: RecordDays,
    asked: AskedDays,
    life: Life,
    planned: Vec<Span>,
    outages: Vec<Outage>,
}

impl Case {
    fn new(keyed: Keyed) -> Self {
        let life = Life {
            can_be_asked: true,
            first_day: FIRST,
            ended_at_ms: None,
            settle_hours: SETTLE_HOURS,
        };
        Self {
            keyed,
            records: RecordDays::default(),
            asked: AskedDays::default(),
            life,
            planned: Vec::new(),
            outages: Vec::new(),
        }
    }

    fn record(mut self, start_time: &str, delivered_at_ms: i64) -> Self {
        let key = match self.keyed {
            Keyed::ByDay => {
                NaturalKey::Day(crate::key::CalendarDate::cut_from(start_time).unwrap())
            }
            Keyed::Sessions => NaturalKey::Id(start_time.to_owned()),
        };
        self.records.insert(&key, Some(start_time), delivered_at_ms);
        self
    }

    fn noted(mut self, note: AskedDays) -> Self {
        self.asked = self.asked.join(note);
        self
    }

    fn state(&self, day: Date, now_ms: i64) -> DayState {
        self.known().state(day, now_ms)
    }

    fn known(&self) -> Known<'_> {
        Known {
            keyed: self.keyed,
            records: &self.records,
            asked: &self.asked,
            life: self.life,
            planned: &self.planned,
            outages: &self.outages,
        }
    }
}

/// Long after the day's data should have come.
fn later(day: Date) -> i64 {
    day::over_ms(day) + i64::from(SETTLE_HOURS) * HOUR_MS
}

const DAY: Date = date(2026, 3, 10);

#[test]
fn a_day_is_unsettled_then_missing_then_asked_then_empty_or_had() {
    let now = later(DAY);
    let case = Case::new(Keyed::ByDay);
    assert_eq!(case.state(DAY, now - 1), DayState::Unsettled);
    assert_eq!(case.state(DAY, now), DayState::Missing(Missing::NoRecord));
    let case = case.noted(AskedDays::sent(Span::of_day(DAY), now));
    assert_eq!(case.state(DAY, now + 1), DayState::Asked);
    assert_eq!(
        case.state(DAY, now + ASKED_MS),
        DayState::Missing(Missing::NoRecord)
    );
    let empty = case.noted(AskedDays::answer(Span::of_day(DAY), [], now));
    assert_eq!(empty.state(DAY, now + 1), DayState::ConfirmedEmpty);
    let had = empty.record("2026-03-10T00:00:00", now);
    assert_eq!(had.state(DAY, now + 1), DayState::Have);
}

#[test]
fn an_answer_from_before_the_day_was_over_proves_nothing() {
    let early = day::over_ms(DAY) - 1;
    let case = Case::new(Keyed::ByDay).noted(AskedDays::answer(Span::of_day(DAY), [], early));
    assert_eq!(case.state(DAY, early + 1), DayState::Unsettled);
    assert_eq!(
        case.state(DAY, later(DAY)),
        DayState::Missing(Missing::NoRecord)
    );
}

#[test]
fn records_on_their_way_to_the_table_are_not_called_empty() {
    let now = later(DAY);
    let case = Case::new(Keyed::ByDay).noted(AskedDays::answer(Span::of_day(DAY), [DAY], now));
    assert_eq!(case.state(DAY, now + 1), DayState::Asked);
    assert_eq!(
        case.state(DAY, now + ASKED_MS),
        DayState::Missing(Missing::NoRecord)
    );
}

#[test]
fn a_session_counts_when_its_day_was_asked_for_and_answered() {
    let now = later(DAY);
    let case = Case::new(Keyed::Sessions).record("2026-03-10T23:30:00+09:00", 0);
    assert_eq!(case.state(DAY, now - 1), DayState::Have);
    assert_eq!(case.state(DAY, now), DayState::Missing(Missing::Unproven));
    let case = case.noted(AskedDays::answer(Span::of_day(DAY), [DAY], now));
    assert_eq!(case.state(DAY, now), DayState::Have);
    assert_eq!(
        case.state(day::next(DAY), later(day::next(DAY))),
        DayState::Missing(Missing::NoRecord)
    );
}

#[test]
fn days_before_the_reach_and_after_the_end_are_not_missing() {
    let mut case = Case::new(Keyed::ByDay);
    let now = later(DAY);
    assert_eq!(
        case.state(day::previous(FIRST), now),
        DayState::Outside(Outside::BeforeReach)
    );
    assert_eq!(
        case.state(date(2026, 4, 1), now),
        DayState::Outside(Outside::Future)
    );
    case.life.ended_at_ms = Some(day::over_ms(DAY));
    assert_eq!(case.state(DAY, now), DayState::Missing(Missing::NoRecord));
    assert_eq!(
        case.state(day::next(DAY), i64::MAX / 8),
        DayState::Outside(Outside::AfterEnd)
    );
}

#[test]
fn a_day_whose_record_is_older_than_an_outage_is_asked_for_again() {
    let noon = day::over_ms(DAY) - 20 * HOUR_MS;
    let mut case = Case::new(Keyed::ByDay).record("2026-03-10T00:00:00Z", noon);
    let outage = Outage {
        from_ms: noon,
        until_ms: noon + 10 * HOUR_MS,
    };
    case.outages.push(outage);
    let now = later(DAY);
    assert_eq!(case.state(DAY, now), DayState::Missing(Missing::Stale));
    let case = case.record("2026-03-10T00:00:00Z", outage.until_ms);
    assert_eq!(case.state(DAY, now), DayState::Have);
}

#[test]
fn what_an_open_backfill_will_ask_for_is_not_missing() {
    let mut case = Case::new(Keyed::ByDay);
    case.planned.push(Span::of_day(DAY));
    assert_eq!(case.state(DAY, later(DAY)), DayState::Asked);
}

/// FACTS section 9, "Time": the text's own day counts, at every offset and without one.
#[test]
fn no_day_is_doubled_or_missing_at_any_offset() {
    for offset in ["", "Z", "+14:00", "-14:00", "+05:45", "-00:30"] {
        let span = Span::new(DAY, date(2026, 4, 10)).unwrap();
        let case = span.days().fold(Case::new(Keyed::ByDay), |case, day| {
            case.record(&format!("{day}T00:00:00.000000{offset}"), 0)
        });
        let coverage = case.known().coverage(span, later(span.until()));
        assert_eq!(coverage.len(), 31);
        assert!(
            coverage.values().all(|state| *state == DayState::Have),
            "{offset}"
        );
    }
}

/// Berlin: 29 March 2026 has 23 hours, 25 October 2026 has 25.
#[test]
fn clock_changes_neither_double_nor_skip_a_day() {
    for (before, the_day, after, until) in [
        (
            "2026-03-28T00:00:00+01:00",
            "2026-03-29T00:00:00+01:00",
            "2026-03-30T00:00:00+02:00",
            30,
        ),
        (
            "2026-10-24T00:00:00+02:00",
            "2026-10-25T00:00:00+02:00",
            "2026-10-26T00:00:00+01:00",
            26,
        ),
    ] {
        let without = Case::new(Keyed::ByDay).record(before, 0).record(after, 0);
        let day: Date = the_day.get(..10).unwrap().parse().unwrap();
        let now = later(date(2026, 11, until));
        assert_eq!(
            without.state(day, now),
            DayState::Missing(Missing::NoRecord)
        );
        assert_eq!(without.record(the_day, 0).state(day, now), DayState::Have);
    }
}

/// Westward over the date line a day is left out, eastward one is lived twice.
#[test]
fn travel_across_the_date_line_leaves_no_day_missing() {
    let now = later(date(2026, 4, 1));
    let west = Case::new(Keyed::ByDay)
        .record("2026-03-09T00:00:00-10:00", 0)
        .record("2026-03-11T00:00:00+14:00", 0);
    assert_eq!(west.state(DAY, now), DayState::Outside(Outside::Skipped));
    let samoa = Case::new(Keyed::ByDay)
        .record("2026-03-09T00:00:00-11:00", 0)
        .record("2026-03-11T00:00:00+13:00", 0);
    assert_eq!(samoa.state(DAY, now), DayState::Outside(Outside::Skipped));

    let east = [
        "2026-03-09T00:00:00+14:00",
        "2026-03-10T00:00:00+14:00",
        "2026-03-10T00:00:00-10:00",
        "2026-03-11T00:00:00-10:00",
    ];
    let east = east
        .into_iter()
        .fold(Case::new(Keyed::ByDay), |case, text| case.record(text, 0));
    let span = Span::new(date(2026, 3, 9), date(2026, 3, 12)).unwrap();
    let coverage = east.known().coverage(span, now);
    assert!(coverage.values().all(|state| *state == DayState::Have));
}

proptest! {
    /// Whatever is stored, asked and planned: a settled day within life, asked after it was over
    /// and answered, is never missing.
    #[test]
    fn an_answered_day_is_had_or_empty(
        offset in -14_i8..=14,
        with_record: bool,
        keyed in prop_oneof![Just(Keyed::ByDay), Just(Keyed::Sessions)],
        asked_after_h in 0_i64..400,
    ) {
        let start = format!("{DAY}T00:00:00{}{:02}:00", if offset < 0 { '-' } else { '+' }, offset.abs());
        let asked_at = day::over_ms(DAY) + asked_after_h * HOUR_MS;
        let answer = AskedDays::answer(Span::of_day(DAY), with_record.then_some(DAY), asked_at);
        let mut case = Case::new(keyed).noted(answer);
        if with_record {
            case = case.record(&start, asked_at);
        }
        let expected = if with_record { DayState::Have } else { DayState::ConfirmedEmpty };
        prop_assert_eq!(case.state(DAY, asked_at), expected);
    }
}
