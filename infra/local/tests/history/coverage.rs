//! `terrarium coverage` and `terrarium connections`.

use domain::{
    connection::Status,
    history::{asked::AskedDays, day::Span, gap::Peers},
};
use models::{data::DataType, ids::Provider};
use serde_json::Value;
use store::table::connections::CONNECTION_SHARDS;

use super::world::{Folder, ago, ago_ms, now_ms};
use crate::{ok, refused};

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(&[arguments, &["--json"]].concat())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_tells_what_is_there_and_why_what_is_missing() {
    let folder = Folder::new().await;
    let own = folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(40))
        .await;
    for days in [10, 11, 15] {
        folder.record(&own, DataType::Daily, ago(days)).await;
    }
    let empty = AskedDays::answer(Span::of_day(ago(12)), [], now_ms());
    let table = &folder.table;
    table
        .note_asked(&own.id, DataType::Daily, empty)
        .await
        .unwrap();
    folder
        .connection("ann", "APPLE", Status::Active, ago_ms(40))
        .await;
    let (_folder, data) = folder.close().await;

    let coverage = ["coverage", "--data", &data, "--reference-id", "ann"];
    let shown = json(&coverage);
    let connections = shown["connections"].as_array().unwrap();
    let of = |provider: &str| {
        let mut found = connections.iter();
        found.find(|it| it["provider"] == provider).unwrap()
    };
    let daily = &of("GARMIN")["types"]["daily"];
    let state = |days: i64| &daily["days"][ago(days).to_string()];
    assert_eq!([state(10), state(11), state(15)], ["have"; 3]);
    assert_eq!(state(12), "confirmed_empty");
    assert_eq!([state(13), state(14)], ["missing"; 2]);
    assert_eq!(daily["counts"]["have"], 3);
    let gap = daily["gaps"].as_array().unwrap().iter();
    let gap = gap
        .clone()
        .find(|gap| gap["from"] == ago(14).to_string())
        .unwrap();
    assert_eq!(gap["to"], ago(13).to_string());
    assert_eq!(
        (&gap["days"], &gap["reason"]),
        (&2.into(), &"no_record".into())
    );
    // Nobody else is there to compare with.
    assert_eq!(of("GARMIN")["quiet"]["cause"], "nothing_recorded");
    assert_eq!(of("APPLE")["quiet"]["cause"], "phone_app_silent");

    let map = ok(&[&coverage[..], &["--type", "daily"]].concat());
    assert!(map.contains("■ have   □ confirmed empty   ~ asked   ! missing"));
    // Else the days stand on two lines.
    if ago(15).month() == ago(10).month() {
        assert!(map.contains("■!!□■■"), "{map}");
    }
    let reason = format!(
        "! {} to {}, 2 days: no record, and not asked for yet",
        ago(14),
        ago(13)
    );
    assert!(map.contains(&reason), "{map}");
    assert!(map.contains("only the app on the phone"), "{map}");
    assert!(!map.contains("sleep") && !map.contains('\u{1b}'), "{map}");
    let first = ok(&[&coverage[..], &["--months", "1", "--provider", "garmin"]].concat());
    assert!(
        first.contains("GARMIN") && !first.contains("APPLE"),
        "{first}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_late_for_everybody_is_named_as_the_cause() {
    let folder = Folder::new().await;
    let mut peers = Peers::default();
    for (name, others_brought_data_at_ms) in [("OURA", ago_ms(20)), ("GARMIN", ago_ms(0))] {
        folder
            .connection("ann", name, Status::Active, ago_ms(40))
            .await;
        let provider = Provider::new(name).unwrap();
        for shard in 0..CONNECTION_SHARDS {
            peers.note(&provider, shard, others_brought_data_at_ms);
        }
    }
    folder.table.note_peers(&peers).await.unwrap();
    let (_folder, data) = folder.close().await;

    let shown = json(&["coverage", "--data", &data, "--reference-id", "ann"]);
    let cause = |provider: &str| {
        let mut connections = shown["connections"].as_array().unwrap().iter();
        let found = connections.find(|it| it["provider"] == provider);
        found.unwrap()["quiet"]["cause"].clone()
    };
    assert_eq!(cause("OURA"), "provider_late");
    assert_eq!(cause("GARMIN"), "nothing_recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_refused_with_what_would_be_right() {
    let folder = Folder::new().await;
    folder
        .connection("ann", "GARMIN", Status::Active, ago_ms(1))
        .await;
    let (_folder, data) = folder.close().await;
    let coverage = ["coverage", "--data", &data, "--reference-id"];
    let with = |more: &[&'static str]| [&coverage[..], more].concat();
    refused(&with(&["bob"]), 3, "there is no person bob");
    refused(
        &with(&["ann", "--provider", "oura"]),
        3,
        "there are: GARMIN",
    );
    refused(&with(&["ann", "--type", "vibes"]), 2, "is no data type");
    refused(&with(&["ann", "--type", "athlete"]), 2, "daily");
    refused(&with(&["ann", "--months", "0"]), 2, "1..=240");
    refused(&with(&[""]), 2, "the reference id is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_listed_and_filtered() {
    let folder = Folder::new().await;
    for number in 0..5 {
        let person = format!("person {number}");
        folder
            .connection(&person, "GARMIN", Status::Active, ago_ms(1))
            .await;
    }
    folder
        .connection("ann", "OURA", Status::Failing, ago_ms(1))
        .await;
    folder
        .connection("ann", "GARMIN", Status::Ended, ago_ms(1))
        .await;
    let (_folder, data) = folder.close().await;
    let connections = ["connections", "--data", &data];
    let count = |more: &[&str]| {
        let listed = json(&[&connections[..], more].concat());
        listed.as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 7);
    assert_eq!(count(&["--provider", "garmin"]), 6);
    assert_eq!(count(&["--provider", "GARMIN", "--status", "ended"]), 1);
    assert_eq!(count(&["--limit", "3"]), 3);
    assert_eq!(count(&["--provider", "POLAR"]), 0);
    let table = ok(&connections);
    assert!(table.contains("5 active, 1 failing, 1 ended"), "{table}");
    let some = ok(&[&connections[..], &["--limit", "3"]].concat());
    assert!(some.contains("--limit shows them"), "{some}");
    refused(
        &[&connections[..], &["--status", "asleep"]].concat(),
        2,
        "there are: active, failing, ended",
    );
}
