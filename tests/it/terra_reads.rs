//! Terra's calls, answered by the API: the same as Terra's own answers, of the same people.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
};

use jiff::{SignedDuration, civil::Date, tz::TimeZone};
use models::data::DataType;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use simulator::{Connection, Truth, TruthRecord, TruthSettings};
use store::table::{key::RecordOwner, records::FoundRecord};
use tokio::process::Command;

use crate::past::{
    API_KEY, DAY, DEV_ID, PROVIDERS, Past, TYPES, Wish,
    truth::{lacks_scores, with_plain_scores},
};

/// Days that are compared.
const DAYS: i64 = 20;

/// Two people with their connections, of which one was made anew, long after everything is stored. Some records were
/// taken back.
struct Both {
    past: Past,
    http: reqwest::Client,
    /// Former id of the connection that was made anew, and its id now.
    renewed: (String, String),
    /// Records that were taken back after they were stored, each with the present Terra user id.
    retracted: Vec<(String, TruthRecord)>,
    /// First day that is compared, and the day after the last.
    days: (Date, Date),
}

impl Both {
    /// Three weeks and more of two people, with records that were taken back.
    async fn start() -> Self {
        let mut both = Self::renewed(2, 4, 20).await;
        both.past.live(DAY * 8, DAY * 2).await;
        let (from, to) = (both.day(10), both.day(4));
        both.retracted = retract(&both.past, from, to).await;
        both.past.live(DAY * 4, DAY * 2).await;
        both.past.assert_complete();
        both.days = (both.day(3 + DAYS), both.day(3));
        both
    }

    /// Four days of people, after which one connection is made anew.
    async fn renewed(people: u64, providers_per_person: usize, history_days: u16) -> Self {
        let start = "2026-03-02T09:30:00Z".parse().unwrap();
        let people = TruthSettings {
            providers_per_person,
            history_days,
            updates_per_day: 0,
            // The newest delivery of a record lacks the scores that an older one had.
            late_scores: true,
            ..TruthSettings::new(3, people, &PROVIDERS, start)
        };
        let mut past = Past::start(Wish {
            max_days: Some(60),
            former_calls: true,
            ..Wish::new(people)
        })
        .await;
        past.live(DAY * 4, DAY * 2).await;
        let old = past.truth.connections().remove(0).terra_user_id;
        let new = past.api.reauthenticate(&old).unwrap();
        past.settle().await;
        Self {
            past,
            http: crate::world::client(),
            renewed: (old, new),
            retracted: Vec::new(),
            days: (Date::MIN, Date::MAX),
        }
    }

    /// The day before today by so many days.
    fn day(&self, back: i64) -> Date {
        let today = self.past.now().to_zoned(TimeZone::UTC).date();
        today.saturating_sub(SignedDuration::from_hours(24 * back))
    }

    fn terra_url(&self) -> String {
        self.past.terra().base_url.to_string()
    }

    fn own_url(&self) -> String {
        format!("{}/terra/v2", self.past.system().api_url)
    }

