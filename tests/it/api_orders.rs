//! Orders that the API takes: replays and exports.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::access::{Scope, TokenScope};
use serde_json::{Value, json};
use terrarium::system::TABLE_NAME;

use crate::{
    api::{ANN, Reader, answered, token_for, url, with_ann},
    world::World,
};

/// The state of a job once it is closed. The job runs beside the test, and nothing tells when it is done.
async fn closed(reader: &Reader<'_>, path: &str) -> Value {
    for _ in 0..3_000 {
        let (status, job) = reader.get(path).await;
        assert_eq!(status, 200, "{job}");
        if !["waiting", "running"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} is not done after a minute");
}

/// Takes Ann's record out of the table, behind the system's back.
async fn lose_record(world: &World) {
    let connection = world.connection("user-1").await.id;
    let pk = format!("CONNECTION#{connection}");
    let client = terrarium::system::dynamodb_client(&world.system.dynamodb).unwrap();
    let deleted = client
        .delete_item()
        .table_name(TABLE_NAME)
        .key("pk", AttributeValue::S(pk))
        .key("sk", AttributeValue::S("daily#2026-07-02".to_owned()))
        .send();
    deleted.await.unwrap();
}

const RECORD: &str = "/v1/records/user-1/daily/2026-07-02";

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_first_what_it_would_change_and_then_changes_it() {
    let world = with_ann().await;
    let scopes = [
        Scope::OperationsRead,
        Scope::OperationsWrite,
        Scope::PeopleRead,
    ];
    let operator = Reader::of(&world, &scopes).await;
    let at = "/v1/webhooks/w-1/replay";
    let dry = json!({"dry_run": true});
    let (status, told) = operator.post(at, &dry).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (&told["counts"]["unchanged"], &told["differences"]),
        (&json!(1), &json!([]))
    );

    lose_record(&world).await;
    assert_eq!(operator.get(RECORD).await.0, 404);
    let (_, told) = operator.post(at, &dry).await;
    assert_eq!(told["counts"]["created"], 1, "{told}");
    assert_eq!(told["differences"][0]["webhook"], "w-1");
    assert_eq!(
        (&told["id"], &told["state"]),
        (&Value::Null, &json!("done"))
    );
    // Nothing was written.
    assert_eq!(operator.get(RECORD).await.0, 404);

    let (status, ordered) = operator.post(at, &json!({})).await;
    assert_eq!(status, 202, "{ordered}");
    let path = format!("/v1/replays/{}", ordered["id"].as_str().unwrap());
    let done = closed(&operator, &path).await;
    assert_eq!(
        (&done["state"], &done["error"]),
        (&json!("done"), &Value::Null)
    );
    assert_eq!(done["counts"]["created"], 1, "{done}");
    assert_eq!(operator.get(RECORD).await.0, 200);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_many_takes_what_was_named_and_nothing_else() {
    let world = with_ann().await;
    let scopes = [
        Scope::OperationsRead,
        Scope::OperationsWrite,
        Scope::PeopleRead,
    ];
    let operator = Reader::of(&world, &scopes).await;
    let replay = async |body: Value| {
        let (status, ordered) = operator.post("/v1/replays", &body).await;
        assert_eq!(status, 202, "{ordered}");
        let path = format!("/v1/replays/{}", ordered["id"].as_str().unwrap());
        closed(&operator, &path).await
    };
    lose_record(&world).await;
    let all = replay(json!({"dry_run": true})).await;
    assert_eq!(
        (&all["counts"]["webhooks"], &all["counts"]["created"]),
        (&json!(3), &json!(1)),
        "{all}"
    );
    assert_eq!(operator.get(RECORD).await.0, 404);
    let other = replay(json!({"connection": "user-0"})).await;
    assert_eq!(other["counts"]["webhooks"], 1, "{other}");
    assert_eq!(operator.get(RECORD).await.0, 404);
    let none = replay(json!({"type": "sleep"})).await;
    assert_eq!(none["counts"]["webhooks"], 0, "{none}");
    let before = replay(json!({"until": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(before["counts"]["webhooks"], 0, "{before}");
    let own = replay(json!({"connection": "user-1", "type": "daily"})).await;
    assert_eq!(own["counts"]["created"], 1, "{own}");
    assert_eq!(operator.get(RECORD).await.0, 200);

    let (_, listed) = operator.get("/v1/replays").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 5);
    let wrong = json!({"since": "soon", "until": "later"});
    let (status, refused) = operator.post("/v1/replays", &wrong).await;
    assert_eq!(
        (status, refused["errors"].as_array().unwrap().len()),
        (400, 2)
    );
    let nobody = json!({"connection": "nobody"});
    assert_eq!(operator.post("/v1/replays", &nobody).await.0, 404);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_their_export_and_nobody_elses() {
    let world = with_ann().await;
    let server = Reader::of(&world, &[Scope::PeopleExport]).await;
    let ann = Reader {
        world: &world,
        key: token_for(&world, ANN, &[TokenScope::Export]).await,
    };
    let of_ann = format!("/v1/people/{}/exports", api::id::to_path(ANN));
    let (status, ordered) = ann.post(&of_ann, &json!({})).await;
    assert_eq!(status, 202, "{ordered}");
    let id = ordered["id"].as_str().unwrap();
    let done = closed(&ann, &format!("{of_ann}/{id}")).await;
    assert_eq!(
        (&done["state"], &done["records"]),
        (&json!("done"), &json!(1))
    );
    let link = done["url"].as_str().unwrap();
    assert!(link.starts_with(&of_ann), "{link}");
    let file = world.http.get(url(&world, link)).bearer_auth(&ann.key);
    let file = file.send().await.unwrap();
    assert_eq!(
        (file.status().as_u16(), &file.headers()["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    let bytes = file.bytes().await.unwrap();
    assert_eq!(Some(bytes.len() as u64), done["size_bytes"].as_u64());
    assert!(bytes.starts_with(b"PK"));

    // A key gets it by its id alone; another person's path has no such export.
    let (status, shown) = server.get(&format!("/v1/exports/{id}")).await;
    assert_eq!((status, &shown["state"]), (200, &json!("done")));
    let (_, listed) = server.get("/v1/exports").await;
    assert_eq!(listed["data"][0]["id"], id);
    assert_eq!(
        server.get(&format!("/v1/people/u_1/exports/{id}")).await.0,
        404
    );
    assert_eq!(ann.get(&format!("/v1/exports/{id}")).await.0, 403);
    let backwards = json!({"from": "2026-07-02", "to": "2026-07-01"});
    assert_eq!(ann.post(&of_ann, &backwards).await.0, 400);
    assert_eq!(done["include"], json!(["records", "csv", "fhir", "fit"]));
    for wrong in [json!([]), json!(["pdf"]), json!("csv")] {
        let (status, refused) = ann.post(&of_ann, &json!({"include": wrong})).await;
        assert_eq!(status, 400, "{refused}");
    }

    // Of one part: without the files of the others.
    let tables = json!({"include": ["csv", "csv"], "from": "2026-07-02"});
    let (status, ordered) = ann.post(&of_ann, &tables).await;
    assert_eq!((status, &ordered["include"]), (202, &json!(["csv"])));
    let id = ordered["id"].as_str().unwrap();
    let done = closed(&ann, &format!("{of_ann}/{id}")).await;
    assert_eq!(
        (&done["state"], &done["include"]),
        (&json!("done"), &json!(["csv"]))
    );
    let link = done["url"].as_str().unwrap();
    let file = world.http.get(url(&world, link)).bearer_auth(&ann.key);
    let tables = file.send().await.unwrap().bytes().await.unwrap();
    let has = |zip: &[u8], name: &str| zip.windows(name.len()).any(|it| it == name.as_bytes());
    for (name, is_asked_for) in [
        ("days.csv", true),
        ("all-values.csv", true),
        ("records/daily-2026.ndjson", false),
        ("fhir/bundle-2026.json", false),
    ] {
        assert!(has(&bytes, name), "{name}");
        assert_eq!(has(&tables, name), is_asked_for, "{name}");
    }

    // Three a day, and what was refused for its form is none of them.
    assert_eq!(ann.post(&of_ann, &json!({})).await.0, 202);
    let request = world
        .http
        .post(url(&world, &of_ann))
        .bearer_auth(&server.key);
    let refused = request.body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait = refused.headers()["retry-after"].to_str().unwrap();
    assert!(
        (86_000..=86_400).contains(&wait.parse::<u32>().unwrap()),
        "{wait}"
    );
    let nobody = world.http.post(url(&world, "/v1/people/nobody/exports"));
    let nobody = answered(nobody.bearer_auth(&server.key).body("{}")).await;
    assert_eq!(nobody.0, 404);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_says_first_what_it_would_ask_for_and_is_started_once() {
    let world = with_ann().await;
    let scopes = [Scope::OperationsRead, Scope::OperationsWrite];
    let operator = Reader::of(&world, &scopes).await;
    let path = format!("/v1/people/{}/backfills", api::id::to_path(ANN));
    let wish = json!({"from": "2026-06-05", "to": "2026-06-10", "types": ["daily"]});
    let mut dry = wish.clone();
    dry["dry_run"] = true.into();
    let (status, told) = operator.post(&path, &dry).await;
    assert_eq!(status, 200, "{told}");
    let plan = &told["plans"][0];
    assert_eq!(
        (&plan["provider"], &plan["backfill"]),
        (&json!("GARMIN"), &Value::Null)
    );
    assert_eq!(
        plan["types"]["daily"]["days"],
        json!([{"from": "2026-06-05", "to": "2026-06-10"}])
    );
    assert!(plan["estimate"]["requests"].as_u64().unwrap() > 0);
    let (_, none) = operator.get("/v1/connections/user-1/backfills").await;
    assert_eq!(none["data"], json!([]));

    let start = async || {
        let request = world
            .http
            .post(url(&world, &path))
            .bearer_auth(&operator.key);
        let request = request.header("idempotency-key", "the-wish-of-today");
        answered(request.body(wish.to_string())).await
    };
    let (status, started) = start().await;
    assert_eq!(status, 202, "{started}");
    let id = started["plans"][0]["backfill"].as_str().unwrap();
    let (status, shown) = operator.get(&format!("/v1/backfills/{id}")).await;
    assert_eq!((status, &shown["kind"]), (200, &json!("on_demand")));
    assert_eq!(start().await, (202, started.clone()));
    let (_, one) = operator.get("/v1/connections/user-1/backfills").await;
    assert_eq!(one["data"].as_array().unwrap().len(), 1);

    let wrong = json!({"from": "soon", "types": ["none"], "provider": ""});
    let (status, refused) = operator.post(&path, &wrong).await;
    assert_eq!(
        (status, refused["errors"].as_array().unwrap().len()),
        (400, 3),
        "{refused}"
    );
    let (status, early) = operator.post(&path, &json!({"from": "1990-01-01"})).await;
    assert_eq!(status, 409);
    assert!(
        early["detail"].as_str().unwrap().contains("GARMIN gives"),
        "{early}"
    );
    let other = json!({"from": "2026-06-01", "provider": "OURA"});
    let (status, other) = operator.post(&path, &other).await;
    assert_eq!(status, 404);
    assert!(
        other["detail"].as_str().unwrap().contains("GARMIN"),
        "{other}"
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_comes_first_and_says_what_to_do() {
    let world = with_ann().await;
    let operator = Reader::of(&world, &[Scope::OperationsRead]).await;
    let (status, found) = operator.get("/v1/findings").await;
    assert_eq!(status, 200, "{found}");
    let all_of = |found: &Value| -> Vec<String> {
        let data = found["data"].as_array().unwrap().iter();
        data.map(|one| one["state"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(!all_of(&found).contains(&"wrong".to_owned()), "{found}");
    let (_, overview) = operator.get("/v1/overview").await;
    assert_eq!(overview["wrong"], json!([]));
    assert_eq!(overview["today"]["outcomes"], json!({"stored": 3}));
    assert_eq!(overview["connections"], json!({"GARMIN": {"active": 3}}));

    // A webhook that nobody can use, and a destination that was switched off.
    assert_eq!(world.send("odd", "{").await, 200);
    world.idle().await;
    let destination = json!({
        "id": "dst_test", "name": "test", "kind": "webhook", "status": "disabled",
        "status_since_ms": 0, "concurrency": 1, "network": "local",
        "config": {"url": "http://127.0.0.1:9/"}, "created_at_ms": 0,
    });
    let destination = serde_json::from_value(destination).unwrap();
    let table = &world.system.table;
    assert!(table.add_destination(&destination).await.unwrap());
    let (_, found) = operator.get("/v1/findings").await;
    let wrong = found["data"].as_array().unwrap().iter();
    let wrong: Vec<_> = wrong.take_while(|one| one["state"] == "wrong").collect();
    let checks: Vec<_> = wrong
        .iter()
        .map(|one| one["check"].as_str().unwrap())
        .collect();
    assert_eq!(checks, ["parked webhooks", "destinations"]);
    assert!(
        wrong.iter().all(|one| one["advice"].is_string()),
        "{wrong:?}"
    );
    let (_, overview) = operator.get("/v1/overview").await;
    assert_eq!(overview["wrong"].as_array().unwrap().len(), 2);
    assert_eq!(overview["parked"], 1);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_by_who_may_and_there_is_a_receipt() {
    let world = with_ann().await;
    let server = Reader::of(&world, &[Scope::PeopleErase, Scope::PeopleRead]).await;
    let path = format!("/v1/people/{}", api::id::to_path(ANN));
    let erase = async |named: &str| {
        let request = world
            .http
            .delete(url(&world, &path))
            .bearer_auth(&server.key);
        let request = request.header("content-type", "application/json");
        answered(request.body(json!({"reference_id": named}).to_string())).await
    };
    let (status, refused) = erase("u_1").await;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(server.get(&path).await.0, 200);

    let (status, ordered) = erase(ANN).await;
    assert_eq!(status, 202, "{ordered}");
    assert!(!ordered.to_string().contains("ann"), "{ordered}");
    let at = format!("/v1/erasures/{}", ordered["id"].as_str().unwrap());
    let done = closed(&server, &at).await;
    assert_eq!(done["state"], "done", "{done}");
    let receipt = &done["receipt"];
    assert_eq!(receipt["number"], 1, "{done}");
    assert!(!receipt["kept"].as_array().unwrap().is_empty());
    assert_eq!(server.get(&path).await.0, 404);
    assert_eq!(server.get(RECORD).await.0, 410);
    assert_eq!(server.get("/v1/people/u_1").await.0, 200);
    assert_eq!(erase(ANN).await.0, 404);
    let (_, listed) = server.get("/v1/erasures").await;
    assert_eq!(listed["data"][0]["id"], ordered["id"]);
    world.system.stop().await;
}
