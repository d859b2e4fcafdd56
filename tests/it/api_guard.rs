//! Guards of the routes: each is called by those who may not, and by those who may.

use api::route::{Needs, PersonToken, Verb};
use domain::access::{Scope, TokenScope};

use crate::{
    api::{ANN, OF_ANN, answered, key_with, token_for, url, with_ann_in},
    calls::call_of,
    world::World,
};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one walk")]
async fn every_route_asks_who_calls() {
    let world = with_ann_in(World::start_with_terra().await).await;
    let all = key_with(&world, Scope::ALL).await;
    let of_ann = token_for(&world, ANN, TokenScope::ALL).await;
    let of_nobody = token_for(&world, "nobody", TokenScope::ALL).await;
    let mut endpoints = api::endpoints();
    // Calls that end something come last, and that which ends everything at the very end.
    endpoints.sort_by_key(|it| (it.verb == Verb::Delete, it.path == "/v1/people/{person}"));
    for endpoint in &endpoints {
        let (path, usable) = call_of(endpoint, OF_ANN);
        let usable = usable.map(|body| body.to_string());
        let call = async |credential: Option<&str>, body: Option<&str>| {
            let method = endpoint.verb.as_str().parse().unwrap();
            let request = world.http.request(method, url(&world, &path));
            let request = request.header("if-match", "\"0\"");
            let request = match credential {
                Some(credential) => request.bearer_auth(credential),
                None => request,
            };
            let request = match body {
                Some(body) => request
                    .header("content-type", "application/json")
                    .body(body.to_owned()),
                None => request,
            };
            answered(request).await
        };
        // Nobody learns whether a body is usable before it is known who asks.
        let bodies = match &usable {
            Some(usable) => vec![Some(usable.as_str()), Some("{\"no\": "), None],
            None => vec![None],
        };
        let asserts_refused = async |credential: Option<&str>, status: u16| {
            for body in &bodies {
                let (got, answer) = call(credential, *body).await;
                assert_eq!(got, status, "{endpoint:?} {body:?}: {answer}");
            }
        };
        if endpoint.route.scope == Needs::Nothing {
            assert_eq!(call(None, None).await.0, 200, "{endpoint:?}");
            continue;
        }
        asserts_refused(None, 401).await;
        for wrong in [
            "tk_q3v7m2x4c5ka_secret",
            "tp1.e30.e30",
            "secret",
            &format!("{all}x"),
        ] {
            asserts_refused(Some(wrong), 401).await;
        }
        let wanted: &[Scope] = match &endpoint.route.scope {
            Needs::One(scope) => std::slice::from_ref(scope),
            Needs::AnyOf(scopes) => scopes,
            Needs::Nothing | Needs::AnyKey => &[],
        };
        if !wanted.is_empty() {
            let others: Vec<_> = Scope::ALL
                .iter()
                .filter(|scope| !wanted.contains(scope))
                .copied()
                .collect();
            let others = key_with(&world, &others).await;
            asserts_refused(Some(&others), 403).await;
        }
        // Tokens before keys: the last call erases the person.
        match endpoint.route.person_token {
            PersonToken::Never => asserts_refused(Some(&of_ann), 403).await,
            PersonToken::Any => {
                let (status, _) = call(Some(&of_nobody), usable.as_deref()).await;
                assert!(status < 400, "{endpoint:?}");
            }
            PersonToken::With(scope) => {
                let places: Vec<_> = endpoint.places().collect();
                assert!(
                    places.contains(&"person") || places.contains(&"connection"),
                    "{endpoint:?}"
                );
                asserts_refused(Some(&of_nobody), 403).await;
                let without: Vec<_> = TokenScope::ALL
                    .iter()
                    .filter(|one| **one != scope)
                    .copied()
                    .collect();
                let without = token_for(&world, ANN, &without).await;
                asserts_refused(Some(&without), 403).await;
                let (status, answer) = call(Some(&of_ann), usable.as_deref()).await;
                assert!(
                    status < 500 && status != 401 && status != 403,
                    "{endpoint:?}: {answer}"
                );
            }
        }
        for scope in wanted {
            let right = key_with(&world, &[*scope]).await;
            for body in bodies.iter().rev() {
                let (status, answer) = call(Some(&right), *body).await;
                // A key may give no permission that it lacks itself.
                let gives = ["/v1/keys", "/v1/people/{person}/tokens"].contains(&endpoint.path);
                let gives = gives && status == 403 && body.is_some();
                assert!(
                    gives || status != 401 && status != 403,
                    "{endpoint:?}: {answer}"
                );
                assert!(status < 500, "{endpoint:?}: {answer}");
            }
        }
    }
    world.system.stop().await;
}
