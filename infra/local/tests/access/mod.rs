//! The commands about who may call the API, and the calls that a start prints, against the running API.

use std::{fs, path::Path};

use reqwest::Client;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::{Dev, folder, ok, operator::send, refused};

/// A caller of the API of a running system.
struct Caller {
    runtime: Runtime,
    client: Client,
}

impl Caller {
    fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn get(&self, url: &str, header: (&str, &str)) -> (u16, Value) {
        let request = self.client.get(url).header(header.0, header.1);
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or_default())
        })
    }

    /// Status of a call with a key or a token.
    fn status(&self, url: &str, credential: &str) -> u16 {
        let bearer = format!("Bearer {credential}");
        self.get(url, ("authorization", &bearer)).0
    }
}

/// A call that a start printed.
struct Printed {
    header: (String, String),
    url: String,
}

impl Printed {
    /// Reads `curl -H "<name>: $(cat <file>)" <url>`, as a shell does.
    fn read(line: &str) -> Option<Self> {
        let call = line.trim().strip_prefix("curl -H \"")?;
        let (header, rest) = call.split_once('"')?;
        let (name, value) = header.split_once(": ")?;
        let file = value.strip_prefix("$(cat ")?.strip_suffix(')')?;
        let value = fs::read_to_string(file).unwrap();
        Some(Self {
            header: (name.to_owned(), value.trim_end().to_owned()),
            url: rest.split_whitespace().next()?.to_owned(),
        })
    }

    fn all(dev: &Dev) -> Vec<Self> {
        let lines = dev.seen.iter();
        lines.filter_map(|line| Self::read(line)).collect()
    }

    fn status_and_answer(&self, caller: &Caller) -> (u16, Value) {
        caller.get(&self.url, (&self.header.0, &self.header.1))
    }
}

/// Root of the API, from a call that the start printed.
fn api(dev: &Dev) -> String {
    let printed = Printed::all(dev);
    let (root, _) = printed.first().unwrap().url.split_once("/v1/").unwrap();
    root.to_owned()
}

/// Runs a command of `terrarium keys`.
fn keys(data: &str, arguments: &[&str]) -> String {
    ok(&[&["keys", "--data", data], arguments].concat())
}

/// Makes a key, and returns its id and the whole of it.
fn create(data: &str, name: &str, scopes: &[&str]) -> (String, String) {
    let mut arguments = vec!["create", "--name", name, "--json"];
    for scope in scopes {
        arguments.extend(["--scope", scope]);
    }
    let made: Value = serde_json::from_str(&keys(data, &arguments)).unwrap();
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap().to_owned();
    (text("id"), text("key"))
}

fn rotated(data: &str, id: &str, grace_seconds: &str) -> String {
    let rotated = keys(data, &["rotate", id, "--grace-seconds", grace_seconds]);
    rotated.trim().to_owned()
}

/// Stores something of two people.
fn two_people(folder: &Path, data: &str) {
    for person in ["ann", "bob"] {
        let text = format!(
            r#"{{"type": "nutrition",
              "user": {{"user_id": "u-{person}", "provider": "CRONOMETER", "reference_id": "{person}", "active": true}},
              "data": [{{"metadata": {{"start_time": "2026-07-02T00:00:00+02:00", "end_time": "2026-07-03T00:00:00+02:00"}}}}]}}"#
        );
        send(folder, data, &format!("w-{person}"), &text);
    }
}

