use jiff::civil::date;
use models::ids::{Provider, TerraUserId};

use super::*;
use crate::{
    Join as _,
    connection::ConnectionId,
    history::{
        asked::AskedDays,
        backfill::Plan,
        coverage::{Keyed, Life, Outage, RecordDays},
        day::HOUR_MS,
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

/// When the settling time of a day has just passed.
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
