//! The truth: the same for everybody who asks, by webhook or by read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, civil::Date};
use serde_json::Value;
use simulator::{Connection, DataType, Provider, Truth, TruthRecord, TruthSettings};

use crate::stand_in::{Hands, PROVIDERS, StandIn, day, start};

fn truth(seed: u64, hands: &Hands) -> Truth {
    Truth::new(
        TruthSettings {
            history_days: 90,
            ..TruthSettings::new(seed, 3, &PROVIDERS, start())
        },
        hands.clock(),
    )
}

fn types() -> impl Iterator<Item = (Provider, DataType)> {
    PROVIDERS.into_iter().flat_map(|provider| {
        let types = provider.data_types().iter();
        types.map(move |data_type| (provider, *data_type))
    })
}

fn at(truth: &Truth, provider: Provider) -> Connection {
    let mut all = truth.connections().into_iter();
    all.find(|connection| connection.provider == provider)
        .unwrap()
}

#[test]
fn the_same_seed_gives_the_same_records_in_whatever_order_they_are_asked_for() {
    let hands = Hands::at(start() + SignedDuration::from_hours(200));
    let (one, other) = (truth(1, &hands), truth(1, &hands));
    let days: Vec<Date> = (0..30)
        .map(|number| day("2026-06-25") + SignedDuration::from_hours(number * 24))
        .collect();
    for (provider, data_type) in types() {
        let connection = at(&one, provider);
        let forwards = one.records(&connection, data_type, days[0], day("2026-07-25"));
        let mut by_day = BTreeMap::new();
        for day in days.iter().rev() {
            let next = day.tomorrow().unwrap();
            by_day.insert(*day, other.records(&connection, data_type, *day, next));
        }
        if data_type != DataType::Athlete {
            let joined: Vec<TruthRecord> = by_day.into_values().flatten().collect();
            assert_eq!(forwards, joined, "{provider:?} {data_type:?}");
        }
    }
}

#[test]
fn another_seed_gives_another_truth() {
    let hands = Hands::at(start());
    let (one, other) = (truth(1, &hands), truth(2, &hands));
    let (from, to) = (day("2026-06-01"), day("2026-07-01"));
    let of = |truth: &Truth| {
        let garmin = at(truth, Provider::Garmin);
        truth.records(&garmin, DataType::Daily, from, to)
    };
    assert_ne!(of(&one), of(&other));
}

#[test]
fn webhooks_of_a_span_are_the_same_however_it_is_cut() {
    let hands = Hands::at(start());
    let truth = truth(3, &hands);
    let end = start() + SignedDuration::from_hours(72);
    let whole = truth.webhooks_between(start(), end);
    let mut pieces = Vec::new();
    let mut from = start();
    while from < end {
        let to = (from + SignedDuration::from_mins(97)).min(end);
        pieces.extend(truth.webhooks_between(from, to));
        from = to;
    }
    assert_eq!(whole, pieces);
    assert!(whole.is_sorted_by_key(|emission| emission.at));
    let names: BTreeSet<_> = whole
        .iter()
        .map(|emission| &emission.webhook.trace_id)
        .collect();
    assert_eq!(names.len(), whole.len());
    let auths = whole
        .iter()
        .filter(|emission| emission.webhook.event_type == "auth");
    assert_eq!(auths.count(), 3 * PROVIDERS.len());
}

