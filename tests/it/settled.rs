//! Tests that a stored webhook is settled: a replay of it changes nothing.

use std::{fs, path::Path};

use models::data::DataType;
use store::table::{ledger::Outcome, records::Mode};

use crate::world::World;

/// Bodies that once came out wrong.
fn case(name: &str) -> Vec<u8> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/cases");
    fs::read(cases.join(name)).unwrap()
}

/// The bodies of a folder with their names, in the order of the names.
fn bodies(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut bodies: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    bodies.sort();
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replay_of_any_sample_and_any_case_changes_nothing() {
    let world = World::start().await;
    let mut all = bodies(&Path::new(env!("CARGO_MANIFEST_DIR")).join("it/cases"));
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models/samples");
    for folder in ["data", "every-field", "all-null", "odd"] {
        all.extend(bodies(&made.join(folder)));
    }
    let ids: Vec<_> = (0..all.len())
        .map(|number| format!("settled-{number}"))
        .collect();
    for (id, (name, body)) in ids.iter().zip(&all) {
        assert_eq!(world.send(id, body.clone()).await, 200, "{name}");
    }
    world.idle().await;

    let mut stored = 0;
    for round in ["first", "second"] {
        for (id, (name, _)) in ids.iter().zip(&all) {
            let entry = world.entry(id).await.unwrap();
            if entry.outcome != Outcome::Stored {
                continue;
            }
            let locator = entry.locator.as_ref().unwrap();
            let archived = world.system.archive.read_webhook(locator).await.unwrap();
            let applied = routing::replay(world.system.router.ways(), &archived, Mode::Write).await;
            let records = applied.unwrap().applied.records;
            assert_eq!(
                (records.created, records.updated),
                (0, 0),
                "{round} replay of {name}"
            );
            stored += 1;
        }
    }
    assert!(stored > 20, "{stored}");
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_case_is_stored_or_parked_as_it_should() {
    let world = World::start().await;
    let send = |name: &'static str| {
        let world = &world;
        async move {
            let status = world.send(name, case(&format!("{name}.json"))).await;
            assert_eq!(status, 200, "{name}");
            world.idle().await;
            let entry = world.entry(name).await.unwrap();
            (entry.records.created, entry.parked.len())
        }
    };
    assert_eq!(send("placeholder-ids").await, (3, 0));
    assert_eq!(send("blank-ids").await, (4, 0));
    assert_eq!(send("zero-time").await, (0, 2));
    assert_eq!(send("zero-time-workouts").await, (0, 2));
    assert_eq!(send("start-spelled-1").await, (1, 0));
    for name in ["start-spelled-2", "start-spelled-3", "start-spelled-4"] {
        assert_eq!(send(name).await, (0, 0), "{name}");
    }
    assert_eq!(send("start-spelled-utc-1").await, (1, 0));
    for name in ["start-spelled-utc-2", "start-spelled-utc-3"] {
        assert_eq!(send(name).await, (0, 0), "{name}");
    }
    for name in [
        "score-beside-unreadable-number",
        "score-beside-half-emoji",
        "half-emoji-in-user",
        "half-emoji-for-object",
        "sentinel-doubles",
    ] {
        assert_eq!(send(name).await, (1, 0), "{name}");
    }
    for (user, data_type, score, value) in [
        (905, DataType::Activity, "strain_score", 5),
        (906, DataType::Sleep, "sleep_score", 77),
        (906, DataType::Sleep, "sleep_contributors.deep", 4),
    ] {
        let user = format!("00000000-0000-4000-8000-000000000{user}");
        let records = world.records(&user, data_type).await;
        assert_eq!(records[0].record.enrichment[score].value, value, "{score}");
    }
    world.system.stop().await;
}
