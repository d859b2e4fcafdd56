//! Tests that each form of each answer is read by its content.

use std::time::Duration;

use models::{
    data::DataType,
    event::{Event, EventType},
};
use secrecy::ExposeSecret;
use terra_client::api::{
    Accepted, Catalogue, ConnectOptions, DataAnswer, Deauthenticated, Gone, LabReportFilter, Limit,
    Malformed, TerraError, UserRecord, Via,
};

use crate::stub::{
    PERSON, Stub, USER, ask, assert_discreet, june, provider, reference_id, reply, user_id,
};

/// Reads each body, with nothing else to go by.
async fn read<'a>(
    bodies: impl IntoIterator<Item = &'a str>,
) -> Vec<Result<DataAnswer, TerraError>> {
    let replies: Vec<_> = bodies
        .into_iter()
        .map(|body| reply(200, body.to_owned()))
        .collect();
    let count = replies.len();
    let stub = Stub::answering(replies).await;
    let client = stub.client();
    let mut read = Vec::new();
    for _ in 0..count {
        read.push(ask(&client, Via::Answer).await);
    }
    read
}

fn accepted(reference: Option<&str>, large: bool) -> DataAnswer {
    DataAnswer::Accepted(Accepted {
        reference: reference.map(str::to_owned),
        large,
    })
}

fn processing(seconds: Option<u64>) -> DataAnswer {
    DataAnswer::Processing {
        retry_after: seconds.map(Duration::from_secs),
    }
}

#[tokio::test]
async fn data_are_the_exact_bytes_with_terras_headers() {
    let body = " {\"status\":\"success\",\"type\":\"body\",\"user\":{\"user_id\":\"u\"},\
                \"data\":[ {\"a\": 1.0} ,{\"b\":\"\\u00e9 é\"}],\"version\":\"2022-03-16\"}\r\n";
    let stub = Stub::answering([reply(200, body)
        .with("content-type", "text/plain")
        .with("X-Terra-Trace-Id", "trace-1")
        .with("Terra-Reference", "reference-1")
        .with("X-Terra-RateLimit-Remaining", "5972")
        .with("X-Terra-RateLimit-Limit", "6000")])
    .await;
    let answered = ask(&stub.client(), Via::Answer).await.unwrap();
    let DataAnswer::Data(payload) = answered else {
        panic!("{answered:?}");
    };
    assert_eq!(payload.body, body);
    assert_eq!(payload.event_body(), body);
    assert_eq!((payload.data_type, payload.records), (DataType::Body, 2));
    assert_eq!(payload.headers.trace_id(), Some("trace-1"));
    assert_eq!(payload.headers.reference(), Some("reference-1"));
    assert_eq!(payload.rate_limit.remaining, Some(5_972));
    assert!(!format!("{payload:?}").contains("00e9"));
}

