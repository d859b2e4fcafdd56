use jiff::civil::date;
use models::ids::{Provider, TerraUserId};
use proptest::prelude::*;

use super::*;
use crate::{
    Join as _,
    connection::ConnectionId,
    history::{
        asked::AskedDays,
        backfill::Plan,
        coverage::{Keyed, Life, Outage, RecordDays},
        day::HOUR_MS,
        month::Month,
        window::{
            Event, Window, WorkerId,
            retry::{Jitter, Reason},
        },
    },
    key::NaturalKey,
};

const FIRST: Date = date(2026, 3, 2);

/// One connection's daily and activity data.
#[derive(Default)]
struct Case {
    daily: RecordDays,
    activity: RecordDays,
    asked: BTreeMap<DataType, AskedDays>,
    outages: Vec<Outage>,
}

impl Case {
    fn with_daily(mut self, days: impl IntoIterator<Item = Date>) -> Self {
        for day in days {
            let key = NaturalKey::Day(day.to_string().parse().unwrap());
            self.daily.insert(&key, None, day::over_ms(day));
        }
        self
    }

    fn noted(mut self, data_type: DataType, note: AskedDays) -> Self {
        let known = self.asked.remove(&data_type).unwrap_or_default();
        self.asked.insert(data_type, known.join(note));
        self
    }

    fn wanted(&self, status: Status, now_ms: i64) -> BTreeMap<DataType, Vec<Date>> {
        let nothing = AskedDays::default();
        let life = Life {
            can_be_asked: true,
            first_day: FIRST,
            ended_at_ms: None,
            settle_hours: 24,
        };
        let known = |data_type, records| Known {
            keyed: Keyed::of(data_type).unwrap(),
            records,
            asked: self.asked.get(&data_type).unwrap_or(&nothing),
            life,
            planned: &[],
            outages: &self.outages,
        };
        let types = BTreeMap::from([
            (DataType::Daily, known(DataType::Daily, &self.daily)),
            (
                DataType::Activity,
                known(DataType::Activity, &self.activity),
            ),
        ]);
        let garmin = ProviderHistory::of(&Provider::new("GARMIN").unwrap());
        let wanted = wanted(&types, garmin, status, &BTreeSet::new(), now_ms);
        wanted
            .into_iter()
            .map(|(data_type, days)| (data_type, days.into_iter().collect()))
            .collect()
    }
}

fn march(days: std::ops::RangeInclusive<i8>) -> Vec<Date> {
    days.map(|day| date(2026, 3, day)).collect()
}

/// Returns the time just after the settling time of a day.
fn settled(day: i8) -> i64 {
    day::over_ms(date(2026, 3, day)) + 24 * HOUR_MS
}

/// Activities of all days so far were asked for.
fn proven(until: i8) -> AskedDays {
    let span = Span::new(FIRST, date(2026, 3, until)).unwrap();
    AskedDays::answer(span, [], settled(until))
}

#[test]
fn only_the_days_of_an_outage_are_asked_for() {
    let case = Case::default()
        .with_daily(march(2..=9).into_iter().chain(march(13..=15)))
        .noted(DataType::Activity, proven(10));
    let wanted = case.wanted(Status::Active, settled(15));
    let expected = BTreeMap::from([
        (DataType::Daily, march(10..=12)),
        (DataType::Activity, march(10..=12)),
    ]);
    assert_eq!(wanted, expected);

    let connection = ConnectionId::of(&TerraUserId::new("u1").unwrap());
    let days = |days: &[Date]| days.iter().copied().collect();
    let missing = wanted
        .iter()
        .map(|(&data_type, wanted)| (data_type, days(wanted)))
        .collect();
    let plan = Plan::gaps(&connection, missing, settled(15)).unwrap();
    let windows: Vec<_> = plan
        .windows()
        .iter()
        .map(|window| (window.span(), window.request()))
        .collect();
    let span = |from, until| Span::new(date(2026, 3, from), date(2026, 3, until)).unwrap();
    assert_eq!(windows, [(span(10, 13), span(9, 14)); 2]);
}

