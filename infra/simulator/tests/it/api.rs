//! The calls of the API: their answers are as Terra describes them.

use std::sync::Arc;

use axum::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use simulator::{
    DataType, Provider,
    api::{Describe, Description, Forms, LargeRule, ViolationKind},
    scenario::ChunkForm,
};

use crate::stand_in::{API_KEY, Answer, DEV_ID, PROVIDERS, StandIn};

/// Form of an answer to a read; the description's two forms do not exclude each other.
#[derive(Debug, Clone, Copy)]
enum Form {
    Data,
    Acceptance,
    Any,
}

struct Described(Description);

impl Described {
    fn load() -> Option<Self> {
        Some(Self(
            Description::load(&crate::terra::directory()?).unwrap(),
        ))
    }

    fn check(&self, method: &str, path: &str, answer: &Answer, form: Form) {
        let body = answer.json();
        let faults = self.0.faults_of_answer(method, path, answer.status, &body);
        assert!(
            faults.is_empty(),
            "{method} {path} {}: {faults:#?}",
            answer.status
        );
        match form {
            Form::Data => assert!(body["data"].is_array() || body["athlete"].is_object()),
            Form::Acceptance => {
                assert!(body["data"].is_null());
                assert_eq!(body["reference"], body["trace_id"]);
                assert!(body["reference"].is_string() && body["user"]["user_id"].is_string());
            }
            Form::Any => {}
        }
    }
}

/// Terra's own description, where its folder is.
fn description() -> Option<Arc<dyn Describe>> {
    let directory = crate::terra::directory()?;
    Some(Arc::new(Description::load(&directory).unwrap()))
}

/// A stand-in that holds every request against the description.
async fn strict() -> StandIn {
    StandIn::start(|settings| settings.description = description()).await
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let Some(described) = Described::load() else {
        return;
    };
    let terra = strict().await;
    for provider in PROVIDERS {
        let user = terra.user(provider);
        for data_type in provider.data_types() {
            if matches!(
                data_type,
                DataType::Hormone | DataType::HealthObservation | DataType::PlannedWorkout
            ) {
                continue;
            }
            let kind = data_type.as_str();
            let path = format!("/{kind}");
            if *data_type == DataType::Athlete {
                for (to_webhook, form) in [("false", Form::Data), ("true", Form::Acceptance)] {
                    let query = format!("user_id={user}&to_webhook={to_webhook}");
                    let answer = terra.get(&format!("/athlete?{query}")).await;
                    described.check("GET", &path, &answer, form);
                }
                continue;
            }
            let read = terra.read(&user, kind, "2026-06-20", "2026-07-10").await;
            described.check("GET", &path, &read, Form::Data);
            let order = terra.order(&user, kind, "2026-06-20", "2026-07-10").await;
            described.check("GET", &path, &order, Form::Acceptance);
            assert!(order.json()["message"].is_null());
            let large = terra.read(&user, kind, "2026-01-01", "2026-07-10").await;
            described.check("GET", &path, &large, Form::Acceptance);
            assert!(large.json()["message"].is_string());
        }
    }
    let user = terra.user(Provider::Fitbit);
    let reference = terra.at(Provider::Fitbit).reference_id;
    for (query, path) in [
        (format!("/userInfo?user_id={user}"), "/userInfo"),
        (format!("/userInfo?reference_id={reference}"), "/userInfo"),
        ("/subscriptions".to_owned(), "/subscriptions"),
        (
            "/subscriptions?page=0&per_page=5".to_owned(),
            "/subscriptions",
        ),
        ("/integrations".to_owned(), "/integrations"),
        (
            "/integrations/detailed?sdk=true".to_owned(),
            "/integrations/detailed",
        ),
    ] {
        let answer = terra.get(&query).await;
        assert_eq!(answer.status, 200, "{path}");
        described.check("GET", path, &answer, Form::Any);
    }
    let garmin = terra.user(Provider::Garmin);
    let planned = terra
        .get(&format!(
            "/plannedWorkouts?user_id={garmin}&start_date=2026-06-01&end_date=2026-07-20"
        ))
        .await;
    described.check("GET", "/plannedWorkouts", &planned, Form::Any);
    let planned = planned.json();
    let workouts = planned.as_array().unwrap();
    let ours = workouts
        .iter()
        .find_map(|workout| workout["planned_workout_id"].as_str());
    let one = format!("/plannedWorkouts/{}", ours.unwrap());
    let answer = terra.get(&format!("{one}?user_id={garmin}")).await;
    described.check("GET", &one, &answer, Form::Any);

    for (path, body) in [
        (
            "/auth/authenticateUser?resource=FITBIT",
            Some(json!({ "reference_id": "r" })),
        ),
        (
            "/auth/generateWidgetSession",
            Some(json!({ "reference_id": "r" })),
        ),
        ("/auth/generateAuthToken", None),
        ("/bulkUserInfo", Some(json!([user]))),
    ] {
        let answer = terra.call(Method::POST, path, body).await;
        assert_eq!(answer.status, 200, "{path}");
        described.check("POST", path.split('?').next().unwrap(), &answer, Form::Any);
    }
    let path = format!("/auth/deauthenticateUser?user_id={user}");
    let ended = terra.call(Method::DELETE, &path, None).await;
    described.check("DELETE", "/auth/deauthenticateUser", &ended, Form::Any);
    assert_eq!(terra.api.violations(), []);
}

