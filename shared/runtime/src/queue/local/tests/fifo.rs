//! FIFO queues.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::sqs::SqsMessage;
use rusqlite::StatementStatus;

use super::*;
use crate::{
    batch::{self, Outcome, Received},
    queue::local::{fifo, sqs_event, succeeded},
};

const QUEUE: &str = "deliveries.fifo";
const DEAD: &str = "dead-letters.fifo";
const FIVE_MINUTES: Duration = Duration::from_mins(5);
/// Queries whose cost could grow with the length of a group.
const QUERIES: [&str; 4] = [
    fifo::FREE_GROUP,
    fifo::GROUP_MESSAGES,
    fifo::GROUP_VISIBLE_AT,
    fifo::GROUP_EXISTS,
];

/// `deliveries.fifo`, which gives messages up after two receives.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    set_up(&bench.queues).await;
    bench
}

fn settings() -> QueueSettings {
    QueueSettings {
        visibility_timeout: VISIBILITY,
        max_receives: Some(2),
        dead_letter: Some(DEAD.to_owned()),
        fifo: true,
    }
}

async fn set_up(queues: &LocalQueues) {
    queues.queue(QUEUE, settings()).await.unwrap();
}

fn ids(group_id: &str, deduplication_id: &str) -> FifoIds {
    FifoIds {
        group_id: group_id.to_owned(),
        deduplication_id: deduplication_id.to_owned(),
    }
}

/// Sends messages like `a1`: the letter is the group, all of it the body and the deduplication id.
async fn send(queues: &LocalQueues, queue: &str, messages: &[&str]) {
    let messages: Vec<String> = messages.iter().map(|text| (*text).to_owned()).collect();
    let with_ids = messages.iter().map(|text| {
        let group = text.chars().take(1).collect::<String>();
        (text, ids(&group, text))
    });
    let queue = Queue::<String>::new(queues.transport(queue));
    queue.send_fifo(with_ids).await.unwrap();
}

/// The messages as they were sent.
fn texts(messages: &[LocalMessage]) -> Vec<String> {
    let texts = messages
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap());
    texts.collect()
}

impl Bench {
    async fn receive_texts(&self, max: usize) -> Vec<String> {
        let messages = self.queues.receive(QUEUE, max, Duration::ZERO).await;
        texts(&messages.unwrap())
    }

    async fn delete(&self, messages: &[LocalMessage]) -> u64 {
        let receipts = receipts(messages);
        self.queues.delete(QUEUE, &receipts).await.unwrap()
    }

    async fn unhide(&self, messages: &[LocalMessage]) -> u64 {
        let receipts = receipts(messages);
        let unhidden = self
            .queues
            .change_visibility(QUEUE, &receipts, Duration::ZERO);
        unhidden.await.unwrap()
    }
}

#[tokio::test]
async fn a_group_keeps_its_order_and_is_closed_while_one_message_is_in_flight() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "a2", "b1", "a3"]).await;
    let first = bench
        .queues
        .receive(QUEUE, 2, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(texts(&first), ["a1", "a2"]);
    assert_eq!(bench.receive_texts(10).await, ["b1"]);

    send(&bench.queues, QUEUE, &["a4"]).await;
    assert!(bench.receive_texts(10).await.is_empty());
    assert_eq!(bench.delete(&first[..1]).await, 1);
    assert!(bench.receive_texts(10).await.is_empty());
    assert_eq!(bench.delete(&first[1..]).await, 1);
    assert_eq!(bench.receive_texts(10).await, ["a3", "a4"]);
}

#[tokio::test]
async fn one_receive_takes_from_several_groups_and_no_more_than_ten() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "b1", "a2", "c1", "b2"]).await;
    assert_eq!(
        bench.receive_texts(10).await,
        ["a1", "a2", "b1", "b2", "c1"]
    );
    let many: Vec<String> = (10..30).map(|number| format!("d{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    send(&bench.queues, QUEUE, &many).await;
    assert_eq!(bench.receive_texts(20).await, many[..10]);
}

#[tokio::test]
async fn groups_take_turns() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "a2", "a3", "b1"]).await;
    for expected in ["a1", "b1", "a2", "a3"] {
        let received = bench
            .queues
            .receive(QUEUE, 1, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(texts(&received), [expected]);
        bench.delete(&received).await;
    }
}

