//! Examples of the document: what a system of simulated people is asked and answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use api::{
    openapi,
    route::{Reply, Verb},
};
use domain::access::Scope;
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::{Map, Value, json};
use simulator::{DataType, Provider, TruthSettings};

use crate::{
    api::key_with,
    walk::{Client, Done, Subjects, every_call},
    world::{World, options, stand_in_terra_of},
};

/// Largest size of all examples together, so that the document stays readable. Unit: bytes.
const MOST_BYTES: usize = 60 * 1024;
/// Elements that are shown of a list.
const ELEMENTS: usize = 2;
/// Time of the examples.
const BEGIN: &str = "2026-07-05T09:30:00Z";

/// Days of two people, two connections each, as Terra sends them. Returns the answers to a call of every endpoint, and
/// those of problems by the names of their schemas.
async fn answers() -> (Vec<Done>, [(&'static str, Value); 2], String) {
    let (begin, started) = (BEGIN.parse::<Timestamp>().unwrap(), Instant::now());
    let clock = move || begin + SignedDuration::try_from(started.elapsed()).unwrap();
    let providers = [Provider::Garmin, Provider::Oura];
    let connected = begin - SignedDuration::from_hours(24 * 4);
    let people = TruthSettings {
        updates_per_day: 0,
        ..TruthSettings::new(7, 2, &providers, connected)
    };
    let (truth, terra) = stand_in_terra_of(people, Arc::new(clock)).await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut options = options(folder.path());
    options.clock = Arc::new(clock);
    options.removes_expired = false;
    options.terra = Some(terra);
    let world = World::open(folder, options).await;
    for emission in truth.webhooks_between(connected, begin) {
        world.deliver_signed_at(&emission.webhook, clock()).await;
    }
    let status = world.send_signed_at("w-parked", "{", clock()).await;
    assert_eq!(status, 200);
    world.idle().await;

    let known = truth.connections();
    let first = &known[0];
    let (own, others): (Vec<_>, Vec<_>) = known
        .iter()
        .partition(|it| it.reference_id == first.reference_id);
    let mut days = connected
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
        .series(jiff::Span::new().days(1));
    let has_all = |day: &Date| {
        let types = [DataType::Daily, DataType::Sleep];
        types.iter().all(|it| truth.has_records(first, *it, *day))
    };
    let day = days.by_ref().skip(1).take(2).find(has_all).unwrap();
    let key = key_with(&world, Scope::ALL).await;
    let client = Client {
        http: &world.http,
        url: &world.system.api_url,
        key: &key,
    };
    // The newest of the person's own: those of the leaver are erased.
    let of_first = format!(
        "/v1/webhooks?type=daily&terra_user_id={}",
        first.terra_user_id
    );
    let listed = client.until(&of_first, |_| true).await;
    let subjects = Subjects {
        person: &first.reference_id,
        leaver: &others[0].reference_id,
        users: [&own[0].terra_user_id, &own[1].terra_user_id],
        day,
        webhook: listed["data"][0]["id"].as_str().unwrap(),
        parked: "w-parked",
    };
    let refuses = async |id: &str| {
        let failed = json!({
            "changed": {"changed": "connection", "id": world.connection(subjects.users[0]).await.id},
            "cause": "live", "attempts": 1, "first_failed_at_ms": clock().as_millisecond(), "due_at_ms": 0,
        });
        let failed = serde_json::from_value(failed).unwrap();
        let table = &world.system.table;
        table.fail(&id.parse().unwrap(), &failed).await.unwrap();
    };
    let done = every_call(client, &subjects, refuses).await;
    let problem = async |path: &str| {
        let answer = client.call(Verb::Get, path, None, &[]).await;
        assert_eq!(answer.status, 400);
        answer.json()
    };
    let problems = [
        ("Problem", problem("/v1/people?limit=0").await),
        (
            "TerraProblem",
            problem("/terra/v2/daily?start_date=soon").await,
        ),
    ];
    world.system.stop().await;
    (done, problems, key)
}

/// A value as an example shows it: with the beginnings of its lists, and without secrets.
fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let shown = members
                .iter()
                .map(|(name, value)| (name.clone(), shown(name, value)));
            Value::Object(shown.collect())
        }
        Value::Array(items) => items
            .iter()
            .take(ELEMENTS)
            .map(|it| shown(name, it))
            .collect(),
        Value::String(text) => made_up(name, text).into(),
        other => other.clone(),
    }
}

