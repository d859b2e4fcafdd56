//! Days of made-up people.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use models::{
    data::DataType,
    ids::{Provider, TerraUserId},
};
use proptest::prelude::*;

use super::*;
use crate::{
    connection::ConnectionId,
    days::shown::Letters,
    history,
    key::{Identity, NaturalKey},
    locator::Locator,
    record::{Arrival, Payload, Record},
    source::{Group, Metric, Policy, policy::Document},
    summary::{Summary, Value},
    version::Version,
};

const DAY: Date = date(2026, 11, 20);

/// A record of a provider, delivered long after its day.
fn reading(
    provider: &str,
    data_type: DataType,
    (start, end): (&str, &str),
    fields: &[(&str, Value)],
) -> Reading {
    let identity = Identity {
        summary_id: Some(format!("{provider} {start}")),
        start_time: Some(start.to_owned()),
        end_time: Some(end.to_owned()),
        timestamp: Some(start.to_owned()),
        ..Identity::default()
    };
    let times = [("start_time", start), ("end_time", end)];
    let times = times.map(|(name, time)| (name, Value::Text(time.to_owned())));
    let fields = times.into_iter().chain(fields.iter().cloned());
    let arrival = Arrival {
        version: Version {
            ordering_ts_ms: 1_796_000_000_000,
            webhook_id: "w".to_owned(),
            index: 0,
        },
        payload: Payload {
            locator: Locator {
                segment: "archive/none.zst".to_owned(),
                offset_bytes: 0,
                length_bytes: 1,
            },
            size_bytes: 1,
            inline: None,
        },
        summary: Summary::from_fields(data_type, fields),
        from_samples: None,
        streams: BTreeSet::new(),
        start_time: Some(start.to_owned()),
        retracted: false,
    };
    let loaded = Loaded {
        connection: ConnectionId::of(&TerraUserId::new(provider).unwrap()),
        provider: Provider::new(provider).unwrap(),
        ended_at_ms: None,
        data_type,
        key: NaturalKey::of(data_type, &identity, "").unwrap(),
        record: Record::new(arrival, BTreeMap::new()),
    };
    Reading::of(&loaded).unwrap()
}

const WHOLE_DAY: (&str, &str) = (
    "2026-11-20T00:00:00.000000+01:00",
    "2026-11-21T00:00:00.000000+01:00",
);

fn daily(provider: &str, fields: &[(&str, f64)]) -> Reading {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, number)| (*name, Value::Number(*number)))
        .collect();
    reading(provider, DataType::Daily, WHOLE_DAY, &fields)
}

fn night(provider: &str, times: (&str, &str), hours: f64, more: &[(&str, Value)]) -> Reading {
    let asleep = (
        "duration_asleep_state_seconds",
        Value::Number(hours * 3600.0),
    );
    let fields: Vec<_> = std::iter::once(asleep)
        .chain(more.iter().cloned())
        .collect();
    reading(provider, DataType::Sleep, times, &fields)
}

fn decided(readings: &[Reading]) -> Day {
    let readings: Vec<&Reading> = readings.iter().collect();
    decide(DAY, &readings, &Policy::default(), &Wanted::default())
}

fn number(day: &Day, metric: &str) -> Option<f64> {
    day.value(metric)?.chosen()?.number()
}

#[test]
fn the_record_of_the_steps_gives_all_it_has_and_what_it_lacks_is_chosen_alone() {
    let day = decided(&[
        daily(
            "GARMIN",
            &[("steps", 9_000.0), ("distance_meters", 6_000.0)],
        ),
        daily(
            "OURA",
            &[
                ("steps", 8_000.0),
                ("distance_meters", 7_000.0),
                ("total_burned_calories", 2_400.0),
            ],
        ),
    ]);
    assert_eq!(number(&day, "steps"), Some(9_000.0));
    assert_eq!(number(&day, "distance_meters"), Some(6_000.0));
    assert_eq!(number(&day, "total_burned_calories"), Some(2_400.0));
    let distance = day.value("distance_meters").unwrap();
    assert_eq!(distance.led_by.as_ref().unwrap().metric.id, "steps");
}

