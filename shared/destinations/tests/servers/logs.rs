//! SQS (ministack: `TERRARIUM_TEST_AWS`) and Kafka (librdkafka's mock cluster: `TERRARIUM_TEST_KAFKA`).

use std::collections::BTreeMap;

use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Erased, Erasure, Kind, Outcome, Verdict},
    net::Network,
};
use models::data::DataType;
use rskafka::client::{ClientBuilder, partition::UnknownTopicHandling};
use serde_json::{Value, json};

use crate::{places::sqs, samples, server};

fn destination(kind: KindName, config: &Value, secrets: &Value) -> Box<dyn Kind> {
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let context = Context::new(
        samples::DESTINATION,
        Network::Local,
        Clock::new(samples::now),
    );
    open(kind, config.as_object().unwrap(), &secrets, context).unwrap()
}

#[tokio::test]
#[ignore = "needs a server"]
async fn sqs_takes_every_change_in_order_and_a_repetition_once() {
    let (endpoint, client) = sqs();
    let made = client
        .create_queue()
        .queue_name("changes.fifo")
        .attributes("FifoQueue".into(), "true")
        .send()
        .await
        .unwrap();
    let url = made.queue_url().unwrap();
    let config = json!({"queue_url": url, "endpoint": endpoint, "region": "us-east-1"});
    let keys = json!({"access_key_id": "test", "secret_access_key": "test"});
    let queue = destination(KindName::Sqs, &config, &keys);
    let changes: Vec<_> = (1..=25)
        .map(|revision| samples::daily(1, "2026-11-20", 1, revision))
        .collect();
    for _ in 0..2 {
        let outcomes = queue.deliver(&changes).await.unwrap();
        assert!(
            outcomes.iter().all(|outcome| *outcome == Outcome::APPLIED),
            "{outcomes:?}"
        );
    }
    let mut revisions = Vec::new();
    loop {
        let received = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_attribute_names("All")
            .send()
            .await
            .unwrap();
        if received.messages().is_empty() {
            break;
        }
        for message in received.messages() {
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let attributes = message.message_attributes().unwrap();
            let attribute = attributes["terrarium-revision"].string_value().unwrap();
            assert_eq!(attribute, body["revision"].to_string());
            revisions.push(body["revision"].as_u64().unwrap());
            let handle = message.receipt_handle().unwrap();
            client
                .delete_message()
                .queue_url(url)
                .receipt_handle(handle)
                .send()
                .await
                .unwrap();
        }
    }
    assert_eq!(revisions, (1..=25).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_queue_that_is_not_there_is_named_and_a_large_body_refused() {
    let (endpoint, client) = sqs();
    let keys = json!({"access_key_id": "test", "secret_access_key": "test"});
    let open = |url: &str| {
        let config = json!({"queue_url": url, "endpoint": endpoint, "region": "us-east-1"});
        destination(KindName::Sqs, &config, &keys)
    };
    let nowhere = open(&format!("{endpoint}/000000000000/nowhere"));
    let fault = nowhere
        .deliver(&[samples::daily(1, "2026-11-20", 1, 1)])
        .await
        .unwrap_err();
    assert_eq!(fault.name(), "misconfigured", "{fault:?}");
    let made = client
        .create_queue()
        .queue_name("large")
        .send()
        .await
        .unwrap();
    let queue = open(made.queue_url().unwrap());
    assert!(
        queue
            .probe()
            .await
            .iter()
            .all(|finding| finding.verdict == Verdict::Passed)
    );
    let record = format!(r#"{{"note":"{}"}}"#, "x".repeat(1_100_000));
    let large = samples::record_of(1, DataType::Daily, "2026-11-20", &record, 1);
    let outcomes = queue
        .deliver(&[large, samples::daily(2, "2026-11-20", 1, 1)])
        .await
        .unwrap();
    assert!(matches!(outcomes[0], Outcome::Rejected(_)));
    assert_eq!(outcomes[1], Outcome::APPLIED);
}

#[tokio::test]
#[ignore = "needs a server"]
async fn kafka_keeps_the_order_of_a_connection_and_the_newest_state_of_each_key() {
    let broker = format!("127.0.0.1:{}", server("TERRARIUM_TEST_KAFKA"));
    let config = json!({"brokers": [broker], "topic": "changes", "tls": false});
    let kafka = destination(KindName::Kafka, &config, &json!({}));
    let findings = kafka.probe().await;
    assert!(
        findings
            .iter()
            .all(|finding| finding.verdict == Verdict::Passed),
        "{findings:?}"
    );
    let mut changes = Vec::new();
    for revision in 1..=20 {
        for person in 1..=5 {
            changes.push(samples::daily(person, "2026-11-20", 1, revision));
        }
    }
    changes.push(samples::deleted_of(2, DataType::Daily, "2026-11-20", 21));
    let outcomes = kafka.deliver(&changes).await.unwrap();
    assert!(
        outcomes.iter().all(|outcome| *outcome == Outcome::APPLIED),
        "{outcomes:?}"
    );
    let person = Erasure {
        id: "e".to_owned(),
        reference_id: None,
        owners: vec![samples::owner(3)],
        terra_user_ids: Vec::new(),
        records: Vec::new(),
    };
    assert_eq!(kafka.erase(&person).await, Ok(Erased::Announced));

    let client = ClientBuilder::new(vec![broker]).build().await.unwrap();
    let topics = client.list_topics().await.unwrap();
    let topic = topics.iter().find(|topic| topic.name == "changes").unwrap();
    let mut by_key: BTreeMap<String, Vec<(u64, bool)>> = BTreeMap::new();
    for partition in &topic.partitions {
        let partition = client
            .partition_client("changes", *partition, UnknownTopicHandling::Error)
            .await
            .unwrap();
        let mut offset = 0;
        loop {
            let (records, end) = partition
                .fetch_records(offset, 1..4_000_000, 100)
                .await
                .unwrap();
            for record in records {
                offset = record.offset + 1;
                let header = |name: &str| record.record.headers.get(name).cloned();
                let Some(revision) = header("terrarium-revision") else {
                    continue;
                };
                let revision = String::from_utf8(revision).unwrap().parse().unwrap();
                let key = String::from_utf8(record.record.key.clone().unwrap()).unwrap();
                by_key
                    .entry(key)
                    .or_default()
                    .push((revision, record.record.value.is_some()));
            }
            if offset >= end {
                break;
            }
        }
    }
    assert_eq!(by_key.len(), 5);
    let deleted = changes.last().unwrap().record_id.to_string();
    for (key, mut states) in by_key {
        if key == deleted {
            assert_eq!(states.pop(), Some((21, false)));
        }
        assert_eq!(
            states,
            (1..=20)
                .map(|revision| (revision, true))
                .collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn characters_that_no_text_holds_pass_through_a_log() {
    let record = "{\"note\":\"N\\u0000UL \\ud83d\",\"odd\":\"\u{ffff}\"}";
    let change = samples::record(DataType::Daily, "2026-11-20", record, 1);

    let (endpoint, client) = sqs();
    let made = client.create_queue().queue_name("odd").send().await;
    let made = made.unwrap();
    let url = made.queue_url().unwrap();
    let config = json!({"queue_url": url, "endpoint": endpoint, "region": "us-east-1"});
    let keys = json!({"access_key_id": "test", "secret_access_key": "test"});
    let queue = destination(KindName::Sqs, &config, &keys);
    let outcomes = queue.deliver(std::slice::from_ref(&change)).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED]);
    let received = client.receive_message().queue_url(url).send().await;
    let received = received.unwrap();
    let body = received.messages()[0].body().unwrap();
    // The same text in JSON.
    let escaped = record.replace('\u{ffff}', "\\uffff");
    assert!(body.contains(&escaped), "{body}");

    let broker = format!("127.0.0.1:{}", server("TERRARIUM_TEST_KAFKA"));
    let config = json!({"brokers": [broker], "topic": "odd", "tls": false});
    let kafka = destination(KindName::Kafka, &config, &json!({}));
    let outcomes = kafka.deliver(&[change]).await.unwrap();
    assert_eq!(outcomes, [Outcome::APPLIED]);
    let client = ClientBuilder::new(vec![broker]).build().await.unwrap();
    let topics = client.list_topics().await.unwrap();
    let topic = topics.iter().find(|topic| topic.name == "odd").unwrap();
    let mut values = Vec::new();
    for number in &topic.partitions {
        let partition = client
            .partition_client("odd", *number, UnknownTopicHandling::Error)
            .await
            .unwrap();
        let (records, _) = partition.fetch_records(0, 1..4_000_000, 100).await.unwrap();
        values.extend(records.into_iter().filter_map(|record| record.record.value));
    }
    let value = String::from_utf8(values.remove(0)).unwrap();
    assert!(value.contains(record), "{value}");
}
