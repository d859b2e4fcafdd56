//! A call of every endpoint of the API that is answered as asked, in an order in which each finds what it is about.

use std::{collections::BTreeMap, time::Duration};

use api::route::{Endpoint, Verb};
use axum::{Router, http::StatusCode, routing::any};
use jiff::civil::Date;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap};
use serde_json::Value;

use crate::calls::{Names, call_of};

/// Reader of a system's API, with a key that may do everything.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) http: &'a reqwest::Client,
    pub(crate) url: &'a str,
    pub(crate) key: &'a str,
}

/// Subjects of the calls; all of them are there.
pub(crate) struct Subjects<'a> {
    /// A person with records.
    pub(crate) person: &'a str,
    /// Another person, who is erased.
    pub(crate) leaver: &'a str,
    /// Terra user ids of the person: one whose connection ends by our call, and one that Terra knows, whose
    /// connection ends by Terra's.
    pub(crate) users: [&'a str; 2],
    /// A day of which the first user has a daily record with samples.
    pub(crate) day: Date,
    /// A webhook with records.
    pub(crate) webhook: &'a str,
    /// A webhook that is parked.
    pub(crate) parked: &'a str,
}

/// Answer to a call.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE);
        kind.is_some_and(|kind| kind == "application/json")
    }
}

/// A call that was answered as asked.
pub(crate) struct Done {
    pub(crate) endpoint: Endpoint,
    pub(crate) request: Option<Value>,
    pub(crate) answer: Answered,
}

impl Client<'_> {
    pub(crate) async fn call(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answered {
        let method = verb.as_str().parse().unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("x-api-key", self.key);
        let request = match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_owned()),
            None => request,
        };
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let response = request.send().await.unwrap();
        Answered {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// The answer of GET once it is as wanted. Jobs and deliveries run beside the test, and nothing tells when they are
    /// done.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..3_000 {
            let answer = self.call(Verb::Get, path, None, &[]).await;
            let shown = answer.json();
            assert_eq!(answer.status, 200, "{path}: {shown}");
            if wanted(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} is not as wanted after a minute");
    }
}