#[test]
fn a_night_belongs_to_the_day_of_waking_and_decides_over_recovery() {
    let hrv = |number| [("avg_hrv_rmssd", Value::Number(number))];
    let times = ("2026-11-19T23:00:00+01:00", "2026-11-20T07:00:00+01:00");
    let nap = [
        ("is_nap", Value::Flag(true)),
        ("avg_hrv_rmssd", Value::Number(90.0)),
    ];
    let readings = [
        night("OURA", times, 7.0, &hrv(48.0)),
        night("GARMIN", times, 6.5, &hrv(55.0)),
        night(
            "OURA",
            ("2026-11-20T13:00:00+01:00", "2026-11-20T22:00:00+01:00"),
            8.5,
            &nap,
        ),
    ];
    let day = decided(&readings);
    assert_eq!(
        number(&day, "duration_asleep_state_seconds"),
        Some(7.0 * 3600.0)
    );
    assert_eq!(number(&day, "avg_hrv_rmssd"), Some(48.0));
    assert_eq!(day.started_on, Some(date(2026, 11, 19)));
    let sessions = sessions(&readings, DataType::Sleep, &Policy::default(), (DAY, DAY));
    let shown: Vec<_> = sessions
        .iter()
        .map(|session| (session.main, session.others.len(), session.chosen.is_nap()))
        .collect();
    assert_eq!(shown, [(true, 1, false), (false, 0, true)]);
    assert_eq!(sessions[0].others[0].overlap_seconds, 8 * 3600);
}

#[test]
fn two_parts_of_a_night_stay_two_sessions_with_one_main() {
    let readings = [
        night(
            "OURA",
            ("2026-11-19T22:00:00+01:00", "2026-11-20T01:00:00+01:00"),
            2.5,
            &[],
        ),
        night(
            "OURA",
            ("2026-11-20T02:30:00+01:00", "2026-11-20T07:00:00+01:00"),
            4.0,
            &[],
        ),
    ];
    let day = decided(&readings);
    assert_eq!(
        number(&day, "duration_asleep_state_seconds"),
        Some(4.0 * 3600.0)
    );
    let sessions = sessions(&readings, DataType::Sleep, &Policy::default(), (DAY, DAY));
    let main: Vec<bool> = sessions.iter().map(|session| session.main).collect();
    assert_eq!(main, [false, true]);
}

#[test]
fn fields_of_a_night_come_from_one_session() {
    let times = ("2026-11-19T23:00:00+01:00", "2026-11-20T07:00:00+01:00");
    let rem = [("duration_REM_sleep_state_seconds", Value::Number(5_000.0))];
    let day = decided(&[
        night("OURA", times, 7.0, &[]),
        night("WHOOP", times, 6.0, &rem),
    ]);
    assert_eq!(
        number(&day, "duration_asleep_state_seconds"),
        Some(7.0 * 3600.0)
    );
    assert_eq!(number(&day, "duration_REM_sleep_state_seconds"), None);
    let mut letters = Letters::default();
    let shown = shown::day(&day, &mut letters, false);
    assert_eq!(shown.sleep.unwrap().values.len(), 1);
}

#[test]
fn an_activity_that_three_devices_recorded_is_one() {
    let ride = |provider, start: &str, end: &str| {
        let times = (
            format!("2026-11-20T{start}:00+01:00"),
            format!("2026-11-20T{end}:00+01:00"),
        );
        reading(provider, DataType::Activity, (&times.0, &times.1), &[])
    };
    let readings = [
        ride("STRAVA", "10:00", "12:00"),
        ride("GARMIN", "10:01", "11:59"),
        ride("OURA", "10:30", "11:00"),
        ride("OURA", "11:50", "13:00"),
    ];
    assert_eq!(decided(&readings).activities, Some(2));
    let sessions = sessions(
        &readings,
        DataType::Activity,
        &Policy::default(),
        (DAY, DAY),
    );
    assert_eq!(sessions[0].chosen.source.provider.as_str(), "GARMIN");
    assert_eq!(sessions[0].others.len(), 2);
}

