//! Properties of every choice, and what users of others ran into.

use models::{
    data::DataType,
    ids::{Provider, TerraUserId},
};
use proptest::prelude::*;

use super::*;
use crate::{
    connection::ConnectionId,
    key::NaturalKey,
    source::{
        Interval, Source,
        policy::{Document, Matcher, Rule},
        words,
    },
    summary::Value,
    version::Version,
};

fn metric(id: &str) -> &'static Metric {
    Metric::named(id).unwrap()
}

fn candidate(provider: &str, number: f64) -> Candidate {
    let connection = ConnectionId::of(&TerraUserId::new(provider).unwrap());
    let provider = Provider::new(provider).unwrap();
    Candidate {
        record: RecordRef {
            connection: connection.clone(),
            data_type: DataType::Daily,
            key: NaturalKey::Day("2026-11-20".parse().unwrap()),
        },
        source: Source::new(connection, provider, None),
        field: "distance_data.steps",
        value: Value::Number(number),
        derived: false,
        retracted: false,
        settled: true,
        ended: false,
        samples: None,
        interval: None,
        length_seconds: None,
        nap: false,
        half: false,
        main_sleep: false,
        delivered: Version {
            ordering_ts_ms: 1,
            webhook_id: "w".to_owned(),
            index: 0,
        },
    }
}

/// A sleep of a provider between two times of 19 and 20 November, the hours asleep in it.
fn sleep(provider: &str, key: &str, (start, end): (&str, &str), hours: f64) -> Candidate {
    let mut sleep = candidate(provider, hours * 3600.0);
    sleep.record.data_type = DataType::Sleep;
    sleep.record.key = NaturalKey::Id(key.to_owned());
    sleep.interval = Interval::between(start, end);
    assert!(sleep.interval.is_some());
    sleep.length_seconds = Some(hours * 3600.0);
    sleep
}

fn chosen<'a>(metric: &Metric, candidates: &'a [Candidate]) -> (&'a Candidate, Choice) {
    let choice = choose(metric, candidates, &Policy::default());
    (&candidates[choice.chosen.unwrap()], choice)
}

#[test]
fn a_watch_in_a_drawer_is_stepped_in_for() {
    // open-wearables 1287: the watch 4,157, the phone's platform 14,079.
    let steps = metric("steps");
    let candidates = [candidate("GARMIN", 4157.0), candidate("APPLE", 14079.0)];
    let (taken, choice) = chosen(steps, &candidates);
    assert_eq!(taken.number(), Some(14079.0));
    let Some(Decision::SteppedIn { first: 0, ratio }) = choice.decided_by else {
        panic!("{choice:?}");
    };
    assert!((ratio - 0.2953).abs() < 0.001);
    assert_eq!(choice.reason(0).unwrap().as_str(), "stepped_in_over");
    insta::assert_snapshot!(words::sentence(steps, &candidates, &choice), @"APPLE says 14,079. It steps in: GARMIN says 4,157, only 30 % of it, so that one was probably not worn.");
}

#[test]
fn nothing_is_added_up_and_the_largest_does_not_win_by_itself() {
    // open-wearables 1104: a maximum over all sources counts too much.
    let candidates = [
        candidate("GARMIN", 9120.0),
        candidate("OURA", 8410.0),
        candidate("APPLE", 9777.0),
    ];
    let (taken, choice) = chosen(metric("steps"), &candidates);
    assert_eq!(taken.number(), Some(9120.0));
    assert_eq!(choice.decided_by, Some(Decision::Within(Within::Largest)));
    let by = Within::Largest;
    assert_eq!(choice.reason(1), Some(&Reason::LessComplete { by }));
    assert_eq!(choice.reason(2), Some(&Reason::LowerTier { tier: 2 }));
    insta::assert_snapshot!(words::sentence(metric("steps"), &candidates, &choice), @"GARMIN says 9,120. It is in the first tier for movement and is the largest there; OURA says 8,410: smaller than the chosen one; APPLE says 9,777: in the second tier (aggregator); it would step in if the chosen value were below 50 % of it.");
    assert!(
        matches!(choice.warnings[..], [Warning::SourcesDisagree { ratio }] if (0.13..0.15).contains(&ratio))
    );
}

