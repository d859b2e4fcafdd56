//! Stories of nights and workouts that come without an id, or whose times move.

use domain::{days::Wanted, source::Metric};
use inspect::{DaysQuery, Order};
use jiff::civil::{Date, date};
use models::{data::DataType, ids::ReferenceId};
use serde_json::{Value, json};
use store::table::{
    key::RecordOwner,
    records::{IncomingRecord, Mode},
};

use crate::world::World;

const USER: &str = "00000000-0000-4000-8000-000000000a01";

/// One session of a user; `id` is its `summary_id`.
fn session(user: &str, kind: &str, id: Option<&str>, (start, end): (&str, &str)) -> Vec<u8> {
    let metadata = json!({"summary_id": id, "start_time": start, "end_time": end});
    let record = json!({"metadata": metadata, "device_data": {"name": "watch"}});
    let user = json!({"user_id": user, "provider": "OURA", "reference_id": "sleeper"});
    let body = json!({"type": kind, "user": user, "data": [record]});
    body.to_string().into()
}

const NIGHT: (&str, &str) = (
    "2026-09-02T23:30:00.000000+02:00",
    "2026-09-03T07:00:00.000000+02:00",
);

async fn send(world: &World, trace_id: &str, body: Vec<u8>) -> (usize, usize, usize) {
    assert_eq!(world.send(trace_id, body).await, 200);
    world.idle().await;
    let records = world.entry(trace_id).await.unwrap().records;
    (records.created, records.updated, records.unchanged)
}