/// Guards the other tests: a description that cannot say no would let everything through.
#[tokio::test]
async fn faults_of_an_answer_are_found_in_its_envelope_and_deep_inside() {
    let Some(Described(description)) = Described::load() else {
        return;
    };
    let terra = StandIn::start(|_| {}).await;
    let libre = terra.user(Provider::FreestyleLibre);
    let right = terra
        .read(&libre, "body", "2026-07-01", "2026-07-05")
        .await
        .json();
    let faults = |body: &Value| description.faults_of_answer("GET", "/body", 200, body);
    assert_eq!(faults(&right), Vec::<String>::new());
    for (pointer, wrong) in [
        ("/user", Value::from("somebody")),
        ("/data/0/metadata/start_time", Value::from(5)),
        (
            "/data/0/glucose_data/day_avg_blood_glucose_mg_per_dL",
            Value::from("high"),
        ),
    ] {
        let mut broken = right.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong;
        assert!(!faults(&broken).is_empty(), "{pointer}");
    }
    assert!(
        !description
            .faults_of_answer("GET", "/body", 418, &right)
            .is_empty()
    );
    assert!(
        !description
            .faults_of_answer("GET", "/nowhere", 200, &right)
            .is_empty()
    );
}

#[tokio::test]
async fn errors_are_as_described() {
    let Some(described) = Described::load() else {
        return;
    };
    let terra = StandIn::start(|_| {}).await;
    let user = terra.user(Provider::Fitbit);
    for (query, status, detail) in [
        ("/daily".to_owned(), 400, "missing user_id"),
        (format!("/daily?user_id={user}"), 400, "missing start_date"),
        (
            format!("/daily?user_id={user}&start_date=2026-02-30"),
            400,
            "invalid start_date",
        ),
        (
            format!("/daily?user_id={user}&start_date=2026-02-03&end_date=2026-02-02"),
            400,
            "invalid end_date: it is before start_date",
        ),
        (
            "/daily?user_id=nobody&start_date=2026-02-03".to_owned(),
            404,
            "user not found",
        ),
        (
            format!("/menstruation?user_id={user}&start_date=2026-02-03"),
            404,
            "this connection does not support the requested data type",
        ),
        (
            "/userInfo".to_owned(),
            400,
            "user_id or reference_id is required",
        ),
        (
            "/userInfo?reference_id=nobody".to_owned(),
            404,
            "user not found",
        ),
        (
            "/subscriptions?page=-1".to_owned(),
            400,
            "invalid page or per_page",
        ),
    ] {
        let answer = terra.get(&query).await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.json()["detail"], detail, "{query}");
        assert_eq!(answer.json()["instance"], format!("/api/v2{query}"));
        let path = query.split('?').next().unwrap();
        described.check("GET", path, &answer, Form::Any);
    }
}

