//! Webhooks in the log: whose they are, their headers, and the records that they brought.

use domain::access::Scope;
use models::signature::SigningSecret;
use serde_json::{Value, json};

use crate::{
    api::{ANN, Reader, with_ann},
    world::{SECRET, World, now},
};

/// A day of a user, with or without samples.
fn daily(user: &str, person: &str, steps: u32, has_samples: bool) -> String {
    let samples = if has_samples {
        json!([{"timestamp": "2026-07-02T10:00:00.000000+02:00", "bpm": 61}])
    } else {
        json!([])
    };
    json!({
        "type": "daily",
        "user": {"user_id": user, "provider": "GARMIN", "reference_id": person, "active": true},
        "data": [{
            "metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00",
                         "end_time": "2026-07-03T00:00:00.000000+02:00"},
            "distance_data": {"steps": steps},
            "heart_rate_data": {"detailed": {"hr_samples": samples}},
        }],
    })
    .to_string()
}

/// Delivers a webhook with more headers, and waits until it is routed.
async fn send(world: &World, id: &str, more: &[(&str, &str)], body: String) {
    let secret = SigningSecret::new("main", SECRET).unwrap();
    let signature = secret.sign(now().as_second(), body.as_bytes());
    let own = [
        ("X-Terra-Signature", signature.as_str()),
        ("Terra-Signature", signature.as_str()),
        ("X-Terra-Trace-Id", id),
    ];
    let headers = own.iter().chain(more);
    let headers: Vec<_> = headers
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(world.post(&headers, body.into_bytes()).await, 200);
    world.idle().await;
}

async fn operator(world: &World) -> Reader<'_> {
    Reader::of(world, &[Scope::OperationsRead]).await
}

/// Types, keys and states of the records that a webhook brought.
fn brought(webhook: &Value) -> Vec<[&str; 3]> {
    let brought = webhook["brought"].as_array().unwrap().iter();
    let named =
        brought.map(|record| ["type", "key", "state"].map(|it| record[it].as_str().unwrap()));
    named.collect()
}