async fn keys(world: &World, user: &str, data_type: DataType) -> Vec<String> {
    let records = world.records(user, data_type).await;
    records.iter().map(|found| found.key.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_gets_its_id_later_is_one_record_in_any_order() {
    let world = World::start().await;
    let (without, with) = (
        session(USER, "sleep", None, NIGHT),
        session(USER, "sleep", Some("night-1"), NIGHT),
    );
    assert_eq!(send(&world, "first", without.clone()).await, (1, 0, 0));
    let fallback = keys(&world, USER, DataType::Sleep).await.remove(0);
    assert_eq!(send(&world, "second", with.clone()).await, (0, 1, 0));
    assert_eq!(keys(&world, USER, DataType::Sleep).await, ["night-1"]);

    // The old key still leads to the record, and the index by time names it once.
    let owner = RecordOwner::Connection(world.connection(USER).await.id);
    let table = &world.system.table;
    let fallback = fallback.parse().unwrap();
    let found = table.record(&owner, DataType::Sleep, &fallback);
    let found = found.await.unwrap().unwrap();
    assert_eq!(found.key.to_string(), "night-1");
    let by_time = table.keys_by_time(&owner, DataType::Sleep, "2026", "2027");
    assert_eq!(by_time.await.unwrap(), [found.key]);

    // Another delivery without id, and other users in the other order.
    assert_eq!(send(&world, "third", without.clone()).await, (0, 1, 0));
    assert_eq!(keys(&world, USER, DataType::Sleep).await, ["night-1"]);
    let other = "00000000-0000-4000-8000-000000000a02";
    let id = Some("night-1");
    let moved = ("2026-09-02T23:41:00+02:00", "2026-09-03T07:02:00+02:00");
    assert_eq!(
        send(&world, "fourth", session(other, "sleep", id, NIGHT)).await,
        (1, 0, 0)
    );
    for (trace_id, times) in [("fifth", NIGHT), ("sixth", moved)] {
        let body = session(other, "sleep", None, times);
        assert_eq!(send(&world, trace_id, body).await, (0, 1, 0), "{trace_id}");
        assert_eq!(keys(&world, other, DataType::Sleep).await, ["night-1"]);
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workout_whose_end_moves_by_some_milliseconds_is_one_record() {
    let world = World::start().await;
    let start = "2026-09-02T06:42:14.550Z";
    for (trace_id, end) in [
        ("first", "2026-09-02T07:39:20.630Z"),
        ("second", "2026-09-02T07:39:20.723Z"),
    ] {
        send(
            &world,
            trace_id,
            session(USER, "activity", None, (start, end)),
        )
        .await;
        assert_eq!(keys(&world, USER, DataType::Activity).await.len(), 1);
    }
    assert_eq!(world.entry("second").await.unwrap().records.updated, 1);
    let records = world.records(USER, DataType::Activity).await;
    let sent: Value = world.sent(&records[0]).await;
    assert_eq!(sent["metadata"]["end_time"], "2026-09-02T07:39:20.723Z");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_short_sessions_side_by_side_stay_two() {
    let world = World::start().await;
    let laps = [
        ("2026-09-02T06:00:00Z", "2026-09-02T06:05:00Z"),
        ("2026-09-02T06:05:00Z", "2026-09-02T06:10:00Z"),
    ];
    for (number, times) in laps.into_iter().enumerate() {
        let body = session(USER, "activity", None, times);
        assert_eq!(
            send(&world, &format!("lap-{number}"), body).await,
            (1, 0, 0)
        );
    }
    for (number, times) in laps.into_iter().enumerate() {
        let body = session(USER, "activity", Some(&format!("lap-{number}")), times);
        assert_eq!(send(&world, &format!("id-{number}"), body).await, (0, 1, 0));
    }
    assert_eq!(
        keys(&world, USER, DataType::Activity).await,
        ["lap-0", "lap-1"]
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_id_of_the_same_time_makes_what_has_none_a_record_of_its_own() {
    let world = World::start().await;
    for (trace_id, id) in [("first", None), ("second", Some("a")), ("third", Some("b"))] {
        send(&world, trace_id, session(USER, "sleep", id, NIGHT)).await;
    }
    let alone = "@~2026-09-02T21:30:00Z";
    assert_eq!(keys(&world, USER, DataType::Sleep).await, [alone, "a", "b"]);
    for found in world.records(USER, DataType::Sleep).await {
        let sent = world.sent(&found).await;
        let id = sent["metadata"]["summary_id"].as_str();
        assert_eq!(id.unwrap_or(alone), found.key.to_string());
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_router_left_under_two_keys_becomes_one_when_it_comes_again() {
    let world = World::start().await;
    let (without, with) = (
        session(USER, "sleep", None, NIGHT),
        session(USER, "sleep", Some("night-1"), NIGHT),
    );
    send(&world, "first", without.clone()).await;
    let mut left = world.records(USER, DataType::Sleep).await;
    let left = left.remove(0);
    send(&world, "second", with.clone()).await;
    // Killed after its write and before it looked for the other key.
    let owner = RecordOwner::Connection(world.connection(USER).await.id);
    for body in [without, with] {
        let left = IncomingRecord {
            owner: owner.clone(),
            data_type: left.data_type,
            key: left.key.clone(),
            sessions: Vec::new(),
            record: left.record.clone(),
        };
        let table = &world.system.table;
        table.apply_records(vec![left], Mode::Write).await.unwrap();
        assert_eq!(keys(&world, USER, DataType::Sleep).await.len(), 2);
        let trace_id = format!("again-{}", body.len());
        assert_eq!(send(&world, &trace_id, body).await, (0, 1, 0));
        assert_eq!(keys(&world, USER, DataType::Sleep).await, ["night-1"]);
    }
    world.system.stop().await;
}

/// Two sessions, each of which two sources date differently.
async fn send_dated_differently(world: &World) {
    let records = [
        // Started before midnight by the watch, after it by the phone.
        (
            "activity",
            "GARMIN",
            "2026-09-02T23:58:00+02:00",
            "2026-09-03T00:40:00+02:00",
        ),
        (
            "activity",
            "APPLE",
            "2026-09-03T00:01:00+02:00",
            "2026-09-03T00:41:00+02:00",
        ),
        // One in the wearer's zone, one in UTC.
        (
            "sleep",
            "GARMIN",
            "2026-09-02T23:00:00+09:00",
            "2026-09-03T07:00:00+09:00",
        ),
        (
            "sleep",
            "APPLE",
            "2026-09-02T14:05:00Z",
            "2026-09-02T22:01:00Z",
        ),
    ];
    for (index, (kind, provider, start, end)) in records.into_iter().enumerate() {
        let record = json!({
            "metadata": {"start_time": start, "end_time": end, "summary_id": format!("{index}")},
            "sleep_durations_data": {"asleep": {"duration_asleep_state_seconds": 25_000 + index}},
        });
        let user = json!({"user_id": provider, "provider": provider, "reference_id": "ann"});
        let sent = json!({"type": kind, "user": user, "data": [record]}).to_string();
        assert_eq!(
            send(world, &format!("w-{index}"), sent.into()).await,
            (1, 0, 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_sources_date_differently_is_one_whatever_days_are_asked_for() {
    let world = World::start().await;
    send_dated_differently(&world).await;
    let table = &world.system.table;
    let ann = ReferenceId::new("ann").unwrap();
    let person = inspect::person(table, &ann).await.unwrap();
    let (before, after) = (date(2026, 9, 2), date(2026, 9, 3));
    let asked = |from: Date, to: Date| DaysQuery {
        from,
        to,
        order: Order::Newest,
        wanted: Wanted::default(),
        others: false,
        coverage_at_ms: None,
        limit: 100,
    };
    for (from, to) in [
        (before, before),
        (after, after),
        (date(2026, 8, 1), date(2026, 10, 1)),
    ] {
        for (data_type, day) in [(DataType::Activity, before), (DataType::Sleep, after)] {
            let found = inspect::sessions(table, &person, data_type, (from, to), 100);
            let found = found.await.unwrap().data;
            let shown: Vec<_> = found
                .iter()
                .map(|session| (session.day, session.also_recorded_by.len()))
                .collect();
            let expected = (from <= day && day <= to).then_some((day, 1));
            assert_eq!(
                shown,
                Vec::from_iter(expected),
                "{data_type} of {from} to {to}"
            );
        }
        let days = inspect::days(table, &person, &asked(from, to))
            .await
            .unwrap()
            .data;
        for day in days {
            assert_eq!(day.activities, Some(usize::from(day.day == before)));
            assert_eq!(day.sleep.is_some(), day.day == after);
        }
    }
    let asleep = Metric::named("duration_asleep_state_seconds").unwrap();
    let now_ms = 1_800_000_000_000;
    let why = inspect::why(table, &person, asleep, after, now_ms)
        .await
        .unwrap();
    assert!(why.value.is_some());
    assert_eq!((why.rejected.len(), why.absent.len()), (1, 0));
    let why = inspect::why(table, &person, asleep, before, now_ms)
        .await
        .unwrap();
    let reasons: Vec<_> = why
        .absent
        .iter()
        .filter_map(|absent| absent.why.as_deref())
        .collect();
    assert_eq!((why.value, why.rejected.len()), (None, 0));
    assert_eq!(
        reasons.iter().filter(|why| **why == "other_day").count(),
        1,
        "{reasons:?}"
    );
    world.system.stop().await;
}
