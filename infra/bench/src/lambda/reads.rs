//! The API over a seeded table and archive, and a rival that answers one of its calls from the same table.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use anyhow::{Context as _, ensure};
use api::{NewKey, id::to_path};
use domain::access::Scope;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use runtime::queue::local::Durability;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{Connection, DataType, Provider, Shape, World};
use terrarium::system::EmbeddedDatabase;

use super::{
    AWS_DELAY, Bench, INVOCATIONS, START_DELAY, STARTS, STARTS_HEAD, WARM_HEAD, binary,
    events::{BATCH, Event, batch},
    function::{Binary, database},
};
use crate::{
    report::Report,
    webhooks::{SEED, Signed, many},
};

/// Connections of the person who is read.
const PROVIDERS: [Provider; 4] = [
    Provider::Garmin,
    Provider::Oura,
    Provider::Core,
    Provider::Apple,
];
/// Types of data of the person, where a provider has them.
const TYPES: [DataType; 4] = [
    DataType::Activity,
    DataType::Body,
    DataType::Daily,
    DataType::Sleep,
];
/// Days of data of each connection.
const DAYS: i64 = 33;
/// Days of the longer questions.
const MONTH: i64 = 30;
/// Webhooks of other people.
const OTHERS: usize = 200;

/// Prints the tables. `python` has what `rivals/requirements.txt` names; without it the rival is left out.
pub(crate) fn run(
    report: &mut Report,
    given: Option<&Path>,
    python: Option<&Path>,
    now: Timestamp,
) -> anyhow::Result<()> {
    report.line("## The API")?;
    let (router, api) = (binary(given, "event-router")?, binary(given, "api")?);
    let bench = Bench::new()?;
    let seeded = Seeded::make(&bench, &router, now)?;
    report.line(&format!(
        "One person with {} connections and {DAYS} days of data with samples, among {OTHERS} others. Start: process \
         start to first answer, of {STARTS}, with {} ms per answer of AWS besides the database's own time; warm: \
         {INVOCATIONS} calls one after the other with {} ms.",
        PROVIDERS.len(),
        START_DELAY.as_millis(),
        AWS_DELAY.as_millis()
    ))?;
    let calls = seeded.calls()?;
    let (days, event) = calls.first().context("no calls")?;
    // The lightest call tells what starting takes, the first one what somebody waits for who asks that.
    let mut starts = Vec::new();
    for (name, event) in [calls.last(), calls.first()].into_iter().flatten() {
        let mut row = bench.starts(&api, event, Some(seeded.url()))?;
        if let Some(function) = row.first_mut() {
            function.push_str(", ");
            function.push_str(name);
        }
        starts.push(row);
    }
    let mut warm = Vec::new();
    for (name, event) in &calls {
        warm.push(bench.warm(&api, name, event, Some(seeded.url()))?);
    }
    if let Some(python) = python {
        let rival = rival(python);
        starts.push(bench.starts(&rival, event, Some(seeded.url()))?);
        warm.push(bench.warm(&rival, days, event, Some(seeded.url()))?);
    }
    report.table(&STARTS_HEAD, &starts)?;
    report.table(&WARM_HEAD, &warm)?;
    bench.runtime.block_on(seeded.database.stop());
    Ok(())
}

/// The Python function under AWS's own runtime client.
fn rival(python: &Path) -> Binary {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rivals");
    let run = "import sys; sys.path.insert(0, sys.argv[1]); \
               from awslambdaric.__main__ import main; main(['', 'days.handler'])";
    let arguments = ["-c", run, folder].map(OsString::from).to_vec();
    Binary::program("Python (FastAPI, boto3)", python.to_owned(), arguments)
}

/// A table with people in it, and the key to read them.
struct Seeded {
    database: EmbeddedDatabase,
    _folder: tempfile::TempDir,
    key: String,
    person: String,
    today: Date,
}

impl Seeded {
    /// Has the router itself store everything.
    fn make(bench: &Bench, router: &Binary, now: Timestamp) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let runtime = &bench.runtime;
        let (database, table) = runtime.block_on(database(folder.path(), Durability::Kill))?;
        let scopes = BTreeSet::from([Scope::PeopleRead]);
        let key = NewKey::make("bench", scopes, "bench", None, now.as_millisecond());
        runtime.block_on(table.add_api_key(&key.key))?;

        let mut world = World::new(SEED, 1, now);
        let today = now.to_zoned(TimeZone::UTC).date();
        let connections = PROVIDERS.map(|provider| world.connection(provider));
        let person = connections.first().context("nobody")?.reference_id.clone();
        let mut webhooks = Vec::new();
        for back in (0..DAYS).rev() {
            let day = today.saturating_sub(SignedDuration::from_hours(24 * back));
            for connection in &connections {
                webhooks.extend(day_of(&mut world, connection, day, now));
            }
        }
        webhooks.extend(many(OTHERS, now));

