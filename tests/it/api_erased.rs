//! A person who was erased: no route knows them, and what their clients held has ended.

use api::route::{Endpoint, Verb};
use domain::access::{Scope, TokenScope};
use jobs::{Budget, erase};
use models::ids::ReferenceId;
use store::table::jobs::Subject;
use tokio::time::{Duration, Instant};

use crate::{
    api::{ANN, OF_ANN, Reader, answered, token_for, url, with_ann_in},
    calls::call_of,
    world::World,
};

/// Erases a person to the end.
async fn erase(world: &World, person: &str) {
    let app = &world.system.jobs;
    let subject = Subject::Person(ReferenceId::new(person).unwrap());
    let job = erase::order(app, subject, "a test", 0).await.unwrap();
    let budget = Budget::until(Instant::now() + Duration::from_mins(5));
    while let Some(wait) = Box::pin(jobs::go_on(app, &job.id, budget)).await.unwrap() {
        assert_eq!(wait, Duration::ZERO);
    }
}

/// Status of a call with the body that the endpoint wants.
async fn status_of(world: &World, endpoint: &Endpoint, credential: &str) -> u16 {
    let body = call_of(endpoint, OF_ANN).1.map(|body| body.to_string());
    status_with(world, endpoint, credential, body).await
}

async fn status_with(
    world: &World,
    endpoint: &Endpoint,
    credential: &str,
    body: Option<String>,
) -> u16 {
    let (path, _) = call_of(endpoint, OF_ANN);
    let method = endpoint.verb.as_str().parse().unwrap();
    let request = world.http.request(method, url(world, &path));
    let request = request.bearer_auth(credential).header("if-match", "\"0\"");
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body),
        None => request,
    };
    answered(request).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_orders_or_connects_for_an_erased_person() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let all = Reader::of(&world, Scope::ALL).await;
    let token = token_for(&world, ANN, TokenScope::ALL).await;
    let of_ann = api::endpoints().into_iter().filter(|endpoint| {
        let mut places = endpoint.places();
        endpoint.path.starts_with("/v1/") && places.any(|it| ["person", "connection"].contains(&it))
    });
    let of_ann: Vec<_> = of_ann.collect();
    assert!(of_ann.len() >= 20, "{of_ann:?}");
    // While she is there, the calls of this walk are answered: else it would show nothing.
    let mut answered = 0;
    for endpoint in of_ann.iter().filter(|it| it.verb == Verb::Get) {
        let status = status_of(&world, endpoint, &all.key).await;
        assert!(status < 500, "{endpoint:?}");
        answered += u32::from(status == 200);
    }
    assert!(answered >= 10, "{answered} reads were answered");

    erase(&world, ANN).await;
    for endpoint in &of_ann {
        let name = format!("{endpoint:?}");
        let status = status_of(&world, endpoint, &all.key).await;
        let gone = [404, 410].contains(&status);
        // With a key anybody may begin anew, also somebody of this name: a new person, who is not there yet.
        let begins = [
            "POST /v1/people/{person}/connect",
            "POST /v1/people/{person}/tokens",
        ];
        assert!(gone || begins.contains(&name.as_str()), "{name}: {status}");
        assert_eq!(status_of(&world, endpoint, &token).await, 401, "{name}");
        if endpoint.doc.body.is_none() {
            continue;
        }
        for body in [None, Some("{\"no\": ".to_owned())] {
            let status = status_with(&world, endpoint, &all.key, body.clone()).await;
            assert!([400, 404, 410].contains(&status), "{name}: {status}");
            let status = status_with(&world, endpoint, &token, body).await;
            assert_eq!(status, 401, "{name}");
        }
    }
    // Somebody of the same name who begins anew gets tokens that work.
    let anew = token_for(&world, ANN, &[TokenScope::Connect]).await;
    let connect = of_ann
        .iter()
        .find(|it| it.path == "/v1/people/{person}/connect")
        .unwrap();
    assert_eq!(status_of(&world, connect, &anew).await, 201);
    let of_other = token_for(&world, "u_1", &[TokenScope::Read]).await;
    let request = world.http.get(url(&world, "/v1/people/u_1"));
    assert_eq!(
        crate::api::answered(request.bearer_auth(of_other)).await.0,
        200
    );
    world.system.stop().await;
}