/// A text, or an obviously made-up one in place of a secret or of an address of this machine.
fn made_up(name: &str, text: &str) -> String {
    for beginning in ["tk_", "tp1.", "whsec_"] {
        if text.starts_with(beginning) && ["key", "token", "secret"].contains(&name) {
            return format!("{beginning}made-up-for-this-document");
        }
    }
    if ["token", "session_id"].contains(&name) {
        return "made-up-for-this-document".to_owned();
    }
    let words = text.split(' ').map(|word| {
        let is_link = word.starts_with("http") && word.contains("://");
        if is_link && (word.contains("127.0.0.1") || word.contains('?')) {
            "https://example.com/made-up-for-this-document"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Names of all members at all depths; elements of a list are one.
fn names(place: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let place = format!("{place}.{name}");
                names(&place, value, found);
                found.insert(place);
            }
        }
        Value::Array(items) => {
            for item in items {
                names(&format!("{place}[]"), item, found);
            }
        }
        _ => {}
    }
}

fn names_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    names("", value, &mut found);
    found
}

/// Asserts that a value is of the schema at this place of the document.
fn assert_valid(document: &Value, place: &str, value: &Value) {
    let schema = document
        .pointer(place)
        .unwrap_or_else(|| panic!("nothing at {place}"));
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<_> = validator
        .iter_errors(value)
        .map(|it| it.to_string())
        .collect();
    assert!(faults.is_empty(), "{place}: {faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_an_example_of_the_form_that_it_has_today() {
    let (done, problems, key) = answers().await;
    let document = openapi::document(&api::endpoints());
    let (mut made, mut places) = (Map::new(), BTreeMap::new());
    let mut secrets = vec![("the key".to_owned(), key)];
    for Done {
        endpoint,
        request,
        answer,
    } in &done
    {
        let mut example = Map::new();
        let id = openapi::operation_id(endpoint);
        let path = endpoint.path.replace('/', "~1");
        let place = format!("/paths/{path}/{}", endpoint.verb.as_str().to_lowercase());
        if let Some(request) = request {
            let place = format!("{place}/requestBody/content/application~1json/schema");
            assert_valid(&document, &place, request);
            example.insert("request".to_owned(), shown("", request));
        }
        if !matches!(endpoint.doc.answer, Reply::Nothing | Reply::Bytes(_)) {
            assert!(answer.is_json(), "{id}");
            let mut answer_now = answer.json();
            let place = format!(
                "{place}/responses/{}/content/application~1json/schema",
                answer.status
            );
            assert_valid(&document, &place, &answer_now);
            if endpoint.verb == Verb::Post {
                let named = ["key", "secret", "token"].map(|name| answer_now[name].as_str());
                let named = named.into_iter().flatten();
                secrets.extend(named.map(|secret| (id.clone(), secret.to_owned())));
            }
            if endpoint.path == "/v1/openapi.json" {
                // The document is its own example.
                answer_now = json!({"openapi": answer_now["openapi"], "info": answer_now["info"]});
            }
            example.insert("answer".to_owned(), shown("", &answer_now));
            places.insert(id.clone(), place);
        }
        made.insert(id, example.into());
    }
    for (name, answer) in problems {
        assert_valid(&document, &format!("/components/schemas/{name}"), &answer);
        made.insert(name.to_owned(), json!({"answer": shown("", &answer)}));
    }
    // A line each, so that a change shows where it is.
    let lines = made
        .iter()
        .map(|(id, example)| format!("{}: {example}", json!(id)));
    let text = format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(",\n"));
    let new = concat!(env!("CARGO_TARGET_TMPDIR"), "/examples.json");
    std::fs::write(new, &text).unwrap();

    let kept = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../functions/api/examples.json"
    );
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.len() <= MOST_BYTES, "{} bytes", kept.len());
    secrets.push(("an address".to_owned(), "127.0.0.1".to_owned()));
    for (of, hidden) in &secrets {
        let is_told = text.contains(hidden) || kept.contains(hidden);
        assert!(!is_told, "an example has the secret of {of}");
    }
    let kept: Map<String, Value> = serde_json::from_str(&kept).unwrap();
    let ids = made.keys().chain(kept.keys()).collect::<BTreeSet<_>>();
    for (id, place) in &places {
        if let Some(answer) = kept.get(id).and_then(|it| it.get("answer")) {
            assert_valid(&document, place, answer);
        }
    }
    let mut differences = Vec::new();
    for id in ids {
        let [made, kept] = [&made, &kept].map(|it| it.get(id).map(names_of).unwrap_or_default());
        let differing = made.symmetric_difference(&kept).take(3);
        differences.extend(differing.map(|place| format!("{id}{place}")));
    }
    assert!(
        differences.is_empty(),
        "functions/api/examples.json is old at {differences:#?}: cp {new} functions/api/, then renew openapi.json"
    );
}