#[tokio::test]
async fn a_group_is_free_when_the_last_of_its_messages_in_flight_is_given_back() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "a2", "a3"]).await;
    let received = bench
        .queues
        .receive(QUEUE, 2, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(bench.unhide(&received[1..]).await, 1);
    assert!(bench.receive_texts(10).await.is_empty());
    assert_eq!(bench.unhide(&received[..1]).await, 1);
    let again = bench.receive(QUEUE).await;
    assert_eq!(texts(&again), ["a1", "a2", "a3"]);
    let counts: Vec<u32> = again.iter().map(|message| message.receive_count).collect();
    assert_eq!(counts, [2, 2, 1]);
}

#[tokio::test]
async fn a_receipt_expires_with_the_visibility_timeout() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1"]).await;
    let received = bench.receive(QUEUE).await;
    bench.advance(VISIBILITY);
    assert_eq!(bench.delete(&received).await, 0);
    assert_eq!(bench.unhide(&received).await, 0);
    assert_eq!(bench.receive_texts(1).await, ["a1"]);
}

#[tokio::test]
async fn a_duplicate_within_five_minutes_adds_nothing_after_deletion_and_kill_too() {
    let mut bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "a1"]).await;
    send(&bench.queues, QUEUE, &["a1"]).await;
    let received = bench.receive(QUEUE).await;
    assert_eq!(
        (texts(&received), bench.delete(&received).await),
        (vec!["a1".to_owned()], 1)
    );

    let directory = after_kill(&bench.directory);
    bench.queues = open(directory.path(), &bench.clock).await;
    set_up(&bench.queues).await;
    let last_moment = Duration::from_millis(1);
    bench.advance(FIVE_MINUTES.saturating_sub(last_moment));
    // Does not begin the five minutes anew.
    send(&bench.queues, QUEUE, &["a1"]).await;
    assert_eq!(bench.stats(QUEUE).await, (0, 0, 0));
    bench.advance(last_moment);
    send(&bench.queues, QUEUE, &["a1"]).await;
    assert_eq!(bench.receive_texts(10).await, ["a1"]);

    // Every queue has ids of its own.
    send(&bench.queues, DEAD, &["a1"]).await;
    assert_eq!(bench.stats(DEAD).await, (1, 0, 0));
}

#[tokio::test]
async fn a_group_goes_on_when_its_poison_is_in_the_dead_letter_queue() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "a2"]).await;
    for _ in 0..2 {
        assert_eq!(bench.receive_texts(1).await, ["a1"]);
        bench.advance(VISIBILITY);
    }
    assert_eq!(bench.receive_texts(1).await, ["a2"]);
    let dead = bench.queues.peek(DEAD, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    let age_ms = dead[0].sent_at_ms - 1_700_000_000_000;
    assert_eq!(
        (&dead[0].fifo, dead[0].dead_letter_source.as_deref(), age_ms),
        (&Some(ids("a", "a1")), Some(QUEUE), to_ms(2 * VISIBILITY))
    );
}

#[tokio::test]
async fn a_redrive_puts_groups_back_in_order_behind_newer_messages() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "b1", "a2"]).await;
    for _ in 0..2 {
        assert_eq!(bench.receive_texts(10).await.len(), 3);
        bench.advance(VISIBILITY);
    }
    assert!(bench.receive_texts(10).await.is_empty());
    send(&bench.queues, QUEUE, &["a3"]).await;

    // A group in flight stays whole.
    let dead = bench.queues.receive(DEAD, 1, Duration::ZERO).await.unwrap();
    assert_eq!(texts(&dead), ["a1"]);
    assert_eq!(bench.queues.redrive(DEAD).await.unwrap(), 1);
    assert_eq!(bench.stats(DEAD).await, (1, 1, 0));
    bench
        .queues
        .change_visibility(DEAD, &receipts(&dead), Duration::ZERO)
        .await
        .unwrap();

    // Deduplication would swallow them.
    assert_eq!(bench.queues.redrive(DEAD).await.unwrap(), 2);
    assert_eq!(bench.stats(DEAD).await, (0, 0, 0));
    let received = bench.receive(QUEUE).await;
    assert_eq!(texts(&received), ["a3", "a1", "a2", "b1"]);
    assert_eq!(received[1].fifo, Some(ids("a", "a1")));
}

#[tokio::test]
async fn a_purged_group_can_be_filled_again() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1"]).await;
    bench.receive(QUEUE).await;
    assert_eq!(bench.queues.purge(QUEUE).await.unwrap(), 1);
    send(&bench.queues, QUEUE, &["a2"]).await;
    assert_eq!(bench.receive_texts(10).await, ["a2"]);
}

