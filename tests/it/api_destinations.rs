//! Destinations that are made, tried and removed over the API.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::any};
use domain::access::Scope;
use serde_json::{Value, json};

use crate::{
    api::{Reader, answered, url, with_ann},
    world::World,
};

/// An app that takes webhooks, or answers as the test says.
struct FarApp {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    taken: Arc<AtomicUsize>,
}

impl FarApp {
    async fn start(status: u16) -> Self {
        let (status, taken) = (
            Arc::new(AtomicU16::new(status)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (answers, counts) = (Arc::clone(&status), Arc::clone(&taken));
        let router = Router::new().fallback(any(async move || {
            counts.fetch_add(1, Ordering::SeqCst);
            StatusCode::from_u16(answers.load(Ordering::SeqCst)).unwrap()
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            status,
            taken,
        }
    }

    fn described(&self) -> Value {
        json!({
            "kind": "webhook", "name": "our app", "network": "local",
            "subscription": {"data_types": ["daily"]},
            "config": {"url": format!("http://{}/", self.address), "bearer_token": TOKEN},
        })
    }
}

const TOKEN: &str = "a-token-that-nobody-shows";

const ALL: &[Scope] = &[
    Scope::KeysWrite,
    Scope::OperationsRead,
    Scope::OperationsWrite,
];

/// The destination once it is as wanted. Deliver works beside the test, and nothing tells when it is done.
async fn until(reader: &Reader<'_>, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..3_000 {
        let (status, shown) = reader.get(path).await;
        assert_eq!(status, 200, "{shown}");
        if wanted(&shown) {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} is not as wanted after a minute");
}

async fn create(world: &World, reader: &Reader<'_>, body: &Value, once: &str) -> (u16, Value) {
    let request = world.http.post(url(world, "/v1/destinations"));
    let request = request
        .header("content-type", "application/json")
        .header("idempotency-key", once);
    answered(request.bearer_auth(&reader.key).body(body.to_string())).await
}

/// Every item of the table, as a debugger shows it.
async fn whole_table(world: &World) -> String {
    let client = terrarium::system::dynamodb_client(&world.system.dynamodb).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test looks everywhere")]
    let items = client
        .scan()
        .table_name(terrarium::system::TABLE_NAME)
        .into_paginator();
    let items: Vec<_> = items.items().send().try_collect().await.unwrap();
    format!("{items:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_made_tried_and_removed() {
    let world = with_ann().await;
    let admin = Reader::of(&world, ALL).await;
    let app = FarApp::start(200).await;
    let (status, made) = create(&world, &admin, &app.described(), "once").await;
    assert_eq!(status, 201, "{made}");
    // A secret that we made, shown now and never again.
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["destination"]["state"], "unproven");
    assert_eq!(made["destination"]["probe"]["passed"], Value::Null);
    let id = made["destination"]["id"].as_str().unwrap();
    let path = format!("/v1/destinations/{id}");
    assert_eq!(
        create(&world, &admin, &app.described(), "once").await.0,
        409
    );

    let proven = until(&admin, &path, |it| it["state"] == "active").await;
    assert!(proven["concurrency"].as_u64() > Some(0), "{proven}");
    let tried = until(&admin, &path, |it| it["probe"]["passed"] == true).await;
    let steps = tried["probe"]["steps"].as_array().unwrap();
    assert!(
        !steps.is_empty() && steps.iter().all(|it| it["verdict"] != "failed"),
        "{steps:?}"
    );
    // What was there already arrives by itself: three people's days.
    let before = app.taken.load(Ordering::SeqCst);
    until(&admin, &path, |it| !it["delivered_at"].is_null()).await;
    assert!(app.taken.load(Ordering::SeqCst) >= before);

    // It keeps no list of what it has, and whoever asks for a check reads that.
    let (status, ordered) = admin.post(&format!("{path}/check"), &json!({})).await;
    assert_eq!((status, &ordered["done_at"]), (202, &Value::Null));
    let order_of = |shown: &Value| {
        let mut orders = shown["orders"].as_array().unwrap().iter();
        orders
            .find(|it| it["id"] == ordered["id"])
            .cloned()
            .unwrap()
    };
    let checked = until(&admin, &path, |it| !order_of(it)["done_at"].is_null()).await;
    let checked = order_of(&checked);
    let fault = checked["fault"].as_str().unwrap();
    assert!(fault.contains("nothing was compared"), "{fault}");
    assert_eq!(
        (&checked["difference_count"], &checked["differences"]),
        (&json!(0), &json!([]))
    );

    let secret = made["secret"].as_str().unwrap();
    let table = whole_table(&world).await;
    assert!(table.contains(id));
    for hidden in [secret, TOKEN] {
        assert!(!table.contains(hidden));
        assert!(!tried.to_string().contains(hidden));
    }
    let file = world
        .folder
        .path()
        .join(format!("secrets/destinations/{id}.json"));
    let rights = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(rights & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains(TOKEN));

    let delete = async || {
        let request = world.http.delete(url(&world, &path));
        answered(request.bearer_auth(&admin.key)).await
    };
    let (status, removed) = delete().await;
    assert_eq!(status, 200, "{removed}");
    let stays = removed["stays"].as_str().unwrap();
    assert!(stays.contains(&app.address.to_string()), "{stays}");
    assert_eq!((delete().await.0, admin.get(&path).await.0), (404, 404));
    assert!(!file.exists());
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_takes_nothing_gets_nothing_until_a_probe_passes() {
    let world = with_ann().await;
    let admin = Reader::of(&world, ALL).await;
    let app = FarApp::start(401).await;
    let (status, made) = create(&world, &admin, &app.described(), "a").await;
    assert_eq!(status, 201, "{made}");
    let path = format!(
        "/v1/destinations/{}",
        made["destination"]["id"].as_str().unwrap()
    );
    let refused = until(&admin, &path, |it| it["probe"]["passed"] == false).await;
    assert_eq!(refused["state"], "unproven");
    let failed = refused["probe"]["steps"].as_array().unwrap().iter();
    let failed: Vec<_> = failed.filter(|it| it["verdict"] == "failed").collect();
    assert!(
        failed
            .iter()
            .any(|it| it["text"].as_str().unwrap().contains("401")),
        "{failed:?}"
    );
    assert_eq!(
        (&refused["owed"], &refused["delivered_at"]),
        (&json!(0), &Value::Null)
    );
    for order in ["resume", "pause"] {
        let (status, told) = admin.post(&format!("{path}/{order}"), &json!({})).await;
        assert_eq!(status, 409, "{told}");
    }
    let (_, findings) = admin.get("/v1/findings").await;
    assert!(
        findings
            .to_string()
            .contains("was never tried with success"),
        "{findings}"
    );

    app.status.store(200, Ordering::SeqCst);
    let (status, asked) = admin.post(&format!("{path}/probe"), &json!({})).await;
    assert_eq!(status, 202, "{asked}");
    // What the one before found stands there until then.
    assert_eq!(asked["probe"]["steps"], refused["probe"]["steps"]);
    until(&admin, &path, |it| {
        it["state"] == "active" && !it["delivered_at"].is_null()
    })
    .await;
    world.system.stop().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_destination_is_told_at_once() {
    let world = with_ann().await;
    let admin = Reader::of(&world, ALL).await;
    let wrong = json!({
        "kind": "webhook", "name": " ", "stream": "both", "network": "moon", "concurrency": 900,
        "backfill": "some", "subscription": {"kinds": []},
        "config": {"gzip": "maybe", "urll": "https://app.example.com/", "bearer_token": TOKEN, "basic": "no"},
    });
    let (status, refused) = create(&world, &admin, &wrong, "a").await;
    assert_eq!(status, 400, "{refused}");
    let errors = refused["errors"].as_array().unwrap();
    let mut names: Vec<_> = errors
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names,
        [
            "backfill",
            "concurrency",
            "config.basic",
            "config.gzip",
            "config.url",
            "config.urll",
            "name",
            "network",
            "stream",
            "subscription",
        ],
        "{refused}"
    );
    assert!(!refused.to_string().contains(TOKEN));
    for (body, word) in [
        (json!({"kind": "pigeon"}), "the kinds are webhook"),
        (
            json!({"kind": "folder", "config": {"path": "/"}}),
            "only its operator",
        ),
        (
            json!({"kind": "postgres", "stream": "webhooks"}),
            "keeps states of records",
        ),
        (
            json!({"kind": "webhook", "secret": TOKEN}),
            "unknown field `secret`",
        ),
    ] {
        let (status, refused) = create(&world, &admin, &body, "b").await;
        assert!(
            status == 400 && refused.to_string().contains(word),
            "{refused}"
        );
    }
    let (_, listed) = admin.get("/v1/destinations").await;
    assert_eq!(listed["data"], json!([]));
    assert!(!world.folder.path().join("secrets/destinations").exists());

    let operator = Reader::of(&world, &[Scope::OperationsWrite, Scope::PeopleRead]).await;
    let (status, told) = create(&world, &operator, &wrong, "c").await;
    assert_eq!(status, 403, "{told}");
    world.system.stop().await;
}
