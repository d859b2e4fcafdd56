//! A replay, and the list of parked webhooks.

use std::path::Path;

use serde_json::{Value, json};

use super::{database, json, send};
use crate::{Dev, NUTRITION, folder, ok};

/// Returns the place that the Terra user `u-1` leads to, as an attribute of its alias.
async fn alias(data: &str) -> Value {
    let request = json!({"TableName": "terrarium", "Key": key()});
    let found = database(data, "GetItem", request).await;
    found.pointer("/Item/connection_id").unwrap().clone()
}

async fn set_alias(data: &str, to: &Value) {
    let request = json!({
        "TableName": "terrarium",
        "Key": key(),
        "UpdateExpression": "SET connection_id = :to",
        "ExpressionAttributeValues": {":to": to},
    });
    database(data, "UpdateItem", request).await;
}

fn key() -> Value {
    json!({"pk": {"S": "TERRA#u-1"}, "sk": {"S": "ALIAS"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_brings_the_list_of_parked_webhooks_up_to_date() {
    let (temporary, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let stored = send(temporary.path(), &data, "stored", NUTRITION);
    assert_eq!(stored["outcome"], "stored");
    let sound = alias(&data).await;
    set_alias(&data, &json!({"BOOL": true})).await;
    let second = NUTRITION.replace("2026-07-0", "2026-08-0");
    let parked = send(temporary.path(), &data, "parked", &second);
    assert_eq!(parked["outcome"], "parked", "{parked}");

    let list = ["parked", "list", "--data", &data];
    let of_today = ["show", "--data", &data, "webhooks", "--parked"];
    let listed = || {
        let listed = json(&list);
        let today = json(&of_today);
        // Midnight may have come since.
        assert!(today == listed || today == json!([]), "{today}");
        let ids = listed.as_array().unwrap().iter();
        ids.map(|each| each["webhook_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let replay = |options: &[&str]| ok(&[&["replay", "--data", &data], options].concat());
    assert_eq!(listed(), ["parked"]);
    let why = ok(&list);
    // The cause is still there.
    let tried = replay(&["--webhook", "parked"]);
    assert!(!tried.contains("list of parked"), "{tried}");
    assert_eq!(ok(&list), why);

    set_alias(&data, &sound).await;
    let tried = replay(&["--dry-run"]);
    assert!(tried.contains("1 webhook off it, 0 on it"), "{tried}");
    assert_eq!(listed(), ["parked"]);
    let replayed = replay(&[]);
    // A connection knows the minute of its newest data, and one may have begun between the two webhooks.
    let made = ["2 webhooks, 1 change made", "2 webhooks, 2 changes made"];
    assert!(
        made.iter().any(|made| replayed.contains(made)),
        "{replayed}"
    );
    assert!(replayed.contains("1 webhook off it, 0 on it"), "{replayed}");
    assert!(listed().is_empty());
    let again = replay(&[]);
    assert!(
        again.contains("nothing changed") && !again.contains("list of parked"),
        "{again}"
    );

    // A webhook that cannot be used any more is put on the list, with all reasons of the router.
    set_alias(&data, &json!({"BOOL": true})).await;
    let tried = replay(&["--webhook", "parked"]);
    assert!(tried.contains("0 webhooks off it, 1 on it"), "{tried}");
    assert_eq!(listed(), ["parked"]);
    assert_eq!(ok(&list), why);

    // But not against an operator's decision.
    ok(&["parked", "dismiss", "--data", &data, "parked"]);
    assert!(listed().is_empty());
    replay(&["--webhook", "parked"]);
    assert!(listed().is_empty());
    dev.stop();
}
