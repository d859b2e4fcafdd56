//! Stories: what Terra sends, as an app's table and archive end up.

use std::collections::BTreeSet;

use domain::{
    connection::{ConnectionId, Status},
    message::{Body, EventMessage},
    plan::ParkReason,
    request::{RequestStatus, SILENCE_MS},
    summary,
};
use jiff::{SignedDuration, civil::Date, tz::TimeZone};
use models::{
    data::DataType,
    headers::TerraHeaders,
    ids::{TerraUserId, WebhookId},
};
use runtime::queue::Queue;
use serde_json::{Value, json};
use simulator::{
    DataType as Kind, Oddity, Payloads, Provider, Scores, Shape, Size, Webhook,
    scenario::{self, ChunkForm, ReauthOrder},
};
use store::{
    parcel,
    table::{
        key::RecordOwner,
        ledger::Outcome,
        records::{IncomingRecord, Mode},
    },
};
use terrarium::system::EVENTS_QUEUE;

use crate::world::{World, now, terra};

/// The webhook with another body, all else as it was.
fn with_body(webhook: &Webhook, change: impl FnOnce(&mut Value)) -> Webhook {
    let mut body: Value = serde_json::from_slice(&webhook.body).unwrap();
    change(&mut body);
    Webhook {
        body: body.to_string().into(),
        ..webhook.clone()
    }
}

fn day_of(terra: &simulator::World) -> Date {
    terra.now().to_zoned(TimeZone::UTC).date()
}