#[tokio::test]
async fn a_waiting_receiver_is_woken_when_a_group_is_free() {
    let bench = bench().await;
    let hour = Duration::from_hours(1);
    send(&bench.queues, QUEUE, &["a1", "a2"]).await;
    let first = bench
        .queues
        .receive(QUEUE, 1, Duration::ZERO)
        .await
        .unwrap();
    let (received, deleted) =
        tokio::join!(bench.queues.receive(QUEUE, 1, hour), bench.delete(&first));
    assert_eq!(
        (texts(&received.unwrap()), deleted),
        (vec!["a2".to_owned()], 1)
    );

    let (received, ()) = tokio::join!(bench.queues.receive(QUEUE, 1, hour), async {
        bench.queues.names().await.unwrap();
        bench.advance(VISIBILITY);
    });
    assert_eq!(received.unwrap()[0].receive_count, 2);
}

#[tokio::test]
async fn the_other_type_of_sending_is_refused() {
    let bench = bench().await;
    let text = "a1".to_owned();
    let ordinary = Queue::<String>::new(bench.queues.transport(QUEUE));
    let minute = Duration::from_mins(1);
    for error in [
        ordinary.send(&text).await,
        ordinary.send_after(&text, minute).await,
        ordinary.send_batch([&text]).await,
        bench.events().send_fifo([(&text, ids("a", "a1"))]).await,
    ] {
        assert!(matches!(error, Err(QueueError::WrongQueueType { .. })));
    }
    let delayed = Outgoing {
        body: text,
        delay: minute,
        fifo: Some(ids("a", "a1")),
    };
    let error = bench.queues.transport(QUEUE).send(vec![delayed]).await;
    insta::assert_snapshot!(
        error.unwrap_err(),
        @"deliveries.fifo does not take these messages: a FIFO queue delays no message of its own"
    );
    assert_eq!(
        (bench.stats(QUEUE).await, bench.stats("events").await),
        ((0, 0, 0), (0, 0, 0))
    );
}