/// Address of an app that takes whatever it is sent.
pub(crate) async fn app_that_takes_all() -> String {
    let router = Router::new().fallback(any(async || StatusCode::OK));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

/// Last place in the order of endpoints that make something.
const MAKES: u8 = 1;

/// Place of an endpoint in the order: what makes something, what reads, what changes, what ends.
fn turn(endpoint: &Endpoint) -> (u8, bool) {
    let makes = !endpoint.path.contains("{id}");
    let last = endpoint.path.rsplit('/').next().unwrap();
    let turn = match (endpoint.verb, last) {
        (Verb::Delete, "{person}") => 0,
        (Verb::Post | Verb::Put, _) if makes => MAKES,
        (Verb::Get, _) => 2,
        (_, "pause") => 3,
        (_, "resume") => 4,
        (Verb::Post | Verb::Put | Verb::Patch, _) => 5,
        (Verb::Delete, _) => 6,
    };
    // Terra's calls come first: of what our calls end, Terra knows nothing more.
    (turn, endpoint.path.starts_with("/v1/"))
}

/// Ids of things by the last word of the path before them.
type Ids = BTreeMap<&'static str, String>;

/// Calls every endpoint as it wants to be called. `destination_is_there` is told the id of the destination that was
/// made, once it is delivered to and before anything is asked about it.
///
/// Panics at a call that is not answered 2xx: what a new endpoint needs is to be said here or in `calls.rs`.
pub(crate) async fn every_call(
    client: Client<'_>,
    subjects: &Subjects<'_>,
    destination_is_there: impl AsyncFn(&str),
) -> Vec<Done> {
    let (mut done, ids) = make_everything(client, subjects, destination_is_there).await;
    let mut endpoints = api::endpoints();
    endpoints.retain(|endpoint| turn(endpoint).0 > MAKES);
    endpoints.sort_by_key(turn);
    let mut failures = Vec::new();
    for endpoint in endpoints {
        match called(client, endpoint, subjects, &ids, "").await {
            Ok(call) => done.push(call),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    done
}

/// Calls the endpoints that make something. Returns also the ids of what was made.
async fn make_everything(
    client: Client<'_>,
    subjects: &Subjects<'_>,
    destination_is_there: impl AsyncFn(&str),
) -> (Vec<Done>, Ids) {
    let mut endpoints = api::endpoints();
    endpoints.retain(|endpoint| turn(endpoint).0 <= MAKES);
    endpoints.sort_by_key(turn);
    let app = app_that_takes_all().await;
    let mut ids = BTreeMap::from([("users", subjects.users[1].to_owned())]);
    let mut done = Vec::new();
    for endpoint in endpoints {
        let call = called(client, endpoint, subjects, &ids, &app).await;
        let call = call.unwrap_or_else(|failure| panic!("{failure}"));
        if let Some((noun, id, path)) = made_by(&endpoint, &call.answer.json()) {
            let shown = client.until(&path, |it| is_over(noun, it)).await;
            assert_ne!(shown["state"], "failed", "{shown}");
            if noun == "destinations" {
                destination_is_there(&id).await;
            }
            ids.insert(noun, id);
        }
        done.push(call);
    }
    (done, ids)
}

/// Calls an endpoint. What is not answered as asked is told.
async fn called(
    client: Client<'_>,
    endpoint: Endpoint,
    subjects: &Subjects<'_>,
    ids: &Ids,
    app: &str,
) -> Result<Done, String> {
    let (path, request) = wanted(&endpoint, subjects, ids, app);
    let body = request.as_ref().map(Value::to_string);
    let mut headers = Vec::new();
    let version = version_of(client, &endpoint, &path).await;
    if let Some(version) = &version {
        headers.push(("if-match", version.as_str()));
    }
    let answer = client.call(endpoint.verb, &path, body.as_deref(), &headers);
    let answer = answer.await;
    if !(200..300).contains(&answer.status) {
        let text = String::from_utf8_lossy(&answer.body);
        return Err(format!("{endpoint:?}: {} {text}", answer.status));
    }
    Ok(Done {
        endpoint,
        request,
        answer,
    })
}

/// The path of a call with its query, and its body.
fn wanted(
    endpoint: &Endpoint,
    subjects: &Subjects<'_>,
    ids: &Ids,
    app: &str,
) -> (String, Option<Value>) {
    let day = subjects.day.to_string();
    let is_of_parked = endpoint.path.starts_with("/v1/parked");
    let erases = endpoint.verb == Verb::Delete && endpoint.path == "/v1/people/{person}";
    let ends_at_terra = endpoint.path.ends_with("/deauthenticateUser");
    let names = Names {
        person: if erases {
            subjects.leaver
        } else {
            subjects.person
        },
        connection: subjects.users[usize::from(ends_at_terra)],
        webhook: if is_of_parked {
            subjects.parked
        } else {
            subjects.webhook
        },
        id: noun_of(endpoint.path)
            .and_then(|noun| ids.get(noun))
            .map_or("none", String::as_str),
        day: &day,
    };
    let (mut path, mut body) = call_of(endpoint, names);
    if endpoint.path == "/v1/destinations"
        && let Some(body) = &mut body
    {
        body["config"]["url"] = app.into();
    }
    let next_day = subjects.day.tomorrow().unwrap();
    let is_of_days = ["days", "records", "coverage"]
        .iter()
        .any(|last| endpoint.path.ends_with(last));
    for param in endpoint.doc.query {
        let value = match param.name {
            "limit" | "per_page" => "2".to_owned(),
            "page" => "0".to_owned(),
            "from" | "to" if is_of_days => day.clone(),
            "types" => "daily".to_owned(),
            "since" if endpoint.path.ends_with("/series") => format!("{day}T00:00:00Z"),
            "until" if endpoint.path.ends_with("/series") => format!("{day}T06:00:00Z"),
            "resolution" => "1h".to_owned(),
            "metrics" if endpoint.path.ends_with("/days") => "steps,resting_hr_bpm".to_owned(),
            "end_date" => next_day.to_string(),
            _ => continue,
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        path = format!("{path}{mark}{}={value}", param.name);
    }
    (path, body)
}

/// The word before the id in a path.
fn noun_of(path: &str) -> Option<&str> {
    path.split_once("/{id}")?.0.rsplit('/').next()
}

/// The version that a change of an endpoint has to name: that which GET gives.
async fn version_of(client: Client<'_>, endpoint: &Endpoint, path: &str) -> Option<String> {
    let mut headers = endpoint.headers.iter();
    headers.find(|header| header.name == "If-Match")?;
    let there = client.call(Verb::Get, path, None, &[]).await;
    Some(there.headers[ETAG].to_str().unwrap().to_owned())
}

/// Kind, id and path of the thing that a call has made.
fn made_by(endpoint: &Endpoint, answer: &Value) -> Option<(&'static str, String, String)> {
    let noun = match (endpoint.verb, endpoint.path) {
        (Verb::Post, "/v1/people/{person}/backfills") => "backfills",
        (Verb::Post, "/v1/people/{person}/exports") => "exports",
        (Verb::Post, "/v1/replays") => "replays",
        (Verb::Post, "/v1/destinations") => "destinations",
        (Verb::Post, "/v1/keys") => "keys",
        (Verb::Delete, "/v1/people/{person}") => "erasures",
        _ => return None,
    };
    let id = match noun {
        "backfills" => &answer["plans"][0]["backfill"],
        "destinations" => &answer["destination"]["id"],
        _ => &answer["id"],
    };
    let id = id.as_str().unwrap().to_owned();
    let path = match noun {
        "keys" => "/v1/keys".to_owned(),
        _ => format!("/v1/{noun}/{id}"),
    };
    Some((noun, id, path))
}

/// Returns whether work that goes on beside the calls is at its end.
fn is_over(noun: &str, shown: &Value) -> bool {
    match noun {
        "destinations" => shown["state"] == "active" && !shown["delivered_at"].is_null(),
        "exports" | "replays" | "erasures" => {
            shown["state"] == "done" || shown["state"] == "failed"
        }
        _ => true,
    }
}