const NEAR: (Date, Date) = (date(2026, 11, 15), date(2026, 11, 25));

#[test]
fn a_session_that_sources_date_differently_is_one_on_the_day_of_the_chosen_record() {
    let just_before_midnight = [
        (
            "GARMIN",
            "2026-11-19T23:58:00+01:00",
            "2026-11-20T00:40:00+01:00",
        ),
        (
            "APPLE",
            "2026-11-20T00:01:00+01:00",
            "2026-11-20T00:41:00+01:00",
        ),
    ];
    let in_two_zones = [
        (
            "GARMIN",
            "2026-11-20T07:00:00+09:00",
            "2026-11-20T08:00:00+09:00",
        ),
        ("APPLE", "2026-11-19T22:00:00Z", "2026-11-19T23:00:00Z"),
    ];
    for (records, day) in [
        (just_before_midnight, date(2026, 11, 19)),
        (in_two_zones, DAY),
    ] {
        let readings = records
            .map(|(provider, start, end)| reading(provider, DataType::Activity, (start, end), &[]));
        let shown = sessions(&readings, DataType::Activity, &Policy::default(), NEAR);
        let shown: Vec<_> = shown
            .iter()
            .map(|session| {
                (
                    session.day,
                    session.chosen.source.provider.as_str(),
                    session.others.len(),
                )
            })
            .collect();
        assert_eq!(shown, [(day, "GARMIN", 1)]);
        let days = decide_all(&readings, &Policy::default(), &Wanted::default(), NEAR);
        let days: Vec<_> = days.iter().map(|day| (day.date, day.activities)).collect();
        assert_eq!(days, [(day, Some(1))]);
    }
}

#[test]
fn a_night_that_sources_date_differently_is_the_night_of_one_day() {
    let readings = [
        night(
            "GARMIN",
            ("2026-11-19T23:00:00+09:00", "2026-11-20T07:00:00+09:00"),
            6.0,
            &[],
        ),
        night(
            "OURA",
            ("2026-11-19T14:05:00Z", "2026-11-19T22:01:00Z"),
            7.0,
            &[],
        ),
    ];
    let all: Vec<&Reading> = readings.iter().collect();
    let metric = Metric::named("duration_asleep_state_seconds").unwrap();
    let asleep = |day| {
        let why = why(metric, day, &all, &Policy::default(), Vec::new(), 0);
        (why.value, why.rejected.len())
    };
    let days = decide_all(&readings, &Policy::default(), &Wanted::default(), NEAR);
    let [day] = &days[..] else {
        panic!("{} days", days.len());
    };
    let decided = day.value(metric.id).unwrap();
    assert_eq!(
        (decided.candidates.len(), decided.choice.rejected.len()),
        (2, 1)
    );
    let value = decided.chosen().map(|chosen| chosen.value.clone());
    assert_eq!(asleep(day.date), (value, 1));
    let other = [date(2026, 11, 19), DAY]
        .into_iter()
        .find(|other| *other != day.date);
    assert_eq!(asleep(other.unwrap()), (None, 0));
    let sessions = sessions(&readings, DataType::Sleep, &Policy::default(), NEAR);
    let shown: Vec<_> = sessions
        .iter()
        .map(|session| (session.day, session.main, session.others.len()))
        .collect();
    assert_eq!(shown, [(day.date, true, 1)]);
}

#[test]
fn records_that_would_join_three_days_stay_on_their_own() {
    let readings = [
        ("GARMIN", "2026-11-19T20:00:00Z", "2026-11-20T20:00:00Z"),
        ("APPLE", "2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z"),
        (
            "OURA",
            "2026-11-21T00:00:00+06:00",
            "2026-11-21T06:00:00+06:00",
        ),
    ]
    .map(|(provider, start, end)| reading(provider, DataType::Activity, (start, end), &[]));
    let sessions = sessions(&readings, DataType::Activity, &Policy::default(), NEAR);
    let days: Vec<_> = sessions.iter().map(|session| session.day).collect();
    assert_eq!(days, [date(2026, 11, 21), DAY, date(2026, 11, 19)]);
}