#[tokio::test]
async fn calls_without_the_right_credentials_are_refused() {
    let terra = StandIn::start(|_| {}).await;
    for (headers, detail) in [
        (vec![], "dev-id or x-api-key headers are missing"),
        (
            vec![("dev-id", DEV_ID)],
            "dev-id or x-api-key headers are missing",
        ),
        (
            vec![("dev-id", DEV_ID), ("x-api-key", "x")],
            "dev-id or x-api-key is wrong",
        ),
        (
            vec![("dev-id", "x"), ("x-api-key", API_KEY)],
            "dev-id or x-api-key is wrong",
        ),
    ] {
        let answer = terra
            .raw(Method::GET, "/api/v2/subscriptions", &headers)
            .await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["detail"], detail);
        let widget = terra
            .raw(Method::POST, "/widget/api/session", &headers)
            .await;
        assert_eq!(
            (widget.status, &widget.json()["status"]),
            (403, &Value::from("error"))
        );
    }
    terra.api.set_api_key("another");
    assert_eq!(terra.get("/subscriptions").await.status, 401);
    let open = terra.raw(Method::GET, "/api/v2/integrations", &[]).await;
    assert_eq!(open.status, 200);
}

#[tokio::test]
async fn a_request_that_is_not_as_described_is_refused_and_noted() {
    if crate::terra::directory().is_none() {
        return;
    }
    let terra = strict().await;
    let user = terra.user(Provider::Fitbit);
    let queries = [
        format!("/daily?user_id={user}&start_date=2026-07-01T00:00:00Z"),
        format!("/daily?user_id={user}&start_date=2026-07-01&start_date=2026-07-02"),
        format!("/daily?user_id={user}&start_date=2026-07-01&to_webhook=yes"),
        format!("/daily?user_id={user}&start_date=2026-07-01&limit=5"),
        format!("/daily?user_id={user}"),
    ];
    for query in &queries {
        assert_eq!(terra.get(query).await.status, 400, "{query}");
    }
    let bodies = [
        ("/bulkUserInfo", json!({ "ids": [user] }), 400),
        (
            "/auth/generateWidgetSession",
            json!({ "providers": ["FITBIT"] }),
            400,
        ),
        ("/auth/generateAuthToken", json!({}), 400),
        ("/auth/authenticateUser", json!({ "reference_id": 1 }), 400),
        ("/nowhere", json!({}), 404),
    ];
    for (path, body, status) in &bodies {
        let answer = terra.call(Method::POST, path, Some(body.clone())).await;
        assert_eq!(answer.status, *status, "{path}");
    }
    assert_eq!(terra.get("/subscriptions/").await.status, 404);
    let violations = terra.api.violations();
    assert_eq!(violations.len(), queries.len() + bodies.len() + 1);
    for violation in violations {
        assert!(matches!(violation.kind, ViolationKind::Invalid(_)));
        assert!(!format!("{:?}", violation.kind).contains(&user));
    }
    // Two that are right.
    terra.forget_and_read(&user).await;
    assert_eq!(terra.api.violations(), []);
}

impl StandIn {
    async fn forget_and_read(&self, user: &str) {
        self.api.forget_requests();
        for start in ["2026-07-01", "1782864000"] {
            let path = format!("/daily?user_id={user}&start_date={start}&to_webhook=false");
            assert_eq!(self.get(&path).await.status, 200);
        }
    }
}

