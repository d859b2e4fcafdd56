//! Producing records, partition by partition.

use std::collections::BTreeMap;

use super::{
    Kafka, MAX_REQUEST_BYTES, MAX_VALUE_BYTES, Topic, faults,
    producer::{Message, NO_TOPIC},
};
use crate::{
    change::{Body, Change},
    envelope::{self, JSON},
    id::RecordId,
    kind::{Erased, Erasure, Fault, Outcome, Unreachable},
};

/// Name of what holds the rows of connections.
const CONNECTIONS: &str = "connections";

/// The hash by which Kafka's own clients choose a partition.
pub(super) fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let chunks = bytes.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        let four = <[u8; 4]>::try_from(chunk).unwrap_or_default();
        let mut k = u32::from_le_bytes(four).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

fn partition(key: &str, count: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % count.max(1)
}

impl Kafka {
    pub(super) fn topic_of(&self, collection: Option<&str>) -> String {
        match &self.topic {
            Topic::One(topic) => topic.clone(),
            Topic::PerType(prefix) => format!("{prefix}{}", collection.unwrap_or("events")),
        }
    }

    /// Number of partitions of a topic, which is made where it is missing and settings say how.
    pub(super) async fn partitions(&self, topic: &str) -> Result<u32, Fault> {
        let is_missing = |fault: &Fault| fault.code() == Some(NO_TOPIC);
        match (self.producer.partitions(topic).await, self.create) {
            (Err(fault), Some(shape)) if is_missing(&fault) => {
                self.producer.create(topic, shape).await?;
                let found = self.producer.partitions(topic).await;
                // The brokers tell each other of it within moments.
                found.map_err(|fault| {
                    if is_missing(&fault) {
                        Fault::unreachable(Unreachable::Server).with_code(NO_TOPIC)
                    } else {
                        fault
                    }
                })
            }
            (found, _) => found,
        }
    }

