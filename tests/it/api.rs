//! The API over a running system.

use std::collections::BTreeSet;

use api::{NewKey, token::Claims};
use domain::access::{Scope, TokenScope};
use jiff::ToSpan as _;
use models::ids::ReferenceId;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    calls::Names,
    world::{World, terra},
};

/// A person whose id cannot stand in a path as it is.
pub(crate) const ANN: &str = "ann/50%@example.org";

/// Names of what Ann has, for calls about it.
pub(crate) const OF_ANN: Names<'_> = Names {
    person: ANN,
    connection: "user-1",
    webhook: "w-1",
    id: "none",
    day: "2026-07-02",
};

pub(crate) struct Reader<'a> {
    pub(crate) world: &'a World,
    pub(crate) key: String,
}

impl<'a> Reader<'a> {
    pub(crate) async fn of(world: &'a World, scopes: &[Scope]) -> Self {
        let key = key_with(world, scopes).await;
        Self { world, key }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.world.http.get(url(self.world, path));
        answered(request.header("x-api-key", &self.key)).await
    }

    /// The answer of a call that has to work.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let (status, answer) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        answer
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.world.http.post(url(self.world, path));
        let request = request.header("content-type", "application/json");
        answered(request.bearer_auth(&self.key).body(body.to_string())).await
    }
}

pub(crate) fn url(world: &World, path: &str) -> String {
    format!("{}{path}", world.system.api_url)
}