#[test]
fn a_source_of_unknown_kind_comes_last() {
    // open-wearables 1672: records without a device took the top slot.
    let candidates = [
        candidate("NEWCOMER", 9900.0),
        candidate("CRONOMETER", 9000.0),
    ];
    let (taken, choice) = chosen(metric("steps"), &candidates);
    assert_eq!(taken.number(), Some(9000.0));
    assert_eq!(choice.reason(0), Some(&Reason::LowerTier { tier: 6 }));
    let any =
        Document::parse(br#"{"rules": [{"metrics": ["steps"], "tiers": [[{"kind": "any"}]]}]}"#);
    let policy = Policy {
        app: Some(any.unwrap()),
        ..Policy::default()
    };
    let choice = choose(metric("steps"), &candidates, &policy);
    assert_eq!(choice.chosen, Some(1));
}

#[test]
fn two_overlapping_nights_of_one_ring_are_one_night_and_never_a_sum() {
    let asleep = metric("duration_asleep_state_seconds");
    let nights = [
        sleep(
            "OURA",
            "a",
            ("2026-11-19T23:00:00+01:00", "2026-11-20T03:00:00+01:00"),
            3.5,
        ),
        sleep(
            "OURA",
            "b",
            ("2026-11-19T23:10:00+01:00", "2026-11-20T07:00:00+01:00"),
            7.0,
        ),
    ];
    let (taken, choice) = chosen(asleep, &nights);
    assert_eq!(taken.number(), Some(7.0 * 3600.0));
    assert_eq!(choice.reason(0), Some(&Reason::OverlapsChosen));
}

#[test]
fn of_two_parts_of_a_night_one_is_the_main_one_and_a_nap_is_never_the_night() {
    let asleep = metric("duration_asleep_state_seconds");
    let mut nap = sleep(
        "OURA",
        "nap",
        ("2026-11-20T12:00:00+01:00", "2026-11-20T19:00:00+01:00"),
        6.5,
    );
    nap.nap = true;
    let nights = [
        sleep(
            "OURA",
            "a",
            ("2026-11-19T22:00:00+01:00", "2026-11-20T01:00:00+01:00"),
            2.5,
        ),
        sleep(
            "OURA",
            "b",
            ("2026-11-20T02:00:00+01:00", "2026-11-20T06:00:00+01:00"),
            3.5,
        ),
        nap.clone(),
    ];
    let (taken, choice) = chosen(asleep, &nights);
    assert_eq!(taken.record.key.to_string(), "b");
    assert_eq!(choice.reason(0), Some(&Reason::NotMainSession));
    assert_eq!(choice.reason(2), Some(&Reason::Nap));
    let choice = choose(asleep, &[nap], &Policy::default());
    assert_eq!(choice.chosen, None);
}

#[test]
fn a_night_without_wearing_is_stepped_in_for() {
    let asleep = metric("duration_asleep_state_seconds");
    let nights = [
        sleep(
            "GARMIN",
            "a",
            ("2026-11-20T05:00:00+01:00", "2026-11-20T07:00:00+01:00"),
            2.0,
        ),
        sleep(
            "APPLE",
            "b",
            ("2026-11-19T23:00:00+01:00", "2026-11-20T07:00:00+01:00"),
            7.5,
        ),
    ];
    let (taken, _) = chosen(asleep, &nights);
    assert_eq!(taken.source.provider.as_str(), "APPLE");
}

#[test]
fn zero_beside_a_source_that_moved_stands_for_none_and_alone_it_is_zero() {
    let steps = metric("steps");
    let candidates = [candidate("GARMIN", 0.0), candidate("OURA", 9000.0)];
    let (taken, choice) = chosen(steps, &candidates);
    assert_eq!(taken.number(), Some(9000.0));
    let zero = Placeholder::ZeroWhileOthersMoved;
    assert_eq!(choice.reason(0), Some(&Reason::Placeholder(zero)));
    let (taken, _) = chosen(steps, &candidates[..1]);
    assert_eq!(taken.number(), Some(0.0));
}

#[test]
fn a_night_over_the_date_line_is_as_long_as_it_was() {
    // Left Auckland on the 20th, landed in Los Angeles on the same date.
    let night =
        Interval::between("2026-11-20T22:00:00+13:00", "2026-11-20T06:00:00-08:00").unwrap();
    assert_eq!(night.seconds(), 5 * 3600);
    let other = Interval::between("2026-11-20T09:30:00Z", "2026-11-20T13:30:00Z").unwrap();
    assert!(night.is_same_session(other));
    // A clock without offset is not compared with one that has an offset.
    let wall = Interval::between("2026-11-20T09:30:00", "2026-11-20T13:30:00").unwrap();
    assert_eq!(wall.overlap_seconds(other), 0);
    assert_eq!(
        Interval::between("2026-11-20T09:30:00", "2026-11-20T13:30:00Z"),
        None
    );
    assert_eq!(
        Interval::between("2026-11-20T09:30:00Z", "2026-11-20T08:30:00Z"),
        None
    );
}

#[test]
fn sessions_are_one_when_they_share_most_of_the_shorter() {
    let at = |start: &str, end: &str| {
        let text = |time: &str| format!("2026-11-20T{time}:00Z");
        Interval::between(&text(start), &text(end)).unwrap()
    };
    let ride = at("10:00", "12:00");
    assert!(ride.is_same_session(at("11:10", "11:40")));
    assert!(ride.is_same_session(at("11:40", "12:10")));
    assert!(!ride.is_same_session(at("11:50", "12:30")));
    assert!(!ride.is_same_session(at("12:00", "12:30")));
    assert!(at("12:00", "12:00").is_same_session(at("12:00", "12:00")));
}

#[test]
fn one_value_in_two_records_of_a_connection_counts_once() {
    let resting = metric("resting_hr_bpm");
    let mut body = candidate("GARMIN", 52.0);
    body.record.data_type = DataType::Body;
    let candidates = [body, candidate("GARMIN", 52.0)];
    let (taken, choice) = chosen(resting, &candidates);
    assert_eq!(taken.record.data_type, DataType::Daily);
    assert_eq!(choice.reason(0), Some(&Reason::SameAs(1)));
    assert_eq!(choice.decided_by, Some(Decision::Only));
}

#[test]
fn a_partial_count_that_is_larger_is_not_behind_a_complete_one_but_a_partial_rate_is() {
    let mut partial = candidate("GARMIN", 12_000.0);
    partial.settled = false;
    let candidates = [partial, candidate("OURA", 9_000.0)];
    let (taken, choice) = chosen(metric("steps"), &candidates);
    assert_eq!(taken.number(), Some(12_000.0));
    assert!(choice.warnings.contains(&Warning::Partial));

    let mut partial = candidate("GARMIN", 70.0);
    partial.settled = false;
    partial.ended = true;
    partial.samples = Some(20);
    let mut whole = candidate("OURA", 64.0);
    whole.samples = Some(8);
    let candidates = [partial, whole];
    let (taken, choice) = chosen(metric("avg_hr_bpm"), &candidates);
    assert_eq!(taken.number(), Some(64.0));
    assert_eq!(choice.reason(0), Some(&Reason::StaleSource));
    assert_eq!(choice.decided_by, Some(Decision::Settled));
}

#[test]
fn what_leads_a_group_gives_all_it_has_and_the_rest_is_chosen_alone() {
    let distance = metric("distance_meters");
    let candidates = [candidate("GARMIN", 9_000.0), candidate("OURA", 7_000.0)];
    let oura = candidates[1].record.clone();
    let led = |metric, lead| choose_led(metric, &candidates, &Policy::default(), lead);
    let choice = led(distance, Lead::First(&oura));
    assert_eq!(
        (choice.chosen, choice.decided_by),
        (Some(1), Some(Decision::SameRecord))
    );
    assert_eq!(choice.reason(0), Some(&Reason::OtherRecordChosenForGroup));
    let stranger = candidate("POLAR", 1.0).record;
    assert_eq!(led(distance, Lead::First(&stranger)).chosen, Some(0));
    let nothing = led(distance, Lead::Only(&stranger));
    assert_eq!((nothing.chosen, nothing.rejected.len()), (None, 2));
}

#[test]
fn numbers_that_stand_for_none_are_not_chosen() {
    let candidates = [
        candidate("GARMIN", 255.0),
        candidate("POLAR", -1.0),
        candidate("COROS", 0.0),
        candidate("APPLE", 61.0),
    ];
    let (taken, choice) = chosen(metric("avg_hr_bpm"), &candidates);
    assert_eq!(taken.number(), Some(61.0));
    let placeholders = [
        Placeholder::TwoFiftyFive,
        Placeholder::MinusOne,
        Placeholder::Zero,
    ];
    for (index, placeholder) in placeholders.into_iter().enumerate() {
        assert_eq!(
            choice.reason(index),
            Some(&Reason::Placeholder(placeholder))
        );
    }
    let nonsense = [candidate("GARMIN", 900.0), candidate("APPLE", 1_000_000.0)];
    let (taken, choice) = chosen(metric("steps"), &nonsense);
    assert_eq!(taken.number(), Some(900.0));
    assert_eq!(choice.reason(1), Some(&Reason::LowerTier { tier: 2 }));
}

#[test]
fn half_of_a_pair_does_not_lead_unless_there_are_only_halves() {
    let systolic = metric("systolic_bp");
    let mut half = candidate("OMRON", 150.0);
    half.half = true;
    let candidates = [half, candidate("APPLE", 120.0)];
    let (taken, choice) = chosen(systolic, &candidates);
    assert_eq!(taken.number(), Some(120.0));
    assert_eq!(choice.reason(0), Some(&Reason::HalfOfAPair));
    let (taken, _) = chosen(systolic, &candidates[..1]);
    assert_eq!(taken.number(), Some(150.0));
}

#[test]
fn the_night_that_was_chosen_decides_over_recovery() {
    let hrv = metric("avg_hrv_rmssd");
    let mut night = candidate("OURA", 48.0);
    night.main_sleep = true;
    let candidates = [candidate("POLAR", 60.0), night];
    let (taken, choice) = chosen(hrv, &candidates);
    assert_eq!(taken.number(), Some(48.0));
    assert_eq!(choice.decided_by, Some(Decision::Tier));
}

#[test]
fn a_policy_excludes_and_says_which_rule_did() {
    let document = Document::parse(
        br#"{"version": 4, "rules": [{"groups": ["movement"], "never": [{"provider": "GARMIN"}]}]}"#,
    );
    let policy = Policy {
        person: Some(document.unwrap()),
        ..Policy::default()
    };
    let candidates = [candidate("GARMIN", 9_000.0), candidate("APPLE", 100.0)];
    let choice = choose(metric("steps"), &candidates, &policy);
    assert_eq!(choice.chosen, Some(1));
    let Some(Reason::Excluded(rule)) = choice.reason(0) else {
        panic!("{choice:?}");
    };
    assert_eq!(
        (rule.level.as_str(), rule.version.as_str()),
        ("person", "4")
    );
    assert_eq!(choice.rule.level.as_str(), "built_in");
}

const PROVIDERS: [&str; 8] = [
    "GARMIN",
    "OURA",
    "APPLE",
    "CRONOMETER",
    "NEWCOMER",
    "WHOOP",
    "SAMSUNG",
    "POLAR",
];
const METRICS: [&str; 5] = [
    "steps",
    "resting_hr_bpm",
    "avg_hrv_rmssd",
    "weight_kg",
    "duration_asleep_state_seconds",
];

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let numbers = prop_oneof![
        Just(0.0),
        Just(-1.0),
        Just(255.0),
        (1_u32..200).prop_map(|number| f64::from(number) * 100.0),
        (30_u32..90).prop_map(f64::from),
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), 0_u8..6);
    let rest = (0_i64..4, 0_u8..3, prop::option::of(0_u32..3));
    let kinds = (0_usize..PROVIDERS.len(), 0_usize..3, 0_i32..20);
    (kinds, numbers, flags, rest).prop_map(
        |(
            (provider, kind, hour),
            number,
            (settled, main_sleep, derived, rare),
            (ts, key, samples),
        )| {
            let mut made = candidate(PROVIDERS[provider], number);
            made.record.data_type = [DataType::Daily, DataType::Body, DataType::Sleep][kind];
            made.record.key = NaturalKey::Id(format!("k{key}"));
            made.settled = settled;
            made.main_sleep = main_sleep;
            made.derived = derived;
            made.retracted = rare == 0;
            made.samples = samples;
            made.delivered.ordering_ts_ms = ts;
            if kind == 2 {
                made.nap = rare == 1;
                made.interval = Interval::between(
                    &format!("2026-11-20T{hour:02}:00:00Z"),
                    &format!("2026-11-20T{:02}:30:00Z", hour + 3),
                );
                made.length_seconds = Some(number);
            }
            made
        },
    )
}