#[test]
fn a_pair_is_taken_from_one_record() {
    let body = |provider, fields: &[(&str, f64)]| {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, number)| (*name, Value::Number(*number)))
            .collect();
        reading(provider, DataType::Body, WHOLE_DAY, &fields)
    };
    let half = body("OMRON", &[("systolic_bp", 150.0)]);
    let day = decided(&[
        half.clone(),
        body("APPLE", &[("systolic_bp", 120.0), ("diastolic_bp", 80.0)]),
    ]);
    assert_eq!(number(&day, "systolic_bp"), Some(120.0));
    assert_eq!(number(&day, "diastolic_bp"), Some(80.0));
    let day = decided(&[half, body("APPLE", &[("diastolic_bp", 80.0)])]);
    assert_eq!(number(&day, "systolic_bp"), Some(150.0));
    assert_eq!(number(&day, "diastolic_bp"), Some(80.0));
}

#[test]
fn nutrition_is_one_diarys_day_and_scores_are_listed_of_all() {
    let meals = |provider, count, protein: Option<f64>| {
        let mut fields = vec![("meal_count", Value::Number(count))];
        fields.extend(protein.map(|protein| ("protein_g", Value::Number(protein))));
        reading(provider, DataType::Nutrition, WHOLE_DAY, &fields)
    };
    let day = decided(&[
        meals("CRONOMETER", 2.0, None),
        meals("APPLE", 9.0, Some(80.0)),
        daily("OURA", &[("score_recovery", 71.0)]),
        daily("WHOOP", &[("score_recovery", 55.0)]),
    ]);
    assert_eq!(number(&day, "meal_count"), Some(2.0));
    assert_eq!(number(&day, "protein_g"), None);
    assert_eq!(day.scores.len(), 2);
    assert!(day.value("score_recovery").is_none());
}

#[test]
fn why_tells_the_choice_the_lead_and_what_others_would_give() {
    let readings = [
        daily(
            "GARMIN",
            &[("steps", 9_120.0), ("distance_meters", 6_000.0)],
        ),
        daily("OURA", &[("steps", 8_410.0), ("distance_meters", 6_100.0)]),
        daily("APPLE", &[("steps", 9_777.0)]),
    ];
    let readings: Vec<&Reading> = readings.iter().collect();
    let of = |metric| {
        let metric = Metric::named(metric).unwrap();
        why(
            metric,
            DAY,
            &readings,
            &Policy::default(),
            Vec::new(),
            i64::MAX,
        )
    };
    let steps = of("steps");
    assert_eq!(steps.value, Some(Value::Number(9_120.0)));
    assert_eq!(steps.if_preferred["OURA"], Some(Value::Number(8_410.0)));
    assert_eq!(steps.if_preferred["APPLE"], Some(Value::Number(9_777.0)));
    assert_eq!(steps.day.cut_from.as_deref(), Some(WHOLE_DAY.0));
    assert!(steps.led_by.is_none() && steps.day.over);
    let distance = of("distance_meters");
    assert_eq!(distance.led_by.unwrap().metric, "steps");
    assert_eq!(distance.if_preferred["OURA"], Some(Value::Number(6_100.0)));
    let weight = of("weight_kg");
    assert_eq!((weight.value, weight.rejected.len()), (None, 0));
    assert_eq!(weight.sentence, "No source has weight_kg on this day.");
    insta::assert_snapshot!(steps.rule.text, @"watch, band, ring or bike computer, then aggregator, then phone, then diary; of several the largest");
}