pub(crate) async fn answered(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    if response.url().path().starts_with("/v1") {
        assert!(response.headers().contains_key("x-request-id"));
    }
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

pub(crate) async fn key_with(world: &World, scopes: &[Scope]) -> String {
    let scopes: BTreeSet<_> = scopes.iter().copied().collect();
    let made = NewKey::make("test", scopes, "test", None, 0);
    assert!(world.system.table.add_api_key(&made.key).await.unwrap());
    made.whole.expose_secret().to_owned()
}

/// A token as the system itself would make one.
pub(crate) async fn token_for(world: &World, person: &str, scopes: &[TokenScope]) -> String {
    let maker = Reader::of(world, Scope::ALL).await;
    let path = format!("/v1/people/{}/tokens", api::id::to_path(person));
    let (status, made) = maker.post(&path, &json!({"scopes": scopes})).await;
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

/// Keeps a webhook destination that nobody listens at.
pub(crate) async fn add_destination(world: &World, id: &str, status: &str) {
    let destination = json!({
        "id": id, "name": "test", "kind": "webhook", "status": status,
        "status_since_ms": 0, "concurrency": 1, "network": "local",
        "config": {"url": "http://127.0.0.1:9/"}, "created_at_ms": 0,
    });
    let destination = serde_json::from_value(destination).unwrap();
    let added = world.system.table.add_destination(&destination).await;
    assert!(added.unwrap());
}

fn daily(user: &str, person: &str, steps: u32) -> Value {
    json!({
        "type": "daily", "status": "success",
        "user": {"user_id": user, "provider": "GARMIN", "reference_id": person, "active": true},
        "data": [{
            "metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00",
                         "end_time": "2026-07-03T00:00:00.000000+02:00", "upload_type": 0},
            "distance_data": {"steps": steps, "distance_meters": 7100.50},
        }],
    })
}

pub(crate) async fn with_ann() -> World {
    with_ann_in(World::start().await).await
}

pub(crate) async fn with_ann_in(world: World) -> World {
    for (number, person) in ["u_1", ANN, "u_2"].into_iter().enumerate() {
        let body = daily(&format!("user-{number}"), person, 9120);
        assert_eq!(
            world.send(&format!("w-{number}"), body.to_string()).await,
            200
        );
    }
    world.idle().await;
    world
}

#[tokio::test]
async fn what_was_ingested_is_read_back_by_any_id() {
    let world = with_ann().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let (status, people) = reader.get("/v1/people").await;
    assert_eq!(status, 200, "{people}");
    let ids: Vec<_> = people["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["reference_id"])
        .collect();
    assert_eq!(ids, [ANN, "u_1", "u_2"]);
    let ann = people["data"][0]["id"].as_str().unwrap();

    // One page after the other is the same as one page.
    let mut paged = Vec::new();
    let mut path = "/v1/people?limit=1".to_owned();
    loop {
        let (_, page) = reader.get(&path).await;
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/people?limit=1&cursor={cursor}");
    }
    assert_eq!(Value::from(paged), people["data"]);
    let (_, prefixed) = reader.get("/v1/people?prefix=u_").await;
    assert_eq!(prefixed["data"].as_array().unwrap().len(), 2);
    let (_, by_user) = reader.get("/v1/people?terra_user_id=user-1").await;
    assert_eq!(by_user["data"][0]["reference_id"], ANN);

    let (status, person) = reader.get(&format!("/v1/people/{ann}")).await;
    assert_eq!((status, &person["reference_id"]), (200, &json!(ANN)));
    let (_, connections) = reader.get(&format!("/v1/people/{ann}/connections")).await;
    let connection = &connections["data"][0];
    assert_eq!(connection["terra_user_id"], "user-1");
    assert_eq!(connection["person"], ann);

    let by_terra = "/v1/records/user-1/daily/2026-07-02";
    let (status, record) = reader.get(&format!("{by_terra}?include=payload")).await;
    assert_eq!(status, 200, "{record}");
    assert_eq!(record["summary"]["steps"], 9120);
    assert_eq!(record["day"], "2026-07-02");
    assert_eq!(
        record["payload"]["distance_data"]["distance_meters"],
        7100.5
    );
    let own = connection["id"].as_str().unwrap();
    let request = world.http.get(url(
        &world,
        &format!("/v1/records/{own}/daily/2026-07-02/payload"),
    ));
    let response = request
        .header("x-api-key", &reader.key)
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("x-terrarium-webhook"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    let sent = daily("user-1", ANN, 9120)["data"][0].to_string();
    assert_eq!(response.text().await.unwrap(), sent);
    world.system.stop().await;
}

#[tokio::test]
async fn odd_requests_are_told_what_is_wrong() {
    let world = with_ann().await;
    let reader = Reader::of(&world, Scope::ALL).await;
    let plain = &url(&world, "");
    for (path, status) in [
        ("/v1/people?form=1", 400),
        ("/v1/people?limit=501", 400),
        ("/v1/people?prefix=a&reference_id=b", 400),
        ("/v1/people/a%2Fb", 400),
        ("/v1/people/%20", 400),
        ("/v1/people/~", 400),
        ("/v1/people/%ff", 400),
        ("/v1/people/%C3%A9", 400),
        ("/v1/people/nobody", 404),
        ("/v1/people/", 404),
        ("/v1//people", 404),
        ("/v1/connections/none", 404),
        ("/v1/records/user-1/none/x", 404),
        ("/v1/records/user-1/daily/2020-01-01", 404),
        (
            "/v1/records/user-1/daily/2026-07-02?include=everything",
            400,
        ),
        ("/v2/people", 404),
    ] {
        let (got, problem) = reader.get(path).await;
        assert_eq!(got, status, "{path}: {problem}");
        assert!(!problem.to_string().contains(plain.as_str()));
    }
    let (_, problem) = reader.get("/v1/people?form=1&limit=0").await;
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    assert_eq!(problem["type"], "urn:terrarium:problem:invalid-request");
    let response = world
        .http
        .delete(url(&world, "/v1/people"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 405);
    assert!(
        response.headers()["allow"]
            .to_str()
            .unwrap()
            .contains("GET")
    );
    world.system.stop().await;
}

#[tokio::test]
async fn a_repeated_call_runs_once_and_its_secret_is_not_kept() {
    let world = World::start().await;
    let maker = Reader::of(&world, Scope::ALL).await;
    let post_key = async |idempotency: &str, body: &Value| {
        let request = world
            .http
            .post(url(&world, "/v1/keys"))
            .bearer_auth(&maker.key);
        let request = request.header("idempotency-key", idempotency);
        answered(request.body(body.to_string())).await
    };
    let body = json!({"name": "server", "scopes": ["people:read"]});
    let (status, made) = post_key("one", &body).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(post_key("one", &body).await.0, 409);
    assert_eq!(
        post_key("one", &json!({"name": "other", "scopes": ["people:read"]}))
            .await
            .0,
        409
    );
    assert_eq!(
        post_key("array", &json!(["server", ["people:read"], null]))
            .await
            .0,
        400
    );
    // A call without effect is not remembered.
    assert_eq!(
        post_key("two", &json!({"name": "server", "scopes": []}))
            .await
            .0,
        400
    );
    assert_eq!(post_key("two", &body).await.0, 201);
    let (_, keys) = maker.get("/v1/keys").await;
    assert_eq!(keys["data"].as_array().unwrap().len(), 3);
    assert!(!keys.to_string().contains(secret));

    let server = Reader {
        world: &world,
        key: secret.to_owned(),
    };
    assert_eq!(server.get("/v1/people").await.0, 200);
    let (status, refused) = server.get("/v1/keys").await;
    assert_eq!(status, 403);
    assert_eq!(
        refused["detail"],
        "this key lacks keys:write; it has people:read"
    );
    let id = made["id"].as_str().unwrap();
    let request = world.http.delete(url(&world, &format!("/v1/keys/{id}")));
    assert_eq!(answered(request.bearer_auth(&maker.key)).await.0, 200);
    assert_eq!(server.get("/v1/people").await.0, 401);

    let (_, audit) = maker.get("/v1/audit").await;
    let actions: Vec<_> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["action"].as_str().unwrap())
        .collect();
    assert!(
        actions.contains(&"DELETE /v1/keys/{id}") && actions.contains(&"POST /v1/keys"),
        "{actions:?}"
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_nobody_more_than_it_has() {
    let world = World::start().await;
    let strong = Reader::of(&world, &[Scope::PeopleRead, Scope::KeysWrite]).await;
    let scopes = json!({"name": "app", "scopes": ["people:read"]});
    let (status, made) = strong.post("/v1/keys", &scopes).await;
    assert_eq!(status, 201, "{made}");
    let rotate = format!("/v1/keys/{}/rotate", made["id"].as_str().unwrap());
    let weak = Reader::of(&world, &[Scope::KeysWrite]).await;
    for (path, body) in [("/v1/keys", &scopes), (rotate.as_str(), &json!({}))] {
        let (status, refused) = weak.post(path, body).await;
        assert_eq!(status, 403, "{path}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("people:read"), "{detail}");
    }
    let (status, _) = strong.post(&rotate, &json!({})).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_workouts_and_profiles_are_listed_too() {
    let world = World::start().await;
    let mut terra = terra(4);
    let link = terra.stranger(simulator::Provider::Garmin);
    let day = terra.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let shape = simulator::Shape::on(Some(day));
    let sent = [
        terra.auth(&link),
        terra.data(&link, simulator::DataType::Athlete, &shape),
        terra.data(&link, simulator::DataType::PlannedWorkout, &shape),
    ];
    world.deliver_in_order(&sent).await;
    world.idle().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let person = api::id::to_path(&link.reference_id);
    let records = format!("/v1/people/{person}/records");
    let (from, to) = (day - 30.days(), day + 60.days());
    for name in ["athlete", "planned_workout"] {
        let path = format!("{records}?type={name}&from={from}&to={to}");
        let (status, found) = reader.get(&path).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(found["data"].as_array().unwrap().len(), 1, "{name}");
    }
    let (status, refused) = reader.get(&format!("{records}?type=lab_report")).await;
    assert_eq!(status, 400, "{refused}");
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_its_key() {
    let world = with_ann().await;
    let token = token_for(&world, ANN, &[TokenScope::Read]).await;
    let path = format!("/v1/people/{}", api::id::to_path(ANN));
    let read = async |token: &str| {
        answered(world.http.get(url(&world, &path)).bearer_auth(token))
            .await
            .0
    };
    assert_eq!(read(&token).await, 200);
    let file = std::fs::read_to_string(world.folder.path().join("api-signing-key")).unwrap();
    let keys = api::token::SigningKeys::known(file.trim().into());
    let now_s = crate::world::now().as_second();
    let known = keys.read(&token, now_s).await.unwrap().unwrap();
    let old = Claims {
        expires_at_s: now_s - 1,
        ..known.clone()
    };
    assert_eq!(read(&keys.sign(&old).await.unwrap()).await, 401);
    let long = Claims {
        expires_at_s: now_s + 4000,
        ..known.clone()
    };
    assert_eq!(read(&keys.sign(&long).await.unwrap()).await, 401);
    let other = Claims {
        person: ReferenceId::new("u_1").unwrap(),
        ..known.clone()
    };
    assert_eq!(read(&keys.sign(&other).await.unwrap()).await, 403);

    let maker = Reader::of(&world, Scope::ALL).await;
    let request = world
        .http
        .delete(url(&world, &format!("/v1/keys/{}", known.key)));
    assert_eq!(answered(request.bearer_auth(&maker.key)).await.0, 200);
    assert_eq!(read(&token).await, 401);
    world.system.stop().await;
}

#[tokio::test]
async fn an_answer_that_did_not_change_is_told_by_its_tag() {
    let world = with_ann().await;
    let key = key_with(&world, &[Scope::PeopleRead]).await;
    let get = async |tag: Option<&str>| {
        let request = world
            .http
            .get(url(&world, "/v1/records/user-1/daily/2026-07-02"));
        let request = request
            .header("x-api-key", &key)
            .header("if-none-match", tag.unwrap_or("\"x\""));
        request.send().await.unwrap()
    };
    let first = get(None).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(get(Some(&tag)).await.status(), 304);
    let later = daily("user-1", ANN, 9999).to_string();
    assert_eq!(world.send("w-later", later).await, 200);
    world.idle().await;
    assert_eq!(get(Some(&tag)).await.status(), 200);
    world.system.stop().await;
}

#[test]
fn the_document_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/api/openapi.json");
    let mut made =
        serde_json::to_string_pretty(&api::openapi::document(&api::endpoints())).unwrap();
    made.push('\n');
    let new = concat!(env!("CARGO_TARGET_TMPDIR"), "/openapi.json");
    std::fs::write(new, &made).unwrap();
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(
        kept == made,
        "functions/api/openapi.json is old: cp {new} functions/api/"
    );
}

/// Terra's reads give what was ingested, byte for byte, in Terra's form.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_client_of_terra_reads_its_own_records_back() {
    let world = World::start().await;
    let record = |start: &str, end: &str, id: &str| {
        format!(
            r#"{{"metadata":{{"start_time":"{start}","end_time":"{end}","summary_id":"{id}","upload_type":0,"is_nap":false}},"unknown":[1.50],"heart_rate_data":{{"detailed":{{"hr_samples":[{{"timestamp":"{start}","bpm":61.0}}]}},"summary":{{"avg_hr_bpm":6.10e1}}}}}}"#
        )
    };
    let night = record(
        "2026-07-01T23:10:00.000000+02:00",
        "2026-07-02T07:00:00.000000+02:00",
        "night",
    );
    let nap = record(
        "2026-07-03T13:00:00.000000+02:00",
        "2026-07-03T13:30:00.000000+02:00",
        "nap",
    );
    let event = |user: &str, records: &str| {
        format!(
            r#"{{"type":"sleep","status":"success","user":{{"user_id":"{user}","provider":"OURA","reference_id":"u_1","active":true}},"data":[{records}]}}"#
        )
    };
    assert_eq!(
        world
            .send("w-1", event("old", &format!("{night},{nap}")))
            .await,
        200
    );
    world.idle().await;
    let reauth = r#"{"type":"user_reauth","status":"success","old_user":{"user_id":"old","provider":"OURA","reference_id":"u_1"},"new_user":{"user_id":"new","provider":"OURA","reference_id":"u_1"}}"#;
    assert_eq!(world.send("w-2", reauth).await, 200);
    world.idle().await;

    let key = key_with(&world, &[Scope::PeopleRead]).await;
    let get = async |query: &str| {
        let request = world.http.get(url(&world, &format!("/terra/v2/{query}")));
        let response = request
            .header("dev-id", "any")
            .header("x-api-key", &key)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let range = "start_date=2026-07-02&end_date=2026-07-03&to_webhook=false";
    // Under either id; a night that ends on the day is in it, and the end is excluded.
    for user in ["old", "new"] {
        let (status, text) = get(&format!("sleep?user_id={user}&{range}&with_samples=true")).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.ends_with(&format!(r#""data":[{night}]}}"#)), "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&answer["user"]["user_id"], &answer["type"]),
            (&json!("new"), &json!("sleep"))
        );
    }
    let (_, bare) = get(&format!("sleep?user_id=new&{range}")).await;
    assert!(
        bare.contains(r#""hr_samples":[]"#) && bare.contains("6.10e1"),
        "{bare}"
    );
    let (_, both) = get("sleep?user_id=new&start_date=1782856800&with_samples=true").await;
    assert!(
        both.ends_with(&format!(r#""data":[{night},{nap}]}}"#)),
        "{both}"
    );
    let (status, empty) = get(&format!("daily?user_id=new&{range}")).await;
    assert!(status == 200 && empty.ends_with(r#""data":[]}"#), "{empty}");

    for (query, status, detail) in [
        (
            "sleep?user_id=nobody&start_date=2026-07-01",
            404,
            "user not found",
        ),
        ("sleep?start_date=2026-07-01", 400, "missing user_id"),
        (
            "sleep?user_id=new&start_date=soon",
            400,
            "invalid start_date",
        ),
        (
            "sleep?user_id=new&start_date=2026-07-03&end_date=2026-07-01",
            400,
            "before",
        ),
    ] {
        let (got, text) = get(query).await;
        assert_eq!(got, status, "{query}: {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["type"], "about:blank");
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
    }
    let (_, one) = get("userInfo?user_id=old").await;
    assert!(one.contains(r#""user_id":"new""#), "{one}");
    let (_, all) = get("subscriptions").await;
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["users"].as_array().unwrap().len(), 1);
    let (_, page) = get("subscriptions?page=0&per_page=5").await;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        page["data"],
        json!({"next": null, "max_page": 0, "results": all["users"]})
    );
    world.system.stop().await;
}

#[tokio::test]
async fn the_log_pages_without_loss() {
    let world = with_ann().await;
    assert_eq!(
        world
            .send(
                "w-bad",
                "{\"type\":\"daily\",\"user\":{\"user_id\":\"user-1\"},\"data\":[{}]}"
            )
            .await,
        200
    );
    world.idle().await;
    let reader = Reader::of(&world, &[Scope::OperationsRead]).await;
    let (status, all) = reader.get("/v1/webhooks").await;
    assert_eq!(status, 200, "{all}");
    let all = all["data"].as_array().unwrap().clone();
    assert_eq!(all.len(), 4);
    let mut paged = Vec::new();
    let mut path = "/v1/webhooks?limit=1".to_owned();
    loop {
        let (_, page) = reader.get(&path).await;
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/webhooks?limit=1&cursor={cursor}");
    }
    assert_eq!(paged, all);
    let (_, parked) = reader.get("/v1/webhooks?parked=true").await;
    assert_eq!(parked["data"][0]["id"], "w-bad", "{parked}");
    let (_, listed) = reader.get("/v1/parked").await;
    assert_eq!(listed["data"][0]["id"], "w-bad");
    let (status, one) = reader.get("/v1/webhooks/w-1").await;
    assert_eq!(status, 200, "{one}");
    assert_eq!(one["webhook"]["person"], api::id::to_path(ANN));
    let steps: Vec<_> = one["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["what"])
        .collect();
    assert_eq!(steps, ["signed", "received", "routed"]);
    // The log has no values: for the body another scope is needed.
    assert_eq!(reader.get("/v1/webhooks/w-1/body").await.0, 403);
    let values = Reader::of(&world, &[Scope::PeopleRead]).await;
    assert_eq!(
        values.get("/v1/webhooks/w-1/body").await.1,
        daily("user-1", ANN, 9120)
    );
    let records = format!(
        "/v1/people/{}/records?type=daily&from=2026-07-01&to=2026-07-02",
        api::id::to_path(ANN)
    );
    let (status, records) = values.get(&records).await;
    assert_eq!(status, 200, "{records}");
    assert_eq!(records["data"][0]["summary"]["steps"], 9120);
    world.system.stop().await;
}

#[tokio::test]
async fn an_operator_looks_at_connections_and_days_and_gives_orders() {
    let world = with_ann().await;
    let operator = Reader::of(&world, &[Scope::OperationsRead, Scope::OperationsWrite]).await;
    let (status, all) = operator.get("/v1/connections?status=active").await;
    assert_eq!(status, 200, "{all}");
    assert_eq!(all["data"].as_array().unwrap().len(), 3);
    let mut paged = Vec::new();
    let mut path = "/v1/connections?limit=1".to_owned();
    loop {
        let (_, page) = operator.get(&path).await;
        paged.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/connections?limit=1&cursor={cursor}");
    }
    assert_eq!(Value::from(paged), all["data"]);
    let (_, none) = operator.get("/v1/connections?provider=OURA").await;
    assert_eq!(none["data"], json!([]));

    let ann = api::id::to_path(ANN);
    let days = "from=2026-07-01&to=2026-07-03&types=daily";
    let (status, coverage) = operator
        .get(&format!("/v1/people/{ann}/coverage?{days}"))
        .await;
    assert_eq!(status, 200, "{coverage}");
    let daily = &coverage["connections"][0]["types"]["daily"];
    assert_eq!(daily["counts"]["have"], 1, "{coverage}");
    let runs = daily["runs"].as_array().unwrap();
    assert!(
        runs.contains(&json!(["have", "2026-07-02", "2026-07-02"])),
        "{runs:?}"
    );
    let (status, _) = operator
        .get(&format!("/v1/people/{ann}/coverage?from=2020-01-01"))
        .await;
    assert_eq!(status, 400);

    add_destination(&world, "dst_test", "active").await;
    let (_, listed) = operator.get("/v1/destinations").await;
    assert_eq!(listed["data"][0]["id"], "dst_test");
    let at = "/v1/destinations/dst_test";
    let (status, paused) = operator.post(&format!("{at}/pause"), &json!({})).await;
    assert_eq!((status, &paused["state"]), (200, &json!("paused")));
    let wrong = json!({"types": ["none"], "from": "soon"});
    let (status, refused) = operator.post(&format!("{at}/redrive"), &wrong).await;
    assert_eq!(
        (status, refused["errors"].as_array().unwrap().len()),
        (400, 2)
    );
    let alter = async |body: Value| {
        let request = world.http.patch(url(&world, at)).bearer_auth(&operator.key);
        let request = request.header("content-type", "application/json");
        answered(request.body(body.to_string())).await
    };
    let (status, named) =
        alter(json!({"name": "two", "subscription": {"data_types": ["daily"]}})).await;
    assert_eq!((status, &named["name"]), (200, &json!("two")), "{named}");
    assert_eq!(named["subscription"]["data_types"], json!(["daily"]));
    let (_, kept) = alter(json!({})).await;
    assert_eq!(kept["subscription"], named["subscription"]);
    let (status, refused) = alter(json!({"name": "", "subscription": {"kinds": []}})).await;
    assert_eq!(
        (status, refused["errors"].as_array().unwrap().len()),
        (400, 2)
    );
    assert_eq!(alter(json!({"config": {}})).await.0, 400);
    let (status, order) = operator
        .post(&format!("{at}/redrive"), &json!({"people": [ANN]}))
        .await;
    assert_eq!((status, &order["order"]), (202, &json!("redrive")));
    let (_, shown) = operator.get(at).await;
    assert_eq!(shown["orders"][0]["id"], order["id"]);
    let (status, resumed) = operator.post(&format!("{at}/resume"), &json!({})).await;
    assert_eq!((status, &resumed["state"]), (200, &json!("active")));
    world.system.stop().await;
}