#[tokio::test]
async fn a_queue_is_of_one_type_with_its_dead_letters_and_its_messages() {
    let bench = bench().await;
    let mismatched = QueueSettings {
        dead_letter: Some("dead".to_owned()),
        ..settings()
    };
    let error = bench.queues.queue("x.fifo", mismatched).await.unwrap_err();
    insta::assert_snapshot!(error, @"the queue x.fifo cannot be set up: of it and its dead-letter queue only one is a FIFO queue");

    let standard = QueueSettings {
        visibility_timeout: VISIBILITY,
        max_receives: None,
        dead_letter: None,
        fifo: false,
    };
    let with_fifo = |fifo| QueueSettings {
        fifo,
        ..standard.clone()
    };
    for (queue, fifo) in [(QUEUE, true), ("events", false)] {
        bench.queues.queue(queue, with_fifo(!fifo)).await.unwrap();
        bench.queues.queue(queue, with_fifo(fifo)).await.unwrap();
    }
    send(&bench.queues, QUEUE, &["a1"]).await;
    bench.send("one").await;
    for (queue, fifo) in [(QUEUE, true), ("events", false)] {
        bench.queues.queue(queue, with_fifo(fifo)).await.unwrap();
        let error = bench.queues.queue(queue, with_fifo(!fifo)).await;
        assert!(matches!(error, Err(QueueError::Misconfigured { .. })));
    }
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

#[tokio::test]
async fn a_batch_goes_through_the_driver_of_groups() {
    let bench = bench().await;
    send(&bench.queues, QUEUE, &["a1", "b1", "a2", "a3"]).await;
    let messages = bench.receive(QUEUE).await;
    let event = sqs_event(QUEUE, &messages);
    let id = |record: &SqsMessage| record.attributes["MessageDeduplicationId"].clone();
    let in_event: Vec<String> = event.records.iter().map(id).collect();
    assert_eq!(in_event, ["a1", "a2", "a3", "b1"]);

    let response = batch::run_fifo(event, batch::json, |group: Vec<Received<String>>| {
        let outcome = |received: Received<String>| Outcome {
            message_id: received.message_id,
            result: if received.message == "a2" {
                Err(Refused)
            } else {
                Ok(())
            },
        };
        std::future::ready(group.into_iter().map(outcome).collect())
    })
    .await;
    let done = succeeded(&messages, &response);
    assert_eq!(bench.queues.delete(QUEUE, &done).await.unwrap(), 2);
    bench.advance(VISIBILITY);
    assert_eq!(bench.receive_texts(10).await, ["a2", "a3"]);
}

/// However long a group is, a receive reads what it takes.
#[tokio::test]
async fn every_query_of_a_receive_is_answered_by_an_index() {
    let bench = bench().await;
    let plans = bench.queues.call("look into", QUEUE, |writer, _, _| {
        let plan = |sql: &str| -> rusqlite::Result<Vec<String>> {
            let mut explain = writer
                .connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let rows = explain.raw_query();
            rows.mapped(|row| row.get("detail")).collect()
        };
        let plans: rusqlite::Result<Vec<_>> = QUERIES.into_iter().map(plan).collect();
        Ok(plans?.concat())
    });
    insta::assert_debug_snapshot!(plans.await.unwrap(), @r#"
    [
        "SEARCH message_group USING INDEX message_group_free (queue=? AND free_at_ms<?)",
        "SEARCH message USING INDEX message_ordered (queue=? AND group_id=? AND sequence>?)",
        "SEARCH message USING INDEX message_received (queue=? AND group_id=?)",
        "SEARCH message USING COVERING INDEX message_ordered (queue=? AND group_id=?)",
    ]
    "#);
}

/// A receive and a delete take as many steps of the database from a long group as from a short one.
#[tokio::test]
async fn a_hundred_thousand_messages_of_one_group_slow_nothing_down() {
    let bench = bench().await;
    let mut steps = Vec::new();
    let mut number = 0;
    for total in [100, 100_000] {
        let messages = (number..total).map(|number| Outgoing {
            body: "1".to_owned(),
            delay: Duration::ZERO,
            fifo: Some(ids("a", &number.to_string())),
        });
        let transport = bench.queues.transport(QUEUE);
        transport.send(messages.collect()).await.unwrap();
        number = total;

        steps_taken(&bench).await;
        let received = bench.receive(QUEUE).await;
        assert_eq!((received.len(), bench.delete(&received).await), (10, 10));
        steps.push(steps_taken(&bench).await);
    }
    assert!(steps[0] > 0 && steps[1] < 2 * steps[0], "{steps:?}");
}

/// Steps of SQLite's machine in the queries of a receive, since the last look.
async fn steps_taken(bench: &Bench) -> i32 {
    let steps = bench.queues.call("count", QUEUE, |writer, _, _| {
        let mut steps = 0;
        for query in QUERIES {
            let statement = writer.connection.prepare_cached(query)?;
            steps += statement.reset_status(StatementStatus::VmStep);
        }
        Ok(steps)
    });
    steps.await.unwrap()
}

/// Model of a FIFO queue and its dead-letter queue. It leaves open which of the free groups comes first.
#[derive(Default)]
struct Model {
    now_ms: i64,
    next: u64,
    groups: BTreeMap<(bool, u8), Vec<ModelMessage>>,
    first_sent_at_ms: BTreeMap<u8, i64>,
}

#[derive(Clone, Debug)]
struct ModelMessage {
    body: u64,
    visible_at_ms: i64,
    receive_count: u32,
    /// A new one each time the message changes its queue.
    life: u64,
}

impl ModelMessage {
    fn is_spent(&self, dead: bool) -> bool {
        !dead && self.receive_count == 2
    }
}

/// One receive as the model knows it.
#[derive(Clone, Copy)]
struct Given {
    life: u64,
    dead: bool,
    receive_count: u32,
}

#[derive(Debug, Clone)]
enum Step {
    /// Groups and deduplication ids.
    Send(Vec<(u8, u8)>),
    Receive {
        dead: bool,
        max: usize,
    },
    /// One of the receipts ever given, counted from the newest.
    Delete {
        back: usize,
    },
    Hide {
        back: usize,
        seconds: u8,
    },
    Advance {
        seconds: u16,
    },
    Redrive,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0_u8..3, 0_u8..12), 1..4).prop_map(Step::Send),
        6 => (prop::bool::weighted(0.2), 1_usize..12).prop_map(|(dead, max)| Step::Receive { dead, max }),
        4 => (0_usize..8).prop_map(|back| Step::Delete { back }),
        2 => (0_usize..8, prop_oneof![Just(0_u8), Just(20), Just(60)])
            .prop_map(|(back, seconds)| Step::Hide { back, seconds }),
        4 => (1_u16..40).prop_map(|seconds| Step::Advance { seconds }),
        1 => (100_u16..301).prop_map(|seconds| Step::Advance { seconds }),
        1 => Just(Step::Redrive),
        1 => Just(Step::Kill),
    ]
}

