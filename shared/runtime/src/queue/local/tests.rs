use std::sync::atomic::{AtomicI64, Ordering};

use aws_lambda_events::sqs::SqsBatchResponse;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{writer::count, *};
use crate::queue::Queue;

mod fifo;

const VISIBILITY: Duration = Duration::from_secs(30);

/// Queues in a directory of their own, with a clock that stands still unless it is moved.
struct Bench {
    directory: TempDir,
    clock: Arc<AtomicI64>,
    queues: LocalQueues,
}

impl Bench {
    /// `events`, which gives messages up to `dead` after two receives.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let queues = open(directory.path(), &clock).await;
        Self {
            directory,
            clock,
            queues,
        }
    }

    fn advance(&self, by: Duration) {
        self.clock.fetch_add(to_ms(by), Ordering::SeqCst);
        self.queues.clock_moved();
    }

    fn events(&self) -> Queue<String> {
        Queue::new(self.queues.transport("events"))
    }

    async fn send(&self, body: &str) {
        self.events().send(&body.to_owned()).await.unwrap();
    }

    async fn receive(&self, queue: &str) -> Vec<LocalMessage> {
        self.queues
            .receive(queue, 10, Duration::ZERO)
            .await
            .unwrap()
    }

    async fn stats(&self, queue: &str) -> (u64, u64, u64) {
        let stats = self.queues.stats(queue).await.unwrap();
        (stats.visible, stats.in_flight, stats.delayed)
    }

    /// The messages go through to the dead-letter queue.
    async fn give_up(&self) {
        for _ in 0..2 {
            assert!(!self.receive("events").await.is_empty());
            self.advance(VISIBILITY);
        }
        assert!(self.receive("events").await.is_empty());
    }
}

async fn open(directory: &Path, clock: &Arc<AtomicI64>) -> LocalQueues {
    open_with(directory, clock, Durability::PowerLoss).await
}

async fn open_with(
    directory: &Path,
    clock: &Arc<AtomicI64>,
    durability: Durability,
) -> LocalQueues {
    let time = Arc::clone(clock);
    let clock: Clock =
        Arc::new(move || Timestamp::from_millisecond(time.load(Ordering::SeqCst)).unwrap());
    let queues = LocalQueues::open(directory.join("queues.db"), clock, durability).unwrap();
    let settings = QueueSettings {
        visibility_timeout: VISIBILITY,
        max_receives: Some(2),
        dead_letter: Some("dead".to_owned()),
        fifo: false,
    };
    queues.queue("events", settings).await.unwrap();
    queues
}

/// Copies the files as a kill leaves them: nothing is closed.
fn after_kill(directory: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn bodies(messages: &[LocalMessage]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.body.as_str())
        .collect()
}

fn receipts(messages: &[LocalMessage]) -> Vec<Receipt> {
    messages
        .iter()
        .map(|message| message.receipt.clone())
        .collect()
}