/// Every order of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let inserted = |order: &Vec<usize>, place: usize| {
        let mut order = order.clone();
        order.insert(place, count - 1);
        order
    };
    shorter
        .iter()
        .flat_map(|order| (0..count).map(move |place| inserted(order, place)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_again_is_stored_once() {
    let (world, mut terra) = (World::start().await, terra(1));
    let garmin = terra.connection(Provider::Garmin);
    let webhook = terra.data(&garmin, Kind::Daily, &Shape::default());
    world
        .deliver_in_order(&[webhook.clone(), webhook.clone(), webhook.clone()])
        .await;

    assert_eq!(
        world
            .records(&garmin.terra_user_id, DataType::Daily)
            .await
            .len(),
        1
    );
    assert_eq!(world.entry_of(&webhook).await.records.created, 1);
    assert_eq!(
        world.archived().await[webhook.trace_id.as_ref().unwrap()],
        1
    );

    // Without a trace id the bytes themselves are the identity.
    let nameless = Webhook {
        trace_id: None,
        ..terra.data(&garmin, Kind::Sleep, &Shape::default())
    };
    world.deliver_in_order(&[nameless.clone(), nameless]).await;
    assert_eq!(
        world.archived().await.values().copied().collect::<Vec<_>>(),
        [1, 1]
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_under_a_used_trace_id_is_kept_too() {
    let (world, mut terra) = (World::start().await, terra(2));
    let garmin = terra.connection(Provider::Garmin);
    let day = day_of(&terra);
    let one = terra.data(&garmin, Kind::Daily, &Shape::on(Some(day)));
    let other = terra.data(&garmin, Kind::Daily, &Shape::on(day.yesterday().ok()));
    let other = Webhook {
        trace_id: one.trace_id.clone(),
        ..other
    };
    world.deliver_in_order(&[one, other]).await;
    assert_eq!(
        world
            .records(&garmin.terra_user_id, DataType::Daily)
            .await
            .len(),
        2
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_share_a_reference_are_all_stored() {
    let (world, mut terra) = (World::start().await, terra(3));
    for (provider, named) in [(Provider::Garmin, true), (Provider::Oura, false)] {
        let connection = terra.connection(provider);
        let form = ChunkForm::SameReference;
        let mut webhooks =
            scenario::large_request(&mut terra, &connection, Kind::Daily, form, 4, &[]);
        if !named {
            for webhook in &mut webhooks {
                webhook.trace_id = None;
            }
        }
        for webhook in &webhooks {
            world.deliver(webhook).await;
        }
        world.idle().await;
        let days = world
            .records(&connection.terra_user_id, DataType::Daily)
            .await
            .len();
        assert_eq!(days, 4 * 7, "with trace ids: {named}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_stale_delivery_changes_nothing_but_fills_scores_that_were_null() {
    let (world, mut terra) = (World::start().await, terra(4));
    let garmin = terra.connection(Provider::Garmin);
    let day = Some(day_of(&terra));
    let oldest = terra.data(&garmin, Kind::Daily, &Shape::on(day).until(300));
    let stale = terra.data(&garmin, Kind::Daily, &Shape::on(day).until(600));
    let newest = terra.data(&garmin, Kind::Daily, &Shape::on(day).scores(Scores::Null));

    world.deliver_in_order(std::slice::from_ref(&newest)).await;
    let before = world.records(&garmin.terra_user_id, DataType::Daily).await;
    assert!(before[0].record.enrichment.is_empty());

    world.deliver_in_order(std::slice::from_ref(&stale)).await;
    let filled = world.records(&garmin.terra_user_id, DataType::Daily).await;
    assert_eq!(filled[0].record.newest, before[0].record.newest);
    assert!(
        !filled[0].record.enrichment.is_empty(),
        "the scores are still null"
    );
    assert_eq!(world.entry_of(&stale).await.records.updated, 1);

    world.deliver_in_order(std::slice::from_ref(&oldest)).await;
    let after = world.records(&garmin.terra_user_id, DataType::Daily).await;
    assert_eq!(after[0].record, filled[0].record);
    assert_eq!(world.entry_of(&oldest).await.records.unchanged, 1);
    world.system.stop().await;
}

/// Delivers one story per order, in step: the first webhook of each, then the second of each, …
/// Between two steps everything is done.
async fn in_step(world: &World, stories: &[Vec<Webhook>]) {
    for step in 0..stories[0].len() {
        for story in stories {
            world.deliver(&story[step]).await;
        }
        world.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reauthentication_ends_in_one_connection_in_every_order() {
    let (world, mut terra) = (World::start().await, terra(5));
    let mut people = Vec::new();
    let mut stories = Vec::new();
    for order in orders(5) {
        let old = terra.stranger(Provider::Garmin);
        let today = day_of(&terra);
        let auth_old = terra.auth(&old);
        let data_old = terra.data(&old, Kind::Daily, &Shape::on(today.yesterday().ok()));
        let new = terra.reauthenticate(&old);
        let auth_new = terra.auth(&new);
        let reauth = terra.user_reauth(Some(&old), &new);
        let data_new = terra.data(&new, Kind::Daily, &Shape::on(Some(today)));
        let webhooks = [auth_old, data_old, auth_new, reauth, data_new];
        stories.push(order.iter().map(|&index| webhooks[index].clone()).collect());
        people.push((order, old, new));
    }
    in_step(&world, &stories).await;

    for (order, old, new) in people {
        let expected = ConnectionId::of(&TerraUserId::new(&old.terra_user_id).unwrap());
        for user in [&old.terra_user_id, &new.terra_user_id] {
            let connection = world.connection(user).await;
            assert_eq!(connection.id, expected, "{order:?}");
            assert!(connection.absorbing.is_empty(), "{order:?}");
            assert_eq!(connection.state.status(), Status::Active, "{order:?}");
            let (current, _) = connection.state.current().unwrap();
            assert_eq!(current.as_str(), new.terra_user_id, "{order:?}");
        }
        let records = world.records(&old.terra_user_id, DataType::Daily).await;
        assert_eq!(records.len(), 2, "{order:?}");
    }
    assert!(world.dead_letters().await.is_empty());
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_reauthentications_ends_in_one_connection_in_every_order() {
    let (world, mut terra) = (World::start().await, terra(6));
    let mut people = Vec::new();
    let mut stories = Vec::new();
    // Every third order: each link still comes in every place.
    for order in orders(5).into_iter().step_by(3) {
        let a = terra.stranger(Provider::Fitbit);
        let today = day_of(&terra);
        let day = |back: i64| {
            Shape::on(
                today
                    .checked_sub(SignedDuration::from_hours(24 * back))
                    .ok(),
            )
        };
        let data_a = terra.data(&a, Kind::Daily, &day(3));
        let b = terra.reauthenticate(&a);
        let (a_to_b, data_b) = (
            terra.user_reauth(Some(&a), &b),
            terra.data(&b, Kind::Daily, &day(2)),
        );
        let c = terra.reauthenticate(&b);
        let (b_to_c, data_c) = (
            terra.user_reauth_short(&b, &c),
            terra.data(&c, Kind::Daily, &day(1)),
        );
        let webhooks = [data_a, a_to_b, data_b, b_to_c, data_c];
        stories.push(order.iter().map(|&index| webhooks[index].clone()).collect());
        people.push((order, [a, b, c]));
    }
    in_step(&world, &stories).await;

    for (order, ids) in people {
        let expected = ConnectionId::of(&TerraUserId::new(&ids[0].terra_user_id).unwrap());
        for connection in &ids {
            let found = world.connection(&connection.terra_user_id).await;
            assert_eq!(found.id, expected, "{order:?}");
            assert_eq!(found.state.members.len(), 3, "{order:?}");
        }
        let records = world.records(&ids[2].terra_user_id, DataType::Daily).await;
        assert_eq!(records.len(), 3, "{order:?}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reauthentications_all_at_once_end_in_one_connection() {
    let (world, mut terra) = (World::start().await, terra(7));
    let mut people = Vec::new();
    let mut webhooks = Vec::new();
    for form in [
        ReauthOrder::AuthFirst,
        ReauthOrder::ReauthFirst,
        ReauthOrder::NewestLinkFirst,
    ]
    .repeat(4)
    {
        let connection = terra.stranger(Provider::Oura);
        let story = scenario::reauth_chain(&mut terra, &connection, 4, form);
        let users: BTreeSet<_> = story
            .iter()
            .filter_map(|webhook| webhook.terra_user_id.clone())
            .collect();
        people.push((connection, users));
        webhooks.extend(story);
    }
    futures::future::join_all(webhooks.iter().map(|webhook| world.deliver(webhook))).await;
    world.idle().await;

    for (first, users) in people {
        assert_eq!(users.len(), 5);
        let expected = ConnectionId::of(&TerraUserId::new(&first.terra_user_id).unwrap());
        for user in users {
            assert_eq!(world.connection(&user).await.id, expected);
        }
    }
    assert!(world.dead_letters().await.is_empty());
    world.system.stop().await;
}

/// Leaves records as a router does that is killed between writing them and looking where they belong.
async fn leave_under(world: &World, former: &RecordOwner, current: &RecordOwner) {
    let records = world.system.table.records(current, None).await.unwrap();
    assert!(!records.is_empty());
    let left = records.into_iter().map(|found| IncomingRecord {
        owner: former.clone(),
        data_type: found.data_type,
        key: found.key,
        sessions: Vec::new(),
        record: found.record,
    });
    let table = &world.system.table;
    table
        .apply_records(left.collect(), Mode::Write)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_router_left_under_a_former_id_is_moved_or_erased_when_it_comes_again() {
    let (world, mut terra) = (World::start().await, terra(21));
    let old = terra.stranger(Provider::Garmin);
    let new = terra.reauthenticate(&old);
    let reauth = terra.user_reauth(Some(&old), &new);
    let data = terra.data(&new, Kind::Daily, &Shape::on(Some(day_of(&terra))));
    let again = |trace_id: &str| Webhook {
        trace_id: Some(trace_id.to_owned()),
        ..data.clone()
    };
    let reauth_again = Webhook {
        trace_id: Some("reauth-after-a-kill".to_owned()),
        ..reauth.clone()
    };
    world.deliver_in_order(&[data.clone(), reauth]).await;
    let connection = world.connection(&new.terra_user_id).await;
    let current = RecordOwner::Connection(connection.id.clone());
    let user = TerraUserId::new(&new.terra_user_id).unwrap();
    let former = RecordOwner::Connection(ConnectionId::of(&user));
    assert_ne!(current, former);

    let table = &world.system.table;
    // A router may die while it moves records, too, and then brings none of its own.
    for webhook in [again("after-a-kill"), reauth_again] {
        leave_under(&world, &former, &current).await;
        world.deliver_in_order(&[webhook]).await;
        assert!(table.records(&former, None).await.unwrap().is_empty());
        assert_eq!(table.records(&current, None).await.unwrap().len(), 1);
    }

    leave_under(&world, &former, &current).await;
    let erased = table.erase_connection(&connection, "2026-01-01T00:00:00Z");
    assert!(erased.await.unwrap() > 0);
    assert!(table.records(&former, None).await.unwrap().is_empty());

    let stray = terra.stranger(Provider::Garmin);
    let elsewhere = terra.data(&stray, Kind::Daily, &Shape::on(Some(day_of(&terra))));
    world.deliver_in_order(&[elsewhere]).await;
    let stray = world.connection(&stray.terra_user_id).await;
    let stray = RecordOwner::Connection(stray.id);
    for place in [&former, &current] {
        leave_under(&world, place, &stray).await;
    }
    world.deliver_in_order(&[again("after-the-erasure")]).await;
    for place in [&former, &current] {
        assert!(table.records(place, None).await.unwrap().is_empty());
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_before_auth_wait_for_nobody() {
    let (world, mut terra) = (World::start().await, terra(8));
    let story = scenario::data_before_auth(&mut terra, Provider::Cronometer);
    let user = story[0].terra_user_id.clone().unwrap();
    world.deliver_in_order(&story[..1]).await;
    let before = world.connection(&user).await;
    assert_eq!(before.state.status(), Status::Active);
    assert_eq!(world.records(&user, DataType::Nutrition).await.len(), 1);

    world.deliver_in_order(&story[1..]).await;
    assert_eq!(world.connection(&user).await.id, before.id);
    assert_eq!(world.records(&user, DataType::Nutrition).await.len(), 1);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_parked_and_what_is_beside_it_stored() {
    let (world, mut terra) = (World::start().await, terra(9));
    let garmin = terra.connection(Provider::Garmin);
    let story = scenario::unusable(&mut terra, &garmin);
    let not_json = terra.not_json();
    world.deliver(&not_json).await;
    for webhook in &story {
        world.deliver(webhook).await;
    }
    world.idle().await;

    for webhook in story.iter().chain([&not_json]) {
        let entry = world.entry_of(webhook).await;
        let archived = world
            .system
            .archive
            .read_webhook(entry.locator.as_ref().unwrap())
            .await;
        assert_eq!(
            archived.unwrap().body,
            webhook.body,
            "{}",
            webhook.event_type
        );
        let reasons: Vec<_> = entry
            .parked
            .iter()
            .map(|parked| (parked.index, parked.reason))
            .collect();
        match webhook.event_type.as_str() {
            "daily" if entry.outcome == Outcome::Parked => {
                assert_eq!(reasons.len(), 1);
                assert_eq!(reasons[0].0, Some(0));
                assert_eq!(entry.records.created, 1);
            }
            "daily" => assert!(reasons.is_empty()),
            "not_json" => assert_eq!(reasons, [(None, ParkReason::NotJson)]),
            _ => assert_eq!(
                reasons,
                [(None, ParkReason::UnknownType)],
                "{}",
                webhook.event_type
            ),
        }
    }
    assert_eq!(
        world
            .records(&garmin.terra_user_id, DataType::Daily)
            .await
            .len(),
        1
    );
    assert!(world.dead_letters().await.is_empty());
    world.system.stop().await;
}

fn message(body: Body) -> EventMessage {
    EventMessage {
        webhook_id: WebhookId::new("poison").unwrap(),
        headers: TerraHeaders::default(),
        received_at_ms: now().as_millisecond(),
        signed_at_s: None,
        secret_name: None,
        late: false,
        size_bytes: 7,
        body,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_given_up_and_takes_nothing_good_with_it() {
    let (world, mut terra) = (World::start_impatient().await, terra(10));
    let raw = Queue::<Value>::new(world.system.queues.transport(EVENTS_QUEUE));
    let events = Queue::<EventMessage>::new(world.system.queues.transport(EVENTS_QUEUE));
    let garmin = terra.connection(Provider::Garmin);
    let today = day_of(&terra);
    let mut good = Vec::new();
    for back in 0..20 {
        let day = today
            .checked_sub(SignedDuration::from_hours(24 * back))
            .unwrap();
        good.push(terra.data(&garmin, Kind::Daily, &Shape::on(Some(day))));
        match back {
            3 => raw.send(&json!({"no": "message of ours"})).await.unwrap(),
            7 => events
                .send(&message(Body::Inline("not base64!".into())))
                .await
                .unwrap(),
            11 => events
                .send(&message(Body::Inbox("no key".into())))
                .await
                .unwrap(),
            _ => {}
        }
        world.deliver(good.last().unwrap()).await;
    }
    world.idle().await;

    assert_eq!(
        world
            .records(&garmin.terra_user_id, DataType::Daily)
            .await
            .len(),
        good.len()
    );
    for webhook in &good {
        assert_eq!(world.entry_of(webhook).await.outcome, Outcome::Stored);
    }
    let dead = world.dead_letters().await;
    assert_eq!(dead.len(), 3, "{dead:?}");
    world.still_works("after-poison").await;
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_five_megabytes_is_kept_to_the_byte() {
    let (world, mut terra) = (World::start().await, terra(11));
    let core = terra.connection(Provider::Core);
    let webhook = terra.data(&core, Kind::Body, &Shape::default().size(Size::Giant));
    assert!(webhook.body.len() > 5_000_000);
    world.deliver_in_order(std::slice::from_ref(&webhook)).await;

    let entry = world.entry_of(&webhook).await;
    let archived = world
        .system
        .archive
        .read_webhook(&entry.locator.unwrap())
        .await
        .unwrap();
    assert!(archived.body == webhook.body);
    let sent: Value = serde_json::from_slice(&webhook.body).unwrap();
    let records = world.records(&core.terra_user_id, DataType::Body).await;
    assert_eq!(records.len(), sent["data"].as_array().unwrap().len());
    for (found, sent) in records.iter().zip(sent["data"].as_array().unwrap()) {
        assert!(world.sent(found).await == *sent, "{}", found.key);
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_fits_no_message_goes_through_the_inbox_and_leaves_nothing_there() {
    let (world, mut terra) = (World::start().await, terra(12));
    let garmin = terra.connection(Provider::Garmin);
    let noise: Vec<String> = std::iter::successors(Some(1_u64), |state| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    })
    .take(150_000)
    .map(|number| format!("{number:016x}"))
    .collect();
    let webhook = terra.data(&garmin, Kind::Daily, &Shape::default());
    let webhook = with_body(&webhook, |body| {
        body["data"][0]["noise"] = noise.concat().into();
    });
    let id = WebhookId::new("only-packed").unwrap();
    let packed = parcel::pack(&world.system.archive, &id, &webhook.body, now())
        .await
        .unwrap();
    assert!(matches!(packed, Body::Inbox(_)), "it would have fitted");
    parcel::discard(&world.system.archive, &packed)
        .await
        .unwrap();

    world.deliver_in_order(std::slice::from_ref(&webhook)).await;
    let entry = world.entry_of(&webhook).await;
    assert_eq!(entry.records.created, 1);
    // A retry that was queued beside the first try finds the body gone, and the work done.
    let retry = EventMessage {
        webhook_id: entry.webhook_id.clone(),
        headers: TerraHeaders::default(),
        received_at_ms: entry.received_at_ms,
        signed_at_s: None,
        secret_name: None,
        late: false,
        size_bytes: entry.size_bytes,
        body: packed,
    };
    let events = Queue::new(world.system.queues.transport(EVENTS_QUEUE));
    events.send(&retry).await.unwrap();
    world.idle().await;
    let archived = world
        .system
        .archive
        .read_webhook(&entry.locator.unwrap())
        .await
        .unwrap();
    assert!(archived.body == webhook.body);
    let mut folders = vec![world.folder.path().join("inbox")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            assert!(
                entry.file_type().unwrap().is_dir(),
                "{:?} is left",
                entry.path()
            );
            folders.push(entry.path());
        }
    }
    world.system.stop().await;
}

async fn serve(payloads_of: impl FnOnce(String) -> Payloads) -> Payloads {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let payloads = payloads_of(format!("http://{}", listener.local_addr().unwrap()));
    let router = simulator::server::router(payloads.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    payloads
}

#[tokio::test(flavor = "multi_thread")]
async fn what_terra_writes_to_a_queue_of_ours_takes_the_same_road() {
    let (world, mut terra) = (World::start().await, terra(22));
    let payloads = serve(|url| Payloads::new(&url, b"s3", std::sync::Arc::new(now))).await;
    terra.set_now(now());
    let arn = "arn:aws:sqs:eu-west-2:000000000000:terra-destination";
    let own = &world.system.router;
    let router = event_router::App {
        table: own.table.clone(),
        archive: own.archive.clone(),
        payloads: own.payloads.clone(),
        history: None,
        announcer: None,
        terra_queue_arn: Some(arn.to_owned()),
        metrics: own.metrics.clone(),
        observer: None,
    };
    let connection = terra.connection(Provider::Cronometer);
    let shape = Shape::default();
    let ping = scenario::ping(
        &mut terra,
        &connection,
        Kind::Nutrition,
        &shape,
        &payloads,
        "s3_payload",
    );
    let ping = String::from_utf8(ping.body.to_vec()).unwrap();
    let direct = terra.data(&connection, Kind::Body, &shape);
    let direct = String::from_utf8(direct.body.to_vec()).unwrap();
    let healthcheck = String::from_utf8(terra.healthcheck().body.to_vec()).unwrap();
    let nonsense = "no JSON".to_owned();
    let sent_at_ms = now().as_millisecond();
    let message = |id: &str, arn: &str, body: &str| {
        json!({
            "messageId": id,
            "eventSourceARN": arn,
            "body": body,
            "attributes": {"SentTimestamp": sent_at_ms.to_string(), "ApproximateReceiveCount": "1"},
            "messageAttributes": {},
        })
    };
    let bodies = [&ping, &direct, &healthcheck, &nonsense];
    let mut messages: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| message(&number.to_string(), arn, body))
        .collect();
    // On any other queue this is no message of ours.
    messages.push(message("foreign", &format!("{arn}-2"), &direct));
    let event = serde_json::from_value(json!({ "Records": messages })).unwrap();
    // Twice: a queue delivers at least once.
    for _ in 0..2 {
        let response = event_router::handle(
            &router,
            Clone::clone(&event),
            now(),
            std::time::Duration::from_mins(1),
        )
        .await;
        let failed = response.batch_item_failures.into_iter();
        let failed: Vec<_> = failed.map(|failure| failure.item_identifier).collect();
        assert_eq!(failed, ["foreign"]);
    }

    let user = &connection.terra_user_id;
    assert_eq!(world.records(user, DataType::Nutrition).await.len(), 1);
    assert_eq!(world.records(user, DataType::Body).await.len(), 1);
    let outcomes = [
        Outcome::Followed,
        Outcome::Stored,
        Outcome::Noted,
        Outcome::Parked,
    ];
    for (body, outcome) in bodies.iter().zip(outcomes) {
        let id = WebhookId::of(&TerraHeaders::default(), body.as_bytes());
        let entry = world.entry(id.as_str()).await.unwrap();
        assert_eq!(entry.outcome, outcome);
        assert_eq!(entry.received_at_ms, sent_at_ms);
        let locator = entry.locator.unwrap();
        let archived = world.system.archive.read_webhook(&locator).await.unwrap();
        assert!(archived.body == body.as_bytes());
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_followed_where_they_may_be_and_parked_where_not() {
    let (world, mut terra) = (World::start().await, terra(13));
    let payloads = serve(|url| Payloads::new(&url, b"s3", std::sync::Arc::new(now))).await;
    let late = std::sync::Arc::new(|| now().checked_add(SignedDuration::from_hours(2)).unwrap());
    let expired = serve(|url| Payloads::new(&url, b"s3", late)).await;
    terra.set_now(now());

    for (provider, name) in [
        (Provider::Garmin, "s3_payload"),
        (Provider::Oura, "s3_upload"),
    ] {
        let connection = terra.connection(provider);
        let shape = Shape::default();
        let ping = scenario::ping(
            &mut terra,
            &connection,
            Kind::Daily,
            &shape,
            &payloads,
            name,
        );
        world.deliver_in_order(&[ping.clone(), ping.clone()]).await;
        assert_eq!(world.entry_of(&ping).await.outcome, Outcome::Followed);
        let payload = format!("{}~payload", ping.trace_id.as_deref().unwrap());
        assert_eq!(world.entry(&payload).await.unwrap().records.created, 1);
        assert_eq!(world.archived().await[&payload], 1);
        assert_eq!(
            world
                .records(&connection.terra_user_id, DataType::Daily)
                .await
                .len(),
            1
        );
    }

    let fitbit = terra.connection(Provider::Fitbit);
    let data = terra.data(&fitbit, Kind::Daily, &Shape::default());
    let shape = Shape::default();
    let gone = scenario::ping(
        &mut terra,
        &fitbit,
        Kind::Daily,
        &shape,
        &expired,
        "s3_payload",
    );
    let foreign = terra.ping("s3_payload", &data, "https://payloads.example.org/1", 300);
    let inside = terra.ping("s3_payload", &data, "https://169.254.169.254/latest", 300);
    let plain = terra.ping("s3_payload", &data, "http://bucket.s3.amazonaws.com/1", 300);
    let moved = payloads.put_oddly(
        "moved",
        data.body.clone(),
        now(),
        300,
        Oddity::Redirect("https://payloads.example.org/1".into()),
    );
    let moved = terra.ping("s3_payload", &data, &moved, 300);
    let nowhere = terra.ping("s3_payload", &data, "", 300);
    for webhook in [&gone, &foreign, &inside, &plain, &moved, &nowhere] {
        world.deliver(webhook).await;
    }
    // The ping itself came after the end of its URL.
    let url = payloads.put("late", data.body.clone(), now(), 100_000);
    let late = terra.ping("s3_payload", &data, &url, 300);
    let an_hour_ago = now().checked_sub(SignedDuration::from_hours(1)).unwrap();
    world.deliver_signed_at(&late, an_hour_ago).await;
    world.idle().await;

    for (webhook, reason) in [
        (&gone, ParkReason::PayloadExpired),
        (&foreign, ParkReason::HostNotAllowed),
        (&inside, ParkReason::HostNotAllowed),
        (&plain, ParkReason::HostNotAllowed),
        (&moved, ParkReason::HostNotAllowed),
        (&nowhere, ParkReason::NoUrl),
        (&late, ParkReason::PayloadExpired),
    ] {
        let entry = world.entry_of(webhook).await;
        assert_eq!(entry.outcome, Outcome::Parked);
        assert_eq!(entry.parked[0].reason, reason);
        assert!(entry.locator.is_some());
    }
    assert!(world.dead_letters().await.is_empty());
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_complete_once_every_chunk_came_in_both_header_forms() {
    let (world, mut terra) = (World::start().await, terra(14));
    for form in [ChunkForm::SameReference, ChunkForm::NumberedReference] {
        for shuffled in [false, true] {
            let connection = terra.stranger(Provider::Garmin);
            let webhooks = if shuffled {
                scenario::large_request_shuffled(&mut terra, &connection, Kind::Daily, form, 3)
            } else {
                scenario::large_request(&mut terra, &connection, Kind::Daily, form, 3, &[])
            };
            let reference = webhooks
                .iter()
                .find(|webhook| webhook.event_type == "large_request_sending")
                .and_then(|webhook| webhook.reference.clone())
                .unwrap();
            world.deliver_in_order(&webhooks).await;
            let request = world
                .system
                .table
                .request(&reference)
                .await
                .unwrap()
                .unwrap();
            let status = request.status(now().as_millisecond());
            assert_eq!(
                status,
                RequestStatus::Complete,
                "{form:?} {shuffled} {request:?}"
            );
            assert_eq!(request.chunks.len(), 3);
            let days = world
                .records(&connection.terra_user_id, DataType::Daily)
                .await
                .len();
            assert_eq!(days, 21);
        }
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_that_lost_a_chunk_is_short_after_an_hour_of_silence() {
    let (world, mut terra) = (World::start().await, terra(15));
    let garmin = terra.connection(Provider::Garmin);
    let form = ChunkForm::NumberedReference;
    let webhooks = scenario::large_request(&mut terra, &garmin, Kind::Daily, form, 3, &[2]);
    let reference = webhooks[0].reference.clone().unwrap();
    world.deliver_in_order(&webhooks[..1]).await;
    let request = world
        .system
        .table
        .request(&reference)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        request.status(request.last_seen_ms),
        RequestStatus::Announced
    );

    world.deliver_in_order(&webhooks[1..]).await;
    let request = world
        .system
        .table
        .request(&reference)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        request.status(request.last_seen_ms + SILENCE_MS - 1),
        RequestStatus::Receiving
    );
    assert_eq!(
        request.status(request.last_seen_ms + SILENCE_MS),
        RequestStatus::Short
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_connection_keeps_late_data_and_comes_back_with_new_ones() {
    let (world, mut terra) = (World::start().await, terra(16));
    let garmin = terra.connection(Provider::Garmin);
    let (auth, late) = (
        terra.auth(&garmin),
        terra.data(&garmin, Kind::Daily, &Shape::default()),
    );
    let deauth = terra.deauth(&garmin);
    world.deliver_in_order(&[auth, deauth, late]).await;
    let connection = world.connection(&garmin.terra_user_id).await;
    assert_eq!(connection.state.status(), Status::Ended);
    assert_eq!(
        world
            .records(&garmin.terra_user_id, DataType::Daily)
            .await
            .len(),
        1
    );

    terra.advance(SignedDuration::from_mins(2));
    let new = terra.data(&garmin, Kind::Daily, &Shape::default());
    world.deliver_in_order(&[new]).await;
    let connection = world.connection(&garmin.terra_user_id).await;
    assert_eq!(connection.state.status(), Status::Active);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_come_and_go() {
    let (world, mut terra) = (World::start().await, terra(17));
    let garmin = terra.connection(Provider::Garmin);
    let auth = terra.auth(&garmin);
    let story = scenario::permissions(&mut terra, &garmin);
    let has = async |world: &World| {
        let scopes = world.connection(&garmin.terra_user_id).await.state.scopes();
        scopes.is_some_and(|scopes| scopes.0.contains("BODY_EXPORT"))
    };
    let is_withdrawn = async |world: &World| {
        let stored = world.connection(&garmin.terra_user_id).await;
        stored.state.withdrawn_at_ms().is_some()
    };
    world.deliver_in_order(&[auth]).await;
    assert!(!has(&world).await && !is_withdrawn(&world).await);
    // The withdrawal comes first and is the newer: the grant changes nothing any more.
    world.deliver_in_order(&story[1..]).await;
    world.deliver_in_order(&story[..1]).await;
    assert!(!has(&world).await && is_withdrawn(&world).await);

    // Without `user.scopes` the differences count.
    let given = terra.permission_change(&garmin, "BODY_EXPORT", "");
    let given = with_body(&given, |body| body["user"]["scopes"] = Value::Null);
    world.deliver_in_order(&[given]).await;
    assert!(has(&world).await && !is_withdrawn(&world).await);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_day_grows_and_keeps_its_samples_and_its_temperature() {
    let (world, mut terra) = (World::start().await, terra(18));
    let core = terra.connection(Provider::Core);
    let averages_out = |body: &mut Value| {
        for name in [
            "day_avg_body_temperature_celsius",
            "day_avg_skin_temperature_celsius",
        ] {
            body["data"][0]["temperature_data"][name] = Value::Null;
        }
    };
    let story: Vec<_> = scenario::superset_day(&mut terra, &core, Kind::Body, 6)
        .iter()
        .map(|webhook| with_body(webhook, averages_out))
        .collect();
    let samples = |record: &Value| {
        record["temperature_data"]["body_temperature_samples"]
            .as_array()
            .unwrap()
            .len()
    };
    let mut known = 0;
    for webhook in &story {
        world.deliver_in_order(std::slice::from_ref(webhook)).await;
        let found = world.records(&core.terra_user_id, DataType::Body).await;
        assert_eq!(found.len(), 1);
        let count = samples(&world.sent(&found[0]).await);
        assert!(count >= known);
        known = count;
    }
    assert!(known > 30, "{known}");
    let full = world
        .records(&core.terra_user_id, DataType::Body)
        .await
        .remove(0);
    let temperature = full
        .record
        .summary()
        .get("body_temperature_celsius")
        .unwrap();
    let summary::Value::Number(celsius) = temperature else {
        panic!("{temperature:?}")
    };
    assert!((35.0..42.0).contains(&celsius), "{celsius}");

    let bare = terra.data(&core, Kind::Body, &Shape::default().without_samples());
    let bare = with_body(&bare, averages_out);
    world.deliver_in_order(std::slice::from_ref(&bare)).await;
    let found = world
        .records(&core.terra_user_id, DataType::Body)
        .await
        .remove(0);
    assert!(found.record.newest.version > full.record.newest.version);
    assert_eq!(samples(&world.sent(&found).await), 0);
    let older = found.record.sampled_arrivals();
    let (kept, _) = older.first().expect("the samples are gone");
    let kept = world
        .system
        .archive
        .read_frames(&kept.locator)
        .await
        .unwrap();
    assert_eq!(samples(&serde_json::from_slice(&kept).unwrap()), known);
    let summary = found.record.summary();
    assert_eq!(
        summary.get("body_temperature_celsius"),
        Some(summary::Value::Number(celsius))
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cronometer_diary_that_shrinks_is_replaced() {
    let (world, mut terra) = (World::start().await, terra(19));
    let cronometer = terra.connection(Provider::Cronometer);
    let story = scenario::diary(&mut terra, &cronometer);
    let mut meals = Vec::new();
    for webhook in &story {
        world.deliver_in_order(std::slice::from_ref(webhook)).await;
        let found = world
            .records(&cronometer.terra_user_id, DataType::Nutrition)
            .await;
        assert_eq!(found.len(), 1);
        let sent: Value = serde_json::from_slice(&webhook.body).unwrap();
        assert_eq!(world.sent(&found[0]).await, sent["data"][0]);
        let calories = found[0].record.summary().get("calories");
        let sent_calories = sent["data"][0]["summary"]["macros"]["calories"].as_f64();
        assert_eq!(calories, sent_calories.map(summary::Value::Number));
        meals.push(sent["data"][0]["meals"].as_array().unwrap().len());
    }
    assert!(meals[..4].is_sorted() && meals[0] < meals[3], "{meals:?}");
    assert_eq!(meals[4], meals[3] - 2);

    // The earlier arrival is still what Terra sent before.
    world.deliver_in_order(&story[3..4]).await;
    let found = world
        .records(&cronometer.terra_user_id, DataType::Nutrition)
        .await;
    assert_eq!(
        world.sent(&found[0]).await["meals"]
            .as_array()
            .unwrap()
            .len(),
        meals[4]
    );
    world.system.stop().await;
}
