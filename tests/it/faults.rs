//! Tests of faults on our side and odd forms on Terra's: each webhook ends as its own error says.

use std::io::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::Status,
    plan::{ParkReason, PlannedRequest},
    request::Request,
};
use flate2::{Compression, write::GzEncoder};
use models::{
    data::DataType,
    headers::TerraHeaders,
    ids::{ReferenceId, WebhookId},
    signature::{SignatureError, SigningSecret, Tolerance, verify},
};
use serde_json::json;
use store::{
    archive::ArchivedWebhook,
    table::{key::RecordOwner, ledger::Outcome},
};
use terrarium::system::TABLE_NAME;

use crate::world::{SECRET, World, now};

fn daily(user: &str, reference_id: &str, steps: u32) -> String {
    format!(
        r#"{{"type":"daily","user":{{"user_id":"{user}","provider":"GARMIN","reference_id":{reference_id}}},"data":[{{"metadata":{{"start_time":"2026-07-01T00:00:00+02:00"}},"distance_data":{{"steps":{steps}}}}}]}}"#
    )
}

async fn archived(world: &World, trace_id: &str) -> ArchivedWebhook {
    let locator = world.entry(trace_id).await.unwrap().locator.unwrap();
    world.system.archive.read_webhook(&locator).await.unwrap()
}

/// Verifies the archived signature over these bytes.
fn verified(webhook: &ArchivedWebhook, bytes: &[u8]) -> Result<(), SignatureError> {
    let header = &webhook.header;
    let pairs = header.headers.iter();
    let headers = pairs.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = TerraHeaders::from_pairs(headers);
    let secrets = [SigningSecret::new("main", SECRET).unwrap()];
    let (signatures, at) = (headers.signatures(), header.signed_at_s.unwrap());
    verify(&secrets, signatures, bytes, at, Tolerance::default()).map(drop)
}

