//! Lists of the API: pages joined are one page, whatever comes in meanwhile.

use domain::access::Scope;
use jiff::{SignedDuration, Timestamp};
use models::ids::WebhookId;
use serde_json::{Value, json};
use store::table::parked::ParkedWebhook;

use crate::{
    api::{ANN, Reader, add_destination, url, with_ann},
    world::{World, now},
};

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap().iter();
    // Records and sessions have names of several parts, days their date.
    let name = |it: &Value| {
        let names = [&it["id"], &it["record"], &it["day"]];
        let name = names.into_iter().find(|name| !name.is_null()).unwrap();
        name.as_str()
            .map_or_else(|| name.to_string(), str::to_owned)
    };
    data.map(name).collect()
}

/// The ids of all pages of a list. `meanwhile` runs between two of them.
async fn joined(
    reader: &Reader<'_>,
    path: &str,
    limit: usize,
    mut meanwhile: impl AsyncFnMut(),
) -> Vec<String> {
    let mut joined = Vec::new();
    let mut cursor = String::new();
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let (status, page) = reader
            .get(&format!("{path}{sign}limit={limit}{cursor}"))
            .await;
        assert_eq!(status, 200, "{page}");
        assert!(page["data"].as_array().unwrap().len() <= limit);
        joined.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else {
            return joined;
        };
        cursor = format!("&cursor={next}");
        meanwhile().await;
    }
}

async fn whole(reader: &Reader<'_>, path: &str) -> Vec<String> {
    let (_, page) = reader.get(path).await;
    assert_eq!(page["next_cursor"], Value::Null, "{page}");
    ids(&page)
}

/// Webhooks that nobody can use.
async fn park(world: &World, names: &[String]) {
    for name in names {
        assert_eq!(world.send(name, "{").await, 200);
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_parked_webhooks_joined_are_one_page_under_ingestion() {
    let world = with_ann().await;
    let reader = Reader::of(&world, &[Scope::OperationsRead]).await;
    let names: Vec<_> = (0..11).map(|number| format!("odd-{number}")).collect();
    park(&world, &names).await;
    let all = whole(&reader, "/v1/parked").await;
    assert_eq!(all.len(), 11);
    for limit in [1, 2, 5, 11, 12] {
        let mut number = 0;
        let joined = joined(&reader, "/v1/parked", limit, async || {
            number += 1;
            park(&world, &[format!("late-{limit}-{number}")]).await;
        });
        // What came meanwhile stands before the first page, or before the first pages of the next round.
        let joined = joined.await;
        let known: Vec<_> = joined
            .iter()
            .filter(|id| all.contains(id))
            .cloned()
            .collect();
        assert_eq!(known, all, "by {limit}");
        let mut once = joined.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), joined.len(), "by {limit}: {joined:?}");
    }
    let (status, refused) = reader.get("/v1/parked?cursor=abc").await;
    assert_eq!(status, 400, "{refused}");
    world.system.stop().await;
}