    /// The record of a change; with a link in place of the body if that `is_refused` as too large.
    async fn message(&self, change: &Change, is_refused: bool) -> Result<Message, Fault> {
        let mut headers = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            headers.insert(name.to_owned(), value.as_bytes().to_vec());
        };
        set("webhook-id", change.delivery_id.as_str());
        set("terrarium-event", change.event());
        set("terrarium-cause", change.cause.as_str());
        set(
            "terrarium-ordering-timestamp",
            &change.ordering_ts_ms().to_string(),
        );
        if let Some(collection) = change.collection() {
            set("terrarium-data-type", collection);
            set("terrarium-record-id", change.record_id.as_str());
            set("terrarium-revision", &change.revision.to_string());
        }
        let value = if change.is_deletion() {
            None
        } else {
            let mut payload = envelope::payload(change, self.format)?;
            let is_large = is_refused || payload.bytes.len() > MAX_VALUE_BYTES;
            if is_large && let Some(pointers) = &self.pointers {
                let pointer = pointers
                    .keep(&self.destination_id, change, &payload)
                    .await?;
                payload = envelope::pointer(change, &pointer);
            }
            set("content-type", payload.content_type);
            Some(payload.bytes.to_vec())
        };
        let key = match &change.body {
            Body::Webhook(_) | Body::Test | Body::Totals(_) => change.delivery_id.as_str(),
            _ => change.record_id.as_str(),
        };
        let message = Message {
            key: key.to_owned(),
            value,
            headers,
            timestamp_ms: change.ordering_ts_ms(),
        };
        if message.size() > MAX_REQUEST_BYTES {
            return Err(Fault::Rejected {
                reason: format!(
                    "the record has {} bytes, a request takes {MAX_REQUEST_BYTES}",
                    message.size()
                ),
                code: None,
            });
        }
        Ok(message)
    }

    pub(super) async fn produce(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes: Vec<_> =
            vec![Outcome::Retry(Fault::Conflict { code: None }); changes.len()];
        let mut set = |index: usize, outcome: Outcome| {
            if let Some(place) = outcomes.get_mut(index) {
                *place = outcome;
            }
        };
        let mut by_partition: BTreeMap<(String, u32), Vec<(usize, Message)>> = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            let message = match self.message(change, false).await {
                Ok(message) => message,
                Err(fault) => {
                    set(index, fault.into_outcome());
                    continue;
                }
            };
            let topic = self.topic_of(change.collection());
            let count = self.partitions(&topic).await?;
            let key = if self.by_record {
                &message.key
            } else {
                change.source.owner.as_str()
            };
            let place = (topic, partition(key, count));
            by_partition
                .entry(place)
                .or_default()
                .push((index, message));
        }
        let mut arrived = false;
        for ((topic, partition), messages) in by_partition {
            for batch in batches(messages) {
                let indices: Vec<_> = batch.iter().map(|(index, _)| *index).collect();
                let messages: Vec<_> = batch.into_iter().map(|(_, message)| message).collect();
                let single = messages.len() == 1;
                let outcome = match self.producer.send(&topic, partition, messages).await {
                    Ok(()) => {
                        arrived = true;
                        Outcome::APPLIED
                    }
                    Err(fault @ Fault::Rejected { .. }) if single => {
                        let change = indices.first().and_then(|index| changes.get(*index));
                        match change {
                            Some(change) if faults::is_too_large(&fault) => {
                                self.produce_smaller(change, (&topic, partition), fault)
                                    .await
                            }
                            _ => fault.into_outcome(),
                        }
                    }
                    Err(fault) if !arrived => return Err(fault),
                    // The rest of a partition waits: a retry must not be overtaken.
                    Err(fault) => {
                        for index in indices {
                            set(index, Outcome::Retry(fault.clone()));
                        }
                        break;
                    }
                };
                for index in indices {
                    set(index, outcome.clone());
                }
            }
        }
        Ok(outcomes)
    }

    /// Produces a link in place of a body that is too large for the topic.
    async fn produce_smaller(
        &self,
        change: &Change,
        (topic, partition): (&str, u32),
        refused: Fault,
    ) -> Outcome {
        if self.pointers.is_none() || change.is_deletion() {
            return refused.into_outcome();
        }
        let sent = match self.message(change, true).await {
            Ok(message) => self.producer.send(topic, partition, vec![message]).await,
            Err(fault) => Err(fault),
        };
        match sent {
            Ok(()) => Outcome::APPLIED,
            Err(fault) => fault.into_outcome(),
        }
    }

    /// Produces a record without a value for each record of the person and for the rows of their connections, so
    /// that a compacted topic keeps nothing of them; then tells the readers.
    pub(super) async fn announce_erasure(&self, person: &Erasure) -> Result<Erased, Fault> {
        self.bury(person).await?;
        let topic = self.topic_of(None);
        let count = self.partitions(&topic).await?;
        let now = self.clock.now();
        for (owner, part) in person.parts() {
            let id = part.delivery_id(&self.destination_id);
            let payload = envelope::person_erased(&part, id.as_str(), now);
            let headers = [
                ("webhook-id", id.as_str()),
                ("terrarium-event", "person.erased"),
                ("content-type", JSON),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
            let message = Message {
                key: id.as_str().to_owned(),
                value: Some(payload.bytes.to_vec()),
                headers: headers.into(),
                timestamp_ms: now.as_millisecond(),
            };
            self.producer
                .send(&topic, partition(owner.as_str(), count), vec![message])
                .await?;
        }
        Ok(Erased::Announced)
    }
}