#[test]
fn what_is_being_asked_for_is_not_asked_for_again() {
    let case = Case::default()
        .with_daily(march(2..=9))
        .noted(DataType::Activity, proven(11));
    let now = settled(10);
    assert_eq!(
        case.wanted(Status::Active, now)[&DataType::Daily],
        march(10..=10)
    );
    let case = case.noted(
        DataType::Daily,
        AskedDays::sent(Span::of_day(date(2026, 3, 10)), now),
    );
    assert_eq!(case.wanted(Status::Active, now + 1), BTreeMap::new());
}

#[test]
fn days_without_workouts_are_asked_for_a_week_at_a_time() {
    let case = Case::default()
        .with_daily(march(2..=31))
        .noted(DataType::Activity, proven(5));
    assert_eq!(
        case.wanted(Status::Active, settled(12) - 1),
        BTreeMap::new()
    );
    let wanted = case.wanted(Status::Active, settled(12));
    assert_eq!(
        wanted,
        BTreeMap::from([(DataType::Activity, march(5..=12))])
    );
}

#[test]
fn a_connection_that_brings_nothing_is_asked_ever_more_rarely() {
    let mut case = Case::default()
        .with_daily(march(2..=3))
        .noted(DataType::Activity, proven(4));
    let mut asked_on = Vec::new();
    for days in 0..150 {
        let now = settled(4) + days * DAY_MS;
        for (data_type, wanted) in case.wanted(Status::Active, now) {
            for run in Span::runs(wanted) {
                case = case.noted(data_type, AskedDays::answer(run, [], now));
            }
            if data_type == DataType::Daily {
                asked_on.push(days);
            }
        }
    }
    let (soon, late): (Vec<i64>, Vec<i64>) = asked_on.into_iter().partition(|&days| days < 10);
    assert_eq!(soon.len(), 10);
    assert!((6..=12).contains(&late.len()), "{late:?}");
    let pauses: Vec<_> = late.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(pauses.last(), Some(&29));
}

#[test]
fn an_outage_is_asked_for_where_records_are_there_but_may_be_stale() {
    let noon = settled(9) - 48 * HOUR_MS;
    let mut case = Case::default()
        .with_daily(march(2..=8))
        .noted(DataType::Activity, proven(10));
    let key = NaturalKey::Day("2026-03-09".parse().unwrap());
    case.daily.insert(&key, None, noon);
    case.outages.push(Outage {
        from_ms: noon,
        until_ms: noon + 12 * HOUR_MS,
    });
    let case = case.with_daily(march(10..=14));
    let wanted = case.wanted(Status::Active, settled(14));
    assert_eq!(wanted[&DataType::Daily], march(9..=9));
}

#[test]
fn who_ended_or_fails_is_asked_for_nothing() {
    let case = Case::default();
    assert!(!case.wanted(Status::Active, settled(15)).is_empty());
    for status in [Status::Ended, Status::Failing] {
        assert_eq!(case.wanted(status, settled(15)), BTreeMap::new());
    }
}