/// Replaces an attribute of an item by something that no code of ours writes.
async fn spoil(world: &World, pk: String, sk: &str, attribute: &str) {
    let client = terrarium::system::dynamodb_client(&world.system.dynamodb).unwrap();
    client
        .update_item()
        .table_name(TABLE_NAME)
        .key("pk", AttributeValue::S(pk))
        .key("sk", AttributeValue::S(sk.to_owned()))
        .update_expression("SET #spoilt = :spoilt")
        .expression_attribute_names("#spoilt", attribute)
        .expression_attribute_values(":spoilt", AttributeValue::Bool(true))
        .send()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_item_parks_its_own_webhook_at_once_and_no_other() {
    let world = World::start().await;
    for user in ["alias", "connection", "ledger"] {
        let id = format!("{user}-1");
        assert_eq!(world.send(&id, daily(user, "null", 1)).await, 200);
    }
    world.idle().await;
    let connection = world.connection("connection").await.id;
    spoil(&world, "TERRA#alias".to_owned(), "ALIAS", "connection_id").await;
    let pk = format!("CONNECTION#{connection}");
    spoil(&world, pk, "CONNECTION", "members").await;
    spoil(&world, "WEBHOOK#ledger-1".to_owned(), "WEBHOOK", "outcome").await;

    for user in ["alias", "connection", "beside"] {
        let id = format!("{user}-2");
        assert_eq!(world.send(&id, daily(user, "null", 2)).await, 200);
    }
    assert_eq!(
        world.send("ledger-1", daily("ledger", "null", 1)).await,
        200
    );
    world.idle().await;

    assert!(world.dead_letters().await.is_empty());
    for parked in ["alias-2", "connection-2"] {
        let entry = world.entry(parked).await.unwrap();
        assert_eq!(entry.outcome, Outcome::Parked, "{parked}");
        assert_eq!(entry.parked[0].reason, ParkReason::CorruptItem);
        assert!(entry.parked[0].reason.is_fault());
        let user = parked.trim_end_matches("-2");
        let body = archived(&world, parked).await.body;
        assert!(body == daily(user, "null", 2).as_bytes());
    }
    let beside = world.entry("beside-2").await.unwrap();
    assert_eq!(
        (beside.outcome, beside.records.created),
        (Outcome::Stored, 1)
    );
    // A line of the ledger that cannot be read is written anew.
    let healed = world.entry("ledger-1").await.unwrap();
    assert_eq!(
        (healed.outcome, healed.records.created),
        (Outcome::Stored, 0)
    );
    world.system.stop().await;
}

fn packed(text: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_signed_compressed_is_stored_and_verifies_from_the_archive() {
    let world = World::start().await;
    let text = daily("u", "\"ann\"", 4711);
    let sent = packed(text.as_bytes(), Compression::default());
    assert_eq!(world.send("gzip", sent.clone()).await, 200);
    world.idle().await;
    // A retry that was packed anew is the same webhook.
    assert_eq!(
        world
            .send("gzip", packed(text.as_bytes(), Compression::none()))
            .await,
        200
    );
    world.idle().await;

    let entry = world.entry("gzip").await.unwrap();
    assert_eq!((entry.outcome, entry.records.created), (Outcome::Stored, 1));
    assert_eq!(world.records("u", DataType::Daily).await.len(), 1);
    let webhook = archived(&world, "gzip").await;
    assert!(webhook.body == text.as_bytes());
    let mut locator = entry.locator.unwrap();
    let as_sent = webhook.header.sent.unwrap();
    locator.offset_bytes = as_sent.offset_bytes;
    locator.length_bytes = as_sent.length_bytes;
    let as_sent = world.system.archive.read_webhook(&locator).await.unwrap();
    assert!(as_sent.body == sent);
    assert_eq!(verified(&webhook, &as_sent.body), Ok(()));
    // An erasure finds both by their user.
    assert_eq!(as_sent.header.terra_user_ids, ["u"]);
    let router = &world.system.router;
    let mode = store::table::records::Mode::DryRun;
    for (archived, outcome) in [(webhook, Outcome::Stored), (as_sent, Outcome::Followed)] {
        let replayed = routing::replay(router.ways(), &archived, mode)
            .await
            .unwrap();
        let applied = replayed.applied;
        assert_eq!((applied.outcome, applied.records.updated), (outcome, 0));
    }

    // A body that cannot be unpacked is parked as it came.
    let broken_off = &sent[..sent.len() / 2];
    assert_eq!(world.send("broken-off", broken_off).await, 200);
    world.idle().await;
    let entry = world.entry("broken-off").await.unwrap();
    assert_eq!(entry.parked[0].reason, ParkReason::UnreadableGzip);
    let webhook = archived(&world, "broken-off").await;
    assert!(webhook.body == broken_off);
    assert_eq!(verified(&webhook, broken_off), Ok(()));
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_under_two_signature_values_verifies_from_the_archive() {
    let world = World::start().await;
    let body = daily("u", "null", 1);
    let at = now().as_second();
    let right = SigningSecret::new("main", SECRET)
        .unwrap()
        .sign(at, body.as_bytes());
    let wrong = format!("t={},v1={}", at - 5, "0".repeat(64));
    let joined = format!("{right},{wrong}");
    let values: [&[&String]; 4] = [&[&right, &wrong], &[&wrong, &right], &[&joined], &[&right]];
    for (number, values) in values.into_iter().enumerate() {
        let id = format!("w{number}");
        let mut headers = vec![("X-Terra-Trace-Id".to_owned(), id.clone())];
        let signatures = values
            .iter()
            .map(|&value| ("X-Terra-Signature".to_owned(), value.clone()));
        headers.extend(signatures);
        assert_eq!(
            world.post(&headers, body.clone().into_bytes()).await,
            200,
            "{id}"
        );
        world.idle().await;
        let webhook = archived(&world, &id).await;
        assert_eq!(verified(&webhook, &webhook.body), Ok(()), "{id}");
        assert!(verified(&webhook, b"{}").is_err());
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_and_a_long_text_for_a_reference_id_name_their_person() {
    let world = World::start().await;
    let long = "r".repeat(1025);
    let report = r#"{"type":"lab_report.completed","event_id":"e","occurred_at":"2026-09-01T10:00:00Z","data":{"session_id":"73","reference_id":48213,"results":[]}}"#;
    assert_eq!(world.send("number", daily("a", "48213", 1)).await, 200);
    assert_eq!(world.send("report", report).await, 200);
    assert_eq!(
        world
            .send("long", daily("b", &json!(long).to_string(), 1))
            .await,
        200
    );
    world.idle().await;
    let table = &world.system.table;
    for (user, person) in [("a", "48213"), ("b", long.as_str())] {
        let person = ReferenceId::new(person).unwrap();
        let connections = table.connections_of(&person).await.unwrap();
        assert_eq!(connections[0].id, world.connection(user).await.id);
    }
    let number = RecordOwner::Person(ReferenceId::new("48213"));
    assert_eq!(
        table
            .records(&number, Some(DataType::LabReport))
            .await
            .unwrap()
            .len(),
        1
    );
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_answers_a_request_does_not_revive_an_ended_connection() {
    let world = World::start().await;
    let minutes_ago = |minutes: i64| (now().as_millisecond() - minutes * 60_000).to_string();
    let send = async |id: &str, reference: &str, minutes: i64, body: String| {
        let secret = SigningSecret::new("main", SECRET).unwrap();
        let signature = secret.sign(now().as_second(), body.as_bytes());
        let headers = [
            ("X-Terra-Signature", signature),
            ("X-Terra-Trace-Id", id.to_owned()),
            ("Terra-Reference", reference.to_owned()),
            ("X-Terra-Ordering-Timestamp", minutes_ago(minutes)),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(world.post(&headers, body.into_bytes()).await, 200);
        world.idle().await;
        world.connection("u").await.state
    };
    let ended =
        r#"{"type":"deauth","status":"success","user":{"user_id":"u","provider":"GARMIN"}}"#;
    let state = send("ended", "other", 50, ended.to_owned()).await;
    assert_eq!(state.status(), Status::Ended);
    let asked = PlannedRequest {
        reference: "asked".to_owned(),
        request: Request::default(),
        only_if_known: false,
    };
    assert!(world.system.table.apply_request(&asked).await.unwrap());

    let state = send("answer", "asked", 40, daily("u", "null", 1)).await;
    assert_eq!((state.status(), state.data_at_ms()), (Status::Ended, None));
    let state = send("chunk", "strange:chunk:1", 30, daily("u", "null", 2)).await;
    assert_eq!((state.status(), state.data_at_ms()), (Status::Ended, None));
    assert_eq!(world.records("u", DataType::Daily).await.len(), 1);
    let request = world.system.table.request("asked").await.unwrap().unwrap();
    assert_eq!(request.chunks.len(), 1);

    let state = send("by-itself", "another", 20, daily("u", "null", 3)).await;
    assert_eq!(state.status(), Status::Active);
    assert!(state.data_at_ms().is_some());
    assert!(!WebhookId::is_sent("by-itself"));
    world.system.stop().await;
}