#[tokio::test]
async fn users_are_listed_whole_and_in_pages() {
    let terra = StandIn::start(|_| {}).await;
    let all = terra.get("/subscriptions").await.json();
    let all = all["users"].as_array().unwrap();
    assert_eq!(all.len(), 14);
    let mut paged = Vec::new();
    let mut page = Some(0);
    while let Some(number) = page {
        let path = format!("/subscriptions?page={number}&per_page=4");
        let answer = terra.get(&path).await.json();
        assert_eq!(answer["data"]["max_page"], 3);
        paged.extend(answer["data"]["results"].as_array().unwrap().clone());
        page = answer["data"]["next"].as_u64();
    }
    assert_eq!(&paged, all);

    let user = terra.user(Provider::Oura);
    assert!(terra.api.vanish(&user));
    let rest = terra.get("/subscriptions").await.json();
    assert_eq!(rest["users"].as_array().unwrap().len(), 13);
    assert_eq!(
        terra
            .read(&user, "sleep", "2026-07-01", "2026-07-02")
            .await
            .status,
        404
    );
    assert_eq!(terra.api.take_due(), [], "nobody says that it is gone");
}

#[tokio::test]
async fn a_link_becomes_a_connection_with_an_event_and_a_history() {
    let terra = StandIn::start(|_| {}).await;
    let body = json!({
        "reference_id": "someone new",
        "auth_success_redirect_url": "https://app.example/done?a=1",
    });
    let path = "/auth/authenticateUser?resource=GARMIN";
    let link = terra.call(Method::POST, path, Some(body)).await.json();
    let user = link["user_id"].as_str().unwrap();
    assert_eq!(
        terra.get(&format!("/userInfo?user_id={user}")).await.status,
        404
    );

    let page = link["auth_url"]
        .as_str()
        .unwrap()
        .strip_prefix(&terra.address)
        .unwrap();
    let redirect = terra.raw(Method::GET, page, &[]).await;
    assert_eq!(redirect.status, 302);
    let expected = format!(
        "https://app.example/done?a=1&user_id={user}&resource=GARMIN&reference_id=someone+new"
    );
    assert_eq!(redirect.header("location"), Some(expected.as_str()));
    let events = terra.api.take_due();
    assert_eq!(events.len(), 1);
    let auth: Value = serde_json::from_slice(&events[0].webhook.body).unwrap();
    assert_eq!(
        (&auth["type"], &auth["user"]["user_id"]),
        (&"auth".into(), &user.into())
    );
    let read = terra
        .read(user, "daily", "2026-06-20", "2026-07-10")
        .await
        .json();
    assert!(!read["data"].as_array().unwrap().is_empty());
    assert_eq!(
        terra.raw(Method::GET, page, &[]).await.status,
        404,
        "once only"
    );

    let renewed = terra.api.reauthenticate(user).unwrap();
    let again = terra
        .read(&renewed, "daily", "2026-06-20", "2026-07-10")
        .await
        .json();
    assert_eq!(again["data"], read["data"]);
    assert_eq!(
        terra
            .read(user, "daily", "2026-06-20", "2026-07-10")
            .await
            .status,
        404
    );
    let types: Vec<String> = terra
        .api
        .take_due()
        .into_iter()
        .map(|event| event.webhook.event_type)
        .collect();
    assert_eq!(types, ["auth", "user_reauth"]);
}

#[tokio::test]
async fn connecting_again_replaces_the_person_s_live_connection() {
    let terra = StandIn::start(|_| {}).await;
    let old = terra.at(Provider::Fitbit);
    let body = json!({ "reference_id": old.reference_id });
    let path = "/auth/authenticateUser?resource=FITBIT";
    let link = terra.call(Method::POST, path, Some(body)).await.json();
    let page = link["auth_url"]
        .as_str()
        .unwrap()
        .strip_prefix(&terra.address)
        .unwrap();
    assert_eq!(terra.raw(Method::GET, page, &[]).await.status, 200);
    let events: Vec<Value> = terra
        .api
        .take_due()
        .into_iter()
        .map(|event| serde_json::from_slice(&event.webhook.body).unwrap())
        .collect();
    assert_eq!(events[0]["type"], "auth");
    assert_eq!(events[1]["type"], "user_reauth");
    assert_eq!(
        events[1]["old_user"]["user_id"],
        Value::from(old.terra_user_id)
    );
    assert_eq!(events[1]["new_user"]["user_id"], link["user_id"]);
    let users = terra.get("/subscriptions").await.json();
    assert_eq!(users["users"].as_array().unwrap().len(), 14);
}

