//! Calls of the whole API, with everything in them that is private.

use api::route::Verb;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    walk::{Client, Done, Subjects, every_call},
    world::World,
};

/// Texts that only these calls have, in paths, queries and bodies.
pub(crate) const PLANTED: [&str; 6] = [
    "canary-of-a-path",
    "canary-of-a-query",
    "canary-of-a-member",
    "canary-of-a-value",
    "canary-of-a-header",
    PERSON,
];
/// Numbers that only the records of these calls have.
pub(crate) const PLANTED_NUMBERS: [&str; 2] = ["71934", "71934.25"];
/// The app's own id for a person of whom every endpoint is asked.
const PERSON: &str = "walked/50%@private.example.org";
/// The app's own id for a person who is erased.
const LEAVER: &str = "leaver@private.example.org";

/// Calls every endpoint: about everybody, as it wants to be called, and in ways that it refuses. Returns the
/// secrets that were sent and told meanwhile.
pub(crate) async fn walk_the_api(world: &World, terra_user_ids: [&str; 2]) -> Vec<String> {
    let scopes = domain::access::Scope::ALL.iter().copied().collect();
    let made = api::NewKey::make("walk", scopes, "test", None, 0);
    assert!(world.system.table.add_api_key(&made.key).await.unwrap());
    let key = made.whole.expose_secret().to_owned();
    let client = Client {
        http: &world.http,
        url: &world.system.api_url,
        key: &key,
    };
    ask_about_everybody(client).await;
    ask_what_is_refused(client).await;

    // The destination that refuses everything would hold up the erasure.
    let refusing = "/v1/destinations/dst_webhook";
    let removed = client.call(Verb::Delete, refusing, None, &[]).await;
    assert_eq!(removed.status, 200);
    let subjects = send_records_of(world, PERSON, LEAVER, terra_user_ids).await;
    let done = every_call(client, &subjects, async |_| {}).await;
    assert_eq!(done.len(), api::endpoints().len());
    let mut secrets: Vec<String> = done.iter().flat_map(secrets_of).collect();
    // A key of its own and the new secret of that, a token for the person, one for their phone, and a destination's.
    assert!(secrets.len() >= 5, "{} secrets were told", secrets.len());
    secrets.push(key);
    secrets
}

/// Sends a day of two connections of a person and one of a leaver, and something that is parked: `walk-1` to `walk-3`, and
/// `walk-parked`.
async fn send_records_of<'a>(
    world: &World,
    person: &'a str,
    leaver: &'a str,
    users: [&'a str; 2],
) -> Subjects<'a> {
    for (trace_id, user, person) in [
        ("walk-1", users[0], person),
        ("walk-2", users[1], person),
        ("walk-3", "user-of-the-leaver", leaver),
    ] {
        let body = json!({
            "type": "daily", "status": "success",
            "user": {"user_id": user, "provider": "GARMIN", "reference_id": person, "active": true},
            "data": [{
                "metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00",
                             "end_time": "2026-07-03T00:00:00.000000+02:00", "upload_type": 0},
                "distance_data": {"steps": 71_934, "distance_meters": 71_934.25},
            }],
        });
        assert_eq!(world.send(trace_id, body.to_string()).await, 200);
    }
    assert_eq!(world.send("walk-parked", "{").await, 200);
    world.idle().await;
    Subjects {
        person,
        leaver,
        users,
        day: jiff::civil::date(2026, 7, 2),
        webhook: "walk-1",
        parked: "walk-parked",
    }
}

/// The secrets in the answer to a call that makes something.
fn secrets_of(done: &Done) -> Vec<String> {
    let answer = done.answer.json();
    let members = answer.as_object().into_iter().flatten();
    let secrets = members.filter(|(name, _)| ["key", "secret", "token"].contains(&name.as_str()));
    let secrets = secrets.filter_map(|(_, value)| Some(value.as_str()?.to_owned()));
    secrets
        .filter(|_| done.endpoint.verb == Verb::Post)
        .collect()
}