impl Kafka {
    async fn bury(&self, person: &Erasure) -> Result<(), Fault> {
        let timestamp_ms = self.clock.now().as_millisecond();
        let records = person.records.iter().map(|record| {
            let collection = record.data_type.as_str();
            (&record.owner, collection, record.record_id.clone())
        });
        let rows = person.owners.iter().filter(|owner| !owner.is_person());
        let rows = rows.map(|owner| (owner, CONNECTIONS, RecordId::of_connection(owner)));
        let mut by_partition: BTreeMap<(String, u32), Vec<(usize, Message)>> = BTreeMap::new();
        for (owner, collection, record_id) in records.chain(rows) {
            let event = if collection == CONNECTIONS {
                "connection.deleted"
            } else {
                "record.deleted"
            };
            let headers = [
                ("terrarium-event", event),
                ("terrarium-data-type", collection),
                ("terrarium-record-id", record_id.as_str()),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
            let message = Message {
                key: record_id.as_str().to_owned(),
                value: None,
                headers: headers.into(),
                timestamp_ms,
            };
            let topic = self.topic_of(Some(collection));
            let count = self.partitions(&topic).await?;
            let key = if self.by_record {
                record_id.as_str()
            } else {
                owner.as_str()
            };
            let place = (topic, partition(key, count));
            let tombstones = by_partition.entry(place).or_default();
            tombstones.push((tombstones.len(), message));
        }
        for ((topic, partition), tombstones) in by_partition {
            for batch in batches(tombstones) {
                let messages = batch.into_iter().map(|(_, message)| message).collect();
                self.producer.send(&topic, partition, messages).await?;
            }
        }
        Ok(())
    }
}

/// Splits messages into requests that a broker takes.
fn batches(messages: Vec<(usize, Message)>) -> Vec<Vec<(usize, Message)>> {
    let mut batches: Vec<Vec<_>> = Vec::new();
    let mut size = usize::MAX;
    for (index, message) in messages {
        size = size.saturating_add(message.size());
        match batches.last_mut() {
            Some(batch) if size <= MAX_REQUEST_BYTES => batch.push((index, message)),
            _ => {
                size = message.size();
                batches.push(vec![(index, message)]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;

    use super::*;
    use crate::{
        config::{Clock, Format},
        kafka::{NewTopic, producer::Producer},
        kept::Kept,
        kind::ErasedRecord,
        samples,
    };

    #[test]
    fn the_hash_is_the_one_of_kafkas_clients() {
        // The vectors of Apache Kafka's UtilsTest.testMurmur2.
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    /// A topic of one partition that takes values up to a size.
    #[derive(Debug, Default, Clone)]
    struct Narrow(Arc<Mutex<Vec<Message>>>, Arc<Mutex<Option<NewTopic>>>);

    #[async_trait]
    impl Producer for Narrow {
        async fn partitions(&self, topic: &str) -> Result<u32, Fault> {
            match (topic, *self.1.lock().unwrap()) {
                ("t", _) => Ok(1),
                (_, Some(made)) => Ok(made.partitions.unsigned_abs()),
                _ => Err(Fault::missing("no topic", topic).with_code(NO_TOPIC)),
            }
        }

        async fn create(&self, _: &str, shape: NewTopic) -> Result<(), Fault> {
            *self.1.lock().unwrap() = Some(shape);
            Ok(())
        }

        async fn send(&self, _: &str, _: u32, records: Vec<Message>) -> Result<(), Fault> {
            let size = |record: &Message| record.value.as_ref().map_or(0, Vec::len);
            if records.iter().map(size).sum::<usize>() > 3000 {
                return Err(faults::too_large());
            }
            self.0.lock().unwrap().extend(records);
            Ok(())
        }
    }

    fn kafka(topic: &Narrow, kept: Option<&Kept>) -> Kafka {
        Kafka {
            destination_id: samples::DESTINATION.to_owned(),
            producer: Box::new(topic.clone()),
            topic: Topic::One("t".to_owned()),
            by_record: false,
            format: Format::Record,
            clock: Clock::new(samples::now),
            pointers: kept.map(|kept| Arc::new(kept.clone()) as _),
            create: None,
        }
    }

    #[tokio::test]
    async fn a_topic_that_is_missing_is_made_where_settings_say_how() {
        let topic = Narrow::default();
        let mut kafka = kafka(&topic, None);
        kafka.topic = Topic::PerType("new.".to_owned());
        let day = [samples::daily(1, "2026-11-20", 1, 1)];
        let missing = kafka.produce(&day).await.unwrap_err();
        assert_eq!(missing.name(), "misconfigured");
        kafka.create = Some(NewTopic {
            partitions: 3,
            replication_factor: 2,
        });
        assert_eq!(kafka.produce(&day).await, Ok(vec![Outcome::APPLIED]));
        assert_eq!(*topic.1.lock().unwrap(), kafka.create);
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_for_the_topic_is_a_link() {
        let (topic, kept) = (Narrow::default(), Kept::default());
        let kafka = kafka(&topic, Some(&kept));
        let huge = samples::large(3, MAX_REQUEST_BYTES, 1);
        for change in [samples::large(1, 5000, 1), huge, samples::large(2, 100, 2)] {
            assert_eq!(kafka.produce(&[change]).await, Ok(vec![Outcome::APPLIED]));
        }
        let produced = topic.0.lock().unwrap().clone();
        let values: Vec<_> = produced
            .iter()
            .filter_map(|it| it.value.as_deref())
            .collect();
        for (value, size) in [(values[0], 5000), (values[1], MAX_REQUEST_BYTES)] {
            let whole: serde_json::Value =
                serde_json::from_slice(&kept.follow(value).bytes).unwrap();
            assert_eq!(whole["record"]["note"].as_str().unwrap().len(), size);
        }
        let whole: serde_json::Value = serde_json::from_slice(values[2]).unwrap();
        assert_eq!(whole["event"], "record.updated");
        assert!(
            produced
                .iter()
                .all(|it| it.headers.contains_key("terrarium-revision"))
        );
    }

    #[tokio::test]
    async fn an_erased_person_leaves_a_tombstone_for_each_record() {
        let topic = Narrow::default();
        let kafka = kafka(&topic, None);
        let days = [1, 2].map(|day| samples::daily(1, &format!("2026-11-2{day}"), 1, 1));
        kafka.produce(&days).await.unwrap();
        let row = samples::connection(1, 1);
        kafka.produce(std::slice::from_ref(&row)).await.unwrap();
        let owner = samples::owner(1);
        let records = days.iter().map(|day| ErasedRecord {
            owner: owner.clone(),
            data_type: models::data::DataType::Daily,
            record_id: day.record_id.clone(),
        });
        let person = Erasure {
            id: "e".to_owned(),
            reference_id: None,
            owners: vec![owner.clone()],
            terra_user_ids: Vec::new(),
            records: records.collect(),
        };
        let erased = kafka.announce_erasure(&person).await;
        assert_eq!(erased, Ok(Erased::Announced));
        // As compaction leaves the topic.
        let produced = topic.0.lock().unwrap().clone();
        let newest: BTreeMap<_, _> = produced.iter().map(|it| (&it.key, it)).collect();
        for id in days
            .iter()
            .map(|day| &day.record_id)
            .chain([&row.record_id])
        {
            assert_eq!(newest[&id.to_string()].value, None, "{id}");
        }
        let last = produced.last().unwrap();
        assert_eq!(last.headers["terrarium-event"], b"person.erased");
        assert!(last.value.is_some());
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_is_refused_where_no_link_can_be_made() {
        let kafka = kafka(&Narrow::default(), None);
        let outcomes = kafka.produce(&[samples::large(1, 5000, 1)]).await.unwrap();
        assert!(matches!(outcomes[..], [Outcome::Rejected(_)]));
        // Together with others the whole request is refused, and the caller halves it.
        let both = [samples::large(1, 5000, 1), samples::large(2, 10, 2)];
        let refused = kafka.produce(&both).await.unwrap_err();
        assert!(matches!(refused, Fault::Rejected { .. }));
    }
}