#[tokio::test]
async fn a_widget_session_has_three_addresses_and_the_user_may_turn_back() {
    let terra = StandIn::start(|_| {}).await;
    let credentials = [("dev-id", DEV_ID), ("x-api-key", API_KEY)];
    for path in [
        "/api/v2/auth/generateWidgetSession",
        "/v2/auth/generateWidgetSession",
        "/widget/api/session",
    ] {
        let session = terra.raw(Method::POST, path, &credentials).await.json();
        assert_eq!(session["expires_in"], 900);
        let url = session["url"].as_str().unwrap();
        let page = url.strip_prefix(&terra.address).unwrap();
        let choice = terra.raw(Method::GET, page, &[]).await;
        assert!(choice.text.contains("?provider=CORE"), "{path}");
        let chosen = if path.starts_with("/widget") {
            "?deny=true"
        } else {
            "?provider=CORE"
        };
        terra
            .raw(Method::GET, &format!("{page}{chosen}"), &[])
            .await;
    }
    let types: Vec<String> = terra
        .api
        .take_due()
        .into_iter()
        .map(|event| event.webhook.event_type)
        .collect();
    assert_eq!(types, ["auth", "auth", "auth_cancelled"]);
}

#[tokio::test]
async fn integrations_depend_on_who_asks() {
    let terra = StandIn::start(|_| {}).await;
    let names = |answer: &Answer| -> Vec<String> {
        let providers = answer.json()["providers"].clone();
        let providers = providers.as_array().unwrap().iter();
        providers
            .map(|entry| entry["provider"].as_str().unwrap().to_owned())
            .collect()
    };
    let path = "/api/v2/integrations/detailed";
    let whole = terra.raw(Method::GET, path, &[]).await;
    assert!(names(&whole).contains(&"WHOOP".to_owned()));
    let enabled = terra.raw(Method::GET, path, &[("dev-id", DEV_ID)]).await;
    assert_eq!(names(&enabled).len(), PROVIDERS.len() - 1);
    let both = terra.get("/integrations/detailed?sdk=true").await;
    assert!(names(&both).contains(&"APPLE".to_owned()));
    terra.api.set_forms(Forms::Former);
    let emptied = terra.get("/integrations/detailed").await;
    assert_eq!(names(&emptied), Vec::<String>::new());
    let list = terra.get("/integrations").await.json();
    assert_eq!(list["sdk_resource"], json!(["APPLE"]));
}

#[tokio::test]
async fn the_former_forms_are_those_of_older_texts() {
    let terra = StandIn::start(|settings| settings.forms = Forms::Former).await;
    let user = terra.user(Provider::Fitbit);
    let wrong = terra.raw(Method::GET, "/v2/subscriptions", &[]).await;
    assert_eq!(wrong.status, 403);
    assert_eq!(wrong.json()["status"], "error");
    let unsupported = terra
        .read(&user, "menstruation", "2026-07-01", "2026-07-02")
        .await;
    assert_eq!(unsupported.status, 400);

    let none = terra
        .read(&user, "daily", "2020-07-01", "2020-07-02")
        .await
        .json();
    assert_eq!(
        (&none["type"], &none["data"]),
        (&"no_data".into(), &Value::Null)
    );
    let order = terra
        .order(&user, "daily", "2026-07-01", "2026-07-02")
        .await;
    assert_eq!(order.json()["type"], "webhook");
    assert_eq!(
        order.header("terra-reference"),
        order.json()["reference"].as_str()
    );
    let large = terra
        .order(&user, "daily", "2026-01-01", "2026-07-02")
        .await
        .json();
    assert_eq!(large["type"], "large_request_processing");
    // Without `to_webhook` short ranges were answered at once.
    let path = format!("/daily?user_id={user}&start_date=2026-07-01&end_date=2026-07-05");
    assert!(terra.get(&path).await.json()["data"].is_array());
    let reference = terra.at(Provider::Fitbit).reference_id;
    let users = terra
        .get(&format!("/userInfo?reference_id={reference}"))
        .await
        .json();
    assert_eq!(users["users"].as_array().unwrap().len(), PROVIDERS.len());
    assert_eq!(users["users"][0]["active"], "true");
}