#[test]
fn what_came_before_the_wearers_midnight_is_partial() {
    let fields = [("steps", Value::Number(1.0))];
    let start_in = |start: &str| {
        let end = "2027-11-21T00:00:00+01:00";
        let loaded = reading("GARMIN", DataType::Daily, (start, end), &fields);
        loaded.settled
    };
    // Delivered at 2026-11-30T00:53:20Z.
    assert!(start_in("2026-11-28T00:00:00-10:00"));
    assert!(start_in("2026-11-29T00:00:00+02:00"));
    assert!(!start_in("2026-11-29T00:00:00-02:00"));
    // Nobody knows where.
    assert!(!start_in("2026-11-29T00:00:00"));
    assert!(start_in("2026-11-28T00:00:00"));
}

const PROVIDERS: [&str; 5] = ["GARMIN", "OURA", "APPLE", "WHOOP", "CRONOMETER"];

fn any_readings() -> impl Strategy<Value = Vec<Reading>> {
    let record = (
        0..PROVIDERS.len(),
        0_usize..5,
        1_u32..90,
        0_u32..20,
        any::<bool>(),
    );
    prop::collection::vec(record, 0..14).prop_map(|records| {
        let records = records
            .into_iter()
            .map(|(provider, kind, size, hour, flag)| {
                let provider = PROVIDERS[provider];
                let number = f64::from(size);
                let start = format!("2026-11-20T{hour:02}:00:00+01:00");
                let end = format!("2026-11-20T{:02}:30:00+01:00", hour + 3);
                match kind {
                    0 => daily(
                        provider,
                        &[
                            ("steps", number * 100.0),
                            ("distance_meters", number * 70.0),
                            ("resting_hr_bpm", number + 20.0),
                        ],
                    ),
                    1 => reading(
                        provider,
                        DataType::Body,
                        WHOLE_DAY,
                        &[
                            ("weight_kg", Value::Number(number)),
                            ("systolic_bp", Value::Number(number + 60.0)),
                        ],
                    ),
                    2 => night(
                        provider,
                        (&start, &end),
                        number / 10.0,
                        &[
                            ("is_nap", Value::Flag(flag)),
                            ("avg_hrv_rmssd", Value::Number(number)),
                        ],
                    ),
                    3 => reading(provider, DataType::Activity, (&start, &end), &[]),
                    _ => reading(
                        provider,
                        DataType::Nutrition,
                        WHOLE_DAY,
                        &[
                            ("meal_count", Value::Number(number)),
                            ("protein_g", Value::Number(number)),
                        ],
                    ),
                }
            });
        let by_record: BTreeMap<_, _> = records
            .map(|reading| (reading.record.clone(), reading))
            .collect();
        by_record.into_values().collect()
    })
}