        let (function, mut api, _aws) = bench.start(
            router,
            std::time::Duration::ZERO,
            Some(&database.address.url),
        )?;
        for some in webhooks.chunks(BATCH) {
            let (event, _) = runtime.block_on(batch(some, now))?;
            let taken = bench.invoke(&mut api, &event);
            taken.with_context(|| function.last_words())?;
        }
        Ok(Self {
            database,
            _folder: folder,
            key: key.whole.expose_secret().to_owned(),
            person: to_path(&person),
            today,
        })
    }

    fn url(&self) -> &str {
        &self.database.address.url
    }

    /// The calls by name; the first is the rival's too, the last is the lightest.
    fn calls(&self) -> anyhow::Result<Vec<(String, Event)>> {
        let person = format!("/v1/people/{}", self.person);
        let back = |days: i64| {
            self.today
                .saturating_sub(SignedDuration::from_hours(24 * days))
        };
        let yesterday = back(1);
        let (month_ago, week_ago) = (back(MONTH), back(7));
        let series = |from: Date, resolution: &str| {
            format!(
                "metrics=hr_bpm&since={from}T00:00:00Z&until={yesterday}T00:00:00Z&resolution={resolution}"
            )
        };
        let days = format!("from={}&to={yesterday}", back(MONTH));
        [
            (
                format!("days, {MONTH}"),
                format!("{person}/days"),
                days,
                "data",
            ),
            (
                "why".to_owned(),
                format!("{person}/days/{yesterday}/why"),
                "metric=steps".to_owned(),
                "sentence",
            ),
            (
                "heart rate, 24 h".to_owned(),
                format!("{person}/series"),
                series(back(2), "1m"),
                "data",
            ),
            (
                "heart rate, 7 days".to_owned(),
                format!("{person}/series"),
                series(week_ago, "auto"),
                "data",
            ),
            (
                "heart rate, 31 days".to_owned(),
                format!("{person}/series"),
                series(month_ago.yesterday()?, "15m"),
                "data",
            ),
            (
                "a page of people".to_owned(),
                "/v1/people".to_owned(),
                "limit=25".to_owned(),
                "data",
            ),
            (
                "one person".to_owned(),
                "/v1/people".to_owned(),
                "limit=1".to_owned(),
                "data",
            ),
        ]
        .into_iter()
        .map(|(name, path, query, member)| Ok((name, self.call(&path, &query, member)?)))
        .collect()
    }

    /// An API Gateway HTTP API event of a call whose answer has something in `member`.
    fn call(&self, path: &str, query: &str, member: &'static str) -> anyhow::Result<Event> {
        let is_right: fn(&[u8]) -> bool = match member {
            "data" => |answer| has(answer, "data"),
            _ => |answer| has(answer, "sentence"),
        };
        ensure!(!query.is_empty(), "a call asks something");
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {
                "authorization": format!("Bearer {}", self.key),
                "host": "bench.execute-api.eu-west-2.amazonaws.com",
            },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "bench",
                "domainName": "bench.execute-api.eu-west-2.amazonaws.com",
                "domainPrefix": "bench",
                "http": {
                    "method": "GET",
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "bench",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": "$default",
                "stage": "$default",
                "time": "10/Mar/2026:05:16:23 +0000",
                "timeEpoch": 1_773_119_783_636_i64,
            },
            "isBase64Encoded": false,
        });
        Ok(Event {
            payload: event.to_string().into(),
            webhooks: 1,
            is_right,
        })
    }
}

/// All that a connection delivers of a day.
fn day_of(world: &mut World, connection: &Connection, day: Date, now: Timestamp) -> Vec<Signed> {
    let types = connection.provider.data_types();
    TYPES
        .into_iter()
        .filter(|data_type| types.contains(data_type))
        .map(|data_type| {
            let shape = Shape::on(Some(day));
            Signed::of(world.data(connection, data_type, &shape), now)
        })
        .collect()
}

/// Returns whether a call was answered with something in `member`.
fn has(answer: &[u8], member: &str) -> bool {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let body = answer.get("body").and_then(Value::as_str);
    let body: Value = serde_json::from_str(body.unwrap_or_default()).unwrap_or_default();
    let is_there = match body.get(member) {
        Some(Value::Array(many)) => !many.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        _ => false,
    };
    answer.get("statusCode") == Some(&json!(200)) && is_there
}
