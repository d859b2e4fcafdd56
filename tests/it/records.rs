//! Stories of one record: its samples, its order, and what shares its key.

use std::collections::BTreeMap;

use domain::{
    compose::{Sampled, compose},
    streams::filled_streams,
};
use models::data::DataType;
use serde_json::{Value, json};
use simulator::{DataType as Kind, Provider, Shape, Webhook};
use store::table::records::FoundRecord;

use crate::world::{World, terra};

pub(crate) fn with_body(webhook: &Webhook, change: impl FnOnce(&mut Value)) -> Webhook {
    let mut body: Value = serde_json::from_slice(&webhook.body).unwrap();
    change(&mut body);
    Webhook {
        body: body.to_string().into(),
        ..webhook.clone()
    }
}

/// The record with the samples of older deliveries.
async fn composed(world: &World, found: &FoundRecord) -> Vec<u8> {
    let archive = &world.system.archive;
    let newest = &found.record.newest.payload.locator;
    let newest = archive.read_frames(newest).await.unwrap();
    let mut older = Vec::new();
    for (payload, streams) in found.record.sampled_arrivals() {
        let record = archive.read_frames(&payload.locator).await.unwrap();
        older.push((record, streams));
    }
    let sampled: Vec<_> = older
        .iter()
        .map(|(record, streams)| Sampled { record, streams })
        .collect();
    compose(found.data_type, &newest, &sampled, &BTreeMap::new(), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_stream_survives_deliveries_with_some_and_with_none() {
    let (world, mut terra) = (World::start().await, terra(41));
    let garmin = terra.connection(Provider::Garmin);
    let shape = Shape::default();
    let full = terra.data(&garmin, Kind::Daily, &shape);
    let some = terra.data_with_some_samples(&garmin, Kind::Daily, &shape);
    let none = terra.data(&garmin, Kind::Daily, &shape.without_samples());
    let all = {
        let body: Value = serde_json::from_slice(&full.body).unwrap();
        filled_streams(DataType::Daily, body["data"][0].to_string().as_bytes())
    };
    assert!(all.len() > 2, "{all:?}");

    let mut seen = Vec::new();
    for webhook in [full, some, none] {
        world.deliver_in_order(&[webhook]).await;
        let found = world.records(&garmin.terra_user_id, DataType::Daily).await;
        assert_eq!(found.len(), 1);
        let whole = composed(&world, &found[0]).await;
        assert_eq!(filled_streams(DataType::Daily, &whole), all);
        seen.push(found[0].record.newest.streams.len());
    }
    assert!(seen[0] > seen[1] && seen[1] > seen[2], "{seen:?}");
    assert_eq!(seen[2], 0);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_that_the_vendor_deleted_is_gone() {
    let (world, mut terra) = (World::start().await, terra(42));
    let cronometer = terra.connection(Provider::Cronometer);
    let measured = |list: Value| {
        move |body: &mut Value| {
            body["data"][0]["measurements_data"] = json!({"measurements": list});
        }
    };
    let first = terra.data(&cronometer, Kind::Body, &Shape::default());
    let second = terra.data(&cronometer, Kind::Body, &Shape::default());
    let first = with_body(&first, measured(json!([{"weight_kg": 80.0}])));
    let second = with_body(&second, measured(json!([])));
    world.deliver_in_order(&[first, second]).await;
    let found = world
        .records(&cronometer.terra_user_id, DataType::Body)
        .await;
    assert_eq!(found[0].record.summary().get("weight_kg"), None);
    let whole: Value = serde_json::from_slice(&composed(&world, &found[0]).await).unwrap();
    assert_eq!(whole["measurements_data"]["measurements"], json!([]));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stamp_the_delivery_that_came_later_counts_whatever_the_trace_ids_are() {
    let (world, mut terra) = (World::start().await, terra(43));
    let garmin = terra.connection(Provider::Garmin);
    let made = terra.data(&garmin, Kind::Daily, &Shape::default());
    for (trace_id, steps) in [("zz-first", 1000), ("aa-second", 2000)] {
        let webhook = with_body(&made, |body| {
            body["data"][0]["distance_data"]["steps"] = json!(steps);
        });
        let webhook = Webhook {
            trace_id: Some(trace_id.to_owned()),
            ordering_timestamp_ms: None,
            ..webhook
        };
        world.deliver_in_order(&[webhook]).await;
        let found = world.records(&garmin.terra_user_id, DataType::Daily).await;
        let sent = world.sent(&found[0]).await;
        assert_eq!(sent["distance_data"]["steps"], json!(steps));
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_earlier_of_two_records_of_one_day_is_counted_and_stays_reachable() {
    let (world, mut terra) = (World::start().await, terra(44));
    let whoop = terra.connection(Provider::Garmin);
    let made = terra.data(&whoop, Kind::Daily, &Shape::default());
    let webhook = with_body(&made, |body| {
        let mut first = body["data"][0].clone();
        first["distance_data"]["steps"] = json!(11);
        let mut second = first.clone();
        second["distance_data"]["steps"] = json!(22);
        body["data"] = json!([first, second]);
    });
    world.deliver_in_order(std::slice::from_ref(&webhook)).await;
    assert_eq!(world.entry_of(&webhook).await.records.shadowed, 1);
    let found = world.records(&whoop.terra_user_id, DataType::Daily).await;
    assert_eq!(found.len(), 1);
    let sent = world.sent(&found[0]).await;
    assert_eq!(sent["distance_data"]["steps"], json!(22));
    let shadowed: Vec<_> = found[0].record.shadowed.values().collect();
    assert_eq!(shadowed.len(), 1);
    let bytes = world.system.archive.read_frames(shadowed[0]).await.unwrap();
    let other: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(other["distance_data"]["steps"], json!(11));

    // The same record twice in one delivery shadows nothing.
    let twice = terra.data(&whoop, Kind::Daily, &Shape::default());
    let twice = with_body(&twice, |body| {
        let record = body["data"][0].clone();
        body["data"] = json!([record.clone(), record]);
    });
    world.deliver_in_order(std::slice::from_ref(&twice)).await;
    assert_eq!(world.entry_of(&twice).await.records.shadowed, 0);
    world.system.stop().await;
}