#[test]
fn the_calls_that_a_start_prints_are_answered() {
    let (_folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--rate", "40", "--people", "1"]);
    // The first webhook of the person who is named in them makes them known.
    dev.wait_for("stored", 10);
    let caller = Caller::new();
    let printed = Printed::all(&dev);
    let paths: Vec<_> = printed
        .iter()
        .map(|call| call.url.split_once("/v1/").unwrap().1)
        .collect();
    assert_eq!(
        paths,
        [
            "people",
            "people/person-0001",
            "people/person-0001/connections"
        ]
    );
    for call in &printed {
        let (status, answer) = call.status_and_answer(&caller);
        assert_eq!(status, 200, "{}: {answer}", call.url);
    }
    let (_, people) = printed[0].status_and_answer(&caller);
    assert_eq!(people["data"][0]["id"], "person-0001");
    let (_, person) = printed[1].status_and_answer(&caller);
    assert_eq!(person["reference_id"], "person-0001");
    let (_, connections) = printed[2].status_and_answer(&caller);
    assert!(connections["data"][0]["provider"].is_string());
    dev.stop();
}

#[test]
fn keys_are_made_listed_rotated_and_revoked() {
    let (folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    two_people(folder.path(), &data);
    let caller = Caller::new();
    let people = format!("{}/v1/people", api(&dev));
    let (kept, first) = create(&data, "kept", &["people:read"]);
    let (replaced, stolen) = create(&data, "replaced", &["people:read"]);
    let (ended, gone) = create(&data, "ended", &["people:read"]);
    let (_, blind) = create(&data, "blind", &["policy:write"]);
    for key in [&first, &stolen, &gone] {
        assert_eq!(caller.status(&people, key), 200);
    }
    assert_eq!(caller.status(&people, &blind), 403);
    assert_eq!(caller.status(&people, &format!("{first}x")), 401);

    // A list says everything of a key but its secret.
    let texts = [keys(&data, &["list"]), keys(&data, &["list", "--json"])];
    for (text, key) in texts.iter().flat_map(|text| {
        let all = [&first, &stolen, &gone, &blind];
        all.map(|key| (text, key))
    }) {
        let (id, secret) = key.split_at("tk_".len() + 12);
        let secret = secret.get(..9).unwrap();
        assert!(text.contains(id), "{text}");
        assert!(!text.contains(secret), "a secret is listed");
    }
    let listed: Vec<Value> = serde_json::from_str(&texts[1]).unwrap();
    let shown = listed.iter().find(|shown| shown["id"] == *kept).unwrap();
    assert_eq!(shown["name"], "kept");
    assert_eq!(shown["scopes"], serde_json::json!(["people:read"]));
    assert!(shown["last_used"].is_string(), "{shown}");

    // A running system remembers a key for a minute: the changes are made while none runs.
    dev.stop();
    let second = rotated(&data, &kept, "3600");
    let third = rotated(&data, &replaced, "0");
    assert!(second.starts_with(&kept) && second != first);
    assert!(keys(&data, &["revoke", &ended]).contains("is revoked"));
    refused(
        &["keys", "rotate", "--data", &data, &ended],
        2,
        "has ended: make a new key",
    );
    for command in ["rotate", "revoke"] {
        let nobodys = ["keys", command, "--data", &data, "tk_aaaaaaaaaaaa"];
        refused(&nobodys, 3, "there is no key");
    }
    refused(&["keys", "revoke", "--data", &data, "kept"], 2, "tk_");
    let unknown = ["create", "--name", "n", "--scope", "people:guess"];
    refused(
        &[&["keys", "--data", &data], &unknown[..]].concat(),
        2,
        "people:read",
    );
    assert!(keys(&data, &["list"]).contains("revoked"));

    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let people = format!("{}/v1/people", api(&dev));
    let answers = [&first, &second, &stolen, &third, &gone].map(|key| caller.status(&people, key));
    assert_eq!(answers, [200, 200, 401, 200, 401]);
    dev.stop();
}

#[test]
fn a_token_reads_its_person_only_and_ends_with_its_key() {
    let (folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    two_people(folder.path(), &data);
    let caller = Caller::new();
    let root = format!("{}/v1/people", api(&dev));
    let of = |root: &str, person: &str| format!("{root}/{person}/connections");
    let token = |more: &[&str]| {
        let start = ["token", "--data", &data, "--reference-id", "ann"];
        ok(&[&start[..], more].concat()).trim().to_owned()
    };
    let of_the_systems_key = token(&[]);
    let (id, _) = create(&data, "tokens", &["people:token"]);
    let of_a_key = token(&["--key", &id]);
    for token in [&of_the_systems_key, &of_a_key] {
        assert_eq!(caller.status(&of(&root, "ann"), token), 200);
        assert_eq!(caller.status(&of(&root, "bob"), token), 403);
        assert_eq!(caller.status(&root, token), 403);
    }
    let of_nothing = token(&["--scope", "connect"]);
    assert_eq!(caller.status(&of(&root, "ann"), &of_nothing), 403);

    dev.stop();
    keys(&data, &["revoke", &id]);
    let ended = ["--reference-id", "ann", "--key", &id];
    refused(
        &[&["token", "--data", &data], &ended[..]].concat(),
        3,
        "there is no key",
    );
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let root = format!("{}/v1/people", api(&dev));
    let ann = of(&root, "ann");
    assert_eq!(caller.status(&ann, &of_the_systems_key), 200);
    assert_eq!(caller.status(&ann, &of_a_key), 401);
    dev.stop();
}