impl Model {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Gives the body; it is in no queue, if it is a duplicate.
    fn send(&mut self, group: u8, deduplication_id: u8) -> u64 {
        let now_ms = self.now_ms;
        self.first_sent_at_ms
            .retain(|_, sent_at_ms| now_ms - *sent_at_ms < to_ms(FIVE_MINUTES));
        let body = self.next();
        if let std::collections::btree_map::Entry::Vacant(first) =
            self.first_sent_at_ms.entry(deduplication_id)
        {
            first.insert(now_ms);
            self.enter(false, group, body);
        }
        body
    }

    fn enter(&mut self, dead: bool, group: u8, body: u64) {
        let message = ModelMessage {
            body,
            visible_at_ms: self.now_ms,
            receive_count: 0,
            life: self.next(),
        };
        self.groups.entry((dead, group)).or_default().push(message);
    }

    fn is_free(&self, messages: &[ModelMessage]) -> bool {
        messages
            .iter()
            .all(|message| message.visible_at_ms <= self.now_ms)
    }

    /// Holds a receive against the rules, and does it. `given_up` are the bodies that are in the
    /// dead-letter queue after it.
    fn receive(
        &mut self,
        dead: bool,
        max: usize,
        received: &[(u8, u64)],
        given_up: &BTreeSet<u64>,
    ) -> Vec<Given> {
        let free: BTreeMap<u8, Vec<ModelMessage>> = self
            .groups
            .iter()
            .filter(|((of_dead, _), messages)| *of_dead == dead && self.is_free(messages))
            .map(|((_, group), messages)| (*group, messages.clone()))
            .collect();
        let good = |messages: &[ModelMessage]| -> Vec<u64> {
            let good = messages.iter().filter(|message| !message.is_spent(dead));
            good.map(|message| message.body).collect()
        };
        let available: usize = free.values().map(|messages| good(messages).len()).sum();
        assert_eq!(received.len(), available.min(max).min(10));

        let runs: Vec<&[(u8, u64)]> = received.chunk_by(|one, two| one.0 == two.0).collect();
        let mut seen = BTreeSet::new();
        for (place, run) in runs.iter().enumerate() {
            let group = run[0].0;
            assert!(seen.insert(group), "a group comes twice");
            let good = good(free.get(&group).expect("the group is in flight"));
            let bodies: Vec<u64> = run.iter().map(|(_, body)| *body).collect();
            assert!(good.starts_with(&bodies), "{bodies:?} of {good:?}");
            // Only the last group may be cut.
            assert!(bodies.len() == good.len() || place + 1 == runs.len());
        }

        for (group, messages) in free {
            // Spent messages stand first. Those of a group without any other may not have been
            // looked at.
            let spent = messages.iter().take_while(|message| message.is_spent(dead));
            let spent: Vec<u64> = spent.map(|message| message.body).collect();
            let is_visited = seen.contains(&group)
                || received.len() < max.min(10)
                || spent.first().is_some_and(|body| given_up.contains(body));
            if !is_visited {
                continue;
            }
            if let Some(messages) = self.groups.get_mut(&(dead, group)) {
                messages.drain(..spent.len());
            }
            for body in spent {
                self.enter(true, group, body);
            }
        }
        let visible_at_ms = self.now_ms + to_ms(VISIBILITY);
        let mut given = Vec::new();
        for (group, body) in received {
            let mut messages = self.groups.get_mut(&(dead, *group)).unwrap().iter_mut();
            let message = messages.find(|message| message.body == *body).unwrap();
            message.receive_count += 1;
            message.visible_at_ms = visible_at_ms;
            given.push(Given {
                life: message.life,
                dead,
                receive_count: message.receive_count,
            });
        }
        given
    }

    /// The message that a receipt is good for, by group and place.
    fn find(&self, given: Given) -> Option<((bool, u8), usize)> {
        self.groups.iter().find_map(|(group, messages)| {
            let fits = |message: &ModelMessage| {
                message.life == given.life
                    && message.receive_count == given.receive_count
                    && message.visible_at_ms > self.now_ms
            };
            Some((*group, messages.iter().position(fits)?))
        })
    }

    fn delete(&mut self, given: Given) -> u64 {
        let Some((group, place)) = self.find(given) else {
            return 0;
        };
        self.groups.get_mut(&group).unwrap().remove(place);
        1
    }

