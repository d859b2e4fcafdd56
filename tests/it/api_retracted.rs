//! Records that their provider took back, in our own API.

use domain::access::Scope;
use serde_json::{Value, json};

use crate::{api::Reader, world::World};

const START: &str = "2026-07-02T00:00:00.000000+02:00";

/// One record of each type that can be taken back, and its key.
fn records(is_taken_back: bool) -> [(&'static str, &'static str, Value); 3] {
    let upload_type = if is_taken_back { 4 } else { 1 };
    let status = if is_taken_back { 3 } else { 1 };
    let end = "2026-07-03T00:00:00.000000+02:00";
    [
        (
            "activity",
            "run-1",
            json!({"metadata": {"summary_id": "run-1", "type": 8, "upload_type": upload_type,
                "start_time": "2026-07-02T08:00:00.000000+02:00", "end_time": "2026-07-02T09:00:00.000000+02:00"}}),
        ),
        (
            "daily",
            "2026-07-02",
            json!({"metadata": {"start_time": START, "end_time": end, "upload_type": upload_type},
                "distance_data": {"steps": 9_120}}),
        ),
        (
            "health_observation",
            "pain-1",
            json!({"metadata": {"summary_id": "pain-1", "start_time": START, "end_time": null},
                "observation_data": {"category": 1, "observation_type": "headache", "status": status}}),
        ),
    ]
}

async fn send(world: &World, name: &str, is_taken_back: bool) {
    for (data_type, key, record) in records(is_taken_back) {
        let body = json!({
            "type": data_type,
            "user": {"user_id": "u", "provider": "GARMIN", "reference_id": "ann", "active": true},
            "data": [record],
        });
        let id = format!("{name}-{key}");
        assert_eq!(world.send(&id, body.to_string()).await, 200);
        world.idle().await;
    }
}

/// Asserts which records are there, and the steps of the day.
async fn shows(reader: &Reader<'_>, is_taken_back: bool) {
    for (data_type, key, _) in records(false) {
        let path = format!("/v1/people/ann/records?type={data_type}&from=2026-07-01&to=2026-07-03");
        let listed = reader.ask(&path).await["data"].as_array().unwrap().len();
        assert_eq!(listed, usize::from(!is_taken_back), "{data_type}");
        let all = reader.ask(&format!("{path}&retracted=true")).await;
        assert_eq!(all["data"].as_array().unwrap().len(), 1, "{data_type}");
        let one = reader
            .ask(&format!("/v1/records/u/{data_type}/{key}"))
            .await;
        for record in [&all["data"][0], &one] {
            assert_eq!(record["id"]["key"], key);
            assert_eq!(record["retracted"], is_taken_back, "{data_type}");
        }
    }
    let days = "/v1/people/ann/days?from=2026-07-02&to=2026-07-02&metrics=steps";
    let days = reader.ask(days).await;
    let steps = &days["data"][0]["values"]["steps"]["value"];
    let expected = if is_taken_back {
        Value::Null
    } else {
        json!(9_120)
    };
    assert_eq!(*steps, expected, "{days}");
    let why = reader
        .ask("/v1/people/ann/days/2026-07-02/why?metric=steps")
        .await;
    assert_eq!(why["value"], expected, "{why}");
    if is_taken_back {
        assert_eq!(why["rejected"][0]["reason"], "retracted", "{why}");
    }
}

#[tokio::test]
async fn what_was_taken_back_is_listed_for_whoever_asks_for_it_and_counts_no_more() {
    let world = World::start().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    send(&world, "first", false).await;
    shows(&reader, false).await;
    send(&world, "taken", true).await;
    shows(&reader, true).await;
    // A provider may give it once more.
    send(&world, "again", false).await;
    shows(&reader, false).await;
    world.system.stop().await;
}
