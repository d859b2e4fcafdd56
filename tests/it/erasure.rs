//! Erasing a person: nothing of them is left, and nothing of anybody else is missing.

use std::{
    collections::HashMap,
    fs,
    future::Future,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    message::{Body, EventMessage, JobKind},
    owner::RecordOwner,
};
use futures::TryStreamExt as _;
use jobs::{App, Budget, erase};
use models::{
    headers::TerraHeaders,
    ids::{ReferenceId, TerraUserId, WebhookId},
    signature::SigningSecret,
};
use runtime::{metrics::Sink, queue::Queue};
use store::{
    exports::{ExportKey, Exports},
    table::{
        connections::Alias,
        erasures::{Receipt, first_break},
        jobs::{ExportDetail, Job, JobState, Subject},
        ledger::Outcome,
    },
};
use terrarium::system::{EVENTS_QUEUE, TABLE_NAME, dynamodb_client};
use tokio::time::Instant;

use crate::world::{SECRET, World, now};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
/// A value that stands in every body of Ann's.
const VALUE: &str = "987651234";

type Item = HashMap<String, AttributeValue>;

fn daily(user: &str, person: &str, day: u32, steps: &str) -> String {
    format!(
        r#"{{"type":"daily","user":{{"user_id":"{user}","provider":"GARMIN","reference_id":"{person}"}},"data":[{{"metadata":{{"start_time":"2026-07-{day:02}T00:00:00+02:00"}},"distance_data":{{"steps":{steps}}}}}]}}"#
    )
}

fn auth(user: &str, person: &str) -> String {
    format!(
        r#"{{"type":"auth","status":"success","user":{{"user_id":"{user}","provider":"GARMIN","reference_id":"{person}"}}}}"#
    )
}

fn lab_report(person: &str, session: &str) -> String {
    format!(
        r#"{{"type":"lab_report.completed","event_id":"evt_{session}","occurred_at":"2026-07-01T09:12:33Z","data":{{"session_id":"{session}","reference_id":"{person}","results":[],"note":{VALUE}}}}}"#
    )
}

