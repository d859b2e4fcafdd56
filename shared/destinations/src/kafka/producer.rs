//! The client, behind two functions: `rskafka` rests, and another may take its place.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rskafka::{
    BackoffConfig,
    client::{
        Client, ClientBuilder, SaslConfig,
        error::{Error, ProtocolError},
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use tokio::sync::Mutex;

use super::{NewTopic, faults};
use crate::{
    kind::{Fault, within},
    net::Guard,
};

/// Code of a topic that is not there.
pub(super) const NO_TOPIC: &str = "UnknownTopicOrPartition";
/// Longest time until the client gives a request up by itself.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest time of a call: the client can wait for ever.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A record to produce.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) key: String,
    /// None deletes the key from a compacted topic.
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: BTreeMap<String, Vec<u8>>,
    /// Unit: Unix milliseconds.
    pub(super) timestamp_ms: i64,
}

impl Message {
    pub(super) fn size(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + headers.sum::<usize>() + 32
    }
}

/// Produces records.
#[async_trait]
pub(super) trait Producer: Send + Sync + fmt::Debug {
    /// Number of partitions of a topic.
    async fn partitions(&self, topic: &str) -> Result<u32, Fault>;

    /// Makes a topic. One that is there already is left as it is.
    async fn create(&self, topic: &str, shape: NewTopic) -> Result<(), Fault>;

    /// Produces records into one partition, in order: all or none of them.
    async fn send(&self, topic: &str, partition: u32, records: Vec<Message>) -> Result<(), Fault>;
}

/// The client of `rskafka`.
#[derive(Debug)]
pub(super) struct Rskafka {
    pub(super) brokers: Vec<(String, u16)>,
    pub(super) guard: Guard,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) sasl: Option<SaslConfig>,
    pub(super) gzip: bool,
    /// One client, kept until it fails.
    pub(super) session: Mutex<Option<Session>>,
}

/// A client with what it knows.
#[derive(Default)]
pub(super) struct Session {
    client: Option<Arc<Client>>,
    counts: HashMap<String, u32>,
    partitions: HashMap<(String, u32), Arc<PartitionClient>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Rskafka {
    async fn client(&self, session: &mut Session) -> Result<Arc<Client>, Fault> {
        if let Some(client) = &session.client {
            return Ok(Arc::clone(client));
        }
        let mut seeds = Vec::new();
        let mut refused = None;
        for (host, port) in &self.brokers {
            match self.guard.addresses(host).await {
                // The name, not the address: TLS verifies it. Brokers name each other anyway, so
                // what they name is kept away by the network, not by this check.
                Ok(_) => seeds.push(format!("{host}:{port}")),
                Err(fault) => refused = Some(fault),
            }
        }
        if let (true, Some(fault)) = (seeds.is_empty(), refused) {
            return Err(fault);
        }
        let mut builder = ClientBuilder::new(seeds)
            .client_id("terrarium")
            .backoff_config(BackoffConfig {
                deadline: Some(DEADLINE),
                max_backoff: Duration::from_secs(2),
                ..BackoffConfig::default()
            });
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(Arc::clone(tls));
        }
        if let Some(sasl) = &self.sasl {
            builder = builder.sasl_config(sasl.clone());
        }
        let client = Arc::new(
            builder
                .build()
                .await
                .map_err(|error| faults::fault(&error))?,
        );
        session.client = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn count(&self, session: &mut Session, topic: &str) -> Result<u32, Fault> {
        if let Some(count) = session.counts.get(topic) {
            return Ok(*count);
        }
        let topics = self.client(session).await?.list_topics().await;
        let topics = topics.map_err(|error| faults::fault(&error))?;
        for topic in topics {
            let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
            session.counts.insert(topic.name, count);
        }
        let count = session
            .counts
            .get(topic)
            .copied()
            .filter(|count| *count > 0);
        count.ok_or_else(|| {
            Fault::missing(
                "the topic is not there, or hidden from us",
                format!("topic {topic}"),
            )
            .with_code(NO_TOPIC)
        })
    }

    async fn make(&self, session: &mut Session, topic: &str, shape: NewTopic) -> Result<(), Fault> {
        let client = self.client(session).await?;
        let controller = client.controller_client();
        let controller = controller.map_err(|error| faults::fault(&error))?;
        let (partitions, replicas) = (shape.partitions, shape.replication_factor);
        let wait_ms = i32::try_from(DEADLINE.as_millis()).unwrap_or(i32::MAX);
        let made = controller
            .create_topic(topic, partitions, replicas, wait_ms)
            .await;
        match made {
            Err(Error::ServerError {
                protocol_error: ProtocolError::TopicAlreadyExists,
                ..
            }) => Ok(()),
            made => made.map_err(|error| faults::of_creation(&error, topic)),
        }
    }

    async fn produce(
        &self,
        session: &mut Session,
        topic: &str,
        partition: u32,
        records: Vec<Message>,
    ) -> Result<(), Fault> {
        let place = (topic.to_owned(), partition);
        let client = if let Some(client) = session.partitions.get(&place) {
            Arc::clone(client)
        } else {
            let number = i32::try_from(partition).unwrap_or(i32::MAX);
            let client = self.client(session).await?;
            let client = client
                .partition_client(topic, number, UnknownTopicHandling::Error)
                .await;
            let client = Arc::new(client.map_err(|error| faults::fault(&error))?);
            session.partitions.insert(place, Arc::clone(&client));
            client
        };
        let records = records.into_iter().map(|message| Record {
            key: Some(message.key.into_bytes()),
            value: message.value,
            headers: message.headers,
            timestamp: rskafka::chrono::DateTime::from_timestamp_millis(message.timestamp_ms)
                .unwrap_or_default(),
        });
        let compression = if self.gzip {
            Compression::Gzip
        } else {
            Compression::NoCompression
        };
        let produced = client.produce(records.collect(), compression).await;
        produced.map(drop).map_err(|error| faults::fault(&error))
    }
}

#[async_trait]
impl Producer for Rskafka {
    async fn partitions(&self, topic: &str) -> Result<u32, Fault> {
        let mut kept = self.session.lock().await;
        // Taken out: a client that failed, or that did not end in time, is thrown away.
        let mut session = kept.take().unwrap_or_default();
        let count = within(TIMEOUT, self.count(&mut session, topic)).await?;
        *kept = Some(session);
        Ok(count)
    }

    async fn create(&self, topic: &str, shape: NewTopic) -> Result<(), Fault> {
        let mut kept = self.session.lock().await;
        let mut session = kept.take().unwrap_or_default();
        within(TIMEOUT, self.make(&mut session, topic, shape)).await?;
        *kept = Some(session);
        Ok(())
    }

    async fn send(&self, topic: &str, partition: u32, records: Vec<Message>) -> Result<(), Fault> {
        let mut kept = self.session.lock().await;
        let mut session = kept.take().unwrap_or_default();
        let sent = self.produce(&mut session, topic, partition, records);
        within(TIMEOUT, sent).await?;
        *kept = Some(session);
        Ok(())
    }
}
