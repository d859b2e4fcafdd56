//! Tests that each call is sent as Terra describes it, with what it needs and no more.

use jiff::{Timestamp, civil::date};
use models::{data::DataType, ids::TerraUserId};
use serde_json::{Value, json};
use terra_client::api::{
    Catalogue, ConnectOptions, DateRange, LabReportFilter, Samples, TerraClient, Via, WidgetAddress,
};

use crate::{
    described::Described,
    stub::{
        DEV_ID, KEY, PERSON, Seen, Stub, USER, client, provider, reference_id, reply, request,
        user_id, wide,
    },
};

/// Something that every call can read.
const ANY: &str = r#"{"status":"success","user":{"user_id":"user-5ca1ab1e","provider":"CORE"},
    "users":[{"user_id":"user-5ca1ab1e"}],"data":[],"athlete":{},"providers":[],"sessions":[],"session_id":"1","url":"https://x",
    "auth_url":"https://x","token":"t"}"#;

async fn stub() -> (Stub, TerraClient) {
    let stub = Stub::answering([reply(200, ANY)]).await;
    let mut settings = stub.settings();
    settings.quotas = wide();
    let client = client(&settings);
    (stub, client)
}

fn only(stub: &Stub) -> Seen {
    let seen = stub.seen();
    assert_eq!(seen.len(), 1);
    seen[0].clone()
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

fn options() -> ConnectOptions {
    ConnectOptions {
        reference_id: Some(reference_id()),
        language: Some("en".to_owned()),
        auth_success_redirect_url: Some("https://app.example/yes?a=b&c".to_owned()),
        auth_failure_redirect_url: Some("https://app.example/no".to_owned()),
    }
}

#[tokio::test]
async fn every_call_says_who_asks() {
    let (stub, client) = stub().await;
    client.user_info(&user_id()).await.unwrap();
    let seen = only(&stub);
    assert_eq!(seen.header("dev-id"), Some(DEV_ID));
    assert_eq!(seen.header("x-api-key"), Some(KEY));
    assert_eq!(seen.header("accept"), Some("application/json"));
    let agent = seen.header("user-agent").unwrap();
    assert!(agent.starts_with("terrarium/"), "{agent}");
}

#[tokio::test]
async fn calls_for_data_name_everything() {
    let user_id = user_id();
    for data_type in [
        DataType::Activity,
        DataType::Body,
        DataType::Daily,
        DataType::Menstruation,
        DataType::Nutrition,
        DataType::Sleep,
    ] {
        let (stub, client) = stub().await;
        let asked = request(&user_id, data_type, Via::Answer);
        client.data(&asked).await.unwrap();
        assert_eq!(
            only(&stub).line(),
            format!(
                "GET /api/v2/{data_type}?user_id={USER}&start_date=2026-06-01&end_date=2026-06-29\
                 &to_webhook=false&with_samples=true"
            )
        );
    }

    let (stub, client) = stub().await;
    let at = |second| Timestamp::from_second(second).unwrap();
    let mut asked = request(&user_id, DataType::Daily, Via::Webhook);
    asked.range = DateRange::of_seconds(at(1_780_000_000), at(1_780_090_000)).unwrap();
    asked.samples = Samples::Without;
    client.data(&asked).await.unwrap();
    assert_eq!(
        only(&stub).line(),
        format!(
            "GET /api/v2/daily?user_id={USER}&start_date=1780000000&end_date=1780090000\
             &to_webhook=true&with_samples=false"
        )
    );
}

#[tokio::test]
async fn what_only_webhooks_bring_is_not_asked_for() {
    let (stub, client) = stub().await;
    let user_id = user_id();
    for data_type in [
        DataType::Hormone,
        DataType::HealthObservation,
        DataType::LabReport,
        DataType::PlannedWorkout,
        DataType::Athlete,
    ] {
        let asked = request(&user_id, data_type, Via::Answer);
        let error = client.data(&asked).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read data: this data type is not supported"
        );
    }
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn an_id_cannot_break_out_of_its_place() {
    let (stub, client) = stub().await;
    let id = "a&user_id=b/../c?d#e %2f+ü";
    let user_id = TerraUserId::new(id).unwrap();
    client.athlete(&user_id, None, Via::Answer).await.unwrap();
    client.lab_report(id).await.unwrap();
    let seen = stub.seen();
    assert_eq!(seen[0].query[0], ("user_id".to_owned(), id.to_owned()));
    assert_eq!(seen[0].query.len(), 2);
    assert!(seen[1].query.is_empty());
    assert_eq!(
        seen[1].path,
        "/api/v2/lab-reports/a&user_id=b%2F..%2Fc%3Fd%23e%20%252f+%C3%BC"
    );
}

#[tokio::test]
async fn the_other_reads() {
    for (expected, call) in [
        (
            format!("GET /api/v2/athlete?user_id={USER}&to_webhook=false"),
            0,
        ),
        (
            format!(
                "GET /api/v2/plannedWorkouts?user_id={USER}&start_date=2026-06-01\
                 &end_date=2026-06-28"
            ),
            1,
        ),
        (format!("GET /api/v2/userInfo?user_id={USER}"), 2),
        (format!("GET /api/v2/userInfo?reference_id={PERSON}"), 3),
        ("GET /api/v2/subscriptions".to_owned(), 4),
        (
            "GET /api/v2/subscriptions?page=3&per_page=200".to_owned(),
            5,
        ),
        ("POST /api/v2/bulkUserInfo".to_owned(), 6),
        ("GET /api/v2/integrations".to_owned(), 7),
        ("GET /api/v2/integrations/detailed?sdk=true".to_owned(), 8),
        ("GET /api/v2/lab-reports".to_owned(), 9),
        (
            format!(
                "GET /api/v2/lab-reports?reference_id={PERSON}&upload_id=upl_1\
                 &report_date_from=2026-06-01&report_date_to=2026-06-02\
                 &uploaded_at_from=2026-06-03&uploaded_at_to=2026-06-04"
            ),
            10,
        ),
        ("GET /api/v2/lab-reports/297405620317847552".to_owned(), 11),
    ] {
        let (stub, client) = stub().await;
        every_read(&client, call).await;
        assert_eq!(only(&stub).line(), expected);
    }
}

/// Makes the read of a number.
async fn every_read(client: &TerraClient, number: usize) {
    let user_id = user_id();
    let filter = LabReportFilter {
        reference_id: Some(reference_id()),
        upload_id: Some("upl_1".to_owned()),
        report_date_from: Some(date(2026, 6, 1)),
        report_date_to: Some(date(2026, 6, 2)),
        uploaded_at_from: Some(date(2026, 6, 3)),
        uploaded_at_to: Some(date(2026, 6, 4)),
    };
    match number {
        0 => drop(client.athlete(&user_id, None, Via::Answer).await.unwrap()),
        1 => {
            let planned = client.planned_workouts(&user_id, None, crate::stub::june());
            drop(planned.await.unwrap());
        }
        2 => drop(client.user_info(&user_id).await.unwrap()),
        3 => drop(client.users_of_reference(&reference_id()).await.unwrap()),
        4 => drop(client.subscriptions().await.unwrap()),
        5 => drop(client.subscriptions_page(3, 200).await),
        6 => drop(client.bulk_user_info(&[user_id]).await.unwrap()),
        7 => drop(client.integrations().await.unwrap()),
        8 => {
            let detailed = client.detailed_integrations(Catalogue::Account, true);
            drop(detailed.await.unwrap());
        }
        9 => drop(
            client
                .lab_reports(&LabReportFilter::default())
                .await
                .unwrap(),
        ),
        10 => drop(client.lab_reports(&filter).await.unwrap()),
        11 => drop(client.lab_report("297405620317847552").await.unwrap()),
        other => panic!("no read {other}"),
    }
}

#[tokio::test]
async fn users_are_asked_for_in_bulk_by_a_bare_array() {
    let (stub, client) = stub().await;
    let ids = [user_id(), TerraUserId::new("\"2\"").unwrap()];
    client.bulk_user_info(&ids).await.unwrap();
    assert_eq!(body(&only(&stub)), json!([USER, "\"2\""]));
}

#[tokio::test]
async fn catalogues_are_asked_for_without_the_key() {
    let (stub, client) = stub().await;
    client.integrations().await.unwrap();
    for of in [Catalogue::Terra, Catalogue::Account] {
        client.detailed_integrations(of, false).await.unwrap();
    }
    let seen = stub.seen();
    let sent = seen.iter().map(|seen| seen.header("dev-id"));
    assert_eq!(sent.collect::<Vec<_>>(), [None, None, Some(DEV_ID)]);
    assert!(seen.iter().all(|seen| seen.header("x-api-key").is_none()));
    assert_eq!(
        seen[1].line(),
        "GET /api/v2/integrations/detailed?sdk=false"
    );
}

#[tokio::test]
async fn an_authentication_link_names_its_provider_in_the_query() {
    let (stub, client) = stub().await;
    let provider = provider("CORE");
    client
        .authentication_link(&provider, &options())
        .await
        .unwrap();
    client
        .authentication_link(&provider, &ConnectOptions::default())
        .await
        .unwrap();
    let seen = stub.seen();
    assert_eq!(
        seen[0].line(),
        "POST /api/v2/auth/authenticateUser?resource=CORE"
    );
    assert_eq!(
        body(&seen[0]),
        json!({
            "reference_id": PERSON,
            "language": "en",
            "auth_success_redirect_url": "https://app.example/yes?a=b&c",
            "auth_failure_redirect_url": "https://app.example/no",
        })
    );
    assert_eq!(body(&seen[1]), json!({}));
}

#[tokio::test]
async fn a_widget_session_is_made_at_each_of_its_three_addresses() {
    for (address, path) in [
        (WidgetAddress::Api, "/api/v2/auth/generateWidgetSession"),
        (WidgetAddress::FormerApi, "/v2/auth/generateWidgetSession"),
        (WidgetAddress::Widget, "/widget/api/session"),
    ] {
        let stub = Stub::answering([reply(200, ANY)]).await;
        let mut settings = stub.settings();
        settings.widget_address = address;
        let client = client(&settings);
        let providers = [provider("CORE"), provider("CRONOMETER")];
        client.widget_session(&providers, &options()).await.unwrap();
        client
            .widget_session(&[], &ConnectOptions::default())
            .await
            .unwrap();
        let seen = stub.seen();
        assert_eq!(seen[0].line(), format!("POST {path}"));
        assert_eq!(body(&seen[0])["providers"], "CORE,CRONOMETER");
        assert_eq!(body(&seen[0])["reference_id"], PERSON);
        assert_eq!(
            body(&seen[0])["auth_success_redirect_url"],
            "https://app.example/yes?a=b&c"
        );
        assert_eq!(body(&seen[1]), json!({}));
        assert_eq!(seen[0].header("x-api-key"), Some(KEY));
    }
}

#[tokio::test]
async fn a_token_and_an_end_need_no_body() {
    let (stub, client) = stub().await;
    client.mobile_token().await.unwrap();
    client.deauthenticate(&user_id()).await.unwrap();
    let seen = stub.seen();
    assert_eq!(seen[0].line(), "POST /api/v2/auth/generateAuthToken");
    assert_eq!(
        seen[1].line(),
        format!("DELETE /api/v2/auth/deauthenticateUser?user_id={USER}")
    );
    assert!(seen.iter().all(|seen| seen.body.is_empty()));
}

#[tokio::test]
async fn terra_describes_every_request_that_is_sent() {
    let Some(described) = Described::read() else {
        return;
    };
    let (stub, client) = stub().await;
    let user_id = user_id();
    for number in 0..=11 {
        every_read(&client, number).await;
    }
    for via in [Via::Answer, Via::Webhook] {
        for data_type in DataType::ALL {
            let mut asked = request(&user_id, data_type, via);
            drop(client.data(&asked).await);
            let at = |second| Timestamp::from_second(second).unwrap();
            asked.range = DateRange::of_seconds(at(1_780_000_000), at(1_780_090_000)).unwrap();
            drop(client.data(&asked).await);
        }
        drop(client.athlete(&user_id, None, via).await);
    }
    let widget = Stub::answering([reply(200, ANY)]).await;
    for address in [
        WidgetAddress::Api,
        WidgetAddress::FormerApi,
        WidgetAddress::Widget,
    ] {
        let mut settings = widget.settings();
        settings.widget_address = address;
        let client = crate::stub::client(&settings);
        let providers = [provider("CORE")];
        client.widget_session(&providers, &options()).await.unwrap();
    }
    let core = provider("CORE");
    drop(client.authentication_link(&core, &options()).await);
    drop(client.mobile_token().await);
    drop(client.deauthenticate(&user_id).await);

    let seen = [stub.seen(), widget.seen()].concat();
    assert!(seen.len() > 40, "{}", seen.len());
    for seen in &seen {
        described.check(seen);
    }

    // And the description would tell, if one were wrong.
    let mut wrong = seen[0].clone();
    assert_eq!(wrong.path, "/api/v2/athlete");
    wrong.query = vec![
        ("to_webhook".to_owned(), "perhaps".to_owned()),
        ("x".to_owned(), "1".to_owned()),
    ];
    wrong.headers.remove("x-api-key");
    assert_eq!(
        described.faults(&wrong),
        [
            "user_id is missing",
            "to_webhook is not what it should be",
            "x is unknown",
            "x-api-key is missing"
        ]
    );
    wrong.path.push('/');
    assert_eq!(described.faults(&wrong), ["no such call"]);
}