/// Candidates of which no two are of the same record.
fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(any_candidate(), 0..9).prop_map(|mut all| {
        all.sort_by(|one, other| one.record.cmp(&other.record));
        all.dedup_by(|one, other| one.record == other.record);
        all
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let matcher = prop_oneof![
        (0..PROVIDERS.len()).prop_map(|provider| Matcher {
            provider: Some(PROVIDERS[provider].to_owned()),
            ..Matcher::default()
        }),
        Just(Matcher {
            main_sleep: true,
            ..Matcher::default()
        }),
        (0..SourceKind::ALL.len()).prop_map(|kind| Matcher {
            kind: Some(crate::source::policy::KindWanted::One(
                SourceKind::ALL[kind]
            )),
            ..Matcher::default()
        }),
    ];
    let tier = prop::collection::vec(matcher.clone(), 1..3);
    let within = prop_oneof![
        Just(Within::Largest),
        Just(Within::Longest),
        Just(Within::Newest),
        Just(Within::MostSamples)
    ];
    let rule = (
        prop::option::of(prop::collection::vec(tier, 1..4)),
        within.prop_map(Some),
        prop::option::of((0_u8..=10).prop_map(|tenths| f64::from(tenths) / 10.0)),
        prop::option::of(prop::collection::vec(matcher, 0..2)),
    );
    let document = rule.prop_map(|(tiers, within, step_in_below, never)| Document {
        version: 1,
        rules: vec![Rule {
            groups: ["movement", "heart", "recovery", "body", "sleep"]
                .map(str::to_owned)
                .to_vec(),
            metrics: Vec::new(),
            tiers,
            within,
            step_in_below,
            never,
        }],
    });
    prop::option::of(document).prop_map(|app| Policy {
        app,
        ..Policy::default()
    })
}

/// Returns whether a candidate may stand for others of its source: doubles, or parts of a night. Here they may be of
/// other tiers than the one that stands for them.
fn stands_for_others(one: &Candidate, candidates: &[Candidate]) -> bool {
    candidates
        .iter()
        .any(|other| other.record != one.record && other.source.connection == one.source.connection)
}

proptest! {
    #[test]
    fn the_order_of_candidates_changes_nothing(
        candidates in any_candidates(),
        policy in any_policy(),
        metric_index in 0..METRICS.len(),
        turn in 0_usize..9,
    ) {
        let metric = metric(METRICS[metric_index]);
        let one = choose(metric, &candidates, &policy);
        let mut turned = candidates.clone();
        turned.rotate_left(turn % candidates.len().max(1));
        turned.reverse();
        let other = choose(metric, &turned, &policy);
        let taken = |choice: &Choice, of: &[Candidate]| choice.chosen.map(|index| of[index].record.clone());
        prop_assert_eq!(taken(&one, &candidates), taken(&other, &turned));
        prop_assert_eq!(&one.warnings, &other.warnings);
        prop_assert_eq!(one.decided_by.map(Decision::as_str), other.decided_by.map(Decision::as_str));
        for (index, reason) in &one.rejected {
            let place = turned.iter().position(|candidate| candidate.record == candidates[*index].record);
            let same = other.reason(place.unwrap()).unwrap();
            prop_assert_eq!(reason.as_str(), same.as_str());
        }
    }

    #[test]
    fn every_candidate_is_chosen_or_has_one_reason(
        candidates in any_candidates(),
        policy in any_policy(),
        metric_index in 0..METRICS.len(),
    ) {
        let choice = choose(metric(METRICS[metric_index]), &candidates, &policy);
        let mut all: Vec<usize> = choice.rejected.iter().map(|(index, _)| *index).collect();
        all.extend(choice.chosen);
        all.sort_unstable();
        prop_assert_eq!(all, (0..candidates.len()).collect::<Vec<_>>());
        prop_assert_eq!(choice.chosen.is_some(), choice.decided_by.is_some());
        if let Some(chosen) = choice.chosen {
            prop_assert!(!candidates[chosen].retracted);
        }
    }

    #[test]
    fn one_that_ends_up_in_a_lower_tier_changes_nothing_unless_it_steps_in(
        candidates in any_candidates(),
        added in any_candidate(),
        policy in any_policy(),
        metric_index in 0..METRICS.len(),
    ) {
        let metric = metric(METRICS[metric_index]);
        prop_assume!(candidates.iter().all(|candidate| candidate.record != added.record));
        let alone = !stands_for_others(&added, &candidates);
        let before = choose(metric, &candidates, &policy);
        let mut more = candidates.clone();
        more.push(added);
        let after = choose(metric, &more, &policy);
        let is_lower = matches!(after.reason(candidates.len()), Some(Reason::LowerTier { .. }));
        // It may show that a zero stood for none.
        let zero = after.rejected.iter().any(|(index, reason)| {
            matches!(reason, Reason::Placeholder(Placeholder::ZeroWhileOthersMoved))
                && before.reason(*index) != Some(reason)
        });
        if is_lower && alone && !zero {
            prop_assert_eq!(before.chosen, after.chosen);
        }
    }

    #[test]
    fn without_the_chosen_one_the_rest_is_chosen_among_as_if_it_had_never_been(
        candidates in any_candidates(),
        policy in any_policy(),
        metric_index in 0..METRICS.len(),
    ) {
        let metric = metric(METRICS[metric_index]);
        let choice = choose(metric, &candidates, &policy);
        // One that lost by what counts within its tier changes nothing by going away, unless it stood for others.
        for (index, reason) in &choice.rejected {
            let lost = matches!(
                reason,
                Reason::LessComplete { .. } | Reason::Newer(_) | Reason::Partial | Reason::Tie | Reason::Retracted | Reason::Nap
            );
            let alone = !stands_for_others(&candidates[*index], &candidates);
            if lost && alone && !matches!(choice.decided_by, Some(Decision::SteppedIn { .. })) {
                let mut fewer = candidates.clone();
                fewer.remove(*index);
                let again = choose(metric, &fewer, &policy);
                let taken = again.chosen.map(|index| &fewer[index].record);
                prop_assert_eq!(taken, choice.chosen.map(|index| &candidates[index].record));
            }
        }
        if let Some(chosen) = choice.chosen {
            let mut rest = candidates.clone();
            let gone = rest.remove(chosen);
            let next = choose(metric, &rest, &policy);
            prop_assert_eq!(next.rejected.len() + usize::from(next.chosen.is_some()), rest.len());
            prop_assert!(next.chosen.is_none_or(|index| rest[index].record != gone.record));
        }
    }

    #[test]
    fn a_policy_that_names_only_the_chosen_ones_source_chooses_it(
        candidates in any_candidates(),
        metric_index in 0..METRICS.len(),
    ) {
        let metric = metric(METRICS[metric_index]);
        let choice = choose(metric, &candidates, &Policy::default());
        if let Some(chosen) = choice.chosen {
            let connection = &candidates[chosen].source.connection;
            let rule = Rule {
                groups: vec![metric.group.as_str().to_owned()],
                tiers: Some(vec![vec![Matcher {
                    connection: Some(connection.as_str().to_owned()),
                    ..Matcher::default()
                }]]),
                step_in_below: Some(0.0),
                ..Rule::default()
            };
            let policy = Policy {
                person: Some(Document { version: 1, rules: vec![rule] }),
                ..Policy::default()
            };
            let again = choose(metric, &candidates, &policy);
            let taken = &candidates[again.chosen.unwrap()].source.connection;
            prop_assert_eq!(taken, connection);
        }
    }

    #[test]
    fn the_chosen_value_is_one_that_a_candidate_has_and_words_name_it(
        candidates in any_candidates(),
        policy in any_policy(),
        metric_index in 0..METRICS.len(),
    ) {
        let metric = metric(METRICS[metric_index]);
        let choice = choose(metric, &candidates, &policy);
        let sentence = words::sentence(metric, &candidates, &choice);
        if let Some(chosen) = choice.chosen {
            let value = words::value(metric, &candidates[chosen].value);
            prop_assert!(sentence.contains(&value), "{}", sentence);
        }
        if let Some(document) = &policy.app {
            let json = serde_json::to_vec(document).unwrap();
            prop_assert_eq!(&Document::parse(&json).unwrap(), document);
        }
    }
}
