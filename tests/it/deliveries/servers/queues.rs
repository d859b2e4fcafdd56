//! SQS at ministack, and librdkafka's mock cluster: what passes is read to its end.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use destinations::{config::KindName, id::RecordId};
use rskafka::client::{
    Client, ClientBuilder,
    partition::{OffsetAt, PartitionClient, UnknownTopicHandling},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    super::{
        far_end::{FarEnd, Held, Log},
        proxy::Proxy,
    },
    places::sqs,
    server,
};

const TOPIC: &str = "story";

/// A queue with its reader.
pub(super) struct Sqs {
    client: aws_sdk_sqs::Client,
    queue_url: String,
    log: Mutex<Log>,
    line: Proxy,
}

impl Sqs {
    pub(super) async fn start(is_fifo: bool) -> Self {
        let (_, client) = sqs();
        let name = if is_fifo { "story.fifo" } else { "story" };
        let mut queue = client.create_queue().queue_name(name);
        if is_fifo {
            queue = queue.attributes("FifoQueue".into(), "true");
        }
        let queue_url = queue.send().await.unwrap().queue_url.unwrap();
        Self {
            client,
            queue_url,
            log: Mutex::default(),
            line: Proxy::to(super::port("TERRARIUM_TEST_AWS")).await,
        }
    }
}

#[async_trait]
impl FarEnd for Sqs {
    fn kind(&self) -> KindName {
        KindName::Sqs
    }

    fn settings(&self) -> Value {
        json!({
            "queue_url": self.queue_url, "region": "us-east-1", "access_key_id": "test",
            "secret_access_key": "test", "endpoint": format!("http://127.0.0.1:{}", self.line.port),
        })
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        let mut log = self.log.lock().await;
        loop {
            let receive = self.client.receive_message().queue_url(&self.queue_url);
            let received = receive.max_number_of_messages(10).send().await.unwrap();
            if received.messages().is_empty() {
                return log.held();
            }
            for message in received.messages() {
                log.take(serde_json::from_str(message.body().unwrap()).unwrap());
                let delete = self.client.delete_message().queue_url(&self.queue_url);
                let handle = message.receipt_handle().unwrap();
                delete.receipt_handle(handle).send().await.unwrap();
            }
        }
    }
}

/// A topic with its reader.
pub(super) struct Kafka {
    client: Client,
    read: Mutex<Read>,
    line: Proxy,
}

/// Messages of a topic, as far as they were read.
#[derive(Default)]
struct Read {
    /// Next offset of each partition.
    offsets: BTreeMap<i32, i64>,
    log: Log,
    /// Keys whose newest message is a tombstone.
    tombstones: BTreeSet<String>,
}

impl Kafka {
    pub(super) async fn start() -> Self {
        let broker = format!("127.0.0.1:{}", server("TERRARIUM_TEST_KAFKA"));
        let client = ClientBuilder::new(vec![broker]).build().await.unwrap();
        let mut read = Read::default();
        for number in partitions(&client).await {
            let partition = partition(&client, number).await;
            let newest = partition.get_offset(OffsetAt::Latest).await.unwrap();
            read.offsets.insert(number, newest);
        }
        Self {
            client,
            read: Mutex::new(read),
            line: Proxy::to(super::port("TERRARIUM_TEST_KAFKA")).await,
        }
    }
}

async fn partitions(client: &Client) -> Vec<i32> {
    let topics = client.list_topics().await.unwrap();
    let topic = topics.into_iter().find(|topic| topic.name == TOPIC);
    topic.unwrap().partitions.into_iter().collect()
}

async fn partition(client: &Client, number: i32) -> PartitionClient {
    let opened = client.partition_client(TOPIC, number, UnknownTopicHandling::Error);
    opened.await.unwrap()
}

#[async_trait]
impl FarEnd for Kafka {
    fn kind(&self) -> KindName {
        KindName::Kafka
    }

    fn settings(&self) -> Value {
        let broker = format!("127.0.0.1:{}", self.line.port);
        json!({"brokers": [broker], "topic": TOPIC, "tls": false})
    }

    fn line(&self) -> Option<&Proxy> {
        Some(&self.line)
    }

    /// The mock keeps 5 MB of each partition.
    async fn read_on(&self) {
        let mut read = self.read.lock().await;
        let Read {
            offsets,
            log,
            tombstones,
        } = &mut *read;
        for (number, offset) in offsets {
            let partition = partition(&self.client, *number).await;
            loop {
                let fetched = partition.fetch_records(*offset, 1..4_000_000, 100).await;
                let (records, end) = fetched.unwrap();
                for record in records {
                    *offset = record.offset + 1;
                    let record = record.record;
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let key = text(&record.key.unwrap());
                    if let Some(value) = record.value {
                        log.take(serde_json::from_slice(&value).unwrap());
                        tombstones.remove(&key);
                        continue;
                    }
                    tombstones.insert(key.clone());
                    // That of an erasure is the last word about a record, and has none.
                    let revision = record.headers.get("terrarium-revision");
                    let revision = revision.map_or(u64::MAX, |it| text(it).parse().unwrap());
                    log.take_state(key, revision, None);
                }
                if *offset >= end {
                    break;
                }
            }
        }
    }

    async fn held(&self) -> BTreeMap<RecordId, Held> {
        self.read_on().await;
        self.read.lock().await.log.held()
    }

    async fn assert_forgotten(&self, records: &BTreeSet<RecordId>) {
        self.read_on().await;
        let tombstones = &self.read.lock().await.tombstones;
        let keys: BTreeSet<_> = records.iter().map(|id| id.as_str().to_owned()).collect();
        assert!(!keys.is_empty());
        let kept: Vec<_> = keys.difference(tombstones).collect();
        assert!(kept.is_empty(), "no tombstone: {kept:?}");
    }
}