#[tokio::test]
async fn messages_come_in_order_and_are_hidden_while_in_flight() {
    let bench = Bench::new().await;
    let batch: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    bench.events().send_batch(&batch).await.unwrap();

    let first = bench.receive("events").await;
    assert_eq!(
        bodies(&first),
        [
            r#""0""#, r#""1""#, r#""2""#, r#""3""#, r#""4""#, r#""5""#, r#""6""#, r#""7""#,
            r#""8""#, r#""9""#
        ]
    );
    assert_eq!(
        bodies(&bench.receive("events").await),
        [r#""10""#, r#""11""#]
    );
    assert_eq!(bench.stats("events").await, (0, 12, 0));

    let last_moment = Duration::from_millis(1);
    bench.advance(VISIBILITY.saturating_sub(last_moment));
    assert!(bench.receive("events").await.is_empty());
    bench.advance(last_moment);
    let again = bench.receive("events").await;
    assert_eq!(bodies(&again), bodies(&first));
    assert_eq!((first[0].receive_count, again[0].receive_count), (1, 2));
    assert_eq!(first[0].message_id, again[0].message_id);
    assert_eq!(again[0].first_received_at_ms, first[0].first_received_at_ms);
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue_and_back() {
    let bench = Bench::new().await;
    bench.send("poison").await;
    bench.give_up().await;

    assert_eq!(
        (bench.stats("events").await, bench.stats("dead").await),
        ((0, 0, 0), (1, 0, 0))
    );
    let peeked = bench.queues.peek("dead", 10).await.unwrap();
    assert_eq!(peeked[0].dead_letter_source.as_deref(), Some("events"));
    Queue::<u32>::new(bench.queues.transport("dead"))
        .send(&7)
        .await
        .unwrap();

    let before = bench.queues.peek("dead", 1).await.unwrap();
    assert_eq!(bench.queues.redrive("dead").await.unwrap(), 1);
    assert_eq!(
        (bench.stats("events").await, bench.stats("dead").await),
        ((1, 0, 0), (1, 0, 0))
    );
    let again = bench.receive("events").await;
    assert_eq!(
        (bodies(&again), again[0].receive_count),
        (vec![r#""poison""#], 1)
    );
    assert_ne!(again[0].message_id, before[0].message_id);
}

#[tokio::test]
async fn giving_up_does_not_use_up_the_room_of_a_receive() {
    let bench = Bench::new().await;
    bench.send("poison").await;
    for _ in 0..2 {
        bench.receive("events").await;
        bench.advance(VISIBILITY);
    }
    bench.send("good").await;
    let received = bench
        .queues
        .receive("events", 1, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(bodies(&received), [r#""good""#]);
}

#[tokio::test]
async fn a_stale_receipt_changes_nothing() {
    let bench = Bench::new().await;
    bench.send("one").await;
    let stale = receipts(&bench.receive("events").await);
    bench.advance(VISIBILITY);
    let fresh = receipts(&bench.receive("events").await);

    let nonsense = [
        Receipt::from("nonsense".to_owned()),
        Receipt::from("1-x".to_owned()),
    ];
    assert_eq!(bench.queues.delete("events", &nonsense).await.unwrap(), 0);
    assert_eq!(bench.queues.delete("events", &stale).await.unwrap(), 0);
    let unhidden = bench
        .queues
        .change_visibility("events", &stale, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((unhidden, bench.stats("events").await), (0, (0, 1, 0)));
    assert_eq!(bench.queues.delete("dead", &fresh).await.unwrap(), 0);
    assert_eq!(bench.queues.delete("events", &fresh).await.unwrap(), 1);
    assert_eq!(bench.queues.delete("events", &fresh).await.unwrap(), 0);
    assert_eq!(
        bench.queues.stats("events").await.unwrap(),
        QueueStats::default()
    );
}

#[tokio::test]
async fn visibility_can_be_changed_both_ways() {
    let bench = Bench::new().await;
    bench.send("one").await;
    let receipt = receipts(&bench.receive("events").await);

    bench
        .queues
        .change_visibility("events", &receipt, 2 * VISIBILITY)
        .await
        .unwrap();
    bench.advance(VISIBILITY);
    assert!(bench.receive("events").await.is_empty());
    bench
        .queues
        .change_visibility("events", &receipt, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(bench.receive("events").await.len(), 1);
}

#[tokio::test]
async fn a_delayed_message_is_received_when_it_is_due() {
    let bench = Bench::new().await;
    bench
        .events()
        .send_after(&"later".to_owned(), Duration::from_secs(5))
        .await
        .unwrap();
    assert!(bench.receive("events").await.is_empty());
    assert_eq!(bench.stats("events").await, (0, 0, 1));

    bench.advance(Duration::from_secs(5));
    let stats = bench.queues.stats("events").await.unwrap();
    assert_eq!(stats.oldest_age, Some(Duration::from_secs(5)));
    assert_eq!(bench.receive("events").await.len(), 1);
}

#[tokio::test]
async fn a_waiting_receiver_is_woken_by_a_message_and_by_the_clock() {
    let bench = Bench::new().await;
    let hour = Duration::from_hours(1);
    let (received, ()) = tokio::join!(
        bench.queues.receive("events", 10, hour),
        bench.send("arrives")
    );
    assert_eq!(received.unwrap().len(), 1);

    // In flight now: the receiver waits for the visibility timeout.
    let (received, ()) = tokio::join!(bench.queues.receive("events", 10, hour), async {
        bench.queues.names().await.unwrap();
        bench.advance(VISIBILITY);
    });
    assert_eq!(received.unwrap()[0].receive_count, 2);
}

#[tokio::test]
async fn a_receiver_without_a_message_returns_after_its_wait() {
    let bench = Bench::new().await;
    let received = bench
        .queues
        .receive("events", 10, Duration::from_millis(5))
        .await
        .unwrap();
    assert!(received.is_empty());
}

#[tokio::test]
async fn what_was_answered_survives_closing_and_a_kill() {
    let bench = Bench::new().await;
    let queue = bench.events();
    let senders: Vec<_> = (0..50)
        .map(|sender| {
            let queue = queue.clone();
            tokio::spawn(async move {
                for number in 0..10 {
                    queue.send(&format!("{sender}/{number}")).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let gone = bench
        .queues
        .receive("events", 100, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(
        bench
            .queues
            .delete("events", &receipts(&gone))
            .await
            .unwrap(),
        100
    );

    let after_kill = after_kill(&bench.directory);
    let Bench {
        directory,
        clock,
        queues,
    } = bench;
    drop((queue, queues));

    for path in [after_kill.path(), directory.path()] {
        let queues = open(path, &clock).await;
        let left = queues
            .receive("events", 1000, Duration::ZERO)
            .await
            .unwrap();
        let mut found: Vec<&LocalMessage> = gone.iter().chain(&left).collect();
        found.sort_unstable_by_key(|message| &message.body);
        found.dedup_by_key(|message| &message.body);
        assert_eq!((left.len(), found.len()), (400, 500));
    }
}

#[tokio::test]
async fn a_request_fails_alone() {
    let bench = Bench::new().await;
    let unknown = Queue::<String>::new(bench.queues.transport("nowhere"));
    let one = "one".to_owned();
    let (failed, ()) = tokio::join!(unknown.send(&one), bench.send("two"));
    assert!(matches!(failed, Err(QueueError::Unknown { .. })));
    assert_eq!(bench.stats("events").await, (1, 0, 0));
    assert_eq!(bench.queues.names().await.unwrap(), ["dead", "events"]);
}

#[tokio::test]
async fn work_that_fails_halfway_leaves_nothing() {
    let bench = Bench::new().await;
    let message = Outgoing {
        body: "1".to_owned(),
        delay: Duration::ZERO,
        fifo: None,
    };
    let half = bench
        .queues
        .call("send to", "events", move |writer, name, now| {
            writer.send(name, &[message], now)?;
            Err::<(), _>(Failure::UnknownQueue)
        });
    let (half, ()) = tokio::join!(half, bench.send("whole"));
    half.unwrap_err();
    assert_eq!(bodies(&bench.receive("events").await), [r#""whole""#]);
}

#[tokio::test]
async fn the_file_belongs_to_one_process() {
    let bench = Bench::new().await;
    let clock = Arc::clone(&bench.queues.inner.clock);
    let path = bench.directory.path().join("queues.db");
    let error = LocalQueues::open(path, clock, Durability::PowerLoss).unwrap_err();
    assert!(matches!(
        error,
        QueueError::Unavailable {
            operation: "open",
            ..
        }
    ));
}

#[tokio::test]
async fn settings_at_odds_are_refused() {
    let bench = Bench::new().await;
    let wrong = [
        (Some(3), None),
        (None, Some("dead")),
        (Some(0), Some("dead")),
        (Some(1), Some("x")),
    ];
    for (max_receives, dead_letter) in wrong {
        let settings = QueueSettings {
            visibility_timeout: VISIBILITY,
            max_receives,
            dead_letter: dead_letter.map(str::to_owned),
            fifo: false,
        };
        let error = bench.queues.queue("x", settings).await.unwrap_err();
        assert!(matches!(error, QueueError::Misconfigured { .. }));
    }
}

#[tokio::test]
async fn an_event_for_a_handler_has_what_lambda_gives() {
    let bench = Bench::new().await;
    bench.send("one").await;
    bench.send("two").await;
    let messages = bench.receive("events").await;
    let mut event = serde_json::to_value(sqs_event("events", &messages[..1])).unwrap();
    event["Records"][0]["messageId"] = "an id".into();
    insta::assert_json_snapshot!(event, @r#"
    {
      "Records": [
        {
          "attributes": {
            "ApproximateFirstReceiveTimestamp": "1700000000000",
            "ApproximateReceiveCount": "1",
            "SenderId": "local",
            "SentTimestamp": "1700000000000"
          },
          "awsRegion": "local",
          "body": "\"one\"",
          "eventSource": "aws:sqs",
          "eventSourceARN": "arn:aws:sqs:local:000000000000:events",
          "md5OfBody": null,
          "md5OfMessageAttributes": null,
          "messageAttributes": {},
          "messageId": "an id",
          "receiptHandle": "1-1"
        }
      ]
    }
    "#);

    let mut response = SqsBatchResponse::default();
    assert_eq!(succeeded(&messages, &response), receipts(&messages));
    response.add_failure(&*messages[0].message_id);
    assert_eq!(succeeded(&messages, &response), receipts(&messages[1..]));
    response.add_failure("");
    assert!(succeeded(&messages, &response).is_empty());
}

/// Model of the queues, as plain as it can be written.
#[derive(Default)]
struct Model {
    now_ms: i64,
    next: u64,
    messages: Vec<ModelMessage>,
}

#[derive(Clone)]
struct ModelMessage {
    body: u64,
    dead: bool,
    visible_at_ms: i64,
    receive_count: u32,
    /// Breaks ties: order of sending, or of going back.
    order: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Send {
        delay_s: u8,
    },
    Receive {
        dead: bool,
        max: usize,
    },
    /// One of the receipts ever given, counted from the newest.
    Delete {
        back: usize,
    },
    Unhide {
        back: usize,
    },
    Advance {
        seconds: u8,
    },
    Redrive,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3).prop_map(|delay| Step::Send { delay_s: delay * 10 }),
        6 => (prop::bool::weighted(0.2), 1_usize..4).prop_map(|(dead, max)| Step::Receive { dead, max }),
        3 => (0_usize..8).prop_map(|back| Step::Delete { back }),
        1 => (0_usize..8).prop_map(|back| Step::Unhide { back }),
        4 => (1_u8..40).prop_map(|seconds| Step::Advance { seconds }),
        1 => Just(Step::Redrive),
        1 => Just(Step::Reopen),
    ]
}

/// One receive as the model knows it.
#[derive(Clone, Copy)]
struct Given {
    order: u64,
    dead: bool,
    receive_count: u32,
}

impl Model {
    fn order(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn receive(&mut self, dead: bool, max: usize) -> Vec<(u64, Given)> {
        let mut received = Vec::new();
        let now_ms = self.now_ms;
        self.messages
            .sort_by_key(|message| (message.visible_at_ms, message.order));
        for message in &mut self.messages {
            if received.len() == max {
                break;
            }
            if message.dead != dead || message.visible_at_ms > now_ms {
                continue;
            }
            if !dead && message.receive_count == 2 {
                (message.dead, message.visible_at_ms, message.receive_count) = (true, now_ms, 0);
                continue;
            }
            message.receive_count += 1;
            message.visible_at_ms = now_ms + to_ms(VISIBILITY);
            let &mut ModelMessage {
                body,
                order,
                receive_count,
                ..
            } = message;
            received.push((
                body,
                Given {
                    order,
                    dead,
                    receive_count,
                },
            ));
        }
        received
    }

    fn send(&mut self, delay: Duration) -> u64 {
        let order = self.order();
        self.messages.push(ModelMessage {
            body: order,
            dead: false,
            visible_at_ms: self.now_ms + to_ms(delay),
            receive_count: 0,
            order,
        });
        order
    }

    fn fits(message: &ModelMessage, given: Given) -> bool {
        message.order == given.order
            && message.dead == given.dead
            && message.receive_count == given.receive_count
    }

    fn delete(&mut self, given: Given) -> u64 {
        let before = self.messages.len();
        self.messages.retain(|message| !Self::fits(message, given));
        count(before - self.messages.len())
    }

    fn unhide(&mut self, given: Given) -> u64 {
        let mut changed = 0;
        for message in self
            .messages
            .iter_mut()
            .filter(|message| Self::fits(message, given))
        {
            message.visible_at_ms = self.now_ms;
            changed += 1;
        }
        changed
    }

    fn redrive(&mut self) -> u64 {
        let mut moved = 0;
        self.messages.sort_by_key(|message| message.order);
        for message in &mut self.messages {
            if message.dead && message.visible_at_ms <= self.now_ms {
                self.next += 1;
                (message.dead, message.receive_count) = (false, 0);
                (message.visible_at_ms, message.order) = (self.now_ms, self.next);
                moved += 1;
            }
        }
        moved
    }

    fn stats(&self, dead: bool) -> (u64, u64, u64) {
        let mut stats = (0, 0, 0);
        for message in self.messages.iter().filter(|message| message.dead == dead) {
            match (message.visible_at_ms <= self.now_ms, message.receive_count) {
                (true, _) => stats.0 += 1,
                (false, 0) => stats.2 += 1,
                (false, _) => stats.1 += 1,
            }
        }
        stats
    }
}

async fn behaves_like_the_model(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let Bench {
        directory,
        clock,
        mut queues,
    } = Bench::new().await;
    let mut model = Model {
        now_ms: clock.load(Ordering::SeqCst),
        ..Model::default()
    };
    let mut receipts_given: Vec<(Receipt, Given)> = Vec::new();
    let name = |dead| if dead { "dead" } else { "events" };
    for step in steps {
        match step {
            Step::Send { delay_s } => {
                let delay = Duration::from_secs(delay_s.into());
                let queue = Queue::<u64>::new(queues.transport("events"));
                queue.send_after(&model.send(delay), delay).await.unwrap();
            }
            Step::Receive { dead, max } => {
                let received = queues
                    .receive(name(dead), max, Duration::ZERO)
                    .await
                    .unwrap();
                let expected = model.receive(dead, max);
                let seen: Vec<(u64, u32)> = received
                    .iter()
                    .map(|message| (message.body.parse().unwrap(), message.receive_count))
                    .collect();
                let known: Vec<(u64, u32)> = expected
                    .iter()
                    .map(|(body, given)| (*body, given.receive_count))
                    .collect();
                prop_assert_eq!(seen, known);
                let given = expected.into_iter().map(|(_, given)| given);
                receipts_given.extend(receipts(&received).into_iter().zip(given));
            }
            Step::Delete { back } => {
                if let Some((receipt, given)) = receipts_given.iter().rev().nth(back).cloned() {
                    let deleted = queues.delete(name(given.dead), &[receipt]).await.unwrap();
                    prop_assert_eq!(deleted, model.delete(given));
                }
            }
            Step::Unhide { back } => {
                if let Some((receipt, given)) = receipts_given.iter().rev().nth(back).cloned() {
                    let changed = queues
                        .change_visibility(name(given.dead), &[receipt], Duration::ZERO)
                        .await
                        .unwrap();
                    prop_assert_eq!(changed, model.unhide(given));
                }
            }
            Step::Advance { seconds } => {
                let by_ms = i64::from(seconds) * 1000;
                model.now_ms += by_ms;
                clock.fetch_add(by_ms, Ordering::SeqCst);
            }
            Step::Redrive => {
                prop_assert_eq!(queues.redrive("dead").await.unwrap(), model.redrive());
            }
            Step::Reopen => {
                drop(queues);
                queues = open(directory.path(), &clock).await;
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
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_run_of_steps_ends_as_in_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(behaves_like_the_model(steps))?;
    }
}