/// The heart of it: whoever keeps the newest delivery of each record holds the truth.
#[test]
fn the_webhooks_of_a_week_leave_exactly_the_truth_of_its_days() {
    let begin = start();
    let hands = Hands::at(begin);
    let truth = truth(4, &hands);
    let mut held: BTreeMap<(String, String, String), Value> = BTreeMap::new();
    for _ in 0..8 {
        let from = hands.now();
        hands.advance(SignedDuration::from_hours(24));
        for emission in truth.webhooks_between(from, hands.now()) {
            let body: Value = serde_json::from_slice(&emission.webhook.body).unwrap();
            let Some(data_type) = emission.data_type else {
                continue;
            };
            if data_type == DataType::Athlete {
                continue;
            }
            for record in body["data"].as_array().unwrap() {
                let user = emission.webhook.terra_user_id.clone().unwrap();
                let kind = data_type.as_str().to_owned();
                held.insert((user, kind, key(data_type, record)), record.clone());
            }
        }
    }
    let mut compared = 0;
    for connection in truth.connections() {
        for data_type in connection.provider.data_types() {
            // Days that began after the connection, with the planned week ahead.
            let (from, to) = (day("2026-07-17"), day("2026-08-20"));
            for record in truth.records(&connection, *data_type, from, to) {
                if *data_type == DataType::Athlete || planned_before(&record) {
                    continue;
                }
                let user = connection.terra_user_id.clone();
                let name = (user, data_type.as_str().to_owned(), record.key.clone());
                assert_eq!(held.get(&name), Some(&record.body), "{name:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

/// A workout that was planned before the connection was made is history.
fn planned_before(record: &TruthRecord) -> bool {
    record.data_type == DataType::PlannedWorkout && record.day <= day("2026-07-23")
}

fn key(data_type: DataType, record: &Value) -> String {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let found = match data_type {
        DataType::Hormone => text("/timestamp"),
        DataType::PlannedWorkout => text("/planned_workout_id").or(text("/provider_workout_id")),
        DataType::Activity | DataType::Sleep | DataType::HealthObservation => {
            text("/metadata/summary_id").or(text("/metadata/start_time"))
        }
        _ => text("/metadata/start_time").and_then(|start| start.get(..10)),
    };
    found.unwrap().to_owned()
}

#[test]
fn today_grows_with_each_sync_and_ends_whole() {
    let hands = Hands::at(start());
    let truth = truth(5, &hands);
    let libre = at(&truth, Provider::FreestyleLibre);
    let today = day("2026-07-16");
    let mut sizes = BTreeSet::new();
    for _ in 0..48 {
        hands.advance(SignedDuration::from_hours(1));
        let records = truth.records(&libre, DataType::Body, today, day("2026-07-17"));
        assert!(records.len() <= 1);
        sizes.insert(
            records
                .first()
                .map_or(0, |record| record.body.to_string().len()),
        );
    }
    // Nothing, two updates, the whole day.
    assert_eq!(sizes.len(), 4, "{sizes:?}");
}

#[test]
fn keys_are_unique_and_some_days_are_empty() {
    let hands = Hands::at(start());
    let truth = Truth::new(
        TruthSettings::new(6, 1, &Provider::ALL, start()),
        hands.clock(),
    );
    let (from, to) = (day("2026-02-01"), day("2026-07-14"));
    for connection in truth.connections() {
        for data_type in connection.provider.data_types() {
            let records = truth.records(&connection, *data_type, from, to);
            let keys: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
            assert_eq!(
                keys.len(),
                records.len(),
                "{:?} {data_type:?}",
                connection.provider
            );
            let days: BTreeSet<Date> = records.iter().map(|record| record.day).collect();
            assert!(days.len() < 163, "{:?} {data_type:?}", connection.provider);
        }
    }
}

#[test]
fn a_phone_has_no_past_and_cannot_be_asked() {
    let hands = Hands::at(start() + SignedDuration::from_hours(240));
    let truth = truth(8, &hands);
    let apple = at(&truth, Provider::Apple);
    assert!(!Truth::is_fetchable(&apple, DataType::Daily));
    let before = truth.records(
        &apple,
        DataType::Daily,
        day("2026-05-01"),
        day("2026-07-15"),
    );
    assert_eq!(before, []);
    let after = truth.records(
        &apple,
        DataType::Daily,
        day("2026-07-15"),
        day("2026-07-25"),
    );
    assert!(!after.is_empty());
}

#[tokio::test]
async fn a_read_answers_with_the_records_of_the_truth() {
    let terra = StandIn::start(|_| {}).await;
    let (from, to) = (day("2026-06-20"), day("2026-07-14"));
    for (provider, data_type) in types() {
        let connection = terra.at(provider);
        let user = &connection.terra_user_id;
        if !matches!(
            data_type,
            DataType::Activity | DataType::Body | DataType::Daily | DataType::Nutrition
        ) || !Truth::is_fetchable(&connection, data_type)
        {
            continue;
        }
        let answer = terra
            .read(user, data_type.as_str(), "2026-06-20", "2026-07-14")
            .await;
        let expected: Vec<Value> = terra
            .truth
            .records(&connection, data_type, from, to)
            .into_iter()
            .map(|record| record.body)
            .collect();
        assert_eq!(
            answer.json()["data"],
            Value::from(expected),
            "{provider:?} {data_type:?}"
        );
    }
}

#[tokio::test]
async fn a_night_is_in_the_answers_for_both_its_days() {
    let terra = StandIn::start(|_| {}).await;
    let oura = terra.at(Provider::Oura);
    let nights = terra
        .truth
        .records(&oura, DataType::Sleep, day("2026-06-20"), day("2026-07-10"));
    let night = nights
        .iter()
        .find(|night| {
            let metadata = &night.body["metadata"];
            let date = |name: &str| {
                metadata[name]
                    .as_str()
                    .unwrap()
                    .get(..10)
                    .unwrap()
                    .to_owned()
            };
            date("start_time") != date("end_time")
        })
        .unwrap();
    for (from, to) in [(0, 1), (1, 2)] {
        let edge = |days: i64| (night.day + SignedDuration::from_hours(24 * days)).to_string();
        let answer = terra
            .read(&oura.terra_user_id, "sleep", &edge(from), &edge(to))
            .await;
        let data = answer.json()["data"].clone();
        assert!(data.as_array().unwrap().contains(&night.body), "{from}");
    }
}

#[tokio::test]
async fn by_utc_days_a_day_in_the_east_is_answered_for_the_day_before() {
    let terra = StandIn::start(|settings| settings.utc_days = true).await;
    let mut compared = 0;
    for connection in terra.truth.connections() {
        if connection.provider != Provider::FreestyleLibre {
            continue;
        }
        let (user, types) = (&connection.terra_user_id, DataType::Body);
        for record in terra
            .truth
            .records(&connection, types, day("2026-07-01"), day("2026-07-09"))
        {
            let start = record.body["metadata"]["start_time"].as_str().unwrap();
            let begins: jiff::Timestamp = start.parse().unwrap();
            let utc = begins.to_zoned(jiff::tz::TimeZone::UTC).date();
            let next = utc.tomorrow().unwrap().to_string();
            let answer = terra
                .read(user, "body", &utc.to_string(), &next)
                .await
                .json();
            assert_eq!(answer["data"], Value::from(vec![record.body]));
            compared += 1;
        }
    }
    assert!(compared > 4);
}

#[tokio::test]
async fn a_connection_that_is_over_says_no_more_and_a_renewed_one_goes_on_under_its_new_id() {
    let terra = StandIn::start(|_| {}).await;
    let (gone, old) = (terra.user(Provider::Oura), terra.user(Provider::Core));
    assert!(terra.api.vanish(&gone));
    let new = terra.api.reauthenticate(&old).unwrap();
    let (from, to) = (
        terra.hands.now(),
        terra.hands.now() + SignedDuration::from_hours(96),
    );
    let emissions = terra.truth.webhooks_between(from, to);
    let users: BTreeSet<_> = emissions
        .iter()
        .filter_map(|emission| emission.webhook.terra_user_id.as_deref())
        .collect();
    assert!(users.contains(new.as_str()));
    assert!(!users.contains(old.as_str()) && !users.contains(gone.as_str()));
    assert!(!terra.api.vanish(&gone), "once only");
    // Earlier records stay true.
    let oura = terra.at(Provider::Oura);
    assert!(!oura.active);
    let before = terra
        .truth
        .records(&oura, DataType::Daily, day("2026-06-01"), day("2026-08-01"));
    terra.hands.set(to);
    let after = terra
        .truth
        .records(&oura, DataType::Daily, day("2026-06-01"), day("2026-08-01"));
    assert_eq!(before, after);
    assert!(!before.is_empty());
}

#[tokio::test]
async fn a_record_that_was_taken_back_is_said_so_once_and_listed_no_more() {
    let terra = StandIn::start(|_| {}).await;
    let (from, to) = (day("2026-06-20"), day("2026-07-14"));
    for (provider, data_type) in [
        (Provider::Garmin, DataType::Activity),
        (Provider::Oura, DataType::Daily),
        (Provider::Apple, DataType::HealthObservation),
    ] {
        let connection = terra.at(provider);
        let user = &connection.terra_user_id;
        let before = terra.truth.records(&connection, data_type, from, to);
        let taken = &before[before.len() / 2];
        let now = terra.hands.now();
        assert!(terra.truth.retract(user, taken));
        assert!(!terra.truth.retract("nobody", taken));
        let mut left = before.clone();
        left.retain(|record| record.key != taken.key);
        assert_eq!(left.len(), before.len() - 1);
        assert_eq!(
            terra.truth.records(&connection, data_type, from, to),
            left,
            "{provider:?}"
        );
        let earlier = now - SignedDuration::from_secs(1);
        let earlier = terra
            .truth
            .records_at(&connection, data_type, from, to, earlier);
        assert_eq!(earlier, before);

        let told = terra
            .truth
            .webhooks_between(now, now + SignedDuration::from_secs(1));
        let told: Vec<Value> = told
            .iter()
            .filter(|emission| emission.webhook.terra_user_id.as_ref() == Some(user))
            .filter(|emission| emission.day == Some(taken.day))
            .map(|emission| serde_json::from_slice(&emission.webhook.body).unwrap())
            .collect();
        assert_eq!(told.len(), 1);
        let mut marked = taken.body.clone();
        if data_type == DataType::HealthObservation {
            marked["observation_data"]["status"] = 3.into();
        } else {
            marked["metadata"]["upload_type"] = 4.into();
        }
        assert_eq!(told[0]["data"], Value::from(vec![marked]));
    }
    let oura = terra.at(Provider::Oura);
    let nights = terra.truth.records(&oura, DataType::Sleep, from, to);
    let night = &nights[0];
    assert!(
        !terra.truth.retract(&oura.terra_user_id, night),
        "no mark for nights"
    );
    assert_eq!(
        terra.truth.records(&oura, DataType::Sleep, from, to),
        nights
    );
}

/// State of Terra's scores in a record.
fn scores(record: &Value) -> &'static str {
    match record.get("data_enrichment").and_then(Value::as_object) {
        None => "absent",
        Some(scores) if scores.values().all(Value::is_null) => "null",
        Some(_) => "given",
    }
}

#[test]
fn late_scores_come_after_the_data_and_are_missing_again_in_the_last_delivery() {
    let begin = start();
    let hands = Hands::at(begin + SignedDuration::from_hours(24 * 10));
    let settings = TruthSettings {
        late_scores: true,
        updates_per_day: 1,
        ..TruthSettings::new(5, 1, &[Provider::Oura], begin)
    };
    let truth = Truth::new(settings, hands.clock());
    let oura = at(&truth, Provider::Oura);
    let emissions = truth.webhooks_between(begin, hands.now());
    for data_type in [DataType::Activity, DataType::Daily, DataType::Sleep] {
        let mut states: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for emission in &emissions {
            if emission.data_type != Some(data_type) {
                continue;
            }
            let body: Value = serde_json::from_slice(&emission.webhook.body).unwrap();
            for record in body["data"].as_array().unwrap() {
                let key = key(data_type, record);
                states.entry(key).or_default().push(scores(record));
            }
        }
        // Days that began after the connection, and are over.
        let (from, to) = (day("2026-07-17"), day("2026-07-21"));
        let records = truth.records(&oura, data_type, from, to);
        assert!(!records.is_empty(), "{data_type:?}");
        for record in records {
            assert_eq!(scores(&record.body), "given");
            let states = &states[&record.key];
            let (before, after) = states.split_at(states.len() - 2);
            assert!(!before.is_empty() && before.iter().all(|state| *state == "null"));
            // A night is made with the day on which it ends.
            let last = after[1];
            assert_eq!(after[0], "given", "{data_type:?} {}", record.key);
            if data_type == DataType::Sleep {
                assert!(["null", "absent"].contains(&last), "{}", record.key);
            } else {
                let is_even = record.day.day() % 2 == 0;
                assert_eq!(last, if is_even { "null" } else { "absent" });
            }
        }
    }
}
