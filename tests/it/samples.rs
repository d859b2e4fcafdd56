//! Every sample goes through intake and router; nothing panics, nothing disappears.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use models::{headers::TerraHeaders, ids::WebhookId};
use store::table::ledger::Outcome;

use crate::world::{World, terra_dir};

#[derive(serde::Deserialize)]
struct Index {
    deliveries: Vec<Delivery>,
}

#[derive(serde::Deserialize)]
struct Delivery {
    file: String,
    headers: BTreeMap<String, String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_made_sample_is_stored_or_parked_with_a_reason() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models/samples");
    let index = std::fs::read(samples.join("INDEX.json")).unwrap();
    let index: Index = serde_json::from_slice(&index).unwrap();
    // The signatures were made within an hour from here on.
    let world = World::start_at(|| Timestamp::from_second(1_783_001_000).unwrap()).await;

    let mut ids = Vec::new();
    for delivery in &index.deliveries {
        let body = std::fs::read(samples.join(&delivery.file)).unwrap();
        let headers: Vec<_> = delivery
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        ids.push((
            WebhookId::of(&TerraHeaders::from_pairs(pairs), &body),
            &delivery.file,
            body.clone(),
        ));
        assert_eq!(world.post(&headers, body).await, 200, "{}", delivery.file);
    }
    world.system.idle().await.unwrap();

    let known = world
        .system
        .table
        .webhooks(ids.iter().map(|(id, ..)| id))
        .await
        .unwrap();
    let mut outcomes = BTreeMap::new();
    for (id, file, body) in &ids {
        let entry = known
            .get(id)
            .unwrap_or_else(|| panic!("{file} disappeared"));
        if entry.outcome == Outcome::Parked {
            assert!(
                !entry.parked.is_empty(),
                "{file} is parked without a reason"
            );
        }
        let archived = world
            .system
            .archive
            .read_webhook(entry.locator.as_ref().unwrap())
            .await;
        assert_eq!(&archived.unwrap().body, body, "{file}");
        outcomes
            .entry(entry.outcome.as_str())
            .or_insert_with(Vec::new)
            .push(file.as_str());
    }
    insta::assert_json_snapshot!("parked", outcomes["parked"]);
    insta::assert_json_snapshot!("noted", outcomes["noted"]);
    world.system.stop().await;
}

/// Texts from public sources, answers of a former API among them: whatever they are, they are kept.
#[tokio::test(flavor = "multi_thread")]
async fn every_real_sample_is_kept_to_the_byte() {
    let Some(dir) = terra_dir() else { return };
    let files = json_files(&dir.join("samples/real"));
    assert!(files.len() > 20, "found {} files", files.len());
    let world = World::start().await;

    let bodies: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    for (number, body) in bodies.iter().enumerate() {
        assert_eq!(
            world.send(&format!("real-{number}"), body.clone()).await,
            200
        );
    }
    world.idle().await;

    for (number, body) in bodies.iter().enumerate() {
        let name = files[number].display();
        let entry = world.entry(&format!("real-{number}")).await;
        let entry = entry.unwrap_or_else(|| panic!("{name} disappeared"));
        let archived = world
            .system
            .archive
            .read_webhook(entry.locator.as_ref().unwrap())
            .await;
        assert_eq!(&archived.unwrap().body, body, "{name}");
        assert!(
            entry.outcome != Outcome::Parked || !entry.parked.is_empty(),
            "{name}"
        );
    }
    world.system.stop().await;
}

fn json_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}