/// All kinds of webhooks that name Ann, with names of their own.
fn of_ann() -> Vec<(String, String)> {
    let bodies = [
        auth("u-ann", ANN),
        daily("u-ann", ANN, 1, VALUE),
        daily("u-ann", ANN, 2, VALUE),
        lab_report(ANN, "s-ann"),
        format!(
            r#"{{"type":"auth_cancelled","status":"error","reason":"{VALUE}","reference_id":"{ANN}"}}"#
        ),
        format!(r#"{{"type":"auth","status":"error","message":"{VALUE}","reference_id":"{ANN}"}}"#),
        // A ping that cannot be followed, and a type that nobody knows: both are parked.
        format!(r#"{{"type":"s3_payload","user":{{"user_id":"u-ann","reference_id":"{ANN}"}}}}"#),
        format!(r#"{{"type":"vibes","user":{{"user_id":"u-ann"}},"n":{VALUE}}}"#),
        format!(
            r#"{{"type":"large_request_processing","user":{{"user_id":"u-ann","reference_id":"{ANN}"}},"reference":"r-ann"}}"#
        ),
    ];
    let named = |(number, body)| (format!("a-{number}"), body);
    bodies.into_iter().enumerate().map(named).collect()
}

fn of_bob() -> Vec<(String, String)> {
    vec![
        ("b-0".to_owned(), auth("u-bob", BOB)),
        ("b-1".to_owned(), daily("u-bob", BOB, 1, "42")),
        (
            "b-2".to_owned(),
            lab_report(BOB, "s-bob").replace(VALUE, "43"),
        ),
    ]
}

/// Queues webhooks together, so that they lie in one segment.
async fn deliver(world: &World, webhooks: &[(String, String)]) {
    deliver_signed_at(world, webhooks, now().as_second()).await;
}

async fn deliver_signed_at(world: &World, webhooks: &[(String, String)], signed_at_s: i64) {
    let secret = SigningSecret::new("main", SECRET).unwrap();
    let messages: Vec<EventMessage> = webhooks
        .iter()
        .map(|(id, body)| {
            let signature = secret.sign(signed_at_s, body.as_bytes());
            let reference = if id.starts_with('b') {
                "r-bob"
            } else {
                "r-ann"
            };
            let headers = [
                ("X-Terra-Signature", signature.as_bytes()),
                ("X-Terra-Trace-Id", id.as_bytes()),
                ("Terra-Reference", reference.as_bytes()),
            ];
            EventMessage {
                webhook_id: WebhookId::new(id).unwrap(),
                headers: TerraHeaders::from_pairs(headers),
                received_at_ms: signed_at_s * 1000,
                signed_at_s: Some(signed_at_s),
                secret_name: Some("main".to_owned()),
                late: false,
                size_bytes: body.len() as u64,
                body: Body::Plain(body.clone()),
            }
        })
        .collect();
    let events: Queue<EventMessage> = Queue::new(world.system.queues.transport(EVENTS_QUEUE));
    events.send_batch(&messages).await.unwrap();
    world.idle().await;
}

/// Jobs that nobody goes on with but the test.
fn app(world: &World) -> App {
    App {
        table: world.system.table.clone(),
        archive: world.system.archive.clone(),
        exports: Exports::folder(world.folder.path()),
        jobs: None,
        grace: Duration::ZERO,
        clock: Arc::new(now),
        metrics: Sink::Nowhere,
    }
}

fn ann() -> Subject {
    Subject::Person(ReferenceId::new(ANN).unwrap())
}

fn plenty() -> Budget {
    Budget::until(Instant::now() + Duration::from_mins(15))
}

/// Goes on until the job is done.
async fn finish(app: &App, job: &Job) -> Receipt {
    while let Some(wait) = Box::pin(jobs::go_on(app, &job.id, plenty())).await.unwrap() {
        assert_eq!(wait, Duration::ZERO, "nobody has to be waited for");
    }
    let done = app.table.job(&job.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.subject), (JobState::Done, None));
    app.table.receipt(&job.id).await.unwrap().unwrap()
}

/// A future that dies when it has been woken so often.
struct Killed<F> {
    work: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.work.as_mut().poll(context).map(Some)
    }
}

/// A finished export of a person.
async fn export_of(app: &App, person: &str, id: &str) -> ExportKey {
    let subject = Subject::Person(ReferenceId::new(person).unwrap());
    let mut job = Job::new(id, JobKind::Export, subject, "a test", app_now_ms(app));
    job.state = JobState::Done;
    assert!(app.table.add_job(&job).await.unwrap());
    let key = ExportDetail::key(&job).unwrap();
    let (upload, _) = app.exports.open(&key).await.unwrap();
    let content = format!("an export of {person}");
    upload.complete(content.into()).await.unwrap();
    key
}

fn app_now_ms(app: &App) -> i64 {
    (app.clock)().as_millisecond()
}

/// All items of the table.
async fn items(world: &World) -> Vec<Item> {
    let client = dynamodb_client(&world.system.dynamodb).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a trace may be anywhere")]
    let scan = client.scan().table_name(TABLE_NAME).consistent_read(true);
    scan.into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .unwrap()
}

fn text_of<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Finds every place that still names Ann or holds a value of hers, but tombstones.
async fn traces(world: &World) -> Vec<String> {
    let words = [ANN, "u-ann", VALUE, "s-ann", "r-ann"];
    let holds = |text: &str| words.iter().any(|word| text.contains(word));
    let mut found = Vec::new();
    for item in items(world).await {
        let is_tombstone = text_of(&item, "sk") == "ALIAS" && item.contains_key("erased_at");
        if holds(&format!("{item:?}")) && !is_tombstone {
            found.push(format!(
                "item {}/{}",
                text_of(&item, "pk"),
                text_of(&item, "sk")
            ));
        }
    }
    let archive = &world.system.archive;
    let mut paths = Vec::new();
    for folder in ["archive", "inbox", "outbox", "index", "erasures", "exports"] {
        files(&world.folder.path().join(folder), &mut paths);
    }
    for path in paths {
        // The journal holds Terra user ids: it is the tombstones' other half.
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_journal = path.to_string_lossy().contains("erasures/journal");
        if holds(&text) && !(is_journal && !text.contains(ANN) && !text.contains(VALUE)) {
            found.push(format!("file {}", path.display()));
        }
    }
    for day in archive.days().await.unwrap() {
        let segments: Vec<_> = archive.segments(day, day).try_collect().await.unwrap();
        for segment in segments {
            for (locator, header) in archive.webhooks_in(&segment.key).await.unwrap() {
                if header.erased_at.is_none() {
                    let body = archive.read_webhook(&locator).await.unwrap().body;
                    if holds(&String::from_utf8_lossy(&body)) {
                        found.push(format!("webhook {} in {}", header.webhook_id, segment.key));
                    }
                }
            }
        }
    }
    for queue in world.system.queues.names().await.unwrap() {
        for message in world.system.queues.peek(&queue, 1000).await.unwrap() {
            if holds(&message.body) {
                found.push(format!("a message in {queue}"));
            }
        }
    }
    found
}

/// Bob's archived webhooks, as they came, with their signatures.
async fn assert_bob_is_whole(world: &World) {
    let secret = SigningSecret::new("main", SECRET).unwrap();
    for (id, body) in of_bob() {
        let locator = world.entry(&id).await.unwrap().locator.unwrap();
        let webhook = world.system.archive.read_webhook(&locator).await.unwrap();
        assert_eq!(webhook.body, body.as_bytes());
        let signed_at_s = webhook.header.signed_at_s.unwrap();
        let signature = secret.sign(signed_at_s, body.as_bytes());
        assert_eq!(webhook.header.headers["x-terra-signature"], signature);
    }
    let bob = ReferenceId::new(BOB).unwrap();
    assert_eq!(
        world.system.table.connections_of(&bob).await.unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_killed_at_every_step_ends_and_leaves_no_trace() {
    let world = World::start().await;
    let webhooks = [of_ann(), of_bob()].concat();
    deliver(&world, &webhooks).await;
    let locators: Vec<_> = futures::future::join_all(["a-1", "b-1"].map(|id| world.entry(id)))
        .await
        .into_iter()
        .map(|entry| entry.unwrap().locator.unwrap().segment)
        .collect();
    assert_eq!(locators[0], locators[1], "two people in one segment");
    assert!(traces(&world).await.len() > webhooks.len());

    let app = app(&world);
    let exported = export_of(&app, ANN, "01ANN").await;
    let kept = export_of(&app, BOB, "01BOB").await;
    let lent = [("9-a", ANN), ("9-b", BOB)].map(|(name, person)| {
        let folder = world.folder.path().join("outbox");
        fs::create_dir_all(&folder).unwrap();
        let body = format!(r#"{{"reference_id":"{person}"}}"#);
        fs::write(folder.join(name), body).unwrap();
        folder.join(name)
    });
    let found = erase::find(&app, &ann()).await.unwrap();
    assert_eq!(
        (found.connections, found.webhooks, found.segments),
        (1, of_ann().len(), 1)
    );
    assert_eq!(found.records, 3);

    let job = erase::order(&app, ann(), "a test", 0).await.unwrap();
    let mut polls = 1;
    let mut connects = true;
    loop {
        let work = Box::pin(jobs::go_on(&app, &job.id, plenty()));
        let killed = Killed { work, polls };
        if let Some(done) = killed.await {
            done.unwrap();
            break;
        }
        polls += 1;
        // Another order for the same person is the same erasure.
        let again = erase::order(&app, ann(), "somebody else", 0).await.unwrap();
        let now = app.table.job(&job.id).await.unwrap().unwrap();
        assert!(again.id == job.id || now.state == JobState::Done);
        if connects && now.step == "archive" {
            connects = false;
            // A provider connects in the middle.
            deliver(&world, &[("m-0".to_owned(), auth("u-ann-2", ANN))]).await;
            deliver(
                &world,
                &[("m-1".to_owned(), daily("u-ann-2", ANN, 3, VALUE))],
            )
            .await;
        }
    }
    assert!(polls > 10, "it was killed {polls} times");
    let receipt = finish(&app, &job).await;
    // What was erased just before a kill is not counted.
    let counted = receipt.counts.get("archived webhooks").copied();
    assert!(counted.unwrap_or_default() <= of_ann().len() as u64);
    assert!(receipt.is_sound() && first_break(&app.table.receipts().await.unwrap()).is_none());
    assert!(receipt.stays.iter().any(|stays| stays.until.is_some()));
    assert_eq!(traces(&world).await, Vec::<String>::new());
    assert_bob_is_whole(&world).await;
    assert!(app.exports.read(&exported).await.is_err());
    assert!(app.exports.read(&kept).await.is_ok());
    assert_eq!(lent.map(|path| path.exists()), [false, true]);
    assert!(app.table.job("01ANN").await.unwrap().is_none());
    assert!(app.table.job("01BOB").await.unwrap().is_some());

    // What is late: a retry, a lab report under another name, a login that failed.
    let late = [
        ("a-1".to_owned(), daily("u-ann", ANN, 1, VALUE)),
        ("l-1".to_owned(), daily("u-ann", ANN, 9, VALUE)),
        ("l-2".to_owned(), lab_report(ANN, "s-ann")),
        ("l-3".to_owned(), of_ann()[4].1.clone()),
    ];
    deliver(&world, &late).await;
    for (id, _) in &late {
        assert_eq!(
            world.entry(id).await.unwrap().outcome,
            Outcome::Erased,
            "{id}"
        );
    }
    assert_eq!(traces(&world).await, Vec::<String>::new());

    // Who connects anew is a person like any other.
    let connects = [("n-0".to_owned(), auth("u-ann-3", ANN))];
    deliver_signed_at(&world, &connects, now().as_second() + 2).await;
    let user = TerraUserId::new("u-ann-3").unwrap();
    let alias = world.system.table.alias(&user).await.unwrap();
    assert!(matches!(alias, Some(Alias::Connection(_))));
    assert!(world.dead_letters().await.is_empty());
    world.system.stop().await;
}

/// Makes the table what it was: without the erasure, its tombstones and its receipt.
async fn restore(world: &World, backup: Vec<Item>) {
    let client = dynamodb_client(&world.system.dynamodb).unwrap();
    for item in items(world).await {
        let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
        let delete = client.delete_item().table_name(TABLE_NAME);
        delete.set_key(Some(key.into())).send().await.unwrap();
    }
    for item in backup {
        let put = client.put_item().table_name(TABLE_NAME);
        put.set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_lab_report_alone_is_erased_again_after_a_restore() {
    let world = World::start().await;
    let report = lab_report("dora@example.com", "9");
    deliver(&world, &[("dora-1".to_owned(), report)]).await;
    let backup = items(&world).await;
    let app = app(&world);
    let dora = ReferenceId::new("dora@example.com").unwrap();
    let order = erase::order(&app, Subject::Person(dora.clone()), "a test", 0);
    finish(&app, &order.await.unwrap()).await;
    restore(&world, backup).await;
    let owner = RecordOwner::Person(Some(dora));
    let records = async || app.table.records(&owner, None).await.unwrap().len();
    assert_eq!(records().await, 1);
    let repeated = erase::reapply(&app, "a test").await.unwrap();
    assert_eq!(repeated.len(), 1);
    finish(&app, &repeated[0]).await;
    assert_eq!(records().await, 0);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_brings_people_back_until_their_erasures_are_repeated() {
    let world = World::start().await;
    deliver(&world, &[of_ann(), of_bob()].concat()).await;
    let backup = items(&world).await;
    let app = app(&world);
    let job = erase::order(&app, ann(), "a test", 0).await.unwrap();
    finish(&app, &job).await;
    assert_eq!(traces(&world).await, Vec::<String>::new());

    restore(&world, backup).await;
    assert!(!traces(&world).await.is_empty());
    let repeated = erase::reapply(&app, "a test").await.unwrap();
    assert_eq!(repeated.len(), 1);
    let receipt = finish(&app, &repeated[0]).await;
    assert_eq!(receipt.repeats.as_ref(), Some(&job.id));
    assert_eq!(traces(&world).await, Vec::<String>::new());
    assert_bob_is_whole(&world).await;
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_taken_back_until_it_begins_and_nothing_is_lost_meanwhile() {
    let world = World::start().await;
    deliver(&world, &of_ann()).await;
    let before = world.connection("u-ann").await;
    let app = app(&world);
    let job = erase::order(&app, ann(), "a test", 2).await.unwrap();
    let waits = Box::pin(jobs::go_on(&app, &job.id, plenty()))
        .await
        .unwrap();
    assert!(waits.is_some_and(|wait| wait > Duration::ZERO));
    deliver(&world, &[("w-0".to_owned(), daily("u-ann", ANN, 5, VALUE))]).await;
    deliver(&world, &[("w-1".to_owned(), lab_report(ANN, "s-ann-2"))]).await;
    for id in ["w-0", "w-1"] {
        assert_eq!(
            world.entry(id).await.unwrap().outcome,
            Outcome::Parked,
            "{id}"
        );
    }
    assert!(erase::undo(&app, &ann()).await.unwrap());
    assert!(!erase::undo(&app, &ann()).await.unwrap());
    assert_eq!(world.connection("u-ann").await.id, before.id);
    // Webhooks that were put aside are there to be replayed.
    let parked = world.entry("w-0").await.unwrap().locator.unwrap();
    let webhook = world.system.archive.read_webhook(&parked).await.unwrap();
    let mode = store::table::records::Mode::Write;
    let replayed = routing::replay(world.system.router.ways(), &webhook, mode)
        .await
        .unwrap();
    assert_eq!(replayed.applied.records.created, 1);
    let job = app.table.job(&job.id).await.unwrap().unwrap();
    assert_eq!((job.state, job.subject), (JobState::Undone, None));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_without_a_reference_id_is_erased() {
    let world = World::start().await;
    let body = daily("u-ann", "", 1, VALUE);
    deliver(&world, &[("c-0".to_owned(), body)]).await;
    let connection = world.connection("u-ann").await;
    let app = app(&world);
    let subject = Subject::Connection(connection.id.clone());
    let job = erase::order(&app, subject, "a test", 0).await.unwrap();
    let receipt = finish(&app, &job).await;
    assert_eq!(receipt.person, None);
    assert_eq!(traces(&world).await, Vec::<String>::new());
    world.system.stop().await;
}