#[tokio::test]
async fn the_log_names_the_person_and_the_connection_of_each_webhook() {
    let world = with_ann().await;
    // After a reauthentication both ids lead to one connection.
    let user = |id: &str| json!({"user_id": id, "provider": "GARMIN", "reference_id": ANN});
    let renewed = json!({"type": "user_reauth", "status": "warning", "message": "again",
        "old_user": user("user-1"), "new_user": user("user-9")});
    send(&world, "w-reauth", &[], renewed.to_string()).await;
    send(&world, "w-new", &[], daily("user-9", ANN, 9_300, false)).await;
    let unknown = json!({"type": "daily", "data": [{}]});
    send(&world, "w-nobodys", &[], unknown.to_string()).await;

    let reader = operator(&world).await;
    let connection = world.connection("user-1").await.id.to_string();
    assert_eq!(world.connection("user-9").await.id.to_string(), connection);
    let ann = api::id::to_path(ANN);
    let of_ann = format!("/v1/webhooks?person={ann}");
    for (path, expected) in [("/v1/webhooks", 6), (of_ann.as_str(), 3)] {
        let all = reader.ask(path).await["data"].as_array().unwrap().clone();
        assert_eq!(all.len(), expected, "{path}");
        for webhook in &all {
            let id = webhook["id"].as_str().unwrap();
            let owner = (&webhook["person"], &webhook["connection"]);
            match id {
                "w-1" | "w-reauth" | "w-new" => {
                    assert_eq!(owner, (&json!(ann), &json!(connection)), "{id}");
                }
                "w-nobodys" => assert_eq!(owner, (&Value::Null, &Value::Null)),
                _ => assert!(owner.0.is_string() && *owner.1 != json!(connection), "{id}"),
            }
            // One webhook says the same as the list.
            let one = reader.ask(&format!("/v1/webhooks/{id}")).await;
            assert_eq!(one["webhook"], *webhook);
        }
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_webhook_says_what_is_left_of_the_records_that_it_brought() {
    let world = World::start().await;
    send(&world, "w-first", &[], daily("u", "ann", 100, false)).await;
    send(&world, "w-samples", &[], daily("u", "ann", 200, true)).await;
    let reader = operator(&world).await;
    let one = async |id: &str| reader.ask(&format!("/v1/webhooks/{id}")).await;
    let day = |state| vec![["daily", "2026-07-02", state]];
    assert_eq!(brought(&one("w-samples").await), day("newest"));
    send(&world, "w-newest", &[], daily("u", "ann", 300, false)).await;
    assert_eq!(brought(&one("w-first").await), day("replaced"));
    assert_eq!(brought(&one("w-samples").await), day("older"));
    let newest = one("w-newest").await;
    assert_eq!(brought(&newest), day("newest"));
    assert_eq!(newest["brought_count"], 1);
    let connection = world.connection("u").await.id.to_string();
    assert_eq!(newest["brought"][0]["connection"], connection);

    // A night that got its id since is named by the id.
    let night = |summary_id: Value| {
        json!({
            "type": "sleep",
            "user": {"user_id": "u", "provider": "GARMIN", "reference_id": "ann"},
            "data": [{"metadata": {"summary_id": summary_id, "start_time": "2026-07-01T23:00:00.000000+02:00",
                                   "end_time": "2026-07-02T07:00:00.000000+02:00"}}],
        })
        .to_string()
    };
    send(&world, "w-night", &[], night(Value::Null)).await;
    send(&world, "w-named", &[], night(json!("n-1"))).await;
    let first = one("w-night").await;
    assert_eq!(first["brought"][0]["key"], "n-1", "{first}");
    assert_eq!(brought(&one("w-named").await), [["sleep", "n-1", "newest"]]);

    // What names no record brought none, and many are counted.
    let healthcheck = json!({"type": "healthcheck", "status": "success"});
    send(&world, "w-healthcheck", &[], healthcheck.to_string()).await;
    let nothing = one("w-healthcheck").await;
    assert_eq!(
        (brought(&nothing).len(), &nothing["brought_count"]),
        (0, &json!(0))
    );
    let days: Vec<_> = (0..130)
        .map(|number| {
            let day = domain::history::day::plus(jiff::civil::date(2026, 1, 1), number);
            json!({"metadata": {"start_time": format!("{day}T00:00:00+00:00")}})
        })
        .collect();
    let many =
        json!({"type": "body", "user": {"user_id": "u", "provider": "GARMIN"}, "data": days});
    send(&world, "w-many", &[], many.to_string()).await;
    let many = one("w-many").await;
    assert_eq!(
        (brought(&many).len(), &many["brought_count"]),
        (100, &json!(130))
    );
    assert_eq!(brought(&many)[99], ["body", "2026-04-10", "newest"]);
    world.system.stop().await;
}

#[tokio::test]
async fn the_archived_headers_of_a_webhook_are_shown_without_signatures() {
    let world = World::start().await;
    let ordered = now().as_millisecond().to_string();
    let more = [
        ("Terra-Reference", "r-1:chunk:2"),
        ("X-Terra-Ordering-Timestamp", ordered.as_str()),
        ("Authorization", "Bearer of-nobody"),
    ];
    send(&world, "w-1", &more, daily("u", "ann", 98_765, true)).await;
    let reader = operator(&world).await;
    let one = reader.ask("/v1/webhooks/w-1").await;
    assert_eq!(
        one["headers"],
        json!({
            "terra-reference": "r-1:chunk:2",
            "x-terra-ordering-timestamp": ordered,
            "x-terra-trace-id": "w-1",
        })
    );
    // Neither signatures nor values, in whatever member.
    let text = one.to_string();
    for secret in ["v1=", "of-nobody", "98765", SECRET] {
        assert!(!text.contains(secret), "{secret}");
    }
    let archived = world.entry("w-1").await.unwrap().locator.unwrap();
    let archived = world.system.archive.read_webhook(&archived).await.unwrap();
    let signed = archived.header.headers.get("x-terra-signature");
    assert!(signed.is_some_and(|signature| signature.contains("v1=")));
    world.system.stop().await;
}
