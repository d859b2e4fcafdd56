//! Connecting people and ending connections over the API, with a stand-in Terra behind it.

use domain::access::{Scope, TokenScope};
use serde_json::{Value, json};

use crate::{
    api::{ANN, Reader, answered, token_for, url, with_ann_in},
    world::World,
};

#[tokio::test]
async fn a_person_connects_by_a_page_a_link_or_a_token() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let server = Reader::of(&world, &[Scope::PeopleConnect]).await;
    // Nobody of this name is known yet.
    let path = "/v1/people/somebody-new/connect";
    let home = "http://127.0.0.1:3000/connected";
    let widget = json!({
        "kind": "widget", "providers": ["GARMIN", "OURA"], "language": "en",
        "success_url": home, "failure_url": "http://localhost:3000/",
    });
    let (status, made) = server.post(path, &widget).await;
    assert_eq!(status, 201, "{made}");
    assert!(made["url"].as_str().unwrap().starts_with("http"));
    let until: jiff::Timestamp = made["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(until > crate::world::now());
    assert_eq!(
        (&made["token"], &made["provider"]),
        (&Value::Null, &Value::Null)
    );

    let link = json!({"kind": "link", "providers": ["OURA"]});
    let (status, made) = server.post(path, &link).await;
    assert_eq!((status, &made["provider"]), (201, &json!("OURA")), "{made}");
    assert!(made["url"].is_string());
    let (status, made) = server.post(path, &json!({"kind": "mobile_token"})).await;
    assert_eq!((status, &made["url"]), (201, &Value::Null), "{made}");
    assert!(made["token"].is_string() && made["expires_at"].is_string());

    // What was made is a secret: it is not kept for a repetition.
    let once = async || {
        let request = world.http.post(url(&world, path)).bearer_auth(&server.key);
        let request = request.header("idempotency-key", "one link");
        answered(request.body(link.to_string())).await
    };
    assert_eq!(once().await.0, 201);
    assert_eq!(once().await.0, 409);

    // The person's own client, for themselves alone.
    let ann = Reader {
        world: &world,
        key: token_for(&world, ANN, &[TokenScope::Connect]).await,
    };
    let own = format!("/v1/people/{}/connect", api::id::to_path(ANN));
    assert_eq!(ann.post(&own, &link).await.0, 201);
    assert_eq!(ann.post(path, &link).await.0, 403);
    world.system.stop().await;
}

#[tokio::test]
async fn a_way_to_connect_that_makes_no_sense_is_refused_with_all_reasons() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let server = Reader::of(&world, &[Scope::PeopleConnect]).await;
    let path = "/v1/people/u_1/connect";
    for (body, names) in [
        (
            json!({"kind": "letter", "language": "?"}),
            vec!["kind", "language"],
        ),
        (json!({"kind": "link"}), vec!["providers"]),
        (
            json!({"kind": "link", "providers": ["A", "B"]}),
            vec!["providers"],
        ),
        (
            json!({"kind": "widget", "providers": ["A,B"]}),
            vec!["providers"],
        ),
        (
            json!({"kind": "mobile_token", "language": "en"}),
            vec!["language"],
        ),
        (
            json!({"kind": "widget", "success_url": "https://evil.example/", "failure_url": "there"}),
            vec!["success_url", "failure_url"],
        ),
    ] {
        let (status, refused) = server.post(path, &body).await;
        assert_eq!(status, 400, "{body}: {refused}");
        let errors = refused["errors"].as_array().unwrap().iter();
        let named: Vec<_> = errors.map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(named, names, "{refused}");
    }
    let (status, refused) = server
        .post(
            path,
            &json!({"kind": "link", "providers": ["NOSUCHPROVIDER"]}),
        )
        .await;
    assert_eq!(status, 400, "{refused}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_connection_is_ended_at_terra_and_its_data_stay() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let scopes = [Scope::PeopleConnect, Scope::PeopleRead];
    let server = Reader::of(&world, &scopes).await;
    let end = async |id: &str| {
        let request = world
            .http
            .delete(url(&world, &format!("/v1/connections/{id}")));
        answered(request.bearer_auth(&server.key)).await
    };
    let (status, ended) = end("user-1").await;
    assert_eq!(
        (status, &ended["terra_user_id"]),
        (202, &json!("user-1")),
        "{ended}"
    );
    // The stand-in never had this user.
    assert_eq!(ended["was_ended_before"], true);
    assert_eq!(end("user-1").await.0, 202);
    assert_eq!(end("nobody").await.0, 404);
    let record = "/v1/records/user-1/daily/2026-07-02";
    assert_eq!(server.get(record).await.0, 200);
    let reader = Reader::of(&world, &[Scope::PeopleRead]).await;
    let request = world.http.delete(url(&world, "/v1/connections/user-1"));
    assert_eq!(answered(request.bearer_auth(&reader.key)).await.0, 403);
    world.system.stop().await;
}

#[tokio::test]
async fn providers_are_terras_list_beside_what_is_known_of_each() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let anybody = Reader::of(&world, &[Scope::OperationsRead]).await;
    let list = async |query: &str| {
        let (status, listed) = anybody.get(&format!("/v1/integrations{query}")).await;
        assert_eq!(status, 200, "{listed}");
        listed["data"].as_array().unwrap().clone()
    };
    let all = list("").await;
    let of = |name: &str| all.iter().find(|it| it["provider"] == name);
    let garmin = of("GARMIN").unwrap();
    assert_eq!(
        (
            &garmin["phone_only"],
            &garmin["reach_days"],
            &garmin["source_kind"]
        ),
        (&json!(false), &json!(1825), &json!("watch"))
    );
    let types = garmin["types"].as_array().unwrap();
    assert!(types.contains(&json!("daily")), "{garmin}");
    assert_eq!(garmin["rhythm"]["daily"], "every_day");
    let (enabled, others) = (list("?enabled=true").await, list("?enabled=false").await);
    assert!(enabled.iter().all(|it| it["enabled"] == true));
    assert!(others.iter().all(|it| it["enabled"] == false));
    assert!(!enabled.is_empty() && enabled.len() + others.len() <= all.len());
    assert_eq!(anybody.get("/v1/integrations?enabled=maybe").await.0, 400);
    world.system.stop().await;
}