#[tokio::test]
async fn data_without_a_type_become_an_event_with_the_one_asked_for() {
    let bodies = [
        r#"{"user":{"user_id":"u"},"data":[{"a":1}],"type":null} "#,
        r#"{"type":"","data":[{"a":1}]}"#,
        r#"{"data":[{"a":1}]}"#,
    ];
    for (body, answer) in bodies.into_iter().zip(read(bodies).await) {
        let DataAnswer::Data(payload) = answer.unwrap() else {
            panic!("{body}");
        };
        assert_eq!(payload.body, body);
        let event_body = payload.event_body();
        let event = Event::parse(&event_body).unwrap();
        assert_eq!(event.event_type, EventType::Data(DataType::Body), "{body}");
        assert_eq!(event.records[0].json, r#"{"a":1}"#);
    }
}

#[tokio::test]
async fn an_answer_is_told_by_what_is_in_it() {
    let records = |answer: DataAnswer| match answer {
        DataAnswer::Data(payload) => payload.records,
        other => panic!("{other:?}"),
    };
    // Data, whatever else is there.
    let with_data = [
        (r#"{"data":[],"type":"body"}"#, 0),
        (r#"{"data":{"one":1},"type":"body"}"#, 1),
        (r#"{"data":[1],"reference":"r","type":"webhook"}"#, 1),
        (
            r#"{"data":[1],"retry_after_seconds":5,"type":"processing"}"#,
            1,
        ),
        (r#"{"data":[1,2],"type":"no_data","status":"warning"}"#, 2),
        (r#"{"data":7,"data":[1],"type":"body"}"#, 1),
    ];
    let answers = read(with_data.map(|(body, _)| body)).await;
    for ((body, count), answer) in with_data.into_iter().zip(answers) {
        assert_eq!(records(answer.unwrap()), count, "{body}");
    }
    let without = [
        // An acceptance, of today and of before.
        (
            r#"{"status":"success","type":"body","reference":"r-1","trace_id":"r-1","user":{}}"#,
            accepted(Some("r-1"), false),
        ),
        (
            r#"{"status":"success","type":"body","reference":"r-1","user":{},"message":"Large request"}"#,
            accepted(Some("r-1"), true),
        ),
        (
            r#"{"type":"webhook","reference":"r-1","message":"Data will be sent","user":{}}"#,
            accepted(Some("r-1"), false),
        ),
        (
            r#"{"type":"large_request_processing","status":"processing","reference":"r-1:chunk:0"}"#,
            accepted(Some("r-1"), true),
        ),
        (
            r#"{"type":"body","trace_id":"t-1","data":null}"#,
            accepted(Some("t-1"), false),
        ),
        (
            r#"{"type":"webhook","reference":"","message":"sent"}"#,
            accepted(None, false),
        ),
        // Later.
        (
            r#"{"type":"processing","retry_after_seconds":300,"message":"later","user":{}}"#,
            processing(Some(300)),
        ),
        (
            r#"{"type":"processing","retry_after_seconds":"1.5"}"#,
            processing(Some(2)),
        ),
        (
            r#"{"type":"processing","retry_after_seconds":-1,"user":{}}"#,
            processing(None),
        ),
        (
            r#"{"retry_after_seconds":1e99,"user":{}}"#,
            processing(Some(86_400)),
        ),
        // None.
        (
            r#"{"type":"no_data","status":"warning","message":"none","user":{}}"#,
            DataAnswer::NoData,
        ),
        (
            r#"{"status":"success","type":"body","user":{},"data":null}"#,
            DataAnswer::NoData,
        ),
        (r#"{"status":"success","user":{}}"#, DataAnswer::NoData),
    ];
    let answers = read(without.iter().map(|(body, _)| *body)).await;
    for ((body, expected), answer) in without.into_iter().zip(answers) {
        assert_eq!(answer.unwrap(), expected, "{body}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_not_taken_for_no_data() {
    let bodies = [
        "{}",
        "[]",
        "null",
        "7",
        r#""data""#,
        r#"{"status":"success"}"#,
        r#"{"data":7}"#,
    ];
    for (body, answer) in bodies.into_iter().zip(read(bodies).await) {
        let error = answer.unwrap_err();
        let why = match error {
            TerraError::MalformedAnswer { why, .. } => why,
            other => panic!("{body} {other:?}"),
        };
        assert_eq!(why, Malformed::Unexpected, "{body}");
    }
    let bodies = [
        (r#"{"message":"unauthorized"}"#, "credentials"),
        (
            r#"{"status":"error","message":"user not found","user":{}}"#,
            "gone",
        ),
        (
            r#"{"status":"error","type":"body","message":"Authorisation has expired","data":[]}"#,
            "ended",
        ),
        (
            r#"{"status":"error","message":"the wind blows","type":"body"}"#,
            "refused",
        ),
    ];
    let answers = read(bodies.map(|(body, _)| body)).await;
    for ((body, expected), answer) in bodies.into_iter().zip(answers) {
        let is = match answer.unwrap_err() {
            TerraError::Credentials { .. } => "credentials",
            TerraError::Gone {
                what: Gone::UserUnknown,
                ..
            } => "gone",
            TerraError::Gone {
                what: Gone::ConnectionEnded,
                ..
            } => "ended",
            TerraError::Refused { .. } => "refused",
            other => panic!("{body} {other:?}"),
        };
        assert_eq!(is, expected, "{body}");
    }
}

#[tokio::test]
async fn a_limit_may_come_as_a_success() {
    let body = r#"{"type":"rate_limit","message":"Provider limit reached","user":{}}"#;
    match read([body]).await.remove(0).unwrap_err() {
        TerraError::RetryAfter { by, wait, .. } => {
            assert_eq!((by, wait), (Limit::Provider, Duration::from_mins(1)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_reference_may_stand_in_a_header_only() {
    for (body, answer) in [
        (
            r#"{"type":"webhook","message":"sent"}"#,
            accepted(Some("r-2"), false),
        ),
        (
            r#"{"status":"success","type":"body","user":{}}"#,
            accepted(Some("r-2"), false),
        ),
        (
            r#"{"type":"body","reference":"r-1","user":{}}"#,
            accepted(Some("r-1"), false),
        ),
        // Every answer may carry it: alone it makes no acceptance of another answer.
        (r#"{"type":"no_data","user":{}}"#, DataAnswer::NoData),
        (r#"{"type":"processing","user":{}}"#, processing(None)),
    ] {
        let stub = Stub::answering([reply(200, body).with("terra-reference", "r-2:chunk:1")]).await;
        let answered = ask(&stub.client(), Via::Webhook).await.unwrap();
        assert_eq!(answered, answer, "{body}");
    }
}

#[tokio::test]
async fn an_athlete_is_one_record() {
    let user_id = user_id();
    for (body, expected) in [
        (
            r#"{"type":"athlete","athlete":{"sex":"x"},"user":{}}"#,
            Some(1),
        ),
        (r#"{"athlete":{},"user":{}}"#, Some(1)),
        (r#"{"type":"athlete","athlete":null,"user":{}}"#, None),
        // `data` is nothing here.
        (r#"{"type":"athlete","data":[1],"user":{}}"#, None),
    ] {
        let stub = Stub::answering([reply(200, body)]).await;
        let answered = stub.client().athlete(&user_id, None, Via::Answer).await;
        let records = match answered.unwrap() {
            DataAnswer::Data(payload) => {
                assert_eq!(payload.data_type, DataType::Athlete);
                let event_body = payload.event_body();
                let event = Event::parse(&event_body).unwrap();
                assert_eq!(event.event_type, EventType::Data(DataType::Athlete));
                Some(payload.records)
            }
            DataAnswer::NoData => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(records, expected, "{body}");
    }
}

#[tokio::test]
async fn planned_workouts_are_an_array_that_becomes_an_event() {
    let user_id = user_id();
    for (body, records) in [
        (r#" [ {"planned_workout_id":"1"}, {"a":1.0} ] "#, 2),
        (
            r#"{"type":"planned_workout","data":[{"planned_workout_id":1}]}"#,
            1,
        ),
        ("[]", 0),
    ] {
        let stub = Stub::answering([reply(200, body)]).await;
        let planned = stub.client().planned_workouts(&user_id, None, june()).await;
        let planned = planned.unwrap();
        assert_eq!(
            (&planned.body[..], planned.records),
            (body.as_bytes(), records)
        );
        let event_body = planned.event_body(&user_id, Some(&provider("CORE")));
        let event = Event::parse(&event_body).unwrap();
        assert_eq!(event.event_type, EventType::Data(DataType::PlannedWorkout));
        let user = event.user.unwrap();
        assert_eq!(user.user_id, Some(user_id.clone()));
        assert_eq!(user.provider, Some(provider("CORE")));
        assert_eq!(event.records.len(), records);
        assert!(
            event
                .records
                .iter()
                .all(|record| body.contains(record.json))
        );
        assert!(!format!("{planned:?}").contains("workout_id"));
    }
    for body in ["{}", r#"{"data":7}"#, "7"] {
        let stub = Stub::answering([reply(200, body)]).await;
        let planned = stub.client().planned_workouts(&user_id, None, june()).await;
        let error = planned.unwrap_err();
        assert!(
            matches!(error, TerraError::MalformedAnswer { .. }),
            "{error:?}"
        );
    }
}

fn ids(users: &[UserRecord]) -> Vec<&str> {
    users.iter().map(|user| user.user_id.as_str()).collect()
}

#[tokio::test]
async fn user_info_comes_in_three_forms() {
    let user = format!(
        r#"{{"user_id":"{USER}","provider":"CORE","reference_id":"{PERSON}","active":"True",
            "scopes":["a b","c"],"created_at":"2026-01-01T00:00:00.000000+00:00",
            "last_webhook_update":null,"last_polled_at":"2026-07-01T00:00:00Z"}}"#
    );
    let other = r#"{"user_id":"other","provider":"OURA","scopes":"x,y","active":false}"#;
    let single = format!(r#"{{"user":{user},"status":"success","is_authenticated":true}}"#);
    for (body, authenticated) in [
        (single.clone(), Some(true)),
        (format!("[{other},{user}]"), None),
        (
            format!(r#"{{"users":[{other},{user}],"status":"success"}}"#),
            None,
        ),
    ] {
        let stub = Stub::answering([reply(200, body)]).await;
        let info = stub.client().user_info(&user_id()).await.unwrap();
        assert_eq!(info.is_authenticated, authenticated);
        let found = info.user;
        assert_eq!(found.user_id, user_id());
        assert_eq!(found.user.provider, Some(provider("CORE")));
        assert_eq!(found.user.reference_id, Some(reference_id()));
        assert_eq!(found.user.active, Some(true));
        let scopes = found.user.scopes.unwrap().0;
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(
            found.created_at.as_deref(),
            Some("2026-01-01T00:00:00.000000+00:00")
        );
        assert_eq!(found.last_webhook_update, None);
        assert_eq!(
            found.last_polled_at.as_deref(),
            Some("2026-07-01T00:00:00Z")
        );
    }
    for (body, expected) in [
        (format!("[{user},{other}]"), vec![USER, "other"]),
        (
            format!(r#"{{"users":[{user},{other}]}}"#),
            vec![USER, "other"],
        ),
        (single, vec![USER]),
        ("[]".to_owned(), vec![]),
    ] {
        let stub = Stub::answering([reply(200, body)]).await;
        let users = stub.client().users_of_reference(&reference_id()).await;
        assert_eq!(ids(&users.unwrap().users), expected);
    }
}

#[tokio::test]
async fn user_info_of_somebody_else_is_nobodys() {
    for (body, gone) in [
        (
            r#"{"user":{"user_id":"other"},"is_authenticated":true}"#,
            false,
        ),
        (r#"{"status":"success"}"#, false),
        ("[]", false),
        (r#"{"status":"success","is_authenticated":false}"#, true),
        (
            r#"{"status":"error","message":"User does not exist","is_authenticated":false}"#,
            true,
        ),
    ] {
        let stub = Stub::answering([reply(200, body)]).await;
        let error = stub.client().user_info(&user_id()).await.unwrap_err();
        assert_discreet(&error);
        match error {
            TerraError::Gone { what, .. } if gone => assert_eq!(what, Gone::UserUnknown),
            TerraError::MalformedAnswer { .. } if !gone => {}
            other => panic!("{body} {other:?}"),
        }
    }
}

#[tokio::test]
async fn subscriptions_come_in_pages_or_at_once() {
    let page = |next: &str, id: &str| {
        let user = format!(r#"{{"user_id":"{id}","provider":"CORE"}}"#);
        reply(
            200,
            format!(r#"{{"data":{{"next":{next},"max_page":2.0,"results":[{user},{{}},7]}}}}"#),
        )
    };
    let stub = Stub::answering([page("1", "a"), page("\"2\"", "b"), page("null", "c")]).await;
    let client = stub.client();
    let mut found = Vec::new();
    let mut next = Some(0);
    while let Some(number) = next {
        let page = client.subscriptions_page(number, 3).await.unwrap();
        assert_eq!((page.max_page, page.users.unreadable), (Some(2), 2));
        found.extend(page.users.users);
        next = page.next;
    }
    assert_eq!(ids(&found), ["a", "b", "c"]);

    // Pages asked for, but the form without them answered: all of it is one page.
    let all = r#"{"users":[{"user_id":"a"},{"user_id":"b"},{"user_id":""}]}"#;
    let stub = Stub::answering([reply(200, all)]).await;
    let page = stub.client().subscriptions_page(0, 500).await.unwrap();
    assert_eq!((page.next, page.max_page), (None, None));
    assert_eq!(ids(&page.users.users), ["a", "b"]);
    assert_eq!(page.users.unreadable, 1);

    let users = stub.client().subscriptions().await.unwrap();
    assert_eq!(ids(&users.users), ["a", "b"]);
}

#[tokio::test]
async fn pages_that_lead_nowhere_are_not_followed() {
    for next in ["1", "0", "-1", "\"x\"", "{}", "5000000000"] {
        let body = format!(r#"{{"data":{{"next":{next},"results":[]}}}}"#);
        let stub = Stub::answering([reply(200, body)]).await;
        let error = stub.client().subscriptions_page(1, 500).await.unwrap_err();
        assert!(
            matches!(error, TerraError::MalformedAnswer { .. }),
            "{next} {error:?}"
        );
    }
    for body in ["{}", "[]", r#"{"data":{}}"#, r#"{"users":7}"#] {
        let stub = Stub::answering([reply(200, body)]).await;
        let answered = stub.client().subscriptions_page(0, 500).await;
        assert!(
            matches!(answered, Err(TerraError::MalformedAnswer { .. })),
            "{body}"
        );
    }
}

#[tokio::test]
async fn providers_come_under_two_names() {
    for sdk in ["sdk_providers", "sdk_resource"] {
        let body =
            format!(r#"{{"status":"success","providers":["CORE","NEW",7],"{sdk}":["APPLE"]}}"#);
        let stub = Stub::answering([reply(200, body)]).await;
        let found = stub.client().integrations().await.unwrap();
        assert_eq!(found.providers, [provider("CORE"), provider("NEW")]);
        assert_eq!(found.sdk_providers, [provider("APPLE")]);
    }
    let body = r#"{"providers":[
        {"provider":"CORE","name":"Core","icon":"https://x","setup":1,"enabled":true,
         "types":{"body":true,"sleep":false,"daily":"true","telepathy":true}},
        {"provider":"NEW"},{"name":"nobody"}]}"#;
    let stub = Stub::answering([reply(200, body)]).await;
    let client = stub.client();
    let detailed = client.detailed_integrations(Catalogue::Account, true);
    let found = detailed.await.unwrap();
    assert_eq!(found.len(), 2);
    let types: Vec<_> = found[0].types.iter().copied().collect();
    assert_eq!(types, [DataType::Body, DataType::Daily]);
    assert_eq!((found[0].enabled, found[1].enabled), (Some(true), None));
    assert!(found[1].types.is_empty());
}

#[tokio::test]
async fn ways_to_connect_are_secrets() {
    let body = r#"{"status":"success","user_id":"user-5ca1ab1e","session_id":"s-1",
        "auth_url":"https://way.in/","url":"https://way.in/","token":"https://way.in/",
        "expires_in":900.0}"#;
    let stub = Stub::answering([reply(200, body)]).await;
    let client = stub.client();
    let options = ConnectOptions::default();
    let link = client
        .authentication_link(&provider("CORE"), &options)
        .await
        .unwrap();
    let session = client.widget_session(&[], &options).await.unwrap();
    let token = client.mobile_token().await.unwrap();
    assert_eq!(link.auth_url.expose_secret(), "https://way.in/");
    assert_eq!(link.user_id, Some(user_id()));
    assert_eq!(session.url.expose_secret(), "https://way.in/");
    assert_eq!(session.session_id.as_deref(), Some("s-1"));
    assert_eq!(session.expires_in, Some(Duration::from_mins(15)));
    assert_eq!(token.token.expose_secret(), "https://way.in/");
    let shown = format!("{link:?} {session:?} {token:?}");
    assert!(!shown.contains("way.in"), "{shown}");

    let stub = Stub::answering([reply(200, r#"{"status":"success"}"#)]).await;
    let error = stub.client().mobile_token().await.unwrap_err();
    assert!(
        matches!(error, TerraError::MalformedAnswer { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_end_may_be_asked_for_twice() {
    let gone = r#"{"type":"about:blank","title":"not found","detail":"user not found"}"#;
    for (status, body, ended) in [
        (200, r#"{"status":"success"}"#, Some(Deauthenticated::Now)),
        (204, "", Some(Deauthenticated::Now)),
        (404, gone, Some(Deauthenticated::Before)),
        (
            404,
            r#"{"title":"not found"}"#,
            Some(Deauthenticated::Before),
        ),
        (404, "<html>no such page</html>", None),
        (200, "<html>hello</html>", None),
        (200, r#"{"status":"error","message":"no"}"#, None),
        (401, r#"{"message":"unauthorized"}"#, None),
    ] {
        let stub = Stub::answering([reply(status, body)]).await;
        let answered = stub.client().deauthenticate(&user_id()).await;
        assert_eq!(answered.ok(), ended, "{status} {body}");
    }
}

#[tokio::test]
async fn lab_reports_are_listed_and_read() {
    let body = r#"{"sessions":[
        {"session_id":"297405620317847552","report_type":"lab","current_status":"sent",
         "reference_id":"person@example.org","results_count":12,"uploaded_at":"2026-07-01T00:00:00Z"},
        {"session_id":297405620317847552},{"report_type":"lab"}]}"#;
    let stub = Stub::answering([reply(200, body)]).await;
    let found = stub
        .client()
        .lab_reports(&LabReportFilter::default())
        .await
        .unwrap();
    assert_eq!(found.unreadable, 1);
    assert!(!found.may_be_cut());
    for session in &found.sessions {
        assert_eq!(session.session_id, "297405620317847552");
    }
    assert_eq!(found.sessions[0].results_count, Some(12));
    assert_eq!(found.sessions[0].reference_id, Some(reference_id()));

    let report = r#" {"session_id":"1","results":[{"measurement":{"numeric":1.50}}]} "#;
    let stub = Stub::answering([reply(200, report)]).await;
    assert_eq!(stub.client().lab_report("1").await.unwrap(), report);
    let stub = Stub::answering([reply(200, "{}")]).await;
    stub.client().lab_report("1").await.unwrap_err();
}

#[tokio::test]
async fn nothing_that_can_be_printed_holds_the_key() {
    let stub = Stub::answering([reply(200, "{}")]).await;
    let shown = format!("{:?} {:?}", stub.settings(), stub.client());
    assert!(!shown.contains("c0ffee"), "{shown}");
    assert!(shown.contains("127.0.0.1"));
}
