//! Bounds of the API: answers that are too large, calls that take too long, pages of other origins.

use std::{sync::Arc, time::Duration};

use axum::Router;
use domain::access::Scope;
use jiff::{ToSpan as _, civil::date};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    api::{ANN, Reader, key_with, url, with_ann_in},
    world::{World, options},
};

const MB: usize = 1024 * 1024;

/// A diary of one day in July 2026, of so many bytes.
fn diary(day: usize, bytes: usize) -> String {
    let meal = "x".repeat(bytes);
    format!(
        r#"{{"type":"nutrition","status":"success","user":{{"user_id":"u","provider":"CRONOMETER","reference_id":"u_1","active":true}},"data":[{{"metadata":{{"start_time":"2026-07-{day:02}T00:00:00.000000+02:00","end_time":"2026-07-{:02}T00:00:00.000000+02:00"}},"meals":[{{"name":"{meal}"}}]}}]}}"#,
        day + 1
    )
}

/// Five years of days with steps.
fn five_years() -> String {
    let first = date(2021, 7, 1);
    let days = (0..1826).map(|day| first.saturating_add(i64::from(day).days()));
    let days = days.zip(1..).map(|(day, steps)| {
        format!(
            r#"{{"metadata":{{"start_time":"{day}T00:00:00.000000+02:00"}},"distance_data":{{"steps":{steps}}}}}"#
        )
    });
    let days: Vec<_> = days.collect();
    format!(
        r#"{{"type":"daily","status":"success","user":{{"user_id":"u","provider":"GARMIN","reference_id":"u_1","active":true}},"data":[{}]}}"#,
        days.join(",")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_terra_that_are_too_large_ask_for_fewer_days() {
    let world = World::start().await;
    for day in 1..=5 {
        assert_eq!(
            world.send(&format!("n-{day}"), diary(day, 14 * MB)).await,
            200
        );
        world.idle().await;
    }
    let key = key_with(&world, &[Scope::PeopleRead]).await;
    let get = async |range: &str, accepts: &str| {
        let path = format!("/terra/v2/nutrition?user_id=u&{range}");
        let request = world.http.get(url(&world, &path));
        let request = request.header("dev-id", "any").header("x-api-key", &key);
        let answer = request.header("accept-encoding", accepts).send().await;
        let answer = answer.unwrap();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (
            answer.status().as_u16(),
            kind,
            answer.bytes().await.unwrap(),
        )
    };
    // One large day goes through, compressed.
    let one = "start_date=2026-07-01&end_date=2026-07-02";
    let (status, kind, body) = get(one, "gzip").await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    assert!(body.len() < MB);
    // What does not go through is refused in Terra's form: as it is, and before anything is read.
    let all = "start_date=2026-07-01&end_date=2026-07-06";
    for (range, accepts) in [(one, "identity"), (all, "gzip")] {
        let (status, kind, body) = get(range, accepts).await;
        assert_eq!((status, kind.as_str()), (413, "application/problem+json"));
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            problem,
            json!({"type": "about:blank", "title": "payload too large", "detail": "ask for fewer days"})
        );
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_years_are_read_in_one_answer_of_terras_and_in_pages_of_ours() {
    let world = World::start().await;
    assert_eq!(world.send("years", five_years()).await, 200);
    world.idle().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let all = reader
        .ask("/terra/v2/daily?user_id=u&start_date=2021-07-01&end_date=2026-07-01")
        .await;
    let steps = |records: &[Value], place: &str| -> Vec<u64> {
        let steps = records.iter().map(|one| one.pointer(place).unwrap());
        steps.map(|steps| steps.as_u64().unwrap()).collect()
    };
    let wanted: Vec<u64> = (1..=1826).collect();
    let terras = all["data"].as_array().unwrap();
    assert_eq!(steps(terras, "/distance_data/steps"), wanted);

    let path = "/v1/people/u_1/records?type=daily&from=2021-07-01&to=2026-06-30&limit=500";
    let (mut own, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = reader.ask(&format!("{path}{cursor}")).await;
        own.extend(page["data"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((steps(&own, "/summary/steps"), pages), (wanted, 4));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_too_long_is_a_503_and_stands_in_the_audit() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    let never = Router::new().fallback(std::future::pending::<()>);
    tokio::spawn(axum::serve(listener, never).into_future());
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut options = options(folder.path());
    let mut terra = terra_client::api::Settings::new("dev", "key".into());
    terra.base_url = silent.parse().unwrap();
    options.terra = Some(terra);
    options.api_answers_within = Duration::from_secs(3);
    let world = with_ann_in(World::open(folder, options).await).await;
    let all = Reader::of(&world, Scope::ALL).await;
    let wish = json!({"kind": "link", "providers": ["OURA"]});
    let path = format!("/v1/people/{}/connect", api::id::to_path(ANN));
    let (status, problem) = all.post(&path, &wish).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(problem["type"], "urn:terrarium:problem:unavailable");
    let audit = all.ask("/v1/audit").await;
    let line = &audit["data"][0];
    assert_eq!(
        (&line["action"], &line["status"], &line["request_id"]),
        (
            &json!("POST /v1/people/{person}/connect"),
            &json!(503),
            &problem["request_id"]
        )
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_listed_origins_may_call() {
    const PAGE: &str = "https://app.example.com";
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut options = options(folder.path());
    options.api_allowed_origins = vec![PAGE.to_owned()];
    let world = World::open(folder, options).await;
    let key = key_with(&world, &[Scope::PeopleRead]).await;
    let call = async |method: &str, origin: &str, key: Option<&str>| {
        let method = method.parse().unwrap();
        let request = world.http.request(method, url(&world, "/v1/people"));
        let request = request.header("origin", origin);
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request.header("access-control-request-method", "GET"),
        };
        let answer = request.send().await.unwrap();
        let allowed = answer.headers().get("access-control-allow-origin").cloned();
        let allowed = allowed.map(|origin| origin.to_str().unwrap().to_owned());
        (answer, allowed)
    };
    let (asked, allowed) = call("OPTIONS", PAGE, None).await;
    assert_eq!(
        (asked.status().as_u16(), allowed.as_deref()),
        (204, Some(PAGE))
    );
    let headers = asked.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    for header in ["authorization", "idempotency-key", "if-match"] {
        assert!(headers.contains(header), "{headers}");
    }
    // No cookie is taken, so a page gains nothing without a key.
    assert!(
        !asked
            .headers()
            .contains_key("access-control-allow-credentials")
    );
    let (read, allowed) = call("GET", PAGE, Some(&key)).await;
    assert_eq!(
        (read.status().as_u16(), allowed.as_deref()),
        (200, Some(PAGE))
    );
    assert!(read.headers()["vary"].to_str().unwrap().contains("origin"));
    let (refused, allowed) = call("GET", PAGE, Some("none")).await;
    assert_eq!(
        (refused.status().as_u16(), allowed.as_deref()),
        (401, Some(PAGE))
    );
    for origin in [
        "https://app.example.com.evil.org",
        "http://app.example.com",
        "null",
    ] {
        let (asked, allowed) = call("OPTIONS", origin, None).await;
        assert_eq!((asked.status().as_u16(), allowed), (405, None), "{origin}");
        let (read, allowed) = call("GET", origin, Some(&key)).await;
        assert_eq!((read.status().as_u16(), allowed), (200, None), "{origin}");
    }
    world.system.stop().await;
}