#[tokio::test]
async fn an_order_is_delivered_under_its_reference() {
    let terra = StandIn::start(|_| {}).await;
    let core = terra.at(Provider::Core);
    let order = terra
        .order(&core.terra_user_id, "body", "2026-07-01", "2026-07-08")
        .await
        .json();
    assert_eq!(terra.api.take_due(), []);
    terra.hands.advance(SignedDuration::from_mins(1));
    let due = terra.api.take_due();
    assert_eq!(due.len(), 1);
    assert_eq!(
        due[0].webhook.reference.as_deref(),
        order["reference"].as_str()
    );
    let body: Value = serde_json::from_slice(&due[0].webhook.body).unwrap();
    let read = terra
        .read(&core.terra_user_id, "body", "2026-07-01", "2026-07-08")
        .await;
    assert_eq!(body["data"], read.json()["data"]);
    assert_eq!(terra.api.next_due(), None);
}

#[tokio::test]
async fn a_large_request_comes_in_as_many_chunks_as_it_says() {
    for form in [ChunkForm::SameReference, ChunkForm::NumberedReference] {
        let terra = StandIn::start(|settings| settings.chunk_form = form).await;
        let libre = terra.user(Provider::FreestyleLibre);
        let order = terra
            .read(&libre, "body", "2026-05-01", "2026-07-10")
            .await
            .json();
        let reference = order["reference"].as_str().unwrap();
        terra.hands.advance(SignedDuration::from_hours(1));
        let due: Vec<_> = terra
            .api
            .take_due()
            .into_iter()
            .map(|due| due.webhook)
            .collect();
        let body = |index: usize| -> Value { serde_json::from_slice(&due[index].body).unwrap() };
        assert_eq!(due[0].event_type, "large_request_processing");
        assert_eq!(due[1].event_type, "large_request_sending");
        let expected = usize::try_from(body(1)["expected_payloads"].as_u64().unwrap()).unwrap();
        assert_eq!(due.len(), 2 + expected);
        assert!(expected > 3);
        let mut records = Vec::new();
        for (number, index) in (1..).zip(2..due.len()) {
            let chunk = format!(":chunk:{number}");
            assert!(due[index].trace_id.as_deref().unwrap().ends_with(&chunk));
            let expected = match form {
                ChunkForm::SameReference => reference.to_owned(),
                ChunkForm::NumberedReference => format!("{reference}{chunk}"),
            };
            assert_eq!(due[index].reference, Some(expected));
            records.extend(body(index)["data"].as_array().unwrap().clone());
        }
        let mut read = Vec::new();
        for (from, to) in [
            ("2026-05-01", "2026-06-01"),
            ("2026-06-01", "2026-07-01"),
            ("2026-07-01", "2026-07-10"),
        ] {
            let answer = terra.read(&libre, "body", from, to).await.json();
            read.extend(answer["data"].as_array().unwrap().clone());
        }
        assert_eq!(records, read);
    }
}

#[tokio::test]
async fn what_is_large_depends_on_the_rule() {
    for (rule, from, to, large) in [
        (LargeRule::OverOneMonth, "2026-06-15", "2026-07-15", false),
        (LargeRule::OverOneMonth, "2026-06-14", "2026-07-15", true),
        (LargeRule::CrossesMonth, "2026-05-01", "2026-06-01", false),
        (LargeRule::CrossesMonth, "2026-05-31", "2026-06-02", true),
        (LargeRule::Over28Days, "2026-05-01", "2026-05-29", false),
        (LargeRule::Over28Days, "2026-05-01", "2026-05-30", true),
    ] {
        let terra = StandIn::start(|settings| settings.large_rule = rule).await;
        let user = terra.user(Provider::Fitbit);
        let answer = terra.read(&user, "daily", from, to).await.json();
        assert_eq!(answer["data"].is_null(), large, "{rule:?} {from} {to}");
    }
}