/// Reads every endpoint about everybody, and some records and parameters that are not there.
async fn ask_about_everybody(client: Client<'_>) {
    let get = async |path: &str| {
        let answer = client.call(Verb::Get, path, None, &[]).await;
        assert!(answer.status < 500, "{}", answer.status);
        answer.json()
    };
    let people = get("/v1/people?limit=500").await;
    let people = people["data"].as_array().unwrap();
    assert!(people.len() > 1);
    let (of_a_person, of_all): (Vec<_>, Vec<_>) = api::endpoints()
        .into_iter()
        .partition(|endpoint| endpoint.path.contains("{person}"));
    for endpoint in of_all {
        let path = endpoint.path.replace("{key}", "canary-of-a-path");
        get(&path).await;
        get(&format!("{path}?type=body&canary=canary-of-a-query")).await;
    }
    for person in people {
        let id = person["id"].as_str().unwrap();
        let connection = person["connections"][0]["id"].as_str().unwrap_or("none");
        for endpoint in &of_a_person {
            let path = endpoint
                .path
                .replace("{person}", id)
                .replace("{connection}", connection)
                .replace("{type}", "body")
                .replace("{key}", "canary-of-a-path");
            get(&path).await;
            get(&format!(
                "{path}?type=body&user_id={connection}&canary=canary-of-a-query"
            ))
            .await;
        }
        for data_type in ["body", "daily", "sleep", "nutrition", "activity"] {
            get(&format!(
                "/v1/people/{id}/records?type={data_type}&from=2020-01-01&include=samples"
            ))
            .await;
        }
    }
}

/// Calls every endpoint by its own method with names, parameters and bodies that are of no use to it. What is told then
/// has nothing of what was sent as a value.
async fn ask_what_is_refused(client: Client<'_>) {
    let people = client
        .call(Verb::Get, "/v1/people?limit=1", None, &[])
        .await
        .json();
    let person = &people["data"][0];
    let id = person["id"].as_str().unwrap();
    let connection = person["connections"][0]["id"].as_str().unwrap();
    let unknown_member = json!({"canary-of-a-member": "canary-of-a-value"}).to_string();
    let bodies = [
        r#"{"canary-of-a-member": "canary-of-a-value"#,
        r#"["canary-of-a-value", 71934.25]"#,
        unknown_member.as_str(),
    ];
    for endpoint in api::endpoints() {
        let there = endpoint
            .path
            .replace("{person}", id)
            .replace("{connection}", connection);
        let elsewhere = endpoint
            .path
            .replace("{person}", "canary-of-a-path")
            .replace("{connection}", "canary-of-a-path");
        for path in [there, elsewhere] {
            let path = path
                .replace("{type}", "daily")
                .replace("{day}", "2026-07-02")
                .replace("{webhook}", "canary-of-a-path")
                .replace("{key}", "canary-of-a-path")
                .replace("{id}", "canary-of-a-path");
            let mut statuses = Vec::new();
            for body in bodies {
                let headers = [("if-match", "\"0\""), ("x-canary", "canary-of-a-header")];
                let query = "canary=canary-of-a-query";
                for path in [path.clone(), format!("{path}?{query}")] {
                    let body = endpoint.doc.body.map(|_| body);
                    let answer = client.call(endpoint.verb, &path, body, &headers).await;
                    let told = String::from_utf8_lossy(&answer.body).into_owned();
                    assert!(answer.status < 500, "{endpoint:?}: {}", answer.status);
                    assert!(!told.contains("canary-of-a-value"), "{endpoint:?}: {told}");
                    statuses.push(answer.status);
                }
            }
            // Where a body is read at all, it is refused. Terra's calls take any object, which goes on to Terra.
            if endpoint.doc.body.is_some() && endpoint.path.starts_with("/v1/") {
                assert!(
                    statuses.iter().all(|status| (400..500).contains(status)),
                    "{endpoint:?}: {statuses:?}"
                );
            }
        }
    }
}