proptest! {
    #[test]
    fn why_equals_the_day_for_every_value(readings in any_readings(), person in any::<bool>()) {
        let document = Document::parse(
            br#"{"version": 2, "rules": [{"groups": ["movement", "sleep"], "tiers": [[{"provider": "APPLE"}]]}]}"#,
        );
        let policy = Policy {
            person: person.then(|| document.unwrap()),
            ..Policy::default()
        };
        let all: Vec<&Reading> = readings.iter().collect();
        let day = decide(DAY, &all, &policy, &Wanted::default());
        for metric in Metric::all().iter().filter(|metric| metric.group != Group::Scores) {
            let why = why(metric, DAY, &all, &policy, Vec::new(), 0);
            let decided = day.value(metric.id);
            let chosen = decided.and_then(Decided::chosen);
            prop_assert_eq!(&why.value, &chosen.map(|chosen| chosen.value.clone()));
            prop_assert_eq!(why.chosen.map(|why| why.record), chosen.map(|chosen| chosen.record.clone()));
            let rejected = decided.map_or(0, |decided| decided.choice.rejected.len());
            prop_assert_eq!(why.rejected.len(), rejected);
            prop_assert_eq!(why.decided_by, decided.and_then(|decided| Some(decided.choice.decided_by?.as_str())));
        }
    }

    #[test]
    fn every_sleep_and_activity_is_in_one_session(readings in any_readings()) {
        for data_type in [DataType::Sleep, DataType::Activity] {
            let sessions = sessions(&readings, data_type, &Policy::default(), (DAY, DAY));
            let mut records: Vec<_> = sessions
                .iter()
                .flat_map(|session| {
                    let others = session.others.iter().map(|other| &other.reading.record);
                    std::iter::once(&session.chosen.record).chain(others)
                })
                .collect();
            records.sort();
            let of_type = readings.iter().map(|reading| &reading.record);
            let of_type: Vec<_> = of_type.filter(|record| record.data_type == data_type).collect();
            prop_assert_eq!(records, of_type);
            prop_assert!(sessions.iter().filter(|session| session.main).count() <= 1);
            let all: Vec<&Reading> = readings.iter().collect();
            let day = decide(DAY, &all, &Policy::default(), &Wanted::default());
            let night = day.night.as_ref().and_then(Decided::chosen);
            let main = sessions.iter().find(|session| session.main);
            if data_type == DataType::Sleep {
                prop_assert_eq!(main.map(|main| &main.chosen.record), night.map(|night| &night.record));
            } else {
                prop_assert_eq!(Some(sessions.len()), day.activities);
            }
        }
    }
    #[test]
    fn a_session_is_on_the_same_day_in_every_order_and_range(
        records in prop::collection::vec((0..PROVIDERS.len(), 0_i32..6 * 24, 1_i32..30, 0_usize..4, any::<bool>(), any::<bool>()), 0..16),
        data_type in prop::sample::select(vec![DataType::Activity, DataType::Sleep]),
    ) {
        let begin: jiff::Timestamp = "2026-11-17T00:00:00Z".parse().unwrap();
        let records = records.into_iter().map(|(provider, start, hours, offset, is_long, nap)| {
            let offset = jiff::tz::Offset::from_hours([0, 9, 1, -10][offset]).unwrap();
            let hours = if is_long { hours } else { hours % 3 + 1 };
            let at = |hour: i32| {
                let at = begin + jiff::SignedDuration::from_hours(i64::from(hour));
                at.display_with_offset(offset).to_string()
            };
            let times = (at(start), at(start + hours));
            let nap = [("is_nap", Value::Flag(nap && data_type == DataType::Sleep))];
            reading(PROVIDERS[provider], data_type, (&times.0, &times.1), &nap)
        });
        let by_record: BTreeMap<_, _> = records.map(|reading| (reading.record.clone(), reading)).collect();
        let all: Vec<Reading> = by_record.into_values().collect();
        let policy = Policy::default();
        let shown = |readings: &[&Reading], days: (Date, Date)| -> Vec<String> {
            let sessions = sessions(readings.iter().copied(), data_type, &policy, days);
            let shown = sessions.iter().map(|session| {
                let others: BTreeSet<_> = session.others.iter().map(|other| &other.reading.record).collect();
                format!("{} {:?} {} {others:?}", session.day, session.chosen.record, session.main)
            });
            shown.collect()
        };
        let whole = shown(&all.iter().collect::<Vec<_>>(), NEAR);
        prop_assert_eq!(&shown(&all.iter().rev().collect::<Vec<_>>(), NEAR), &whole);
        for length in 0..3 {
            let mut joined = Vec::new();
            let mut to = NEAR.1;
            while to >= NEAR.0 {
                let from = history::day::plus(to, -length).max(NEAR.0);
                let around = (history::day::plus(from, -DAYS_AROUND), history::day::plus(to, DAYS_AROUND));
                let near: Vec<&Reading> = all
                    .iter()
                    .filter(|reading| around.0 <= reading.day && reading.day <= around.1)
                    .collect();
                let page = shown(&near, (from, to));
                let days = decide_all(near.iter().copied(), &policy, &Wanted::default(), (from, to));
                let counted: usize = days.iter().filter_map(|day| day.activities).sum();
                let nights = days.iter().filter_map(|day| day.night.as_ref()?.chosen()).count();
                if data_type == DataType::Activity {
                    prop_assert_eq!(counted, page.len());
                } else {
                    prop_assert_eq!(nights, page.iter().filter(|session| session.contains(" true ")).count());
                }
                joined.extend(page);
                to = history::day::previous(from);
            }
            prop_assert_eq!(&joined, &whole);
        }
    }
}
