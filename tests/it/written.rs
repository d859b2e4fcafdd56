//! Facts that are written along the way, and the reads that use them: first and last days of types, the log of a
//! person, the counts over all connections.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use domain::{
    access::Scope,
    connection::{Connection, ConnectionId, Member, Status},
    extent::{Extent, Extents},
    history::{fleet::Fleet, gap::Cause},
    message::HistoryMessage,
};
use jiff::{SignedDuration, civil::Date};
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId, WebhookId},
};
use serde_json::{Value, json};
use store::table::{
    Table,
    connections::CONNECTION_SHARDS,
    ledger::{Outcome, RecordCounts, WebhookEntry, place_of},
    log::{LogPlace, LoggedWebhook},
};

use crate::{
    api::Reader,
    jobs::app,
    world::{World, now},
};

fn user(name: &str) -> TerraUserId {
    TerraUserId::new(name).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// An event of a user who has a record of a type on a day.
fn of_day(name: &str, data_type: DataType, at: &str) -> Connection {
    let mut fragment = Connection::of_member(user(name), Member::default());
    fragment.types = Extents::from([(data_type, Extent::of_day(day(at)))]);
    fragment
}

fn daily(name: &str, person: &str, at: &str) -> String {
    json!({
        "type": "daily", "status": "success",
        "user": {"user_id": name, "provider": "GARMIN", "reference_id": person},
        "data": [{"metadata": {"start_time": format!("{at}T00:00:00.000000+02:00")},
                  "distance_data": {"steps": 9120}}],
    })
    .to_string()
}

#[tokio::test]
async fn a_connection_is_written_only_where_its_records_reach_further() {
    let world = World::start().await;
    let table = &world.system.table;
    let apply = async |fragment: Connection| {
        let applied = table.apply_connection(&fragment).await.unwrap().unwrap();
        let stored = table.connection(&applied.connection.id).await.unwrap();
        (applied.changed, stored.unwrap())
    };
    let daily = |at| of_day("u", DataType::Daily, at);
    let (created, first) = apply(daily("2026-07-02")).await;
    assert!(created);
    let (told, wider) = apply(daily("2026-06-20")).await;
    // Destinations show nothing of it: they hear nothing of it.
    assert!(!told && wider.revision() > first.revision());
    for within in ["2026-06-20", "2026-06-25", "2026-07-02"] {
        let (told, same) = apply(daily(within)).await;
        assert_eq!(
            (told, same.revision()),
            (false, wider.revision()),
            "{within}"
        );
    }
    let (_, with_nights) = apply(of_day("u", DataType::Sleep, "2026-06-25")).await;
    let shown = |connection: &Connection| {
        let types = connection.types.iter();
        let types = types.map(|(data_type, extent)| format!("{data_type} {extent}"));
        types.collect::<Vec<_>>()
    };
    let expected = ["daily 2026-06-20/2026-07-02", "sleep 2026-06-25/2026-06-25"];
    assert_eq!(shown(&with_nights.state), expected);

    // Two connections become one, and it has the days of both.
    apply(of_day("v", DataType::Daily, "2026-08-09")).await;
    let mut reauth = Connection::of_member(
        user("v"),
        Member {
            replaces: BTreeSet::from([user("u")]),
            ..Member::default()
        },
    );
    reauth = domain::Join::join(reauth, Connection::of_member(user("u"), Member::default()));
    let (_, one) = apply(reauth).await;
    assert_eq!(one.id, ConnectionId::of(&user("u")));
    let expected = ["daily 2026-06-20/2026-08-09", "sleep 2026-06-25/2026-06-25"];
    assert_eq!(shown(&one.state), expected);

    table
        .erase_connection(&one, "2026-09-01T00:00:00Z")
        .await
        .unwrap();
    assert_eq!(table.stored_connection(&one.id).await.unwrap(), None);
    world.system.stop().await;
}

#[tokio::test]
async fn many_writers_at_once_leave_the_first_and_the_last_day() {
    let world = World::start().await;
    let table = &world.system.table;
    let days: Vec<Date> = day("2026-01-01")
        .series(jiff::ToSpan::days(1))
        .take(20)
        .collect();
    let writes = days.iter().map(|at| async move {
        let fragment = of_day("u", DataType::Daily, &at.to_string());
        table.apply_connection(&fragment).await.unwrap()
    });
    futures::future::join_all(writes).await;
    let connection = world.connection("u").await;
    let extent = connection.state.types[&DataType::Daily];
    assert_eq!((extent.first(), extent.last()), (days[0], days[19]));
    world.system.stop().await;
}

#[tokio::test]
async fn types_with_their_days_are_told_and_older_data_widen_them() {
    let world = World::start().await;
    for (number, at) in ["2026-07-02", "2026-06-20", "2026-06-25"]
        .iter()
        .enumerate()
    {
        let body = daily("user", "u_1", at);
        assert_eq!(world.send(&format!("w-{number}"), body).await, 200);
        world.idle().await;
    }
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let (status, one) = reader.get("/v1/connections/user").await;
    let days = json!({"first": "2026-06-20", "last": "2026-07-02"});
    assert_eq!(
        (status, &one["types"]),
        (200, &json!({"daily": days})),
        "{one}"
    );
    let (_, of_person) = reader.get("/v1/people/u_1/connections").await;
    assert_eq!(of_person["data"][0]["types"], one["types"]);
    let (_, person) = reader.get("/v1/people/u_1").await;
    assert_eq!(person["days"], days, "{person}");

    for (query, records) in [
        ("type=daily&from=2026-06-20&to=2026-07-02", 3),
        ("type=daily&from=2026-07-02&to=2026-07-09", 1),
        ("type=daily&from=2026-07-03&to=2026-07-09", 0),
        ("type=sleep&from=2026-06-20&to=2026-07-02", 0),
    ] {
        let (status, found) = reader.get(&format!("/v1/people/u_1/records?{query}")).await;
        let found = found["data"].as_array().map(Vec::len);
        assert_eq!((status, found), (200, Some(records)), "{query}");
    }
    let (_, shown) = reader
        .get("/v1/people/u_1/days?from=2026-06-18&to=2026-07-05")
        .await;
    assert_eq!(shown["data"].as_array().map(Vec::len), Some(3), "{shown}");
    world.system.stop().await;
}

/// Begin of the day on which the tests began, in UTC: lines of long ago expire. Unit: Unix milliseconds.
fn midnight() -> i64 {
    const DAY_MS: i64 = 86_400_000;
    static BEGAN: OnceLock<i64> = OnceLock::new();
    *BEGAN.get_or_init(|| now().as_millisecond() / DAY_MS * DAY_MS)
}

/// A line of the ledger, so many milliseconds after midnight.
fn line(id: &str, of: Option<&str>, after_ms: i64) -> WebhookEntry {
    let received_at_ms = midnight() + after_ms;
    WebhookEntry {
        webhook_id: WebhookId::new(id).unwrap(),
        event_type: "daily".to_owned(),
        outcome: Outcome::Stored,
        records: RecordCounts::default(),
        parked: Vec::new(),
        parked_count: 0,
        locator: None,
        ordering_ts_ms: received_at_ms,
        received_at_ms,
        routed_at_ms: received_at_ms + 1,
        size_bytes: 2,
        body_hash: "0".to_owned(),
        terra_user_id: of.map(user),
        provider: None,
        reference: None,
        late: false,
    }
}

async fn ids_of_users(table: &Table, users: &[TerraUserId], limit: usize) -> Vec<String> {
    let midnight = midnight();
    let mut at = LogPlace::before(midnight + 10_000);
    let mut ids = Vec::new();
    loop {
        let page = table
            .webhooks_of_users(users, midnight + 100, &at, limit)
            .await
            .unwrap();
        ids.extend(page.iter().map(|webhook| webhook.webhook_id.to_string()));
        match page.last() {
            Some(last) if page.len() == limit => at = last.place(),
            _ => return ids,
        }
    }
}

#[tokio::test]
async fn the_log_of_users_pages_without_loss_where_many_came_at_once() {
    let world = World::start().await;
    let table = &world.system.table;
    let mut lines = Vec::new();
    for number in 0..60_i64 {
        let of = [Some("a"), Some("b"), Some("c"), None][usize::try_from(number % 4).unwrap()];
        // A dozen of each share a millisecond.
        lines.push(line(&format!("w-{number:02}"), of, 1_000 + number / 24));
    }
    lines.push(line("too-old", Some("a"), 99));
    lines.push(line("oldest", Some("a"), 100));
    lines.push(line("to-come", Some("a"), 10_000));
    for line in &lines {
        table.finish(line).await.unwrap();
    }
    let users = [user("a"), user("b")];
    let mut expected: Vec<LoggedWebhook> = lines
        .iter()
        .filter(|line| {
            line.terra_user_id
                .as_ref()
                .is_some_and(|of| users.contains(of))
        })
        .filter(|line| (100..10_000).contains(&(line.received_at_ms - midnight())))
        .map(LoggedWebhook::from)
        .collect();
    expected.sort_by_key(|webhook| std::cmp::Reverse(webhook.place()));
    let expected: Vec<_> = expected
        .iter()
        .map(|it| it.webhook_id.to_string())
        .collect();
    assert_eq!(expected.len(), 31);
    for limit in [1, 2, 7, 31, 100] {
        assert_eq!(
            ids_of_users(table, &users, limit).await,
            expected,
            "{limit}"
        );
    }
    // The index has what a filter asks for.
    let all = LogPlace::before(midnight() + 10_000);
    let page = table.webhooks_of_users(&users, 0, &all, 1);
    let newest = page.await.unwrap().remove(0);
    let whole = lines
        .iter()
        .find(|line| line.webhook_id == newest.webhook_id);
    assert_eq!(newest, LoggedWebhook::from(whole.unwrap()));
    assert!(
        table
            .webhooks_of_users(&[], 0, &all, 5)
            .await
            .unwrap()
            .is_empty()
    );
    world.system.stop().await;
}

#[tokio::test]
async fn the_log_of_a_day_is_merged_of_its_shards() {
    let world = World::start().await;
    let table = &world.system.table;
    let mut lines: Vec<_> = (0..90)
        .map(|number| line(&format!("x-{number}"), None, 500 + number % 13))
        .collect();
    for line in &lines {
        table.finish(line).await.unwrap();
    }
    lines.sort_by_key(|line| std::cmp::Reverse(place_of(line)));
    let expected: Vec<_> = lines.iter().map(place_of).collect();
    let today = jiff::Timestamp::from_millisecond(midnight()).unwrap();
    let today = today.strftime("%Y-%m-%d").to_string();
    for limit in [1, 3, 16, 90, 200] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let before = found.last().cloned();
            let page = table.webhooks_before(&today, before.as_deref(), limit);
            let page = page.await.unwrap();
            found.extend(page.iter().map(place_of));
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(found, expected, "{limit}");
    }
    world.system.stop().await;
}