    async fn get(&self, base: &str, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let (status, text) = self.text(base, path, query).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn text(&self, base: &str, path: &str, query: &[(&str, &str)]) -> (u16, String) {
        let url = reqwest::Url::parse_with_params(&format!("{base}{path}"), query).unwrap();
        let request = self.http.get(url);
        let request = request
            .header("dev-id", DEV_ID)
            .header("x-api-key", API_KEY);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// One question to both.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> [(u16, Value); 2] {
        let terra = self.get(&self.terra_url(), path, query).await;
        [terra, self.get(&self.own_url(), path, query).await]
    }
}

/// Lets every provider take one workout and one day back that the system has stored.
async fn retract(past: &Past, from: Date, to: Date) -> Vec<(String, TruthRecord)> {
    let mut retracted = Vec::new();
    for connection in past.truth.connections() {
        for (data_type, kind) in TYPES {
            if !matches!(data_type, DataType::Activity | DataType::Daily) {
                continue;
            }
            let records = past.truth.records(&connection, kind, from, to);
            let Some(record) = records.first() else {
                continue;
            };
            let stored = stored(past, &connection, data_type).await;
            let start = start_of(&record.body);
            let stored = stored.iter().find(|stored| start_time(stored) == start);
            assert!(stored.is_some_and(|stored| !stored.record.newest.retracted));
            let user = connection.terra_user_id.clone();
            assert!(past.truth.retract(&user, record));
            retracted.push((user, record.clone()));
        }
    }
    assert!(retracted.len() >= 8, "{} records", retracted.len());
    retracted
}

/// The records of a connection that the system has, also those that were taken back.
async fn stored(past: &Past, connection: &Connection, data_type: DataType) -> Vec<FoundRecord> {
    let known = past.connection(&connection.terra_user_id).await.unwrap();
    let owner = RecordOwner::Connection(known.id);
    let records = past.system().table.records(&owner, Some(data_type));
    records.await.unwrap()
}

fn start_time(stored: &FoundRecord) -> Option<&str> {
    stored.record.newest.start_time.as_deref()
}

fn start_of(record: &Value) -> Option<&str> {
    record["metadata"]["start_time"].as_str()
}

async fn answered(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Fields of a user that both sides have to say the same of.
fn of_user(user: &Value) -> [&Value; 4] {
    ["user_id", "provider", "reference_id", "active"].map(|name| &user[name])
}

fn of_users(answer: &Value) -> Vec<[&Value; 4]> {
    let users = answer.as_array().unwrap();
    let mut users: Vec<_> = users.iter().map(of_user).collect();
    users.sort_by_key(|user| user[0].to_string());
    users
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// The records of an answer, byte for byte.
fn records(answer: &str) -> Vec<&RawValue> {
    serde_json::from_str::<Data<'_>>(answer).unwrap().data
}

fn starts(records: &[&RawValue]) -> Vec<Value> {
    let starts = records.iter().map(|record| {
        let record: Value = serde_json::from_str(record.get()).unwrap();
        record["metadata"]["start_time"].clone()
    });
    starts.collect()
}

/// Two records are the same but for how their scores are written: every other field byte for byte.
fn assert_same_scores(terra: &RawValue, own: &RawValue, what: &str) {
    let fields = |record: &RawValue| -> BTreeMap<String, Box<RawValue>> {
        serde_json::from_str(record.get()).unwrap()
    };
    let (mut of_terra, mut of_own) = (fields(terra), fields(own));
    let names: [Vec<_>; 2] = [&of_terra, &of_own].map(|fields| fields.keys().cloned().collect());
    assert_eq!(names[0], names[1], "{what}");
    let scores = [&mut of_terra, &mut of_own].map(|fields| fields.remove("data_enrichment"));
    for (name, terra) in &of_terra {
        assert!(terra.get() == of_own[name].get(), "{what}: {name} differs");
    }
    let scores = scores.map(|scores| {
        let scores = scores.map(|scores| serde_json::from_str::<Value>(scores.get()).unwrap());
        with_plain_scores(&json!({"data_enrichment": scores}))
    });
    assert!(scores[0] == scores[1], "{what}: the scores differ");
}

/// Begins of the records whose newest delivery lacks the scores that an older one had.
async fn lacking_scores(
    past: &Past,
    connection: &Connection,
    data_type: DataType,
) -> BTreeSet<String> {
    let stored = stored(past, connection, data_type).await;
    let lacking = stored.iter().filter(|found| lacks_scores(found));
    lacking.filter_map(start_time).map(str::to_owned).collect()
}

async fn has_the_same_records(both: &Both, connection: &Connection) -> (usize, usize) {
    let (first, last) = (both.days.0.to_string(), both.days.1.to_string());
    let user = connection.terra_user_id.as_str();
    let (mut compared, mut scored) = (0, 0);
    for (data_type, kind) in TYPES {
        if !Truth::is_fetchable(connection, kind) {
            continue;
        }
        let lacking = lacking_scores(&both.past, connection, data_type).await;
        for samples in ["true", "false"] {
            let query = [
                ("user_id", user),
                ("start_date", &first),
                ("end_date", &last),
                ("with_samples", samples),
                ("to_webhook", "false"),
            ];
            let path = format!("/{data_type}");
            let (status, terra_text) = both.text(&both.terra_url(), &path, &query).await;
            let (own_status, own_text) = both.text(&both.own_url(), &path, &query).await;
            let terra: Value = serde_json::from_str(&terra_text).unwrap();
            let own: Value = serde_json::from_str(&own_text).unwrap();
            let what = format!("{:?} {data_type}, samples {samples}", connection.provider);
            if status == 404 {
                // Terra knows which types a provider has; what is stored can only be empty.
                assert_eq!((own_status, &own["data"]), (200, &json!([])), "{what}");
                continue;
            }
            assert_eq!((status, own_status), (200, 200), "{what}");
            assert_eq!(terra["type"], own["type"], "{what}");
            assert_eq!(of_user(&terra["user"]), of_user(&own["user"]), "{what}");
            let (terra, own) = (records(&terra_text), records(&own_text));
            let starts = (starts(&terra), starts(&own));
            assert_eq!(starts.0, starts.1, "{what}");
            for ((terra, own), start) in terra.iter().zip(&own).zip(&starts.0) {
                if lacking.contains(start.as_str().unwrap()) {
                    assert_same_scores(terra, own, &what);
                    scored += 1;
                } else {
                    assert!(terra.get() == own.get(), "{what}: a record differs");
                }
            }
            compared += own.len();
        }
    }
    (compared, scored)
}

/// A record that was taken back is stored as such, and in no answer.
async fn leaves_out_what_was_taken_back(both: &Both) {
    let (first, last) = (both.days.0.to_string(), both.days.1.to_string());
    for (user, record) in &both.retracted {
        let connection = both.past.truth.connection(user).unwrap();
        let data_type: DataType = record.data_type.as_str().parse().unwrap();
        let start = start_of(&record.body);
        let stored = stored(&both.past, &connection, data_type).await;
        let stored = stored.iter().find(|stored| start_time(stored) == start);
        assert!(stored.is_some_and(|stored| stored.record.newest.retracted));
        let query = [
            ("user_id", user.as_str()),
            ("start_date", &first),
            ("end_date", &last),
            ("to_webhook", "false"),
        ];
        for (status, answer) in both.ask(&format!("/{data_type}"), &query).await {
            let records = answer["data"].as_array().unwrap();
            assert_eq!(status, 200);
            assert!(!records.is_empty());
            assert!(records.iter().all(|record| start_of(record) != start));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_answered_as_by_terra() {
    let both = Both::start().await;
    let connections = both.past.truth.connections();
    let (mut compared, mut scored) = (0, 0);
    for connection in &connections {
        let counts = has_the_same_records(&both, connection).await;
        compared += counts.0;
        scored += counts.1;
    }
    assert!(compared > 400, "{compared} records were compared");
    assert!(
        scored > 20,
        "{scored} of them have scores of an older delivery"
    );
    leaves_out_what_was_taken_back(&both).await;

    // A former id answers as the one of today does.
    let (old, new) = (both.renewed.0.as_str(), both.renewed.1.as_str());
    let own_url = both.own_url();
    let info = async |id: &str| both.get(&own_url, "/userInfo", &[("user_id", id)]).await;
    let (status, renewed) = info(old).await;
    assert_eq!((status, &renewed["user"]["user_id"]), (200, &json!(new)));
    assert_eq!((status, &renewed), (info(new).await.0, &info(new).await.1));
    let first = both.days.0.to_string();
    let data = async |id: &str| {
        let query = [("user_id", id), ("start_date", &first)];
        both.get(&own_url, "/body", &query).await
    };
    assert_eq!(data(old).await, data(new).await);

    let reference_id = connections[0].reference_id.as_str();
    for query in [("user_id", new), ("reference_id", reference_id)] {
        let [(status, terra), (own_status, own)] = both.ask("/userInfo", &[query]).await;
        assert_eq!((status, own_status), (200, 200), "{own}");
        if query.0 == "user_id" {
            assert_eq!(of_user(&terra["user"]), of_user(&own["user"]));
            assert_eq!(terra["is_authenticated"], own["is_authenticated"]);
        } else {
            assert_eq!(of_users(&terra), of_users(&own));
        }
    }
    let [(_, terra), (_, own)] = both.ask("/subscriptions", &[]).await;
    assert_eq!(of_users(&terra["users"]), of_users(&own["users"]));
    let page = [("page", "0"), ("per_page", "5")];
    let [(_, terra), (_, own)] = both.ask("/subscriptions", &page).await;
    for name in ["next", "max_page"] {
        assert_eq!(terra["data"][name], own["data"][name], "{name}");
    }
    assert_eq!(own["data"]["results"].as_array().unwrap().len(), 5);

    let [(_, terra), (_, own)] = both.ask("/integrations", &[]).await;
    assert_eq!(terra["providers"], own["providers"]);
    assert_eq!(own["sdk_providers"], own["sdk_resource"]);
    let [(_, terra), (_, own)] = both.ask("/integrations/detailed", &[("sdk", "true")]).await;
    assert!(!own["providers"].as_array().unwrap().is_empty());
    assert_eq!(terra, own);

    for (path, query, wanted) in [
        (
            "/daily",
            vec![("user_id", "nobody"), ("start_date", "2026-03-01")],
            404,
        ),
        (
            "/daily",
            vec![("user_id", new), ("start_date", "yesterday")],
            400,
        ),
        ("/userInfo", vec![("user_id", "nobody")], 404),
        ("/userInfo", vec![], 400),
    ] {
        let [(status, _), (own_status, own)] = both.ask(path, &query).await;
        assert_eq!((status, own_status), (wanted, wanted), "{path} {own}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_about_connecting_go_on_to_terra() {
    let both = Both::renewed(1, 1, 5).await;
    let own_url = both.own_url();
    let ask = async |method: &str, path: &str, body: Value| {
        let url = format!("{own_url}{path}");
        let request = both.http.request(method.parse().unwrap(), url);
        let request = request
            .header("dev-id", DEV_ID)
            .header("x-api-key", API_KEY);
        let request = request.header("content-type", "application/json");
        answered(request.body(body.to_string())).await
    };
    let person = json!({"reference_id": "somebody new"});
    let link = "/auth/authenticateUser?resource=OURA";
    let (status, link) = ask("POST", link, person.clone()).await;
    assert!(status < 300, "{link}");
    assert!(
        link["auth_url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1")
    );
    let (status, refused) = ask("POST", "/auth/authenticateUser", person.clone()).await;
    assert_eq!(
        (status, &refused["detail"]),
        (400, &json!("missing resource"))
    );
    let (status, session) = ask("POST", "/auth/generateWidgetSession", person).await;
    assert!(status < 300 && session["url"].is_string());
    let request = both.http.post(format!("{own_url}/auth/generateAuthToken"));
    let request = request
        .header("dev-id", DEV_ID)
        .header("x-api-key", API_KEY);
    let (status, token) = answered(request).await;
    assert!(status < 300 && token["token"].is_string());
    let (status, wrong) = ask("POST", "/auth/generateWidgetSession", json!([1])).await;
    assert_eq!(status, 400, "{wrong}");
    // Terra's refusal is the answer.
    let unknown = "/auth/authenticateUser?resource=NOSUCHPROVIDER";
    let (status, refused) = ask("POST", unknown, json!({})).await;
    assert!((400..500).contains(&status) && status != 401, "{refused}");

    // By its former id: Terra knows the new one only.
    let (old, new) = &both.renewed;
    let changed = json!({"reference_id": "another name"});
    let (status, said) = ask("PATCH", &format!("/users/{old}"), changed).await;
    assert_eq!(status, 200, "{said}");
    let end = format!("/auth/deauthenticateUser?user_id={old}");
    let (status, said) = ask("DELETE", &end, json!({})).await;
    assert!(status < 300, "{said}");
    let terra_url = both.terra_url();
    let terra = both.get(&terra_url, "/userInfo", &[("user_id", new)]).await;
    assert!(
        terra.0 == 404 || terra.1["is_authenticated"] == false,
        "{terra:?}"
    );

    // Credentials of ours that Terra refuses are no fault of the caller's.
    both.past.api.set_api_key("another key");
    let (status, said) = ask("POST", "/auth/generateWidgetSession", json!({})).await;
    assert_eq!(status, 503);
    assert_eq!(said["detail"], "Terra refuses this server's credentials");
    assert!(!said.to_string().contains(API_KEY));
}

#[tokio::test]
async fn terras_own_pair_opens_its_calls_where_that_is_wanted() {
    for opens in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut options = crate::world::options(folder.path());
        options.terra = Some(terra_client::api::Settings::new(DEV_ID, API_KEY.into()));
        options.terra_key_opens_api = opens;
        let http = crate::world::client();
        let system = terrarium::system::System::start(options, None)
            .await
            .unwrap();
        let get = async |path: &str, dev_id: Option<&str>, key: &str| {
            let request = http.get(format!("{}{path}", system.api_url));
            let request = request.header("x-api-key", key);
            let request = match dev_id {
                Some(dev_id) => request.header("dev-id", dev_id),
                None => request,
            };
            answered(request).await.0
        };
        let wanted = if opens { 200 } else { 401 };
        let subscriptions = "/terra/v2/subscriptions";
        assert_eq!(get(subscriptions, Some(DEV_ID), API_KEY).await, wanted);
        for (path, dev_id, key) in [
            (subscriptions, Some(DEV_ID), "another"),
            (subscriptions, Some("another"), API_KEY),
            (subscriptions, None, API_KEY),
            // Nothing but Terra's own calls.
            ("/v1/people", Some(DEV_ID), API_KEY),
            ("/v1/keys", Some(DEV_ID), API_KEY),
        ] {
            assert_eq!(get(path, dev_id, key).await, 401, "{path} {dev_id:?}");
        }
        // A key of ours, with any dev id.
        let scopes = [domain::access::Scope::PeopleRead].into();
        let made = api::NewKey::make("test", scopes, "test", None, 0);
        assert!(system.table.add_api_key(&made.key).await.unwrap());
        let own = made.whole.expose_secret();
        assert_eq!(get(subscriptions, Some("any"), own).await, 200);
        system.stop().await;
    }
}

/// Needs Terra's clients: `.ci/terra-clients` installs them and says where.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Terra's official clients"]
async fn terras_clients_read_here_what_they_read_at_terra() {
    let both = Both::start().await;
    let (terra_url, first) = (both.terra_url(), both.days.0.to_string());
    let (mut users, mut lacking) = (Vec::new(), Vec::new());
    for connection in both.past.truth.connections() {
        let user = connection.terra_user_id.clone();
        let mut types = Vec::new();
        for (data_type, _) in TYPES {
            for start in lacking_scores(&both.past, &connection, data_type).await {
                lacking.push(json!([user, data_type.as_str(), start]));
            }
            let query = [("user_id", user.as_str()), ("start_date", &first)];
            let path = format!("/{data_type}");
            if both.get(&terra_url, &path, &query).await.0 == 200 {
                types.push(data_type.as_str());
            }
        }
        users.push(json!({"user_id": user, "types": types}));
    }
    let retracted = both.retracted.iter().map(|(user, record)| {
        let start = &record.body["metadata"]["start_time"];
        json!({"user_id": user, "type": record.data_type.as_str(), "start_time": start})
    });
    let retracted: Vec<_> = retracted.collect();
    let place = json!({
        "terra": both.terra_url(),
        "own": both.own_url(),
        "dev_id": DEV_ID,
        "api_key": API_KEY,
        "users": users,
        "reference_id": both.past.truth.connections()[0].reference_id,
        "former_id": both.renewed.0,
        "present_id": both.renewed.1,
        "retracted": retracted,
        "lacking_scores": lacking,
        "start": both.days.0.to_string(),
        "end": both.days.1.to_string(),
    });
    #[expect(clippy::disallowed_methods, reason = "settings of the tests")]
    let variable = |name: &str| std::env::var(name).unwrap();
    let folder = variable("TERRARIUM_TEST_TERRA_CLIENTS");
    let python = format!("{folder}/python/bin/python");
    for (program, script) in [(python.as_str(), "same.py"), ("node", "same.mjs")] {
        let script = format!("{folder}/{script}");
        let output = Command::new(program)
            .args([&script, &place.to_string()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = output.await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}{failed}");
        println!("{}", said.trim());
    }
}