#[tokio::test]
async fn a_phone_is_answered_with_nothing() {
    let terra = StandIn::start(|_| {}).await;
    let apple = terra.user(Provider::Apple);
    let answer = terra
        .read(&apple, "daily", "2026-07-01", "2026-07-10")
        .await;
    assert_eq!((answer.status, &answer.json()["data"]), (200, &json!([])));
}

#[tokio::test]
async fn a_lab_report_is_processed_announced_and_can_be_deleted() {
    let described = Described::load();
    let terra = StandIn::start(|_| {}).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF\r\n--b--\r\n";
    let upload = crate::stand_in::client()
        .post(format!(
            "{}/api/v2/lab-reports?reference_id=someone",
            terra.address
        ))
        .header("dev-id", DEV_ID)
        .header("x-api-key", API_KEY)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form);
    let upload = upload.send().await.unwrap();
    assert_eq!(upload.status(), 202);
    assert!(upload.headers().contains_key("location"));
    let upload: Value = serde_json::from_str(&upload.text().await.unwrap()).unwrap();
    let upload_id = upload["upload_id"].as_str().unwrap();

    let list = terra
        .get(&format!("/lab-reports?upload_id={upload_id}"))
        .await;
    let session = list.json()["sessions"][0].clone();
    assert_eq!(session["current_status"], "processing");
    let path = format!("/lab-reports/{}", session["session_id"].as_str().unwrap());
    assert!(terra.get(&path).await.json()["results"].is_null());
    terra.hands.advance(SignedDuration::from_mins(2));
    assert_eq!(
        terra.api.take_due()[0].webhook.event_type,
        "lab_report.completed"
    );
    let done = terra.get(&path).await;
    assert_eq!(done.json()["current_status"], "sent");
    assert!(done.json()["collection_date"].is_string());
    if let Some(described) = described {
        described.check("GET", "/lab-reports", &list, Form::Any);
        described.check("GET", &path, &done, Form::Any);
        for sub in ["deliveries", "files"] {
            let answer = terra.get(&format!("{path}/{sub}")).await;
            described.check("GET", &format!("{path}/{sub}"), &answer, Form::Any);
        }
    }
    for (query, count) in [
        ("reference_id=someone", 1),
        ("reference_id=nobody", 0),
        ("uploaded_at_from=2026-07-15&uploaded_at_to=2026-07-15", 1),
        ("report_date_to=2020-01-01", 0),
    ] {
        let list = terra.get(&format!("/lab-reports?{query}")).await.json();
        assert_eq!(list["sessions"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(terra.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(terra.get(&path).await.status, 404);
}

#[tokio::test]
async fn the_same_calls_get_the_same_bytes() {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let terra =
            StandIn::start(|settings| settings.public_url = "http://terra".to_owned()).await;
        let user = terra.user(Provider::Garmin);
        let mut all = Vec::new();
        for kind in ["daily", "activity", "sleep"] {
            all.push(
                terra
                    .read(&user, kind, "2026-06-20", "2026-07-10")
                    .await
                    .text,
            );
            all.push(
                terra
                    .order(&user, kind, "2026-01-01", "2026-07-10")
                    .await
                    .text,
            );
        }
        all.push(terra.get("/subscriptions").await.text);
        let link = "/auth/authenticateUser?resource=FITBIT";
        all.push(terra.call(Method::POST, link, None).await.text);
        terra.hands.advance(SignedDuration::from_hours(1));
        all.extend(
            terra
                .api
                .take_due()
                .into_iter()
                .map(|due| format!("{due:?}")),
        );
        answers.push(all);
    }
    assert_eq!(answers[0], answers[1]);
}
