//! Parameters of the API: each has the effect that it promises, or is refused.

use domain::access::Scope;
use serde_json::{Value, json};
use store::table::{access::AuditLine, policies::PolicyOwner};

use crate::{
    api::{ANN, Reader, answered, key_with, url, with_ann},
    world::World,
};

fn ann() -> String {
    api::id::to_path(ANN)
}

/// A day of Ann's from another source than her watch.
async fn wears_a_ring_too(world: &World) {
    let body = json!({
        "type": "daily", "status": "success",
        "user": {"user_id": "ring", "provider": "OURA", "reference_id": ANN, "active": true},
        "data": [{
            "metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00",
                         "end_time": "2026-07-03T00:00:00.000000+02:00", "upload_type": 0},
            "distance_data": {"steps": 8000},
            "scores": {"sleep": 84},
        }],
    });
    assert_eq!(world.send("w-ring", body.to_string()).await, 200);
    world.idle().await;
}

fn refusals(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap().iter();
    errors
        .map(|error| error["detail"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preference_is_of_the_persons_own_providers() {
    let world = with_ann().await;
    wears_a_ring_too(&world).await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let days = format!("/v1/people/{}/days?from=2026-07-02&to=2026-07-02", ann());
    let steps = async |prefer: &str| {
        let days = reader.ask(&format!("{days}{prefer}")).await;
        days["data"][0]["values"]["steps"]["value"].clone()
    };
    assert_eq!(steps("").await, 9120);
    assert_eq!(steps("&prefer=OURA").await, 8000);
    assert_eq!(steps("&prefer=GARMIN,OURA").await, 9120);
    let (status, problem) = reader.get(&format!("{days}&prefer=oura,WHOOP,OURA")).await;
    assert_eq!(status, 400, "{problem}");
    let refused = refusals(&problem);
    assert_eq!(refused.len(), 2, "{refused:?}");
    for (detail, name) in refused.iter().zip(["oura", "WHOOP"]) {
        let wanted = format!("`{name}` is none of the person's providers: GARMIN, OURA");
        assert_eq!(*detail, wanted);
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_tells_its_scores_and_what_is_known_of_it_and_no_choice_of_a_score_is_explained() {
    let world = with_ann().await;
    wears_a_ring_too(&world).await;
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let person = format!("/v1/people/{}", ann());
    let days = format!("{person}/days?from=2026-07-02&to=2026-07-02");
    let plain = reader.ask(&days).await;
    let score = &plain["data"][0]["scores"][0];
    assert_eq!(
        (&score["name"], &score["value"]),
        (&json!("score_sleep"), &json!(84))
    );
    let why = format!("{person}/days/2026-07-02/why?metric=score_sleep");
    let (status, problem) = reader.get(&why).await;
    assert_eq!(status, 400, "{problem}");
    let refused = refusals(&problem);
    assert!(refused[0].contains("never chosen between"), "{refused:?}");

    assert_eq!(plain["data"][0]["coverage"], Value::Null);
    let covered = reader.ask(&format!("{days}&include=coverage")).await;
    let of_daily = covered["data"][0]["coverage"]["daily"].as_object().unwrap();
    let letters: Vec<_> = of_daily.keys().map(String::as_str).collect();
    assert_eq!(letters.len(), 2, "{of_daily:?}");
    for (letter, state) in of_daily {
        assert_eq!(state, "have");
        assert!(
            covered["sources"][letter]["provider"].is_string(),
            "{letter}"
        );
    }
    // The very states of the coverage map.
    let map = reader
        .ask(&format!(
            "{person}/coverage?from=2026-07-02&to=2026-07-02&types=sleep"
        ))
        .await;
    for connection in map["connections"].as_array().unwrap() {
        let mut sources = covered["sources"].as_object().unwrap().iter();
        let (letter, _) = sources
            .find(|(_, source)| source["connection"] == connection["connection"])
            .unwrap();
        let state = &covered["data"][0]["coverage"]["sleep"][letter];
        assert_eq!(
            connection["types"]["sleep"]["runs"][0][0], *state,
            "{letter}"
        );
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_shows_the_level_of_the_policy_that_counts() {
    let world = with_ann().await;
    let reader = Reader::of(&world, &[Scope::PeopleRead, Scope::PolicyWrite]).await;
    let level = async || {
        let person = reader.ask(&format!("/v1/people/{}", ann())).await;
        person["policy_level"].clone()
    };
    assert_eq!(level().await, "built_in");
    let rules = json!({"rules": [{"groups": ["sleep"], "tiers": [[{"kind": "ring"}]]}]});
    for (path, name) in [
        ("/v1/source-policy".to_owned(), "app"),
        (format!("/v1/people/{}/source-policy", ann()), "person"),
    ] {
        let request = world.http.put(url(&world, &path)).bearer_auth(&reader.key);
        let request = request.header("if-match", "\"0\"");
        let request = request.header("content-type", "application/json");
        let (status, set) = answered(request.body(rules.to_string())).await;
        assert_eq!(status, 200, "{set}");
        assert_eq!(level().await, name);
    }
    let kept = world.system.table.source_policy(&PolicyOwner::App).await;
    assert!(kept.unwrap().is_some());
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_asked_by_person_in_either_form_and_since_a_moment() {
    let world = with_ann().await;
    let table = &world.system.table;
    let now_ms = crate::world::now().as_millisecond();
    for (minutes, person) in [(200, ANN), (100, ANN), (50, "u_1"), (20, ANN)] {
        let line = AuditLine {
            at_ms: now_ms - minutes * 60_000,
            actor: "console:Anna".to_owned(),
            action: "GET /console/people/{person}".to_owned(),
            person: Some(person.to_owned()),
            subject: None,
            request_id: format!("r-{minutes}"),
            number: 0,
            status: 200,
        };
        table.audit(&line).await.unwrap();
    }
    let reader = Reader::of(&world, &[Scope::KeysWrite]).await;
    let lines = async |query: &str| -> Vec<String> {
        let page = reader.ask(&format!("/v1/audit?{query}")).await;
        let lines = page["data"].as_array().unwrap().iter();
        lines
            .map(|line| line["request_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = ["r-20", "r-100", "r-200"];
    assert_eq!(lines(&format!("person={}", ann())).await, all);
    assert_eq!(lines("person=ann/50%25@example.org").await, all);
    let moment = |minutes: i64| {
        let at = jiff::Timestamp::from_millisecond(now_ms - minutes * 60_000).unwrap();
        at.to_string()
    };
    let since = format!("since={}", moment(100));
    assert_eq!(lines(&since).await, ["r-20", "r-50", "r-100"]);
    let between = format!("since={}&until={}", moment(150), moment(30));
    assert_eq!(lines(&between).await, ["r-50", "r-100"]);
    assert_eq!(lines(&format!("{since}&person=u_1")).await, ["r-50"]);
    let wrong = format!("/v1/audit?since={}&until={}", moment(30), moment(60));
    assert_eq!(reader.get(&wrong).await.0, 400);
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_whose_person_may_still_be_erased_are_found() {
    let world = with_ann().await;
    let connection = world.connection("user-1").await;
    let table = &world.system.table;
    table.hold_aliases(&connection, true).await.unwrap();
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let found = reader.ask("/v1/people?terra_user_id=user-1").await;
    assert_eq!(found["data"][0]["reference_id"], ANN);
    let ids = json!(["user-1", "nobody"]);
    let (status, users) = reader.post("/terra/v2/bulkUserInfo", &ids).await;
    assert_eq!((status, &users[0]["user_id"]), (200, &json!("user-1")));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_page_of_users_that_there_can_be_is_empty() {
    let world = with_ann().await;
    let key = key_with(&world, &[Scope::PeopleRead]).await;
    let path = format!("/terra/v2/subscriptions?page={}", usize::MAX);
    let request = world.http.get(url(&world, &path)).header("dev-id", "any");
    let (status, page) = answered(request.header("x-api-key", &key)).await;
    assert_eq!(
        (status, &page["data"]["next"], &page["data"]["results"]),
        (200, &Value::Null, &json!([]))
    );
    world.system.stop().await;
}