async fn ids_of_log(reader: &Reader<'_>, query: &str, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/webhooks?{query}&limit={limit}{cursor}");
        let (status, page) = reader.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let data = page["data"].as_array().unwrap();
        ids.extend(
            data.iter()
                .map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn the_log_of_a_person_has_every_id_they_ever_had_and_their_lab_reports() {
    let world = World::start().await;
    let reauth = json!({
        "type": "user_reauth", "status": "success",
        "old_user": {"user_id": "old", "provider": "GARMIN", "reference_id": "ann@example.org"},
        "new_user": {"user_id": "new", "provider": "GARMIN", "reference_id": "ann@example.org"},
    });
    let report = json!({
        "type": "lab_report.completed", "event_id": "e", "occurred_at": "2026-07-01T09:12:33Z",
        "data": {"session_id": "s", "reference_id": "ann@example.org", "results": []},
    });
    let bodies = [
        ("w-0", daily("old", "ann@example.org", "2026-07-01")),
        ("w-1", reauth.to_string()),
        ("w-2", daily("bob", "bob", "2026-07-01")),
        ("w-3", daily("new", "ann@example.org", "2026-07-02")),
        ("w-4", report.to_string()),
        (
            "w-5",
            daily("ring", "ann@example.org", "2026-07-02").replace("GARMIN", "OURA"),
        ),
        ("w-6", daily("new", "ann@example.org", "soon")),
    ];
    for (id, body) in bodies {
        assert_eq!(world.send(id, body).await, 200);
        world.idle().await;
    }
    let reader = Reader::of(&world, &[Scope::OperationsRead]).await;
    let ann = api::id::to_path("ann@example.org");
    let person = format!("person={ann}");
    for limit in [1, 2, 50] {
        let ids = ids_of_log(&reader, &person, limit).await;
        // The event of a reauthentication is kept under the first id that it names.
        assert_eq!(ids, ["w-6", "w-5", "w-4", "w-3", "w-1", "w-0"], "{limit}");
    }
    for (filter, expected) in [
        ("provider=OURA", vec!["w-5"]),
        ("parked=true", vec!["w-6"]),
        ("outcome=stored&type=daily", vec!["w-5", "w-3", "w-0"]),
        ("until=2020-01-01T00:00:00Z", vec![]),
    ] {
        let ids = ids_of_log(&reader, &format!("{person}&{filter}"), 1).await;
        assert_eq!(ids, expected, "{filter}");
    }
    // The page shows what the ledger has, also what the index does not.
    let (_, parked) = reader
        .get(&format!("/v1/webhooks?{person}&parked=true"))
        .await;
    let parked = &parked["data"][0];
    assert_eq!(parked["parked"][0]["reason"], "no_date", "{parked}");
    assert!(parked["archive"].is_string());
    assert_eq!(ids_of_log(&reader, "terra_user_id=bob", 5).await, ["w-2"]);
    assert!(
        ids_of_log(&reader, "terra_user_id=nobody", 5)
            .await
            .is_empty()
    );
    assert!(ids_of_log(&reader, "person=nobody", 5).await.is_empty());
    let (status, _) = reader
        .get(&format!("/v1/webhooks?{person}&terra_user_id=new"))
        .await;
    assert_eq!(status, 400);

    let table = &world.system.table;
    let reference_id = ReferenceId::new("ann@example.org").unwrap();
    let connections = table.connections_of(&reference_id).await.unwrap();
    assert_eq!(connections.len(), 2);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_for_gaps_counts_all_connections() {
    let world = World::start().await;
    let event = |kind: &str, name: &str, provider: &str| json!({"type": kind, "status": "error", "user": {"user_id": name, "provider": provider, "reference_id": name}});
    // None is active: nothing is asked of Terra for them.
    let mut expected = BTreeMap::<_, BTreeMap<_, _>>::new();
    for number in 0..40 {
        let (kind, status) = [
            ("connection_error", Status::Failing),
            ("deauth", Status::Ended),
        ][number % 2];
        let provider = ["GARMIN", "OURA", "WHOOP"][number % 3];
        let body = event(kind, &format!("user-{number}"), provider).to_string();
        assert_eq!(world.send(&format!("w-{number}"), body).await, 200);
        *expected
            .entry(provider.to_owned())
            .or_default()
            .entry(status)
            .or_insert(0_usize) += 1;
    }
    world.idle().await;
    let table = &world.system.table;
    assert_eq!(table.fleet().await.unwrap(), None);
    let app = app(&world, false);
    let begun = now().as_millisecond();
    let until = now() + SignedDuration::from_mins(2);
    for shard in (0..CONNECTION_SHARDS).chain([3]) {
        // One shard is looked at twice, as a message may come twice.
        let job = HistoryMessage::FindGapsOf {
            shard,
            after: None,
            whole: false,
            step: 0,
            counted: Box::new(Fleet::begun(begun)),
        };
        history_fetch::run(&app, job, "w", until).await.unwrap();
    }
    let fleet = table.fleet().await.unwrap().unwrap();
    assert_eq!(fleet.by_provider, expected);
    assert_eq!(fleet.quiet, BTreeMap::from([(Cause::Failing, 20)]));
    assert_eq!(
        (fleet.as_of_ms, fleet.examples.is_empty()),
        (Some(begun), false)
    );

    // The counts of an older search do not replace these.
    table.note_fleet(3, &Fleet::begun(begun - 1)).await.unwrap();
    assert_eq!(table.fleet().await.unwrap().unwrap(), fleet);

    // So few connections are counted anew, with the same result.
    let reader = Reader::of(&world, &[Scope::OperationsRead, Scope::PeopleRead]).await;
    let (status, seen) = reader.get("/v1/overview").await;
    assert_eq!(status, 200, "{seen}");
    assert_eq!(
        seen["connections"],
        serde_json::to_value(&expected).unwrap()
    );
    assert_eq!(seen["quiet"]["failing"]["connections"], 20, "{seen}");
    assert!(seen["quiet"]["failing"]["advice"].is_string());

    // Each connection says it of itself.
    let (_, one) = reader.get("/v1/connections/user-0").await;
    assert_eq!(one["quiet"]["cause"], "failing", "{one}");
    let (_, of_person) = reader.get("/v1/people/user-1/connections").await;
    assert_eq!(of_person["data"][0]["quiet"]["cause"], "ended");
    for (quiet, number) in [("true&status=failing", 20), ("false", 0)] {
        let path = format!("/v1/connections?limit=500&quiet={quiet}");
        let (status, listed) = reader.get(&path).await;
        let listed = listed["data"].as_array().map(Vec::len);
        assert_eq!((status, listed), (200, Some(number)), "{quiet}");
    }

    // Many are not: the overview tells how old their counts are.
    let many = Fleet {
        by_provider: BTreeMap::from([(
            "GARMIN".to_owned(),
            BTreeMap::from([(Status::Active, 5_000)]),
        )]),
        ..Fleet::begun(begun + 1)
    };
    table.note_fleet(0, &many).await.unwrap();
    let (_, seen) = reader.get("/v1/overview").await;
    assert_eq!(seen["connections"]["GARMIN"]["active"], 5_000, "{seen}");
    let as_of = jiff::Timestamp::from_millisecond(begun).unwrap();
    assert_eq!(seen["as_of"], format!("{as_of:.3}"));
    let page = async |number: usize| -> Value {
        let path = format!("/terra/v2/subscriptions?page={number}&per_page=10");
        let request = world.http.get(crate::api::url(&world, &path));
        let request = request
            .header("dev-id", "any")
            .header("x-api-key", &reader.key);
        crate::api::answered(request).await.1
    };
    let first = page(0).await;
    let counted = fleet_total(table).await;
    assert_eq!(first["data"]["next"], 1, "{first}");
    assert_eq!(first["data"]["max_page"], counted.div_ceil(10) - 1);
    assert_eq!(first["data"]["results"].as_array().map(Vec::len), Some(10));
    // The last page knows that it is the last.
    let last = page(3).await;
    assert_eq!(
        (&last["data"]["next"], &last["data"]["max_page"]),
        (&Value::Null, &json!(3))
    );
    world.system.stop().await;
}

async fn fleet_total(table: &Table) -> usize {
    table
        .fleet()
        .await
        .unwrap()
        .map_or(0, |fleet| fleet.total())
}