    fn hide(&mut self, given: Given, by: Duration) -> u64 {
        let Some((group, place)) = self.find(given) else {
            return 0;
        };
        let visible_at_ms = self.now_ms + to_ms(by);
        self.groups.get_mut(&group).unwrap()[place].visible_at_ms = visible_at_ms;
        1
    }

    fn redrive(&mut self) -> u64 {
        let mut moved = 0;
        for group in 0..3 {
            let messages = self.groups.get(&(true, group)).cloned().unwrap_or_default();
            if self.is_free(&messages) {
                self.groups.remove(&(true, group));
                for message in messages {
                    self.enter(false, group, message.body);
                    moved += 1;
                }
            }
        }
        moved
    }

    fn stats(&self, dead: bool) -> (u64, u64, u64) {
        let mut stats = (0, 0, 0);
        let groups = self.groups.iter().filter(|((of, _), _)| *of == dead);
        for message in groups.flat_map(|(_, messages)| messages) {
            if message.visible_at_ms <= self.now_ms {
                stats.0 += 1;
            } else {
                stats.1 += 1;
            }
        }
        stats
    }
}

fn name(dead: bool) -> &'static str {
    if dead { DEAD } else { QUEUE }
}

async fn behaves_like_the_model(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
    let mut queues = open_with(directory.path(), &clock, Durability::Kill).await;
    set_up(&queues).await;
    let mut model = Model {
        now_ms: clock.load(Ordering::SeqCst),
        ..Model::default()
    };
    let mut receipts_given: Vec<(Receipt, Given)> = Vec::new();
    for step in steps {
        match step {
            Step::Send(messages) => {
                let queue = Queue::<u64>::new(queues.transport(QUEUE));
                let bodies: Vec<(u64, FifoIds)> = messages
                    .into_iter()
                    .map(|(group, id)| {
                        let ids = ids(&group.to_string(), &id.to_string());
                        (model.send(group, id), ids)
                    })
                    .collect();
                let messages = bodies.iter().map(|(body, ids)| (body, ids.clone()));
                queue.send_fifo(messages).await.unwrap();
            }
            Step::Receive { dead, max } => {
                let received = queues
                    .receive(name(dead), max, Duration::ZERO)
                    .await
                    .unwrap();
                let seen: Vec<(u8, u64)> = received
                    .iter()
                    .map(|message| {
                        let group = &message.fifo.as_ref().unwrap().group_id;
                        (group.parse().unwrap(), message.body.parse().unwrap())
                    })
                    .collect();
                let given_up = queues.peek(DEAD, 1000).await.unwrap();
                let given_up = given_up
                    .iter()
                    .map(|message| message.body.parse().unwrap())
                    .collect();
                let given = model.receive(dead, max, &seen, &given_up);
                let counts = received.iter().map(|message| message.receive_count);
                prop_assert!(counts.eq(given.iter().map(|given| given.receive_count)));
                receipts_given.extend(receipts(&received).into_iter().zip(given));
            }
            Step::Delete { back } => {
                if let Some((receipt, given)) = receipts_given.iter().rev().nth(back).cloned() {
                    let deleted = queues.delete(name(given.dead), &[receipt]).await.unwrap();
                    prop_assert_eq!(deleted, model.delete(given));
                }
            }
            Step::Hide { back, seconds } => {
                if let Some((receipt, given)) = receipts_given.iter().rev().nth(back).cloned() {
                    let by = Duration::from_secs(seconds.into());
                    let changed = queues
                        .change_visibility(name(given.dead), &[receipt], by)
                        .await
                        .unwrap();
                    prop_assert_eq!(changed, model.hide(given, by));
                }
            }
            Step::Advance { seconds } => {
                let by_ms = i64::from(seconds) * 1000;
                model.now_ms += by_ms;
                clock.fetch_add(by_ms, Ordering::SeqCst);
            }
            Step::Redrive => {
                prop_assert_eq!(queues.redrive(DEAD).await.unwrap(), model.redrive());
            }
            Step::Kill => {
                let copy = after_kill(&directory);
                drop(queues);
                queues = open_with(copy.path(), &clock, Durability::Kill).await;
                set_up(&queues).await;
                directory = copy;
            }
        }
        for dead in [false, true] {
            let stats = queues.stats(name(dead)).await.unwrap();
            prop_assert_eq!(
                (stats.visible, stats.in_flight, stats.delayed),
                model.stats(dead)
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_run_of_steps_follows_the_rules(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(behaves_like_the_model(steps))?;
    }
}