/// Returns the window after one request: lost, refused, too large, or answered.
fn asked_once(window: &Window, fate: u8, now_ms: i64, records: u64) -> Window {
    let by = WorkerId("w".into());
    let lease = Event::Lease {
        by: by.clone(),
        until_ms: now_ms + 1,
    };
    let Ok(leased) = window.apply(lease, now_ms) else {
        return window.clone();
    };
    let ask = Event::Ask {
        by: by.clone(),
        deadline_ms: now_ms + 1,
    };
    let asked = leased.apply(ask, now_ms).unwrap();
    let jitter = Jitter(0);
    let event = match fate {
        0 => return asked.apply(Event::Silence { jitter }, now_ms + 1).unwrap(),
        1 => Event::SetBack {
            by,
            reason: Reason::RateLimited,
            retry_after_ms: None,
            jitter,
        },
        // Given up at once, for the gap finder to ask again.
        2 => Event::SetBack {
            by,
            reason: Reason::BadRequest,
            retry_after_ms: None,
            jitter,
        },
        3 => Event::Narrow {
            by,
            reason: Reason::TooLarge,
            jitter,
        },
        _ => Event::Answered { records },
    };
    asked.apply(event, now_ms).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Three months of a person: webhooks get lost, requests fail in every way, and the gap finder
    /// looks every six hours. In the end every settled day is known, and the answer is true.
    #[test]
    fn whatever_is_lost_is_found_by_itself(
        lost in prop::collection::vec(prop::bool::weighted(0.3), 90),
        recorded in prop::collection::vec(prop::bool::weighted(0.8), 90),
        fates in prop::collection::vec(0_u8..12, 64),
    ) {
        let mut fates = fates.into_iter().cycle();
        let (life, connection) = (
            Life { first_day: FIRST, ended_at_ms: None, can_be_asked: true, settle_hours: 24 },
            ConnectionId::of(&TerraUserId::new("u1").unwrap()),
        );
        let all = Span::new(FIRST, day::plus(FIRST, 90)).unwrap();
        let has = |day: Date| {
            let at = usize::try_from(day::between(FIRST, day)).ok();
            at.and_then(|at| recorded.get(at)).is_some_and(|&recorded| recorded)
        };
        let mut case = Case::default();
        let mut windows: Vec<Window> = Vec::new();
        let garmin = ProviderHistory::of(&Provider::new("GARMIN").unwrap());
        // Long enough for the longest pauses and batches after the last day.
        for sweep in 0..4 * 160 {
            let now = day::over_ms(FIRST) + sweep * 6 * HOUR_MS;
            for (day, lost) in all.days().zip(&lost) {
                let arrives = day::over_ms(day);
                if has(day) && !lost && arrives <= now && now < arrives + 6 * HOUR_MS {
                    case = case.with_daily([day]);
                }
            }
            let asked = case.asked.get(&DataType::Daily).cloned().unwrap_or_default();
            let known = Known {
                keyed: Keyed::ByDay,
                records: &case.daily,
                asked: &asked,
                life,
                planned: &[],
                outages: &[],
            };
            let types = BTreeMap::from([(DataType::Daily, known)]);
            let mut wanted = wanted(&types, garmin, Status::Active, &BTreeSet::new(), now);
            let wanted = wanted.remove(&DataType::Daily).unwrap_or_default();
            let mut won = BTreeSet::new();
            for month in wanted.iter().copied().map(Month::of).collect::<BTreeSet<_>>() {
                let known = asked.month_of(month.span().from()).cloned().unwrap_or_default();
                let days = wanted.iter().copied().filter(|&day| Month::of(day) == month).collect();
                let (claimed, days) = known.claim(days, month, now);
                won.extend(month.dates(days));
                case = case.noted(DataType::Daily, AskedDays::from_iter([(month, claimed)]));
            }
            let plan = Plan::gaps(&connection, BTreeMap::from([(DataType::Daily, won)]), now);
            windows.extend(plan.iter().flat_map(Plan::windows));
            let mut next = Vec::new();
            for window in windows.drain(..) {
                if window.due_ms().is_none_or(|due_ms| due_ms > now) {
                    next.push(window);
                    continue;
                }
                let days: Vec<_> = window.span().days().filter(|&day| has(day)).collect();
                let fate = fates.next().unwrap();
                let window = asked_once(&window, fate, now, days.len() as u64);
                let note = if fate > 3 {
                    case = case.with_daily(days.clone());
                    AskedDays::answer(window.span(), days, now)
                } else {
                    AskedDays::sent(window.span(), now)
                };
                case = case.noted(DataType::Daily, note);
                next.extend(window.halves().into_iter().flatten());
                next.push(window);
            }
            next.retain(|window| !window.is_final());
            windows = next;
        }
        let nothing = AskedDays::default();
        let known = Known {
            keyed: Keyed::ByDay,
            records: &case.daily,
            asked: case.asked.get(&DataType::Daily).unwrap_or(&nothing),
            life,
            planned: &[],
            outages: &[],
        };
        let end = day::over_ms(FIRST) + 160 * DAY_MS;
        for (day, state) in known.coverage(all, end) {
            let expected = if has(day) { DayState::Have } else { DayState::ConfirmedEmpty };
            // Refused five times in a row is the one way to be given up.
            if state != DayState::Missing(Missing::GivenUp) {
                prop_assert_eq!(state, expected, "{}", day);
            }
        }
    }
}
