//! Numbers that are chosen and explained, over simulated people.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    connection::ConnectionId,
    days::{DAYS_AROUND, Decided, Loaded, Reading, Wanted, decide_all, why},
    history::day,
    key::NaturalKey,
    locator::Locator,
    record::{Arrival, Payload, Record},
    series::{Part, StreamMetric, Window},
    source::{Group, Metric, Policy},
    summary::summarise,
    version::Version,
};
use inspect::{Budget, DaysQuery, Order, SeriesQuery};
use jiff::{Timestamp, civil::date};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use simulator::{Connection, Shape, Webhook, World as Simulated};

use crate::world::World;

const FIRST: jiff::civil::Date = date(2026, 10, 1);
/// Types whose records are of a day.
const TYPES: [DataType; 7] = [
    DataType::Activity,
    DataType::Body,
    DataType::Daily,
    DataType::Hormone,
    DataType::Menstruation,
    DataType::Nutrition,
    DataType::Sleep,
];

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// The records of a webhook as they would be read from the table.
fn loaded(connection: &Connection, data_type: DataType, webhook: &Webhook) -> Vec<Loaded> {
    let body: Data<'_> = serde_json::from_slice(&webhook.body).unwrap();
    let records = body.data.iter().map(|record| {
        let found = summarise(data_type, record.get().as_bytes()).unwrap();
        let arrival = Arrival {
            version: Version {
                ordering_ts_ms: webhook.ordering_timestamp_ms.unwrap_or_default(),
                webhook_id: webhook.trace_id.clone().unwrap_or_default(),
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
            start_time: found
                .identity
                .start_time
                .clone()
                .or(found.identity.timestamp.clone()),
            summary: found.delivered,
            from_samples: found.from_samples,
            streams: found.streams,
            retracted: found.retracted,
        };
        let user = TerraUserId::new(&connection.terra_user_id).unwrap();
        Loaded {
            connection: ConnectionId::of(&user),
            provider: Provider::new(connection.provider.as_str()).unwrap(),
            ended_at_ms: None,
            data_type,
            key: NaturalKey::of(data_type, &found.identity, record.get()).unwrap(),
            record: Record::new(arrival, found.enrichment),
        }
    });
    records.collect()
}

#[test]
#[ignore = "takes longer than 20 s on two cores: .ci/run has it, with the year"]
fn why_equals_the_day_for_every_value_of_a_month_of_fifty_people() {
    let start: Timestamp = "2026-11-05T12:00:00Z".parse().unwrap();
    let mut world = Simulated::new(11, 50, start);
    let people = world.people().to_vec();
    assert_eq!(people.len(), 50);
    let (mut values, mut chosen_among_several) = (0, 0);
    for person in &people {
        // By record, so that a record that comes on two days is one.
        let mut readings = BTreeMap::new();
        for connection in &person.connections {
            for &simulated in connection.provider.data_types() {
                let data_type: DataType = simulated.as_str().parse().unwrap();
                if !TYPES.contains(&data_type) {
                    continue;
                }
                for days in 0..30 {
                    let shape = Shape::on(Some(day::plus(FIRST, days))).without_samples();
                    let webhook = world.data(connection, simulated, &shape);
                    for loaded in loaded(connection, data_type, &webhook) {
                        let reading = Reading::of(&loaded).unwrap();
                        readings.insert(reading.record.clone(), reading);
                    }
                }
            }
        }
        let policy = Policy::default();
        let all: Vec<&Reading> = readings.values().collect();
        let always = (date(1970, 1, 1), date(9999, 1, 1));
        for day in decide_all(readings.values(), &policy, &Wanted::default(), always) {
            let near: Vec<&Reading> = all
                .iter()
                .copied()
                .filter(|one| day::between(one.day, day.date).abs() <= DAYS_AROUND)
                .collect();
            for decided in &day.values {
                let Decided {
                    metric,
                    candidates,
                    choice,
                    ..
                } = decided;
                let why = why(
                    metric,
                    day.date,
                    &near,
                    &policy,
                    Vec::new(),
                    start.as_millisecond(),
                );
                let chosen = decided.chosen();
                assert_eq!(
                    why.value,
                    chosen.map(|chosen| chosen.value.clone()),
                    "{}",
                    metric.id
                );
                assert_eq!(
                    why.chosen.as_ref().map(|chosen| &chosen.record),
                    chosen.map(|chosen| &chosen.record)
                );
                assert_eq!(
                    why.decided_by,
                    choice.decided_by.map(domain::source::Decision::as_str)
                );
                let reasons: Vec<_> = why.rejected.iter().map(|other| other.reason).collect();
                let expected: Vec<_> = choice
                    .rejected
                    .iter()
                    .map(|(_, reason)| reason.as_str())
                    .collect();
                assert_eq!(reasons, expected);
                assert_eq!(
                    why.rejected.len() + usize::from(why.chosen.is_some()),
                    candidates.len()
                );
                values += 1;
                chosen_among_several += usize::from(chosen.is_some() && candidates.len() > 1);
            }
        }
    }
    // The people have enough for this to mean something.
    assert!(values > 20_000, "{values}");
    assert!(chosen_among_several > 1_000, "{chosen_among_several}");
}

fn daily(user: &str, provider: &str, of: jiff::civil::Date, steps: i64) -> String {
    let next = day::next(of);
    let samples: Vec<_> = (0..24)
        .map(|hour| json!({"timestamp": format!("{of}T{hour:02}:30:00.000000+00:00"), "bpm": 60 + hour}))
        .collect();
    let user =
        json!({"user_id": user, "provider": provider, "reference_id": "ann", "active": true});
    let record = json!({
        "metadata": {"start_time": format!("{of}T00:00:00.000000+00:00"), "end_time": format!("{next}T00:00:00.000000+00:00")},
        "distance_data": {"steps": steps},
        "heart_rate_data": {"detailed": {"hr_samples": samples}},
    });
    json!({"type": "daily", "user": user, "data": [record]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_joined_equal_one_page_and_a_series_has_every_sample() {
    let world = World::start().await;
    let days: Vec<_> = (0..12).map(|days| day::plus(FIRST, days)).collect();
    for (index, &of) in days.iter().enumerate() {
        // A hole of two days, and a second source on every third.
        if index == 4 || index == 5 {
            continue;
        }
        let steps = 1_000 + i64::try_from(index).unwrap();
        let sent = world
            .send(&format!("g-{index}"), daily("u-1", "GARMIN", of, steps))
            .await;
        assert_eq!(sent, 200);
        if index % 3 == 0 {
            let ring = daily("u-2", "OURA", of, 900);
            assert_eq!(world.send(&format!("o-{index}"), ring).await, 200);
        }
    }
    world.idle().await;
    let table = &world.system.table;
    let ann = ReferenceId::new("ann").unwrap();
    let person = inspect::person(table, &ann).await.unwrap();
    assert_eq!(person.connections.len(), 2);
    let steps = Metric::named("steps").unwrap();
    let last = *days.last().unwrap();
    for order in [Order::Newest, Order::Oldest] {
        let query = |from, to, limit| DaysQuery {
            from,
            to,
            order,
            wanted: Wanted::of(&[steps], &[Group::Heart]),
            others: true,
            coverage_at_ms: None,
            limit,
        };
        // Letters differ between pages, so a source is told by its name.
        let named = |answer: inspect::DaysAnswer| -> Vec<Value> {
            let days = answer.data.iter().map(|day| {
                let values: BTreeMap<_, _> = day
                    .values
                    .iter()
                    .map(|(id, value)| {
                        (*id, (&value.value, &answer.sources[&value.source].provider))
                    })
                    .collect();
                json!({"day": day.day, "values": values})
            });
            days.collect()
        };
        let whole = inspect::days(table, &person, &query(FIRST, last, 100))
            .await
            .unwrap();
        assert_eq!((whole.data.len(), whole.next), (10, None));
        let whole = named(whole);
        for limit in [1, 2, 5, 11] {
            let (mut from, mut to, mut joined) = (FIRST, last, Vec::new());
            loop {
                let page = inspect::days(table, &person, &query(from, to, limit))
                    .await
                    .unwrap();
                let next = page.next;
                joined.extend(named(page));
                match (next, order) {
                    (None, _) => break,
                    (Some(next), Order::Newest) => to = next,
                    (Some(next), Order::Oldest) => from = next,
                }
            }
            assert_eq!(joined, whole, "{order:?} by {limit}");
        }
    }

    let since_ms = day::begins_ms(FIRST) + 14 * day::HOUR_MS;
    let until_ms = since_ms + 12 * day::DAY_MS;
    let query = SeriesQuery {
        metric: StreamMetric::named("hr_bpm").unwrap(),
        window: Window::new(since_ms, until_ms, Some("1h")).unwrap(),
        part: Part::default(),
        types: [].into(),
        connections: [].into(),
        budget: Budget::UNHURRIED,
    };
    let answer = inspect::series(table, &world.system.archive, &person, &query)
        .await
        .unwrap();
    let points: Vec<usize> = answer
        .series
        .iter()
        .map(|series| series.columns.t.len())
        .collect();
    assert_eq!((points.iter().sum::<usize>(), points.len()), (14 * 24, 2));
    assert_eq!(answer.next_ms, None);
    let now_ms = jiff::Timestamp::MAX.as_millisecond() / 2;
    for &of in &days {
        let why = tokio::time::timeout(
            Duration::from_mins(1),
            inspect::why(table, &person, steps, of, now_ms),
        );
        let why = why.await.unwrap().unwrap();
        assert_eq!(
            why.absent.len() + why.rejected.len() + usize::from(why.value.is_some()),
            2
        );
    }
}
