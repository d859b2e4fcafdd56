//! Tests that the stories keep their promises, and that a seed tells a story the same way twice.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;
use simulator::{
    DataType, Payloads, Provider, Webhook, World,
    scenario::{self, ChunkForm, Lively, ReauthOrder},
};

fn start() -> Timestamp {
    "2026-07-01T15:30:00Z".parse().unwrap()
}

fn lively(seed: u64) -> Vec<Webhook> {
    let payloads = Payloads::new("http://127.0.0.1:1", b"secret", Arc::new(start));
    Lively::new(World::new(seed, 4, start()), Some(payloads))
        .take(300)
        .collect()
}

fn body(webhook: &Webhook) -> Value {
    serde_json::from_slice(&webhook.body).unwrap()
}

fn stamp(webhook: &Webhook) -> i64 {
    webhook.ordering_timestamp_ms.unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(lively(11), lively(11));
    assert_ne!(lively(11), lively(12));
}

#[test]
fn a_later_delivery_of_a_core_day_contains_the_earlier_one() {
    let mut world = World::new(5, 1, start());
    let core = world.connection(Provider::Core);
    let webhooks = scenario::superset_day(&mut world, &core, DataType::Body, 6);
    let samples = |webhook: &Webhook| -> Vec<String> {
        let temperature = body(webhook)["data"][0]["temperature_data"].clone();
        let samples = temperature["body_temperature_samples"]
            .as_array()
            .unwrap()
            .clone();
        samples.iter().map(ToString::to_string).collect()
    };
    for pair in webhooks.windows(2) {
        assert!(samples(&pair[1]).starts_with(&samples(&pair[0])));
        assert!(stamp(&pair[1]) > stamp(&pair[0]));
    }
    assert!(samples(&webhooks[5]).len() > 30);
    let starts: BTreeSet<String> = webhooks
        .iter()
        .map(|webhook| body(webhook)["data"][0]["metadata"]["start_time"].to_string())
        .collect();
    assert_eq!(starts.len(), 1);
}

#[test]
fn an_activity_keeps_its_id_while_it_grows() {
    let mut world = World::new(6, 1, start());
    let garmin = world.connection(Provider::Garmin);
    let ids = |webhook: &Webhook| -> Vec<String> {
        let data = body(webhook)["data"].as_array().unwrap().clone();
        data.iter()
            .map(|record| record["metadata"]["summary_id"].to_string())
            .collect()
    };
    let webhooks = scenario::superset_day(&mut world, &garmin, DataType::Activity, 12);
    for pair in webhooks.windows(2) {
        assert!(ids(&pair[1]).starts_with(&ids(&pair[0])));
    }
    assert!(!ids(&webhooks[11]).is_empty());
}

#[test]
fn a_diary_grows_and_then_loses_lines() {
    let mut world = World::new(7, 1, start());
    let cronometer = world.connection(Provider::Cronometer);
    let meals: Vec<usize> = scenario::diary(&mut world, &cronometer)
        .iter()
        .map(|webhook| body(webhook)["data"][0]["meals"].as_array().unwrap().len())
        .collect();
    assert!(meals[..4].is_sorted() && meals[3] > meals[0], "{meals:?}");
    assert_eq!(meals[4], meals[3] - 2);
}

#[test]
fn scores_are_given_then_null_then_absent() {
    let mut world = World::new(8, 1, start());
    let oura = world.connection(Provider::Oura);
    let webhooks = scenario::scores_nulled(&mut world, &oura, DataType::Sleep);
    let record = |index: usize| body(&webhooks[index])["data"][0].clone();
    assert!(record(0)["data_enrichment"]["sleep_score"].is_number());
    assert!(record(1)["data_enrichment"]["sleep_score"].is_null());
    assert!(record(1)["data_enrichment"].is_object());
    assert!(record(2).get("data_enrichment").is_none());
    assert_eq!(record(0)["metadata"], record(2)["metadata"]);
}

#[test]
fn chunks_share_a_reference_and_differ_in_identity() {
    let mut world = World::new(9, 1, start());
    let garmin = world.connection(Provider::Garmin);
    for form in [ChunkForm::SameReference, ChunkForm::NumberedReference] {
        let webhooks = scenario::large_request(&mut world, &garmin, DataType::Daily, form, 5, &[3]);
        assert_eq!(webhooks.len(), 2 + 4);
        assert_eq!(body(&webhooks[1])["expected_payloads"], 5);
        let reference = webhooks[0].reference.clone().unwrap();
        let traces: BTreeSet<_> = webhooks
            .iter()
            .map(|webhook| webhook.trace_id.clone())
            .collect();
        assert_eq!(traces.len(), webhooks.len());
        for chunk in &webhooks[2..] {
            let of_chunk = chunk.reference.clone().unwrap();
            assert_eq!(of_chunk.split(':').next().unwrap(), reference);
            assert!(chunk.trace_id.as_deref().unwrap().contains(":chunk:"));
            assert_eq!(
                of_chunk.contains(":chunk:"),
                form == ChunkForm::NumberedReference
            );
            assert_eq!(body(chunk)["data"].as_array().unwrap().len(), 7);
        }
    }
}

#[test]
fn a_chain_of_renewals_links_every_id_to_the_next() {
    let mut world = World::new(10, 1, start());
    let core = world.connection(Provider::Core);
    let order = ReauthOrder::NewestLinkFirst;
    let webhooks = scenario::reauth_chain(&mut world, &core, 3, order);
    let links: Vec<(String, String)> = webhooks
        .iter()
        .filter(|webhook| webhook.event_type == "user_reauth")
        .map(|webhook| {
            let body = body(webhook);
            (
                body["old_user"]["user_id"].to_string(),
                body["new_user"]["user_id"].to_string(),
            )
        })
        .collect();
    assert_eq!(links.len(), 3);
    assert_eq!(links[0].0, links[1].1);
    assert_eq!(links[1].0, links[2].1);
    let late = &webhooks[webhooks.len() - 2];
    assert_eq!(
        late.terra_user_id.as_deref(),
        Some(core.terra_user_id.as_str())
    );
    let current = world.connection(Provider::Core).terra_user_id;
    assert_eq!(links[0].1, format!("\"{current}\""));
}

#[test]
fn a_lively_run_speaks_most_of_core_and_cronometer() {
    let webhooks = lively(21);
    let from = |provider: &str| {
        webhooks
            .iter()
            .filter(|webhook| body(webhook)["user"]["provider"] == provider)
            .count()
    };
    assert!(from("CORE") > 40, "{}", from("CORE"));
    assert!(from("CRONOMETER") > 40, "{}", from("CRONOMETER"));
    let traces: Vec<_> = webhooks
        .iter()
        .filter_map(|webhook| webhook.trace_id.clone())
        .collect();
    let distinct: BTreeSet<_> = traces.iter().collect();
    assert!(
        distinct.len() < traces.len(),
        "some webhooks must come again"
    );
    assert!(webhooks.iter().any(|webhook| webhook.trace_id.is_none()));
}

#[test]
fn a_clock_can_drive_a_lively_run() {
    let mut lively = Lively::new(World::new(3, 2, start()), None);
    let later: Timestamp = "2026-07-03T10:00:00Z".parse().unwrap();
    let stamps: Vec<i64> = (0..200)
        .filter_map(|_| lively.next_at(later).ordering_timestamp_ms)
        .collect();
    assert!(stamps.iter().any(|stamp| *stamp > later.as_millisecond()));
    assert!(lively.world().now() >= later);
}
