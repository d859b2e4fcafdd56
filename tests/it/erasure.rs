//! Erasing a person: nothing of them is left, and nothing of anybody else is missing.

use std::{
    collections::HashMap,
    fs,
    future::Future,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use api::id::to_path;
use aws_sdk_dynamodb::types::AttributeValue;
use destinations::id::OwnerId;
use domain::{
    access::{Scope, TokenScope},
    connection::ConnectionId,
    delivery::{
        Subscription,
        order::{Order, Purpose, Range},
    },
    message::{Body, EventMessage, JobKind, JobMessage},
    owner::RecordOwner,
};
use futures::TryStreamExt as _;
use jiff::{Timestamp, ToSpan as _, civil::date, tz::TimeZone};
use jobs::{App, Budget, erase};
use models::{
    headers::TerraHeaders,
    ids::{ReferenceId, TerraUserId, WebhookId},
    signature::SigningSecret,
};
use runtime::{metrics::Sink, queue::Queue};
use store::{
    archive::{Archive, SegmentBuilder, SegmentKey, WebhookHeader},
    exports::{ExportKey, Exports},
    table::{
        access::AuditLine,
        connections::Alias,
        erasures::{Receipt, first_break},
        jobs::{ExportDetail, Job, JobState, Subject},
        ledger::Outcome,
    },
};
use terrarium::system::{EVENTS_QUEUE, TABLE_NAME, dynamodb_client};
use tokio::time::Instant;

use crate::{
    api::{answered, key_with, token_for, url},
    deliveries::{
        far_end::{FarEnd as _, Receiver},
        home::Home,
    },
    objects::Objects,
    world::{SECRET, World, now},
};

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
    // No JSON: whose they are is known by their names alone.
    let lent = ["u-ann", "u-bob"].map(|user| {
        let owner = ConnectionId::of(&TerraUserId::new(user).unwrap());
        let folder = world.folder.path().join("outbox").join(owner.as_str());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("9-a.fit"), user).unwrap();
        folder.join("9-a.fit")
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

/// A line of the audit, as a look of somebody at the console leaves one.
fn look_at(person: Option<&str>, subject: Option<String>, number: u32) -> AuditLine {
    AuditLine {
        at_ms: now().as_millisecond(),
        actor: "console:anna".to_owned(),
        action: "GET /console/people/{person}".to_owned(),
        person: person.map(str::to_owned),
        subject,
        request_id: format!("r{number}"),
        number: 0,
        status: 200,
    }
}

/// Orders exports of both under names that may be repeated, and looks at both. Returns Bob's order.
async fn call_and_look(world: &World) -> reqwest::RequestBuilder {
    let key = key_with(world, Scope::ALL).await;
    let token = token_for(world, ANN, &[TokenScope::Export]).await;
    for caller in [&key, &token] {
        let path = format!("/v1/people/{}/exports", to_path(ANN));
        let request = world.http.post(url(world, &path)).bearer_auth(caller);
        let request = request.header("idempotency-key", "once").body("{}");
        let (status, made) = answered(request).await;
        assert_eq!(status, 202, "{made}");
    }
    let path = format!("/v1/people/{}/exports", to_path(BOB));
    let request = world.http.post(url(world, &path)).bearer_auth(&key);
    let bobs = request.header("idempotency-key", "bob").body("{}");
    assert_eq!(answered(bobs.try_clone().unwrap()).await.0, 202);
    let connection = ConnectionId::of(&TerraUserId::new("u-ann").unwrap());
    let lines = [
        look_at(Some(ANN), None, 1),
        look_at(Some(BOB), None, 2),
        look_at(None, Some(format!("{connection}/2026-07-01")), 3),
    ];
    for line in &lines {
        world.system.table.audit(line).await.unwrap();
    }
    bobs
}

/// Number of calls that are remembered for repetitions.
async fn kept_calls(world: &World) -> usize {
    let items = items(world).await;
    let kept = items.iter().map(|item| text_of(item, "pk"));
    kept.filter(|pk| pk.starts_with("IDEMPOTENCY#")).count()
}

/// People that the audit names since a time.
async fn audited_people(world: &World, since: Timestamp) -> Vec<Option<String>> {
    let days = [since, now()].map(|at| at.to_zoned(TimeZone::UTC).date().to_string());
    let mut people = Vec::new();
    for day in std::collections::BTreeSet::from(days) {
        let lines = world.system.table.audit_of_day(&day, None, 100).await;
        people.extend(lines.unwrap().into_iter().map(|line| line.person));
    }
    people
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_noted_about_a_person_does_not_name_them_after_their_erasure() {
    let begun = now();
    let home = Home::start().await;
    let world = &home.world;
    let table = &world.system.table;
    let receiver = Receiver::start().await;
    let people: std::collections::BTreeSet<_> = [ANN, BOB]
        .into_iter()
        .filter_map(ReferenceId::new)
        .collect();
    let chosen = Subscription {
        reference_ids: people.clone(),
        ..Subscription::default()
    };
    let destination = home
        .add_far_with(&receiver, |it| it.subscription = chosen.clone())
        .await;
    let id = &destination.id;
    deliver(world, &[of_ann(), of_bob()].concat()).await;
    let range = Range {
        subscription: chosen,
        ..Range::default()
    };
    let redrive = Purpose::Redrive { force: false };
    let order = Order::new("1".to_owned(), redrive, range, home.now_ms());
    table.put_order(id, &order).await.unwrap();
    home.settle(&destination).await;
    // What comes now is owed, and its attempts are noted.
    receiver.set_down(true);
    deliver(world, &[("a-99".to_owned(), daily("u-ann", ANN, 8, VALUE))]).await;
    home.idle().await;
    assert!(!table.health(id).await.unwrap().owing.is_empty());

    let bobs = call_and_look(world).await;
    home.idle().await;
    let before = traces(world).await;
    for place in ["AUDIT#", "DESTINATIONS/", "DESTINATION#"] {
        let place = format!("item {place}");
        assert!(
            before.iter().any(|trace| trace.starts_with(&place)),
            "{place}: {before:?}"
        );
    }

    // Of each call its answer and the place that it takes among the exports of a day.
    assert_eq!(kept_calls(world).await, 6);

    let app = &world.system.jobs;
    let job = erase::order(app, ann(), "a test", 0).await.unwrap();
    let go_on = async || Box::pin(jobs::go_on(app, &job.id, plenty())).await.unwrap();
    assert_eq!(go_on().await, Some(Duration::from_secs(2)));
    // Somebody looks while a destination is waited for.
    let line = look_at(Some(ANN), None, 4);
    table.audit(&line).await.unwrap();
    receiver.set_down(false);
    home.settle(&destination).await;
    assert_eq!(go_on().await, None);
    assert_eq!(traces(world).await, Vec::<String>::new());
    let receipt = table.receipt(&job.id).await.unwrap().unwrap();
    for place in [
        "lines of the audit",
        "kept answers",
        "choices of destinations",
    ] {
        assert!(receipt.counts.contains_key(place), "{place}: {receipt:?}");
    }

    // Ids of connections are left in tombstones, and where erasures are proved.
    let connection = ConnectionId::of(&TerraUserId::new("u-ann").unwrap());
    for item in items(world).await {
        let sk = text_of(&item, "sk");
        let is_proof = sk.starts_with("ERASURE#") || sk == "ALIAS";
        let names = format!("{item:?}").contains(connection.as_str());
        assert!(is_proof || !names, "{item:?}");
    }
    // The audit still says what was done, and to the one of the receipt.
    let audited = audited_people(world, begun).await;
    let of = |person| audited.iter().filter(|it| **it == person).count();
    assert!(receipt.person.is_some() && of(receipt.person.clone()) >= 4);
    assert!(of(Some(BOB.to_owned())) >= 2);
    // A choice of two people has not become one of all.
    let destination = table.destination(id).await.unwrap().unwrap();
    let chosen = destination.subscription.reference_ids;
    assert_eq!(chosen.len(), 2);
    assert_eq!(chosen.intersection(&people).count(), 1);
    // Bob's call is remembered.
    assert_eq!(kept_calls(world).await, 2);
    let (status, _) = answered(bobs).await;
    assert_eq!(status, 202);
    let bob = OwnerId::of(&RecordOwner::Connection(ConnectionId::of(
        &TerraUserId::new("u-bob").unwrap(),
    )));
    assert!(home.owners().await.contains(&bob));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_years_of_a_person_are_erased_with_hardly_more_reads_than_they_have_webhooks() {
    let world = World::start().await;
    deliver(&world, &[of_ann(), of_bob()].concat()).await;
    let objects = Arc::new(Objects::default());
    let archive = Archive::over(Arc::<Objects>::clone(&objects));
    let clock = Arc::new(AtomicI64::new(0));
    let app = App {
        archive: archive.clone(),
        jobs: world.system.jobs.jobs.clone(),
        clock: {
            let clock = Arc::clone(&clock);
            Arc::new(move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap())
        },
        ..app(&world)
    };
    let (first, days) = (date(2023, 7, 15), 1096_usize);
    let mut written = 0;
    let mut theirs = Vec::new();
    for number in 0..1096 {
        let day = first.checked_add(number.days()).unwrap();
        let noon = day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        // Ann is in one of three segments, and Bob in all of them.
        for (second, users) in [
            (1, vec!["u-bob"]),
            (2, vec!["u-bob", "u-ann"]),
            (3, vec!["u-bob"]),
        ] {
            let at = noon.timestamp() + jiff::SignedDuration::from_secs(second);
            let mut segment = SegmentBuilder::new();
            for user in &users {
                let header = WebhookHeader {
                    webhook_id: format!("{user}-{number}-{second}"),
                    terra_user_ids: vec![(*user).to_owned()],
                    received_at: at.to_string(),
                    ..WebhookHeader::default()
                };
                let body = daily(user, user, 1, VALUE);
                segment.append(header, body.as_bytes(), &[]).unwrap();
            }
            let key = SegmentKey::new(at, 1);
            archive
                .write_segment(key.clone(), segment.finish())
                .await
                .unwrap();
            written += 1;
            if users.len() == 2 {
                theirs.push(key);
            }
        }
    }
    objects.requests();
    // The index as it grows: a look after each day's end.
    for number in 1..=1096 {
        let day = first.checked_add(number.days()).unwrap();
        let look = day.at(0, 10, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        clock.store(look.timestamp().as_millisecond(), Ordering::SeqCst);
        let look = jobs::run(&app, JobMessage::Work, plenty());
        Box::pin(look).await.unwrap();
    }
    let (reads, _) = objects.requests();
    // Each segment is read once, whatever else a look asks.
    assert!(reads >= written && reads < written + days * 12, "{reads}");

    let job = erase::order(&app, ann(), "a test", 0).await.unwrap();
    let receipt = finish(&app, &job).await;
    let (reads, writes) = objects.requests();
    println!(
        "{reads} reads and {writes} writes for {} webhooks",
        theirs.len()
    );
    assert_eq!(receipt.counts["archived webhooks"], theirs.len() as u64);
    assert!(reads < theirs.len() + 500, "{reads} reads");
    assert!(writes < theirs.len() + 20, "{writes} writes");
    for key in theirs {
        let webhooks = archive.webhooks_in(&key).await.unwrap();
        let erased = webhooks
            .iter()
            .map(|(_, header)| header.erased_at.is_some());
        assert_eq!(erased.collect::<Vec<_>>(), [false, true]);
    }
    world.system.stop().await;
}