#[tokio::test]
async fn parked_webhooks_of_many_days_are_listed_once_whatever_the_pages() {
    let world = World::start().await;
    let table = &world.system.table;
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut expected = Vec::new();
    // Some days have none, and some have several in each of their partitions.
    for day in (0..60_i64).filter(|day| day % 5 != 3) {
        for number in 0..=(day * 7 % 11) {
            let at = start + SignedDuration::from_mins(24 * 60 * day + number);
            let id = WebhookId::new(&format!("odd-{day}-{number}")).unwrap();
            expected.push((at.as_millisecond(), id.clone()));
            let webhook = ParkedWebhook {
                webhook_id: id,
                event_type: "unreadable".to_owned(),
                parked: Vec::new(),
                parked_count: 1,
                locator: None,
                received_at_ms: at.as_millisecond(),
                size_bytes: 1,
                terra_user_id: None,
                provider: None,
                secret_name: None,
            };
            table.park(&webhook).await.unwrap();
        }
    }
    expected.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    for limit in [1, 7, 100, usize::MAX] {
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = table.parked_page(after.as_deref(), limit).await.unwrap();
            listed.extend(page.0.into_iter().map(|it| it.webhook_id));
            after = page.1;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "by {limit}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_orders_joined_are_one_page_while_they_are_done() {
    let world = with_ann().await;
    let scopes = [Scope::OperationsRead, Scope::OperationsWrite];
    let operator = Reader::of(&world, &scopes).await;
    let order = async || {
        let body = json!({"dry_run": true});
        let (status, ordered) = operator.post("/v1/replays", &body).await;
        assert_eq!(status, 202, "{ordered}");
    };
    // Some are closed while the pages are turned, and stand where they stood.
    for _ in 0..7 {
        order().await;
    }
    let all = whole(&operator, "/v1/replays").await;
    assert_eq!(all.len(), 7);
    for limit in [1, 3, 7] {
        let joined = joined(&operator, "/v1/replays", limit, &order).await;
        let known: Vec<_> = joined
            .iter()
            .filter(|id| all.contains(id))
            .cloned()
            .collect();
        assert_eq!(known, all, "by {limit}");
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_destinations_joined_are_one_page() {
    let world = with_ann().await;
    let reader = Reader::of(&world, &[Scope::OperationsRead]).await;
    for number in 0..5 {
        add_destination(&world, &format!("dst_{number}"), "paused").await;
    }
    let all = whole(&reader, "/v1/destinations").await;
    assert_eq!(all.len(), 5);
    for limit in [1, 2, 5] {
        let joined = joined(&reader, "/v1/destinations", limit, async || {}).await;
        assert_eq!(joined, all, "by {limit}");
    }
    world.system.stop().await;
}

/// Keeps attempts at deliveries of a destination, several of them in one millisecond, and as many refused records.
async fn try_in_vain(world: &World, id: &str, number: usize) {
    let table = &world.system.table;
    let id = id.parse().unwrap();
    let owner = world.connection("user-1").await.id;
    for number in 0..number {
        let attempt = json!({
            "at_ms": now().as_millisecond() / 86_400_000 * 86_400_000 + i64::try_from(number / 3).unwrap(),
            "delivery_id": format!("d-{number:04}"), "record_id": format!("r-{number:04}"),
            "revision": 1, "attempt": 1, "outcome": "refused", "took_ms": 1,
        });
        let attempt = serde_json::from_value(attempt).unwrap();
        table.note_attempt(&id, &attempt).await.unwrap();
        let failed = json!({
            "changed": {"changed": "record", "owner": {"connection": owner}, "data_type": "daily",
                        "key": format!("{number:04}")},
            "cause": "live", "attempts": 1, "first_failed_at_ms": 0, "due_at_ms": 0,
        });
        let failed = serde_json::from_value(failed).unwrap();
        table.fail(&id, &failed).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_refused_records_are_listed_whole_and_all_are_tried_again() {
    let world = with_ann().await;
    let scopes = [Scope::OperationsRead, Scope::OperationsWrite];
    let reader = Reader::of(&world, &scopes).await;
    add_destination(&world, "dst_one", "paused").await;
    let number = 620;
    try_in_vain(&world, "dst_one", number).await;
    let path = "/v1/destinations/dst_one";
    let attempts = joined(&reader, &format!("{path}/attempts"), 100, async || {}).await;
    let newest_first = (0..number).rev().map(|number| format!("r-{number:04}"));
    assert_eq!(attempts, newest_first.collect::<Vec<_>>());
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = reader
            .ask(&format!("{path}/failed?limit=250{cursor}"))
            .await;
        let data = page["data"].as_array().unwrap().iter();
        keys.extend(data.map(|it| it["what"]["key"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let all = (0..number).map(|number| format!("{number:04}"));
    assert_eq!(keys, all.collect::<Vec<_>>());
    let (mut retried, mut calls) = (0, 0);
    loop {
        let (status, answer) = reader
            .post(&format!("{path}/retry-failed"), &Value::Null)
            .await;
        assert_eq!(status, 202, "{answer}");
        retried += answer["records"].as_u64().unwrap();
        calls += 1;
        if answer["has_more"] == false {
            break;
        }
    }
    assert_eq!(usize::try_from(retried), Ok(number));
    assert!(calls > 1, "one call is bounded");
    assert!(whole(&reader, &format!("{path}/failed")).await.is_empty());
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backfills_of_everybody_are_listed_by_their_state() {
    let world = with_ann().await;
    let scopes = [Scope::OperationsRead, Scope::OperationsWrite];
    let operator = Reader::of(&world, &scopes).await;
    let mut started = Vec::new();
    for person in ["u_1", ANN, "u_2"] {
        let path = format!("/v1/people/{}/backfills", api::id::to_path(person));
        let wish = json!({"from": "2026-06-05", "to": "2026-06-10", "types": ["daily"]});
        let (status, told) = operator.post(&path, &wish).await;
        assert_eq!(status, 202, "{told}");
        started.push(told["plans"][0]["backfill"].as_str().unwrap().to_owned());
    }
    let mut all = whole(&operator, "/v1/backfills").await;
    for limit in [1, 2, 3] {
        assert_eq!(
            joined(&operator, "/v1/backfills", limit, async || {}).await,
            all
        );
    }
    let [paused, cancelled, running] = &started[..] else {
        panic!("three were started");
    };
    for (id, order) in [(paused, "pause"), (cancelled, "cancel")] {
        let path = format!("/v1/backfills/{id}/{order}");
        assert_eq!(operator.post(&path, &json!({})).await.0, 200);
    }
    for (state, id) in [
        ("paused", paused),
        ("cancelled", cancelled),
        ("running", running),
    ] {
        let path = format!("/v1/backfills?state={state}");
        let (_, page) = operator.get(&path).await;
        assert_eq!(page["data"][0]["state"], state, "{page}");
        assert_eq!(whole(&operator, &path).await, std::slice::from_ref(id));
    }
    assert!(
        whole(&operator, "/v1/backfills?state=done")
            .await
            .is_empty()
    );
    all.sort();
    started.sort();
    assert_eq!(all, started);
    world.system.stop().await;
}

#[tokio::test]
async fn an_archived_webhook_is_verified_once_more() {
    let world = with_ann().await;
    let status = world.send_signed_at("w-page", "<html>", now()).await;
    assert_eq!(status, 200);
    world.idle().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let read = async |place: &str| {
        let path = format!("/v1/webhooks/{place}");
        let request = world.http.get(url(&world, &path)).bearer_auth(&reader.key);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers().get(name).cloned();
        let told = header("x-terrarium-signature");
        let kind = header("content-type").unwrap();
        (told, kind, answer.bytes().await.unwrap())
    };
    let (told, kind, plain) = read("w-1/body").await;
    assert_eq!((told, kind.as_bytes()), (None, &b"application/json"[..]));
    let (told, _, body) = read("w-1/body?verify=true").await;
    assert_eq!(told.unwrap(), "valid; secret=main");
    assert_eq!(body, plain);
    // What is no JSON is not said to be, and nothing that a browser would show.
    let (_, kind, page) = read("w-page/body").await;
    assert_eq!(
        (kind.as_bytes(), &page[..]),
        (&b"application/octet-stream"[..], &b"<html>"[..])
    );
    world.system.stop().await;
}

#[tokio::test]
async fn a_page_of_payloads_ends_before_it_is_too_large() {
    let world = with_ann().await;
    let day = |number: usize| {
        json!({
            "type": "nutrition", "status": "success",
            "user": {"user_id": "user-1", "provider": "GARMIN", "reference_id": ANN, "active": true},
            "data": [{
                "metadata": {"start_time": format!("2026-07-{:02}T00:00:00.000000+02:00", number + 1),
                             "end_time": format!("2026-07-{:02}T00:00:00.000000+02:00", number + 2)},
                "meals": [{"name": "x".repeat(700 * 1024)}],
            }],
        })
    };
    for number in 0..5 {
        assert_eq!(
            world
                .send(&format!("n-{number}"), day(number).to_string())
                .await,
            200
        );
    }
    world.idle().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let ann = api::id::to_path(ANN);
    let base = format!("/v1/people/{ann}/records?type=nutrition&from=2026-07-01&to=2026-07-10");
    let (_, all) = reader.get(&base).await;
    assert_eq!(all["data"].as_array().unwrap().len(), 5);
    let mut keys = Vec::new();
    let (mut cursor, mut pages) = (String::new(), 0);
    loop {
        let (status, page) = reader.get(&format!("{base}&include=payload{cursor}")).await;
        assert_eq!(status, 200, "{}", page["detail"]);
        pages += 1;
        keys.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["id"].clone()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert!(pages > 1);
    let whole: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].clone())
        .collect();
    assert_eq!(keys, whole);
    world.system.stop().await;
}

/// A day and a night of Ann's in July 2026.
async fn live(world: &World, day: usize) {
    let user =
        json!({"user_id": "user-1", "provider": "GARMIN", "reference_id": ANN, "active": true});
    let begin = format!("2026-07-{day:02}T00:00:00.000000+02:00");
    let bodies = [
        (
            "daily",
            json!({"metadata": {"start_time": begin}, "distance_data": {"steps": day}}),
        ),
        (
            "sleep",
            json!({"metadata": {"summary_id": format!("night-{day}"), "start_time": begin,
                   "end_time": format!("2026-07-{day:02}T07:00:00.000000+02:00")}}),
        ),
    ];
    for (data_type, record) in bodies {
        let body = json!({"type": data_type, "status": "success", "user": user, "data": [record]});
        let id = format!("{data_type}-{day}");
        assert_eq!(world.send(&id, body.to_string()).await, 200);
    }
    world.idle().await;
}

/// Lists that are read while webhooks come in.
fn lists() -> Vec<String> {
    let ann = format!("/v1/people/{}", api::id::to_path(ANN));
    let days = "from=2026-07-01&to=2026-07-31";
    // Without a first moment a page ends after a month of nothing.
    let yesterday = crate::world::now() - jiff::SignedDuration::from_hours(24);
    vec![
        "/v1/people".to_owned(),
        "/v1/connections".to_owned(),
        format!("/v1/webhooks?since={yesterday}"),
        format!("{ann}/records?type=daily&{days}"),
        format!("{ann}/records?type=sleep&{days}"),
        format!("{ann}/sessions?type=sleep&{days}"),
        format!("{ann}/days?{days}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_joined_are_one_page_while_webhooks_come_in() {
    let world = with_ann().await;
    for day in 3..=9 {
        live(&world, day).await;
    }
    let reader = Reader::of(&world, Scope::ALL).await;
    let mut number = 0;
    let mut day = 9;
    for path in lists() {
        let all = whole(&reader, &path).await;
        assert!(all.len() >= 3, "{path}");
        for limit in [2, 5] {
            let joined = joined(&reader, &path, limit, async || {
                number += 1;
                // A new person, before those that are listed.
                let user = json!({"user_id": format!("new-{number}"), "provider": "OURA",
                                  "reference_id": format!("a_{number:04}"), "active": true});
                let body = json!({"type": "auth", "status": "success", "user": user});
                assert_eq!(
                    world.send(&format!("new-{number}"), body.to_string()).await,
                    200
                );
                world.idle().await;
                if number % 5 == 0 && day < 30 {
                    day += 1;
                    live(&world, day).await;
                }
            });
            let joined = joined.await;
            let known: Vec<_> = joined.into_iter().filter(|id| all.contains(id)).collect();
            assert_eq!(known, all, "{path} by {limit}");
        }
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_list_is_refused() {
    let world = with_ann().await;
    for day in 3..=5 {
        live(&world, day).await;
    }
    let reader = Reader::of(&world, Scope::ALL).await;
    let mut cursors = Vec::new();
    for path in lists() {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = reader.ask(&format!("{path}{sign}limit=1")).await;
        let cursor = page["next_cursor"].as_str().unwrap().to_owned();
        cursors.push((path, cursor));
    }
    for (path, _) in &cursors {
        for (from, cursor) in &cursors {
            let sign = if path.contains('?') { '&' } else { '?' };
            let (status, told) = reader.get(&format!("{path}{sign}cursor={cursor}")).await;
            let wanted = if path == from { 200 } else { 400 };
            assert_eq!(status, wanted, "{path} with a cursor of {from}: {told}");
        }
    }
    let ann = api::id::to_path(ANN);
    let series = format!(
        "/v1/people/{ann}/series?metrics=hr_bpm&cursor={}",
        cursors[0].1
    );
    assert_eq!(reader.get(&series).await.0, 400);
    world.system.stop().await;
}
